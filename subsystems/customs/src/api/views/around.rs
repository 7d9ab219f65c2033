//! The shape of what stands around papers: timers, the three acts of messages, transport,
//! responses of the national system, earlier matches.

use karvan_types::{Amount, Date, Quantity, Timestamp};
use schemars::JsonSchema;
use serde_json::Value;

use super::money::{ReliefView, SecurityView};
use super::officers::{DifferenceView, ProposalView};
use crate::messages::{RoutePlace, TransportEquipment, TransportEvent, TransportMeans};

/// Something that is waited for.
#[derive(JsonSchema)]
#[schemars(rename = "Timer", rename_all = "camelCase")]
pub(in crate::api) struct TimerView {
    /// What is waited for, a stable word.
    pub(in crate::api) kind: String,
    /// The paper that it is about.
    pub(in crate::api) subject: String,
    /// What exactly, such as the exchange of a message.
    pub(in crate::api) about: String,
    /// Since when.
    pub(in crate::api) since: Timestamp,
    /// When it is late.
    pub(in crate::api) due: Timestamp,
    /// Remark.
    pub(in crate::api) note: Option<String>,
}

/// What is due next.
#[derive(JsonSchema)]
#[schemars(rename = "NextStep")]
pub(in crate::api) struct NextView {
    /// What, in words.
    pub(in crate::api) what: String,
    /// By when: an instant, or a day.
    pub(in crate::api) due: String,
}

/// One of the three acts about a message.
#[derive(JsonSchema)]
#[schemars(rename = "Act", rename_all = "camelCase")]
pub(in crate::api) struct ActView {
    /// What was done, such as `stored`, `accepted`, `granted`.
    pub(in crate::api) state: String,
    /// When.
    pub(in crate::api) at: Option<Timestamp>,
    /// Who signed it.
    pub(in crate::api) by: Option<String>,
    /// When the message was handed over to its recipient.
    pub(in crate::api) handed_over_at: Option<Timestamp>,
    /// The exchange that brought it.
    pub(in crate::api) exchange: Option<String>,
    /// Why it was refused.
    pub(in crate::api) text: Option<String>,
}

/// The three acts about a message; each is absent or null while nobody did it.
#[derive(JsonSchema)]
#[schemars(rename = "Acts")]
pub(in crate::api) struct ActsView {
    /// The promise that it is stored.
    pub(in crate::api) receipt: Option<ActView>,
    /// Whether it can be processed.
    pub(in crate::api) validation: Option<ActView>,
    /// The legal decision.
    pub(in crate::api) decision: Option<ActView>,
}

/// A field that says that its value is not given.
#[derive(JsonSchema)]
#[schemars(rename = "PlaceholderFound")]
pub(in crate::api) struct PlaceholderView {
    /// Path of the field, occurrences counted from 1.
    pub(in crate::api) pointer: String,
    /// What stands there.
    pub(in crate::api) text: String,
    /// What it means, a stable word.
    pub(in crate::api) code: String,
}

/// A transport report.
#[derive(JsonSchema)]
#[schemars(rename = "TransportLine", rename_all = "camelCase")]
pub(in crate::api) struct TransportView {
    /// Country and number of the export declaration.
    pub(in crate::api) export: String,
    /// Number of the report.
    pub(in crate::api) number: String,
    /// The exchange that brought it.
    pub(in crate::api) exchange: String,
    /// What happened.
    pub(in crate::api) event: TransportEvent,
    /// When it happened.
    pub(in crate::api) event_at: Timestamp,
    /// When this side took it into account.
    pub(in crate::api) at: Timestamp,
    /// When the goods are expected at the last place.
    pub(in crate::api) expected: Option<Timestamp>,
    /// Means of transport.
    pub(in crate::api) means: TransportMeans,
    /// The route.
    pub(in crate::api) route: Vec<RoutePlace>,
    /// Containers and seals.
    pub(in crate::api) equipment: Vec<TransportEquipment>,
    /// Remark.
    pub(in crate::api) remark: Option<String>,
}

/// A response of the national customs system.
#[derive(JsonSchema)]
#[schemars(rename = "NationalResponse")]
pub(in crate::api) struct ResponseView {
    /// The national system's reference.
    pub(in crate::api) reference: String,
    /// What it is about.
    pub(in crate::api) subject: String,
    /// What its function code means.
    pub(in crate::api) meaning: String,
    /// When it was handed in.
    pub(in crate::api) at: Timestamp,
    /// Who handed it in.
    pub(in crate::api) by: String,
    /// SHA-256 of the XML.
    pub(in crate::api) digest: String,
    /// The response by WCO element names. Free, because which elements a response has is for the
    /// national system to say.
    pub(in crate::api) response: serde_json::Map<String, Value>,
}

/// A version of a document that was sent, without its body.
#[derive(JsonSchema)]
#[schemars(rename = "EvidenceOf")]
pub(in crate::api) struct EvidenceView {
    /// Document type.
    pub(in crate::api) document: String,
    /// Its version.
    pub(in crate::api) version: u32,
    /// SHA-256 of the message as signed.
    pub(in crate::api) digest: String,
    /// The exchange under which evidence is found.
    pub(in crate::api) exchange: Option<String>,
    /// When this side took it into account.
    pub(in crate::api) at: Timestamp,
}

/// How a claim was withdrawn.
#[derive(JsonSchema)]
#[schemars(rename = "Withdrawal")]
pub(in crate::api) struct WithdrawalView {
    /// When.
    pub(in crate::api) at: Timestamp,
    /// Who.
    pub(in crate::api) by: String,
    /// Reference of the cancellation.
    pub(in crate::api) reference: String,
    /// Its reason as a code.
    pub(in crate::api) code: String,
    /// Its reason in words.
    pub(in crate::api) reason: String,
}

/// A match of an item as it was at one time.
#[derive(JsonSchema)]
#[schemars(rename = "Assessment", rename_all = "camelCase")]
pub(in crate::api) struct AssessmentView {
    /// When.
    pub(in crate::api) at: Timestamp,
    /// Why it was made.
    pub(in crate::api) because: String,
    /// `green`, `amber` or `red`.
    pub(in crate::api) light: String,
    /// What was proposed.
    pub(in crate::api) proposal: ProposalView,
    /// Each difference between the papers.
    pub(in crate::api) differences: Vec<DifferenceView>,
    /// What is claimed, in the unit of the certificate.
    pub(in crate::api) claimed: Option<Quantity>,
    /// How much the goods are, in the same unit: as stated, or as their mass or value lets expect.
    pub(in crate::api) goods: Option<Quantity>,
    /// What was left on the certificate.
    pub(in crate::api) balance: Option<Quantity>,
    /// What was declared for export.
    pub(in crate::api) exported: Option<Quantity>,
    /// Version of the certificate.
    pub(in crate::api) certificate_version: Option<u32>,
    /// Country and number of the export declaration.
    pub(in crate::api) export: Option<String>,
    /// Its item that belongs to the claimed one.
    pub(in crate::api) export_item: Option<u32>,
    /// What the claim wants of that item, in a unit in which it is declared.
    pub(in crate::api) of_export: Option<Quantity>,
    /// Its version.
    pub(in crate::api) export_version: Option<u32>,
    /// What the preference was worth.
    pub(in crate::api) duty: Option<ReliefView>,
}

/// A match of an item, numbered.
#[derive(JsonSchema)]
#[schemars(rename = "AssessmentRecord")]
pub(in crate::api) struct AssessmentRecordView {
    /// Number of the declaration.
    pub(in crate::api) claim: String,
    /// Its item.
    pub(in crate::api) item: u32,
    /// Which match of this item, counted from 1.
    pub(in crate::api) number: u32,
    /// The match.
    pub(in crate::api) assessment: AssessmentView,
}

/// A security as it is held.
#[derive(JsonSchema)]
#[schemars(rename = "HeldSecurity", rename_all = "camelCase")]
pub(in crate::api) struct HeldView {
    /// The claimed item, `claim#item`.
    pub(in crate::api) claim_item: String,
    /// Number of the decision that took it.
    pub(in crate::api) number: u32,
    /// The security.
    pub(in crate::api) security: SecurityView,
    /// How much is needed.
    pub(in crate::api) required: Amount,
    /// How much was paid.
    pub(in crate::api) paid: Amount,
    /// Where it stands: `held`, `settled` or `replaced`.
    pub(in crate::api) state: String,
    /// Member and person.
    pub(in crate::api) officer: String,
    /// When.
    pub(in crate::api) at: Timestamp,
}

/// The certificate that an item quotes.
#[derive(JsonSchema)]
#[schemars(rename = "QuotedCertificate")]
pub(in crate::api) struct QuoteView {
    /// Number, as quoted.
    pub(in crate::api) number: String,
    /// Country and number, as it is looked up.
    pub(in crate::api) key: String,
    /// Its date, as quoted.
    pub(in crate::api) date: Option<Date>,
    /// Its item, as quoted.
    pub(in crate::api) item: Option<u32>,
    /// Its version here, when it is here.
    pub(in crate::api) version: Option<u32>,
}

/// The export declaration with which an item was matched.
#[derive(JsonSchema)]
#[schemars(rename = "MatchedExport")]
pub(in crate::api) struct MatchedView {
    /// Country and number; null when none is here.
    pub(in crate::api) key: Option<String>,
    /// Its version.
    pub(in crate::api) version: Option<u32>,
}

/// What is proposed about a declaration that claims no preference.
#[derive(JsonSchema)]
#[schemars(rename = "ProposalWithoutClaim")]
pub(in crate::api) struct BareProposalView {
    /// Always `general-rate`.
    pub(in crate::api) verdict: String,
    /// In words.
    pub(in crate::api) text: String,
}
