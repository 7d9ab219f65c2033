//! Certificates of origin, and the ledger of their use.

use karvan_subsystem::interface::{Endpoint, Kind};

use super::{
    CASE_STATE, CERTIFICATE, CURSOR, LIMIT, LISTED, READ, STATE, WRITE, made, message, query, shown,
};

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
        id: "listLedgerCases",
        path: "/ledger-cases",
        group: "Certificates",
        summary: "List cases of the ledger",
        about: "Where both sides' books disagree, and what became wrong after it was debited.",
        operation: "browse",
        fixed: &[("what", "cases")],
        parameters: &[CASE_STATE, LIMIT, CURSOR],
        answer: shown("CasePage", "ledger-cases"),
        ..READ
    },
];
