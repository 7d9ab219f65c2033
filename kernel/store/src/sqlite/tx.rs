//! Writing through the writer's connection, inside its transaction.
//!
//! Many works share a transaction, and one that fails must leave nothing behind. Each change is
//! remembered with its opposite, and a failed work is undone by applying the opposites from the
//! end. A savepoint would do the same, but copies every page that a work touches, which took a
//! third of the writer's time.
//!
//! Every statement undoes itself when it fails, so a refused row leaves the transaction as it was.
//! SQLite says only that some constraint failed; which one is looked up afterwards, in a fixed
//! order, so that every back end names the same.

use rusqlite::{ErrorCode, OptionalExtension as _, params_from_iter};

use super::session::{Session, read_value};
use super::sql::Shape;
use crate::catalog::check_row;
use crate::queue::check_line;
use crate::{Error, Range, Read, Row, Table, Tx, Value};

/// One work's hold on the transaction.
pub(super) struct SqliteTx<'a> {
    session: &'a Session,
    undo: Vec<Undo>,
}

/// The opposite of a change.
enum Undo {
    /// The row was not there.
    Remove(&'static Table, Value),
    /// The row was another one.
    Update(&'static Table, Row),
    /// The row was there.
    Insert(&'static Table, Row),
    /// The last number of the sequence was this.
    Number(Box<str>, u64),
    /// The queue's last line was not there, and its last number was this.
    Line(&'static Table, u64),
}

impl Read for SqliteTx<'_> {
    fn get(&self, table: &'static Table, key: &Value) -> Result<Option<Row>, Error> {
        self.session.get(table, key)
    }

    fn scan(&self, table: &'static Table, range: &Range) -> Result<Vec<Row>, Error> {
        self.session.scan(table, range)
    }

    fn count(&self, table: &'static Table, range: &Range) -> Result<u64, Error> {
        self.session.count(table, range)
    }

    fn last(&self, sequence: &str) -> Result<u64, Error> {
        self.session.last(sequence)
    }
}

impl Tx for SqliteTx<'_> {
    fn insert(&mut self, table: &'static Table, row: &Row) -> Result<(), Error> {
        self.store(table, row, Shape::Insert)?;
        self.undo.push(Undo::Remove(table, row.key.clone()));
        Ok(())
    }

    fn put(&mut self, table: &'static Table, row: &Row) -> Result<(), Error> {
        let Some(old) = self.session.get(table, &row.key)? else {
            return self.insert(table, row);
        };
        if old == *row {
            return Ok(());
        }
        self.store(table, row, update_of(&old, row))?;
        self.undo.push(Undo::Update(table, old));
        Ok(())
    }

    fn delete(&mut self, table: &'static Table, key: &Value) -> Result<bool, Error> {
        let Some(old) = self.session.get(table, key)? else {
            return Ok(false);
        };
        self.session.remove(table, key)?;
        self.undo.push(Undo::Insert(table, old));
        Ok(true)
    }

    fn delete_to(&mut self, table: &'static Table, last: &Value) -> Result<u64, Error> {
        let old = self.session.scan(table, &Range::all(usize::MAX).to(last.clone()))?;
        let removed = self.session.remove_to(table, last)?;
        self.undo.extend(old.into_iter().map(|row| Undo::Insert(table, row)));
        Ok(removed)
    }

    fn next(&mut self, sequence: &str) -> Result<u64, Error> {
        let last = self.session.reached(sequence)?;
        self.session.reach(sequence, last + 1);
        self.undo.push(Undo::Number(sequence.into(), last));
        Ok(last + 1)
    }

    fn append(&mut self, table: &'static Table, line: &str) -> Result<u64, Error> {
        check_line(table, line)?;
        let table = self.session.table(table)?;
        let last = self.session.reached(table.name)?;
        self.session.reach(table.name, last + 1);
        self.session.append(table, line);
        self.undo.push(Undo::Line(table, last));
        Ok(last + 1)
    }

    fn nested(
        &mut self,
        work: &mut dyn FnMut(&mut dyn Tx) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mark = self.undo.len();
        let result = work(self);
        if result.is_err() {
            self.undo_from(mark)?;
        }
        result
    }
}

/// Returns the statement that makes one row of another with the same key. Columns that stay the
/// same are left out: SQLite would write their index entries anew.
fn update_of(old: &Row, new: &Row) -> Shape {
    if old.columns == new.columns { Shape::Body } else { Shape::Update }
}

impl<'a> SqliteTx<'a> {
    pub(super) fn new(session: &'a Session) -> Self {
        Self { session, undo: Vec::new() }
    }

    /// Undoes all changes.
    pub(super) fn undo(mut self) -> Result<(), Error> {
        self.undo_from(0)
    }

    /// Undoes the changes after the first `mark`. A failure leaves a transaction that must not be
    /// committed, and the session knows it.
    fn undo_from(&mut self, mark: usize) -> Result<(), Error> {
        for undo in self.undo.split_off(mark).into_iter().rev() {
            let undone = match undo {
                Undo::Remove(table, key) => self.session.remove(table, &key).map(drop),
                Undo::Insert(table, row) => self.store(table, &row, Shape::Insert),
                Undo::Update(table, row) => self.store(table, &row, Shape::Update),
                Undo::Number(sequence, last) => {
                    self.session.reach(&sequence, last);
                    Ok(())
                }
                Undo::Line(table, last) => {
                    self.session.reach(table.name, last);
                    self.session.take_back(table);
                    Ok(())
                }
            };
            undone.inspect_err(|error| self.session.broke("undoing a work", error))?;
        }
        Ok(())
    }

    fn store(&self, table: &'static Table, row: &Row, shape: Shape) -> Result<(), Error> {
        let table = self.session.table(table)?;
        check_row(table, row)?;
        match self.session.store(table, row, shape)? {
            Ok(()) => Ok(()),
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
                let found = self.conflict(table, row, shape == Shape::Insert)?;
                Err(found.map_or_else(
                    || self.session.failed("storing a row", error),
                    |what| Error::Exists { table: table.name, what },
                ))
            }
            Err(error) => Err(self.session.failed("storing a row", error)),
        }
    }

    /// Returns what stands in the way of a row: the key, else the first unique index.
    fn conflict(
        &self,
        table: &'static Table,
        row: &Row,
        new: bool,
    ) -> Result<Option<String>, Error> {
        if new && self.session.get(table, &row.key)?.is_some() {
            return Ok(Some("key".to_owned()));
        }
        for (at, index) in table.indexes.iter().enumerate().filter(|(_, index)| index.unique) {
            let mut statement = self.session.statement(table, Shape::Holder(at))?;
            let holder = statement
                .query_row(params_from_iter(table.index_values(index, row)), |row| {
                    read_value(row, 0)
                })
                .optional()
                .map_err(|error| self.session.failed("reading an index", error))?;
            if holder.is_some_and(|key| key != row.key) {
                return Ok(Some(index.name.to_owned()));
            }
        }
        Ok(None)
    }
}
