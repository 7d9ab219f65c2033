//! A connection of an agency's system: its requests are read along, and it must take its answers.
//!
//! Not here: what is done about a request (`crate::client`), the listeners (the application).

use std::convert::Infallible;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Collected};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use karvan_exchange::network::Stream;
use karvan_subsystem::Rejection;
use karvan_types::{ErrorKind, ExchangeId};
use karvan_xroad::{Code, Prefix, Spelling};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tracing::Instrument as _;

use super::{Inner, Story};
use crate::access::Line;
use crate::body::{CALL_BYTES_MAX, PIECE_TIMEOUT};
use crate::guard::{FIELDS_MAX, Fault, Guarded, HEAD_BYTES_MAX};
use crate::metrics::{self, Record};
use crate::patient::Patient;
use crate::wire::Refusal;

/// How long what a system still sends is read once its connection ends, so that it gets to read
/// the refusal: closed over unread bytes a connection takes the answer with it.
const LINGER: Duration = Duration::from_secs(1);
/// Most bytes of it.
const LINGER_BYTES_MAX: u64 = CALL_BYTES_MAX;

/// Serves a connection until it ends.
pub(super) async fn serve(inner: &Arc<Inner>, stream: impl Stream + 'static, line: Line) {
    let answered = AtomicUsize::new(0);
    let service = service_fn(|request: Request<Incoming>| {
        let (inner, answered) = (Arc::clone(inner), &answered);
        let span = inner.span("client", &request);
        async move {
            let answer = inner.answer(line, request).instrument(span).await;
            answered.fetch_add(1, Ordering::Relaxed);
            Ok::<_, Infallible>(answer)
        }
    });
    let mut stream = Guarded::new(Patient::new(stream, PIECE_TIMEOUT));
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(inner.settings.head_timeout)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(FIELDS_MAX)
        .serve_connection(TokioIo::new(&mut stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!("a connection of an agency ended: {error}");
    }
    let (mut stream, fault) = stream.into_parts(answered.load(Ordering::Relaxed));
    let words = match fault {
        Some(fault) => inner.refuse_unreadable(fault).await,
        None => String::new(),
    };
    let parting = async {
        stream.write_all(words.as_bytes()).await?;
        stream.shutdown().await?;
        let mut rest = stream.take(LINGER_BYTES_MAX);
        tokio::io::copy(&mut rest, &mut tokio::io::sink()).await
    };
    let _ = tokio::time::timeout(LINGER, parting).await;
}

impl Inner {
    /// Makes the answer to a request that is no call, for it cannot be read; whose it is is not
    /// known, so it leaves no trace but figures and a line.
    async fn refuse_unreadable(&self, fault: Fault) -> String {
        let now = self.node.now();
        let mut id = [0; 10];
        self.node.entropy().fill(&mut id);
        let made = ExchangeId::new(now, id);
        let (status, kind, code, text) = match fault {
            Fault::Malformed(text) => {
                (StatusCode::BAD_REQUEST, ErrorKind::Invalid, "request-malformed", text)
            }
            Fault::TooLong(text) => {
                let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
                (status, ErrorKind::TooLarge, "headers-too-long", text)
            }
        };
        tracing::info!(exchange.id = %made, refusal.code = code, "request refused: {text}");
        let rejection = Rejection::new(kind, code, text);
        let refusal = Refusal::new(Prefix::Client, Code::BadRequest, rejection);
        let fault = refusal.code.text(Spelling::Snake);
        self.metrics.observe(&Record {
            status: status.as_u16(),
            fault: Some((&fault, text)),
            ..Story::new(now).record(metrics::Side::Client, Some(made), now)
        });
        let answer = refusal.to_answer(&Method::GET, &HeaderMap::new(), Spelling::Snake, made);
        let (head, body) = answer.into_parts();
        let body = body.collect().await.map(Collected::to_bytes).unwrap_or_default();
        let mut words = format!("HTTP/1.1 {status}\r\n");
        for (name, value) in &head.headers {
            let _ = write!(words, "{name}: {}\r\n", value.to_str().unwrap_or_default());
        }
        let _ = write!(words, "content-length: {}\r\nconnection: close\r\n\r\n", body.len());
        words + &String::from_utf8_lossy(&body)
    }
}
