//! Rates as kept at the node.

use karvan_store::{Error as StoreError, Index, Range, Read, Record, Table, Tx, Value};
use karvan_types::{Date, Digest, Timestamp};
use serde::{Deserialize, Serialize};

use super::load::{Error, Rate, RateTable};
use super::{RATES_MAX, Used};
use crate::messages::text::date;

/// Most imports that are listed.
const TABLES_MAX: usize = 1000;

/// A rate as kept.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Stored {
    /// The currency of the table.
    pub base: String,
    /// The rate.
    pub rate: Rate,
    /// SHA-256 of the file.
    pub digest: Digest,
}

/// Where rates are kept.
pub(crate) static RATES: Table = Table {
    name: "customs_rate",
    columns: &["base", "currency", "first_day"],
    indexes: &[Index { name: "by_day", columns: &["base", "currency", "first_day"], unique: true }],
};

impl Record for Stored {
    const TABLE: &'static Table = &RATES;

    fn key(&self) -> Value {
        key(&self.base, &self.rate).into()
    }

    fn columns(&self) -> Vec<Value> {
        vec![
            self.base.as_str().into(),
            self.rate.currency.as_str().into(),
            self.rate.from.to_string().into(),
        ]
    }
}

fn key(base: &str, rate: &Rate) -> String {
    format!("{base} {} {}", rate.currency, rate.from)
}

/// A file that was imported.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TableRecord {
    /// Name of the version.
    pub version: String,
    /// The day on which it was published.
    #[serde(with = "date")]
    pub published: Date,
    /// Who published it.
    pub authority: String,
    /// The currency of the table.
    pub currency: String,
    /// SHA-256 of the file.
    pub digest: Digest,
    /// How many rates it holds.
    pub rates: usize,
    /// When it was imported.
    pub at: Timestamp,
    /// Who imported it.
    pub by: String,
}

/// Where imports are kept.
pub(crate) static TABLES: Table = Table {
    name: "customs_rate_table",
    columns: &["currency", "published"],
    indexes: &[Index { name: "by_currency", columns: &["currency", "published"], unique: false }],
};

impl Record for TableRecord {
    const TABLE: &'static Table = &TABLES;

    fn key(&self) -> Value {
        self.digest.to_string().into()
    }

    fn columns(&self) -> Vec<Value> {
        vec![self.currency.as_str().into(), self.published.to_string().into()]
    }
}

/// What came of an import.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The file as recorded.
    pub record: TableRecord,
    /// How many of its rates are new here.
    pub new: usize,
    /// Whether the same file was here before.
    pub duplicate: bool,
}

/// Keeps the rates of a file. A rate that is here with the same value is passed over; with another
/// value, the whole file is refused.
pub fn import(tx: &mut dyn Tx, text: &str, by: &str, at: Timestamp) -> Result<Imported, Error> {
    let table = RateTable::check(text)?;
    if let Some(record) = tx.find::<TableRecord>(table.digest.to_string())? {
        return Ok(Imported { record, new: 0, duplicate: true });
    }
    let mut new = 0;
    for rate in &table.rates {
        match tx.find::<Stored>(key(&table.currency, rate))? {
            Some(here) if is_same(&here.rate, rate) => {}
            Some(here) => {
                let told = |rate: &Rate| format!("{} for {}", rate.value, rate.units);
                return Err(Error::Changed {
                    currency: rate.currency.clone(),
                    from: rate.from,
                    here: told(&here.rate),
                    found: told(rate),
                });
            }
            None => {
                let (base, rate) = (table.currency.clone(), rate.clone());
                tx.add(&Stored { base, rate, digest: table.digest })?;
                new += 1;
            }
        }
    }
    let record = TableRecord {
        version: table.version,
        published: table.published,
        authority: table.authority,
        currency: table.currency,
        digest: table.digest,
        rates: table.rates.len(),
        at,
        by: by.to_owned(),
    };
    tx.add(&record)?;
    Ok(Imported { record, new, duplicate: false })
}

fn is_same(a: &Rate, b: &Rate) -> bool {
    (a.units, a.value, a.until) == (b.units, b.value, b.until)
}

/// Returns the imported files of a currency, newest first.
pub fn tables(view: &dyn Read, currency: &str) -> Result<Vec<TableRecord>, StoreError> {
    view.select(&Range::of("by_currency", vec![currency.into()], TABLES_MAX).reversed())
}

/// Returns the kept rates of a currency against `base`, newest first, at most `limit`.
pub fn rates_of(
    view: &dyn Read,
    base: &str,
    currency: &str,
    limit: usize,
) -> Result<Vec<Stored>, StoreError> {
    let prefix = vec![base.into(), currency.into()];
    view.select(&Range::of("by_day", prefix, limit.min(RATES_MAX)).reversed())
}

/// Returns the rate of a currency against `base` that holds on `day`.
pub(super) fn rate_on(
    view: &dyn Read,
    base: &str,
    currency: &str,
    day: Date,
) -> Result<Option<Used>, StoreError> {
    let prefix = vec![base.into(), currency.into()];
    let range = Range::of("by_day", prefix, 1).to(day.to_string()).reversed();
    let newest = view.select::<Stored>(&range)?.pop();
    Ok(newest.filter(|stored| stored.rate.holds_on(day, false)).map(|s| s.rate.used(base)))
}
