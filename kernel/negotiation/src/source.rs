//! Where the data of a feed comes from: a file, a folder of files, what a sub-system answers, or a
//! system that speaks HTTP.
//!
//! Files are streamed in blocks, so memory does not grow with their size; the answer of a
//! sub-system has a bound. The tag of both is the digest of the content, so that a reader who comes
//! back knows whether it is still the same.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures_util::stream;
use http::HeaderMap;
use karvan_exchange::Node;
use karvan_system::{Disk as _, DiskFile, OsDisk};
use karvan_types::digest::Hasher;
use karvan_types::limits::JSON_BYTES_MAX;
use karvan_types::{Digest, ErrorKind, MemberId, json};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Error;
use ranged::Content;

mod ranged;
mod system;

pub(crate) use system::{PASSED_IN, PASSED_OUT};

/// Bytes read and sent at once.
const BLOCK_BYTES: usize = 64 * 1024;
/// Longest name of an item of a folder, in bytes.
const NAME_BYTES_MAX: usize = 255;
/// Longest answer of a sub-system that is served, in bytes.
const ANSWER_BYTES_MAX: usize = JSON_BYTES_MAX;

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
    /// What an operation of a sub-system answers that only reads, as JSON.
    Query {
        /// The sub-system.
        subsystem: String,
        /// Its operation.
        operation: String,
        /// What it is asked.
        #[serde(default)]
        input: Value,
    },
    /// What a system of the agency answers.
    Http {
        /// Where it is asked: `http://host[:port]/path`.
        url: String,
    },
}

impl Source {
    /// Checks what can be checked before anybody reads; a sub-system is asked, for `provider`.
    pub(crate) async fn check(&self, node: &Node, provider: &MemberId) -> Result<(), Error> {
        match self {
            Self::File { path, media_type } | Self::Folder { path, media_type } => {
                let bad = !path.is_absolute() || media_type.trim().is_empty();
                let text = "`path` of `source` is absolute, and its `media_type` is not empty";
                if bad { Err(Error::invalid("source", text)) } else { Ok(()) }
            }
            Self::Query { subsystem, operation, input } => {
                ask(node, provider, (subsystem, operation), input).await.map(drop)
            }
            Self::Http { url } => system::place_of(url).map(drop),
        }
    }

    /// Answers a request for the feed, or for one of its items.
    pub(crate) async fn serve(
        &self,
        node: &Node,
        provider: &MemberId,
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
            (Self::Query { subsystem, operation, input }, None) => {
                let bytes = ask(node, provider, (subsystem, operation), input).await?;
                Ok(serve_answer(headers, &bytes))
            }
            (Self::Http { url }, None) => system::fetch(url, headers, &system::BOUNDS).await,
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
    let file: Arc<dyn DiskFile> = OsDisk.open_to_read(path)?.into();
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
    let content = Content { media_type, len, tag };
    Ok(ranged::answer(headers, content, |from, end| {
        Body::from_stream(stream::try_unfold((file, from), move |(file, at)| async move {
            if at >= end {
                return Ok(None);
            }
            let reader = Arc::clone(&file);
            let read = tokio::task::spawn_blocking(move || read_block(&*reader, at, end));
            let block = read.await.map_err(io::Error::other)??;
            let next = at + block.len() as u64;
            Ok::<_, io::Error>(Some((Bytes::from(block), (file, next))))
        }))
    }))
}

/// Asks a sub-system and returns its answer in its canonical form, so that equal answers have equal
/// tags.
async fn ask(
    node: &Node,
    provider: &MemberId,
    (subsystem, operation): (&str, &str),
    input: &Value,
) -> Result<Bytes, Error> {
    let answer = node.query(provider, subsystem, operation, input.clone()).await?;
    let bytes = json::canonical(&answer).map_err(|error| {
        let text = format!("the answer of `{subsystem}` cannot be written: {error}");
        Error::new(ErrorKind::Internal, "source", text)
    })?;
    if bytes.len() > ANSWER_BYTES_MAX {
        let text = format!(
            "the answer of `{operation}` has {} bytes, and {ANSWER_BYTES_MAX} are served; narrow \
             `source.query.input`",
            bytes.len()
        );
        return Err(Error::new(ErrorKind::TooLarge, "source", text));
    }
    Ok(bytes.into())
}

fn serve_answer(headers: &HeaderMap, bytes: &Bytes) -> Response {
    let tag = format!("\"{}\"", Digest::of(bytes));
    let content = Content { media_type: "application/json", len: bytes.len() as u64, tag };
    ranged::answer(headers, content, |from, end| {
        let at = |offset| usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        Body::from(bytes.slice(at(from)..at(end)))
    })
}
