#![doc = include_str!("../README.md")]

pub mod checkpoint;
pub mod cosignature;
mod error;
pub mod note;
pub mod proof;
pub mod proof_file;
mod text;
pub mod tile;
pub mod tree;
pub mod witness;

pub use checkpoint::Checkpoint;
pub use error::Error;
