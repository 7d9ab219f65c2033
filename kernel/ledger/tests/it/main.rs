//! Tests of the log service: on a real disk, and on one that forgets what was not synced.

mod audit;
#[path = "../../../../base/evidence/tests/it/keys.rs"]
mod keys;
mod push;
mod queue;
mod reading;
mod recovery;
mod witness;
mod world;
