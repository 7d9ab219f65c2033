//! `karvan customs paper` and `karvan customs status-list`: certificates on paper, and the signed
//! list that says where they stand.
//!
//! What is printed comes from the running node; the signature is made here, with the issuer's key
//! from the node's folder (`docs/adr/0007-certificate-on-paper.md` says why).
//!
//! Not here: the pages and the token's content (`karvan_customs::paper`).

use std::io::{Write as _, stderr};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Args;
use karvan_customs::paper::form::{Form, pdf};
use karvan_customs::paper::register::Print;
use karvan_customs::paper::status::{Packed, StatusList};
use karvan_customs::paper::token::{StatusReference, compact};
use karvan_customs::paper::{Error, STATUS_TYP, TOKEN_TYP};
use karvan_customs::words::Language;
use karvan_system::{Clock as _, SystemClock};
use karvan_trust::document::sign_document;
use karvan_trust::keys::{KeyId, Owner, SealedKeys};
use karvan_trust::lists::Snapshot;
use karvan_types::limits::LIST_BYTES_MAX;
use karvan_types::{ErrorKind, MemberId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::operate;
use super::show::Lang;
use crate::client::NodeArgs;
use crate::commands::Outcome;
use crate::config::Config;
use crate::failure::Failure;
use crate::files;
use crate::output::Output;
use crate::setup::{self, Home};

/// Most national lists read.
const LISTS_MAX: usize = 16;
/// Longest that a list of statuses may be valid, in hours.
const HOURS_MAX: i64 = 24 * 31;

/// Longest pause between two lists, in minutes.
const EVERY_MAX: u64 = 24 * 60;

/// Print a certificate of origin: a PDF with a QR code that anybody can check offline.
///
/// The code holds a token signed with the issuer's key, which must be in the folder of --dir. A
/// certificate with fictitious parties bears a watermark. The same version prints under the same
/// place of the status list again.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  karvan customs paper AZPK-2026-00001 --out coo.pdf --dir az \
    \\\n    --as AZ/GOV/AMCM --status-url https://origin.example.az/status.jwt\n  karvan customs \
    paper PKAZ-2026-00001 --lang ur --out coo.pdf --dir pk \\\n    --as PK/GOV/TDAP \
    --status-url https://origin.example.pk/status.jwt")]
pub(crate) struct Paper {
    /// Number of the certificate.
    certificate: String,
    /// The PDF to write.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Write the token too, as text.
    #[arg(long, value_name = "FILE")]
    token_out: Option<PathBuf>,
    /// Write the certificate too, as its canonical JSON.
    #[arg(long, value_name = "FILE")]
    json_out: Option<PathBuf>,
    /// Language of the labels beside English; `en` for English alone. [default: that of the
    /// issuer's country, az or ur]
    #[arg(long, value_enum)]
    lang: Option<Lang>,
    #[command(flatten)]
    publication: Publication,
}

/// Write the signed list that says where each printed certificate stands.
///
/// Publish the file at its address; make it anew after every change, and before it ends. Whoever
/// checks paper may carry a copy.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  karvan customs status-list --out status.jwt --dir az \
    --as AZ/GOV/AMCM \\\n    --status-url https://origin.example.az/status.jwt\n  \
    karvan customs status-list --every 60 --out /srv/www/status.jwt --dir az --as AZ/GOV/AMCM \
    \\\n    --status-url https://origin.example.az/status.jwt")]
pub(crate) struct Statuses {
    /// The file to write.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// How long the list is good for.
    #[arg(long, value_name = "HOURS", default_value_t = 24,
        value_parser = clap::value_parser!(i64).range(1..=HOURS_MAX))]
    hours: i64,
    /// Keep running, and make the list anew every so many minutes.
    #[arg(long, value_name = "MINUTES",
        value_parser = clap::value_parser!(u64).range(1..=EVERY_MAX))]
    every: Option<u64>,
    #[command(flatten)]
    publication: Publication,
}

#[derive(Args, Debug)]
struct Publication {
    /// Address (https) at which the issuer publishes its status list.
    #[arg(long, value_name = "URL", env = "KARVAN_STATUS_URL")]
    status_url: String,
    #[command(flatten)]
    node: NodeArgs,
}

/// What the operation `statuses` answers.
#[derive(Deserialize)]
struct Standing {
    issuer: MemberId,
    count: usize,
    statuses: Packed,
}

pub(crate) fn paper(command: &Paper, output: Output) -> Result<Outcome> {
    let Publication { status_url, node } = &command.publication;
    StatusReference::new(0, status_url).map_err(|error| failure(&error))?;
    let pen = Pen::open(node)?;
    let now = SystemClock.now();
    let print = operate(node, "paper", &json!({ "certificate": command.certificate }))?;
    let print: Print = serde_json::from_value(print)?;
    let claims = print.claims(status_url, now).map_err(|error| failure(&error))?;
    let (token, key) = pen.sign(&print.issuer, TOKEN_TYP, &claims, now)?;
    let beside = match command.lang {
        Some(lang) => lang.code().parse()?,
        None => Language::of_country(print.issuer.instance()),
    };
    let form = Form {
        certificate: &print.certificate,
        issuer: &print.issuer,
        digest: print.digest,
        token: &token,
        sample: claims.sample,
        beside,
    };
    let pdf = pdf(&form).map_err(|error| failure(&error))?;
    files::write(&command.out, &pdf.bytes)?;
    if let Some(file) = &command.token_out {
        files::write(file, format!("{token}\n").as_bytes())?;
    }
    if let Some(file) = &command.json_out {
        files::write(file, &karvan_types::json::canonical(&print.certificate)?)?;
    }
    let printed = json!({
        "file": command.out,
        "number": claims.number,
        "pages": pdf.pages,
        "sample": claims.sample,
        "language": beside,
        "reprint": print.reprint,
        "place": print.place,
        "key": key,
        "tokenBytes": token.len(),
        "codeVersion": pdf.code_version,
        "missingLetters": pdf.missing.iter().collect::<String>(),
    });
    output.print(&printed, |_| {
        let sample = if claims.sample { ", a SAMPLE with fictitious data" } else { "" };
        let mut text = format!(
            "{}: certificate {}{sample}\n  pages      {}\n  signed by  {key}\n  code       {} \
             bytes, QR version {}\n  status     place {} of {status_url}\n",
            command.out.display(),
            claims.number,
            pdf.pages,
            token.len(),
            pdf.code_version,
            print.place,
        );
        if !pdf.missing.is_empty() {
            let letters: String = pdf.missing.iter().collect();
            text.push_str("  note       printed as boxes, for want of letters: ");
            text.push_str(&letters);
            text.push('\n');
        }
        text
    })?;
    Ok(Outcome::Done)
}

#[expect(clippy::disallowed_methods, reason = "only time is waited for, and nothing else runs")]
pub(crate) fn statuses(command: &Statuses, output: Output) -> Result<Outcome> {
    let Some(minutes) = command.every else {
        write_statuses(command, output)?;
        return Ok(Outcome::Done);
    };
    let lifetime = command.hours.unsigned_abs() * 60;
    if minutes.saturating_mul(2) > lifetime {
        let text =
            format!("every {minutes} minutes is too seldom for a list of {lifetime} minutes");
        let hint = "make it anew at least twice before it ends";
        return Err(Failure::new(ErrorKind::Invalid, text).hint(hint).into());
    }
    write_statuses(command, output)?;
    loop {
        thread::sleep(Duration::from_secs(minutes * 60));
        // The published file stays good for a while; the next round may find the node again.
        if let Err(error) = write_statuses(command, output) {
            writeln!(stderr().lock(), "error: the list was not made anew: {error:#}")
                .context("cannot write to standard error")?;
        }
    }
}

/// Makes the list once; the file is replaced as a whole.
fn write_statuses(command: &Statuses, output: Output) -> Result<()> {
    let Publication { status_url, node } = &command.publication;
    StatusReference::new(0, status_url).map_err(|error| failure(&error))?;
    let pen = Pen::open(node)?;
    // Before the node is asked, so that the list never claims to be newer than it is.
    let now = SystemClock.now();
    let standing: Standing = serde_json::from_value(operate(node, "statuses", &json!({}))?)?;
    let lifetime = Duration::from_hours(command.hours.unsigned_abs());
    let list = StatusList {
        exp: now.plus(lifetime).as_seconds(),
        iat: now.as_seconds(),
        status_list: standing.statuses,
        sub: status_url.clone(),
        ttl: lifetime.as_secs() / 2,
    };
    let (signed, key) = pen.sign(&standing.issuer, STATUS_TYP, &list, now)?;
    files::write(&command.out, signed.as_bytes())?;
    let written = json!({
        "file": command.out,
        "issuer": standing.issuer,
        "certificates": standing.count,
        "made": list.made(),
        "ends": list.ends(),
        "key": key,
    });
    output.print(&written, |_| {
        format!(
            "{}: where {} printed certificates of {} stand, made {}, good until {}\n  publish it \
             at {status_url}\n",
            command.out.display(),
            standing.count,
            standing.issuer,
            list.made(),
            list.ends(),
        )
    })?;
    Ok(())
}

/// Turns an error of paper into one of the command line.
pub(super) fn failure(error: &Error) -> Failure {
    Failure::new(error.kind(), error.to_string())
}

/// Reads the federation root and the national lists.
pub(super) fn read_lists(root: &Path, lists: &[PathBuf]) -> Result<Snapshot> {
    if lists.len() > LISTS_MAX {
        let text = format!("{} lists are given; at most {LISTS_MAX} are read", lists.len());
        return Err(Failure::new(ErrorKind::TooLarge, text).into());
    }
    let root = files::read(root, LIST_BYTES_MAX as u64)?;
    let lists = lists.iter().map(|path| files::read(path, LIST_BYTES_MAX as u64));
    let lists = lists.collect::<Result<Vec<_>>>()?;
    let lists: Vec<&[u8]> = lists.iter().map(Vec::as_slice).collect();
    Ok(Snapshot::of_documents(&root, &lists)?)
}

/// Returns the national lists that a node's folder holds.
pub(super) fn lists_of(home: &Home) -> Result<Vec<PathBuf>> {
    let files = files::json_files(&home.lists())?;
    Ok(files.into_iter().filter(|path| *path != home.federation_root()).collect())
}

/// The keys of a node's folder and the lists that say which of them count.
struct Pen {
    keys: std::sync::Arc<SealedKeys>,
    lists: Snapshot,
}

impl Pen {
    fn open(node: &NodeArgs) -> Result<Self> {
        let Some(dir) = &node.dir else {
            let text = "the issuer's key is in the node's folder, which is not named";
            return Err(Failure::config(text).hint("give --dir DIR").into());
        };
        let home = Home::new(dir);
        let keys = setup::open_keys(&Config::load(&home.config())?.keys)?;
        let lists = read_lists(&home.federation_root(), &lists_of(&home)?)?;
        Ok(Self { keys, lists })
    }

    /// Signs with the newest key of a member that its national list has in force.
    fn sign<T: Serialize>(
        &self,
        member: &MemberId,
        typ: &str,
        content: &T,
        now: Timestamp,
    ) -> Result<(String, KeyId)> {
        let party = self.lists.party(member, now).map_err(karvan_trust::Error::from)?;
        let mut held = setup::keys_of(&self.keys, &Owner::Member(party.member.id.clone()), "sign");
        held.retain(|id| {
            let listed = party.member.keys.iter().find(|key| key.kid == *id);
            listed.is_some_and(|key| key.not_before <= now && now < key.not_after)
        });
        let key = held.pop().ok_or_else(|| {
            let text = format!("no key of {member} that the national list has in force is here");
            let hint = "bring the key into the folder of keys, or publish it with the next list";
            Failure::new(ErrorKind::NotFound, text).hint(hint)
        })?;
        let document = sign_document(typ, content, std::slice::from_ref(&key), &*self.keys)?;
        Ok((compact(&document).map_err(|error| failure(&error))?, key))
    }
}
