//! The shape of answers, for their description.
//!
//! Answers may gain members in later versions; readers ignore what they do not know. A test holds
//! real answers against these shapes.

#![expect(dead_code, reason = "these types are described, never made")]

mod around;
mod checks;
mod handed;
mod money;
mod officers;

pub(super) use checks::{
    AnswerRequest, CaseView, ConfirmationRequest, IncidentView, RiskView, VerificationRequest,
    VerificationView,
};
pub(super) use handed::{
    DayReport, EdifactInterchange, HandedIn, InterchangeTaken, OutageRequest, OutageView,
    WaitsView, XmlMessage,
};
pub(super) use officers::DecisionView;

use around::{
    ActsView, AssessmentRecordView, BareProposalView, HeldView, MatchedView, NextView,
    PlaceholderView, QuoteView, ResponseView, TimerView, TransportView, WithdrawalView,
};
use handed::NoteView;
use money::{
    QuotaRequestView, QuotaTermsView, RatesOfCodeView, ReliefView, SecurityView, SourceView,
};
use officers::{
    DebitView, DifferenceView, LedgerCaseView, LedgerOfCertificateView, OverrideView, ProposalView,
    TermView, UtilisationView,
};

use karvan_types::{Date, Quantity, Timestamp};
use schemars::JsonSchema;

use crate::messages::{CertificateOfOrigin, ExportDeclaration, ImportClaim, Party};

/// What became of a message that was handed in.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
pub(super) struct Submitted {
    /// Document type, such as `COO`.
    pub(super) document: String,
    /// Number of the document.
    pub(super) id: String,
    /// Its version.
    pub(super) version: u32,
    /// What it is about.
    pub(super) subject: String,
    /// The exchange under which it travels; evidence and receipts are found by it.
    pub(super) exchange: String,
    /// SHA-256 of the canonical message.
    pub(super) digest: String,
    /// For whom it is.
    pub(super) recipient: String,
    /// `sent`, and once the partner has answered `accepted` or `rejected`.
    pub(super) state: String,
    /// Whether it was handed in before with the same content; nothing was sent again.
    pub(super) duplicate: bool,
    /// What an officer will look at.
    pub(super) flags: Vec<Flag>,
    /// Of an amendment by pointers: what it changed, and what it could not.
    pub(super) amended: Option<AmendedView>,
    /// Of a message in XML or EDIFACT: values that have no place in the canonical message.
    pub(super) not_carried_over: Option<Vec<LossView>>,
    /// Of a message in XML or EDIFACT: what was put in where it says nothing.
    pub(super) notes: Option<Vec<NoteView>>,
    /// Of a message in an interchange: its reference (UNH).
    pub(super) message: Option<String>,
}

/// What an amendment by pointers did.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
pub(super) struct AmendedView {
    /// Reference of the amendment.
    pub(super) reference: String,
    /// How many values it changed.
    pub(super) changes: u64,
    /// Why, in words.
    pub(super) reason: Option<String>,
    /// Values at which no pointer points, or that have no place in the message.
    pub(super) not_carried_over: Vec<LossView>,
}

/// A value that was not carried over.
#[derive(JsonSchema)]
pub(super) struct LossView {
    /// Path of the element.
    pub(super) path: String,
    /// Its value.
    pub(super) value: Option<String>,
    /// Its line in the text that was handed in.
    pub(super) line: Option<u64>,
}

/// Something that does not refuse a document but that an officer sees.
#[derive(JsonSchema)]
pub(super) struct Flag {
    /// Path of the field, occurrences counted from 1.
    pub(super) pointer: String,
    /// The rule.
    pub(super) rule: String,
    /// What is remarkable.
    pub(super) text: String,
}

/// The balance of one item of a certificate.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
pub(super) struct LedgerLine {
    /// Item of the certificate.
    pub(super) item: u32,
    /// What was certified.
    pub(super) certified: Quantity,
    /// What was debited so far, a decimal in `unit`; what is reserved counts.
    pub(super) debited: String,
    /// What of it is only reserved, for goods that were released under security.
    pub(super) reserved: String,
    /// What is left, a decimal in `unit`.
    pub(super) balance: String,
    /// The unit.
    pub(super) unit: String,
    /// What was carried over from the certificate that it replaces, a decimal in `unit`.
    pub(super) carried_over: Option<String>,
    /// How many debits stand.
    pub(super) uses: Option<u32>,
}

/// Why the use of a certificate is suspended.
#[derive(JsonSchema)]
pub(super) struct SuspensionView {
    /// Since when.
    pub(super) since: Timestamp,
    /// Who suspended it, or opened the verification.
    pub(super) by: String,
    /// Why, in words.
    pub(super) reason: String,
    /// The verification from which it follows; none when an officer suspended it.
    pub(super) verification: Option<String>,
    /// The items concerned; none means all.
    pub(super) items: Option<Vec<u32>>,
}

/// A certificate in a list.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
pub(super) struct CertificateSummary {
    /// Number as printed.
    pub(super) number: String,
    /// Country and number as they are looked up.
    pub(super) key: String,
    /// Country of issue.
    pub(super) country: String,
    /// The member that signed it.
    pub(super) issuer: String,
    /// Where it stands, such as `available`, `partly-used`, `used-up`, `expired`, `cancelled`.
    pub(super) state: String,
    /// How far it has come between the two sides.
    pub(super) delivery: String,
    /// Number of the certificate that took its place.
    pub(super) replaced_by: Option<String>,
    /// What suspends its use, oldest first: why, by whom, since when.
    pub(super) suspensions: Vec<SuspensionView>,
    /// Newest version.
    pub(super) version: Option<u32>,
    /// Day of issue.
    pub(super) issued: Option<Date>,
    /// Last day on which it may be presented.
    pub(super) valid_until: Option<Date>,
    /// Exporter.
    pub(super) exporter: Option<Party>,
    /// Consignee.
    pub(super) consignee: Option<Party>,
    /// The balance of each item.
    pub(super) ledger: Vec<LedgerLine>,
}

/// A version of a document.
#[derive(JsonSchema)]
#[schemars(rename = "VersionOf{T}")]
pub(super) struct VersionOf<T> {
    /// Version number.
    pub(super) version: u32,
    /// When this side took it into account.
    pub(super) at: Timestamp,
    /// Function code of the message.
    pub(super) function: String,
    /// SHA-256 of the message as signed.
    pub(super) digest: String,
    /// The exchange that brought it.
    pub(super) exchange: Option<String>,
    /// What an officer looks at.
    pub(super) flags: Vec<Flag>,
    /// The message.
    pub(super) content: T,
    /// Fields that say that their value is not given.
    pub(super) placeholders: Option<Vec<PlaceholderView>>,
}

/// A line of a history.
#[derive(JsonSchema)]
pub(super) struct HistoryLine {
    /// Number in the journal.
    pub(super) line: u64,
    /// What it is about.
    pub(super) subject: String,
    /// When.
    pub(super) at: Timestamp,
    /// Member and person.
    pub(super) by: String,
    /// What happened.
    pub(super) text: String,
}

/// A message about something, without its body.
#[derive(JsonSchema)]
pub(super) struct MessageLine {
    /// The exchange.
    pub(super) exchange: String,
    /// `in` or `out`.
    pub(super) direction: String,
    /// Document type.
    pub(super) code: String,
    /// Who signed it.
    pub(super) sender: String,
    /// For whom it is.
    pub(super) recipient: String,
    /// The sender's own reference.
    pub(super) reference: String,
    /// When.
    pub(super) at: Timestamp,
    /// What became of it.
    pub(super) state: String,
    /// SHA-256 of the message as signed.
    pub(super) digest: Option<String>,
    /// What it is about.
    pub(super) subject: Option<String>,
    /// Receipt, validation and decision about it.
    pub(super) acts: Option<ActsView>,
}

/// Something that an officer must look at.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
pub(super) struct TaskView {
    /// Number.
    pub(super) number: u64,
    /// Why, a stable word.
    pub(super) kind: String,
    /// What it is about.
    pub(super) subject: String,
    /// What to do.
    pub(super) text: String,
    /// When it was opened.
    pub(super) opened_at: Timestamp,
    /// How it ended; absent while it is open.
    pub(super) closed: Option<ClosingView>,
}

/// How a task ended.
#[derive(JsonSchema)]
pub(super) struct ClosingView {
    /// When.
    pub(super) at: Timestamp,
    /// Who.
    pub(super) by: String,
    /// What was done.
    pub(super) text: String,
}

/// Everything known about a certificate.
#[derive(JsonSchema)]
pub(super) struct CertificateView {
    /// Where it stands.
    pub(super) certificate: CertificateSummary,
    /// All versions, oldest first.
    pub(super) versions: Vec<VersionOf<CertificateOfOrigin>>,
    /// The journal of debits.
    pub(super) debits: Vec<DebitView>,
    /// What the other side told about its use.
    pub(super) utilisations: Vec<UtilisationView>,
    /// Claims that quote it.
    pub(super) claims: Vec<ItemSummary>,
    /// Export declarations that quote it.
    pub(super) exports: Vec<String>,
    /// What happened.
    pub(super) history: Vec<HistoryLine>,
    /// Messages about it.
    pub(super) messages: Vec<MessageLine>,
    /// Tasks about it.
    pub(super) tasks: Vec<TaskView>,
    /// What is waited for.
    pub(super) timers: Option<Vec<TimerView>>,
}

/// The ledger of a certificate.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
pub(super) struct LedgerView {
    /// What is certified, debited, reserved and left, item by item.
    pub(super) certificate: LedgerOfCertificateView,
    /// The newest debits and what was given back, oldest first.
    pub(super) debits: Vec<DebitView>,
    /// How many there are in all.
    pub(super) debits_in_all: u64,
    /// Cases about it: what both sides' ledgers disagree on.
    pub(super) cases: Vec<LedgerCaseView>,
    /// The terms by which it is debited, each with source and status.
    pub(super) terms: Vec<TermView>,
}

/// An export declaration in a list.
#[derive(JsonSchema)]
pub(super) struct ExportSummary {
    /// Number.
    pub(super) number: String,
    /// Country and number.
    pub(super) key: String,
    /// Exporting country.
    pub(super) country: String,
    /// Who sent it.
    pub(super) sender: String,
    /// Where it stands.
    pub(super) state: String,
    /// How far it has come between the two sides.
    pub(super) delivery: String,
    /// Newest version.
    pub(super) version: Option<u32>,
    /// Unique consignment reference.
    pub(super) ucr: Option<String>,
    /// Keys of the certificates that it quotes.
    pub(super) certificates: Vec<String>,
    /// How often it was changed.
    pub(super) amendments: u32,
}

/// Everything known about an export declaration.
#[derive(JsonSchema)]
pub(super) struct ExportView {
    /// Where it stands.
    pub(super) export: ExportSummary,
    /// All versions, oldest first.
    pub(super) versions: Vec<VersionOf<ExportDeclaration>>,
    /// What happened.
    pub(super) history: Vec<HistoryLine>,
    /// Messages about it.
    pub(super) messages: Vec<MessageLine>,
    /// Tasks about it.
    pub(super) tasks: Vec<TaskView>,
    /// Responses of the national system.
    pub(super) responses: Option<Vec<ResponseView>>,
    /// The newest risk score; null at the exporting side.
    pub(super) risk: Option<RiskView>,
    /// Where the goods are.
    pub(super) transport: Option<Vec<TransportView>>,
    /// What is waited for.
    pub(super) timers: Option<Vec<TimerView>>,
}

/// A claimed item in a list.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
pub(super) struct ItemSummary {
    /// Number of the declaration.
    pub(super) claim: String,
    /// Its item.
    pub(super) item: u32,
    /// Number of the certificate, as quoted.
    pub(super) certificate: String,
    /// Item of the certificate.
    pub(super) certificate_item: u32,
    /// Where it stands.
    pub(super) state: String,
    /// `green`, `amber` or `red`.
    pub(super) light: String,
    /// What is proposed.
    pub(super) proposal: String,
    /// Why, a stable word.
    pub(super) reason: String,
}

/// A claimed item with its match.
#[derive(JsonSchema)]
pub(super) struct ItemView {
    /// Item number.
    pub(super) item: u32,
    /// Where it stands.
    pub(super) state: String,
    /// `green`, `amber` or `red`.
    pub(super) light: String,
    /// What is proposed, and why.
    pub(super) proposal: ProposalView,
    /// Each difference between the papers, with both values and the rule.
    pub(super) differences: Vec<DifferenceView>,
    /// What is left on the certificate, when it is here.
    pub(super) balance: Option<Quantity>,
    /// Duties with and without the preference, each rate with its source and status.
    pub(super) duty: Option<ReliefView>,
    /// How often it was matched.
    pub(super) assessments: u32,
    /// The certificate that it quotes.
    pub(super) certificate: QuoteView,
    /// What is claimed, in the unit of the certificate.
    pub(super) claimed: Option<Quantity>,
    /// How often it was decided.
    pub(super) decisions: u32,
    /// The export declaration with which it was matched.
    pub(super) export: MatchedView,
    /// The rules that found a difference.
    pub(super) rules: Vec<String>,
}

/// A claim with the newest match of each item.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
pub(super) struct Claimed {
    /// Always `IMP`.
    pub(super) document: String,
    /// Number of the declaration.
    pub(super) claim: String,
    /// Newest version.
    pub(super) version: Option<u32>,
    /// Day of filing.
    pub(super) filed: Date,
    /// `commercial` or `industrial`.
    pub(super) importer_class: String,
    /// Importer.
    pub(super) importer: Option<Party>,
    /// Whether it was filed before with the same content.
    pub(super) duplicate: bool,
    /// Items that claim a preference.
    pub(super) items: Vec<ItemView>,
    /// How it was withdrawn; null while it stands.
    pub(super) withdrawn: Option<WithdrawalView>,
    /// Of an amendment by pointers: what it changed, and what it could not.
    pub(super) amended: Option<AmendedView>,
    /// Of a message in XML or EDIFACT: values that have no place in the canonical message.
    pub(super) not_carried_over: Option<Vec<LossView>>,
    /// Of a message in XML or EDIFACT: what was put in where it says nothing.
    pub(super) notes: Option<Vec<NoteView>>,
    /// Of a message in an interchange: its reference (UNH).
    pub(super) message: Option<String>,
    /// What an officer looks at.
    pub(super) flags: Option<Vec<Flag>>,
    /// What is proposed, when no item claims a preference.
    pub(super) proposal: Option<BareProposalView>,
    /// All versions, oldest first.
    pub(super) versions: Option<Vec<VersionOf<ImportClaim>>>,
    /// Every decision.
    pub(super) decisions: Option<Vec<DecisionView>>,
    /// Grants that were proposed against a red match.
    pub(super) overrides: Option<Vec<OverrideView>>,
    /// Securities that are held or were.
    pub(super) securities: Option<Vec<HeldView>>,
    /// What is due next.
    pub(super) next: Option<Vec<NextView>>,
    /// Every match of every item.
    pub(super) assessments: Option<Vec<AssessmentRecordView>>,
    /// The papers that it was matched with.
    pub(super) related: Option<Vec<String>>,
    /// Responses of the national system.
    pub(super) responses: Option<Vec<ResponseView>>,
    /// What happened.
    pub(super) history: Option<Vec<HistoryLine>>,
    /// Messages about it.
    pub(super) messages: Option<Vec<MessageLine>>,
    /// Tasks about it.
    pub(super) tasks: Option<Vec<TaskView>>,
    /// What is waited for.
    pub(super) timers: Option<Vec<TimerView>>,
}

/// A decision, recorded; or a proposal for which a second officer is awaited.
#[derive(JsonSchema)]
pub(super) struct Decided {
    /// Number of the declaration.
    pub(super) claim: String,
    /// Its item.
    pub(super) item: u32,
    /// Where the item stands now.
    pub(super) state: String,
    /// The record: decision, reason, officer, what was debited, what is to pay.
    pub(super) decision: Option<DecisionView>,
    /// The proposal: what, by whom, until when it can be confirmed, how it ended.
    pub(super) proposal: Option<OverrideView>,
    /// What is due next about the claim.
    pub(super) next: Option<Vec<NextView>>,
}

/// All that is known of a consignment.
#[derive(JsonSchema)]
pub(super) struct ConsignmentView {
    /// Its unique reference.
    pub(super) consignment: String,
    /// Export declarations.
    pub(super) exports: Vec<ExportSummary>,
    /// Certificates.
    pub(super) certificates: Vec<CertificateSummary>,
    /// Claimed items.
    pub(super) claims: Vec<ItemSummary>,
}

/// A page of a list.
#[derive(JsonSchema)]
pub(super) struct PageOf<T> {
    /// The rows.
    pub(super) rows: Vec<T>,
    /// Cursor of the next page; none after the last.
    pub(super) next: Option<String>,
}

/// A message that waits for another.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
pub(super) struct ParkedView {
    /// The exchange that brought it.
    pub(super) exchange: String,
    /// What it waits for.
    pub(super) waits_for: String,
    /// When it arrived.
    pub(super) at: Timestamp,
}

/// Rates of a tariff line on a day.
#[derive(JsonSchema)]
#[schemars(rename = "Rates")]
pub(super) struct RatesView {
    /// Duty by duty the general and the preferential rate, each with source and status.
    pub(super) rates: RatesOfCodeView,
    /// Amounts, when a value was given.
    pub(super) duty: Option<ReliefView>,
    /// The sources that the rates name.
    pub(super) sources: Vec<SourceView>,
}

/// What is left of a quota.
#[derive(JsonSchema)]
pub(super) struct QuotaView {
    /// The quota as the tariff has it.
    pub(super) quota: QuotaTermsView,
    /// Its account.
    pub(super) account: String,
    /// What is left.
    pub(super) balance: Quantity,
    /// Who asked for how much, in order.
    pub(super) requests: Vec<QuotaRequestView>,
}

/// A decision about a claimed item.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct DecisionRequest {
    /// What is decided; `provisional` releases the goods under a security.
    #[schemars(extend("enum" = ["grant", "grant-in-part", "deny", "query", "provisional"]))]
    pub(super) decision: String,
    /// Coded reason; needed when the proposal is not followed.
    pub(super) reason: Option<String>,
    /// The reason in words; needed when the proposal is not followed.
    #[schemars(length(max = 512))]
    pub(super) text: Option<String>,
    /// How much is granted, for `grant-in-part`.
    pub(super) quantity: Option<Quantity>,
    /// For `provisional`: kind, reference, amount and last day of the security.
    pub(super) security: Option<SecurityView>,
    /// Whether a second officer is to confirm; `false` unless given.
    #[schemars(default)]
    pub(super) propose: bool,
}

/// Words for an act that needs a reason.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Words {
    /// Why, or what was done, in 10 to 512 characters.
    #[schemars(length(min = 10, max = 512))]
    pub(super) text: String,
}
