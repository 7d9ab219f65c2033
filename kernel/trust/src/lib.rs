#![doc = include_str!("../README.md")]

pub mod ca;
pub mod document;
pub mod keys;
pub mod lists;
pub mod message;
pub mod notes;
pub mod tls;
pub mod webhook;

mod error;
mod provided;

pub use error::Error;
