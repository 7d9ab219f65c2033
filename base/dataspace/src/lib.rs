#![doc = include_str!("../README.md")]

pub mod catalog;
pub mod error;
pub mod message;
pub mod names;
pub mod negotiation;
pub mod policy;
mod read;
pub mod state;
pub mod transfer;
pub mod version;

pub use error::{Error, Problem};
pub use message::{Cause, Message, Pids, Role, Thread, from_slice, to_vec};
pub use read::TEXT_BYTES_MAX;
pub use state::Illegal;
