//! How officers decide under one agreement, as dated data: when a second officer must confirm, how
//! long a verification takes, what points to a forged content, which looks are recorded, how far
//! back an outage may be declared.
//!
//! The file `data/decisions.toml` says it, each row with its source and how sure we are.
//!
//! Invariants: each table has a row from the day on which the agreement came into force; every
//! number lies within its bound; loading refuses a file for which this does not hold.
//!
//! Not here: which differences are found (`crate::matching`), the reasons (`super::reasons`).

use karvan_types::{Date, ErrorKind};
use serde::{Deserialize, Serialize};

use super::Verdict;
use crate::matching::{Match, Rule, Severity, Standing};

/// The shipped file.
const SHIPPED: &str = include_str!("../../data/decisions.toml");
/// Longest age of a proposal that a file may allow, in hours: 30 days.
const HOURS_MAX: u32 = 30 * 24;
/// Longest time for an answer that a file may allow, in months.
const MONTHS_MAX: u32 = 36;
/// Longest time back for the beginning of an outage that a file may allow, in days: five years.
const DAYS_BACK_MAX: u32 = 1830;
/// Most reminders before the answer is due.
const REMINDERS_MAX: usize = 10;

/// A value and from when to when it holds.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Dated<T> {
    /// First day.
    pub from: Date,
    /// Last day, if the row has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Date>,
    /// How sure we are.
    pub status: Standing,
    /// From where we know it.
    pub source: String,
    /// The value.
    pub terms: T,
}

/// When a second officer must confirm.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SecondOfficer {
    /// A grant against a difference of one of these severities needs one.
    pub severities: Vec<Severity>,
    /// How old a proposal may be when it is confirmed, in hours.
    pub hours: u32,
}

/// How a verification runs.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct VerificationTerms {
    /// In how many months an answer is due.
    pub reply_months: u32,
    /// So many days before that, the partner is reminded; most days first.
    pub reminder_days: Vec<u32>,
    /// What is proposed when no answer came.
    pub no_answer: Verdict,
    /// The differences that a confirmation clears up, so that a grant is proposed.
    pub confirmed_clears: Vec<Rule>,
}

/// What points to a certificate whose content is not what its issuer sent.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ForgedContent {
    /// How many of the rules must be broken at once.
    pub count: usize,
    /// The rules.
    pub rules: Vec<Rule>,
}

/// Kinds of cases that an item of a claim can have.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CaseKind {
    /// The certificate is or was verified.
    Verification,
    /// A grant against a red match was proposed or made.
    Override,
    /// The goods were released under security.
    Security,
    /// Everything claimed is decided, so that nobody has anything left to do there.
    Decided,
}

/// Of which claims every look is recorded.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RecordedLooks {
    /// Those with a case of one of these kinds.
    pub cases: Vec<CaseKind>,
}

/// How far back an outage of the partner may be declared.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct DeclaredOutage {
    /// How many days its beginning may lie in the past.
    pub days_back_max: u32,
}

/// The file as written.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    agreement: String,
    #[serde(rename = "in_force")]
    in_force: Date,
    second_officer: Vec<Dated<SecondOfficer>>,
    verification: Vec<Dated<VerificationTerms>>,
    forged_content: Vec<Dated<ForgedContent>>,
    recorded_looks: Vec<Dated<RecordedLooks>>,
    declared_outage: Vec<Dated<DeclaredOutage>>,
}

/// How officers decide under one agreement.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Policy(File);

/// A file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Not TOML of the expected shape.
    #[error("the file on decisions cannot be read; mend the named line")]
    Syntax(#[from] toml::de::Error),
    /// A table has no row from the first day of the agreement on.
    #[error("the file on decisions has no row of `{0}` from {1} on; add one")]
    Missing(&'static str, Date),
    /// A number lies outside its bound, or a list is in the wrong order.
    #[error("the file on decisions: {0}")]
    Bounds(&'static str),
}

impl Error {
    /// Returns the kind.
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::LocalConfig
    }
}

/// Returns the row in force on a day, the newest of several.
fn on<T>(rows: &[Dated<T>], day: Date) -> Option<&Dated<T>> {
    (rows.iter())
        .filter(|row| row.from <= day && row.until.is_none_or(|until| day <= until))
        .max_by_key(|row| row.from)
}

impl Policy {
    /// Returns the rows shipped with Karvan for the agreement of Azerbaijan and Pakistan.
    pub fn shipped() -> Result<Self, Error> {
        Self::parse(SHIPPED)
    }

    /// Reads a file.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let file: File = toml::from_str(text)?;
        let day = file.in_force;
        for (name, found) in [
            ("second-officer", on(&file.second_officer, day).is_some()),
            ("verification", on(&file.verification, day).is_some()),
            ("forged-content", on(&file.forged_content, day).is_some()),
            ("recorded-looks", on(&file.recorded_looks, day).is_some()),
            ("declared-outage", on(&file.declared_outage, day).is_some()),
        ] {
            if !found {
                return Err(Error::Missing(name, day));
            }
        }
        for row in &file.second_officer {
            bounded((1..=HOURS_MAX).contains(&row.terms.hours), "give `hours` from 1 to 720")?;
        }
        for row in &file.verification {
            let terms = &row.terms;
            let months = (1..=MONTHS_MAX).contains(&terms.reply_months);
            bounded(months, "give `reply-months` from 1 to 36")?;
            let days = &terms.reminder_days;
            let falls = days.windows(2).all(|pair| pair.first() > pair.last());
            let fit = falls && days.len() <= REMINDERS_MAX && !days.contains(&0);
            bounded(fit, "give at most 10 `reminder-days`, each less than the one before, not 0")?;
            let grants = matches!(terms.no_answer, Verdict::Grant | Verdict::GrantInPart);
            bounded(!grants, "`no-answer` is query, deny or general-rate")?;
        }
        for row in &file.forged_content {
            let fits = (1..=row.terms.rules.len()).contains(&row.terms.count);
            bounded(fits, "give a `count` from 1 to the number of `rules`")?;
        }
        for row in &file.declared_outage {
            let fits = (1..=DAYS_BACK_MAX).contains(&row.terms.days_back_max);
            bounded(fits, "give `days-back-max` from 1 to 1830")?;
        }
        Ok(Self(file))
    }

    /// Returns the agreement.
    pub fn agreement(&self) -> &str {
        &self.0.agreement
    }

    /// Returns when a second officer must confirm, as of a day on or after the agreement's first.
    pub fn second_officer(&self, day: Date) -> Option<&Dated<SecondOfficer>> {
        on(&self.0.second_officer, day)
    }

    /// Returns how a verification that is opened on a day runs.
    pub fn verification(&self, day: Date) -> Option<&Dated<VerificationTerms>> {
        on(&self.0.verification, day)
    }

    /// Returns which cases make looks recorded.
    pub fn recorded_looks(&self, day: Date) -> Option<&Dated<RecordedLooks>> {
        on(&self.0.recorded_looks, day)
    }

    /// Returns how far back an outage may be declared on a day.
    pub fn declared_outage(&self, day: Date) -> Option<&Dated<DeclaredOutage>> {
        on(&self.0.declared_outage, day)
    }

    /// Returns the broken rules that together point to a forged content; none when they are fewer
    /// than it takes.
    pub fn forged_content(&self, day: Date, matched: &Match) -> Vec<Rule> {
        let Some(row) = on(&self.0.forged_content, day) else { return Vec::new() };
        let is_counted = |rule: &Rule| {
            matched.find(*rule).is_some_and(|found| found.severity > Severity::Tolerated)
        };
        let broken: Vec<Rule> = row.terms.rules.iter().copied().filter(is_counted).collect();
        if broken.len() >= row.terms.count { broken } else { Vec::new() }
    }
}

fn bounded(fits: bool, otherwise: &'static str) -> Result<(), Error> {
    if fits { Ok(()) } else { Err(Error::Bounds(otherwise)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Date {
        text.parse().expect("a date")
    }

    #[test]
    fn the_shipped_file_answers_from_the_first_day_on() {
        let policy = Policy::shipped().expect("loads");
        assert_eq!(policy.agreement(), "AZ-PK-PTA");
        let before = day("2024-12-15");
        assert!(policy.second_officer(before).is_none());
        let first = day("2024-12-16");
        let row = policy.second_officer(first).expect("a row");
        assert_eq!(row.terms.severities, [Severity::Hold, Severity::Deny]);
        assert!(row.source.len() > 10);
        let terms = &policy.verification(first).expect("a row").terms;
        assert_eq!((terms.reply_months, terms.reminder_days.as_slice()), (6, &[60, 30, 7][..]));
        assert!(policy.recorded_looks(first).is_some());
        let outage = policy.declared_outage(first).expect("a row");
        assert_eq!((outage.terms.days_back_max, outage.status), (366, Standing::Assumed));
    }

    #[test]
    fn the_newest_row_in_force_counts() {
        let newer = SHIPPED.to_owned()
            + "\n[[second-officer]]\nfrom = \"2026-01-01\"\nuntil = \"2026-06-30\"\n\
               status = \"official\"\nsource = \"a later protocol\"\n\
               terms = { severities = [\"deny\"], hours = 8 }\n";
        let policy = Policy::parse(&newer).expect("loads");
        for (on, hours) in [("2025-12-31", 72), ("2026-01-01", 8), ("2026-07-01", 72)] {
            let row = policy.second_officer(day(on)).expect("a row");
            assert_eq!(row.terms.hours, hours, "{on}");
        }
    }

    #[test]
    fn a_file_that_would_mislead_is_refused() {
        for (from, to, expected) in [
            ("hours = 72", "hours = 0", "hours"),
            ("hours = 72", "hours = 721", "hours"),
            ("reply-months = 6", "reply-months = 0", "reply-months"),
            ("[60, 30, 7]", "[7, 30]", "reminder-days"),
            ("[60, 30, 7]", "[60, 0]", "reminder-days"),
            ("no-answer = \"deny\"", "no-answer = \"grant\"", "no-answer"),
            ("\"no-data-period\"]", "\"no-data\"]", "cannot be read"),
            ("count = 3", "count = 8", "count"),
            ("count = 3", "count = 0", "count"),
            (
                "[[second-officer]]\nfrom = \"2024-12-16\"",
                "[[second-officer]]\nfrom = \"2025-01-01\"",
                "second-officer",
            ),
            ("\"hs6\"", "\"hs7\"", "cannot be read"),
            ("hours = 72", "hours = 72, extra = 1", "cannot be read"),
            ("days-back-max = 366", "days-back-max = 0", "days-back-max"),
            ("days-back-max = 366", "days-back-max = 1831", "days-back-max"),
            (
                "[[declared-outage]]\nfrom = \"2024-12-16\"",
                "[[declared-outage]]\nfrom = \"2025-01-01\"",
                "declared-outage",
            ),
        ] {
            let text = SHIPPED.replacen(from, to, 1);
            assert_ne!(text, SHIPPED, "{from}");
            let error = Policy::parse(&text).expect_err(to);
            assert!(error.to_string().contains(expected), "{to}: {error}");
            assert_eq!(error.kind(), ErrorKind::LocalConfig);
        }
    }
}
