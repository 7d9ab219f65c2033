//! Reads a rule set from JSON.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Basis, Cumulation, CumulationKind, DirectConsignment, Entry, FORMAT, Invoices, Issue,
    MinimalOperations, Parameters, RuleSet, ThirdPartyInvoice, Tolerance, Validity, WhollyObtained,
};
use crate::origin::error::Error;
use crate::origin::read::{LIST_MAX, Reader, is_name, read};
use crate::origin::rule::{self, Base, Rule};
use crate::tariff::Source;

/// Digits of the codes of goods.
const GOODS_DIGITS_MAX: usize = 10;
/// Most parties, and most countries of a cumulation.
const COUNTRIES_MAX: usize = 250;
/// Longest period, in days or months.
const PERIOD_MAX: u64 = 1200;
/// Latest edition of the Harmonized System that is believed.
const EDITION_MAX: u64 = 2100;

pub(super) fn parse(file: &str, text: &[u8]) -> Result<RuleSet, Error> {
    read(file, text, set)
}

fn set(at: &Reader<'_>) -> Option<RuleSet> {
    // A file of another kind would break every rule there is; one is enough to say so.
    at.members()?;
    at.need("format")?.choice(&[(FORMAT, ())])?;
    at.object(&[
        "format",
        "id",
        "title",
        "about",
        "parties",
        "hs_edition",
        "read_on",
        "sources",
        "processes",
        "parameters",
        "entries",
    ])?;
    let sources: Vec<_> = at.need("sources")?.list(LIST_MAX).iter().filter_map(source).collect();
    let known = Known { sources: &sources };
    let parties = at.need("parties")?.list(COUNTRIES_MAX);
    let processes = at.need("processes").map(|at| words(&at)).unwrap_or_default();
    let parameters = at.need("parameters").and_then(|at| known.parameters(&at));
    if let Some(minimal) = parameters.as_ref().and_then(|p| p.minimal_operations.as_ref()) {
        for name in minimal.operations.keys().filter(|name| processes.contains_key(*name)) {
            let text = format!("`{name}` is both a process and a minimal operation");
            at.fail(text, "decide which of both it is");
        }
    }
    let items = at.need("entries")?.list(LIST_MAX);
    let entries: Vec<_> = items.iter().filter_map(|at| known.entry(at, &processes)).collect();
    unique(at, entries.iter().map(|entry| entry.id.as_str()), "entry");
    unique(at, sources.iter().map(|source| source.id.as_str()), "source");
    Some(RuleSet {
        id: at.need("id")?.name()?,
        title: at.need("title")?.text()?,
        parties: parties.iter().filter_map(Reader::country).collect(),
        hs_edition: edition(&at.need("hs_edition")?)?,
        read_on: Some(at.need("read_on")?.date()?),
        sources,
        processes,
        parameters: parameters?,
        entries,
    })
}

/// Reads the edition of the Harmonized System.
pub(in crate::origin) fn edition(at: &Reader<'_>) -> Option<u16> {
    at.number(EDITION_MAX).and_then(|year| u16::try_from(year).ok())
}

fn source(at: &Reader<'_>) -> Option<Source> {
    at.object(&["id", "title"])?;
    let (id, title) = (at.need("id")?.name(), at.need("title")?.text());
    Some(Source { id: id?, title: title? })
}

/// Reads words by short names.
fn words(at: &Reader<'_>) -> BTreeMap<String, String> {
    let mut words = BTreeMap::new();
    for name in at.members().into_iter().flatten().map(|(name, _)| name) {
        let Some(member) = at.member(name) else { continue };
        if !is_name(name) {
            member.fail("the name of this member is no short name", "write it like `wire-drawing`");
        }
        if let Some(text) = member.text() {
            words.insert(name.clone(), text);
        }
    }
    words
}

fn unique<'a>(at: &Reader<'_>, names: impl Iterator<Item = &'a str>, what: &str) {
    let mut seen = BTreeSet::new();
    for name in names.filter(|name| !seen.insert(*name)) {
        at.fail(format!("the {what} `{name}` appears twice"), "give each its own id");
    }
}

/// What the rest of the file may refer to.
struct Known<'a> {
    sources: &'a [Source],
}

impl Known<'_> {
    /// Reads an object with these members besides source, status and note.
    fn basis(&self, at: &Reader<'_>, names: &[&str]) -> Option<Basis> {
        let names: Vec<_> = names.iter().chain(&["status", "source", "note"]).copied().collect();
        at.object(&names)?;
        let status = at.need("status").and_then(|at| at.status());
        let source_at = at.need("source")?;
        let source = source_at.name()?;
        if !self.sources.iter().any(|known| known.id == source) {
            source_at.fail(format!("the source `{source}` is not listed"), "add it to `sources`");
        }
        let note = match at.member("note") {
            None => None,
            Some(note) => Some(note.text()?),
        };
        Some(Basis { status: status?, source, note })
    }

    fn entry(&self, at: &Reader<'_>, processes: &BTreeMap<String, String>) -> Option<Entry> {
        let basis = self.basis(at, &["id", "codes", "goods", "rule", "additional"]);
        let codes = at.need("codes")?.ranges(GOODS_DIGITS_MAX);
        if codes.is_empty() {
            at.fail("the entry covers no code", "name its codes");
        }
        let rule_at = at.need("rule")?;
        let rule = rule::read(&rule_at);
        if let Some(rule) = &rule {
            check_processes(&rule_at, rule, processes);
        }
        let additional = at.member("additional").map_or(Some(false), |at| at.boolean());
        let (id, goods) = (at.need("id")?.name(), at.need("goods")?.text());
        Some(Entry {
            id: id?,
            codes,
            goods: goods?,
            rule: rule?,
            additional: additional?,
            basis: basis?,
        })
    }

    fn parameters(&self, at: &Reader<'_>) -> Option<Parameters> {
        at.object(&[
            "in_force",
            "wholly_obtained",
            "cumulation",
            "tolerance",
            "minimal_operations",
            "direct_consignment",
            "issue",
            "validity",
            "third_party_invoice",
        ])?;
        Some(Parameters {
            in_force: at.member("in_force").and_then(|at| self.in_force(&at)),
            wholly_obtained: at.member("wholly_obtained").and_then(|at| self.wholly(&at)),
            cumulation: at.member("cumulation").and_then(|at| self.cumulation(&at)),
            tolerance: at.member("tolerance").and_then(|at| self.tolerance(&at)),
            minimal_operations: at.member("minimal_operations").and_then(|at| {
                let basis = self.basis(&at, &["operations"]);
                let operations = words(&at.need("operations")?);
                Some(MinimalOperations { operations, basis: basis? })
            }),
            direct_consignment: at.member("direct_consignment").and_then(|at| {
                let basis = self.basis(&at, &["operations", "proofs"]);
                let operations = at.need("operations")?.names();
                let proofs = at.need("proofs")?.names();
                Some(DirectConsignment { operations, proofs, basis: basis? })
            }),
            issue: at.member("issue").and_then(|at| {
                let basis = self.basis(&at, &["days_after_shipment", "retrospective_months"]);
                let days_after_shipment = at.need("days_after_shipment")?.number(PERIOD_MAX)?;
                let retrospective_months = at.need("retrospective_months")?.number(PERIOD_MAX)?;
                Some(Issue { days_after_shipment, retrospective_months, basis: basis? })
            }),
            validity_months: at.member("validity").and_then(|at| {
                let basis = self.basis(&at, &["months"]);
                Some((at.need("months")?.number(PERIOD_MAX)?, basis?))
            }),
            third_party_invoice: at.member("third_party_invoice").and_then(|at| {
                let basis = self.basis(&at, &["rule"]);
                let rule = at.need("rule")?.choice(&[
                    ("allowed", ThirdPartyInvoice::Allowed),
                    ("if_declared", ThirdPartyInvoice::IfDeclared),
                    ("forbidden", ThirdPartyInvoice::Forbidden),
                ])?;
                Some(Invoices { rule, basis: basis? })
            }),
        })
    }

    fn in_force(&self, at: &Reader<'_>) -> Option<Validity> {
        let basis = self.basis(at, &["from", "until"]);
        let from = at.need("from")?.date()?;
        let until = match at.member("until") {
            None => None,
            Some(until) => Some(until.date()?),
        };
        if until.is_some_and(|until| until < from) {
            at.fail("the period ends before it begins", "correct a date");
        }
        Some(Validity { from, until, basis: basis? })
    }

    fn wholly(&self, at: &Reader<'_>) -> Option<WhollyObtained> {
        let basis = self.basis(at, &["ways", "implausible"]);
        let ways = words(&at.need("ways")?);
        let implausible =
            at.member("implausible").map_or_else(Vec::new, |at| at.ranges(GOODS_DIGITS_MAX));
        Some(WhollyObtained { ways, implausible, basis: basis? })
    }

    fn cumulation(&self, at: &Reader<'_>) -> Option<Cumulation> {
        let basis = self.basis(at, &["kind", "countries", "proof_required"]);
        let kind = at.need("kind")?.choice(&[
            ("none", CumulationKind::None),
            ("bilateral", CumulationKind::Bilateral),
            ("diagonal", CumulationKind::Diagonal),
        ])?;
        let listed = at.member("countries").map_or_else(Vec::new, |at| at.list(COUNTRIES_MAX));
        let countries: Vec<_> = listed.iter().filter_map(Reader::country).collect();
        if (kind == CumulationKind::Diagonal) == listed.is_empty() {
            at.fail(
                "countries belong to diagonal cumulation and to no other kind",
                "list them, or change `kind`",
            );
        }
        let proof_required = at.need("proof_required")?.boolean()?;
        Some(Cumulation { kind, countries, proof_required, basis: basis? })
    }

    fn tolerance(&self, at: &Reader<'_>) -> Option<Tolerance> {
        let basis = self.basis(at, &["percent", "of", "not_for", "for_wholly_obtained"]);
        let percent = at.need("percent")?.percent();
        let of: Option<Base> = at.need("of").and_then(|at| rule::read_base(&at));
        let not_for = at.member("not_for").map_or_else(Vec::new, |at| at.ranges(GOODS_DIGITS_MAX));
        let for_wholly_obtained = at.need("for_wholly_obtained")?.boolean()?;
        Some(Tolerance { percent: percent?, of: of?, not_for, for_wholly_obtained, basis: basis? })
    }
}

fn check_processes(at: &Reader<'_>, rule: &Rule, processes: &BTreeMap<String, String>) {
    if let Rule::Process(name) = rule
        && !processes.contains_key(name)
    {
        at.fail(format!("the process `{name}` is not defined"), "add it to `processes`");
    }
    for part in rule.parts() {
        check_processes(at, part, processes);
    }
}
