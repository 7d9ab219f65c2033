//! Bodies on their way: hashed as they arrive, in memory or in a file.
//!
//! Nothing of a body goes on before all of it is here and its digest is known: what is passed on
//! was signed. A body that is short stays in memory; a longer one is a file until it was sent.
//!
//! Invariants: memory does not grow with the length of a body; a file goes when its body is
//! dropped, and what an earlier process left goes at start; all files together keep to a bound.
//! Bytes are never interpreted: a compressed body stays compressed.

use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::FutureExt as _;
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Frame, SizeHint};
use karvan_exchange::client::{Body, full};
use karvan_system::{Disk, DiskFile};
use karvan_types::Digest;
use karvan_types::digest::Hasher;
use karvan_types::limits::DOCUMENT_BYTES_MAX;
use karvan_xroad::head::{BodyHash, HASH_BYTES};

/// Longest body of a call, in bytes (64 MiB); what is longer goes as a document.
pub const CALL_BYTES_MAX: u64 = DOCUMENT_BYTES_MAX;
/// Longest body that is held in memory, in bytes (1 MiB).
pub const MEMORY_BYTES_MAX: usize = 1024 * 1024;
/// Most bytes of all bodies on disk at one time (4 GiB): sixty-four of the longest.
pub const SPOOL_BYTES_MAX: u64 = 64 * CALL_BYTES_MAX;
/// How long a body may take in all.
pub const BODY_TIMEOUT: Duration = Duration::from_mins(5);
/// How long the next piece of a body may take.
pub const PIECE_TIMEOUT: Duration = Duration::from_secs(30);
/// How much of a file is in memory while it is sent (64 KiB).
const CHUNK_BYTES: usize = 64 * 1024;

/// Why a body is not here.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    /// It is longer than the bound.
    #[error("the body is longer than {0} bytes; send what is longer as a document")]
    TooLong(u64),
    /// It, or a piece of it, took too long.
    #[error("the body did not arrive within {BODY_TIMEOUT:?}, each piece within {PIECE_TIMEOUT:?}")]
    Slow,
    /// Its sender broke off.
    #[error("the body broke off: {0}")]
    Broken(io::Error),
    /// There is no room among the bodies on disk.
    #[error("this node has no room for the body now; try again soon")]
    NoRoom,
    /// The file cannot be written.
    #[error("the body cannot be stored: {0}")]
    Disk(io::Error),
}

/// The folder of bodies on their way.
pub(crate) struct Spool {
    folder: PathBuf,
    disk: Arc<dyn Disk>,
    next: AtomicU64,
    /// Bytes of all files.
    held: Arc<AtomicU64>,
    bytes_max: u64,
}

/// A body that is here as a whole.
pub(crate) struct Whole {
    content: Content,
    /// Its length in bytes.
    pub(crate) size: u64,
    /// Its SHA-256.
    pub(crate) digest: Digest,
    /// Its SHA-512 for the request hash; absent for an empty one, or when nobody asked.
    pub(crate) hash: Option<[u8; HASH_BYTES]>,
}

#[derive(Clone)]
enum Content {
    Memory(Bytes),
    File(Arc<SpoolFile>),
}

struct SpoolFile {
    path: PathBuf,
    disk: Arc<dyn Disk>,
    file: Box<dyn DiskFile>,
    /// Its bytes, which count against the bound of all.
    size: u64,
    held: Arc<AtomicU64>,
}

impl SpoolFile {
    /// Adds a piece at the end, when there is room for it.
    fn write(&mut self, piece: &[u8], bytes_max: u64) -> Result<(), BodyError> {
        let length = piece.len() as u64;
        let held = self.held.fetch_add(length, Ordering::Relaxed);
        if held.saturating_add(length) > bytes_max {
            self.held.fetch_sub(length, Ordering::Relaxed);
            return Err(BodyError::NoRoom);
        }
        let at = self.size;
        self.size += length;
        self.file.write_at(at, piece).map_err(BodyError::Disk)
    }
}

impl Drop for SpoolFile {
    fn drop(&mut self) {
        self.held.fetch_sub(self.size, Ordering::Relaxed);
        if let Err(error) = self.disk.remove(&self.path) {
            tracing::warn!(%error, "the file of a body stays until the next start");
        }
    }
}

impl Spool {
    /// Opens the folder and empties it. One process at a time may use it.
    pub(crate) fn open(folder: &Path, disk: Arc<dyn Disk>) -> io::Result<Self> {
        disk.create_dir_all(folder)?;
        for name in disk.list(folder)? {
            disk.remove(&folder.join(name))?;
        }
        let (next, held) = (AtomicU64::new(0), Arc::default());
        Ok(Self { folder: folder.to_owned(), disk, next, held, bytes_max: SPOOL_BYTES_MAX })
    }

    fn file(&self) -> io::Result<SpoolFile> {
        let name = self.next.fetch_add(1, Ordering::Relaxed).to_string();
        let path = self.folder.join(name);
        let file = self.disk.open(&path)?;
        let (disk, held) = (Arc::clone(&self.disk), Arc::clone(&self.held));
        Ok(SpoolFile { path, disk, file, size: 0, held })
    }

    /// Reads a body of at most `bytes_max` to its end; `hashed` asks for its SHA-512 too.
    pub(crate) async fn read(
        &self,
        body: Body,
        bytes_max: u64,
        hashed: bool,
    ) -> Result<Whole, BodyError> {
        if body.is_end_stream() {
            return Ok(Whole::new(Bytes::new(), hashed));
        }
        if body.size_hint().lower() > bytes_max {
            return Err(BodyError::TooLong(bytes_max));
        }
        let reading = self.read_on(body, bytes_max, hashed);
        tokio::time::timeout(BODY_TIMEOUT, reading).await.unwrap_or(Err(BodyError::Slow))
    }

    async fn read_on(
        &self,
        mut body: Body,
        bytes_max: u64,
        hashed: bool,
    ) -> Result<Whole, BodyError> {
        let mut first = Bytes::new();
        let mut rest = BytesMut::new();
        while let Some(piece) = piece(&mut body).await? {
            let held = first.len() + rest.len();
            if (held + piece.len()) as u64 > bytes_max {
                return Err(BodyError::TooLong(bytes_max));
            }
            if held + piece.len() > MEMORY_BYTES_MAX {
                let held = [first, rest.freeze(), piece];
                return self.read_to_file(held, body, bytes_max, hashed).await;
            }
            if first.is_empty() {
                first = piece;
            } else {
                rest.extend_from_slice(&piece);
            }
        }
        if rest.is_empty() {
            return Ok(Whole::new(first, hashed));
        }
        let mut bytes = BytesMut::with_capacity(first.len() + rest.len());
        bytes.extend_from_slice(&first);
        bytes.extend_from_slice(&rest);
        Ok(Whole::new(bytes.freeze(), hashed))
    }

    async fn read_to_file(
        &self,
        held: [Bytes; 3],
        mut body: Body,
        bytes_max: u64,
        hashed: bool,
    ) -> Result<Whole, BodyError> {
        let mut out = self.file().map_err(BodyError::Disk)?;
        let (mut size, mut digest, mut hash) = (0, Hasher::new(), BodyHash::default());
        let mut take = |piece: &Bytes| -> Result<(), BodyError> {
            if size + piece.len() as u64 > bytes_max {
                return Err(BodyError::TooLong(bytes_max));
            }
            out.write(piece, self.bytes_max)?;
            size += piece.len() as u64;
            digest.update(piece);
            if hashed {
                hash.update(piece);
            }
            Ok(())
        };
        held.iter().try_for_each(&mut take)?;
        while let Some(piece) = piece(&mut body).await? {
            take(&piece)?;
        }
        let content = Content::File(Arc::new(out));
        Ok(Whole { content, size, digest: digest.finish(), hash: hash.finish() })
    }
}

/// Returns the next bytes; trailers are not part of the protocol and are dropped.
async fn piece(body: &mut Body) -> Result<Option<Bytes>, BodyError> {
    loop {
        let frame = if let Some(frame) = body.frame().now_or_never() {
            frame
        } else {
            let waiting = tokio::time::timeout(PIECE_TIMEOUT, body.frame()).await;
            waiting.map_err(|_| BodyError::Slow)?
        };
        match frame.transpose().map_err(BodyError::Broken)?.map(Frame::into_data) {
            None => return Ok(None),
            Some(Ok(data)) if !data.is_empty() => return Ok(Some(data)),
            Some(_) => {}
        }
    }
}

/// Reads what is left of a refused body, so that its sender gets to read the refusal: a connection
/// closed amid a body takes the answer with it.
pub(crate) async fn drain(mut body: Body) {
    let reading = async {
        let mut left = CALL_BYTES_MAX;
        while left > 0
            && let Ok(Some(piece)) = piece(&mut body).await
        {
            left = left.saturating_sub(piece.len() as u64);
        }
    };
    let _ = tokio::time::timeout(BODY_TIMEOUT, reading).await;
}

impl Whole {
    /// Takes bytes in memory.
    pub(crate) fn new(bytes: Bytes, hashed: bool) -> Self {
        let mut hash = BodyHash::default();
        if hashed {
            hash.update(&bytes);
        }
        Self {
            size: bytes.len() as u64,
            digest: Digest::of(&bytes),
            hash: hash.finish(),
            content: Content::Memory(bytes),
        }
    }

    /// Returns the body to be sent, from its beginning; as often as it is needed.
    pub(crate) fn to_body(&self) -> Body {
        match &self.content {
            Content::Memory(bytes) => full(bytes.clone()),
            Content::File(file) => {
                Sending { file: Arc::clone(file), at: 0, size: self.size }.boxed_unsync()
            }
        }
    }

    /// Returns the bytes of a body that is in memory.
    pub(crate) fn in_memory(&self) -> Option<&Bytes> {
        match &self.content {
            Content::Memory(bytes) => Some(bytes),
            Content::File(_) => None,
        }
    }
}

/// A file as it is sent.
struct Sending {
    file: Arc<SpoolFile>,
    at: u64,
    size: u64,
}

impl hyper::body::Body for Sending {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let left = usize::try_from(self.size - self.at).unwrap_or(usize::MAX).min(CHUNK_BYTES);
        if left == 0 {
            return Poll::Ready(None);
        }
        let mut chunk = vec![0; left];
        let read = self.file.file.read_at(self.at, &mut chunk);
        self.at += left as u64;
        Poll::Ready(Some(read.map(|()| Frame::data(chunk.into()))))
    }

    fn is_end_stream(&self) -> bool {
        self.at == self.size
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.size - self.at)
    }
}

#[cfg(test)]
mod tests;
