//! What changes from one version of a tariff to another, measure by measure.
//!
//! A measure is the same one when duty, kind, agreement, code, importer, slab and first day are
//! the same; its rate, last day, quota, source, status or note may then differ. Where the file
//! writes a measure does not matter.
//!
//! Not here: what the change means for goods; ask both versions (`super::Tariff::explain`).

use std::collections::BTreeMap;

use karvan_types::{Date, Decimal, Digest};
use serde::Serialize;

use super::{Duty, ImporterClass, Measure, MeasureKind, Tariff};

/// What differs between two versions.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Difference<'a> {
    /// SHA-256 of the older file.
    pub old: Digest,
    /// SHA-256 of the newer file.
    pub new: Digest,
    /// Parts of the head that differ, such as `rounding`.
    pub head: Vec<&'static str>,
    /// Measures that differ, by code and duty.
    pub changes: Vec<Change<'a>>,
}

/// A measure that one version has and the other has not, or has otherwise.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase", tag = "change")]
pub enum Change<'a> {
    /// Only the newer version has it.
    Added {
        /// The measure.
        new: &'a Measure,
    },
    /// Only the older version has it.
    Removed {
        /// The measure.
        old: &'a Measure,
    },
    /// Both have it and differ.
    Changed {
        /// As it was.
        old: &'a Measure,
        /// As it is.
        new: &'a Measure,
    },
}

type Key<'a> = (
    &'a str,
    Duty,
    MeasureKind,
    Option<&'a str>,
    Option<ImporterClass>,
    Option<(Decimal, Decimal)>,
    Date,
);

fn keyed(tariff: &Tariff) -> BTreeMap<Key<'_>, &Measure> {
    let keyed = tariff.measures().iter().map(|m| {
        let agreement = m.agreement.as_deref();
        let slab = m.customs_duty_slab;
        ((m.code.as_str(), m.duty, m.kind, agreement, m.importer, slab, m.from), m)
    });
    keyed.collect()
}

/// Compares two versions.
pub fn diff<'a>(old: &'a Tariff, new: &'a Tariff) -> Difference<'a> {
    let (before, after) = (keyed(old), keyed(new));
    let mut changes: Vec<(Key<'a>, Change<'a>)> = Vec::new();
    for (key, old) in &before {
        match after.get(key) {
            None => changes.push((*key, Change::Removed { old })),
            Some(new) if !is_same(old, new) => changes.push((*key, Change::Changed { old, new })),
            Some(_) => {}
        }
    }
    let added = after.iter().filter(|(key, _)| !before.contains_key(*key));
    changes.extend(added.map(|(key, new)| (*key, Change::Added { new })));
    changes.sort_by_key(|(key, _)| *key);
    Difference {
        old: old.digest,
        new: new.digest,
        head: head(old, new),
        changes: changes.into_iter().map(|(_, change)| change).collect(),
    }
}

fn is_same(old: &Measure, new: &Measure) -> bool {
    *old == Measure { line: old.line, ..new.clone() }
}

fn head(old: &Tariff, new: &Tariff) -> Vec<&'static str> {
    let parts = [
        ("country", old.country != new.country),
        ("currency", old.currency != new.currency),
        ("code_digits", old.code_digits != new.code_digits),
        ("charges", old.charges != new.charges),
        ("rounding", old.rounding != new.rounding),
        ("rate_date", old.rate_date != new.rate_date),
        ("sources", old.sources != new.sources),
        ("agreements", old.agreements != new.agreements),
        ("quotas", old.quotas != new.quotas),
        ("lines", old.lines != new.lines),
    ];
    parts.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect()
}
