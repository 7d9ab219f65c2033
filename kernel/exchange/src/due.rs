//! What a sub-system does by the clock and is told of its documents, beside what arrives for it.
//!
//! By the clock: it is asked about once a second whether something is due, and works in batches.
//!
//! Each batch is one transaction that also holds the documents it sends and the alarms it raises.
//! A batch that fails is undone; the sub-system is told, so that it puts off what cannot be done,
//! the first failure of a row is alarmed, and the next look waits longer each time. Failures never
//! stop the node.
//!
//! Timers are tokio's and the instant is the node's clock, so that a simulation turns both.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use karvan_store::{Error, Tx};
use karvan_subsystem::{Context, News, Progress, Rejection, Subsystem, Wanted};
use karvan_types::{ErrorKind, ExchangeId, Timestamp};

use crate::node::Inner;
use crate::records::{BODY, Received, Sent};
use crate::release::AgreedTerms;
use crate::submit::{NewDocument, body_key};

/// How often a sub-system is asked whether something is due.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Most batches between two looks; the rest follows after the next one.
const BATCHES_MAX: usize = 32;

impl Inner {
    /// Sends and raises what an act asked for, in its transaction.
    pub(crate) fn fulfil(
        &self,
        tx: &mut dyn Tx,
        wanted: Wanted,
        about: Option<&Received>,
        now: Timestamp,
    ) -> Result<(), Rejection> {
        for (id, document) in wanted.documents {
            self.accept(tx, NewDocument::from_outgoing(id, document), now)?;
        }
        if let Some(received) = about.filter(|_| wanted.drop_body) {
            let key = body_key('r', received.envelope.exchange);
            tx.delete(&BODY, &key.into())?;
        }
        for warning in wanted.warnings {
            self.alarm(tx, warning.code, warning.text, about, now)?;
        }
        Ok(())
    }

    /// Tells the sub-system of a document how far it has come. What fails in it is undone and
    /// alarmed, and leaves the receipt.
    pub(crate) fn tell(
        &self,
        tx: &mut dyn Tx,
        sent: &Sent,
        news: News,
        now: Timestamp,
    ) -> Result<(), Error> {
        let envelope = &sent.envelope;
        let Some(subsystem) = self.subsystem_for(&envelope.code) else { return Ok(()) };
        let progress = Progress {
            exchange: envelope.exchange,
            code: envelope.code.clone(),
            sender: envelope.sender.clone(),
            recipient: envelope.recipient.clone(),
            news,
        };
        let mut failure = None;
        let told = tx.nested(&mut |tx| {
            let result = catch_unwind(AssertUnwindSafe(|| {
                let mut ids = || ExchangeId::new(now, self.entropy.array());
                let terms = AgreedTerms { node: self, now };
                let mut cx = Context::new(&mut *tx, now, &mut ids).with_terms(&terms);
                subsystem.progressed(&mut cx, &progress)?;
                let wanted = cx.finish();
                self.fulfil(tx, wanted, None, now)
            }));
            failure = match result {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(cause)) => Some(cause.text),
                Err(_) => Some("a defect".to_owned()),
            };
            Err(Error::RolledBack("the sub-system failed".to_owned()))
        });
        match (told, failure) {
            (Ok(()), _) => Ok(()),
            (Err(Error::RolledBack(_)), Some(cause)) => {
                let text = format!(
                    "{} could not take up the news of document {}: {cause}",
                    subsystem.name(),
                    envelope.exchange
                );
                self.alarm(tx, "progress-not-taken", text, None, now).map(drop)
            }
            (Err(error), _) => Err(error),
        }
    }

    /// Does what is due in one sub-system, until the node stops.
    pub(crate) async fn run_due(
        self: Arc<Self>,
        subsystem: Arc<dyn Subsystem>,
    ) -> Result<(), crate::Error> {
        let mut failures = 0;
        loop {
            tokio::time::sleep(match failures {
                0 => LOOK_EVERY,
                _ => LOOK_EVERY.max(self.config.retry.pause(failures, &*self.entropy)),
            })
            .await;
            match self.do_due(&subsystem).await {
                Ok(()) => failures = 0,
                Err(cause) => {
                    self.due_failed.fetch_add(1, Ordering::Relaxed);
                    self.put_off(&subsystem, cause, failures == 0).await;
                    failures = failures.saturating_add(1);
                }
            }
        }
    }

    async fn do_due(self: &Arc<Self>, subsystem: &Arc<dyn Subsystem>) -> Result<(), Rejection> {
        for _ in 0..BATCHES_MAX {
            let (asked, now) = (Arc::clone(subsystem), self.clock.now());
            if !self.store.read(move |view| asked.due(view, now)).await? {
                break;
            }
            self.batch(subsystem, |subsystem, cx| subsystem.run_due(cx)).await?;
        }
        Ok(())
    }

    /// Tells the sub-system and, when this is news, the operators.
    async fn put_off(
        self: &Arc<Self>,
        subsystem: &Arc<dyn Subsystem>,
        cause: Rejection,
        is_news: bool,
    ) {
        let name = subsystem.name();
        tracing::warn!(subsystem = name, failure.code = cause.code, "due work failed: {cause}");
        let told = self
            .batch(subsystem, move |subsystem, cx| {
                if is_news {
                    let text = format!(
                        "what is due in {name} could not be done and is tried again: {} ({})",
                        cause.text, cause.code
                    );
                    cx.warn("due-work-failed", text);
                }
                subsystem.put_off(cx, &cause)
            })
            .await;
        if let Err(error) = told {
            tracing::warn!(subsystem = name, "due work could not be put off: {error}");
        }
    }

    /// Runs a part of a sub-system in a transaction; a defect in it is a failure like any other.
    async fn batch<W>(
        self: &Arc<Self>,
        subsystem: &Arc<dyn Subsystem>,
        work: W,
    ) -> Result<(), Rejection>
    where
        W: FnOnce(&dyn Subsystem, &mut Context<'_>) -> Result<(), Rejection> + Send + 'static,
    {
        let (inner, subsystem, now) = (Arc::clone(self), Arc::clone(subsystem), self.clock.now());
        self.store
            .write(move |tx| {
                let result = catch_unwind(AssertUnwindSafe(|| {
                    let mut ids = || ExchangeId::new(now, inner.entropy.array());
                    let terms = AgreedTerms { node: &inner, now };
                    let mut cx = Context::new(&mut *tx, now, &mut ids).with_terms(&terms);
                    work(&*subsystem, &mut cx)?;
                    let wanted = cx.finish();
                    inner.fulfil(tx, wanted, None, now)
                }));
                result.unwrap_or_else(|_| {
                    let text = "the sub-system failed on what is due; report this";
                    Err(Rejection::new(ErrorKind::Internal, "due-work-defect", text))
                })
            })
            .await
    }
}
