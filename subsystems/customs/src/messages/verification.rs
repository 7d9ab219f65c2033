//! QRY and RSP: a question about a certificate, and its answer.

use karvan_types::Date;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::parts::Header;
use super::result::DocumentReference;
use super::text::{date, optional_date};

/// QRY: the importing side asks to have a certificate, or what a claim makes of it, verified.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct VerificationQuery {
    /// Common header; `ID` is the number of the verification at the asking side.
    #[serde(flatten)]
    pub header: Header,
    /// The certificate, as the claim quotes it.
    #[serde(rename = "certificate")]
    pub certificate: DocumentReference,
    /// The import claim that gave rise to the question.
    #[serde(rename = "claim", default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<DocumentReference>,
    /// Why it is asked, at least one.
    #[serde(rename = "reasons")]
    pub reasons: Vec<QueryReason>,
    /// The items of the certificate that are in question; none means all of it.
    #[serde(rename = "items", default, skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<QueryItem>,
    /// The questions, numbered from 1.
    #[serde(rename = "questions")]
    pub questions: Vec<Question>,
    /// The last day for the final answer.
    #[serde(rename = "dueDate", with = "date")]
    #[schemars(with = "Date")]
    pub due_date: Date,
    /// The occasion in words, an..512 `225`.
    #[serde(rename = "StatementDescription", default, skip_serializing_if = "Option::is_none")]
    pub statement: Option<String>,
}

impl VerificationQuery {
    /// The document type code.
    pub const DOCUMENT_TYPE: &'static str = "QRY";
}

/// Why a certificate is to be verified.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum QueryReason {
    /// The certificate was chosen by chance.
    Random,
    /// The number is not known here: did the issuer issue it?
    UnknownNumber,
    /// Signature, stamp or form raise doubts.
    Authenticity,
    /// What the certificate says differs from the claim or the goods.
    DataDiffer,
    /// The goods may not fulfil the rules of origin.
    Origin,
    /// The goods may not have come directly.
    DirectTransport,
    /// Another reason, given in words.
    Other,
}

/// An item in question.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct QueryItem {
    /// Item of the certificate.
    #[serde(rename = "certificateItem")]
    pub certificate_item: u32,
    /// Item of the claim `006`.
    #[serde(rename = "SequenceNumeric", default, skip_serializing_if = "Option::is_none")]
    pub claim_item: Option<u32>,
}

/// A question.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// Its number, counted from 1.
    #[serde(rename = "number")]
    pub number: u32,
    /// The question, an..512.
    #[serde(rename = "text")]
    pub text: String,
}

/// RSP: the exporting side's answer to a verification query.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct VerificationResponse {
    /// Common header; `ID` is the number of the answer.
    #[serde(flatten)]
    pub header: Header,
    /// The query, document type `QRY`.
    #[serde(rename = "query")]
    pub query: DocumentReference,
    /// The certificate that was verified.
    #[serde(rename = "certificate")]
    pub certificate: DocumentReference,
    /// The result as a whole.
    #[serde(rename = "outcome")]
    pub outcome: VerificationOutcome,
    /// Day of the answer.
    #[serde(rename = "answerDate", with = "date")]
    #[schemars(with = "Date")]
    pub answer_date: Date,
    /// Of an interim answer, the day by which the final one is expected.
    #[serde(
        rename = "finalExpected",
        default,
        skip_serializing_if = "Option::is_none",
        with = "optional_date"
    )]
    #[schemars(with = "Date")]
    pub final_expected: Option<Date>,
    /// The result per item; none when it is the same for all.
    #[serde(rename = "items", default, skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<VerifiedItem>,
    /// The answers to the questions, by their numbers.
    #[serde(rename = "answers", default, skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<Question>,
    /// The grounds in words, an..512 `225`; required unless all is confirmed.
    #[serde(rename = "StatementDescription", default, skip_serializing_if = "Option::is_none")]
    pub statement: Option<String>,
}

impl VerificationResponse {
    /// The document type code.
    pub const DOCUMENT_TYPE: &'static str = "RSP";
}

/// What a verification found.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum VerificationOutcome {
    /// Authentic, and the goods have the origin.
    Confirmed,
    /// Not authentic, or the goods do not have the origin.
    NotConfirmed,
    /// Confirmed for some items or a part of the quantity.
    Partly,
    /// No result yet; the final answer follows.
    Interim,
}

/// What a verification found about one item.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct VerifiedItem {
    /// Item of the certificate.
    #[serde(rename = "certificateItem")]
    pub certificate_item: u32,
    /// What was found; never interim.
    #[serde(rename = "outcome")]
    pub outcome: VerificationOutcome,
    /// Why, in words, an..512 `225`.
    #[serde(rename = "StatementDescription", default, skip_serializing_if = "Option::is_none")]
    pub statement: Option<String>,
}
