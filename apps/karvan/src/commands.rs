//! The command line: one module for each command, and the one place that turns outcomes into
//! output and exit codes.

use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Result;
use clap::error::ErrorKind as UsageKind;
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use karvan_types::ErrorKind;

use crate::failure;
use crate::output::Output;

mod agreements;
mod call;
mod catalog;
mod config;
pub(crate) mod customs;
mod documents;
mod init;
mod log;
mod messages;
mod node;
mod pilot;
mod processes;
mod reference;
mod services;
mod status;
mod transfers;
mod verify;
mod webhooks;

/// Exit code of wrong usage.
const USAGE: u8 = 2;

/// Data exchange between two nations, with evidence.
#[derive(Debug, Parser)]
#[command(name = "karvan", version, propagate_version = true, after_help = EXIT_CODES)]
struct Cli {
    /// Print JSON instead of text; errors as problems (RFC 9457) on standard error.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "\
Exit codes: 0 done, 1 a check failed, 2 wrong usage, 3 invalid input, 4 no valid identity,
5 forbidden, 6 not found, 7 conflict, 8 too large, 9 overloaded, 10 the other side broke the
protocol, 11 it cannot be reached, 12 configuration, 13 storage, 14 evidence does not verify,
70 a defect in Karvan.";

// A command is described where it is defined.
#[derive(Debug, Subcommand)]
enum Command {
    Init(Box<init::Init>),
    Pilot(pilot::Pilot),
    Node(node::Node),
    #[command(subcommand)]
    Config(config::Config),
    #[command(subcommand)]
    Documents(documents::Documents),
    #[command(subcommand)]
    Catalog(catalog::Catalog),
    #[command(subcommand)]
    Agreements(agreements::Agreements),
    #[command(subcommand)]
    Transfers(transfers::Transfers),
    Call(Box<call::Call>),
    #[command(subcommand)]
    Services(services::Services),
    #[command(subcommand)]
    Messages(messages::Messages),
    #[command(subcommand)]
    Customs(customs::Customs),
    #[command(subcommand)]
    Webhooks(webhooks::Webhooks),
    #[command(subcommand)]
    Log(log::Log),
    Status(status::Status),
    Alarms(status::Alarms),
    Verify(verify::Verify),
    Completions(reference::Completions),
    /// Print the reference of the command line as Markdown.
    #[command(hide = true)]
    HelpMarkdown,
}

/// How a command ended that could do its work.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Outcome {
    Done,
    /// What was checked does not hold.
    CheckFailed,
    /// Evidence does not verify.
    EvidenceFailed,
}

/// Runs the command line of this process.
pub(crate) fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    // Wrong usage is told in the wanted form too, before there is a parsed command line.
    let json = arguments.iter().any(|argument| argument == "--json");
    let parsed = Cli::command().try_get_matches_from(arguments);
    let cli = match parsed.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(error) => return usage(&error, json),
    };
    let output = Output { json: cli.json };
    match run(cli.command, output) {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::CheckFailed) => ExitCode::from(1),
        Ok(Outcome::EvidenceFailed) => ExitCode::from(ErrorKind::Evidence.exit_code()),
        Err(error) => {
            let text = if json { failure::problem(&error) + "\n" } else { failure::text(&error) };
            tell(&text);
            ExitCode::from(failure::kind(&error).exit_code())
        }
    }
}

fn run(command: Command, output: Output) -> Result<Outcome> {
    match command {
        Command::Init(command) => init::run(*command, output),
        Command::Pilot(command) => pilot::run(&command, output),
        Command::Node(command) => node::run(&command, output),
        Command::Config(command) => config::run(command, output),
        Command::Documents(command) => documents::run(command, output),
        Command::Catalog(command) => catalog::run(command, output),
        Command::Agreements(command) => agreements::run(command, output),
        Command::Transfers(command) => transfers::run(command, output),
        Command::Call(command) => call::run(&command, output),
        Command::Services(command) => services::run(command, output),
        Command::Messages(command) => messages::run(command, output),
        Command::Customs(command) => customs::run(command, output),
        Command::Webhooks(command) => webhooks::run(command, output),
        Command::Log(command) => log::run(command, output),
        Command::Status(command) => status::run(&command, output),
        Command::Alarms(command) => status::alarms(&command, output),
        Command::Verify(command) => verify::run(&command, output),
        Command::Completions(command) => reference::completions(&command, Cli::command()),
        Command::HelpMarkdown => reference::markdown(Cli::command()),
    }
}

/// Tells about wrong usage; a wanted help text or version is none.
fn usage(error: &clap::Error, json: bool) -> ExitCode {
    let wanted = matches!(error.kind(), UsageKind::DisplayHelp | UsageKind::DisplayVersion);
    if wanted || !json {
        let _ = error.print();
    } else {
        let problem = serde_json::json!({
            "type": "urn:karvan:problem:usage",
            "title": "usage",
            "detail": error.to_string().trim(),
        });
        tell(&format!("{problem}\n"));
    }
    if wanted { ExitCode::SUCCESS } else { ExitCode::from(USAGE) }
}

/// Writes to standard error. When even that is closed, the exit code remains.
fn tell(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}
