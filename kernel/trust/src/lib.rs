//! karvan-trust
