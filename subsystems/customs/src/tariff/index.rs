//! All measures of a tariff, found by code in a few halvings.
//!
//! Measures lie in one array, sorted by the beginning of codes that they are for, then by duty and
//! first day. A code asks once for each length of beginning that occurs, the longest first; each
//! answer is a stretch of the array. Nothing is copied.
//!
//! Not here: which of the found measures applies (`super::Tariff::explain`).

use super::{Duty, Measure};

/// Measures by the beginning of a code.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Index {
    /// Sorted by key, duty, first day and line.
    measures: Vec<Measure>,
    /// Each beginning with the place of its first measure, sorted.
    starts: Vec<(u64, usize)>,
    /// The lengths of beginnings that occur, longest first.
    lengths: Vec<usize>,
}

/// The stretches of measures whose beginning fits a code, the longest beginning first.
pub(super) struct Found<'a>(Vec<&'a [Measure]>);

impl Index {
    pub(super) fn new(mut measures: Vec<Measure>) -> Self {
        measures.sort_by_cached_key(|m| (key(&m.code), m.duty, m.from, m.line));
        let mut starts: Vec<(u64, usize)> = Vec::new();
        for (place, measure) in measures.iter().enumerate() {
            let key = key(&measure.code);
            if starts.last().is_none_or(|(last, _)| *last != key) {
                starts.push((key, place));
            }
        }
        let mut lengths: Vec<_> = measures.iter().map(|measure| measure.code.len()).collect();
        lengths.sort_unstable_by(|a, b| b.cmp(a));
        lengths.dedup();
        Self { measures, starts, lengths }
    }

    pub(super) fn all(&self) -> &[Measure] {
        &self.measures
    }

    /// Returns the measures of each duty and beginning, in order of their first day.
    pub(super) fn lists(&self) -> impl Iterator<Item = &[Measure]> {
        self.measures.chunk_by(|a, b| a.code == b.code && a.duty == b.duty)
    }

    pub(super) fn find(&self, code: &str) -> Found<'_> {
        let prefixes = self.lengths.iter().filter_map(|length| code.get(..*length));
        Found(prefixes.filter_map(|prefix| self.at(key(prefix))).collect())
    }

    fn at(&self, key: u64) -> Option<&[Measure]> {
        let place = self.starts.binary_search_by_key(&key, |(start, _)| *start).ok()?;
        let (_, from) = self.starts.get(place)?;
        let to = self.starts.get(place + 1).map_or(self.measures.len(), |(_, to)| *to);
        self.measures.get(*from..to)
    }
}

impl<'a> Found<'a> {
    /// Returns the measures of a duty for each fitting beginning, the longest first.
    pub(super) fn of(&self, duty: Duty) -> impl Iterator<Item = &'a [Measure]> {
        self.0.iter().filter_map(move |list| {
            let from = list.partition_point(|measure| measure.duty < duty);
            let to = list.partition_point(|measure| measure.duty <= duty);
            list.get(from..to).filter(|list| !list.is_empty())
        })
    }
}

/// Returns digits as a number that tells `08` from `8`: a one stands before them. Codes have at
/// most 12 digits, which the loader and the query check.
fn key(code: &str) -> u64 {
    let digits = code.bytes().map(|byte| u64::from(byte.wrapping_sub(b'0')));
    digits.fold(1, |key, digit| key.wrapping_mul(10).wrapping_add(digit))
}
