//! What the exporting side sends: export declarations and certificates of origin.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::{Args, Subcommand};
use karvan_types::ErrorKind;
use serde_json::{Value, json};

use super::{CUSTOMS, Declaration, handed, read_declaration, read_json, reading, rows, show, text};
use crate::client::{Client, NodeArgs};
use crate::commands::Outcome;
use crate::failure::{self, Failure};
use crate::output::Output;
use crate::pilot::wait;

/// Submit, change or cancel an export declaration, and send it to the partner.
///
/// The file is a canonical JSON declaration (function 9, 4 or 5), a JSON cancellation (function
/// 1), a declaration, amendment (COR), cancellation (INV) or response in WCO Data Model XML, or an
/// EDIFACT interchange of declarations and cargo reports. Of XML and EDIFACT it is said what was
/// not carried over. A cargo report (CUSCAR) becomes a transport report about the export
/// declarations that it names; what it names in vain waits and opens a task. An amendment is
/// applied to the declaration that it names and sent as a new version. An import declaration is
/// filed at this side, as `karvan customs claim` does.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  karvan customs submit declaration.json --dir az\n  \
    karvan customs submit - --dir az < declaration.xml\n  \
    karvan customs submit amendment.xml --dir az\n  \
    karvan customs submit cusdec.edi --reply contrl.edi --dir az\n  \
    karvan customs submit cuscar.edi --reply contrl.edi --answer cusres.edi --dir az\n  \
    karvan customs submit import.xml --dir pk")]
pub(crate) struct Submit {
    /// The declaration; `-` is standard input.
    file: PathBuf,
    /// Where to write the answer to an EDIFACT interchange (CONTRL), also when it is refused.
    #[arg(long, value_name = "FILE")]
    reply: Option<PathBuf>,
    /// Where to write the answer to a cargo report (CUSRES); a second one gets -2 before the
    /// ending.
    #[arg(long, value_name = "FILE")]
    answer: Option<PathBuf>,
    #[command(flatten)]
    sending: Sending,
}

#[derive(Args, Debug)]
pub(crate) struct Sending {
    /// Wait at most so many seconds for the partner's validation; 0 does not wait.
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    wait: u64,
    #[command(flatten)]
    node: NodeArgs,
}

/// Issue, replace or cancel a certificate of origin, and send it to the partner.
#[derive(Debug, Subcommand)]
pub(crate) enum Certificate {
    /// Issue a certificate (function 9), or change one that is out (function 4 or 5).
    #[command(after_help = "Example:\n  karvan customs certificate issue certificate.json \
        --dir az --as AZ/GOV/AMCM")]
    Issue(Act),
    /// Issue a certificate in the place of another, which it names in `replaces`.
    #[command(after_help = "Example:\n  karvan customs certificate replace replacement.json \
        --dir az --as AZ/GOV/AMCM")]
    Replace(Act),
    /// Cancel a certificate.
    #[command(after_help = "Example:\n  karvan customs certificate cancel cancellation.json \
        --dir az --as AZ/GOV/AMCM")]
    Cancel(Act),
}

#[derive(Args, Debug)]
pub(crate) struct Act {
    /// The document, canonical JSON; `-` is standard input.
    file: PathBuf,
    #[command(flatten)]
    sending: Sending,
}

pub(crate) fn submit(command: &Submit, output: Output) -> Result<Outcome> {
    let input = match read_declaration(&command.file)? {
        Declaration::Edifact(bytes) => {
            let client = Client::open(&command.sending.node)?;
            let answers = (command.reply.as_deref(), command.answer.as_deref());
            return handed::interchange(&client, &bytes, answers, output);
        }
        Declaration::Xml(xml) => json!({ "xml": xml }),
        Declaration::Json(document) if is_cancellation(&document) => {
            json!({ "cancellation": document })
        }
        Declaration::Json(document) => json!({ "declaration": document }),
    };
    send(&command.sending, "submit", &input, output)
}

/// Returns whether a document has the function of a cancellation (UN/EDIFACT 1225).
fn is_cancellation(document: &Value) -> bool {
    document["FunctionCode"] == "1"
}

pub(crate) fn certificate(command: &Certificate, output: Output) -> Result<Outcome> {
    let (act, member) = match command {
        Certificate::Issue(act) | Certificate::Replace(act) => (act, "certificate"),
        Certificate::Cancel(act) => (act, "cancellation"),
    };
    let document = read_json(&act.file)?;
    let wrong = match command {
        Certificate::Issue(_) if is_cancellation(&document) => {
            Some("this is a cancellation; use `karvan customs certificate cancel`")
        }
        Certificate::Replace(_) if document.get("replaces").is_none() => {
            Some("a replacement names the certificate that it replaces in `replaces`; add it")
        }
        Certificate::Cancel(_) if !is_cancellation(&document) => {
            Some("this is no cancellation: its `FunctionCode` is not 1; see docs/use/customs.md")
        }
        _ => None,
    };
    if let Some(wrong) = wrong {
        return Err(Failure::new(ErrorKind::Invalid, wrong).into());
    }
    send(&act.sending, "certificate", &json!({ member: document }), output)
}

/// Hands the document in and waits for what the partner says about it. A document that the partner
/// rejects is a failed check: it was sent, and has to be sent again, mended. A claim is not sent.
fn send(sending: &Sending, operation: &str, input: &Value, output: Output) -> Result<Outcome> {
    let client = Client::open(&sending.node)?;
    let mut sent = client.operate(CUSTOMS, operation, input)?;
    if !sent["claim"].is_null() {
        output.print(&sent, show::claim)?;
        return Ok(Outcome::Done);
    }
    if sent["document"] == "RES" {
        output.print(&sent, handed::response)?;
        return Ok(Outcome::Done);
    }
    let thing = about(&sent, operation, input);
    let answer = await_answer(&client, &sent, &thing, Duration::from_secs(sending.wait))?;
    let rejected = answer["state"] == "rejected";
    if let Some(members) = sent.as_object_mut() {
        members.insert("partner".to_owned(), answer);
    }
    output.print(&sent, describe)?;
    Ok(if rejected { Outcome::CheckFailed } else { Outcome::Done })
}

/// Names what shows the message that was sent: a transport report has a number of its own and
/// stands with the first export declaration that it names.
fn about(sent: &Value, operation: &str, input: &Value) -> Value {
    if sent["document"] == "TRN" {
        return json!({ "export": input["declaration"]["exports"][0]["ID"] });
    }
    let kind = if operation == "submit" { "export" } else { "certificate" };
    json!({ kind: sent["id"] })
}

/// Returns the partner's validation: state and errors; the state `sent` while there is none.
fn await_answer(client: &Client, sent: &Value, thing: &Value, at_most: Duration) -> Result<Value> {
    let mut answer = Value::Null;
    wait::until(at_most, || {
        let shown = match client.operate(CUSTOMS, "show", thing) {
            Ok(shown) => shown,
            // The token may only send: there is nothing to wait for.
            Err(error) if failure::kind(&error) == ErrorKind::Forbidden => return Ok(true),
            Err(error) => return Err(error),
        };
        let mut messages = rows(&shown["messages"]);
        let message = messages.find(|message| {
            message["exchange"] == sent["exchange"] && message["direction"] == "out"
        });
        answer = message.map_or(
            Value::Null,
            |message| json!({ "state": message["state"], "errors": message["errors"] }),
        );
        Ok(answer["state"] == "accepted" || answer["state"] == "rejected")
    })?;
    Ok(answer)
}

fn describe(sent: &Value) -> String {
    let again =
        if sent["duplicate"] == true { " (handed in before; nothing was sent)" } else { "" };
    let mut lines = format!(
        "{} {}, version {}: {}{again}\n  exchange   {}\n  recipient  {}\n  digest     {}\n",
        text(&sent["document"]),
        text(&sent["id"]),
        text(&sent["version"]),
        text(&sent["state"]),
        text(&sent["exchange"]),
        text(&sent["recipient"]),
        text(&sent["digest"]),
    );
    lines.push_str("  our rules  every one holds\n");
    lines.push_str(&show::flags(&sent["flags"]));
    let partner = &sent["partner"];
    lines.push_str(&match partner["state"].as_str() {
        Some("accepted") => "  partner    accepted it\n".to_owned(),
        Some("rejected") => "  partner    rejected it:\n".to_owned(),
        _ => "  partner    has not answered yet; `karvan customs show` tells\n".to_owned(),
    });
    for error in rows(&partner["errors"]) {
        let _ = writeln!(
            lines,
            "    at {}: {}; {}",
            text(&error["pointer"]),
            text(&error["rule"]),
            text(&error["remedy"])
        );
    }
    lines + &handed::amended(sent) + &reading(sent)
}
