//! One certificate in the place of another: whether it fits, and what it means for both.
//!
//! A replacement that comes before the certificate that it replaces waits for it, as a certified
//! true copy does for its original: two certificates for the same goods are never both usable.
//!
//! Invariant: a certificate is replaced at most once, and what was used of it counts in the one
//! that took its place, whichever of the two messages came first.
//!
//! Not here: the arithmetic of what is carried over (`crate::certificate`), true copies
//! (`super::booking`).

use karvan_store::Tx;
use karvan_subsystem::{Context, Rejection};
use karvan_types::{Instance, MemberId};

use super::Customs;
use super::apply::{self, Effect, Incoming, certificate_subject, refused};
use crate::certificate::{Certificate, CertificateNumber, REPLACED_MAX, original_of, replaced_by};
use crate::messages::{CertificateOfOrigin, CertificateStatus};

/// Returns the key of the certificate that a content takes the place of; a true copy takes none.
fn replaced(content: &CertificateOfOrigin, country: Instance) -> Option<String> {
    let number = content.replaces.as_deref().filter(|_| original_of(content).is_none())?;
    Some(CertificateNumber::parse(number).ok()?.key(country))
}

/// Says why a certificate cannot take the place that it claims; `existing` is what is here of it.
pub(super) fn misfit(
    tx: &dyn Tx,
    sender: &MemberId,
    content: &CertificateOfOrigin,
    key: &str,
    existing: Option<&Certificate>,
) -> Result<Option<Effect>, Rejection> {
    let no = |remedy: String| Ok(Some(refused("replaces", "REPLACES", remedy)));
    let country = sender.instance();
    let old_key = replaced(content, country);
    let before = existing.and_then(Certificate::content);
    if let Some(before) = before.and_then(|before| replaced(before, country))
        && old_key.as_ref() != Some(&before)
    {
        return no(format!(
            "an earlier version took the place of {before}; keep `replaces` as it is"
        ));
    }
    let (Some(old_key), Some(number)) = (old_key, content.replaces.as_deref()) else {
        return Ok(None);
    };
    let Some(old) = tx.find::<Certificate>(old_key.as_str())? else {
        return Ok(Some(Effect::Early { waits_for: certificate_subject(&old_key) }));
    };
    if old.issuer != *sender {
        return no(format!("{number} was issued by {}, which alone may replace it", old.issuer));
    }
    if let Some(original) = &old.copy_of {
        return no(format!("{number} is a true copy; name its original, {original}"));
    }
    match (old.standing(), old.replacement()) {
        (CertificateStatus::Replaced, by) if by.as_deref() != Some(key) => {
            let by = old.replaced_by.as_deref().unwrap_or("another certificate");
            no(format!("{number} was replaced by {by} before; replace that one"))
        }
        (CertificateStatus::Cancelled, _) => {
            no(format!("{number} was cancelled; issue the new one without `replaces`"))
        }
        _ => Ok(None),
    }
}

/// Says why a cancellation cannot name this certificate as the one that takes the place.
pub(super) fn cannot_follow(
    tx: &dyn Tx,
    old: &Certificate,
    by: Option<&str>,
) -> Result<Option<Effect>, Rejection> {
    let no = |remedy: String| Ok(Some(refused("replacedBy", "REPLACES", remedy)));
    let Some(by) = by else { return Ok(None) };
    let key = match CertificateNumber::parse(by) {
        Ok(number) => number.key(old.country),
        Err(error) => return no(error.to_string()),
    };
    if key == old.id() {
        return no("a certificate cannot take its own place".to_owned());
    }
    if old.copy_of.is_some() {
        return no("this is a true copy; cancel or replace its original".to_owned());
    }
    if replaced_by(tx, &key)?.len() >= REPLACED_MAX {
        return no(format!("{by} takes the place of {REPLACED_MAX} certificates already"));
    }
    if tx.find::<Certificate>(key.as_str())?.is_some_and(|new| new.issuer != old.issuer) {
        return no(format!("{by} was issued by somebody else"));
    }
    Ok(None)
}

/// Ends the certificate that a new one takes the place of.
pub(super) fn replace(
    customs: &Customs,
    cx: &mut Context<'_>,
    incoming: &Incoming<'_>,
    content: &CertificateOfOrigin,
) -> Result<(), Rejection> {
    let Some(key) = replaced(content, incoming.sender.instance()) else { return Ok(()) };
    let found: Option<Certificate> = cx.tx.find(key.as_str())?;
    let usable = found.filter(|old| old.standing() != CertificateStatus::Replaced);
    let Some(old) = usable else { return Ok(()) };
    let by = content.header.id.clone();
    apply::end_certificate(customs, cx, incoming, old, Some(by), "replaced")
}
