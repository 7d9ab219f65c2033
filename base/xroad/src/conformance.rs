//! Runs the conformance table in `testdata/conformance`; its README tells how a case is written.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::access::{AccessPath, EndpointRight, Rights};
use crate::fault::BodyFormat;
use crate::head::{BodyHash, request_hash, write_request, write_response};
use crate::header::{
    RequestAdditions, RequestHeaders, ResponseAdditions, passes_in_request, passes_in_response,
};
use crate::id::{member_text, message_id};
use crate::metadata::{self, Client, ListedService, Service, ServiceKind, openapi};
use crate::url::ServiceUrl;
use crate::{
    ClientId, Error, Fault, FaultCode, Method, RepresentedParty, SecurityServerId, ServiceId,
    Spelling, Target,
};

const FILES: [(&str, &str); 9] = [
    ("targets", include_str!("../testdata/conformance/targets.json")),
    ("identifiers", include_str!("../testdata/conformance/identifiers.json")),
    ("headers", include_str!("../testdata/conformance/headers.json")),
    ("heads", include_str!("../testdata/conformance/heads.json")),
    ("faults", include_str!("../testdata/conformance/faults.json")),
    ("urls", include_str!("../testdata/conformance/urls.json")),
    ("access", include_str!("../testdata/conformance/access.json")),
    ("metadata", include_str!("../testdata/conformance/metadata.json")),
    ("live", include_str!("../testdata/conformance/live.json")),
];

/// Fewest cases that the table must hold, so that a file that lost its cases is seen.
const PURE_MIN: usize = 330;
const LIVE_MIN: usize = 83;

/// What every case has; the rest depends on its kind.
#[derive(Deserialize)]
struct Case {
    name: String,
    source: String,
    #[serde(default)]
    live: bool,
    #[serde(default)]
    kind: String,
    error: Option<String>,
    #[serde(default)]
    expect: Value,
    #[serde(flatten)]
    rest: Value,
}

#[test]
fn conformance() {
    let (mut pure, mut live, mut failed) = (0, 0, Vec::new());
    let mut names = std::collections::BTreeSet::new();
    for (file, text) in FILES {
        let cases: Vec<Case> = serde_json::from_str(text).expect(file);
        for case in cases {
            assert!(names.insert(case.name.clone()), "{file}: two cases `{}`", case.name);
            assert!(!case.source.is_empty(), "{file}: `{}` has no source", case.name);
            if case.live {
                // Played between two nodes, in `tests/federation`.
                check_live(&case);
                live += 1;
                continue;
            }
            pure += 1;
            let outcome = run(&case);
            let right = match (&outcome, &case.error) {
                (Ok(value), None) => *value == case.expect,
                (Err(error), Some(part)) => error.to_string().contains(part.as_str()),
                _ => false,
            };
            if !right {
                let wanted = case.error.map_or(case.expect, Value::from);
                failed.push(format!("{file}: {}\n  got  {outcome:?}\n  want {wanted}", case.name));
            }
        }
    }
    assert!(failed.is_empty(), "{} cases failed:\n{}", failed.len(), failed.join("\n"));
    assert!(pure >= PURE_MIN && live >= LIVE_MIN, "only {pure} pure and {live} live cases");
}

/// A live case cannot run here, but it can be well-formed.
fn check_live(case: &Case) {
    let field = |name: &str| case.rest.get(name).unwrap_or(&Value::Null);
    let request = field("request");
    let method = request.get("method").and_then(Value::as_str);
    assert!(method.is_some(), "`{}` has no method", case.name);
    assert!(request.get("target").is_some_and(Value::is_string), "`{}`: target", case.name);
    assert!(request.get("headers").is_some_and(Value::is_array), "`{}`: headers", case.name);
    let status = case.expect.get("status").and_then(Value::as_u64);
    assert!(status.is_some_and(|it| (100..600).contains(&it)), "`{}`: status", case.name);
    let known = ["request", "provider", "provider_state", "legacy_codes"];
    check_fields(case, &case.rest, &known);
    let (heads, bodies) = (["headers", "absent", "once"], ["body", "json"]);
    check_fields(case, &case.expect, &[&["status", "provider"], &heads[..], &bodies].concat());
    let said = bodies.iter().filter(|name| case.expect.get(**name).is_some()).count();
    assert_eq!(said, 1, "`{}` must say what the body is, in one way", case.name);
    let reached = case.expect.get("provider").unwrap_or(&Value::Null);
    check_fields(case, reached, &["method", "target", "headers", "absent", "body", "calls"]);
}

#[track_caller]
fn check_fields(case: &Case, object: &Value, known: &[&str]) {
    let names = object.as_object().into_iter().flatten().map(|(name, _)| name.as_str());
    let strange: Vec<_> = names.filter(|name| !known.contains(name)).collect();
    assert!(strange.is_empty(), "`{}` has unknown fields {strange:?}", case.name);
}

fn run(case: &Case) -> Result<Value, Error> {
    let input = case.rest.get("input").and_then(Value::as_str).unwrap_or_default();
    Ok(match case.kind.as_str() {
        "target" => target(input)?,
        "client" => ClientId::parse(input.as_bytes())?.to_string().into(),
        "service" => ServiceId::parse(input.as_bytes())?.to_string().into(),
        "security-server" => SecurityServerId::parse(input.as_bytes())?.to_string().into(),
        "represented-party" => RepresentedParty::parse(input.as_bytes())?.to_string().into(),
        "message-id" => message_id(input.as_bytes())?.into(),
        "member" => member(input)?,
        "request-headers" => request_headers(case)?,
        "filter" => filter(case),
        "request-head" => request_head(case)?,
        "response-head" => response_head(case)?,
        "fault-code" => fault_code(case),
        "no-fault-code" => {
            FaultCode::parse(input).map_or(Value::Null, |it| it.http_status().into())
        }
        "fault-body" => fault_body(case),
        "url" => ServiceUrl::parse(text(case, "base"))?
            .join(text(case, "path"), case.rest.get("query").and_then(Value::as_str))
            .into(),
        "access-path" => AccessPath::parse(input)?.as_str().into(),
        "access" => access(case)?,
        "method" => Method::parse(input)?.as_str().into(),
        "clients" => clients(case)?,
        "services" => services(case)?,
        "service-code" => json!({
            "service": Service::from_code(input).map(|service| format!("{service:?}")),
            "reserved": metadata::is_reserved(input),
        }),
        "query" => {
            let query = case.rest.get("query").and_then(Value::as_str);
            metadata::query_value(query, text(case, "parameter"))?.map(String::from).into()
        }
        "openapi" => utf8(openapi::reduce(input.as_bytes())?),
        other => panic!("`{}` has the unknown kind `{other}`", case.name),
    })
}

#[track_caller]
fn text<'c>(case: &'c Case, field: &str) -> &'c str {
    let value = case.rest.get(field).and_then(Value::as_str);
    value.unwrap_or_else(|| panic!("`{}` has no text `{field}`", case.name))
}

/// Returns a field's value in the type that is asked for.
#[track_caller]
fn field<T: for<'de> Deserialize<'de>>(case: &Case, name: &str) -> T {
    let value = case.rest.get(name).cloned().unwrap_or_default();
    serde_json::from_value(value).unwrap_or_else(|error| panic!("`{}`: {name}: {error}", case.name))
}

fn utf8(bytes: Vec<u8>) -> Value {
    String::from_utf8(bytes).expect("UTF-8").into()
}

type Headers = Vec<(String, String)>;

fn pairs(headers: &Headers) -> impl Iterator<Item = (&str, &[u8])> {
    headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()))
}

fn target(input: &str) -> Result<Value, Error> {
    let Target { service, path, query } = Target::parse(input)?;
    let ServiceId { instance, class, member, subsystem, service } = service;
    let id = [instance, class, member, subsystem, service];
    Ok(json!({ "id": id, "path": path, "query": query }))
}

fn member(input: &str) -> Result<Value, Error> {
    let client = ClientId::parse(input.as_bytes())?;
    let member = client.to_member()?;
    assert_eq!(ClientId::from_member(&member)?, client);
    let ClientId { instance, class, member: code, subsystem } = &client;
    assert_eq!(member.as_str(), member_text(instance, class, code, subsystem.as_deref()));
    Ok(member.as_str().into())
}

fn request_headers(case: &Case) -> Result<Value, Error> {
    let headers: Headers = field(case, "headers");
    let read = RequestHeaders::read(pairs(&headers))?;
    let all = [
        ("client", Some(read.client.to_string())),
        ("message_id", read.message_id.map(str::to_owned)),
        ("user_id", read.user_id.map(str::to_owned)),
        ("issue", read.issue.map(str::to_owned)),
        ("security_server", read.security_server.map(|it| it.to_string())),
        ("represented_party", read.represented_party.map(|it| it.to_string())),
    ];
    Ok(all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect())
}

fn filter(case: &Case) -> Value {
    let names: Vec<String> = field(case, "headers");
    let passes = match text(case, "direction") {
        "request" => passes_in_request,
        _ => passes_in_response,
    };
    names.into_iter().filter(|name| passes(name)).collect()
}

fn request_head(case: &Case) -> Result<Value, Error> {
    let (headers, body): (Headers, Option<String>) = (field(case, "headers"), field(case, "body"));
    let message_id: Option<String> = field(case, "message_id");
    let additions = RequestAdditions {
        request_id: text(case, "request_id"),
        message_id: message_id.as_deref(),
    };
    let mut head = Vec::new();
    let method = Method::parse(text(case, "method"))?;
    write_request(&mut head, method, text(case, "target"), pairs(&headers), additions);
    let mut hash = BodyHash::default();
    for piece in body.unwrap_or_default().as_bytes().chunks(3) {
        hash.update(piece);
    }
    let hash = request_hash(&head, hash.finish());
    Ok(json!({ "head": utf8(head), "hash": hash }))
}

fn response_head(case: &Case) -> Result<Value, Error> {
    let headers: Headers = field(case, "headers");
    let additions = ResponseAdditions {
        message_id: text(case, "message_id"),
        client: &ClientId::parse(text(case, "client").as_bytes())?.to_string(),
        service: &ServiceId::parse(text(case, "service").as_bytes())?.to_string(),
        request_id: text(case, "request_id"),
        request_hash: text(case, "request_hash"),
    };
    let (status, reason) = (field(case, "status"), text(case, "reason"));
    let mut head = Vec::new();
    write_response(&mut head, status, reason, pairs(&headers), additions);
    Ok(utf8(head))
}

fn fault_code(case: &Case) -> Value {
    let (snake, camel) = (text(case, "snake"), text(case, "camel"));
    let code = FaultCode::parse(snake);
    assert_eq!(code, FaultCode::parse(camel), "`{}`: two spellings, two codes", case.name);
    let code = code.unwrap_or_else(|| panic!("`{}`: the code is unknown", case.name));
    assert_eq!(code.text(Spelling::Snake), snake);
    assert_eq!(code.text(Spelling::Camel), camel);
    code.http_status().into()
}

fn fault_body(case: &Case) -> Value {
    let accept: Vec<String> = field(case, "accept");
    let format = BodyFormat::from_accept(accept.iter().map(String::as_bytes));
    let spelling = match text(case, "spelling") {
        "camel" => Spelling::Camel,
        _ => Spelling::Snake,
    };
    let fault = Fault {
        code: FaultCode::parse(text(case, "code")).expect("a known code"),
        message: text(case, "message").to_owned(),
        detail: text(case, "detail").to_owned(),
    };
    json!({
        "status": fault.code.http_status(),
        "x-road-error": fault.code.text(spelling),
        "content-type": format.content_type(),
        "body": utf8(fault.body(format, spelling)),
    })
}

fn access(case: &Case) -> Result<Value, Error> {
    let rights: Vec<EndpointRight> = field(case, "rights");
    let rights = Rights::compile(&rights)?;
    let method = Method::parse(text(case, "method"))?;
    Ok(rights.allow(method, &AccessPath::parse(text(case, "path"))?).into())
}

fn clients(case: &Case) -> Result<Value, Error> {
    #[derive(Deserialize)]
    struct Given {
        id: String,
        name: String,
        subsystem_name: Option<String>,
    }
    let given: Vec<Given> = field(case, "clients");
    let mut clients = Vec::new();
    for Given { id, name, subsystem_name } in &given {
        let id = ClientId::parse(id.as_bytes())?;
        clients.push(Client { id, name, subsystem_name: subsystem_name.as_deref() });
    }
    let accept: Vec<String> = field(case, "accept");
    let (kind, body) = if metadata::wants_json(accept.iter().map(String::as_bytes)) {
        (metadata::JSON, metadata::clients_json(&clients))
    } else {
        (metadata::XML, metadata::clients_xml(&clients))
    };
    Ok(json!({ "content-type": kind, "body": utf8(body) }))
}

fn services(case: &Case) -> Result<Value, Error> {
    #[derive(Deserialize)]
    struct Given {
        id: String,
        r#type: String,
        endpoints: Vec<EndpointRight>,
    }
    let given: Vec<Given> = field(case, "services");
    let mut services = Vec::new();
    for Given { id, r#type, endpoints } in &given {
        let kind = if r#type == "REST" { ServiceKind::Rest } else { ServiceKind::OpenApi };
        services.push(ListedService { id: ServiceId::parse(id.as_bytes())?, kind, endpoints });
    }
    Ok(utf8(metadata::services_json(&services)))
}
