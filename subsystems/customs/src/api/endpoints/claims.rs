//! Import declarations that claim a preference, and decisions about their items.

use karvan_subsystem::interface::{Endpoint, Kind};

use super::{
    CLAIM, CURSOR, ITEM, LIMIT, LISTED, QUOTED, READ, WRITE, made, message, query, shown, whole,
};

pub(super) const ENDPOINTS: &[Endpoint] = &[
    Endpoint {
        id: "fileClaim",
        path: "/claims",
        group: "Claims",
        summary: "File an import declaration",
        about: "Each item that claims the preference quotes its certificate as document type 864 \
            with number, date and item. The match is in the answer; nothing goes to the partner.",
        operation: "claim",
        body: Some(message("ImportClaim", "claim", "IMP")),
        answer: made("Claimed", "claimed"),
        speaks: true,
        ..WRITE
    },
    Endpoint {
        id: "listClaims",
        path: "/claims",
        group: "Claims",
        summary: "List claimed items",
        about: LISTED,
        operation: "browse",
        fixed: &[("what", "claims")],
        parameters: &[
            query("state", Kind::Text { chars_max: 30 }, "Only those that stand so.", "open"),
            query(
                "light",
                Kind::Choice(&["green", "amber", "red"]),
                "Only those of this light.",
                "red",
            ),
            QUOTED,
            LIMIT,
            CURSOR,
        ],
        answer: shown("ClaimPage", "claims"),
        ..READ
    },
    Endpoint {
        id: "withdrawClaim",
        path: "/claims/cancellations",
        group: "Claims",
        summary: "Withdraw a claim",
        about: "Withdraws an import declaration, of which nothing is decided yet, by a \
            cancellation (CXL) that names it. It stays to be seen, and its number stays used.",
        operation: "claim",
        body: Some(message("Cancellation", "cancellation", "claim-CXL")),
        answer: made("Claimed", "claim-withdrawn"),
        speaks: true,
        ..WRITE
    },
    Endpoint {
        id: "amendClaim",
        path: "/claims/amendments",
        group: "Claims",
        summary: "Amend a claim",
        about: "Changes the newest version of an import declaration, of which nothing is decided \
            yet, by an amendment (AMD) with WCO pointers; the version that it makes is matched \
            anew. Values at which no pointer points are listed in `amended`.",
        operation: "claim",
        body: Some(message("Amendment", "amendment", "claim-AMD")),
        answer: made("Claimed", "claim-amended"),
        speaks: true,
        ..WRITE
    },
    Endpoint {
        id: "getClaim",
        path: "/claims/{claim}",
        group: "Claims",
        summary: "Show a claim",
        about: "The newest match of each item, with each difference, duties, decisions, history.",
        parameters: &[CLAIM],
        answer: shown("Claimed", "claim"),
        speaks: true,
        ..READ
    },
    Endpoint {
        id: "decideItem",
        path: "/claims/{claim}/items/{item}/decision",
        group: "Claims",
        summary: "Decide about a claimed item",
        about: "Matches anew, debits the certificate, records the decision and tells the partner, \
            in one act. Against the proposal `reason` and `text` are needed. A grant against a \
            red match needs `propose` and waits for a second officer. Send `If-Match` with the \
            `ETag` of the claim to decide only what the officer has seen.",
        operation: "decide",
        parameters: &[CLAIM, ITEM],
        body: Some(whole("DecisionRequest", "decision-request")),
        answer: made("Decided", "decided"),
        changes: Some("getClaim"),
        ..WRITE
    },
    Endpoint {
        id: "reopenItem",
        path: "/claims/{claim}/items/{item}/reopening",
        group: "Claims",
        summary: "Reopen a decided item",
        about: "What was debited stays debited until the next decision.",
        operation: "reopen",
        parameters: &[CLAIM, ITEM],
        body: Some(whole("Words", "words")),
        answer: made("Claimed", "reopened"),
        changes: Some("getClaim"),
        ..WRITE
    },
    Endpoint {
        id: "confirmProposal",
        path: "/claims/{claim}/items/{item}/confirmation",
        group: "Claims",
        summary: "Confirm or reject a proposed grant",
        about: "The second officer's word on a grant against a red match. Nobody confirms what \
            they proposed, and when the match has changed since, it must be proposed anew.",
        operation: "confirm",
        parameters: &[CLAIM, ITEM],
        body: Some(whole("ConfirmationRequest", "confirmation-request")),
        answer: made("Decided", "confirmed"),
        changes: Some("getClaim"),
        ..WRITE
    },
    Endpoint {
        id: "reportDay",
        path: "/claims/{claim}/days",
        group: "Claims",
        summary: "Report the day of arrival or payment",
        about: "The rates may depend on it. What is undecided is matched anew; what was decided on \
            the rates of another day gets a task.",
        operation: "event",
        parameters: &[CLAIM],
        body: Some(whole("DayReport", "day-report")),
        answer: made("Claimed", "day-reported"),
        changes: Some("getClaim"),
        ..WRITE
    },
    Endpoint {
        id: "listOverrides",
        path: "/overrides",
        group: "Claims",
        summary: "List grants against a red match",
        about: LISTED,
        operation: "browse",
        fixed: &[("what", "overrides")],
        parameters: &[LIMIT, CURSOR],
        answer: shown("OverridePage", "overrides"),
        ..READ
    },
];
