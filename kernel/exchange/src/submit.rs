//! Accepting a document for sending: signed, logged and queued in one transaction.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use karvan_store::{Row, Tx};
use karvan_subsystem::{Outgoing, Rejection};
use karvan_types::limits::{DOCUMENT_BYTES_MAX, HANDLED_BODY_BYTES_MAX};
use karvan_types::{Digest, ErrorKind, ExchangeId, MemberId, Timestamp};

use crate::evidence;
use crate::node::Inner;
use crate::records::{BODY, Direction, Envelope, Sent, SentState, StreamRecord, stream_name};
use crate::wire;

/// Where a body is.
#[derive(Clone, Debug)]
pub enum Content {
    /// In memory; goes into a row.
    Inline(Vec<u8>),
    /// In the folder of bodies, durable.
    Blob {
        /// Its SHA-256.
        digest: Digest,
        /// Its length in bytes.
        size: u64,
    },
}

/// A document to be sent.
#[derive(Clone, Debug)]
pub struct NewDocument {
    /// The sender's own id for it; makes handing it in repeatable without doubling it.
    pub exchange: ExchangeId,
    /// Who sends; a member that this node serves.
    pub sender: MemberId,
    /// For whom.
    pub recipient: MemberId,
    /// Code of the document type.
    pub code: String,
    /// Media type.
    pub content_type: String,
    /// The body.
    pub content: Content,
}

impl NewDocument {
    /// Makes one from what a sub-system wants sent.
    pub fn from_outgoing(exchange: ExchangeId, outgoing: Outgoing) -> Self {
        Self {
            exchange,
            sender: outgoing.sender,
            recipient: outgoing.recipient,
            code: outgoing.code.to_owned(),
            content_type: outgoing.content_type.to_owned(),
            content: Content::Inline(outgoing.body),
        }
    }
}

impl Inner {
    /// Accepts a document. When it resolves, the document survives any crash (INV-1).
    pub(crate) async fn submit(
        self: &std::sync::Arc<Self>,
        document: NewDocument,
    ) -> Result<Sent, Rejection> {
        let inner = std::sync::Arc::clone(self);
        let now = self.clock.now();
        let sent = self.store.write(move |tx| inner.accept(tx, document, now)).await?;
        Ok(sent)
    }

    /// Accepts a document inside a transaction.
    pub(crate) fn accept(
        &self,
        tx: &mut dyn Tx,
        document: NewDocument,
        now: Timestamp,
    ) -> Result<Sent, Rejection> {
        let (digest, size) = match &document.content {
            Content::Inline(bytes) => (Digest::of(bytes), bytes.len() as u64),
            Content::Blob { digest, size } => (*digest, *size),
        };
        if let Some(sent) = tx.find::<Sent>(document.exchange.to_string())? {
            return same_or_conflict(sent, &document, digest);
        }
        check_size(&document.content, size)?;
        let key = self.member_key(&document.sender)?;
        let peer = self.node_of(&document.recipient)?;
        let book = self.config.agreements.book();
        let allowed =
            book.find_document(&document.sender, &document.recipient, &document.code, now)?;
        let (agreement, terms) = (&allowed.entry.name, &allowed.entry.agreement);
        let name = stream_name(&document.sender, &document.recipient);
        let mut stream = tx
            .find::<StreamRecord>(StreamRecord::key_of(Direction::Out, &name))?
            .unwrap_or_else(|| StreamRecord::new(Direction::Out, name, peer.clone()));
        let envelope = Envelope {
            exchange: document.exchange,
            sender: document.sender,
            recipient: document.recipient,
            code: document.code,
            agreement: agreement.clone(),
            purpose: terms.purpose.clone(),
            content_type: document.content_type,
            digest,
            size,
            sequence: stream.sequence + 1,
            previous: stream.head,
            salt: URL_SAFE_NO_PAD.encode(self.entropy.array::<16>()),
        };
        let expires_at = now.plus(self.config.delivery_deadline).min(terms.valid_until);
        let authority = self.authority_of(&peer)?;
        let signed =
            wire::sign_document(&*self.keys, &key, &envelope, &authority, now, expires_at)?;
        stream.sequence = envelope.sequence;
        stream.head = Digest::of(signed.signature.as_bytes());
        let statement = evidence::message_statement(&envelope.salt, &signed);
        let leaf = evidence::record(tx, evidence::SUBMISSION, statement)?;
        let position = tx.next(&format!("outbox:{peer}"))?;
        let blob = matches!(document.content, Content::Blob { .. });
        if let Content::Inline(bytes) = document.content {
            put_body(tx, 's', document.exchange, bytes)?;
        }
        let sent = Sent {
            envelope,
            peer,
            position,
            state: SentState::Accepted,
            signed,
            lapsed: Vec::new(),
            accepted_at: now,
            updated_at: now,
            expires_at,
            blob,
            reason: None,
            relay: None,
            handover: None,
            leaves: vec![leaf],
        };
        tx.add(&sent)?;
        tx.save(&stream)?;
        self.wake.relay(&sent.peer);
        Ok(sent)
    }
}

/// Handing the same document in twice is no error; another content under one id is (INV-8).
fn same_or_conflict(sent: Sent, document: &NewDocument, digest: Digest) -> Result<Sent, Rejection> {
    let known = &sent.envelope;
    if known.digest == digest
        && known.sender == document.sender
        && known.recipient == document.recipient
        && known.code == document.code
    {
        return Ok(sent);
    }
    Err(Rejection::new(
        ErrorKind::Conflict,
        "id-reused",
        format!("exchange id {} names another document already; use a new id", known.exchange),
    ))
}

fn check_size(content: &Content, size: u64) -> Result<(), Rejection> {
    let inline = matches!(content, Content::Inline(_));
    if size > DOCUMENT_BYTES_MAX || (inline && size > HANDLED_BODY_BYTES_MAX) {
        return Err(Rejection::new(
            ErrorKind::TooLarge,
            "document-too-large",
            format!("the document has {size} bytes; at most {DOCUMENT_BYTES_MAX} are accepted"),
        ));
    }
    Ok(())
}

/// Stores a body as a row.
pub(crate) fn put_body(
    tx: &mut dyn Tx,
    direction: char,
    exchange: ExchangeId,
    bytes: Vec<u8>,
) -> Result<(), karvan_store::Error> {
    let key = body_key(direction, exchange);
    tx.put(&BODY, &Row { key: key.into(), columns: Vec::new(), body: bytes })
}

/// Returns the key of a body row: `s` for sent, `r` for received.
pub(crate) fn body_key(direction: char, exchange: ExchangeId) -> String {
    format!("{direction}:{exchange}")
}
