#![doc = include_str!("../README.md")]

mod audit;
mod config;
mod error;
mod ledger;
mod log;
mod push;
mod segment;
mod segments;
mod signed_size;
mod site;
mod task;
mod witness;

pub use audit::{AuditKeys, Finding, Report, audit};
pub use config::{Config, Faults};
pub use error::Error;
pub use ledger::{Ledger, State, Status, WitnessStatus};
pub use log::{BATCH_BYTES_MAX, BATCH_ENTRIES_MAX};
pub use push::{WitnessAnswer, WitnessClient, WitnessPush, WitnessRefusal};
pub use task::{LedgerTask, QUEUE_BYTES_MAX, QUEUE_REQUESTS_MAX};
pub use witness::{Conflict, KnownLog, Refused, Witness};
