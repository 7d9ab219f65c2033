//! JSON Schema of messages and answers, made from the types.
//!
//! What a type cannot say, how long a text may be and which characters it has, comes from the table
//! of formats that validation walks (`crate::validate`).

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::views;
use crate::messages::{
    Amendment, Cancellation, CertificateOfOrigin, ExportDeclaration, ImportClaim, TransportReport,
};
use crate::validate::{Format, format_of};

/// Returns every schema by name.
pub(super) fn schemas() -> Map<String, Value> {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut generator = settings.into_generator();
    let mut all = Map::new();
    messages(&mut generator, &mut all);
    answers(&mut generator, &mut all);
    for (name, definition) in generator.take_definitions(true) {
        all.entry(name).or_insert(definition);
    }
    for (name, schema) in &mut all {
        refine(schema, name);
    }
    all
}

fn add<T: JsonSchema>(generator: &mut SchemaGenerator, all: &mut Map<String, Value>, name: &str) {
    let schema = generator.root_schema_for::<T>().to_value();
    let schema = without_definitions(schema);
    all.insert(name.to_owned(), schema);
}

/// A root brings what it refers to; those stand beside it instead.
fn without_definitions(mut schema: Value) -> Value {
    if let Some(members) = schema.as_object_mut() {
        for name in ["components", "$defs", "title"] {
            members.remove(name);
        }
    }
    schema
}

fn messages(generator: &mut SchemaGenerator, all: &mut Map<String, Value>) {
    add::<ExportDeclaration>(generator, all, "ExportDeclaration");
    add::<ImportClaim>(generator, all, "ImportClaim");
    add::<CertificateOfOrigin>(generator, all, "CertificateOfOrigin");
    add::<Cancellation>(generator, all, "Cancellation");
    add::<Amendment>(generator, all, "Amendment");
    add::<TransportReport>(generator, all, "TransportReport");
    add::<views::ConfirmationRequest>(generator, all, "ConfirmationRequest");
    add::<views::VerificationRequest>(generator, all, "VerificationRequest");
    add::<views::AnswerRequest>(generator, all, "AnswerRequest");
    add::<views::DecisionRequest>(generator, all, "DecisionRequest");
    add::<views::Words>(generator, all, "Words");
    add::<views::XmlMessage>(generator, all, "XmlMessage");
    add::<views::EdifactInterchange>(generator, all, "EdifactInterchange");
    add::<views::DayReport>(generator, all, "DayReport");
    add::<views::OutageRequest>(generator, all, "OutageRequest");
}

fn answers(generator: &mut SchemaGenerator, all: &mut Map<String, Value>) {
    add::<views::Submitted>(generator, all, "Submitted");
    add::<views::CertificateView>(generator, all, "CertificateView");
    add::<views::LedgerView>(generator, all, "LedgerView");
    add::<views::ExportView>(generator, all, "ExportView");
    add::<views::Claimed>(generator, all, "Claimed");
    add::<views::Decided>(generator, all, "Decided");
    add::<views::ConsignmentView>(generator, all, "ConsignmentView");
    add::<views::TaskView>(generator, all, "TaskView");
    add::<views::RatesView>(generator, all, "Rates");
    add::<views::QuotaView>(generator, all, "QuotaView");
    add::<views::PageOf<views::CertificateSummary>>(generator, all, "CertificatePage");
    add::<views::PageOf<views::ExportSummary>>(generator, all, "ExportPage");
    add::<views::PageOf<views::ItemSummary>>(generator, all, "ClaimPage");
    add::<views::PageOf<views::TaskView>>(generator, all, "TaskPage");
    add::<views::PageOf<views::ParkedView>>(generator, all, "ParkedPage");
    add::<views::PageOf<views::DecisionView>>(generator, all, "OverridePage");
    add::<views::VerificationView>(generator, all, "VerificationView");
    add::<views::RiskView>(generator, all, "RiskView");
    add::<views::PageOf<views::VerificationView>>(generator, all, "VerificationPage");
    add::<views::PageOf<views::CaseView>>(generator, all, "CasePage");
    add::<views::PageOf<views::IncidentView>>(generator, all, "IncidentPage");
    add::<views::HandedIn>(generator, all, "HandedIn");
    add::<views::InterchangeTaken>(generator, all, "InterchangeTaken");
    add::<views::OutageView>(generator, all, "OutageView");
    add::<views::WaitsView>(generator, all, "WaitsView");
}

/// Adds the bounds of the fields, by the name of the element that holds them.
fn refine(schema: &mut Value, holder: &str) {
    let Some(members) = schema.as_object_mut() else { return };
    if let Some(properties) = members.get_mut("properties").and_then(Value::as_object_mut) {
        for (name, property) in properties {
            let path = format!("{holder}/{name}");
            bound(property, &path);
            refine(property, name);
        }
    }
    for name in ["items", "additionalProperties"] {
        if let Some(inner) = members.get_mut(name) {
            refine(inner, holder);
        }
    }
    for name in ["oneOf", "anyOf", "allOf"] {
        for inner in members.get_mut(name).and_then(Value::as_array_mut).into_iter().flatten() {
            refine(inner, holder);
        }
    }
}

/// Adds what the table of formats says about one field; a list passes it on to its items.
fn bound(property: &mut Value, path: &str) {
    let Some(members) = property.as_object_mut() else { return };
    if let Some(items) = members.get_mut("items") {
        return bound(items, path);
    }
    let is = |members: &Map<String, Value>, kind: &str| match members.get("type") {
        Some(Value::String(found)) => found == kind,
        Some(Value::Array(found)) => found.iter().any(|found| found == kind),
        _ => false,
    };
    let format = format_of(path);
    if is(members, "integer") {
        members.remove("format");
        if let Some(Format::Number(digits)) = format {
            members.insert("maximum".to_owned(), json!(10_u64.pow(digits) - 1));
        }
        return;
    }
    let closed = ["enum", "const", "format", "pattern", "maxLength"];
    if !is(members, "string") || closed.iter().any(|name| members.contains_key(*name)) {
        return;
    }
    // Not empty, and at least one character that is no space.
    let filled = "^[\\s\\S]*\\S[\\s\\S]*$";
    let (length, pattern) = match format {
        Some(Format::Id(max) | Format::Text(max)) => (max, filled),
        Some(Format::Country) => (2, "^[A-Z]{2}$"),
        Some(Format::Package) => (2, "^[0-9A-Z]{2}$"),
        Some(Format::Incoterm) => (3, "^[A-Z]{3}$"),
        Some(Format::Mode) => (1, "^[0-9]$"),
        Some(Format::Number(_)) | None => return,
    };
    members.insert("minLength".to_owned(), json!(1));
    members.insert("maxLength".to_owned(), json!(length));
    members.insert("pattern".to_owned(), json!(pattern));
}
