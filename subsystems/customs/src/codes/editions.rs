//! Editions of the Harmonized System, and which codes of one mean the goods of another.
//!
//! `data/hs2017-2022.tsv` pairs the codes of HS 2017 with those of HS 2022, after the correlation
//! tables of the World Customs Organization, which are a guide without legal force. A code that
//! stands in no pair means the same in both editions. Only scrap of heading 8549 is left out: it
//! takes from nearly every code of chapters 84 and 85, which would make all of them unclear.
//!
//! Invariants: no pair stands twice; every code of HS 2022 in the table exists; a pair that says no
//! more than that a code stayed as it is does not stand in it.
//!
//! Not here: what follows when codes differ (`crate::matching`).

use std::collections::BTreeMap;
use std::sync::LazyLock;

use karvan_types::ErrorKind;

use super::{HS_EDITION, hs};

/// The edition before the one of this build.
pub const EARLIER_EDITION: u16 = 2017;

/// A table of pairs cannot be used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Not two codes of six digits with a tab between them.
    #[error("line {0} is not two codes of six digits with a tab between them")]
    Line(usize),
    /// Twice the same, or out of order.
    #[error("line {0} is not after the line before it; sort the pairs and give each once")]
    Overlap(usize),
    /// The newer code does not exist.
    #[error("line {0}: {1} is no code of the newer edition; correct it")]
    Unknown(usize, String),
    /// Nothing changed.
    #[error("line {0}: {1} stays what it is and has no other pair; leave the line out")]
    Redundant(usize, String),
}

impl Error {
    /// Returns what kind of failure this is.
    pub const fn kind(&self) -> ErrorKind {
        ErrorKind::LocalConfig
    }
}

/// Which codes of HS 2017 and HS 2022 mean the same goods.
#[derive(Debug, Default)]
pub struct Correlation {
    newer: BTreeMap<String, Vec<String>>,
    earlier: BTreeMap<String, Vec<String>>,
}

/// How two codes of different editions are related.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Relation {
    /// The goods of one are all goods of the other.
    Contained,
    /// They have goods in common, and each has others too: somebody must see the goods.
    Overlapping,
    /// They have no goods in common.
    Apart,
    /// An edition is not known here.
    Unknown,
}

/// A six-digit code with its edition.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Dated<'a> {
    /// Six digits.
    pub code: &'a str,
    /// The year of the edition.
    pub edition: u16,
}

static SHIPPED: LazyLock<Correlation> = LazyLock::new(|| {
    // The tests see to it that the shipped table is in order.
    Correlation::parse(include_str!("../../data/hs2017-2022.tsv")).unwrap_or_default()
});

/// Returns the shipped table.
pub fn correlation() -> &'static Correlation {
    &SHIPPED
}

impl Correlation {
    /// Reads a table: the code of HS 2017, a tab, the code of HS 2022, sorted.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let mut table = Self::default();
        let mut before = ("", "");
        let lines = || {
            text.lines()
                .zip(1..)
                .filter(|(line, _)| !line.starts_with('#'))
                .map(|(line, number)| (line.split_once('\t').unwrap_or_default(), number))
        };
        for ((old, new), number) in lines() {
            if !is_code(old) || !is_code(new) {
                return Err(Error::Line(number));
            }
            if (old, new) <= before {
                return Err(Error::Overlap(number));
            }
            if hs(new).is_none() {
                return Err(Error::Unknown(number, new.to_owned()));
            }
            before = (old, new);
            table.newer.entry(old.to_owned()).or_default().push(new.to_owned());
            table.earlier.entry(new.to_owned()).or_default().push(old.to_owned());
        }
        let alone = |of: &BTreeMap<String, Vec<String>>, code: &str| {
            of.get(code).is_some_and(|codes| codes.len() == 1)
        };
        for ((old, new), number) in lines() {
            if old == new && alone(&table.newer, old) && alone(&table.earlier, new) {
                return Err(Error::Redundant(number, old.to_owned()));
            }
        }
        Ok(table)
    }

    /// Returns the codes of HS 2022 that take in goods of a code of HS 2017; none when HS 2017 had
    /// no such code.
    pub fn newer<'a>(&'a self, code: &'a str) -> Vec<&'a str> {
        match self.newer.get(code) {
            Some(codes) => codes.iter().map(String::as_str).collect(),
            None if hs(code).is_some() && !self.earlier.contains_key(code) => vec![code],
            None => Vec::new(),
        }
    }

    /// Returns the codes of HS 2017 whose goods a code of HS 2022 takes in.
    fn earlier<'a>(&'a self, code: &'a str) -> Vec<&'a str> {
        match self.earlier.get(code) {
            Some(codes) => codes.iter().map(String::as_str).collect(),
            None if hs(code).is_some() => vec![code],
            None => Vec::new(),
        }
    }

    /// Compares two codes, each of its edition.
    pub fn relation(&self, a: Dated<'_>, b: Dated<'_>) -> Relation {
        let (old, new) = match (a.edition, b.edition) {
            (a_edition, b_edition) if a_edition == b_edition => {
                return if a.code == b.code { Relation::Contained } else { Relation::Apart };
            }
            (EARLIER_EDITION, HS_EDITION) => (a.code, b.code),
            (HS_EDITION, EARLIER_EDITION) => (b.code, a.code),
            _ => return Relation::Unknown,
        };
        let targets = self.newer(old);
        if !targets.contains(&new) {
            return Relation::Apart;
        }
        if old == new || targets == [new] || self.earlier(new) == [old] {
            Relation::Contained
        } else {
            Relation::Overlapping
        }
    }
}

fn is_code(text: &str) -> bool {
    text.len() == 6 && text.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(old: &str, new: &str, expected: Relation) {
        let dated = |code, edition| Dated { code, edition };
        let (old, new) = (dated(old, 2017), dated(new, 2022));
        assert_eq!(correlation().relation(old, new), expected, "{old:?} {new:?}");
        assert_eq!(correlation().relation(new, old), expected, "the other way");
    }

    #[test]
    fn the_shipped_table_is_in_order() {
        let table = Correlation::parse(include_str!("../../data/hs2017-2022.tsv")).expect("loads");
        assert!(table.newer.len() > 500, "{}", table.newer.len());
        assert!(table.newer.values().all(|codes| !codes.is_empty()));
    }

    #[test]
    fn codes_of_the_corridor() {
        // What stayed: polyethylene, rice, copper wire, urea, footballs.
        for code in ["390110", "100630", "740811", "310210", "950662"] {
            check(code, code, Relation::Contained);
        }
        // Divided: nuts of 0802.90, polyethers. Put together: overcoats and anoraks of wool.
        check("080290", "080291", Relation::Contained);
        check("390720", "390729", Relation::Contained);
        check("620111", "620120", Relation::Contained);
        check("620191", "620120", Relation::Contained);
        // Many to many: copper articles, and tobacco for inhalation.
        check("741910", "741920", Relation::Overlapping);
        check("240399", "240411", Relation::Overlapping);
        check("740811", "740819", Relation::Apart);
        check("080290", "080290", Relation::Apart);
        check("999999", "390110", Relation::Apart);
    }

    #[test]
    fn the_same_edition_and_others() {
        let relation = |a, b, x, y| {
            let dated = |code, edition| Dated { code, edition };
            correlation().relation(dated(a, x), dated(b, y))
        };
        assert_eq!(relation("390110", "390110", 2012, 2012), Relation::Contained);
        assert_eq!(relation("390110", "390120", 2017, 2017), Relation::Apart);
        assert_eq!(relation("390110", "390110", 2012, 2022), Relation::Unknown);
        assert_eq!(relation("390110", "390110", 2022, 2028), Relation::Unknown);
    }

    #[test]
    fn newer_codes() {
        let newer = |code| correlation().newer(code);
        assert_eq!(newer("390110"), ["390110"]);
        assert_eq!(newer("080290"), ["080291", "080292", "080299"]);
        assert_eq!(newer("080291"), Vec::<&str>::new(), "HS 2017 had no such code");
        assert_eq!(newer("12"), Vec::<&str>::new());
    }

    #[test]
    fn a_table_out_of_order_is_refused_with_the_line() {
        for (text, expected) in [
            ("# head\n080290\t080291\n080290\t080291\n", Error::Overlap(3)),
            ("080290\t080292\n080290\t080291\n", Error::Overlap(2)),
            ("080290 080291\n", Error::Line(1)),
            ("08029\t080291\n", Error::Line(1)),
            ("080290\t080290\n", Error::Unknown(1, "080290".to_owned())),
            ("390110\t390110\n", Error::Redundant(1, "390110".to_owned())),
        ] {
            let error = Correlation::parse(text).expect_err(text);
            assert_eq!(error, expected);
            assert_eq!(error.kind(), ErrorKind::LocalConfig);
        }
        assert!(Correlation::parse("390110\t390110\n390110\t390120\n").is_ok());
    }
}
