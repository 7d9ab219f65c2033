//! Two real nodes, tested from outside.

mod bundles;
mod crash;
mod documents;
mod refusals;
