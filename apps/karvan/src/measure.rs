//! Leave for a program that was built to be measured (feature `measure`) to run as a node.
//!
//! Such a node can leave out signatures or log entries of calls, so what it keeps proves nothing
//! and what it takes may come from anybody. It does not start unless somebody says that this is
//! meant, and then says on each start what it is.

use anyhow::Result;

use crate::failure::Failure;

/// The variable that says what is left out, and so that this is meant.
const VARIABLE: &str = "KARVAN_MEASURE_WITHOUT";

/// Leaves out what the environment says; fails when it says nothing.
pub(crate) fn permit() -> Result<()> {
    let wanted = std::env::var(VARIABLE).unwrap_or_default();
    karvan_calls::measure::permit(&wanted).map_err(|refused| {
        let hint = format!("a measurement sets {VARIABLE} to nothing, signatures or log");
        Failure::config(refused.to_string()).hint(hint)
    })?;
    tracing::error!(
        "FOR MEASUREMENT ONLY: this node takes calls that nobody signed, and leaves out: {wanted}"
    );
    Ok(())
}
