#![doc = include_str!("../README.md")]

pub mod keys;

mod error;

pub use error::Error;
