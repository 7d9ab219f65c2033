#![doc = include_str!("../README.md")]

pub mod agreements;
pub mod bundle;
pub mod client;
mod control;
pub mod delivery;
pub mod desk;
mod due;
mod error;
pub mod evidence;
pub mod handover;
pub mod host;
mod identity;
mod inbox;
pub mod local_api;
pub mod network;
mod node;
mod peer_api;
mod receipts;
pub mod records;
mod relay;
mod release;
pub mod service;
pub mod streams;
pub mod submit;
pub mod tokens;
pub mod webhooks;
pub mod wire;

pub use error::Error;
pub use node::{Faults, Node, NodeConfig, Parts};
pub use relay::Retry;
