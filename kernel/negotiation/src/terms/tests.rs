use karvan_dataspace::policy::Wording;
use serde_json::{Value, json};

use super::*;

const PROVIDER: &str = "urn:karvan:member:AZ/GOV/SCC/customs";
const CONSUMER: &str = "urn:karvan:member:PK/GOV/FBR/customs";

fn constraint(name: &str, operator: &str, value: &str) -> Value {
    let name = match name {
        "dateTime" => format!("http://www.w3.org/ns/odrl/2/{name}"),
        _ => format!("urn:karvan:policy:v1:{name}"),
    };
    json!({ "leftOperand": name, "operator": operator, "rightOperand": value })
}

fn agreement(policy: &Value) -> policy::Agreement {
    policy::Agreement {
        id: odrl_id("dsp-1", 3),
        target: "prices".to_owned(),
        assigner: PROVIDER.to_owned(),
        assignee: CONSUMER.to_owned(),
        timestamp: Some(Timestamp::from_seconds(1_800_000_000)),
        wording: Wording::from_value(policy).expect("a wording"),
    }
}

fn of(constraints: &Value) -> Result<Agreement, Error> {
    let policy = json!({ "permission": [{ "action": "use", "constraint": constraints }] });
    derive(&agreement(&policy), &Kind::Feed {})
}

#[test]
fn what_limits_use_is_taken_out_of_the_words() {
    let derived = of(&json!([
        constraint("purpose", "eq", "customs-risk-analysis"),
        constraint("legalBasis", "eq", "Customs Act"),
        constraint("quota", "lteq", "60/minute"),
        constraint("dateTime", "gteq", "2027-02-01T00:00:00Z"),
        constraint("dateTime", "lteq", "2027-12-31T23:59:59.999Z"),
        constraint("recipient", "isPartOf", "PK"),
    ]))
    .expect("can be enforced");
    assert_eq!((derived.id.as_str(), derived.version), ("dsp-1", 3));
    assert_eq!(derived.purpose, "customs-risk-analysis");
    assert_eq!(derived.legal_basis, "Customs Act");
    assert_eq!(derived.valid_from.to_string(), "2027-02-01T00:00:00.000Z");
    assert_eq!(derived.valid_until.to_string(), "2028-01-01T00:00:00.000Z");
    let grant = derived.grants.first().expect("one grant");
    assert_eq!(grant.quota.map(|quota| quota.to_string()).as_deref(), Some("60/minute"));
    assert_eq!(grant.feeds, ["prices"]);
    assert_eq!(grant.client.to_string(), "PK/GOV/FBR/customs");
    assert!(derived.policy.is_some(), "the words stay");
}

#[test]
fn the_kind_says_who_may_do_what() {
    let policy = json!({ "permission": [{ "action": "use" }] });
    let check = |kind: Kind, client: &str, part: &str| {
        let derived = derive(&agreement(&policy), &kind).expect("can be enforced");
        let grant = serde_json::to_value(&derived.grants).expect("JSON").to_string();
        assert_eq!(derived.grants.first().map(|g| g.client.to_string()).as_deref(), Some(client));
        assert!(grant.contains(part), "{grant}");
    };
    let service = Kind::Service { code: "vehicles".to_owned(), endpoints: Vec::new() };
    check(service, "PK/GOV/FBR/customs", r#""service":"vehicles""#);
    check(Kind::Feed {}, "PK/GOV/FBR/customs", r#""feeds":["prices"]"#);
    // Documents go to the consumer, so the provider of the data sends.
    let documents = Kind::Documents { codes: vec!["EXD".to_owned()] };
    check(documents, "AZ/GOV/SCC/customs", r#""documents":["EXD"]"#);
}

#[test]
fn what_cannot_be_enforced_is_refused() {
    let check = |constraints: Value, part: &str| {
        let error = of(&constraints).expect_err("refused").to_string();
        assert!(error.contains(part), "{error}");
    };
    let purpose = |code: &str| constraint("purpose", "eq", code);
    check(json!([{ "or": [purpose("a"), purpose("b")] }]), "one by one");
    check(json!([purpose("a"), purpose("b")]), "cannot be enforced");
    check(json!([constraint("purpose", "neq", "a")]), "cannot be enforced");
    check(json!([constraint("recipient", "eq", "PK/GOV/TDAP")]), "recipient");
    check(json!([{ "leftOperand": "urn:other:x", "operator": "eq", "rightOperand": "1" }]), "not");
    let policies = [
        (json!({ "prohibition": [{ "action": "use" }] }), "permits no"),
        (json!({ "permission": [{ "action": "use" }, { "action": "use" }] }), "several"),
        (
            json!({ "permission": [{ "action": "use" }], "prohibition": [{ "action": "use" }] }),
            "prohibition",
        ),
    ];
    for (policy, part) in policies {
        let error = derive(&agreement(&policy), &Kind::Feed {}).expect_err("refused").to_string();
        assert!(error.contains(part), "{error}");
    }
    let mut foreign = agreement(&json!({ "permission": [{ "action": "use" }] }));
    foreign.assignee = "TCK_PARTICIPANT".to_owned();
    assert!(derive(&foreign, &Kind::Feed {}).is_err());
}
