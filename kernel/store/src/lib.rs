#![doc = include_str!("../README.md")]

mod blobs;
mod catalog;
pub mod contract;
mod error;
mod journal;
mod queue;
mod schema;
mod sqlite;
mod store;
mod tx;

pub use blobs::{BlobReader, BlobWriter, Blobs};
pub use catalog::ROW_BYTES_MAX;
pub use error::Error;
pub use journal::{Faults, JournalStore};
pub use queue::Lines;
pub use schema::{Index, Migration, Row, Table, Value};
pub use sqlite::{SqliteStore, Stats};
pub use store::{Backend, Pending, ReadWork, Store, WriteWork};
pub use tx::{Range, Read, Record, Tx};
