//! Tables as data: a name, columns that indexes use, and a JSON body.
//!
//! Operators may read the SQLite file with any SQL tool: each declared column is a real column and
//! `body` is JSON text.

/// A value of a key or a column.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Value {
    /// No value; sorts first.
    Null,
    /// A signed integer.
    Int(i64),
    /// UTF-8 text, ordered by bytes.
    Text(String),
    /// Bytes, ordered by bytes.
    Bytes(Vec<u8>),
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<i32> for Value {
    fn from(value: i32) -> Self {
        Self::Int(value.into())
    }
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Self::Int(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<Vec<u8>> for Value {
    fn from(value: Vec<u8>) -> Self {
        Self::Bytes(value)
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// A table of records. Names are lower-case snake case, prefixed by their owner (`customs_claim`).
#[derive(Debug)]
pub struct Table {
    /// Name, unique within the node.
    pub name: &'static str,
    /// Columns beside the key, in the order in which rows give their values.
    pub columns: &'static [&'static str],
    /// Indexes over those columns.
    pub indexes: &'static [Index],
}

impl Table {
    /// Returns the values of an index's columns in a row of this table. A row that does not fit
    /// gives none for what it lacks.
    pub(crate) fn index_values<'a>(
        &'static self,
        index: &'static Index,
        row: &'a Row,
    ) -> impl Iterator<Item = &'a Value> {
        index.columns.iter().filter_map(move |column| {
            let at = self.columns.iter().position(|other| other == column)?;
            row.columns.get(at)
        })
    }
}

/// An index over one or more columns of its table.
#[derive(Debug)]
pub struct Index {
    /// Name, unique within the table.
    pub name: &'static str,
    /// The columns, most significant first.
    pub columns: &'static [&'static str],
    /// Whether two records may not share all column values. A record with a
    /// [`Value::Null`] among them is exempt, as in SQL.
    pub unique: bool,
}

/// One stored record.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Row {
    /// Primary key.
    pub key: Value,
    /// Values of the table's columns, in its order.
    pub columns: Vec<Value>,
    /// The record itself, JSON or opaque bytes.
    pub body: Vec<u8>,
}

/// A step of the schema, applied once and in order, recorded with its SHA-256.
///
/// A migration never changes once released; what it made is changed by a later one.
#[derive(Debug)]
pub struct Migration {
    /// Unique name with number, such as `exchange-0001`.
    pub id: &'static str,
    /// Tables that this step creates.
    pub creates: &'static [&'static Table],
}
