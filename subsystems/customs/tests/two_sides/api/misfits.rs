//! What does not fit the schema is refused with a pointer to the member, for every body.

use karvan_customs::api::INTERFACE;
use karvan_subsystem::Rejection;
use karvan_subsystem::interface::{At, Endpoint, Kind, Media, Place};
use karvan_types::MemberId;
use serde_json::{Value, json};

use crate::exchange::{Exchange, customs_of, issuer_of};

/// Puts a body where the kernel puts it.
fn input(endpoint: &Endpoint, body: Value) -> Value {
    let mut input = match endpoint.body.expect("a body").place {
        Place::Member(name) => json!({ name: body }),
        Place::Whole => body,
    };
    for parameter in endpoint.parameters.iter().filter(|parameter| parameter.at == At::Path) {
        input[parameter.member] = match parameter.kind {
            Kind::Number { .. } => json!(parameter.example.parse::<u64>().expect("a number")),
            _ => json!(parameter.example),
        };
    }
    input
}

/// Returns the pointers (RFC 6901) of all members and places of a value, but not of the whole.
fn places(value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![(String::new(), value)];
    while let Some((path, value)) = open.pop() {
        match value {
            Value::Object(members) => {
                open.extend(members.iter().map(|(name, inner)| (format!("{path}/{name}"), inner)));
            }
            Value::Array(items) => {
                let items = items.iter().enumerate();
                open.extend(items.map(|(index, inner)| (format!("{path}/{index}"), inner)));
            }
            _ => {}
        }
        found.push(path);
    }
    found.retain(|path| !path.is_empty());
    found
}

struct Table {
    exchange: Exchange,
    who: MemberId,
    failures: Vec<String>,
    checked: usize,
}

impl Table {
    async fn refusal(&mut self, endpoint: &Endpoint, body: Value) -> Option<Rejection> {
        let input = input(endpoint, body);
        self.exchange.act(&self.who, endpoint.operation, input).await.err()
    }

    /// Hands in a body and wants a refusal that names `pointer` and `rule`.
    async fn check(&mut self, endpoint: &Endpoint, body: Value, pointer: &str, rule: &str) {
        self.checked += 1;
        let found = self.refusal(endpoint, body).await;
        let named = found.iter().flat_map(|refusal| &refusal.pointers);
        if !named.clone().any(|each| each.pointer == pointer && each.rule == rule) {
            self.failures.push(format!("{} {pointer} {rule}: {found:?}", endpoint.id));
        }
    }
}

#[tokio::test]
async fn every_member_that_does_not_fit_is_named() {
    let exchange = Exchange::new("2026-10-05T05:00:00Z".parse().expect("an instant"));
    let who = customs_of("PK".parse().expect("PK"));
    let mut table = Table { exchange, who, failures: Vec::new(), checked: 0 };
    let mut bodies = 0;
    for endpoint in INTERFACE.endpoints {
        let Some(body) = endpoint.body.filter(|body| body.media == Media::Json) else { continue };
        bodies += 1;
        table.who = match endpoint.group {
            "Certificates" => issuer_of("AZ".parse().expect("AZ")),
            _ => customs_of("PK".parse().expect("PK")),
        };
        let example = (INTERFACE.example)(body.example).expect("an example");
        for pointer in places(&example) {
            let mut wrong = example.clone();
            let member = wrong.pointer_mut(&pointer).expect("a member");
            *member = if member.is_string() { json!(7) } else { json!("seven") };
            table.check(endpoint, wrong, &pointer, "SHAPE").await;
            let mut strange = example.clone();
            if let Some(Value::Object(members)) = strange.pointer_mut(&pointer) {
                members.insert("sur/prise".to_owned(), json!(1));
                let pointer = format!("{pointer}/sur~1prise");
                table.check(endpoint, strange, &pointer, "UNKNOWN").await;
            }
            let (holder, name) = pointer.rsplit_once('/').expect("a step");
            let mut short = example.clone();
            let Some(Value::Object(members)) = short.pointer_mut(holder) else { continue };
            members.remove(name);
            // What may be left out is no misfit.
            let found = table.refusal(endpoint, short).await;
            if let Some(found) = found.filter(|found| found.text.contains("missing field")) {
                table.checked += 1;
                if !found.pointers.iter().any(|p| p.pointer == pointer && p.rule == "REQUIRED") {
                    table.failures.push(format!("{} without {pointer}: {found:?}", endpoint.id));
                }
            }
        }
        let mut strange = example.clone();
        strange["surprise"] = json!(1);
        table.check(endpoint, strange, "/surprise", "UNKNOWN").await;
    }
    assert!(bodies >= 15 && table.checked > 400, "{bodies} bodies, {} cases", table.checked);
    let count = table.failures.len();
    assert_eq!(count, 0, "{} of {}:\n{}", count, table.checked, table.failures.join("\n"));
}
