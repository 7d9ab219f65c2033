#![doc = include_str!("../README.md")]

mod agreements;
mod client;
mod commands;
mod config;
mod failure;
mod files;
mod node;
mod output;
mod pilot;
mod setup;
mod subsystems;
mod telemetry;

fn main() -> std::process::ExitCode {
    commands::main()
}
