//! `karvan verify`: evidence of one exchange, checked without network and without trust in either
//! operator.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::Result;
use karvan_calls::bundle as call;
use karvan_exchange::bundle::verify::{Report, verify};
use karvan_exchange::bundle::{BUNDLE_BYTES_MAX, format_of};
use karvan_types::limits::{DOCUMENT_BYTES_MAX, LIST_BYTES_MAX};
use serde_json::json;

use super::Outcome;
use crate::files;
use crate::output::Output;

/// Verify an evidence bundle of a document or a call, offline.
///
/// Prints each finding, then what is not proven, then the verdict. Ends with 0 only if everything
/// holds, with 14 if anything was altered.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  karvan verify 019a….zip --root root.json\n  \
    karvan verify call.zip --request-body question.json --body answer.json")]
pub(crate) struct Verify {
    /// The bundle.
    bundle: PathBuf,
    /// The federation root, from a source that you trust; else the bundle's own is used.
    #[arg(long, value_name = "FILE")]
    root: Option<PathBuf>,
    /// The document, when it is too large for the bundle.
    #[arg(long, value_name = "FILE")]
    document: Option<PathBuf>,
    /// The body of the answer to a call, which nodes do not keep.
    #[arg(long, value_name = "FILE")]
    body: Option<PathBuf>,
    /// The body of the request of a call.
    #[arg(long, value_name = "FILE")]
    request_body: Option<PathBuf>,
}

pub(crate) fn run(command: &Verify, output: Output) -> Result<Outcome> {
    let bundle = files::read(&command.bundle, BUNDLE_BYTES_MAX as u64)?;
    let file = |path: &Option<PathBuf>, bytes_max: u64| {
        path.as_deref().map(|path| files::read(path, bytes_max)).transpose()
    };
    let root = file(&command.root, LIST_BYTES_MAX as u64)?;
    let document = file(&command.document, DOCUMENT_BYTES_MAX)?;
    let answer = file(&command.body, DOCUMENT_BYTES_MAX)?;
    let request = file(&command.request_body, DOCUMENT_BYTES_MAX)?;
    // What names no kind is read as a document's; that tells what is wrong with it.
    let report = if format_of(&bundle).as_deref() == Some(call::FORMAT) {
        let bodies =
            call::verify::Bodies { request: request.as_deref(), answer: answer.as_deref() };
        call::verify::verify(&bundle, root.as_deref(), bodies)
    } else {
        verify(&bundle, root.as_deref(), document.as_deref())
    };
    let value = json!({ "holds": report.holds(), "report": &report });
    output.print(&value, |_| describe(&report))?;
    Ok(if report.holds() { Outcome::Done } else { Outcome::EvidenceFailed })
}

fn describe(report: &Report) -> String {
    let mut text = String::new();
    for finding in &report.findings {
        let mark = if finding.holds { '✓' } else { '✗' };
        let _ = writeln!(text, "{mark} {}: {}", finding.part, finding.text);
    }
    if !report.gaps.is_empty() {
        text.push_str("\nNot proven:\n");
    }
    for gap in &report.gaps {
        let _ = writeln!(text, "- {gap}");
    }
    let wrong = report.findings.iter().filter(|finding| !finding.holds).count();
    let verdict = match (report.holds(), report.gaps.is_empty()) {
        (true, true) => "Everything in this bundle holds.".to_owned(),
        (true, false) => {
            "Everything in this bundle holds, within the limits named above.".to_owned()
        }
        (false, _) => format!(
            "This bundle does not hold: {wrong} of {} checks failed; do not rely on it.",
            report.findings.len()
        ),
    };
    text + "\n" + &verdict
}
