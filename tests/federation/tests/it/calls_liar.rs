//! A provider's node that answers what it should not: its agency's node releases none of it.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderName, HeaderValue, Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use karvan_calls::records::{Outcome, Sent};
use karvan_exchange::network::{Network as _, TlsNetwork};
use karvan_federation::{AZ, PK, World};
use karvan_store::{Error, Range};
use karvan_system::{Clock, OsDisk, SystemClock};
use karvan_testkit::key;
use karvan_trust::keys::KeyId;
use karvan_trust::lists::TrustStore;
use karvan_trust::message::{ResponseParts, content_digest, sign_response};
use karvan_trust::tls::Tls;
use karvan_types::Digest;
use karvan_xroad::head::{request_hash, write_response};
use karvan_xroad::header::ResponseAdditions;
use tokio::net::TcpListener;

/// How an answer is made.
#[derive(Clone)]
struct Lie {
    key: KeyId,
    request_signature: Option<String>,
    message: String,
    client: String,
    hash: String,
    exchange: String,
    size: usize,
    /// The body that is sent; the signed one is `salam`.
    body: &'static str,
    /// Header fields that nobody signed.
    more: Vec<(&'static str, &'static str)>,
    call: bool,
    status: u16,
}

type Spoil = fn(&World, &mut Lie);

fn text(head: &Parts, name: &str) -> String {
    head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}

impl Lie {
    /// The truth.
    fn new(world: &World, head: &Parts) -> Self {
        let mut serialised = format!("GET\r\n{}\r\n", head.uri).into_bytes();
        for name in ["x-road-client", "x-road-request-id", "x-road-id"] {
            serialised.extend(format!("{name}:{}\r\n", text(head, name)).bytes());
        }
        Self {
            key: world.nation(PK).member_key(),
            request_signature: Some(text(head, "signature")),
            message: text(head, "x-road-id"),
            client: text(head, "x-road-client"),
            hash: request_hash(&serialised, None),
            exchange: text(head, "karvan-exchange-id"),
            size: 5,
            body: "salam",
            more: Vec::new(),
            call: true,
            status: 200,
        }
    }

    fn answer(&self, world: &World, head: &Parts) -> Response<Full<Bytes>> {
        let additions = ResponseAdditions {
            message_id: &self.message,
            client: &self.client,
            service: &text(head, "karvan-service"),
            request_id: &text(head, "karvan-exchange-id"),
            request_hash: &self.hash,
        };
        let mut serialised = Vec::new();
        let kept = [("content-type", &b"text/plain"[..])];
        write_response(&mut serialised, self.status, "OK", kept, additions);
        let call = format!("size={}, head=:{}:", self.size, Digest::of(&serialised).to_base64());
        let digest = content_digest(Digest::of(b"salam"));
        let parts = ResponseParts {
            status: &self.status.to_string(),
            content_type: "text/plain",
            content_digest: &digest,
            exchange_id: &self.exchange,
            call: self.call.then_some(call.as_str()),
            request_signature: self.request_signature.as_deref(),
        };
        let keys = &*world.nation(PK).keys;
        let signed = sign_response(&parts, SystemClock.now(), &self.key, keys).expect("signs");
        let mut fields = vec![("content-type", parts.content_type)];
        fields.extend(additions.headers());
        fields.extend([
            ("content-digest", parts.content_digest),
            ("karvan-exchange-id", &self.exchange),
        ]);
        fields.extend(parts.call.map(|call| ("karvan-call", call)));
        fields.extend([
            ("signature-input", &*signed.signature_input),
            ("signature", &*signed.signature),
        ]);
        fields.extend(self.more.iter().copied());
        let mut answer = Response::new(Full::from(self.body));
        *answer.status_mut() = self.status.try_into().expect("a status");
        for (name, value) in fields {
            let value = HeaderValue::from_str(value).expect("a value");
            answer.headers_mut().append(HeaderName::from_static(name), value);
        }
        answer
    }
}

/// Listens as Pakistan's node.
async fn listen(world: &World) -> TlsNetwork {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let trust = TrustStore::open(&world.aside("liar"), Arc::new(OsDisk)).expect("a folder");
    trust.install_root(&world.federation.root, clock.now()).expect("the root");
    for nation in &world.federation.nations {
        trust.accept(&nation.list, clock.now()).expect("a list");
    }
    let trust = Arc::new(trust);
    let pk = world.nation(PK);
    let certificate = pk.certificate.clone().expect("a certified plan");
    let tls = Tls::new(
        Arc::clone(&trust),
        Arc::clone(&clock),
        &pk.tls_key,
        pk.keys.clone(),
        &certificate,
    );
    let at = &pk.content.nodes[0].authority;
    let listener = TcpListener::bind(at).await.expect("a free address");
    let network = TlsNetwork::new(listener, Arc::new(tls.expect("an identity")), trust, clock);
    network.expect("a network")
}

/// Answers with lies.
async fn lie(network: TlsNetwork, world: Arc<World>, spoil: Arc<Mutex<Spoil>>) {
    loop {
        let incoming = network.accept().await.expect("a connection");
        let (world, spoil) = (Arc::clone(&world), Arc::clone(&spoil));
        tokio::spawn(async move {
            let Ok((stream, _)) = incoming.await else { return };
            let service = service_fn(move |request: Request<Incoming>| {
                let (world, spoil) = (Arc::clone(&world), Arc::clone(&spoil));
                async move {
                    let (head, _) = request.into_parts();
                    if !head.uri.path().starts_with("/r1/") {
                        return Ok(Response::new(Full::default()));
                    }
                    let mut lie = Lie::new(&world, &head);
                    let spoil = *spoil.lock().unwrap_or_else(PoisonError::into_inner);
                    spoil(&world, &mut lie);
                    Ok::<_, Infallible>(lie.answer(&world, &head))
                }
            });
            let mut http = hyper::server::conn::http1::Builder::new();
            let http = http.auto_date_header(false);
            let _ = http.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_lie_of_a_providers_node_is_released() {
    let world = Arc::new(World::new(551));
    let spoil: Arc<Mutex<Spoil>> = Arc::new(Mutex::new(|_, _| ()));
    let network = listen(&world).await;
    let liar = tokio::spawn(lie(network, Arc::clone(&world), Arc::clone(&spoil)));
    let az = world.start(AZ).await;
    let (caller, target) = (az.caller(), format!("/r1/{}/echo", world.nation(PK).member));
    let true_answer = caller.call("GET", &target, &[], "").await;
    let text = String::from_utf8_lossy(&true_answer.body);
    assert_eq!((true_answer.status, &*text), (200, "salam"));
    // What only a node may say is not the provider's to say, signed or not.
    *spoil.lock().unwrap_or_else(PoisonError::into_inner) =
        |_, lie| lie.more = vec![("x-road-error", "Server.Forged")];
    let forged = caller.call("GET", &target, &[], "").await;
    assert_eq!((forged.status, forged.headers.get("x-road-error")), (200, None));
    let inconsistent = "server.clientproxy.inconsistent_response";
    let lies: [(&str, Spoil, &str); 12] = [
        ("another message", |_, lie| lie.message.push('x'), inconsistent),
        ("another client", |_, lie| lie.client.push('x'), inconsistent),
        ("another request", |_, lie| lie.hash.replace_range(..1, "_"), inconsistent),
        ("another length", |_, lie| lie.size = 6, inconsistent),
        ("a header that nobody signed", |_, lie| lie.more = vec![("etag", "1")], inconsistent),
        ("no binding of the head", |_, lie| lie.call = false, inconsistent),
        (
            "a refusal that is none",
            |world, lie| lie.key = key(world.nation(PK).node.as_str(), "sign-1"),
            inconsistent,
        ),
        (
            "no binding to the request",
            |_, lie| (lie.request_signature, lie.status) = (None, 400),
            inconsistent,
        ),
        (
            "the answer to another request",
            |_, lie| lie.request_signature = Some(format!("kvn=:{}==:", "A".repeat(86))),
            "server.clientproxy.service_failed.invalid_signature_value",
        ),
        (
            "another body",
            |_, lie| lie.body = "SALAM",
            "server.clientproxy.service_failed.signature_verification",
        ),
        (
            "another exchange",
            |_, lie| lie.exchange = "01939c2e-7b1a-7c3d-8e4f-5a6b7c8d9e0f".to_owned(),
            "server.clientproxy.service_failed.invalid_request",
        ),
        (
            "a signature twice",
            |_, lie| lie.more = vec![("signature", "kvn=:AAAA:")],
            "server.clientproxy.service_failed.invalid_request",
        ),
    ];
    for (count, (what, lie, code)) in lies.into_iter().enumerate() {
        *spoil.lock().unwrap_or_else(PoisonError::into_inner) = lie;
        let answer = caller.call("GET", &target, &[], "").await;
        let text = String::from_utf8_lossy(&answer.body);
        assert_eq!(answer.status, 500, "{what}: {text}");
        assert_eq!(answer.headers["x-road-error"], code, "{what}: {text}");
        assert!(!text.contains("salam"), "{what}: {text}");
        let read = |view: &dyn karvan_store::Read| -> Result<_, Error> {
            view.select::<Sent>(&Range::all(100))
        };
        let rows = az.node.store().read(read).await.expect("rows");
        assert_eq!(rows.len(), count + 3, "{what}");
        let last = &rows.last().expect("a row").0;
        assert_eq!(last.outcome, Outcome::Unanswered, "{what}");
    }
    liar.abort();
    az.stop().await;
}
