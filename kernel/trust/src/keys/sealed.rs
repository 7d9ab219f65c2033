//! A folder of private keys, one sealed file each.
//!
//! `master.json` holds one random master key, sealed under a key that comes from a passphrase
//! (argon2id, RFC 9106) or from a key file; every other file holds one private key, sealed under
//! the master key with AES-256-GCM. The slow derivation is therefore paid once per opening, and
//! changing the passphrase would touch one file.
//!
//! Invariants: each file's readable header (format, key name, public key) is authenticated together
//! with its secret, so neither can be exchanged; a key file is never overwritten; a file is
//! readable by its owner alone from before its first byte is written.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use argon2::{Argon2, Params, Version};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use karvan_system::{Disk, Entropy};
use karvan_types::json;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::Error;
use crate::keys::{Algorithm, KeyId, KeyPair, KeyProvider, MemoryKeys, PublicKey};

/// What opens a key folder.
pub enum Unlock<'a> {
    /// A passphrase; a folder made with one opens in some tens of milliseconds.
    Passphrase(&'a [u8]),
    /// The content of a key file, as [`new_key_file`] made it.
    KeyFile(&'a [u8]),
}

const MASTER_FORMAT: &str = "karvan-sealed-master/1";
const KEY_FORMAT: &str = "karvan-sealed-key/1";
const MASTER_FILE: &str = "master.json";
const KEY_SUFFIX: &str = ".key.json";
const NONCE_BYTES: usize = 12;
const SALT_BYTES: usize = 16;

/// Cost of deriving a key from a passphrase: 19 MiB and 2 passes, the floor of OWASP's advice.
/// The folder records what it was made with, up to the bounds below.
const ARGON2_MEMORY_KIB: u32 = 19 * 1024;
const ARGON2_PASSES: u32 = 2;
const ARGON2_MEMORY_KIB_MAX: u32 = 1024 * 1024;
const ARGON2_PASSES_MAX: u32 = 16;

/// Longest sealed file, in bytes.
const SEALED_BYTES_MAX: usize = 4096;

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Sealed<H> {
    header: H,
    nonce: String,
    ciphertext: String,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct MasterHeader {
    format: String,
    wrap: Wrap,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
enum Wrap {
    Argon2id { memory_kib: u32, passes: u32, salt: String },
    KeyFile,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct KeyHeader {
    format: String,
    key: KeyId,
    algorithm: Algorithm,
    public: PublicKey,
}

/// An open key folder.
pub struct SealedKeys {
    dir: PathBuf,
    disk: Arc<dyn Disk>,
    master: LessSafeKey,
    keys: MemoryKeys,
    // Held while a file is made, so that one name is never written twice.
    making: Mutex<()>,
}

/// Makes the content of a new key file: 32 random bytes in base64 and a line end.
pub fn new_key_file(entropy: &dyn Entropy) -> Zeroizing<String> {
    let mut secret = Zeroizing::new([0; 32]);
    entropy.fill(secret.as_mut());
    Zeroizing::new(STANDARD.encode(secret.as_ref()) + "\n")
}

impl SealedKeys {
    /// Makes a new, empty key folder.
    pub fn create(
        dir: &Path,
        disk: Arc<dyn Disk>,
        unlock: &Unlock<'_>,
        entropy: &dyn Entropy,
    ) -> Result<Self, Error> {
        let path = dir.join(MASTER_FILE);
        if disk.exists(&path) {
            return Err(Error::FolderExists(dir.to_owned()));
        }
        disk.create_dir_all(dir).map_err(Error::io("create the folder", dir))?;
        let wrap = match unlock {
            Unlock::KeyFile(_) => Wrap::KeyFile,
            Unlock::Passphrase(_) => Wrap::Argon2id {
                memory_kib: ARGON2_MEMORY_KIB,
                passes: ARGON2_PASSES,
                salt: STANDARD.encode(entropy.array::<SALT_BYTES>()),
            },
        };
        let wrapping = wrapping_key(&wrap, unlock, &path)?;
        let mut master = Zeroizing::new([0; 32]);
        entropy.fill(master.as_mut());
        let header = MasterHeader { format: MASTER_FORMAT.to_owned(), wrap };
        write_sealed(&*disk, &path, &wrapping, header, &master, entropy)?;
        let master = aead(master.as_ref())?;
        let (dir, keys) = (dir.to_owned(), MemoryKeys::new());
        Ok(Self { dir, disk, master, keys, making: Mutex::new(()) })
    }

    /// Opens a key folder and every key in it.
    pub fn open(dir: &Path, disk: Arc<dyn Disk>, unlock: &Unlock<'_>) -> Result<Self, Error> {
        let path = dir.join(MASTER_FILE);
        let file: Sealed<MasterHeader> = read_sealed(&*disk, &path)?;
        if file.header.format != MASTER_FORMAT {
            return Err(Error::Altered(path));
        }
        let wrapping = wrapping_key(&file.header.wrap, unlock, &path)?;
        let master = unseal(&file, &wrapping).ok_or(Error::Locked(path))?;
        let (dir, keys) = (dir.to_owned(), MemoryKeys::new());
        let opened =
            Self { dir, disk, master: aead(master.as_ref())?, keys, making: Mutex::new(()) };
        let names = opened.disk.list(&opened.dir).map_err(Error::io("list", &opened.dir))?;
        for name in names.iter().filter(|name| name.ends_with(KEY_SUFFIX)) {
            opened.load(name)?;
        }
        Ok(opened)
    }

    fn load(&self, name: &str) -> Result<(), Error> {
        let path = self.dir.join(name);
        let file: Sealed<KeyHeader> = read_sealed(&*self.disk, &path)?;
        let secret = unseal(&file, &self.master);
        let header = file.header;
        let pair = secret.and_then(|secret| KeyPair::from_secret(header.algorithm, &secret).ok());
        match pair {
            Some(pair)
                if header.format == KEY_FORMAT
                    && header.key.file_name() == name
                    && *pair.public() == header.public =>
            {
                self.keys.insert(&header.key, pair)
            }
            _ => Err(Error::Altered(path)),
        }
    }

    /// Makes a new key, durable when this returns, and returns its public half.
    pub fn generate(
        &self,
        id: &KeyId,
        algorithm: Algorithm,
        entropy: &dyn Entropy,
    ) -> Result<PublicKey, Error> {
        let _making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        let path = self.dir.join(id.file_name());
        if self.keys.public(id).is_some() || self.disk.exists(&path) {
            return Err(Error::KeyExists(id.clone()));
        }
        let (pair, secret) = KeyPair::generate_with_secret(algorithm, entropy)?;
        let public = pair.public().clone();
        let header = KeyHeader {
            format: KEY_FORMAT.to_owned(),
            key: id.clone(),
            algorithm,
            public: public.clone(),
        };
        write_sealed(&*self.disk, &path, &self.master, header, &secret, entropy)?;
        self.keys.insert(id, pair)?;
        Ok(public)
    }

    /// Returns the names of all keys, sorted.
    pub fn ids(&self) -> Vec<KeyId> {
        self.keys.ids()
    }
}

impl KeyProvider for SealedKeys {
    fn sign(&self, key: &KeyId, message: &[u8]) -> Result<Vec<u8>, Error> {
        self.keys.sign(key, message)
    }

    fn public(&self, key: &KeyId) -> Option<PublicKey> {
        self.keys.public(key)
    }
}

fn aead(key: &[u8]) -> Result<LessSafeKey, Error> {
    let key = UnboundKey::new(&AES_256_GCM, key).map_err(|_| Error::Crypto("take an AES key"))?;
    Ok(LessSafeKey::new(key))
}

/// Returns the key that wraps the master key; `path` is named in errors.
fn wrapping_key(wrap: &Wrap, unlock: &Unlock<'_>, path: &Path) -> Result<LessSafeKey, Error> {
    let locked = || Error::Locked(path.to_owned());
    match (wrap, unlock) {
        (Wrap::KeyFile, Unlock::KeyFile(content)) => {
            let key = STANDARD.decode(content.trim_ascii_end()).map_err(|_| locked())?;
            let key = Zeroizing::new(key);
            if key.len() == 32 { aead(&key) } else { Err(locked()) }
        }
        (Wrap::Argon2id { memory_kib, passes, salt }, Unlock::Passphrase(passphrase)) => {
            if *memory_kib > ARGON2_MEMORY_KIB_MAX || *passes > ARGON2_PASSES_MAX {
                return Err(Error::Altered(path.to_owned()));
            }
            let altered = || Error::Altered(path.to_owned());
            let salt = STANDARD.decode(salt).map_err(|_| altered())?;
            let params = Params::new(*memory_kib, *passes, 1, Some(32)).map_err(|_| altered())?;
            let mut key = Zeroizing::new([0; 32]);
            Argon2::new(argon2::Algorithm::Argon2id, Version::V0x13, params)
                .hash_password_into(passphrase, &salt, key.as_mut())
                .map_err(|_| altered())?;
            aead(key.as_ref())
        }
        _ => Err(locked()),
    }
}

fn read_sealed<H: for<'de> Deserialize<'de>>(
    disk: &dyn Disk,
    path: &Path,
) -> Result<Sealed<H>, Error> {
    let bytes = disk.read(path).map_err(Error::io("read", path))?;
    if bytes.len() > SEALED_BYTES_MAX {
        return Err(Error::Altered(path.to_owned()));
    }
    json::from_slice(&bytes).map_err(|_| Error::Altered(path.to_owned()))
}

fn unseal<H: Serialize>(file: &Sealed<H>, key: &LessSafeKey) -> Option<Zeroizing<[u8; 32]>> {
    let nonce: [u8; NONCE_BYTES] = STANDARD.decode(&file.nonce).ok()?.try_into().ok()?;
    let mut sealed = Zeroizing::new(STANDARD.decode(&file.ciphertext).ok()?);
    let aad = Aad::from(json::canonical(&file.header).ok()?);
    let nonce = Nonce::assume_unique_for_key(nonce);
    let opened = key.open_in_place(nonce, aad, &mut sealed).ok()?;
    let mut secret = Zeroizing::new([0; 32]);
    // Copied into place, so that no copy is left on the stack.
    (opened.len() == secret.len()).then(|| secret.copy_from_slice(opened))?;
    Some(secret)
}

fn write_sealed<H: Serialize>(
    disk: &dyn Disk,
    path: &Path,
    key: &LessSafeKey,
    header: H,
    secret: &[u8; 32],
    entropy: &dyn Entropy,
) -> Result<(), Error> {
    let nonce = entropy.array::<NONCE_BYTES>();
    let aad = Aad::from(json::canonical(&header)?);
    let mut sealed = Zeroizing::new(secret.to_vec());
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut *sealed)
        .map_err(|_| Error::Crypto("seal a key"))?;
    let file =
        Sealed { header, nonce: STANDARD.encode(nonce), ciphertext: STANDARD.encode(&*sealed) };
    let bytes = json::canonical(&file)?;
    disk.replace_private(path, &bytes).map_err(Error::io("write", path))
}
