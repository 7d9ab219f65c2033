//! Runs a sub-system without a node: real transactions, real storage, no network.

use std::sync::Arc;

use karvan_store::Store;
use karvan_types::{AgreementRef, Digest, ExchangeId, MemberId, Timestamp};

use crate::{Caller, Context, Document, Outgoing, Rejection, Subsystem};

/// A sub-system over a store, with a clock that the test moves.
pub struct Bench {
    subsystem: Arc<dyn Subsystem>,
    store: Store,
    /// The instant of the next act.
    pub now: Timestamp,
    counter: u64,
}

impl Bench {
    /// Puts a sub-system on a store that has its migrations applied.
    pub fn new(subsystem: Arc<dyn Subsystem>, store: Store, now: Timestamp) -> Self {
        Self { subsystem, store, now, counter: 0 }
    }

    fn ids(&mut self) -> impl FnMut() -> ExchangeId + Send + 'static {
        let now = self.now;
        self.counter += 1;
        let (act, mut nth) = (self.counter, 0_u16);
        move || {
            nth += 1;
            let mut random = [0; 10];
            let (head, tail) = random.split_at_mut(8);
            head.copy_from_slice(&act.to_be_bytes());
            tail.copy_from_slice(&nth.to_be_bytes());
            ExchangeId::new(now, random)
        }
    }

    /// Delivers a document as the kernel would; returns the documents sent in answer.
    pub async fn receive(
        &mut self,
        sender: &MemberId,
        sender_roles: &[&str],
        recipient: &MemberId,
        code: &str,
        body: &[u8],
    ) -> Result<Vec<Outgoing>, Rejection> {
        let (sender, recipient) = (sender.clone(), recipient.clone());
        let (code, body) = (code.to_owned(), body.to_vec());
        let roles: Vec<String> = sender_roles.iter().map(|&role| role.to_owned()).collect();
        let (subsystem, now, mut ids) = (Arc::clone(&self.subsystem), self.now, self.ids());
        self.store
            .write(move |tx| {
                let agreement =
                    AgreementRef { id: "test".to_owned(), version: 1, digest: Digest::of(b"test") };
                let document = Document {
                    exchange: ids(),
                    agreement: &agreement,
                    sender: &sender,
                    sender_roles: &roles,
                    recipient: &recipient,
                    code: &code,
                    signed_at: now,
                    body: &body,
                };
                let mut cx = Context::new(tx, now, &mut ids);
                subsystem.receive(&mut cx, &document)?;
                Ok(cx.finish().into_iter().map(|(_, outgoing)| outgoing).collect())
            })
            .await
    }

    /// Calls an operation that writes; returns its result and the documents sent.
    pub async fn operate(
        &mut self,
        caller: &Caller,
        operation: &str,
        input: serde_json::Value,
    ) -> Result<(serde_json::Value, Vec<Outgoing>), Rejection> {
        let (caller, operation) = (caller.clone(), operation.to_owned());
        let (subsystem, now, mut ids) = (Arc::clone(&self.subsystem), self.now, self.ids());
        self.store
            .write(move |tx| {
                let mut cx = Context::new(tx, now, &mut ids);
                let output = subsystem.operate(&mut cx, &caller, &operation, input)?;
                Ok((output, cx.finish().into_iter().map(|(_, outgoing)| outgoing).collect()))
            })
            .await
    }

    /// Calls an operation that only reads.
    pub async fn query(
        &self,
        caller: &Caller,
        operation: &str,
        input: serde_json::Value,
    ) -> Result<serde_json::Value, Rejection> {
        let (caller, operation) = (caller.clone(), operation.to_owned());
        let (subsystem, now) = (Arc::clone(&self.subsystem), self.now);
        self.store.read(move |view| subsystem.query(view, now, &caller, &operation, input)).await
    }
}
