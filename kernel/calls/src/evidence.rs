//! The log entries of calls.
//!
//! Both nodes make the same entry for one call, from what both hold: kind, salt and what was
//! signed. The salt travels in the request, covered by its signature.
//!
//! Invariant: an entry is queued in the transaction that ends the call's row (ADR 3).

use karvan_exchange::evidence;
use karvan_store::{Error, Tx};
use karvan_types::Digest;

use crate::measure::{Without, is_without};
use crate::records::{
    Call, ENDED_COUNT, End, Half, Outcome, RECEIVED, RECEIVED_COUNT, Received, Sent,
};

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
/// Returns whether it did.
pub(crate) fn abandon(tx: &mut dyn Tx, call: Call, side: Side) -> Result<bool, Error> {
    let statement = statement(&call);
    if side == Side::Provider {
        let id = call.exchange.to_string();
        let open = tx.find::<Received>(id.as_str())?;
        // Another instant is another request under the same id.
        let same = open.is_some_and(|open| open.0.began_at == call.began_at);
        if !same || tx.find::<End>(id)?.is_some() {
            return Ok(false);
        }
    }
    end(tx, call, side, statement).map(|()| true)
}

/// Ends a call that was refused before it was written ahead. The row of a first call under the
/// same id stands; the entry is of this refusal.
pub(crate) fn refuse(tx: &mut dyn Tx, mut call: Call) -> Result<(), Error> {
    call.entry = evidence::record(tx, call.outcome.kind(), statement(&call))?.index;
    if tx.get(&RECEIVED, &call.exchange.to_string().into())?.is_some() {
        return Ok(());
    }
    let row = Received(call);
    write_ahead(tx, &row)?;
    add_end(tx, row.0)
}

/// Writes a request ahead of its call.
///
/// # Errors
///
/// [`Error::Exists`] when a call came under its id before, besides those of the store.
pub(crate) fn write_ahead(tx: &mut dyn Tx, request: &Received) -> Result<(), Error> {
    tx.add(request)?;
    tx.next(RECEIVED_COUNT).map(drop)
}

fn add_end(tx: &mut dyn Tx, call: Call) -> Result<(), Error> {
    tx.add(&End::from(call))?;
    tx.next(ENDED_COUNT).map(drop)
}

/// Ends a call: its row and its entry. `statement` is that of the call, made by the caller:
/// transactions wait for each other.
pub(crate) fn end(
    tx: &mut dyn Tx,
    mut call: Call,
    side: Side,
    statement: Digest,
) -> Result<(), Error> {
    if !is_without(Without::Log) {
        call.entry = evidence::record(tx, call.outcome.kind(), statement)?.index;
    }
    match side {
        Side::Client => tx.add(&Sent(call)),
        Side::Provider => add_end(tx, call),
    }
}
