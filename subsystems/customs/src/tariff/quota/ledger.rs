//! The ledger of quotas in the store: one account for each quota and period, the requests in order
//! of acceptance, and a journal of everything given and taken back.
//!
//! Everything happens in the transaction of the caller, so two offices follow each other and the
//! second one sees what the first one left.

use karvan_store::{Error as StoreError, Index, Range, Read, Record, Table, Tx, Value};
use karvan_types::amount::decimal_text;
use karvan_types::{Date, Decimal, ErrorKind, Quantity, Timestamp};
use serde::{Deserialize, Serialize};

use super::Quota;

/// Most requests of one claimed item.
const REQUESTS_MAX: usize = 100;
/// Most waiting requests read at a time.
const PAGE: usize = 100;
/// Most requests shown of one account.
pub const SHOWN_MAX: usize = 1000;

/// What is left of a quota in one period.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Account {
    /// Key: country, quota and first day.
    pub account: String,
    /// How much the newest version of the tariff sets.
    pub quantity: Quantity,
    /// How much is given.
    #[serde(with = "decimal_text")]
    pub allocated: Decimal,
}

impl Account {
    /// Returns what is left; zero when the quota was made smaller than what had been given.
    pub fn balance(&self) -> Decimal {
        (self.quantity.value - self.allocated).max(Decimal::ZERO).normalize()
    }
}

/// Where accounts are kept.
pub(crate) static ACCOUNTS: Table = Table { name: "customs_quota", columns: &[], indexes: &[] };

impl Record for Account {
    const TABLE: &'static Table = &ACCOUNTS;

    fn key(&self) -> Value {
        self.account.as_str().into()
    }

    fn columns(&self) -> Vec<Value> {
        Vec::new()
    }
}

/// A request for a part of a quota.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// Place in the order of acceptance, rising over all quotas.
    pub number: u64,
    /// The account.
    pub account: String,
    /// The claimed item, `claim#item`.
    pub claim_item: String,
    /// How much it asks for, in the unit of the quota.
    #[serde(with = "decimal_text")]
    pub asked: Decimal,
    /// How much it has.
    #[serde(with = "decimal_text")]
    pub allocated: Decimal,
    /// When it was accepted.
    pub at: Timestamp,
}

/// Where requests are kept.
pub(crate) static REQUESTS: Table = Table {
    name: "customs_quota_request",
    columns: &["account", "claim_item", "waiting"],
    indexes: &[
        Index { name: "by_account", columns: &["account"], unique: false },
        Index { name: "by_claim_item", columns: &["claim_item"], unique: false },
        Index { name: "by_waiting", columns: &["account", "waiting"], unique: false },
    ],
};

impl Record for Request {
    const TABLE: &'static Table = &REQUESTS;

    fn key(&self) -> Value {
        self.number.into()
    }

    fn columns(&self) -> Vec<Value> {
        let waiting = i64::from(self.allocated < self.asked);
        vec![self.account.as_str().into(), self.claim_item.as_str().into(), waiting.into()]
    }
}

/// What a line of the journal records.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LineKind {
    /// A request was accepted; the quantity is what it asks for.
    Request,
    /// A request was given something.
    Allocation,
    /// A request gave something back.
    Return,
    /// A new version of the tariff set another quantity.
    Limit,
}

/// A line of the journal; never changed.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    /// Number, rising over all quotas.
    pub line: u64,
    /// The account.
    pub account: String,
    /// What happened.
    pub kind: LineKind,
    /// The claimed item; absent when the limit changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim_item: Option<String>,
    /// How much.
    pub quantity: Quantity,
    /// What was left afterwards.
    #[serde(with = "decimal_text")]
    pub balance: Decimal,
    /// When.
    pub at: Timestamp,
}

/// Where the journal is kept.
pub(crate) static LINES: Table = Table {
    name: "customs_quota_line",
    columns: &["account"],
    indexes: &[Index { name: "by_account", columns: &["account"], unique: false }],
};

impl Record for Line {
    const TABLE: &'static Table = &LINES;

    fn key(&self) -> Value {
        self.line.into()
    }

    fn columns(&self) -> Vec<Value> {
        vec![self.account.as_str().into()]
    }
}

/// The ledger refuses; nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The day is not in the period.
    #[error("quota {quota} runs from {from} to {until}, not on {day}; take the general rate")]
    Period {
        /// The quota.
        quota: String,
        /// First day.
        from: Date,
        /// Last day.
        until: Date,
        /// The day of the claim.
        day: Date,
    },
    /// Nothing is asked for.
    #[error("a request for a quota is for more than zero; state the quantity")]
    Zero,
    /// The item changed its request too often.
    #[error("{0} has changed its request for a quota too often; file another declaration")]
    TooMany(String),
    /// Storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Error {
    /// Returns what kind of failure this is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Period { .. } | Self::TooMany(_) => ErrorKind::Conflict,
            Self::Zero => ErrorKind::Invalid,
            Self::Store(error) => error.kind(),
        }
    }
}

/// A request that got more, because others gave back or the quota grew.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Served {
    /// The claimed item.
    pub claim_item: String,
    /// How much more it has.
    pub more: Decimal,
}

/// The account of a quota, with the ledger's handles for one act.
struct Book<'a> {
    tx: &'a mut dyn Tx,
    account: Account,
    at: Timestamp,
}

impl<'a> Book<'a> {
    /// Opens the account, under the quantity that the tariff sets now.
    fn open(
        tx: &'a mut dyn Tx,
        country: &str,
        quota: &Quota,
        at: Timestamp,
    ) -> Result<Self, StoreError> {
        let key = quota.account(country);
        let quantity = Quantity { value: quota.quantity, unit: quota.unit.clone() };
        let stored: Option<Account> = tx.find(key.as_str())?;
        let known = stored.as_ref().map(|account| account.quantity.clone());
        let mut account = stored.unwrap_or_else(|| Account {
            account: key,
            quantity: quantity.clone(),
            allocated: Decimal::ZERO,
        });
        account.quantity = quantity.clone();
        let mut book = Self { tx, account, at };
        if known.as_ref() != Some(&quantity) {
            book.write(LineKind::Limit, None, quantity.value)?;
        }
        Ok(book)
    }

    fn write(
        &mut self,
        kind: LineKind,
        claim_item: Option<&str>,
        value: Decimal,
    ) -> Result<(), StoreError> {
        let line = Line {
            line: self.tx.next(LINES.name)?,
            account: self.account.account.clone(),
            kind,
            claim_item: claim_item.map(str::to_owned),
            quantity: Quantity {
                value: value.normalize(),
                unit: self.account.quantity.unit.clone(),
            },
            balance: self.account.balance(),
            at: self.at,
        };
        self.tx.add(&line)?;
        self.tx.save(&self.account)
    }

    /// Gives a request what it still waits for, as far as something is left.
    fn give(&mut self, request: &mut Request) -> Result<Decimal, StoreError> {
        let more = (request.asked - request.allocated).min(self.account.balance());
        if more > Decimal::ZERO {
            request.allocated = (request.allocated + more).normalize();
            self.account.allocated = (self.account.allocated + more).normalize();
            self.write(LineKind::Allocation, Some(&request.claim_item), more)?;
        }
        self.tx.save(request)?;
        Ok(more)
    }

    /// Gives what is left to those who wait, in their order.
    fn serve(&mut self) -> Result<Vec<Served>, StoreError> {
        let mut served: Vec<Served> = Vec::new();
        while self.account.balance() > Decimal::ZERO {
            let prefix = vec![self.account.account.as_str().into(), 1_i64.into()];
            let waiting: Vec<Request> = self.tx.select(&Range::of("by_waiting", prefix, PAGE))?;
            if waiting.is_empty() {
                break;
            }
            // Each one either has all it asked for afterwards, or has taken the last of it.
            for mut request in waiting {
                let more = self.give(&mut request)?;
                if more > Decimal::ZERO {
                    served.push(Served { claim_item: request.claim_item, more });
                }
            }
        }
        Ok(served)
    }

    /// Reduces what a claimed item asks for, its newest requests first.
    fn reduce(&mut self, requests: Vec<Request>, keep: Decimal) -> Result<(), StoreError> {
        let asked: Decimal = requests.iter().map(|request| request.asked).sum();
        let mut excess = asked - keep;
        for mut request in requests.into_iter().rev() {
            if excess <= Decimal::ZERO {
                break;
            }
            let cut = excess.min(request.asked);
            excess -= cut;
            request.asked = (request.asked - cut).normalize();
            let back = (request.allocated - request.asked).max(Decimal::ZERO);
            request.allocated = (request.allocated - back).normalize();
            if back > Decimal::ZERO {
                self.account.allocated = (self.account.allocated - back).normalize();
                self.write(LineKind::Return, Some(&request.claim_item), back)?;
            }
            if request.asked.is_zero() {
                self.tx.remove::<Request>(request.number)?;
            } else {
                self.tx.save(&request)?;
            }
        }
        Ok(())
    }
}

/// What a claimed item asks of a quota.
#[derive(Clone, Copy, Debug)]
pub struct Asking<'a> {
    /// The claimed item, `claim#item`.
    pub claim_item: &'a str,
    /// How much in all, in the unit of the quota.
    pub asked: Decimal,
    /// The day whose rates apply.
    pub day: Date,
}

/// Accepts a request, or changes what the item asked for before: less gives back, more is a new
/// request behind all others. Returns who else was served.
pub fn request(
    tx: &mut dyn Tx,
    country: &str,
    quota: &Quota,
    asking: Asking<'_>,
    at: Timestamp,
) -> Result<Vec<Served>, Error> {
    let Asking { claim_item, asked, day } = asking;
    if asked <= Decimal::ZERO {
        return Err(Error::Zero);
    }
    if day < quota.from || quota.until < day {
        let (quota, from, until) = (quota.id.clone(), quota.from, quota.until);
        return Err(Error::Period { quota, from, until, day });
    }
    let earlier = requests_of(tx, &quota.account(country), claim_item)?;
    if earlier.len() >= REQUESTS_MAX {
        return Err(Error::TooMany(claim_item.to_owned()));
    }
    let before: Decimal = earlier.iter().map(|request| request.asked).sum();
    let mut book = Book::open(tx, country, quota, at)?;
    if asked < before {
        book.reduce(earlier, asked)?;
    }
    // Who waits comes before what is new; also when the quota has grown in the meantime.
    let served = book.serve()?;
    if asked > before {
        let mut request = Request {
            number: book.tx.next(REQUESTS.name)?,
            account: book.account.account.clone(),
            claim_item: claim_item.to_owned(),
            asked: (asked - before).normalize(),
            allocated: Decimal::ZERO,
            at,
        };
        book.write(LineKind::Request, Some(claim_item), request.asked)?;
        book.give(&mut request)?;
    }
    Ok(served)
}

/// Takes every request of a claimed item back, also of quotas that the tariff no longer has, and
/// carries what it had back into its periods. Returns who was served with it.
pub fn release(tx: &mut dyn Tx, claim_item: &str, at: Timestamp) -> Result<Vec<Served>, Error> {
    let range = Range::of("by_claim_item", vec![claim_item.into()], REQUESTS_MAX);
    let mut requests: Vec<Request> = tx.select(&range)?;
    let mut served = Vec::new();
    while let Some(first) = requests.first() {
        let account = first.account.clone();
        let (these, others): (Vec<_>, _) =
            requests.into_iter().partition(|request| request.account == account);
        requests = others;
        let Some(account) = tx.find::<Account>(account)? else { continue };
        let mut book = Book { tx: &mut *tx, account, at };
        book.reduce(these, Decimal::ZERO)?;
        served.extend(book.serve()?);
    }
    Ok(served)
}

/// Takes up the quantity that a new version of the tariff sets. Returns who was served with it.
pub fn serve(
    tx: &mut dyn Tx,
    country: &str,
    quota: &Quota,
    at: Timestamp,
) -> Result<Vec<Served>, Error> {
    Ok(Book::open(tx, country, quota, at)?.serve()?)
}

/// Returns the requests of a claimed item in one account, oldest first.
pub fn requests_of(
    view: &dyn Read,
    account: &str,
    claim_item: &str,
) -> Result<Vec<Request>, StoreError> {
    let range = Range::of("by_claim_item", vec![claim_item.into()], REQUESTS_MAX);
    let mut requests: Vec<Request> = view.select(&range)?;
    requests.retain(|request| request.account == account);
    Ok(requests)
}

/// Returns the accounts in which a claimed item has requests, each once.
pub fn accounts_of(view: &dyn Read, claim_item: &str) -> Result<Vec<String>, StoreError> {
    let range = Range::of("by_claim_item", vec![claim_item.into()], REQUESTS_MAX);
    let requests: Vec<Request> = view.select(&range)?;
    let mut accounts: Vec<String> = requests.into_iter().map(|request| request.account).collect();
    accounts.sort_unstable();
    accounts.dedup();
    Ok(accounts)
}

/// Returns what a claimed item has of a quota.
pub fn allocated(view: &dyn Read, account: &str, claim_item: &str) -> Result<Decimal, StoreError> {
    let requests = requests_of(view, account, claim_item)?;
    Ok(requests.iter().map(|request| request.allocated).sum::<Decimal>().normalize())
}

/// Returns the standing requests of an account in order of acceptance, at most [`SHOWN_MAX`].
pub fn of_account(view: &dyn Read, account: &str) -> Result<Vec<Request>, StoreError> {
    view.select(&Range::of("by_account", vec![account.into()], SHOWN_MAX))
}
