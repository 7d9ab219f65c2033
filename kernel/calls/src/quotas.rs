//! What is stored of the counts of quotas, so that they outlive the process.
//!
//! A count is written in the transaction that writes the call ahead (INV-15), which is durable
//! before the provider's system sees the call: no commit is added, and what is stored is never
//! less than what was made. Most calls write nothing of it; `karvan_agreements::meter` says when.
//!
//! A quota has at most as many rows as its period has parts, each at its place. At a start those
//! that count no more are removed, also of agreements that are gone.

use std::sync::Arc;

use karvan_agreements::Meter;
use karvan_agreements::meter::Portion;
use karvan_exchange::Node;
use karvan_store::{Error, Range, Record, Table, Tx, Value};
use karvan_types::{Digest, Timestamp};
use serde::{Deserialize, Serialize};

/// Rows read at once, and removed in one transaction.
const BATCH: usize = 256;

/// Counts of quotas. Key: digest of the agreement, number of its grant, place.
pub(crate) static QUOTA: Table = Table { name: "call_quota", columns: &[], indexes: &[] };

/// A row of [`QUOTA`]: the calls of one part of a period.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Count {
    agreement: Digest,
    grant: usize,
    place: usize,
    began_at: Timestamp,
    /// From when on the calls count no more.
    until: Timestamp,
    calls: u32,
}

impl Record for Count {
    const TABLE: &'static Table = &QUOTA;

    fn key(&self) -> Value {
        format!("{}.{}.{}", self.agreement, self.grant, self.place).into()
    }

    fn columns(&self) -> Vec<Value> {
        Vec::new()
    }
}

/// Which quota a call counts against.
#[derive(Clone, Debug)]
pub(crate) struct Quota {
    /// Its count.
    pub(crate) meter: Arc<Meter>,
    /// The agreement.
    pub(crate) agreement: Digest,
    /// The place of the grant in it.
    pub(crate) grant: usize,
}

/// A call that was taken from a quota.
#[derive(Debug)]
pub(crate) struct Charge {
    quota: Quota,
    at: Timestamp,
}

impl Quota {
    /// Says that a call was taken from it at an instant.
    pub(crate) fn charge(&self, at: Timestamp) -> Charge {
        Charge { quota: self.clone(), at }
    }
}

impl Charge {
    /// Stores the count with the call, which is made once that is durable.
    ///
    /// # Errors
    ///
    /// Those of the store; then the transaction is to fail.
    pub(crate) fn keep(&self, tx: &mut dyn Tx) -> Result<(), Error> {
        let Quota { meter, agreement, grant } = &self.quota;
        meter.keep(self.at, |portion| {
            let Portion { place, began, until, calls } = portion;
            let (agreement, grant) = (*agreement, *grant);
            tx.save(&Count { agreement, grant, place, began_at: began, until, calls })
        })
    }
}

/// Counts what an earlier process stored, before any call is taken.
///
/// # Errors
///
/// Those of the store.
pub(crate) async fn restore(node: &Node) -> Result<(), Error> {
    let (book, now) = (node.agreements().book(), node.now());
    let mut range = Range::all(BATCH);
    loop {
        let asked = range.clone();
        let rows: Vec<Count> = node.store().read(move |view| view.select(&asked)).await?;
        let Some(last) = rows.last() else { return Ok(()) };
        range = range.after(last.key());
        let (over, counting): (Vec<_>, Vec<_>) = rows.into_iter().partition(|it| it.until <= now);
        for count in counting {
            if let Some(meter) = book.meter(&count.agreement, count.grant) {
                meter.restore(count.began_at, count.calls);
            }
        }
        if over.is_empty() {
            continue;
        }
        let remove = move |tx: &mut dyn Tx| -> Result<(), Error> {
            for count in &over {
                tx.remove::<Count>(count.key())?;
            }
            Ok(())
        };
        node.store().write(remove).await?;
    }
}
