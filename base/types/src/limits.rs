//! Every bound that more than one crate must agree on, with its unit in its name.
//!
//! A bound that only one module needs stands in that module, named in the same way.

/// Longest document body accepted, in bytes (64 MiB).
pub const DOCUMENT_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Longest body stored in the database row itself, in bytes (64 KiB); longer ones are files, hashed
/// while they are written.
pub const INLINE_BODY_BYTES_MAX: u64 = 64 * 1024;
/// Longest body handed to a sub-system's handler, in bytes (4 MiB): held in memory and in a row.
pub const HANDLED_BODY_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Longest log entry, in bytes (C2SP tlog-tiles: 16-bit length).
pub const LOG_ENTRY_BYTES_MAX: usize = 65_535;
/// Longest JSON text parsed into memory, in bytes.
pub const JSON_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Deepest nesting of a JSON text.
pub const JSON_DEPTH_MAX: usize = 32;
/// Longest national list or federation root, in bytes.
pub const LIST_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Largest difference of two nodes' clocks that is accepted, in seconds (profile karvan-sig/1).
pub const CLOCK_SKEW_SECONDS_MAX: u64 = 60;
/// Longest identifier (member, node, service, message), in bytes.
pub const ID_BYTES_MAX: usize = 255;
