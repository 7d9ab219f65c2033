#![doc = include_str!("../README.md")]

mod machine;
mod verdict;
mod world;

pub use machine::Planted;
pub use world::{Outcome, run};
