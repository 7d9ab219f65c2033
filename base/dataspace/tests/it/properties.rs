//! Nothing panics, and what is written means what it meant.

use karvan_dataspace::catalog::Catalog;
use karvan_dataspace::policy::{
    Action, Atomic, Consent, Constraint, Context, Left, Literal, Logic, Operand, Operator, Origin,
    Period, Quota, Recipient, Rule, RuleAction, Rules, SharingLevel, Tlp, Verdict, Wording,
};
use karvan_dataspace::{Message, from_slice};
use karvan_types::Timestamp;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::messages::{TYPES, reread};
use crate::shape;

/// Texts that are likely to mean something, and some that are not.
fn words() -> impl Strategy<Value = String> {
    let known = [
        "@context",
        "@id",
        "@type",
        "@value",
        "@list",
        "permission",
        "prohibition",
        "obligation",
        "duty",
        "constraint",
        "action",
        "use",
        "odrl:use",
        "leftOperand",
        "operator",
        "rightOperand",
        "and",
        "or",
        "xone",
        "eq",
        "lteq",
        "isAnyOf",
        "odrl:dateTime",
        "urn:karvan:policy:v1:quota",
        "urn:karvan:policy:v1:purpose",
        "60/minute",
        "profile",
        "target",
        "offer",
        "Offer",
        "agreement",
        "Agreement",
        "providerPid",
        "consumerPid",
        "callbackAddress",
        "https://a.example/",
        "state",
        "REQUESTED",
        "dataset",
        "Dataset",
        "hasPolicy",
        "distribution",
        "accessService",
        "format",
        "service",
        "catalog",
        "Catalog",
        "participantId",
        "dataAddress",
        "endpointType",
        "endpointProperties",
        "name",
        "value",
        "reason",
        "code",
        "filter",
        "protocolVersions",
        "version",
        "path",
        "binding",
        "https://w3id.org/dspace/2025/1/context.jsonld",
    ];
    prop_oneof![9 => proptest::sample::select(known.to_vec()).prop_map(str::to_owned), 1 => ".*"]
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::from),
        1 => any::<i32>().prop_map(Value::from),
        6 => words().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::vec((words(), inner), 0..8)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// A message with the right head, so that reading gets further.
fn headed() -> impl Strategy<Value = (&'static str, Value)> {
    (proptest::sample::select(TYPES), any_json()).prop_map(|(name, body)| {
        let mut members = match body {
            Value::Object(members) => members,
            other => Map::from_iter([("offer".to_owned(), other)]),
        };
        members.insert("@context".into(), json!(["https://w3id.org/dspace/2025/1/context.jsonld"]));
        members.insert("@type".into(), json!(name));
        (name, Value::Object(members))
    })
}

fn literal(operand: Operand, operator: Operator) -> BoxedStrategy<Literal> {
    let member = proptest::sample::select(vec!["PK/GOV/FBR", "AZ/GOV/SCC/customs", "PK"]);
    match operand {
        Operand::Purpose => "[a-z]([a-z0-9._-]{0,20})".prop_map(Literal::Text).boxed(),
        Operand::LegalBasis => "[ -~]{0,20}[!-~]".prop_map(Literal::Text).boxed(),
        Operand::SharingLevel => {
            proptest::sample::select(vec![SharingLevel::L1, SharingLevel::L2, SharingLevel::L3])
                .prop_map(Literal::Level)
                .boxed()
        }
        Operand::Consent => {
            proptest::sample::select(vec![Consent::Given, Consent::NotNeeded, Consent::None])
                .prop_map(Literal::Consent)
                .boxed()
        }
        Operand::Quota => (
            1..u32::MAX,
            proptest::sample::select(vec![
                Period::Second,
                Period::Minute,
                Period::Hour,
                Period::Day,
            ]),
        )
            .prop_map(|(uses, per)| Literal::Quota(Quota { uses, per }))
            .boxed(),
        Operand::Recipient => member
            .prop_map(move |text| match text.parse() {
                Ok(nation) if operator == Operator::IsPartOf => Recipient::Nation(nation),
                Ok(_) => Recipient::Member("PK/GOV/FBR".parse().expect("a member")),
                Err(_) => Recipient::Member(text.parse().expect("a member")),
            })
            .prop_map(Literal::Recipient)
            .boxed(),
        Operand::Tlp => proptest::sample::select(vec![
            Tlp::Clear,
            Tlp::Green,
            Tlp::Amber,
            Tlp::AmberStrict,
            Tlp::Red,
        ])
        .prop_map(Literal::Tlp)
        .boxed(),
        Operand::DateTime => (0..4_000_000_000_000_i64)
            .prop_map(|millis| Literal::Instant(Timestamp::from_millis(millis)))
            .boxed(),
        Operand::Count => (0..(1_u64 << 53)).prop_map(Literal::Count).boxed(),
    }
}

fn atomic() -> impl Strategy<Value = Constraint> {
    let operands: Vec<_> =
        karvan_dataspace::policy::terms::OPERANDS.iter().map(|term| term.operand).collect();
    let compared = proptest::sample::select(operands).prop_flat_map(|operand| {
        (Just(operand), proptest::sample::select(operand.term().operators))
    });
    compared.prop_flat_map(|(operand, operator)| {
        let most = if operator.takes_list() { 4 } else { 1 };
        proptest::collection::vec(literal(operand, operator), 1..=most).prop_map(move |right| {
            Constraint::Atomic(Atomic { left: Left::Known(operand), operator, right })
        })
    })
}

fn constraint() -> impl Strategy<Value = Constraint> {
    atomic().prop_recursive(4, 16, 3, |inner| {
        let logic = proptest::sample::select(Logic::NAMES);
        (logic, proptest::collection::vec(inner, 1..3))
            .prop_map(|((_, logic), parts)| Constraint::Logical { logic, parts })
    })
}

fn rule(actions: &'static [Action]) -> impl Strategy<Value = Rule> {
    // In a list of its own each constraint is alone, so no window of time is empty.
    (proptest::sample::select(actions), proptest::collection::vec(constraint(), 0..2)).prop_map(
        |(action, constraints)| Rule {
            action: RuleAction::Known(action),
            constraints,
            duties: Vec::new(),
        },
    )
}

const ALLOWED: &[Action] = &[Action::Use, Action::Distribute, Action::Derive];
const OWED: &[Action] = &[Action::Delete, Action::Inform, Action::Attribute, Action::Anonymize];

fn rules() -> impl Strategy<Value = Rules> {
    let duties = || proptest::collection::vec(rule(OWED), 0..3);
    let permission = (rule(ALLOWED), duties()).prop_map(|(rule, duties)| Rule { duties, ..rule });
    let permissions = proptest::collection::vec(permission, 1..3);
    let prohibitions = proptest::collection::vec(rule(ALLOWED), 0..3);
    (permissions, prohibitions, duties()).prop_map(|(permissions, prohibitions, obligations)| {
        Rules { profiles: Vec::new(), permissions, prohibitions, obligations }
    })
}

proptest! {
    #[test]
    fn any_json_is_read_or_refused(value in any_json(), bytes: Vec<u8>) {
        for name in TYPES {
            let _ = reread(name, &value);
        }
        let _ = from_slice::<Catalog>(&bytes);
    }

    #[test]
    fn what_is_read_is_written_and_read_alike((name, value) in headed()) {
        if let Ok(written) = reread(name, &value) {
            prop_assert_eq!(reread(name, &written), Ok(written));
        }
    }

    #[test]
    fn any_policy_is_understood_or_refused(value in any_json(), own: bool) {
        let origin = if own { Origin::Own } else { Origin::Peer };
        let policy = json!({"permission": [value, {"action": "use", "constraint": [value]}]});
        if let Ok(wording) = Wording::from_value(&policy) {
            match wording.understand(origin, &[]) {
                Ok(rules) => {
                    rules.decide(&Context::at(Timestamp::default()));
                    prop_assert_eq!(rules.wording().understand(Origin::Own, &[]), Ok(rules));
                }
                Err(problems) => prop_assert!(!problems.is_empty()),
            }
        }
    }

    #[test]
    fn rules_survive_their_wording(rules in rules()) {
        let wording = rules.wording();
        shape::check(&Value::Object(wording.members().clone()));
        prop_assert_eq!(wording.understand(Origin::Own, &[]), Ok(rules.clone()));
        prop_assert_eq!(wording.understand(Origin::Peer, &[]), Ok(rules));
    }

    #[test]
    fn nothing_is_allowed_without_a_permission_that_holds(rules in rules(), now: u32) {
        let now = Timestamp::from_seconds(now.into());
        let decision = rules.decide(&Context::at(now));
        let (permissions, prohibitions) = decision.rules.split_at(rules.permissions.len());
        let granted = permissions.iter().any(|rule| rule.verdict == Verdict::Holds);
        let forbidden = prohibitions.iter().any(|rule| rule.verdict != Verdict::Fails);
        prop_assert_eq!(decision.allowed, granted && !forbidden);
        prop_assert!(decision.allowed || decision.duties.is_empty());
        let none = Rules { permissions: Vec::new(), ..rules };
        prop_assert!(!none.decide(&Context::at(now)).allowed);
    }
}

#[test]
fn the_head_of_generated_messages_is_right() {
    let value = json!({"@context": ["https://w3id.org/dspace/2025/1/context.jsonld"],
        "@type": "CatalogError"});
    assert_eq!(reread("CatalogError", &value), Ok(value));
    assert_eq!(<Catalog as Message>::TYPE, "Catalog");
}
