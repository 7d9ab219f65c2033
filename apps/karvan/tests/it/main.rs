//! The program as people and scripts meet it: the built binary, in folders of its own.

mod agreements;
mod calls;
mod ceremony;
mod customs;
mod imports;
mod paper;
mod pilot;
mod reference;
mod streams;
#[cfg(feature = "otel")]
mod traces;
mod two_nodes;
mod world;
