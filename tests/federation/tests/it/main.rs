//! Two real nodes, tested from outside.

mod agreements;
mod bundles;
mod crash;
mod dead_letters;
mod documents;
mod large;
mod refusals;
mod streams;
mod tls;
