//! Policies as they travel: offers and agreements (ODRL 2.2, as DSP 2025-1 narrows it).
//!
//! Peers compare policies by structure. So what a peer wrote is kept as it came, its [`Wording`],
//! and goes out again unchanged when an offer becomes an agreement. What the wording *means* is
//! worked out separately, and may fail without harm: a catalog with one strange policy is still a
//! catalog.
//!
//! Invariant: nothing here re-orders, drops or improves a member of a wording.
//!
//! [`Wording::understand`] gives the meaning, [`Rules`]; [`Rules::decide`] says whether an act is
//! allowed, and why; [`terms`] lists every term that is understood.
//!
//! Not here: who may make an agreement, and where it is stored.

pub mod decide;
mod explain;
mod parse;
pub mod rules;
pub mod terms;
pub mod value;

use karvan_types::Timestamp;
use serde_json::{Map, Value};

use crate::error::Problem;
use crate::message::Out;
use crate::names::term;
use crate::read::{Node, Object};

pub use decide::{Context, Decision, Used, Verdict};
pub use parse::{CONSTRAINT_DEPTH_MAX, CONSTRAINTS_MAX, DUTIES_MAX, Origin, Profile, VALUES_MAX};
pub use rules::{Atomic, Constraint, Left, Logic, Rule, RuleAction, Rules};
pub use terms::{Action, Operand, Operator};
pub use value::{Consent, Literal, Period, Quota, Recipient, SharingLevel, Tlp};

/// Most rules of one kind in a policy.
pub const RULES_MAX: usize = 64;

/// Members that belong to an offer or agreement itself, not to its wording.
const ENVELOPE: &[&str] =
    &["@context", "@id", "@type", "assignee", "assigner", "target", "timestamp"];
/// Members by which two wordings are compared.
const COMPARED: &[&str] = &["permission", "prohibition", "obligation", "profile"];

/// The rules of a policy as they were written: `permission`, `prohibition`, `obligation`,
/// `profile` and whatever else stood beside them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wording(Map<String, Value>);

impl Wording {
    /// Reads the wording of a policy; members of the envelope are passed over.
    pub fn from_value(value: &Value) -> Result<Self, Problem> {
        Self::read(&Node::root(value).object()?)
    }

    pub(crate) fn read(object: &Object<'_>) -> Result<Self, Problem> {
        let mut rules = 0;
        for name in ["permission", "prohibition", "obligation"] {
            for node in object.list(name, RULES_MAX)? {
                node.object()?;
                rules += usize::from(name != "obligation");
            }
        }
        if rules == 0 {
            let remedy = "add a permission, such as {\"action\": \"use\"}";
            return Err(object.problem("needs a permission or a prohibition", remedy));
        }
        let kept = |(name, _): &(&String, &Value)| !ENVELOPE.contains(&term(name));
        let members = object.members.iter().filter(kept);
        Ok(Self(members.map(|(name, value)| (name.clone(), value.clone())).collect()))
    }

    /// Works out what the rules mean. Everything that is not understood is told at once, with
    /// pointers from the root of the policy.
    ///
    /// A policy of our own is refused for any unknown member; in one of a peer unknown members are
    /// passed over, unless ODRL gives them a meaning that would be lost.
    pub fn understand(&self, origin: Origin, profiles: &[Profile]) -> Result<Rules, Vec<Problem>> {
        parse::understand(&self.0, origin, profiles)
    }

    /// Makes a wording of members that are known to be right.
    pub(crate) fn from_members(members: Map<String, Value>) -> Self {
        Self(members)
    }

    /// Returns the members as they were written.
    pub fn members(&self) -> &Map<String, Value> {
        &self.0
    }

    /// Returns whether both say the same in the same order: by their structure, where a list of one
    /// and its only entry are the same, and so are an empty list and none; or else by their
    /// meaning, because peers that process JSON-LD spell terms and values anew.
    pub fn same_as(&self, other: &Self) -> bool {
        let member = |wording: &Self, name: &str| {
            let mut found = wording.0.iter().filter(|(key, _)| term(key) == name);
            found.next().map_or(Value::Array(Vec::new()), |(_, value)| value.clone())
        };
        let meaning = |wording: &Self| wording.understand(Origin::Peer, &[]).ok();
        COMPARED.iter().all(|name| same(&member(self, name), &member(other, name)))
            || meaning(self).is_some_and(|rules| meaning(other) == Some(rules))
    }
}

fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Array(list), single) | (single, Value::Array(list)) => {
            matches!(list.as_slice(), [only] if same(only, single))
        }
        (Value::Object(a), Value::Object(b)) => {
            let says = |value: &Value| !matches!(value, Value::Array(list) if list.is_empty());
            let count = |members: &Map<_, _>| members.values().filter(|value| says(value)).count();
            let stated = |(name, value): (&String, &Value)| {
                !says(value) || b.get(name).is_some_and(|other| same(value, other))
            };
            count(a) == count(b) && a.iter().all(stated)
        }
        _ => one == other,
    }
}

/// An offer, in a catalog (without target) or in a message (with target).
#[derive(Clone, Debug, PartialEq)]
pub struct Offer {
    /// `@id`; echoed untouched, some peers pack meaning into it.
    pub id: String,
    /// The dataset; absent in a catalog, where the dataset around the offer is the target.
    pub target: Option<String>,
    /// The participant that gives the right.
    pub assigner: Option<String>,
    /// The participant that gets the right.
    pub assignee: Option<String>,
    /// The rules.
    pub wording: Wording,
}

impl Offer {
    /// Reads an offer of a catalog.
    pub(crate) fn read(node: &Node<'_>) -> Result<Self, Problem> {
        let object = node.object()?;
        object.expect_type("Offer")?;
        Ok(Self {
            id: object.text("@id")?,
            target: object.optional_text("target")?,
            assigner: object.optional_text("assigner")?,
            assignee: object.optional_text("assignee")?,
            wording: Wording::read(&object)?,
        })
    }

    /// Reads an offer of a message.
    pub(crate) fn read_with_target(node: &Node<'_>) -> Result<Self, Problem> {
        node.object()?.required("target")?;
        Self::read(node)
    }

    /// Returns the compact form.
    pub fn to_value(&self) -> Value {
        Out::with(self.wording.0.clone())
            .text("@type", "Offer")
            .text("@id", &self.id)
            .optional("target", self.target.as_deref())
            .optional("assigner", self.assigner.as_deref())
            .optional("assignee", self.assignee.as_deref())
            .done()
    }
}

/// An agreement: an offer that both sides took.
#[derive(Clone, Debug, PartialEq)]
pub struct Agreement {
    /// `@id`.
    pub id: String,
    /// The dataset.
    pub target: String,
    /// The participant that gives the right: the provider.
    pub assigner: String,
    /// The participant that gets the right: the consumer.
    pub assignee: String,
    /// When it was made; always written by us, though peers may leave it out.
    pub timestamp: Option<Timestamp>,
    /// The rules: those of the offer, word for word.
    pub wording: Wording,
}

impl Agreement {
    /// Reads an agreement that stands by itself, such as one from storage.
    pub fn from_value(value: &Value) -> Result<Self, Problem> {
        Self::read(&Node::root(value))
    }

    pub(crate) fn read(node: &Node<'_>) -> Result<Self, Problem> {
        let object = node.object()?;
        object.expect_type("Agreement")?;
        Ok(Self {
            id: object.text("@id")?,
            target: object.text("target")?,
            assigner: object.text("assigner")?,
            assignee: object.text("assignee")?,
            timestamp: match object.find("timestamp")? {
                Some(node) => Some(instant(&node)?),
                None => None,
            },
            wording: Wording::read(&object)?,
        })
    }

    /// Returns the compact form.
    pub fn to_value(&self) -> Value {
        let timestamp = self.timestamp.map(|timestamp| timestamp.to_string());
        Out::with(self.wording.0.clone())
            .text("@type", "Agreement")
            .text("@id", &self.id)
            .text("target", &self.target)
            .text("assigner", &self.assigner)
            .text("assignee", &self.assignee)
            .optional("timestamp", timestamp.as_deref())
            .done()
    }
}

fn instant(node: &Node<'_>) -> Result<Timestamp, Problem> {
    const INSTANT_BYTES_MAX: usize = 64;
    node.text(INSTANT_BYTES_MAX)?.parse().map_err(|_| {
        node.problem(
            "must be an instant with offset (RFC 3339)",
            "write it such as 2026-11-21T08:30:00Z",
        )
    })
}
