//! Calls that a process left behind when it was killed.
//!
//! A call that is still written ahead at start was given, or about to be given, to the provider's
//! system, and its answer never left: had it left, its row would have ended before. So it ends as
//! not answered, with an entry that says so, and whoever asks again under its id is told.

use karvan_exchange::Node;
use karvan_store::Error;
use karvan_subsystem::Rejection;
use karvan_types::ErrorKind;

use crate::evidence::{self, Side};
use crate::records::open;

/// Most calls ended in one transaction.
const BATCH_MAX: usize = 256;

/// Ends all calls that are written ahead.
pub(crate) async fn recover(node: &Node) -> Result<(), Error> {
    let open = node.store().read(|view| open(view)).await?;
    if !open.is_empty() {
        tracing::warn!(count = open.len(), "calls were not answered before this start");
    }
    let mut open = open.into_iter().peekable();
    while open.peek().is_some() {
        let batch: Vec<_> = open.by_ref().take(BATCH_MAX).collect();
        let now = node.now();
        let ended = node.store().write(move |tx| -> Result<(), Error> {
            for mut call in batch {
                let text = "the node was stopped before the provider's system had answered; \
                            whether it acted is not known: ask the provider";
                call.cause = Some(Rejection::new(ErrorKind::Storage, "answer-unknown", text));
                call.ended_at = now;
                let statement = evidence::statement(&call);
                evidence::end(tx, call, Side::Provider, statement)?;
            }
            Ok(())
        });
        ended.await?;
    }
    Ok(())
}
