//! Reads a tariff file: blocks of rates with a common validity and source become measures.
//!
//! A line takes from its block what it does not say itself, so in the end each has a validity, a
//! source and a status. All problems are collected, each with its line, because a person mends
//! the file.

mod check;
mod coverage;

use karvan_types::amount::parse_decimal;
use karvan_types::{Date, Decimal, Digest};
use serde::Deserialize;
use toml::Spanned;

use super::index::Index;
use super::{
    Agreement, Base, Charge, ConcessionLine, Duty, Error, ImporterClass, Measure, MeasureKind,
    Quota, Rate, RateDate, Rounding, Source, Specific, Status, Tariff,
};
use crate::codes::{self, units};
use crate::messages::text::{date, optional_date};

/// The one format that is read.
pub const FORMAT: &str = "karvan-tariff/1";
/// Longest tariff file, in bytes; as a JSON string it still fits one request.
pub const FILE_BYTES_MAX: usize = 5 * 1024 * 1024;
/// Most measures in a file.
pub const MEASURES_MAX: usize = 500_000;
/// Most problems told about one file.
pub const PROBLEMS_MAX: usize = 50;
/// Most digits of a national code.
const CODE_DIGITS_MAX: usize = 12;
/// Most decimal places of an amount.
const ROUNDING_DECIMALS_MAX: u32 = 6;
/// Longest name of a version, in characters.
const VERSION_CHARS_MAX: usize = 40;
/// Highest rate that is believed, in percent.
const PERCENT_MAX: Decimal = Decimal::ONE_THOUSAND;
/// Highest amount per unit or item that is believed, in the currency of the tariff.
const AMOUNT_MAX: Decimal = Decimal::from_parts(1_000_000_000, 0, 0, false, 0);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTariff {
    format: String,
    version: String,
    #[serde(with = "date")]
    published: Date,
    country: String,
    currency: String,
    code_digits: usize,
    rounding: Rounding,
    rate_date: RateDate,
    sources: Vec<Source>,
    charges: Vec<RawCharge>,
    #[serde(default)]
    agreements: Vec<Agreement>,
    #[serde(default)]
    quotas: Vec<Spanned<Quota>>,
    #[serde(default)]
    lines: Vec<ConcessionLine>,
    blocks: Vec<RawBlock>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCharge {
    duty: Duty,
    base: Vec<String>,
}

/// Rates that share what they do not say themselves.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawBlock {
    duty: Duty,
    kind: MeasureKind,
    agreement: Option<String>,
    quota: Option<String>,
    #[serde(default, with = "optional_date")]
    from: Option<Date>,
    #[serde(default, with = "optional_date")]
    until: Option<Date>,
    source: Option<String>,
    status: Option<Status>,
    note: Option<String>,
    rates: Vec<Spanned<RawRate>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRate {
    codes: Vec<String>,
    importer: Option<ImporterClass>,
    cd_min: Option<String>,
    cd_max: Option<String>,
    rate: Option<String>,
    specific: Option<String>,
    unit: Option<String>,
    fixed: Option<String>,
    quota: Option<String>,
    #[serde(default, with = "optional_date")]
    from: Option<Date>,
    #[serde(default, with = "optional_date")]
    until: Option<Date>,
    source: Option<String>,
    status: Option<Status>,
    note: Option<String>,
}

/// Reads a file, or tells every problem of it, at most [`PROBLEMS_MAX`].
pub(super) fn read(text: &str) -> Result<Tariff, Vec<Error>> {
    if text.len() > FILE_BYTES_MAX {
        let rule = format!("the file has {} bytes; at most {FILE_BYTES_MAX}", text.len());
        return Err(vec![Error::Syntax(rule)]);
    }
    let raw: RawTariff =
        toml::from_str(text).map_err(|error| vec![Error::Syntax(error.to_string())])?;
    let lines = Lines::of(text);
    let mut problems = Vec::new();
    let measures = measures(&raw, &lines, &mut problems);
    let charges = charges(&raw.charges, &mut problems);
    let quotas: Vec<(Quota, usize)> = (raw.quotas.into_iter())
        .map(|quota| (lines.at(quota.span().start), quota.into_inner()))
        .map(|(line, quota)| (quota, line))
        .collect();
    check::quotas(&quotas, &mut problems);
    let tariff = Tariff {
        version: raw.version,
        published: raw.published,
        digest: Digest::of(text.as_bytes()),
        country: raw.country,
        currency: raw.currency,
        code_digits: raw.code_digits,
        charges,
        rounding: raw.rounding,
        rate_date: raw.rate_date,
        sources: raw.sources,
        agreements: raw.agreements,
        quotas: quotas.into_iter().map(|(quota, _)| quota).collect(),
        lines: raw.lines,
        index: Index::new(measures),
    };
    check::header(&raw.format, &tariff, &mut problems);
    for list in tariff.index.lists() {
        check::periods(list, &mut problems);
    }
    check::names(&tariff, &mut problems);
    // Holes are looked for in lines that are right in themselves.
    if problems.is_empty() {
        coverage::holes(&tariff, &mut problems);
    }
    if problems.is_empty() {
        return Ok(tariff);
    }
    problems.sort_by_key(|problem| match problem {
        Error::Line { line, .. } => *line,
        Error::Overlap { second, .. } | Error::Gap { second, .. } => *second,
        _ => 0,
    });
    problems.truncate(PROBLEMS_MAX);
    Err(problems)
}

/// Where each line of a text begins.
pub(crate) struct Lines(Vec<usize>);

impl Lines {
    pub(crate) fn of(text: &str) -> Self {
        Self(text.match_indices('\n').map(|(place, _)| place).collect())
    }

    /// Returns the line number of a byte, counted from 1.
    pub(crate) fn at(&self, byte: usize) -> usize {
        1 + self.0.partition_point(|end| *end < byte)
    }
}

fn charges(raw: &[RawCharge], problems: &mut Vec<Error>) -> Vec<Charge> {
    let mut charges: Vec<Charge> = Vec::new();
    for charge in raw {
        let duty = charge.duty;
        let mut base = Vec::new();
        for name in &charge.base {
            // A base must be computed before it is used, so only earlier duties are found.
            let earlier = charges.iter().find(|earlier| earlier.duty.code() == name);
            match (name.as_str(), earlier) {
                ("value", _) => base.push(Base::Value),
                (_, Some(earlier)) => base.push(Base::Duty(earlier.duty)),
                _ => {
                    let rule = format!("the base `{name}` of {duty} is not a charge before it");
                    problems.push(Error::File(rule));
                }
            }
        }
        if charges.iter().any(|earlier| earlier.duty == duty) {
            problems.push(Error::File(format!("{duty} is charged twice; remove one")));
        }
        charges.push(Charge { duty, base });
    }
    charges
}

fn measures(raw: &RawTariff, lines: &Lines, problems: &mut Vec<Error>) -> Vec<Measure> {
    let mut measures = Vec::new();
    for block in &raw.blocks {
        for rate in &block.rates {
            let line = lines.at(rate.span().start);
            match measure(block, rate.get_ref(), line) {
                Ok(template) => add(&mut measures, raw, rate.get_ref(), &template, problems),
                Err(rule) => problems.push(Error::Line { line, rule }),
            }
            if measures.len() > MEASURES_MAX || problems.len() > PROBLEMS_MAX {
                if measures.len() > MEASURES_MAX {
                    let rule = format!("it holds more than {MEASURES_MAX} measures; shorten it");
                    problems.push(Error::File(rule));
                }
                return measures;
            }
        }
    }
    measures
}

/// Makes one measure for each code of a line.
fn add(
    measures: &mut Vec<Measure>,
    raw: &RawTariff,
    rate: &RawRate,
    template: &Measure,
    problems: &mut Vec<Error>,
) {
    for code in &rate.codes {
        let is_code = code.len() <= raw.code_digits.min(CODE_DIGITS_MAX)
            && code.bytes().all(|byte| byte.is_ascii_digit())
            && code.get(..6).is_none_or(|six| codes::hs(six).is_some());
        if is_code {
            measures.push(Measure { code: code.clone(), ..template.clone() });
        } else {
            let shown: String = code.chars().take(20).collect();
            let rule = format!("`{shown}` is not the beginning of a code of HS 2022");
            problems.push(Error::Line { line: template.line, rule });
        }
    }
}

/// Reads everything of a line but its codes.
fn measure(block: &RawBlock, raw: &RawRate, line: usize) -> Result<Measure, String> {
    let Some(from) = raw.from.or(block.from) else {
        return Err("neither the line nor its block says `from` when".to_owned());
    };
    let until = raw.until.or(block.until);
    if until.is_some_and(|until| until < from) {
        return Err("the period ends before it begins; correct a date".to_owned());
    }
    if (block.kind == MeasureKind::General) != block.agreement.is_none() {
        return Err("a preference names its agreement and a general rate names none".to_owned());
    }
    let Some(source) = raw.source.as_ref().or(block.source.as_ref()) else {
        return Err("neither the line nor its block names a `source`".to_owned());
    };
    let Some(status) = raw.status.or(block.status) else {
        return Err("neither the line nor its block has a `status`".to_owned());
    };
    let customs_duty_slab = match (&raw.cd_min, &raw.cd_max) {
        (None, None) => None,
        (Some(min), Some(max)) if block.duty != Duty::Cd => {
            Some((percent(min)?, percent(max)?)).filter(|(min, max)| min <= max)
        }
        _ => return Err("a slab has cd_min and cd_max and is not for CD itself".to_owned()),
    };
    if raw.cd_min.is_some() && customs_duty_slab.is_none() {
        return Err("cd_min is above cd_max; swap them".to_owned());
    }
    let quota = raw.quota.as_ref().or(block.quota.as_ref());
    if quota.is_some() && block.kind == MeasureKind::General {
        return Err("a quota limits a preference, not a general rate".to_owned());
    }
    Ok(Measure {
        duty: block.duty,
        kind: block.kind,
        code: String::new(),
        rate: rate(block.kind, raw)?,
        from,
        until,
        agreement: block.agreement.clone(),
        importer: raw.importer,
        customs_duty_slab,
        quota: quota.cloned(),
        source: source.clone(),
        status,
        note: raw.note.as_ref().or(block.note.as_ref()).cloned(),
        line,
    })
}

fn rate(kind: MeasureKind, raw: &RawRate) -> Result<Rate, String> {
    let percent = raw.rate.as_deref().map(percent).transpose()?;
    let specific = match (&raw.specific, &raw.unit) {
        (None, None) => None,
        (Some(amount), Some(unit)) => Some(Specific {
            amount: money(amount)?,
            unit: units::unit(unit)
                .ok_or_else(|| units::Error::UnknownUnit(unit.chars().take(20).collect()))
                .map_err(|error| error.to_string())?
                .code,
        }),
        _ => return Err("a specific rate has `specific`, an amount, and `unit`".to_owned()),
    };
    let fixed = raw.fixed.as_deref().map(money).transpose()?;
    if kind == MeasureKind::PercentReduction {
        let is_reduction = specific.is_none()
            && fixed.is_none()
            && percent.is_some_and(|percent| percent <= Decimal::ONE_HUNDRED);
        if !is_reduction {
            return Err("a reduction is a `rate` from 0 to 100 and nothing else".to_owned());
        }
    }
    if percent.is_none() && specific.is_none() && fixed.is_none() {
        return Err("the line has no rate; give `rate`, `specific` with `unit`, or `fixed`".into());
    }
    Ok(Rate { percent: percent.unwrap_or_default(), specific, fixed })
}

fn percent(text: &str) -> Result<Decimal, String> {
    let percent = parse_decimal(text).map_err(|error| error.to_string())?;
    if percent > PERCENT_MAX {
        return Err(format!("{percent} percent is not believed; at most {PERCENT_MAX}"));
    }
    Ok(percent.normalize())
}

fn money(text: &str) -> Result<Decimal, String> {
    let amount = parse_decimal(text).map_err(|error| error.to_string())?;
    if amount > AMOUNT_MAX {
        return Err(format!("an amount of {amount} is not believed; at most {AMOUNT_MAX}"));
    }
    Ok(amount.normalize())
}
