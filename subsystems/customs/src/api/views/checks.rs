//! The shape of what is asked and answered about verifications, second officers, cases, incidents
//! and risk.

use karvan_types::{Date, Quantity, Timestamp};
use schemars::JsonSchema;

use super::around::{EvidenceView, NextView, TimerView};
use super::officers::{AnswerView, FactsView, FindingView, HoldingView, ScoreView, ScoringView};
use super::{ClosingView, HistoryLine, MessageLine, SuspensionView, TaskView};
use crate::messages::{QueryReason, Question, VerificationOutcome, VerifiedItem};

/// What a second officer says to a proposed grant.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in crate::api) struct ConfirmationRequest {
    /// Whether it is granted; whoever proposed it may only reject, which takes it back.
    #[schemars(extend("enum" = ["confirm", "reject"]))]
    pub(in crate::api) answer: String,
    /// Why it is rejected, in 10 to 512 characters; needed for `reject`.
    #[schemars(length(max = 512))]
    pub(in crate::api) text: Option<String>,
}

/// A question to the issuer of a certificate.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in crate::api) struct VerificationRequest {
    /// Why it is asked.
    #[schemars(length(min = 1))]
    pub(in crate::api) reasons: Vec<QueryReason>,
    /// The occasion, in 10 to 512 characters.
    #[schemars(length(min = 10, max = 512))]
    pub(in crate::api) text: String,
    /// What is to be answered; the occasion is the question unless given.
    #[schemars(default, length(max = 20), inner(length(min = 1, max = 512)))]
    pub(in crate::api) questions: Vec<String>,
}

/// An answer to a verification, for the time being or final.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename_all = "camelCase")]
pub(in crate::api) struct AnswerRequest {
    /// What was found; `interim` says that the result follows.
    pub(in crate::api) outcome: VerificationOutcome,
    /// On which grounds, in 10 to 512 characters; needed unless `confirmed`.
    #[schemars(length(max = 512))]
    pub(in crate::api) text: Option<String>,
    /// The result per item of the certificate, where it differs.
    #[schemars(default)]
    pub(in crate::api) items: Vec<VerifiedItem>,
    /// Answers to the questions, by their numbers.
    #[schemars(default)]
    pub(in crate::api) answers: Vec<Question>,
    /// Of an interim answer, the day by which the final one is expected.
    pub(in crate::api) final_expected: Option<Date>,
}

/// A verification as this side keeps it.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
pub(in crate::api) struct VerificationView {
    /// Its number, given by the asking side.
    pub(in crate::api) id: String,
    /// `asking` or `asked`: which side this is.
    pub(in crate::api) role: String,
    /// Who asks.
    pub(in crate::api) asker: String,
    /// Who is asked.
    pub(in crate::api) asked: Vec<String>,
    /// Number of the certificate, as quoted.
    pub(in crate::api) number: String,
    /// The claim that gave rise to it.
    pub(in crate::api) claim: Option<String>,
    /// Its item.
    pub(in crate::api) item: Option<u32>,
    /// Why it is asked.
    pub(in crate::api) reasons: Vec<QueryReason>,
    /// The occasion in words.
    pub(in crate::api) text: Option<String>,
    /// Where it stands.
    pub(in crate::api) state: String,
    /// Whether a final answer is still awaited.
    pub(in crate::api) open: bool,
    /// When this side opened or got it.
    pub(in crate::api) at: Timestamp,
    /// The last day for the final answer.
    pub(in crate::api) due: Date,
    /// Whether that day passed without one.
    pub(in crate::api) expired: bool,
    /// The answers, oldest first; absent while there is none.
    pub(in crate::api) answers: Option<Vec<AnswerView>>,
    /// How it was closed.
    pub(in crate::api) closed: Option<ClosingView>,
    /// When it was asked again; answers from before do not count.
    pub(in crate::api) asked_again: Option<Timestamp>,
    /// When the newest query was issued, at the side that is asked.
    pub(in crate::api) issued: Option<Timestamp>,
    /// Who asked: member and person, or member alone at the side that is asked.
    pub(in crate::api) by: Option<String>,
    /// Country and number of the certificate.
    pub(in crate::api) certificate: String,
    /// Items of the certificate.
    pub(in crate::api) certificate_items: Option<Vec<u32>>,
    /// What is to be answered.
    pub(in crate::api) questions: Option<Vec<Question>>,
    /// The exchange that brought the question.
    pub(in crate::api) exchange: Option<String>,
    /// The exchanges under which question or answer were sent just now.
    pub(in crate::api) exchanges: Option<Vec<String>>,
    /// Whether the certificate is here.
    pub(in crate::api) known: Option<bool>,
    /// What was sent about the certificate, for the evidence.
    pub(in crate::api) evidence: Option<Vec<EvidenceView>>,
    /// What is due next.
    pub(in crate::api) next: Option<Vec<NextView>>,
    /// What happened.
    pub(in crate::api) history: Option<Vec<HistoryLine>>,
    /// Messages about it.
    pub(in crate::api) messages: Option<Vec<MessageLine>>,
    /// Tasks about it.
    pub(in crate::api) tasks: Option<Vec<TaskView>>,
    /// What is waited for.
    pub(in crate::api) timers: Option<Vec<TimerView>>,
    /// How it suspends the certificate; null when it does not, or no longer.
    pub(in crate::api) suspends: Option<SuspensionView>,
}

/// A case of the ledger: both sides' books disagree, or a certificate is suspended.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
pub(in crate::api) struct CaseView {
    /// Number.
    pub(in crate::api) number: u64,
    /// Why, a stable word.
    pub(in crate::api) kind: String,
    /// Country and number of the certificate.
    pub(in crate::api) certificate: String,
    /// Item of the certificate.
    pub(in crate::api) item: u32,
    /// What is wrong and what to do.
    pub(in crate::api) text: String,
    /// What our ledger holds of the item.
    pub(in crate::api) ours: Vec<HoldingView>,
    /// What the partner's ledger holds of it, as far as it told.
    pub(in crate::api) theirs: Vec<HoldingView>,
    /// Our balance.
    pub(in crate::api) our_balance: Option<Quantity>,
    /// The partner's balance.
    pub(in crate::api) their_balance: Option<Quantity>,
    /// When it was opened.
    pub(in crate::api) opened_at: Timestamp,
    /// When it was last found.
    pub(in crate::api) found_at: Timestamp,
    /// How it ended; absent while it is open.
    pub(in crate::api) closed: Option<ClosingView>,
}

/// A partner sent more than the agreement lets it release. Fields are named, values are not kept.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
pub(in crate::api) struct IncidentView {
    /// Number.
    pub(in crate::api) number: u64,
    /// When the message arrived.
    pub(in crate::api) at: Timestamp,
    /// The exchange that brought it.
    pub(in crate::api) exchange: String,
    /// Document type.
    pub(in crate::api) code: String,
    /// The sender's reference of the message.
    pub(in crate::api) reference: String,
    /// Number of the document.
    pub(in crate::api) id: String,
    /// Who sent it.
    pub(in crate::api) sender: String,
    /// The level that is agreed.
    pub(in crate::api) level: String,
    /// From where that level is: `agreement` or `configuration`.
    pub(in crate::api) level_from: String,
    /// SHA-256 of the message as signed, which is not kept.
    pub(in crate::api) signed: String,
    /// The fields that were taken out before anything was stored.
    pub(in crate::api) taken_out: Vec<TakenOut>,
}

/// A field that was taken out.
#[derive(JsonSchema)]
pub(in crate::api) struct TakenOut {
    /// Path of the field, with `*` for the elements of lists.
    pub(in crate::api) field: String,
    /// The lowest level that releases it.
    pub(in crate::api) level: String,
    /// In how many places it was.
    pub(in crate::api) count: u32,
}

/// The risk score of a consignment from the partner; it is never sent to the partner.
#[derive(JsonSchema)]
pub(in crate::api) struct RiskView {
    /// Country and number of the export declaration.
    pub(in crate::api) export: String,
    /// Unique consignment reference.
    pub(in crate::api) ucr: Option<String>,
    /// `green`, `blue`, `yellow` or `red`, the random draw included.
    pub(in crate::api) lane: String,
    /// What the lane means.
    pub(in crate::api) about: String,
    /// How many scores there are.
    pub(in crate::api) number: u32,
    /// When the newest was made.
    pub(in crate::api) at: Timestamp,
    /// Why it was made.
    pub(in crate::api) because: String,
    /// Points, and each rule that fired with its sentence, source and status.
    pub(in crate::api) scoring: ScoringView,
    /// What was known.
    pub(in crate::api) facts: FactsView,
    /// Whether it was drawn at random.
    pub(in crate::api) drawn: bool,
    /// What checks found, oldest first; absent while there was none.
    pub(in crate::api) findings: Option<Vec<FindingView>>,
    /// Every score, oldest first.
    pub(in crate::api) history: Vec<ScoreView>,
    /// The day by whose rules it was made.
    pub(in crate::api) day: Date,
    /// The exchange that brought the export declaration.
    pub(in crate::api) exchange: Option<String>,
}
