//! What is proposed for a claimed item, what an officer decides, and what is recorded of it.
//!
//! The proposal follows from the match by fixed precedence: goods without a concession, then a
//! certificate that cannot be used, then what must be cleared up first, then a general rate that
//! is as low, then a part of the quantity, then the grant. The officer decides freely between
//! five decisions, but never without a reason, and never silently against the proposal.
//!
//! Invariants: a decision is final until it is reopened; a grant debits the certificate in the
//! same transaction; a grant against a red match carries a text and the mark of an override.
//!
//! Not here: storing and sending (`crate::subsystem`).

pub mod overrides;
pub mod policy;
pub mod reasons;
pub mod security;

use karvan_store::{Index, Record, Table, Value};
use karvan_types::{Date, ExchangeId, Quantity, Timestamp};
use serde::{Deserialize, Serialize};

use crate::explain;
use crate::matching::{Light, Match, Rule, Severity};
use crate::messages::Decision;
use crate::relief::Payable;
use crate::words::Language;
use overrides::Proposed;
use security::{Security, Settlement};

/// What the system proposes for a claimed item.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Grant the preference.
    Grant,
    /// Grant it for a part of the quantity.
    GrantInPart,
    /// Deny it.
    Deny,
    /// Ask first.
    Query,
    /// Take the general rate; the origin is not in dispute.
    GeneralRate,
}

impl Verdict {
    /// Whether only a part of the quantity is proposed.
    pub const fn is_in_part(self) -> bool {
        matches!(self, Self::GrantInPart)
    }

    /// Returns the decision that follows this proposal.
    pub const fn decision(self) -> Decision {
        match self {
            Self::Grant => Decision::Granted,
            Self::GrantInPart => Decision::GrantedInPart,
            Self::Deny | Self::GeneralRate => Decision::Denied,
            Self::Query => Decision::Query,
        }
    }
}

/// The coded reason of a proposal or decision, at most 17 characters.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Reason {
    /// The papers agree.
    #[serde(rename = "in-order")]
    InOrder,
    /// There are differences, but none that touches origin or quantity.
    #[serde(rename = "flags-accepted")]
    FlagsAccepted,
    /// More was claimed than the certificate still covers.
    #[serde(rename = "balance-exceeded")]
    BalanceExceeded,
    /// Expired, cancelled, replaced, or dated after the claim.
    #[serde(rename = "cert-invalid")]
    CertificateInvalid,
    /// More was claimed than was declared for export.
    #[serde(rename = "export-exceeded")]
    ExportExceeded,
    /// Nothing is left on the certificate.
    #[serde(rename = "cert-used-up")]
    CertificateUsedUp,
    /// The goods do not originate in, or come from, the partner country.
    #[serde(rename = "origin-not-shown")]
    OriginNotShown,
    /// The tariff line has no concession.
    #[serde(rename = "goods-not-covered")]
    GoodsNotCovered,
    /// The general rate is as low.
    #[serde(rename = "general-rate")]
    GeneralRateLower,
    /// The certificate has not arrived.
    #[serde(rename = "cert-unknown")]
    CertificateUnknown,
    /// The export declaration has not arrived or was cancelled.
    #[serde(rename = "export-unknown")]
    ExportUnknown,
    /// The papers differ in something that must be cleared up.
    #[serde(rename = "papers-differ")]
    PapersDiffer,
    /// The quantity cannot be compared.
    #[serde(rename = "quantity-unclear")]
    QuantityUnclear,
    /// What the preference is worth cannot be computed.
    #[serde(rename = "duty-unknown")]
    DutyUnknown,
    /// The papers were tampered with.
    #[serde(rename = "false-papers")]
    FalsePapers,
    /// A difference was cleared up.
    #[serde(rename = "cleared-up")]
    ClearedUp,
    /// The quota has less for the item than was claimed, or nothing.
    #[serde(rename = "quota-exceeded")]
    QuotaExceeded,
    /// The issuer was asked and has not answered yet.
    #[serde(rename = "under-check")]
    UnderCheck,
    /// The issuer confirmed the certificate.
    #[serde(rename = "origin-confirmed")]
    OriginConfirmed,
    /// The issuer confirmed it in part.
    #[serde(rename = "origin-partly")]
    OriginPartly,
    /// The issuer did not confirm it.
    #[serde(rename = "origin-refuted")]
    OriginRefuted,
    /// The issuer did not answer in time.
    #[serde(rename = "no-answer")]
    NoAnswer,
    /// Another reason, in words.
    #[serde(rename = "other")]
    Other,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 23] = [
        Self::InOrder,
        Self::FlagsAccepted,
        Self::BalanceExceeded,
        Self::ExportExceeded,
        Self::CertificateInvalid,
        Self::CertificateUsedUp,
        Self::OriginNotShown,
        Self::GoodsNotCovered,
        Self::GeneralRateLower,
        Self::CertificateUnknown,
        Self::ExportUnknown,
        Self::PapersDiffer,
        Self::QuantityUnclear,
        Self::DutyUnknown,
        Self::FalsePapers,
        Self::ClearedUp,
        Self::QuotaExceeded,
        Self::UnderCheck,
        Self::OriginConfirmed,
        Self::OriginPartly,
        Self::OriginRefuted,
        Self::NoAnswer,
        Self::Other,
    ];

    /// Returns the stable code.
    pub fn code(self) -> String {
        serde_json::to_value(self)
            .ok()
            .and_then(|value| value.as_str().map(str::to_owned))
            .unwrap_or_default()
    }
}

/// What the system proposes, and why.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Proposal {
    /// What to do.
    pub verdict: Verdict,
    /// Why.
    pub reason: Reason,
    /// The rule that weighs most, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<Rule>,
    /// For how much, in the unit of the certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantity: Option<Quantity>,
    /// In words.
    pub text: String,
}

/// Proposes what to do about a matched item.
pub fn propose(matched: &Match) -> Proposal {
    let heaviest = |severity| matched.differences.iter().find(|d| d.severity == severity);
    let (verdict, reason, rule) = if matched.find(Rule::NoConcession).is_some() {
        (Verdict::GeneralRate, Reason::GoodsNotCovered, Some(Rule::NoConcession))
    } else if let Some(difference) = heaviest(Severity::Deny) {
        (Verdict::Deny, reason_of(difference.rule), Some(difference.rule))
    } else if let Some(difference) = heaviest(Severity::Hold) {
        (Verdict::Query, reason_of(difference.rule), Some(difference.rule))
    } else if matched.find(Rule::UnitNotConvertible).is_some() {
        (Verdict::Query, Reason::QuantityUnclear, Some(Rule::UnitNotConvertible))
    } else if matched.find(Rule::GeneralRateNotHigher).is_some() {
        let rule = Rule::GeneralRateNotHigher;
        (Verdict::GeneralRate, Reason::GeneralRateLower, Some(rule))
    } else if matched.find(Rule::QuantityBalance).is_some() {
        (Verdict::GrantInPart, Reason::BalanceExceeded, Some(Rule::QuantityBalance))
    } else if matched.find(Rule::QuantityExport).is_some() && matched.exported.is_some() {
        (Verdict::GrantInPart, Reason::ExportExceeded, Some(Rule::QuantityExport))
    } else if let Some(difference) = heaviest(Severity::Flag) {
        (Verdict::Grant, Reason::FlagsAccepted, Some(difference.rule))
    } else {
        (Verdict::Grant, Reason::InOrder, None)
    };
    let quantity = match verdict {
        Verdict::Grant => matched.claimed.clone(),
        Verdict::GrantInPart => covered(matched),
        Verdict::Deny | Verdict::Query | Verdict::GeneralRate => None,
    };
    let text = explain::proposal(Language::En, verdict, reason, quantity.as_ref());
    Proposal { verdict, reason, rule, quantity, text }
}

/// Returns what certificate and export declaration both cover.
fn covered(matched: &Match) -> Option<Quantity> {
    let quantities = matched.balance.iter().chain(&matched.exported);
    quantities.min_by_key(|quantity| quantity.value).cloned()
}

const fn reason_of(rule: Rule) -> Reason {
    match rule {
        Rule::CertificateUnknown
        | Rule::NoDataPeriod
        | Rule::PartnerSilent
        | Rule::GrantedUnseen => Reason::CertificateUnknown,
        Rule::ExportUsedUp => Reason::ExportExceeded,
        Rule::CertificateCancelled
        | Rule::CertificateReplaced
        | Rule::CertificateSuspended
        | Rule::CertificateExpired
        | Rule::QuotedTooEarly
        | Rule::CertificateFuture
        | Rule::CertificateTooLate
        | Rule::CertificateValidity => Reason::CertificateInvalid,
        Rule::BalanceUsedUp => Reason::CertificateUsedUp,
        Rule::OriginCountry
        | Rule::ExportCountry
        | Rule::OriginCriterion
        | Rule::AgreementInForce
        | Rule::FreeZone
        | Rule::TransitStay => Reason::OriginNotShown,
        Rule::VerificationOpen => Reason::UnderCheck,
        Rule::VerificationUnanswered => Reason::NoAnswer,
        Rule::VerificationRefuted => Reason::OriginRefuted,
        Rule::VerificationPartly => Reason::OriginPartly,
        Rule::ExportMissing | Rule::ExportCancelled => Reason::ExportUnknown,
        Rule::NoConcession => Reason::GoodsNotCovered,
        Rule::DutyUnknown => Reason::DutyUnknown,
        Rule::WriteOff | Rule::QuantityMass | Rule::MassPerUnit => Reason::QuantityUnclear,
        _ => Reason::PapersDiffer,
    }
}

/// A decision of an officer about one claimed item, as recorded.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DecisionRecord {
    /// The claim.
    pub claim: String,
    /// Its item.
    pub item: u32,
    /// Which decision about this item, counted from 1.
    pub number: u32,
    /// What was decided.
    pub decision: Decision,
    /// Why, coded.
    pub reason: Reason,
    /// Why, in words; always there against the proposal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// What was debited from the certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub debited: Option<Quantity>,
    /// What was reserved on it, for goods released under security.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reserved: Option<Quantity>,
    /// What was granted, or released under security, on a certificate that was not here; it is
    /// debited when that comes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unseen: Option<Quantity>,
    /// What was left on the certificate afterwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balance: Option<Quantity>,
    /// What had been proposed.
    pub proposal: Proposal,
    /// The light of the match at the moment of the decision.
    pub light: Light,
    /// What is to be paid, when the claim states a value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duty: Option<Payable>,
    /// Why that is not known, when it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duty_unknown: Option<String>,
    /// Under which security the goods were released.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security: Option<Security>,
    /// What is to be collected, given back and refunded after an earlier decision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settlement: Option<Settlement>,
    /// Whether the preference was granted against a red match.
    #[serde(rename = "override")]
    pub overridden: bool,
    /// Who had proposed it, when a second officer confirmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposed: Option<Proposed>,
    /// The officer, as on the token.
    pub officer: String,
    /// When.
    pub at: Timestamp,
    /// The day, at the deciding side.
    pub day: Date,
    /// The exchanges under which the result was sent.
    pub results: Vec<ExchangeId>,
}

/// Where decisions are kept.
pub(crate) static DECISIONS: Table = Table {
    name: "customs_decision",
    columns: &["claim", "officer", "overridden"],
    indexes: &[
        Index { name: "by_claim", columns: &["claim"], unique: false },
        Index { name: "by_overridden", columns: &["overridden"], unique: false },
    ],
};

impl DecisionRecord {
    /// Returns what it took from the certificate: debited, or reserved.
    pub fn taken(&self) -> Option<&Quantity> {
        self.debited.as_ref().or(self.reserved.as_ref())
    }

    /// Returns the key of a decision about an item of a claim.
    pub fn key_of(claim: &str, item: u32, number: u32) -> String {
        format!("{claim}#{item:05}#{number:05}")
    }
}

impl Record for DecisionRecord {
    const TABLE: &'static Table = &DECISIONS;

    fn key(&self) -> Value {
        Self::key_of(&self.claim, self.item, self.number).into()
    }

    fn columns(&self) -> Vec<Value> {
        vec![
            self.claim.as_str().into(),
            self.officer.as_str().into(),
            i64::from(self.overridden).into(),
        ]
    }
}

/// What the partner decided about a certificate of ours.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Utilisation {
    /// Key of the certificate.
    pub certificate: String,
    /// The claimed item at the partner, `PK:claim#item`.
    pub claim_item: String,
    /// Item of the certificate.
    pub item: u32,
    /// Number of the decision about the claimed item, from 1.
    #[serde(default)]
    pub number: u32,
    /// Whether our ledger follows it.
    #[serde(default)]
    pub booked: bool,
    /// What was decided.
    pub decision: Decision,
    /// What the partner debited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub debited: Option<Quantity>,
    /// What the partner's ledger still holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balance: Option<Quantity>,
    /// Codes of the reasons.
    pub reason_codes: Vec<String>,
    /// The reason in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Day of the decision.
    pub day: Date,
    /// When this side learnt of it.
    pub at: Timestamp,
}

/// Where they are kept.
pub(crate) static UTILISATIONS: Table = Table {
    name: "customs_utilisation",
    columns: &["certificate"],
    indexes: &[Index { name: "by_certificate", columns: &["certificate"], unique: false }],
};

impl Record for Utilisation {
    const TABLE: &'static Table = &UTILISATIONS;

    fn key(&self) -> Value {
        format!("{} {}", self.certificate, self.claim_item).into()
    }

    fn columns(&self) -> Vec<Value> {
        vec![self.certificate.as_str().into()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matching::{Findings, Papers, Rules};

    fn check(rules: &[Rule], verdict: Verdict, reason: Reason) {
        let table = Rules::shipped().expect("loads");
        let mut findings = Findings::new(&table, Date::constant(2026, 10, 2), None);
        for rule in rules {
            findings.add(*rule, Papers::new());
        }
        let quantity = |value: i64| Some(Quantity { value: value.into(), unit: "KGM".to_owned() });
        let found = propose(&Match {
            differences: findings.finish(),
            claimed: quantity(100),
            goods: quantity(100),
            balance: quantity(60),
            exported: quantity(50),
            certificate_version: None,
            export: None,
            export_item: None,
            of_export: None,
            export_version: None,
        });
        assert_eq!((found.verdict, found.reason), (verdict, reason), "{rules:?}");
        let granted = found.quantity.map(|quantity| quantity.value.to_string());
        let expected = match verdict {
            Verdict::Grant => Some("100"),
            Verdict::GrantInPart => Some("50"),
            Verdict::Deny | Verdict::Query | Verdict::GeneralRate => None,
        };
        assert_eq!(granted.as_deref(), expected);
    }

    #[test]
    fn the_heaviest_difference_decides_what_is_proposed() {
        check(&[], Verdict::Grant, Reason::InOrder);
        check(&[Rule::Consignee], Verdict::Grant, Reason::FlagsAccepted);
        check(&[Rule::NumberSpelling], Verdict::Grant, Reason::InOrder);
        let short = [Rule::QuantityExport, Rule::Consignee];
        check(&short, Verdict::GrantInPart, Reason::ExportExceeded);
        let short = [Rule::QuantityBalance, Rule::QuantityExport];
        check(&short, Verdict::GrantInPart, Reason::BalanceExceeded);
        let low = [Rule::GeneralRateNotHigher, Rule::QuantityBalance];
        check(&low, Verdict::GeneralRate, Reason::GeneralRateLower);
        let unclear = [Rule::UnitNotConvertible, Rule::GeneralRateNotHigher];
        check(&unclear, Verdict::Query, Reason::QuantityUnclear);
        check(&[Rule::Hs6, Rule::UnitNotConvertible], Verdict::Query, Reason::PapersDiffer);
        check(&[Rule::Hs6, Rule::OriginCountry], Verdict::Deny, Reason::OriginNotShown);
        let foreign = [Rule::OriginCountry, Rule::NoConcession];
        check(&foreign, Verdict::GeneralRate, Reason::GoodsNotCovered);
    }

    #[test]
    fn reason_codes_fit_the_message() {
        for reason in Reason::ALL {
            let code = reason.code();
            assert!((1..=17).contains(&code.len()), "{code}");
        }
    }
}
