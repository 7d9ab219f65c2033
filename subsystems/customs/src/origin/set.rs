//! A rule set: the product rules and general parameters of one agreement.
//!
//! Of several entries that cover a code the one with the narrowest range holds; entries of the
//! same range describe different goods, and whoever knows the goods names the entry. An
//! `additional` entry holds beside the others as a further way to originate, such as an easier
//! rule within a yearly quota.
//!
//! Invariants: every entry and parameter has a source that the set lists, and a status; names of
//! entries and processes are unique and defined.
//!
//! Not here: evaluation (`super::evaluate`), rule sets in other formats (`super::published`).

mod check;
mod describe;
mod load;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use karvan_types::Date;
use serde::Serialize;

pub use check::Finding;
pub(super) use load::edition as read_edition;

use super::codes::{CodeRange, goods_code};
use super::error::Error;
use super::rule::{Base, Rule};
use crate::tariff::{Source, Status};

/// Value of the member `format` of a rule set.
pub(super) const FORMAT: &str = "karvan-origin-rules/1";

/// The rules of origin of one agreement.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RuleSet {
    /// Short name, such as `az-pk-pta`.
    pub id: String,
    /// Title for people.
    pub title: String,
    /// Parties, ISO 3166-1 alpha-2; empty when the file does not tell.
    pub parties: Vec<String>,
    /// Edition of the Harmonized System of all its codes.
    pub hs_edition: u16,
    /// The day on which the sources were read.
    pub read_on: Option<Date>,
    /// Sources.
    pub sources: Vec<Source>,
    /// Words for the processes that go beyond minimal operations, by short name.
    pub processes: BTreeMap<String, String>,
    /// What holds for all goods.
    pub parameters: Parameters,
    /// Product rules.
    pub entries: Vec<Entry>,
}

/// Where a rule is from and how sure it is.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Basis {
    /// How sure it is.
    pub status: Status,
    /// Short name of the source.
    pub source: String,
    /// What a reader should know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// The rule for goods of some codes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    /// Short name, unique in the set.
    pub id: String,
    /// Codes of the goods, 2 to 10 digits.
    pub codes: Vec<CodeRange>,
    /// The goods in words.
    pub goods: String,
    /// The rule.
    pub rule: Rule,
    /// Whether it holds beside the other entries instead of replacing wider ones.
    pub additional: bool,
    /// Source and status.
    pub basis: Basis,
}

/// Conditions for all goods. What is absent is not in the file and is not checked.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Parameters {
    /// From when the agreement holds.
    pub in_force: Option<Validity>,
    /// Ways to obtain goods wholly.
    pub wholly_obtained: Option<WhollyObtained>,
    /// Which countries' materials count as originating.
    pub cumulation: Option<Cumulation>,
    /// How much may break a rule on materials.
    pub tolerance: Option<Tolerance>,
    /// Operations that never confer origin.
    pub minimal_operations: Option<MinimalOperations>,
    /// Rules of the route.
    pub direct_consignment: Option<DirectConsignment>,
    /// When a certificate is issued.
    pub issue: Option<Issue>,
    /// How long a certificate is valid, in months from its issue.
    pub validity_months: Option<(u64, Basis)>,
    /// Whether the invoice may come from a third country.
    pub third_party_invoice: Option<Invoices>,
}

/// A period of days.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Validity {
    /// First day.
    pub from: Date,
    /// Last day; open when absent.
    pub until: Option<Date>,
    /// Source and status.
    pub basis: Basis,
}

/// Wholly obtained goods.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WhollyObtained {
    /// Words for each way, by short name.
    pub ways: BTreeMap<String, String>,
    /// Codes of goods for which a declared way is not believed without a person.
    pub implausible: Vec<CodeRange>,
    /// Source and status.
    pub basis: Basis,
}

/// Which kind of cumulation holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CumulationKind {
    /// None: only materials of the country of production.
    None,
    /// Materials of all parties.
    Bilateral,
    /// Materials of the parties and of listed countries.
    Diagonal,
}

/// Which countries' materials count as originating.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Cumulation {
    /// The kind.
    pub kind: CumulationKind,
    /// Countries beyond the parties, for the diagonal kind.
    pub countries: Vec<String>,
    /// Whether a proof of origin must accompany the material.
    pub proof_required: bool,
    /// Source and status.
    pub basis: Basis,
}

/// How much may break a rule on the classification or kind of materials.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Tolerance {
    /// Most percent.
    pub percent: karvan_types::Decimal,
    /// Of what.
    pub of: Base,
    /// Codes of goods without tolerance.
    pub not_for: Vec<CodeRange>,
    /// Whether it also covers rules that want wholly obtained materials.
    pub for_wholly_obtained: bool,
    /// Source and status.
    pub basis: Basis,
}

/// Operations that never confer origin, alone or together.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MinimalOperations {
    /// Words for each operation, by short name.
    pub operations: BTreeMap<String, String>,
    /// Source and status.
    pub basis: Basis,
}

/// Rules of the route.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DirectConsignment {
    /// Short names of what may be done with goods in transit.
    pub operations: Vec<String>,
    /// Short names of documents of which one proves the route through another country.
    pub proofs: Vec<String>,
    /// Source and status.
    pub basis: Basis,
}

/// When a certificate is issued.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Issue {
    /// Days after shipment within which it needs no remark.
    pub days_after_shipment: u64,
    /// Months after shipment within which it may be issued retrospectively.
    pub retrospective_months: u64,
    /// Source and status.
    pub basis: Basis,
}

/// What holds for invoices from third countries.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ThirdPartyInvoice {
    /// Allowed.
    Allowed,
    /// Allowed when the certificate says so.
    IfDeclared,
    /// Not allowed.
    Forbidden,
}

/// Rule on invoices from third countries.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Invoices {
    /// The rule.
    pub rule: ThirdPartyInvoice,
    /// Source and status.
    pub basis: Basis,
}

/// The entries for a code.
#[derive(Clone, Debug)]
pub struct Found<'a> {
    /// Narrowest entries; several when the description of the goods decides.
    pub entries: Vec<&'a Entry>,
    /// Entries that hold beside them.
    pub additional: Vec<&'a Entry>,
}

impl RuleSet {
    /// Reads a rule set in Karvan's own format; `file` names it in errors.
    ///
    /// Refuses what is not strict JSON or breaks a rule, with every problem found.
    pub fn parse(file: &str, text: &[u8]) -> Result<Self, Error> {
        load::parse(file, text)
    }

    /// Returns the entries for a code of 6 to 10 digits; dots and spaces do not count.
    pub fn find(&self, code: &str) -> Result<Found<'_>, Error> {
        let code = goods_code(code).ok_or_else(|| Error::Code(code.chars().take(20).collect()))?;
        let hits: Vec<_> = self.entries.iter().filter_map(|entry| entry.hit(&code)).collect();
        let (additional, main): (Vec<_>, Vec<_>) =
            hits.into_iter().partition(|(entry, _)| entry.additional);
        let narrower = |range: &CodeRange| {
            main.iter().any(|(_, other)| other.contains(&code) && is_inside(other, range))
        };
        let narrowest = main.iter().filter(|(_, range)| !narrower(range));
        let entries = narrowest.map(|(entry, _)| *entry).collect();
        Ok(Found { entries, additional: additional.into_iter().map(|(entry, _)| entry).collect() })
    }

    /// Returns the source with this short name.
    pub fn source(&self, id: &str) -> Option<&Source> {
        self.sources.iter().find(|source| source.id == id)
    }

    /// Returns overlaps, gaps and texts that need a person; an empty list is a tidy set.
    pub fn findings(&self) -> Vec<Finding> {
        check::findings(self)
    }
}

impl Entry {
    /// Returns the narrowest range of this entry that meets the code.
    fn hit(&self, code: &str) -> Option<(&Self, &CodeRange)> {
        let width = |range: &&CodeRange| range.span().1 - range.span().0;
        let range = self.codes.iter().filter(|range| range.meets(code)).min_by_key(width)?;
        Some((self, range))
    }
}

/// Returns whether a range lies inside another and is smaller.
fn is_inside(inner: &CodeRange, outer: &CodeRange) -> bool {
    let (a, b) = (inner.span(), outer.span());
    b.0 <= a.0 && a.1 <= b.1 && a != b
}

/// Returns the rule set that ships with the program: what is known and assumed of the PTA between
/// Azerbaijan and Pakistan.
pub fn built_in() -> Option<&'static RuleSet> {
    static SET: LazyLock<Option<RuleSet>> = LazyLock::new(|| {
        let text = include_str!("../../data/origin/az-pk-pta.json");
        RuleSet::parse("az-pk-pta.json", text.as_bytes()).ok()
    });
    SET.as_ref()
}
