//! `karvan customs risk`: which consignments are checked before they arrive, and why.
//!
//! `rules validate`, `rules show` and `verify` answer from files alone; the others ask a node. The
//! random seed of a draw is made here and handed to the node; it is not shown or kept here.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::{Args, Subcommand, ValueEnum};
use karvan_customs::risk::draw::{self, Revealed, Seed};
use karvan_customs::risk::profile::FILE_BYTES_MAX;
use karvan_system::{Entropy, SystemEntropy};
use karvan_types::{Date, Digest, ErrorKind};
use serde_json::{Map, Value, json};

use super::{operate, rows, text};
use crate::client::NodeArgs;
use crate::commands::Outcome;
use crate::failure::Failure;
use crate::files;
use crate::output::{Output, table};

mod rules;

/// Longest file of a revealed period, in bytes.
const REVEALED_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Score consignments before they arrive, and draw random checks that can be proven.
#[derive(Debug, Subcommand)]
pub(crate) enum Risk {
    Score(Score),
    Finding(Finding),
    #[command(subcommand)]
    Rules(rules::Rules),
    Lanes(Lanes),
    Stats(Stats),
    Commit(Commit),
    Reveal(Reveal),
    Verify(Verify),
}

/// Show the score of a consignment: lane, points, every rule that fired and what it saw.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  karvan customs risk score AZ-EX-2026-00001 --dir pk\n  karvan \
    customs risk score --consignment 6AZ00001 --again --dir pk"
)]
pub(crate) struct Score {
    #[command(flatten)]
    which: Which,
    /// Score it anew first, such as after a change of the profile.
    #[arg(long)]
    again: bool,
    #[command(flatten)]
    node: NodeArgs,
}

/// Which consignment.
#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
pub(crate) struct Which {
    /// Number of the partner's export declaration.
    export: Option<String>,
    /// Unique consignment reference (UCR) instead.
    #[arg(long, value_name = "UCR")]
    consignment: Option<String>,
}

impl Which {
    fn input(&self) -> Map<String, Value> {
        let mut input = Map::new();
        for (name, value) in [("export", &self.export), ("consignment", &self.consignment)] {
            if let Some(value) = value {
                input.insert(name.to_owned(), value.as_str().into());
            }
        }
        input
    }
}

/// Record what the check of a consignment found; it feeds the hit rates.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  karvan customs risk finding AZ-EX-2026-00001 --code quantity \
    \\\n    --text \"twelve cartons more than declared\" --dir pk")]
pub(crate) struct Finding {
    #[command(flatten)]
    which: Which,
    /// What was found.
    #[arg(long, value_enum)]
    code: Code,
    /// In words, 10 to 512 characters.
    #[arg(long)]
    text: String,
    #[command(flatten)]
    node: NodeArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Code {
    NothingFound,
    Papers,
    Classification,
    Origin,
    Value,
    Quantity,
    Undeclared,
    Prohibited,
    Seal,
}

/// List consignments from the partner by lane, newest first.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  karvan customs risk lanes --lane red --dir pk")]
pub(crate) struct Lanes {
    /// Only this lane.
    #[arg(long, value_enum)]
    lane: Option<Lane>,
    /// Only what arrived here on this day or later.
    #[arg(long, value_name = "DATE")]
    from: Option<Date>,
    /// At most so many.
    #[arg(long)]
    limit: Option<u64>,
    #[command(flatten)]
    node: NodeArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Lane {
    Green,
    Blue,
    Yellow,
    Red,
}

/// Count how often checks found something: per rule, per lane, and for the random draw.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  karvan customs risk stats --from 2026-10-01 --dir pk")]
pub(crate) struct Stats {
    /// First day.
    #[arg(long, value_name = "DATE")]
    from: Option<Date>,
    /// Last day.
    #[arg(long, value_name = "DATE")]
    until: Option<Date>,
    #[command(flatten)]
    node: NodeArgs,
}

/// Fix the random draw of a coming period: its digest goes to the partner and into both logs.
///
/// The seed is made at random by this command and kept secret by the node until the period has
/// ended; nobody can choose or change a draw afterwards.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  karvan customs risk commit --from 2026-12-01 --until \
    2026-12-31 --dir pk")]
pub(crate) struct Commit {
    /// First day, after today.
    #[arg(long, value_name = "DATE")]
    from: Date,
    /// Last day.
    #[arg(long, value_name = "DATE")]
    until: Date,
    #[command(flatten)]
    node: NodeArgs,
}

/// Reveal the seed of a period that has ended, with every consignment, as a file for auditors.
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  karvan customs risk reveal 2026-12-01 --out draw.json --dir pk"
)]
pub(crate) struct Reveal {
    /// First day of the period.
    from: Date,
    /// Where to write it; standard output unless given.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    node: NodeArgs,
}

/// Repeat every draw of a revealed period, without node and network.
///
/// Ends with 7 when a draw was not as the seed says, or seed and rate are not what was committed.
/// Give the digest, or the CMT document as the partner holds it, so that not even both files can be
/// made to fit each other.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  karvan customs risk verify draw.json\n  karvan customs risk \
    verify draw.json --document commitment.json")]
pub(crate) struct Verify {
    /// The revealed period.
    file: PathBuf,
    /// The commitment as it was sent (CMT), from the partner or an evidence bundle.
    #[arg(long, value_name = "FILE", conflicts_with = "commitment")]
    document: Option<PathBuf>,
    /// Its digest, 64 hexadecimal digits.
    #[arg(long, value_name = "DIGEST")]
    commitment: Option<Digest>,
}

pub(crate) fn run(command: &Risk, output: Output) -> Result<Outcome> {
    match command {
        Risk::Score(command) => score(command, output),
        Risk::Finding(command) => finding(command, output),
        Risk::Rules(command) => rules::run(command, output),
        Risk::Lanes(command) => lanes(command, output),
        Risk::Stats(command) => stats(command, output),
        Risk::Commit(command) => commit(command, output),
        Risk::Reveal(command) => reveal(command),
        Risk::Verify(command) => verify(command, output),
    }
}

fn score(command: &Score, output: Output) -> Result<Outcome> {
    let operation = if command.again { "risk-score" } else { "risk" };
    let shown = operate(&command.node, operation, &Value::Object(command.which.input()))?;
    output.print(&shown, |shown| scored(shown) + &earlier(shown))?;
    Ok(Outcome::Done)
}

/// Returns the score of a consignment in words.
pub(super) fn scored(shown: &Value) -> String {
    let scoring = &shown["scoring"];
    let mut lines = format!(
        "Risk of {}: {} lane, {} points: {}\n  profile      {}, SHA-256 {}\n",
        text(&shown["export"]),
        text(&shown["lane"]).to_uppercase(),
        text(&scoring["points"]),
        text(&shown["about"]),
        text(&scoring["profile"]),
        text(&scoring["digest"]),
    );
    if shown["drawn"] == true {
        let _ = writeln!(lines, "  drawn at random in the period from {}", text(&shown["period"]));
    }
    if rows(&scoring["fired"]).next().is_none() {
        lines.push_str("  no rule fired\n");
    }
    for fired in rows(&scoring["fired"]) {
        let lane = match fired["lane"].as_str() {
            Some(lane) => format!(", at least {lane}"),
            None => String::new(),
        };
        let _ = writeln!(
            lines,
            "  - {} [+{}{lane}; {}]\n      {}\n      source: {}",
            text(&fired["rule"]),
            text(&fired["points"]),
            text(&fired["status"]),
            text(&fired["text"]),
            text(&fired["source"]),
        );
    }
    for found in rows(&shown["findings"]) {
        let (code, words) = (text(&found["code"]), text(&found["text"]));
        let _ = writeln!(lines, "  check        {code}: {words} ({})", text(&found["by"]));
    }
    lines
}

fn earlier(shown: &Value) -> String {
    let mut lines = String::new();
    for old in rows(&shown["history"]) {
        let _ = writeln!(
            lines,
            "  {}  {} lane, {} points, because {}",
            text(&old["at"]),
            text(&old["lane"]),
            text(&old["scoring"]["points"]),
            text(&old["because"]),
        );
    }
    lines
}

fn name(value: &impl ValueEnum) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

fn finding(command: &Finding, output: Output) -> Result<Outcome> {
    let mut input = command.which.input();
    input.insert("code".to_owned(), name(&command.code).into());
    input.insert("text".to_owned(), command.text.as_str().into());
    let done = operate(&command.node, "finding", &Value::Object(input))?;
    output.print(&done, |done| {
        let count = rows(&done["findings"]).count();
        format!("recorded; {count} checks of {} are on record", text(&done["export"]))
    })?;
    Ok(Outcome::Done)
}

fn lanes(command: &Lanes, output: Output) -> Result<Outcome> {
    let mut input = Map::new();
    if let Some(lane) = &command.lane {
        input.insert("lane".to_owned(), name(lane).into());
    }
    if let Some(from) = command.from {
        input.insert("from".to_owned(), from.to_string().into());
    }
    if let Some(limit) = command.limit {
        input.insert("limit".to_owned(), limit.into());
    }
    let shown = operate(&command.node, "risk-lanes", &Value::Object(input))?;
    output.print(&shown, |shown| {
        let counts = &shown["counts"];
        let count = |lane: &str| format!("{lane} {}", text(&counts[lane]));
        let head = ["red", "yellow", "blue", "green"].map(count).join(", ");
        let cells: Vec<_> = rows(&shown["rows"])
            .map(|row| {
                let rules: Vec<_> = rows(&row["rules"]).map(text).collect();
                let drawn = if row["drawn"] == true { "drawn" } else { "" };
                let checked = match row["found"].as_bool() {
                    Some(true) => "found",
                    Some(false) => "clean",
                    None => "",
                };
                [
                    text(&row["lane"]),
                    text(&row["points"]),
                    text(&row["export"]),
                    text(&row["day"]),
                    drawn.to_owned(),
                    checked.to_owned(),
                    rules.join(", "),
                ]
            })
            .collect();
        if cells.is_empty() {
            return format!("{head}; no consignment to list");
        }
        let headings = ["lane", "points", "export", "since", "draw", "check", "rules"];
        format!("{head}\n\n{}", table(headings, &cells))
    })?;
    Ok(Outcome::Done)
}

fn stats(command: &Stats, output: Output) -> Result<Outcome> {
    let mut input = Map::new();
    for (name, day) in [("from", command.from), ("until", command.until)] {
        if let Some(day) = day {
            input.insert(name.to_owned(), day.to_string().into());
        }
    }
    let shown = operate(&command.node, "risk-stats", &Value::Object(input))?;
    output.print(&shown, |shown| {
        let mut cells = vec![
            tally("all consignments", &shown["all"]),
            tally("drawn at random", &shown["drawn"]),
        ];
        for (group, what) in [("lanes", "lane"), ("rules", "rule")] {
            let members = shown[group].as_object().into_iter().flatten();
            cells.extend(members.map(|(name, counts)| tally(&format!("{what} {name}"), counts)));
        }
        let mut said = table(["selection", "selected", "checked", "found", "percent"], &cells);
        if shown["counted"] != shown["there"] {
            let (counted, there) = (text(&shown["counted"]), text(&shown["there"]));
            let _ = writeln!(said, "(the newest {counted} of {there} consignments)");
        }
        said
    })?;
    Ok(Outcome::Done)
}

fn tally(name: &str, counts: &Value) -> [String; 5] {
    let counts = ["selected", "checked", "found", "percent"].map(|member| text(&counts[member]));
    let [selected, checked, found, percent] = counts;
    [name.to_owned(), selected, checked, found, percent]
}

fn commit(command: &Commit, output: Output) -> Result<Outcome> {
    let source: &dyn Entropy = &SystemEntropy;
    let seed = Seed::new(source.array());
    let input = json!({
        "from": command.from.to_string(),
        "until": command.until.to_string(),
        "seed": seed.to_hex(),
    });
    let done = operate(&command.node, "risk-commit", &input)?;
    output.print(&done, |done| {
        format!(
            "draw of {} to {} is fixed\n  commitment  {}\n  exchange    {}\n\
             Once the partner has it, the evidence bundle of this exchange proves when.",
            text(&done["from"]),
            text(&done["until"]),
            text(&done["commitment"]),
            text(&done["exchange"]),
        )
    })?;
    Ok(Outcome::Done)
}

fn reveal(command: &Reveal) -> Result<Outcome> {
    let input = json!({ "from": command.from.to_string() });
    let revealed = operate(&command.node, "risk-reveal", &input)?;
    let mut bytes = serde_json::to_vec_pretty(&revealed)?;
    bytes.push(b'\n');
    match &command.out {
        Some(file) => files::write(file, &bytes)?,
        None => crate::output::write(&bytes)?,
    }
    Ok(Outcome::Done)
}

fn verify(command: &Verify, output: Output) -> Result<Outcome> {
    let bytes = files::read(&command.file, REVEALED_BYTES_MAX)?;
    let revealed: Revealed = karvan_types::json::from_slice(&bytes).map_err(|error| {
        let said = format!("{}: {error}", command.file.display());
        Failure::new(ErrorKind::Invalid, said)
            .hint("give the file that `karvan customs risk reveal` wrote")
    })?;
    let committed = match &command.document {
        Some(file) => Some(commitment_of(file, &revealed)?),
        None => command.commitment,
    };
    let count = revealed.consignments.len();
    let drawn = draw::verify(&revealed, committed).map_err(|errors| {
        let mut said = format!("the draw is not proven, {} faults", errors.len());
        for error in errors.iter().take(20) {
            let _ = write!(said, "\n  {error}");
        }
        Failure::new(ErrorKind::Conflict, said)
            .hint("ask the service that drew for the file of its node, and the partner for the CMT")
    })?;
    let shown = json!({
        "consignments": count,
        "drawn": drawn,
        "perMille": revealed.terms.per_mille,
        "commitment": revealed.commitment,
        "exchange": revealed.exchange,
        "againstOther": committed.is_some(),
    });
    output.print(&shown, |_| {
        let against = if committed.is_some() {
            "and it is what was committed"
        } else {
            "compare the digest with the partner's document, or give --document"
        };
        format!(
            "{drawn} of {count} consignments were drawn, as seed and rate say\n  commitment  {}, \
             {against}",
            revealed.commitment
        )
    })?;
    Ok(Outcome::Done)
}

/// Returns the digest in a commitment document, which must be of the same period.
fn commitment_of(file: &Path, revealed: &Revealed) -> Result<Digest> {
    use karvan_customs::messages::Message;
    let bytes = files::read(file, FILE_BYTES_MAX as u64)?;
    let refuse =
        |why: String| Failure::new(ErrorKind::Invalid, format!("{}: {why}", file.display()));
    match Message::parse("CMT", &bytes) {
        Ok(Message::Commitment(sent)) => {
            let terms = &revealed.terms;
            if (sent.from, sent.until) != (terms.from, terms.until) {
                return Err(refuse("it is about another period".to_owned()).into());
            }
            Ok(sent.commitment)
        }
        Ok(_) => Err(refuse("it is no commitment".to_owned()).into()),
        Err(error) => Err(refuse(error.to_string()).into()),
    }
}
