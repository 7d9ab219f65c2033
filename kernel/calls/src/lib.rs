#![doc = include_str!("../README.md")]

pub mod access;
pub mod registry;
pub mod upstream;
