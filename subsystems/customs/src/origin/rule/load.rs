//! Reads a rule from JSON.

use super::{Allowance, Base, Level, Method, Rule};
use crate::origin::codes::CodeRange;
use crate::origin::read::{LIST_MAX, Reader};

/// Digits of the codes of materials: beyond six, nations differ.
const MATERIAL_DIGITS_MAX: usize = 6;

const KINDS: [&str; 9] = [
    "wholly_obtained",
    "materials_wholly_obtained",
    "change",
    "max_share",
    "content",
    "process",
    "all",
    "any",
    "text",
];

/// Reads a rule.
pub(in crate::origin) fn rule(at: &Reader<'_>) -> Option<Rule> {
    let members = at.object(&KINDS)?;
    let kind = members.keys().next().filter(|_| members.len() == 1);
    let Some(kind) = kind else {
        at.fail("a rule has exactly one member", "join several rules by `all` or `any`");
        return None;
    };
    let inner = at.member(kind)?;
    match kind.as_str() {
        "wholly_obtained" => {
            inner.object(&[])?;
            Some(Rule::WhollyObtained)
        }
        "materials_wholly_obtained" => {
            inner.object(&["codes"])?;
            codes(&inner.need("codes")?).map(Rule::MaterialsWhollyObtained)
        }
        "change" => change(&inner),
        "max_share" => {
            inner.object(&["codes", "percent", "of"])?;
            let codes = match inner.member("codes") {
                None => Vec::new(),
                Some(list) => codes(&list)?,
            };
            let percent = inner.need("percent").and_then(|at| at.percent());
            let of = inner.need("of").and_then(|at| base(&at));
            Some(Rule::MaxShare { codes, percent: percent?, of: of? })
        }
        "content" => content(&inner),
        "process" => inner.name().map(Rule::Process),
        "all" => several(&inner).map(Rule::All),
        "any" => several(&inner).map(Rule::Any),
        "text" => inner.text().map(Rule::Text),
        _ => None,
    }
}

fn several(at: &Reader<'_>) -> Option<Vec<Rule>> {
    let items = at.list(LIST_MAX);
    if items.len() < 2 {
        at.fail("fewer than two rules are joined", "write the one rule without `all` or `any`");
        return None;
    }
    let rules: Vec<_> = items.iter().filter_map(rule).collect();
    (rules.len() == items.len()).then_some(rules)
}

fn codes(at: &Reader<'_>) -> Option<Vec<CodeRange>> {
    let ranges = at.ranges(MATERIAL_DIGITS_MAX);
    if ranges.is_empty() {
        at.fail("no code is given", "name codes, or leave the member out for all materials");
        return None;
    }
    Some(ranges)
}

fn change(at: &Reader<'_>) -> Option<Rule> {
    at.object(&["level", "except", "allow"])?;
    let level = at.need("level")?.choice(&[
        ("any", Level::Any),
        ("chapter", Level::Chapter),
        ("heading", Level::Heading),
        ("subheading", Level::Subheading),
    ])?;
    let except = at.member("except").map_or_else(Vec::new, |at| at.ranges(MATERIAL_DIGITS_MAX));
    let items = at.member("allow").map_or_else(Vec::new, |at| at.list(LIST_MAX));
    let allow = items.iter().filter_map(allowance).collect();
    Some(Rule::Change { level, except, allow })
}

fn allowance(at: &Reader<'_>) -> Option<Allowance> {
    at.object(&["codes", "percent", "of"])?;
    let codes = match at.member("codes") {
        None => None,
        Some(list) => Some(codes(&list)?),
    };
    let percent = at.need("percent").and_then(|at| at.percent());
    let of = at.need("of").and_then(|at| base(&at));
    Some(Allowance { codes, percent: percent?, of: of? })
}

fn content(at: &Reader<'_>) -> Option<Rule> {
    at.object(&["method", "percent", "of"])?;
    let methods = [("build_down", Method::BuildDown), ("build_up", Method::BuildUp)];
    let method = at.need("method").and_then(|at| at.choice(&methods));
    let percent = at.need("percent").and_then(|at| at.percent());
    let prices = [("ex_works", Base::ExWorks), ("fob", Base::Fob)];
    let of = at.need("of").and_then(|at| at.choice(&prices));
    Some(Rule::Content { method: method?, percent: percent?, of: of? })
}

/// Reads what a share is a share of.
pub(in crate::origin) fn base(at: &Reader<'_>) -> Option<Base> {
    at.choice(&[("ex_works", Base::ExWorks), ("fob", Base::Fob), ("net_mass", Base::NetMass)])
}
