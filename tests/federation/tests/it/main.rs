//! Two real nodes, tested from outside.

mod documents;
mod refusals;
