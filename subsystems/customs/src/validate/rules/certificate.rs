//! Rules of the certificate of origin.

use karvan_types::{Date, Decimal};

use super::super::Problems;
use super::{classifications, party, sequence};
use crate::messages::{
    CertificateFlag, CertificateItem, CertificateOfOrigin, OriginCriterion, SharingLevel,
};

const ITEMS: &str = "GovernmentAgencyGoodsItem";
/// Longest plausible validity, in years.
const VALIDITY_YEARS_MAX: i16 = 3;

/// Checks a certificate.
pub(super) fn check(message: &CertificateOfOrigin, problems: &mut Problems) {
    let (from, to) = (&message.export_country.id, &message.destination.country_code);
    if from == to {
        let remedy = "country of exportation and of destination are the same; correct one";
        problems.refuse("Destination", "ROUTE", remedy);
    }
    party("Exporter", &message.exporter, Some(from), problems);
    party("Consignee", &message.consignee, Some(to), problems);
    party("issuer", &message.issuer, None, problems);
    let issued = message.header.issue_date_time.utc_date();
    validity(issued, message.valid_until, problems);
    for (invoice, number) in message.invoices.iter().zip(1..) {
        let ahead = invoice.issue_date > issued;
        if ahead && !message.flags.contains(&CertificateFlag::ThirdPartyInvoice) {
            let remedy = "the invoice is dated after the certificate; check both dates";
            problems.flag(&format!("invoices[{number}]/IssueDateTime"), "DATE", remedy);
        }
    }
    if message.replaces.as_deref() == Some(message.header.id.as_str()) {
        let remedy = "a certificate cannot replace itself; name the earlier one";
        problems.refuse("replaces", "REPLACES", remedy);
    }
    sequence(ITEMS, message.items.iter().map(|item| item.sequence), problems);
    for (entry, number) in message.items.iter().zip(1..) {
        let pointer = format!("{ITEMS}[{number}]");
        classifications(&pointer, &entry.classifications, problems);
        item(&pointer, entry, problems);
        if entry.fob_value.is_some() && message.header.sharing_level == SharingLevel::L1 {
            let remedy = "sharing level L1 carries no values; leave it out";
            problems.refuse(&format!("{pointer}/fobValue"), "SHARING", remedy);
        }
    }
}

fn validity(issued: Date, until: Date, problems: &mut Problems) {
    if until < issued {
        let remedy = format!("the certificate ends on {until}, before its issue on {issued}");
        problems.refuse("validUntil", "DATE", remedy);
    } else if until.year() - issued.year() > VALIDITY_YEARS_MAX {
        let remedy = format!("a validity until {until} is implausibly long; check the year");
        problems.flag("validUntil", "DATE", remedy);
    }
}

fn item(pointer: &str, item: &CertificateItem, problems: &mut Problems) {
    if item.quantity.value.is_zero() {
        let remedy = "the certified quantity is zero; state what is certified";
        problems.refuse(&format!("{pointer}/quantity"), "QUANTITY", remedy);
    }
    if item.rvc_percent.is_some_and(|percent| percent > Decimal::ONE_HUNDRED) {
        let remedy = "a share of the value cannot be above 100 percent; correct it";
        problems.refuse(&format!("{pointer}/rvcPercent"), "RVC", remedy);
    }
    match item.origin_criterion {
        OriginCriterion::RegionalValueContent if item.rvc_percent.is_none() => {
            let remedy = "criterion RVC needs the regional value content in percent; add it";
            problems.refuse(&format!("{pointer}/rvcPercent"), "RVC", remedy);
        }
        OriginCriterion::WhollyObtained
            if item.non_originating_value.as_ref().is_some_and(|v| !v.value.is_zero()) =>
        {
            let remedy = "wholly obtained goods hold no foreign material; check the criterion";
            problems.flag(&format!("{pointer}/nonOriginatingValue"), "ORIGIN", remedy);
        }
        _ => {}
    }
    if let (Some(foreign), Some(fob)) = (&item.non_originating_value, &item.fob_value)
        && foreign.currency == fob.currency
        && foreign.value > fob.value
    {
        let remedy = "foreign material is worth more than the goods; correct one value";
        problems.refuse(&format!("{pointer}/nonOriginatingValue"), "ORIGIN", remedy);
    }
}
