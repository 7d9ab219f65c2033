//! Tests of the log formats, with real Ed25519 signatures.

mod golden;
mod keys;
mod note;
mod proof;
mod proof_file;
mod tiles;
mod witness;
