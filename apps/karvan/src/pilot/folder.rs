//! The pilot's data folder: made once, recognised afterwards.
//!
//! | path | what it is |
//! |---|---|
//! | `pilot.json` | says that this is a pilot's folder, and of which format |
//! | `az/`, `pk/` | one node each, as `karvan init` lays it out |
//! | `root.json` | the federation root: all that is needed to verify a bundle |
//! | `played/` | how far each consignment has come |
//! | `bundles/` | evidence, one folder for each consignment |
//! | `az.log`, `pk.log` | what the nodes log |
//!
//! Invariant: keys that a node has used are never made again. A folder whose making was broken off
//! is made anew, because no node has run in it.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use karvan_trust::document::unverified_payload;
use karvan_trust::lists::NationalList;
use karvan_types::limits::LIST_BYTES_MAX;
use karvan_types::{ErrorKind, Timestamp, json};
use serde::{Deserialize, Serialize};

use super::nations::{self, BOTH, Nation};
use crate::failure::Failure;
use crate::files;
use crate::setup::{self, Home, Material};

/// Name and version of the folder's format.
const FORMAT: &str = "karvan-pilot/2";
/// Longest `pilot.json`, in bytes.
const MARK_BYTES_MAX: u64 = 64 * 1024;
/// How long a list that is issued anew lives.
const LIST_LIFETIME: Duration = Duration::from_hours(30 * 24);
/// A list that ends sooner is issued anew at a start.
const LIST_REST_MIN: Duration = Duration::from_hours(15 * 24);
/// The ports that a new folder's nodes may have: below those that Linux gives to whoever asks for
/// any (`ip_local_port_range`).
const PORTS: Range<u16> = 20_000..32_000;

#[derive(Deserialize, Serialize)]
struct Mark {
    format: String,
    /// Whether the making came to its end.
    complete: bool,
}

/// The data folder.
#[derive(Clone, Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// Opens a pilot's folder, or makes one where there is nothing yet. Returns whether it was
    /// there before.
    pub(crate) fn open(dir: &Path, now: Timestamp) -> Result<(Self, bool)> {
        let folder = Self(dir.to_owned());
        let there = folder.recognise()?;
        if there {
            folder.renew_lists(now)?;
        } else {
            folder.make(now)?;
        }
        Ok((folder, there))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn home(&self, nation: &Nation) -> Home {
        Home::new(&self.0.join(nation.folder))
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.0.join("root.json")
    }

    pub(crate) fn bundles(&self) -> PathBuf {
        self.0.join("bundles")
    }

    pub(crate) fn played(&self) -> PathBuf {
        self.0.join("played")
    }

    pub(crate) fn log(&self, nation: &Nation) -> PathBuf {
        self.0.join(format!("{}.log", nation.folder))
    }

    fn mark(&self) -> PathBuf {
        self.0.join("pilot.json")
    }

    /// Returns whether this is a pilot's folder that was made to its end.
    fn recognise(&self) -> Result<bool> {
        let path = self.mark();
        let shown = self.0.display();
        if path.exists() {
            let bytes = files::read(&path, MARK_BYTES_MAX)?;
            let mark: Mark = json::from_slice(&bytes).map_err(|error| {
                Failure::config(format!("{} cannot be read: {error}", path.display()))
                    .hint("restore the file, or start with another folder: --dir NEW")
            })?;
            if mark.format != FORMAT {
                let text = format!(
                    "{shown} was made by another version of the pilot: its format is `{}`, this \
                     program reads `{FORMAT}`",
                    mark.format
                );
                let hint = "use the program that made it, or start with another folder: --dir NEW";
                return Err(Failure::config(text).hint(hint).into());
            }
            return Ok(mark.complete);
        }
        let filled = fs::read_dir(&self.0).is_ok_and(|mut entries| entries.next().is_some());
        if filled {
            let text = format!("{shown} is not empty and is not a pilot's folder");
            let hint = "give an empty or new folder: --dir NEW";
            return Err(Failure::new(ErrorKind::Conflict, text).hint(hint).into());
        }
        Ok(false)
    }

    fn write_mark(&self, complete: bool) -> Result<()> {
        let mark = Mark { format: FORMAT.to_owned(), complete };
        files::write(&self.mark(), &serde_json::to_vec_pretty(&mark)?)
    }

    fn make(&self, now: Timestamp) -> Result<()> {
        let begin = || {
            files::make_folder(&self.0)?;
            self.write_mark(false)
        };
        begin().map_err(|error| {
            Failure::config(format!("the folder {} cannot be written: {error:#}", self.0.display()))
                .hint("give a folder that you may write to: --dir NEW")
        })?;
        for nation in BOTH {
            let home = self.home(nation);
            if home.root().exists() {
                fs::remove_dir_all(home.root())?;
            }
        }
        for folder in [self.bundles(), self.played()] {
            files::make_folder(&folder)?;
        }
        let made = self.found(now)?;
        agree(&made, now)?;
        self.write_mark(true)
    }

    /// Makes both nations' material, the root that both sign, and installs root and lists.
    fn found(&self, now: Timestamp) -> Result<[Material; 2]> {
        let [az_port, pk_port] = free_ports()?;
        let [az, pk] = BOTH;
        let make = |nation: &Nation, port| {
            setup::create(self.home(nation).root(), &nation.plan(port)?, now)
        };
        let made = [make(az, az_port)?, make(pk, pk_port)?];
        let [az, pk] = &made;
        let drafted = setup::draft_root(az, std::slice::from_ref(&pk.nation), now)?;
        let root = setup::countersign_root(pk, &drafted)?;
        let lists = [read_list(az)?, read_list(pk)?];
        for material in &made {
            setup::install(material, &root, &lists, now)?;
        }
        files::write(&self.root(), &root)?;
        Ok(made)
    }

    /// Issues the national lists anew when one of them ends soon: a pilot may lie for months.
    fn renew_lists(&self, now: Timestamp) -> Result<()> {
        let materials = BOTH
            .into_iter()
            .map(|nation| Material::open(self.home(nation).root()))
            .collect::<Result<Vec<_>>>()?;
        let mut ends_soon = false;
        for material in &materials {
            let payload = unverified_payload(&read_list(material)?, LIST_BYTES_MAX)?;
            let list: NationalList = json::from_slice(&payload)?;
            ends_soon |= list.next_update.since(now) < LIST_REST_MIN;
        }
        if !ends_soon {
            return Ok(());
        }
        let mut lists = Vec::new();
        for material in &materials {
            lists.push(setup::issue_list(material, LIST_LIFETIME, now)?.1);
        }
        let root = files::read(&self.root(), LIST_BYTES_MAX as u64)?;
        for material in &materials {
            setup::install(material, &root, &lists, now)?;
        }
        Ok(())
    }
}

/// Has both customs services sign the agreements, and gives the texts to both nodes.
fn agree(made: &[Material; 2], now: Timestamp) -> Result<()> {
    for agreement in nations::agreements(now)? {
        let name = format!("{}-{}.json", agreement.id, agreement.version);
        let mut document = json::canonical(&agreement)?;
        for (material, nation) in made.iter().zip(BOTH) {
            let draft = setup::read_agreement(&document)?;
            document = setup::sign_agreement(material, &draft, Some(&nation.customs()?))?;
        }
        for material in made {
            files::write(&material.home.agreements().join(&name), &document)?;
        }
    }
    Ok(())
}

fn read_list(material: &Material) -> Result<Vec<u8>> {
    files::read(&material.home.list(material.instance()), LIST_BYTES_MAX as u64)
}

/// Returns two ports of loopback on which nobody listens now.
///
/// The nodes take them later. So they are none that the system gives to those who ask for any, and
/// pilots that start at the same time begin their search at different places.
fn free_ports() -> Result<[u16; 2]> {
    let begin = std::process::id() as usize * 2 % PORTS.len();
    let ports = PORTS.cycle().skip(begin).take(PORTS.len());
    let mut free = ports.filter(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok());
    free.next().zip(free.next()).map(|(first, second)| [first, second]).with_context(|| {
        format!("no two ports of {} to {} are free on loopback", PORTS.start, PORTS.end - 1)
    })
}
