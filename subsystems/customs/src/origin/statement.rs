//! What a certificate states about origin, against the rule for its code.
//!
//! A certificate names a criterion and perhaps a percentage, but no materials. So this cannot show
//! that goods originate; it can show that a statement does not fit its rule: a criterion that the
//! rule does not have, or 38 % where 40 % is wanted.
//!
//! Not here: whether the statement is true ([`super::evaluate`] asks for the materials).

use karvan_types::Decimal;

use super::rule::{Level, Rule};
use super::set::{Entry, RuleSet};
use super::step::{Sentence, Step, Verdict};
use super::words::{self as w, fact};
use crate::messages::OriginCriterion;

/// Judges criterion and percentage of a certificate's item for goods of a code.
///
/// Met means that the rule allows the statement, not that the goods originate. The claim flow may
/// call this for each item; it has no effects.
pub fn statement(
    set: &RuleSet,
    code: &str,
    criterion: OriginCriterion,
    percent: Option<Decimal>,
) -> Step {
    let entries = set.find(code).map(|found| [found.entries, found.additional].concat());
    let entries = entries.unwrap_or_default();
    let rule = w::STATEMENT.say(&[("code", code)]);
    if entries.is_empty() {
        let missing = vec![fact("", &w::FACT_RULE.say(&[("code", code)]))];
        let because = w::NO_ENTRY.say(&[("code", code)]);
        return Step::leaf(rule, Verdict::CannotSay, because).lacking(missing);
    }
    let steps = entries.iter().map(|entry| one(set, entry, code, criterion, percent)).collect();
    Step::any(rule, steps)
}

fn one(
    set: &RuleSet,
    entry: &Entry,
    code: &str,
    criterion: OriginCriterion,
    percent: Option<Decimal>,
) -> Step {
    let rule = w::ENTRY.say(&[
        ("id", &entry.id),
        ("goods", &entry.goods),
        ("codes", &super::codes::join(&entry.codes)),
    ]);
    let fits = |wanted: &[Level]| {
        has(&entry.rule, &|rule| match rule {
            Rule::Change { level, .. } => wanted.contains(level),
            _ => false,
        })
    };
    let (verdict, because) = match criterion {
        OriginCriterion::WhollyObtained => wholly(set, code),
        OriginCriterion::RegionalValueContent => content(&entry.rule, percent),
        OriginCriterion::ChangeOfHeading => {
            allowed(fits(&[Level::Any, Level::Heading, Level::Subheading]))
        }
        OriginCriterion::ChangeOfSubheading => allowed(fits(&[Level::Any, Level::Subheading])),
        OriginCriterion::ProductSpecificRule => allowed(true),
    };
    // Where a share is part of the rule whatever the criterion, it must be kept as well.
    let least = unavoidable_content(&entry.rule).filter(|_| verdict == Verdict::Met);
    let falls_short = percent.zip(least).is_some_and(|(percent, least)| percent < least);
    let is_wholly = criterion == OriginCriterion::WhollyObtained;
    let (verdict, because) = match least {
        Some(least) if falls_short && !is_wholly => content_of(least, percent),
        _ => (verdict, because),
    };
    let needs_person = verdict == Verdict::NotMet && !entry.rule.is_machine_readable();
    let (verdict, because) =
        if needs_person { (Verdict::NeedsPerson, w::TEXT.say(&[])) } else { (verdict, because) };
    let mut step = Step::leaf(rule, verdict, because).on(&entry.basis);
    if verdict.is_open() {
        let what = w::FACT_STATEMENT.say(&[("code", code)]);
        step.missing = vec![fact("", &what)];
    }
    step
}

fn allowed(is_allowed: bool) -> (Verdict, Sentence) {
    if is_allowed {
        (Verdict::Met, w::STATEMENT_MET.say(&[]))
    } else {
        (Verdict::NotMet, w::STATEMENT_NOT.say(&[]))
    }
}

/// Any goods may be wholly obtained, but of some it is not believed.
fn wholly(set: &RuleSet, code: &str) -> (Verdict, Sentence) {
    let known = set.parameters.wholly_obtained.as_ref();
    if known.is_some_and(|known| known.implausible.iter().any(|range| range.meets(code))) {
        return (Verdict::NeedsPerson, w::WHOLLY_IMPLAUSIBLE.say(&[("code", code)]));
    }
    allowed(true)
}

fn content(rule: &Rule, percent: Option<Decimal>) -> (Verdict, Sentence) {
    match least_content(rule) {
        Some(wanted) => content_of(wanted, percent),
        None => allowed(false),
    }
}

fn content_of(wanted: Decimal, percent: Option<Decimal>) -> (Verdict, Sentence) {
    let expected = format!("at least {wanted} %");
    let Some(percent) = percent else {
        let args = [("actual", "not stated"), ("expected", expected.as_str())];
        return (Verdict::CannotSay, w::SHARE_OPEN.say(&args));
    };
    let actual = format!("{percent} %");
    let args = [("actual", actual.as_str()), ("expected", expected.as_str())];
    if percent >= wanted {
        (Verdict::Met, w::SHARE_MET.say(&args))
    } else {
        (Verdict::NotMet, w::SHARE_NOT.say(&args))
    }
}

/// Returns the least originating content that some part of the rule accepts.
fn least_content(rule: &Rule) -> Option<Decimal> {
    match rule {
        Rule::Content { percent, .. } => Some(*percent),
        Rule::MaxShare { codes, percent, of } if codes.is_empty() && of.measure() == "value" => {
            Some(Decimal::ONE_HUNDRED.saturating_sub(*percent))
        }
        _ => rule.parts().iter().filter_map(least_content).min(),
    }
}

/// Returns the least originating content without which no way through the rule leads.
fn unavoidable_content(rule: &Rule) -> Option<Decimal> {
    match rule {
        Rule::All(rules) => rules.iter().filter_map(unavoidable_content).max(),
        Rule::Any(rules) => {
            let each: Option<Vec<Decimal>> = rules.iter().map(unavoidable_content).collect();
            each?.into_iter().min()
        }
        _ => least_content(rule),
    }
}

fn has(rule: &Rule, fits: &dyn Fn(&Rule) -> bool) -> bool {
    fits(rule) || rule.parts().iter().any(|part| has(part, fits))
}

#[cfg(test)]
mod tests {
    use super::super::built_in;
    use super::*;
    use OriginCriterion::{
        ChangeOfHeading, ChangeOfSubheading, ProductSpecificRule, RegionalValueContent,
        WhollyObtained,
    };

    #[test]
    fn statements_that_do_not_fit_their_rule() {
        let set = built_in().expect("valid");
        for (code, criterion, percent, expected) in [
            ("950662", RegionalValueContent, Some(40), Verdict::Met),
            ("950662", RegionalValueContent, Some(38), Verdict::NotMet),
            ("950662", RegionalValueContent, None, Verdict::CannotSay),
            ("950662", ChangeOfHeading, None, Verdict::NotMet),
            ("080222", RegionalValueContent, Some(90), Verdict::NotMet),
            ("080222", WhollyObtained, None, Verdict::Met),
            ("740811", WhollyObtained, None, Verdict::NeedsPerson),
            ("740811", ChangeOfHeading, None, Verdict::Met),
            ("740811", ChangeOfHeading, Some(50), Verdict::Met),
            ("740811", ChangeOfHeading, Some(32), Verdict::NotMet),
            ("740811", ProductSpecificRule, Some(32), Verdict::NotMet),
            ("390110", ChangeOfHeading, Some(32), Verdict::Met),
            ("740811", ChangeOfSubheading, None, Verdict::NotMet),
            ("740811", RegionalValueContent, Some(50), Verdict::Met),
            ("390110", ChangeOfSubheading, None, Verdict::Met),
            ("390110", ChangeOfHeading, None, Verdict::Met),
            ("730423", ProductSpecificRule, None, Verdict::Met),
            ("999999", ProductSpecificRule, None, Verdict::CannotSay),
            ("74", ProductSpecificRule, None, Verdict::CannotSay),
        ] {
            let step = statement(set, code, criterion, percent.map(Decimal::from));
            assert_eq!(step.verdict, expected, "{code} {criterion:?} {percent:?}: {step:#?}");
            assert_eq!(step.verdict.is_open(), !step.open_facts().is_empty(), "{code}");
        }
    }
}
