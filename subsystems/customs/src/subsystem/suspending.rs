//! What suspends a certificate, at both sides: a verification from its opening on, or an officer.
//!
//! While it is suspended no claim debits it finally; goods can be released under security, with
//! the quantity reserved. A confirmation lifts the suspension. Nothing else does by itself: not the
//! passing of the last day, not the closing of a verification that ended badly. Such a suspension
//! is lifted by an officer of the asking side, who says why, and the partner is told with a CXL.
//!
//! Invariants: what verifications suspend is computed from their records each time one changes, so
//! a message that comes twice or late leaves the same result; what was decided before stands.
//!
//! A certificate inherits what verifications of the one say whose place it took (`inherited`).
//!
//! Not here: when a verification suspends (`crate::verification`), reserving (`super::booking`).

pub(super) mod inherited;

use karvan_store::Read;
use karvan_subsystem::{Caller, Context, Rejection};
use karvan_types::ErrorKind;
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{self, refuse};
use super::apply::{Effect, certificate_subject, refused};
use super::assess::{self, Late};
use super::decide::required_text;
use super::ledgers::{find, summary};
use super::operate::{must_act_for, read, signed_by};
use super::verifying::answered;
use super::{Customs, booking};
use crate::certificate::{Certificate, REPLACED_MAX, Suspension};
use crate::claim::ClaimItem;
use crate::journal::{Closing, MessageRecord, TaskKind, note};
use crate::matching::local_date;
use crate::messages::{Cancellation, DocumentReference, FunctionCode, Header, Message};
use crate::states::VerificationEvent;
use crate::verification::{
    Role, Verification, suspensions, verification_key, verification_subject,
};

/// Type code of the cancellation of a query, that of the query.
const TYPE_CODE: &str = crate::messages::QUERY_TYPE_CODE;

/// What the asking side tells about a verification of its own, as the reason code of a CXL (an..3
/// `099`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Told {
    /// It is closed without an answer, in time: the question is withdrawn.
    Withdrawn,
    /// It is closed; what it found stands.
    Closed,
    /// The certificate may be used again although it was not confirmed.
    Lifted,
}

impl Told {
    const ALL: [(Self, &'static str); 3] =
        [(Self::Withdrawn, "WDN"), (Self::Closed, "END"), (Self::Lifted, "LFT")];

    fn code(self) -> &'static str {
        Self::ALL.iter().find(|(told, _)| *told == self).map_or("", |(_, code)| code)
    }

    fn of(code: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, own)| *own == code).map(|(told, _)| *told)
    }
}

/// Returns the verifications of a certificate that is presented under these keys.
pub(super) fn of_keys(view: &dyn Read, keys: &[String]) -> Result<Vec<Verification>, Rejection> {
    let mut all = Vec::new();
    for key in keys {
        all.extend(view.select::<Verification>(&Verification::range("by_certificate", key))?);
    }
    Ok(all)
}

/// Returns the keys under which a certificate is presented: its own, that of its original, and
/// those of its copies.
pub(super) fn keys_of(certificate: &Certificate) -> Vec<String> {
    let Certificate { copy_of, copies, .. } = certificate;
    std::iter::once(certificate.id()).chain(copy_of.iter().chain(copies).cloned()).collect()
}

/// Brings the suspensions of a certificate, and of those that took its place one after the other,
/// into line with their verifications.
pub(super) fn follow(cx: &mut Context<'_>, key: &str, by: &str) -> Result<(), Rejection> {
    let mut next = Some(key.to_owned());
    for _ in 0..=REPLACED_MAX {
        let Some(presented) = next.map(|key| cx.tx.find::<Certificate>(key)).transpose()?.flatten()
        else {
            break;
        };
        let account = presented.account(cx.tx)?;
        let mut standing = suspensions(&inherited::verifications(cx.tx, &account)?);
        standing.extend(account.suspended_by_officer().cloned());
        keep(cx, &account, standing, by)?;
        next = account.replacement();
    }
    Ok(())
}

/// Stores the suspensions with a certificate and its copies, and notes what changed.
fn keep(
    cx: &mut Context<'_>,
    account: &Certificate,
    mut standing: Vec<Suspension>,
    by: &str,
) -> Result<(), Rejection> {
    standing.sort_by_key(|suspension| suspension.since);
    let subject = certificate_subject(&account.id());
    let reasons = |list: &[Suspension]| -> Vec<String> {
        list.iter().map(|suspension| suspension.reason.clone()).collect()
    };
    let (before, after) = (reasons(&account.suspensions), reasons(&standing));
    if before != after {
        let text = match (before.as_slice(), after.as_slice()) {
            (_, []) => format!("certificate {} in use again", account.number),
            _ => format!("certificate {} suspended: {}", account.number, after.join("; ")),
        };
        note(cx.tx, cx.now, &subject, by, text)?;
    }
    for key in keys_of(account) {
        let Some(mut certificate) = cx.tx.find::<Certificate>(key)? else { continue };
        if certificate.suspensions != standing {
            certificate.suspensions.clone_from(&standing);
            cx.tx.save(&certificate)?;
        }
    }
    Ok(())
}

/// Refuses to debit a certificate finally while a verification suspends the item.
pub(super) fn must_be_free(cx: &Context<'_>, item: &ClaimItem) -> Result<(), Rejection> {
    let presented: Option<Certificate> = cx.tx.find(item.certificate.as_str())?;
    let standing = match booking::account(cx.tx, presented.as_ref())? {
        Some(account) => account.suspensions,
        None => suspensions(&of_keys(cx.tx, std::slice::from_ref(&item.certificate))?),
    };
    let mut concerning = standing.iter().filter(|found| found.covers(item.quote.item));
    let Some(found) = concerning.find(|found| found.verification.is_some()) else {
        return Ok(());
    };
    let id = found.verification.as_deref().unwrap_or_default();
    let asked: Option<Verification> = cx.tx.find(verification_key(Role::Asking, id))?;
    let remedy = if asked.is_some_and(|asked| asked.is_open()) {
        "release the goods under security (`provisional`), or wait for the answer"
    } else {
        "deny the claim, release the goods under security (`provisional`), or first let the \
         certificate be used again, saying why (`ledger resume`)"
    };
    let text = format!(
        "certificate {} is suspended since {}: {}; {remedy}",
        item.quote.number,
        found.since.utc_date(),
        found.reason
    );
    Err(refuse(ErrorKind::Conflict, "certificate-suspended", text))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Suspending {
    certificate: String,
    text: String,
    #[serde(default)]
    resume: bool,
}

/// Suspends the use of a certificate at this side, or lets it be used again; undecided claims are
/// matched anew.
pub(super) fn suspend(
    customs: &Customs,
    cx: &mut Context<'_>,
    caller: &Caller,
    input: Value,
) -> Result<Value, Rejection> {
    must_act_for(caller, &customs.config.customs)?;
    let input: Suspending = read("ledger-suspend", input)?;
    let what = if input.resume { "why it can be used again" } else { "why its use is suspended" };
    let text = required_text(Some(&input.text), what)?;
    let by = signed_by(caller);
    let account = find(customs, cx.tx, &input.certificate)?.account(cx.tx)?;
    let because = if input.resume {
        resume(customs, cx, &account, &by, &text)?;
        "it is in use again"
    } else {
        if account.suspended_by_officer().is_some() {
            let text = format!("certificate {} is suspended here already", account.number);
            return Err(refuse(ErrorKind::Conflict, "suspension", text));
        }
        let own = Suspension {
            since: cx.now,
            by: by.clone(),
            reason: text,
            verification: None,
            items: Vec::new(),
        };
        let mut standing = account.suspensions.clone();
        standing.push(own);
        keep(cx, &account, standing, &by)?;
        "the certificate was suspended"
    };
    touch(customs, cx, &account, because)?;
    let certificate = find(customs, cx.tx, &input.certificate)?;
    let account = certificate.account(cx.tx)?;
    let day = local_date(cx.now, customs.config.nation());
    Ok(json!({ "certificate": summary(&certificate, &account, day) }))
}

/// Matches the undecided items on a certificate anew; what was decided before stands.
fn touch(
    customs: &Customs,
    cx: &mut Context<'_>,
    account: &Certificate,
    because: &'static str,
) -> Result<(), Rejection> {
    let late = Late { kind: TaskKind::AmendedAfterDecision, because };
    for key in keys_of(account) {
        let mut items: Vec<ClaimItem> = cx.tx.select(&ClaimItem::range("by_certificate", &key))?;
        items.retain(|item| !item.state.is_final());
        assess::touch(customs, cx, items, &late)?;
    }
    Ok(())
}

/// Ends the suspension by an officer, and what ended verifications of this side left suspended.
fn resume(
    customs: &Customs,
    cx: &mut Context<'_>,
    account: &Certificate,
    by: &str,
    text: &str,
) -> Result<(), Rejection> {
    let mut lifted = Vec::new();
    for found in of_keys(cx.tx, &inherited::keys(cx.tx, account)?)? {
        if found.suspension().is_none() {
            continue;
        }
        let text = match (found.role, found.is_open()) {
            (Role::Asking, false) => {
                lifted.push(found);
                continue;
            }
            (Role::Asking, true) => format!(
                "verification {} is open, so the certificate stays suspended; wait for the \
                 answer, or close the verification",
                found.id
            ),
            (Role::Asked, _) => format!(
                "{} suspended the certificate with verification {}; only they lift it",
                found.asker, found.id
            ),
        };
        return Err(refuse(ErrorKind::Conflict, "verification-open", text));
    }
    if account.suspensions.is_empty() {
        let text = format!("certificate {} is not suspended here", account.number);
        return Err(refuse(ErrorKind::Conflict, "suspension", text));
    }
    for found in &mut lifted {
        let closing = Closing { at: cx.now, by: by.to_owned(), text: text.to_owned() };
        found.lifted = Some(closing);
        cx.tx.save(found)?;
        tell(customs, cx, found, Told::Lifted, text)?;
    }
    note(cx.tx, cx.now, &certificate_subject(&account.id()), by, format!("resumed: {text}"))?;
    let standing = suspensions(&inherited::verifications(cx.tx, account)?);
    keep(cx, account, standing, by)?;
    // One that was asked about a certificate before this one is lifted there as well.
    for found in lifted {
        follow(cx, &found.certificate, by)?;
    }
    Ok(())
}

/// Tells the asked side what became of a verification of ours, where the agreement allows it.
pub(super) fn tell(
    customs: &Customs,
    cx: &mut Context<'_>,
    found: &Verification,
    told: Told,
    text: &str,
) -> Result<(), Rejection> {
    let subject = verification_subject(&found.id);
    if !answer::may_send(customs, cx, "CXL") {
        let text = "the agreement does not let us tell the partner with a CXL; write to them";
        return Ok(note(cx.tx, cx.now, &subject, "clock", text)?);
    }
    let reference = answer::next_reference(cx, "CXL")?;
    let header = Header {
        function_code: FunctionCode::Cancellation,
        type_code: TYPE_CODE.to_owned(),
        id: found.id.clone(),
        functional_reference_id: reference,
        version_id: 1,
        issue_date_time: cx.now,
        agreement_id: customs.config.agreement.clone(),
        sharing_level: customs.config.sharing_level,
    };
    let message = Message::Cancellation(Box::new(Cancellation {
        header,
        document: DocumentReference {
            document_type: "QRY".to_owned(),
            id: found.id.clone(),
            version_id: Some(1),
            functional_reference_id: None,
            effective_date: None,
        },
        change_reason_code: told.code().to_owned(),
        reason: text.to_owned(),
        replaced_by: None,
        ext: Vec::new(),
    }));
    let (us, them) = (&customs.config.customs, &customs.config.partner);
    answer::send(cx, us, them, &message, &subject).map(drop)
}

/// The asking side tells what became of its verification.
pub(super) fn told(
    cx: &mut Context<'_>,
    record: &MessageRecord,
    content: &Cancellation,
) -> Result<Effect, Rejection> {
    let id = content.document.id.as_str();
    let subject = verification_subject(id);
    let Some(told) = Told::of(&content.change_reason_code) else {
        let codes: Vec<_> = Told::ALL.iter().map(|(_, code)| *code).collect();
        let remedy = format!("of a query give one of {}", codes.join(", "));
        return Ok(refused("ChangeReasonCode", "REASON", remedy));
    };
    let Some(mut found) = cx.tx.find::<Verification>(verification_key(Role::Asked, id))? else {
        return Ok(Effect::Early { waits_for: subject });
    };
    if found.asker != record.sender {
        let remedy = format!("{} did not ask verification {id}", record.sender);
        return Ok(refused("document/ID", "SENDER", remedy));
    }
    let by = record.sender.to_string();
    let closing = Closing { at: cx.now, by: by.clone(), text: content.reason.clone() };
    let said = match told {
        Told::Lifted => {
            found.lifted = Some(closing);
            "lets the certificate be used again"
        }
        Told::Withdrawn | Told::Closed => {
            if told == Told::Withdrawn {
                found.expired = false;
            }
            found.closed = Some(closing);
            found.state.follow(VerificationEvent::Close);
            "closed the verification"
        }
    };
    cx.tx.save(&found)?;
    note(cx.tx, cx.now, &subject, &by, format!("{by} {said}: {}", content.reason))?;
    if found.closed.is_some() {
        answered::stop_clocks(cx, &found, &by, "the partner closed the verification")?;
    }
    follow(cx, &found.certificate, &by)?;
    Ok(Effect::Applied { subject })
}

/// Returns what closing a verification means for the partner.
pub(super) fn on_close(found: &Verification) -> Told {
    let unanswered = found.answer().is_none() && !found.expired;
    if unanswered { Told::Withdrawn } else { Told::Closed }
}
