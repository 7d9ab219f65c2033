//! The ceremony behind `karvan init`: a nation's keys, certificate, list and node, and the
//! federation root that two nations sign one after the other, each on its own machine.
//!
//! Everything of one node stands in one folder ([`Home`]). What travels between the nations are
//! three public files: `nation.json`, the root, and the list. Private keys never leave the folder.
//!
//! Invariants: nothing is overwritten that cannot be made again; a root is countersigned only when
//! it names this nation with its own keys; what is installed was verified before.
//!
//! Not here: questions to the operator (`crate::commands::init`).

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use karvan_system::{OsDisk, SystemEntropy};
use karvan_trust::keys::KeyProvider;
use karvan_trust::keys::{Algorithm, KeyId, Owner, SealedKeys, Unlock as UnlockWith, new_key_file};
use karvan_trust::lists::RootNation;
use karvan_types::limits::LIST_BYTES_MAX;
use karvan_types::{ErrorKind, Instance, Timestamp, json};

use crate::config::{Config, KeysSection, Unlock};
use crate::failure::Failure;
use crate::files;

mod agreement;
mod certificate;
mod home;
mod list;
mod plan;
mod root;
mod token;

pub(crate) use agreement::{read_agreement, sign_agreement};
pub(crate) use certificate::{read_certificate, renew, renew_certificate, write_certificate};
pub(crate) use home::Home;
pub(crate) use list::issue_list;
pub(crate) use plan::{Plan, PlannedMember};
pub(crate) use root::{countersign_root, draft_root, install, read_root};
pub(crate) use token::{NewToken, add_token, read_token_file};

/// Longest key file, in bytes.
const KEY_FILE_BYTES_MAX: u64 = 4096;

/// The material of one node and its nation, opened.
pub(crate) struct Material {
    pub(crate) home: Home,
    pub(crate) config: Config,
    pub(crate) keys: Arc<SealedKeys>,
    /// The nation's public part, as the other nation gets it.
    pub(crate) nation: RootNation,
}

impl Material {
    /// Opens the folder that [`create`] made.
    pub(crate) fn open(dir: &Path) -> Result<Self> {
        let home = Home::new(dir);
        let config = Config::load(&home.config())?;
        let keys = open_keys(&config.keys)?;
        let nation = read_nation(&home.nation())?;
        Ok(Self { home, config, keys, nation })
    }

    /// Returns the nation.
    pub(crate) fn instance(&self) -> Instance {
        self.nation.scheme_territory
    }

    /// Returns the newest of the nation's keys of one kind, such as `list`.
    fn nation_key(&self, kind: &str) -> Result<KeyId> {
        newest_key(&self.keys, &Owner::Nation(self.instance()), kind)
    }
}

/// Makes a nation's material and its first node, in a folder that has none yet.
pub(crate) fn create(dir: &Path, plan: &Plan, now: Timestamp) -> Result<Material> {
    plan.check()?;
    let home = Home::new(dir);
    if home.config().exists() {
        let text = format!("{} holds a node already", dir.display());
        let hint = "take another folder; keys are never overwritten";
        return Err(Failure::new(ErrorKind::Conflict, text).hint(hint).into());
    }
    files::make_private_folder(home.root())?;
    for folder in [&home.lists(), &home.agreements(), &home.tokens()] {
        files::make_folder(folder)?;
    }
    let unlock = if let Some(name) = &plan.passphrase_env {
        Unlock::PassphraseEnv(name.clone())
    } else {
        files::write_secret(&home.unlock(), new_key_file(&SystemEntropy).as_bytes())?;
        Unlock::KeyFile(home.unlock())
    };
    let section = KeysSection { folder: home.keys(), unlock };
    let keys = with_unlock(&section, |unlock| {
        Ok(SealedKeys::create(&section.folder, Arc::new(OsDisk), unlock, &SystemEntropy)?)
    })?;
    let keys = Arc::new(keys);
    make_keys(plan, &keys)?;
    let (nation, certificate) = certificate::first(plan, Arc::clone(&keys), now)?;
    files::write(&home.nation(), &pretty(&nation)?)?;
    write_certificate(&home.certificate(), &certificate)?;
    let list = list::first(plan, &keys, now)?;
    files::write(&home.list(plan.nation), &list)?;
    for token in plan.tokens()? {
        add_token(&home, &token)?;
    }
    files::write(&home.config(), plan.config_text()?.as_bytes())?;
    Material::open(dir)
}

/// Makes every key: of the nation, of the node, of the members.
fn make_keys(plan: &Plan, keys: &SealedKeys) -> Result<()> {
    let nation = Owner::Nation(plan.nation);
    let node = Owner::Node(plan.node.clone());
    let mut wanted: Vec<(Owner, &str)> = vec![
        (nation.clone(), "root-1"),
        (nation.clone(), "list-1"),
        (nation, "ca-1"),
        (node.clone(), "tls-1"),
        (node.clone(), "sign-1"),
        (node.clone(), "log-1"),
        (node, "witness-1"),
    ];
    wanted.extend(plan.owners().into_iter().map(|member| (Owner::Member(member), "sign-1")));
    for (owner, name) in wanted {
        keys.generate(&KeyId::new(&owner, name)?, Algorithm::Ed25519, &SystemEntropy)?;
    }
    Ok(())
}

/// Opens the folder of keys that a configuration names.
pub(crate) fn open_keys(section: &KeysSection) -> Result<Arc<SealedKeys>> {
    with_unlock(section, |unlock| {
        Ok(Arc::new(SealedKeys::open(&section.folder, Arc::new(OsDisk), unlock)?))
    })
}

fn with_unlock<T>(
    section: &KeysSection,
    open: impl FnOnce(&UnlockWith<'_>) -> Result<T>,
) -> Result<T> {
    match &section.unlock {
        Unlock::KeyFile(path) => {
            let content = files::read(path, KEY_FILE_BYTES_MAX)?;
            open(&UnlockWith::KeyFile(&content))
        }
        Unlock::PassphraseEnv(name) => {
            let passphrase = std::env::var(name).map_err(|_| {
                Failure::config(format!("the environment variable {name} holds no passphrase"))
                    .hint("set it to the passphrase of the folder of keys")
            })?;
            open(&UnlockWith::Passphrase(passphrase.as_bytes()))
        }
    }
}

/// Returns the key of an owner and kind with the highest number that is held here.
fn newest_key(keys: &SealedKeys, owner: &Owner, kind: &str) -> Result<KeyId> {
    keys_of(keys, owner, kind).pop().ok_or_else(|| {
        let text = format!("the folder of keys holds no key {owner}#{kind}-…");
        let hint = "bring the key's file back into the folder for this act";
        Failure::new(ErrorKind::NotFound, text).hint(hint).into()
    })
}

/// Returns the keys of an owner and kind that are held here, by number.
pub(crate) fn keys_of(keys: &SealedKeys, owner: &Owner, kind: &str) -> Vec<KeyId> {
    let number = |id: &KeyId| {
        let (_, name) = id.as_str().split_once('#')?;
        name.strip_prefix(kind)?.strip_prefix('-')?.parse::<u32>().ok()
    };
    let mut numbered: Vec<_> = keys
        .ids()
        .into_iter()
        .filter(|id| id.owner().as_ref() == Some(owner))
        .filter_map(|id| Some((number(&id)?, id)))
        .collect();
    numbered.sort();
    numbered.into_iter().map(|(_, id)| id).collect()
}

/// Returns the public half of a key that is held here.
fn public(keys: &SealedKeys, id: &KeyId) -> Result<karvan_trust::keys::PublicKey> {
    keys.public(id).with_context(|| format!("the key {id} was made a moment ago and is gone"))
}

/// Reads a nation's public part.
pub(crate) fn read_nation(path: &Path) -> Result<RootNation> {
    let bytes = files::read(path, LIST_BYTES_MAX as u64)?;
    json::from_slice(&bytes).map_err(|error| {
        let text = format!("{} is no nation's public part: {error}", path.display());
        let hint = "it is the file nation.json that `karvan init` made on the other side";
        Failure::new(ErrorKind::Invalid, text).hint(hint).into()
    })
}

/// Writes what people compare, in lines.
fn pretty<T: serde::Serialize>(value: &T) -> Result<Vec<u8>> {
    let mut text = serde_json::to_vec_pretty(value)?;
    text.push(b'\n');
    Ok(text)
}
