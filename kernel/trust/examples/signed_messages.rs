//! Writes signed messages and documents, with all that is needed to verify them, as one JSON file
//! for verifiers written by others (`tests/foreign/python`).
//!
//!     cargo run -p karvan-trust --example signed_messages -- FILE

use std::error::Error;
use std::fs;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use karvan_trust::document::sign_document;
use karvan_trust::keys::{Algorithm, KeyId, KeyPair, KeyProvider as _, MemoryKeys};
use karvan_trust::message::{
    RequestParts, ResponseParts, SignedHead, Tag, Unsigned, content_digest, sign_batch,
    sign_request, sign_response, write_request, write_response,
};
use karvan_types::{Digest, ExchangeId, Timestamp};
use serde_json::{Value, json};

const CREATED: Timestamp = Timestamp::from_seconds(1_790_000_000);
const CLIENT: &str = "PK/GOV/FBR/customs#sign-1";
const PROVIDER: &str = "AZ/GOV/SCC#sign-1";
const NODE: &str = "AZ/node/baku-1#sign-1";

fn main() -> Result<(), Box<dyn Error>> {
    let file = std::env::args().nth(1).ok_or("name the file to write")?;
    let (keys, mut jwks) = (MemoryKeys::new(), serde_json::Map::new());
    for (seed, name, algorithm) in [
        (1, CLIENT, Algorithm::Ed25519),
        (2, PROVIDER, Algorithm::EcdsaP256Sha256),
        (3, NODE, Algorithm::Ed25519),
    ] {
        let id: KeyId = name.parse()?;
        keys.insert(&id, KeyPair::from_secret(algorithm, &[seed; 32])?)?;
        jwks.insert(name.to_owned(), serde_json::to_value(keys.public(&id))?);
    }
    let mut messages = Vec::new();
    call(&keys, &mut messages)?;
    stored_document(&keys, &mut messages)?;

    let statement = json!({"purpose": "Gömrük və vergi", "version": 3, "parties": ["AZ", "PK"],
        "\u{1f42a}": "caravan", "\u{fb33}": null});
    let signers = [CLIENT.parse()?, PROVIDER.parse()?];
    let document = sign_document("example+jws", &statement, &signers, &keys)?;
    let document = String::from_utf8(document)?;
    let batched = batches(&keys)?;
    let out = json!({"profile": "karvan-sig/1", "keys": jwks, "messages": messages,
        "batched": batched,
        "documents": [{"typ": "example+jws", "signers": [CLIENT, PROVIDER], "text": document,
            "payload": statement}]});
    fs::write(file, serde_json::to_vec_pretty(&out)?)?;
    Ok(())
}

/// A request with query, its answer, and a refusal by the node.
fn call(keys: &MemoryKeys, messages: &mut Vec<Value>) -> Result<(), Box<dyn Error>> {
    let exchange = ExchangeId::new(CREATED, [7; 10]).to_string();
    let agreement = format!("az-pk-customs;3;{}", Digest::of(b"the agreement's text"));
    let body: &[u8] = br#"{"hello": "world"}"#;
    let digest = content_digest(Digest::of(body));
    let parts = RequestParts {
        method: "POST",
        authority: "node.baku.example:8443",
        path: "/r1/AZ/GOV/SCC/customs/declarations",
        query: Some("year=2026&empty=&q=%C9%99"),
        content_type: "application/json; charset=utf-8",
        content_digest: &digest,
        exchange_id: &exchange,
        agreement: &agreement,
        client: "PK/GOV/FBR/customs",
        service: "AZ/GOV/SCC/customs/declarations",
        document: None,
        call: Some(r#"size=18, head=:AAAA:, salt="sssssssssssssssssssssss""#),
        consent: Some("consent-1;ba7816bf8f01cfea414140de5dae2223"),
        purpose: "risk-analysis",
    };
    let minutes = Duration::from_mins(5);
    let request = sign_request(&parts, Tag::Request, CREATED, minutes, &CLIENT.parse()?, keys)?;
    messages.push(request_json("request, Ed25519", &parts, &request, body));
    for (name, status, answer, key) in [
        ("answer, ECDSA P-256", "200", &b"\x00\xff binary"[..], PROVIDER),
        ("refusal by the node, Ed25519", "403", br#"{"code":"agreement-missing"}"#, NODE),
    ] {
        let digest = content_digest(Digest::of(answer));
        let parts = ResponseParts {
            status,
            content_type: "application/octet-stream",
            content_digest: &digest,
            exchange_id: &exchange,
            call: (status == "200").then_some("size=8, head=:BBBB:"),
            request_signature: Some(&request.signature),
        };
        let signed = sign_response(&parts, CREATED, &key.parse()?, keys)?;
        messages.push(response_json(name, &parts, &signed, answer, "request, Ed25519"));
    }
    Ok(())
}

/// Requests that share a signature, and an answer to each; more than one kind of tree.
fn batches(keys: &MemoryKeys) -> Result<Vec<Value>, Box<dyn Error>> {
    let mut messages = Vec::new();
    let agreement = format!("az-pk-customs;3;{}", Digest::of(b"the agreement's text"));
    let digest = content_digest(Digest::of(b"salam"));
    for count in [1, 2, 7] {
        let exchange = |at: u8| ExchangeId::new(CREATED, [at; 10]).to_string();
        let exchanges: Vec<String> = (0..count).map(exchange).collect();
        let parts = |at: usize| RequestParts {
            method: "POST",
            authority: "node.baku.example:8443",
            path: "/r1/AZ/GOV/SCC/customs/declarations",
            query: None,
            content_type: "text/plain",
            content_digest: &digest,
            exchange_id: &exchanges[at],
            agreement: &agreement,
            client: "PK/GOV/FBR/customs",
            service: "AZ/GOV/SCC/customs/declarations",
            document: None,
            call: Some("size=5, head=:AAAA:"),
            consent: None,
            purpose: "risk-analysis",
        };
        let minutes = Duration::from_mins(5);
        let by: KeyId = CLIENT.parse()?;
        let write =
            |at| write_request(&parts(at), Tag::Request, CREATED, minutes, (by.clone(), true));
        let written = (0..exchanges.len()).map(write).collect::<Result<Vec<_>, _>>()?;
        for (at, request) in sign_all(written, keys)?.into_iter().enumerate() {
            let asked = format!("request {at} of {count} under one signature, Ed25519");
            messages.push(request_json(&asked, &parts(at), &request, b"salam"));
            let parts = ResponseParts {
                status: "200",
                content_type: "text/plain",
                content_digest: &digest,
                exchange_id: &exchanges[at],
                call: Some("size=5, head=:BBBB:"),
                request_signature: Some(&request.signature),
            };
            let written = write_response(&parts, CREATED, (PROVIDER.parse()?, true))?;
            let name = format!("answer to {asked}: alone in its batch, ECDSA P-256");
            let signed = written.sign(keys)?;
            messages.push(response_json(&name, &parts, &signed, b"salam", &asked));
        }
    }
    Ok(messages)
}

fn sign_all(written: Vec<Unsigned>, keys: &MemoryKeys) -> Result<Vec<SignedHead>, Box<dyn Error>> {
    let leaves: Vec<Digest> = written.iter().map(Unsigned::leaf).collect();
    let key = written.first().ok_or("nothing to sign")?.key().clone();
    let parts = sign_batch(&leaves, &key, keys)?;
    let complete = written.into_iter().zip(parts);
    Ok(complete.map(|(message, part)| message.signed_with(part)).collect::<Result<_, _>>()?)
}

/// A stored document with an empty body and without query or consent.
fn stored_document(keys: &MemoryKeys, messages: &mut Vec<Value>) -> Result<(), Box<dyn Error>> {
    let exchange = ExchangeId::new(CREATED, [9; 10]).to_string();
    let agreement = format!("az-pk-customs;3;{}", Digest::of(b"the agreement's text"));
    let digest = content_digest(Digest::of(b""));
    let parts = RequestParts {
        method: "PUT",
        authority: "node.karachi.example",
        path: "/documents/1",
        query: None,
        content_type: "application/octet-stream",
        content_digest: &digest,
        exchange_id: &exchange,
        agreement: &agreement,
        client: "AZ/GOV/SCC/customs",
        service: "PK/GOV/FBR/customs/documents",
        document: Some("certificate-of-origin/2"),
        call: None,
        consent: None,
        purpose: "preferential-tariff",
    };
    let year = Duration::from_hours(365 * 24);
    let signed = sign_request(&parts, Tag::Document, CREATED, year, &PROVIDER.parse()?, keys)?;
    messages.push(request_json("document, ECDSA P-256", &parts, &signed, b""));
    Ok(())
}

fn request_json(name: &str, parts: &RequestParts<'_>, signed: &SignedHead, body: &[u8]) -> Value {
    let fields = [
        ("Content-Type", Some(parts.content_type)),
        ("Content-Digest", Some(parts.content_digest)),
        ("Karvan-Exchange-Id", Some(parts.exchange_id)),
        ("Karvan-Agreement", Some(parts.agreement)),
        ("Karvan-Client", Some(parts.client)),
        ("Karvan-Service", Some(parts.service)),
        ("Karvan-Document", parts.document),
        ("Karvan-Call", parts.call),
        ("Karvan-Consent", parts.consent),
        ("Karvan-Purpose", Some(parts.purpose)),
    ];
    let mut target = parts.path.to_owned();
    if let Some(query) = parts.query {
        target = format!("{target}?{query}");
    }
    json!({"name": name, "method": parts.method, "authority": parts.authority,
        "target": target, "headers": headers(&fields, signed),
        "body": STANDARD.encode(body), "base": signed.base})
}

fn response_json(
    name: &str,
    parts: &ResponseParts<'_>,
    signed: &SignedHead,
    body: &[u8],
    answers: &str,
) -> Value {
    let fields = [
        ("Content-Type", Some(parts.content_type)),
        ("Content-Digest", Some(parts.content_digest)),
        ("Karvan-Exchange-Id", Some(parts.exchange_id)),
        ("Karvan-Call", parts.call),
    ];
    json!({"name": name, "status": parts.status, "answers": answers,
        "headers": headers(&fields, signed), "body": STANDARD.encode(body), "base": signed.base})
}

fn headers(fields: &[(&str, Option<&str>)], signed: &SignedHead) -> Vec<[String; 2]> {
    let signature = [
        ("Signature-Input", Some(signed.signature_input.as_str())),
        ("Signature", Some(signed.signature.as_str())),
    ];
    let present = fields.iter().chain(&signature);
    present.filter_map(|(name, value)| Some([(*name).to_owned(), (*value)?.to_owned()])).collect()
}
