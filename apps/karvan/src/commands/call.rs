//! `karvan call`: a call to a service, as an agency's system makes it, with what is proven of it.
//!
//! The answer goes to standard output; what the node says of the call, its evidence among it, to
//! standard error.
//!
//! Not here: what errors of the exchange mean and what to do about them ([`fault`]).

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST};
use http::{HeaderName, HeaderValue, Request, Response};
use karvan_types::{ErrorKind, MemberId};
use serde_json::{Value, json};

use super::{Outcome, tell};
use crate::client::{Client, NodeArgs, authority, escape, gateway};
use crate::commands::status::cell;
use crate::failure::{self, Failure};
use crate::files;
use crate::output::{Output, write};

mod fault;

/// Longest body that is sent, in bytes: what a node carries (64 MiB).
const BODY_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Where services are.
const PATH: &str = "/r1/";
/// The header in which the token travels; `Authorization` stays free for the provider's system.
const TOKEN: &str = "x-karvan-token";
/// The header that names the exchange.
const EXCHANGE: &str = "karvan-exchange-id";

/// Call a service of an agency, as its client's system would.
///
/// The answer is printed as it came; what the node says of the call is told on standard error: its
/// ids, the agreement, who signed, how far the log entry has come. Ends with 0 when the service
/// answered with a status below 400, with 1 when it answered with another, and otherwise with the
/// code of what kept the call from its answer.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  karvan call AZ/GOV/SCC/customs/certificates/AZPK-2026-00007 --as PK/GOV/FBR/customs --dir pk
  karvan call POST AZ/GOV/SCC/customs/manifests -d @manifest.json \\
    -H 'Content-Type: application/json' --as PK/GOV/FBR/customs --dir pk
  karvan call AZ/GOV/SCC/customs/listMethods --as PK/GOV/FBR/customs --dir pk

The address is instance/class/member/subsystem/service, then the path and query of the service.")]
pub(crate) struct Call {
    /// The method, when it is not GET (POST with --data); then the address.
    #[arg(value_name = "[METHOD] ADDRESS", num_args = 1..=2, required = true)]
    words: Vec<String>,
    /// The method, as curl takes it.
    #[arg(short = 'X', long = "request", value_name = "METHOD")]
    method: Option<String>,
    /// A header for the service; may be repeated.
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    headers: Vec<String>,
    /// The body; from a file with @FILE.
    #[arg(short = 'd', long = "data", value_name = "TEXT|@FILE")]
    data: Option<String>,
    /// Your own id of the message (X-Road-Id); made by the node unless given.
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// The person for whom you ask (X-Road-UserId).
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// The case that the call belongs to (X-Road-Issue).
    #[arg(long, value_name = "CASE")]
    issue: Option<String>,
    /// The calling subsystem, when the token is of its member.
    #[arg(long, value_name = "SUBSYSTEM")]
    client: Option<MemberId>,
    /// Where the node takes calls, instead of asking under --dir.
    #[arg(long, value_name = "URL")]
    gateway: Option<String>,
    /// Print the head of the answer too.
    #[arg(short = 'i', long)]
    include: bool,
    /// Write the body of the answer to a file.
    #[arg(short = 'o', long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    node: NodeArgs,
}

pub(crate) fn run(command: &Call, output: Output) -> Result<Outcome> {
    let client = Client::open(&command.node)?;
    let url = match &command.gateway {
        Some(url) => url.clone(),
        None => gateway(&command.node)?,
    };
    let authority = authority(&url)?;
    let request = request(command, &authority, client.token())?;
    let answer = client.send(&authority, request)?;
    let exchange = answer.headers().get(EXCHANGE).and_then(|id| id.to_str().ok());
    let known = exchange.map(|id| evidence(&client, id));
    print(command, output, &answer, known.as_ref())?;
    if !output.json {
        tell(&describe(exchange, known.as_ref(), &command.node));
    }
    if let Some(failure) = fault::read(&answer) {
        return Err(failure.into());
    }
    let failed = answer.status().is_client_error() || answer.status().is_server_error();
    if failed && !output.json {
        let status = answer.status();
        tell(&format!("the service itself answered {status}; the exchange worked\n"));
    }
    Ok(if failed { Outcome::CheckFailed } else { Outcome::Done })
}

fn invalid(text: impl Into<String>, hint: &str) -> Failure {
    Failure::new(ErrorKind::Invalid, text).hint(hint)
}

fn request(command: &Call, authority: &str, token: &str) -> Result<Request<Vec<u8>>> {
    let (method, address) = match &*command.words {
        [method, address] => (Some(method), address),
        [address] => (None, address),
        _ => return Err(invalid("the address is missing", "see `karvan call --help`").into()),
    };
    let client = command.client.as_ref().or(command.node.acting_as.as_ref()).ok_or_else(|| {
        invalid("it is not said who calls", "give --as SUBSYSTEM, such as PK/GOV/FBR/customs")
    })?;
    let body = match command.data.as_deref().map(|data| (data, data.strip_prefix('@'))) {
        None => Vec::new(),
        Some((_, Some(file))) => files::read(Path::new(file), BODY_BYTES_MAX)?,
        Some((text, None)) => text.as_bytes().to_vec(),
    };
    let usual = if command.data.is_some() { "POST" } else { "GET" };
    let method = method.or(command.method.as_ref()).map_or(usual, String::as_str);
    let address = address.trim_start_matches('/');
    let path = format!("{PATH}{}", address.strip_prefix("r1/").unwrap_or(address));
    let mut request =
        Request::builder().method(method).uri(&path).body(body).with_context(|| {
            invalid(format!("`{method} {path}` is no request"), "escape with %XX")
        })?;
    let length = request.body().len();
    let headers = request.headers_mut();
    let mut put = |name: &str, value: &str| {
        let wrong = || invalid(format!("`{name}: {value}` is no header"), "write Name: value");
        let name = HeaderName::from_bytes(name.as_bytes()).with_context(wrong)?;
        headers.append(name, HeaderValue::from_str(value).with_context(wrong)?);
        anyhow::Ok(())
    };
    for header in &command.headers {
        let (name, value) = header.split_once(':').ok_or_else(|| {
            invalid(format!("`{header}` is no header"), "write it as 'Name: value'")
        })?;
        put(name.trim(), value.trim())?;
    }
    let remarks = [
        ("x-road-id", &command.id),
        ("x-road-userid", &command.user),
        ("x-road-issue", &command.issue),
    ];
    for (name, value) in remarks {
        if let Some(value) = value {
            put(name, value)?;
        }
    }
    put("x-road-client", client.as_str())?;
    put(TOKEN, token)?;
    headers.insert(HOST, HeaderValue::from_str(authority)?);
    if length > 0 || method == "POST" || method == "PUT" {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    Ok(request)
}

/// Asks the node what it knows of the call.
fn evidence(client: &Client, exchange: &str) -> Result<Value> {
    let views = client.get(&format!("/v1/messages/{}", escape(exchange)))?;
    let mut views = views.as_array().cloned().unwrap_or_default();
    views.sort_by_key(|view| view["side"] != "client");
    Ok(views.into_iter().next().unwrap_or_default())
}

fn print(
    command: &Call,
    output: Output,
    answer: &Response<Bytes>,
    known: Option<&Result<Value>>,
) -> Result<()> {
    let body = answer.body();
    if let Some(file) = &command.out {
        files::write(file, body)?;
    }
    let text = std::str::from_utf8(body).ok();
    if output.json {
        let headers: Vec<_> = answer
            .headers()
            .iter()
            .map(|(name, value)| [name.as_str().into(), String::from_utf8_lossy(value.as_bytes())])
            .collect();
        let value = json!({
            "status": answer.status().as_u16(),
            "headers": headers,
            "size": body.len(),
            "body": text,
            "call": known.and_then(|known| known.as_ref().ok()),
        });
        return output.print(&value, |_| String::new());
    }
    if command.include {
        let mut head = format!("{}\n", answer.status());
        for (name, value) in answer.headers() {
            let _ = writeln!(head, "{name}: {}", String::from_utf8_lossy(value.as_bytes()));
        }
        head.push('\n');
        write(head.as_bytes())?;
    }
    if command.out.is_some() || body.is_empty() {
        return Ok(());
    }
    write(body)?;
    let is_text = answer.headers().get(CONTENT_TYPE).is_none_or(|kind| {
        let kind = String::from_utf8_lossy(kind.as_bytes()).into_owned();
        kind.starts_with("text/") || kind.contains("json") || kind.contains("xml")
    });
    if is_text && !body.ends_with(b"\n") { write(b"\n") } else { Ok(()) }
}

/// Says what the node knows of the call.
fn describe(exchange: Option<&str>, known: Option<&Result<Value>>, node: &NodeArgs) -> String {
    let Some(exchange) = exchange else { return String::new() };
    let view = match known {
        None => return String::new(),
        Some(Err(error)) if failure::kind(error) == ErrorKind::NotFound => {
            let why = "the request was refused before it was a call of a known system";
            return format!("exchange   {exchange}\nevidence   none: {why}\n");
        }
        Some(Err(error)) => {
            return format!("exchange   {exchange}\nevidence   not told: {error:#}\n");
        }
        Some(Ok(view)) => view,
    };
    let agreement = match view["agreement"].as_str().map(|text| text.split(';').collect::<Vec<_>>())
    {
        Some(parts) if parts.first() == Some(&"none") => "none is needed for this".to_owned(),
        Some(parts) => {
            let [id, version] = [0, 1].map(|at| parts.get(at).copied().unwrap_or_default());
            format!("{id} version {version}, purpose {}", cell(&view["purpose"]))
        }
        None => "none, for the call was not made".to_owned(),
    };
    let signed = |name: &str| view[name].as_str().map(ToOwned::to_owned);
    let by = match (signed("requestSignedBy"), signed("responseSignedBy")) {
        (Some(request), Some(answer)) => format!("request by {request}, answer by {answer}"),
        (Some(request), None) => format!("request by {request}"),
        (None, Some(refusal)) => format!("refusal by {refusal}"),
        (None, None) => "nothing".to_owned(),
    };
    let log = &view["evidence"];
    let mut dir = String::new();
    if let Some(folder) = &node.dir {
        let _ = write!(dir, " --dir {}", folder.display());
    }
    format!(
        "message    {}\nexchange   {exchange}: {} in {} ms\nagreement  {agreement}\n\
         signed     {by}\nlog        {} is entry {}, {}\n\
         proof      karvan messages bundle {exchange}{dir} --out call.zip\n",
        cell(&view["message"]),
        cell(&view["state"]),
        cell(&view["milliseconds"]),
        cell(&log["kind"]),
        cell(&log["index"]),
        cell(&log["state"]),
    )
}
