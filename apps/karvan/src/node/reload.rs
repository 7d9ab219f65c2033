//! Tokens and agreements are read anew at SIGHUP, without a call or document being dropped.
//!
//! A file that cannot be used changes nothing: what was in force stays, and the log says why. Lists
//! and the certificate need no signal (`upkeep`); other keys count from the next start.

use anyhow::Result;
use karvan_exchange::Node;
use tokio::signal::unix::{SignalKind, signal};

use crate::config::Config;
use crate::{agreements, setup};

/// Reads anew at each signal; ends only when signals cannot be received.
pub(super) async fn at_hangup(config: &Config, node: &Node) -> Result<()> {
    let mut signals = signal(SignalKind::hangup())?;
    while signals.recv().await.is_some() {
        match reload(config, node).await {
            Ok(()) => tracing::info!("tokens and agreements were read anew"),
            Err(error) => tracing::error!("nothing was read anew: {error:#}"),
        }
    }
    std::future::pending().await
}

async fn reload(config: &Config, node: &Node) -> Result<()> {
    let tokens = setup::read_token_file(&config.local.token_file)?;
    let loaded = agreements::load(&config.agreements.folder, &node.lists(), node.now())?;
    for problem in &loaded.problems {
        tracing::error!("an agreement does not count: {problem}");
    }
    node.load_agreements(loaded.book).await?;
    node.config().tokens.replace(&tokens);
    Ok(())
}
