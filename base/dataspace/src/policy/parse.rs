//! Works out what a wording means, and collects every problem on the way.
//!
//! Invariant: a policy is understood in full or not at all. What ODRL would give a meaning that is
//! not supported here is a problem, never passed over.

use karvan_types::Timestamp;
use serde_json::{Map, Value};

use super::RULES_MAX;
use super::rules::{Atomic, Constraint, Left, Logic, Rule, RuleAction, Rules};
use super::terms::{ACTIONS, Action, NAMED, OPERANDS, Operand, Operator};
use super::value::{Literal, VALUE_BYTES_MAX, free_text};
use crate::error::{Problem, shown};
use crate::names::{ODRL, POLICY, is_absolute, term};
use crate::read::{Node, Object, TEXT_BYTES_MAX};

/// Most constraints in a policy, those inside of others included.
pub const CONSTRAINTS_MAX: usize = 256;
/// Deepest nesting of constraints.
pub const CONSTRAINT_DEPTH_MAX: usize = 6;
/// Most values of one right operand.
pub const VALUES_MAX: usize = 256;
/// Most duties of one permission.
pub const DUTIES_MAX: usize = 32;
/// Most profiles that a policy names.
const PROFILES_MAX: usize = 16;
/// Most problems that are told at once.
const PROBLEMS_MAX: usize = 100;

/// Whose policy it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Origin {
    /// Written here: a member that is not known is a slip, and refused.
    Own,
    /// Written by a peer: unknown members are passed over.
    Peer,
}

/// Terms that a policy may use beside ours when it names the profile (ODRL Information Model,
/// section 4). They are compared as texts with the attributes of the context.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Profile {
    /// The IRI by which policies name it.
    pub name: String,
    /// The IRIs of its left operands; all take eq, neq, isAnyOf and isNoneOf.
    pub operands: Vec<String>,
    /// The IRIs of its actions; a rule of any kind may be about them.
    pub actions: Vec<String>,
}

/// Members that ODRL gives a meaning which is not supported.
const POLICY_UNSUPPORTED: &[&str] = &["inheritFrom", "conflict"];
const RULE_UNSUPPORTED: &[&str] = &[
    "target",
    "assigner",
    "assignee",
    "refinement",
    "relation",
    "function",
    "failure",
    "remedy",
    "consequence",
    "duty",
];
const CONSTRAINT_UNSUPPORTED: &[&str] = &["rightOperandReference", "unit", "status", "refinement"];

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Permission,
    Prohibition,
    Duty,
}

struct Parser<'p> {
    origin: Origin,
    profiles: Vec<&'p Profile>,
    constraints: usize,
    problems: Vec<Problem>,
}

pub(super) fn understand(
    members: &Map<String, Value>,
    origin: Origin,
    profiles: &[Profile],
) -> Result<Rules, Vec<Problem>> {
    let mut parser = Parser { origin, profiles: Vec::new(), constraints: 0, problems: Vec::new() };
    let policy = Object { members, at: String::new() };
    let names = parser.profiles(&policy, profiles);
    let known = ["permission", "prohibition", "obligation", "profile"];
    parser.members(&policy, "a policy", &known, POLICY_UNSUPPORTED);
    let rules = Rules {
        profiles: names,
        permissions: parser.rules(&policy, "permission", RULES_MAX, Kind::Permission),
        prohibitions: parser.rules(&policy, "prohibition", RULES_MAX, Kind::Prohibition),
        obligations: parser.rules(&policy, "obligation", RULES_MAX, Kind::Duty),
    };
    if parser.problems.is_empty() { Ok(rules) } else { Err(parser.problems) }
}

impl<'p> Parser<'p> {
    fn report(&mut self, problem: Problem) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(problem);
        }
    }

    /// Returns the value, or notes why there is none.
    fn take<T>(&mut self, result: Result<T, Problem>) -> Option<T> {
        result.map_err(|problem| self.report(problem)).ok()
    }

    /// Checks the names of members; those beginning with `@` are JSON-LD's.
    fn members(&mut self, object: &Object<'_>, what: &str, known: &[&str], unsupported: &[&str]) {
        for name in object.members.keys() {
            let compact = term(name);
            if known.contains(&compact) || name.starts_with('@') {
                continue;
            }
            let pointer = format!("{}/{}", object.at, crate::read::escaped(name));
            if unsupported.contains(&compact) {
                let rule = format!("is not supported in {what}");
                let remedy = "leave it out; what it narrows must be said by a constraint".into();
                self.report(Problem { pointer, rule, remedy });
            } else if self.origin == Origin::Own {
                let rule = format!("is not a member of {what}");
                let remedy = format!("leave it out, or correct it to one of {}", known.join(", "));
                self.report(Problem { pointer, rule, remedy });
            }
        }
    }

    fn profiles(&mut self, policy: &Object<'_>, profiles: &'p [Profile]) -> Vec<String> {
        let nodes = self.take(policy.list("profile", PROFILES_MAX)).unwrap_or_default();
        let mut names = Vec::new();
        for node in nodes {
            let Some(name) = self.take(node.text(TEXT_BYTES_MAX)) else { continue };
            match profiles.iter().find(|profile| profile.name == name) {
                Some(profile) => {
                    self.profiles.push(profile);
                    names.push(name.to_owned());
                }
                None => self.report(node.problem(
                    format!("is `{}`, a profile that is not known here", shown(name)),
                    "leave it out, or have the operator add the profile",
                )),
            }
        }
        names
    }

    fn rules(&mut self, object: &Object<'_>, name: &str, most: usize, kind: Kind) -> Vec<Rule> {
        let nodes = self.take(object.list(name, most)).unwrap_or_default();
        nodes.iter().filter_map(|node| self.rule(node, kind)).collect()
    }

    fn rule(&mut self, node: &Node<'_>, kind: Kind) -> Option<Rule> {
        let object = self.take(node.object())?;
        let (what, known): (_, &[&str]) = match kind {
            Kind::Permission => ("a permission", &["action", "constraint", "duty"]),
            Kind::Prohibition => ("a prohibition", &["action", "constraint"]),
            Kind::Duty => ("a duty", &["action", "constraint"]),
        };
        self.members(&object, what, known, RULE_UNSUPPORTED);
        let action = self.action(&object, what, kind);
        let constraints = self.constraints(&object, "constraint", CONSTRAINT_DEPTH_MAX);
        self.window(&object, &constraints);
        let duties = match kind {
            Kind::Permission => self.rules(&object, "duty", DUTIES_MAX, Kind::Duty),
            _ => Vec::new(),
        };
        Some(Rule { action: action?, constraints, duties })
    }

    fn action(&mut self, rule: &Object<'_>, what: &str, kind: Kind) -> Option<RuleAction> {
        let node = self.take(rule.required("action"))?;
        let text = self.take(node.text(TEXT_BYTES_MAX))?;
        if self.profiles.iter().any(|profile| profile.actions.iter().any(|name| name == text)) {
            return Some(RuleAction::Profile(text.to_owned()));
        }
        let fits = |action: Action| action.is_duty() == (kind == Kind::Duty);
        let found = Action::from_name(text);
        if let Some(action) = found.filter(|action| fits(*action)) {
            return Some(RuleAction::Known(action));
        }
        let rule = match found {
            Some(_) => format!("is `{}`, which is not an action of {what}", shown(text)),
            None => format!("is `{}`, an action that is not known here", shown(text)),
        };
        let fitting = ACTIONS.iter().filter(|known| fits(known.action)).map(|known| known.name);
        let remedy = format!("write one of {}", fitting.collect::<Vec<_>>().join(", "));
        self.report(node.problem(rule, remedy));
        None
    }

    fn constraints(
        &mut self,
        object: &Object<'_>,
        name: &str,
        depth_left: usize,
    ) -> Vec<Constraint> {
        let nodes = self.take(object.list(name, CONSTRAINTS_MAX)).unwrap_or_default();
        nodes.iter().filter_map(|node| self.constraint(node, depth_left)).collect()
    }

    fn constraint(&mut self, node: &Node<'_>, depth_left: usize) -> Option<Constraint> {
        self.constraints += 1;
        if self.constraints == CONSTRAINTS_MAX + 1 {
            let rule = format!("is one constraint more than the {CONSTRAINTS_MAX} of a policy");
            self.report(node.problem(rule, "write fewer, or two policies"));
        }
        if self.constraints > CONSTRAINTS_MAX {
            return None;
        }
        let Some(depth_left) = depth_left.checked_sub(1) else {
            let rule = format!("is nested deeper than {CONSTRAINT_DEPTH_MAX} constraints");
            self.report(node.problem(rule, "write it flatter"));
            return None;
        };
        let object = self.take(node.object())?;
        let logics: Vec<_> = Logic::NAMES
            .iter()
            .filter(|(name, _)| object.members.keys().any(|key| term(key) == *name))
            .collect();
        match logics.as_slice() {
            [] => self.atomic(&object).map(Constraint::Atomic),
            [(name, logic)] => {
                self.members(&object, "a logical constraint", &[name], CONSTRAINT_UNSUPPORTED);
                self.comparison_beside(&object, name);
                let parts = self.constraints(&object, name, depth_left);
                let listed = self.take(object.list(name, CONSTRAINTS_MAX)).unwrap_or_default();
                if listed.is_empty() {
                    let remedy = "add a constraint, or leave the empty one out";
                    self.report(object.problem(format!("has an empty list `{name}`"), remedy));
                }
                Some(Constraint::Logical { logic: *logic, parts })
            }
            _ => {
                let rule = "has more than one of and, andSequence, or, xone";
                self.report(object.problem(rule, "put one of them into a list of the other"));
                None
            }
        }
    }

    /// Reports a comparison beside a list of constraints: which of the two is meant cannot be told.
    fn comparison_beside(&mut self, object: &Object<'_>, name: &str) {
        // For a policy of our own the unknown member is reported already.
        let mut names = object.members.keys().map(|key| term(key));
        if self.origin == Origin::Peer && names.any(|key| key == "leftOperand") {
            let rule = format!("has both `{name}` and `leftOperand`");
            self.report(object.problem(rule, "write two constraints"));
        }
    }

    fn atomic(&mut self, object: &Object<'_>) -> Option<Atomic> {
        let known = ["leftOperand", "operator", "rightOperand"];
        self.members(object, "a constraint", &known, CONSTRAINT_UNSUPPORTED);
        let left = self.take(object.required("leftOperand")).and_then(|node| self.left(&node));
        let node = self.take(object.required("operator"));
        let operator = node.as_ref().and_then(|node| self.take(node.pick(Operator::NAMES)));
        let right = self.take(object.required("rightOperand"));
        let (left, node, operator, right) = (left?, node?, operator?, right?);
        let fitting = match &left {
            Left::Known(operand) => operand.term().operators,
            Left::Profile(_) => NAMED,
        };
        if !fitting.contains(&operator) {
            let rule = format!("is `{}`, which does not fit `{}`", operator.name(), left.name());
            let names: Vec<_> = fitting.iter().map(|operator| operator.name()).collect();
            self.report(node.problem(rule, format!("write one of {}", names.join(", "))));
            return None;
        }
        let right = self.right(&right, &left, operator)?;
        Some(Atomic { left, operator, right })
    }

    fn left(&mut self, node: &Node<'_>) -> Option<Left> {
        let text = self.take(node.text(TEXT_BYTES_MAX))?;
        let is_odrl = |name: &str| name.starts_with(ODRL);
        let known = OPERANDS.iter().find(|known| {
            known.name == text || (is_odrl(known.name) && term(known.name) == term(text))
        });
        if let Some(known) = known {
            return Some(Left::Known(known.operand));
        }
        if self.profiles.iter().any(|profile| profile.operands.iter().any(|name| name == text)) {
            return Some(Left::Profile(text.to_owned()));
        }
        let rule = if is_absolute(text) {
            format!("is `{}`, an operand that is not known here", shown(text))
        } else {
            format!("is `{}`, which is not an absolute IRI", shown(text))
        };
        let meant = format!("{POLICY}{}", term(text));
        let near = OPERANDS.iter().find(|known| known.name == meant);
        let remedy = near.map_or_else(
            || format!("write one of {}", operand_names()),
            |known| format!("write `{}`", known.name),
        );
        self.report(node.problem(rule, remedy));
        None
    }

    fn right(&mut self, node: &Node<'_>, left: &Left, operator: Operator) -> Option<Vec<Literal>> {
        let nodes = self.take(node.list(VALUES_MAX))?;
        if nodes.is_empty() {
            self.report(node.problem("has no value", "write at least one"));
        }
        if nodes.len() > 1 && !operator.takes_list() {
            let rule = format!("has {} values, `{}` takes one", nodes.len(), operator.name());
            self.report(node.problem(rule, "write one value, or use isAnyOf or isNoneOf"));
            return None;
        }
        let values: Vec<_> =
            nodes.iter().filter_map(|node| self.literal(node, left, operator)).collect();
        (!values.is_empty() && values.len() == nodes.len()).then_some(values)
    }

    fn literal(&mut self, node: &Node<'_>, left: &Left, operator: Operator) -> Option<Literal> {
        let text = match scalar(node.value) {
            Some(text) => text,
            None => self.take(node.text(VALUE_BYTES_MAX))?.to_owned(),
        };
        let (read, form, example) = match left {
            Left::Known(operand) => {
                let term = operand.term();
                (Literal::read(*operand, operator, &text), term.value, term.example)
            }
            Left::Profile(_) => (free_text(&text), "a text of 1 to 1024 bytes", "text"),
        };
        if read.is_none() {
            let rule = format!("is `{}`, which is not {form}", shown(&text));
            self.report(node.problem(rule, format!("write it such as `{example}`")));
        }
        read
    }

    /// Reports limits of time that leave none. A peer may write such a rule; it never holds.
    fn window(&mut self, rule: &Object<'_>, constraints: &[Constraint]) {
        if self.origin == Origin::Peer {
            return;
        }
        let (mut from, mut until): (Option<Timestamp>, Option<Timestamp>) = (None, None);
        for constraint in constraints {
            let Constraint::Atomic(Atomic { left, operator, right }) = constraint else { continue };
            let (Left::Known(Operand::DateTime), [Literal::Instant(instant)]) =
                (left, right.as_slice())
            else {
                continue;
            };
            match operator {
                Operator::Gt | Operator::Gteq => from = from.max(Some(*instant)),
                _ => until = Some(until.map_or(*instant, |until| until.min(*instant))),
            }
        }
        if let (Some(from), Some(until)) = (from, until)
            && from >= until
        {
            let rule_text = format!("begins at {from} and ends at {until}, which leaves no time");
            self.report(rule.problem(rule_text, "let the end come after the beginning"));
        }
    }
}

/// Returns a number or truth value as text, wrapped or not: peers write them, though they may not.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Object(members) => match members.get("@value") {
            Some(inner @ (Value::Number(_) | Value::Bool(_))) => Some(inner.to_string()),
            _ => None,
        },
        _ => None,
    }
}

fn operand_names() -> String {
    OPERANDS.iter().map(|known| known.name).collect::<Vec<_>>().join(", ")
}
