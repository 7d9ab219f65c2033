//! What the two sides do about the ledger of a certificate beyond the debit itself: the terms of
//! the agreement, comparing balances with the partner, and the cases that differences become.
//!
//! Both sides keep the ledger of every certificate: the importing side debits it, the exporting
//! side follows each result (UTL). What must be equal is compared nightly, line by line.
//!
//! Invariants: a case is closed with a reason and never removed; comparing changes no balance.
//!
//! Not here: debits and balances ([`crate::certificate`]), operations and messages
//! (`crate::subsystem`).

mod case;
mod compare;
mod statement;
mod terms;

pub(crate) use case::CASES;
pub use case::{Case, CaseKind, Finding, close_case, open_case, open_cases_of};
pub use compare::{Difference, Side, compare};
pub(crate) use statement::{COMPARISONS, PROGRESS, PROGRESS_KEY};
pub use statement::{Comparison, Progress};
pub use terms::{Terms, TermsError};
