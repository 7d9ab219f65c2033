#![doc = include_str!("../README.md")]

pub mod access;
pub mod admin;
pub mod body;
pub mod breaker;
pub mod bundle;
mod client;
pub mod error;
pub mod evidence;
pub mod gateway;
mod guard;
pub mod measure;
pub mod messages;
pub mod metadata;
pub mod metrics;
mod open;
pub mod overload;
mod patient;
mod peers;
mod provider;
mod quotas;
pub mod records;
mod recovery;
pub mod registry;
mod signer;
mod trace;
pub mod upstream;
mod wire;

pub use error::Error;
pub use gateway::{Gateway, Settings};
pub use signer::Signatures;
pub use trace::TraceContext;
