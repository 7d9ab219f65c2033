//! Verifications: asking the issuer about a certificate, and answering such a question.

use std::fmt::Write as _;

use anyhow::Result;
use clap::{ArgGroup, Args, Subcommand, ValueEnum};
use karvan_types::ErrorKind;
use serde_json::{Map, Value, json};

use super::decide::next_lines;
use super::{operate, rows, text};
use crate::client::NodeArgs;
use crate::commands::Outcome;
use crate::failure::Failure;
use crate::output::{Output, table};

/// Ask the issuer to verify a certificate, answer such a question, and follow the deadlines.
#[derive(Debug, Subcommand)]
pub(crate) enum Verification {
    Open(Open),
    List(List),
    Show(Show),
    Answer(Answer),
    Close(Close),
    Reopen(Reopen),
}

/// Ask the issuer of a certificate, and the partner's customs, to verify it.
///
/// The answer is due in six months; both sides see the day and are reminded 60, 30 and 7 days
/// before. Until then claims on the certificate are held; the goods can be released under security.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  karvan customs verification open KAPE-HC-00014-02-10-2026 \
    --reason direct-transport \\\n    --text \"the bill of lading begins in Jebel Ali\" \\\n    \
    --question \"Did the goods stay under customs control on the way?\" --dir pk")]
pub(crate) struct Open {
    /// Number of the import declaration.
    claim: String,
    /// The item, when the claim has several.
    #[arg(long)]
    item: Option<u32>,
    /// Why; can be given several times.
    #[arg(long = "reason", value_enum, value_name = "CODE", required = true)]
    reasons: Vec<QueryReason>,
    /// What gave rise to the question, 10 to 512 characters.
    #[arg(long)]
    text: String,
    /// A question; can be given several times.
    #[arg(long = "question", value_name = "TEXT")]
    questions: Vec<String>,
    #[command(flatten)]
    node: NodeArgs,
}

/// Why a certificate is to be verified.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum QueryReason {
    /// Chosen by chance.
    Random,
    /// The number is not known here.
    UnknownNumber,
    /// Signature, stamp or form raise doubts.
    Authenticity,
    /// The certificate differs from the claim or the goods.
    DataDiffer,
    /// The rules of origin may not be fulfilled.
    Origin,
    /// The goods may not have come directly.
    DirectTransport,
    /// Another reason, in --text.
    Other,
}

/// List verifications of both directions.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  karvan customs verification list --state received --dir az")]
pub(crate) struct List {
    /// Only those in this state, such as received, confirmed or no-answer.
    #[arg(long)]
    state: Option<String>,
    /// Only those of this certificate.
    #[arg(long, value_name = "NUMBER")]
    certificate: Option<String>,
    #[command(flatten)]
    node: NodeArgs,
}

/// Show a verification: questions, answers, deadlines, evidence, history.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  karvan customs verification show \
    KAPE-HC-00014-02-10-2026-1-V1 --dir az")]
pub(crate) struct Show {
    /// Number of the verification.
    verification: String,
    #[command(flatten)]
    node: NodeArgs,
}

/// Answer a verification that the partner asked for.
///
/// The issuer answers, or its customs, whoever was asked. An interim answer says by when the final
/// one is expected; it moves no deadline. A final answer is given once.
#[derive(Args, Debug)]
#[command(group(ArgGroup::new("outcome").required(true).args(
    ["confirm", "refute", "partly", "interim"])))]
#[command(after_help = "Examples:\n  karvan customs verification answer \
    KAPE-HC-00014-02-10-2026-1-V1 --confirm --dir az --as AZ/GOV/AMCM\n  karvan customs \
    verification answer KAPE-HC-00014-02-10-2026-1-V1 --partly \\\n    --item 1=confirmed --item \
    2=not-confirmed --text \"item 2 has no record\" --dir az --as AZ/GOV/AMCM")]
pub(crate) struct Answer {
    /// Number of the verification.
    verification: String,
    /// Confirm the certificate.
    #[arg(long)]
    confirm: bool,
    /// Do not confirm it.
    #[arg(long, requires = "text")]
    refute: bool,
    /// Confirm some items only; say which with --item.
    #[arg(long, requires_all = ["text", "items"])]
    partly: bool,
    /// There is no result yet; say by when with --expected.
    #[arg(long, requires_all = ["text", "expected"])]
    interim: bool,
    /// Item of the certificate and its result: confirmed, not-confirmed or partly.
    #[arg(long = "item", id = "items", value_name = "ITEM=RESULT")]
    items: Vec<String>,
    /// The grounds, 10 to 512 characters.
    #[arg(long)]
    text: Option<String>,
    /// Day by which the final answer is expected.
    #[arg(long, value_name = "DATE", requires = "interim")]
    expected: Option<String>,
    #[command(flatten)]
    node: NodeArgs,
}

/// Close a verification, saying what followed from it.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  karvan customs verification close \
    KAPE-HC-00014-02-10-2026-1-V1 \\\n    --text \"granted after the confirmation\" --dir pk")]
pub(crate) struct Close {
    /// Number of the verification.
    verification: String,
    /// What followed, 10 to 512 characters.
    #[arg(long)]
    text: String,
    #[command(flatten)]
    node: NodeArgs,
}

/// Ask again: take up a closed verification, or send a query again that everybody refused.
///
/// The number stays, a new deadline begins, and answers from before count no more.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  karvan customs verification reopen \
    KAPE-HC-00014-02-10-2026-1-V1 \\\n    --text \"the carrier showed another bill of lading\" \
    --dir pk")]
pub(crate) struct Reopen {
    /// Number of the verification.
    verification: String,
    /// Why it is asked again, 10 to 512 characters.
    #[arg(long)]
    text: String,
    /// A question in place of those before; can be given several times.
    #[arg(long = "question", value_name = "TEXT")]
    questions: Vec<String>,
    #[command(flatten)]
    node: NodeArgs,
}

pub(crate) fn run(command: &Verification, output: Output) -> Result<Outcome> {
    match command {
        Verification::Open(command) => {
            let codes: Vec<_> = (command.reasons.iter())
                .filter_map(clap::ValueEnum::to_possible_value)
                .map(|value| value.get_name().to_owned())
                .collect();
            let mut input = json!({
                "claim": command.claim,
                "reasons": codes,
                "text": command.text,
                "questions": command.questions,
            });
            if let Some(item) = command.item {
                input["item"] = item.into();
            }
            output.print(&operate(&command.node, "verify", &input)?, describe)?;
        }
        Verification::List(command) => list(command, output)?,
        Verification::Show(command) => {
            let input = json!({ "verification": command.verification });
            output.print(&operate(&command.node, "verifications", &input)?, with_history)?;
        }
        Verification::Answer(command) => {
            output.print(&operate(&command.node, "answer", &answer(command)?)?, describe)?;
        }
        Verification::Close(command) => {
            let input = json!({ "verification": command.verification, "text": command.text });
            output.print(&operate(&command.node, "conclude", &input)?, describe)?;
        }
        Verification::Reopen(command) => {
            let input = json!({
                "verification": command.verification,
                "text": command.text,
                "questions": command.questions,
            });
            output.print(&operate(&command.node, "verify-again", &input)?, describe)?;
        }
    }
    Ok(Outcome::Done)
}

fn list(command: &List, output: Output) -> Result<()> {
    let mut input = Map::new();
    for (name, value) in [("state", &command.state), ("certificate", &command.certificate)] {
        if let Some(value) = value {
            input.insert(name.to_owned(), value.as_str().into());
        }
    }
    let listed = operate(&command.node, "verifications", &Value::Object(input))?;
    output.print(&listed, |listed| {
        let columns = ["id", "role", "number", "state", "due"];
        let cells: Vec<_> =
            rows(&listed["rows"]).map(|row| columns.map(|column| text(&row[column]))).collect();
        let headings = ["verification", "side", "certificate", "state", "answer due"];
        if cells.is_empty() { "no verifications\n".to_owned() } else { table(headings, &cells) }
    })?;
    Ok(())
}

fn answer(command: &Answer) -> Result<Value, Failure> {
    let outcome = match (command.confirm, command.refute, command.partly) {
        (true, _, _) => "confirmed",
        (_, true, _) => "not-confirmed",
        (_, _, true) => "partly",
        _ => "interim",
    };
    let mut items = Vec::new();
    for item in &command.items {
        let read = item.split_once('=').and_then(|(number, result)| {
            Some(json!({ "certificateItem": number.trim().parse::<u32>().ok()?,
                "outcome": result.trim() }))
        });
        items.push(read.ok_or_else(|| {
            Failure::new(ErrorKind::Invalid, format!("`{item}` is no item with its result"))
                .hint("write it so: --item 2=not-confirmed")
        })?);
    }
    let mut input = json!({
        "verification": command.verification, "outcome": outcome, "items": items,
    });
    for (name, value) in [("text", &command.text), ("finalExpected", &command.expected)] {
        if let Some(value) = value {
            input[name] = value.as_str().into();
        }
    }
    Ok(input)
}

fn describe(found: &Value) -> String {
    let reasons: Vec<_> = rows(&found["reasons"]).map(text).collect();
    let asked: Vec<_> = rows(&found["asked"]).map(text).collect();
    let mut lines = format!(
        "Verification {}: {}\n  certificate  {}\n  asked        {} by {}\n  because      {}: {}\n  \
         answer due   {}\n",
        text(&found["id"]),
        text(&found["state"]),
        text(&found["number"]),
        asked.join(", "),
        text(&found["asker"]),
        reasons.join(", "),
        text(&found["text"]),
        text(&found["due"]),
    );
    for question in rows(&found["questions"]) {
        let (number, asked) = (text(&question["number"]), text(&question["text"]));
        let _ = writeln!(lines, "  question {number:<4}{asked}");
    }
    for answer in rows(&found["answers"]) {
        let expected = match answer["finalExpected"].as_str() {
            Some(day) => format!(" (final answer expected by {day})"),
            None => String::new(),
        };
        let _ = writeln!(
            lines,
            "  answer       {} on {} by {}{expected}: {}",
            text(&answer["outcome"]),
            text(&answer["day"]),
            text(&answer["by"]),
            text(&answer["text"]),
        );
        for item in rows(&answer["items"]) {
            let (item, found) = (text(&item["certificateItem"]), text(&item["outcome"]));
            let _ = writeln!(lines, "    item {item}: {found}");
        }
    }
    if !found["closed"].is_null() {
        let closed = &found["closed"];
        let (by, why) = (text(&closed["by"]), text(&closed["text"]));
        let _ = writeln!(lines, "  closed       by {by}: {why}");
    }
    lines + &next_lines(&found["next"])
}

fn with_history(found: &Value) -> String {
    let mut lines = describe(found);
    let known = if found["known"] == true { "here" } else { "not here" };
    let _ = writeln!(lines, "  the certificate is {known}");
    for paper in rows(&found["evidence"]) {
        let _ = writeln!(
            lines,
            "  evidence     {} version {}, {}, exchange {}",
            text(&paper["document"]),
            text(&paper["version"]),
            text(&paper["digest"]),
            text(&paper["exchange"]),
        );
    }
    for message in rows(&found["messages"]) {
        let _ = writeln!(
            lines,
            "  message      {} {} {}, {}",
            text(&message["code"]),
            text(&message["direction"]),
            text(&message["exchange"]),
            text(&message["state"]),
        );
    }
    for task in rows(&found["tasks"]) {
        let state = if task["closed"].is_null() { "open" } else { "closed" };
        let _ = writeln!(lines, "  task         {state}: {}", text(&task["text"]));
    }
    for event in rows(&found["history"]) {
        let _ = writeln!(lines, "  {}  {}", text(&event["at"]), text(&event["text"]));
    }
    lines
}
