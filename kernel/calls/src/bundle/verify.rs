//! Verification of a call's bundle, offline: public keys in, plain words out.
//!
//! The account of the node that made the bundle is only a guide: everything in it that the messages
//! tell too is compared with them, and the log entry is computed from the messages.
//!
//! Not here: what bundles of every kind are checked for (`karvan_exchange::bundle::check`).

use karvan_exchange::bundle::check::{self, Deed, Log, Opened, Report};
use karvan_exchange::bundle::{file_name, name};
use karvan_trust::keys::Owner;
use karvan_trust::message::{ParsedBase, Parts, RequestParts, ResponseParts, Tag};
use karvan_trust::message::{content_digest, parse_base};
use karvan_types::{AgreementRef, Digest, MemberId, Timestamp, json};
use karvan_xroad::access::{AccessPath, EndpointRight, Rights};
use karvan_xroad::head::{BodyHash, request_hash};
use karvan_xroad::metadata::is_reserved;
use karvan_xroad::{ClientId, Method, Target, header};

use super::{ACCOUNT, ANSWER, FORMAT, PROBLEM, REQUEST, provider};
use crate::evidence;
use crate::records::{Call, Half, Outcome};
use crate::wire::{CallField, Refusal};

/// Bodies of the call, from whoever has them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bodies<'a> {
    /// That of the request.
    pub request: Option<&'a [u8]>,
    /// That of the answer.
    pub answer: Option<&'a [u8]>,
}

/// A request that holds.
struct Asked {
    at: Timestamp,
    provider: MemberId,
    code: String,
    /// What the answer must call it, when the body is known.
    hash: Option<String>,
}

/// Verifies a bundle. `root` is the federation root from outside, as the signed document.
pub fn verify(bundle: &[u8], root: Option<&[u8]>, bodies: Bodies<'_>) -> Report {
    let mut report = Report::default();
    let Some(opened) = check::open(&mut report, bundle, root, FORMAT) else { return report };
    let Some(mut call) = check_account(&mut report, &opened) else { return report };
    let asked = if call.outcome == Outcome::Refused && opened.files.get(REQUEST.base).is_none() {
        report.gaps.push("the request was refused before it was signed, so it is not here".into());
        None
    } else {
        let Some(asked) = check_request(&mut report, &opened, &mut call, bodies) else {
            return report;
        };
        Some(asked)
    };
    if let Some(asked) = &asked {
        check_agreement(&mut report, &opened, &call, asked);
    }
    match call.outcome {
        Outcome::Answered => check_answer(&mut report, &opened, &mut call, asked.as_ref(), bodies),
        Outcome::Refused => check_refusal(&mut report, &opened, &mut call, asked.is_some()),
        Outcome::Unanswered => {
            if opened.files.get(ANSWER.base).is_some() {
                report.bad("answer", "call.json says that there is none, but there is one");
            }
            report.gaps.push(
                "no answer is here: whether the provider's system acted is not known; its node \
                 may know more"
                    .into(),
            );
        }
    }
    check_proofs(&mut report, &opened, &call);
    report
}

fn check_account(report: &mut Report, opened: &Opened) -> Option<Call> {
    let read = || {
        let bytes = opened.files.get(ACCOUNT).ok_or("it is missing")?;
        let call: Call = json::from_slice(bytes).map_err(|error| error.to_string())?;
        if call.request.is_some() || call.response.is_some() {
            return Err("it holds a message; those have files of their own".to_owned());
        }
        provider(&call.service).map_err(|error| error.to_string())?;
        let how = match call.outcome {
            Outcome::Answered => "answered",
            Outcome::Refused => "refused",
            Outcome::Unanswered => "not answered",
        };
        let text = format!(
            "as the node says, {} called {} and was {how}: message {}, exchange {}, {} to {}",
            call.client, call.service, call.message, call.exchange, call.began_at, call.ended_at
        );
        Ok((call, text))
    };
    report.note(ACCOUNT, read())
}

/// Verifies a message; fills in its half for the log entry.
fn message<'a>(
    opened: &'a Opened,
    names: &super::Message,
    into: &mut Option<Half>,
) -> Result<(check::Message, ParsedBase<'a>), String> {
    let message = check::message(opened, names.base, names.signature)?;
    let base = opened.files.text(names.base).unwrap_or_default();
    let parsed = parse_base(base).map_err(|refusal| format!("{}: {refusal}", names.base))?;
    let signed = &message.signed;
    let (base, signature) = (signed.base.clone(), signed.signature.clone());
    *into = Some(Half { base, signature, head: String::new() });
    Ok((message, parsed))
}

fn check_request(
    report: &mut Report,
    opened: &Opened,
    call: &mut Call,
    bodies: Bodies<'_>,
) -> Option<Asked> {
    let mut half = None;
    let outcome = message(opened, &REQUEST, &mut half).and_then(|(message, parsed)| {
        let Parts::Request(parts) = parsed.parts else {
            return Err(format!("{} is that of an answer", REQUEST.base));
        };
        if parsed.params.tag != Tag::Request {
            return Err(format!("{} is that of a document", REQUEST.base));
        }
        if !message.owner.speaks_for(parts.client) {
            return Err(format!("{} signed in the name of {}", message.owner, parts.client));
        }
        let field = read_request(opened, &parts, call)?;
        let text = format!(
            "{} asked {} at {}: {} {}, {} bytes ({}), message {}, purpose {}",
            call.client,
            call.service,
            message.at,
            parts.method,
            target(&parts),
            field.size,
            parts.content_digest,
            call.message,
            parts.purpose
        );
        let provider = provider(&call.service).map_err(|error| error.to_string())?;
        let path = target(&parts);
        let service = Target::parse(&path).map_err(|error| error.to_string())?.service;
        let code = service.service.into_owned();
        let asked = Asked { at: message.at, provider, code, hash: None };
        Ok(((asked, field.size, parts.content_digest), text))
    });
    let (mut asked, size, digest) = report.note("request", outcome)?;
    call.request = half;
    let known = check_body(report, "request", bodies.request, size, digest);
    let head = opened.files.get(REQUEST.head).unwrap_or_default();
    asked.hash = known.map(|body| {
        let mut hash = BodyHash::default();
        hash.update(body);
        request_hash(head, hash.finish())
    });
    Some(asked)
}

/// Compares what base, head and account say of the request.
fn read_request<'a>(
    opened: &Opened,
    parts: &RequestParts<'a>,
    call: &Call,
) -> Result<CallField<'a>, String> {
    if parts.exchange_id != call.exchange.to_string()
        || parts.client != call.client.as_str()
        || parts.service != call.service
    {
        return Err("this is the request of another call than call.json tells of".to_owned());
    }
    let field = CallField::read(parts.call.unwrap_or_default()).map_err(|it| it.text)?;
    if field.salt != Some(&call.salt) {
        return Err("the salt in call.json is not the one that was signed".to_owned());
    }
    let head = head(opened, REQUEST.head, field.head)?;
    let client = value(head, header::CLIENT).unwrap_or_default();
    let client = ClientId::parse(client).and_then(|client| client.to_member());
    let said = [
        (line(head, 0), Some(parts.method.as_bytes())),
        (line(head, 1), Some(target(parts).as_bytes())),
        (value(head, header::ID), Some(call.message.as_bytes())),
        (value(head, header::REQUEST_ID), Some(parts.exchange_id.as_bytes())),
    ]
    .into_iter()
    .all(|(found, expected)| found == expected);
    if !said || client.ok().as_ref() != Some(&call.client) {
        return Err(format!("{} and {} tell of different requests", REQUEST.head, REQUEST.base));
    }
    Ok(field)
}

/// Returns path and query as they were sent.
fn target(parts: &RequestParts<'_>) -> String {
    match parts.query {
        None => parts.path.to_owned(),
        Some(query) => format!("{}?{query}", parts.path),
    }
}

/// Returns a head that has the signed digest.
fn head<'a>(opened: &'a Opened, file: &str, digest: Digest) -> Result<&'a [u8], String> {
    let bytes = opened.files.get(file).ok_or_else(|| format!("{file} is missing"))?;
    if Digest::of(bytes) != digest {
        return Err(format!("{file} is not the head that was signed"));
    }
    Ok(bytes)
}

fn lines(head: &[u8]) -> impl Iterator<Item = &[u8]> {
    head.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line))
}

fn line(head: &[u8], number: usize) -> Option<&[u8]> {
    lines(head).nth(number)
}

/// Returns the last value of a header, which is the one that counts (`karvan_xroad::header`).
pub(crate) fn value<'a>(head: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let values = lines(head).skip(2).filter_map(|line| {
        let (found, value) = line.split_at_checked(name.len())?;
        found.eq_ignore_ascii_case(name.as_bytes()).then_some(value)?.strip_prefix(b":")
    });
    values.last()
}

/// Compares a body with its signed digest; returns it when it is known.
fn check_body<'a>(
    report: &mut Report,
    part: &str,
    given: Option<&'a [u8]>,
    size: u64,
    digest: &str,
) -> Option<&'a [u8]> {
    let file = format!("body of the {part}");
    let option = if part == "request" { "--request-body" } else { "--body" };
    let same = |body: &[u8]| content_digest(Digest::of(body)) == digest;
    match given {
        Some(body) if same(body) => {
            report.good(&file, "the given file is the one that was signed");
            Some(body)
        }
        Some(_) => {
            report.bad(&file, "the given file is not the one that was signed");
            None
        }
        None if size == 0 && same(&[]) => Some(&[]),
        None => {
            let text = format!("the {file} ({size} bytes) is not here; give it with {option}");
            report.gaps.push(text);
            None
        }
    }
}

fn check_agreement(report: &mut Report, opened: &Opened, call: &Call, asked: &Asked) {
    let base = call.request.as_ref().map(|half| half.base.as_str()).unwrap_or_default();
    let Ok(ParsedBase { parts: Parts::Request(parts), .. }) = parse_base(base) else { return };
    let named: AgreementRef = match parts.agreement.parse() {
        Ok(named) => named,
        Err(error) => return report.bad("agreement", format!("the request names none: {error}")),
    };
    if is_reserved(&asked.code) && opened.files.get(name::AGREEMENT).is_none() {
        let text = "the call asks what services there are, for which no agreement is needed";
        return report.good("agreement", text);
    }
    if call.outcome == Outcome::Refused {
        let text = format!("the request names agreement {named}; whether it allows the call is");
        return report.gaps.push(format!("{text} not judged here, for the call was refused"));
    }
    let deed = Deed {
        agreement: &named,
        client: &call.client,
        provider: &asked.provider,
        purpose: parts.purpose,
        at: asked.at,
        what: format!("call {} {} of", parts.method, target(&parts)),
    };
    check::agreement(report, opened, &deed, |agreement| {
        agreement.grants.iter().any(|grant| {
            grant.client == call.client
                && grant.provider == asked.provider
                && (is_reserved(&asked.code)
                    || grant.service(&asked.code).is_some_and(|it| covers(it, &parts)))
        })
    });
    report.gaps.push(format!(
        "whether agreement {} was withdrawn before the call cannot be seen offline; its parties' \
         nodes know",
        named.id
    ));
}

/// Returns whether a grant of the service covers method and path.
fn covers(grant: &karvan_agreements::ServiceGrant, parts: &RequestParts<'_>) -> bool {
    if grant.endpoints.is_empty() {
        return true;
    }
    let rights: Vec<_> = grant
        .endpoints
        .iter()
        .map(|it| EndpointRight { method: it.method.clone(), path: it.path.clone() })
        .collect();
    let target = target(parts);
    let allowed = || {
        let path = AccessPath::parse(Target::parse(&target).ok()?.path).ok()?;
        let method = Method::parse(parts.method).ok()?;
        Some(Rights::compile(&rights).ok()?.allow(method, &path))
    };
    allowed().unwrap_or(false)
}

/// Checks what answers and refusals have in common: that they are bound to this call.
fn bound(parts: &ResponseParts<'_>, call: &Call) -> Result<(), String> {
    let request = call.request.as_ref().map(|half| half.signature.as_str());
    let field = parts.request_signature.map(|it| it.strip_prefix("kvn=").unwrap_or(it));
    if field != request.map(|it| it.strip_prefix("kvn=").unwrap_or(it)) {
        return Err("the answer belongs to another request".to_owned());
    }
    if parts.exchange_id != call.exchange.to_string() {
        return Err("the answer belongs to another exchange".to_owned());
    }
    if Some(parts.status) != call.status.map(|status| status.to_string()).as_deref() {
        return Err("call.json tells of another status than was signed".to_owned());
    }
    Ok(())
}

fn check_answer(
    report: &mut Report,
    opened: &Opened,
    call: &mut Call,
    asked: Option<&Asked>,
    bodies: Bodies<'_>,
) {
    let Some(asked) = asked else { return };
    let mut half = None;
    let outcome = message(opened, &ANSWER, &mut half).and_then(|(message, parsed)| {
        let Parts::Response(parts) = parsed.parts else {
            return Err(format!("{} is that of a request", ANSWER.base));
        };
        bound(&parts, call)?;
        let (owner, provider) = (&message.owner, &asked.provider);
        if !matches!(owner, Owner::Member(_)) || !owner.speaks_for(provider.as_str()) {
            return Err(format!("{owner} answered in the name of {provider}"));
        }
        let field = CallField::read(parts.call.unwrap_or_default()).map_err(|it| it.text)?;
        let head = head(opened, ANSWER.head, field.head)?;
        let hash = value(head, header::REQUEST_HASH);
        let client = call.client.to_string();
        let said = [
            (line(head, 0), parts.status),
            (value(head, header::ID), &call.message),
            (value(head, header::CLIENT), &client),
            (value(head, header::SERVICE), &call.service),
            (value(head, header::REQUEST_ID), parts.exchange_id),
        ]
        .into_iter()
        .all(|(found, expected)| found == Some(expected.as_bytes()));
        let same = asked.hash.as_ref().is_none_or(|known| hash == Some(known.as_bytes()));
        if !said || !same {
            return Err(format!("{} is the head of another answer", ANSWER.head));
        }
        let text = format!(
            "{provider} answered at {} with status {}, {} bytes ({}), and signed that over the \
             signature of the request",
            message.at, parts.status, field.size, parts.content_digest
        );
        Ok(((field.size, parts.content_digest), text))
    });
    call.response = half;
    if let Some((size, digest)) = report.note("answer", outcome) {
        check_body(report, "answer", bodies.answer, size, digest);
    }
}

fn check_refusal(report: &mut Report, opened: &Opened, call: &mut Call, signed: bool) {
    let mut half = None;
    let outcome = message(opened, &ANSWER, &mut half).and_then(|(message, parsed)| {
        let Parts::Response(parts) = parsed.parts else {
            return Err(format!("{} is that of a request", ANSWER.base));
        };
        bound(&parts, call)?;
        let provider = provider(&call.service).map_err(|error| error.to_string())?;
        let nation = if signed { provider.instance() } else { call.client.instance() };
        let Owner::Node(node) = &message.owner else {
            return Err(format!("{} is no node, and only nodes refuse", message.owner));
        };
        if node.instance() != nation {
            return Err(format!("{node} is no node of {nation}"));
        }
        let told = refusal(opened, &parts)?;
        let why = told.as_ref().map_or_else(String::new, |refusal| {
            let cause = &refusal.rejection;
            format!(": {} ({})", cause.text, cause.code)
        });
        let cause = call.cause.as_ref().map(|cause| &cause.code);
        if told.as_ref().is_some_and(|told| Some(&told.rejection.code) != cause) {
            return Err("call.json tells of another cause than was signed".to_owned());
        }
        let text = format!("{node} refused it at {} with status {}{why}", message.at, parts.status);
        Ok((told.is_some(), text))
    });
    call.response = half;
    if report.note("refusal", outcome) == Some(false) {
        let cause = call.cause.as_ref().map_or("nothing", |cause| cause.text.as_str());
        report.gaps.push(format!("why it was refused is only said by call.json: {cause}"));
    }
}

/// Returns why a node refused, as it signed it; nothing when its words were not kept.
fn refusal(opened: &Opened, parts: &ResponseParts<'_>) -> Result<Option<Refusal>, String> {
    if let Some(field) = parts.call {
        let refusal = Refusal::read_field(field);
        return refusal.map(Some).ok_or_else(|| "karvan-call holds no refusal".to_owned());
    }
    let Some(bytes) = opened.files.get(PROBLEM) else { return Ok(None) };
    if content_digest(Digest::of(bytes)) != parts.content_digest {
        return Err(format!("{PROBLEM} is not the refusal that was signed"));
    }
    Refusal::read(bytes).map(Some).ok_or_else(|| format!("{PROBLEM} cannot be read"))
}

fn check_proofs(report: &mut Report, opened: &Opened, call: &Call) {
    let kind = call.outcome.kind();
    let statement = evidence::statement(call);
    let Ok(provider) = provider(&call.service) else { return };
    let mut nations = vec![call.client.instance()];
    // What was refused before it was signed never left the client's node.
    if call.request.is_some() && provider.instance() != call.client.instance() {
        nations.push(provider.instance());
    }
    let logs = Log::all(&opened.lists);
    let mut folders = Vec::new();
    for nation in nations {
        let mut proven = false;
        for log in logs.iter().filter(|log| log.node.instance() == nation) {
            proven |= log.check(report, &opened.files, kind, statement);
            folders.push(format!("proofs/{}/{kind}.", file_name(&log.node)));
        }
        if !proven {
            report.gaps.push(format!("no proof of {kind} from a log of {nation}"));
        }
    }
    let stray = |file: &&str| {
        file.starts_with("proofs/") && !folders.iter().any(|folder| file.starts_with(folder))
    };
    for file in opened.files.names().filter(stray) {
        report.bad(file, "this is no proof of this call");
    }
}
