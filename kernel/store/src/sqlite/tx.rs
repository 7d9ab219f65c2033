//! Writing through the writer's connection, inside its transaction.
//!
//! Every statement undoes itself when it fails, so a refused row leaves the transaction as it was.
//! SQLite says only that some constraint failed; which one is looked up afterwards, in a fixed
//! order, so that every back end names the same.

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{ErrorCode, OptionalExtension as _, ToSql, params_from_iter};

use super::session::{Session, read_value};
use super::sql::{self, Shape};
use crate::catalog::{check_key, check_row};
use crate::{Error, Range, Read, Row, Table, Tx, Value};

/// One work's hold on the transaction.
pub(super) struct SqliteTx<'a>(pub(super) &'a Session);

/// A body: text where it is UTF-8, so that an operator's tool shows JSON as JSON.
struct Body<'a>(&'a [u8]);

impl ToSql for Body<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let text = std::str::from_utf8(self.0).is_ok();
        let value = if text { ValueRef::Text(self.0) } else { ValueRef::Blob(self.0) };
        Ok(ToSqlOutput::Borrowed(value))
    }
}

impl Read for SqliteTx<'_> {
    fn get(&self, table: &'static Table, key: &Value) -> Result<Option<Row>, Error> {
        self.0.get(table, key)
    }

    fn scan(&self, table: &'static Table, range: &Range) -> Result<Vec<Row>, Error> {
        self.0.scan(table, range)
    }

    fn count(&self, table: &'static Table, range: &Range) -> Result<u64, Error> {
        self.0.count(table, range)
    }
}

impl Tx for SqliteTx<'_> {
    fn insert(&mut self, table: &'static Table, row: &Row) -> Result<(), Error> {
        self.store(table, row, Shape::Insert)
    }

    fn put(&mut self, table: &'static Table, row: &Row) -> Result<(), Error> {
        self.store(table, row, Shape::Put)
    }

    fn delete(&mut self, table: &'static Table, key: &Value) -> Result<bool, Error> {
        let table = self.0.table(table)?;
        check_key(table, key)?;
        let removed = self.0.statement(table, Shape::Delete)?.execute([key]);
        removed.map(|rows| rows > 0).map_err(|error| self.0.failed("removing a row", error))
    }

    fn next(&mut self, sequence: &str) -> Result<u64, Error> {
        let run = || {
            let connection = self.0.connection();
            if connection.prepare_cached(sql::STEP)?.execute([sequence])? == 0 {
                connection.prepare_cached(sql::BEGIN_SEQUENCE)?.execute([sequence])?;
            }
            let mut reached = connection.prepare_cached(sql::REACHED)?;
            reached.query_row([sequence], |row| row.get::<_, i64>(0))
        };
        run().map(i64::unsigned_abs).map_err(|error| self.0.failed("numbering", error))
    }

    fn nested(
        &mut self,
        work: &mut dyn FnMut(&mut dyn Tx) -> Result<(), Error>,
    ) -> Result<(), Error> {
        // SQLite looks for the innermost savepoint of a name, so one name serves every depth.
        self.0.control("SAVEPOINT nested")?;
        let result = work(self);
        if result.is_err() {
            self.0.control("ROLLBACK TO nested")?;
        }
        self.0.control("RELEASE nested")?;
        result
    }
}

impl SqliteTx<'_> {
    fn store(&mut self, table: &'static Table, row: &Row, shape: Shape) -> Result<(), Error> {
        let table = self.0.table(table)?;
        check_row(table, row)?;
        let body = Body(&row.body);
        let values = [&row.key as &dyn ToSql]
            .into_iter()
            .chain(row.columns.iter().map(|column| column as &dyn ToSql))
            .chain([&body as &dyn ToSql]);
        let stored = self.0.statement(table, shape)?.execute(params_from_iter(values));
        match stored {
            Ok(_) => Ok(()),
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
                let found = self.conflict(table, row, shape == Shape::Insert)?;
                Err(found.map_or_else(
                    || self.0.failed("storing a row", error),
                    |what| Error::Exists { table: table.name, what },
                ))
            }
            Err(error) => Err(self.0.failed("storing a row", error)),
        }
    }

    /// Returns what stands in the way of a row: the key, else the first unique index.
    fn conflict(
        &self,
        table: &'static Table,
        row: &Row,
        new: bool,
    ) -> Result<Option<String>, Error> {
        if new && self.0.get(table, &row.key)?.is_some() {
            return Ok(Some("key".to_owned()));
        }
        for (at, index) in table.indexes.iter().enumerate().filter(|(_, index)| index.unique) {
            let mut statement = self.0.statement(table, Shape::Holder(at))?;
            let holder = statement
                .query_row(params_from_iter(table.index_values(index, row)), |row| {
                    read_value(row, 0)
                })
                .optional()
                .map_err(|error| self.0.failed("reading an index", error))?;
            if holder.is_some_and(|key| key != row.key) {
                return Ok(Some(index.name.to_owned()));
            }
        }
        Ok(None)
    }
}
