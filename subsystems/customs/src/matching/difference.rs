//! One difference between the papers, and the list of them.

use karvan_types::{Date, Decimal};
use serde::{Deserialize, Serialize};

use super::rules::{Row, Rule, Rules, Severity, Standing};
use crate::explain;
use crate::words::Language;

/// What the three papers say about one point.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Papers {
    /// On the certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// On the export declaration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub export: Option<String>,
    /// In the claim.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<String>,
    /// By what they were compared, such as an exchange rate and its day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basis: Option<String>,
}

#[expect(clippy::needless_pass_by_value, reason = "what is written down is mostly a temporary")]
impl Papers {
    /// Nothing said yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets what the certificate says.
    #[must_use]
    pub fn certificate(self, value: impl ToString) -> Self {
        Self { certificate: Some(value.to_string()), ..self }
    }

    /// Sets what the export declaration says.
    #[must_use]
    pub fn export(self, value: impl ToString) -> Self {
        Self { export: Some(value.to_string()), ..self }
    }

    /// Sets what the claim says.
    #[must_use]
    pub fn claim(self, value: impl ToString) -> Self {
        Self { claim: Some(value.to_string()), ..self }
    }

    /// Sets by what they were compared.
    #[must_use]
    pub fn basis(self, value: impl ToString) -> Self {
        Self { basis: Some(value.to_string()), ..self }
    }
}

/// A difference that an officer reads.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Difference {
    /// The rule that found it.
    pub rule: Rule,
    /// Which field it is about, in element names of the WCO Data Model.
    pub field: String,
    /// How heavy it is.
    pub severity: Severity,
    /// What the papers say.
    #[serde(flatten)]
    pub papers: Papers,
    /// The limit of the rule, in percent or days, when it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<String>,
    /// How sure we are of the rule.
    pub status: Standing,
    /// From where we know it.
    pub source: String,
    /// The difference in words.
    pub text: String,
}

/// The differences found so far, under the rules of one day.
#[derive(Debug)]
pub struct Findings<'a> {
    rules: &'a Rules,
    day: Date,
    chapter: Option<&'a str>,
    list: Vec<Difference>,
}

impl<'a> Findings<'a> {
    /// Starts an empty list under the rules of `day` for goods of `chapter`.
    pub fn new(rules: &'a Rules, day: Date, chapter: Option<&'a str>) -> Self {
        Self { rules, day, chapter, list: Vec::new() }
    }

    fn row(&self, rule: Rule) -> Option<&'a Row> {
        self.rules.find(rule, self.day, self.chapter)
    }

    /// Returns the limit of a rule; zero when it has none.
    pub fn limit(&self, rule: Rule) -> Decimal {
        self.row(rule).and_then(|row| row.limit).unwrap_or_default()
    }

    /// Adds a difference with the weight that the rule has.
    pub fn add(&mut self, rule: Rule, papers: Papers) {
        self.push(rule, papers, None);
    }

    /// Adds a difference that stays within the tolerance of its rule.
    pub fn add_tolerated(&mut self, rule: Rule, papers: Papers) {
        self.push(rule, papers, Some(Severity::Tolerated));
    }

    fn push(&mut self, rule: Rule, papers: Papers, lighter: Option<Severity>) {
        let row = self.row(rule);
        let limit = row.and_then(|row| row.limit).map(|limit| limit.to_string());
        let severity = row.map_or(Severity::Hold, |row| row.severity);
        self.list.push(Difference {
            rule,
            field: field_of(rule).to_owned(),
            severity: lighter.map_or(severity, |lighter| lighter.min(severity)),
            text: explain::difference(
                Language::En,
                rule,
                &papers,
                limit.as_deref(),
                lighter.is_some(),
            ),
            papers,
            limit,
            status: row.map_or(Standing::Assumed, |row| row.status),
            source: row.map_or_else(
                || "no rule is in force on this day, so an officer must look".to_owned(),
                |row| row.source.clone(),
            ),
        });
    }

    /// Returns the differences, heaviest first and otherwise in the order of the looks.
    pub fn finish(mut self) -> Vec<Difference> {
        self.list.sort_by_key(|difference| std::cmp::Reverse(difference.severity));
        self.list
    }
}

/// Returns the field that a rule looks at, in element names of the WCO Data Model.
const fn field_of(rule: Rule) -> &'static str {
    match rule {
        Rule::CertificateUnknown
        | Rule::NoDataPeriod
        | Rule::PartnerSilent
        | Rule::GrantedUnseen
        | Rule::NumberLookAlike
        | Rule::NumberSpelling => "AdditionalDocument/ID",
        Rule::CertificateCancelled
        | Rule::CertificateReplaced
        | Rule::CertificateSuspended
        | Rule::AmendedAfterFiling => "status",
        Rule::CertificateDate | Rule::CertificateFuture | Rule::QuotedTooEarly => {
            "AdditionalDocument/EffectiveDateTime"
        }
        Rule::CertificateExpired | Rule::CertificateValidity => "validUntil",
        Rule::CertificateIssuedLate | Rule::CertificateTooLate => "IssueDateTime",
        Rule::CertificateItem => "AdditionalDocument/LineNumeric",
        Rule::Consignee | Rule::ConsigneeToOrder | Rule::BackToBack => "Consignee",
        Rule::Exporter | Rule::ClaimExporter => "Exporter",
        Rule::ReferenceReused => "FunctionalReferenceID",
        Rule::FilingDayChanged | Rule::FiledLongAgo => "AcceptanceDateTime",
        Rule::Hs6
        | Rule::ExportHs6
        | Rule::HsEdition
        | Rule::HsEditionUnclear
        | Rule::NoConcession => "Commodity/Classification/ID",
        Rule::GeneralRateNotHigher => "Commodity/DutyTaxFee/TaxRateNumeric",
        Rule::OriginCountry | Rule::ExportOrigin => "Origin/CountryCode",
        Rule::ExportCountry => "ExportCountry/ID",
        Rule::QuantityBalance
        | Rule::BalanceUsedUp
        | Rule::BalanceReserved
        | Rule::QuantityExport
        | Rule::ExportUsedUp
        | Rule::ExportShared
        | Rule::QuantityShort
        | Rule::WriteOff
        | Rule::UnitNotConvertible => "AdditionalDocument/WriteOff/QuantityQuantity",
        Rule::Packages => "TotalPackageQuantity",
        Rule::AssessedBelowInvoice | Rule::CustomsValueCurrency | Rule::DutyUnknown => {
            "CustomsValueAmount"
        }
        Rule::QuantityMass => "Commodity/GoodsMeasure/TariffQuantity",
        Rule::NetMass | Rule::MassPerUnit => "Commodity/GoodsMeasure/NetNetWeightMeasure",
        Rule::InvoiceValueMissing
        | Rule::ValueNotShared
        | Rule::ValueSoft
        | Rule::ValueHard
        | Rule::ValueHigher
        | Rule::ExportOvervalued
        | Rule::AmountTooLarge
        | Rule::CurrencyConverted
        | Rule::Currency => "Commodity/InvoiceLine/ItemChargeAmount",
        Rule::InvoiceNumber | Rule::InvoiceMissing | Rule::InvoiceShared => "Invoice/ID",
        Rule::ExportMissing | Rule::ExportCancelled => "PreviousDocument/ID",
        Rule::ExportItem => "GovernmentAgencyGoodsItem/SequenceNumeric",
        Rule::OriginCriterion | Rule::OriginImplausible | Rule::OriginOpen => "originCriterion",
        Rule::ValueContent => "rvcPercent",
        Rule::AgreementInForce | Rule::TransitStay => "Consignment/DepartureDateTime",
        Rule::DirectConsignment | Rule::Diverted => "Consignment/RoutingCountryCode",
        Rule::Transhipment => "Consignment/TransportEquipment",
        Rule::FreeZone => "GovernmentProcedure/PreviousCode",
        Rule::VerificationOpen
        | Rule::VerificationUnanswered
        | Rule::VerificationRefuted
        | Rule::VerificationPartly
        | Rule::VerificationConfirmed => "verification",
    }
}
