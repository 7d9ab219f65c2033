#![doc = include_str!("../README.md")]

mod agency;
mod calls;
mod clock;
mod courier;
mod letter;
pub mod loopback;
mod process;
mod state;
mod station;
mod system;
mod wait;
mod world;

pub use agency::{Agency, Answer};
pub use calls::{Caller, Calls, agree_on_calls, received, service};
pub use clock::TestClock;
pub use courier::Courier;
pub use letter::{Draft, Letter};
pub use process::Process;
pub use state::{State, open_state};
pub use station::{MakeLine, Settings, Station, migrations, token};
pub use system::{Seen, System};
pub use wait::{WAIT_MAX, until};
pub use world::{AZ, PK, World, free_address};
