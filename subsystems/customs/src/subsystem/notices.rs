//! The journal as members' systems read it: each line a notice that names the thing it is about.
//!
//! A notice carries no content, so it may travel to any system of the member; the thing itself is
//! read under its path, with the permission for that.

use karvan_store::{Range, Read};
use karvan_subsystem::Rejection;
use karvan_subsystem::interface::{Notice, Notices};
use karvan_types::MemberId;
use serde_json::json;

use super::Customs;
use crate::api;
use crate::certificate::Certificate;
use crate::journal::Event;

/// Returns what concerns a member among the lines after `after`.
pub(super) fn notices(
    customs: &Customs,
    view: &dyn Read,
    member: &MemberId,
    after: u64,
    limit: usize,
) -> Result<Notices, Rejection> {
    let lines: Vec<Event> = view.select(&Range::all(limit).after(after))?;
    let seen = lines.last().map_or(after, |line| line.line);
    let mut rows = Vec::new();
    for line in lines {
        if concerns(customs, view, member, &line.subject)? {
            rows.push(notice(&line));
        }
    }
    Ok(Notices { rows, seen })
}

/// Customs sees the whole journal, an issuer what is about its own certificates.
fn concerns(
    customs: &Customs,
    view: &dyn Read,
    member: &MemberId,
    subject: &str,
) -> Result<bool, Rejection> {
    if *member == customs.config.customs {
        return Ok(true);
    }
    let Some(key) = subject.strip_prefix("certificate ") else { return Ok(false) };
    let certificate: Option<Certificate> = view.find(key)?;
    Ok(certificate.is_some_and(|certificate| certificate.issuer == *member))
}

fn notice(line: &Event) -> Notice {
    let (what, key) = line.subject.split_once(' ').unwrap_or((line.subject.as_str(), ""));
    let path = api::path_of(what, key);
    Notice {
        number: line.line,
        kind: format!("customs.{}", what.to_lowercase()),
        at: line.at,
        data: json!({
            "subject": line.subject,
            "path": path,
            "by": line.by,
            "text": line.text,
        }),
    }
}
