//! Cases: what the two ledgers disagree about, or what became wrong after it was debited.

use karvan_store::{Error, Index, Range, Record, Table, Tx, Value};
use karvan_types::{Quantity, Timestamp};
use serde::{Deserialize, Serialize};

use crate::certificate::Holding;
use crate::journal::{Closing, note};

/// Most open cases of one certificate.
const OPEN_CASES_MAX: usize = 1000;

/// Why there is a case.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CaseKind {
    /// The two sides hold different balances or different debits of one item.
    BalancesDiffer,
    /// The partner debited what our ledger cannot follow: too much, in another unit, or of a
    /// certificate or item that is not here.
    NotFollowed,
    /// The partner's ledger does not follow a debit of ours.
    RefusedByPartner,
    /// The certificate was cancelled after this debit.
    RevokedAfterUse,
    /// The certificate was amended to less than had been debited.
    LoweredAfterUse,
    /// More was granted on paper than the certificate covers that came later.
    GrantedUnseen,
}

impl CaseKind {
    /// Returns the stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::BalancesDiffer => "balances-differ",
            Self::NotFollowed => "not-followed",
            Self::RefusedByPartner => "refused-by-partner",
            Self::RevokedAfterUse => "revoked-after-use",
            Self::LoweredAfterUse => "lowered-after-use",
            Self::GrantedUnseen => "granted-unseen",
        }
    }

    /// Returns whether only a person closes such a case: that both ledgers agree mends nothing.
    pub const fn is_closed_by_hand(self) -> bool {
        matches!(self, Self::RevokedAfterUse | Self::LoweredAfterUse | Self::GrantedUnseen)
    }
}

/// What was found, before it is a case.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Finding {
    /// Why.
    pub kind: CaseKind,
    /// Key of the certificate.
    pub certificate: String,
    /// Item of the certificate.
    pub item: u32,
    /// The claimed item concerned, when it is one.
    pub claim_item: Option<String>,
    /// What is wrong and what to do, in words.
    pub text: String,
    /// What our ledger holds of the item.
    pub ours: Vec<Holding>,
    /// What the partner's ledger holds of it, as far as it told.
    pub theirs: Vec<Holding>,
    /// Our balance.
    pub our_balance: Option<Quantity>,
    /// The partner's balance.
    pub their_balance: Option<Quantity>,
}

/// A case of the ledger.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Case {
    /// Number of the case.
    pub number: u64,
    /// Why.
    pub kind: CaseKind,
    /// Key of the certificate.
    pub certificate: String,
    /// Item of the certificate.
    pub item: u32,
    /// The claimed item concerned, when it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim_item: Option<String>,
    /// What is wrong and what to do, in words; the newest finding counts.
    pub text: String,
    /// What our ledger held of the item.
    pub ours: Vec<Holding>,
    /// What the partner's ledger held of it, as far as it told.
    pub theirs: Vec<Holding>,
    /// Our balance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub our_balance: Option<Quantity>,
    /// The partner's balance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub their_balance: Option<Quantity>,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// When it was last found.
    pub found_at: Timestamp,
    /// How it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed: Option<Closing>,
}

/// Where cases are kept.
pub(crate) static CASES: Table = Table {
    name: "customs_ledger_case",
    columns: &["state", "certificate"],
    indexes: &[
        Index { name: "by_state", columns: &["state"], unique: false },
        Index { name: "by_certificate", columns: &["certificate", "state"], unique: false },
    ],
};

impl Record for Case {
    const TABLE: &'static Table = &CASES;

    fn key(&self) -> Value {
        self.number.into()
    }

    fn columns(&self) -> Vec<Value> {
        vec![self.state().into(), self.certificate.as_str().into()]
    }
}

impl Case {
    /// Returns whether it is open or closed, in a word.
    pub const fn state(&self) -> &'static str {
        if self.closed.is_some() { "closed" } else { "open" }
    }
}

/// Returns the open cases of a certificate, oldest first.
pub fn open_cases_of(tx: &dyn Tx, certificate: &str) -> Result<Vec<Case>, Error> {
    let prefix = vec![certificate.into(), "open".into()];
    tx.select(&Range::of("by_certificate", prefix, OPEN_CASES_MAX))
}

/// Opens a case, or brings the open one about the same thing up to date. Returns its number, and
/// whether it is new.
pub fn open_case(
    tx: &mut dyn Tx,
    at: Timestamp,
    by: &str,
    finding: Finding,
) -> Result<(u64, bool), Error> {
    let open = open_cases_of(tx, &finding.certificate)?;
    let same = open.into_iter().find(|case| {
        case.kind == finding.kind
            && case.item == finding.item
            && case.claim_item == finding.claim_item
    });
    let known = same.as_ref().map(|case| (case.number, case.opened_at));
    let number = known.map_or_else(|| tx.next(CASES.name), |(number, _)| Ok(number))?;
    let case = Case {
        number,
        kind: finding.kind,
        certificate: finding.certificate,
        item: finding.item,
        claim_item: finding.claim_item,
        text: finding.text,
        ours: finding.ours,
        theirs: finding.theirs,
        our_balance: finding.our_balance,
        their_balance: finding.their_balance,
        opened_at: known.map_or(at, |(_, opened_at)| opened_at),
        found_at: at,
        closed: None,
    };
    if known.is_none() {
        let subject = format!("certificate {}", case.certificate);
        let text = format!("ledger case {number} opened ({}): {}", case.kind.name(), case.text);
        note(tx, at, &subject, by, text)?;
    }
    tx.save(&case)?;
    Ok((number, known.is_none()))
}

/// Closes a case with a reason.
pub fn close_case(tx: &mut dyn Tx, mut case: Case, closing: Closing) -> Result<Case, Error> {
    let subject = format!("certificate {}", case.certificate);
    let text = format!("ledger case {} closed: {}", case.number, closing.text);
    note(tx, closing.at, &subject, &closing.by, text)?;
    case.closed = Some(closing);
    tx.save(&case)?;
    Ok(case)
}
