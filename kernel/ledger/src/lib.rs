//! karvan-ledger
