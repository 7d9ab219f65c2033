//! What a token proves, in plain words, and what it does not.
//!
//! Works offline: everything comes in as an argument, and signatures are verified by what the
//! caller lends ([`Verify`]), from the federation root and the national lists.
//!
//! Invariants: nothing is passed over: what was not checked is a gap of the report; a part that
//! fails never makes another part look good; a mistake of the checker (a file that is not what it
//! should be, a clock that is slow) is never called a forgery of the paper.
//!
//! Not here: the ledger of what was claimed under the certificate (`crate::certificate`).

use karvan_types::{Digest, MemberId, Timestamp, json};
use serde::Serialize;

use super::status::{PUBLISHED_BYTES_MAX, Status, StatusList};
use super::token::{Claims, TOKEN_CHARS_MAX, expand, kind_of};
use super::{STATUS_TYP, TOKEN_TYP};
use crate::matching::local_date;
use crate::messages::Message;

/// How far the clock of the checking machine may be behind that of the issuer, in seconds.
const CLOCK_BEHIND_SECONDS_MAX: i64 = 300;

/// A document whose signature holds, and who signed it by the national list.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Signed {
    /// The signed content.
    pub payload: Vec<u8>,
    /// Name of the key.
    pub key: String,
    /// The member to which the list gives the key.
    pub member: MemberId,
    /// Its name, for people.
    pub name: String,
    /// The list entitles it, or a subsystem of it, to issue certificates of origin.
    pub is_issuer: bool,
    /// First instant at which the key may sign.
    pub not_before: Timestamp,
    /// First instant at which it may no longer sign.
    pub not_after: Timestamp,
    /// When the list at hand ends.
    pub list_ends: Timestamp,
}

/// Verifies the signature of a JSON document of a kind (`typ`), or says why it does not hold.
pub type Verify<'a> = dyn Fn(&[u8], &str) -> Result<Signed, String> + 'a;

/// What is to be checked.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The text of the code.
    pub token: &'a str,
    /// The issuer's list of statuses, as published.
    pub status: Option<&'a [u8]>,
    /// The certificate, as JSON.
    pub certificate: Option<&'a [u8]>,
    /// Fictitious data are good enough.
    pub sample_allowed: bool,
    /// The instant of the check.
    pub now: Timestamp,
}

/// How a part came out. The worst one counts.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It holds.
    Holds,
    /// It is genuine as far as can be seen, but must not be relied on now.
    Unusable,
    /// What was given beside the token cannot be read, so that nothing is said by it.
    Unreadable,
    /// It is not what it claims to be.
    Broken,
}

/// One part that was checked.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Finding {
    /// The part: `signature`, `key`, `validity`, `certificate`, `status`, `sample`.
    pub part: &'static str,
    /// How it came out.
    pub verdict: Verdict,
    /// A sentence.
    pub text: String,
}

/// Everything that was found.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// What the token claims; absent while its signature does not hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claims: Option<Claims>,
    /// The member that signed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<MemberId>,
    /// The status, when a list of the issuer told it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// When that list was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_made: Option<Timestamp>,
    /// What was checked.
    pub findings: Vec<Finding>,
    /// What is not proven.
    pub gaps: Vec<String>,
}

impl Report {
    /// Returns the worst verdict.
    pub fn verdict(&self) -> Verdict {
        self.findings.iter().map(|finding| finding.verdict).max().unwrap_or(Verdict::Broken)
    }

    fn note(&mut self, part: &'static str, verdict: Verdict, text: impl Into<String>) {
        self.findings.push(Finding { part, verdict, text: text.into() });
    }

    fn gap(&mut self, text: impl Into<String>) {
        self.gaps.push(text.into());
    }
}

/// Checks a token and what is given beside it.
pub fn check(question: &Question<'_>, verify: &Verify<'_>) -> Report {
    let mut report = Report::default();
    let opened = expand(question.token, TOKEN_CHARS_MAX)
        .map_err(|error| error.to_string())
        .and_then(|document| verify(&document, TOKEN_TYP))
        .and_then(|signed| {
            let claims = json::from_slice::<Claims>(&signed.payload);
            claims.map(|claims| (signed, claims)).map_err(|error| error.to_string())
        });
    let (signed, claims) = match opened {
        Ok(opened) => opened,
        Err(text) => {
            report.note("signature", Verdict::Broken, text);
            report.gap("anything else: without a valid signature the code says nothing");
            return report;
        }
    };
    let text = format!(
        "{} ({}) signed certificate {} of {}, issued {}, with the key {}",
        signed.name, signed.member, claims.number, claims.country, claims.date, signed.key
    );
    report.note("signature", Verdict::Holds, text);
    check_key(&mut report, &signed, &claims, question.now);
    check_validity(&mut report, &claims, question);
    check_certificate(&mut report, &claims, question.certificate);
    check_status(&mut report, &signed, &claims, question, verify);
    report.gap(
        "that this paper is the only one: every copy carries the same code; what was claimed under \
         the certificate stands in the ledger of the customs service",
    );
    report.gap(
        "that it was signed when it says: that time is the issuer's word; the evidence log of the \
         nodes has the certificate itself (`karvan verify`)",
    );
    report.issuer = Some(signed.member);
    report.claims = Some(claims);
    report
}

fn check_key(report: &mut Report, signed: &Signed, claims: &Claims, now: Timestamp) {
    let at = Timestamp::from_seconds(claims.iat);
    let (from, to) = (signed.not_before, signed.not_after);
    if signed.member.instance() != claims.country {
        let text = format!("{} is no issuer of {}", signed.member, claims.country);
        report.note("key", Verdict::Broken, text);
    } else if !signed.is_issuer {
        let text = format!("the national list does not let {} issue certificates", signed.member);
        report.note("key", Verdict::Broken, text);
    } else if at < from || at >= to {
        let text = format!("signed at {at}, but the key is valid from {from} until {to} only");
        report.note("key", Verdict::Broken, text);
    } else if claims.iat > now.as_seconds().saturating_add(CLOCK_BEHIND_SECONDS_MAX) {
        let text = format!(
            "signed at {at}, which is still to come: it is {now} here; check the clock of this \
             machine"
        );
        report.note("key", Verdict::Unusable, text);
    } else {
        let text = format!(
            "signed at {at}; the national list of {} lets this key sign from {from} until {to}",
            claims.country
        );
        report.note("key", Verdict::Holds, text);
    }
    if now >= signed.list_ends {
        report.gap(format!(
            "that the key was not withdrawn since: the national list at hand ended {}",
            signed.list_ends
        ));
    }
}

fn check_validity(report: &mut Report, claims: &Claims, question: &Question<'_>) {
    let today = local_date(question.now, claims.country);
    if today > claims.until {
        let text = format!("it could be presented until {} only", claims.until);
        report.note("validity", Verdict::Unusable, text);
    } else {
        let text = format!("it may be presented until {}", claims.until);
        report.note("validity", Verdict::Holds, text);
    }
    if claims.sample {
        let verdict = if question.sample_allowed { Verdict::Holds } else { Verdict::Unusable };
        let text = "this is a SAMPLE with fictitious data, no certificate of origin";
        report.note("sample", verdict, text);
    }
}

fn check_certificate(report: &mut Report, claims: &Claims, certificate: Option<&[u8]>) {
    let Some(certificate) = certificate else {
        report.gap(
            "that the paper shows what was certified: give the certificate with --certificate, or \
             compare the paper with what the node shows",
        );
        return;
    };
    let read = json::parse(certificate)
        .and_then(|value| json::canonical(&value))
        .map_err(|error| error.to_string())
        .and_then(|text| Message::parse("COO", &text).map_err(|error| error.to_string()))
        .and_then(|message| {
            let digest = message.to_canonical().map(|text| Digest::of(&text));
            let number = message.header().id.clone();
            digest.map(|digest| (digest, number)).map_err(|error| error.to_string())
        });
    match read {
        Ok((digest, number)) if digest == claims.sha256 && number == claims.number => {
            let text = "the certificate given is the one that was signed, to the letter";
            report.note("certificate", Verdict::Holds, text);
        }
        Ok((_, number)) => {
            let text = format!(
                "the certificate given (number {number}) is not the one that was signed; it was \
                 altered, or is another one or another version"
            );
            report.note("certificate", Verdict::Broken, text);
        }
        Err(error) => {
            let text = format!(
                "the file given is no certificate of origin as JSON ({error}); give the one that \
                 the issuer sent (`--json-out`)"
            );
            report.note("certificate", Verdict::Unreadable, text);
        }
    }
}

fn check_status(
    report: &mut Report,
    signed: &Signed,
    claims: &Claims,
    question: &Question<'_>,
    verify: &Verify<'_>,
) {
    let place = &claims.status.status_list;
    let Some(list) = question.status else {
        report.gap(format!(
            "that it was not cancelled, replaced or used up: give the list of {} with --status",
            place.uri
        ));
        return;
    };
    match read_status(signed, claims, list, verify) {
        Err((verdict, text)) => report.note("status", verdict, text),
        Ok((status, list)) => {
            let (made, ends) = (list.made(), list.ends());
            report.status = Some(status);
            report.status_made = Some(made);
            let text = format!("{}, as of {made}", status.about());
            match status {
                Status::Valid if question.now >= ends => {
                    let text = format!(
                        "it was valid at {made}, but that list is stale since {ends}; fetch a new \
                         one from {}",
                        place.uri
                    );
                    report.note("status", Verdict::Unusable, text);
                }
                Status::Valid => {
                    report.note("status", Verdict::Holds, text);
                    report.gap(format!("what became of it after {made}"));
                }
                _ => report.note("status", Verdict::Unusable, text),
            }
        }
    }
}

/// Reads the status of a token from its issuer's list.
fn read_status(
    signed: &Signed,
    claims: &Claims,
    list: &[u8],
    verify: &Verify<'_>,
) -> Result<(Status, StatusList), (Verdict, String)> {
    let broken = |text: String| (Verdict::Broken, format!("the list of statuses: {text}"));
    let unusable = |text: String| (Verdict::Unusable, text);
    let unreadable = |text: String| {
        let text = format!("the file given is no list of statuses ({text}); fetch it anew");
        (Verdict::Unreadable, text)
    };
    let text = std::str::from_utf8(list).map_err(|_| unreadable("it is no text".to_owned()))?;
    let document =
        expand(text, PUBLISHED_BYTES_MAX).map_err(|error| unreadable(error.to_string()))?;
    match kind_of(text) {
        Some(typ) if typ == STATUS_TYP => {}
        Some(typ) => return Err(unreadable(format!("its kind is `{typ}`"))),
        None => return Err(unreadable("it does not tell its kind".to_owned())),
    }
    let by = verify(&document, STATUS_TYP).map_err(broken)?;
    let list: StatusList =
        json::from_slice(&by.payload).map_err(|error| unreadable(error.to_string()))?;
    let place = &claims.status.status_list;
    if by.member != signed.member || !by.is_issuer {
        return Err(broken(format!("{} signed it, not {}", by.member, signed.member)));
    }
    if list.sub != place.uri {
        return Err(unusable(format!("the list is that of {}, not of {}", list.sub, place.uri)));
    }
    let made = list.made();
    if made < by.not_before || made >= by.not_after {
        return Err(broken(format!("it was made at {made}, when its key was not valid")));
    }
    if list.iat < claims.iat {
        let text = format!("the list was made at {made}, before the paper; fetch a newer one");
        return Err(unusable(text));
    }
    let status = list.status_list.status(place.idx);
    let status = status.map_err(|error| unreadable(error.to_string()))?;
    let missing = || unusable(format!("the list has no place {}; fetch a newer one", place.idx));
    Ok((status.ok_or_else(missing)?, list))
}
