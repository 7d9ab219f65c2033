//! `karvan customs check-qr`: what the code on a certificate proves, without network.
//!
//! Not here: the judgement (`karvan_customs::paper::check`).

use std::fmt::Write as _;
use std::io::{Read as _, stdin};
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Args;
use karvan_customs::paper::check::{Question, Report, Signed, Verdict, check};
use karvan_customs::paper::qr::{IMAGE_BYTES_MAX, read_image};
use karvan_customs::paper::status::PUBLISHED_BYTES_MAX;
use karvan_customs::paper::token::TOKEN_CHARS_MAX;
use karvan_customs::subsystem::ISSUER_ROLE;
use karvan_system::{Clock as _, SystemClock};
use karvan_trust::document::verify_document;
use karvan_trust::keys::{KeyId, PublicKey};
use karvan_trust::lists::{ListedKey, Member, Nation, Snapshot};
use karvan_trust::message::Refusal;
use karvan_types::ErrorKind;
use karvan_types::limits::JSON_BYTES_MAX;
use serde_json::json;

use super::paper::{failure, lists_of, read_lists};
use crate::commands::Outcome;
use crate::failure::Failure;
use crate::files;
use crate::output::Output;
use crate::setup::Home;

/// Check the code on a printed certificate of origin, offline.
///
/// Verifies the signature by the national list, the validity of the key when it signed, the
/// certificate itself if it is given, and its status if the issuer's list is given. Says what is
/// proven and what is not. Ends with 0 if everything checked holds, with 1 if the certificate is
/// genuine but must not be relied on (expired, cancelled, replaced, used up, stale list, sample, or
/// signed after the time of this machine), with 3 if a file given cannot be read, with 14 if
/// something is not what it claims to be.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  karvan customs check-qr --image code.png --root root.json \
    --lists list-AZ.json \\\n    --status status.jwt --certificate certificate.json\n  \
    karvan customs check-qr - --dir az < token.txt")]
pub(crate) struct CheckQr {
    /// The text of the code; `-` is standard input.
    #[arg(required_unless_present = "image")]
    token: Option<String>,
    /// A PNG or JPEG image of the code or of the page, instead of the text; a photograph will do.
    #[arg(long, value_name = "FILE", conflicts_with = "token")]
    image: Option<PathBuf>,
    /// The federation root, from a source that you trust.
    #[arg(long, value_name = "FILE", requires = "lists", required_unless_present = "dir")]
    root: Option<PathBuf>,
    /// National lists.
    #[arg(long, value_name = "FILE", num_args = 1.., requires = "root")]
    lists: Vec<PathBuf>,
    /// Take root and lists from the folder of a node.
    #[arg(long, value_name = "DIR", env = "KARVAN_DIR")]
    dir: Option<PathBuf>,
    /// The issuer's status list, as published.
    #[arg(long, value_name = "FILE")]
    status: Option<PathBuf>,
    /// The certificate, as JSON.
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// Accept fictitious data: for exercises and tests.
    #[arg(long)]
    allow_sample: bool,
}

pub(crate) fn run(command: &CheckQr, output: Output) -> Result<Outcome> {
    let lists = match (&command.root, &command.dir) {
        (Some(root), _) => read_lists(root, &command.lists)?,
        (None, Some(dir)) => {
            let home = Home::new(dir);
            read_lists(&home.federation_root(), &lists_of(&home)?)?
        }
        (None, None) => return Err(Failure::config("give --root and --lists, or --dir").into()),
    };
    let file = |path: &Option<PathBuf>, bytes_max: usize| {
        path.as_deref().map(|path| files::read(path, bytes_max as u64)).transpose()
    };
    let status = file(&command.status, PUBLISHED_BYTES_MAX)?;
    let certificate = file(&command.certificate, JSON_BYTES_MAX)?;
    let question = Question {
        token: &token(command)?,
        status: status.as_deref(),
        certificate: certificate.as_deref(),
        sample_allowed: command.allow_sample,
        now: SystemClock.now(),
    };
    let report = check(&question, &|document, typ| verify(&lists, document, typ));
    let verdict = report.verdict();
    let value = json!({
        "holds": verdict == Verdict::Holds,
        "verdict": verdict,
        "report": &report,
    });
    output.print(&value, |_| describe(&report))?;
    Ok(match verdict {
        Verdict::Holds => Outcome::Done,
        Verdict::Unusable => Outcome::CheckFailed,
        Verdict::Unreadable => {
            let text = "a file given beside the code is not what it should be; the paper itself \
                        was not found wrong";
            return Err(Failure::new(ErrorKind::Invalid, text).into());
        }
        Verdict::Broken => Outcome::EvidenceFailed,
    })
}

/// Returns the text of the code.
fn token(command: &CheckQr) -> Result<String> {
    if let Some(path) = &command.image {
        let texts = read_image(&files::read(path, IMAGE_BYTES_MAX as u64)?)
            .map_err(|error| failure(&error))?;
        // A page may bear other codes beside ours, such as one of the freight forwarder.
        let signed = |text: &&String| text.split('.').count() == 3;
        let found = texts.iter().find(signed).or(texts.first());
        return found.cloned().context("the image has a code without text");
    }
    let given = command.token.clone().unwrap_or_default();
    if given != "-" {
        return Ok(given);
    }
    let mut text = String::new();
    let limit = TOKEN_CHARS_MAX as u64 + 2;
    let read = stdin().lock().take(limit).read_to_string(&mut text);
    read.map_err(|error| Failure::new(ErrorKind::Invalid, format!("standard input: {error}")))?;
    Ok(text)
}

/// Verifies a document with one signature, and tells who signed it by the national lists.
fn verify(lists: &Snapshot, document: &[u8], typ: &str) -> Result<Signed, String> {
    let public = |id: &KeyId| -> Result<PublicKey, Refusal> {
        let (_, _, key) = listed(lists, id).ok_or_else(|| Refusal::KeyUnknown(id.clone()))?;
        Ok(key.jwk.clone())
    };
    // The JSON spelling is longer than the compact one by the names of its members.
    let bytes_max = PUBLISHED_BYTES_MAX + 1024;
    let verified = verify_document(document, typ, bytes_max, &public).map_err(|e| e.to_string())?;
    let signer = verified.signers.first().and_then(|id| listed(lists, id));
    let (nation, member, key) = signer.ok_or("none of the signatures is by a listed member")?;
    let own = member.roles.iter();
    let roles = own.chain(member.subsystems.iter().flat_map(|subsystem| &subsystem.roles));
    Ok(Signed {
        payload: verified.payload,
        key: key.kid.to_string(),
        member: member.id.clone(),
        name: member.name.clone(),
        is_issuer: roles.into_iter().any(|role| role == ISSUER_ROLE),
        not_before: key.not_before,
        not_after: key.not_after,
        list_ends: nation.ends,
    })
}

/// Finds a member's key on the lists, whether it may sign now or not.
fn listed<'a>(lists: &'a Snapshot, id: &KeyId) -> Option<(&'a Nation, &'a Member, &'a ListedKey)> {
    lists.nations().find_map(|nation| {
        nation.list.members.iter().find_map(|member| {
            let key = member.keys.iter().find(|key| key.kid == *id)?;
            Some((nation, member, key))
        })
    })
}

fn describe(report: &Report) -> String {
    let mut text = String::new();
    for finding in &report.findings {
        let mark = match finding.verdict {
            Verdict::Holds => '✓',
            Verdict::Unusable => '!',
            Verdict::Unreadable => '?',
            Verdict::Broken => '✗',
        };
        let _ = writeln!(text, "{mark} {}: {}", finding.part, finding.text);
    }
    text.push_str("\nNot proven:\n");
    for gap in &report.gaps {
        let _ = writeln!(text, "- {gap}");
    }
    text + match report.verdict() {
        Verdict::Holds => "\nEverything that was checked holds, within the limits named above.",
        Verdict::Unusable => "\nGenuine, but do NOT rely on it: see the lines marked !.",
        Verdict::Unreadable => "\nNot decided: see the lines marked ?, and give the right file.",
        Verdict::Broken => "\nNOT GENUINE: see the lines marked ✗; do not rely on it.",
    }
}
