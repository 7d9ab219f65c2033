//! Responses of a customs service (RES messages), function codes 01 to 16.
//!
//! [`Response`] is the message of the format itself, read with losses listed and written again;
//! acceptance and rejection are validations, clearance with write-offs is a utilisation result.
//!
//! Samples of the profile carry no namespace; with a namespace it must be the right one.

mod answers;

use karvan_types::{Amount, Timestamp};
use serde::{Deserialize, Serialize};

use super::read::{Element, Position};
use super::stream::{ITEM, Parts, SHIPMENT};
use super::take::{Taker, has};
use super::write::{self, Node, Unwritable};
use super::{Error, Loss, NAMESPACE_RESPONSE, Note, Rule, declaration};
use crate::messages::{AdditionalDocument, AmendedValue, AmendmentReason, DutyTaxFee, Pointer};

/// What the function codes mean; 04 and 12 are not assigned in the published profile.
pub const FUNCTIONS: [(&str, &str); 14] = [
    ("01", "accepted"),
    ("02", "received and registered"),
    ("03", "rejected"),
    ("05", "control planned"),
    ("06", "documents wanted"),
    ("07", "corrected by customs"),
    ("08", "goods may be released"),
    ("09", "cleared"),
    ("10", "cancelled"),
    ("11", "amendment request decided"),
    ("13", "tax statement"),
    ("14", "balance insufficient"),
    ("15", "payment reminder"),
    ("16", "goods have left"),
];

/// A response.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub struct Response {
    /// Which response, a code of [`FUNCTIONS`] `017`.
    pub function_code: String,
    /// The customs service's reference `D026`.
    #[serde(rename = "FunctionalReferenceID")]
    pub functional_reference_id: String,
    /// When it was issued `D029`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issue_date_time: Option<Timestamp>,
    /// Statements, such as which document is wanted until when `03A`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub additional_information: Vec<Statement>,
    /// What customs changed `06A`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub amendment: Vec<AmendmentReason>,
    /// Bank for the payment `14A`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bank: Option<Bank>,
    /// Errors of a rejected declaration `53A`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub error: Vec<ResponseError>,
    /// States `12B`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub status: Vec<Status>,
    /// The declaration that is answered `42A`.
    pub declaration: Answered,
    /// The new values of a correction, by path.
    #[serde(rename = "corrections", default, skip_serializing_if = "Vec::is_empty")]
    pub corrections: Vec<AmendedValue>,
}

/// A statement of a response `03A`.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub struct Statement {
    /// Code, an..17 `226`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statement_code: Option<String>,
    /// Text, an..512 `225`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statement_description: Option<String>,
    /// Until when `264`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_date_time: Option<Timestamp>,
    /// Type, an..3 `369`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statement_type_code: Option<String>,
    /// What it is about `97A`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pointer: Vec<Pointer>,
}

/// A bank account `14A`.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub struct Bank {
    /// The bank `R069`.
    #[serde(rename = "ReferenceID", default, skip_serializing_if = "Option::is_none")]
    pub reference_id: Option<String>,
    /// The account `372`.
    #[serde(rename = "ID", default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

/// An error of a rejected declaration `53A`.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub struct ResponseError {
    /// Words `488`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Code, an..8 `377`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation_code: Option<String>,
    /// Where `97A`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pointer: Vec<Pointer>,
}

/// A state of the declaration `12B`.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub struct Status {
    /// Since when `380`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective_date_time: Option<Timestamp>,
    /// Which, an..3 `379`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name_code: Option<String>,
    /// When the goods were released `277`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release_date_time: Option<Timestamp>,
    /// What it is about `97A`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pointer: Vec<Pointer>,
}

/// The declaration that is answered `42A`.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub struct Answered {
    /// When it was accepted `023`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acceptance_date_time: Option<Timestamp>,
    /// When it was cancelled `373`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancellation_date_time: Option<Timestamp>,
    /// When it was rejected `374`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejection_date_time: Option<Timestamp>,
    /// The sender's reference `D026`.
    #[serde(rename = "FunctionalReferenceID", default, skip_serializing_if = "Option::is_none")]
    pub functional_reference_id: Option<String>,
    /// Its number `D014`.
    #[serde(rename = "ID", default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Its version `383`.
    #[serde(rename = "VersionID", default, skip_serializing_if = "Option::is_none")]
    pub version_id: Option<u32>,
    /// Duties of the whole declaration, to be paid `50A`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub duty_tax_fee: Vec<Due>,
    /// What is said about items `67A`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goods_shipment: Option<AnsweredShipment>,
}

/// An amount that is due `50A`.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub struct Due {
    /// The payment `94A`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment: Option<DuePayment>,
}

/// A payment that is due `94A`.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub struct DuePayment {
    /// Reference to quote `014`.
    #[serde(rename = "ReferenceID", default, skip_serializing_if = "Option::is_none")]
    pub reference_id: Option<String>,
    /// Amount assessed `120`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tax_assessed_amount: Option<Amount>,
    /// Until when `376`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_date_time: Option<Timestamp>,
    /// Amount to pay `378`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_amount: Option<Amount>,
}

/// What is said about items `67A`.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub struct AnsweredShipment {
    /// The items `68A`.
    #[serde(default)]
    pub government_agency_goods_item: Vec<AnsweredItem>,
}

/// What is said about an item `68A`.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub struct AnsweredItem {
    /// Its number `006`.
    pub sequence_numeric: u32,
    /// Documents with what was written off them, 502 and 503 `02A`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub additional_document: Vec<AdditionalDocument>,
    /// Its duties `23A`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commodity: Option<AnsweredCommodity>,
}

/// The duties of an item `23A`.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub struct AnsweredCommodity {
    /// Duties and taxes `50A`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub duty_tax_fee: Vec<DutyTaxFee>,
}

/// A response that was read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ImportedResponse {
    /// The response.
    pub response: Response,
    /// Values of the XML that it has no place for.
    pub not_carried_over: Vec<Loss>,
    /// How many more are not carried over than are listed.
    pub not_listed: usize,
    /// Values that were filled in or changed.
    pub notes: Vec<Note>,
}

/// Returns what a function code means.
pub(super) fn meaning(function: &str) -> &'static str {
    FUNCTIONS.iter().find(|(code, _)| *code == function).map_or("unknown", |(_, meaning)| meaning)
}

/// Returns whether the XML is a response and no declaration; reads no further than needed to tell.
pub fn is_response(xml: &[u8]) -> bool {
    super::read::is_message(xml, "Response")
}

/// Reads a response, with or without its envelope.
pub fn import_response(xml: &[u8]) -> Result<ImportedResponse, Error> {
    let mut ignored = |_| {};
    let (root, mut taker) = Parts::of_response(&mut ignored).read(super::sized(xml)?)?;
    let at = root.position();
    let mut element = if root.name == "MetaData" {
        super::message_of(&mut taker, root, "Response")?
    } else {
        root
    };
    if element.name != "Response" {
        return Err(at.error(Rule::Root(element.name)));
    }
    if !["", NAMESPACE_RESPONSE].contains(&element.namespace.as_str()) {
        let (found, expected) = (element.namespace, NAMESPACE_RESPONSE);
        return Err(at.error(Rule::Namespace { element: element.name, found, expected }));
    }
    let response = read(&mut taker, &mut element, at)?;
    taker.lose_content(element);
    let (not_carried_over, not_listed, notes) = taker.finish();
    Ok(ImportedResponse { response, not_carried_over, not_listed, notes })
}

fn read(taker: &mut Taker, e: &mut Element, at: Position) -> Result<Response, Error> {
    let function_code = taker.required_text(e, "FunctionCode")?;
    if meaning(&function_code) == "unknown" {
        let (path, rule) = ("FunctionCode".to_owned(), "use 01 to 16 but 04 and 12".to_owned());
        return Err(at.error(Rule::Value { path, value: function_code, rule }));
    }
    let functional_reference_id = taker.required_text(e, "FunctionalReferenceID")?;
    let issue_date_time = taker.instant(e, "IssueDateTime")?;
    // A second declaration holds the values of a correction.
    let (declarations, others): (Vec<_>, Vec<_>) =
        std::mem::take(&mut e.children).into_iter().partition(|child| child.name == "Declaration");
    e.children = others;
    let mut declarations = declarations.into_iter();
    let first = declarations.next().ok_or_else(|| taker.missing(e, "Declaration"))?;
    let declaration = taker.read(first, answered)?.unwrap_or_default();
    let mut whole = Taker::of_whole_values();
    for second in declarations.by_ref().take(1) {
        whole.lose_content(second);
    }
    let corrections = taker.streamed.new_values(whole);
    let corrections = corrections.ok_or_else(|| at.error(Rule::Changes))?;
    for more in declarations {
        taker.lose(more);
    }
    Ok(Response {
        function_code,
        functional_reference_id,
        issue_date_time,
        additional_information: taker.all(e, "AdditionalInformation", |taker, e| {
            Ok(Some(Statement {
                statement_code: taker.text(e, "StatementCode")?,
                statement_description: taker.text(e, "StatementDescription")?,
                limit_date_time: taker.instant(e, "LimitDateTime")?,
                statement_type_code: taker.text(e, "StatementTypeCode")?,
                pointer: taker.all(e, "Pointer", super::amendment::pointer)?,
            }))
        })?,
        amendment: taker.all(e, "Amendment", super::amendment::change)?,
        bank: taker.one(e, "Bank", |taker, e| {
            let reference_id = taker.text(e, "ReferenceID")?;
            Ok(Some(Bank { reference_id, id: taker.text(e, "ID")? }))
        })?,
        error: taker.all(e, "Error", |taker, e| {
            Ok(Some(ResponseError {
                description: taker.text(e, "Description")?,
                validation_code: taker.text(e, "ValidationCode")?,
                pointer: taker.all(e, "Pointer", super::amendment::pointer)?,
            }))
        })?,
        status: taker.all(e, "Status", |taker, e| {
            Ok(Some(Status {
                effective_date_time: taker.instant(e, "EffectiveDateTime")?,
                name_code: taker.text(e, "NameCode")?,
                release_date_time: taker.instant(e, "ReleaseDateTime")?,
                pointer: taker.all(e, "Pointer", super::amendment::pointer)?,
            }))
        })?,
        declaration,
        corrections,
    })
}

fn answered(taker: &mut Taker, e: &mut Element) -> Result<Option<Answered>, Error> {
    Ok(Some(Answered {
        acceptance_date_time: taker.instant(e, "AcceptanceDateTime")?,
        cancellation_date_time: taker.instant(e, "CancellationDateTime")?,
        rejection_date_time: taker.instant(e, "RejectionDateTime")?,
        functional_reference_id: taker.text(e, "FunctionalReferenceID")?,
        id: taker.text(e, "ID")?,
        version_id: taker.number(e, "VersionID")?,
        duty_tax_fee: taker.all(e, "DutyTaxFee", |taker, e| {
            let payment = taker.one(e, "Payment", |taker, e| {
                Ok(Some(DuePayment {
                    reference_id: taker.text(e, "ReferenceID")?,
                    tax_assessed_amount: taker.amount(e, "TaxAssessedAmount")?,
                    due_date_time: taker.instant(e, "DueDateTime")?,
                    payment_amount: taker.amount(e, "PaymentAmount")?,
                }))
            })?;
            Ok(Some(Due { payment }))
        })?,
        goods_shipment: taker.one(e, SHIPMENT, |taker, e| {
            // Most were taken while the text was read.
            let mut items = std::mem::take(&mut taker.streamed.answered);
            items.extend(taker.all(e, ITEM, item)?);
            Ok(Some(AnsweredShipment { government_agency_goods_item: items }))
        })?,
    }))
}

pub(super) fn item(taker: &mut Taker, e: &mut Element) -> Result<Option<AnsweredItem>, Error> {
    if !has(e, &["SequenceNumeric"]) {
        return Ok(None);
    }
    Ok(Some(AnsweredItem {
        sequence_numeric: taker.number(e, "SequenceNumeric")?.unwrap_or_default(),
        additional_document: taker.all(
            e,
            "AdditionalDocument",
            declaration::additional_document,
        )?,
        commodity: taker.one(e, "Commodity", |taker, e| {
            let duty_tax_fee = taker.all(e, "DutyTaxFee", declaration::duty_tax_fee)?;
            Ok(Some(AnsweredCommodity { duty_tax_fee }))
        })?,
    }))
}

impl Response {
    /// Writes the response as XML.
    pub fn to_xml(&self) -> Result<String, Unwritable> {
        let value = serde_json::to_value(self);
        let value = value.map_err(|error| Unwritable::Json(error.to_string()))?;
        let mut root = Node::new("Response");
        write::elements(&mut root, &value);
        root.sort("Response");
        if !self.corrections.is_empty() {
            let mut second = Node::new("Declaration");
            write::graft(&mut second, &self.corrections)?;
            second.sort("Declaration");
            root.children.push(second);
        }
        write::document(&root, "RES")
    }
}
