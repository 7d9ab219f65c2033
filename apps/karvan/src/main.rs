#![doc = include_str!("../README.md")]

mod agreements;
mod client;
mod commands;
mod config;
mod failure;
mod files;
#[cfg(feature = "measure")]
mod measure;
mod node;
mod output;
mod pilot;
mod setup;
mod subsystems;
mod telemetry;

/// Calls allocate on one thread and free on another; this allocator halves what that costs.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    commands::main()
}
