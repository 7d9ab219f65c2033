//! The serialised heads of request and answer, and the request hash (PR-REST 4.4, annex A).
//!
//! A head is lines that end in CR LF, without an empty line at the end: method and raw target of a
//! request, status and reason of an answer, then each kept header as `name:value` without a blank.
//! The names are written as the caller gives them; a node whose HTTP library turns them to lower
//! case hashes lower-case names, on both sides alike.
//!
//! Not here: the digest that an agency can compute on its own (RFC 9530), which `karvan-trust` has.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha512};

use crate::Method;
use crate::header::{RequestAdditions, ResponseAdditions, passes_in_request, passes_in_response};

/// Bytes of a SHA-512 digest.
pub const HASH_BYTES: usize = 64;

/// Appends the head of a request to `out`; filters the headers and adds the node's.
pub fn write_request<'a>(
    out: &mut Vec<u8>,
    method: Method,
    target: &str,
    headers: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    additions: RequestAdditions<'_>,
) {
    line(out, &[method.as_str().as_bytes()]);
    line(out, &[target.as_bytes()]);
    for (name, value) in headers.into_iter().filter(|(name, _)| passes_in_request(name)) {
        line(out, &[name.as_bytes(), b":", value]);
    }
    for (name, value) in additions.headers() {
        line(out, &[name.as_bytes(), b":", value.as_bytes()]);
    }
}

/// Appends the head of an answer to `out`; filters the headers and adds the node's.
pub fn write_response<'a>(
    out: &mut Vec<u8>,
    status: u16,
    reason: &str,
    headers: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    additions: ResponseAdditions<'_>,
) {
    line(out, &[status.to_string().as_bytes()]);
    line(out, &[reason.as_bytes()]);
    for (name, value) in headers.into_iter().filter(|(name, _)| passes_in_response(name)) {
        line(out, &[name.as_bytes(), b":", value]);
    }
    for (name, value) in additions.headers() {
        line(out, &[name.as_bytes(), b":", value.as_bytes()]);
    }
}

fn line(out: &mut Vec<u8>, pieces: &[&[u8]]) {
    for piece in pieces {
        out.extend_from_slice(piece);
    }
    out.extend_from_slice(b"\r\n");
}

/// Hashes a body while it passes.
#[derive(Clone, Debug, Default)]
pub struct BodyHash {
    state: Sha512,
    seen: bool,
}

impl BodyHash {
    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.seen |= !bytes.is_empty();
        self.state.update(bytes);
    }

    /// Returns the SHA-512 of all bytes; `None` when there were none, for an empty body is no body.
    pub fn finish(self) -> Option<[u8; HASH_BYTES]> {
        self.seen.then(|| self.state.finalize().into())
    }
}

/// Returns the value of `X-Road-Request-Hash`: the SHA-512 of the head alone, or of the digests of
/// head and body one after the other, in base64.
pub fn request_hash(head: &[u8], body: Option<[u8; HASH_BYTES]>) -> String {
    let head = Sha512::digest(head);
    match body {
        None => STANDARD.encode(head),
        Some(body) => {
            STANDARD.encode(Sha512::new().chain_update(head).chain_update(body).finalize())
        }
    }
}
