//! The duty on one item of goods, with and without the preference, line by line.
//!
//! Each duty is taken on the sum that the tariff names (the customs value, or the value and duties
//! before it), at the general rate on one side and at the rate that is used when the preference is
//! granted on the other. Both sides run through the whole stack, because a lower customs duty also
//! lowers the taxes on top of it. Each line is rounded by the tariff's own rule.
//!
//! Invariants: exact decimals; no line is dearer with the preference; each total is the sum of its
//! lines.
//!
//! Not here: which rate is used and why (`crate::tariff`), whether the goods earn the preference.

use karvan_types::amount::{RoundingStrategy, decimal_text};
use karvan_types::{Amount, Decimal, ErrorKind};
use serde::Serialize;

use crate::tariff::{
    self, Base, Charge, Duty, Explanation, Measure, Query, Rounding, RoundingMode, Status, Tariff,
    Winner,
};

/// The duty on one item.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Assessment {
    /// The customs value, in the currency of all amounts.
    pub value: Amount,
    /// One line per duty, in order of collection.
    pub lines: Vec<Line>,
    /// Sum without the preference.
    #[serde(with = "decimal_text")]
    pub total_general: Decimal,
    /// Sum with the preference.
    #[serde(with = "decimal_text")]
    pub total_preferential: Decimal,
    /// What the preference saves.
    #[serde(with = "decimal_text")]
    pub saved: Decimal,
    /// How each line was rounded.
    pub rounding: Rounding,
    /// The least sure status among the rates used; nobody pays on an assumed one.
    pub status: Option<Status>,
    /// The rates, with their sources.
    pub rates: Explanation,
}

/// One duty on both sides.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Line {
    /// The duty.
    pub duty: Duty,
    /// Without the preference.
    pub general: Step,
    /// With the preference.
    pub preferential: Step,
    /// Which rate the preferential side uses.
    pub winner: Winner,
}

/// How one amount came about.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Step {
    /// The sum on which the duty is taken.
    #[serde(with = "decimal_text")]
    pub base: Decimal,
    /// The rate in percent.
    #[serde(with = "decimal_text")]
    pub percent: Decimal,
    /// The amount, rounded.
    #[serde(with = "decimal_text")]
    pub amount: Decimal,
    /// Source of the rate.
    pub source: String,
    /// How sure the rate is.
    pub status: Status,
}

/// A duty cannot be computed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The tariff has no answer.
    #[error(transparent)]
    Tariff(#[from] tariff::Error),
    /// The value is in another currency.
    #[error("the customs value is in {found}; convert it to {expected} first")]
    Currency {
        /// Currency of the value.
        found: String,
        /// Currency of the tariff.
        expected: String,
    },
    /// The numbers leave the exact range.
    #[error("the customs value {0} is too large to compute a duty exactly; split the item")]
    TooLarge(Amount),
}

impl Error {
    /// Returns what kind of failure this is.
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Tariff(error) => error.kind(),
            Self::Currency { .. } | Self::TooLarge(_) => ErrorKind::Invalid,
        }
    }
}

/// Computes the duty on goods of this customs value.
pub fn assess(tariff: &Tariff, query: Query<'_>, value: &Amount) -> Result<Assessment, Error> {
    if value.currency != tariff.currency {
        let (found, expected) = (value.currency.clone(), tariff.currency.clone());
        return Err(Error::Currency { found, expected });
    }
    let rates = tariff.explain(query)?;
    let too_large = || Error::TooLarge(value.clone());
    let mut lines: Vec<Line> = Vec::with_capacity(rates.rates.len());
    for (charge, rate) in tariff.charges.iter().zip(&rates.rates) {
        let step = |side: fn(&Line) -> &Step, percent, measure: &Measure| {
            let base = base(charge, value.value, &lines, side)?;
            let amount = round(base.checked_mul(percent)? / Decimal::ONE_HUNDRED, &tariff.rounding);
            let (source, status) = (measure.source.clone(), measure.status);
            Some(Step { base, percent, amount, source, status })
        };
        let general = step(|line| &line.general, rate.general.percent, &rate.general);
        let preferential = step(|line| &line.preferential, rate.used_percent, rate.used());
        lines.push(Line {
            duty: rate.duty,
            general: general.ok_or_else(too_large)?,
            preferential: preferential.ok_or_else(too_large)?,
            winner: rate.winner,
        });
    }
    let total = |side: fn(&Line) -> &Step| {
        lines.iter().try_fold(Decimal::ZERO, |sum, line| sum.checked_add(side(line).amount))
    };
    let total_general = total(|line| &line.general).ok_or_else(too_large)?;
    let total_preferential = total(|line| &line.preferential).ok_or_else(too_large)?;
    Ok(Assessment {
        value: value.clone(),
        lines,
        total_general,
        total_preferential,
        saved: total_general - total_preferential,
        rounding: tariff.rounding.clone(),
        status: rates.status(),
        rates,
    })
}

fn base(
    charge: &Charge,
    value: Decimal,
    lines: &[Line],
    side: fn(&Line) -> &Step,
) -> Option<Decimal> {
    charge.base.iter().try_fold(Decimal::ZERO, |sum, part| {
        sum.checked_add(match part {
            Base::Value => value,
            Base::Duty(duty) => side(lines.iter().find(|line| line.duty == *duty)?).amount,
        })
    })
}

fn round(amount: Decimal, rounding: &Rounding) -> Decimal {
    let strategy = match rounding.mode {
        RoundingMode::HalfUp => RoundingStrategy::MidpointAwayFromZero,
        RoundingMode::Down => RoundingStrategy::ToZero,
        RoundingMode::Up => RoundingStrategy::AwayFromZero,
    };
    let mut amount = amount.round_dp_with_strategy(rounding.decimals, strategy);
    amount.rescale(rounding.decimals);
    amount
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tariff::ImporterClass;
    use karvan_types::Date;
    use karvan_types::amount::parse_decimal;
    use proptest::prelude::*;

    fn amount(text: &str) -> Amount {
        let (value, currency) = text.split_once(' ').expect("value and currency");
        Amount { value: parse_decimal(value).expect("decimal"), currency: currency.to_owned() }
    }

    fn query(code: &str, importer: ImporterClass) -> Query<'_> {
        Query { code, day: Date::constant(2026, 10, 2), origin: "AZ", importer }
    }

    /// The amounts of one side, by duty.
    fn amounts(assessment: &Assessment, side: fn(&Line) -> &Step) -> Vec<(&'static str, String)> {
        let shown = |line: &Line| (line.duty.code(), side(line).amount.to_string());
        assessment.lines.iter().map(shown).collect()
    }

    fn check(found: &[(&'static str, String)], expected: &[(&str, &str)]) {
        let found: Vec<_> = found.iter().map(|(duty, text)| (*duty, text.as_str())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn two_real_records_of_ceramic_tiles() {
        // Import records of November 2025. Each states value, customs duty and sales tax; the first
        // also states the additional sales tax and the tax withheld.
        let pakistan = tariff::of("PK").expect("Pakistan");
        for (value, importer, expected) in [
            (
                "15302 PKR",
                ImporterClass::Commercial,
                [("CD", "3060"), ("ST", "4627"), ("AST", "771"), ("WHT", "1866")].as_slice(),
            ),
            (
                "460815 PKR",
                ImporterClass::Industrial,
                [("CD", "92163"), ("ST", "139351"), ("AST", "0")].as_slice(),
            ),
        ] {
            let query = Query {
                code: "69072100",
                day: Date::constant(2025, 11, 15),
                origin: "CN",
                importer,
            };
            let found = assess(pakistan, query, &amount(value)).expect("computable");
            let stated = |duty: &str| expected.iter().any(|(name, _)| *name == duty);
            let mut shown = amounts(&found, |line| &line.general);
            shown.retain(|(duty, _)| stated(duty));
            check(&shown, expected);
            assert_eq!(found.saved, Decimal::ZERO);
        }
    }

    #[test]
    fn copper_wire_with_and_without_preference() {
        let pakistan = tariff::of("PK").expect("Pakistan");
        let value = amount("56281400 PKR");
        let found = assess(pakistan, query("74081100", ImporterClass::Industrial), &value)
            .expect("computable");
        check(
            &amounts(&found, |line| &line.general),
            &[
                ("CD", "5628140"),
                ("ACD", "0"),
                ("RD", "2814070"),
                ("ST", "11650250"),
                ("AST", "0"),
                ("WHT", "4200562"),
            ],
        );
        check(
            &amounts(&found, |line| &line.preferential),
            &[
                ("CD", "2814070"),
                ("ACD", "0"),
                ("RD", "1407035"),
                ("ST", "10890451"),
                ("AST", "0"),
                ("WHT", "3926613"),
            ],
        );
        assert_eq!(found.total_general.to_string(), "24293022");
        assert_eq!(found.saved.to_string(), "5254853");
        assert_eq!(found.status, Some(Status::Assumed));
        // The additional duty has become zero for everyone, below the target of 1 %.
        let additional = found.lines.iter().find(|line| line.duty == Duty::Acd).expect("ACD");
        assert_eq!(additional.winner, Winner::General);
        // One digit away there is no concession and a higher slab.
        let thin = assess(pakistan, query("74081900", ImporterClass::Industrial), &value)
            .expect("computable");
        assert_eq!(thin.saved, Decimal::ZERO);
        assert!(thin.total_general > found.total_general);
    }

    #[test]
    fn azerbaijan_takes_value_added_tax_on_top() {
        let azerbaijan = tariff::of("AZ").expect("Azerbaijan");
        let balls = Query { origin: "PK", ..query("9506620000", ImporterClass::Commercial) };
        let found = assess(azerbaijan, balls, &amount("1000.55 AZN")).expect("computable");
        check(&amounts(&found, |l| &l.preferential), &[("CD", "150.08"), ("VAT", "207.11")]);
        let rice = Query { origin: "PK", ..query("1006300000", ImporterClass::Commercial) };
        let found = assess(azerbaijan, rice, &amount("1000 AZN")).expect("computable");
        check(&amounts(&found, |l| &l.preferential), &[("CD", "0.00"), ("VAT", "180.00")]);
        assert_eq!(found.saved.to_string(), "59.00");
    }

    #[test]
    fn refusals_name_the_remedy() {
        let pakistan = tariff::of("PK").expect("Pakistan");
        for (code, value, reason) in [
            ("74081100", "100 USD", "convert it to PKR first"),
            ("74081200", "100 PKR", "not a tariff code"),
        ] {
            let error = assess(pakistan, query(code, ImporterClass::Industrial), &amount(value))
                .expect_err(reason);
            assert!(error.to_string().contains(reason), "{error}");
            assert_eq!(error.kind(), ErrorKind::Invalid);
        }
        let huge = Amount { value: Decimal::MAX, currency: "PKR".to_owned() };
        let error = assess(pakistan, query("74081100", ImporterClass::Industrial), &huge);
        assert_eq!(error, Err(Error::TooLarge(huge)));
    }

    proptest! {
        #[test]
        fn the_preference_is_never_dearer(
            rupees in 0_u64..9_999_999_999_999_999,
            code in prop::sample::select(vec!["08022200", "08131000", "24011000", "74081100"]),
        ) {
            let pakistan = tariff::of("PK").expect("Pakistan");
            let value = Amount { value: rupees.into(), currency: "PKR".to_owned() };
            let query = query(code, ImporterClass::Commercial);
            let found = assess(pakistan, query, &value).expect("computable");
            let sum: Decimal = found.lines.iter().map(|line| line.preferential.amount).sum();
            prop_assert_eq!(sum, found.total_preferential);
            prop_assert_eq!(found.total_general - sum, found.saved);
            for line in &found.lines {
                prop_assert!(line.preferential.amount <= line.general.amount);
                prop_assert!(line.preferential.percent <= line.general.percent);
            }
        }
    }
}
