//! Readers for the line-based texts of this crate. Each value has exactly one accepted spelling.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use karvan_types::Digest;

use crate::Error;
use crate::proof::{PROOF_HASHES_MAX, TREE_SIZE_MAX};

/// Parses a decimal number: ASCII digits, no sign, no leading zero, at most [`TREE_SIZE_MAX`].
pub(crate) fn decimal(text: &str) -> Option<u64> {
    let canonical =
        text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if !canonical {
        return None;
    }
    text.parse().ok().filter(|&number| number <= TREE_SIZE_MAX)
}

/// Decodes standard padded base64; stray bits and missing padding are refused.
pub(crate) fn base64(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// Encodes standard padded base64.
pub(crate) fn to_base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Takes the lines up to the empty line that ends a head and returns them with what follows.
pub(crate) fn head<'t>(
    what: &'static str,
    text: &'t str,
) -> Result<(std::str::Split<'t, char>, &'t str), Error> {
    let rule = "an empty line must divide the head from the checkpoint";
    let (head, rest) = text.split_once("\n\n").ok_or(Error::Malformed { what, rule })?;
    Ok((head.split('\n'), rest))
}

/// Parses the remaining lines of a head as one base64 hash each.
pub(crate) fn hashes<'t>(
    what: &'static str,
    lines: impl Iterator<Item = &'t str>,
) -> Result<Vec<Digest>, Error> {
    let rule = "each proof line must be the base64 of 32 bytes";
    let mut hashes = Vec::new();
    for line in lines {
        if hashes.len() == PROOF_HASHES_MAX {
            let (unit, max) = ("proof lines", PROOF_HASHES_MAX);
            return Err(Error::TooLarge { what, unit, actual: max + 1, max });
        }
        hashes.push(Digest::parse_base64(line).map_err(|_| Error::Malformed { what, rule })?);
    }
    Ok(hashes)
}
