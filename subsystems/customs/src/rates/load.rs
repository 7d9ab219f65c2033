//! Reads a file of rates and names every problem with its line.

use std::collections::BTreeMap;
use std::fmt;

use karvan_types::amount::parse_decimal;
use karvan_types::{Date, Decimal, Digest, ErrorKind};
use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::{DAYS_MAX, Used};
use crate::codes;
use crate::messages::text::date;

/// Most rates of one file.
pub const RATES_MAX: usize = 20_000;
/// Most problems that are listed.
const PROBLEMS_MAX: usize = 100;

/// How sure a rate is.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Read at the authority that sets it.
    Official,
    /// Read elsewhere.
    Reported,
    /// A placeholder; nothing may be collected on it.
    Assumed,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Official => "official",
            Self::Reported => "reported",
            Self::Assumed => "assumed (!)",
        })
    }
}

/// One rate: so many units of a currency are worth a value of the table's.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// The foreign currency, ISO 4217.
    pub currency: String,
    /// How many units.
    #[serde(with = "karvan_types::amount::decimal_text")]
    pub units: Decimal,
    /// What they are worth.
    #[serde(with = "karvan_types::amount::decimal_text")]
    pub value: Decimal,
    /// First day.
    #[serde(with = "date")]
    pub from: Date,
    /// Last day, when it is known.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "crate::messages::text::optional_date"
    )]
    pub until: Option<Date>,
    /// How sure it is.
    pub status: Status,
    /// From where it is known.
    pub source: String,
}

/// A file of rates.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RateTable {
    /// Name of the version.
    pub version: String,
    /// The day on which it was published.
    pub published: Date,
    /// Who published it.
    pub authority: String,
    /// The currency in which values are stated.
    pub currency: String,
    /// Whether rates without an end hold for ever, as fixed parities do.
    pub fixed: bool,
    /// SHA-256 of the file.
    pub digest: Digest,
    /// The rates, by currency and first day.
    pub rates: Vec<Rate>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    version: String,
    #[serde(with = "date")]
    published: Date,
    authority: String,
    currency: String,
    #[serde(default)]
    fixed: bool,
    #[serde(default, rename = "rate")]
    rates: Vec<Spanned<Rate>>,
}

/// One problem of a file.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Problem {
    /// Line, counted from 1; 0 when the whole file is meant.
    pub line: usize,
    /// What is wrong and what to do.
    pub text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.text),
            line => write!(f, "line {line}: {}", self.text),
        }
    }
}

/// A file of rates cannot be used, or not be kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file breaks rules.
    #[error("the file of rates has {} problems, the first: {}", .0.len(), first(.0))]
    File(Vec<Problem>),
    /// A rate of that day is here with another value.
    #[error(
        "the rate of {currency} from {from} is here as {here} and would become {found}; a rate \
         that was used never changes, so give the correction a later first day"
    )]
    Changed {
        /// The foreign currency.
        currency: String,
        /// Its first day.
        from: Date,
        /// What is kept.
        here: String,
        /// What the file says.
        found: String,
    },
    /// Storage failed.
    #[error(transparent)]
    Store(#[from] karvan_store::Error),
}

fn first(problems: &[Problem]) -> String {
    problems.first().map(ToString::to_string).unwrap_or_default()
}

impl Error {
    /// Returns what kind of failure this is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::File(_) => ErrorKind::Invalid,
            Self::Changed { .. } => ErrorKind::Conflict,
            Self::Store(error) => error.kind(),
        }
    }
}

impl RateTable {
    /// Reads a file; every problem is named.
    pub fn check(text: &str) -> Result<Self, Error> {
        let raw: Raw = toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(0, |span| line_of(text, span.start));
            Error::File(vec![Problem { line, text: error.message().to_owned() }])
        })?;
        let mut problems = Problems { text, list: Vec::new() };
        problems.head(&raw);
        for rate in &raw.rates {
            problems.rate(rate, &raw.currency);
        }
        problems.overlaps(&raw.rates);
        if !problems.list.is_empty() {
            return Err(Error::File(problems.list));
        }
        let mut rates: Vec<Rate> = raw.rates.into_iter().map(Spanned::into_inner).collect();
        rates.sort_by(|a, b| (&a.currency, a.from).cmp(&(&b.currency, b.from)));
        Ok(Self {
            version: raw.version,
            published: raw.published,
            authority: raw.authority,
            currency: raw.currency,
            fixed: raw.fixed,
            digest: Digest::of(text.as_bytes()),
            rates,
        })
    }

    /// Returns the rate of a currency that holds on `day`.
    pub(super) fn rate_on(&self, currency: &str, day: Date) -> Option<Used> {
        let of_currency = self.rates.iter().filter(|rate| rate.currency == currency);
        let rate = of_currency.filter(|rate| rate.from <= day).max_by_key(|rate| rate.from)?;
        rate.holds_on(day, self.fixed).then(|| rate.used(&self.currency))
    }
}

impl Rate {
    /// Returns whether the rate, the newest one before `day`, still holds on it.
    pub(super) fn holds_on(&self, day: Date, fixed: bool) -> bool {
        match self.until {
            Some(until) => day <= until,
            None => fixed || (day - self.from).get_days() <= DAYS_MAX,
        }
    }

    pub(super) fn used(&self, base: &str) -> Used {
        Used {
            currency: self.currency.clone(),
            units: self.units,
            value: self.value,
            base: base.to_owned(),
            from: self.from,
            status: self.status,
            source: self.source.clone(),
        }
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

struct Problems<'a> {
    text: &'a str,
    list: Vec<Problem>,
}

impl Problems<'_> {
    fn add(&mut self, line: usize, text: impl Into<String>) {
        if self.list.len() < PROBLEMS_MAX {
            self.list.push(Problem { line, text: text.into() });
        }
    }

    fn line(&self, rate: &Spanned<Rate>) -> usize {
        line_of(self.text, rate.span().start)
    }

    fn head(&mut self, raw: &Raw) {
        if raw.rates.is_empty() {
            self.add(0, "there is no rate; add a [[rate]] for each currency");
        }
        if raw.rates.len() > RATES_MAX {
            self.add(0, format!("there are more than {RATES_MAX} rates; split the file"));
        }
        if raw.version.trim().is_empty() || raw.authority.trim().is_empty() {
            self.add(0, "give the file a `version` and name its `authority`");
        }
        self.currency(0, &raw.currency);
    }

    /// Refuses what is no currency, and names the successor of one that was withdrawn.
    fn currency(&mut self, line: usize, code: &str) {
        let shown: String = code.chars().take(20).collect();
        match codes::currency(code) {
            None => self.add(line, format!("`{shown}` is not a currency of ISO 4217")),
            Some(currency) if currency.withdrawn.is_some() => {
                self.add(line, codes::withdrawn(currency));
            }
            Some(_) => {}
        }
    }

    fn rate(&mut self, rate: &Spanned<Rate>, base: &str) {
        let (line, rate) = (self.line(rate), rate.get_ref());
        self.currency(line, &rate.currency);
        if rate.currency == base {
            self.add(line, format!("{base} is the currency of the table itself; leave it out"));
        }
        if rate.units.is_zero() || rate.value.is_zero() {
            self.add(line, "units and value are above zero; correct them");
        }
        if rate.source.trim().is_empty() {
            self.add(line, "name the source");
        }
        if rate.until.is_some_and(|until| until < rate.from) {
            self.add(line, "the rate ends before it begins; correct `until`");
        }
        // What is written has to fit the strict form of decimals, which storage reads back.
        if parse_decimal(&rate.value.to_string()).is_err() {
            self.add(line, "the value has too many digits; at most 16 and 6 decimals");
        }
    }

    fn overlaps(&mut self, rates: &[Spanned<Rate>]) {
        let mut by_currency: BTreeMap<&str, Vec<&Spanned<Rate>>> = BTreeMap::new();
        for rate in rates {
            by_currency.entry(rate.get_ref().currency.as_str()).or_default().push(rate);
        }
        for (currency, mut rates) in by_currency {
            rates.sort_by_key(|rate| rate.get_ref().from);
            for pair in rates.windows(2) {
                let [earlier, later] = pair else { continue };
                let (a, b) = (earlier.get_ref(), later.get_ref());
                if a.from == b.from || a.until.is_some_and(|until| until >= b.from) {
                    let (first, second) = (self.line(earlier), self.line(later));
                    let text = format!(
                        "the rate of {currency} from {} overlaps with that of line {first}; one \
                         day has one rate",
                        b.from
                    );
                    self.add(second, text);
                }
            }
        }
    }
}
