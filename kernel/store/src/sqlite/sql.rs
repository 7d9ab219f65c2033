//! The SQL of every operation, made from a table's definition.
//!
//! Only names go into the text, and those were checked by `Catalog::of`; values are always bound.

use std::fmt::Write as _;

use crate::{Index, Table};

/// Which statement; with the table's name it fixes the text.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum Shape {
    /// One row by key.
    Get,
    /// A new row.
    Insert,
    /// New columns and a new body of the row with this key.
    Update,
    /// A new body of the row with this key.
    Body,
    /// Away with a row by key.
    Delete,
    /// Away with the rows up to a key.
    DeleteTo,
    /// The key of the row that holds the values of the unique index at this position.
    Holder(usize),
    /// The rows of a range.
    Scan(Stretch),
    /// How many rows a range has.
    Count(Stretch),
}

/// The form of a range without its values.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) struct Stretch {
    /// Position of the index; `None` is the key.
    pub(super) index: Option<usize>,
    /// How many leading columns are fixed.
    pub(super) prefix: usize,
    /// Comparison of the lower bound.
    pub(super) from: Option<&'static str>,
    /// Comparison of the upper bound.
    pub(super) to: Option<&'static str>,
    /// Whether to walk from the end.
    pub(super) reverse: bool,
}

/// The store's own tables.
pub(super) const OWN_TABLES: &str = "
    CREATE TABLE IF NOT EXISTS store_migration (
        id TEXT NOT NULL PRIMARY KEY, digest TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS store_sequence (
        name TEXT NOT NULL PRIMARY KEY, value INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;";

/// Sets the number that a sequence has reached.
pub(super) const REACH: &str = "INSERT INTO store_sequence VALUES (?1, ?2)
    ON CONFLICT (name) DO UPDATE SET value = excluded.value";
/// The number that a sequence has reached.
pub(super) const REACHED: &str = "SELECT value FROM store_sequence WHERE name = ?1";

/// Returns the statements that create a table and its indexes.
pub(super) fn create(table: &Table) -> String {
    let columns = each(table.columns, |c| format!(", \"{c}\" ANY")).concat();
    let mut sql = format!(
        "CREATE TABLE \"{}\" (key ANY NOT NULL PRIMARY KEY{columns}, body ANY NOT NULL) STRICT;\n",
        table.name
    );
    for index in table.indexes {
        // The key makes an index deliver equal values in key order; in a unique index it would
        // make every entry distinct.
        let (unique, key) = if index.unique { ("UNIQUE ", "") } else { ("", ", key") };
        let (name, columns) = (index_name(table, index), list(index.columns));
        let _ = writeln!(
            sql,
            "CREATE {unique}INDEX \"{name}\" ON \"{}\" ({columns}{key});",
            table.name
        );
    }
    sql
}

/// Returns the text of a statement.
pub(super) fn text(table: &Table, shape: Shape) -> String {
    let name = table.name;
    match shape {
        Shape::Get => format!("SELECT {} FROM \"{name}\" WHERE key = ?1", row(table)),
        Shape::Insert => insert(table),
        Shape::Update => update(table, table.columns),
        Shape::Body => update(table, &[]),
        Shape::Delete => format!("DELETE FROM \"{name}\" WHERE key = ?1"),
        Shape::DeleteTo => format!("DELETE FROM \"{name}\" WHERE key <= ?1"),
        Shape::Holder(at) => {
            let equal: Vec<String> = table
                .indexes
                .get(at)
                .iter()
                .flat_map(|index| index.columns)
                .enumerate()
                .map(|(i, c)| format!("\"{c}\" = ?{}", i + 1))
                .collect();
            format!("SELECT key FROM \"{name}\" WHERE {} LIMIT 1", equal.join(" AND "))
        }
        Shape::Scan(stretch) => {
            let (from, order) = from_where_order(table, stretch);
            let limit = bound_values(stretch) + 1;
            format!("SELECT {} {from} ORDER BY {order} LIMIT ?{limit}", row(table))
        }
        Shape::Count(stretch) => {
            format!("SELECT count(*) {}", from_where_order(table, stretch).0)
        }
    }
}

fn bound_values(stretch: Stretch) -> usize {
    stretch.prefix + usize::from(stretch.from.is_some()) + usize::from(stretch.to.is_some())
}

/// Returns `FROM … WHERE …` and the columns of `ORDER BY`. The index is named, so that the
/// planner, which has no statistics, cannot prefer to read and sort the whole table.
fn from_where_order(table: &Table, stretch: Stretch) -> (String, String) {
    let index = stretch.index.and_then(|at| table.indexes.get(at));
    let path = index.map_or_else(
        || format!("sqlite_autoindex_{}_1", table.name),
        |index| index_name(table, index),
    );
    let columns = index.map_or(&[] as &[&str], |index| index.columns);
    let mut terms = Vec::new();
    for (i, column) in columns.iter().take(stretch.prefix).enumerate() {
        // `IS` also finds NULL.
        terms.push(format!("\"{column}\" IS ?{}", i + 1));
    }
    let next = columns.get(stretch.prefix).copied().unwrap_or("key");
    for comparison in [stretch.from, stretch.to].into_iter().flatten() {
        terms.push(format!("\"{next}\" {comparison} ?{}", terms.len() + 1));
    }
    let mut from = format!("FROM \"{}\" INDEXED BY \"{path}\"", table.name);
    if !terms.is_empty() {
        let _ = write!(from, " WHERE {}", terms.join(" AND "));
    }
    let direction = if stretch.reverse { " DESC" } else { "" };
    let order: Vec<String> = columns
        .iter()
        .skip(stretch.prefix)
        .chain(&["key"])
        .map(|column| format!("\"{column}\"{direction}"))
        .collect();
    (from, order.join(", "))
}

fn insert(table: &Table) -> String {
    let places: Vec<String> = (1..=table.columns.len() + 2).map(|i| format!("?{i}")).collect();
    format!("INSERT INTO \"{}\" ({}) VALUES ({})", table.name, row(table), places.join(", "))
}

fn update(table: &Table, columns: &[&str]) -> String {
    let set: Vec<String> = columns
        .iter()
        .chain(&["body"])
        .enumerate()
        .map(|(i, column)| format!("\"{column}\" = ?{}", i + 2))
        .collect();
    format!("UPDATE \"{}\" SET {} WHERE key = ?1", table.name, set.join(", "))
}

fn row(table: &Table) -> String {
    let columns = each(table.columns, |c| format!("\"{c}\", ")).concat();
    format!("key, {columns}body")
}

fn list(columns: &[&str]) -> String {
    each(columns, |c| format!("\"{c}\"")).join(", ")
}

fn each(columns: &[&str], form: impl Fn(&str) -> String) -> Vec<String> {
    columns.iter().map(|column| form(column)).collect()
}

/// A name of its own within the file: names hold no double underscore.
fn index_name(table: &Table, index: &Index) -> String {
    format!("{}__{}", table.name, index.name)
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;
    use crate::contract::ITEM;

    /// Every range walks its index: no sorting, no reading of the whole table.
    #[test]
    fn ranges_use_their_index() {
        let connection = Connection::open_in_memory().expect("opens");
        connection.execute_batch(&create(&ITEM)).expect("the table is made");
        let key = "USING INDEX sqlite_autoindex_test_item_1";
        let kind = "USING INDEX test_item__by_kind";
        let code = "USING INDEX test_item__code";
        let ge = Some(">=");
        for (index, prefix, from, to, plan) in [
            (None, 0, None, None, format!("SCAN test_item {key}")),
            (None, 0, ge, None, format!("SEARCH test_item {key} (key>?)")),
            (None, 0, ge, Some("<"), format!("SEARCH test_item {key} (key>? AND key<?)")),
            (Some(0), 0, None, None, format!("SCAN test_item {kind}")),
            (Some(0), 0, ge, None, format!("SEARCH test_item {kind} (kind>?)")),
            (Some(0), 1, None, None, format!("SEARCH test_item {kind} (kind=?)")),
            (Some(0), 1, None, Some("<="), format!("SEARCH test_item {kind} (kind=? AND rank<?)")),
            (Some(0), 2, None, None, format!("SEARCH test_item {kind} (kind=? AND rank=?)")),
            (
                Some(0),
                2,
                ge,
                None,
                format!("SEARCH test_item {kind} (kind=? AND rank=? AND key>?)"),
            ),
            (Some(1), 1, None, None, format!("SEARCH test_item {code} (code=?)")),
        ] {
            for reverse in [false, true] {
                let stretch = Stretch { index, prefix, from, to, reverse };
                let scan = text(&ITEM, Shape::Scan(stretch));
                let steps = explain(&connection, &scan);
                let sorted = index == Some(1);
                assert_eq!(steps.first(), Some(&plan), "{scan}");
                assert_eq!(steps.len(), if sorted { 2 } else { 1 }, "{scan}: {steps:?}");
                let count = explain(&connection, &text(&ITEM, Shape::Count(stretch)));
                assert_eq!(count.len(), 1, "{scan}: {count:?}");
            }
        }
    }

    fn explain(connection: &Connection, sql: &str) -> Vec<String> {
        let mut statement =
            connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).expect("the index serves");
        let mut rows = statement.raw_query();
        let mut steps = Vec::new();
        while let Some(row) = rows.next().expect("explains") {
            steps.push(row.get(3).expect("a text"));
        }
        steps
    }
}
