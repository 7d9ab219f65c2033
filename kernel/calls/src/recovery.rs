//! Calls that a process left behind when it was killed.
//!
//! A call that is still written ahead at start was given, or about to be given, to the provider's
//! system, and its answer never left: had it left, its row would have ended before. So it ends as
//! not answered, with an entry that says so, and whoever asks again under its id is told.

use karvan_exchange::Node;
use karvan_store::{Error, Range};
use karvan_subsystem::Rejection;
use karvan_types::ErrorKind;

use crate::evidence::{self, Side};
use crate::records::Open;

/// Most calls ended in one transaction.
const BATCH_MAX: usize = 256;

/// Ends all calls that are written ahead.
pub(crate) async fn recover(node: &Node) -> Result<(), Error> {
    loop {
        let now = node.now();
        let ended = node.store().write(move |tx| -> Result<usize, Error> {
            let open = tx.select::<Open>(&Range::all(BATCH_MAX))?;
            let count = open.len();
            for Open(mut call) in open {
                let text = "the node was stopped before the provider's system had answered; \
                            whether it acted is not known: ask the provider";
                call.cause = Some(Rejection::new(ErrorKind::Storage, "answer-unknown", text));
                call.ended_at = now;
                let statement = evidence::statement(&call);
                evidence::end(tx, call, Side::Provider, statement)?;
            }
            Ok(count)
        });
        let count = ended.await?;
        if count > 0 {
            tracing::warn!(count, "calls were not answered before this start");
        }
        if count < BATCH_MAX {
            return Ok(());
        }
    }
}
