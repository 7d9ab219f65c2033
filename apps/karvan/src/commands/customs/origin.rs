//! Rules of origin from the data of this program or a file: no node, no network.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::{Args, Subcommand};
use karvan_customs::origin::{
    Basis, Entry, Error, Finding, Missing, Product, Report, Rule, RuleSet, Step, Verdict, built_in,
    evaluate, published,
};
use karvan_customs::tariff::Status;
use karvan_types::ErrorKind;
use serde_json::{Value, json};

use super::read_input;
use crate::commands::Outcome;
use crate::failure::Failure;
use crate::output::Output;

/// Most findings of one kind that are printed for a person.
const FINDINGS_SHOWN_MAX: usize = 20;
/// Where the formats are described.
const MANUAL: &str = "docs/use/origin.md describes the file and shows one";

/// Explain rules of origin, and check products against them; needs no node.
///
/// Without --set the stand-in rules of the agreement of Azerbaijan and Pakistan are used: its text
/// is not public, so every rule shows its status, and nobody may decide on what is analogue or
/// assumed. --set takes a rule set in Karvan's form, or product rules as the UK Trade Tariff
/// publishes them.
#[derive(Debug, Subcommand)]
pub(crate) enum Origin {
    /// Show the rules for a code, in words, with source and status.
    #[command(after_help = "Examples:\n  karvan customs origin rules 7408.11\n  karvan customs \
        origin rules 330210 --set uk-turkiye.json")]
    Rules(Rules),
    /// Decide whether a product originates and its claim holds, step by step.
    ///
    /// The product file states facts: code, materials, values, processes, route, certificate. A
    /// fact that is absent is not guessed; the answer names it. Exit code 0: the claim holds as
    /// far as the rule set goes; 1: it does not, or it cannot be said yet.
    #[command(after_help = "Examples:\n  karvan customs origin check \
        subsystems/customs/samples/origin/01-copper-wire.json\n  karvan customs origin check \
        product.json --set uk-turkiye.json --json\n  karvan customs origin check - < product.json")]
    Check(Check),
    /// Check a rule set file: errors, overlaps, gaps, and rules that only a person can read.
    ///
    /// Errors name place, rule and remedy. Overlaps and gaps are findings: the set can be used,
    /// but a person should look at them.
    #[command(after_help = "Example:\n  karvan customs origin validate rules.json")]
    Validate(Validate),
}

#[derive(Args, Debug)]
pub(crate) struct Rules {
    /// Code, 6 to 10 digits; dots and spaces do not count.
    code: String,
    /// The rule set; the stand-in rules of the agreement unless given.
    #[arg(long, value_name = "FILE")]
    set: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct Check {
    /// The product; `-` is standard input.
    product: PathBuf,
    /// The rule set; the stand-in rules of the agreement unless given.
    #[arg(long, value_name = "FILE")]
    set: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct Validate {
    /// The rule set; `-` is standard input.
    file: PathBuf,
}

pub(crate) fn run(command: &Origin, output: Output) -> Result<Outcome> {
    match command {
        Origin::Rules(command) => rules(command, output),
        Origin::Check(command) => check(command, output),
        Origin::Validate(command) => validate(command, output),
    }
}

fn refused(error: &Error) -> Failure {
    Failure::new(error.kind(), error.to_string()).hint(MANUAL)
}

fn load(file: &Path) -> Result<RuleSet> {
    let bytes = read_input(file)?;
    Ok(published::parse_any(&file.display().to_string(), &bytes).map_err(|e| refused(&e))?)
}

/// Runs `act` on the set of the file, or on the one that ships with the program.
fn with_set<T>(file: Option<&PathBuf>, act: impl FnOnce(&RuleSet) -> Result<T>) -> Result<T> {
    if let Some(file) = file {
        return act(&load(file)?);
    }
    let defect = || Failure::new(ErrorKind::Internal, "the rules of this program do not parse");
    act(built_in().ok_or_else(defect)?)
}

fn rules(command: &Rules, output: Output) -> Result<Outcome> {
    with_set(command.set.as_ref(), |set| {
        let found = set.find(&command.code).map_err(|error| {
            Failure::new(error.kind(), error.to_string()).hint("write a code like 7408.11")
        })?;
        let entries: Vec<_> = found.entries.iter().chain(&found.additional).collect();
        if entries.is_empty() {
            let text = format!("{} has no rule for {}", set.title, command.code);
            return Err(Failure::new(ErrorKind::NotFound, text)
                .hint("`karvan customs origin validate` lists the gaps of a rule set")
                .into());
        }
        let report = json!({
            "set": set.id,
            "title": set.title,
            "code": command.code,
            "entries": entries.iter().map(|entry| entry_json(set, entry)).collect::<Vec<_>>(),
            "common": common_json(set),
            "sources": set.sources,
        });
        output.print(&report, |_| {
            let mut text = format!("{} under {}\n", command.code, set.title);
            if found.entries.len() > 1 {
                text.push_str(
                    "Several descriptions share this code; the goods decide. Name the rule as \
                     `entry` of the product.\n",
                );
            }
            for entry in &entries {
                text.push_str(&describe_entry(set, entry));
            }
            text.push_str("\nFor all goods\n");
            let common = set.common_rules();
            if common.is_empty() {
                text.push_str("  This rule set holds product rules only.\n");
            }
            for (sentence, basis) in common {
                let _ = writeln!(text, "  {}\n    {}", sentence.english(), describe_basis(basis));
            }
            text
        })?;
        Ok(Outcome::Done)
    })
}

fn common_json(set: &RuleSet) -> Value {
    let rule = |(sentence, basis)| json!({ "sentence": sentence, "basis": basis });
    set.common_rules().into_iter().map(rule).collect()
}

fn entry_json(set: &RuleSet, entry: &Entry) -> Value {
    json!({
        "id": entry.id,
        "codes": entry.codes.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "goods": entry.goods,
        "additional": entry.additional,
        "machineReadable": entry.rule.is_machine_readable(),
        "rule": rule_json(set, &entry.rule),
        "basis": entry.basis,
    })
}

fn rule_json(set: &RuleSet, rule: &Rule) -> Value {
    let parts: Vec<_> = rule.parts().iter().map(|part| rule_json(set, part)).collect();
    json!({ "sentence": rule.sentence(set), "parts": parts })
}

fn describe_entry(set: &RuleSet, entry: &Entry) -> String {
    let codes: Vec<_> = entry.codes.iter().map(ToString::to_string).collect();
    let beside = if entry.additional { ", beside the other rules" } else { "" };
    let mut text = format!("\n{}: {} ({}{beside})\n", entry.id, entry.goods, codes.join(", "));
    describe_rule(set, &entry.rule, 1, &mut text);
    let title = set.source(&entry.basis.source).map_or(&entry.basis.source, |known| &known.title);
    let _ = writeln!(text, "  Status: {}. Source: {title}", status(entry.basis.status));
    if let Some(note) = &entry.basis.note {
        let _ = writeln!(text, "  Note: {note}");
    }
    text
}

fn describe_rule(set: &RuleSet, rule: &Rule, depth: usize, text: &mut String) {
    let mark = if matches!(rule, Rule::Text(_)) { "[needs a person] " } else { "" };
    let _ = writeln!(text, "{}{mark}{}", "  ".repeat(depth), rule.sentence(set).english());
    for part in rule.parts() {
        describe_rule(set, part, depth + 1, text);
    }
}

/// Returns the status as a word, marked when nobody may decide on it.
fn status(status: Status) -> &'static str {
    match status {
        Status::Official => "official",
        Status::Reported => "reported",
        Status::Derived => "derived",
        Status::Analogue => "analogue (!)",
        Status::Assumed => "assumed (!)",
    }
}

fn check(command: &Check, output: Output) -> Result<Outcome> {
    let bytes = read_input(&command.product)?;
    let name = command.product.display().to_string();
    let product = Product::parse(&name, &bytes).map_err(|error| refused(&error))?;
    with_set(command.set.as_ref(), |set| {
        let report = evaluate(set, &product);
        output.print(&report, |report| describe(set, report))?;
        let holds = report.preference == Verdict::Met;
        Ok(if holds { Outcome::Done } else { Outcome::CheckFailed })
    })
}

fn describe(set: &RuleSet, report: &Report) -> String {
    let mut text = format!(
        "{} ({}) under {}\n\n{}\n",
        report.goods,
        report.code,
        report.title,
        report.headline.english()
    );
    let _ = writeln!(
        text,
        "Origin: {}. Conditions: {}. Claim: {}.",
        verdict(report.origin),
        verdict(report.conditions),
        verdict(report.preference)
    );
    if let Some(weakest) = report.status {
        let _ = writeln!(text, "This rests on rules of status: {}.", status(weakest));
        if weakest >= Status::Analogue {
            text.push_str(
                "(!) stand-in rules until the official text is in; decide nothing on them.\n",
            );
        }
    }
    if !report.missing.is_empty() {
        text.push_str("\nMissing\n");
        report.missing.iter().for_each(|fact| text.push_str(&missing(fact)));
    }
    text.push_str("\nSteps\n");
    describe_step(&report.steps, 1, &mut text);
    if !report.not_checked.is_empty() {
        text.push_str("\nNot checked, because the rule set does not hold it\n");
        for rule in &report.not_checked {
            let _ = writeln!(text, "  {}", rule.english());
        }
    }
    text.push_str("\nSources\n");
    let mut used = Vec::new();
    gather(&report.steps, &mut used);
    for source in set.sources.iter().filter(|source| used.contains(&source.id.as_str())) {
        let _ = writeln!(text, "  {}: {}", source.id, source.title);
    }
    text
}

fn missing(fact: &Missing) -> String {
    let place = if fact.pointer.is_empty() { "not in the product file" } else { &fact.pointer };
    format!("  {place}: {}\n", fact.what)
}

fn gather<'a>(step: &'a Step, used: &mut Vec<&'a str>) {
    used.extend(step.basis.as_ref().map(|basis| basis.source.as_str()));
    step.steps.iter().for_each(|step| gather(step, used));
}

const fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Met => "yes",
        Verdict::NotMet => "no",
        Verdict::CannotSay => "cannot say",
        Verdict::NeedsPerson => "needs a person",
        Verdict::NotChecked => "not checked",
    }
}

fn describe_step(step: &Step, depth: usize, text: &mut String) {
    let indent = "  ".repeat(depth);
    let _ = writeln!(text, "{indent}[{}] {}", verdict(step.verdict), step.rule.english());
    if step.steps.is_empty() {
        let _ = writeln!(text, "{indent}    {}", step.because.english());
    }
    if let Some(basis) = &step.basis {
        let _ = writeln!(text, "{indent}    {}", describe_basis(basis));
    }
    for inner in &step.steps {
        describe_step(inner, depth + 1, text);
    }
}

fn describe_basis(basis: &Basis) -> String {
    let note = basis.note.as_ref().map(|note| format!("; {note}")).unwrap_or_default();
    format!("({}, {}{note})", status(basis.status), basis.source)
}

fn validate(command: &Validate, output: Output) -> Result<Outcome> {
    let set = load(&command.file)?;
    let findings = set.findings();
    let readable = set.entries.iter().filter(|entry| entry.rule.is_machine_readable()).count();
    let mut statuses = BTreeMap::new();
    for entry in &set.entries {
        *statuses.entry(entry.basis.status).or_insert(0_usize) += 1;
    }
    let report = json!({
        "set": set.id,
        "title": set.title,
        "entries": set.entries.len(),
        "machineReadable": readable,
        "statuses": statuses,
        "findings": findings,
    });
    output.print(&report, |_| {
        let mut text = format!(
            "{}\n{} entries, {readable} of them machine-readable as a whole\n",
            set.title,
            set.entries.len()
        );
        for (known, count) in &statuses {
            let _ = writeln!(text, "  status {}: {count}", status(*known));
        }
        for kind in [Kind::Overlap, Kind::Gap, Kind::Text] {
            let lines: Vec<_> = findings.iter().filter_map(|one| line(one, kind)).collect();
            let _ = writeln!(text, "\n{}: {}", kind.title(), lines.len());
            lines.iter().take(FINDINGS_SHOWN_MAX).for_each(|line| text.push_str(line));
            if lines.len() > FINDINGS_SHOWN_MAX {
                let _ = writeln!(text, "  ... all of them with --json");
            }
        }
        text
    })?;
    Ok(Outcome::Done)
}

/// Under which heading a finding is printed.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Kind {
    Overlap,
    Gap,
    Text,
}

impl Kind {
    const fn title(self) -> &'static str {
        match self {
            Self::Overlap => "Overlaps: the description of the goods must decide",
            Self::Gap => "Gaps: codes of HS 2022 without a rule",
            Self::Text => "Rules that need a person",
        }
    }
}

fn line(finding: &Finding, kind: Kind) -> Option<String> {
    Some(match finding {
        Finding::Overlap { first, second, codes, others } if kind == Kind::Overlap => {
            format!("  {first} ({codes}) and {second} ({others})\n")
        }
        Finding::Gap { from, to, count } if kind == Kind::Gap => {
            format!("  {from} to {to}: {count} codes\n")
        }
        Finding::Text { entry, partly } if kind == Kind::Text => {
            format!("  {entry}{}\n", if *partly { ", in part" } else { "" })
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_view_shows_the_status() {
        let set = built_in().expect("valid");
        let rule = set.entries.first().map(|entry| describe_entry(set, entry)).expect("a rule");
        assert!(rule.contains("Status: analogue (!)"), "{rule}");
        let text = include_bytes!(
            "../../../../../subsystems/customs/samples/origin/05-footballs-repacked.json"
        );
        let product = Product::parse("sample", text).expect("valid");
        let report = describe(set, &evaluate(set, &product));
        for expected in [
            "Origin: no. Conditions: yes. Claim: no.",
            "(!) stand-in rules until the official text is in",
            "(assumed (!), project",
            "Only minimal operations are done",
            "pak-china-fta: Pakistan-China",
        ] {
            assert!(report.contains(expected), "{expected}: {report}");
        }
    }
}
