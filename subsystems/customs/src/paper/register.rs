//! Which version of which certificate was printed under which place of its issuer's list.
//!
//! A place is given at the first print of a version and stays: a second print of the same version
//! carries the same place. What the list says of it follows the certificate, so that a paper of an
//! older version shows as replaced.
//!
//! Invariants: places of an issuer are 0, 1, 2 … without gaps, and are never given twice.
//!
//! Not here: signing and publishing (the caller of the operations does both).

use karvan_store::{Index, Range, Read, Record, Table, Value};
use karvan_subsystem::{Caller, Context, Rejection};
use karvan_types::{Date, Digest, ErrorKind, Instance, MemberId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Error;
use super::status::{PLACES_MAX, Packed, Status};
use super::token::{Claims, StatusClaim, StatusReference, is_sample};
use crate::certificate::{Certificate, CertificateNumber, standing_name};
use crate::matching::local_date;
use crate::messages::text::date;
use crate::messages::{CertificateOfOrigin, CertificateStatus};

/// A version of a certificate that was printed.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Paper {
    /// Who issued it.
    pub issuer: MemberId,
    /// Its place on the issuer's list.
    pub place: u64,
    /// Key of the certificate.
    pub certificate: String,
    /// Digest of the version.
    pub digest: Digest,
    /// When it was printed first.
    pub at: Timestamp,
}

/// Where papers are kept.
pub(crate) static PAPERS: Table = Table {
    name: "customs_paper",
    columns: &["issuer", "place"],
    indexes: &[Index { name: "by_place", columns: &["issuer", "place"], unique: true }],
};

impl Record for Paper {
    const TABLE: &'static Table = &PAPERS;

    fn key(&self) -> Value {
        key(&self.certificate, self.digest).into()
    }

    fn columns(&self) -> Vec<Value> {
        vec![self.issuer.as_str().into(), self.place.into()]
    }
}

fn key(certificate: &str, digest: Digest) -> String {
    format!("{certificate}#{digest}")
}

/// Everything that goes onto a paper, as the operation `paper` answers it. A node adds what it did.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Print {
    /// The certificate.
    pub certificate: CertificateOfOrigin,
    /// The issuing country.
    pub country: Instance,
    /// Digest of the certificate's canonical text.
    pub digest: Digest,
    /// Day of issue, at the issuer.
    #[serde(with = "date")]
    pub issued: Date,
    /// The member that issued it, whose key signs the token.
    pub issuer: MemberId,
    /// Its place on the issuer's list.
    pub place: u64,
    /// It was printed before.
    pub reprint: bool,
}

impl Print {
    /// Returns what the token says. `address` is where the issuer's list is published.
    pub fn claims(&self, address: &str, now: Timestamp) -> Result<Claims, Error> {
        Ok(Claims {
            country: self.country,
            date: self.issued,
            iat: now.as_seconds(),
            number: self.certificate.header.id.clone(),
            sample: is_sample(&self.certificate),
            sha256: self.digest,
            status: StatusClaim { status_list: StatusReference::new(self.place, address)? },
            until: self.certificate.valid_until,
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    certificate: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

fn refuse(kind: ErrorKind, code: &str, text: impl Into<String>) -> Rejection {
    Rejection::new(kind, format!("customs.{code}"), text)
}

fn bad_input(error: &serde_json::Error) -> Rejection {
    refuse(ErrorKind::Invalid, "bad-input", format!("the input does not fit: {error}"))
}

/// Gives the newest version of a certificate a place on its issuer's list, once.
pub(crate) fn print(
    cx: &mut Context<'_>,
    caller: &Caller,
    input: serde_json::Value,
) -> Result<serde_json::Value, Rejection> {
    let asked: Asked = serde_json::from_value(input).map_err(|error| bad_input(&error))?;
    let number = CertificateNumber::parse(&asked.certificate)
        .map_err(|error| refuse(ErrorKind::Invalid, "bad-input", error.to_string()))?;
    let certificate: Certificate =
        cx.tx.find(number.key(caller.member.instance()))?.ok_or_else(|| {
            let text = format!("no certificate {number} was issued here; check the number");
            refuse(ErrorKind::NotFound, "unknown-certificate", text)
        })?;
    if certificate.issuer != caller.member {
        let text = format!("{} issued it; only it may print it", certificate.issuer);
        return Err(refuse(ErrorKind::Forbidden, "wrong-member", text));
    }
    if certificate.standing() != CertificateStatus::Issued {
        let standing = standing_name(certificate.standing());
        let text = format!("the certificate is {standing}; only one in force is printed");
        return Err(refuse(ErrorKind::Conflict, "not-in-force", text));
    }
    let Some(version) = certificate.latest() else {
        return Err(refuse(ErrorKind::Storage, "damaged", "the certificate has no version"));
    };
    let known: Option<Paper> = cx.tx.find(key(&certificate.id(), version.digest))?;
    let reprint = known.is_some();
    let place = match known {
        Some(paper) => paper.place,
        None => first_print(cx, &certificate, version.digest)?,
    };
    let print = Print {
        certificate: version.content.clone(),
        country: certificate.country,
        digest: version.digest,
        issued: local_date(version.content.header.issue_date_time, certificate.country),
        issuer: certificate.issuer.clone(),
        place,
        reprint,
    };
    Ok(serde_json::to_value(print).unwrap_or_default())
}

fn first_print(
    cx: &mut Context<'_>,
    certificate: &Certificate,
    digest: Digest,
) -> Result<u64, Rejection> {
    let issuer = certificate.issuer.clone();
    let place = cx.tx.next(&format!("{}/{issuer}", PAPERS.name))? - 1;
    if place >= PLACES_MAX as u64 {
        let text = format!("a list holds {PLACES_MAX} certificates; open a list for a new issuer");
        return Err(refuse(ErrorKind::TooLarge, "list-full", text));
    }
    let at = cx.now;
    cx.tx.add(&Paper { issuer, place, certificate: certificate.id(), digest, at })?;
    Ok(place)
}

/// Packs the statuses of everything that the caller's member has printed.
pub(crate) fn statuses(
    view: &dyn Read,
    now: Timestamp,
    caller: &Caller,
    input: serde_json::Value,
) -> Result<serde_json::Value, Rejection> {
    let _: Nothing = serde_json::from_value(input).map_err(|error| bad_input(&error))?;
    let issuer = &caller.member;
    let papers: Vec<Paper> =
        view.select(&Range::of("by_place", vec![issuer.as_str().into()], PLACES_MAX))?;
    let day = local_date(now, issuer.instance());
    let statuses = papers.iter().map(|paper| status(view, paper, day));
    let statuses = statuses.collect::<Result<Vec<_>, Rejection>>()?;
    Ok(json!({
        "issuer": issuer,
        "count": statuses.len(),
        "statuses": Packed::new(&statuses),
    }))
}

/// Returns where a paper stands. One whose certificate is gone counts as cancelled.
fn status(view: &dyn Read, paper: &Paper, day: Date) -> Result<Status, Rejection> {
    let certificate: Option<Certificate> = view.find(paper.certificate.as_str())?;
    let Some(certificate) = certificate else { return Ok(Status::Cancelled) };
    let newest = certificate.latest().map(|version| version.digest);
    Ok(match certificate.standing() {
        CertificateStatus::Cancelled => Status::Cancelled,
        CertificateStatus::Suspended => Status::Suspended,
        CertificateStatus::Replaced => Status::Replaced,
        CertificateStatus::Issued if newest != Some(paper.digest) => Status::Replaced,
        CertificateStatus::Issued if !certificate.suspensions.is_empty() => Status::Suspended,
        CertificateStatus::Issued if certificate.state(day) == "used-up" => Status::UsedUp,
        CertificateStatus::Issued => Status::Valid,
    })
}
