//! Reads a profile strictly and tells every problem with its line.

use std::fmt;

use karvan_types::amount::parse_decimal;
use karvan_types::{Date, Decimal, Digest, ErrorKind};
use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::{Condition, DrawRule, Lane, Lanes, Limit, Profile, Rule, Test, Windows};
use crate::codes;
use crate::messages::text::{date, optional_date};
use crate::risk::facts::{Kind, MEANINGS, meaning};
use crate::tariff::{Lines, Status};

/// The one format that is read.
pub const FORMAT: &str = "karvan-risk/1";
/// Longest file, in bytes.
pub const FILE_BYTES_MAX: usize = 1024 * 1024;
/// Most rules of a profile.
pub const RULES_MAX: usize = 500;
/// Most problems told about one file.
pub const PROBLEMS_MAX: usize = 50;
/// Most conditions of one rule.
const CONDITIONS_MAX: usize = 10;
/// Most texts of one condition.
const VALUES_MAX: usize = 500;
/// Longest text of a condition, in characters.
const VALUE_CHARS_MAX: usize = 70;
/// Longest name of a rule or version, in characters.
const NAME_CHARS_MAX: usize = 40;
/// Longest sentence or source, in characters.
const TEXT_CHARS_MAX: usize = 300;
/// Most points of one rule.
const POINTS_MAX: u32 = 100;
/// Longest window, in days.
const DAYS_MAX: u16 = 1000;

/// What is wrong with a profile, where, and what to do.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, thiserror::Error)]
pub struct Problem {
    /// Line of the file, counted from 1; absent for the file as a whole.
    pub line: Option<usize>,
    /// The rule of the profile concerned.
    pub rule: Option<String>,
    /// What is wrong and what to do.
    pub remedy: String,
}

impl Problem {
    /// Returns what kind of failure this is.
    pub const fn kind(&self) -> ErrorKind {
        ErrorKind::Invalid
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        if let Some(rule) = &self.rule {
            write!(f, "rule `{rule}`: ")?;
        }
        f.write_str(&self.remedy)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    format: String,
    nation: String,
    version: String,
    #[serde(with = "date")]
    published: Date,
    lanes: Lanes,
    draw: DrawRule,
    windows: Windows,
    limit: Option<RawLimit>,
    #[serde(default, rename = "rule")]
    rules: Vec<Spanned<RawRule>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLimit {
    value: String,
    currency: String,
    within_percent: String,
    status: Status,
    source: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRule {
    id: String,
    points: u32,
    lane: Option<Lane>,
    text: String,
    when: Vec<RawCondition>,
    #[serde(with = "date")]
    from: Date,
    #[serde(default, with = "optional_date")]
    until: Option<Date>,
    status: Status,
    source: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCondition {
    fact: String,
    is: String,
    value: Option<String>,
    values: Option<Vec<String>>,
}

/// Collects problems of one place.
struct Place<'a> {
    line: Option<usize>,
    rule: Option<&'a str>,
    problems: &'a mut Vec<Problem>,
}

impl Place<'_> {
    fn refuse(&mut self, broken: bool, remedy: impl FnOnce() -> String) {
        if broken {
            let rule = self.rule.map(|rule| rule.chars().take(NAME_CHARS_MAX).collect());
            self.problems.push(Problem { line: self.line, rule, remedy: remedy() });
        }
    }
}

pub(super) fn read(text: &str) -> Result<Profile, Vec<Problem>> {
    let whole = |remedy| vec![Problem { line: None, rule: None, remedy }];
    if text.len() > FILE_BYTES_MAX {
        return Err(whole(format!("the file has {} bytes; at most {FILE_BYTES_MAX}", text.len())));
    }
    let lines = Lines::of(text);
    let raw: Raw = toml::from_str(text).map_err(|error| {
        let line = error.span().map(|span| lines.at(span.start));
        let remedy = format!("{}; docs/use/risk.md describes the file", error.message());
        vec![Problem { line, rule: None, remedy }]
    })?;
    let mut problems = Vec::new();
    check_header(&raw, &mut problems);
    let limit = raw.limit.as_ref().and_then(|limit| read_limit(limit, &mut problems));
    let mut rules = Vec::new();
    for spanned in raw.rules {
        let line = lines.at(spanned.span().start);
        rules.extend(read_rule(spanned.into_inner(), line, &mut problems));
    }
    check_overlaps(&rules, &mut problems);
    if !problems.is_empty() {
        problems.sort_by_key(|problem| problem.line);
        problems.truncate(PROBLEMS_MAX);
        return Err(problems);
    }
    Ok(Profile {
        nation: raw.nation,
        version: raw.version,
        published: raw.published,
        digest: Digest::of(text.as_bytes()),
        lanes: raw.lanes,
        draw: raw.draw,
        windows: raw.windows,
        limit,
        rules,
    })
}

fn check_header(raw: &Raw, problems: &mut Vec<Problem>) {
    let mut place = Place { line: None, rule: None, problems };
    place.refuse(raw.format != FORMAT, || format!("its format is not `{FORMAT}`"));
    place.refuse(codes::country(&raw.nation).is_none(), || {
        format!("`{}` is no country of ISO 3166; correct `nation`", shown(&raw.nation))
    });
    let length = raw.version.chars().count();
    place.refuse(!(1..=NAME_CHARS_MAX).contains(&length), || {
        format!("`version` has {length} characters; give 1 to {NAME_CHARS_MAX}")
    });
    let Lanes { blue, yellow, red, .. } = raw.lanes;
    place.refuse(!(0 < blue && blue < yellow && yellow < red), || {
        format!("lanes rise: 0 < blue < yellow < red, but they are {blue}, {yellow}, {red}")
    });
    let drawn = raw.draw.per_mille;
    place.refuse(drawn > 1000, || format!("draw.per_mille is {drawn}; give 0 to 1000"));
    for (name, days) in
        [("history_days", raw.windows.history_days), ("parallel_days", raw.windows.parallel_days)]
    {
        place.refuse(!(1..=DAYS_MAX).contains(&days), || {
            format!("windows.{name} is {days}; give 1 to {DAYS_MAX}")
        });
    }
    let sources = [&raw.lanes.source, &raw.draw.source, &raw.windows.source];
    for source in sources.into_iter().chain(raw.limit.as_ref().map(|limit| &limit.source)) {
        place.refuse(!is_text(source), || no_text("source"));
    }
    let count = raw.rules.len();
    place.refuse(count == 0 || count > RULES_MAX, || {
        format!("the profile has {count} rules; give 1 to {RULES_MAX}")
    });
}

fn read_limit(raw: &RawLimit, problems: &mut Vec<Problem>) -> Option<Limit> {
    let mut place = Place { line: None, rule: None, problems };
    let (value, percent) = (parse_decimal(&raw.value), parse_decimal(&raw.within_percent));
    for error in [value.as_ref().err(), percent.as_ref().err()].into_iter().flatten() {
        place.refuse(true, || format!("limit: {error}"));
    }
    let (value, within_percent) = (value.ok()?, percent.ok()?);
    place.refuse(within_percent > Decimal::ONE_HUNDRED, || {
        "limit.within_percent is above 100; give a share of the limit".to_owned()
    });
    place.refuse(codes::currency(&raw.currency).is_none(), || {
        format!("limit: `{}` is no currency of ISO 4217; correct it", shown(&raw.currency))
    });
    let (currency, source) = (raw.currency.clone(), raw.source.clone());
    Some(Limit { value, currency, within_percent, status: raw.status, source })
}

fn read_rule(raw: RawRule, line: usize, problems: &mut Vec<Problem>) -> Option<Rule> {
    let before = problems.len();
    let mut place = Place { line: Some(line), rule: Some(&raw.id), problems };
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let length = raw.id.chars().count();
    place.refuse(!(1..=NAME_CHARS_MAX).contains(&length) || !raw.id.chars().all(fits), || {
        format!("`id` is 1 to {NAME_CHARS_MAX} of a-z, 0-9 and -; rename the rule")
    });
    place.refuse(raw.points > POINTS_MAX, || {
        format!("{} points are more than {POINTS_MAX}; lower them, or set `lane`", raw.points)
    });
    place.refuse(raw.points == 0 && raw.lane.is_none(), || {
        "it has neither points nor a lane, so it changes nothing; give one".to_owned()
    });
    place.refuse(!is_text(&raw.text), || no_text("text"));
    place.refuse(!is_text(&raw.source), || no_text("source"));
    place.refuse(raw.until.is_some_and(|until| until < raw.from), || {
        "it ends before it begins; correct `from` or `until`".to_owned()
    });
    for name in placeholders(&raw.text) {
        place.refuse(meaning(name).is_none(), || {
            format!("`text` names `{{{}}}`, which is no fact; {}", shown(name), known())
        });
    }
    let count = raw.when.len();
    place.refuse(!(1..=CONDITIONS_MAX).contains(&count), || {
        format!("it has {count} conditions; give 1 to {CONDITIONS_MAX}")
    });
    let when = raw.when.iter().filter_map(|raw| read_condition(raw, &mut place)).collect();
    let RawRule { id, points, lane, text, from, until, status, source, .. } = raw;
    (problems.len() == before).then_some(Rule {
        id,
        points,
        lane,
        text,
        when,
        from,
        until,
        status,
        source,
        line,
    })
}

fn read_condition(raw: &RawCondition, place: &mut Place<'_>) -> Option<Condition> {
    let Some(meaning) = meaning(&raw.fact) else {
        place.refuse(true, || format!("`{}` is no fact; {}", shown(&raw.fact), known()));
        return None;
    };
    let (is, fact) = (raw.is.as_str(), meaning.name);
    let test = match (meaning.kind, is) {
        (_, "unknown") => Test::Unknown,
        (Kind::Texts, "some") => Test::Some,
        (Kind::Texts, "none") => Test::None,
        (Kind::Texts, "any-of") => Test::AnyOf(raw.values.clone().unwrap_or_default()),
        (Kind::Texts, "none-of") => Test::NoneOf(raw.values.clone().unwrap_or_default()),
        (Kind::Texts, "starts-with") => Test::StartsWith(raw.values.clone().unwrap_or_default()),
        (Kind::Number, "at-least" | "at-most") => {
            let text = raw.value.as_deref().unwrap_or_default();
            match parse_decimal(text) {
                Ok(number) if is == "at-least" => Test::AtLeast(number),
                Ok(number) => Test::AtMost(number),
                Err(error) => {
                    place.refuse(true, || format!("`value` of {fact}: {error}"));
                    return None;
                }
            }
        }
        (kind, _) => {
            let tests = match kind {
                Kind::Texts => "some, none, any-of, none-of, starts-with or unknown",
                Kind::Number => "at-least, at-most or unknown",
            };
            place.refuse(true, || {
                format!("{fact} cannot be tested with `{}`; use {tests}", shown(is))
            });
            return None;
        }
    };
    let takes_values = matches!(test, Test::AnyOf(_) | Test::NoneOf(_) | Test::StartsWith(_));
    let takes_value = matches!(test, Test::AtLeast(_) | Test::AtMost(_));
    place.refuse(raw.values.is_some() != takes_values, || {
        format!("`{is}` of {fact} {} `values`", if takes_values { "needs" } else { "takes no" })
    });
    place.refuse(raw.value.is_some() && !takes_value, || {
        format!("`{is}` of {fact} takes no `value`; remove it")
    });
    let values = raw.values.as_deref().unwrap_or_default();
    place.refuse(takes_values && !(1..=VALUES_MAX).contains(&values.len()), || {
        format!("`values` of {fact} has {} texts; give 1 to {VALUES_MAX}", values.len())
    });
    let fits = |value: &String| (1..=VALUE_CHARS_MAX).contains(&value.chars().count());
    place.refuse(!values.iter().all(fits), || {
        format!("a text in `values` of {fact} is empty or has over {VALUE_CHARS_MAX} characters")
    });
    Some(Condition { fact: fact.to_owned(), is: test })
}

/// Refuses two rules of one name on one day.
fn check_overlaps(rules: &[Rule], problems: &mut Vec<Problem>) {
    for (place, second) in rules.iter().enumerate() {
        let earlier = rules.iter().take(place).find(|first| {
            let starts = first.from.max(second.from);
            first.id == second.id && first.is_valid_on(starts) && second.is_valid_on(starts)
        });
        if let Some(first) = earlier {
            problems.push(Problem {
                line: Some(second.line),
                rule: Some(second.id.clone()),
                remedy: format!("line {} has the same name on the same days; end one", first.line),
            });
        }
    }
}

fn is_text(text: &str) -> bool {
    (10..=TEXT_CHARS_MAX).contains(&text.chars().count())
}

fn no_text(name: &str) -> String {
    format!("`{name}` has fewer than 10 or more than {TEXT_CHARS_MAX} characters; say it in words")
}

fn shown(text: &str) -> String {
    text.chars().take(NAME_CHARS_MAX).collect()
}

fn known() -> String {
    let names: Vec<_> = MEANINGS.iter().map(|meaning| meaning.name).collect();
    format!("facts are {}", names.join(", "))
}

/// Returns the names in braces of a sentence.
pub(crate) fn placeholders(text: &str) -> impl Iterator<Item = &str> {
    text.split('{').skip(1).map(|part| part.split_once('}').map_or(part, |(name, _)| name))
}
