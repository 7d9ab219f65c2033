//! The way to a running node: its local interface over HTTP on loopback, with a token.
//!
//! Answers that are refusals come back as `Rejection`s, so that their kind becomes the exit code.
//! Bodies are streamed from and to files.
//!
//! Not here: what the answers mean (`crate::commands`).

use std::fmt::Write as _;
use std::fs::File;
use std::io::{Read as _, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST, IF_RANGE, RANGE};
use http::{Method, Request, Response, StatusCode, Uri, request, response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Collected, Full, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper_util::rt::TokioIo;
use indicatif::ProgressBar;
use karvan_exchange::wire;
use karvan_types::limits::JSON_BYTES_MAX;
use karvan_types::{ErrorKind, MemberId, json};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

use crate::failure::Failure;
use crate::files;
use crate::node::Ready;
use crate::setup::Home;

/// Bytes of a file sent at once.
const PIECE_BYTES: usize = 64 * 1024;
/// Longest token or ready file, in bytes.
const SMALL_FILE_BYTES_MAX: u64 = 64 * 1024;
/// Files from this length on are sent with a progress bar.
const PROGRESS_FROM_BYTES: u64 = 1024 * 1024;

/// Longest answer of a service that is read, in bytes: what a node carries (64 MiB).
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

type Body = UnsyncBoxBody<Bytes, std::io::Error>;

/// Which node to speak to, and as whom.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Which node")]
pub(crate) struct NodeArgs {
    /// Folder that `karvan init` made for the node.
    #[arg(long, value_name = "DIR", env = "KARVAN_DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// URL of the node's local interface, instead of --dir.
    #[arg(long, value_name = "URL", requires = "token_file")]
    pub(crate) node: Option<String>,
    /// File with the token; under --dir the operator's unless given.
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// Act with the token of this member's system, under --dir.
    #[arg(long = "as", value_name = "MEMBER", conflicts_with = "token_file")]
    pub(crate) acting_as: Option<MemberId>,
}

/// A connection to a node's local interface, opened for each request.
pub(crate) struct Client {
    runtime: Runtime,
    authority: String,
    token: String,
}

impl Client {
    /// Finds the node and the token.
    pub(crate) fn open(args: &NodeArgs) -> Result<Self> {
        let home = args.dir.as_deref().map(Home::new);
        let url = match (&args.node, &home) {
            (Some(url), _) => url.clone(),
            (None, Some(home)) => ready(home)?.local,
            (None, None) => {
                return Err(Failure::config("it is not said which node to speak to")
                    .hint("give --dir DIR, or set KARVAN_DIR, or give --node URL --token-file FILE")
                    .into());
            }
        };
        let authority = authority(&url)?;
        let user = args.acting_as.as_ref().map(|member| member.as_str().replace('/', "_"));
        let user = user.unwrap_or_else(|| "operator".to_owned());
        let file = args.token_file.clone().or(home.map(|home| home.token(&user)));
        let file = file.ok_or_else(|| Failure::config("there is no token; give --token-file"))?;
        let token = files::read(&file, SMALL_FILE_BYTES_MAX).map_err(|error| {
            Failure::config(format!("the token: {error:#}"))
                .hint("name a token's file with --token-file; `karvan init token` makes one")
        })?;
        let token = String::from_utf8_lossy(&token).trim().to_owned();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { runtime, authority, token })
    }

    /// Asks and reads a JSON answer.
    pub(crate) fn get(&self, path: &str) -> Result<Value> {
        self.json(Method::GET, path, None)
    }

    /// Asks and reads a text answer.
    pub(crate) fn get_text(&self, path: &str) -> Result<String> {
        let bytes = self.runtime.block_on(async {
            collect(self.call(Method::GET, path, None, full(Vec::new()), 0).await?).await
        })?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Sets what a path names.
    pub(crate) fn put(&self, path: &str, input: &Value) -> Result<Value> {
        self.json(Method::PUT, path, Some(input))
    }

    /// Posts JSON.
    pub(crate) fn post_json(&self, path: &str, input: &Value) -> Result<Value> {
        self.json(Method::POST, path, Some(input))
    }

    /// Removes what a path names.
    pub(crate) fn delete(&self, path: &str) -> Result<()> {
        self.json(Method::DELETE, path, None).map(drop)
    }

    /// Returns the token.
    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    /// Sends a request to the listener for agencies' systems and reads the whole answer, whatever
    /// its status.
    pub(crate) fn send(
        &self,
        authority: &str,
        request: Request<Vec<u8>>,
    ) -> Result<Response<Bytes>> {
        self.runtime.block_on(async {
            let answer = deliver(authority, request.map(full)).await?;
            let (head, body) = answer.into_parts();
            let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
            let body = body.map_err(|error| broken_off(&error))?.to_bytes();
            Ok(Response::from_parts(head, body))
        })
    }

    /// Posts without a body; None when the node answers that there is nothing.
    pub(crate) fn post(&self, path: &str) -> Result<Option<Value>> {
        let answer = self.json(Method::POST, path, None)?;
        Ok(Some(answer).filter(|answer| !answer.is_null()))
    }

    /// Calls an operation of a sub-system.
    pub(crate) fn operate(&self, name: &str, operation: &str, input: &Value) -> Result<Value> {
        let path = format!("/v1/subsystems/{name}/{operation}");
        self.json(Method::POST, &path, Some(input))
    }

    /// Calls an operation of a sub-system with an input that is JSON already.
    pub(crate) fn operate_bytes(
        &self,
        name: &str,
        operation: &str,
        input: Vec<u8>,
    ) -> Result<Value> {
        let path = format!("/v1/subsystems/{name}/{operation}");
        let length = input.len() as u64;
        let bytes = self.runtime.block_on(async {
            let content_type = Some("application/json");
            collect(self.call(Method::POST, &path, content_type, full(input), length).await?).await
        })?;
        Ok(json::parse(&bytes)?)
    }

    /// Posts a file, in pieces.
    pub(crate) fn post_file(&self, path: &str, content_type: &str, file: &Path) -> Result<Value> {
        let what = || format!("cannot read {}", file.display());
        let opened = File::open(file).with_context(what)?;
        let length = opened.metadata().with_context(what)?.len();
        let bar = if length < PROGRESS_FROM_BYTES {
            ProgressBar::hidden()
        } else {
            ProgressBar::new(length)
        };
        let body = file_body(opened, bar.clone());
        let bytes = self.runtime.block_on(async {
            collect(self.call(Method::POST, path, Some(content_type), body, length).await?).await
        })?;
        bar.finish_and_clear();
        Ok(json::parse(&bytes)?)
    }

    /// Reads an answer's body into `out`; returns its length.
    pub(crate) fn download(&self, path: &str, out: &mut dyn Write) -> Result<u64> {
        self.download_part(path, None, |_| Ok(out))
    }

    /// Reads an answer's body into what `place` makes of its head; returns the length. With
    /// `from`, only what lies behind these bytes of the data with this tag, when it is still the
    /// same data: the status of the head tells (RFC 9110, section 14).
    pub(crate) fn download_part<W: Write>(
        &self,
        path: &str,
        from: Option<(u64, &str)>,
        place: impl FnOnce(&response::Parts) -> Result<W>,
    ) -> Result<u64> {
        self.runtime.block_on(async {
            let mut request = self.request(Method::GET, path);
            if let Some((bytes, tag)) = from {
                request = request.header(RANGE, format!("bytes={bytes}-")).header(IF_RANGE, tag);
            }
            let answer = self.accepted(request.body(full(Vec::new()))?).await?;
            let (head, mut body) = answer.into_parts();
            let (mut out, mut length) = (place(&head)?, 0);
            while let Some(frame) = body.frame().await {
                let frame = frame.map_err(|error| broken_off(&error))?;
                if let Some(data) = frame.data_ref() {
                    out.write_all(data)?;
                    length += data.len() as u64;
                }
            }
            out.flush()?;
            Ok(length)
        })
    }

    fn json(&self, method: Method, path: &str, input: Option<&Value>) -> Result<Value> {
        let body = input.map(serde_json::to_vec).transpose()?.unwrap_or_default();
        let length = body.len() as u64;
        let content_type = input.map(|_| "application/json");
        let bytes = self.runtime.block_on(async {
            collect(self.call(method, path, content_type, full(body), length).await?).await
        })?;
        if bytes.is_empty() { Ok(Value::Null) } else { Ok(json::parse(&bytes)?) }
    }

    /// Sends one request; a refusal is an error.
    async fn call(
        &self,
        method: Method,
        path: &str,
        content_type: Option<&str>,
        body: Body,
        length: u64,
    ) -> Result<Response<Incoming>> {
        let mut request = self.request(method, path).header(CONTENT_LENGTH, length);
        if let Some(content_type) = content_type {
            request = request.header(CONTENT_TYPE, content_type);
        }
        self.accepted(request.body(body)?).await
    }

    fn request(&self, method: Method, path: &str) -> request::Builder {
        let token = format!("Bearer {}", self.token);
        let request = Request::builder().method(method).uri(path);
        request.header(HOST, &self.authority).header(AUTHORIZATION, token)
    }

    async fn accepted(&self, request: Request<Body>) -> Result<Response<Incoming>> {
        let answer = deliver(&self.authority, request).await?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let (parts, body) = answer.into_parts();
        let body = Limited::new(body, JSON_BYTES_MAX).collect().await;
        let body = body.map(Collected::to_bytes).unwrap_or_default();
        if body.is_empty() || parts.status == StatusCode::BAD_REQUEST {
            // What the HTTP layer itself refuses is no problem document.
            let text = String::from_utf8_lossy(&body);
            let text = format!("the node answered {}: {}", parts.status, text.trim());
            return Err(Failure::new(ErrorKind::Invalid, text).into());
        }
        Err(wire::read_problem(&Response::from_parts(parts, body)).into())
    }
}

/// Sends one request over a connection of its own.
async fn deliver(authority: &str, request: Request<Body>) -> Result<Response<Incoming>> {
    let unreachable = |error: &dyn std::fmt::Display| {
        let text = format!("the node at {authority} cannot be reached: {error}");
        Failure::new(ErrorKind::PeerUnavailable, text)
            .hint("start it with `karvan node`, or look whether the address is right")
    };
    let stream = TcpStream::connect(authority).await.map_err(|e| unreachable(&e))?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| unreachable(&error))?;
    tokio::spawn(connection);
    Ok(sender.send_request(request).await.map_err(|error| unreachable(&error))?)
}

/// Returns where the node of a folder takes the calls of agencies' systems.
pub(crate) fn gateway(args: &NodeArgs) -> Result<String> {
    let Some(home) = args.dir.as_deref().map(Home::new) else {
        return Err(Failure::config("it is not said where the node takes calls")
            .hint("give --dir DIR, or --gateway http://HOST:PORT")
            .into());
    };
    ready(&home)?.calls.ok_or_else(|| {
        Failure::config("the node takes no calls without TLS")
            .hint("set calls.listen in its configuration, such as \"127.0.0.1:7481\"")
            .into()
    })
}

/// Returns host and port of a plain HTTP URL.
pub(crate) fn authority(url: &str) -> Result<String> {
    let uri: Uri = url.parse().map_err(|_| not_a_url(url))?;
    match (uri.scheme_str(), uri.authority()) {
        (Some("http"), Some(authority)) => Ok(authority.to_string()),
        _ => Err(not_a_url(url).into()),
    }
}

/// Reads where a node of this machine listens.
fn ready(home: &Home) -> Result<Ready> {
    let path = home.ready();
    let stopped = |why: String| {
        Failure::new(ErrorKind::PeerUnavailable, why)
            .hint(format!("start the node: karvan node --config {}", home.config().display()))
    };
    if !path.exists() {
        return Err(stopped(format!("no node runs in {}", home.root().display())).into());
    }
    let bytes = files::read(&path, SMALL_FILE_BYTES_MAX)?;
    Ok(json::from_slice(&bytes).map_err(|error| stopped(format!("{}: {error}", path.display())))?)
}

fn not_a_url(url: &str) -> Failure {
    Failure::new(ErrorKind::Invalid, format!("`{url}` is not the URL of a local interface"))
        .hint("write http://127.0.0.1:PORT as the node prints it when it starts")
}

fn broken_off(error: &dyn std::fmt::Display) -> Failure {
    Failure::new(ErrorKind::PeerUnavailable, format!("the node's answer broke off: {error}"))
}

async fn collect(answer: Response<Incoming>) -> Result<Bytes> {
    let body = Limited::new(answer.into_body(), JSON_BYTES_MAX).collect().await;
    Ok(body.map_err(|error| broken_off(&error))?.to_bytes())
}

fn full(bytes: Vec<u8>) -> Body {
    Full::new(Bytes::from(bytes)).map_err(|never| match never {}).boxed_unsync()
}

/// Reads a file piece by piece as it is sent.
fn file_body(file: File, bar: ProgressBar) -> Body {
    let pieces = futures_util::stream::unfold(file, move |mut file| {
        let bar = bar.clone();
        async move {
            let mut piece = vec![0; PIECE_BYTES];
            match file.read(&mut piece) {
                Ok(0) => None,
                Ok(length) => {
                    piece.truncate(length);
                    bar.inc(length as u64);
                    Some((Ok(Frame::data(Bytes::from(piece))), file))
                }
                Err(error) => Some((Err(error), file)),
            }
        }
    });
    StreamBody::new(pieces).boxed_unsync()
}

/// Escapes a value for a query (RFC 3986, section 2.1).
pub(crate) fn escape(value: &str) -> String {
    let mut text = String::new();
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}
