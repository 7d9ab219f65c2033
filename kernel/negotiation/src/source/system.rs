//! The system of an agency as the source of a feed: plain HTTP, asked anew by every reader.
//!
//! Ranges and tags are the system's own and pass through. A system that is away, slow or endless
//! costs a reader's request and nothing more: waits and bytes have bounds.
//!
//! Not here: other schemes than `http` (the system is in the agency's own network), redirects.

use std::io;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use http::header::{
    ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HOST, IF_RANGE, RANGE,
};
use http::{HeaderMap, HeaderName, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use karvan_types::ErrorKind;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::Error;

/// Header fields that pass between a reader and the source.
pub(crate) const PASSED_IN: [HeaderName; 2] = [RANGE, IF_RANGE];
pub(crate) const PASSED_OUT: [HeaderName; 5] =
    [CONTENT_TYPE, CONTENT_LENGTH, CONTENT_RANGE, ETAG, ACCEPT_RANGES];

/// How much of a system is borne.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Most bytes of one answer.
    bytes_max: u64,
    /// Longest wait for the answer to begin, and from one piece of it to the next.
    wait_max: Duration,
}

/// What is borne of a system in operation: 16 GiB, and half of what a consumer waits.
pub(super) const BOUNDS: Bounds = Bounds { bytes_max: 16 << 30, wait_max: Duration::from_secs(30) };

/// Takes the URL of an agency's system apart: host, port, authority, path.
pub(super) fn place_of(url: &str) -> Result<(String, u16, String, String), Error> {
    let refuse = || Error::invalid("source", format!("`{url}` must be http://host[:port]/path"));
    let uri: Uri = url.parse().map_err(|_| refuse())?;
    let host = uri.host().filter(|_| uri.scheme_str() == Some("http")).ok_or_else(refuse)?;
    let authority = uri.authority().map(ToString::to_string).unwrap_or_default();
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    Ok((host.to_owned(), uri.port_u16().unwrap_or(80), authority, path.to_owned()))
}

fn away(error: impl std::fmt::Display) -> Error {
    let text = format!(
        "the system behind the feed does not answer: {error}; try again later, and tell the \
         provider if it stays so"
    );
    Error::new(ErrorKind::PeerUnavailable, "source", text)
}

/// Fetches what the system answers now.
pub(super) async fn fetch(
    url: &str,
    headers: &HeaderMap,
    bounds: &Bounds,
) -> Result<Response, Error> {
    let (head, body, connection) = timeout(bounds.wait_max, begin(url, headers))
        .await
        .map_err(|_| away(format!("nothing came for {} ms", bounds.wait_max.as_millis())))??;
    if !head.status.is_success() && head.status != StatusCode::RANGE_NOT_SATISFIABLE {
        return Err(away(format!("it says {}", head.status)));
    }
    let length = head.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    if length.and_then(|text| text.parse().ok()).is_some_and(|len: u64| len > bounds.bytes_max) {
        let text = format!(
            "the system behind the feed has more than {} bytes; ask for a part with `Range`",
            bounds.bytes_max
        );
        return Err(Error::new(ErrorKind::TooLarge, "source", text));
    }
    let mut response = Response::new(pass(body, connection, *bounds));
    *response.status_mut() = head.status;
    for name in &PASSED_OUT {
        if let Some(value) = head.headers.get(name) {
            response.headers_mut().insert(name.clone(), value.clone());
        }
    }
    Ok(response)
}

/// Connects and asks. The connection ends when the set that drives it is dropped.
async fn begin(
    url: &str,
    headers: &HeaderMap,
) -> Result<(http::response::Parts, Incoming, JoinSet<()>), Error> {
    let (host, port, authority, path) = place_of(url)?;
    let stream = TcpStream::connect((host.as_str(), port)).await.map_err(away)?;
    let (mut sender, driver) = http1::handshake(TokioIo::new(stream)).await.map_err(away)?;
    let mut connection = JoinSet::new();
    connection.spawn(async move {
        // An error here shows again in the answer's body.
        let _ = driver.await;
    });
    let request = Request::get(path).header(HOST, authority).body(Empty::<Bytes>::new());
    let mut request = request.map_err(away)?;
    for name in &PASSED_IN {
        if let Some(value) = headers.get(name) {
            request.headers_mut().insert(name.clone(), value.clone());
        }
    }
    let (head, body) = sender.send_request(request).await.map_err(away)?.into_parts();
    Ok((head, body, connection))
}

/// Passes a body on piece by piece. It breaks off when the system goes beyond a bound, so that the
/// reader does not take a part for the whole.
fn pass(body: Incoming, connection: JoinSet<()>, bounds: Bounds) -> Body {
    let state = (body, connection, 0);
    Body::from_stream(stream::try_unfold(state, move |(mut body, connection, passed)| async move {
        loop {
            let next = timeout(bounds.wait_max, body.frame()).await;
            let next = next.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?;
            let Some(frame) = next else { return Ok(None) };
            let Ok(data) = frame.map_err(io::Error::other)?.into_data() else { continue };
            let passed = passed + data.len() as u64;
            if passed > bounds.bytes_max {
                tracing::warn!(bytes = passed, "the system behind a feed sends too much; cut off");
                return Err(io::Error::from(io::ErrorKind::FileTooLarge));
            }
            return Ok(Some((data, (body, connection, passed))));
        }
    }))
}

#[cfg(test)]
mod tests;
