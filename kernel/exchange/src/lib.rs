//! karvan-exchange
