//! Questions to issuers and their answers.

use karvan_subsystem::interface::{Endpoint, Kind};

use super::{
    CLAIM, CURSOR, ITEM, LIMIT, LISTED, QUOTED, READ, VERIFICATION, WRITE, made, query, shown,
    whole,
};

pub(super) const ENDPOINTS: &[Endpoint] = &[
    Endpoint {
        id: "openVerification",
        path: "/claims/{claim}/items/{item}/verifications",
        group: "Verifications",
        summary: "Ask for the verification of a certificate",
        about: "Sends a query (QRY) to the issuer of the certificate that the item quotes and to \
            the partner's customs; the clock for the answer begins to run.",
        operation: "verify",
        parameters: &[CLAIM, ITEM],
        body: Some(whole("VerificationRequest", "verification-request")),
        answer: made("VerificationView", "verification-opened"),
        ..WRITE
    },
    Endpoint {
        id: "listVerifications",
        path: "/verifications",
        group: "Verifications",
        summary: "List verifications",
        about: LISTED,
        operation: "browse",
        fixed: &[("what", "verifications")],
        parameters: &[
            query("state", Kind::Text { chars_max: 30 }, "Only those that stand so.", "sent"),
            QUOTED,
            LIMIT,
            CURSOR,
        ],
        answer: shown("VerificationPage", "verifications"),
        ..READ
    },
    Endpoint {
        id: "getVerification",
        path: "/verifications/{verification}",
        group: "Verifications",
        summary: "Show a verification",
        about: "Questions, answers, deadlines, and the evidence about the certificate.",
        operation: "verifications",
        parameters: &[VERIFICATION],
        answer: shown("VerificationView", "verification"),
        ..READ
    },
    Endpoint {
        id: "answerVerification",
        path: "/verifications/{verification}/answers",
        group: "Verifications",
        summary: "Answer a verification",
        about: "Sends an answer (RSP) to who asked, for the time being (`interim`) or finally. \
            Only a member that was asked may answer.",
        operation: "answer",
        parameters: &[VERIFICATION],
        body: Some(whole("AnswerRequest", "answer-request")),
        answer: made("VerificationView", "verification-answered"),
        changes: Some("getVerification"),
        ..WRITE
    },
    Endpoint {
        id: "concludeVerification",
        path: "/verifications/{verification}/conclusion",
        group: "Verifications",
        summary: "Close a verification",
        about: "Says what followed from it. Decide the item first; an unanswered verification may \
            be closed before that.",
        operation: "conclude",
        parameters: &[VERIFICATION],
        body: Some(whole("Words", "words")),
        answer: shown("VerificationView", "verification-concluded"),
        changes: Some("getVerification"),
        ..WRITE
    },
    Endpoint {
        id: "reopenVerification",
        path: "/verifications/{verification}/reopening",
        group: "Verifications",
        summary: "Ask again",
        about: "Takes a closed verification up again, or sends a query again that everybody \
            refused; a new deadline begins, and earlier answers count no more.",
        operation: "verify-again",
        parameters: &[VERIFICATION],
        body: Some(whole("Words", "words")),
        answer: shown("VerificationView", "verification-reopened"),
        changes: Some("getVerification"),
        ..WRITE
    },
];
