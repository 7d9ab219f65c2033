//! How processes and catalogs look to people, and catalogs as DCAT-AP.

use std::fmt::Write as _;

use karvan_dataspace::Message as _;
use karvan_dataspace::catalog::{Catalog, Dataset};
use serde_json::{Value, json};

use crate::decide::Decision;
use crate::engine::Engine;
use crate::records::{Direction, Message, Process, Stage};

/// Shows a catalog, with the entries that could not be read.
pub(crate) fn catalog(catalog: &Catalog) -> Value {
    json!({ "catalog": catalog.to_value(), "problems": catalog.problems })
}

/// Shows a process. Tokens are left out.
pub(crate) fn process(process: &Process) -> Value {
    json!({
        "pid": process.pid,
        "peerPid": process.peer_pid,
        "role": process.side,
        "own": process.own,
        "counterparty": process.counterparty,
        "dataset": process.dataset,
        "kind": process.kind,
        "state": process.stage.name(),
        "final": process.stage.is_final(),
        "waitsForPerson": process.waiting,
        "waitsForPeer": process.pending.is_some(),
        "canApprove": Decision::forward(process).is_some(),
        "offer": process.offer,
        "policy": process.policy,
        "agreement": process.agreement,
        "concluded": process.concluded.as_ref().map(ToString::to_string),
        "replaces": process.replaces.as_ref().map(ToString::to_string),
        "format": process.format,
        "hasData": process.data_address.is_some(),
        "cause": process.cause,
        "openedAt": process.opened_at,
        "updatedAt": process.updated_at,
        "deadline": process.deadline,
    })
}

/// Shows a process with everything that was said.
pub(crate) fn timeline(engine: &Engine, one: &Process, messages: &[Message]) -> Value {
    let entry = |message: &Message| {
        let who = match message.direction {
            Direction::Out => "we",
            Direction::In => "they",
        };
        json!({
            "at": message.at,
            "who": who,
            "type": message.kind,
            "state": message.stage.map(Stage::name),
            "decidedBy": message.by,
            "deliveredAt": message.delivered_at,
            "attempts": message.sending.as_ref().map(|sending| sending.attempts),
            "trouble": message.trouble,
            "signed": message.signed.is_some(),
            "evidence": {
                "index": message.leaf.index,
                "state": engine.node().entry_state(message.leaf.index),
            },
            "body": serde_json::from_str::<Value>(&message.body).map(without_secrets).ok(),
        })
    };
    let mut shown = process(one);
    if let Value::Object(members) = &mut shown {
        members.insert("timeline".to_owned(), messages.iter().map(entry).collect());
    }
    shown
}

/// Takes the tokens out of a message.
fn without_secrets(mut body: Value) -> Value {
    let properties = body.pointer_mut("/dataAddress/endpointProperties");
    for property in properties.and_then(Value::as_array_mut).into_iter().flatten() {
        if property.get("name").and_then(Value::as_str) == Some("authorization")
            && let Some(value) = property.get_mut("value")
        {
            *value = "…".into();
        }
    }
    body
}

/// Writes a catalog as DCAT-AP 3 in JSON-LD.
pub(crate) fn dcat_jsonld(catalog: &Catalog) -> Value {
    let datasets: Vec<_> = catalog
        .datasets
        .iter()
        .map(|dataset| {
            json!({
                "@id": iri(&dataset.id),
                "@type": "dcat:Dataset",
                "dct:identifier": dataset.id,
                "dct:title": text_of(dataset, "title"),
                "dct:description": description(dataset),
                "dct:publisher": { "@id": text_of(dataset, "publisher") },
            })
        })
        .collect();
    json!({
        "@context": {
            "dcat": "http://www.w3.org/ns/dcat#",
            "dct": "http://purl.org/dc/terms/",
        },
        "@id": catalog.id,
        "@type": "dcat:Catalog",
        "dct:title": "Open data of this node",
        "dct:description": "Datasets that are shown to everybody",
        "dct:publisher": { "@id": catalog.participant_id },
        "dcat:dataset": datasets,
    })
}

/// Writes a catalog as DCAT-AP 3 in Turtle.
pub(crate) fn dcat_turtle(catalog: &Catalog) -> String {
    let mut out = String::from(
        "@prefix dcat: <http://www.w3.org/ns/dcat#> .\n\
         @prefix dct: <http://purl.org/dc/terms/> .\n",
    );
    let publisher = catalog.participant_id.as_deref().unwrap_or_default();
    let _ = write!(
        out,
        "\n<{}> a dcat:Catalog ;\n    dct:title \"Open data of this node\" ;\n    \
         dct:description \"Datasets that are shown to everybody\" ;\n    dct:publisher <{}> .\n",
        escaped_iri(&catalog.id),
        escaped_iri(publisher)
    );
    for dataset in &catalog.datasets {
        let id = iri(&dataset.id);
        let _ = write!(
            out,
            "\n<{}> dcat:dataset <{id}> .\n<{id}> a dcat:Dataset ;\n    dct:identifier {} ;\n    \
             dct:title {} ;\n    dct:description {} ;\n    dct:publisher <{}> .\n",
            escaped_iri(&catalog.id),
            literal(&dataset.id),
            literal(&text_of(dataset, "title")),
            literal(&description(dataset)),
            escaped_iri(&text_of(dataset, "publisher"))
        );
    }
    out
}

fn text_of(dataset: &Dataset, name: &str) -> String {
    dataset.properties.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// DCAT-AP demands a description.
fn description(dataset: &Dataset) -> String {
    let written = text_of(dataset, "description");
    if written.is_empty() { text_of(dataset, "title") } else { written }
}

fn iri(id: &str) -> String {
    let id = escaped_iri(id);
    if id.contains(':') { id } else { format!("urn:karvan:dataset:{id}") }
}

/// Escapes what an IRI in Turtle must not hold (Turtle, section 6.5, IRIREF).
fn escaped_iri(text: &str) -> String {
    let mut out = String::new();
    for letter in text.chars() {
        if letter <= ' ' || "<>\"{}|^`\\".contains(letter) {
            for byte in letter.to_string().bytes() {
                let _ = write!(out, "%{byte:02X}");
            }
        } else {
            out.push(letter);
        }
    }
    out
}

/// Writes a Turtle string; its escapes are those of JSON, as far as JSON writes any.
fn literal(text: &str) -> String {
    Value::String(text.to_owned()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turtle_survives_any_text() {
        let mut dataset = Dataset { id: "a b<c>".to_owned(), ..Dataset::default() };
        dataset.properties.insert("title".to_owned(), "say \"hi\"\n\\".into());
        let catalog =
            Catalog { id: "urn:x".to_owned(), datasets: vec![dataset], ..Catalog::default() };
        let text = dcat_turtle(&catalog);
        assert!(text.contains("<urn:karvan:dataset:a%20b%3Cc%3E> a dcat:Dataset"), "{text}");
        assert!(text.contains(r#"dct:title "say \"hi\"\n\\" ;"#), "{text}");
        let json = dcat_jsonld(&catalog);
        assert_eq!(json["dcat:dataset"][0]["dct:title"], "say \"hi\"\n\\");
    }
}
