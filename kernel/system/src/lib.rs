#![doc = include_str!("../README.md")]

mod clock;
mod disk;
mod entropy;
pub mod memory;

pub use clock::{Clock, SystemClock};
pub use disk::{Disk, DiskFile, OsDisk};
pub use entropy::{Entropy, SystemEntropy};
