//! What the sub-system offers: its document types, and the operations with the permission of each.
//!
//! Not here: who may send which document (`super::senders`), what an operation does.

use karvan_subsystem::{DocumentType, Operation};

/// Media type of every message.
pub(super) const CONTENT_TYPE: &str = "application/json";
/// Longest message, in bytes.
const MESSAGE_BYTES_MAX: u64 = 4 * 1024 * 1024;

const fn document(code: &'static str, about: &'static str) -> DocumentType {
    DocumentType { code, content_type: CONTENT_TYPE, bytes_max: MESSAGE_BYTES_MAX, about }
}

pub(super) const DOCUMENTS: &[DocumentType] = &[
    document("EXD", "Export declaration: what the exporting side's customs accepted for export."),
    document("COO", "Certificate of origin: issued, changed or replaced by its issuer."),
    document("CXL", "Cancellation of a certificate or an export declaration."),
    document("UTL", "Result: what the importing side decided about the use of a certificate."),
    document("VAL", "Validation: a message was accepted, or refused with pointers."),
    document("AMD", "Amendment by pointer of a certificate or an export declaration."),
    document("TRN", "Transport report: declared goods departed, arrived or were diverted."),
    document("QRY", "Verification query: the importing side asks about a certificate."),
    document("RSP", "Answer to a verification query: confirmed, not, in part, or interim."),
    document("LDG", "Balances of certificates as the sender's ledger holds them, to compare."),
    document("SEQ", "What was sent in a period and what became of it, and what is missing."),
    document("REC", "Figures of a month per commodity code, and unmatched consignments."),
    document("CMT", "Commitment: the digest of what fixes the random checks of a coming period."),
];

const fn operation(
    name: &'static str,
    permission: &'static str,
    writes: bool,
    about: &'static str,
) -> Operation {
    Operation { name, permission, writes, about }
}

pub(super) const OPERATIONS: &[Operation] = &[
    operation(
        "submit",
        "customs.submit",
        true,
        "Submit, change, amend or cancel an export declaration, or report its transport, and send \
         it to the partner; an import declaration is filed as a claim, which needs customs.claim \
         too.",
    ),
    operation(
        "interchange",
        "customs.submit",
        true,
        "Take the declarations of an EDIFACT interchange, and answer it; an import declaration \
         needs customs.claim too.",
    ),
    operation(
        "certificate",
        "customs.issue",
        true,
        "Issue, change, replace or cancel a certificate of origin and send it to the partner.",
    ),
    operation(
        "claim",
        "customs.claim",
        true,
        "File, amend or withdraw an import declaration; each preference that it claims is matched \
         at once.",
    ),
    operation(
        "decide",
        "customs.decide",
        true,
        "Grant, grant in part, deny or query the preference of a claimed item, release it under \
         security, or propose a grant against a red match.",
    ),
    operation(
        "confirm",
        "customs.decide",
        true,
        "Confirm or reject, as a second officer, a proposed grant against a red match.",
    ),
    operation(
        "reopen",
        "customs.decide",
        true,
        "Reopen a decided item, so that it can be decided again.",
    ),
    operation(
        "event",
        "customs.decide",
        true,
        "Report on which day the goods of a claim arrived or its duty was paid; the rates may \
         depend on it.",
    ),
    operation(
        "paper",
        "customs.issue",
        true,
        "Give a certificate of the caller's member its place on the list of statuses, and answer \
         what goes onto paper.",
    ),
    operation(
        "statuses",
        "customs.issue",
        false,
        "Pack where each printed certificate of the caller's member stands, for signing.",
    ),
    operation(
        "import",
        "customs.import",
        true,
        "Take a batch of records of an import, each with an outcome of its own and by the \
         permission of its kind.",
    ),
    operation(
        "imports",
        "customs.import",
        false,
        "List imports, or show how far one has come and what became of its records.",
    ),
    operation(
        "verify",
        "customs.decide",
        true,
        "Ask the issuer of the certificate of a claimed item, and the partner's customs, to \
         verify it.",
    ),
    operation(
        "verify-again",
        "customs.decide",
        true,
        "Ask again: take up a closed verification, or send a query again that was refused.",
    ),
    operation(
        "answer",
        "customs.issue",
        true,
        "Answer a verification that the partner asked for, for the time being or finally.",
    ),
    operation(
        "conclude",
        "customs.decide",
        true,
        "Close a verification, saying what followed from it.",
    ),
    operation(
        "verifications",
        "customs.read",
        false,
        "List verifications of both directions, or show one with its deadlines and evidence.",
    ),
    operation(
        "look",
        "customs.read",
        true,
        "Show a claim to a person, and write down that they looked when it has a case.",
    ),
    operation(
        "reasons",
        "customs.read",
        false,
        "List the coded reasons, what they mean in three languages, and which decisions they fit.",
    ),
    operation("resolve", "customs.decide", true, "Close a task, saying what was done."),
    operation(
        "unpark",
        "customs.decide",
        true,
        "Refuse a message that waits for another one, saying why; its sender is told.",
    ),
    operation(
        "outage",
        "customs.decide",
        true,
        "Declare since when documents of the partner may not have come, or that this is over.",
    ),
    operation(
        "compare",
        "customs.decide",
        true,
        "Tell the partner now what was sent since the last comparison, as each night.",
    ),
    operation(
        "timers",
        "customs.read",
        false,
        "Show what is waited for, since when and until when, and how the partner is heard.",
    ),
    operation(
        "show",
        "customs.read",
        false,
        "Show a certificate, export declaration, claim or consignment with its history.",
    ),
    operation(
        "list",
        "customs.read",
        false,
        "List claims, certificates, export declarations, tasks, parked messages or overrides.",
    ),
    operation(
        "browse",
        "customs.read",
        false,
        "Page through a list with a cursor and filters, for programs.",
    ),
    operation(
        "tariff",
        "customs.read",
        false,
        "Explain the duty rates of a tariff line on a day, with source and status of each.",
    ),
    operation(
        "tariff-import",
        "customs.tariff",
        true,
        "Put a new version of a tariff into force; the earlier ones stay for what they computed.",
    ),
    operation(
        "tariffs",
        "customs.read",
        false,
        "List the versions of a tariff, or show the text of one.",
    ),
    operation(
        "ledger",
        "customs.read",
        false,
        "Show the ledger of a certificate with every debit, list the ledgers drawn on, the cases, \
         or how comparisons with the partner ended.",
    ),
    operation(
        "sharing",
        "customs.read",
        false,
        "Show which fields were left out of messages, what a partner sent though it was not \
         agreed, what a document would lose at a level, or the class of each field.",
    ),
    operation(
        "ledger-compare",
        "customs.decide",
        true,
        "Send our balances to the partner now, of one certificate or of all debited since the \
         last statement; both sides compare.",
    ),
    operation(
        "ledger-close",
        "customs.decide",
        true,
        "Close a case of the ledger, saying what was found out.",
    ),
    operation(
        "ledger-suspend",
        "customs.decide",
        true,
        "Suspend the use of a certificate at this side, such as during a verification, or let it \
         be used again.",
    ),
    operation(
        "rates-import",
        "customs.tariff",
        true,
        "Keep exchange rates, each from its first day on; a rate that is here never changes.",
    ),
    operation(
        "rates",
        "customs.read",
        false,
        "Show the exchange rates of a currency, or an amount in another currency with its rates.",
    ),
    operation(
        "quota",
        "customs.read",
        false,
        "Show what is left of a quota, and who has asked for it in which order.",
    ),
    operation(
        "risk",
        "customs.read",
        false,
        "Show the risk score of a consignment from the partner, with every rule that fired.",
    ),
    operation(
        "risk-score",
        "customs.decide",
        true,
        "Score a consignment anew, such as after a change of the profile.",
    ),
    operation(
        "risk-lanes",
        "customs.read",
        false,
        "List consignments from the partner by lane, newest first.",
    ),
    operation(
        "risk-stats",
        "customs.read",
        false,
        "Count how often checks found something: per rule, per lane and for the random draw.",
    ),
    operation(
        "risk-profile",
        "customs.read",
        false,
        "Show the risk profile in force, its versions and the periods of the draw.",
    ),
    operation(
        "risk-import",
        "customs.risk",
        true,
        "Put a risk profile of this side into force; it is never sent to the partner.",
    ),
    operation(
        "risk-commit",
        "customs.risk",
        true,
        "Fix seed and rate of the random draw of a coming period by sending their digest.",
    ),
    operation(
        "risk-reveal",
        "customs.risk",
        true,
        "Show the seed of a period that has ended, with every consignment and its draw.",
    ),
    operation(
        "mirror-consignments",
        "customs.read",
        false,
        "List consignments announced and never arrived, or arrived and never announced.",
    ),
    operation(
        "mirror-totals",
        "customs.read",
        false,
        "Show totals per code and month of both sides, with the gap and what explains it.",
    ),
    operation(
        "mirror-candidates",
        "customs.read",
        false,
        "Rank values that are worth a look: candidates of under- and over-invoicing.",
    ),
    operation(
        "mirror-compare",
        "customs.read",
        false,
        "Compare what the partner reported of a month with own records.",
    ),
    operation(
        "mirror-report",
        "customs.submit",
        true,
        "Send the figures of a month to the partner.",
    ),
    operation("finding", "customs.decide", true, "Record what the check of a consignment found."),
];
