//! The tables of bad and good policies.

use std::collections::BTreeMap;

use karvan_dataspace::Problem;
use karvan_dataspace::policy::terms::{ACTIONS, OPERANDS};
use karvan_dataspace::policy::{
    Action, Consent, Context, Operator, Origin, Profile, RuleAction, Rules, SharingLevel, Tlp,
    Used, Wording,
};
use karvan_types::{MemberId, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::shape;

fn profiles() -> Vec<Profile> {
    vec![Profile {
        name: "urn:example:health".to_owned(),
        operands: vec!["urn:example:health:speciality".to_owned()],
        actions: vec!["urn:example:health:treat".to_owned()],
    }]
}

fn origin(name: Option<&str>) -> Origin {
    match name {
        None => Origin::Own,
        Some("peer") => Origin::Peer,
        Some(other) => panic!("no origin is called {other}"),
    }
}

fn understand(policy: &Value, origin: Origin) -> Result<Rules, Vec<Problem>> {
    let wording = Wording::from_value(policy).map_err(|problem| vec![problem])?;
    wording.understand(origin, &profiles())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Bad {
    name: String,
    origin: Option<String>,
    policy: Value,
    problems: Vec<Expected>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    pointer: String,
    rule: String,
    remedy: String,
}

#[test]
fn bad_policies_are_refused_with_every_reason() {
    let cases: Vec<Bad> =
        serde_json::from_str(include_str!("../../testdata/bad_policies.json")).expect("cases");
    assert!(cases.len() >= 60);
    for case in cases {
        let problems = understand(&case.policy, origin(case.origin.as_deref()));
        let problems = problems.expect_err(&case.name);
        let found: Vec<_> = problems.iter().map(|p| (&*p.pointer, &*p.rule)).collect();
        let expected: Vec<_> = case.problems.iter().map(|p| (&*p.pointer, &*p.rule)).collect();
        assert_eq!(found, expected, "{}", case.name);
        for (problem, expected) in problems.iter().zip(&case.problems) {
            let holds = problem.remedy.contains(&expected.remedy);
            assert!(holds, "{}: {}", case.name, problem.remedy);
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Good {
    name: String,
    origin: Option<String>,
    policy: Value,
    decisions: Vec<Decided>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Decided {
    context: Facts,
    allowed: bool,
    explanation: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Facts {
    action: Option<String>,
    now: Option<Timestamp>,
    caller: Option<MemberId>,
    recipient: Option<MemberId>,
    purpose: Option<String>,
    legal_basis: Option<String>,
    sharing_level: Option<String>,
    consent: Option<String>,
    tlp: Option<String>,
    #[serde(default)]
    used: BTreeMap<String, u64>,
    #[serde(default)]
    attributes: BTreeMap<String, Vec<String>>,
}

impl Facts {
    fn context(self) -> Context {
        let used = |name: &str| self.used.get(name).copied();
        let action = self.action.map_or(RuleAction::Known(Action::Use), |name| {
            Action::from_name(&name).map_or(RuleAction::Profile(name), RuleAction::Known)
        });
        Context {
            action,
            caller: self.caller,
            recipient: self.recipient,
            purpose: self.purpose,
            legal_basis: self.legal_basis,
            sharing_level: self.sharing_level.map(|n| SharingLevel::from_name(&n).expect("level")),
            consent: self.consent.map(|name| Consent::from_name(&name).expect("a consent")),
            tlp: self.tlp.map(|name| Tlp::from_name(&name).expect("a label")),
            used: Used {
                second: used("second"),
                minute: used("minute"),
                hour: used("hour"),
                day: used("day"),
                total: used("total"),
            },
            attributes: self.attributes,
            ..Context::at(self.now.unwrap_or_default())
        }
    }
}

#[test]
fn good_policies_decide_and_explain() {
    let cases: Vec<Good> =
        serde_json::from_str(include_str!("../../testdata/good_policies.json")).expect("cases");
    assert!(cases.len() >= 18);
    for case in cases {
        let rules = understand(&case.policy, origin(case.origin.as_deref())).expect(&case.name);
        let published = rules.wording();
        shape::check(&Value::Object(published.members().clone()));
        assert_eq!(published.understand(Origin::Own, &profiles()).as_ref(), Ok(&rules));
        for (index, decided) in case.decisions.into_iter().enumerate() {
            let decision = rules.decide(&decided.context.context());
            let text = decision.to_string();
            assert_eq!(decision.allowed, decided.allowed, "{} {index}: {text}", case.name);
            if let Some(explanation) = decided.explanation {
                let lines: Vec<_> = text.lines().collect();
                assert_eq!(lines, explanation, "{} {index}", case.name);
            }
        }
    }
}

#[test]
fn a_decision_is_told_as_json_too() {
    let quota = json!({"leftOperand": "urn:karvan:policy:v1:quota", "operator": "lteq",
        "rightOperand": "3/day"});
    let policy = json!({"permission": [{"action": "use", "constraint": [quota]}]});
    let rules = understand(&policy, Origin::Own).expect("understood");
    let mut context = Context::at(Timestamp::default());
    context.used.day = Some(3);
    let told = serde_json::to_value(rules.decide(&context)).expect("JSON");
    assert_eq!(
        told.pointer("/rules/0/constraints/0"),
        Some(&json!({
            "pointer": "/permission/0/constraint/0",
            "name": "urn:karvan:policy:v1:quota",
            "verdict": "fails",
            "expected": "at most 3",
            "actual": "4",
            "sentence": "the number of uses per day, this one included, must be at most 3; it is 4"
        }))
    );
    assert_eq!(told.pointer("/allowed"), Some(&json!(false)));
}

#[test]
fn the_tables_of_terms_are_true() {
    for term in OPERANDS {
        assert_eq!(term.operand.term().name, term.name);
        for (name, operator) in Operator::NAMES {
            let policy = json!({"permission": [{"action": "use", "constraint": [{
                "leftOperand": term.name, "operator": name, "rightOperand": term.example}]}]});
            let fits = understand(&policy, Origin::Own).is_ok();
            assert_eq!(fits, term.operators.contains(operator), "{} {name}", term.name);
        }
        assert!(term.operators.iter().all(|operator| !operator.name().is_empty()));
    }
    for term in ACTIONS {
        assert_eq!(Action::from_name(term.name), Some(term.action));
        assert_eq!(term.action.term().name, term.name);
        let rule = json!({"action": term.name});
        let allowed = understand(&json!({"permission": [rule]}), Origin::Own).is_ok();
        let owed = json!({"permission": [{"action": "use"}], "obligation": [rule]});
        let owed = understand(&owed, Origin::Own).is_ok();
        assert_eq!((allowed, owed), (!term.action.is_duty(), term.action.is_duty()));
    }
}

#[test]
fn wordings_are_compared_by_what_they_say() {
    let check = |one: Value, other: Value, expected: bool| {
        let read = |value: &Value| Wording::from_value(value).expect("a wording");
        assert_eq!(read(&one).same_as(&read(&other)), expected, "{one} {other}");
        assert_eq!(read(&other).same_as(&read(&one)), expected, "{other} {one}");
    };
    let plain = json!({"permission": [{"action": "use"}]});
    check(plain.clone(), plain.clone(), true);
    check(plain.clone(), json!({"@id": "x", "permission": {"action": "use"}}), true);
    check(plain.clone(), json!({"odrl:permission": [{"action": "use"}], "obligation": []}), true);
    check(plain.clone(), json!({"permission": [{"action": "use", "constraint": []}]}), true);
    check(plain.clone(), json!({"permission": [{"action": "use"}, {"action": "use"}]}), false);
    check(plain.clone(), json!({"permission": [{"action": "odrl:derive"}]}), false);
    check(plain.clone(), json!({"permission": [{"action": "use"}], "profile": "urn:x"}), false);
    check(plain, json!({"permission": [{"action": "use", "duty": [{}]}]}), false);
    let until = |left: &str, operator: Value, right: Value| {
        let constraint = json!({"leftOperand": left, "operator": operator, "rightOperand": right});
        json!({"permission": [{"action": "use", "constraint": [constraint]}]})
    };
    let ours =
        until("http://www.w3.org/ns/odrl/2/dateTime", json!("lt"), json!("2027-01-01T00:00:00Z"));
    let respelled =
        |instant: &str| until("odrl:dateTime", json!({"@id": "odrl:lt"}), json!([instant]));
    check(ours.clone(), respelled("2027-01-01T00:00:00Z"), true);
    check(ours, respelled("2027-01-01T00:00:01Z"), false);
    // What nobody understands is compared by its structure only.
    check(until("urn:x", json!("eq"), json!("a")), until("urn:x", json!("eq"), json!(["a"])), true);
    check(
        until("urn:x", json!("eq"), json!("a")),
        until("urn:x", json!("odrl:eq"), json!("a")),
        false,
    );
    let two = |a: &str, b: &str| json!({"permission": [{"action": a}, {"action": b}]});
    check(two("a", "b"), two("b", "a"), false);
}

#[test]
fn bounds_of_policies() {
    let check = |policy: Value, pointer: &str, rule: &str| {
        let problems = understand(&policy, Origin::Own).expect_err(rule);
        let found: Vec<_> = problems.iter().map(|p| (&*p.pointer, &*p.rule)).collect();
        assert_eq!(found, [(pointer, rule)]);
    };
    let many = |entry: Value, count: usize| Value::Array(vec![entry; count]);
    let count = json!({"leftOperand": "odrl:count", "operator": "lteq", "rightOperand": "5"});
    check(
        json!({"permission": many(json!({"action": "use"}), 65)}),
        "/permission",
        "has 65 entries, at most 64 are allowed",
    );
    check(
        json!({"permission": [{"action": "use", "constraint": many(count.clone(), 257)}]}),
        "/permission/0/constraint",
        "has 257 entries, at most 256 are allowed",
    );
    let rule = json!({"action": "use", "constraint": many(count, 100)});
    check(
        json!({"permission": [rule, rule, rule, rule]}),
        "/permission/2/constraint/56",
        "is one constraint more than the 256 of a policy",
    );
    let duty = json!({"action": "odrl:delete"});
    check(
        json!({"permission": [{"action": "use", "duty": many(duty, 33)}]}),
        "/permission/0/duty",
        "has 33 entries, at most 32 are allowed",
    );
    check(
        json!({"permission": [{"action": "use", "constraint": [{
            "leftOperand": "urn:karvan:policy:v1:purpose", "operator": "isAnyOf",
            "rightOperand": many(json!("a"), 257)}]}]}),
        "/permission/0/constraint/0/rightOperand",
        "has 257 entries, at most 256 are allowed",
    );
    // However many there are, only some are told.
    let bad = json!({"action": "use", "constraint": many(json!({}), 64)});
    let problems = understand(&json!({"permission": [bad, bad]}), Origin::Own).expect_err("bad");
    assert_eq!(problems.len(), 100);
}
