//! Who decides what happens next in a process: people, standing rules, or a script.
//!
//! Whenever a process has come to a state, by a message of either side, the node asks once. The
//! answer is a step, or that a person must decide, or nothing.

use karvan_dataspace::negotiation::{self, State as N};
use karvan_dataspace::policy::{Offer, Wording};
use karvan_dataspace::transfer::{self, State as T};
use serde::{Deserialize, Serialize};

use crate::records::{Act, Dataset, Process, Side, Stage, Why};

/// What to do.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    /// Make an offer, or a new one: these rules, or those of the last offer.
    Offer(Option<serde_json::Value>),
    /// Ask again with other rules: these, or those of the last offer.
    Counter(Option<serde_json::Value>),
    /// Give the agreement.
    Agree,
    /// Take the offer.
    Accept,
    /// Verify the agreement.
    Verify,
    /// Put the agreement in force.
    Finalize,
    /// Start or resume a transfer.
    Start,
    /// Pause a transfer.
    Suspend(Why),
    /// Say that all data went over.
    Complete,
    /// End the process.
    Terminate(Why),
    /// Leave it to a person.
    WaitForPerson,
    /// Wait for the other side.
    Nothing,
}

impl Decision {
    /// Returns the step of the state machine that it is.
    pub fn act(&self, kind: Stage) -> Option<Act> {
        use negotiation::Act as NA;
        use transfer::Act as TA;
        let negotiation = match self {
            Self::Offer(_) => NA::Offer,
            Self::Counter(_) => NA::Request,
            Self::Agree => NA::Agree,
            Self::Accept => NA::Accept,
            Self::Verify => NA::Verify,
            Self::Finalize => NA::Finalize,
            Self::Terminate(_) => match kind {
                Stage::Negotiation(_) => NA::Terminate,
                Stage::Transfer(_) => return Some(Act::Transfer(TA::Terminate)),
            },
            Self::Start => return Some(Act::Transfer(TA::Start)),
            Self::Suspend(_) => return Some(Act::Transfer(TA::Suspend)),
            Self::Complete => return Some(Act::Transfer(TA::Complete)),
            Self::WaitForPerson | Self::Nothing => return None,
        };
        Some(Act::Negotiation(negotiation))
    }

    /// Returns the step forward that a person who says yes means, if there is one.
    pub fn forward(process: &Process) -> Option<Self> {
        match (process.stage, process.side) {
            (Stage::Negotiation(N::Requested | N::Accepted), Side::Provider) => Some(Self::Agree),
            (Stage::Negotiation(N::Verified), Side::Provider) => Some(Self::Finalize),
            (Stage::Negotiation(N::Offered), Side::Consumer) => Some(Self::Accept),
            (Stage::Negotiation(N::Agreed), Side::Consumer) => Some(Self::Verify),
            (Stage::Transfer(T::Requested), Side::Provider)
            | (Stage::Transfer(T::Suspended), _) => Some(Self::Start),
            _ => None,
        }
    }
}

/// Decides what a process does next.
pub trait Decide: Send + Sync {
    /// Returns the name under which its decisions are recorded.
    fn name(&self) -> &'static str;

    /// Returns whether data that is to be pushed goes by itself; a script does without.
    fn pushes(&self) -> bool {
        true
    }

    /// Returns what to do now that the process has entered its state, for the `visit`th time.
    /// `dataset` is there when it is offered here.
    fn decide(&self, process: &Process, dataset: Option<&Dataset>, visit: u32) -> Decision;
}

/// Takes the steps that follow from what was agreed before, and leaves the rest to people.
pub struct People;

impl Decide for People {
    fn name(&self) -> &'static str {
        "rule:people"
    }

    fn decide(&self, process: &Process, _: Option<&Dataset>, _: u32) -> Decision {
        match (process.stage, process.side) {
            // The offer was ours, and a person made it.
            (Stage::Negotiation(N::Accepted), Side::Provider) => Decision::Agree,
            (Stage::Negotiation(N::Verified), Side::Provider) => Decision::Finalize,
            // We asked for it in these words.
            (Stage::Negotiation(N::Agreed), Side::Consumer) if unchanged(process) => {
                Decision::Verify
            }
            (Stage::Negotiation(N::Requested), Side::Provider)
            | (Stage::Negotiation(N::Offered | N::Agreed), Side::Consumer) => {
                Decision::WaitForPerson
            }
            // The agreement allows it; each fetch is judged by itself.
            (Stage::Transfer(T::Requested), Side::Provider) => Decision::Start,
            _ => Decision::Nothing,
        }
    }
}

/// Returns whether the agreement has the words of the offer.
fn unchanged(process: &Process) -> bool {
    let wording = |value: &Option<serde_json::Value>| {
        value.as_ref().and_then(|value| Wording::from_value(value).ok())
    };
    match (wording(&process.offer), wording(&process.policy)) {
        (Some(offer), Some(agreed)) => offer.same_as(&agreed),
        _ => false,
    }
}

/// As [`People`], but agrees at once when a dataset says so, its offer came back unchanged and the
/// agreement takes the place of no other.
pub struct Standing;

impl Decide for Standing {
    fn name(&self) -> &'static str {
        "rule:standing"
    }

    fn decide(&self, process: &Process, dataset: Option<&Dataset>, visit: u32) -> Decision {
        let asked = matches!(process.stage, Stage::Negotiation(N::Requested));
        // What ends an older agreement is for a person to decide.
        let as_offered = process.replaces.is_none()
            && dataset.is_some_and(|dataset| dataset.auto_approve && same(process, dataset));
        if asked && process.side == Side::Provider && as_offered {
            return Decision::Agree;
        }
        People.decide(process, dataset, visit)
    }
}

fn same(process: &Process, dataset: &Dataset) -> bool {
    let wording = |value| Wording::from_value(value).ok();
    match (process.offer.as_ref().and_then(wording), wording(&dataset.policy)) {
        (Some(asked), Some(offered)) => asked.same_as(&offered),
        _ => false,
    }
}

/// Returns the id of an offer.
pub(crate) fn offer_id(offer: &serde_json::Value) -> Option<&str> {
    offer.get("@id").and_then(serde_json::Value::as_str)
}

/// Puts an offer into the words of a message.
pub(crate) fn offer_of(
    id: String,
    wording: Wording,
    target: &str,
    assigner: &str,
    assignee: &str,
) -> Offer {
    Offer {
        id,
        target: Some(target.to_owned()),
        assigner: Some(assigner.to_owned()),
        assignee: Some(assignee.to_owned()),
        wording,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn rules(purpose: &str) -> Value {
        let constraint = json!({ "leftOperand": "urn:karvan:policy:v1:purpose", "operator": "eq",
                                 "rightOperand": purpose });
        json!({ "permission": [{ "action": "use", "constraint": [constraint] }] })
    }

    #[track_caller]
    fn check(asked: &Value, agreed: &Value, expected: &Decision) {
        let now = "2027-01-01T00:00:00.000Z";
        let process = json!({
            "pid": "urn:uuid:1", "side": "consumer", "own": "we", "counterparty": "they",
            "address": "", "stage": "negotiation:AGREED", "visits": {}, "moves": 2,
            "dataset": "vehicles", "waiting": false, "resumed": false, "opened_at": now,
            "updated_at": now, "deadline": now, "offer": asked, "policy": agreed,
        });
        let process: Process = serde_json::from_value(process).expect("a process");
        assert_eq!(Standing.decide(&process, None, 1), *expected, "{agreed}");
    }

    #[test]
    fn an_agreement_in_other_words_than_asked_for_is_left_to_a_person() {
        check(&rules("transit"), &rules("transit"), &Decision::Verify);
        // Eclipse EDC agrees to a request with other rules under those of its own offer.
        check(&rules("transit"), &rules("border-control"), &Decision::WaitForPerson);
        let more = json!({ "permission": [{ "action": "use" }] });
        check(&rules("transit"), &more, &Decision::WaitForPerson);
        check(&more, &rules("transit"), &Decision::WaitForPerson);
        check(&rules("transit"), &Value::Null, &Decision::WaitForPerson);
    }
}
