//! Refuses general rates with holes: a customs duty outside all slabs of another duty, a class of
//! importer without a rate, a rate that ends with nothing after it.
//!
//! Only beginnings of codes where something can be missing are asked: where a duty has lines of its
//! own, and where customs duty has lines and the other duty has slabs. All longer codes fall back
//! on these. Each is asked on the days on which a line begins or has ended.
//!
//! Not here: overlaps, and gaps between two lines of the same list (`super::check`).

use karvan_types::{Date, Decimal};

use super::super::{Duty, Error, ImporterClass, Measure, MeasureKind, Tariff};
use super::PROBLEMS_MAX;

/// Tells each hole, at most [`PROBLEMS_MAX`].
pub(super) fn holes(tariff: &Tariff, problems: &mut Vec<Error>) {
    let mut by_code: Vec<_> = tariff.measures().iter().filter(|m| is_general(m)).collect();
    by_code.sort_by(|a, b| a.code.cmp(&b.code));
    let coverage = Coverage { tariff, by_code };
    for of_code in coverage.by_code.chunk_by(|a, b| a.code == b.code) {
        for charge in &tariff.charges {
            if problems.len() >= PROBLEMS_MAX {
                return;
            }
            problems.extend(coverage.hole(of_code, charge.duty));
        }
    }
}

fn is_general(measure: &Measure) -> bool {
    measure.kind == MeasureKind::General
}

struct Coverage<'a> {
    tariff: &'a Tariff,
    /// General rates in the order of their codes.
    by_code: Vec<&'a Measure>,
}

impl Coverage<'_> {
    /// Returns the first hole of a duty at one beginning of codes.
    fn hole(&self, of_code: &[&Measure], duty: Duty) -> Option<Error> {
        let code = &of_code.first()?.code;
        let fitting: Vec<_> = self.fitting(code, duty).collect();
        let first = fitting.iter().map(|measure| measure.from).min()?;
        let has_slabs = fitting.iter().any(|measure| measure.customs_duty_slab.is_some());
        let own: Vec<_> = of_code
            .iter()
            .filter(|own| own.duty == duty || (has_slabs && own.duty == Duty::Cd))
            .collect();
        let line = own.iter().map(|own| own.line).max()?;
        let customs: Vec<_> = self.fitting(code, Duty::Cd).filter(|_| has_slabs).collect();
        let mut days: Vec<Date> = fitting
            .iter()
            .chain(&customs)
            .flat_map(|measure| {
                [Some(measure.from), measure.until.and_then(|until| until.tomorrow().ok())]
            })
            .flatten()
            .filter(|day| *day >= first)
            .collect();
        days.sort_unstable();
        days.dedup();
        days.into_iter().find_map(|day| {
            let mut classes = [ImporterClass::Commercial, ImporterClass::Industrial].into_iter();
            let (importer, percent) = classes.find_map(|importer| {
                let percent = rate(&customs, day, importer);
                let is_covered = (has_slabs && percent.is_none())
                    || fitting.iter().any(|measure| applies(measure, day, importer, percent));
                (!is_covered && !self.is_split(code, duty, day)).then_some((importer, percent))
            })?;
            Some(Error::Line { line, rule: told(duty, code, day, importer, percent) })
        })
    }

    /// Returns the general rates of a duty for this beginning of codes, the longest first.
    fn fitting<'a>(&'a self, code: &str, duty: Duty) -> impl Iterator<Item = &'a Measure> {
        let found: Vec<&[Measure]> = self.tariff.index.find(code).of(duty).collect();
        found.into_iter().flatten().filter(|measure| is_general(measure))
    }

    /// Whether longer codes have rates of their own on the day, as when a code was split.
    fn is_split(&self, code: &str, duty: Duty, day: Date) -> bool {
        let from = self.by_code.partition_point(|measure| measure.code.as_str() <= code);
        let longer = self.by_code.iter().skip(from);
        !code.is_empty()
            && (longer.take_while(|measure| measure.code.starts_with(code)))
                .any(|measure| measure.duty == duty && measure.is_valid_on(day))
    }
}

/// Returns the percentage of the first of these rates that applies.
fn rate(customs: &[&Measure], day: Date, importer: ImporterClass) -> Option<Decimal> {
    let found = customs.iter().find(|measure| applies(measure, day, importer, None))?;
    Some(found.rate.percent)
}

fn applies(
    measure: &Measure,
    day: Date,
    importer: ImporterClass,
    customs_duty: Option<Decimal>,
) -> bool {
    measure.is_valid_on(day)
        && measure.importer.is_none_or(|class| class == importer)
        && measure.customs_duty_slab.is_none_or(|(min, max)| {
            customs_duty.is_some_and(|percent| min <= percent && percent <= max)
        })
}

fn told(
    duty: Duty,
    code: &str,
    day: Date,
    importer: ImporterClass,
    customs_duty: Option<Decimal>,
) -> String {
    let code = if code.is_empty() { "all goods" } else { code };
    let importer = importer.name();
    let slab = customs_duty.map(|percent| format!(" at a CD of {percent} %"));
    format!(
        "{code} is without a rate of {duty} from {day} for {importer} importers{}; add it",
        slab.unwrap_or_default()
    )
}
