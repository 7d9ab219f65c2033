//! Answers and later changes: utilisation result, validation, amendment, cancellation.

use karvan_types::{Date, Quantity, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::extension::Extension;
use super::parts::{Header, WriteOff};
use super::text::{date, optional_date};

/// A document that an answer, amendment or cancellation speaks about.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct DocumentReference {
    /// Document type code, such as `COO`.
    #[serde(rename = "documentType")]
    pub document_type: String,
    /// Number of the document, an..70 `D014`.
    #[serde(rename = "ID")]
    pub id: String,
    /// Version of the document `383`.
    #[serde(rename = "VersionID", default, skip_serializing_if = "Option::is_none")]
    pub version_id: Option<u32>,
    /// The sender's reference of that document, an..35 `D026`.
    #[serde(rename = "FunctionalReferenceID", default, skip_serializing_if = "Option::is_none")]
    pub functional_reference_id: Option<String>,
    /// Date of the document, for a certificate its date of issue `276`.
    #[serde(
        rename = "EffectiveDateTime",
        default,
        skip_serializing_if = "Option::is_none",
        with = "optional_date"
    )]
    #[schemars(with = "Date")]
    pub effective_date: Option<Date>,
}

/// UTL: what the importing side decided about the use of one certificate.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct UtilisationResult {
    /// Common header; `ID` is the number of the decision.
    #[serde(flatten)]
    pub header: Header,
    /// The certificate.
    #[serde(rename = "certificate")]
    pub certificate: DocumentReference,
    /// The import claim in which it was quoted.
    #[serde(rename = "claim")]
    pub claim: DocumentReference,
    /// Day of the decision.
    #[serde(rename = "decisionDate", with = "date")]
    #[schemars(with = "Date")]
    pub decision_date: Date,
    /// The deciding officer, by the importing side's own id, an..17.
    #[serde(rename = "officerID")]
    pub officer_id: String,
    /// One decision per claimed item.
    #[serde(rename = "items")]
    pub items: Vec<UtilisationItem>,
}

impl UtilisationResult {
    /// The document type code.
    pub const DOCUMENT_TYPE: &'static str = "UTL";
}

/// The decision about one item.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct UtilisationItem {
    /// Item of the import claim `006`.
    #[serde(rename = "SequenceNumeric")]
    pub sequence: u32,
    /// Item of the certificate.
    #[serde(rename = "certificateItem")]
    pub certificate_item: u32,
    /// What was decided.
    #[serde(rename = "decision")]
    pub decision: Decision,
    /// What was debited from the certificate `22C`, or reserved when the decision is provisional;
    /// zero when nothing was.
    #[serde(rename = "WriteOff")]
    pub write_off: WriteOff,
    /// What the importing side's ledger still holds for the item.
    #[serde(rename = "balance", default, skip_serializing_if = "Option::is_none")]
    pub balance: Option<Quantity>,
    /// Codes of the reasons.
    #[serde(rename = "reasonCodes", default, skip_serializing_if = "Vec::is_empty")]
    pub reason_codes: Vec<String>,
    /// The reason in words, an..512 `225`; required unless granted in full.
    #[serde(rename = "StatementDescription", default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What the ledger refused to debit, with the unit in which it was asked for.
    #[serde(rename = "refused", default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<Quantity>,
    /// The debits that stand in the way of what was refused, oldest first, at most 100.
    #[serde(rename = "earlierDebits", default, skip_serializing_if = "Vec::is_empty")]
    pub earlier_debits: Vec<LedgerDebit>,
}

/// A debit of a certificate that stands.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerDebit {
    /// Item of the certificate.
    #[serde(rename = "certificateItem")]
    pub certificate_item: u32,
    /// The claimed item that was granted, `PK:claim#item`.
    #[serde(rename = "claimItem")]
    pub claim_item: String,
    /// Number of the decision about that item, from 1.
    #[serde(rename = "decision")]
    pub decision: u32,
    /// How much was debited `502`.
    #[serde(rename = "QuantityQuantity")]
    pub quantity: Quantity,
    /// What was left of the item afterwards.
    #[serde(rename = "balance")]
    pub balance: Quantity,
    /// When it was debited.
    #[serde(rename = "EffectiveDateTime")]
    pub at: Timestamp,
}

/// What was decided about a claimed preference.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, JsonSchema, PartialEq, Serialize)]
pub enum Decision {
    /// The preference is granted for the whole quantity.
    #[serde(rename = "granted")]
    Granted,
    /// It is granted for the quantity debited; the rest pays the general rate.
    #[serde(rename = "granted-in-part")]
    GrantedInPart,
    /// It is denied.
    #[serde(rename = "denied")]
    Denied,
    /// A question is open.
    #[serde(rename = "query")]
    Query,
    /// The goods were released under security and their quantity is reserved; the decision is still
    /// to come.
    #[serde(rename = "provisional")]
    Provisional,
}

impl Decision {
    /// Whether the preference is granted, for all or a part.
    pub const fn grants(self) -> bool {
        matches!(self, Self::Granted | Self::GrantedInPart)
    }

    /// Whether the ledger of the certificate is drawn on: debited, or reserved until the decision.
    pub const fn takes(self) -> bool {
        self.grants() || matches!(self, Self::Provisional)
    }
}

/// VAL: the receiver's promise to process a document, or its refusal with pointers.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Validation {
    /// Common header; `ID` is the number of the validation.
    #[serde(flatten)]
    pub header: Header,
    /// The document that was checked.
    #[serde(rename = "document")]
    pub document: DocumentReference,
    /// Accepted or rejected.
    #[serde(rename = "outcome")]
    pub outcome: Outcome,
    /// What must be changed; empty when accepted without remarks.
    #[serde(rename = "Error", default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<ValidationError>,
}

impl Validation {
    /// The document type code.
    pub const DOCUMENT_TYPE: &'static str = "VAL";
}

/// Whether a document was accepted.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// It will be processed.
    Accepted,
    /// Nothing was stored as business data; send it again mended.
    Rejected,
}

/// One thing to change in a refused document.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ValidationError {
    /// Path of the field, such as `GoodsShipment/GovernmentAgencyGoodsItem[2]/Commodity`.
    #[serde(rename = "pointer")]
    pub pointer: String,
    /// The rule that is broken, an..8 `377`.
    #[serde(rename = "ValidationCode")]
    pub rule: String,
    /// What is wrong and what to do about it `488`.
    #[serde(rename = "Description")]
    pub remedy: String,
}

/// AMD: changes to an earlier document. `FunctionCode` is 4 (change) or 5 (replace).
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Amendment {
    /// Common header; `ID` is the number of the amended document.
    #[serde(flatten)]
    pub header: Header,
    /// The document that is amended.
    #[serde(rename = "document")]
    pub document: DocumentReference,
    /// Why, in words, an..512 `225`.
    #[serde(rename = "StatementDescription")]
    pub reason: String,
    /// What is changed, by pointers `06A`.
    #[serde(rename = "Amendment")]
    pub amendments: Vec<AmendmentReason>,
    /// The new values.
    #[serde(rename = "values", default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<AmendedValue>,
    /// Values of its XML that it has no field for.
    #[serde(rename = "ext", default, skip_serializing_if = "Vec::is_empty")]
    pub ext: Vec<Extension>,
}

impl Amendment {
    /// The document type code.
    pub const DOCUMENT_TYPE: &'static str = "AMD";
}

/// One change, its reason and where it is `06A`.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct AmendmentReason {
    /// Reason of the change, an..3 `099`.
    #[serde(rename = "ChangeReasonCode")]
    pub change_reason_code: String,
    /// Path from the declaration down to the changed class or field `97A`.
    #[serde(rename = "Pointer", default, skip_serializing_if = "Vec::is_empty")]
    pub pointers: Vec<Pointer>,
}

/// One step of a path to a field `97A`.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Pointer {
    /// Which occurrence of the class, counted from 1 `006`.
    #[serde(rename = "SequenceNumeric", default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u32>,
    /// WCO id of the class, an..3 `375`: 42A declaration, 67A shipment, 68A item, 02A document.
    #[serde(rename = "DocumentSectionCode")]
    pub section: String,
    /// WCO id of the field, an..4 `381`.
    #[serde(rename = "TagID", default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
}

/// A new value of one field.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct AmendedValue {
    /// Path of the field in element names, occurrences counted from 1.
    #[serde(rename = "path")]
    pub path: String,
    /// The value as text.
    #[serde(rename = "value")]
    pub value: String,
}

/// CXL: withdraws an earlier document. `FunctionCode` is 1. Of a query it tells what became of the
/// verification: `WDN` withdrawn, `END` closed, `LFT` the certificate may be used again.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Cancellation {
    /// Common header; `ID` is the number of the cancelled document.
    #[serde(flatten)]
    pub header: Header,
    /// The document that is cancelled.
    #[serde(rename = "document")]
    pub document: DocumentReference,
    /// Reason, an..3 `099`.
    #[serde(rename = "ChangeReasonCode")]
    pub change_reason_code: String,
    /// Why, in words, an..512 `225`.
    #[serde(rename = "StatementDescription")]
    pub reason: String,
    /// Number of the document that takes its place.
    #[serde(rename = "replacedBy", default, skip_serializing_if = "Option::is_none")]
    pub replaced_by: Option<String>,
    /// Values of its XML that it has no field for.
    #[serde(rename = "ext", default, skip_serializing_if = "Vec::is_empty")]
    pub ext: Vec<Extension>,
}

impl Cancellation {
    /// The document type code.
    pub const DOCUMENT_TYPE: &'static str = "CXL";
}
