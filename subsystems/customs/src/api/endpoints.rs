//! The table of endpoints.

use karvan_subsystem::interface::{Answer, At, Body, Endpoint, Kind, Method, Parameter, Place};

use crate::certificate::NUMBER_CHARS_MAX;
use crate::subsystem::{CURSOR_CHARS_MAX, PAGE_MAX};

/// Longest number of a declaration and longest reference of a consignment, in characters.
const ID_CHARS_MAX: usize = 70;

const fn path(
    name: &'static str,
    member: &'static str,
    about: &'static str,
    example: &'static str,
) -> Parameter {
    let kind = Kind::Text { chars_max: ID_CHARS_MAX };
    Parameter { name, at: At::Path, member, kind, about, example }
}

const fn query(
    name: &'static str,
    kind: Kind,
    about: &'static str,
    example: &'static str,
) -> Parameter {
    Parameter { name, at: At::Query, member: name, kind, about, example }
}

const CERTIFICATE: Parameter = Parameter {
    kind: Kind::Text { chars_max: NUMBER_CHARS_MAX },
    ..path(
        "certificate",
        "certificate",
        "Number of the certificate, in any spelling.",
        "AZPK-2026-00001",
    )
};
const EXPORT: Parameter =
    path("declaration", "export", "Number of the declaration.", "AZ-EX-2026-00001");
const CLAIM: Parameter =
    path("claim", "claim", "Number of the import declaration.", "KAPE-HC-00001-05-10-2026");
const ITEM: Parameter = Parameter {
    kind: Kind::Number { min: 1, max: 99_999 },
    ..path("item", "item", "Item of the declaration.", "1")
};
const VERIFICATION: Parameter = path(
    "verification",
    "verification",
    "Number of the verification.",
    "KAPE-HC-00014-02-10-2026-1-V1",
);
const UCR: Parameter = path("ucr", "consignment", "Unique consignment reference.", "6AZ00001");
const CASE_STATE: Parameter =
    query("state", Kind::Choice(&["open", "closed"]), "`open` unless given.", "open");
const QUOTED: Parameter =
    Parameter { at: At::Query, about: "Only those that quote this one.", ..CERTIFICATE };
const TASK: Parameter = Parameter {
    kind: Kind::Number { min: 1, max: 9_007_199_254_740_991 },
    ..path("task", "task", "Number of the task.", "1")
};
const LIMIT: Parameter = query(
    "limit",
    Kind::Number { min: 1, max: PAGE_MAX as u64 },
    "Most rows of the page; 50 unless given.",
    "50",
);
const CURSOR: Parameter = query(
    "cursor",
    Kind::Text { chars_max: CURSOR_CHARS_MAX },
    "`next` of the page before.",
    "dEFaOkFaUEsyMDI2MDAwMDE",
);
const STATE: Parameter = query(
    "state",
    Kind::Text { chars_max: 30 },
    "Only those that stand so, as rows show it.",
    "available",
);
/// Of a page.
const PAGES: &str = "Pages follow each other by `next`; a page may be shorter than asked, and only \
    one without `next` is the last.";

const fn message(schema: &'static str, member: &'static str, example: &'static str) -> Body {
    Body { schema, place: Place::Member(member), example }
}

const fn whole(schema: &'static str, example: &'static str) -> Body {
    Body { schema, place: Place::Whole, example }
}

const fn made(schema: &'static str, example: &'static str) -> Answer {
    Answer { status: 201, schema, example }
}

const fn shown(schema: &'static str, example: &'static str) -> Answer {
    Answer { status: 200, schema, example }
}

/// What most endpoints leave out.
const READ: Endpoint = Endpoint {
    id: "",
    method: Method::Get,
    path: "",
    group: "",
    summary: "",
    about: "",
    operation: "show",
    fixed: &[],
    parameters: &[],
    body: None,
    answer: shown("", ""),
    speaks: false,
    changes: None,
};
const WRITE: Endpoint = Endpoint { method: Method::Post, ..READ };

const LISTED: &str = PAGES;

/// Every endpoint.
pub(super) const ENDPOINTS: &[Endpoint] = &[
    Endpoint {
        id: "issueCertificate",
        path: "/certificates",
        group: "Certificates",
        summary: "Issue, change or replace a certificate",
        about: "Checks the certificate (COO), stores it and sends it to the partner's customs. A \
            change is a new version under function 4 or 5; a replacement names the old number in \
            `replaces`. Handing in the same content under the same reference again sends nothing.",
        operation: "certificate",
        body: Some(message("CertificateOfOrigin", "certificate", "COO")),
        answer: made("Submitted", "certificate-issued"),
        ..WRITE
    },
    Endpoint {
        id: "listCertificates",
        path: "/certificates",
        group: "Certificates",
        summary: "List certificates",
        about: LISTED,
        operation: "browse",
        fixed: &[("what", "certificates")],
        parameters: &[
            STATE,
            query(
                "exporter",
                Kind::Text { chars_max: 17 },
                "Only those of the exporter with this tax number.",
                "1400123471",
            ),
            LIMIT,
            CURSOR,
        ],
        answer: shown("CertificatePage", "certificates"),
        ..READ
    },
    Endpoint {
        id: "cancelCertificate",
        path: "/certificates/cancellations",
        group: "Certificates",
        summary: "Cancel a certificate",
        about: "Withdraws a certificate by a cancellation (CXL) that names it.",
        operation: "certificate",
        body: Some(message("Cancellation", "cancellation", "CXL")),
        answer: made("Submitted", "certificate-cancelled"),
        ..WRITE
    },
    Endpoint {
        id: "amendCertificate",
        path: "/certificates/amendments",
        group: "Certificates",
        summary: "Amend a certificate",
        about: "Changes the newest version by an amendment (AMD) that names fields by their paths, \
            and sends it to the partner's customs: as it is, or as a whole new version when the \
            agreement withholds a part of the certificate.",
        operation: "certificate",
        body: Some(message("Amendment", "amendment", "AMD")),
        answer: made("Submitted", "certificate-amended"),
        ..WRITE
    },
    Endpoint {
        id: "getCertificate",
        path: "/certificates/{certificate}",
        group: "Certificates",
        summary: "Show a certificate",
        about: "Everything known: versions, ledger, claims, messages, tasks, history.",
        parameters: &[CERTIFICATE],
        answer: shown("CertificateView", "certificate"),
        speaks: true,
        ..READ
    },
    Endpoint {
        id: "getLedger",
        path: "/certificates/{certificate}/ledger",
        group: "Certificates",
        summary: "Show the ledger of a certificate",
        about: "What was certified, debited and left, each debit, and the cases about it.",
        operation: "ledger",
        parameters: &[CERTIFICATE],
        answer: shown("LedgerView", "ledger"),
        ..READ
    },
    Endpoint {
        id: "submitExportDeclaration",
        path: "/export-declarations",
        group: "Export declarations",
        summary: "Submit or change an export declaration",
        about: "Checks the declaration (EXD), stores it and sends it to the partner's customs.",
        operation: "submit",
        body: Some(message("ExportDeclaration", "declaration", "EXD")),
        answer: made("Submitted", "export-submitted"),
        ..WRITE
    },
    Endpoint {
        id: "listExportDeclarations",
        path: "/export-declarations",
        group: "Export declarations",
        summary: "List export declarations",
        about: LISTED,
        operation: "browse",
        fixed: &[("what", "exports")],
        parameters: &[STATE, LIMIT, CURSOR],
        answer: shown("ExportPage", "exports"),
        ..READ
    },
    Endpoint {
        id: "cancelExportDeclaration",
        path: "/export-declarations/cancellations",
        group: "Export declarations",
        summary: "Cancel an export declaration",
        about: "Withdraws a declaration by a cancellation (CXL) that names it.",
        operation: "submit",
        body: Some(message("Cancellation", "cancellation", "export-CXL")),
        answer: made("Submitted", "export-cancelled"),
        ..WRITE
    },
    Endpoint {
        id: "amendExportDeclaration",
        path: "/export-declarations/amendments",
        group: "Export declarations",
        summary: "Amend an export declaration",
        about: "Changes the newest version by an amendment (AMD) with WCO pointers, and sends the \
            whole new version to the partner's customs. Values at which no pointer points are \
            listed in `amended`.",
        operation: "submit",
        body: Some(message("Amendment", "amendment", "export-AMD")),
        answer: made("Submitted", "export-amended"),
        ..WRITE
    },
    Endpoint {
        id: "reportTransport",
        path: "/transport-reports",
        group: "Export declarations",
        summary: "Report departure, arrival or diversion",
        about: "Stores a transport report (TRN) about declarations of this side and sends it to \
            the partner's customs. Each report has a number of its own.",
        operation: "submit",
        body: Some(message("TransportReport", "transport", "TRN")),
        answer: made("Submitted", "transport-reported"),
        ..WRITE
    },
    Endpoint {
        id: "getExportDeclaration",
        path: "/export-declarations/{declaration}",
        group: "Export declarations",
        summary: "Show an export declaration",
        about: "Everything known: versions, messages, tasks, history.",
        parameters: &[EXPORT],
        answer: shown("ExportView", "export"),
        speaks: true,
        ..READ
    },
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
        id: "getConsignment",
        path: "/consignments/{ucr}",
        group: "Consignments",
        summary: "Show a consignment",
        about: "Declarations, certificates and claims under one unique consignment reference.",
        parameters: &[UCR],
        answer: shown("ConsignmentView", "consignment"),
        speaks: true,
        ..READ
    },
    Endpoint {
        id: "getRisk",
        path: "/consignments/{ucr}/risk",
        group: "Consignments",
        summary: "Show the risk score of a consignment",
        about: "Lane, points, and every rule that fired with its sentence; of consignments from \
            the partner, which never learns it.",
        operation: "risk",
        parameters: &[UCR],
        answer: shown("RiskView", "risk"),
        ..READ
    },
    Endpoint {
        id: "listParked",
        path: "/parked",
        group: "Consignments",
        summary: "List messages that wait for another",
        about: LISTED,
        operation: "browse",
        fixed: &[("what", "parked")],
        parameters: &[LIMIT, CURSOR],
        answer: shown("ParkedPage", "parked"),
        ..READ
    },
    Endpoint {
        id: "listLedgerCases",
        path: "/ledger-cases",
        group: "Certificates",
        summary: "List cases of the ledger",
        about: "Where both sides' books disagree, and suspended certificates.",
        operation: "browse",
        fixed: &[("what", "cases")],
        parameters: &[CASE_STATE, LIMIT, CURSOR],
        answer: shown("CasePage", "ledger-cases"),
        ..READ
    },
    Endpoint {
        id: "listSharingIncidents",
        path: "/sharing-incidents",
        group: "Consignments",
        summary: "List what the partner sent beyond the agreement",
        about: "Each message that was stripped before storage, with the names of the fields; their \
            values are kept nowhere.",
        operation: "browse",
        fixed: &[("what", "incidents")],
        parameters: &[LIMIT, CURSOR],
        answer: shown("IncidentPage", "sharing-incidents"),
        ..READ
    },
    Endpoint {
        id: "listTasks",
        path: "/tasks",
        group: "Tasks",
        summary: "List tasks",
        about: LISTED,
        operation: "browse",
        fixed: &[("what", "tasks")],
        parameters: &[
            CASE_STATE,
            query("kind", Kind::Text { chars_max: 40 }, "Only those of this kind.", "valuation"),
            LIMIT,
            CURSOR,
        ],
        answer: shown("TaskPage", "tasks"),
        ..READ
    },
    Endpoint {
        id: "resolveTask",
        path: "/tasks/{task}/resolution",
        group: "Tasks",
        summary: "Close a task",
        about: "Says what was done about it.",
        operation: "resolve",
        parameters: &[TASK],
        body: Some(whole("Words", "words")),
        answer: shown("TaskView", "task"),
        ..WRITE
    },
    Endpoint {
        id: "getRates",
        path: "/tariff/{code}",
        group: "Tariff",
        summary: "Show the rates of a code",
        about: "Each rate with its source and status: `official`, `reported`, `derived`, \
            `analogue` or `assumed`. Nobody may collect money on an assumed rate.",
        operation: "tariff",
        parameters: &[
            Parameter {
                kind: Kind::Digits { min: 4, max: 10 },
                ..path("code", "code", "Commodity code, digits only.", "74081100")
            },
            query("day", Kind::Date, "The day; today unless given.", "2026-10-05"),
            query("origin", Kind::Text { chars_max: 2 }, "Country of origin.", "AZ"),
            query("country", Kind::Choice(&["AZ", "PK"]), "Whose tariff; ours unless given.", "PK"),
        ],
        answer: shown("Rates", "rates"),
        ..READ
    },
    Endpoint {
        id: "getQuota",
        path: "/quotas/{quota}",
        group: "Tariff",
        summary: "Show what is left of a quota",
        about: "And who has asked for how much, in which order.",
        operation: "quota",
        parameters: &[
            path("quota", "quota", "Number of the quota, as the tariff names it.", "PK-AZ-0802"),
            query("day", Kind::Date, "A day of its period; today unless given.", "2026-10-05"),
        ],
        answer: shown("QuotaView", "quota"),
        ..READ
    },
];
