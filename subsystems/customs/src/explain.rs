//! The words that people read: differences, proposals and reasons, in plain English.
//!
//! A sentence says first what the papers say, then what it means for the claim. It never accuses:
//! a difference is a difference until an officer has decided.
//!
//! Not here: which difference is found (`crate::matching`), and other languages.

use crate::decision::Reason;
use crate::matching::{Papers, Rule};

/// Says a difference in words.
pub fn difference(rule: Rule, papers: &Papers, limit: Option<&str>, tolerated: bool) -> String {
    let said = Said { papers, limit: limit.unwrap_or("0") };
    let text = said
        .about_number(rule)
        .or_else(|| said.about_certificate(rule))
        .or_else(|| said.about_goods(rule))
        .unwrap_or_else(|| said.about_value_and_export(rule));
    if tolerated { format!("{text} This is within the tolerance.") } else { text }
}

/// What the papers say, ready to be put into a sentence.
struct Said<'a> {
    papers: &'a Papers,
    limit: &'a str,
}

impl Said<'_> {
    fn certificate(&self) -> &str {
        self.papers.certificate.as_deref().unwrap_or("nothing")
    }

    fn export(&self) -> &str {
        self.papers.export.as_deref().unwrap_or("nothing")
    }

    fn claim(&self) -> &str {
        self.papers.claim.as_deref().unwrap_or("nothing")
    }

    fn about_number(&self, rule: Rule) -> Option<String> {
        let (certificate, claim) = (self.certificate(), self.claim());
        Some(match rule {
            Rule::CertificateUnknown => match &self.papers.certificate {
                Some(near) => format!(
                    "No certificate {claim} has arrived. Certificate {near} has, and its number \
                     reads alike when the letter O is taken for zero or I for one: ask the \
                     importer which one is meant."
                ),
                None => format!(
                    "No certificate {claim} has arrived from the partner. This is no proof \
                     against it: ask the partner whether it knows the number; until then the \
                     general rate applies, with security or payment."
                ),
            },
            Rule::NoDataPeriod => format!(
                "Certificate {claim} is from before the exchange began on {certificate}, so no \
                 data can be here. Look at the paper certificate."
            ),
            Rule::NumberLookAlike => format!(
                "The quoted number {claim} has characters of another script that only look like \
                 Latin ones; it was looked up as if they were Latin."
            ),
            Rule::NumberSpelling => format!(
                "The claim writes the number {claim}, the certificate {certificate}; both mean \
                 the same certificate."
            ),
            _ => return None,
        })
    }

    fn about_certificate(&self, rule: Rule) -> Option<String> {
        let (certificate, claim, limit) = (self.certificate(), self.claim(), self.limit);
        let export = self.export();
        Some(match rule {
            Rule::CertificateCancelled => format!(
                "The issuer has cancelled certificate {claim}. It gives no preference any more."
            ),
            Rule::CertificateReplaced => format!(
                "The issuer has replaced certificate {claim} by {certificate}. The claim must \
                 quote the replacement."
            ),
            Rule::CertificateSuspended => format!(
                "The issuer has suspended certificate {claim} while it verifies it. Wait for the \
                 result before granting."
            ),
            Rule::CertificateDate => format!(
                "The claim gives {claim} as the date of the certificate; it was issued on \
                 {certificate}. Number and date must both be right."
            ),
            Rule::CertificateExpired => format!(
                "The certificate was valid until {certificate}; the claim was filed on {claim}, \
                 after that day."
            ),
            Rule::CertificateFuture => format!(
                "The certificate bears the date {certificate}, which is after the day of the \
                 claim, {claim}."
            ),
            Rule::CertificateIssuedLate => format!(
                "The certificate was issued on {certificate}, more than {limit} days after the \
                 goods left on {export}, and does not say that it was issued retrospectively."
            ),
            Rule::AmendedAfterFiling => format!(
                "The certificate was amended after the claim had been filed: it is now \
                 {certificate}. Compare both versions."
            ),
            Rule::CertificateItem => format!(
                "The claim quotes item {claim} of the certificate, which has the items \
                 {certificate}."
            ),
            Rule::Consignee => format!(
                "The certificate names {certificate} as consignee; the importer is {claim}."
            ),
            Rule::Exporter => format!(
                "The certificate names {certificate} as exporter; the export declaration names \
                 {export}."
            ),
            _ => return None,
        })
    }

    fn about_goods(&self, rule: Rule) -> Option<String> {
        let (certificate, export, claim) = (self.certificate(), self.export(), self.claim());
        Some(match rule {
            Rule::Hs6 => format!(
                "The certificate covers goods of {certificate}; the claim is for {claim}. The \
                 certificate does not cover these goods as they are declared."
            ),
            Rule::ExportHs6 => format!(
                "The export declaration has {export}; the claim is for {claim}. The goods may \
                 have been classified differently on the two sides."
            ),
            Rule::NoConcession => format!(
                "Tariff line {claim} has no concession on the day of the claim. The general rate \
                 applies, whatever the certificate says."
            ),
            Rule::GeneralRateNotHigher => "For every duty the general rate is as low as the \
                 preferential one or lower, and the lower rate applies. The preference saves \
                 nothing, so the certificate need not be used."
                .to_owned(),
            Rule::OriginCountry => format!(
                "The goods must originate in the partner country. Country of origin: \
                 {certificate} on the certificate, {export} on the export declaration, {claim} in \
                 the claim."
            ),
            Rule::ExportOrigin => "The export declaration does not state the country of origin \
                 of these goods, so the origin is not shown by the export declaration."
                .to_owned(),
            Rule::ExportCountry => format!(
                "The goods must come directly from the partner country. Country of exportation: \
                 {certificate} on the certificate, {export} on the export declaration, {claim} in \
                 the claim. Ask for proof of direct consignment."
            ),
            Rule::QuantityBalance => format!(
                "{claim} are claimed, but only {certificate} are left on the certificate. The \
                 excess pays the general rate."
            ),
            Rule::BalanceUsedUp => format!(
                "{claim} are claimed, but the certificate is used up: all of the {certificate} \
                 that it certifies have been debited."
            ),
            Rule::QuantityExport => format!(
                "{claim} are claimed, but only {export} were declared for export. The excess \
                 pays the general rate."
            ),
            Rule::UnitNotConvertible => format!(
                "The claim states {claim}, which cannot be converted into the unit of the \
                 certificate ({certificate}). The officer must state the quantity in that unit."
            ),
            Rule::NetMass => format!(
                "The net mass is {export} in the export declaration and {claim} in the claim."
            ),
            _ => return None,
        })
    }

    fn about_value_and_export(&self, rule: Rule) -> String {
        let (certificate, export, claim) = (self.certificate(), self.export(), self.claim());
        let limit = self.limit;
        match rule {
            Rule::ValueSoft => format!(
                "The export declaration values the goods at {export}; the invoice in the claim \
                 says {claim}."
            ),
            Rule::ValueHard => format!(
                "The export declaration values the goods at {export}; the invoice in the claim \
                 says {claim}, beyond the limit of {limit} %. This is a task for valuation and no \
                 ground to deny the origin."
            ),
            Rule::Currency => format!(
                "The export value is {export}, the invoice value {claim}. There is no agreed \
                 exchange rate here, so the two were not compared."
            ),
            Rule::InvoiceNumber => format!(
                "The claim rests on invoice {claim}; the certificate names {certificate}, the \
                 export declaration {export}."
            ),
            Rule::ExportMissing => "No export declaration for these goods has arrived from the \
                 partner. Ask for it before granting."
                .to_owned(),
            Rule::ExportCancelled => {
                format!("The partner has cancelled export declaration {export}.")
            }
            Rule::ExportItem => format!(
                "Export declaration {export} quotes another certificate for goods of {claim}, or \
                 has no such goods."
            ),
            other => format!("The papers differ: {other}."),
        }
    }
}

/// Said of an import declaration that claims no preference.
pub const NO_PREFERENCE: &str = "No item quotes a certificate of origin (document type 864), so no \
    preference is claimed and the general rate applies.";

/// Says a reason of a decision or a proposal in words.
pub const fn reason(reason: Reason) -> &'static str {
    match reason {
        Reason::InOrder => "the papers agree",
        Reason::FlagsAccepted => "the differences found do not touch the origin or the quantity",
        Reason::BalanceExceeded => "the certificate covers only a part of the quantity",
        Reason::ExportExceeded => "only a part of the quantity was declared for export",
        Reason::CertificateInvalid => "the certificate cannot be used",
        Reason::CertificateUsedUp => "the certificate is used up",
        Reason::OriginNotShown => "the origin in the partner country is not shown",
        Reason::QuotaExceeded => "the quota has less for this item than is claimed",
        Reason::GoodsNotCovered => "the tariff line has no concession",
        Reason::GeneralRateLower => "the general rate is not higher than the preferential one",
        Reason::CertificateUnknown => "the certificate has not arrived from the partner",
        Reason::ExportUnknown => "the export declaration has not arrived or was cancelled",
        Reason::PapersDiffer => "the papers differ and the difference must be cleared up first",
        Reason::QuantityUnclear => "the quantity cannot be compared with the certificate",
        Reason::FalsePapers => "the papers are not what the issuer or the exporter sent",
        Reason::ClearedUp => "the difference was cleared up",
        Reason::Other => "another reason, given in words",
    }
}
