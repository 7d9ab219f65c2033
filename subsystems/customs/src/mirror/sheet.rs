//! Results as tables: typed columns, for CSV and for Parquet.
//!
//! CSV (RFC 4180) begins with the names. A text that a spreadsheet would take for a formula gets an
//! apostrophe before it; numbers, dates and codes that are digits stay as they are.

use karvan_types::{Date, Decimal};

use super::candidates::{Against, Candidate, Direction};
use super::totals::Total;
use super::unmatched::Unmatched;
use crate::messages::UnmatchedReason;

/// Decimals of every decimal column.
pub const SCALE: u32 = 6;

/// Type of a column.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Type {
    /// Text, UTF-8.
    Text,
    /// Whole number.
    Int,
    /// Exact decimal with [`SCALE`] places.
    Decimal,
    /// Calendar date.
    Date,
}

/// A value; [`Cell::None`] fits every type.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Cell {
    /// No value.
    None,
    /// Text.
    Text(String),
    /// Whole number.
    Int(i64),
    /// Decimal.
    Decimal(Decimal),
    /// Date.
    Date(Date),
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<Option<&str>> for Cell {
    fn from(text: Option<&str>) -> Self {
        text.map_or(Self::None, Self::from)
    }
}

impl From<u32> for Cell {
    fn from(number: u32) -> Self {
        Self::Int(number.into())
    }
}

impl From<Decimal> for Cell {
    fn from(number: Decimal) -> Self {
        Self::Decimal(number)
    }
}

impl From<Option<Decimal>> for Cell {
    fn from(number: Option<Decimal>) -> Self {
        number.map_or(Self::None, Self::Decimal)
    }
}

/// A table.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Sheet {
    /// Names and types of the columns.
    pub columns: &'static [(&'static str, Type)],
    /// The rows; each has a cell for each column.
    pub rows: Vec<Vec<Cell>>,
}

const TOTALS: &[(&str, Type)] = &[
    ("month", Type::Text),
    ("hs6", Type::Text),
    ("currency", Type::Text),
    ("exported_declarations", Type::Int),
    ("exported_items", Type::Int),
    ("exported_net_mass_kg", Type::Decimal),
    ("exported_value", Type::Decimal),
    ("exported_value_cif", Type::Decimal),
    ("imported_declarations", Type::Int),
    ("imported_items", Type::Int),
    ("imported_net_mass_kg", Type::Decimal),
    ("imported_value", Type::Decimal),
    ("imported_value_cif", Type::Decimal),
    ("gap", Type::Decimal),
    ("gap_percent", Type::Decimal),
    ("worth_a_look", Type::Text),
    ("gap_not_arrived", Type::Decimal),
    ("gap_not_announced", Type::Decimal),
    ("gap_other_month", Type::Decimal),
    ("gap_same_consignment", Type::Decimal),
];

const CONSIGNMENTS: &[(&str, Type)] = &[
    ("reason", Type::Text),
    ("document", Type::Text),
    ("ucr", Type::Text),
    ("day", Type::Date),
    ("age_days", Type::Int),
    ("limit_days", Type::Int),
    ("mode", Type::Text),
    ("hs6", Type::Text),
    ("value", Type::Decimal),
    ("currency", Type::Text),
    ("before_exchange", Type::Text),
];

const CANDIDATES: &[(&str, Type)] = &[
    ("candidate", Type::Text),
    ("against", Type::Text),
    ("claim", Type::Text),
    ("exports", Type::Text),
    ("hs6", Type::Text),
    ("month", Type::Text),
    ("currency", Type::Text),
    ("declared", Type::Decimal),
    ("expected", Type::Decimal),
    ("difference", Type::Decimal),
    ("percent", Type::Decimal),
    ("unit_value_per_kg", Type::Decimal),
    ("expected_unit_value_per_kg", Type::Decimal),
    ("rates", Type::Text),
];

const fn yes(value: bool) -> &'static str {
    if value { "yes" } else { "no" }
}

impl Sheet {
    /// Makes the table of totals.
    pub fn of_totals(totals: &[Total]) -> Self {
        let row = |total: &Total| {
            let mut row: Vec<Cell> = vec![
                total.month.as_str().into(),
                total.hs6.as_str().into(),
                total.currency.as_deref().into(),
            ];
            for side in [&total.exported, &total.imported] {
                row.extend([side.declarations.into(), side.items.into()]);
                row.extend([side.net_mass, side.value, side.value_cif].map(Cell::from));
            }
            row.extend([total.gap.into(), total.gap_percent.into(), yes(total.outside).into()]);
            let parts = &total.parts;
            let parts =
                [parts.not_arrived, parts.not_announced, parts.other_month, parts.same_consignment];
            row.extend(parts.map(Cell::from));
            row
        };
        Self { columns: TOTALS, rows: totals.iter().map(row).collect() }
    }

    /// Makes the table of consignments that only one side knows.
    pub fn of_consignments(unmatched: &[Unmatched]) -> Self {
        let row = |one: &Unmatched| {
            let reason = match one.reason {
                UnmatchedReason::NeverArrived => "never-arrived",
                UnmatchedReason::NoExportRecord => "no-export-record",
            };
            vec![
                reason.into(),
                one.document.as_str().into(),
                one.ucr.as_deref().into(),
                Cell::Date(one.day),
                one.age_days.into(),
                u32::from(one.limit_days).into(),
                one.mode.as_deref().into(),
                one.hs6.join(" ").as_str().into(),
                one.value.as_ref().map(|value| value.value).into(),
                one.value.as_ref().map(|value| value.currency.as_str()).into(),
                yes(one.before_exchange).into(),
            ]
        };
        Self { columns: CONSIGNMENTS, rows: unmatched.iter().map(row).collect() }
    }

    /// Makes the table of candidates.
    pub fn of_candidates(candidates: &[Candidate]) -> Self {
        let row = |one: &Candidate| {
            let direction = match one.candidate {
                Direction::UnderInvoicing => "under-invoicing",
                Direction::OverInvoicing => "over-invoicing",
            };
            let against = match one.against {
                Against::Partner => "partner",
                Against::OwnMedian => "own-median",
            };
            let rates: Vec<_> = one.rates.iter().map(ToString::to_string).collect();
            vec![
                direction.into(),
                against.into(),
                one.claim.as_str().into(),
                one.exports.join(" ").as_str().into(),
                one.hs6.as_str().into(),
                one.month.as_str().into(),
                one.currency.as_str().into(),
                one.declared.into(),
                one.expected.into(),
                one.difference.into(),
                one.percent.into(),
                one.unit_value.into(),
                one.expected_unit_value.into(),
                rates.join("; ").as_str().into(),
            ]
        };
        Self { columns: CANDIDATES, rows: candidates.iter().map(row).collect() }
    }

    /// Writes the table as CSV (RFC 4180), UTF-8.
    pub fn to_csv(&self) -> String {
        let names: Vec<_> = self.columns.iter().map(|(name, _)| (*name).to_owned()).collect();
        let mut text = names.join(",") + "\r\n";
        for row in &self.rows {
            let cells: Vec<String> = row.iter().map(field).collect();
            text.push_str(&cells.join(","));
            text.push_str("\r\n");
        }
        text
    }
}

fn field(cell: &Cell) -> String {
    match cell {
        Cell::None => String::new(),
        Cell::Int(number) => number.to_string(),
        Cell::Decimal(number) => number.normalize().to_string(),
        Cell::Date(date) => date.to_string(),
        Cell::Text(text) => quoted(text),
    }
}

/// Returns a text as a field that no spreadsheet takes for a formula.
fn quoted(text: &str) -> String {
    let begins = text.trim_start().chars().next();
    let is_formula = matches!(begins, Some('=' | '+' | '-' | '@' | '|' | '%'))
        || text.starts_with(['\t', '\r', '\n', '\'']);
    let text = if is_formula { format!("'{text}") } else { text.to_owned() };
    if text.contains(['"', ',', '\r', '\n', ';', '\t']) || text.trim() != text {
        return format!("\"{}\"", text.replace('"', "\"\""));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_field_is_a_formula() {
        for (text, wanted) in [
            ("=HYPERLINK(\"x\")", "\"'=HYPERLINK(\"\"x\"\")\""),
            ("+1", "'+1"),
            ("-1+2", "'-1+2"),
            ("@SUM(A1)", "'@SUM(A1)"),
            (" =1", "' =1"),
            ("\t=1", "\"'\t=1\""),
            ("'=1", "''=1"),
            ("a,b", "\"a,b\""),
            ("a;b", "\"a;b\""),
            ("a\r\nb", "\"a\r\nb\""),
            ("AZ:EX-1", "AZ:EX-1"),
            ("", ""),
        ] {
            assert_eq!(quoted(text), wanted, "{text:?}");
        }
    }

    #[test]
    fn numbers_and_dates_stay_as_they_are() {
        let sheet = Sheet {
            columns: &[
                ("a", Type::Decimal),
                ("b", Type::Date),
                ("c", Type::Text),
                ("d", Type::Int),
            ],
            rows: vec![vec![
                Cell::Decimal(Decimal::new(-12_340, 2)),
                Cell::Date("2026-10-05".parse().expect("a date")),
                Cell::None,
                Cell::Int(-7),
            ]],
        };
        assert_eq!(sheet.to_csv(), "a,b,c,d\r\n-123.4,2026-10-05,,-7\r\n");
    }
}
