//! Reads product rules as the UK Trade Tariff publishes them (`rule_sets` in JSON, MIT licence).
//!
//! Such a file has code ranges and sentences written for people. Sentences of a known build become
//! [`Rule`]s (`sentence`); a part that is not understood stays as text inside the rule, so that
//! the parts around it still count: a condition that is not understood can make a met rule a
//! question, never a failed one, and an exception in the goods' favour likewise.
//!
//! How the sentences of one range are joined is read from their `operator`: alternatives when the
//! last one has `or`, otherwise a question to a person. Conditions on materials are read as
//! conditions on materials without origin, as list rules are. Rules under a quota are additional
//! entries.
//!
//! Invariants: nothing is guessed; what a file does not hold (parties, cumulation, tolerance,
//! route, certificate) stays absent and is not checked.
//!
//! Not here: sets in Karvan's own format (`RuleSet::parse`).

mod process;
mod sentence;

use std::collections::{BTreeMap, BTreeSet};

use super::codes::CodeRange;
use super::error::Error;
use super::read::{LIST_MAX, Reader, read};
use super::rule::Rule;
use super::set::{Basis, Entry, Parameters, RuleSet};
use crate::codes;
use crate::tariff::{Source, Status};

/// Short name of the source of all entries.
const SOURCE: &str = "uk-trade-tariff";
/// Most sentences of one range.
const SENTENCES_MAX: usize = 50;
/// Longest short name made of a heading, in characters.
const SLUG_CHARS_MAX: usize = 80;

/// Reads a published rule set; `file` names it in errors, `id` is its short name.
pub fn parse(file: &str, id: &str, text: &[u8]) -> Result<RuleSet, Error> {
    read(file, text, |at| rule_set(at, file, id))
}

/// Reads a rule set in Karvan's own or in the published form; `file` may be a path.
pub fn parse_any(file: &str, text: &[u8]) -> Result<RuleSet, Error> {
    let is_published = karvan_types::json::parse(text)
        .is_ok_and(|value| value.get("rule_sets").is_some() && value.get("format").is_none());
    if !is_published {
        return RuleSet::parse(file, text);
    }
    let name = file.rsplit('/').next().unwrap_or(file);
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    parse(file, &slug(stem), text)
}

fn rule_set(at: &Reader<'_>, file: &str, id: &str) -> Option<RuleSet> {
    at.object(&["rule_sets"])?;
    let items = at.need("rule_sets")?.list(LIST_MAX);
    let mut ids = BTreeSet::new();
    let entries: Vec<_> = items.iter().filter_map(|item| entry(item, &mut ids)).collect();
    let mut processes = BTreeMap::new();
    for entry in &entries {
        gather(&entry.rule, &mut processes);
    }
    let name = file.rsplit('/').next().unwrap_or(file);
    Some(RuleSet {
        id: id.to_owned(),
        title: format!("{name}: product rules as the UK Trade Tariff publishes them"),
        parties: Vec::new(),
        hs_edition: codes::HS_EDITION,
        read_on: None,
        sources: vec![Source { id: SOURCE.to_owned(), title: format!("UK Trade Tariff, {name}") }],
        processes,
        parameters: Parameters::default(),
        entries,
    })
}

fn gather(rule: &Rule, processes: &mut BTreeMap<String, String>) {
    if let Rule::Process(name) = rule {
        processes.insert(name.clone(), process::words(name));
    }
    rule.parts().iter().for_each(|part| gather(part, processes));
}

fn entry(at: &Reader<'_>, ids: &mut BTreeSet<String>) -> Option<Entry> {
    at.object(&["heading", "chapter", "subdivision", "min", "max", "rules", "valid"])?;
    let (first, last) = (at.need("min")?, at.need("max")?);
    let range = CodeRange::between(&first.text()?, &last.text()?);
    if range.is_none() {
        first.fail("`min` and `max` are no range of ten-digit codes", "correct them");
    }
    let goods = sentence::plain(&at.need("subdivision")?.text()?);
    let heading = at.need("heading")?.text()?;
    let items = at.need("rules")?.list(SENTENCES_MAX);
    let sentences: Vec<_> = items.iter().filter_map(published).collect();
    if sentences.is_empty() {
        at.fail("the range has no rule", "add its rule or leave the range out");
    }
    // A range that the publisher has marked as not valid holds for nothing.
    if !at.need("valid")?.boolean()? {
        return None;
    }
    let base = slug(&heading);
    let numbered = (2..).map(|number| format!("{base}-{number}"));
    let id = [base.clone()].into_iter().chain(numbered).find(|id| !ids.contains(id))?;
    ids.insert(id.clone());
    let rule = join(&sentences)?;
    let whole = whole_text(&sentences);
    // What stands in the rule as a whole need not be told twice.
    let note = (rule != Rule::Text(whole.clone())).then_some(whole);
    Some(Entry {
        id,
        codes: vec![range?],
        goods,
        additional: sentences.iter().any(|one| one.quota),
        rule,
        basis: Basis { status: Status::Reported, source: SOURCE.to_owned(), note },
    })
}

/// A sentence of the file.
struct Published {
    text: String,
    or: bool,
    quota: bool,
    /// What limits it beyond its words.
    limits: Vec<String>,
}

fn published(at: &Reader<'_>) -> Option<Published> {
    at.object(&["rule", "class", "footnotes", "operator", "quota", "import", "export"])?;
    let text = sentence::plain(&at.need("rule")?.text()?);
    let operator = at.need("operator")?;
    let or = !operator.is_null() && operator.choice(&[("or", ())]).is_some();
    let mut limits: Vec<_> =
        at.need("footnotes")?.list(SENTENCES_MAX).iter().filter_map(Reader::text).collect();
    for way in ["import", "export"] {
        if !at.need(way)?.boolean()? {
            limits.push(format!("not for {way}"));
        }
    }
    Some(Published { text, or, quota: at.need("quota")?.boolean()?, limits })
}

/// Joins the sentences of one range.
fn join(sentences: &[Published]) -> Option<Rule> {
    let rules = sentences.iter().map(|one| {
        let rule = sentence::rule(&one.text);
        if one.limits.is_empty() {
            return rule;
        }
        let limits = one.limits.iter().cloned().map(Rule::Text);
        Rule::All([rule].into_iter().chain(limits).collect())
    });
    let mut rules: Vec<_> = rules.collect();
    if rules.len() < 2 {
        return rules.pop();
    }
    let is_exception = |one: &Published| one.text.starts_with("However");
    if sentences.last()?.or && !sentences.iter().any(is_exception) {
        return Some(Rule::Any(rules));
    }
    if let [first, second] = sentences
        && is_exception(second)
        && second.text.contains(" may be ")
        && first.limits.is_empty()
    {
        // The second sentence only widens the first: whoever meets the first needs no more.
        return Some(Rule::Any(vec![rules.swap_remove(0), Rule::Text(second.text.clone())]));
    }
    Some(Rule::Text(whole_text(sentences)))
}

/// Returns the sentences as published, for whoever wants to read them.
fn whole_text(sentences: &[Published]) -> String {
    let text = |one: &Published| format!("{}{}", if one.or { "or " } else { "" }, one.text);
    sentences.iter().map(text).collect::<Vec<_>>().join(" / ")
}

/// Makes a short name of words.
fn slug(text: &str) -> String {
    let mut name = String::new();
    for c in text.chars().map(|c| c.to_ascii_lowercase()) {
        if c.is_ascii_alphanumeric() {
            name.push(c);
        } else if !name.ends_with('-') && !name.is_empty() {
            name.push('-');
        }
        if name.len() >= SLUG_CHARS_MAX {
            break;
        }
    }
    let name = name.trim_end_matches('-');
    if name.is_empty() { "set".to_owned() } else { name.to_owned() }
}
