//! UN/EDIFACT: CUSDEC, CUSRES and CUSCAR of the directories D.96B and D.09A, in and out.
//!
//! From the bytes up: `charset` (repertoires UNOA to UNOY), `syntax` (service characters, segments,
//! positions), `interchange` (envelopes, references, counts), `table` and `tables` (which field is
//! where), `take` and `fill` (along a table in and out, over the `part`s of a message), `convert`
//! (canonical messages), `control` (the answer to an interchange). The syntax is that of ISO 9735,
//! versions 1 to 4.
//!
//! | message | function, document | canonical |
//! |---|---|---|
//! | CUSDEC | 830 | EXD |
//! | CUSDEC | 929 | IMP |
//! | CUSDEC | function 1 | CXL |
//! | CUSRES | with an outcome (`KOC`) | VAL |
//! | CUSRES | with decisions | UTL |
//! | CUSCAR | 785, 833, 933 | [`CargoReport`] |
//!
//! Invariants: memory is bounded by the constants here; every refusal says segment, element,
//! component and byte; what a reader or writer does not carry is listed.
//!
//! Not here: certificates of origin (`crate::uncefact`), amendments by pointer (`crate::wco`).

mod cargo;
mod charset;
mod control;
mod convert;
mod error;
mod fill;
mod interchange;
mod known;
mod part;
mod syntax;
mod table;
mod tables;
mod take;
mod write;

pub(crate) use cargo::{CARGO_TYPE_CODES, TRANSPORT_DOCUMENTS};
pub use cargo::{CargoReport, FurtherConsignment, TransportDocument};
pub use charset::Charset;
pub use control::{Control, Verdict};
pub use convert::{Content, Imported, Received, Unwritable, Written, receive, receive_each, write};
pub use error::{Error, Position, Rule};
pub use interchange::{Bounds, Header, Message, MessageType, Reader};
pub use syntax::{COMPONENTS_MAX, ELEMENTS_MAX, SEGMENT_BYTES_MAX, Segment, ServiceCharacters};
pub use table::Directory;
pub use write::Envelope;

/// Longest interchange that is held in memory, in bytes.
pub const INTERCHANGE_BYTES_MAX: u64 = karvan_types::limits::DOCUMENT_BYTES_MAX;
/// Most text of one message, in bytes.
pub const MESSAGE_BYTES_MAX: usize = karvan_types::limits::JSON_BYTES_MAX;
/// Most segments of one message.
pub const SEGMENTS_MAX: usize = 200_000;
/// Most messages of one interchange that is held in memory.
pub const MESSAGES_MAX: u64 = 10_000;
/// Longest interchange that is read message by message from a file or stream, in bytes.
pub const STREAM_BYTES_MAX: u64 = 4 * 1024 * 1024 * 1024;
/// Most messages of such an interchange; of each the reference is remembered.
pub const STREAM_MESSAGES_MAX: u64 = 200_000;

#[cfg(test)]
mod tests;
