//! Decides whether a product originates and whether its preference can be claimed, with reasons.
//!
//! The tree has two branches: the origin of the goods (country of production, then one of wholly
//! obtained, made of originating materials only, or product rule with more than minimal
//! operations) and the conditions of the claim (dates of the agreement, destination, route, issue
//! and validity of the certificate, invoice).
//!
//! Minimal operations override every product rule. They do not touch goods that were wholly
//! obtained, nor goods made only of materials of the country of production: those owe their origin
//! to no processing.
//!
//! Invariants: a verdict other than an open one holds whatever the missing facts are; more
//! originating material never turns a met value rule into a failed one.

mod conditions;
mod materials;
mod rules;

use serde::Serialize;

use super::product::Product;
use super::set::{Entry, RuleSet};
use super::step::{Kind, Missing, Sentence, Step, Verdict};
use super::words::{self as w, fact};
use crate::tariff::Status;
pub(crate) use conditions::plus_months;
use materials::Materials;

/// What came of an evaluation.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Report {
    /// Id of the rule set.
    pub set: String,
    /// Its title.
    pub title: String,
    /// The goods in words.
    pub goods: String,
    /// Their code.
    pub code: String,
    /// Whether the goods originate.
    pub origin: Verdict,
    /// Whether the conditions of route and certificate are met.
    pub conditions: Verdict,
    /// Whether the preference can be claimed: both of them.
    pub preference: Verdict,
    /// The result in a sentence.
    pub headline: Sentence,
    /// The weakest status that the preference verdict rests on; absent while it is open.
    pub status: Option<Status>,
    /// Facts that would decide what is open.
    pub missing: Vec<Missing>,
    /// Rules that the set does not hold and that were therefore not checked.
    pub not_checked: Vec<Sentence>,
    /// All steps.
    pub steps: Step,
}

/// Evaluates a product under a rule set.
///
/// This is the function that the claim flow may call once claims carry bills of materials; it has
/// no effects and needs nothing but its arguments.
pub fn evaluate(set: &RuleSet, product: &Product) -> Report {
    let case = Case { set, product, materials: Materials::of(set, product) };
    let (origin, rule) = case.origin();
    let conditions = case.conditions();
    let verdicts = (origin.verdict, conditions.verdict);
    let steps = Step::all(w::PREFERENCE.say(&[]), vec![origin, conditions]);
    let mut not_checked = Vec::new();
    gather_unchecked(&steps, &mut not_checked);
    Report {
        set: set.id.clone(),
        title: set.title.clone(),
        goods: product.goods.clone(),
        code: product.code.clone(),
        origin: verdicts.0,
        conditions: verdicts.1,
        preference: steps.verdict,
        headline: headline(verdicts, &steps, &rule),
        // An open verdict rests on nothing yet.
        status: steps.status().filter(|_| !steps.verdict.is_open()),
        missing: steps.open_facts(),
        not_checked,
        steps,
    }
}

/// Judges only the conditions of a claim: dates of the agreement, destination, route, issue and
/// validity of the certificate, invoice. One step each, in this order.
pub fn conditions(set: &RuleSet, product: &Product) -> Step {
    Case { set, product, materials: Materials::of(set, product) }.conditions()
}

fn headline(parts: (Verdict, Verdict), steps: &Step, rule: &str) -> Sentence {
    let phrase = match (parts.0, steps.verdict) {
        (Verdict::NotMet, _) => w::HEAD_NOT,
        (Verdict::Met, Verdict::Met) if parts.1 == Verdict::NotChecked => w::HEAD_RULE_ONLY,
        (Verdict::Met, Verdict::Met) => w::HEAD_YES,
        (Verdict::Met, Verdict::NotMet) => w::HEAD_CONDITIONS_FAIL,
        (Verdict::Met, _) => w::HEAD_CONDITIONS_OPEN,
        (_, Verdict::NotMet) => w::HEAD_CLAIM_FAILS,
        (Verdict::NeedsPerson, _) => w::HEAD_PERSON,
        (_, _) => w::HEAD_OPEN,
    };
    let why = if steps.verdict == Verdict::NotMet { reason(steps) } else { String::new() };
    phrase.say(&[("rule", rule), ("why", &why)])
}

/// Returns the first failure that decides; of several ways the last, which is the product rule.
fn reason(step: &Step) -> String {
    let mut failed = step.steps.iter().filter(|inner| inner.verdict == Verdict::NotMet);
    let inner = if step.joined == Kind::Any { failed.next_back() } else { failed.next() };
    inner.map_or_else(|| format!("{}: {}", step.rule.english(), step.because.english()), reason)
}

fn gather_unchecked(step: &Step, found: &mut Vec<Sentence>) {
    if step.verdict == Verdict::NotChecked && step.steps.is_empty() {
        found.push(step.rule.clone());
    }
    step.steps.iter().for_each(|step| gather_unchecked(step, found));
}

/// One product under one rule set.
struct Case<'a> {
    set: &'a RuleSet,
    product: &'a Product,
    materials: Materials<'a>,
}

impl Case<'_> {
    /// Returns the branch of the origin, and in words the rule by which the goods originate.
    fn origin(&self) -> (Step, String) {
        let ways = vec![self.wholly_obtained(), self.originating_materials(), self.by_rule()];
        let met = ways.iter().find(|way| way.verdict == Verdict::Met);
        let rule = met.map_or_else(String::new, |way| decisive(way).rule.english());
        let ways = Step::any(w::ORIGIN_WAYS.say(&[]), ways);
        let origin = Step::all(w::ORIGIN.say(&[]), vec![self.place(), self.edition(), ways]);
        (origin, rule)
    }

    fn place(&self) -> Step {
        let rule = w::PLACE.say(&[]);
        let country = self.product.produced_in.as_str();
        let (verdict, because) = if self.set.parties.is_empty() {
            (Verdict::NotChecked, w::NO_PARTIES)
        } else if self.set.parties.iter().any(|party| party == country) {
            (Verdict::Met, w::PLACE_MET)
        } else {
            (Verdict::NotMet, w::PLACE_NOT)
        };
        Step::leaf(rule, verdict, because.say(&[("country", country)]))
    }

    fn edition(&self) -> Step {
        let (own, wanted) = (self.product.hs_edition, self.set.hs_edition);
        let (own_text, wanted_text) = (own.to_string(), wanted.to_string());
        let args = [("own", own_text.as_str()), ("wanted", wanted_text.as_str())];
        let rule = w::EDITION.say(&args);
        if own == wanted {
            return Step::leaf(rule, Verdict::Met, w::EDITION_MET.say(&args));
        }
        let what = w::FACT_CODE.say(&[("edition", &wanted_text)]);
        Step::leaf(rule, Verdict::CannotSay, w::EDITION_OTHER.say(&args))
            .lacking(vec![fact("/code", &what)])
    }

    /// Goods made of originating materials only need no product rule.
    fn originating_materials(&self) -> Step {
        let (verdict, missing, partner) = self.materials.all_originate();
        let because = match verdict {
            Verdict::Met => w::ALL_ORIGINATE_MET,
            Verdict::NotMet => w::ALL_ORIGINATE_NOT,
            _ => w::ALL_ORIGINATE_OPEN,
        };
        let rule = w::ALL_ORIGINATE.say(&[]);
        let step = Step::leaf(rule, verdict, because.say(&[])).lacking(missing);
        if !partner {
            return step;
        }
        Step::all(w::ALL_ORIGINATE_BEYOND.say(&[]), vec![step, self.beyond_minimal()])
    }

    fn by_rule(&self) -> Step {
        let steps = vec![self.product_rule(), self.beyond_minimal()];
        Step::all(w::BY_RULE.say(&[]), steps)
    }

    fn product_rule(&self) -> Step {
        let code = self.product.code.as_str();
        let none = || {
            let step = Step::leaf(
                w::PRODUCT_RULE.say(&[]),
                Verdict::CannotSay,
                w::NO_ENTRY.say(&[("code", code)]),
            );
            step.lacking(vec![fact("", &w::FACT_RULE.say(&[("code", code)]))])
        };
        let Ok(found) = self.set.find(code) else { return none() };
        let main = match (found.entries.as_slice(), &self.product.entry) {
            ([], _) => none(),
            (entries, Some(wanted)) => match entries.iter().find(|entry| entry.id == *wanted) {
                Some(entry) => self.entry(entry),
                None => self.entry_unknown(entries, wanted),
            },
            ([entry], None) => self.entry(entry),
            (entries, None) => self.whichever(entries),
        };
        if found.additional.is_empty() {
            return main;
        }
        let others = found.additional.iter().map(|entry| self.entry(entry));
        Step::any(w::ADDITIONAL.say(&[]), [main].into_iter().chain(others).collect())
    }

    fn entry(&self, entry: &Entry) -> Step {
        let rule = w::ENTRY.say(&[
            ("id", &entry.id),
            ("goods", &entry.goods),
            ("codes", &super::codes::join(&entry.codes)),
        ]);
        Step::all(rule, vec![self.rule(&entry.rule)]).on(&entry.basis)
    }

    fn entry_unknown(&self, entries: &[&Entry], wanted: &str) -> Step {
        let ids: Vec<_> = entries.iter().map(|entry| entry.id.as_str()).collect();
        let args = [("wanted", wanted), ("code", &self.product.code), ("ids", &ids.join(", "))];
        Step::leaf(w::PRODUCT_RULE.say(&[]), Verdict::CannotSay, w::ENTRY_UNKNOWN.say(&args))
            .lacking(vec![fact("/entry", &w::FACT_ENTRY.say(&args))])
    }

    /// Several descriptions share the code: only what holds under each of them is a verdict.
    fn whichever(&self, entries: &[&Entry]) -> Step {
        let steps: Vec<_> = entries.iter().map(|entry| self.entry(entry)).collect();
        let ids: Vec<_> = entries.iter().map(|entry| entry.id.as_str()).collect();
        let args = [("code", self.product.code.as_str()), ("ids", &ids.join(", "))];
        let all = |wanted| steps.iter().all(|step| step.verdict == wanted);
        let rule = w::WHICHEVER.say(&args);
        let (verdict, because) = if all(Verdict::Met) {
            (Verdict::Met, w::WHICHEVER_SAME)
        } else if all(Verdict::NotMet) {
            (Verdict::NotMet, w::WHICHEVER_SAME)
        } else if steps.iter().all(|step| step.verdict.is_open()) {
            (Verdict::all(steps.iter().map(|step| step.verdict)), w::WHICHEVER_OPEN)
        } else {
            (Verdict::CannotSay, w::WHICHEVER_OPEN)
        };
        let mut step = Step::leaf(rule, verdict, because.say(&args));
        if verdict.is_open() {
            step.missing = vec![fact("/entry", &w::FACT_ENTRY.say(&args))];
        }
        (step.joined, step.steps) = (Kind::All, steps);
        step
    }

    fn beyond_minimal(&self) -> Step {
        let rule = w::MINIMAL.say(&[]);
        let Some(minimal) = &self.set.parameters.minimal_operations else {
            return Step::leaf(rule, Verdict::NotChecked, w::NOT_IN_SET.say(&[]));
        };
        let leaf = |verdict, because: Sentence, missing| {
            Step::leaf(rule, verdict, because).on(&minimal.basis).lacking(missing)
        };
        let Some(done) = &self.product.processes else {
            let missing = vec![fact("/processes/done", &w::FACT_PROCESSES.say(&[]))];
            return leaf(Verdict::CannotSay, w::PROCESSES_MISSING.say(&[]), missing);
        };
        if let Some(found) = done.iter().find_map(|name| self.set.processes.get(name)) {
            return leaf(Verdict::Met, w::MINIMAL_MET.say(&[("process", found)]), Vec::new());
        }
        let unknown = done.iter().find(|name| !minimal.operations.contains_key(*name));
        if let Some(name) = unknown {
            let missing = vec![fact("/processes/done", &w::FACT_JUDGE.say(&[("name", name)]))];
            let because = w::MINIMAL_UNKNOWN.say(&[("name", name)]);
            return leaf(Verdict::NeedsPerson, because, missing);
        }
        if self.product.processes_complete != Some(true) {
            let missing = vec![fact("/processes/complete", &w::FACT_COMPLETE.say(&[]))];
            return leaf(Verdict::CannotSay, w::MINIMAL_OPEN.say(&[]), missing);
        }
        let words: Vec<_> = done.iter().filter_map(|name| minimal.operations.get(name)).collect();
        let words = words.iter().map(|words| words.as_str()).collect::<Vec<_>>().join("; ");
        leaf(Verdict::NotMet, w::MINIMAL_NOT.say(&[("operations", &words)]), Vec::new())
    }
}

/// Returns the step that names the rule by which a way is met: its entry, or the way itself.
fn decisive(way: &Step) -> &Step {
    fn entry(step: &Step) -> Option<&Step> {
        if step.verdict != Verdict::Met {
            return None;
        }
        let is_entry = step.rule.key() == w::ENTRY.key;
        if is_entry { Some(step) } else { step.steps.iter().find_map(entry) }
    }
    entry(way).unwrap_or(way)
}
