//! The log entries of calls.
//!
//! Both nodes make the same entry for one call, from what both hold: kind, salt and what was
//! signed. The salt travels in the request, covered by its signature.
//!
//! Invariant: an entry is queued in the transaction that ends the call's row (ADR 3).

use karvan_exchange::evidence;
use karvan_store::{Error, Tx};
use karvan_types::Digest;

use crate::records::{Call, Half, OPEN, Open, Outcome, RECEIVED, Received, Sent};

/// A call was answered by the provider's system.
pub const EXCHANGE: &str = "call.exchange";
/// A call was refused by a node.
pub const REFUSAL: &str = "call.refusal";
/// The answer to a call is not known.
pub const UNANSWERED: &str = "call.unanswered";

/// Whose table a call belongs to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Side {
    /// The client's node.
    Client,
    /// The provider's node.
    Provider,
}

/// Returns the salted digest of what was signed: both messages of an answered call, the refusal
/// alone of a refused one (its signature covers the request's), the request alone of one that was
/// not answered.
pub fn statement(call: &Call) -> Digest {
    let (request, response) = (call.request.as_ref(), call.response.as_ref());
    let halves: [Option<&Half>; 2] = match call.outcome {
        Outcome::Answered => [request, response],
        Outcome::Refused => [response, None],
        Outcome::Unanswered => [request, None],
    };
    let mut parts: Vec<&[u8]> = Vec::with_capacity(9);
    parts.push(call.salt.as_bytes());
    for half in halves.into_iter().flatten() {
        parts.extend([b"\n", half.base.as_bytes(), b"\n", half.signature.as_bytes()]);
    }
    Digest::of_parts(&parts)
}

/// Returns the salted digest of a refusal.
pub(crate) fn refusal_statement(salt: &str, refusal: &Half) -> Digest {
    let parts: [&[u8]; 5] =
        [salt.as_bytes(), b"\n", refusal.base.as_bytes(), b"\n", refusal.signature.as_bytes()];
    Digest::of_parts(&parts)
}

/// Returns the entry of a call that has ended.
pub fn entry(call: &Call) -> String {
    evidence::leaf(call.outcome.kind(), statement(call))
}

/// Ends a call that nobody answered, unless it has ended: what is still written ahead has not.
pub(crate) fn abandon(tx: &mut dyn Tx, call: Call, side: Side) -> Result<(), Error> {
    let statement = statement(&call);
    if side == Side::Provider {
        let open = tx.find::<Open>(call.exchange.to_string())?;
        // Another instant is another request under the same id.
        if open.is_none_or(|open| open.0.began_at != call.began_at) {
            return Ok(());
        }
    }
    end(tx, call, side, statement)
}

/// Ends a call that was refused before it was written ahead. The row of a first call under the
/// same id stands; the entry is of this refusal.
pub(crate) fn refuse(tx: &mut dyn Tx, mut call: Call) -> Result<(), Error> {
    let id = call.exchange.to_string();
    call.entry = evidence::record(tx, call.outcome.kind(), statement(&call))?.index;
    let known =
        tx.get(&OPEN, &id.as_str().into())?.is_some() || tx.get(&RECEIVED, &id.into())?.is_some();
    if known { Ok(()) } else { tx.add(&Received(call)) }
}

/// Ends a call: its row and its entry; it is no longer written ahead. `statement` is that of the
/// call, made by the caller: transactions wait for each other.
pub(crate) fn end(
    tx: &mut dyn Tx,
    mut call: Call,
    side: Side,
    statement: Digest,
) -> Result<(), Error> {
    if side == Side::Provider {
        tx.remove::<Open>(call.exchange.to_string())?;
    }
    call.entry = evidence::record(tx, call.outcome.kind(), statement)?.index;
    match side {
        Side::Client => tx.add(&Sent(call)),
        Side::Provider => tx.add(&Received(call)),
    }
}
