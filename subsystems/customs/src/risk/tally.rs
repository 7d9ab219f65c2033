//! What is counted of the consignments of each party, day by day, so that the history of a party
//! that trades much costs no more to look at than that of one that trades little.
//!
//! A [`Trace`] stands for one consignment; it is stored here, and each change of it moves the
//! counts of its parties. Refused preferences are kept beside them, one record for each.
//!
//! Invariants: the counts of a party and day are those of the traces that name both; a day of
//! which no trace is left has no record.
//!
//! Not here: what the counts mean for a consignment (`super::gather`).

use karvan_store::{Error, Index, Range, Read, Record, Table, Tx, Value};
use karvan_types::Date;
use serde::{Deserialize, Serialize};

use super::record::{RELATED_MAX, Trace};
use crate::claim::{Claim, ClaimItem, ItemState};
use crate::messages::text::date;

/// Most days of a party that are looked at; a profile looks back 1000 days at most.
const DAYS_MAX: usize = 1001;

/// In which part a party takes part in a consignment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Part {
    /// Receives the goods.
    Consignee,
    /// Sends them.
    Exporter,
}

impl Part {
    /// Returns the name; facts begin with it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Consignee => "consignee",
            Self::Exporter => "exporter",
        }
    }

    fn of(self, trace: &Trace) -> Option<&str> {
        match self {
            Self::Consignee => trace.consignee.as_deref(),
            Self::Exporter => trace.exporter.as_deref(),
        }
    }

    fn column(self, party: &str) -> String {
        format!("{}:{party}", self.name())
    }
}

/// What arrived of one party on one day.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Tally {
    /// The part and the party, such as `consignee:7654321`.
    party: String,
    #[serde(with = "date")]
    day: Date,
    counts: Counts,
}

/// How many consignments, and of which kinds.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Counts {
    /// All of them.
    pub(crate) all: u64,
    /// Those whose declaration was cancelled.
    pub(crate) cancelled: u64,
    /// Those of which a check found something, cancelled or not.
    pub(crate) found: u64,
}

impl Counts {
    fn of(trace: &Trace) -> Self {
        let found = trace.found == Some(true);
        Self { all: 1, cancelled: trace.cancelled.into(), found: found.into() }
    }

    const fn plus(self, other: Self) -> Self {
        Self {
            all: self.all.saturating_add(other.all),
            cancelled: self.cancelled.saturating_add(other.cancelled),
            found: self.found.saturating_add(other.found),
        }
    }

    const fn minus(self, other: Self) -> Self {
        Self {
            all: self.all.saturating_sub(other.all),
            cancelled: self.cancelled.saturating_sub(other.cancelled),
            found: self.found.saturating_sub(other.found),
        }
    }
}

/// Where the counts are kept.
pub(crate) static TALLIES: Table = Table {
    name: "customs_risk_tally",
    columns: &["party", "day"],
    indexes: &[Index { name: "by_party", columns: &["party", "day"], unique: false }],
};

impl Record for Tally {
    const TABLE: &'static Table = &TALLIES;

    fn key(&self) -> Value {
        key(&self.party, self.day)
    }

    fn columns(&self) -> Vec<Value> {
        vec![self.party.as_str().into(), self.day.to_string().into()]
    }
}

fn key(party: &str, day: Date) -> Value {
    format!("{day} {party}").into()
}

/// Stores a trace and moves the counts of its parties; one that is stored already costs a look.
pub(crate) fn store(tx: &mut dyn Tx, trace: &Trace) -> Result<(), Error> {
    let old: Option<Trace> = tx.find(trace.export.as_str())?;
    if old.as_ref() == Some(trace) {
        return Ok(());
    }
    for part in [Part::Consignee, Part::Exporter] {
        let place = |trace: &Trace| {
            part.of(trace).map(|party| (part.column(party), trace.day, Counts::of(trace)))
        };
        let (before, after) = (old.as_ref().and_then(place), place(trace));
        if before == after {
            continue;
        }
        if let Some((party, day, counts)) = before {
            change(tx, party, day, |there| there.minus(counts))?;
        }
        if let Some((party, day, counts)) = after {
            change(tx, party, day, |there| there.plus(counts))?;
        }
    }
    tx.save(trace)
}

fn change(
    tx: &mut dyn Tx,
    party: String,
    day: Date,
    with: impl FnOnce(Counts) -> Counts,
) -> Result<(), Error> {
    let old: Option<Tally> = tx.find(key(&party, day))?;
    let counts = with(old.map(|old| old.counts).unwrap_or_default());
    if counts.all == 0 {
        tx.remove::<Tally>(key(&party, day)).map(drop)
    } else {
        tx.save(&Tally { party, day, counts })
    }
}

/// What is known of the other consignments of a party.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct History {
    /// The day of the first consignment, the one in hand included.
    pub(crate) first: Date,
    /// The others that arrived since a day and until the day of the one in hand.
    pub(crate) others: Counts,
}

/// Returns the history of a party of the consignment in hand, which arrived on `day`; `own` is what
/// is stored of that one.
pub(crate) fn history(
    view: &dyn Read,
    (part, party): (Part, &str),
    own: Option<&Trace>,
    (since, day): (Date, Date),
) -> Result<History, Error> {
    let days = |limit| Range::of("by_party", vec![part.column(party).into()], limit);
    let first: Option<Tally> = view.select(&days(1))?.pop();
    let first = first.map_or(day, |first| first.day.min(day));
    let window = days(DAYS_MAX).from(since.to_string()).to(day.to_string());
    let window: Vec<Tally> = view.select(&window)?;
    let mut others = window.iter().fold(Counts::default(), |sum, day| sum.plus(day.counts));
    let is_counted =
        |own: &&Trace| part.of(own) == Some(party) && own.day >= since && own.day <= day;
    if let Some(own) = own.filter(is_counted) {
        others = others.minus(Counts::of(own));
    }
    Ok(History { first, others })
}

/// A claimed item to which the preference was denied.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Denial {
    /// Key of the item.
    item: String,
    /// The importer.
    importer: String,
}

/// Where these are kept.
pub(crate) static DENIALS: Table = Table {
    name: "customs_risk_denial",
    columns: &["importer"],
    indexes: &[Index { name: "by_importer", columns: &["importer"], unique: false }],
};

impl Record for Denial {
    const TABLE: &'static Table = &DENIALS;

    fn key(&self) -> Value {
        self.item.as_str().into()
    }

    fn columns(&self) -> Vec<Value> {
        vec![self.importer.as_str().into()]
    }
}

/// Follows the decision about an item, or its reopening.
pub(crate) fn decided(tx: &mut dyn Tx, claim: &Claim, item: &ClaimItem) -> Result<(), Error> {
    let importer = claim.importer().filter(|_| item.state == ItemState::Denied);
    match importer {
        Some(importer) => tx.save(&Denial { item: item.id(), importer: importer.to_owned() }),
        None => tx.remove::<Denial>(item.id()).map(drop),
    }
}

/// Returns to how many items of an importer the preference was denied, counted up to
/// [`RELATED_MAX`].
pub(crate) fn denied(view: &dyn Read, importer: &str) -> Result<usize, Error> {
    let range = Range::of("by_importer", vec![importer.into()], RELATED_MAX);
    Ok(view.scan(&DENIALS, &range)?.len())
}

#[cfg(test)]
mod tests;
