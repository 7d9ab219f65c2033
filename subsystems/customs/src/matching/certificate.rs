//! Looks at the certificate itself: known, in force, of the quoted number, date and parties.

use std::time::Duration;

use karvan_types::{Date, Timestamp};

use super::{Case, Findings, Papers, Rule, local_date, origin};
use crate::certificate::{Certificate, UNSEEN_MAX};
use crate::messages::{CertificateFlag, CertificateOfOrigin, CertificateStatus, Party};
use crate::validate::placeholders::Placeholder;

pub(super) fn look(case: &Case<'_>, findings: &mut Findings<'_>) {
    let quote = case.quote;
    if !quote.number.look_alikes.is_empty() {
        let shown = format!("{} ({})", quote.number, quote.number.look_alikes);
        findings.add(Rule::NumberLookAlike, Papers::new().claim(shown));
    }
    let Some((certificate, content)) = case.certificate.and_then(|c| Some((c, c.content()?)))
    else {
        return look_at_unknown(case, findings);
    };
    if quote.number.differs_in_spelling(&certificate.number) {
        let papers = Papers::new().certificate(&certificate.number).claim(&quote.number);
        findings.add(Rule::NumberSpelling, papers);
    }
    look_at_standing(case, certificate, findings);
    look_at_dates(case, content, findings);
    look_at_amendment(case, certificate, findings);
    if case.certificate_item().is_none() {
        let items: Vec<_> = content.items.iter().map(|item| item.sequence.to_string()).collect();
        let papers = Papers::new().certificate(items.join(", ")).claim(quote.item);
        findings.add(Rule::CertificateItem, papers);
    }
    look_at_parties(case, content, findings);
}

const DAY: std::time::Duration = std::time::Duration::from_hours(24);

fn look_at_unknown(case: &Case<'_>, findings: &mut Findings<'_>) {
    let quote = case.quote;
    let early = quote.date.is_some_and(|date| date < case.go_live);
    let mut papers = Papers::new().claim(&quote.number);
    if early {
        let date = quote.date.map(|date| date.to_string()).unwrap_or_default();
        papers.certificate = Some(case.go_live.to_string());
        papers.claim = Some(format!("{} of {date}", quote.number));
        findings.add(Rule::NoDataPeriod, papers);
    } else if let Some(since) = case.silent_since.filter(|since| {
        // A certificate is sent within a day of its issue.
        quote.date.is_none_or(|date| date >= local_date(since.minus(DAY), case.partner))
    }) {
        papers.certificate = Some(local_date(since, case.partner).to_string());
        findings.add(Rule::PartnerSilent, papers);
    } else {
        papers.certificate = case.near_miss.map(str::to_owned);
        findings.add(Rule::CertificateUnknown, papers);
    }
    if !case.unseen.is_empty() {
        let named = case.unseen.iter().take(NAMED_MAX);
        let named = named.map(|grant| format!("{} for {}", grant.quantity, grant.claim_item));
        let mut named: Vec<String> = named.collect();
        if case.unseen.len() > NAMED_MAX {
            // Of very many not all are read, and the own one is left out.
            let or_more = if case.unseen.len() + 1 < UNSEEN_MAX { "" } else { " or more" };
            named.push(format!("{}{or_more} more", case.unseen.len() - NAMED_MAX));
        }
        let papers = Papers::new().claim(&quote.number).basis(named.join(", "));
        findings.add(Rule::GrantedUnseen, papers);
    }
    if let Some(date) = quote.date {
        look_at_quoted_date(case, date, findings);
    }
}

/// Most earlier grants that a difference names.
const NAMED_MAX: usize = 5;

/// Holds the date that the claim quotes of a paper certificate against the agreement.
fn look_at_quoted_date(case: &Case<'_>, date: Date, findings: &mut Findings<'_>) {
    for (rule, day, basis) in origin::of_quoted_date(case, date) {
        let claim = if rule == Rule::QuotedTooEarly { date } else { case.filed };
        findings.add(rule, Papers::new().certificate(day).claim(claim).basis(basis));
    }
}

fn look_at_standing(case: &Case<'_>, certificate: &Certificate, findings: &mut Findings<'_>) {
    let papers = Papers::new().claim(&case.quote.number);
    match certificate.standing() {
        CertificateStatus::Issued => {}
        CertificateStatus::Suspended => findings.add(Rule::CertificateSuspended, papers),
        CertificateStatus::Cancelled => findings.add(Rule::CertificateCancelled, papers),
        CertificateStatus::Replaced => {
            let by = certificate.replaced_by.as_deref().unwrap_or("another certificate");
            findings.add(Rule::CertificateReplaced, papers.certificate(by));
        }
    }
}

fn look_at_dates(case: &Case<'_>, content: &CertificateOfOrigin, findings: &mut Findings<'_>) {
    let issued = local_date(content.header.issue_date_time, case.partner);
    match case.quote.date {
        Some(date) if date != issued => {
            let papers = Papers::new().certificate(issued).claim(date);
            if days_between(date, issued) > findings.limit(Rule::CertificateDate).into_days() {
                findings.add(Rule::CertificateDate, papers);
            } else {
                findings.add_tolerated(Rule::CertificateDate, papers);
            }
        }
        Some(_) => {}
        None => {
            let papers = Papers::new().certificate(issued).claim("nothing");
            findings.add(Rule::CertificateDate, papers);
        }
    }
    if issued > case.filed {
        let papers = Papers::new().certificate(issued).claim(case.filed);
        findings.add(Rule::CertificateFuture, papers);
    }
    if content.valid_until < case.filed {
        let papers = Papers::new().certificate(content.valid_until).claim(case.filed);
        findings.add(Rule::CertificateExpired, papers);
    }
    let Some(departed) = departure(case, content) else { return };
    let late =
        days_between(departed, issued) > findings.limit(Rule::CertificateIssuedLate).into_days();
    let remarked = content.flags.contains(&CertificateFlag::Retrospective);
    if issued > departed && late && !remarked {
        let papers = Papers::new().certificate(issued).export(departed);
        findings.add(Rule::CertificateIssuedLate, papers);
    }
}

pub(super) fn departure(case: &Case<'_>, content: &CertificateOfOrigin) -> Option<Date> {
    let shipment = case.export.and_then(|export| export.content()).map(|content| &content.shipment);
    let of_export = shipment.and_then(|shipment| {
        let consignment = shipment.consignment.as_ref();
        shipment.exit_date_time.or_else(|| consignment?.departure_date_time)
    });
    let departed: Option<Timestamp> =
        of_export.or_else(|| content.consignment.as_ref()?.departure_date_time);
    departed.map(|at| local_date(at, case.partner))
}

fn look_at_amendment(case: &Case<'_>, certificate: &Certificate, findings: &mut Findings<'_>) {
    let [.., earlier, latest] = certificate.versions.as_slice() else { return };
    if latest.at > case.received_at {
        let version = |content: &CertificateOfOrigin| {
            let item = content.item(case.quote.item).map(|item| format!(": {}", item.quantity));
            format!("version {}{}", content.header.version_id, item.unwrap_or_default())
        };
        let papers = Papers::new()
            .certificate(format!(
                "{} (before: {})",
                version(&latest.content),
                version(&earlier.content)
            ))
            .claim(case.filed);
        findings.add(Rule::AmendedAfterFiling, papers);
    }
}

fn look_at_parties(case: &Case<'_>, content: &CertificateOfOrigin, findings: &mut Findings<'_>) {
    let shipment = &case.claim.shipment;
    let importer = shipment.importer.as_ref().or(shipment.consignee.as_ref());
    let to_order = content.consignee.name.as_deref().and_then(Placeholder::of);
    if let Some(importer) = importer.filter(|_| to_order == Some(Placeholder::ToOrder)) {
        let papers = Papers::new().certificate(name(&content.consignee)).claim(name(importer));
        findings.add(Rule::ConsigneeToOrder, papers);
    } else if let Some(importer) = importer.filter(|importer| differ(&content.consignee, importer))
    {
        let papers = Papers::new().certificate(name(&content.consignee)).claim(name(importer));
        let bears = |flag| content.flags.contains(&flag);
        match (bears(CertificateFlag::BackToBack), bears(CertificateFlag::ThirdPartyInvoice)) {
            (true, true) => findings.add_tolerated(Rule::Consignee, papers),
            (true, false) => findings.add(Rule::BackToBack, papers),
            (false, _) => findings.add(Rule::Consignee, papers),
        }
    }
    let exporter = case.export.and_then(|export| export.content()).map(|export| &export.exporter);
    if let Some(exporter) = exporter.filter(|exporter| differ(&content.exporter, exporter)) {
        let papers = Papers::new().certificate(name(&content.exporter)).export(name(exporter));
        findings.add(Rule::Exporter, papers);
    }
    let claimed = case.claim.exporter.as_ref();
    if let Some(exporter) = claimed.filter(|exporter| differ(&content.exporter, exporter)) {
        let papers = Papers::new().certificate(name(&content.exporter)).claim(name(exporter));
        findings.add(Rule::ClaimExporter, papers);
    }
}

/// Two parties differ when both state a tax number and these differ; failing that, by name.
fn differ(a: &Party, b: &Party) -> bool {
    match (tax_number(a), tax_number(b)) {
        (Some(a), Some(b)) => !same_tax_number(&a, &b),
        _ => match (plain_name(a), plain_name(b)) {
            (Some(a), Some(b)) => a != b,
            _ => false,
        },
    }
}

fn tax_number(party: &Party) -> Option<String> {
    let id: String = party.id.as_ref()?.chars().filter(char::is_ascii_alphanumeric).collect();
    Some(id.to_ascii_uppercase()).filter(|id| !id.is_empty())
}

/// Pakistani numbers are written with or without their eighth digit, the check digit.
fn same_tax_number(a: &str, b: &str) -> bool {
    const WITHOUT_CHECK_DIGIT: usize = 7;
    let short = |text: &str| text.len() == WITHOUT_CHECK_DIGIT;
    let long = |text: &str| text.len() == WITHOUT_CHECK_DIGIT + 1;
    a == b || (short(a) && long(b) && b.starts_with(a)) || (short(b) && long(a) && a.starts_with(b))
}

/// Capital letters are written with either of the two letters i, so these count as one; the dot
/// that `İ` leaves behind in small letters is no letter.
fn plain_name(party: &Party) -> Option<String> {
    let name = party.name.as_ref()?.to_lowercase();
    let plain = name.chars().filter(|c| c.is_alphanumeric());
    let plain: String = plain.map(|c| if c == 'ı' { 'i' } else { c }).collect();
    Some(plain).filter(|name| !name.is_empty())
}

fn name(party: &Party) -> String {
    match (&party.name, &party.id) {
        (Some(name), Some(id)) => format!("{name} ({id})"),
        (Some(text), None) | (None, Some(text)) => text.clone(),
        (None, None) => "not named".to_owned(),
    }
}

fn days_between(a: Date, b: Date) -> Duration {
    let days = (b - a).get_days().unsigned_abs();
    Duration::from_secs(u64::from(days) * SECONDS_PER_DAY)
}

const SECONDS_PER_DAY: u64 = 86_400;

/// A limit in days as a duration.
trait IntoDays {
    fn into_days(self) -> Duration;
}

impl IntoDays for karvan_types::Decimal {
    fn into_days(self) -> Duration {
        let days = u64::try_from(self.trunc()).unwrap_or(0);
        Duration::from_secs(days.saturating_mul(SECONDS_PER_DAY))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_without_case_dots_and_signs() {
        let party = |name: &str| Party { name: Some(name.to_owned()), ..Party::default() };
        for (a, b, are_one) in [
            ("BAKI TİCARƏT EVİ", "Bakı Ticarət Evi", true),
            ("BAKI TICARET EVI", "Bakı Ticaret Evi", true),
            ("Xəzər-Ticarət MMC", "XƏZƏR TİCARƏT MMC", true),
            ("Bakı Ticarət Evi", "Gəncə Ticarət Evi", false),
        ] {
            assert_eq!(!differ(&party(a), &party(b)), are_one, "{a} and {b}");
        }
    }
}
