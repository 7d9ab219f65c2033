#![doc = include_str!("../README.md")]

pub mod document;
pub mod keys;
pub mod lists;
pub mod message;

mod error;

pub use error::Error;
