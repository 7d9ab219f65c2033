//! What a program that was built to be measured leaves out, to show where the time of a call goes.
//!
//! Only with the feature `measure`, which no release has: without it `is_without` is `false` when
//! it is compiled, and nothing of this is left. With it the application says once for the process
//! what is left out; a signature that is left out is zeros, which such a program takes for good.
//!
//! Invariant: what is not left out goes the way that it always goes.

#[cfg(feature = "measure")]
use std::sync::OnceLock;

/// What may be left out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Without {
    /// Making and verifying the signatures of calls and their answers.
    Signatures,
    /// The entries of calls in the evidence log.
    Log,
}

#[cfg(feature = "measure")]
static WITHOUT: OnceLock<Without> = OnceLock::new();

/// Leaves something out from now on; what was said first stands.
#[cfg(feature = "measure")]
pub fn leave_out(what: Without) {
    let _ = WITHOUT.set(what);
}

/// Returns whether something is left out.
#[cfg(feature = "measure")]
pub(crate) fn is_without(what: Without) -> bool {
    WITHOUT.get() == Some(&what)
}

/// Returns whether something is left out: nothing is.
#[cfg(not(feature = "measure"))]
pub(crate) const fn is_without(_: Without) -> bool {
    false
}
