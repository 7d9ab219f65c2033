//! Two real nodes, tested from outside.

mod crash;
mod documents;
mod refusals;
