//! The fields of cooperation that this binary knows: the explicit list.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use karvan_customs::subsystem::Customs;
use karvan_subsystem::Subsystem;

/// Returns the sub-systems that sections of a configuration switch on.
pub(crate) fn registered(
    customs: Option<&karvan_customs::subsystem::Config>,
) -> Result<Vec<Arc<dyn Subsystem>>> {
    let mut subsystems: Vec<Arc<dyn Subsystem>> = Vec::new();
    if let Some(customs) = customs {
        let customs = Customs::new(customs.clone()).context("the customs sub-system")?;
        subsystems.push(Arc::new(customs));
    }
    Ok(subsystems)
}

/// Returns what the system of a member may do with its first token: send, read and receive
/// documents, call services and read its calls, and the operations of these sub-systems.
pub(crate) fn member_permissions(subsystems: &[Arc<dyn Subsystem>]) -> Vec<String> {
    let kernel =
        ["calls.read", "calls.send", "documents.read", "documents.receive", "documents.send"];
    let operations = subsystems.iter().flat_map(|subsystem| subsystem.operations());
    let permissions: BTreeSet<_> =
        kernel.into_iter().chain(operations.map(|operation| operation.permission)).collect();
    permissions.into_iter().map(ToOwned::to_owned).collect()
}
