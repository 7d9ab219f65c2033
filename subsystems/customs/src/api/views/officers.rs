//! The shape of what officers see and decide: differences, proposals, decisions, debits, scores.

use std::collections::BTreeMap;

use karvan_types::{Amount, Date, Quantity, Timestamp};
use schemars::JsonSchema;

use super::money::{PayableView, SecurityView, SettlementView};
use super::{ClosingView, LedgerLine, SuspensionView};
use crate::messages::Question;

/// A point on which the papers do not agree.
#[derive(JsonSchema)]
#[schemars(rename = "Difference")]
pub(in crate::api) struct DifferenceView {
    /// The rule that found it.
    pub(in crate::api) rule: String,
    /// The field, in element names of the WCO Data Model.
    pub(in crate::api) field: String,
    /// How heavy it is: `info`, `tolerated`, `flag`, `hold` or `deny`.
    pub(in crate::api) severity: String,
    /// What the certificate says.
    pub(in crate::api) certificate: Option<String>,
    /// What the export declaration says.
    pub(in crate::api) export: Option<String>,
    /// What the claim says.
    pub(in crate::api) claim: Option<String>,
    /// By what they were compared, such as an exchange rate and its day.
    pub(in crate::api) basis: Option<String>,
    /// The limit of the rule, in percent or days.
    pub(in crate::api) limit: Option<String>,
    /// How sure the rule is.
    pub(in crate::api) status: String,
    /// From where the rule is.
    pub(in crate::api) source: String,
    /// The difference in words.
    pub(in crate::api) text: String,
}

/// What is proposed about an item.
#[derive(JsonSchema)]
#[schemars(rename = "Proposal")]
pub(in crate::api) struct ProposalView {
    /// `grant`, `grant-in-part`, `deny`, `query` or `general-rate`.
    pub(in crate::api) verdict: String,
    /// Why, a stable word.
    pub(in crate::api) reason: String,
    /// The rule that weighs most, if any.
    pub(in crate::api) rule: Option<String>,
    /// For how much, in the unit of the certificate.
    pub(in crate::api) quantity: Option<Quantity>,
    /// In words.
    pub(in crate::api) text: String,
}

/// Who proposed what another officer confirmed.
#[derive(JsonSchema)]
#[schemars(rename = "ProposedBy")]
pub(in crate::api) struct ProposedView {
    /// The first officer.
    pub(in crate::api) by: String,
    /// When.
    pub(in crate::api) at: Timestamp,
}

/// A decision as it is kept.
#[derive(JsonSchema)]
#[schemars(rename = "DecisionRecord")]
pub(in crate::api) struct DecisionView {
    /// Number of the declaration.
    pub(in crate::api) claim: String,
    /// Its item.
    pub(in crate::api) item: u32,
    /// Which decision about this item, counted from 1.
    pub(in crate::api) number: u32,
    /// What was decided, such as `granted`, `granted-in-part`, `denied`.
    pub(in crate::api) decision: String,
    /// Why, a stable word.
    pub(in crate::api) reason: String,
    /// Why, in words.
    pub(in crate::api) text: Option<String>,
    /// What was debited from the certificate.
    pub(in crate::api) debited: Option<Quantity>,
    /// What was reserved on it, for goods released under security.
    pub(in crate::api) reserved: Option<Quantity>,
    /// What was granted or released on a certificate that was not here; debited when that comes.
    pub(in crate::api) unseen: Option<Quantity>,
    /// What was left on the certificate afterwards.
    pub(in crate::api) balance: Option<Quantity>,
    /// What had been proposed.
    pub(in crate::api) proposal: ProposalView,
    /// The light of the match at that moment: `green`, `amber` or `red`.
    pub(in crate::api) light: String,
    /// What is to be paid, when the claim states a value.
    pub(in crate::api) duty: Option<PayableView>,
    /// Why that is not known, when it is not.
    #[schemars(rename = "dutyUnknown")]
    pub(in crate::api) duty_unknown: Option<String>,
    /// Under which security the goods were released.
    pub(in crate::api) security: Option<SecurityView>,
    /// What is settled after an earlier decision.
    pub(in crate::api) settlement: Option<SettlementView>,
    /// Whether the preference was granted against a red match.
    #[schemars(rename = "override")]
    pub(in crate::api) overridden: bool,
    /// Who had proposed it, when a second officer confirmed.
    pub(in crate::api) proposed: Option<ProposedView>,
    /// Member and person.
    pub(in crate::api) officer: String,
    /// When.
    pub(in crate::api) at: Timestamp,
    /// The day, at the deciding side.
    pub(in crate::api) day: Date,
    /// The exchanges under which the result was sent.
    pub(in crate::api) results: Vec<String>,
}

/// How a proposal ended.
#[derive(JsonSchema)]
#[schemars(rename = "ProposalEnd")]
pub(in crate::api) struct EndingView {
    /// `confirmed`, `rejected`, `withdrawn`, `superseded` or `alone`.
    pub(in crate::api) how: String,
    /// By whom.
    pub(in crate::api) by: String,
    /// When.
    pub(in crate::api) at: Timestamp,
    /// What was said.
    pub(in crate::api) text: Option<String>,
}

/// A grant against a red match that waits for a second officer, or waited.
#[derive(JsonSchema)]
#[schemars(rename = "ProposedGrant", rename_all = "camelCase")]
pub(in crate::api) struct OverrideView {
    /// Number of the declaration.
    pub(in crate::api) claim: Option<String>,
    /// Its item.
    pub(in crate::api) item: Option<u32>,
    /// Which proposal about this item, counted from 1.
    pub(in crate::api) number: u32,
    /// Month of the proposal at the deciding side.
    pub(in crate::api) month: Option<String>,
    /// The match that the officer saw.
    pub(in crate::api) assessment: Option<u32>,
    /// Where it stands.
    pub(in crate::api) state: Option<String>,
    /// What is proposed.
    pub(in crate::api) decision: String,
    /// For how much, when the officer said it.
    pub(in crate::api) quantity: Option<Quantity>,
    /// Why, a stable word.
    pub(in crate::api) reason: String,
    /// Why, in words.
    pub(in crate::api) text: String,
    /// The rules against which it goes.
    pub(in crate::api) rules: Vec<String>,
    /// What the grant saves the importer, when it is known.
    pub(in crate::api) saved: Option<Amount>,
    /// Who proposes.
    pub(in crate::api) officer: String,
    /// When.
    pub(in crate::api) at: Timestamp,
    /// Until when it can be confirmed.
    pub(in crate::api) until: Timestamp,
    /// How it ended; absent while it waits.
    pub(in crate::api) ended: Option<EndingView>,
}

/// A line of the journal of debits.
#[derive(JsonSchema)]
#[schemars(rename = "Debit", rename_all = "camelCase")]
pub(in crate::api) struct DebitView {
    /// Number of the line, rising over all certificates.
    pub(in crate::api) line: u64,
    /// Country and number of the certificate.
    pub(in crate::api) certificate: String,
    /// Item of the certificate.
    pub(in crate::api) item: u32,
    /// Direction, such as `debit`.
    pub(in crate::api) kind: String,
    /// How much, in the unit of the certificate.
    pub(in crate::api) quantity: Quantity,
    /// What was left afterwards, a decimal in that unit.
    pub(in crate::api) balance: String,
    /// The claimed item, `claim#item`.
    pub(in crate::api) claim_item: String,
    /// Number of the decision about that item, from 1.
    pub(in crate::api) decision: u32,
    /// Who decided.
    pub(in crate::api) officer: String,
    /// When.
    pub(in crate::api) at: Timestamp,
}

/// What the partner decided about a certificate of ours.
#[derive(JsonSchema)]
#[schemars(rename = "Utilisation", rename_all = "camelCase")]
pub(in crate::api) struct UtilisationView {
    /// Country and number of the certificate.
    pub(in crate::api) certificate: String,
    /// The claimed item at the partner, `PK:claim#item`.
    pub(in crate::api) claim_item: String,
    /// Item of the certificate.
    pub(in crate::api) item: u32,
    /// Number of the decision about the claimed item, from 1.
    pub(in crate::api) number: u32,
    /// Whether our ledger follows it.
    pub(in crate::api) booked: bool,
    /// What was decided.
    pub(in crate::api) decision: String,
    /// What the partner debited.
    pub(in crate::api) debited: Option<Quantity>,
    /// What the partner's ledger still holds.
    pub(in crate::api) balance: Option<Quantity>,
    /// Codes of the reasons.
    pub(in crate::api) reason_codes: Vec<String>,
    /// The reason in words.
    pub(in crate::api) reason: Option<String>,
    /// Day of the decision.
    pub(in crate::api) day: Date,
}

/// A certificate as its ledger has it.
#[derive(JsonSchema)]
#[schemars(rename = "LedgerOfCertificate", rename_all = "camelCase")]
pub(in crate::api) struct LedgerOfCertificateView {
    /// Number as printed.
    pub(in crate::api) number: String,
    /// Country and number.
    pub(in crate::api) key: String,
    /// The member that issued it.
    pub(in crate::api) issuer: String,
    /// Where it stands.
    pub(in crate::api) state: String,
    /// Whose ledger is used: of a true copy that of its original.
    pub(in crate::api) ledger_of: String,
    /// Numbers of its true copies.
    pub(in crate::api) copies: Vec<String>,
    /// Number of the certificate that took its place.
    pub(in crate::api) replaced_by: Option<String>,
    /// What suspends its use, with reason and since when.
    pub(in crate::api) suspensions: Option<Vec<SuspensionView>>,
    /// The balance of each item.
    pub(in crate::api) items: Vec<LedgerLine>,
}

/// A term by which a certificate is debited.
#[derive(JsonSchema)]
#[schemars(rename = "LedgerTerm")]
pub(in crate::api) struct TermView {
    /// The term, a stable word.
    pub(in crate::api) term: String,
    /// What it is set to.
    pub(in crate::api) value: String,
    /// From where it is.
    pub(in crate::api) source: String,
    /// How sure it is.
    pub(in crate::api) status: String,
}

/// A debit that stands in a ledger.
#[derive(JsonSchema)]
#[schemars(rename = "Holding", rename_all = "camelCase")]
pub(in crate::api) struct HoldingView {
    /// Item of the certificate.
    pub(in crate::api) item: u32,
    /// The claimed item, `claim#item`.
    pub(in crate::api) claim_item: String,
    /// Number of the decision that debited.
    pub(in crate::api) decision: u32,
    /// How much, in the unit of the certificate.
    pub(in crate::api) quantity: Quantity,
    /// What was left afterwards, a decimal in that unit.
    pub(in crate::api) balance: String,
    /// When it was debited.
    pub(in crate::api) at: Timestamp,
}

/// A case of the ledger as the certificate shows it.
#[derive(JsonSchema)]
#[schemars(rename = "LedgerCase", rename_all = "camelCase")]
pub(in crate::api) struct LedgerCaseView {
    /// Number.
    pub(in crate::api) number: u64,
    /// Why, a stable word.
    pub(in crate::api) kind: String,
    /// Item of the certificate.
    pub(in crate::api) item: u32,
    /// What is wrong and what to do.
    pub(in crate::api) text: String,
    /// How it ended; absent while it is open.
    pub(in crate::api) closed: Option<ClosingView>,
}

/// An answer to a verification.
#[derive(JsonSchema)]
#[schemars(rename = "VerificationAnswer", rename_all = "camelCase")]
pub(in crate::api) struct AnswerView {
    /// What was found.
    pub(in crate::api) outcome: String,
    /// On which grounds.
    pub(in crate::api) text: Option<String>,
    /// Answers to the questions, by their numbers.
    pub(in crate::api) answers: Option<Vec<Question>>,
    /// Who answered.
    pub(in crate::api) by: String,
    /// When this side got it.
    pub(in crate::api) at: Timestamp,
    /// Its day.
    pub(in crate::api) day: Date,
    /// The exchange that brought it.
    pub(in crate::api) exchange: String,
}

/// What is known of one thing: a number, or texts.
#[derive(JsonSchema)]
#[schemars(rename = "Fact")]
pub(in crate::api) struct FactView {
    /// The number, a decimal.
    pub(in crate::api) number: Option<String>,
    /// The texts.
    pub(in crate::api) texts: Option<Vec<String>>,
}

/// Facts by the names that rules of risk use (`docs/use/risk.md`). Names are free, because a
/// profile may look at any that this side knows.
pub(in crate::api) type FactsView = BTreeMap<String, FactView>;

/// A rule of risk that fired.
#[derive(JsonSchema)]
#[schemars(rename = "FiredRule")]
pub(in crate::api) struct FiredView {
    /// The rule.
    pub(in crate::api) rule: String,
    /// Its points.
    pub(in crate::api) points: u32,
    /// Its least lane.
    pub(in crate::api) lane: Option<String>,
    /// The sentence, with the values of the facts.
    pub(in crate::api) text: String,
    /// The facts that its conditions looked at.
    pub(in crate::api) facts: FactsView,
    /// How sure the rule is.
    pub(in crate::api) status: String,
    /// From where the rule is.
    pub(in crate::api) source: String,
}

/// Points and lane by rules; the random draw is not in it.
#[derive(JsonSchema)]
#[schemars(rename = "Scoring")]
pub(in crate::api) struct ScoringView {
    /// Sum of the points.
    pub(in crate::api) points: u32,
    /// The lane.
    pub(in crate::api) lane: String,
    /// The rules that fired, heaviest first.
    pub(in crate::api) fired: Vec<FiredView>,
    /// Version of the profile.
    pub(in crate::api) profile: String,
    /// SHA-256 of its file.
    pub(in crate::api) digest: String,
}

/// A score as it was at one time.
#[derive(JsonSchema)]
#[schemars(rename = "Score", rename_all = "camelCase")]
pub(in crate::api) struct ScoreView {
    /// Country and number of the export declaration.
    pub(in crate::api) export: String,
    /// Which score of this consignment, counted from 1.
    pub(in crate::api) number: u32,
    /// When.
    pub(in crate::api) at: Timestamp,
    /// Why it was made.
    pub(in crate::api) because: String,
    /// The lane, the random draw included.
    pub(in crate::api) lane: String,
    /// Points, and each rule that fired.
    pub(in crate::api) scoring: ScoringView,
}

/// What a check found.
#[derive(JsonSchema)]
#[schemars(rename = "CheckFinding")]
pub(in crate::api) struct FindingView {
    /// What was found, a stable word.
    pub(in crate::api) code: String,
    /// In words.
    pub(in crate::api) text: String,
    /// Who checked.
    pub(in crate::api) by: String,
    /// When it was recorded.
    pub(in crate::api) at: Timestamp,
}
