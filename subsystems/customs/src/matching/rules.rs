//! What counts as a difference, and how heavy it is: the rules of the match as dated data.
//!
//! The code knows how to look ([`Rule`] names every look); the file `data/tolerances.toml` says
//! from when to when a rule holds, for which chapters, with which limit, how heavy a breach is,
//! and from where we know it. Of several rows the one for the chapter wins over the general one,
//! then the newest.
//!
//! Invariant: every rule has a row from the day on which the agreement came into force; loading
//! refuses a table without it.

use std::fmt;

use karvan_types::{Date, Decimal, ErrorKind, amount::parse_decimal};
use serde::{Deserialize, Serialize};

/// The shipped table.
const SHIPPED: &str = include_str!("../../data/tolerances.toml");

/// How heavy a difference is, lightest first.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing; no difference in substance.
    Info,
    /// A difference within the tolerance.
    Tolerated,
    /// The officer looks at it and decides.
    Flag,
    /// The claim cannot be granted before this is cleared up.
    Hold,
    /// The preference cannot be granted on this certificate.
    Deny,
}

macro_rules! rules {
    ($($(#[doc = $doc:literal])* $name:ident = $id:literal,)*) => {
        /// One look at the papers. Its text form is the stable code in results and reasons.
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub enum Rule {
            $($(#[doc = $doc])* $name,)*
        }

        impl Rule {
            /// Every rule.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Returns the stable code.
            pub const fn id(self) -> &'static str {
                match self {
                    $(Self::$name => $id,)*
                }
            }
        }
    };
}

rules! {
    /// No certificate of this number has arrived from the partner.
    CertificateUnknown = "certificate-unknown",
    /// No certificate has arrived, but it may be from before the exchange began.
    NoDataPeriod = "no-data-period",
    /// No certificate has arrived, but nothing has come from the partner since about that day.
    PartnerSilent = "partner-silent",
    /// No certificate has arrived, and the quoted date is before the agreement came into force.
    QuotedTooEarly = "quoted-too-early",
    /// No certificate has arrived, and another claim was granted on the same number.
    GrantedUnseen = "granted-unseen",
    /// The issuer cancelled the certificate.
    CertificateCancelled = "certificate-cancelled",
    /// The issuer replaced the certificate by another one.
    CertificateReplaced = "certificate-replaced",
    /// The issuer suspended the certificate while it verifies it.
    CertificateSuspended = "certificate-suspended",
    /// The quoted number has characters of another script that look Latin.
    NumberLookAlike = "number-look-alike",
    /// The quoted number is spelled otherwise but means the same.
    NumberSpelling = "number-spelling",
    /// The quoted date is not the certificate's date of issue.
    CertificateDate = "certificate-date",
    /// The certificate had expired when the claim was filed.
    CertificateExpired = "certificate-expired",
    /// The certificate bears a date of issue after the day of the claim.
    CertificateFuture = "certificate-future",
    /// The certificate was issued long after departure without the remark "retrospectively".
    CertificateIssuedLate = "certificate-issued-late",
    /// The certificate was amended after the claim had been filed.
    AmendedAfterFiling = "amended-after-filing",
    /// The certificate has no item of the quoted number.
    CertificateItem = "certificate-item",
    /// The consignee is not the importer.
    Consignee = "consignee",
    /// The goods were sold on, and the remark of a third-party invoice is missing.
    BackToBack = "back-to-back",
    /// The certificate is made out to order and names no consignee.
    ConsigneeToOrder = "consignee-to-order",
    /// The exporter of the certificate is not the exporter of the export declaration.
    Exporter = "exporter",
    /// The exporter of the claim is not the exporter of the certificate.
    ClaimExporter = "claim-exporter",
    /// A later version of the claim states another day of filing than the first.
    FilingDayChanged = "filing-day-changed",
    /// The claim was handed in long after the day on which it says to be filed.
    FiledLongAgo = "filed-long-ago",
    /// Another claim bears the same reference of the declarant.
    ReferenceReused = "reference-reused",
    /// The six digits of the Harmonized System differ from the certificate.
    Hs6 = "hs6",
    /// The six digits of the Harmonized System differ from the export declaration.
    ExportHs6 = "export-hs6",
    /// The codes follow different editions, and the correlation table explains the difference.
    HsEdition = "hs-edition",
    /// The codes follow different editions, and the correlation table leaves several codes open.
    HsEditionUnclear = "hs-edition-unclear",
    /// The national tariff line has no concession.
    NoConcession = "no-concession",
    /// The duty with and without the preference cannot be computed.
    DutyUnknown = "duty-unknown",
    /// The general rate is not higher than the preferential one.
    GeneralRateNotHigher = "general-rate-not-higher",
    /// The origin is not the partner country.
    OriginCountry = "origin-country",
    /// The export declaration states no country of origin.
    ExportOrigin = "export-origin",
    /// The goods were not exported from the country of origin.
    ExportCountry = "export-country",
    /// More is claimed than the certificate still covers.
    QuantityBalance = "quantity-balance",
    /// Nothing is left on the certificate.
    BalanceUsedUp = "balance-used-up",
    /// A part of the certificate is reserved for goods that were released under security.
    BalanceReserved = "balance-reserved",
    /// More is claimed than was declared for export.
    QuantityExport = "quantity-export",
    /// All that was declared for export went to other claims.
    ExportUsedUp = "export-used-up",
    /// More was claimed by several claims together than was declared for export.
    ExportShared = "export-shared",
    /// Less is claimed than was declared for export, in as many packages.
    QuantityShort = "quantity-short",
    /// More packages are claimed than were declared for export.
    Packages = "packages",
    /// The claim states no quantity, or none in a unit that converts to the certificate's.
    UnitNotConvertible = "unit-not-convertible",
    /// What is to be debited from the certificate is not the quantity of the goods.
    WriteOff = "write-off",
    /// The tariff quantity and the net mass of the claim differ, though both are masses.
    QuantityMass = "quantity-mass",
    /// The net mass of the claim makes more than its quantity, by what a unit weighs on the other
    /// papers.
    MassPerUnit = "mass-per-unit",
    /// The net mass differs from the export declaration or the certificate.
    NetMass = "net-mass",
    /// The invoice value is somewhat lower than the export value.
    ValueSoft = "value-lower",
    /// The agreement lets the partner share no values, so the value is compared with nothing.
    ValueNotShared = "value-not-shared",
    /// The invoice value is far lower than the export value: under-invoicing.
    ValueHard = "under-invoicing",
    /// The invoice value is far above the export value.
    ValueHigher = "value-higher",
    /// The export value is far above what invoice and certificate agree on.
    ExportOvervalued = "export-overvalued",
    /// The stated customs value is below the invoice value.
    AssessedBelowInvoice = "assessed-below-invoice",
    /// The invoice value and the customs value are in different currencies, and no rate is known.
    CustomsValueCurrency = "customs-value-currency",
    /// The invoice value and the export value are in different currencies, and no rate is known.
    Currency = "currency",
    /// An amount has too many digits when it is converted, though the rate is known.
    AmountTooLarge = "amount-too-large",
    /// The invoice value and the export value were compared by an exchange rate.
    CurrencyConverted = "currency-converted",
    /// The claim does not say what was invoiced for the item.
    InvoiceValueMissing = "invoice-value-missing",
    /// The claim names no invoice, though the other papers do.
    InvoiceMissing = "invoice-missing",
    /// The invoice of the claim is neither on the certificate nor on the export declaration.
    InvoiceNumber = "invoice-number",
    /// Other certificates of the exporter name the same invoice.
    InvoiceShared = "invoice-shared",
    /// No export declaration belongs to the claim.
    ExportMissing = "export-missing",
    /// The export declaration was cancelled.
    ExportCancelled = "export-cancelled",
    /// The export declaration has no item that fits.
    ExportItem = "export-item",
    /// The rule of origin for the goods does not have what the certificate states.
    OriginCriterion = "origin-criterion",
    /// Goods that are manufactured are said to be wholly obtained.
    OriginImplausible = "origin-implausible",
    /// What the certificate states about origin cannot be judged without more facts.
    OriginOpen = "origin-open",
    /// The stated value content is not what the certificate's own values make.
    ValueContent = "value-content",
    /// The certificate was issued after the limit for retrospective issue.
    CertificateTooLate = "certificate-too-late",
    /// The certificate states a longer validity than the agreement gives.
    CertificateValidity = "certificate-validity",
    /// The goods left outside of the time for which the agreement holds.
    AgreementInForce = "agreement-in-force",
    /// The goods passed through another country.
    DirectConsignment = "direct-consignment",
    /// Document of carriage, containers or seals are others than at export.
    Transhipment = "transhipment",
    /// The goods were reported as diverted to another destination.
    Diverted = "diverted",
    /// The goods were on the way for long.
    TransitStay = "transit-stay",
    /// The goods come out of a free zone.
    FreeZone = "free-zone",
    /// The issuer is asked to verify the certificate and has not answered finally.
    VerificationOpen = "verification-open",
    /// The issuer was asked and did not answer in time.
    VerificationUnanswered = "verification-unanswered",
    /// The issuer did not confirm the certificate.
    VerificationRefuted = "verification-refuted",
    /// The issuer confirmed the certificate in part.
    VerificationPartly = "verification-partly",
    /// The issuer confirmed the certificate.
    VerificationConfirmed = "verification-confirmed",
}

impl Rule {
    /// Returns the rule with this code.
    pub fn from_id(id: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|rule| rule.id() == id)
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

impl Serialize for Rule {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.id())
    }
}

impl<'de> Deserialize<'de> for Rule {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let id = String::deserialize(deserializer)?;
        Self::from_id(&id)
            .ok_or_else(|| serde::de::Error::custom(format!("`{id}` is not a rule of the match")))
    }
}

/// How sure we are of a rule.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// Read in the text of the agreement or in national law.
    Official,
    /// Taken from a similar agreement of one of the two countries.
    Analogue,
    /// Our own working value until the official one is known.
    Assumed,
}

impl Standing {
    /// Returns the name as it stands in the data.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Official => "official",
            Self::Analogue => "analogue",
            Self::Assumed => "assumed",
        }
    }
}

/// A rule as it stands on one day for one chapter.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// The rule.
    pub rule: Rule,
    /// How heavy a breach is.
    pub severity: Severity,
    /// The limit, in the unit that the rule speaks of (percent or days).
    #[serde(default, skip_serializing_if = "Option::is_none", with = "limit_text")]
    pub limit: Option<Decimal>,
    /// Chapters of the Harmonized System for which the row holds; empty for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chapters: Vec<String>,
    /// First day.
    pub from: Date,
    /// Last day, if the row has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Date>,
    /// How sure we are.
    pub status: Standing,
    /// From where we know it.
    pub source: String,
}

/// The rules of the match under one agreement.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// The agreement.
    pub agreement: String,
    /// The day on which it came into force.
    pub in_force: Date,
    /// Whose exchange rates are taken.
    pub exchange_rates: ExchangeRates,
    #[serde(rename = "rule")]
    rows: Vec<Row>,
}

/// Of which day the exchange rates are by which values are compared.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct ExchangeRates {
    /// The day.
    pub day: ExchangeDay,
    /// How sure we are.
    pub status: Standing,
    /// From where we know it.
    pub source: String,
}

/// The day whose exchange rates are taken.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub enum ExchangeDay {
    /// The day on which the claim was filed.
    ClaimFiled,
    /// The day on which the export declaration was accepted.
    ExportAccepted,
    /// The date of the invoice.
    InvoiceDated,
}

/// A table of rules cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Not TOML of the expected shape.
    #[error("the table of match rules cannot be read; mend the named line")]
    Syntax(#[from] toml::de::Error),
    /// A rule has no general row from the first day of the agreement on.
    #[error("the table of match rules has no row for `{0}` from {1} on; add one")]
    Missing(Rule, Date),
}

impl Error {
    /// Returns the kind.
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::LocalConfig
    }
}

impl Rules {
    /// Returns the rules shipped with Karvan for the agreement of Azerbaijan and Pakistan.
    pub fn shipped() -> Result<Self, Error> {
        Self::parse(SHIPPED)
    }

    /// Reads a table of rules.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let rules: Self = toml::from_str(text)?;
        match Rule::ALL.iter().find(|&&rule| rules.find(rule, rules.in_force, None).is_none()) {
            Some(&rule) => Err(Error::Missing(rule, rules.in_force)),
            None => Ok(rules),
        }
    }

    /// Returns the row that holds for `rule` on `day`, for goods of `chapter` if they have one.
    pub fn find(&self, rule: Rule, day: Date, chapter: Option<&str>) -> Option<&Row> {
        self.rows
            .iter()
            .filter(|row| row.rule == rule && row.from <= day)
            .filter(|row| row.until.is_none_or(|until| day <= until))
            .filter(|row| {
                row.chapters.is_empty()
                    || chapter.is_some_and(|chapter| row.chapters.iter().any(|c| c == chapter))
            })
            .max_by_key(|row| (!row.chapters.is_empty(), row.from))
    }
}

/// A decimal that may be negative never occurs here; limits are plain decimals in quotes.
mod limit_text {
    use super::{Decimal, parse_decimal};
    use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

    #[expect(clippy::ref_option, reason = "serde calls this with a reference to the field")]
    pub(super) fn serialize<S: Serializer>(
        value: &Option<Decimal>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => serializer.collect_str(value),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Decimal>, D::Error> {
        parse_decimal(&String::deserialize(deserializer)?).map(Some).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Date {
        text.parse().expect("a date")
    }

    #[test]
    fn the_shipped_table_covers_every_rule() {
        let rules = Rules::shipped().expect("loads");
        assert_eq!(rules.agreement, "AZ-PK-PTA");
        for &rule in Rule::ALL {
            assert_eq!(Rule::from_id(rule.id()), Some(rule));
            let row = rules.find(rule, rules.in_force, None).expect("a row");
            assert!(row.source.len() > 10, "{rule} names no source");
        }
    }

    #[test]
    fn the_chapter_wins_then_the_newest_row() {
        let general = r#"
            [[rule]]
            rule = "net-mass"
            severity = "flag"
            limit = "2"
            from = "2024-12-16"
            status = "assumed"
            source = "first row"
        "#;
        let base = SHIPPED.split("[[rule]]").filter(|part| !part.contains("\"net-mass\""));
        let base = base.collect::<Vec<_>>().join("[[rule]]");
        let newer = general.replace("2024-12-16", "2026-07-01").replace("\"2\"", "\"1\"");
        let bulk =
            general.replace("status", "chapters = [\"31\"]\nstatus").replace("\"2\"", "\"5\"");
        let rules = Rules::parse(&format!("{base}{general}{newer}{bulk}")).expect("loads");
        let limit = |on, chapter| {
            rules
                .find(Rule::NetMass, day(on), chapter)
                .and_then(|row| row.limit)
                .map(|l| l.to_string())
        };
        assert_eq!(limit("2024-12-15", None), None);
        assert_eq!(limit("2026-06-30", None).as_deref(), Some("2"));
        assert_eq!(limit("2026-07-01", Some("74")).as_deref(), Some("1"));
        assert_eq!(limit("2026-07-01", Some("31")).as_deref(), Some("5"));
        let error = Rules::parse(&base).expect_err("no net mass");
        assert!(error.to_string().contains("net-mass"), "{error}");
        assert_eq!(error.kind(), ErrorKind::LocalConfig);
    }
}
