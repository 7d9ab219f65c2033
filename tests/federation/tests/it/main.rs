//! Two real nodes, tested from outside.

mod agreements;
mod bundles;
mod calls;
mod calls_live;
mod crash;
mod dead_letters;
mod documents;
mod large;
mod negotiation;
mod refusals;
mod streams;
mod tls;
