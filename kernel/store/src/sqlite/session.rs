//! A connection with its settings and statements, and reading through it.
//!
//! The text of a statement is made once per table and shape and its preparation is kept by the
//! connection. A session also remembers whether its disk or file failed: SQLite may then have
//! rolled back on its own, so the transaction in hand must not be committed.
//!
//! Not here: writing (`super::tx`), the texts (`super::sql`).

use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{
    CachedStatement, Connection, ErrorCode, OpenFlags, OptionalExtension as _, ToSql,
    params_from_iter,
};

use super::sql::{self, Shape, Stretch};
use crate::catalog::{Catalog, check_key, check_range, check_row};
use crate::queue::Unwritten;
use crate::{Error, Range, Read, Row, Table, Value};

/// Page cache of the writer, in KiB.
const WRITER_CACHE_KIB: u32 = 32 * 1024;
/// Page cache of every other connection, in KiB.
const READER_CACHE_KIB: u32 = 8 * 1024;
/// Prepared statements kept per connection.
const STATEMENTS_MAX: usize = 256;
/// How long to wait for a lock that an operator's tool may hold.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// The write-ahead file is cut back to this after a burst, in bytes (16 MiB).
const LOG_FILE_BYTES_KEPT: u32 = 16 * 1024 * 1024;

/// Opens the connection that writes.
pub(super) fn connect_writer(path: &Path) -> Result<Connection, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
    let connection = connect(path, flags, WRITER_CACHE_KIB)?;
    let mode: String = connection
        .pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))
        .map_err(opening)?;
    if mode != "wal" {
        return Err(Error::backend("setting write-ahead mode", format_args!("mode is {mode}")));
    }
    // WAL with FULL: one fsync per commit, before it becomes visible. Checkpoints are ours.
    connection
        .execute_batch(&format!(
            "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0;
             PRAGMA journal_size_limit = {LOG_FILE_BYTES_KEPT};"
        ))
        .map_err(opening)?;
    Ok(connection)
}

/// Opens a connection that only reads.
pub(super) fn connect_reader(path: &Path) -> Result<Connection, Error> {
    connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY, READER_CACHE_KIB)
}

fn connect(path: &Path, flags: OpenFlags, cache_kib: u32) -> Result<Connection, Error> {
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)
        .map_err(|error| {
            Error::backend("opening the database", format_args!("{}: {error}", path.display()))
        })?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(opening)?;
    connection
        .execute_batch(&format!(
            "PRAGMA cache_size = -{cache_kib}; PRAGMA mmap_size = 0; PRAGMA temp_store = MEMORY;
             PRAGMA trusted_schema = OFF;"
        ))
        .map_err(opening)?;
    // Otherwise SQLite prepares a range anew whenever a value is bound, to plan by that value;
    // there are no statistics by which it could plan better.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map_err(opening)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    Ok(connection)
}

pub(super) fn opening(error: rusqlite::Error) -> Error {
    Error::backend("opening the database", error)
}

/// A connection, the tables it may use and the SQL texts made so far.
#[derive(Debug)]
pub(super) struct Session {
    connection: Connection,
    catalog: Arc<Catalog>,
    texts: RefCell<HashMap<(&'static str, Shape), Arc<str>>>,
    sequences: RefCell<HashMap<Box<str>, Sequence>>,
    /// Lines of queues that the transaction in hand adds.
    unwritten: RefCell<Vec<Unwritten>>,
    /// What failed of the disk or the file, so that the transaction in hand cannot be trusted.
    broken: RefCell<Option<(&'static str, String)>>,
}

/// A sequence in the transaction in hand.
#[derive(Clone, Copy, Debug)]
struct Sequence {
    /// The last number that was taken.
    last: u64,
    /// What the table of sequences says.
    stored: u64,
}

impl Session {
    pub(super) fn new(connection: Connection, catalog: &Arc<Catalog>) -> Self {
        let catalog = Arc::clone(catalog);
        Self {
            connection,
            catalog,
            texts: RefCell::default(),
            sequences: RefCell::default(),
            unwritten: RefCell::default(),
            broken: RefCell::default(),
        }
    }

    /// Fails when the transaction in hand is lost.
    pub(super) fn unbroken(&self) -> Result<(), Error> {
        if let Some((doing, cause)) = self.broken.borrow().as_ref() {
            return Err(Error::backend(doing, cause));
        }
        if self.connection.is_autocommit() {
            return Err(Error::backend("writing", "SQLite rolled the transaction back"));
        }
        Ok(())
    }

    /// Runs a statement of transaction control.
    pub(super) fn control(&self, sql: &'static str) -> Result<(), Error> {
        let run = || self.connection.prepare_cached(sql)?.execute([]);
        run().map(drop).map_err(|error| {
            self.broke(sql, &error);
            Error::backend(sql, error)
        })
    }

    /// Remembers that the transaction in hand is lost.
    pub(super) fn broke(&self, doing: &'static str, error: &dyn std::fmt::Display) {
        self.broken.borrow_mut().get_or_insert_with(|| (doing, error.to_string()));
    }

    /// Returns the last number of a sequence, which from now on is known without reading.
    pub(super) fn reached(&self, sequence: &str) -> Result<u64, Error> {
        if let Some(known) = self.sequences.borrow().get(sequence) {
            return Ok(known.last);
        }
        let last = self.last(sequence)?;
        let known = Sequence { last, stored: last };
        self.sequences.borrow_mut().insert(sequence.into(), known);
        Ok(last)
    }

    /// Sets the last number of a sequence that was asked for.
    pub(super) fn reach(&self, sequence: &str, last: u64) {
        if let Some(known) = self.sequences.borrow_mut().get_mut(sequence) {
            known.last = last;
        }
    }

    /// Adds a line to a queue; its number is reached already.
    pub(super) fn append(&self, table: &'static Table, line: &str) {
        let mut all = self.unwritten.borrow_mut();
        if let Some(known) = all.iter_mut().find(|known| known.table.name == table.name) {
            known.push(line);
            return;
        }
        let mut new = Unwritten::new(table);
        new.push(line);
        all.push(new);
    }

    /// Takes back the line of a queue that was added last.
    pub(super) fn take_back(&self, table: &'static Table) {
        let mut all = self.unwritten.borrow_mut();
        if let Some(unwritten) = all.iter_mut().find(|unwritten| unwritten.table.name == table.name)
        {
            unwritten.pop();
        }
    }

    /// Writes what the works of the transaction in hand share: lines of queues and sequences.
    pub(super) fn write_shared(&self) -> Result<(), Error> {
        for unwritten in self.unwritten.borrow_mut().iter_mut() {
            for row in unwritten.take_rows(self.last(unwritten.table.name)?) {
                check_row(unwritten.table, &row)?;
                self.store(unwritten.table, &row, Shape::Insert)?
                    .map_err(|error| self.failed("storing lines", error))?;
            }
        }
        self.write_sequences()
    }

    /// Stores a row. The inner error is SQLite's own.
    pub(super) fn store(
        &self,
        table: &'static Table,
        row: &Row,
        shape: Shape,
    ) -> Result<rusqlite::Result<()>, Error> {
        let body = Body(&row.body);
        let columns = if shape == Shape::Body { &[] } else { row.columns.as_slice() };
        let values = [&row.key as &dyn ToSql]
            .into_iter()
            .chain(columns.iter().map(|column| column as &dyn ToSql))
            .chain([&body as &dyn ToSql]);
        let mut statement = self.statement(table, shape)?;
        Ok(statement.execute(params_from_iter(values)).map(drop))
    }

    fn write_sequences(&self) -> Result<(), Error> {
        for (name, known) in self.sequences.borrow_mut().iter_mut() {
            if known.last == known.stored {
                continue;
            }
            let last = i64::try_from(known.last).unwrap_or(i64::MAX);
            let run = || self.connection.prepare_cached(sql::REACH)?.execute((name, last));
            run().map_err(|error| self.failed("numbering", error))?;
            known.stored = known.last;
        }
        Ok(())
    }

    /// Removes a row; returns whether it was there.
    pub(super) fn remove(&self, table: &'static Table, key: &Value) -> Result<bool, Error> {
        Ok(self.remove_by(table, Shape::Delete, key)? > 0)
    }

    /// Removes the rows up to a key; returns how many there were.
    pub(super) fn remove_to(&self, table: &'static Table, last: &Value) -> Result<u64, Error> {
        self.remove_by(table, Shape::DeleteTo, last)
    }

    fn remove_by(&self, table: &'static Table, shape: Shape, key: &Value) -> Result<u64, Error> {
        let table = self.table(table)?;
        check_key(table, key)?;
        let removed = self.statement(table, shape)?.execute([key]);
        removed.map(|rows| rows as u64).map_err(|error| self.failed("removing a row", error))
    }

    /// Copies what it can of the write-ahead log into the database file, waiting for nobody.
    pub(super) fn checkpoint(connection: &Connection) -> rusqlite::Result<()> {
        connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(super) fn table(&self, table: &'static Table) -> Result<&'static Table, Error> {
        self.catalog.table(table.name)
    }

    pub(super) fn statement(
        &self,
        table: &'static Table,
        shape: Shape,
    ) -> Result<CachedStatement<'_>, Error> {
        let mut texts = self.texts.borrow_mut();
        let text =
            texts.entry((table.name, shape)).or_insert_with(|| Arc::from(sql::text(table, shape)));
        self.connection.prepare_cached(text).map_err(|error| self.failed("preparing SQL", error))
    }

    /// Turns an error of SQLite into ours, and remembers those that void the transaction.
    pub(super) fn failed(&self, doing: &'static str, error: rusqlite::Error) -> Error {
        let lost = matches!(
            error.sqlite_error_code(),
            Some(
                ErrorCode::SystemIoFailure
                    | ErrorCode::DatabaseCorrupt
                    | ErrorCode::DiskFull
                    | ErrorCode::CannotOpen
                    | ErrorCode::FileLockingProtocolFailed
                    | ErrorCode::NotADatabase
                    | ErrorCode::OutOfMemory
                    | ErrorCode::ReadOnly
            )
        );
        if lost {
            self.broke(doing, &error);
        }
        Error::backend(doing, error)
    }

    fn stretch(table: &'static Table, range: &Range) -> Result<Stretch, Error> {
        let comparison = |bound: &Bound<Value>, inclusive, exclusive| match bound {
            Bound::Included(_) => Some(inclusive),
            Bound::Excluded(_) => Some(exclusive),
            Bound::Unbounded => None,
        };
        Ok(Stretch {
            index: check_range(table, range)?.map(|(at, _)| at),
            prefix: range.prefix.len(),
            from: comparison(&range.from, ">=", ">"),
            to: comparison(&range.to, "<=", "<"),
            reverse: range.reverse,
        })
    }
}

/// The values that a range binds, in the order of its SQL.
fn values(range: &Range) -> impl Iterator<Item = &Value> {
    let bounds = [&range.from, &range.to].into_iter().filter_map(|bound| match bound {
        Bound::Included(value) | Bound::Excluded(value) => Some(value),
        Bound::Unbounded => None,
    });
    range.prefix.iter().chain(bounds)
}

impl Read for Session {
    fn get(&self, table: &'static Table, key: &Value) -> Result<Option<Row>, Error> {
        let table = self.table(table)?;
        check_key(table, key)?;
        let mut statement = self.statement(table, Shape::Get)?;
        statement
            .query_row([key], |row| read_row(table, row))
            .optional()
            .map_err(|error| self.failed("reading a row", error))
    }

    fn scan(&self, table: &'static Table, range: &Range) -> Result<Vec<Row>, Error> {
        let table = self.table(table)?;
        let mut statement = self.statement(table, Shape::Scan(Self::stretch(table, range)?))?;
        let limit = Value::Int(i64::try_from(range.limit).unwrap_or(i64::MAX));
        let rows = statement
            .query_map(params_from_iter(values(range).chain([&limit])), |row| read_row(table, row));
        rows.and_then(Iterator::collect).map_err(|error| self.failed("reading a range", error))
    }

    fn count(&self, table: &'static Table, range: &Range) -> Result<u64, Error> {
        let table = self.table(table)?;
        let stretch = Stretch { reverse: false, ..Self::stretch(table, range)? };
        let mut statement = self.statement(table, Shape::Count(stretch))?;
        statement
            .query_row(params_from_iter(values(range)), |row| row.get::<_, i64>(0))
            .map(i64::unsigned_abs)
            .map_err(|error| self.failed("counting a range", error))
    }

    fn last(&self, sequence: &str) -> Result<u64, Error> {
        if let Some(known) = self.sequences.borrow().get(sequence) {
            return Ok(known.last);
        }
        let run = || {
            let mut reached = self.connection.prepare_cached(sql::REACHED)?;
            reached.query_row([sequence], |row| row.get::<_, i64>(0)).optional()
        };
        let stored = run().map_err(|error| self.failed("numbering", error))?;
        Ok(stored.unwrap_or(0).unsigned_abs())
    }
}

fn read_row(table: &Table, row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    let width = table.columns.len();
    let columns = (1..=width).map(|i| read_value(row, i)).collect::<rusqlite::Result<_>>()?;
    let body = match row.get_ref(width + 1)? {
        ValueRef::Text(body) | ValueRef::Blob(body) => body.to_vec(),
        other => return Err(odd(width + 1, other)),
    };
    Ok(Row { key: read_value(row, 0)?, columns, body })
}

pub(super) fn read_value(row: &rusqlite::Row<'_>, at: usize) -> rusqlite::Result<Value> {
    Ok(match row.get_ref(at)? {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::Int(number),
        text @ ValueRef::Text(_) => Value::Text(text.as_str()?.to_owned()),
        ValueRef::Blob(bytes) => Value::Bytes(bytes.to_vec()),
        other @ ValueRef::Real(_) => return Err(odd(at, other)),
    })
}

/// A value that this store never writes.
fn odd(at: usize, value: ValueRef<'_>) -> rusqlite::Error {
    rusqlite::Error::InvalidColumnType(at, "value".to_owned(), value.data_type())
}

/// A body: text where it is UTF-8, so that an operator's tool shows JSON as JSON.
struct Body<'a>(&'a [u8]);

impl ToSql for Body<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let text = std::str::from_utf8(self.0).is_ok();
        let value = if text { ValueRef::Text(self.0) } else { ValueRef::Blob(self.0) };
        Ok(ToSqlOutput::Borrowed(value))
    }
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Int(number) => ValueRef::Integer(*number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Bytes(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::StatementStatus;

    use super::*;
    use crate::contract::ITEM;

    /// A lost setting would lose data only when the power fails, where no other test looks.
    #[test]
    fn connections_are_set_up_for_durability() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("state.db");
        let writer = connect_writer(&path).expect("opens");
        let reader = connect_reader(&path).expect("opens");
        let check = |connection: &Connection, pragma: &str, expected: &str| {
            let value: rusqlite::types::Value =
                connection.pragma_query_value(None, pragma, |row| row.get(0)).expect("is set");
            assert_eq!(format!("{value:?}"), expected, "{pragma}");
        };
        check(&writer, "journal_mode", r#"Text("wal")"#);
        check(&writer, "synchronous", "Integer(2)");
        check(&writer, "wal_autocheckpoint", "Integer(0)");
        for connection in [&writer, &reader] {
            check(connection, "mmap_size", "Integer(0)");
            check(connection, "busy_timeout", "Integer(10000)");
        }
        assert!(reader.execute_batch("CREATE TABLE t (a)").is_err(), "a reader cannot write");
    }

    /// A range is prepared once, however many values are bound to it.
    #[test]
    fn values_prepare_nothing_anew() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let connection = connect_writer(&folder.path().join("state.db")).expect("opens");
        connection.execute_batch(&sql::create(&ITEM)).expect("the table is made");
        let index = Some(0);
        let stretch = Stretch { index, prefix: 1, from: None, to: None, reverse: false };
        let text = sql::text(&ITEM, Shape::Scan(stretch));
        let mut statement = connection.prepare(&text).expect("prepares");
        for kind in ["a", "b", "c"] {
            let mut rows = statement.query((kind, 5)).expect("binds");
            assert!(rows.next().expect("runs").is_none(), "{kind}");
        }
        assert_eq!(statement.get_status(StatementStatus::RePrepare), 0);
    }
}
