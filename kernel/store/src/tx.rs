//! Reading and writing inside one transaction.

use std::ops::Bound;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::queue::{self, Lines};
use crate::{Error, Row, Table, Value};

/// A stretch of one index, in index order.
///
/// `prefix` fixes the first columns, `from` and `to` bound the next one; records with equal index
/// columns come in key order, so when `prefix` fixes every column of the index, `from` and `to`
/// bound the key.
///
/// [`Value::Null`] in `prefix` selects records without a value. A bound never selects them and a
/// bound that is itself [`Value::Null`] selects nothing, as in SQL: what is due before noon leaves
/// out what is never due.
#[derive(Clone, Debug)]
pub struct Range {
    /// Name of the index; `None` is the primary key.
    pub index: Option<&'static str>,
    /// Values that the first columns must equal. Empty for the primary key.
    pub prefix: Vec<Value>,
    /// Lower bound of the next column.
    pub from: Bound<Value>,
    /// Upper bound of the next column.
    pub to: Bound<Value>,
    /// Whether to walk from the end.
    pub reverse: bool,
    /// Most records returned.
    pub limit: usize,
}

impl Range {
    /// The whole table in key order, at most `limit` records.
    pub fn all(limit: usize) -> Self {
        Self {
            index: None,
            prefix: Vec::new(),
            from: Bound::Unbounded,
            to: Bound::Unbounded,
            reverse: false,
            limit,
        }
    }

    /// The records whose first index columns equal `prefix`, at most `limit`.
    pub fn of(index: &'static str, prefix: Vec<Value>, limit: usize) -> Self {
        Self { index: Some(index), prefix, ..Self::all(limit) }
    }

    /// Sets the lower bound, inclusive.
    #[must_use]
    pub fn from(self, value: impl Into<Value>) -> Self {
        Self { from: Bound::Included(value.into()), ..self }
    }

    /// Sets the lower bound, exclusive.
    #[must_use]
    pub fn after(self, value: impl Into<Value>) -> Self {
        Self { from: Bound::Excluded(value.into()), ..self }
    }

    /// Sets the upper bound, inclusive.
    #[must_use]
    pub fn to(self, value: impl Into<Value>) -> Self {
        Self { to: Bound::Included(value.into()), ..self }
    }

    /// Sets the upper bound, exclusive.
    #[must_use]
    pub fn before(self, value: impl Into<Value>) -> Self {
        Self { to: Bound::Excluded(value.into()), ..self }
    }

    /// Walks from the end.
    #[must_use]
    pub fn reversed(self) -> Self {
        Self { reverse: true, ..self }
    }
}

/// The reading half of a transaction: one consistent view.
pub trait Read {
    /// Returns the row with this key.
    fn get(&self, table: &'static Table, key: &Value) -> Result<Option<Row>, Error>;

    /// Returns the rows of a range, in its order.
    fn scan(&self, table: &'static Table, range: &Range) -> Result<Vec<Row>, Error>;

    /// Returns how many rows a range has; its limit and direction do not matter.
    fn count(&self, table: &'static Table, range: &Range) -> Result<u64, Error>;

    /// Returns the last number that a named sequence gave; 0 when it gave none.
    fn last(&self, sequence: &str) -> Result<u64, Error>;
}

/// A transaction: everything written through it becomes durable together or not at all.
pub trait Tx: Read {
    /// Adds a row; refuses an existing key or unique index value with [`Error::Exists`], after
    /// which the transaction goes on unharmed.
    fn insert(&mut self, table: &'static Table, row: &Row) -> Result<(), Error>;

    /// Adds or replaces the row with this key.
    fn put(&mut self, table: &'static Table, row: &Row) -> Result<(), Error>;

    /// Removes the row with this key; returns whether it existed.
    fn delete(&mut self, table: &'static Table, key: &Value) -> Result<bool, Error>;

    /// Removes the rows whose keys are not above `last`; returns how many there were.
    fn delete_to(&mut self, table: &'static Table, last: &Value) -> Result<u64, Error>;

    /// Returns the next number of a named sequence: 1, 2, 3 … without gaps, since a rolled back
    /// transaction gives its numbers back.
    fn next(&mut self, sequence: &str) -> Result<u64, Error>;

    /// Adds a line to a queue and returns its number, the next of the sequence that has the
    /// table's name. The lines of one commit share rows, so a line costs little; they are there
    /// for `lines` once it is committed, not before. A queue is a table without columns that
    /// nothing else writes to; [`delete_to`](Self::delete_to) takes lines away.
    fn append(&mut self, table: &'static Table, line: &str) -> Result<u64, Error> {
        queue::check_line(table, line)?;
        let number = self.next(table.name)?;
        self.insert(table, &queue::row(number, line.as_bytes()))?;
        Ok(number)
    }

    /// Runs `work` so that its changes are undone when it fails, while the rest of the transaction
    /// stays. Returns what `work` returned.
    fn nested(
        &mut self,
        work: &mut dyn FnMut(&mut dyn Tx) -> Result<(), Error>,
    ) -> Result<(), Error>;
}

/// A type kept in one table: some of it in columns, the rest as JSON.
pub trait Record: DeserializeOwned + Serialize {
    /// Where it is kept.
    const TABLE: &'static Table;

    /// Returns its primary key.
    fn key(&self) -> Value;

    /// Returns the values of the table's columns, in its order.
    fn columns(&self) -> Vec<Value>;

    /// Takes what only the columns hold; nothing when the JSON holds everything. Long texts are
    /// better kept in columns: JSON escapes each quote and line end of them.
    fn take_columns(&mut self, _columns: Vec<Value>) {}
}

fn to_row<R: Record>(record: &R) -> Result<Row, Error> {
    let body = serde_json::to_vec(record).map_err(|source| damaged::<R>(&record.key(), source))?;
    Ok(Row { key: record.key(), columns: record.columns(), body })
}

fn from_row<R: Record>(row: Row) -> Result<R, Error> {
    let mut record: R =
        serde_json::from_slice(&row.body).map_err(|source| damaged::<R>(&row.key, source))?;
    record.take_columns(row.columns);
    Ok(record)
}

fn damaged<R: Record>(key: &Value, source: serde_json::Error) -> Error {
    Error::Damaged { table: R::TABLE.name, key: format!("{key:?}"), source }
}

impl dyn Read + '_ {
    /// Returns the oldest lines of a queue, of at most `rows_max` rows and at most `lines_max` of
    /// them, but no less than one row; see [`Tx::append`].
    pub fn lines(
        &self,
        table: &'static Table,
        rows_max: usize,
        lines_max: usize,
    ) -> Result<Lines, Error> {
        queue::read(self, table, rows_max, lines_max)
    }

    /// Returns how many lines a queue has.
    pub fn count_lines(&self, table: &'static Table) -> Result<u64, Error> {
        queue::count(self, table)
    }

    /// Returns the record with this key.
    pub fn find<R: Record>(&self, key: impl Into<Value>) -> Result<Option<R>, Error> {
        self.get(R::TABLE, &key.into())?.map(from_row).transpose()
    }

    /// Returns the records of a range, in its order.
    pub fn select<R: Record>(&self, range: &Range) -> Result<Vec<R>, Error> {
        self.scan(R::TABLE, range)?.into_iter().map(from_row).collect()
    }
}

impl dyn Tx + '_ {
    /// Returns the record with this key.
    pub fn find<R: Record>(&self, key: impl Into<Value>) -> Result<Option<R>, Error> {
        self.get(R::TABLE, &key.into())?.map(from_row).transpose()
    }

    /// Returns the records of a range, in its order.
    pub fn select<R: Record>(&self, range: &Range) -> Result<Vec<R>, Error> {
        self.scan(R::TABLE, range)?.into_iter().map(from_row).collect()
    }

    /// Adds a record; see [`Tx::insert`].
    pub fn add<R: Record>(&mut self, record: &R) -> Result<(), Error> {
        self.insert(R::TABLE, &to_row(record)?)
    }

    /// Adds or replaces a record.
    pub fn save<R: Record>(&mut self, record: &R) -> Result<(), Error> {
        self.put(R::TABLE, &to_row(record)?)
    }

    /// Removes a record; returns whether it existed.
    pub fn remove<R: Record>(&mut self, key: impl Into<Value>) -> Result<bool, Error> {
        self.delete(R::TABLE, &key.into())
    }
}
