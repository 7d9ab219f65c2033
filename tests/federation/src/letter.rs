//! A document as a peer might send it: written by hand, signed, and then spoilt as a test likes.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Frame;
use karvan_exchange::records::{Envelope, Signed};
use karvan_exchange::{evidence, wire};
use karvan_system::{Clock as _, Entropy, SystemClock, SystemEntropy};
use karvan_trust::keys::{KeyId, KeyProvider};
use karvan_trust::lists::Snapshot;
use karvan_trust::message::{
    self, Expected, Provider, RequestParts, ResponseHead, Tag, VerifiedResponse,
};
use karvan_types::{AgreementRef, Digest, ExchangeId, NodeId, Timestamp};

use crate::World;

/// What is going to be signed.
#[derive(Clone, Debug)]
pub struct Draft {
    /// What the header fields say.
    pub envelope: Envelope,
    /// Path of the request.
    pub path: String,
    /// Query of the request.
    pub query: Option<String>,
    /// Host that the request names.
    pub host: String,
    /// When it is signed.
    pub created: Timestamp,
    /// For how long.
    pub lasts: Duration,
    /// Kind of message.
    pub tag: Tag,
    /// The key that signs.
    pub key: KeyId,
    /// The body, whatever the envelope says about it.
    pub body: Bytes,
    to: NodeId,
}

/// What is going to be sent.
#[derive(Clone, Debug)]
pub struct Letter {
    /// Method of the request.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Names and values of all header fields, in order, as often as they occur here.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
    /// Whether the body goes in chunks, so that nothing declares its length.
    pub chunked: bool,
    /// The draft.
    pub draft: Draft,
    /// The signature as made.
    pub signed: Signed,
}

impl Draft {
    /// Writes the document number `sequence` from the first subsystem of one nation to that of the
    /// other, as it should be.
    pub fn new(world: &World, from: usize, to: usize, sequence: u64, code: &str) -> Self {
        let now = SystemClock.now();
        let (sender, recipient) = (world.nation(from), world.nation(to));
        let entropy: &dyn Entropy = &SystemEntropy;
        let exchange = ExchangeId::new(now, entropy.array());
        let body = Bytes::from(format!("body of {exchange}"));
        let agreed =
            world.federation.agreements.iter().next().expect("a federation has an agreement");
        Self {
            path: format!("{}{exchange}", wire::DOCUMENTS_PATH),
            query: None,
            host: recipient.content.nodes.first().expect("one node").authority.clone(),
            created: now,
            lasts: Duration::from_hours(1),
            tag: Tag::Document,
            key: sender.member_key(),
            to: recipient.node.clone(),
            envelope: Envelope {
                exchange,
                sender: sender.member.clone(),
                recipient: recipient.member.clone(),
                code: code.to_owned(),
                agreement: agreed.name.clone(),
                purpose: agreed.agreement.purpose.clone(),
                content_type: "application/octet-stream".to_owned(),
                digest: Digest::of(&body),
                size: body.len() as u64,
                sequence,
                previous: Digest::default(),
                salt: "s".repeat(22),
            },
            body,
        }
    }

    /// Puts another body in, with its true digest and length.
    pub fn put_body(&mut self, body: impl Into<Bytes>) {
        self.body = body.into();
        self.envelope.digest = Digest::of(&self.body);
        self.envelope.size = self.body.len() as u64;
    }

    /// Names another version of the agreement.
    pub fn put_agreement(&mut self, version: u32, digest: Digest) {
        let id = self.envelope.agreement.id.clone();
        self.envelope.agreement = AgreementRef { id, version, digest };
    }

    /// Signs it.
    ///
    /// # Panics
    /// When the signer of the product refuses to sign what it should not.
    pub fn sign(&self, keys: &dyn KeyProvider) -> Letter {
        let envelope = &self.envelope;
        let digest = message::content_digest(envelope.digest);
        let (exchange, agreement) = (envelope.exchange.to_string(), envelope.agreement.to_string());
        let service = format!("{}/{}", envelope.recipient, envelope.code);
        let document = format!(
            "seq={}, prev=\"{}\", size={}, salt=\"{}\"",
            envelope.sequence, envelope.previous, envelope.size, envelope.salt
        );
        let parts = RequestParts {
            method: "POST",
            authority: &self.host,
            path: &self.path,
            query: self.query.as_deref(),
            content_type: &envelope.content_type,
            content_digest: &digest,
            exchange_id: &exchange,
            agreement: &agreement,
            client: envelope.sender.as_str(),
            service: &service,
            document: Some(&document),
            call: None,
            consent: None,
            purpose: &envelope.purpose,
        };
        let signed =
            message::sign_request(&parts, self.tag, self.created, self.lasts, &self.key, keys);
        let signed = Signed::from(signed.expect("the signer takes it"));
        let headers = [
            ("host", self.host.as_str()),
            ("content-type", &envelope.content_type),
            ("content-digest", &digest),
            ("karvan-exchange-id", &exchange),
            ("karvan-agreement", &agreement),
            ("karvan-client", envelope.sender.as_str()),
            ("karvan-service", &service),
            ("karvan-document", &document),
            ("karvan-purpose", &envelope.purpose),
            ("signature-input", &signed.signature_input),
            ("signature", &signed.signature),
        ];
        let query = self.query.as_ref().map_or(String::new(), |query| format!("?{query}"));
        Letter {
            method: "POST".to_owned(),
            target: format!("{}{query}", self.path),
            headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
            body: self.body.clone(),
            chunked: false,
            draft: self.clone(),
            signed,
        }
    }
}

impl Letter {
    /// Replaces a header field.
    pub fn put(&mut self, name: &str, value: &str) {
        self.remove(name);
        self.headers.push((name.to_owned(), value.to_owned()));
    }

    /// Removes a header field.
    pub fn remove(&mut self, name: &str) {
        self.headers.retain(|(known, _)| known != name);
    }

    /// Returns a header field.
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value.as_str())
    }

    /// Changes a piece of a header field.
    ///
    /// # Panics
    /// When the piece is not there.
    pub fn change(&mut self, name: &str, from: &str, to: &str) {
        let value = self.header(name).to_owned();
        assert!(value.contains(from), "{name} is {value}");
        self.put(name, &value.replacen(from, to, 1));
    }

    /// Makes the request.
    pub(crate) fn request(&self) -> Request<BoxBody<Bytes, std::io::Error>> {
        let body = if self.chunked {
            let frame = Ok(Frame::data(self.body.clone()));
            StreamBody::new(futures_util::stream::iter([frame])).boxed()
        } else {
            Full::new(self.body.clone()).map_err(|never| match never {}).boxed()
        };
        let mut request = Request::new(body);
        *request.method_mut() = self.method.parse().expect("a method");
        *request.uri_mut() = self.target.parse().expect("a target");
        for (name, value) in &self.headers {
            let name: HeaderName = name.parse().expect("a field name");
            request.headers_mut().append(name, HeaderValue::from_str(value).expect("a value"));
        }
        request
    }

    /// Verifies the signature of an answer to this letter.
    pub fn verify(
        &self,
        answer: &Response<Bytes>,
        lists: &Snapshot,
    ) -> Result<VerifiedResponse, message::Refusal> {
        let head = ResponseHead { status: answer.status().as_u16(), headers: answer.headers() };
        let signature = self.header("signature");
        let expected = Expected {
            request_signature: signature,
            request_created: Timestamp::default(),
            exchange: exchange_of(answer.headers()),
            provider: Provider {
                member: self.draft.envelope.recipient.as_str(),
                node: &self.draft.to,
            },
        };
        let verified = message::verify_response(&head, &expected, lists, SystemClock.now())?;
        verified.check_body(Digest::of(answer.body()))?;
        Ok(verified)
    }

    /// Returns the log entry that both nodes make of a refusal of this letter.
    pub fn refusal_entry(&self, refusal: &VerifiedResponse, salt: &str) -> String {
        let signed = Signed::from(refusal.signed.clone());
        evidence::leaf(evidence::REFUSAL, evidence::message_statement(salt, &signed))
    }
}

fn exchange_of(headers: &HeaderMap) -> ExchangeId {
    let text = headers.get("karvan-exchange-id").and_then(|value| value.to_str().ok());
    text.and_then(|text| text.parse().ok()).expect("an answer names an exchange")
}
