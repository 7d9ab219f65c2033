#![doc = include_str!("../README.md")]

mod federation;
mod machine;
mod probe;
mod verdict;
mod world;

pub use machine::Planted;
pub use world::{Outcome, run};
