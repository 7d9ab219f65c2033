//! The lines of both sides for one month or day, each with its counterpart on the other side.

use std::collections::BTreeMap;

use karvan_store::{Error, Range, Read};
use karvan_types::{Date, Instance};

use super::flow::{self, Flow, Line, month_of};

/// Most lines of one side that are taken into one calculation.
pub const LINES_MAX: usize = 20_000;

/// Lines, and which documents of the other side belong to each document.
#[derive(Debug, Default)]
pub struct Linked {
    /// The lines, by document and item.
    pub lines: Vec<Line>,
    /// For each document its counterparts' lines; empty when there is none.
    pub counterparts: BTreeMap<String, Vec<Line>>,
    /// Whether there are more lines than were taken.
    pub is_cut: bool,
}

/// Which lines: a direction of a nation, and whose lines are the counterparts.
#[derive(Clone, Copy, Debug)]
pub struct Stream {
    /// The direction.
    pub flow: Flow,
    /// Who declared.
    pub nation: Instance,
    /// Who declared the counterparts.
    pub other: Instance,
}

/// Which months, both included.
#[derive(Clone, Debug)]
pub struct Months {
    /// First, `YYYY-MM`.
    pub from: String,
    /// Last, `YYYY-MM`.
    pub until: String,
}

impl Months {
    /// Returns the months of two days.
    pub fn of(from: Date, until: Date) -> Self {
        Self { from: month_of(from), until: month_of(until) }
    }
}

/// Reads the lines of a stream and finds their counterparts.
pub fn read(view: &dyn Read, stream: Stream, months: &Months) -> Result<Linked, Error> {
    let column = Line::stream(stream.flow, stream.nation);
    let range = Range::of("by_month", vec![column.into()], LINES_MAX + 1);
    let range = range.from(months.from.as_str()).to(months.until.as_str());
    let mut linked = Linked { lines: view.select(&range)?, ..Linked::default() };
    linked.is_cut = linked.lines.len() > LINES_MAX;
    linked.lines.truncate(LINES_MAX);
    linked.lines.sort_by(|a, b| (&a.document, a.item).cmp(&(&b.document, b.item)));
    let opposite = match stream.flow {
        Flow::Export => Flow::Import,
        Flow::Import => Flow::Export,
    };
    for own in linked.lines.chunk_by(|a, b| a.document == b.document) {
        let Some(first) = own.first() else { continue };
        let found = flow::counterparts(view, own, opposite, stream.other)?;
        linked.counterparts.insert(first.document.clone(), found);
    }
    let Linked { lines, counterparts, .. } = &mut linked;
    let is_tied = |document: &String| counterparts.get(document).is_some_and(|c| !c.is_empty());
    lines.retain(|line| !line.elsewhere || is_tied(&line.document));
    Ok(linked)
}

impl Linked {
    /// Returns the counterparts of a line's document.
    pub fn of(&self, line: &Line) -> &[Line] {
        self.counterparts.get(&line.document).map(Vec::as_slice).unwrap_or_default()
    }
}
