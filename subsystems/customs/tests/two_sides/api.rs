//! The description of the REST interface against what is really read and answered.

mod checks;
mod files;
mod misfits;
mod named;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use karvan_customs::api::INTERFACE;
use karvan_customs::messages::Message;
use karvan_customs::samples::{Consignment, shipped};
use karvan_subsystem::openapi;
use karvan_types::json;
use serde_json::{Map, Value, json};

use crate::exchange::{Exchange, customs_of, issuer_of};

const FOLDER: &str = env!("CARGO_MANIFEST_DIR");

/// The schemas of the document, each ready to judge.
struct Judge {
    schemas: Map<String, Value>,
}

impl Judge {
    fn new() -> Self {
        let exchange = Exchange::new("2026-10-05T05:00:00Z".parse().expect("an instant"));
        let document = openapi::document(exchange.pk.customs()).expect("an interface");
        let schemas = document["components"]["schemas"].as_object().expect("schemas").clone();
        Self { schemas }
    }

    /// Returns what a schema holds against a value.
    fn against(&self, name: &str, value: &Value) -> Vec<String> {
        let schema = json!({
            "$ref": format!("#/components/schemas/{name}"),
            "components": { "schemas": self.schemas },
        });
        let schema = jsonschema::options()
            .should_validate_formats(true)
            .build(&schema)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        schema
            .iter_errors(value)
            .map(|error| format!("{name}{}: {error}", error.instance_path()))
            .collect()
    }
}

fn read(path: &Path) -> Value {
    let bytes = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&bytes).expect("JSON")
}

/// The messages that the interface takes, by schema and document type.
const TAKEN: [(&str, &str); 6] = [
    ("ExportDeclaration", "EXD"),
    ("ImportClaim", "IMP"),
    ("CertificateOfOrigin", "COO"),
    ("Cancellation", "CXL"),
    ("Amendment", "AMD"),
    ("TransportReport", "TRN"),
];

/// Every message of the samples and of the catalogue that the parser takes, with its schema.
fn sample_messages() -> Vec<(&'static str, &'static str, Value)> {
    let mut found = Vec::new();
    for consignment in shipped() {
        for step in consignment.steps {
            let members = [
                ("certificate", "CertificateOfOrigin", "COO"),
                ("cancellation", "Cancellation", "CXL"),
                ("claim", "ImportClaim", "IMP"),
                ("declaration", "ExportDeclaration", "EXD"),
            ];
            for (member, schema, code) in members {
                if let Some(message) = step.input.get(member).filter(|value| value.is_object()) {
                    // A transport report is handed in like a declaration.
                    let reports = member == "declaration" && message.get("event").is_some();
                    let (schema, code) =
                        if reports { ("TransportReport", "TRN") } else { (schema, code) };
                    found.push((schema, code, message.clone()));
                }
            }
        }
    }
    found
}

#[test]
fn the_table_is_sound() {
    let exchange = Exchange::new("2026-10-05T05:00:00Z".parse().expect("an instant"));
    assert_eq!(openapi::problems(exchange.pk.customs()), Vec::<String>::new());
}

#[test]
fn schemas_take_every_message_that_the_parser_takes() {
    let judge = Judge::new();
    let mut messages = sample_messages();
    for (schema, code) in TAKEN {
        let path = PathBuf::from(FOLDER).join(format!("testdata/messages/{code}.json"));
        messages.push((schema, code, read(&path)));
    }
    assert!(messages.len() > 60, "only {} messages", messages.len());
    for (schema, code, message) in messages {
        let text = json::canonical(&message).expect("canonical");
        assert!(Message::parse(code, &text).is_ok(), "the parser refuses {message}");
        assert_eq!(judge.against(schema, &message), Vec::<String>::new(), "{message}");
    }
}

type Spoil = fn(&mut Value);

#[test]
fn schemas_refuse_what_the_parser_or_the_rules_refuse() {
    let judge = Judge::new();
    let spoils: [(&str, Spoil); 9] = [
        ("an unknown name", |m| m["surprise"] = json!(1)),
        ("no number", |m| drop(m.as_object_mut().and_then(|m| m.remove("ID")))),
        ("an empty reference", |m| m["FunctionalReferenceID"] = json!(" ")),
        ("a long reference", |m| m["FunctionalReferenceID"] = json!("x".repeat(36))),
        ("a number as text", |m| m["VersionID"] = json!("1")),
        ("an unknown function", |m| m["FunctionCode"] = json!("99")),
        ("an instant without offset", |m| m["IssueDateTime"] = json!("2026-10-05T10:00:00")),
        ("an unknown level", |m| m["sharingLevel"] = json!("L9")),
        ("a list", |m| *m = json!([])),
    ];
    for (schema, code) in TAKEN {
        let path = PathBuf::from(FOLDER).join(format!("testdata/messages/{code}.json"));
        for (what, spoil) in spoils {
            let mut message = read(&path);
            spoil(&mut message);
            assert!(!judge.against(schema, &message).is_empty(), "{schema} takes {what}");
        }
    }
    let quantities = [json!(2000), json!("2E4"), json!("-1"), json!("1,5"), json!("٣"), json!("")];
    for value in quantities {
        let path = PathBuf::from(FOLDER).join("testdata/messages/COO.json");
        let mut message = read(&path);
        message["GovernmentAgencyGoodsItem"][0]["quantity"]["value"] = value.clone();
        assert!(!judge.against("CertificateOfOrigin", &message).is_empty(), "{value}");
    }
}

/// Plays a sample and takes down what is handed in and answered, under the names that the table
/// of endpoints uses.
async fn record() -> BTreeMap<&'static str, Value> {
    let all = shipped();
    let by_id = |id: &str| all.iter().find(|c| c.id == id).expect("a sample").clone();
    let mut recorded = BTreeMap::new();
    let clean: Consignment = by_id("clean-grant");
    let mut exchange = Exchange::new(clean.today);
    for step in &clean.steps {
        let taken = match step.operation.as_str() {
            "certificate" => Some(("COO", "certificate", "certificate-issued")),
            "submit" => Some(("EXD", "declaration", "export-submitted")),
            "claim" => Some(("IMP", "claim", "claimed")),
            _ => None,
        };
        if step.operation == "decide" {
            break;
        }
        let output = exchange.play(&clean, step).await.expect("played");
        if let Some((input_name, member, output_name)) = taken {
            recorded.insert(input_name, step.input[member].clone());
            recorded.insert(output_name, output);
        }
    }
    record_asked(&mut exchange, &mut recorded, &clean).await;
    checks::record(&mut recorded).await;
    files::record(&mut recorded).await;
    recorded
}

/// Takes down what is answered about a consignment that was filed.
async fn record_asked(
    exchange: &mut Exchange,
    recorded: &mut BTreeMap<&'static str, Value>,
    clean: &Consignment,
) {
    let importer = customs_of(clean.to);
    let exporter = customs_of(clean.from);
    let issuer = issuer_of(clean.from);
    let claim = recorded["claimed"]["claim"].as_str().expect("a claim").to_owned();
    let export = recorded["EXD"]["ID"].as_str().expect("an export").to_owned();
    let certificate = recorded["COO"]["ID"].as_str().expect("a certificate").to_owned();
    let ucr = recorded["EXD"]["GoodsShipment"]["UCR"]["ID"].as_str().expect("a UCR").to_owned();
    let decision = json!({ "decision": "grant" });
    recorded.insert("decision-request", decision);
    let asks = [
        ("decided", "decide", json!({ "claim": claim, "item": 1, "decision": "grant" })),
        ("certificate", "show", json!({ "certificate": certificate })),
        ("ledger", "ledger", json!({ "certificate": certificate })),
        ("export", "show", json!({ "export": export })),
        ("claim", "show", json!({ "claim": claim })),
        ("consignment", "show", json!({ "consignment": ucr })),
        ("certificates", "browse", json!({ "what": "certificates", "limit": 2 })),
        ("exports", "browse", json!({ "what": "exports" })),
        ("claims", "browse", json!({ "what": "claims" })),
        ("tasks", "browse", json!({ "what": "tasks" })),
        ("parked", "browse", json!({ "what": "parked" })),
        ("overrides", "browse", json!({ "what": "overrides" })),
        ("rates", "tariff", json!({ "code": "39011000", "day": "2026-10-05", "origin": "AZ" })),
    ];
    for (name, operation, input) in asks {
        let output = exchange.act(&importer, operation, input).await;
        recorded.insert(name, output.unwrap_or_else(|refusal| panic!("{name}: {refusal:?}")));
    }
    let words = json!({ "text": "the importer handed in the transport document" });
    recorded.insert("words", words.clone());
    for (name, answer, code, id, by) in [
        ("export-CXL", "export-cancelled", "EXD", &export, &exporter),
        ("CXL", "certificate-cancelled", "COO", &certificate, &issuer),
    ] {
        let reference = format!("AZ-CXL-{code}-1");
        let head = &recorded[code];
        let cancellation = json!({
            "FunctionCode": "1", "FunctionalReferenceID": reference, "TypeCode": head["TypeCode"],
            "ID": id, "VersionID": 1, "IssueDateTime": "2026-10-05T09:00:00+04:00",
            "agreementID": head["agreementID"], "sharingLevel": head["sharingLevel"],
            "document": { "documentType": code, "ID": id }, "ChangeReasonCode": "1",
            "StatementDescription": "issued twice by mistake",
        });
        let operation = if code == "COO" { "certificate" } else { "submit" };
        let input = json!({ "cancellation": cancellation });
        let output = exchange.act(by, operation, input).await.expect("cancelled");
        recorded.insert(answer, output);
        recorded.insert(name, cancellation);
    }
    let open = exchange.act(&importer, "browse", json!({ "what": "tasks" })).await.expect("tasks");
    let number = open["rows"][0]["number"].clone();
    recorded.insert("tasks", open);
    let input = json!({ "task": number, "text": words["text"] });
    let closed = exchange.act(&importer, "resolve", input).await.expect("closed");
    recorded.insert("task", closed);
    let reopening = json!({ "claim": claim, "item": 1, "text": words["text"] });
    let output = exchange.act(&importer, "reopen", reopening).await.expect("reopened");
    recorded.insert("reopened", output);
    recorded.insert("quota", quota());
}

/// The paths of all members of a value, without the places in lists.
fn names(value: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open = vec![(String::new(), value)];
    while let Some((path, value)) = open.pop() {
        match value {
            Value::Object(members) => {
                for (name, member) in members {
                    open.push((format!("{path}/{name}"), member));
                }
            }
            Value::Array(items) => open.extend(items.iter().map(|item| (path.clone(), item))),
            _ => {}
        }
        found.insert(path);
    }
    found
}

/// No shipped tariff has a quota, so this one is made up.
fn quota() -> Value {
    json!({
        "quota": { "id": "PK-AZ-0802", "quantity": "500000", "unit": "KGM" },
        "account": "PK:PK-AZ-0802:2026-01-01",
        "balance": { "value": "480000", "unit": "KGM" },
        "requests": [],
    })
}

#[tokio::test]
async fn examples_are_what_is_really_answered_and_fit_their_schemas() {
    let recorded = serde_json::to_value(record().await).expect("JSON");
    let path = PathBuf::from(FOLDER).join("src/api/examples/recorded.json");
    if std::env::var_os("KARVAN_UPDATE_EXPECTED").is_some() {
        let text = serde_json::to_string_pretty(&recorded).expect("JSON") + "\n";
        fs::write(&path, text).expect("written");
    }
    let stored = read(&path);
    for (name, value) in stored.as_object().expect("an object") {
        let gone = names(value).into_iter().find(|path| !names(&recorded[name]).contains(path));
        assert_eq!(gone, None, "{name} shows what is no longer answered; record it anew");
    }
    let judge = Judge::new();
    for endpoint in INTERFACE.endpoints {
        let body = endpoint.body.map(|body| (body.schema, body.example));
        let answer = (endpoint.answer.schema, endpoint.answer.example);
        for (schema, example) in body.into_iter().chain([answer]) {
            for value in [&recorded[example], &stored[example]] {
                assert_eq!(judge.against(schema, value), Vec::<String>::new(), "{}", endpoint.id);
            }
        }
    }
}

#[tokio::test]
async fn pages_follow_each_other_without_gap_or_overlap() {
    let all = karvan_customs::samples::generate(25, 2026);
    let mut exchange = Exchange::new(all.first().expect("some").today);
    for consignment in &all {
        for step in &consignment.steps {
            // Outcomes are judged elsewhere; here only what they leave behind counts.
            let _ = exchange.play(consignment, step).await;
        }
    }
    let importer = customs_of("PK".parse().expect("PK"));
    for what in ["certificates", "exports", "claims"] {
        let mut lists = Vec::new();
        for limit in [1, 7, 200] {
            let (mut rows, mut cursor) = (Vec::new(), Value::Null);
            loop {
                let mut input = json!({ "what": what, "limit": limit });
                if !cursor.is_null() {
                    input["cursor"] = cursor;
                }
                let page = exchange.act(&importer, "browse", input).await.expect("a page");
                rows.extend(page["rows"].as_array().expect("rows").clone());
                cursor = page["next"].clone();
                if cursor.is_null() {
                    break;
                }
            }
            lists.push(rows);
        }
        assert!(lists[0].len() > 5, "{what}: {}", lists[0].len());
        assert!(lists.iter().all(|list| *list == lists[0]), "{what} differs by page size");
    }
}
