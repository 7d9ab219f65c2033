//! The ledger of a certificate: what each item certifies, and every debit of it.
//!
//! A debit changes the balance in the certificate and adds a line to the journal in the same
//! transaction, so two offices that debit at the same moment follow each other and the second one
//! sees what the first one left.
//!
//! Invariant: what is debited and carried over never exceeds what is certified at the time of a
//! debit.

use karvan_store::{Error as StoreError, Index, Range, Read, Record, Table, Tx, Value};
use karvan_types::amount::decimal_text;
use karvan_types::{Decimal, ErrorKind, Quantity, Timestamp};
use serde::{Deserialize, Serialize};

use super::Certificate;
use super::account::carry_over;

/// Most journal lines read for one claimed item.
const LINES_MAX: usize = 1000;
/// Most journal lines of one certificate that are looked at together.
pub const HOLDING_LINES_MAX: usize = 1000;

/// The balance of one item of a certificate.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct LedgerItem {
    /// Item of the certificate.
    pub item: u32,
    /// What the newest version certifies.
    pub certified: Quantity,
    /// What has been debited, in the same unit; what is reserved counts.
    #[serde(with = "decimal_text")]
    pub debited: Decimal,
    /// What of it is only reserved, for goods that were released under security.
    #[serde(with = "decimal_text", default)]
    pub reserved: Decimal,
    /// What was used of the certificate that this one replaces and counts here too, in the same
    /// unit.
    #[serde(with = "decimal_text", default)]
    pub carried: Decimal,
    /// Debits less returns: how many claimed items draw on this item.
    #[serde(default)]
    pub uses: u32,
}

impl LedgerItem {
    /// Opens the ledger of an item.
    pub fn new(item: u32, certified: Quantity) -> Self {
        let zero = Decimal::ZERO;
        Self { item, certified, debited: zero, reserved: zero, carried: zero, uses: 0 }
    }

    /// Returns what is left; zero when an amendment certified less than was debited before.
    pub fn balance(&self) -> Decimal {
        (self.certified.value - self.used()).max(Decimal::ZERO).normalize()
    }

    /// Returns what was used: debited here, or carried over from the certificate before it.
    pub fn used(&self) -> Decimal {
        self.debited + self.carried
    }

    /// Puts a part of what was debited or reserved back into the balance.
    pub fn give_back(&mut self, share: &Share) {
        let less = |sum: Decimal, part: Decimal| (sum - part).max(Decimal::ZERO).normalize();
        self.debited = less(self.debited, share.quantity);
        self.reserved = less(self.reserved, share.reserved);
    }

    /// Returns what is left with its unit.
    pub fn balance_quantity(&self) -> Quantity {
        Quantity { value: self.balance(), unit: self.certified.unit.clone() }
    }
}

/// Whether a line of the journal takes from the balance or gives back.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DebitKind {
    /// Takes from the balance.
    Debit,
    /// Takes from the balance until the decision, for goods that were released under security.
    Reserve,
    /// Gives back what a reopened decision had taken, or what was reserved.
    Return,
}

/// Who draws on the ledger, and why.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    /// Item of the certificate.
    pub item: u32,
    /// The claimed item, `claim#item`, of this side or of the partner.
    pub claim_item: String,
    /// Number of the decision about that item, from 1.
    pub decision: u32,
    /// Who decided.
    pub officer: String,
    /// When.
    pub at: Timestamp,
}

/// A line of the journal of a ledger.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Debit {
    /// Number of the line, rising over all certificates.
    pub line: u64,
    /// Key of the certificate.
    pub certificate: String,
    /// Item of the certificate.
    pub item: u32,
    /// Direction.
    pub kind: DebitKind,
    /// How much, in the unit of the certificate.
    pub quantity: Quantity,
    /// What was left afterwards.
    #[serde(with = "decimal_text")]
    pub balance: Decimal,
    /// The claimed item, `claim#item`.
    pub claim_item: String,
    /// Number of the decision about that item, from 1.
    #[serde(default)]
    pub decision: u32,
    /// Who decided.
    pub officer: String,
    /// When.
    pub at: Timestamp,
}

/// Where the journal is kept.
pub(crate) static DEBITS: Table = Table {
    name: "customs_debit",
    columns: &["certificate", "claim_item"],
    indexes: &[
        Index { name: "by_certificate", columns: &["certificate"], unique: false },
        Index { name: "by_claim_item", columns: &["claim_item", "certificate"], unique: false },
    ],
};

impl Record for Debit {
    const TABLE: &'static Table = &DEBITS;

    fn key(&self) -> Value {
        self.line.into()
    }

    fn columns(&self) -> Vec<Value> {
        vec![self.certificate.as_str().into(), self.claim_item.as_str().into()]
    }
}

/// The ledger refuses a debit; nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// The certificate has no such item.
    #[error("the certificate has no item {0}; quote an item that it has")]
    NoItem(u32),
    /// The debit exceeds the balance.
    #[error("{asked} were to be debited, but only {balance} are left; grant in part up to that")]
    Exceeds {
        /// What was asked for.
        asked: Quantity,
        /// What is left.
        balance: Quantity,
    },
    /// Nothing to debit.
    #[error("a debit must be more than zero; deny the claim instead")]
    Zero,
    /// Storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl LedgerError {
    /// Returns the kind.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NoItem(_) => ErrorKind::NotFound,
            Self::Exceeds { .. } => ErrorKind::Conflict,
            Self::Zero => ErrorKind::Invalid,
            Self::Store(error) => error.kind(),
        }
    }
}

/// Debits an item of a certificate and stores both; returns what is left.
pub fn debit(
    tx: &mut dyn Tx,
    certificate: &mut Certificate,
    entry: Entry,
    quantity: Decimal,
) -> Result<Quantity, LedgerError> {
    take(tx, certificate, entry, DebitKind::Debit, quantity)
}

/// Reserves a quantity for goods that are released under security, as a debit that the next
/// decision gives back or makes final; returns what is left.
pub fn reserve(
    tx: &mut dyn Tx,
    certificate: &mut Certificate,
    entry: Entry,
    quantity: Decimal,
) -> Result<Quantity, LedgerError> {
    take(tx, certificate, entry, DebitKind::Reserve, quantity)
}

fn take(
    tx: &mut dyn Tx,
    certificate: &mut Certificate,
    entry: Entry,
    kind: DebitKind,
    quantity: Decimal,
) -> Result<Quantity, LedgerError> {
    let ledger = (certificate.ledger.iter_mut().find(|ledger| ledger.item == entry.item))
        .ok_or(LedgerError::NoItem(entry.item))?;
    if quantity <= Decimal::ZERO {
        return Err(LedgerError::Zero);
    }
    let unit = ledger.certified.unit.clone();
    if quantity > ledger.balance() {
        return Err(LedgerError::Exceeds {
            asked: Quantity { value: quantity, unit },
            balance: ledger.balance_quantity(),
        });
    }
    ledger.debited = (ledger.debited + quantity).normalize();
    if kind == DebitKind::Reserve {
        ledger.reserved = (ledger.reserved + quantity).normalize();
    }
    ledger.uses = ledger.uses.saturating_add(1);
    let balance = ledger.balance_quantity();
    let quantity = Quantity { value: quantity.normalize(), unit };
    certificate.follow_ledger();
    journal(tx, certificate, entry, kind, quantity, balance.value)?;
    Ok(balance)
}

/// What a claimed item holds of an item of a certificate, in its unit.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Share {
    /// Item of the certificate.
    pub item: u32,
    /// How much.
    pub quantity: Decimal,
    /// How much of it is only reserved.
    pub reserved: Decimal,
}

/// Returns what `claim_item` holds of each item of the certificate.
pub fn held(
    view: &dyn Read,
    certificate: &Certificate,
    claim_item: &str,
) -> Result<Vec<Share>, StoreError> {
    let prefix = vec![claim_item.into(), certificate.id().into()];
    let lines: Vec<Debit> = view.select(&Range::of("by_claim_item", prefix, LINES_MAX))?;
    let mut shares: Vec<Share> = Vec::new();
    for line in lines {
        let (taken, zero) = (line.quantity.value, Decimal::ZERO);
        let (quantity, reserved) = match line.kind {
            DebitKind::Debit => (taken, zero),
            DebitKind::Reserve => (taken, taken),
            DebitKind::Return => (-taken, -taken),
        };
        if let Some(share) = shares.iter_mut().find(|share| share.item == line.item) {
            share.quantity += quantity;
            share.reserved = (share.reserved + reserved).max(zero);
        } else {
            shares.push(Share { item: line.item, quantity, reserved: reserved.max(zero) });
        }
    }
    shares.retain(|share| share.quantity > Decimal::ZERO);
    Ok(shares)
}

/// Gives back to the certificate what the claimed item of `entry` still holds of it, of whichever
/// item of the certificate.
pub fn give_back(
    tx: &mut dyn Tx,
    certificate: &mut Certificate,
    entry: &Entry,
) -> Result<(), LedgerError> {
    for share in held(tx, certificate, &entry.claim_item)? {
        let ledger = certificate.ledger.iter_mut().find(|ledger| ledger.item == share.item);
        let Some(ledger) = ledger else { continue };
        ledger.give_back(&share);
        ledger.uses = ledger.uses.saturating_sub(1);
        let balance = ledger.balance();
        let unit = ledger.certified.unit.clone();
        let quantity = Quantity { value: share.quantity.normalize(), unit };
        let entry = Entry { item: share.item, ..entry.clone() };
        certificate.follow_ledger();
        journal(tx, certificate, entry, DebitKind::Return, quantity, balance)?;
    }
    Ok(())
}

/// A debit that stands: what one claimed item holds of one item of a certificate.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Holding {
    /// Item of the certificate.
    pub item: u32,
    /// The claimed item, `claim#item`.
    pub claim_item: String,
    /// Number of the decision that debited.
    pub decision: u32,
    /// How much, in the unit of the certificate.
    pub quantity: Quantity,
    /// What was left afterwards.
    #[serde(with = "decimal_text")]
    pub balance: Decimal,
    /// When it was debited, as the ledger has it.
    pub at: Timestamp,
}

/// Returns the debits of a certificate that stand, oldest first, from its newest
/// [`HOLDING_LINES_MAX`] lines; and whether that is all of them.
pub fn holdings(view: &dyn Read, certificate: &str) -> Result<(Vec<Holding>, bool), StoreError> {
    let range = Range::of("by_certificate", vec![certificate.into()], HOLDING_LINES_MAX).reversed();
    Ok(stand(view.select(&range)?))
}

/// Leaves those of the lines, newest first, that were not given back.
fn stand(lines: Vec<Debit>) -> (Vec<Holding>, bool) {
    let whole = lines.len() < HOLDING_LINES_MAX;
    let mut standing: Vec<Holding> = Vec::new();
    for line in lines.into_iter().rev() {
        let same = |held: &Holding| held.item == line.item && held.claim_item == line.claim_item;
        match line.kind {
            DebitKind::Return => standing.retain(|held| !same(held)),
            DebitKind::Debit | DebitKind::Reserve => standing.push(Holding {
                item: line.item,
                claim_item: line.claim_item,
                decision: line.decision,
                quantity: line.quantity,
                balance: line.balance,
                at: line.at,
            }),
        }
    }
    (standing, whole)
}

fn journal(
    tx: &mut dyn Tx,
    certificate: &Certificate,
    entry: Entry,
    kind: DebitKind,
    quantity: Quantity,
    balance: Decimal,
) -> Result<(), LedgerError> {
    let line = Debit {
        line: tx.next(DEBITS.name)?,
        certificate: certificate.id(),
        item: entry.item,
        kind,
        quantity,
        balance,
        claim_item: entry.claim_item,
        decision: entry.decision,
        officer: entry.officer,
        at: entry.at,
    };
    tx.add(&line)?;
    tx.save(certificate)?;
    Ok(carry_over(tx, certificate)?)
}
