//! Ctrl-C and SIGTERM, as something that a thread can wait for and look at.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::Result;
use tokio::signal::unix::{SignalKind, signal};

/// Tells whether somebody wants the pilot to end.
pub(crate) struct Stop {
    wanted: Arc<AtomicBool>,
    told: mpsc::Receiver<()>,
}

impl Stop {
    /// Begins to listen.
    pub(crate) fn listen() -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (mut terminate, mut interrupt) = {
            let _inside = runtime.enter();
            (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?)
        };
        let wanted = Arc::new(AtomicBool::new(false));
        let (tell, told) = mpsc::sync_channel(1);
        let flag = Arc::clone(&wanted);
        std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
            });
            flag.store(true, Ordering::Release);
            // An error means that nobody waits any more.
            let _ = tell.send(());
        })?;
        Ok(Self { wanted, told })
    }

    /// Returns whether the end is wanted.
    pub(crate) fn wanted(&self) -> bool {
        self.wanted.load(Ordering::Acquire)
    }

    /// Waits at most so long; returns whether the end is wanted.
    pub(crate) fn wait(&self, at_most: Duration) -> bool {
        let _ = self.told.recv_timeout(at_most);
        self.wanted()
    }

    /// Returns the flag, for threads that look at it while they work.
    pub(crate) fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.wanted)
    }
}
