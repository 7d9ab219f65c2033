//! Pushing data: each file of a folder goes to the consumer as a document.
//!
//! A document is signed, receipted and kept in order by the exchange, so a push needs nothing of
//! its own but a name for each item: its exchange id follows from the transfer and the item, and
//! the exchange takes each id once. So a push that breaks off begins again and doubles nothing.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use karvan_dataspace::transfer;
use karvan_exchange::submit::{Content, NewDocument};
use karvan_store::Blobs;
use karvan_system::{Disk as _, OsDisk};
use karvan_types::limits::{DOCUMENT_BYTES_MAX, INLINE_BODY_BYTES_MAX};
use karvan_types::{Digest, ErrorKind, ExchangeId};

use crate::Error;
use crate::engine::{Engine, own_member};
use crate::records::{Dataset, Kind, Process, Side, Stage};
use crate::source::{Source, blocking, read_block};

/// The format in which the provider sends.
pub const PUSH: &str = "HttpData-PUSH";
/// Most files that one push sends.
const ITEMS_MAX: usize = 10_000;

/// What a push sends.
struct Load {
    code: String,
    folder: PathBuf,
    media_type: String,
}

fn load(dataset: &Dataset) -> Option<Load> {
    let (Kind::Documents { codes }, Some(Source::Folder { path, media_type })) =
        (&dataset.kind, &dataset.source)
    else {
        return None;
    };
    let (folder, media_type) = (path.clone(), media_type.clone());
    Some(Load { code: codes.first()?.clone(), folder, media_type })
}

/// Returns whether a dataset can be pushed.
pub(crate) fn can_push(dataset: &Dataset) -> bool {
    load(dataset).is_some()
}

/// Returns whether it is our turn to push.
pub(crate) fn is_ours(process: &Process) -> bool {
    process.side == Side::Provider
        && process.format.as_deref() == Some(PUSH)
        && process.stage == Stage::Transfer(transfer::State::Started)
}

impl Engine {
    /// Hands every item of a transfer to the exchange. Returns whether all went; they do not when
    /// the transfer was paused or ended meanwhile.
    pub(crate) async fn push(
        self: &Arc<Self>,
        process: &Process,
        dataset: Option<&Dataset>,
    ) -> Result<bool, Error> {
        let load = dataset.and_then(load);
        let load = load.ok_or_else(|| Error::unknown("source of documents", &process.dataset))?;
        let (sender, recipient) = (own_member(&process.own)?, own_member(&process.counterparty)?);
        let folder = load.folder.clone();
        let items = blocking(move || OsDisk.list(&folder)).await?;
        let items: Vec<_> = items.into_iter().filter(|item| !item.starts_with('.')).collect();
        if items.len() > ITEMS_MAX {
            let text = format!("the folder has {} files; at most {ITEMS_MAX} go", items.len());
            return Err(Error::new(ErrorKind::TooLarge, "source", text));
        }
        for item in items {
            let now = self.process(&process.pid).await?;
            if now.is_none_or(|now| !is_ours(&now)) {
                return Ok(false);
            }
            self.check_in_force(process)?;
            let (path, blobs) = (load.folder.join(&item), self.node.blobs().clone());
            let content = blocking(move || content(&path, &blobs)).await?;
            let document = NewDocument {
                exchange: exchange_of(process, &item),
                sender: sender.clone(),
                recipient: recipient.clone(),
                code: load.code.clone(),
                content_type: load.media_type.clone(),
                content,
            };
            self.node.submit(document).await?;
        }
        Ok(true)
    }
}

/// Names an item of a transfer, always alike.
fn exchange_of(process: &Process, item: &str) -> ExchangeId {
    let digest = Digest::of_parts(&[process.pid.as_bytes(), b"\n", item.as_bytes()]);
    let mut name = [0; 10];
    name.iter_mut().zip(digest.as_bytes()).for_each(|(to, from)| *to = *from);
    ExchangeId::new(process.opened_at, name)
}

/// Reads a file: a small one into memory, a larger one into the folder of bodies.
fn content(path: &Path, blobs: &Blobs) -> std::io::Result<Content> {
    let file = OsDisk.open_to_read(path)?;
    let len = file.len()?;
    if len > DOCUMENT_BYTES_MAX {
        return Err(std::io::Error::other(format!(
            "a document has at most {DOCUMENT_BYTES_MAX} bytes, this file has {len}"
        )));
    }
    let (mut at, mut bytes) = (0, Vec::new());
    if len <= INLINE_BODY_BYTES_MAX {
        while at < len {
            bytes.extend(read_block(&*file, at, len)?);
            at = bytes.len() as u64;
        }
        return Ok(Content::Inline(bytes));
    }
    let other = |error: karvan_store::Error| std::io::Error::other(error.to_string());
    let mut writer = blobs.writer().map_err(other)?;
    while at < len {
        let block = read_block(&*file, at, len)?;
        writer.write(&block).map_err(other)?;
        at += block.len() as u64;
    }
    let (digest, size) = writer.finish().map_err(other)?;
    Ok(Content::Blob { digest, size })
}
