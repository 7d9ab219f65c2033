//! What must hold between the lines of a tariff file: no overlap, no gap, no name that leads
//! nowhere.

use karvan_types::{Date, Decimal};

use super::super::{Error, Measure, Quota, Tariff};
use super::{CODE_DIGITS_MAX, FORMAT, ROUNDING_DECIMALS_MAX, VERSION_CHARS_MAX};
use crate::codes::{self, units};

/// Refuses a header that is of another format, or names nothing that exists.
pub(super) fn header(format: &str, tariff: &Tariff, problems: &mut Vec<Error>) {
    let mut refuse = |broken: bool, rule: String| {
        if broken {
            problems.push(Error::File(rule));
        }
    };
    refuse(format != FORMAT, format!("its format is not `{FORMAT}`; no other is read"));
    let version = tariff.version.chars().count();
    refuse(
        !(1..=VERSION_CHARS_MAX).contains(&version),
        format!("`version` has {version} characters; give 1 to {VERSION_CHARS_MAX}"),
    );
    refuse(
        !(6..=CODE_DIGITS_MAX).contains(&tariff.code_digits),
        format!("`code_digits` is {}; give 6 to {CODE_DIGITS_MAX}", tariff.code_digits),
    );
    refuse(
        tariff.rounding.decimals > ROUNDING_DECIMALS_MAX,
        format!("amounts are rounded to at most {ROUNDING_DECIMALS_MAX} decimals"),
    );
    let dangling = |what: &str, name: &str| format!("`{name}` is no {what} of ISO; correct it");
    refuse(codes::country(&tariff.country).is_none(), dangling("country", &tariff.country));
    refuse(codes::currency(&tariff.currency).is_none(), dangling("currency", &tariff.currency));
    for (place, source) in tariff.sources.iter().enumerate() {
        let twice = tariff.sources.iter().take(place).any(|earlier| earlier.id == source.id);
        refuse(twice, format!("the source `{}` is defined twice; remove one", source.id));
    }
    for (place, agreement) in tariff.agreements.iter().enumerate() {
        let twice = tariff.agreements.iter().take(place).any(|other| other.id == agreement.id);
        refuse(twice, format!("the agreement `{}` is defined twice; remove one", agreement.id));
        refuse(codes::country(&agreement.origin).is_none(), dangling("country", &agreement.origin));
    }
}

/// Refuses overlaps and gaps among the measures of one duty and code, sorted by first day.
pub(super) fn periods(list: &[Measure], problems: &mut Vec<Error>) {
    let what = |m: &Measure| {
        let code = if m.code.is_empty() { "all goods" } else { &m.code };
        format!("{} for {code}", m.duty)
    };
    for (index, second) in list.iter().enumerate() {
        let rivals = || list.iter().take(index).filter(|first| is_rival(first, second));
        if let Some(first) = rivals().find(|first| first.is_valid_on(second.from)) {
            let (what, day) = (what(second), second.from);
            problems.push(Error::Overlap { first: first.line, second: second.line, what, day });
            continue;
        }
        // The rivals' last covered day; none when one of them is open.
        let Some(last) = rivals().max_by_key(|first| first.until.unwrap_or(Date::MAX)) else {
            continue;
        };
        let Some(next) = last.until.and_then(|until| until.tomorrow().ok()) else { continue };
        if next < second.from {
            let (what, day) = (what(second), next);
            problems.push(Error::Gap { first: last.line, second: second.line, what, day });
        }
    }
}

/// Returns whether two measures of one duty and code answer the same question.
fn is_rival(a: &Measure, b: &Measure) -> bool {
    let classes_meet = match (a.importer, b.importer) {
        (Some(a), Some(b)) => a == b,
        _ => true,
    };
    a.agreement == b.agreement && classes_meet && slabs_meet(a, b)
}

fn slabs_meet(a: &Measure, b: &Measure) -> bool {
    match (a.customs_duty_slab, b.customs_duty_slab) {
        (Some((a_min, a_max)), Some((b_min, b_max))) => a_min <= b_max && b_min <= a_max,
        _ => true,
    }
}

/// Refuses quotas without a size or unit, and two periods of one quota that meet.
pub(super) fn quotas(quotas: &[(Quota, usize)], problems: &mut Vec<Error>) {
    for (place, (quota, line)) in quotas.iter().enumerate() {
        let line = *line;
        let mut refuse = |rule: String| problems.push(Error::Line { line, rule });
        if units::unit(&quota.unit).is_none() {
            let shown: String = quota.unit.chars().take(20).collect();
            refuse(units::Error::UnknownUnit(shown).to_string());
        }
        if quota.quantity <= Decimal::ZERO {
            refuse("a quota is of more than zero".to_owned());
        }
        if quota.until < quota.from {
            refuse("the period ends before it begins; correct a date".to_owned());
        }
        let rivals = quotas.iter().take(place).filter(|(other, _)| other.id == quota.id);
        for (other, first) in rivals {
            if other.from <= quota.until && quota.from <= other.until {
                problems.push(Error::Overlap {
                    first: *first,
                    second: line,
                    what: format!("quota {}", quota.id),
                    day: other.from.max(quota.from),
                });
            }
            if other.unit != quota.unit || other.agreement != quota.agreement {
                let rule = format!(
                    "quota {} has another unit or agreement in line {first}; keep them",
                    quota.id
                );
                problems.push(Error::Line { line, rule });
            }
        }
    }
}

/// Refuses names that lead nowhere.
pub(super) fn names(tariff: &Tariff, problems: &mut Vec<Error>) {
    let mut dangling: Vec<String> = Vec::new();
    let mut dangles = |what: &str, name: &str| {
        let rule = format!("the {what} `{name}` is used but not defined; define it");
        if !dangling.contains(&rule) {
            dangling.push(rule);
        }
    };
    let measures = tariff.measures();
    let sources = measures.iter().map(|measure| measure.source.as_str());
    let sources = sources
        .chain(tariff.agreements.iter().map(|agreement| agreement.source.as_str()))
        .chain(tariff.quotas.iter().map(|quota| quota.source.as_str()))
        .chain([tariff.rounding.source.as_str(), tariff.rate_date.source.as_str()]);
    for source in sources.filter(|source| tariff.source(source).is_none()) {
        dangles("source", source);
    }
    let agreements = measures.iter().filter_map(|measure| measure.agreement.as_deref());
    let agreements = agreements
        .chain(tariff.quotas.iter().map(|quota| quota.agreement.as_str()))
        .chain(tariff.lines.iter().map(|line| line.agreement.as_str()));
    for id in agreements.filter(|id| tariff.agreement(id).is_none()) {
        dangles("agreement", id);
    }
    for measure in measures {
        let Some(id) = &measure.quota else { continue };
        let known = tariff.quotas.iter().find(|quota| quota.id == *id);
        match known {
            None => dangles("quota", id),
            Some(quota) if Some(&quota.agreement) != measure.agreement.as_ref() => {
                let rule = format!("quota {id} is of another agreement; name one of this");
                problems.push(Error::Line { line: measure.line, rule });
            }
            Some(_) => {}
        }
    }
    problems.extend(dangling.into_iter().map(Error::File));
    listed(tariff, problems);
    charged(tariff, problems);
    granted(tariff, problems);
}

/// Refuses a preference that begins before its agreement, and a quota that limits no line.
fn granted(tariff: &Tariff, problems: &mut Vec<Error>) {
    for measure in tariff.measures() {
        let agreement = measure.agreement.as_ref().and_then(|id| tariff.agreement(id));
        if let Some(agreement) = agreement.filter(|agreement| measure.from < agreement.from) {
            let (id, from) = (&agreement.id, agreement.from);
            let rule = format!("the preference begins before its agreement {id}, on {from}");
            problems.push(Error::Line { line: measure.line, rule });
        }
    }
    let mut told = Vec::new();
    for quota in &tariff.quotas {
        let is_used = |measure: &Measure| measure.quota.as_ref() == Some(&quota.id);
        if !told.contains(&&quota.id) && !tariff.measures().iter().any(is_used) {
            told.push(&quota.id);
            problems.push(Error::File(format!("quota {} limits no line; name it there", quota.id)));
        }
    }
}

/// Refuses a preference for goods that the concession list of its agreement does not name.
fn listed(tariff: &Tariff, problems: &mut Vec<Error>) {
    for measure in tariff.measures() {
        let Some(id) = &measure.agreement else { continue };
        let mut lines = tariff.lines.iter().filter(|line| line.agreement == *id).peekable();
        let is_listed = lines.peek().is_none()
            || lines
                .flat_map(|line| &line.codes)
                .any(|code| measure.code.starts_with(code.as_str()));
        if !is_listed {
            let rule = format!("{} is in no line of the concession list of {id}", measure.code);
            problems.push(Error::Line { line: measure.line, rule });
        }
    }
}

/// Refuses a rate of a duty that is never charged: it would be lost without a word.
fn charged(tariff: &Tariff, problems: &mut Vec<Error>) {
    let mut told = Vec::new();
    for measure in tariff.measures() {
        let duty = measure.duty;
        if !told.contains(&duty) && !tariff.charges.iter().any(|charge| charge.duty == duty) {
            told.push(duty);
            let rule = format!("{duty} is not among the charges; add it to them");
            problems.push(Error::Line { line: measure.line, rule });
        }
    }
}
