//! The terms of the ledger as dated data.

use std::fmt;

use karvan_types::{Date, ErrorKind};
use serde::{Deserialize, Serialize};

use crate::matching::Standing;

/// The shipped terms.
const SHIPPED: &str = include_str!("../../data/ledger.toml");
/// Longest time that a difference may settle, in minutes: a week.
const SETTLE_MINUTES_MAX: u32 = 10_080;
/// Hours of a day.
const HOURS: u32 = 24;

/// A term of the ledger.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Term {
    PartialShipments,
    SettleMinutes,
    StatementHour,
}

impl Term {
    const ALL: [Self; 3] = [Self::PartialShipments, Self::SettleMinutes, Self::StatementHour];

    const fn name(self) -> &'static str {
        match self {
            Self::PartialShipments => "partial-shipments",
            Self::SettleMinutes => "settle-minutes",
            Self::StatementHour => "statement-hour",
        }
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One row of the table.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    term: Term,
    value: String,
    from: Date,
    until: Option<Date>,
    status: Standing,
    source: String,
}

/// The terms under which certificates of one agreement are debited.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    agreement: String,
    #[serde(rename = "term")]
    rows: Vec<Row>,
}

/// A table of terms cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TermsError {
    /// The text does not have the form of the table.
    #[error("the terms of the ledger cannot be read; mend the named line")]
    Syntax(#[from] toml::de::Error),
    /// A row does not say what it must.
    #[error("row {row} of the terms of the ledger: {term} {rule}")]
    Row {
        /// Number of the row, from 1.
        row: usize,
        /// The term.
        term: &'static str,
        /// What its value must be.
        rule: &'static str,
    },
    /// A term has no row.
    #[error("the terms of the ledger lack {0}; add a row for it")]
    Missing(&'static str),
}

impl TermsError {
    /// Returns what kind of failure this is.
    pub const fn kind(&self) -> ErrorKind {
        ErrorKind::LocalConfig
    }
}

/// A term with where it is from, for people.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Shown<'a> {
    /// Its name.
    pub term: &'static str,
    /// Its value.
    pub value: &'a str,
    /// How sure we are.
    pub status: Standing,
    /// From where we know it.
    pub source: &'a str,
}

impl Terms {
    /// Reads the shipped terms.
    pub fn shipped() -> Result<Self, TermsError> {
        Self::parse(SHIPPED)
    }

    /// Reads a table of terms.
    pub fn parse(text: &str) -> Result<Self, TermsError> {
        let terms: Self = toml::from_str(text)?;
        for (row, number) in terms.rows.iter().zip(1..) {
            let fail = |rule| Err(TermsError::Row { row: number, term: row.term.name(), rule });
            let number_of = || row.value.parse::<u32>().ok();
            match row.term {
                Term::PartialShipments if !["allowed", "refused"].contains(&row.value.as_str()) => {
                    return fail("is `allowed` or `refused`");
                }
                Term::SettleMinutes if number_of().is_none_or(|n| n > SETTLE_MINUTES_MAX) => {
                    return fail("is a number of minutes, at most a week");
                }
                Term::StatementHour if number_of().is_none_or(|n| n >= HOURS) => {
                    return fail("is an hour from 0 to 23");
                }
                _ if row.until.is_some_and(|until| until < row.from) => {
                    return fail("ends before it begins");
                }
                _ => {}
            }
        }
        for term in Term::ALL {
            if !terms.rows.iter().any(|row| row.term == term) {
                return Err(TermsError::Missing(term.name()));
            }
        }
        Ok(terms)
    }

    fn row(&self, term: Term, day: Date) -> Option<&Row> {
        let in_force = |row: &&Row| row.from <= day && row.until.is_none_or(|until| day <= until);
        let rows = self.rows.iter().filter(|row| row.term == term).filter(in_force);
        rows.max_by_key(|row| row.from)
    }

    fn number(&self, term: Term, day: Date) -> u32 {
        self.row(term, day).and_then(|row| row.value.parse().ok()).unwrap_or(0)
    }

    /// Returns whether several declarations may draw on one item of a certificate.
    pub fn partial_shipments(&self, day: Date) -> bool {
        self.row(Term::PartialShipments, day).is_some_and(|row| row.value == "allowed")
    }

    /// Returns for how many minutes a difference may be a message on its way.
    pub fn settle_minutes(&self, day: Date) -> u32 {
        self.number(Term::SettleMinutes, day)
    }

    /// Returns the hour (UTC) after which the balances of the day are sent.
    pub fn statement_hour(&self, day: Date) -> u32 {
        self.number(Term::StatementHour, day)
    }

    /// Returns the agreement that the terms are of.
    pub fn agreement(&self) -> &str {
        &self.agreement
    }

    /// Returns the terms in force on a day, with status and source.
    pub fn shown(&self, day: Date) -> Vec<Shown<'_>> {
        let rows = Term::ALL.into_iter().filter_map(|term| self.row(term, day));
        rows.map(|row| Shown {
            term: row.term.name(),
            value: &row.value,
            status: row.status,
            source: &row.source,
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Date = Date::constant(2026, 10, 2);

    #[test]
    fn the_newest_row_in_force_counts() {
        let text = SHIPPED.to_owned()
            + "[[term]]\nterm = \"partial-shipments\"\nvalue = \"refused\"\nfrom = \"2027-01-01\"\n\
               status = \"assumed\"\nsource = \"a test\"\n";
        let terms = Terms::parse(&text).expect("loads");
        assert!(terms.partial_shipments(DAY));
        assert!(!terms.partial_shipments(Date::constant(2027, 1, 1)));
        assert_eq!((terms.settle_minutes(DAY), terms.statement_hour(DAY)), (60, 22));
        assert_eq!(terms.agreement(), "AZ-PK-PTA");
        assert_eq!(terms.shown(DAY).len(), Term::ALL.len());
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (from, to, named) in [
            ("\"allowed\"", "\"perhaps\"", "partial-shipments is `allowed`"),
            ("\"60\"", "\"100000\"", "at most a week"),
            ("\"60\"", "\"-1\"", "at most a week"),
            ("\"22\"", "\"24\"", "0 to 23"),
            ("status = \"assumed\"", "status = \"sure\"", "cannot be read"),
            ("term = \"settle-minutes\"", "term = \"statement-hour\"", "is an hour"),
        ] {
            let text = SHIPPED.replace(from, to);
            let error = Terms::parse(&text).expect_err(named);
            assert!(error.to_string().contains(named), "{error}");
        }
        let cut = SHIPPED.split("[[term]]").take(2).collect::<Vec<_>>().join("[[term]]");
        assert!(matches!(Terms::parse(&cut), Err(TermsError::Missing("settle-minutes"))));
    }
}
