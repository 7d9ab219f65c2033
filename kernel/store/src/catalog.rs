//! The tables in use and the rules of names, rows and ranges that every back end shares.
//!
//! Invariant: a name that passed [`Catalog::of`] is safe inside quoted SQL.

use std::collections::BTreeMap;

use karvan_types::{Digest, json};

use crate::{Error, Index, Migration, Range, Row, Table, Value};

/// Longest row (key, columns and body together), in bytes (16 MiB).
pub const ROW_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Longest name of a table, column, index or migration, in bytes.
const NAME_BYTES_MAX: usize = 63;
/// Columns that every table has, and the prefix of the store's own tables.
const RESERVED: [&str; 2] = ["key", "body"];
const RESERVED_PREFIX: &str = "store_";

const NAME_RULE: &str = "use lower-case snake case: a letter, then letters, digits and single \
                         underscores, at most 63 bytes; `key`, `body` and names that begin with \
                         `store_` are taken";

/// The tables that a set of migrations declares, by name.
#[derive(Debug)]
pub(crate) struct Catalog(BTreeMap<&'static str, &'static Table>);

impl Catalog {
    /// Collects and checks the tables of `migrations`.
    pub(crate) fn of(migrations: &[&Migration]) -> Result<Self, Error> {
        let mut tables = BTreeMap::new();
        for migration in migrations {
            for table in migration.creates {
                check_table(table)
                    .map_err(|rule| Error::Schema(format!("migration {}: {rule}", migration.id)))?;
                if tables.insert(table.name, *table).is_some() {
                    return Err(Error::Schema(format!(
                        "migration {} creates table {} again; drop one of the two",
                        migration.id, table.name
                    )));
                }
            }
        }
        Ok(Self(tables))
    }

    /// Returns the declared table of this name.
    pub(crate) fn table(&self, name: &'static str) -> Result<&'static Table, Error> {
        self.0.get(name).copied().ok_or_else(|| {
            misuse(name, "is not declared by the migrations with which the store was opened")
        })
    }

    /// Returns all tables in name order.
    pub(crate) fn tables(&self) -> impl Iterator<Item = &'static Table> {
        self.0.values().copied()
    }
}

fn check_table(table: &Table) -> Result<(), String> {
    let name = |what: &str, name: &str| {
        if is_name(name) { Ok(()) } else { Err(format!("the {what} name `{name}`: {NAME_RULE}")) }
    };
    name("table", table.name)?;
    for (i, column) in table.columns.iter().enumerate() {
        name("column", column)?;
        if table.columns.iter().skip(i + 1).any(|other| other == column) {
            return Err(format!("table {} has column {column} twice", table.name));
        }
    }
    for (i, index) in table.indexes.iter().enumerate() {
        name("index", index.name)?;
        if table.indexes.iter().skip(i + 1).any(|other| other.name == index.name) {
            return Err(format!("table {} has index {} twice", table.name, index.name));
        }
        if index.columns.is_empty() {
            return Err(format!("index {} of table {} has no column", index.name, table.name));
        }
        if let Some(column) = index.columns.iter().find(|c| !table.columns.contains(c)) {
            return Err(format!(
                "index {} names column {column}, which table {} does not have",
                index.name, table.name
            ));
        }
    }
    Ok(())
}

fn is_name(name: &str) -> bool {
    name.len() <= NAME_BYTES_MAX
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        && !name.contains("__")
        && !name.ends_with('_')
        && !name.starts_with(RESERVED_PREFIX)
        && !RESERVED.contains(&name)
}

/// Makes the error of a call that breaks the contract.
pub(crate) fn misuse(table: &'static str, rule: impl Into<String>) -> Error {
    Error::Misuse { table, rule: rule.into() }
}

/// Checks that a row fits its table.
pub(crate) fn check_row(table: &'static Table, row: &Row) -> Result<(), Error> {
    check_key(table, &row.key)?;
    if row.columns.len() != table.columns.len() {
        return Err(misuse(
            table.name,
            format!("a row has {} columns, not {}", row.columns.len(), table.columns.len()),
        ));
    }
    let bytes = row.columns.iter().map(value_bytes).sum::<u64>()
        + value_bytes(&row.key)
        + row.body.len() as u64;
    if bytes > ROW_BYTES_MAX {
        return Err(Error::TooLarge { what: "a row", bytes, bytes_max: ROW_BYTES_MAX });
    }
    Ok(())
}

/// Checks that a key is a value.
pub(crate) fn check_key(table: &'static Table, key: &Value) -> Result<(), Error> {
    if *key == Value::Null {
        return Err(misuse(table.name, "a key must have a value"));
    }
    Ok(())
}

fn value_bytes(value: &Value) -> u64 {
    match value {
        Value::Null => 0,
        Value::Int(_) => 8,
        Value::Text(text) => text.len() as u64,
        Value::Bytes(bytes) => bytes.len() as u64,
    }
}

/// Returns the position and definition of the index that a range walks; `None` is the key.
pub(crate) fn check_range(
    table: &'static Table,
    range: &Range,
) -> Result<Option<(usize, &'static Index)>, Error> {
    let Some(name) = range.index else {
        if range.prefix.is_empty() {
            return Ok(None);
        }
        return Err(misuse(table.name, "a range over the key takes bounds, not a prefix"));
    };
    let index = table.indexes.iter().enumerate().find(|(_, index)| index.name == name);
    let (at, index) = index.ok_or_else(|| misuse(table.name, format!("has no index {name}")))?;
    if range.prefix.len() > index.columns.len() {
        let rule = format!("index {name} has fewer columns than the prefix");
        return Err(misuse(table.name, rule));
    }
    Ok(Some((at, index)))
}

/// Returns the digest of a migration: SHA-256 of its canonical JSON (RFC 8785).
pub(crate) fn migration_digest(migration: &Migration) -> Result<Digest, Error> {
    let table = |table: &&Table| {
        let index = |index: &Index| {
            serde_json::json!({
                "columns": index.columns, "name": index.name, "unique": index.unique
            })
        };
        serde_json::json!({
            "columns": table.columns,
            "indexes": table.indexes.iter().map(index).collect::<Vec<_>>(),
            "name": table.name,
        })
    };
    let creates: Vec<_> = migration.creates.iter().map(table).collect();
    let step = serde_json::json!({ "creates": creates, "id": migration.id });
    let text = json::canonical(&step).map_err(|error| Error::Schema(error.to_string()))?;
    Ok(Digest::of(&text))
}

/// Returns the migrations still to be applied, each with its digest, after comparing those given
/// with those recorded.
///
/// Refused are: a recorded step that this version does not know, a recorded step that was changed
/// since, a step given twice, and a new step in front of an applied one of the same owner (the id
/// up to its last hyphen).
pub(crate) fn pending<'a>(
    given: &[&'a Migration],
    recorded: &BTreeMap<String, Digest>,
) -> Result<Vec<(&'a Migration, Digest)>, Error> {
    if let Some(id) = recorded.keys().find(|id| !given.iter().any(|m| m.id == id.as_str())) {
        return Err(Error::Schema(format!(
            "the store has migration {id}, which this version does not know; start the newer \
             version that applied it, or restore the backup made before that upgrade"
        )));
    }
    let mut steps: Vec<(&'a Migration, Digest)> = Vec::new();
    for (i, &migration) in given.iter().enumerate() {
        let id = migration.id;
        if given.iter().take(i).any(|earlier| earlier.id == id) {
            return Err(Error::Schema(format!("migration {id} is listed twice; list it once")));
        }
        let digest = migration_digest(migration)?;
        match recorded.get(id) {
            None => steps.push((migration, digest)),
            Some(applied) if *applied != digest => {
                return Err(Error::Schema(format!(
                    "migration {id} was applied with digest {applied} but this version has \
                     {digest}; a released migration never changes: restore it and put the change \
                     into a new one"
                )));
            }
            Some(_) => {
                if let Some((late, _)) = steps.iter().find(|(m, _)| owner(m.id) == owner(id)) {
                    return Err(Error::Schema(format!(
                        "migration {} comes before {id}, which is applied already; number it \
                         after the last applied one",
                        late.id
                    )));
                }
            }
        }
    }
    Ok(steps)
}

fn owner(id: &str) -> &str {
    id.rsplit_once('-').map_or(id, |(owner, _)| owner)
}
