//! karvan-store
