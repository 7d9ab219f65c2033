//! The store as the rest of the node uses it.

mod agreement;
mod contract;
mod crash;
mod sqlite;
