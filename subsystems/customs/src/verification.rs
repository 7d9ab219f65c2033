//! Verifications: the importing side asks whether a certificate is what it seems, and the exporting
//! side answers by a day that both know.
//!
//! Each side keeps a record of its own under the number that the asking side gave. What was
//! answered bears on every claimed item that quotes the certificate ([`Verification::finding`]); it
//! never decides anything by itself.
//!
//! Invariants: a verification is answered finally once; a denial never follows from the passing of
//! time; answers are kept as they came.
//!
//! Not here: the life of a verification as a table (`crate::states`), the acts
//! (`crate::subsystem`), how long an answer may take (`crate::decision::policy`).

use karvan_store::{Index, Range, Record, Table, Value};
use karvan_types::{Date, ExchangeId, MemberId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::certificate::Suspension;
use crate::journal::Closing;
use crate::matching::Rule;
use crate::messages::{QueryReason, Question, VerificationOutcome, VerifiedItem};
use crate::states::{Status, VerificationState};

/// Which side of a verification this is.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// This side asks.
    Asking,
    /// This side is asked.
    Asked,
}

impl Role {
    /// Returns the stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Asking => "asking",
            Self::Asked => "asked",
        }
    }
}

/// An answer, interim or final.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// Who answers.
    pub by: String,
    /// When this side had it.
    pub at: Timestamp,
    /// Day of the answer at the answering side.
    pub day: Date,
    /// What was found.
    pub outcome: VerificationOutcome,
    /// Of an interim answer, the day by which the final one is expected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub final_expected: Option<Date>,
    /// The result per item of the certificate, where it differs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<VerifiedItem>,
    /// The answers to the questions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<Question>,
    /// The grounds in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The exchange that carries it.
    pub exchange: ExchangeId,
}

/// A verification as one side keeps it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verification {
    /// Its number, given by the asking side.
    pub id: String,
    /// Which side this is.
    pub role: Role,
    /// Who asks.
    pub asker: MemberId,
    /// Who is asked.
    pub asked: Vec<MemberId>,
    /// Key of the certificate.
    pub certificate: String,
    /// Number of the certificate as quoted.
    pub number: String,
    /// The claim that gave rise to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<String>,
    /// Its item.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<u32>,
    /// Items of the certificate that are in question; none means all of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub certificate_items: Vec<u32>,
    /// Why it is asked.
    pub reasons: Vec<QueryReason>,
    /// The occasion in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The questions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub questions: Vec<Question>,
    /// Where it stands.
    pub state: Status<VerificationState>,
    /// Who opened it.
    pub by: String,
    /// When this side opened or got it.
    pub at: Timestamp,
    /// The last day for the final answer.
    pub due: Date,
    /// The answers, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<Answer>,
    /// Whether the last day passed without a final answer.
    #[serde(default)]
    pub expired: bool,
    /// How it was closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed: Option<Closing>,
    /// Who let the certificate be used again although it was not confirmed, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifted: Option<Closing>,
    /// When it was asked again, after it was refused or closed; answers from before do not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked_again: Option<Timestamp>,
    /// At the asked side, when the newest query was issued, by the clock of the asker: a later one
    /// asks again, an earlier one is only late.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issued: Option<Timestamp>,
}

/// Where verifications are kept.
pub(crate) static VERIFICATIONS: Table = Table {
    name: "customs_verification",
    columns: &["certificate", "claim_item", "state"],
    indexes: &[
        Index { name: "by_certificate", columns: &["certificate"], unique: false },
        Index { name: "by_claim_item", columns: &["claim_item"], unique: false },
        Index { name: "by_state", columns: &["state"], unique: false },
    ],
};

impl Record for Verification {
    const TABLE: &'static Table = &VERIFICATIONS;

    fn key(&self) -> Value {
        verification_key(self.role, &self.id).into()
    }

    fn columns(&self) -> Vec<Value> {
        let claim_item = match (self.role, &self.claim, self.item) {
            (Role::Asking, Some(claim), Some(item)) => Some(crate::claim::item_key(claim, item)),
            _ => None,
        };
        vec![
            self.certificate.as_str().into(),
            claim_item.as_deref().into(),
            self.state.get().name().into(),
        ]
    }
}

/// Most verifications looked at for one certificate or claimed item.
pub(crate) const SAME_MAX: usize = 100;
/// Most answers kept of one verification.
pub const ANSWERS_MAX: usize = 50;

/// Returns the key of a verification; both sides may share one store.
pub fn verification_key(role: Role, id: &str) -> String {
    format!("{}:{id}", role.name())
}

/// Returns the subject of a verification.
pub fn verification_subject(id: &str) -> String {
    format!("verification {id}")
}

impl Verification {
    /// Returns the verifications of a certificate or claimed item.
    pub fn range(index: &'static str, value: &str) -> Range {
        Range::of(index, vec![value.into()], SAME_MAX)
    }

    /// Returns the final answer, if it has come.
    pub fn answer(&self) -> Option<&Answer> {
        let counts = |answer: &&Answer| self.asked_again.is_none_or(|since| answer.at >= since);
        let mut final_ones =
            self.answers.iter().filter(|answer| answer.outcome != VerificationOutcome::Interim);
        final_ones.rfind(counts)
    }

    /// Whether a final answer is still awaited.
    pub fn is_open(&self) -> bool {
        use VerificationState as S;
        matches!(self.state.get(), S::Opened | S::Sent | S::Received)
    }

    /// Whether an item of the certificate is in question.
    pub fn covers(&self, item: u32) -> bool {
        self.certificate_items.is_empty() || self.certificate_items.contains(&item)
    }

    /// Returns what the verification means for claims on an item of the certificate.
    pub fn finding(&self, item: u32) -> Option<Rule> {
        let Some(answer) = self.answer() else {
            let waits = if self.expired {
                Some(Rule::VerificationUnanswered)
            } else {
                Some(Rule::VerificationOpen)
            };
            return waits.filter(|_| self.closed.is_none() || self.expired);
        };
        let own = answer.items.iter().find(|verified| verified.certificate_item == item);
        Some(match own.map_or(answer.outcome, |verified| verified.outcome) {
            VerificationOutcome::Confirmed => Rule::VerificationConfirmed,
            VerificationOutcome::NotConfirmed => Rule::VerificationRefuted,
            VerificationOutcome::Partly | VerificationOutcome::Interim => Rule::VerificationPartly,
        })
    }

    /// Returns how this verification suspends the certificate: from its opening, until the answer
    /// confirms every item, it is withdrawn without an answer in time, or an officer lifts it.
    pub fn suspension(&self) -> Option<Suspension> {
        if self.lifted.is_some() {
            return None;
        }
        let id = &self.id;
        let (reason, items) = match self.answer() {
            None => match self.finding(0)? {
                Rule::VerificationUnanswered => {
                    (format!("verification {id}: no answer came by {}", self.due), Vec::new())
                }
                _ => (format!("verification {id}: an answer is due on {}", self.due), Vec::new()),
            },
            Some(answer) => {
                let items = self.unconfirmed(answer)?;
                let how = if items.is_empty() { "not confirmed" } else { "confirmed in part" };
                (format!("verification {id}: {how} on {}", answer.day), items)
            }
        };
        let (since, by) = (self.at, self.by.clone());
        Some(Suspension { since, by, reason, verification: Some(id.clone()), items })
    }

    /// Returns the items that an answer leaves in doubt: an empty list for all of them, `None` for
    /// none.
    fn unconfirmed(&self, answer: &Answer) -> Option<Vec<u32>> {
        if answer.outcome == VerificationOutcome::NotConfirmed {
            return Some(Vec::new());
        }
        let named = answer.items.iter().map(|verified| verified.certificate_item);
        let mut items: Vec<u32> = self.certificate_items.iter().copied().chain(named).collect();
        items.retain(|item| self.finding(*item) != Some(Rule::VerificationConfirmed));
        items.sort_unstable();
        items.dedup();
        Some(items).filter(|items| !items.is_empty())
    }

    /// Whether this verification, opened later, confirms all that `earlier` leaves in doubt.
    fn clears(&self, earlier: &Self, doubted: &Suspension) -> bool {
        let about =
            if doubted.items.is_empty() { &earlier.certificate_items } else { &doubted.items };
        let confirmed = |item: &u32| {
            self.covers(*item) && self.finding(*item) == Some(Rule::VerificationConfirmed)
        };
        self.at > earlier.at
            && self.role == earlier.role
            && if about.is_empty() {
                self.certificate_items.is_empty()
                    && self.finding(0) == Some(Rule::VerificationConfirmed)
            } else {
                about.iter().all(confirmed)
            }
    }
}

/// Returns what the verifications of one certificate suspend, oldest first. One that ended badly
/// counts until a later one confirms the same items.
pub fn suspensions(all: &[Verification]) -> Vec<Suspension> {
    let standing = all.iter().filter_map(|one| one.suspension().map(|found| (one, found)));
    let mut found: Vec<Suspension> = standing
        .filter(|(one, found)| {
            let is_open = one.finding(0) == Some(Rule::VerificationOpen);
            is_open || !all.iter().any(|other| other.clears(one, found))
        })
        .map(|(_, found)| found)
        .collect();
    found.sort_by_key(|suspension| suspension.since);
    found
}

#[cfg(test)]
mod tests {
    use karvan_types::Timestamp;

    use super::*;
    use VerificationOutcome as O;

    fn verification() -> Verification {
        Verification {
            id: "KAPE-1-1-V1".to_owned(),
            role: Role::Asking,
            asker: "PK/GOV/FBR/customs".parse().expect("a member"),
            asked: Vec::new(),
            certificate: "AZ:AZPK1".to_owned(),
            number: "AZPK-1".to_owned(),
            claim: Some("KAPE-1".to_owned()),
            item: Some(1),
            certificate_items: vec![1, 2],
            reasons: vec![QueryReason::Random],
            text: None,
            questions: Vec::new(),
            state: Status::default(),
            by: "officer".to_owned(),
            at: Timestamp::from_seconds(1_790_000_000),
            due: Date::constant(2027, 4, 5),
            answers: Vec::new(),
            expired: false,
            closed: None,
            lifted: None,
            asked_again: None,
            issued: None,
        }
    }

    fn answer(outcome: O, items: &[(u32, O)]) -> Answer {
        let item = |&(certificate_item, outcome): &(u32, O)| VerifiedItem {
            certificate_item,
            outcome,
            statement: None,
        };
        Answer {
            by: "issuer".to_owned(),
            at: Timestamp::from_seconds(1_790_000_001),
            day: Date::constant(2026, 11, 2),
            outcome,
            final_expected: None,
            items: items.iter().map(item).collect(),
            answers: Vec::new(),
            text: None,
            exchange: ExchangeId::new(Timestamp::from_seconds(1_790_000_001), [0; 10]),
        }
    }

    fn check(answers: &[Answer], expired: bool, expected: Rule) {
        let found = Verification { answers: answers.to_vec(), expired, ..verification() };
        assert_eq!(found.finding(1), Some(expected), "{answers:?}");
    }

    #[test]
    fn the_answer_about_the_item_counts() {
        check(&[], false, Rule::VerificationOpen);
        check(&[], true, Rule::VerificationUnanswered);
        check(&[answer(O::Interim, &[])], false, Rule::VerificationOpen);
        check(&[answer(O::Confirmed, &[])], false, Rule::VerificationConfirmed);
        check(&[answer(O::Confirmed, &[])], true, Rule::VerificationConfirmed);
        check(&[answer(O::NotConfirmed, &[])], false, Rule::VerificationRefuted);
        let partly = [(1, O::Confirmed), (2, O::NotConfirmed)];
        check(&[answer(O::Partly, &partly)], false, Rule::VerificationConfirmed);
        check(&[answer(O::Partly, &partly[1..])], false, Rule::VerificationPartly);
        let swapped = [(1, O::NotConfirmed), (2, O::Confirmed)];
        check(&[answer(O::Partly, &swapped)], false, Rule::VerificationRefuted);
    }

    #[test]
    fn the_certificate_is_suspended_until_the_doubt_is_gone() {
        let closed = || {
            let at = Timestamp::from_seconds(1_790_000_002);
            Closing { at, by: "officer".to_owned(), text: "done".to_owned() }
        };
        let with =
            |answers: &[Answer]| Verification { answers: answers.to_vec(), ..verification() };
        let partly = answer(O::Partly, &[(1, O::Confirmed), (2, O::NotConfirmed)]);
        let expired = Verification { expired: true, ..verification() };
        let refuted = with(&[answer(O::NotConfirmed, &[])]);
        let cases: [(&str, Verification, Option<&[u32]>); 9] = [
            ("open", verification(), Some(&[])),
            ("interim", with(&[answer(O::Interim, &[])]), Some(&[])),
            ("confirmed", with(&[answer(O::Confirmed, &[])]), None),
            ("refuted", refuted.clone(), Some(&[])),
            ("partly", with(&[partly]), Some(&[2])),
            ("expired", expired.clone(), Some(&[])),
            ("refuted, closed", Verification { closed: Some(closed()), ..refuted }, Some(&[])),
            ("withdrawn", Verification { closed: Some(closed()), ..verification() }, None),
            ("lifted", Verification { lifted: Some(closed()), ..expired }, None),
        ];
        for (name, found, expected) in cases {
            let items = found.suspension().map(|suspension| suspension.items);
            assert_eq!(items.as_deref(), expected, "{name}");
            assert_eq!(suspensions(&[found]).len(), usize::from(expected.is_some()), "{name}");
        }
    }

    #[test]
    fn a_later_confirmation_of_the_same_items_lifts_an_earlier_doubt() {
        let refuted =
            Verification { answers: vec![answer(O::NotConfirmed, &[])], ..verification() };
        let later = |items: &[u32], outcome| Verification {
            id: "KAPE-2-1-V1".to_owned(),
            at: Timestamp::from_seconds(1_790_000_100),
            certificate_items: items.to_vec(),
            answers: vec![answer(outcome, &[])],
            ..verification()
        };
        for (other, count) in [
            (later(&[1, 2], O::Confirmed), 0),
            (later(&[], O::Confirmed), 0),
            (later(&[1], O::Confirmed), 1),
            (later(&[1, 2], O::Interim), 2),
            (later(&[1, 2], O::NotConfirmed), 2),
        ] {
            let found = suspensions(&[refuted.clone(), other.clone()]);
            assert_eq!(found.len(), count, "{:?}", other.answers);
        }
        // Opened before, it says nothing about what came out later.
        let mut earlier = later(&[1, 2], O::Confirmed);
        earlier.at = Timestamp::from_seconds(1_789_000_000);
        assert_eq!(suspensions(&[earlier, refuted]).len(), 1);
    }

    #[test]
    fn one_that_was_closed_without_an_answer_means_nothing() {
        let by = "officer".to_owned();
        let at = Timestamp::from_seconds(1_790_000_002);
        let closed = Some(Closing { at, by, text: "opened by mistake".to_owned() });
        let found = Verification { closed, ..verification() };
        assert_eq!(found.finding(1), None);
        let late = Verification { expired: true, ..found };
        assert_eq!(late.finding(1), Some(Rule::VerificationUnanswered));
        assert!(late.covers(2) && !late.covers(3));
    }
}
