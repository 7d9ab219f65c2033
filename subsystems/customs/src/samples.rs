//! Sample consignments: data to play through two customs services, with the expected outcome.
//!
//! Each consignment is a list of operations by the issuer, the exporting and the importing customs
//! service. After each step everything that was sent is delivered before the next one begins. A
//! step expects either an output that contains what it names, or a refusal with a code. All
//! parties are fictitious and say so.

mod generate;

pub use generate::{chosen, each, generate};

use karvan_types::{Instance, Timestamp};
use serde::Deserialize;
use serde_json::Value;

/// Who acts.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub enum Actor {
    /// The issuer of certificates of the exporting nation.
    Issuer,
    /// The customs service of the exporting nation.
    ExportCustoms,
    /// The customs service of the importing nation.
    ImportCustoms,
    /// Another officer of that customs service.
    SecondOfficer,
}

/// One operation and its expected outcome.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Who acts.
    pub actor: Actor,
    /// Which operation of the customs sub-system.
    pub operation: String,
    /// Its input.
    pub input: Value,
    /// What the output contains, when the operation succeeds.
    #[serde(default)]
    pub expect: Option<Value>,
    /// Code of the refusal, when it does not.
    #[serde(default)]
    pub refusal: Option<String>,
}

/// A consignment from certificate to decision.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Consignment {
    /// Short name.
    pub id: String,
    /// Name for people.
    pub title: String,
    /// What happens, in one or two sentences.
    pub about: String,
    /// Whether the parties are invented; always true.
    pub fictitious: bool,
    /// The exporting nation.
    pub from: Instance,
    /// The importing nation.
    pub to: Instance,
    /// The earliest instant at which the steps can be played.
    pub today: Timestamp,
    /// The steps, in order.
    pub steps: Vec<Step>,
}

impl Step {
    /// Compares an outcome with the expected one; `found` is the output or the refusal's code.
    pub fn check(&self, found: Result<&Value, &str>) -> Result<(), String> {
        match (&self.refusal, &self.expect, found) {
            (Some(code), _, Err(found)) if code == found => Ok(()),
            (Some(code), _, Ok(_)) => Err(format!("expected the refusal {code}, but it was done")),
            (Some(code), _, Err(found)) => Err(format!("expected the refusal {code}, got {found}")),
            (None, _, Err(found)) => Err(format!("refused with {found}")),
            (None, Some(expected), Ok(found)) => contains(expected, found),
            (None, None, Ok(_)) => Ok(()),
        }
    }
}

/// Checks that `found` contains `expected`: all its members, and lists of the same length.
///
/// An expected object of one member may ask for less: `{"$has": "text"}` of a text that it has this
/// part, `{"$some": [...]}` of a list that each of these is contained in one of its elements, and
/// `{"$none": [...]}` that none of these is.
pub fn contains(expected: &Value, found: &Value) -> Result<(), String> {
    compare(expected, found, "")
}

fn compare(expected: &Value, found: &Value, path: &str) -> Result<(), String> {
    if let Some(verdict) = asks_for_less(expected, found) {
        let wrong = || format!("at {path}: expected {expected}, found {found}");
        return if verdict { Ok(()) } else { Err(wrong()) };
    }
    match (expected, found) {
        (Value::Object(expected), Value::Object(found)) => {
            expected.iter().try_for_each(|(name, value)| {
                let found = found.get(name).unwrap_or(&Value::Null);
                compare(value, found, &format!("{path}/{name}"))
            })
        }
        (Value::Array(expected), Value::Array(found)) if expected.len() == found.len() => {
            let pairs = expected.iter().zip(found).enumerate();
            pairs.into_iter().try_for_each(|(index, (expected, found))| {
                compare(expected, found, &format!("{path}/{index}"))
            })
        }
        _ if expected == found => Ok(()),
        _ => Err(format!("at {path}: expected {expected}, found {found}")),
    }
}

/// Answers an expectation that asks for less; `None` when this one does not.
fn asks_for_less(expected: &Value, found: &Value) -> Option<bool> {
    let members = expected.as_object().filter(|members| members.len() == 1)?;
    let (name, wanted) = members.iter().next()?;
    let is_in = |wanted: &Value| {
        found.as_array().is_some_and(|all| all.iter().any(|one| compare(wanted, one, "").is_ok()))
    };
    match (name.as_str(), wanted) {
        ("$has", Value::String(part)) => Some(found.as_str().is_some_and(|t| t.contains(part))),
        ("$some", Value::Array(wanted)) => Some(wanted.iter().all(is_in)),
        ("$none", Value::Array(wanted)) => Some(found.is_array() && !wanted.iter().any(is_in)),
        _ => None,
    }
}

/// Returns the consignments that are part of the program.
pub fn shipped() -> Vec<Consignment> {
    SHIPPED.iter().filter_map(|text| serde_json::from_str(text).ok()).collect()
}

/// Returns the exchange rates of a nation in the story of the samples, as a file to import.
pub fn rates(nation: Instance) -> Option<&'static str> {
    match nation.as_str() {
        "AZ" => Some(include_str!("../samples/rates/azerbaijan.toml")),
        "PK" => Some(include_str!("../samples/rates/pakistan.toml")),
        _ => None,
    }
}

/// The files, in the order in which they are played.
const SHIPPED: [&str; 27] = [
    include_str!("../samples/01-clean-grant.json"),
    include_str!("../samples/02-partial-grant.json"),
    include_str!("../samples/03-hs-mismatch.json"),
    include_str!("../samples/04-expired-certificate.json"),
    include_str!("../samples/05-unknown-certificate.json"),
    include_str!("../samples/06-under-invoicing.json"),
    include_str!("../samples/07-reuse-beyond-quantity.json"),
    include_str!("../samples/08-amendment-before-arrival.json"),
    include_str!("../samples/09-duplicate-message.json"),
    include_str!("../samples/10-goods-not-covered.json"),
    include_str!("../samples/11-lower-general-rate.json"),
    include_str!("../samples/12-copper-wire-trap.json"),
    include_str!("../samples/13-third-country-origin.json"),
    include_str!("../samples/14-override-indirect-route.json"),
    include_str!("../samples/15-cancelled-certificate.json"),
    include_str!("../samples/16-replaced-certificate.json"),
    include_str!("../samples/17-amended-after-decision.json"),
    include_str!("../samples/18-number-and-date.json"),
    include_str!("../samples/19-unit-not-convertible.json"),
    include_str!("../samples/20-currency-and-invoice.json"),
    include_str!("../samples/21-export-missing.json"),
    include_str!("../samples/22-before-go-live.json"),
    include_str!("../samples/23-rice-to-azerbaijan.json"),
    include_str!("../samples/24-transport-followed.json"),
    include_str!("../samples/25-out-of-order.json"),
    include_str!("../samples/26-provisional-then-confirmed.json"),
    include_str!("../samples/27-verification-refuted.json"),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::*;

    #[test]
    fn every_file_is_read_and_marked_fictitious() {
        let all = shipped();
        assert_eq!(all.len(), SHIPPED.len());
        let ids: BTreeSet<_> = all.iter().map(|consignment| &consignment.id).collect();
        assert_eq!(ids.len(), all.len());
        for (consignment, text) in all.iter().zip(SHIPPED) {
            assert!(consignment.fictitious && text.contains("(fictitious)"), "{}", consignment.id);
            for step in &consignment.steps {
                assert!(step.expect.is_some() != step.refusal.is_some(), "{}", consignment.id);
            }
        }
    }

    #[test]
    fn a_difference_is_found_and_named() {
        let step = |expect, refusal: Option<&str>| Step {
            actor: Actor::Issuer,
            operation: "show".to_owned(),
            input: Value::Null,
            expect,
            refusal: refusal.map(str::to_owned),
        };
        let found = json!({"a": [{"b": 1, "c": 2}], "d": null, "t": "hello"});
        for (expected, trouble) in [
            (json!({}), None),
            (json!({"a": [{"b": 1}]}), None),
            (json!({"a": [{"b": 2}]}), Some("/a/0/b")),
            (json!({"a": []}), Some("/a")),
            (json!({"e": 1}), Some("/e")),
            (json!({"a": {"$some": [{"b": 1}]}}), None),
            (json!({"a": {"$some": [{"b": 1}, {"b": 2}]}}), Some("/a")),
            (json!({"a": {"$none": [{"b": 2}]}}), None),
            (json!({"a": {"$none": [{"c": 2}]}}), Some("/a")),
            (json!({"d": {"$none": [1]}}), Some("/d")),
            (json!({"t": {"$has": "ell"}}), None),
            (json!({"t": {"$has": "elf"}}), Some("/t")),
            (json!({"d": {"$has": ""}}), Some("/d")),
        ] {
            let result = step(Some(expected), None).check(Ok(&found));
            match (result, trouble) {
                (Ok(()), None) => {}
                (Err(text), Some(path)) => assert!(text.contains(path), "{text}"),
                (result, trouble) => panic!("{result:?} {trouble:?}"),
            }
        }
        assert!(step(None, Some("x")).check(Ok(&found)).is_err());
        assert!(step(None, Some("x")).check(Err("y")).is_err());
        assert_eq!(step(None, Some("x")).check(Err("x")), Ok(()));
    }
}
