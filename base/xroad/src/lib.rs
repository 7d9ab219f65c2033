#![doc = include_str!("../README.md")]

pub mod access;
pub mod error;
pub mod fault;
pub mod head;
pub mod header;
pub mod id;
pub mod metadata;
mod method;
mod percent;
pub mod target;
pub mod url;
mod xml;

pub use error::Error;
pub use fault::{Code, Fault, FaultCode, Prefix, Spelling};
pub use id::{ClientId, RepresentedParty, SecurityServerId, ServiceId};
pub use method::Method;
pub use target::Target;

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod properties;
