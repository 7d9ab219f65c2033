//! Between responses and canonical messages.

use super::{Answered, AnsweredItem, AnsweredShipment, Response, ResponseError, Statement, Status};
use crate::messages::{
    AdditionalDocument, CERTIFICATE_TYPE_CODE, Decision, DocumentReference, DocumentType,
    FunctionCode, Header, Message, Outcome, Pointer, UtilisationItem, UtilisationResult,
    Validation, ValidationError,
};
use crate::wco::{Context, ids};

/// Document name code of a validation (UN/EDIFACT 1001, customs response).
const VALIDATION_TYPE_CODE: &str = "963";
/// Document name code of a utilisation result.
const UTILISATION_TYPE_CODE: &str = "961";
/// Type of a statement that carries the decision about an item; a code of our own.
const DECISION: &str = "KDC";

impl Response {
    /// Makes the response that says what a validation or utilisation result says; none for other
    /// messages.
    pub fn of(message: &Message) -> Option<Self> {
        match message {
            Message::Validation(validation) => Some(Self::of_validation(validation)),
            Message::Utilisation(result) => Some(Self::of_utilisation(result)),
            _ => None,
        }
    }

    fn of_validation(validation: &Validation) -> Self {
        let is_accepted = validation.outcome == Outcome::Accepted;
        let errors = validation.errors.iter().map(|error| {
            let pointer = ids::pointers(&error.pointer);
            // What has no ids is told in words.
            let description = match &pointer {
                Some(_) => error.remedy.clone(),
                None => format!("{}: {}", error.pointer, error.remedy),
            };
            ResponseError {
                description: Some(description),
                validation_code: Some(error.rule.clone()),
                pointer: pointer.unwrap_or_default(),
            }
        });
        Self {
            error: errors.collect(),
            ..Self::about(
                if is_accepted { "01" } else { "03" },
                &validation.header,
                &validation.document,
            )
        }
    }

    fn of_utilisation(result: &UtilisationResult) -> Self {
        let mut response = Self::about("09", &result.header, &result.claim);
        let mut items = Vec::new();
        for item in &result.items {
            items.push(AnsweredItem {
                sequence_numeric: item.sequence,
                additional_document: vec![AdditionalDocument {
                    category_code: None,
                    type_code: CERTIFICATE_TYPE_CODE.to_owned(),
                    id: result.certificate.id.clone(),
                    effective_date: result.certificate.effective_date,
                    line_numeric: Some(item.certificate_item),
                    lpco_exemption_code: None,
                    write_off: Some(item.write_off.clone()),
                }],
                commodity: None,
            });
            response.additional_information.push(Statement {
                statement_code: Some(decision_code(item.decision).to_owned()),
                statement_description: item.reason.clone(),
                limit_date_time: None,
                statement_type_code: Some(DECISION.to_owned()),
                pointer: ["42A", "67A", "68A"]
                    .map(|section| Pointer {
                        sequence: (section == "68A").then_some(item.sequence),
                        section: section.to_owned(),
                        tag: None,
                    })
                    .into(),
            });
        }
        response.status.push(Status {
            effective_date_time: format!("{}T00:00:00Z", result.decision_date).parse().ok(),
            ..Status::default()
        });
        response.declaration.goods_shipment =
            Some(AnsweredShipment { government_agency_goods_item: items });
        response
    }

    fn about(function_code: &str, header: &Header, document: &DocumentReference) -> Self {
        Self {
            function_code: function_code.to_owned(),
            functional_reference_id: header.functional_reference_id.clone(),
            issue_date_time: Some(header.issue_date_time),
            additional_information: Vec::new(),
            amendment: Vec::new(),
            bank: None,
            error: Vec::new(),
            status: Vec::new(),
            declaration: Answered {
                id: Some(document.id.clone()),
                version_id: document.version_id,
                functional_reference_id: document.functional_reference_id.clone(),
                ..Answered::default()
            },
            corrections: Vec::new(),
        }
    }

    /// Makes the canonical message: a validation of 01 and 03, a utilisation result of 09 with
    /// write-offs from one certificate; none of the others. To be registered (02) is not to be
    /// accepted.
    pub fn to_message(&self, context: Context<'_>) -> Option<Message> {
        match self.function_code.as_str() {
            "01" | "03" => Some(Message::Validation(Box::new(self.validation(context)?))),
            "09" => Some(Message::Utilisation(Box::new(self.utilisation(context)?))),
            _ => None,
        }
    }

    fn header(&self, context: Context<'_>, type_code: &str) -> Header {
        Header {
            function_code: FunctionCode::Response,
            functional_reference_id: self.functional_reference_id.clone(),
            type_code: type_code.to_owned(),
            id: self.functional_reference_id.clone(),
            version_id: 1,
            issue_date_time: self.issue_date_time.unwrap_or(context.received_at),
            agreement_id: context.agreement_id.to_owned(),
            sharing_level: context.sharing_level,
        }
    }

    fn document(&self, subject: DocumentType) -> Option<DocumentReference> {
        let Answered { id, functional_reference_id, version_id, .. } = &self.declaration;
        Some(DocumentReference {
            document_type: subject.code().to_owned(),
            id: id.clone().or_else(|| functional_reference_id.clone())?,
            version_id: *version_id,
            functional_reference_id: functional_reference_id.clone(),
            effective_date: None,
        })
    }

    fn validation(&self, context: Context<'_>) -> Option<Validation> {
        let errors = self.error.iter().map(|error| ValidationError {
            pointer: ids::path(&error.pointer).unwrap_or_default(),
            rule: error.validation_code.clone().unwrap_or_default(),
            remedy: error.description.clone().unwrap_or_default(),
        });
        let is_rejected = self.function_code == "03";
        Some(Validation {
            header: self.header(context, VALIDATION_TYPE_CODE),
            document: self.document(context.subject)?,
            outcome: if is_rejected { Outcome::Rejected } else { Outcome::Accepted },
            errors: errors.collect(),
        })
    }

    fn utilisation(&self, context: Context<'_>) -> Option<UtilisationResult> {
        let shipment = self.declaration.goods_shipment.as_ref()?;
        let mut certificate: Option<&AdditionalDocument> = None;
        let mut items = Vec::new();
        for item in &shipment.government_agency_goods_item {
            let is_certificate = |doc: &&AdditionalDocument| doc.type_code == CERTIFICATE_TYPE_CODE;
            let document = item.additional_document.iter().find(is_certificate)?;
            if certificate.is_some_and(|certificate| certificate.id != document.id) {
                return None;
            }
            certificate = Some(document);
            let statement = self.additional_information.iter().find(|statement| {
                statement.statement_type_code.as_deref() == Some(DECISION)
                    && statement.pointer.last().and_then(|pointer| pointer.sequence)
                        == Some(item.sequence_numeric)
            })?;
            items.push(UtilisationItem {
                sequence: item.sequence_numeric,
                certificate_item: document.line_numeric?,
                decision: decision(statement.statement_code.as_deref()?)?,
                write_off: document.write_off.clone().unwrap_or_default(),
                balance: None,
                reason_codes: Vec::new(),
                reason: statement.statement_description.clone(),
                refused: None,
                earlier_debits: Vec::new(),
            });
        }
        let certificate = certificate?;
        let decided = self.status.iter().find_map(|status| status.effective_date_time);
        Some(UtilisationResult {
            header: self.header(context, UTILISATION_TYPE_CODE),
            certificate: DocumentReference {
                document_type: DocumentType::Certificate.code().to_owned(),
                id: certificate.id.clone(),
                version_id: None,
                functional_reference_id: None,
                effective_date: certificate.effective_date,
            },
            claim: self.document(DocumentType::Import)?,
            decision_date: decided.unwrap_or(context.received_at).utc_date(),
            officer_id: String::new(),
            items,
        })
    }
}

const DECISIONS: [(Decision, &str); 5] = [
    (Decision::Granted, "GRA"),
    (Decision::GrantedInPart, "PAR"),
    (Decision::Denied, "DEN"),
    (Decision::Query, "QRY"),
    (Decision::Provisional, "PRV"),
];

fn decision_code(decision: Decision) -> &'static str {
    DECISIONS.iter().find(|(known, _)| *known == decision).map_or("QRY", |(_, code)| code)
}

fn decision(code: &str) -> Option<Decision> {
    DECISIONS.iter().find(|(_, known)| *known == code).map(|(decision, _)| *decision)
}
