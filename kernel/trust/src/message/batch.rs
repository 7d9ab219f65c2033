//! One signature over many messages: a Merkle tree of their bases, whose root is signed.
//!
//! What is signed is a text of four lines, each ended by a line feed: `karvan-batch/1`, the key's
//! id, the number of messages, the root in base64. The tree is that of RFC 6962, section 2.1; an
//! entry is a signature base. What travels with each message, and is kept as its evidence, is
//!
//! | bytes | |
//! |------:|---|
//! |    64 | signature of the text |
//! |     1 | number of messages, less one |
//! |     1 | index of this message, from zero |
//! | 32 each | hashes on the way to the root (RFC 9162, section 2.1.3) |
//!
//! so each message is proven alone, without its neighbours. No base begins like the text, and each
//! says by its tag that it is part of a batch, so neither kind of signature passes for the other.
//!
//! Invariant: a message that verifies was hashed into a tree whose root the key signed.

use karvan_evidence::proof::inclusion_root;
use karvan_evidence::tree::{leaf_hash, node_hash};
use karvan_types::Digest;

use crate::Error;
use crate::keys::{KeyId, KeyProvider, PublicKey, SIGNATURE_BYTES};

/// Most messages under one signature.
pub const BATCH_MESSAGES_MAX: usize = 256;
/// Most hashes on the way to a root: the height of a tree of [`BATCH_MESSAGES_MAX`].
const PATH_MAX: usize = 8;
/// Bytes before the hashes.
const HEAD_BYTES: usize = SIGNATURE_BYTES + 2;
const HASH_BYTES: usize = 32;
/// Longest signature of either kind, in bytes.
pub(super) const BYTES_MAX: usize = HEAD_BYTES + PATH_MAX * HASH_BYTES;

/// Returns whether a signature has a length of its kind.
pub(super) fn has_length(signature: &[u8], is_batched: bool) -> bool {
    let path = signature.len().checked_sub(HEAD_BYTES);
    if is_batched {
        path.is_some_and(|path| path.is_multiple_of(HASH_BYTES) && path / HASH_BYTES <= PATH_MAX)
    } else {
        signature.len() == SIGNATURE_BYTES
    }
}

/// Signs messages of one key at once; returns for each leaf, in order, what its message is
/// completed with. There are 1 to [`BATCH_MESSAGES_MAX`] leaves.
pub fn sign_batch(
    leaves: &[Digest],
    key: &KeyId,
    keys: &dyn KeyProvider,
) -> Result<Vec<Vec<u8>>, Error> {
    let rows = rows(leaves);
    let root = rows.last().and_then(|row| row.first());
    let (Some(root), true) = (root, leaves.len() <= BATCH_MESSAGES_MAX) else {
        return Err(Error::Crypto("sign 1 to 256 messages at once"));
    };
    let signature = keys.sign(key, text(key, leaves.len(), root).as_bytes())?;
    let last = u8::try_from(leaves.len() - 1).unwrap_or(u8::MAX);
    let of = |index: u8| {
        let mut bytes = Vec::with_capacity(BYTES_MAX);
        bytes.extend_from_slice(&signature);
        bytes.extend([last, index]);
        let mut place = usize::from(index);
        for row in &rows {
            // The last of an odd row has no neighbour and moves up as it is.
            if let Some(neighbour) = row.get(place ^ 1) {
                bytes.extend_from_slice(neighbour.as_bytes());
            }
            place /= 2;
        }
        bytes
    };
    Ok((0..=last).map(of).collect())
}

/// Verifies the signature of a base that says it is part of a batch.
///
/// The signature of a root is checked once and remembered with the key, since its other messages
/// follow soon.
pub(super) fn verify(base: &str, signature: &[u8], id: &KeyId, key: &PublicKey) -> bool {
    let open = || {
        let (root_signature, rest) = signature.split_at_checked(SIGNATURE_BYTES)?;
        let (&[last, index], path) = rest.split_first_chunk()?;
        if !has_length(signature, true) {
            return None;
        }
        let path: Vec<Digest> = path.as_chunks().0.iter().map(|hash| Digest(*hash)).collect();
        let size = u64::from(last) + 1;
        let root = inclusion_root(&path, index.into(), size, &leaf_hash(base.as_bytes())).ok()?;
        let text = text(id, usize::from(last) + 1, &root);
        Some(key.verify_again(text.as_bytes(), root_signature))
    };
    open().unwrap_or(false)
}

/// Returns all rows of the tree, leaves first, root last.
fn rows(leaves: &[Digest]) -> Vec<Vec<Digest>> {
    let mut rows = vec![leaves.to_vec()];
    while let Some(row) = rows.last().filter(|row| row.len() > 1) {
        let above = row.chunks(2).filter_map(|pair| match pair {
            [left, right] => Some(node_hash(left, right)),
            [single] => Some(*single),
            _ => None,
        });
        let above = above.collect();
        rows.push(above);
    }
    rows
}

fn text(key: &KeyId, count: usize, root: &Digest) -> String {
    format!("karvan-batch/1\n{key}\n{count}\n{}\n", root.to_base64())
}
