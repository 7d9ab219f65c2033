#![doc = include_str!("../README.md")]

mod agency;
mod clock;
mod courier;
mod letter;
mod process;
mod state;
mod station;
mod wait;
mod world;

pub use agency::{Agency, Answer};
pub use clock::TestClock;
pub use courier::Courier;
pub use letter::{Draft, Letter};
pub use process::Process;
pub use state::{State, open_state};
pub use station::{Settings, Station, migrations, token};
pub use wait::{WAIT_MAX, until};
pub use world::{AZ, PK, World, free_address};
