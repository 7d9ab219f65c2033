//! Compares what the importer claims with the certificate and the export declaration.
//!
//! Every claimed item is looked at alone. The result is a list of differences, each with its rule,
//! its weight, the values on the three papers, the source of the rule and a sentence that an
//! officer reads. Nothing is decided here, and nothing is left out: a look that finds the papers
//! equal adds no line, every other look adds one.
//!
//! Invariants: an unknown certificate holds a claim and never denies it; a lower value never
//! touches the origin; quantities and masses are compared exactly, in one unit.
//!
//! Not here: the concession and the duty (`crate::claim`), the balance at the moment of the debit
//! (`crate::certificate`).

mod certificate;
mod difference;
mod filing;
mod goods;
mod origin;
mod proportion;
mod quantity;
mod rules;
mod value;

pub use difference::{Difference, Findings, Papers};
pub(crate) use quantity::stated_quantities;
pub use rules::{
    Error as RulesError, ExchangeDay, ExchangeRates, Row, Rule, Rules, Severity, Standing,
};

use karvan_types::{Amount, Date, Instance, Quantity, Timestamp};
use serde::{Deserialize, Serialize};

use crate::certificate::{Certificate, CertificateNumber, Unseen};
use crate::export::Export;
use crate::messages::{CertificateItem, GoodsItem, ImportClaim};
use crate::rates::{Converted, Unconverted};
use crate::transport::Report;

/// Which certificate an item of a claim quotes.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Quote {
    /// Number as quoted.
    pub number: CertificateNumber,
    /// Date of issue as quoted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date: Option<Date>,
    /// Item of the certificate.
    pub item: u32,
}

/// Another claimed item that rests on the same item of an export declaration.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Other {
    /// The claimed item, `claim#item`.
    pub claim_item: String,
    /// How much it has or claims, in the unit of [`Case::exported`]; nothing when it cannot be said
    /// in that unit.
    pub quantity: Option<Quantity>,
    /// Whether it was granted or released, and not only claimed.
    pub is_taken: bool,
}

/// The papers of one claimed item.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// The rules of the match.
    pub rules: &'a Rules,
    /// The partner country, in which the goods originate.
    pub partner: Instance,
    /// The day on which the exchange with the partner began.
    pub go_live: Date,
    /// How many days a claim may come after its filing day, where the operator says so.
    pub filed_late_days: Option<u32>,
    /// Since when documents of the partner may not have come, if that lasts.
    pub silent_since: Option<Timestamp>,
    /// The nation of the importer.
    pub nation: Instance,
    /// When this side received the claim.
    pub received_at: Timestamp,
    /// The day of the claim.
    pub filed: Date,
    /// The claim.
    pub claim: &'a ImportClaim,
    /// The claimed item.
    pub item: &'a GoodsItem,
    /// The quoted certificate.
    pub quote: &'a Quote,
    /// The certificate, when it is known.
    pub certificate: Option<&'a Certificate>,
    /// Number of a certificate that reads alike, when the quoted one is not known.
    pub near_miss: Option<&'a str>,
    /// The export declaration, when it is known.
    pub export: Option<&'a Export>,
    /// What was reported about the transport of the export, in the order of what happened.
    pub reports: &'a [Report],
    /// Numbers of other certificates of the exporter that name the same invoice.
    pub sharing_invoice: &'a [String],
    /// Numbers of other claims that bear the same reference of the declarant.
    pub same_reference: &'a [String],
    /// What was granted to other claimed items on the quoted number while no certificate was here.
    pub unseen: &'a [Unseen],
    /// Other claimed items that rest on the same item of the export declaration.
    pub others: &'a [Other],
    /// The amounts of [`Case::conversions`] that could be converted.
    pub converted: &'a [Converted],
    /// Those whose rate is known, but whose result has too many digits.
    pub too_large: &'a [Unconverted],
}

impl<'a> Case<'a> {
    /// Returns the quoted item of the certificate.
    fn certificate_item(&self) -> Option<&'a CertificateItem> {
        self.certificate?.content()?.item(self.quote.item)
    }

    /// Returns the item of the export declaration that belongs to the claimed one.
    fn export_item(&self) -> Option<&'a GoodsItem> {
        self.export_item_and_fit().0
    }

    /// Returns the number of the item of the export declaration that belongs to the claimed one,
    /// and its quantity in a unit that the claim has too.
    pub fn exported(&self) -> Option<(u32, Option<Quantity>)> {
        let item = self.export_item()?;
        Some((item.sequence, quantity::comparable(self).map(|(_, exported)| exported)))
    }

    /// Returns which amounts are to be compared in another currency, and in which.
    pub fn conversions(&self) -> Vec<(Amount, String)> {
        value::conversions(self)
    }

    /// Returns the day whose exchange rates are taken, when the papers state it.
    pub fn exchange_day(&self) -> Option<Date> {
        match self.rules.exchange_rates.day {
            ExchangeDay::ClaimFiled => Some(self.filed),
            ExchangeDay::ExportAccepted => {
                let content = self.export?.content()?;
                Some(local_date(content.acceptance_date_time?, self.partner))
            }
            ExchangeDay::InvoiceDated => Some(self.claim.shipment.invoices.first()?.issue_date),
        }
    }

    /// Returns an amount in another currency: as it is in the same one, nothing without a rate.
    fn in_currency(&self, stated: &Amount, currency: &str) -> Option<Converted> {
        if stated.currency == currency {
            let (stated, amount) = (stated.clone(), stated.clone());
            return Some(Converted { stated, amount, day: self.filed, rates: Vec::new() });
        }
        let fits =
            |known: &&Converted| known.stated == *stated && known.amount.currency == currency;
        self.converted.iter().find(fits).cloned()
    }

    /// Whether an amount makes too much in another currency to be said in it.
    fn is_too_large(&self, amount: &Amount, currency: &str) -> bool {
        self.too_large.iter().any(|known| {
            matches!(known, Unconverted::TooLarge { stated, to, .. }
                if stated == amount && to == currency)
        })
    }

    /// Returns that item, and whether the declaration means the quoted certificate by it.
    fn export_item_and_fit(&self) -> (Option<&'a GoodsItem>, bool) {
        let hs6 = self.item.commodity.hs6().unwrap_or_default();
        let mut numbers = vec![self.quote.number.clone()];
        // An export declaration may still quote the certificate that this one replaced.
        numbers.extend(self.certificate.and_then(Certificate::replaces));
        self.export.map_or((None, false), |export| export.item_for(&numbers, self.quote.item, hs6))
    }
}

/// The result of comparing one claimed item.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Match {
    /// What was found, heaviest first.
    pub differences: Vec<Difference>,
    /// What the claim wants debited, in the unit of the certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claimed: Option<Quantity>,
    /// How much the goods are, in the same unit: as stated, or as their mass or value lets expect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goods: Option<Quantity>,
    /// What the certificate still covers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balance: Option<Quantity>,
    /// What was declared for export, in the unit of the certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exported: Option<Quantity>,
    /// Version of the certificate that was compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_version: Option<u32>,
    /// Key of the export declaration that was compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub export: Option<String>,
    /// Item of that declaration that belongs to the claimed one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub export_item: Option<u32>,
    /// What the claim wants of that item, in a unit in which it is declared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of_export: Option<Quantity>,
    /// Version of the export declaration that was compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub export_version: Option<u32>,
}

impl Match {
    /// Returns the heaviest severity found.
    pub fn worst(&self) -> Severity {
        self.differences.iter().map(|d| d.severity).max().unwrap_or(Severity::Info)
    }

    /// Returns the light that the officer sees.
    pub fn light(&self) -> Light {
        match self.worst() {
            Severity::Info | Severity::Tolerated => Light::Green,
            Severity::Flag => Light::Amber,
            Severity::Hold | Severity::Deny => Light::Red,
        }
    }

    /// Returns the difference found by `rule`.
    pub fn find(&self, rule: Rule) -> Option<&Difference> {
        self.differences.iter().find(|difference| difference.rule == rule)
    }
}

/// The state of a match at a glance.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Light {
    /// No difference, or only tolerated ones.
    Green,
    /// An officer must look.
    Amber,
    /// The preference cannot be granted without overriding the match.
    Red,
}

/// Compares the papers of one claimed item.
pub fn compare(case: &Case<'_>) -> Match {
    let chapter = case.item.commodity.hs6().and_then(|code| code.get(..2));
    let mut findings = Findings::new(case.rules, case.filed, chapter);
    filing::look(case, &mut findings);
    certificate::look(case, &mut findings);
    origin::look(case, &mut findings);
    goods::look_at_codes_and_countries(case, &mut findings);
    goods::look_at_export(case, &mut findings);
    let quantities = quantity::look(case, &mut findings);
    goods::look_at_mass(case, &mut findings);
    goods::look_at_packages(case, &mut findings);
    value::look(case, &mut findings);
    Match {
        differences: findings.finish(),
        claimed: quantities.claimed,
        goods: quantities.goods,
        balance: quantities.balance,
        exported: quantities.exported,
        certificate_version: (case.certificate.and_then(Certificate::content))
            .map(|content| content.header.version_id),
        export: case.export.map(Export::id),
        export_item: case.export_item().map(|item| item.sequence),
        of_export: quantity::comparable(case).map(|(claimed, _)| claimed),
        export_version: (case.export.and_then(Export::content))
            .map(|content| content.header.version_id),
    }
}

/// Returns how far a country of the exchange is ahead of UTC. Both keep one offset all year.
pub fn utc_offset(country: Instance) -> std::time::Duration {
    let hours = match country.as_str() {
        "AZ" => 4,
        "PK" => 5,
        _ => 0,
    };
    std::time::Duration::from_hours(hours)
}

/// Returns the calendar date in a country of the exchange.
pub fn local_date(at: Timestamp, country: Instance) -> Date {
    at.plus(utc_offset(country)).utc_date()
}
