//! Export declarations, and where their goods are.

use karvan_subsystem::interface::Endpoint;

use super::{CURSOR, EXPORT, LIMIT, LISTED, READ, STATE, WRITE, made, message, shown};

pub(super) const ENDPOINTS: &[Endpoint] = &[
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
];
