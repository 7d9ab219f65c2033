//! Where the data of a feed comes from: a file, a folder of files, or a system that speaks HTTP.
//!
//! Data is streamed in blocks, so memory does not grow with its size. A file's tag is the digest of
//! its content, so that a reader who comes back knows whether it is still the same.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures_util::stream;
use http::header::{
    ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HOST, IF_RANGE, RANGE,
};
use http::{HeaderMap, HeaderName, Request, StatusCode, Uri};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use karvan_system::{Disk as _, DiskFile, OsDisk};
use karvan_types::ErrorKind;
use karvan_types::digest::Hasher;
use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;

use crate::Error;

/// Bytes read and sent at once.
const BLOCK_BYTES: usize = 64 * 1024;
/// Longest name of an item of a folder, in bytes.
const NAME_BYTES_MAX: usize = 255;

/// Where a feed comes from.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Source {
    /// One file.
    File {
        /// Its path.
        path: PathBuf,
        /// Its media type.
        media_type: String,
    },
    /// Every file of a folder; the list of their names is the feed itself.
    Folder {
        /// Its path.
        path: PathBuf,
        /// The media type of its files.
        media_type: String,
    },
    /// What a system of the agency answers.
    Http {
        /// Where it is asked: `http://host[:port]/path`.
        url: String,
    },
}

impl Source {
    /// Checks what can be checked before anybody reads.
    pub fn check(&self) -> Result<(), Error> {
        match self {
            Self::File { path, media_type } | Self::Folder { path, media_type } => {
                let bad = !path.is_absolute() || media_type.trim().is_empty();
                let text = "`source.path` is absolute, and `source.mediaType` is not empty";
                if bad { Err(Error::invalid("source", text)) } else { Ok(()) }
            }
            Self::Http { url } => place_of(url).map(drop),
        }
    }

    /// Answers a request for the feed, or for one of its items.
    pub(crate) async fn serve(
        &self,
        item: Option<&str>,
        headers: &HeaderMap,
    ) -> Result<Response, Error> {
        match (self, item) {
            (Self::File { path, media_type }, None) => {
                serve_file(path.clone(), media_type, headers).await
            }
            (Self::Folder { path, .. }, None) => {
                let path = path.clone();
                let names = blocking(move || OsDisk.list(&path)).await?;
                Ok(axum::Json(names).into_response())
            }
            (Self::Folder { path, media_type }, Some(item)) => {
                let plain = item.len() <= NAME_BYTES_MAX
                    && !item.starts_with('.')
                    && !item.contains(['/', '\\', '\0']);
                if !plain {
                    return Err(Error::unknown("item", item));
                }
                serve_file(path.join(item), media_type, headers).await
            }
            (Self::Http { url }, None) => serve_http(url, headers).await,
            (_, Some(item)) => Err(Error::unknown("item", item)),
        }
    }
}

pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Error> {
    let done = tokio::task::spawn_blocking(work).await.unwrap_or_else(|e| Err(io::Error::other(e)));
    done.map_err(|error| {
        let kind = match error.kind() {
            io::ErrorKind::NotFound => ErrorKind::NotFound,
            _ => ErrorKind::Storage,
        };
        Error::new(kind, "source", format!("the feed's file cannot be read: {error}"))
    })
}

/// A file, its length and its tag.
type Opened = (Arc<dyn DiskFile>, u64, String);

fn open(path: &Path) -> io::Result<Opened> {
    // Opening would make a file that is missing.
    if !OsDisk.exists(path) {
        return Err(io::ErrorKind::NotFound.into());
    }
    let file: Arc<dyn DiskFile> = OsDisk.open(path)?.into();
    let len = file.len()?;
    let mut hasher = Hasher::new();
    let mut at = 0;
    while at < len {
        let block = read_block(&*file, at, len)?;
        hasher.update(&block);
        at += block.len() as u64;
    }
    Ok((file, len, format!("\"{}\"", hasher.finish())))
}

pub(crate) fn read_block(file: &dyn DiskFile, at: u64, end: u64) -> io::Result<Vec<u8>> {
    let size = usize::try_from(end - at).unwrap_or(BLOCK_BYTES).min(BLOCK_BYTES);
    let mut block = vec![0; size];
    file.read_at(at, &mut block)?;
    Ok(block)
}

async fn serve_file(
    path: PathBuf,
    media_type: &str,
    headers: &HeaderMap,
) -> Result<Response, Error> {
    let (file, len, tag) = blocking(move || open(&path)).await?;
    let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let current = text(&IF_RANGE).is_none_or(|known| known == tag);
    let range = text(&RANGE).filter(|_| current).map(|range| parse_range(range, len));
    let (status, from, end) = match range {
        None | Some(Asked::All) => (StatusCode::OK, 0, len),
        Some(Asked::Part(from, end)) => (StatusCode::PARTIAL_CONTENT, from, end),
        Some(Asked::Outside) => {
            let range = [(CONTENT_RANGE, format!("bytes */{len}"))];
            return Ok((StatusCode::RANGE_NOT_SATISFIABLE, range).into_response());
        }
    };
    let blocks = stream::try_unfold((file, from), move |(file, at)| async move {
        if at >= end {
            return Ok(None);
        }
        let reader = Arc::clone(&file);
        let read = tokio::task::spawn_blocking(move || read_block(&*reader, at, end));
        let block = read.await.map_err(io::Error::other)??;
        let next = at + block.len() as u64;
        Ok::<_, io::Error>(Some((Bytes::from(block), (file, next))))
    });
    let mut answer = (
        status,
        [
            (CONTENT_TYPE, media_type.to_owned()),
            (ETAG, tag),
            (ACCEPT_RANGES, "bytes".to_owned()),
            (CONTENT_LENGTH, (end - from).to_string()),
        ],
        Body::from_stream(blocks),
    )
        .into_response();
    if status == StatusCode::PARTIAL_CONTENT {
        let last = end.saturating_sub(1);
        if let Ok(range) = format!("bytes {from}-{last}/{len}").parse() {
            answer.headers_mut().insert(CONTENT_RANGE, range);
        }
    }
    Ok(answer)
}

/// What a `Range` field asks for.
#[derive(Debug, Eq, PartialEq)]
enum Asked {
    All,
    /// From the first byte to before the second.
    Part(u64, u64),
    Outside,
}

/// Reads a `Range` field (RFC 9110, section 14.2); one that is not a single range of bytes is
/// passed over.
fn parse_range(text: &str, len: u64) -> Asked {
    let Some((from, last)) = text.strip_prefix("bytes=").and_then(|spec| spec.split_once('-'))
    else {
        return Asked::All;
    };
    match (from.parse::<u64>(), last.parse::<u64>()) {
        (Ok(from), _) if from >= len => Asked::Outside,
        (Ok(from), Ok(last)) if last >= from => Asked::Part(from, (last + 1).min(len)),
        (Ok(from), Err(_)) if last.is_empty() => Asked::Part(from, len),
        (Err(_), Ok(0)) if from.is_empty() => Asked::Outside,
        (Err(_), Ok(suffix)) if from.is_empty() => Asked::Part(len.saturating_sub(suffix), len),
        _ => Asked::All,
    }
}

/// Takes the URL of an agency's system apart: host, port, authority, path.
fn place_of(url: &str) -> Result<(String, u16, String, String), Error> {
    let refuse = || Error::invalid("source", format!("`{url}` must be http://host[:port]/path"));
    let uri: Uri = url.parse().map_err(|_| refuse())?;
    let host = uri.host().filter(|_| uri.scheme_str() == Some("http")).ok_or_else(refuse)?;
    let authority = uri.authority().map(ToString::to_string).unwrap_or_default();
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    Ok((host.to_owned(), uri.port_u16().unwrap_or(80), authority, path.to_owned()))
}

/// Header fields that pass between the reader and the agency's system.
const PASSED_IN: [HeaderName; 2] = [RANGE, IF_RANGE];
const PASSED_OUT: [HeaderName; 5] =
    [CONTENT_TYPE, CONTENT_LENGTH, CONTENT_RANGE, ETAG, ACCEPT_RANGES];

async fn serve_http(url: &str, headers: &HeaderMap) -> Result<Response, Error> {
    let away = |error: String| {
        let text = format!("the system behind the feed does not answer: {error}");
        Error::new(ErrorKind::PeerUnavailable, "source", text)
    };
    let (host, port, authority, path) = place_of(url)?;
    let stream = TcpStream::connect((host.as_str(), port)).await;
    let stream = stream.map_err(|error| away(error.to_string()))?;
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| away(error.to_string()))?;
    tokio::spawn(async move {
        // An error here shows again in the answer's body.
        let _ = connection.await;
    });
    let mut request = Request::get(path).header(HOST, authority).body(Empty::<Bytes>::new());
    if let Ok(request) = &mut request {
        for name in &PASSED_IN {
            if let Some(value) = headers.get(name) {
                request.headers_mut().insert(name.clone(), value.clone());
            }
        }
    }
    let request = request.map_err(|error| away(error.to_string()))?;
    let answer = sender.send_request(request).await.map_err(|error| away(error.to_string()))?;
    let (head, body) = answer.into_parts();
    if !head.status.is_success() && head.status != StatusCode::RANGE_NOT_SATISFIABLE {
        return Err(away(format!("it says {}", head.status)));
    }
    let mut response = Response::new(Body::new(body));
    *response.status_mut() = head.status;
    for name in &PASSED_OUT {
        if let Some(value) = head.headers.get(name) {
            response.headers_mut().insert(name.clone(), value.clone());
        }
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_ten_bytes() {
        let check = |text, expected| assert_eq!(parse_range(text, 10), expected, "{text}");
        check("bytes=0-3", Asked::Part(0, 4));
        check("bytes=4-", Asked::Part(4, 10));
        check("bytes=-3", Asked::Part(7, 10));
        check("bytes=-30", Asked::Part(0, 10));
        check("bytes=8-30", Asked::Part(8, 10));
        check("bytes=10-", Asked::Outside);
        check("bytes=-0", Asked::Outside);
        check("bytes=4-2", Asked::All);
        check("bytes=0-1,3-4", Asked::All);
        check("lines=0-1", Asked::All);
        check("bytes=x-1", Asked::All);
    }
}
