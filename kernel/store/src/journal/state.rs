//! The tables in memory, and a transaction on them.
//!
//! A change is applied at once and its opposite remembered; undoing applies the opposites from the
//! end.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use karvan_types::Digest;

use crate::catalog::{Catalog, check_key, check_range, check_row};
use crate::{Error, Range, Read, Row, Table, Tx, Value};

/// One change of the state.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Change {
    /// The row of a table with this key is this.
    Put(Cow<'static, str>, Row),
    /// A table has no row with this key.
    Delete(Cow<'static, str>, Value),
    /// The last number of a sequence; 0 for none.
    Number(String, u64),
    /// A migration was applied.
    Migration(String, Digest),
}

/// A change and what undoes it.
pub(super) struct Step {
    pub(super) made: Change,
    undo: Change,
}

/// All tables and sequences.
pub(super) struct State {
    catalog: Catalog,
    tables: BTreeMap<&'static str, Records>,
    sequences: BTreeMap<String, u64>,
}

struct Records {
    table: &'static Table,
    rows: BTreeMap<Value, (Vec<Value>, Vec<u8>)>,
    /// Per index of the table: its columns, then the key.
    indexes: Vec<BTreeSet<Vec<Value>>>,
}

impl State {
    pub(super) fn new(catalog: Catalog) -> Self {
        let tables = catalog.tables().map(|table| {
            let indexes = vec![BTreeSet::new(); table.indexes.len()];
            (table.name, Records { table, rows: BTreeMap::new(), indexes })
        });
        Self { tables: tables.collect(), catalog, sequences: BTreeMap::new() }
    }

    /// Makes a change and returns its opposite.
    pub(super) fn apply(&mut self, change: Change) -> Result<Change, Error> {
        Ok(match change {
            Change::Put(name, row) => {
                let rows = self.rows_mut(&name)?;
                let key = row.key.clone();
                match rows.replace(&key, Some(row)) {
                    Some(old) => Change::Put(name, old),
                    None => Change::Delete(name, key),
                }
            }
            Change::Delete(name, key) => match self.rows_mut(&name)?.replace(&key, None) {
                Some(old) => Change::Put(name, old),
                None => Change::Delete(name, key),
            },
            Change::Number(name, value) => {
                let old = self.sequences.insert(name.clone(), value).unwrap_or(0);
                Change::Number(name, old)
            }
            migration @ Change::Migration(..) => migration,
        })
    }

    /// Undoes steps, the last one first.
    pub(super) fn undo(&mut self, steps: Vec<Step>) {
        for step in steps.into_iter().rev() {
            // The opposite of what was applied names the same table, which is there.
            let _ = self.apply(step.undo);
        }
    }

    fn rows_mut(&mut self, name: &str) -> Result<&mut Records, Error> {
        self.tables.get_mut(name).ok_or_else(|| {
            Error::backend(
                "reading the journal",
                format_args!("it fills table {name}, which no migration creates"),
            )
        })
    }

    fn rows(&self, table: &'static Table) -> Result<&Records, Error> {
        let table = self.catalog.table(table.name)?;
        self.tables.get(table.name).ok_or(Error::Stopped)
    }
}

impl Records {
    /// Puts `new` in the place of the row with this key, and returns the old one.
    fn replace(&mut self, key: &Value, new: Option<Row>) -> Option<Row> {
        let old = self.rows.remove(key).map(|(columns, body)| {
            let key = key.clone();
            Row { key, columns, body }
        });
        for (index, entries) in self.table.indexes.iter().zip(&mut self.indexes) {
            let entry = |row: &Row| -> Vec<Value> {
                self.table.index_values(index, row).chain([&row.key]).cloned().collect()
            };
            if let Some(old) = &old {
                entries.remove(&entry(old));
            }
            entries.extend(new.as_ref().map(entry));
        }
        if let Some(Row { key, columns, body }) = new {
            self.rows.insert(key, (columns, body));
        }
        old
    }

    fn row(&self, key: &Value) -> Option<Row> {
        let (columns, body) = self.rows.get(key)?;
        Some(Row { key: key.clone(), columns: columns.clone(), body: body.clone() })
    }

    /// Returns the keys of a range, in its order, without its limit.
    fn keys(&self, range: &Range) -> Result<Vec<&Value>, Error> {
        let mut keys: Vec<&Value> = match check_range(self.table, range)? {
            None => self.rows.keys().filter(|key| within(key, range)).collect(),
            Some((at, _)) => {
                let fixed = range.prefix.len();
                let from = Bound::Included(range.prefix.clone());
                self.indexes
                    .get(at)
                    .into_iter()
                    .flat_map(|entries| entries.range((from.clone(), Bound::Unbounded)))
                    .take_while(|entry| entry.starts_with(&range.prefix))
                    .filter(|entry| entry.get(fixed).is_some_and(|next| within(next, range)))
                    .filter_map(|entry| entry.last())
                    .collect()
            }
        };
        if range.reverse {
            keys.reverse();
        }
        Ok(keys)
    }

    /// Returns what stands in the way of a row: the key, else the first unique index.
    fn conflict(&self, row: &Row, new: bool) -> Option<String> {
        if new && self.rows.contains_key(&row.key) {
            return Some("key".to_owned());
        }
        let indexes = self.table.indexes.iter().zip(&self.indexes);
        for (index, entries) in indexes.filter(|(index, _)| index.unique) {
            let values: Vec<Value> = self.table.index_values(index, row).cloned().collect();
            if values.contains(&Value::Null) {
                continue;
            }
            let from = Bound::Included(values.clone());
            let holder = entries.range((from, Bound::Unbounded)).next();
            let holder = holder.filter(|entry| entry.starts_with(&values));
            if holder.is_some_and(|entry| entry.last() != Some(&row.key)) {
                return Some(index.name.to_owned());
            }
        }
        None
    }
}

/// Whether a value lies within the bounds of a range, as SQL compares: never when a side is NULL.
fn within(value: &Value, range: &Range) -> bool {
    let compare = |bound: &Bound<Value>, included: &dyn Fn(&Value) -> bool| match bound {
        Bound::Unbounded => true,
        Bound::Included(bound) | Bound::Excluded(bound)
            if *bound == Value::Null || *value == Value::Null =>
        {
            false
        }
        Bound::Included(bound) => value == bound || included(bound),
        Bound::Excluded(bound) => included(bound),
    };
    compare(&range.from, &|from| value > from) && compare(&range.to, &|to| value < to)
}

impl Read for State {
    fn get(&self, table: &'static Table, key: &Value) -> Result<Option<Row>, Error> {
        check_key(table, key)?;
        Ok(self.rows(table)?.row(key))
    }

    fn scan(&self, table: &'static Table, range: &Range) -> Result<Vec<Row>, Error> {
        let rows = self.rows(table)?;
        let keys = rows.keys(range)?;
        Ok(keys.into_iter().take(range.limit).filter_map(|key| rows.row(key)).collect())
    }

    fn count(&self, table: &'static Table, range: &Range) -> Result<u64, Error> {
        Ok(self.rows(table)?.keys(range)?.len() as u64)
    }

    fn last(&self, sequence: &str) -> Result<u64, Error> {
        Ok(self.sequences.get(sequence).copied().unwrap_or(0))
    }
}

/// A transaction in hand.
pub(super) struct JournalTx<'a> {
    state: &'a mut State,
    steps: Vec<Step>,
}

impl<'a> JournalTx<'a> {
    pub(super) fn new(state: &'a mut State) -> Self {
        Self { state, steps: Vec::new() }
    }

    /// Ends it and returns its steps, applied.
    pub(super) fn finish(self) -> Vec<Step> {
        self.steps
    }

    fn make(&mut self, change: Change) -> Result<(), Error> {
        let undo = self.state.apply(change.clone())?;
        self.steps.push(Step { made: change, undo });
        Ok(())
    }

    fn store(&mut self, table: &'static Table, row: &Row, new: bool) -> Result<(), Error> {
        let rows = self.state.rows(table)?;
        let table = rows.table;
        check_row(table, row)?;
        if let Some(what) = rows.conflict(row, new) {
            return Err(Error::Exists { table: table.name, what });
        }
        self.make(Change::Put(table.name.into(), row.clone()))
    }
}

impl Read for JournalTx<'_> {
    fn get(&self, table: &'static Table, key: &Value) -> Result<Option<Row>, Error> {
        self.state.get(table, key)
    }

    fn scan(&self, table: &'static Table, range: &Range) -> Result<Vec<Row>, Error> {
        self.state.scan(table, range)
    }

    fn count(&self, table: &'static Table, range: &Range) -> Result<u64, Error> {
        self.state.count(table, range)
    }

    fn last(&self, sequence: &str) -> Result<u64, Error> {
        self.state.last(sequence)
    }
}

impl Tx for JournalTx<'_> {
    fn insert(&mut self, table: &'static Table, row: &Row) -> Result<(), Error> {
        self.store(table, row, true)
    }

    fn put(&mut self, table: &'static Table, row: &Row) -> Result<(), Error> {
        self.store(table, row, false)
    }

    fn delete(&mut self, table: &'static Table, key: &Value) -> Result<bool, Error> {
        check_key(table, key)?;
        let rows = self.state.rows(table)?;
        let found = rows.rows.contains_key(key);
        if found {
            self.make(Change::Delete(rows.table.name.into(), key.clone()))?;
        }
        Ok(found)
    }

    fn delete_to(&mut self, table: &'static Table, last: &Value) -> Result<u64, Error> {
        check_key(table, last)?;
        let rows = self.state.scan(table, &Range::all(usize::MAX).to(last.clone()))?;
        for row in &rows {
            self.delete(table, &row.key)?;
        }
        Ok(rows.len() as u64)
    }

    fn next(&mut self, sequence: &str) -> Result<u64, Error> {
        let number = self.state.last(sequence)? + 1;
        self.make(Change::Number(sequence.to_owned(), number))?;
        Ok(number)
    }

    fn nested(
        &mut self,
        work: &mut dyn FnMut(&mut dyn Tx) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mark = self.steps.len();
        let result = work(self);
        if result.is_err() {
            let steps = self.steps.split_off(mark);
            self.state.undo(steps);
        }
        result
    }
}
