//! karvan-customs
