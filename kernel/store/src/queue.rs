//! Queues: numbered lines of text in order, many in one row.
//!
//! A row's key is the number of its last line. What is appended in one commit goes into as few rows
//! as `ROW_LINES_MAX` allows.
//!
//! Not here: adding to a queue ([`Tx::append`](crate::Tx::append)), when a back end makes rows of
//! lines.

use crate::catalog::misuse;
use crate::{Error, Range, Read, Row, Table, Value};

/// Most lines of one row.
pub(crate) const ROW_LINES_MAX: usize = 256;

/// Lines of a queue that are not yet in a row.
#[derive(Debug)]
pub(crate) struct Unwritten {
    pub(crate) table: &'static Table,
    lines: Vec<u8>,
    ends: Vec<usize>,
}

impl Unwritten {
    pub(crate) fn new(table: &'static Table) -> Self {
        Self { table, lines: Vec::new(), ends: Vec::new() }
    }

    pub(crate) fn push(&mut self, line: &str) {
        self.lines.extend_from_slice(line.as_bytes());
        self.lines.push(b'\n');
        self.ends.push(self.lines.len());
    }

    /// Takes the last line back.
    pub(crate) fn pop(&mut self) {
        self.ends.pop();
        self.lines.truncate(self.ends.last().copied().unwrap_or(0));
    }

    /// Returns the lines as rows, of which the last line has the number `last`, and is empty then.
    pub(crate) fn take_rows(&mut self, last: u64) -> Vec<Row> {
        let before = last.saturating_sub(self.ends.len() as u64);
        let mut start = 0;
        let rows = self.ends.chunks(ROW_LINES_MAX).zip(0_u64..).map(|(ends, number)| {
            let end = ends.last().copied().unwrap_or(start);
            let bytes = self.lines.get(start..end).unwrap_or_default();
            start = end;
            let key = before + number * ROW_LINES_MAX as u64 + ends.len() as u64;
            Row { key: key.into(), columns: Vec::new(), body: bytes.to_vec() }
        });
        let rows = rows.collect();
        self.lines.clear();
        self.ends.clear();
        rows
    }
}

/// Returns the row of one line.
pub(crate) fn row(number: u64, line: &[u8]) -> Row {
    let body = [line, b"\n"].concat();
    Row { key: number.into(), columns: Vec::new(), body }
}

/// Checks that a line is one, and that its table is a queue.
pub(crate) fn check_line(table: &'static Table, line: &str) -> Result<(), Error> {
    if line.is_empty() || line.contains('\n') {
        return Err(misuse(table.name, "a line of a queue has a text and no line end"));
    }
    if !table.columns.is_empty() {
        return Err(misuse(table.name, "a queue has no columns"));
    }
    Ok(())
}

/// The oldest lines of a queue.
#[derive(Debug, Eq, PartialEq)]
pub struct Lines {
    /// The lines with their numbers.
    pub lines: Vec<(u64, String)>,
    /// Whether there may be more than these.
    pub more: bool,
}

pub(crate) fn read(
    view: &dyn Read,
    table: &'static Table,
    rows_max: usize,
    lines_max: usize,
) -> Result<Lines, Error> {
    let rows = view.scan(table, &Range::all(rows_max))?;
    let mut found = Lines { lines: Vec::new(), more: rows.len() == rows_max };
    for row in rows {
        let (first, texts) = split(table, &row)?;
        let texts: Vec<_> = texts.map(ToOwned::to_owned).collect();
        if !found.lines.is_empty() && found.lines.len() + texts.len() > lines_max {
            found.more = true;
            break;
        }
        found.lines.extend((first..).zip(texts));
    }
    Ok(found)
}

pub(crate) fn count(view: &dyn Read, table: &'static Table) -> Result<u64, Error> {
    let oldest = view.scan(table, &Range::all(1))?;
    let Some(oldest) = oldest.first() else { return Ok(0) };
    Ok((view.last(table.name)? + 1).saturating_sub(split(table, oldest)?.0))
}

/// Returns the number of a row's first line, and its lines.
fn split<'a>(
    table: &'static Table,
    row: &'a Row,
) -> Result<(u64, impl Iterator<Item = &'a str>), Error> {
    let text = std::str::from_utf8(&row.body);
    let (Value::Int(last), Ok(text)) = (&row.key, text) else {
        let text = format!("the row {:?} of queue {} holds no lines", row.key, table.name);
        return Err(Error::backend("reading a queue", text));
    };
    let count = text.lines().count() as u64;
    Ok(((last.unsigned_abs() + 1).saturating_sub(count), text.lines()))
}
