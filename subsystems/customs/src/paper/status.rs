//! The list of statuses: four bits for each printed certificate, in the order of printing.
//!
//! Form and names are those of the IETF Token Status List (draft-ietf-oauth-status-list-17): the
//! values are packed with the lowest place in the lowest bits (section 4.1), compressed with zlib
//! and signed together with the address and the time of the list (section 5.1). It was chosen over
//! the W3C Bitstring Status List 1.0 because that wraps the same bits into a Verifiable Credential.
//!
//! Values 0 to 2 are the standard's (section 7.1); 3 and 11 are among those that it leaves to the
//! application.
//!
//! Invariants: reading never allocates more than [`LIST_BYTES_MAX`]; a place that the list does not
//! reach has no status.
//!
//! Not here: who may sign a list, and whether it is stale (`super::check`).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use karvan_types::Timestamp;
use miniz_oxide::deflate::compress_to_vec_zlib;
use miniz_oxide::inflate::decompress_to_vec_zlib_with_limit;
use serde::{Deserialize, Serialize};

use super::Error;

/// Most certificates on one list.
pub const PLACES_MAX: usize = 1_000_000;
/// Longest list, unpacked, in bytes.
pub const LIST_BYTES_MAX: usize = PLACES_MAX / 2;
/// Longest list as published, in bytes: two base64 codings over data that does not compress.
pub const PUBLISHED_BYTES_MAX: usize = LIST_BYTES_MAX * 2;
/// Bits of one status.
const BITS: u8 = 4;
/// zlib's best compression.
const LEVEL: u8 = 9;

/// Where a printed certificate stands.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// In force.
    Valid,
    /// Cancelled by its issuer, for good.
    Cancelled,
    /// Suspended while it is verified; may become valid again.
    Suspended,
    /// Another certificate, or a newer version of this one, took its place.
    Replaced,
    /// Everything that it certifies was used.
    UsedUp,
}

impl Status {
    /// Every status, for tables and tests.
    pub const ALL: [Self; 5] =
        [Self::Valid, Self::Cancelled, Self::Suspended, Self::Replaced, Self::UsedUp];

    /// Returns the value on the list.
    pub const fn value(self) -> u8 {
        match self {
            Self::Valid => 0x0,
            Self::Cancelled => 0x1,
            Self::Suspended => 0x2,
            Self::Replaced => 0x3,
            Self::UsedUp => 0xb,
        }
    }

    /// Returns the status with this value.
    pub fn of_value(value: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.value() == value)
    }

    /// Returns what it means, as the end of a sentence.
    pub const fn about(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Cancelled => "CANCELLED by its issuer",
            Self::Suspended => "SUSPENDED while it is verified",
            Self::Replaced => "REPLACED by another certificate or a newer version",
            Self::UsedUp => "USED UP: everything that it certifies was claimed",
        }
    }
}

/// The signed content of a published list (draft-ietf-oauth-status-list, section 5.1).
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct StatusList {
    /// When it ends, in seconds since 1970.
    pub exp: i64,
    /// When it was made, in seconds since 1970.
    pub iat: i64,
    /// The bits.
    pub status_list: Packed,
    /// The address under which it is published.
    pub sub: String,
    /// After how many seconds a copy should be renewed.
    pub ttl: u64,
}

impl StatusList {
    /// Returns when it was made.
    pub fn made(&self) -> Timestamp {
        Timestamp::from_seconds(self.iat)
    }

    /// Returns when it ends.
    pub fn ends(&self) -> Timestamp {
        Timestamp::from_seconds(self.exp)
    }
}

/// Statuses, packed.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Packed {
    /// Bits of each status: 4.
    pub bits: u8,
    /// The bytes, compressed and in base64url.
    pub lst: String,
}

impl Packed {
    /// Packs the statuses of the places 0, 1, 2 …
    pub fn new(statuses: &[Status]) -> Self {
        let pairs = statuses.chunks(2).map(|pair| {
            let values = pair.iter().zip([0, BITS]);
            values.fold(0, |byte, (status, shift)| byte | (status.value() << shift))
        });
        let bytes: Vec<u8> = pairs.collect();
        Self { bits: BITS, lst: URL_SAFE_NO_PAD.encode(compress_to_vec_zlib(&bytes, LEVEL)) }
    }

    /// Returns the status of a place; `None` when the list does not reach that far.
    pub fn status(&self, place: u64) -> Result<Option<Status>, Error> {
        if self.bits != BITS {
            return Err(Error::List("it has not four bits for each certificate"));
        }
        let packed = URL_SAFE_NO_PAD.decode(&self.lst);
        let packed = packed.map_err(|_| Error::List("`lst` is not base64url"))?;
        let bytes = decompress_to_vec_zlib_with_limit(&packed, LIST_BYTES_MAX)
            .map_err(|_| Error::List("`lst` is not compressed by zlib, or too long"))?;
        let byte = usize::try_from(place / 2).ok().and_then(|at| bytes.get(at));
        let Some(byte) = byte else { return Ok(None) };
        let value = if place.is_multiple_of(2) { byte & 0xf } else { byte >> BITS };
        Status::of_value(value).map(Some).ok_or(Error::List("it has a status of unknown meaning"))
    }
}
