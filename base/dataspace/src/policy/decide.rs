//! Decides whether rules allow an act, and tells why.
//!
//! An act is allowed when a permission about it holds and no prohibition about it applies. A rule
//! is about an act when it names the same action, or `use`, of which the others are kinds. All of
//! its constraints must hold.
//!
//! What is not known is not guessed: a constraint about something that the context does not state
//! is [`Verdict::Unknown`]. It does not let a permission hold, and does not keep a prohibition from
//! applying.
//!
//! Duties do not decide. They are told as what the holder takes on by acting.
//!
//! Not here: counting uses, finding consents, knowing the caller. The context is the caller's.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use karvan_types::{MemberId, Timestamp};
use serde::Serialize;

use super::explain;
use super::rules::{Atomic, Constraint, Left, Logic, Rule, RuleAction, Rules};
use super::terms::{Action, Operand, Operator};
use super::value::{Consent, Literal, Period, Recipient, SharingLevel, Tlp};

/// What is known about an act. What is `None` is not stated.
#[derive(Clone, Debug)]
pub struct Context {
    /// What is to be done.
    pub action: RuleAction,
    /// When.
    pub now: Timestamp,
    /// Who asks.
    pub caller: Option<MemberId>,
    /// Who gets the data; the caller when it is not stated.
    pub recipient: Option<MemberId>,
    /// For which purpose.
    pub purpose: Option<String>,
    /// By which right.
    pub legal_basis: Option<String>,
    /// How much of a record is asked for.
    pub sharing_level: Option<SharingLevel>,
    /// Whether the person concerned consented.
    pub consent: Option<Consent>,
    /// The label of the data.
    pub tlp: Option<Tlp>,
    /// Uses so far, without this one.
    pub used: Used,
    /// Values of operands of profiles, by their IRI.
    pub attributes: BTreeMap<String, Vec<String>>,
}

/// Uses so far, without the one that is asked for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Used {
    /// In the running second.
    pub second: Option<u64>,
    /// In the running minute.
    pub minute: Option<u64>,
    /// In the running hour.
    pub hour: Option<u64>,
    /// In the running day.
    pub day: Option<u64>,
    /// Over the whole life of the agreement.
    pub total: Option<u64>,
}

impl Used {
    /// Returns the uses in a period.
    pub const fn within(&self, period: Period) -> Option<u64> {
        match period {
            Period::Second => self.second,
            Period::Minute => self.minute,
            Period::Hour => self.hour,
            Period::Day => self.day,
        }
    }
}

impl Context {
    /// Makes a context of a use at an instant, of which nothing else is known.
    pub fn at(now: Timestamp) -> Self {
        Self {
            action: RuleAction::Known(Action::Use),
            now,
            caller: None,
            recipient: None,
            purpose: None,
            legal_basis: None,
            sharing_level: None,
            consent: None,
            tlp: None,
            used: Used::default(),
            attributes: BTreeMap::new(),
        }
    }

    /// Returns what is known of a left operand; several values only for operands of profiles.
    fn stated(&self, atomic: &Atomic) -> Vec<Literal> {
        let operand = match &atomic.left {
            Left::Known(operand) => *operand,
            Left::Profile(name) => {
                let values = self.attributes.get(name).into_iter().flatten();
                return values.cloned().map(Literal::Text).collect();
            }
        };
        let including_this = |used: u64| Literal::Count(used.saturating_add(1));
        let recipient = || self.recipient.as_ref().or(self.caller.as_ref()).cloned();
        let value = match operand {
            Operand::Purpose => self.purpose.clone().map(Literal::Text),
            Operand::LegalBasis => self.legal_basis.clone().map(Literal::Text),
            Operand::SharingLevel => self.sharing_level.map(Literal::Level),
            Operand::Consent => self.consent.map(Literal::Consent),
            Operand::Quota => match atomic.right.first() {
                Some(Literal::Quota(quota)) => self.used.within(quota.per).map(including_this),
                _ => None,
            },
            Operand::Recipient => {
                recipient().map(|member| Literal::Recipient(Recipient::Member(member)))
            }
            Operand::Tlp => self.tlp.map(Literal::Tlp),
            Operand::DateTime => Some(Literal::Instant(self.now)),
            Operand::Count => self.used.total.map(including_this),
        };
        value.into_iter().collect()
    }
}

/// Whether a condition or rule holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It does.
    Holds,
    /// It does not.
    Fails,
    /// What it is about is not stated.
    Unknown,
}

/// The answer, with all that led to it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Decision {
    /// Whether the act is allowed.
    pub allowed: bool,
    /// Why, in one sentence.
    pub sentence: String,
    /// Every permission and prohibition.
    pub rules: Vec<RuleVerdict>,
    /// What the holder takes on; nothing when the act is not allowed.
    pub duties: Vec<DutyTaken>,
}

/// Which kind of rule it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RuleKind {
    /// Allows.
    Permission,
    /// Forbids, and wins.
    Prohibition,
}

/// Whether a rule holds, and why.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RuleVerdict {
    /// Where it stands in the policy: a JSON pointer.
    pub pointer: String,
    /// Permission or prohibition.
    pub kind: RuleKind,
    /// What it is about.
    pub action: String,
    /// Whether it holds for the act.
    pub verdict: Verdict,
    /// Why, in one sentence.
    pub sentence: String,
    /// Its constraints; none when the rule is about another action.
    pub constraints: Vec<ConstraintVerdict>,
}

/// Whether a constraint holds, and why.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConstraintVerdict {
    /// Where it stands in the policy: a JSON pointer.
    pub pointer: String,
    /// The left operand, or the name of the logical operator.
    pub name: String,
    /// Whether it holds.
    pub verdict: Verdict,
    /// What the policy wants.
    pub expected: String,
    /// What the context states.
    pub actual: String,
    /// Both in one sentence.
    pub sentence: String,
    /// The conditions of a logical constraint.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<ConstraintVerdict>,
}

/// Something that the holder must do.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DutyTaken {
    /// Where it stands in the policy: a JSON pointer.
    pub pointer: String,
    /// What is to be done.
    pub action: String,
    /// The same for people, with its conditions.
    pub sentence: String,
}

impl Rules {
    /// Decides whether an act is allowed, and tells why.
    pub fn decide(&self, context: &Context) -> Decision {
        let permissions = judged(&self.permissions, RuleKind::Permission, context);
        let prohibitions = judged(&self.prohibitions, RuleKind::Prohibition, context);
        let granted = permissions.iter().find(|rule| rule.verdict == Verdict::Holds);
        let forbidden = prohibitions.iter().find(|rule| rule.verdict != Verdict::Fails);
        let allowed = granted.is_some() && forbidden.is_none();
        let sentence = explain::decision(granted, forbidden, &permissions);
        let duties = if allowed { self.duties(&permissions) } else { Vec::new() };
        Decision { allowed, sentence, rules: [permissions, prohibitions].concat(), duties }
    }

    fn duties(&self, permissions: &[RuleVerdict]) -> Vec<DutyTaken> {
        let duty = |pointer: String, rule: &Rule| DutyTaken {
            pointer,
            action: rule.action.to_string(),
            sentence: explain::duty(rule),
        };
        let own = self.permissions.iter().zip(permissions);
        let own = own.filter(|(_, judged)| judged.verdict == Verdict::Holds);
        let own = own.flat_map(|(rule, judged)| {
            let at = |index| format!("{}/duty/{index}", judged.pointer);
            rule.duties.iter().enumerate().map(move |(index, rule)| duty(at(index), rule))
        });
        let general = self.obligations.iter().enumerate();
        own.chain(general.map(|(index, rule)| duty(format!("/obligation/{index}"), rule))).collect()
    }
}

fn judged(rules: &[Rule], kind: RuleKind, context: &Context) -> Vec<RuleVerdict> {
    let name = match kind {
        RuleKind::Permission => "permission",
        RuleKind::Prohibition => "prohibition",
    };
    let judge = |(index, rule): (usize, &Rule)| {
        let pointer = format!("/{name}/{index}");
        let about = rule.action.covers(&context.action);
        let constraints = if about {
            constraints(&rule.constraints, &format!("{pointer}/constraint"), kind, context)
        } else {
            Vec::new()
        };
        let verdict = if about { all(&constraints) } else { Verdict::Fails };
        let action = rule.action.to_string();
        let sentence = if about {
            explain::rule(kind, &action, verdict, &constraints)
        } else {
            format!("the {name} is about {action}, not about {}", context.action)
        };
        RuleVerdict { pointer, kind, action, verdict, sentence, constraints }
    };
    rules.iter().enumerate().map(judge).collect()
}

fn constraints(
    all: &[Constraint],
    at: &str,
    kind: RuleKind,
    context: &Context,
) -> Vec<ConstraintVerdict> {
    let judge = |(index, constraint): (usize, &Constraint)| {
        let pointer = format!("{at}/{index}");
        match constraint {
            Constraint::Atomic(atomic) => comparison(atomic, pointer, kind, context),
            Constraint::Logical { logic, parts } => {
                let inner = format!("{pointer}/{}", logic.name());
                let parts = constraints(parts, &inner, kind, context);
                let (expected, actual) = explain::logical(*logic, &parts);
                ConstraintVerdict {
                    pointer,
                    name: logic.name().to_owned(),
                    verdict: logical(*logic, &parts),
                    sentence: format!("{expected} must hold; {actual}"),
                    expected,
                    actual,
                    parts,
                }
            }
        }
    };
    all.iter().enumerate().map(judge).collect()
}

fn all(parts: &[ConstraintVerdict]) -> Verdict {
    logical(Logic::And, parts)
}

/// Judges by three values: what is not known counts only when it could change the outcome.
fn logical(logic: Logic, parts: &[ConstraintVerdict]) -> Verdict {
    let count = |verdict| parts.iter().filter(|part| part.verdict == verdict).count();
    let (holds, fails, unknown) =
        (count(Verdict::Holds), count(Verdict::Fails), count(Verdict::Unknown));
    match logic {
        Logic::And | Logic::AndSequence if fails > 0 => Verdict::Fails,
        Logic::Or if holds > 0 => Verdict::Holds,
        Logic::Xone if holds > 1 => Verdict::Fails,
        _ if unknown > 0 => Verdict::Unknown,
        Logic::And | Logic::AndSequence => Verdict::Holds,
        Logic::Xone if holds == 1 => Verdict::Holds,
        Logic::Or | Logic::Xone => Verdict::Fails,
    }
}

fn comparison(
    atomic: &Atomic,
    pointer: String,
    kind: RuleKind,
    context: &Context,
) -> ConstraintVerdict {
    let stated = context.stated(atomic);
    let matches = |operator| {
        stated.iter().any(|one| atomic.right.iter().any(|value| compare(operator, one, value)))
    };
    let holds = match atomic.operator {
        Operator::IsAnyOf => matches(Operator::Eq),
        Operator::Neq | Operator::IsNoneOf => !matches(Operator::Eq),
        operator => matches(operator),
    };
    let verdict = match (stated.is_empty(), holds) {
        (true, _) => Verdict::Unknown,
        (false, true) => Verdict::Holds,
        (false, false) => Verdict::Fails,
    };
    let (expected, actual) = (explain::expected(atomic), explain::actual(&stated));
    let sentence = explain::comparison(atomic, kind, &expected, &actual);
    let name = atomic.left.name().to_owned();
    ConstraintVerdict { pointer, name, verdict, expected, actual, sentence, parts: Vec::new() }
}

fn compare(operator: Operator, stated: &Literal, value: &Literal) -> bool {
    let order = order(stated, value);
    match operator {
        Operator::Eq => stated == value,
        Operator::Lt => order.is_some_and(Ordering::is_lt),
        Operator::Lteq => order.is_some_and(Ordering::is_le),
        Operator::Gt => order.is_some_and(Ordering::is_gt),
        Operator::Gteq => order.is_some_and(Ordering::is_ge),
        Operator::IsPartOf => match (stated, value) {
            (Literal::Recipient(Recipient::Member(member)), Literal::Recipient(whole)) => {
                whole.holds(member)
            }
            _ => false,
        },
        // No operand takes these; the caller turns the lists into equality.
        _ => false,
    }
}

fn order(stated: &Literal, value: &Literal) -> Option<Ordering> {
    match (stated, value) {
        (Literal::Level(a), Literal::Level(b)) => Some(a.cmp(b)),
        (Literal::Tlp(a), Literal::Tlp(b)) => Some(a.cmp(b)),
        (Literal::Instant(a), Literal::Instant(b)) => Some(a.cmp(b)),
        (Literal::Count(a), Literal::Count(b)) => Some(a.cmp(b)),
        (Literal::Count(a), Literal::Quota(quota)) => Some(a.cmp(&u64::from(quota.uses))),
        _ => None,
    }
}
