//! What a policy means: its rules in types, and the one compact form in which we write them.

use std::fmt;

use serde_json::{Map, Value};

use super::Wording;
use super::terms::{Action, Operand, Operator};
use super::value::Literal;
use crate::message::Out;

/// The rules of a policy that is understood in full.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Rules {
    /// The profiles that it names.
    pub profiles: Vec<String>,
    /// What is allowed.
    pub permissions: Vec<Rule>,
    /// What is not, whatever is allowed.
    pub prohibitions: Vec<Rule>,
    /// What the holder must do.
    pub obligations: Vec<Rule>,
}

/// A permission, prohibition or duty.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Rule {
    /// What it is about.
    pub action: RuleAction,
    /// All of them must hold.
    pub constraints: Vec<Constraint>,
    /// What the holder must do in return; only permissions have any.
    pub duties: Vec<Rule>,
}

/// An action that we know, or one that a profile defines.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RuleAction {
    /// An action of [`ACTIONS`](super::terms::ACTIONS).
    Known(Action),
    /// The IRI of an action of a profile.
    Profile(String),
}

impl RuleAction {
    /// Returns the name on the wire.
    pub fn name(&self) -> &str {
        match self {
            Self::Known(action) => action.term().name,
            Self::Profile(name) => name,
        }
    }

    /// Returns whether a rule about this is about the other too: all else is a kind of use.
    pub fn covers(&self, other: &Self) -> bool {
        *self == Self::Known(Action::Use) || self == other
    }
}

impl fmt::Display for RuleAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A condition.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Constraint {
    /// One comparison.
    Atomic(Atomic),
    /// Several conditions as one.
    Logical {
        /// How they make one.
        logic: Logic,
        /// The conditions, at least one.
        parts: Vec<Constraint>,
    },
}

/// A comparison.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Atomic {
    /// What is compared.
    pub left: Left,
    /// How.
    pub operator: Operator,
    /// With what: one value, or several when the operator takes a list.
    pub right: Vec<Literal>,
}

/// A left operand that we know, or one that a profile defines.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Left {
    /// An operand of [`OPERANDS`](super::terms::OPERANDS).
    Known(Operand),
    /// The IRI of an operand of a profile.
    Profile(String),
}

impl Left {
    /// Returns the name on the wire.
    pub fn name(&self) -> &str {
        match self {
            Self::Known(operand) => operand.term().name,
            Self::Profile(name) => name,
        }
    }
}

/// How conditions make one (ODRL Information Model, section 2.5.2).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Logic {
    /// All of them.
    And,
    /// All of them, in this order. The order of what is known at one instant cannot be told, so
    /// this is [`And`](Self::And) here.
    AndSequence,
    /// At least one.
    Or,
    /// Exactly one.
    Xone,
}

impl Logic {
    /// Every kind with its name on the wire.
    pub const NAMES: &[(&'static str, Self)] = &[
        ("and", Self::And),
        ("andSequence", Self::AndSequence),
        ("or", Self::Or),
        ("xone", Self::Xone),
    ];

    /// Returns the name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::And => "and",
            Self::AndSequence => "andSequence",
            Self::Or => "or",
            Self::Xone => "xone",
        }
    }
}

impl Rules {
    /// Returns the wording in which we publish these rules: terms as absolute IRIs, lists as
    /// arrays, values as texts.
    pub fn wording(&self) -> Wording {
        let rules = |rules: &[Rule]| rules.iter().map(Rule::to_value).collect();
        let profiles = self.profiles.iter().map(|profile| profile.clone().into()).collect();
        let out = Out::with(Map::new())
            .list("profile", profiles)
            .list("permission", rules(&self.permissions))
            .list("prohibition", rules(&self.prohibitions))
            .list("obligation", rules(&self.obligations));
        Wording::from_members(out.members())
    }
}

impl Rule {
    fn to_value(&self) -> Value {
        Out::default()
            .text("action", self.action.name())
            .list("constraint", self.constraints.iter().map(Constraint::to_value).collect())
            .list("duty", self.duties.iter().map(Self::to_value).collect())
            .done()
    }
}

impl Constraint {
    fn to_value(&self) -> Value {
        match self {
            Self::Atomic(atomic) => atomic.to_value(),
            Self::Logical { logic, parts } => {
                Out::default().list(logic.name(), parts.iter().map(Self::to_value).collect()).done()
            }
        }
    }
}

impl Atomic {
    fn to_value(&self) -> Value {
        // Only texts: a JSON number or boolean breaks the protocol's schemas.
        let text = |literal: &Literal| Value::String(literal.to_string());
        let right = match self.right.as_slice() {
            [only] if !self.operator.takes_list() => text(only),
            several => several.iter().map(text).collect(),
        };
        Out::default()
            .text("leftOperand", self.left.name())
            .text("operator", self.operator.name())
            .value("rightOperand", right)
            .done()
    }
}
