//! LDG, SEQ and REC: what both sides compare, nightly and monthly. LDG and REC come in pages; a
//! SEQ that would be too long is cut into periods.

use karvan_types::{Amount, Date, Digest, MemberId, Quantity, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::parts::{CountryId, Header};
use super::result::{DocumentReference, LedgerDebit};
use super::text::optional_date;

/// Which page of how many; both counted from 1.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Page {
    /// This page.
    #[serde(rename = "number")]
    pub number: u32,
    /// Number of pages.
    #[serde(rename = "of")]
    pub of: u32,
}

/// LDG: the balances of certificates as the sender's ledger holds them; function 11 answers a
/// statement that differs.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerBalances {
    /// Common header; `ID` is the number of the statement, the same on all its pages.
    #[serde(flatten)]
    pub header: Header,
    /// The nation that issued the certificates.
    #[serde(rename = "issuedIn")]
    pub issued_in: CountryId,
    /// The instant of the balances.
    #[serde(rename = "asOf")]
    pub as_of: Timestamp,
    /// The page.
    #[serde(rename = "page")]
    pub page: Page,
    /// One line per item of a certificate that was ever debited.
    #[serde(rename = "balances")]
    pub balances: Vec<LedgerBalance>,
}

impl LedgerBalances {
    /// The document type code.
    pub const DOCUMENT_TYPE: &'static str = "LDG";
}

/// The balance of one item of a certificate.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerBalance {
    /// Number of the certificate, an..70 `D005`.
    #[serde(rename = "ID")]
    pub certificate: String,
    /// Version of the certificate that the ledger rests on `383`.
    #[serde(rename = "VersionID")]
    pub version_id: u32,
    /// Item of the certificate.
    #[serde(rename = "certificateItem")]
    pub item: u32,
    /// What that version certifies.
    #[serde(rename = "certified")]
    pub certified: Quantity,
    /// What is debited.
    #[serde(rename = "debited")]
    pub debited: Quantity,
    /// What is left.
    #[serde(rename = "balance")]
    pub balance: Quantity,
    /// How many claimed items draw on it: debits less returns.
    #[serde(rename = "debits")]
    pub debits: u32,
    /// The debits that stand, oldest first, at most 100; of more only the newest.
    #[serde(rename = "lines", default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<LedgerDebit>,
}

/// SEQ: what the sender sent in a period and what became of it, and what it lacks.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SequenceReport {
    /// Common header; `ID` is the number of the report.
    #[serde(flatten)]
    pub header: Header,
    /// Begin of the period, included.
    #[serde(rename = "from")]
    pub from: Timestamp,
    /// End of the period, not included.
    #[serde(rename = "to")]
    pub to: Timestamp,
    /// What was sent, per pair of sender and recipient.
    #[serde(rename = "streams", default, skip_serializing_if = "Vec::is_empty")]
    pub streams: Vec<StreamReport>,
    /// Documents that the sender of this report needs and asks the receiver to send.
    #[serde(rename = "wanted", default, skip_serializing_if = "Vec::is_empty")]
    pub wanted: Vec<DocumentReference>,
    /// Documents that the receiver asked for and that the sender does not have.
    #[serde(rename = "unknown", default, skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<DocumentReference>,
}

impl SequenceReport {
    /// The document type code.
    pub const DOCUMENT_TYPE: &'static str = "SEQ";
}

/// What one member sent to another.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct StreamReport {
    /// Who sent.
    #[serde(rename = "sender")]
    #[schemars(with = "String")]
    pub sender: MemberId,
    /// To whom.
    #[serde(rename = "recipient")]
    #[schemars(with = "String")]
    pub recipient: MemberId,
    /// The messages, oldest first.
    #[serde(rename = "messages")]
    pub messages: Vec<SentMessage>,
}

/// One message that was sent.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SentMessage {
    /// Document type code, such as `COO`.
    #[serde(rename = "documentType")]
    pub document_type: String,
    /// Number of the document, an..70 `D014`.
    #[serde(rename = "ID")]
    pub id: String,
    /// The sender's reference, an..35 `D026`.
    #[serde(rename = "FunctionalReferenceID")]
    pub functional_reference_id: String,
    /// SHA-256 of the message as signed.
    #[serde(rename = "digest")]
    #[schemars(with = "String")]
    pub digest: Digest,
    /// When it was sent.
    #[serde(rename = "sentAt")]
    pub sent_at: Timestamp,
    /// What the sender knows became of it.
    #[serde(rename = "state")]
    pub state: SentMessageState,
}

/// What became of a message, as far as its sender knows.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SentMessageState {
    /// The receiver's validation is awaited.
    Sent,
    /// The receiver accepted it.
    Accepted,
    /// The receiver refused it.
    Rejected,
}

/// REC: what one side has on record for a month, for the mirror of the other.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct MirrorReport {
    /// Common header; `ID` is the number of the report, the same on all its pages.
    #[serde(flatten)]
    pub header: Header,
    /// The month, `YYYY-MM`.
    #[serde(rename = "month")]
    pub month: String,
    /// Which flow the figures count, as the sender saw it.
    #[serde(rename = "flow")]
    pub flow: TradeFlow,
    /// The page.
    #[serde(rename = "page")]
    pub page: Page,
    /// One line per commodity code of six digits.
    #[serde(rename = "totals", default, skip_serializing_if = "Vec::is_empty")]
    pub totals: Vec<MirrorTotal>,
    /// Consignments that have no counterpart at the sender.
    #[serde(rename = "unmatched", default, skip_serializing_if = "Vec::is_empty")]
    pub unmatched: Vec<UnmatchedConsignment>,
}

impl MirrorReport {
    /// The document type code.
    pub const DOCUMENT_TYPE: &'static str = "REC";
}

/// Direction of trade, seen from the sender of the report.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TradeFlow {
    /// Exports of the sender to the receiver.
    Export,
    /// Imports of the sender from the receiver.
    Import,
}

/// The figures of one commodity code.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct MirrorTotal {
    /// Six digits of the Harmonized System.
    #[serde(rename = "hs6")]
    pub hs6: String,
    /// Number of declared items.
    #[serde(rename = "count")]
    pub count: u32,
    /// Net mass.
    #[serde(rename = "netMass")]
    pub net_mass: Quantity,
    /// Value: free on board of exports, customs value of imports. Only from sharing level L2.
    #[serde(rename = "value", default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Amount>,
}

/// A consignment without a counterpart.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct UnmatchedConsignment {
    /// The document that is here: `EXD` or `IMP`.
    #[serde(rename = "document")]
    pub document: DocumentReference,
    /// Unique consignment reference, an..35 `016`.
    #[serde(rename = "UCR", default, skip_serializing_if = "Option::is_none")]
    pub ucr: Option<String>,
    /// What is missing.
    #[serde(rename = "reason")]
    pub reason: UnmatchedReason,
    /// Since when it is missing.
    #[serde(
        rename = "since",
        default,
        skip_serializing_if = "Option::is_none",
        with = "optional_date"
    )]
    #[schemars(with = "Date")]
    pub since: Option<Date>,
}

/// Why a consignment is unmatched.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnmatchedReason {
    /// It was declared for export and no import was declared.
    NeverArrived,
    /// An import was declared and no export record is here.
    NoExportRecord,
}
