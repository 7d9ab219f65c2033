//! The sentences in which a decision is told.

use std::fmt;

use super::decide::{ConstraintVerdict, Decision, RuleKind, RuleVerdict, Verdict};
use super::rules::{Atomic, Constraint, Left, Logic, Rule, RuleAction};
use super::terms::{Operand, Operator};
use super::value::Literal;

/// What stands for a value that the context does not state.
const NOT_STATED: &str = "not stated";

fn noun(atomic: &Atomic) -> String {
    match (&atomic.left, atomic.right.first()) {
        (Left::Known(Operand::Quota), Some(Literal::Quota(quota))) => {
            format!("the number of uses per {}, this one included,", quota.per)
        }
        (Left::Known(Operand::Count), _) => "the number of uses, this one included,".to_owned(),
        (Left::Known(operand), _) => operand.term().noun.to_owned(),
        (Left::Profile(name), _) => format!("`{name}`"),
    }
}

/// Returns what a comparison wants, fit for "must be …".
pub(super) fn expected(atomic: &Atomic) -> String {
    let value = |literal: &Literal| match literal {
        Literal::Quota(quota) => quota.uses.to_string(),
        other => other.to_string(),
    };
    let values = atomic.right.iter().map(value).collect::<Vec<_>>().join(", ");
    let words = match (atomic.operator, &atomic.left) {
        (Operator::Eq, _) => return values,
        (Operator::IsPartOf, _) => return format!("{values} or part of it"),
        (Operator::Lt, Left::Known(Operand::DateTime)) => "before",
        (Operator::Lteq, Left::Known(Operand::DateTime)) => "at or before",
        (Operator::Gt, Left::Known(Operand::DateTime)) => "after",
        (Operator::Gteq, Left::Known(Operand::DateTime)) => "at or after",
        (Operator::Lt, _) => "below",
        (Operator::Lteq, _) => "at most",
        (Operator::Gt, _) => "above",
        (Operator::Gteq, _) => "at least",
        (Operator::Neq, _) => "other than",
        (Operator::IsAnyOf, _) => "one of",
        (Operator::IsNoneOf, _) => "none of",
        (operator, _) => operator.name(),
    };
    format!("{words} {values}")
}

pub(super) fn actual(stated: &[Literal]) -> String {
    if stated.is_empty() {
        return NOT_STATED.to_owned();
    }
    stated.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

pub(super) fn comparison(atomic: &Atomic, kind: RuleKind, expected: &str, actual: &str) -> String {
    let noun = noun(atomic);
    match kind {
        RuleKind::Permission => format!("{noun} must be {expected}; it is {actual}"),
        RuleKind::Prohibition => format!("it applies when {noun} is {expected}; it is {actual}"),
    }
}

/// Returns what a logical constraint wants, and what is the case.
pub(super) fn logical(logic: Logic, parts: &[ConstraintVerdict]) -> (String, String) {
    let count = |verdict| parts.iter().filter(|part| part.verdict == verdict).count();
    let total = parts.len();
    let words = match logic {
        Logic::And => "all",
        Logic::AndSequence => "all, in order,",
        Logic::Or => "at least one",
        Logic::Xone => "exactly one",
    };
    let unknown = match count(Verdict::Unknown) {
        0 => String::new(),
        unknown => format!(", {unknown} cannot be told"),
    };
    let actual = format!("{} of {total} hold{unknown}", count(Verdict::Holds));
    (format!("{words} of {total} conditions"), actual)
}

/// Returns the first constraint that made the verdict, going into the logical ones.
fn cause(constraints: &[ConstraintVerdict], verdict: Verdict) -> Option<&str> {
    let found = constraints.iter().find(|constraint| constraint.verdict == verdict)?;
    // A single cause inside is more telling than the count of those around it.
    match found.parts.as_slice() {
        [only] if only.verdict == verdict => Some(&only.sentence),
        _ => Some(&found.sentence),
    }
}

pub(super) fn rule(
    kind: RuleKind,
    action: &str,
    verdict: Verdict,
    constraints: &[ConstraintVerdict],
) -> String {
    let (name, outcome) = match (kind, verdict) {
        (RuleKind::Permission, Verdict::Holds) => ("permission", "holds"),
        (RuleKind::Permission, Verdict::Fails) => ("permission", "does not hold"),
        (RuleKind::Permission, Verdict::Unknown) => ("permission", "cannot be told to hold"),
        (RuleKind::Prohibition, Verdict::Holds) => ("prohibition", "applies"),
        (RuleKind::Prohibition, Verdict::Fails) => ("prohibition", "does not apply"),
        (RuleKind::Prohibition, Verdict::Unknown) => {
            ("prohibition", "may apply, and is taken to apply")
        }
    };
    let head = format!("the {name} of {action} {outcome}");
    cause(constraints, verdict).map_or_else(|| head.clone(), |cause| format!("{head}: {cause}"))
}

pub(super) fn decision(
    granted: Option<&RuleVerdict>,
    forbidden: Option<&RuleVerdict>,
    permissions: &[RuleVerdict],
) -> String {
    match (granted, forbidden) {
        (_, Some(rule)) => format!("not allowed: {}", rule.sentence),
        (Some(rule), None) => format!("allowed by `{}`", rule.pointer),
        (None, None) => {
            // Of several permissions, the one that was about the act says most.
            let about = permissions.iter().find(|rule| !rule.constraints.is_empty());
            match about.or(permissions.first()) {
                Some(rule) => format!("not allowed: {}", rule.sentence),
                None => "not allowed: the policy gives no permission".to_owned(),
            }
        }
    }
}

pub(super) fn duty(rule: &Rule) -> String {
    let what = match &rule.action {
        RuleAction::Known(action) => action.term().duty.to_owned(),
        RuleAction::Profile(name) => format!("fulfil `{name}`"),
    };
    let conditions: Vec<_> = rule.constraints.iter().map(condition).collect();
    if conditions.is_empty() {
        format!("the holder must {what}")
    } else {
        format!("the holder must {what}, where {}", conditions.join(", and "))
    }
}

fn condition(constraint: &Constraint) -> String {
    match constraint {
        Constraint::Atomic(atomic) => format!("{} must be {}", noun(atomic), expected(atomic)),
        Constraint::Logical { logic, parts } => {
            let parts = parts.iter().map(condition).collect::<Vec<_>>().join("; ");
            format!("{} of ({parts})", logic.name())
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Holds => "holds",
            Self::Fails => "fails",
            Self::Unknown => "unknown",
        })
    }
}

/// A tree of lines: the decision, its rules, their constraints, and the duties.
impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.sentence)?;
        for rule in &self.rules {
            write!(f, "\n  {}: {}", rule.pointer, rule.sentence)?;
            tree(f, &rule.constraints, 2)?;
        }
        for duty in &self.duties {
            write!(f, "\n  {}: {}", duty.pointer, duty.sentence)?;
        }
        Ok(())
    }
}

fn tree(f: &mut fmt::Formatter<'_>, parts: &[ConstraintVerdict], depth: usize) -> fmt::Result {
    for part in parts {
        write!(f, "\n{}{}: {}", "  ".repeat(depth), part.verdict, part.sentence)?;
        tree(f, &part.parts, depth + 1)?;
    }
    Ok(())
}
