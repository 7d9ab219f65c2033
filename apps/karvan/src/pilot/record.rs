//! How far a consignment has come, durable before each step that writes.
//!
//! A pilot may be ended at any instant. The next start goes on at the step in flight: that step
//! may or may not have been done, so it is repeated and what it says about having been done before
//! counts as its outcome.

use std::path::{Path, PathBuf};

use anyhow::Result;
use karvan_types::{ExchangeId, json};
use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::files;

/// Longest record, in bytes.
const RECORD_BYTES_MAX: u64 = 1024 * 1024;

/// What is known about the play of one consignment.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Record {
    /// Steps that were done.
    pub(crate) done: usize,
    /// Whether the next step had been begun.
    pub(crate) in_flight: bool,
    /// Whether all steps were done.
    pub(crate) complete: bool,
    /// Each outcome that was not the expected one.
    pub(crate) problems: Vec<String>,
    /// What was sent, in order.
    pub(crate) documents: Vec<Sent>,
}

/// A document that a step sent.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Sent {
    /// Folder of the sender's nation.
    pub(crate) from: String,
    pub(crate) exchange: ExchangeId,
}

impl Record {
    /// Reads a record; an empty one when there is none.
    pub(crate) fn load(folder: &Path, consignment: &str) -> Result<Self> {
        let path = path(folder, consignment);
        if !path.exists() {
            return Ok(Self::default());
        }
        let bytes = files::read(&path, RECORD_BYTES_MAX)?;
        Ok(json::from_slice(&bytes).map_err(|error| {
            Failure::config(format!("{} cannot be read: {error}", path.display()))
                .hint("restore the file, or start with another folder: --dir NEW")
        })?)
    }

    pub(crate) fn save(&self, folder: &Path, consignment: &str) -> Result<()> {
        files::write(&path(folder, consignment), &serde_json::to_vec_pretty(self)?)
    }
}

fn path(folder: &Path, consignment: &str) -> PathBuf {
    folder.join(format!("{consignment}.json"))
}
