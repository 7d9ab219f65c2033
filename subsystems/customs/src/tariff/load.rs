//! Reads a tariff file: blocks of rates with a common validity and source become measures.

use std::collections::BTreeMap;

use karvan_types::amount::parse_decimal;
use karvan_types::{Date, Decimal};
use serde::Deserialize;
use toml::Spanned;

use super::{
    Agreement, Base, Charge, ConcessionLine, Duty, Error, ImporterClass, Measure, MeasureKind,
    Rounding, Source, Status, Tariff,
};
use crate::codes;
use crate::messages::text::{date, optional_date};

/// Longest tariff file, in bytes.
const FILE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Highest rate that is believed, in percent.
const PERCENT_MAX: Decimal = Decimal::ONE_THOUSAND;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTariff {
    country: String,
    currency: String,
    code_digits: usize,
    rounding: Rounding,
    sources: Vec<Source>,
    charges: Vec<RawCharge>,
    #[serde(default)]
    agreements: Vec<Agreement>,
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

/// Rates that share everything but the goods and the number.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawBlock {
    duty: Duty,
    kind: MeasureKind,
    agreement: Option<String>,
    #[serde(with = "date")]
    from: Date,
    #[serde(default, with = "optional_date")]
    until: Option<Date>,
    source: String,
    status: Status,
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
    rate: String,
}

pub(super) fn parse(text: &str) -> Result<Tariff, Error> {
    if text.len() > FILE_BYTES_MAX {
        let rule = format!("the file has {} bytes; split it below {FILE_BYTES_MAX}", text.len());
        return Err(Error::Syntax(rule));
    }
    let raw: RawTariff = toml::from_str(text).map_err(|error| Error::Syntax(error.to_string()))?;
    let charges = charges(&raw.charges)?;
    let mut tariff = Tariff {
        country: raw.country,
        currency: raw.currency,
        code_digits: raw.code_digits,
        charges,
        rounding: raw.rounding,
        sources: raw.sources,
        agreements: raw.agreements,
        lines: raw.lines,
        measures: BTreeMap::new(),
    };
    for block in &raw.blocks {
        for rate in &block.rates {
            let line = line_of(text, rate.span().start);
            add(&mut tariff, block, rate.get_ref(), line)
                .map_err(|rule| Error::Line { line, rule })?;
        }
    }
    for list in tariff.measures.values_mut() {
        list.sort_by_key(|measure| (measure.from, measure.line));
        check_periods(list)?;
    }
    check_names(&tariff)?;
    Ok(tariff)
}

/// Returns the line number of a byte, counted from 1.
fn line_of(text: &str, byte: usize) -> usize {
    1 + text.bytes().take(byte).filter(|b| *b == b'\n').count()
}

fn charges(raw: &[RawCharge]) -> Result<Vec<Charge>, Error> {
    let mut charges: Vec<Charge> = Vec::new();
    for charge in raw {
        let mut base = Vec::new();
        for name in &charge.base {
            // A base must be computed before it is used, so only earlier duties are found.
            let earlier = charges.iter().find(|earlier| earlier.duty.code() == name);
            base.push(match (name.as_str(), earlier) {
                ("value", _) => Base::Value,
                (_, Some(earlier)) => Base::Duty(earlier.duty),
                _ => {
                    let duty = charge.duty;
                    let rule = format!("the base `{name}` of {duty} is not a charge before it");
                    return Err(Error::Syntax(rule));
                }
            });
        }
        charges.push(Charge { duty: charge.duty, base });
    }
    Ok(charges)
}

fn add(tariff: &mut Tariff, block: &RawBlock, rate: &RawRate, line: usize) -> Result<(), String> {
    let percent = percent(&rate.rate)?;
    if block.until.is_some_and(|until| until < block.from) {
        return Err("the period ends before it begins; correct a date".to_owned());
    }
    if (block.kind == MeasureKind::General) != block.agreement.is_none() {
        return Err("a preference names its agreement and a general rate names none".to_owned());
    }
    let customs_duty_slab = match (&rate.cd_min, &rate.cd_max) {
        (None, None) => None,
        (Some(min), Some(max)) if block.duty != Duty::Cd => {
            Some((self::percent(min)?, self::percent(max)?))
        }
        _ => return Err("a slab has cd_min and cd_max and is not for CD itself".to_owned()),
    };
    for code in &rate.codes {
        let is_code = code.len() <= tariff.code_digits
            && code.bytes().all(|byte| byte.is_ascii_digit())
            && code.get(..6).is_none_or(|six| codes::hs(six).is_some());
        if !is_code {
            return Err(format!("`{code}` is not the beginning of a code of HS 2022"));
        }
        tariff.measures.entry((block.duty, code.clone())).or_default().push(Measure {
            duty: block.duty,
            kind: block.kind,
            code: code.clone(),
            percent,
            from: block.from,
            until: block.until,
            agreement: block.agreement.clone(),
            importer: rate.importer,
            customs_duty_slab,
            source: block.source.clone(),
            status: block.status,
            note: block.note.clone(),
            line,
        });
    }
    Ok(())
}

fn percent(text: &str) -> Result<Decimal, String> {
    let percent = parse_decimal(text).map_err(|error| error.to_string())?;
    if percent > PERCENT_MAX {
        return Err(format!("{percent} percent is not believed; at most {PERCENT_MAX}"));
    }
    Ok(percent.normalize())
}

/// Refuses overlaps and gaps among the measures of one duty and code, sorted by first day.
fn check_periods(list: &[Measure]) -> Result<(), Error> {
    let what = |m: &Measure| {
        let code = if m.code.is_empty() { "all goods" } else { &m.code };
        format!("{} for {code}", m.duty)
    };
    for (index, second) in list.iter().enumerate() {
        let rivals = || list.iter().take(index).filter(|first| is_rival(first, second));
        if let Some(first) = rivals().find(|f| f.is_valid_on(second.from) && slabs_meet(f, second))
        {
            let (what, day) = (what(second), second.from);
            return Err(Error::Overlap { first: first.line, second: second.line, what, day });
        }
        // The rivals' last covered day; none when one of them is open.
        let Some(last) = rivals().max_by_key(|first| first.until.unwrap_or(Date::MAX)) else {
            continue;
        };
        let Some(next) = last.until.and_then(|until| until.tomorrow().ok()) else { continue };
        if next < second.from {
            let (what, day) = (what(second), next);
            return Err(Error::Gap { first: last.line, second: second.line, what, day });
        }
    }
    Ok(())
}

/// Returns whether two measures of one duty and code answer the same question.
fn is_rival(a: &Measure, b: &Measure) -> bool {
    let classes_meet = match (a.importer, b.importer) {
        (Some(a), Some(b)) => a == b,
        _ => true,
    };
    a.agreement == b.agreement && classes_meet
}

fn slabs_meet(a: &Measure, b: &Measure) -> bool {
    match (a.customs_duty_slab, b.customs_duty_slab) {
        (Some((a_min, a_max)), Some((b_min, b_max))) => a_min <= b_max && b_min <= a_max,
        _ => true,
    }
}

/// Refuses names that lead nowhere.
fn check_names(tariff: &Tariff) -> Result<(), Error> {
    let dangling = |what: &str, name: &str| {
        Error::Syntax(format!("the {what} `{name}` is used but not defined; define it"))
    };
    if codes::country(&tariff.country).is_none() {
        return Err(dangling("country", &tariff.country));
    }
    if codes::currency(&tariff.currency).is_none() {
        return Err(dangling("currency", &tariff.currency));
    }
    let sources = tariff.measures().map(|measure| measure.source.as_str());
    let sources = sources.chain(tariff.agreements.iter().map(|a| a.source.as_str()));
    for source in sources.chain([tariff.rounding.source.as_str()]) {
        if tariff.source(source).is_none() {
            return Err(dangling("source", source));
        }
    }
    for measure in tariff.measures() {
        let Some(id) = &measure.agreement else { continue };
        if !tariff.agreements.iter().any(|agreement| agreement.id == *id) {
            return Err(dangling("agreement", id));
        }
        let mut lines = tariff.lines.iter().filter(|line| line.agreement == *id).peekable();
        let is_listed = lines.peek().is_none()
            || lines
                .flat_map(|line| &line.codes)
                .any(|code| measure.code.starts_with(code.as_str()));
        if !is_listed {
            let rule = format!("{} is in no line of the concession list of {id}", measure.code);
            return Err(Error::Line { line: measure.line, rule });
        }
    }
    Ok(())
}
