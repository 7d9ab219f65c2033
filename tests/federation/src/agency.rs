//! An agency of a nation, or its operator: HTTP with a token to the node's local interface.

use std::net::SocketAddr;

use anyhow::Result;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{HeaderMap, Request};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use karvan_exchange::desk::{DocumentView, Lease};
use karvan_exchange::records::Alarm;
use karvan_subsystem::Rejection;
use karvan_types::{ExchangeId, MemberId};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::until;

const BYTES: &str = "application/octet-stream";

/// A body that may come in pieces.
pub(crate) type Body = BoxBody<Bytes, std::io::Error>;

/// Speaks to one node.
#[derive(Clone, Debug)]
pub struct Agency {
    at: SocketAddr,
    token: String,
}

/// What a node answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Header fields.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed()
}

impl Answer {
    /// Reads a good answer.
    ///
    /// # Panics
    /// When it is a refusal, or of another form.
    pub fn read<T: DeserializeOwned>(&self) -> T {
        let text = String::from_utf8_lossy(&self.body);
        assert!(self.status < 300, "refused with {}: {text}", self.status);
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {text}"))
    }

    /// Returns the code of a refusal.
    ///
    /// # Panics
    /// When it is no problem (RFC 9457) of ours.
    pub fn code(&self) -> String {
        let text = String::from_utf8_lossy(&self.body);
        let problem: Value = serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("no problem but {}: {error}: {text}", self.status));
        let kind = problem.get("type").and_then(Value::as_str).unwrap_or_default();
        kind.strip_prefix("urn:karvan:problem:").unwrap_or_else(|| panic!("{text}")).to_owned()
    }
}

impl Agency {
    /// Makes an agency that shows this token.
    pub const fn new(at: SocketAddr, token: String) -> Self {
        Self { at, token }
    }

    /// Sends any request.
    pub async fn ask(
        &self,
        method: &str,
        path: &str,
        content_type: &str,
        body: Body,
    ) -> Result<Answer> {
        let stream = TcpStream::connect(self.at).await?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let driver = tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, self.at.to_string())
            .header(AUTHORIZATION, format!("Bearer {}", self.token))
            .header(CONTENT_TYPE, content_type)
            .body(body)?;
        let answer = sender.send_request(request).await?;
        let (head, body) = answer.into_parts();
        let body = body.collect().await?.to_bytes();
        driver.abort();
        Ok(Answer { status: head.status.as_u16(), headers: head.headers, body })
    }

    /// Reads.
    ///
    /// # Panics
    /// When the node does not answer.
    pub async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, BYTES, full("")).await.expect("the node answers")
    }

    /// Acts.
    ///
    /// # Panics
    /// When the node does not answer.
    pub async fn post(&self, path: &str, body: impl Into<Bytes>) -> Answer {
        self.ask("POST", path, BYTES, full(body)).await.expect("the node answers")
    }

    /// Hands a document in and returns the answer, whatever it is.
    pub async fn submit(&self, to: &MemberId, code: &str, body: impl Into<Bytes>) -> Answer {
        self.post(&format!("/v1/documents?recipient={to}&code={code}"), body).await
    }

    /// Hands a document in under an id; an error means that nothing is known about it.
    pub async fn try_submit(
        &self,
        to: &MemberId,
        code: &str,
        id: ExchangeId,
        body: impl Into<Bytes>,
    ) -> Result<Answer> {
        let path = format!("/v1/documents?recipient={to}&code={code}&exchange={id}");
        self.ask("POST", &path, BYTES, full(body)).await
    }

    /// Hands a document in and returns its id.
    pub async fn send(&self, to: &MemberId, code: &str, body: impl Into<Bytes>) -> ExchangeId {
        let view: DocumentView = self.submit(to, code, body).await.read();
        view.exchange
    }

    /// Returns a document as this node sees it, if it knows it.
    pub async fn find(&self, id: ExchangeId) -> Option<DocumentView> {
        let answer = self.get(&format!("/v1/documents/{id}")).await;
        if answer.status == 404 {
            return None;
        }
        answer.read::<Vec<DocumentView>>().pop()
    }

    /// Waits until a document is in a state.
    pub async fn wait_for(&self, id: ExchangeId, state: &str) -> DocumentView {
        let mut last = None;
        let what = format!("document {id} is {state}");
        let look = async || {
            last = self.find(id).await;
            last.clone().filter(|view| view.state == state)
        };
        until(&what, look).await
    }

    /// Waits until a document is a dead letter, and returns why.
    pub async fn wait_for_death(&self, id: ExchangeId) -> Rejection {
        self.wait_for(id, "dead").await.reason.expect("a dead letter has a reason")
    }

    /// Waits until every log entry of a document has reached a state.
    pub async fn wait_for_evidence(&self, id: ExchangeId, state: &str) -> DocumentView {
        until(&format!("the evidence of {id} is {state}"), async || {
            self.find(id).await.filter(|view| view.evidence.iter().all(|e| e.state == state))
        })
        .await
    }

    /// Sends a dead letter again.
    pub async fn resend(&self, id: ExchangeId) -> Answer {
        self.post(&format!("/v1/documents/{id}/resend"), "").await
    }

    /// Returns the evidence bundle of a document.
    pub async fn bundle(&self, id: ExchangeId) -> Vec<u8> {
        let answer = self.get(&format!("/v1/documents/{id}/bundle")).await;
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
        answer.body.to_vec()
    }

    /// Takes the next waiting document.
    pub async fn next(&self) -> Option<Lease> {
        let answer = self.post("/v1/documents/next", "").await;
        if answer.status == 204 { None } else { Some(answer.read()) }
    }

    /// Takes the next document as soon as one waits.
    pub async fn wait_for_next(&self) -> Lease {
        until("a document waits", async || self.next().await).await
    }

    /// Confirms a document, or refuses it with a text without spaces.
    pub async fn acknowledge(&self, id: ExchangeId, lease: &str, refuse: Option<&str>) -> Answer {
        let refuse = refuse.map_or(String::new(), |text| format!("&refuse={text}"));
        self.post(&format!("/v1/documents/{id}/ack?lease={lease}{refuse}"), "").await
    }

    /// Returns the node's status.
    pub async fn status(&self) -> Value {
        self.get("/v1/status").await.read()
    }

    /// Returns a number of the status by its JSON pointer.
    pub async fn count(&self, pointer: &str) -> u64 {
        let status = self.status().await;
        let value = status.pointer(pointer).and_then(Value::as_u64);
        value.unwrap_or_else(|| panic!("no number at {pointer} of {status}"))
    }

    /// Waits until a number of the status is reached.
    pub async fn wait_for_count(&self, pointer: &str, count: u64) {
        let look = async || (self.count(pointer).await == count).then_some(());
        until(&format!("{pointer} is {count}"), look).await;
    }

    /// Returns the alarms with a code, newest first.
    pub async fn alarms(&self, code: &str) -> Vec<Alarm> {
        let mut alarms: Vec<Alarm> = self.get("/v1/alarms").await.read();
        alarms.retain(|alarm| alarm.code == code);
        alarms
    }

    /// Waits until there is an alarm with a code.
    pub async fn wait_for_alarm(&self, code: &str) -> Alarm {
        let look = async || self.alarms(code).await.into_iter().next();
        until(&format!("there is an alarm {code}"), look).await
    }

    /// Waits until what a node knows of another's reach is this.
    pub async fn wait_for_reach(&self, node: &str, state: &str) -> Value {
        until(&format!("{node} is {state}"), async || {
            let status = self.status().await;
            let peers = status.get("peers").and_then(Value::as_array).cloned()?;
            let known = peers.into_iter().find(|peer| peer["node"] == node)?;
            (known["reach"]["state"] == state).then(|| known["reach"].clone())
        })
        .await
    }

    /// Returns every entry of the log.
    pub async fn log(&self) -> Vec<String> {
        let size = self.count("/evidence/log/size").await;
        let mut entries = Vec::new();
        for index in 0..size {
            let entry: Value = self.get(&format!("/v1/log/entry/{index}")).await.read();
            entries.push(entry["entry"].as_str().unwrap_or_default().to_owned());
        }
        entries
    }
}
