#![doc = include_str!("../README.md")]

mod error;
mod schema;
mod store;
mod tx;

pub use error::Error;
pub use schema::{Index, Migration, Row, Table, Value};
pub use store::{Backend, Pending, ReadWork, Store, WriteWork};
pub use tx::{Range, Read, Record, Tx};
