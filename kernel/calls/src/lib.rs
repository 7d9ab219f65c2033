#![doc = include_str!("../README.md")]

pub mod access;
pub mod admin;
pub mod breaker;
pub mod metadata;
pub mod metrics;
pub mod overload;
pub mod registry;
pub mod upstream;
