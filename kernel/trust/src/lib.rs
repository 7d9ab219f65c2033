#![doc = include_str!("../README.md")]

pub mod keys;
pub mod message;

mod error;

pub use error::Error;
