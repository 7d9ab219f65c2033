//! Plays a consignment through the local interfaces of both nodes, step by step.
//!
//! Each step is done by the member that does it in life, with that member's token, at its own
//! node. After a step that writes, the next one waits until everything has arrived, as an officer
//! would who waits for the data.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use karvan_customs::samples::{Actor, Consignment, Step};
use karvan_subsystem::Rejection;
use serde_json::{Value, json};

use super::desks::{Desks, exchanges_of};
use super::folder::Folder;
use super::nations::{self, Nation};
use super::record::{Record, Sent};
use crate::client::Client;

/// The sub-system that is played.
pub(crate) const CUSTOMS: &str = "customs";
/// Operations that change nothing.
const READING: [&str; 3] = ["show", "list", "tariff"];

/// Plays what is left of a consignment, and returns its record. `stop` is looked at before each
/// step; a consignment that was stopped is not complete.
pub(crate) fn play(
    folder: &Folder,
    desks: &Desks,
    consignment: &Consignment,
    stop: impl Fn() -> bool,
) -> Result<Record> {
    let kept = folder.played();
    let mut record = Record::load(&kept, &consignment.id)?;
    while let Some(step) = consignment.steps.get(record.done) {
        if stop() {
            return Ok(record);
        }
        let again = record.in_flight;
        if !READING.contains(&step.operation.as_str()) {
            record.in_flight = true;
            record.save(&kept, &consignment.id)?;
        }
        let number = record.done + 1;
        let played = perform(desks, consignment, step, again)
            .with_context(|| format!("{}, step {number}", consignment.id))?;
        if let Some(problem) = played.problem {
            record.problems.push(format!("step {number} ({}): {problem}", step.operation));
        }
        for sent in played.sent {
            if !record.documents.iter().any(|known| known.exchange == sent.exchange) {
                record.documents.push(sent);
            }
        }
        record.done = number;
        record.in_flight = false;
    }
    if !record.complete {
        record.complete = true;
        record.save(&kept, &consignment.id)?;
    }
    Ok(record)
}

/// Gives both customs services the exchange rates of the samples. What is there already stays.
pub(crate) fn import_rates(desks: &Desks) -> Result<()> {
    for nation in [&nations::AZ, &nations::PK] {
        let customs = nation.customs()?;
        let Some(text) = karvan_customs::samples::rates(customs.instance()) else { continue };
        let client = desks.of(nation, Some(&customs))?;
        client.operate(CUSTOMS, "rates-import", &json!({ "text": text }))?;
    }
    Ok(())
}

/// What came of a step.
struct Played {
    sent: Vec<Sent>,
    problem: Option<String>,
}

fn perform(desks: &Desks, consignment: &Consignment, step: &Step, again: bool) -> Result<Played> {
    let (nation, member) = nations::actor(consignment, step.actor)?;
    // Nobody confirms what they proposed themselves; the operator's token is another person's.
    let desk = (step.actor != Actor::SecondOfficer).then_some(&member);
    let client = desks.of(nation, desk)?;
    let mut found = operate(client, &step.operation, &step.input)?;
    if again && let Some(before) = done_before(client, step, &found)? {
        found = Ok(before);
    }
    let exchanges = found.as_ref().map(exchanges_of).unwrap_or_default();
    for exchange in &exchanges {
        desks.await_handover(nation, *exchange)?;
    }
    // An import tells the outcome of each record and not under which exchange it travels.
    if !exchanges.is_empty() || step.operation == "import" {
        desks.settle()?;
    }
    let outcome = found.as_ref().map_err(|refusal| refusal.code.as_str());
    let step = if again { forgiving(step) } else { step.clone() };
    let problem = step.check(outcome).err().map(|problem| match &found {
        Ok(_) => problem,
        Err(refusal) => format!("{problem}: {}", refusal.text),
    });
    let sent = sent(nation, &exchanges);
    Ok(Played { sent, problem })
}

fn sent(nation: &Nation, exchanges: &BTreeSet<karvan_types::ExchangeId>) -> Vec<Sent> {
    let from = || nation.folder.to_owned();
    exchanges.iter().map(|exchange| Sent { from: from(), exchange: *exchange }).collect()
}

/// Calls an operation; a refusal is an outcome, anything else an error.
pub(crate) fn operate(
    client: &Client,
    operation: &str,
    input: &Value,
) -> Result<Result<Value, Rejection>> {
    match client.operate(CUSTOMS, operation, input) {
        Ok(output) => Ok(Ok(output)),
        Err(error) => match error.downcast::<Rejection>() {
            Ok(refusal) => Ok(Err(refusal)),
            Err(error) => Err(error),
        },
    }
}

/// Finds out whether a repeated step is refused only because it was done the first time, and
/// returns what it said then.
fn done_before(
    client: &Client,
    step: &Step,
    found: &Result<Value, Rejection>,
) -> Result<Option<Value>> {
    let Err(refusal) = found else { return Ok(None) };
    let known = ["customs.already-decided", "customs.not-decided"];
    if !known.contains(&refusal.code.as_str()) || step.refusal.as_ref() == Some(&refusal.code) {
        return Ok(None);
    }
    let shown = client.operate(CUSTOMS, "show", &json!({ "claim": step.input["claim"] }))?;
    if step.operation == "reopen" {
        return Ok(Some(shown));
    }
    let item = shown["items"].get(0).cloned().unwrap_or_default();
    let last = shown["decisions"].as_array().and_then(|all| all.last()).cloned();
    Ok(Some(json!({
        "claim": shown["claim"],
        "item": item["item"],
        "state": item["state"],
        "decision": last,
    })))
}

/// Takes from an expectation what a repeated step says otherwise.
fn forgiving(step: &Step) -> Step {
    let mut step = step.clone();
    let expected = step.expect.as_mut().and_then(Value::as_object_mut);
    if let Some(expected) = expected.filter(|all| all.get("duplicate") == Some(&json!(false))) {
        expected.remove("duplicate");
        expected.remove("state");
    }
    step
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_step_may_say_that_it_was_done_before() {
        let step = |expect| Step {
            actor: Actor::Issuer,
            operation: "certificate".to_owned(),
            input: Value::Null,
            expect: Some(expect),
            refusal: None,
        };
        let done = json!({ "id": "X", "duplicate": true, "state": "accepted" });
        let first = step(json!({ "id": "X", "duplicate": false, "state": "sent" }));
        assert!(first.check(Ok(&done)).is_err());
        assert_eq!(forgiving(&first).check(Ok(&done)), Ok(()));
        let other = step(json!({ "id": "Y", "duplicate": false }));
        assert!(forgiving(&other).check(Ok(&done)).is_err());
    }

    #[test]
    fn exchanges_are_found_wherever_an_operation_names_them() {
        let id = "019a0000-0000-7000-8000-000000000001";
        for output in [
            json!({ "exchanges": [id] }),
            json!({ "exchange": id, "exchanges": [id] }),
            json!({ "decision": { "results": [id] } }),
        ] {
            assert_eq!(exchanges_of(&output).len(), 1, "{output}");
        }
        assert!(exchanges_of(&json!({ "exchanges": [] })).is_empty());
    }
}
