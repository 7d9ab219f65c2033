//! karvan-subsystem
