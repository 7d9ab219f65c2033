//! What is waited for, and times in which the partner cannot be heard.

use karvan_subsystem::interface::{Endpoint, Kind, Parameter};

use super::{READ, WRITE, made, path, query, shown, whole};

const OUTAGE: Parameter = Parameter {
    kind: Kind::Number { min: 1, max: 9_007_199_254_740_991 },
    ..path("outage", "over", "Number of the outage.", "1")
};

pub(super) const ENDPOINTS: &[Endpoint] = &[
    Endpoint {
        id: "listWaits",
        path: "/waits",
        group: "Waits",
        summary: "Show what is waited for",
        about: "Receipts, validations, answers and arrivals that are due, the clocks in force, \
            when the partner was heard last, and its outages.",
        operation: "timers",
        parameters: &[query(
            "subject",
            Kind::Text { chars_max: 200 },
            "Only what is waited for about this, as `subject` of other answers names it.",
            "verification KAPE-HC-00014-02-10-2026-1-V1",
        )],
        answer: shown("WaitsView", "waits"),
        ..READ
    },
    Endpoint {
        id: "declareOutage",
        path: "/outages",
        group: "Waits",
        summary: "Declare an outage of the partner",
        about: "Since `from`, documents of the partner may not have come. Claims on certificates \
            of that time are held without blame until it is over.",
        operation: "outage",
        body: Some(whole("OutageRequest", "outage-request")),
        answer: made("OutageView", "outage"),
        ..WRITE
    },
    Endpoint {
        id: "endOutage",
        path: "/outages/{outage}/end",
        group: "Waits",
        summary: "End an outage",
        about: "One that the clock opened ends by itself when something comes from the partner.",
        operation: "outage",
        parameters: &[OUTAGE],
        body: Some(whole("Words", "words")),
        answer: shown("OutageView", "outage-over"),
        ..WRITE
    },
];
