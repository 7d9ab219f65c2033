//! From an ODRL agreement to the agreement that nodes enforce.
//!
//! Both sides work it out by the same rules from the same words, so the consumer can tell whether
//! what the provider signed is what was negotiated. The ODRL text itself stays in the agreement,
//! word for word; what is taken out of it here is the part that is enforced on every exchange.
//!
//! Invariants: nothing that limits use is passed over: a rule that cannot be enforced as it is
//! written is a refusal; equal words give equal agreements.

use std::time::Duration;

use karvan_agreements::{Agreement, Grant, Quota, ServiceGrant, meter};
use karvan_dataspace::policy::{
    self, Action, Atomic, Constraint, Left, Literal, Operand, Operator, Origin, Period, RuleAction,
};
use karvan_types::{ErrorKind, MemberId, Timestamp};

use crate::Error;
use crate::identity::member_of;
use crate::records::Kind;

/// What stands before the id of an ODRL agreement of ours: `<prefix><id>:<version>`.
pub const AGREEMENT_PREFIX: &str = "urn:karvan:agreement:";
/// How long an agreement lasts whose policy names no end (one year).
const LASTS_UNSTATED: Duration = Duration::from_hours(365 * 24);
/// The purpose of an agreement whose policy names none.
const PURPOSE_UNSTATED: &str = "unspecified";
/// The legal basis of an agreement whose policy names none.
const LEGAL_BASIS_UNSTATED: &str = "not stated in the policy";

fn refuse(text: impl Into<String>) -> Error {
    Error::invalid("policy", text)
}

/// Returns the ODRL id of an agreement of ours.
pub fn odrl_id(id: &str, version: u32) -> String {
    format!("{AGREEMENT_PREFIX}{id}:{version}")
}

/// Takes the ODRL id of an agreement of ours apart.
pub(crate) fn name_of(odrl_id: &str) -> Result<(String, u32), Error> {
    let rest = odrl_id.strip_prefix(AGREEMENT_PREFIX).and_then(|rest| rest.rsplit_once(':'));
    let read = rest.and_then(|(id, version)| Some((id.to_owned(), version.parse().ok()?)));
    read.ok_or_else(|| {
        refuse(format!(
            "`{odrl_id}` is no id of an agreement; use {AGREEMENT_PREFIX}<id>:<version>"
        ))
    })
}

/// What limits use.
struct Limits {
    purpose: Option<String>,
    legal_basis: Option<String>,
    from: Option<Timestamp>,
    until: Option<Timestamp>,
    quota: Option<Quota>,
    sharing_level: Option<String>,
}

/// Returns what an ODRL agreement about a dataset of this kind lets its assignee do.
pub fn derive(odrl: &policy::Agreement, kind: &Kind) -> Result<Agreement, Error> {
    let party = |id: &str| {
        member_of(id).ok_or_else(|| refuse(format!("`{id}` is no member; use urn:karvan:member:…")))
    };
    let (provider, consumer) = (party(&odrl.assigner)?, party(&odrl.assignee)?);
    let made = odrl.timestamp.ok_or_else(|| refuse("the agreement needs a `timestamp`"))?;
    let limits = limits(&odrl.wording, &consumer)?;
    let (id, version) = name_of(&odrl.id)?;
    let agreement = Agreement {
        id,
        version,
        purpose: limits.purpose.unwrap_or_else(|| PURPOSE_UNSTATED.to_owned()),
        legal_basis: limits.legal_basis.unwrap_or_else(|| LEGAL_BASIS_UNSTATED.to_owned()),
        valid_from: limits.from.unwrap_or(made),
        valid_until: limits.until.unwrap_or_else(|| made.plus(LASTS_UNSTATED)),
        grants: vec![Grant {
            sharing_level: limits.sharing_level,
            ..grant(kind, &odrl.target, provider, consumer, limits.quota)
        }],
        policy: Some(odrl.to_value()),
    };
    agreement.check().map_err(|error| Error::new(error.kind(), "policy", error.to_string()))?;
    Ok(agreement)
}

/// Checks that an offer can become an agreement with somebody, before anybody sees it.
pub fn check_offer(wording: &policy::Wording) -> Result<(), Error> {
    understand(wording, Origin::Own).map(drop)
}

fn grant(
    kind: &Kind,
    dataset: &str,
    provider: MemberId,
    consumer: MemberId,
    quota: Option<Quota>,
) -> Grant {
    match kind {
        Kind::Service { code, endpoints } => {
            let service = ServiceGrant { service: code.clone(), endpoints: endpoints.clone() };
            Grant { services: vec![service], quota, ..Grant::new(consumer, provider) }
        }
        // The data flows to the consumer: it is the provider who sends.
        Kind::Documents { codes } => {
            Grant { documents: codes.clone(), quota, ..Grant::new(provider, consumer) }
        }
        Kind::Feed {} => {
            Grant { feeds: vec![dataset.to_owned()], quota, ..Grant::new(consumer, provider) }
        }
    }
}

fn understand(wording: &policy::Wording, origin: Origin) -> Result<policy::Rules, Error> {
    wording.understand(origin, &[]).map_err(|problems| {
        let texts: Vec<_> = problems.iter().map(ToString::to_string).collect();
        refuse(format!("the policy is not understood: {}", texts.join("; ")))
    })
}

fn limits(wording: &policy::Wording, consumer: &MemberId) -> Result<Limits, Error> {
    let rules = understand(wording, Origin::Peer)?;
    let allows = |rule: &&policy::Rule| rule.action == RuleAction::Known(Action::Use);
    let mut permissions = rules.permissions.iter().filter(allows);
    let Some(permission) = permissions.next() else {
        return Err(refuse("the policy permits no `use`; add a permission to use"));
    };
    if permissions.next().is_some() {
        return Err(refuse("the policy has several permissions to use; write one for each offer"));
    }
    let forbids = |rule: &policy::Rule| rule.action == RuleAction::Known(Action::Use);
    if rules.prohibitions.iter().any(forbids) {
        return Err(refuse("a prohibition of use cannot be enforced; narrow the permission"));
    }
    let mut limits = Limits {
        purpose: None,
        legal_basis: None,
        from: None,
        until: None,
        quota: None,
        sharing_level: None,
    };
    for constraint in &permission.constraints {
        let Constraint::Atomic(atomic) = constraint else {
            return Err(refuse(
                "and, or, xone cannot be enforced; write the constraints one by one",
            ));
        };
        take(&mut limits, atomic, consumer)?;
    }
    Ok(limits)
}

fn take(limits: &mut Limits, atomic: &Atomic, consumer: &MemberId) -> Result<(), Error> {
    let Left::Known(operand) = &atomic.left else {
        return Err(refuse(format!("`{}` cannot be enforced", atomic.left.name())));
    };
    let single = atomic.right.len() == 1;
    let named =
        matches!(atomic.operator, Operator::Eq) || (atomic.operator == Operator::IsAnyOf && single);
    match (operand, atomic.right.first()) {
        (Operand::Purpose, Some(Literal::Text(text))) if named && limits.purpose.is_none() => {
            limits.purpose = Some(text.clone());
        }
        (Operand::LegalBasis, Some(Literal::Text(text)))
            if named && limits.legal_basis.is_none() =>
        {
            limits.legal_basis = Some(text.clone());
        }
        (Operand::DateTime, Some(Literal::Instant(at))) => match atomic.operator {
            Operator::Gteq => limits.from = limits.from.max(Some(*at)),
            Operator::Gt => limits.from = limits.from.max(Some(at.plus(MOMENT))),
            Operator::Lt => limits.until = Some(earlier(limits.until, *at)),
            Operator::Lteq => limits.until = Some(earlier(limits.until, at.plus(MOMENT))),
            _ => return Err(refuse("a time is compared with gt, gteq, lt or lteq")),
        },
        (Operand::Quota, Some(Literal::Quota(quota))) if limits.quota.is_none() => {
            let per = match quota.per {
                Period::Second => meter::Period::Second,
                Period::Minute => meter::Period::Minute,
                Period::Hour => meter::Period::Hour,
                Period::Day => meter::Period::Day,
            };
            limits.quota = Some(Quota { calls: quota.uses, per });
        }
        (Operand::Recipient, _) => check_recipient(atomic, consumer)?,
        // What concerns a single record is judged when the record is released.
        (Operand::SharingLevel, Some(Literal::Level(level)))
            if matches!(atomic.operator, Operator::Eq | Operator::Lteq) =>
        {
            let level = level.to_string();
            // Of two limits the lower one holds; the names rise with what is released.
            limits.sharing_level =
                Some(limits.sharing_level.take().map_or(level.clone(), |known| known.min(level)));
        }
        (Operand::SharingLevel | Operand::Consent | Operand::Tlp, _) => {}
        _ => {
            let (name, operator) = (atomic.left.name(), atomic.operator.name());
            return Err(refuse(format!("`{name}` with `{operator}` cannot be enforced here")));
        }
    }
    Ok(())
}

/// The step of an instant.
const MOMENT: Duration = Duration::from_millis(1);

fn earlier(known: Option<Timestamp>, at: Timestamp) -> Timestamp {
    known.map_or(at, |known| known.min(at))
}

fn check_recipient(atomic: &Atomic, consumer: &MemberId) -> Result<(), Error> {
    let is = |literal: &Literal| match (literal, atomic.operator) {
        (Literal::Recipient(recipient), Operator::IsPartOf) => recipient.holds(consumer),
        (Literal::Recipient(policy::Recipient::Member(member)), _) => member == consumer,
        _ => false,
    };
    let any = atomic.right.iter().any(is);
    let holds = match atomic.operator {
        Operator::Neq | Operator::IsNoneOf => !any,
        _ => any,
    };
    if holds {
        return Ok(());
    }
    let text = format!("the policy is not for {consumer}: its constraint on the recipient fails");
    Err(Error::new(ErrorKind::Forbidden, "policy", text))
}

#[cfg(test)]
mod tests;
