//! Runs a sub-system without a node: real transactions, real storage, no network.

use std::sync::Arc;

use karvan_store::Store;
use karvan_types::{AgreementRef, Digest, ExchangeId, MemberId, Timestamp};

use crate::{
    Caller, Context, Document, News, Outgoing, Progress, Rejection, Subsystem, Terms, Wanted,
    Warning,
};

/// Most batches of due work that one call runs.
const BATCHES_MAX: usize = 1000;

/// A sub-system over a store, with a clock that the test moves.
pub struct Bench {
    subsystem: Arc<dyn Subsystem>,
    store: Store,
    /// The instant of the next act.
    pub now: Timestamp,
    /// How much the agreement lets both sides release, when it says so; see [`Terms`].
    pub sharing_level: Option<String>,
    /// Types of documents that no agreement allows; see [`Terms`].
    pub not_agreed: Vec<&'static str>,
    /// The alarms raised so far.
    pub warnings: Vec<Warning>,
    /// What was sent and has no receipt yet.
    sent: Vec<(ExchangeId, Outgoing)>,
    counter: u64,
}

impl Bench {
    /// Puts a sub-system on a store that has its migrations applied.
    pub fn new(subsystem: Arc<dyn Subsystem>, store: Store, now: Timestamp) -> Self {
        Self {
            subsystem,
            store,
            now,
            sharing_level: None,
            not_agreed: Vec::new(),
            warnings: Vec::new(),
            sent: Vec::new(),
            counter: 0,
        }
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

    /// Delivers a document as the kernel would, with its alarm when it is refused; returns the
    /// documents sent in answer.
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
        let level = self.sharing_level.clone();
        let terms = self.terms();
        let wanted = self
            .store
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
                    digest: Digest::of(&body),
                    sharing_level: level.as_deref(),
                    body: &body,
                };
                let mut cx = Context::new(tx, now, &mut ids).with_terms(&terms);
                subsystem.receive(&mut cx, &document)?;
                Ok::<_, Rejection>(cx.finish())
            })
            .await;
        match wanted {
            Ok(wanted) => Ok(self.keep(wanted)),
            Err(reason) => {
                let text = format!("document refused: {}", reason.text);
                self.warnings.push(Warning { code: "document-refused", text });
                Err(reason)
            }
        }
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
        let terms = self.terms();
        let (output, wanted) = self
            .store
            .write(move |tx| {
                let mut cx = Context::new(tx, now, &mut ids).with_terms(&terms);
                let output = subsystem.operate(&mut cx, &caller, &operation, input)?;
                Ok::<_, Rejection>((output, cx.finish()))
            })
            .await?;
        Ok((output, self.keep(wanted)))
    }

    /// Does all that is due, batch by batch; returns the documents sent. The first failure ends
    /// it, after the sub-system was told to put it off.
    pub async fn run_due(&mut self) -> Result<Vec<Outgoing>, Rejection> {
        let mut sent = Vec::new();
        for _ in 0..BATCHES_MAX {
            let (subsystem, now) = (Arc::clone(&self.subsystem), self.now);
            if !self.store.read(move |view| subsystem.due(view, now)).await? {
                return Ok(sent);
            }
            let done = self.batch(|subsystem, cx| subsystem.run_due(cx)).await;
            if let Err(cause) = done {
                let told = cause.clone();
                self.batch(move |subsystem, cx| subsystem.put_off(cx, &told)).await?;
                return Err(cause);
            }
            sent.extend(done?);
        }
        Ok(sent)
    }

    async fn batch<W>(&mut self, work: W) -> Result<Vec<Outgoing>, Rejection>
    where
        W: FnOnce(&dyn Subsystem, &mut Context<'_>) -> Result<(), Rejection> + Send + 'static,
    {
        let (subsystem, now, mut ids) = (Arc::clone(&self.subsystem), self.now, self.ids());
        let terms = self.terms();
        let wanted = self
            .store
            .write(move |tx| {
                let mut cx = Context::new(tx, now, &mut ids).with_terms(&terms);
                work(&*subsystem, &mut cx)?;
                Ok::<_, Rejection>(cx.finish())
            })
            .await?;
        Ok(self.keep(wanted))
    }

    /// Brings news of a document that was sent from here: the first such one without news of its
    /// end. Unknown documents bring none.
    pub async fn progressed(&mut self, document: &Outgoing, news: News) -> Result<(), Rejection> {
        let Some(at) = self.sent.iter().position(|(_, sent)| sent == document) else {
            return Ok(());
        };
        let exchange = match news {
            News::Stored { .. } => self.sent.get(at).map(|(id, _)| *id),
            _ => Some(self.sent.remove(at).0),
        };
        let Some(exchange) = exchange else { return Ok(()) };
        let progress = Progress {
            exchange,
            code: document.code.to_owned(),
            sender: document.sender.clone(),
            recipient: document.recipient.clone(),
            news,
        };
        self.batch(move |subsystem, cx| subsystem.progressed(cx, &progress)).await?;
        Ok(())
    }

    fn terms(&self) -> Agreed {
        Agreed { level: self.sharing_level.clone(), not_agreed: self.not_agreed.clone() }
    }

    fn keep(&mut self, wanted: Wanted) -> Vec<Outgoing> {
        self.warnings.extend(wanted.warnings);
        self.sent.extend(wanted.documents.iter().cloned());
        wanted.documents.into_iter().map(|(_, outgoing)| outgoing).collect()
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

/// One level for every document, and all types but these.
struct Agreed {
    level: Option<String>,
    not_agreed: Vec<&'static str>,
}

impl Terms for Agreed {
    fn allows(&self, _: &MemberId, _: &MemberId, code: &str) -> bool {
        !self.not_agreed.contains(&code)
    }

    fn sharing_level(&self, _: &MemberId, _: &MemberId, _: &str) -> Option<String> {
        self.level.clone()
    }
}
