#![doc = include_str!("../README.md")]

pub mod amount;
pub mod digest;
pub mod error;
pub mod id;
pub mod json;
pub mod limits;
mod schema;
pub mod time;

pub use amount::{Amount, Decimal, Quantity};
pub use digest::Digest;
pub use error::ErrorKind;
pub use id::{AgreementRef, ExchangeId, Instance, MemberId, NodeId};
pub use time::{Date, Timestamp};
