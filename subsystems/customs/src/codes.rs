//! The public code lists: commodity codes, countries, currencies, packages, terms, transport.
//!
//! Each list is a tab-separated file under `data/`, part of the program, parsed once at first use
//! into a sorted slice and searched by halves. Editions and sources are in `data/README.md`.
//!
//! Invariants: codes are compared exactly, in upper case; a list never changes while running.
//!
//! Not here: national tariff lines and rates (`crate::tariff`).

pub mod editions;
pub mod units;

use std::sync::LazyLock;

/// Edition of the Harmonized System in this build.
pub const HS_EDITION: u16 = 2022;

/// The Incoterms 2020 rules, UN/EDIFACT 4053.
pub const INCOTERMS: [&str; 11] =
    ["CFR", "CIF", "CIP", "CPT", "DAP", "DDP", "DPU", "EXW", "FAS", "FCA", "FOB"];

/// Modes of transport, UN/ECE Recommendation 19.
pub const TRANSPORT_MODES: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];

/// A six-digit code of the Harmonized System.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct HsCode {
    /// Six digits.
    pub code: &'static str,
    /// Short description, not the legal text.
    pub description: &'static str,
}

/// A country or territory of ISO 3166-1.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Country {
    /// Two letters.
    pub alpha2: &'static str,
    /// Three letters.
    pub alpha3: &'static str,
    /// Three digits.
    pub numeric: &'static str,
    /// English name.
    pub name: &'static str,
}

/// A currency of ISO 4217.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Currency {
    /// Three letters.
    pub code: &'static str,
    /// Decimal places of its minor unit; absent for metals, funds and withdrawn currencies.
    pub decimals: Option<u32>,
    /// Year and month of withdrawal, absent when in use.
    pub withdrawn: Option<&'static str>,
    /// English name.
    pub name: &'static str,
}

/// A kind of package of UN/ECE Recommendation 21.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Package {
    /// Two letters or digits.
    pub code: &'static str,
    /// English name.
    pub name: &'static str,
}

static HS: LazyLock<Box<[HsCode]>> = LazyLock::new(|| {
    table(include_str!("../data/hs2022.tsv"), |row| {
        Some(HsCode { code: row.next()?, description: row.next()? })
    })
});

static COUNTRIES: LazyLock<Box<[Country]>> = LazyLock::new(|| {
    table(include_str!("../data/countries.tsv"), |row| {
        Some(Country {
            alpha2: row.next()?,
            alpha3: row.next()?,
            numeric: row.next()?,
            name: row.next()?,
        })
    })
});

static CURRENCIES: LazyLock<Box<[Currency]>> = LazyLock::new(|| {
    table(include_str!("../data/currencies.tsv"), |row| {
        Some(Currency {
            code: row.next()?,
            decimals: row.next()?.parse().ok(),
            withdrawn: Some(row.next()?).filter(|date| *date != "-"),
            name: row.next()?,
        })
    })
});

static PACKAGES: LazyLock<Box<[Package]>> = LazyLock::new(|| {
    table(include_str!("../data/packages.tsv"), |row| {
        Some(Package { code: row.next()?, name: row.next()? })
    })
});

static CURRENCY_SPELLINGS: LazyLock<Box<[(&str, &str)]>> = LazyLock::new(|| {
    table(include_str!("../data/currency-spellings.tsv"), |row| Some((row.next()?, row.next()?)))
});

/// What took the place of a withdrawn currency.
struct Successor {
    code: &'static str,
    becomes: &'static str,
    /// Units of the withdrawn currency for one of the successor.
    units: &'static str,
}

static SUCCESSORS: LazyLock<Box<[Successor]>> = LazyLock::new(|| {
    table(include_str!("../data/currency-successors.tsv"), |row| {
        Some(Successor { code: row.next()?, becomes: row.next()?, units: row.next()? })
    })
});

/// Returns the six-digit code of the Harmonized System.
pub fn hs(code: &str) -> Option<&'static HsCode> {
    find(&HS, |row| row.code, code)
}

/// Returns the country with these two letters.
pub fn country(alpha2: &str) -> Option<&'static Country> {
    find(&COUNTRIES, |row| row.alpha2, alpha2)
}

/// Returns the currency with these three letters, also when it was withdrawn.
pub fn currency(code: &str) -> Option<&'static Currency> {
    find(&CURRENCIES, |row| row.code, code)
}

/// Returns the currency that a national spelling such as `RS` means, or the code itself.
pub fn currency_by_spelling(spelling: &str) -> Option<&'static Currency> {
    let spelling = spelling.trim().to_ascii_uppercase();
    currency(&spelling).or_else(|| {
        find(&CURRENCY_SPELLINGS, |row| row.0, &spelling).and_then(|row| currency(row.1))
    })
}

/// Says that a currency was withdrawn, and what took its place.
pub fn withdrawn(currency: &Currency) -> String {
    let (code, date) = (currency.code, currency.withdrawn.unwrap_or("the past"));
    match find(&SUCCESSORS, |row| row.code, code) {
        Some(Successor { becomes: successor, units, .. }) => {
            format!(
                "{code} was withdrawn in {date}; convert into {successor}, 1 for {units} {code}"
            )
        }
        None => format!("{code} was withdrawn in {date}; use its successor"),
    }
}

/// Returns the kind of package.
pub fn package(code: &str) -> Option<&'static Package> {
    find(&PACKAGES, |row| row.code, code)
}

/// Parses an embedded list; a line that does not fit is left out, which the tests forbid.
fn table<T>(
    text: &'static str,
    parse: impl Fn(&mut std::str::Split<'static, char>) -> Option<T>,
) -> Box<[T]> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| parse(&mut line.split('\t'))).collect()
}

fn find<T>(rows: &'static [T], key: impl Fn(&T) -> &str, wanted: &str) -> Option<&'static T> {
    rows.binary_search_by(|row| key(row).cmp(wanted)).ok().and_then(|index| rows.get(index))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails when a line of an embedded list was dropped or stands out of order.
    pub(super) fn check_table<T>(text: &str, rows: &[T], key: impl Fn(&T) -> &str) {
        let lines: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(lines.len(), rows.len(), "a line does not parse");
        assert!(rows.is_sorted_by(|a, b| key(a) < key(b)), "not sorted or not unique");
    }

    #[test]
    fn lists_are_complete_and_sorted() {
        check_table(include_str!("../data/hs2022.tsv"), &HS, |row| row.code);
        check_table(include_str!("../data/countries.tsv"), &COUNTRIES, |row| row.alpha2);
        check_table(include_str!("../data/currencies.tsv"), &CURRENCIES, |row| row.code);
        check_table(include_str!("../data/packages.tsv"), &PACKAGES, |row| row.code);
        check_table(include_str!("../data/currency-spellings.tsv"), &CURRENCY_SPELLINGS, |r| r.0);
        check_table(include_str!("../data/currency-successors.tsv"), &SUCCESSORS, |row| row.code);
        assert_eq!((HS.len(), COUNTRIES.len()), (5_612, 249));
        for row in SUCCESSORS.iter() {
            assert!(currency(row.code).is_some_and(|c| c.withdrawn.is_some()), "{}", row.code);
            assert!(currency(row.becomes).is_some_and(|c| c.withdrawn.is_none()), "{}", row.code);
            assert!(karvan_types::amount::parse_decimal(row.units).is_ok(), "{}", row.code);
        }
        for (spelling, code) in CURRENCY_SPELLINGS.iter() {
            assert!(currency(code).is_some_and(|c| c.withdrawn.is_none()), "{spelling}");
        }
    }

    #[test]
    fn known_rows() {
        assert!(hs("740811").is_some_and(|row| row.description.contains("exceeds 6mm")));
        assert_eq!(hs("740812"), None);
        assert_eq!(hs("999999"), None);
        assert_eq!(country("AZ").map(|row| (row.numeric, row.name)), Some(("031", "Azerbaijan")));
        assert_eq!(country("az"), None);
        assert_eq!(currency("AZN").map(|row| row.decimals), Some(Some(2)));
        assert_eq!(currency("JPY").map(|row| row.decimals), Some(Some(0)));
        assert_eq!(currency("AZM").and_then(|row| row.withdrawn), Some("2005-12"));
        let old = currency("AZM").map(withdrawn);
        let said = "AZM was withdrawn in 2005-12; convert into AZN, 1 for 5000 AZM";
        assert_eq!(old.as_deref(), Some(said));
        assert_eq!(currency_by_spelling("rs ").map(|row| row.code), Some("PKR"));
        assert_eq!(currency_by_spelling("DHM").map(|row| row.code), Some("AED"));
        assert_eq!(currency_by_spelling("??"), None);
        assert_eq!(package("CT").map(|row| row.name), Some("Carton"));
    }
}
