#![doc = include_str!("../README.md")]

pub mod access;
pub mod breaker;
pub mod metrics;
pub mod overload;
pub mod registry;
pub mod upstream;
