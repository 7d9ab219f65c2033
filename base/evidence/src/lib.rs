//! karvan-evidence
