//! Calls as a peer might forge them: signed, and then spoilt.

use bytes::Bytes;
use http::{HeaderValue, Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use karvan_calls::records::Outcome;
use karvan_federation::{AZ, Courier, PK, Station, System, World, received, service};
use karvan_system::{Clock as _, Entropy, SystemClock, SystemEntropy};
use karvan_trust::keys::KeyId;
use karvan_trust::message::{
    Expected, Provider, RequestParts, ResponseHead, Tag, content_digest, sign_request,
    verify_response,
};
use karvan_types::{AgreementRef, Digest, ExchangeId, Timestamp};
use karvan_xroad::Method;
use karvan_xroad::head::write_request;
use karvan_xroad::header::RequestAdditions;
use serde_json::Value;

/// What is going to be signed: a call of Pakistan's first subsystem to `echo` in Azerbaijan.
struct Draft {
    exchange: ExchangeId,
    created: Timestamp,
    lasts: std::time::Duration,
    tag: Tag,
    key: KeyId,
    client: String,
    service: String,
    purpose: String,
    agreement: AgreementRef,
    size: u64,
    body: &'static str,
    head: Digest,
    salt: String,
    request_id: String,
}

struct Forger {
    world: World,
    az: Station,
    system: System,
    courier: Courier,
}

/// What is going to be sent.
struct Forged {
    target: String,
    headers: Vec<(String, String)>,
    body: &'static str,
    signature: String,
    exchange: ExchangeId,
}

impl Forger {
    async fn new(seed: u64) -> Self {
        let world = World::new(seed);
        let az = world.start(AZ).await;
        let system = System::echo().await;
        az.offer(service(&world.nation(AZ).member, "echo", &system.url())).await;
        let courier = Courier::new(&world, PK, AZ);
        Self { world, az, system, courier }
    }

    fn target(&self) -> String {
        format!("/r1/{}/echo/path?q=1", self.world.nation(AZ).member)
    }

    fn draft(&self) -> Draft {
        let now = SystemClock.now();
        let entropy: &dyn Entropy = &SystemEntropy;
        let exchange = ExchangeId::new(now, entropy.array());
        let pk = self.world.nation(PK);
        let mut head = Vec::new();
        let client = pk.member.to_string();
        let kept = [("x-road-client", client.as_bytes())];
        let request_id = exchange.to_string();
        let additions = RequestAdditions { request_id: &request_id, message_id: Some("PK-1") };
        write_request(&mut head, Method::Post, &self.target(), kept, additions);
        let agreement = &self.az.node.agreements().book();
        let calls = agreement.iter().find(|entry| entry.name.id == "calls").expect("agreed");
        Draft {
            exchange,
            created: now,
            lasts: std::time::Duration::from_mins(5),
            tag: Tag::Request,
            key: pk.member_key(),
            client,
            service: format!("{}/echo", self.world.nation(AZ).member),
            purpose: calls.agreement.purpose.clone(),
            agreement: calls.name.clone(),
            size: 5,
            body: "salam",
            head: Digest::of(&head),
            salt: "s".repeat(22),
            request_id,
        }
    }

    fn sign(&self, draft: &Draft) -> Forged {
        let target = self.target();
        let (path, query) = target.split_once('?').expect("a query");
        let digest = content_digest(Digest::of(draft.body.as_bytes()));
        let call = format!(
            "size={}, head=:{}:, salt=\"{}\", typeless",
            draft.size,
            draft.head.to_base64(),
            draft.salt
        );
        let (exchange, agreement) = (draft.exchange.to_string(), draft.agreement.to_string());
        let host = &self.world.nation(AZ).content.nodes[0].authority;
        let parts = RequestParts {
            method: "POST",
            authority: host,
            path,
            query: Some(query),
            content_type: "application/octet-stream",
            content_digest: &digest,
            exchange_id: &exchange,
            agreement: &agreement,
            client: &draft.client,
            service: &draft.service,
            document: None,
            call: Some(&call),
            consent: None,
            purpose: &draft.purpose,
        };
        let keys = &*self.world.nation(PK).keys;
        let signed = sign_request(&parts, draft.tag, draft.created, draft.lasts, &draft.key, keys);
        let signed = signed.expect("the signer takes it");
        let headers = [
            ("host", host.as_str()),
            ("x-road-client", &draft.client),
            ("x-road-request-id", &draft.request_id),
            ("x-road-id", "PK-1"),
            ("content-type", parts.content_type),
            ("content-digest", &digest),
            ("karvan-exchange-id", &exchange),
            ("karvan-agreement", &agreement),
            ("karvan-client", &draft.client),
            ("karvan-service", &draft.service),
            ("karvan-call", &call),
            ("karvan-purpose", &draft.purpose),
            ("signature-input", &signed.signature_input),
            ("signature", &signed.signature),
        ];
        Forged {
            headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
            body: draft.body,
            signature: signed.signature.clone(),
            exchange: draft.exchange,
            target,
        }
    }

    /// Sends it; returns the code of the refusal, if it is one, whose signature must hold.
    async fn send(&self, forged: &Forged) -> Option<String> {
        let answer = self.courier.send(forged.request()).await.expect("an answer");
        let problem: Value = serde_json::from_slice(answer.body()).unwrap_or(Value::Null);
        let code = problem["type"].as_str()?.strip_prefix("urn:karvan:problem:")?.to_owned();
        assert!(problem["fault"].as_str().is_some_and(|fault| fault.starts_with("server.")));
        let head = ResponseHead { status: answer.status().as_u16(), headers: answer.headers() };
        let az = self.world.nation(AZ);
        let expected = Expected {
            request_signature: &forged.signature,
            request_created: Timestamp::default(),
            exchange: forged.exchange,
            provider: Provider { member: az.member.as_str(), node: &az.node },
        };
        let lists = self.az.trust.snapshot();
        let verified = verify_response(&head, &expected, &*lists, SystemClock.now());
        let verified = verified.unwrap_or_else(|refusal| panic!("{code}: {refusal}"));
        verified.check_body(Digest::of(answer.body())).expect("its digest");
        Some(code)
    }

    async fn check(&self, wanted: &str, forged: &Forged) {
        assert_eq!(self.send(forged).await.as_deref(), Some(wanted));
        assert!(self.system.seen().is_empty(), "{wanted}: the system was asked");
    }

    /// A draft that is wrong before it is signed.
    async fn signed(&self, wanted: &str, change: impl FnOnce(&mut Draft)) {
        let mut draft = self.draft();
        change(&mut draft);
        self.check(wanted, &self.sign(&draft)).await;
    }

    /// A good call that is spoilt after it was signed.
    async fn spoilt(&self, wanted: &str, change: impl FnOnce(&mut Forged)) {
        let mut forged = self.sign(&self.draft());
        change(&mut forged);
        self.check(wanted, &forged).await;
    }
}

impl Forged {
    fn put(&mut self, name: &str, value: &str) {
        self.headers.retain(|(known, _)| known != name);
        self.headers.push((name.to_owned(), value.to_owned()));
    }

    fn request(&self) -> Request<BoxBody<Bytes, std::io::Error>> {
        let body = Full::new(Bytes::from(self.body)).map_err(|never| match never {}).boxed();
        let mut request = Request::post(&self.target).body(body).expect("a request");
        for (name, value) in &self.headers {
            let name = http::HeaderName::from_bytes(name.as_bytes()).expect("a name");
            request.headers_mut().append(name, HeaderValue::from_str(value).expect("a value"));
        }
        request
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forged_calls_are_refused_signed_and_never_reach_a_system() {
    let forger = Forger::new(521).await;
    let minutes = |minutes| std::time::Duration::from_mins(minutes);
    forger.spoilt("signature-wrong", |it| it.put("karvan-purpose", "other")).await;
    forger.spoilt("signature-wrong", |it| it.target = it.target.replace("q=1", "q=2")).await;
    forger.spoilt("call-inconsistent", |it| it.put("x-road-userid", "somebody")).await;
    forger.spoilt("call-inconsistent", |it| it.put("x-road-id", "PK-2")).await;
    forger.spoilt("digest-mismatch", |it| it.body = "SALAM").await;
    forger.spoilt("body-too-long", |it| it.body = "salam aleykum").await;
    forger.spoilt("authority-wrong", |it| it.put("host", "elsewhere")).await;
    forger
        .spoilt("duplicate-field", |it| it.headers.push(("karvan-call".into(), "x".into())))
        .await;
    let past = SystemClock.now().minus(minutes(10));
    forger.signed("signature-expired", |draft| draft.created = past).await;
    let future = SystemClock.now().plus(minutes(3));
    forger.signed("clock-skew", |draft| draft.created = future).await;
    forger.signed("tag-unknown", |draft| draft.tag = Tag::Document).await;
    forger.signed("call-inconsistent", |draft| draft.head = Digest::of(b"other")).await;
    forger.signed("call-inconsistent", |draft| draft.request_id = "17".to_owned()).await;
    forger.signed("call-inconsistent", |draft| draft.service.push('x')).await;
    forger
        .signed("call-inconsistent", |draft| draft.client = "PK/GOV/FBR/archive".to_owned())
        .await;
    forger.signed("field-malformed", |draft| draft.salt = "short".to_owned()).await;
    forger.signed("purpose-mismatch", |draft| draft.purpose = "curiosity".to_owned()).await;
    let other = |draft: &mut Draft| draft.agreement.digest = Digest::of(b"another text");
    forger.signed("agreement-unknown", other).await;
    let none = |draft: &mut Draft| draft.agreement.id = "none".to_owned();
    forger.signed("agreement-unknown", none).await;
    // A node that brings what a member of another nation signed: the courier is Pakistan's.
    let rows = forger.az.node.store().read(|view| received(view, 100)).await.expect("rows");
    assert!(rows.iter().all(|row| row.outcome == Outcome::Refused), "{rows:?}");
    forger.az.stop().await;
}

/// INV-17.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_comes_again_is_not_made_again() {
    let forger = Forger::new(522).await;
    let forged = forger.sign(&forger.draft());
    let first: Response<Bytes> = forger.courier.send(forged.request()).await.expect("an answer");
    assert_eq!((first.status().as_u16(), &**first.body()), (200, &b"salam"[..]));
    for _ in 0..2 {
        assert_eq!(forger.send(&forged).await.as_deref(), Some("exchange-replayed"));
    }
    // The same id, signed again for another body.
    let draft = Draft { exchange: forged.exchange, ..forger.draft() };
    let again = forger.sign(&Draft { request_id: forged.exchange.to_string(), ..draft });
    assert!(matches!(
        forger.send(&again).await.as_deref(),
        Some("exchange-replayed" | "call-inconsistent")
    ));
    assert_eq!(forger.system.seen().len(), 1);
    let rows = forger.az.node.store().read(|view| received(view, 100)).await.expect("rows");
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].outcome, Outcome::Answered);
    forger.az.stop().await;
}
