use std::collections::HashMap;

use http::{HeaderMap, HeaderName, HeaderValue};
use karvan_types::{Digest, ExchangeId, NodeId};

use super::*;
use crate::keys::{Algorithm, KeyPair, MemoryKeys};

const CREATED: Timestamp = Timestamp::from_seconds(1_790_000_000);
const NOW: Timestamp = Timestamp::from_seconds(1_790_000_010);
const BODY: &[u8] = br#"{"hello": "world"}"#;
const HOST: &str = "node.baku.example:8443";
const CLIENT_KEY: &str = "PK/GOV/FBR/customs#sign-1";
const PROVIDER_KEY: &str = "AZ/GOV/SCC#sign-1";
const OTHER_KEY: &str = "PK/GOV/TDAP#sign-1";
const NODE_KEY: &str = "AZ/node/baku-1#sign-1";

/// Keys of four parties, their directory, and a clock that stands still.
struct World {
    keys: MemoryKeys,
    entries: HashMap<KeyId, KeyEntry>,
}

impl World {
    fn new() -> Self {
        let mut world = Self { keys: MemoryKeys::new(), entries: HashMap::new() };
        for (seed, name) in [CLIENT_KEY, PROVIDER_KEY, OTHER_KEY, NODE_KEY].iter().enumerate() {
            let seed = u8::try_from(seed).expect("few") + 1;
            let algorithm = if seed == 2 { Algorithm::EcdsaP256Sha256 } else { Algorithm::Ed25519 };
            let id = key(name);
            let pair = KeyPair::from_secret(algorithm, &[seed; 32]).expect("key");
            let entry = KeyEntry {
                id: id.clone(),
                public: pair.public().clone(),
                owner: id.owner().expect("owner"),
                not_before: CREATED.minus(Duration::from_hours(24)),
                not_after: CREATED.plus(Duration::from_hours(24)),
            };
            world.keys.insert(&id, pair).expect("inserted");
            world.entries.insert(id, entry);
        }
        world
    }

    fn sign(&self, tag: Tag, lifetime: u64) -> Request {
        let digest = content_digest(Digest::of(BODY));
        let parts = parts(&digest);
        let lifetime = Duration::from_secs(lifetime);
        let signed = sign_request(&parts, tag, CREATED, lifetime, &key(CLIENT_KEY), &self.keys);
        Request::new(&parts, signed.expect("signed"))
    }

    fn answer(&self, request: &Request, status: &str, bound: bool, by: &str) -> Response {
        let digest = content_digest(Digest::of(BODY));
        let exchange = exchange().to_string();
        let parts = ResponseParts {
            status,
            content_type: "application/json",
            content_digest: &digest,
            exchange_id: &exchange,
            call: None,
            request_signature: bound.then_some(request.signed.signature.as_str()),
        };
        let signed = sign_response(&parts, NOW, &key(by), &self.keys).expect("signed");
        let mut headers = HeaderMap::new();
        put(&mut headers, "content-type", parts.content_type);
        put(&mut headers, "content-digest", parts.content_digest);
        put(&mut headers, "karvan-exchange-id", parts.exchange_id);
        put(&mut headers, "signature-input", &signed.signature_input);
        put(&mut headers, "signature", &signed.signature);
        Response { status: status.parse().expect("status"), headers, signed }
    }
}

impl KeyDirectory for World {
    fn key(&self, id: &KeyId, at: Timestamp, _now: Timestamp) -> Result<&KeyEntry, Refusal> {
        let entry = self.entries.get(id).ok_or_else(|| Refusal::KeyUnknown(id.clone()))?;
        entry.valid_at(at)
    }
}

struct Request {
    method: String,
    authority: String,
    path: String,
    query: Option<String>,
    headers: HeaderMap,
    signed: SignedHead,
}

struct Response {
    status: u16,
    headers: HeaderMap,
    signed: SignedHead,
}

impl Request {
    fn new(parts: &RequestParts<'_>, signed: SignedHead) -> Self {
        let mut headers = HeaderMap::new();
        for ((name, _), value) in base::REQUEST.iter().zip(parts.values()) {
            if let Some(value) = value.filter(|_| !name.starts_with('@')) {
                put(&mut headers, name, value);
            }
        }
        put(&mut headers, "signature-input", &signed.signature_input);
        put(&mut headers, "signature", &signed.signature);
        Self {
            method: parts.method.to_owned(),
            authority: parts.authority.to_owned(),
            path: parts.path.to_owned(),
            query: parts.query.map(str::to_owned),
            headers,
            signed,
        }
    }

    fn verify(&self, world: &World, now: Timestamp) -> Result<VerifiedRequest, Refusal> {
        let head = RequestHead {
            method: &self.method,
            authority: &self.authority,
            path: &self.path,
            query: self.query.as_deref(),
            headers: &self.headers,
        };
        verify_request(&head, HOST, world, now)
    }
}

fn key(text: &str) -> KeyId {
    text.parse().expect("a key id")
}

fn exchange() -> ExchangeId {
    ExchangeId::new(CREATED, [7; 10])
}

fn put(headers: &mut HeaderMap, name: &str, value: &str) {
    let name = HeaderName::from_bytes(name.as_bytes()).expect("name");
    headers.insert(name, HeaderValue::from_str(value).expect("value"));
}

const AGREEMENT: &str =
    "az-pk-customs;3;ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
const EXCHANGE: &str = "01a0c450-6c00-7707-8707-070707070707";

fn parts(digest: &str) -> RequestParts<'_> {
    RequestParts {
        method: "POST",
        authority: HOST,
        path: "/r1/AZ/GOV/SCC/customs/declarations",
        query: Some("year=2026&empty="),
        content_type: "application/json",
        content_digest: digest,
        exchange_id: EXCHANGE,
        agreement: AGREEMENT,
        client: "PK/GOV/FBR/customs",
        service: "AZ/GOV/SCC/customs/declarations",
        document: None,
        call: None,
        consent: Some("consent-1;ba7816bf"),
        purpose: "risk-analysis",
    }
}

#[test]
fn the_vectors_of_rfc_9421_verify() {
    // Appendix B.2.6 (Ed25519) and B.2.4 (ECDSA P-256), with the keys of B.1.4 and B.1.3.
    let ed25519 = r#"{"kty":"OKP","crv":"Ed25519",
        "x":"JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs"}"#;
    let p256 = r#"{"kty":"EC","crv":"P-256",
        "x":"qIVYZVLCrPZHGHjP17CTW0_-D9Lfw0EkjqF7xB4FivA",
        "y":"Mc4nN9LTDOBhfoUeg8Ye9WedFRhnZXZJA12Qp0zZ6F0"}"#;
    let b26 = "\"date\": Tue, 20 Apr 2021 02:07:55 GMT\n\"@method\": POST\n\"@path\": /foo\n\
        \"@authority\": example.com\n\"content-type\": application/json\n\"content-length\": 18\n\
        \"@signature-params\": (\"date\" \"@method\" \"@path\" \"@authority\" \"content-type\" \
        \"content-length\");created=1618884473;keyid=\"test-key-ed25519\"";
    let b24 = "\"@status\": 200\n\"content-type\": application/json\n\"content-digest\": \
        sha-512=:mEWXIS7MaLRuGgxOBdODa3xqM1XdEvxoYhvlCFJ41QJgJc4GTsPp29l5oGX69wWdXymyU0rjJuahq4l5\
        aGgfLQ==:\n\"content-length\": 23\n\"@signature-params\": (\"@status\" \"content-type\" \
        \"content-digest\" \"content-length\");created=1618884473;keyid=\"test-key-ecc-p256\"";
    for (jwk, base, signature) in [
        (
            ed25519,
            b26,
            ":wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==:",
        ),
        (
            p256,
            b24,
            ":wNmSUAhwb5LxtOtOpNa6W5xj067m5hFrj0XQ4fvpaCLx0NKocgPquLgyahnzDnDAUy5eCdlYUEkLIj+32oiasw==:",
        ),
    ] {
        let key: PublicKey = serde_json::from_str(jwk).expect("JWK");
        let signature = field::signature_bytes(signature).expect("base64");
        assert!(key.verify(base.as_bytes(), &signature), "{base}");
        assert!(!key.verify(base.replace('8', "9").as_bytes(), &signature));
        assert!(parse_base(base).is_err(), "not of our profile");
    }
    // Section 2.5 uses this digest of the same body.
    let digest = content_digest(Digest::of(BODY));
    assert_eq!(digest, "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:");
    assert_eq!(parse_content_digest(&digest), Ok(Digest::of(BODY)));
}

#[test]
fn the_base_is_exactly_this() {
    let world = World::new();
    let request = world.sign(Tag::Request, 300);
    assert_eq!(exchange().to_string(), EXCHANGE);
    let expected = format!(
        "\"@method\": POST\n\
         \"@authority\": node.baku.example:8443\n\
         \"@path\": /r1/AZ/GOV/SCC/customs/declarations\n\
         \"@query\": ?year=2026&empty=\n\
         \"content-type\": application/json\n\
         \"content-digest\": sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:\n\
         \"karvan-exchange-id\": {EXCHANGE}\n\
         \"karvan-agreement\": {AGREEMENT}\n\
         \"karvan-client\": PK/GOV/FBR/customs\n\
         \"karvan-service\": AZ/GOV/SCC/customs/declarations\n\
         \"karvan-consent\": consent-1;ba7816bf\n\
         \"karvan-purpose\": risk-analysis\n\
         \"@signature-params\": (\"@method\" \"@authority\" \"@path\" \"@query\" \"content-type\" \
         \"content-digest\" \"karvan-exchange-id\" \"karvan-agreement\" \"karvan-client\" \
         \"karvan-service\" \"karvan-consent\" \"karvan-purpose\")\
         ;created=1790000000;expires=1790000300;keyid=\"{CLIENT_KEY}\";tag=\"karvan-req/1\""
    );
    assert_eq!(request.signed.base, expected);
    let response = world.answer(&request, "200", true, PROVIDER_KEY);
    let bound = request.signed.signature.trim_start_matches("kvn=");
    let expected = format!(
        "\"@status\": 200\n\
         \"content-type\": application/json\n\
         \"content-digest\": sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:\n\
         \"karvan-exchange-id\": {EXCHANGE}\n\
         \"signature\";req;key=\"kvn\": {bound}\n\
         \"@signature-params\": (\"@status\" \"content-type\" \"content-digest\" \
         \"karvan-exchange-id\" \"signature\";req;key=\"kvn\")\
         ;created=1790000010;keyid=\"{PROVIDER_KEY}\";tag=\"karvan-res/1\""
    );
    assert_eq!(response.signed.base, expected);
}

#[test]
fn a_call_is_covered_in_its_place() {
    let world = World::new();
    let digest = content_digest(Digest::of(BODY));
    let parts = RequestParts { call: Some("size=18"), ..parts(&digest) };
    let lifetime = Duration::from_mins(5);
    let signed =
        sign_request(&parts, Tag::Request, CREATED, lifetime, &key(CLIENT_KEY), &world.keys)
            .expect("signed");
    let service = "\n\"karvan-service\": AZ/GOV/SCC/customs/declarations\n";
    assert!(
        signed.base.contains(&format!("{service}\"karvan-call\": size=18\n\"karvan-consent\""))
    );
    assert!(signed.base.contains("\"karvan-service\" \"karvan-call\" \"karvan-consent\""));
    let request = Request::new(&parts, signed);
    let verified = request.verify(&world, NOW).expect("verified");
    assert_eq!(verified.call.as_deref(), Some("size=18"));
    let public = &world.entries[&key(CLIENT_KEY)].public;
    let stored = &request.signed;
    let parsed = verify_base(&stored.base, &stored.signature_bytes, public).expect("re-verified");
    assert_eq!(parsed.parts, Parts::Request(parts));

    let exchange = exchange().to_string();
    let parts = ResponseParts {
        status: "200",
        content_type: "text/plain",
        content_digest: &digest,
        exchange_id: &exchange,
        call: Some("size=18"),
        request_signature: Some(&stored.signature),
    };
    let signed = sign_response(&parts, NOW, &key(PROVIDER_KEY), &world.keys).expect("signed");
    let mut headers = HeaderMap::new();
    put(&mut headers, "content-type", parts.content_type);
    put(&mut headers, "content-digest", parts.content_digest);
    put(&mut headers, "karvan-exchange-id", parts.exchange_id);
    put(&mut headers, "karvan-call", "size=18");
    put(&mut headers, "signature-input", &signed.signature_input);
    put(&mut headers, "signature", &signed.signature);
    let mut response = Response { status: 200, headers, signed };
    let verified = verify(&world, &request, &response, NOW).expect("verified");
    assert_eq!(verified.call.as_deref(), Some("size=18"));
    let mut refused = |change: Change<HeaderMap>, code| {
        let before = response.headers.clone();
        change(&mut response.headers);
        let refusal = verify(&world, &request, &response, NOW).expect_err(code);
        assert_eq!(refusal.code(), code);
        response.headers = before;
    };
    refused(|headers| put(headers, "karvan-call", "size=19"), "signature-wrong");
    refused(|headers| drop(headers.remove("karvan-call")), "component-list");
    refused(
        |headers| {
            headers.append("karvan-call", HeaderValue::from_static("size=18"));
        },
        "duplicate-field",
    );
}

/// Zeros are no signature, but in a program that is built to be measured.
#[test]
fn zeros_are_good_in_a_measurement_only() {
    let world = World::new();
    let mut request = world.sign(Tag::Request, 300);
    let field = |byte: u8| format!("{LABEL}=:{}:", STANDARD.encode([byte; 64]));
    put(&mut request.headers, "signature", &field(0));
    let measured = cfg!(feature = "measure");
    let verified = request.verify(&world, NOW).map(|verified| verified.signed.signature);
    assert_eq!(verified.ok(), measured.then(|| field(0)));
    put(&mut request.headers, "signature", &field(1));
    assert!(request.verify(&world, NOW).is_err(), "others never");
}

#[test]
fn good_messages_verify_and_come_apart() {
    let world = World::new();
    for (tag, lifetime) in [(Tag::Request, 300), (Tag::Document, EXPIRES_SECONDS_MAX_DOCUMENT)] {
        let request = world.sign(tag, lifetime);
        let verified = request.verify(&world, NOW).expect("verified");
        assert_eq!(verified.signed, request.signed);
        assert_eq!((verified.tag, verified.exchange), (tag, exchange()));
        assert_eq!(verified.check_body(Digest::of(BODY)), Ok(()));
        assert_eq!(verified.check_body(Digest::of(b"")), Err(Refusal::DigestMismatch));
        let public = &world.entries[&key(CLIENT_KEY)].public;
        let parsed = verify_base(&request.signed.base, &request.signed.signature_bytes, public);
        let parsed = parsed.expect("re-verified");
        assert_eq!(parsed.parts, Parts::Request(parts(&content_digest(Digest::of(BODY)))));
        assert_eq!(parsed.params.expires, Some(verified.expires));
    }
    let request = world.sign(Tag::Request, 300);
    for (by, status, bound) in
        [(PROVIDER_KEY, "200", true), (NODE_KEY, "403", true), (NODE_KEY, "401", false)]
    {
        let response = world.answer(&request, status, bound, by);
        let verified = verify(&world, &request, &response, NOW).expect("verified");
        assert_eq!((verified.bound, verified.key.as_str()), (bound, by));
        assert_eq!(verified.signed, response.signed);
        let public = &world.entries[&key(by)].public;
        let parsed = verify_base(&response.signed.base, &response.signed.signature_bytes, public);
        assert!(matches!(parsed, Ok(ParsedBase { parts: Parts::Response(_), .. })));
        // A stored answer that is sent again a year later still verifies.
        let late = NOW.plus(Duration::from_hours(365 * 24));
        assert!(verify(&world, &request, &response, late).is_ok());
    }
}

fn verify(
    world: &World,
    request: &Request,
    response: &Response,
    now: Timestamp,
) -> Result<VerifiedResponse, Refusal> {
    let node: NodeId = "AZ/node/baku-1".parse().expect("node");
    let expected = Expected {
        request_signature: &request.signed.signature,
        request_created: CREATED,
        exchange: exchange(),
        provider: Provider { member: "AZ/GOV/SCC/customs", node: &node },
    };
    let head = ResponseHead { status: response.status, headers: &response.headers };
    verify_response(&head, &expected, world, now)
}

type Change<T> = fn(&mut T);

const REQUEST_CHANGES: &[(&str, Change<Request>)] = &[
    ("signature-missing", |r| drop(r.headers.remove("signature"))),
    ("signature-missing", |r| drop(r.headers.remove("signature-input"))),
    ("signature-malformed", |r| put(&mut r.headers, "signature", "org=:AAAA:")),
    ("signature-malformed", |r| put(&mut r.headers, "signature", "kvn=:AAAA:")),
    ("signature-malformed", |r| r.input("kvn=", "org=")),
    ("signature-malformed", |r| r.input(";created", " ;created")),
    ("signature-malformed", |r| r.input("req/1\"", "req/1")),
    ("signature-malformed", |r| r.input("kvn=(", "kvn=")),
    ("component-list", |r| r.input("\"@method\" ", "")),
    ("component-list", |r| r.input("\"@method\" \"@authority\"", "\"@authority\" \"@method\"")),
    ("component-list", |r| r.input("\"@method\"", "\"@method\";req")),
    ("component-list", |r| put(&mut r.headers, "karvan-document", "added")),
    ("component-list", |r| drop(r.headers.remove("karvan-consent"))),
    ("component-list", |r| r.query = None),
    ("algorithm-named", |r| r.input(";keyid", ";alg=\"ed25519\";keyid")),
    ("parameter-unknown", |r| r.input(";keyid", ";nonce=\"1\";keyid")),
    ("parameter-duplicate", |r| r.input(";keyid", ";created=1790000000;keyid")),
    ("parameter-missing", |r| r.input(";created=1790000000", "")),
    ("parameter-missing", |r| r.input(";expires=1790000300", "")),
    ("parameter-malformed", |r| r.input("created=1", "created=01")),
    ("parameter-malformed", |r| r.input("created=1790000000", "created=\"1790000000\"")),
    ("parameter-malformed", |r| r.input("keyid=\"PK", "keyid=\"\\PK")),
    ("parameter-malformed", |r| r.input("#sign-1", "")),
    ("tag-unknown", |r| r.input("karvan-req/1", "karvan-req/2")),
    ("tag-unknown", |r| {
        r.input("karvan-req/1", "karvan-res/1");
        r.input(";expires=1790000300", "");
    }),
    ("field-missing", |r| drop(r.headers.remove("karvan-purpose"))),
    ("field-missing", |r| drop(r.headers.remove("content-type"))),
    ("digest-missing", |r| drop(r.headers.remove("content-digest"))),
    ("duplicate-field", |r| r.add("karvan-client", "PK/GOV/FBR")),
    ("duplicate-field", |r| r.add("signature", "kvn=:AAAA:")),
    ("duplicate-field", |r| r.add("content-digest", "sha-256=:AAAA:")),
    ("field-malformed", |r| put(&mut r.headers, "content-digest", "sha-512=:AAAA:")),
    ("field-malformed", |r| put(&mut r.headers, "karvan-purpose", "")),
    ("field-malformed", |r| put(&mut r.headers, "karvan-client", "nobody")),
    ("field-malformed", |r| put(&mut r.headers, "karvan-exchange-id", "1")),
    ("field-malformed", |r| put(&mut r.headers, "karvan-agreement", "a;b")),
    ("field-malformed", |r| r.method = "post".to_owned()),
    ("field-malformed", |r| r.path = "r1".to_owned()),
    ("field-malformed", |r| r.path = "/a\nb".to_owned()),
    ("field-malformed", |r| r.authority = "Node.baku.example:8443".to_owned()),
    ("authority-wrong", |r| r.authority = "node.lahore.example".to_owned()),
    ("lifetime-too-long", |r| r.input("expires=1790000300", "expires=1790000301")),
    ("lifetime-too-long", |r| r.input("expires=1790000300", "expires=1790000000")),
    ("clock-skew", |r| r.input("created=1790000000", "created=1790000071")),
    ("signature-expired", |r| r.input("expires=1790000300", "expires=1789999949")),
    ("key-unknown", |r| r.input("#sign-1", "#sign-2")),
    ("key-expired", |r| {
        r.input("created=1790000000", "created=1790000001");
        r.input("FBR/customs", "TDAP");
    }),
    ("owner-mismatch", |r| r.input("FBR/customs", "TDAP")),
    ("owner-mismatch", |r| put(&mut r.headers, "karvan-client", "PK/GOV/FBR")),
    ("signature-wrong", |r| r.method = "PUT".to_owned()),
    ("signature-wrong", |r| r.path.push('x')),
    ("signature-wrong", |r| r.query = Some(String::new())),
    ("signature-wrong", |r| put(&mut r.headers, "content-type", "text/plain")),
    ("signature-wrong", |r| put(&mut r.headers, "karvan-service", "AZ/GOV/SCC/other")),
    ("signature-wrong", |r| put(&mut r.headers, "karvan-consent", "consent-2")),
    ("signature-wrong", |r| put(&mut r.headers, "karvan-purpose", "audit")),
    ("signature-wrong", |r| r.input("created=1790000000", "created=1790000001")),
    ("signature-wrong", |r| r.input("karvan-req/1", "karvan-doc/1")),
];

#[test]
fn every_refusal_of_a_request_has_its_code() {
    let mut world = World::new();
    let other = world.entries.get_mut(&key(OTHER_KEY)).expect("entry");
    other.not_after = CREATED.plus(Duration::from_secs(1));
    for (i, (code, change)) in REQUEST_CHANGES.iter().enumerate() {
        let mut request = world.sign(Tag::Request, 300);
        assert!(request.verify(&world, NOW).is_ok());
        change(&mut request);
        let refusal = request.verify(&world, NOW).map(|_| ()).expect_err(code);
        assert_eq!(refusal.code(), *code, "case {i}: {refusal}");
    }
    let mut future = World::new();
    let entry = future.entries.get_mut(&key(CLIENT_KEY)).expect("entry");
    entry.not_before = CREATED.plus(Duration::from_secs(1));
    let refusal = future.sign(Tag::Request, 300).verify(&future, NOW).expect_err("too early");
    assert_eq!(refusal.code(), "key-not-yet-valid");
}

impl Request {
    /// Replaces a text within `Signature-Input`.
    fn input(&mut self, from: &str, to: &str) {
        let old = self.headers["signature-input"].to_str().expect("ASCII").to_owned();
        assert!(old.contains(from), "{from} is not in {old}");
        put(&mut self.headers, "signature-input", &old.replacen(from, to, 1));
    }

    fn add(&mut self, name: &'static str, value: &str) {
        self.headers.append(name, HeaderValue::from_str(value).expect("value"));
    }
}

#[test]
fn time_limits_are_exact() {
    let world = World::new();
    let request = world.sign(Tag::Request, 300);
    let at = |seconds: i64| Timestamp::from_seconds(CREATED.as_seconds() + seconds);
    for (now, code) in [(-61, "clock-skew"), (-60, ""), (360, ""), (361, "signature-expired")] {
        let found = request.verify(&world, at(now)).map_err(|refusal| refusal.code());
        assert_eq!(found.err().unwrap_or_default(), code, "{now} s");
    }
    let digest = content_digest(Digest::of(BODY));
    for (tag, lifetime, fits) in [
        (Tag::Request, 0, false),
        (Tag::Request, 301, false),
        (Tag::Document, EXPIRES_SECONDS_MAX_DOCUMENT + 1, false),
        (Tag::Response, 1, false),
        (Tag::Document, 301, true),
    ] {
        let lifetime = Duration::from_secs(lifetime);
        let id = key(CLIENT_KEY);
        let signed = sign_request(&parts(&digest), tag, CREATED, lifetime, &id, &world.keys);
        assert_eq!(signed.is_ok(), fits, "{tag:?} {lifetime:?}");
    }
}

#[test]
fn a_signer_refuses_what_a_verifier_would() {
    let world = World::new();
    let digest = content_digest(Digest::of(BODY));
    let good = parts(&digest);
    let lifetime = Duration::from_mins(1);
    for (bad, by, code) in [
        (RequestParts { purpose: "a\nb", ..good }, CLIENT_KEY, "field-malformed"),
        (RequestParts { purpose: " a", ..good }, CLIENT_KEY, "field-malformed"),
        (RequestParts { consent: Some("ə"), ..good }, CLIENT_KEY, "field-malformed"),
        (RequestParts { path: "/a?b", ..good }, CLIENT_KEY, "field-malformed"),
        (RequestParts { authority: "a:443", ..good }, CLIENT_KEY, "field-malformed"),
        (RequestParts { query: Some("a\nb"), ..good }, CLIENT_KEY, "field-malformed"),
        (good, OTHER_KEY, "owner-mismatch"),
        (good, NODE_KEY, "owner-mismatch"),
    ] {
        let signed = sign_request(&bad, Tag::Request, CREATED, lifetime, &key(by), &world.keys);
        match signed {
            Err(Error::Refused(refusal)) => assert_eq!(refusal.code(), code),
            other => panic!("{code}: {other:?}"),
        }
    }
}

#[test]
fn every_refusal_of_an_answer_has_its_code() {
    let changes: &[(&str, Change<Response>)] = &[
        ("signature-missing", |r| drop(r.headers.remove("signature"))),
        ("tag-unknown", |r| r.input("karvan-res/1", "karvan-xyz/1")),
        ("parameter-unknown", |r| r.input(";keyid", ";expires=1790000300;keyid")),
        ("component-list", |r| r.input(" \"signature\";req;key=\"kvn\"", "")),
        ("component-list", |r| r.input("\"signature\";req;key=\"kvn\"", "\"signature\";req")),
        ("digest-missing", |r| drop(r.headers.remove("content-digest"))),
        ("exchange-mismatch", |r| {
            put(&mut r.headers, "karvan-exchange-id", &ExchangeId::new(NOW, [9; 10]).to_string());
        }),
        ("clock-skew", |r| r.input("created=1790000010", "created=1790000071")),
        ("clock-skew", |r| r.input("created=1790000010", "created=1789999939")),
        ("key-unknown", |r| r.input("AZ/GOV/SCC#", "AZ/GOV/SCC/customs#")),
        ("owner-mismatch", |r| r.input("AZ/GOV/SCC#", "PK/GOV/TDAP#")),
        ("signature-wrong", |r| r.input("AZ/GOV/SCC#", "AZ/node/baku-1#")),
        ("signature-wrong", |r| r.status = 201),
        ("signature-wrong", |r| put(&mut r.headers, "content-type", "text/plain")),
    ];
    let world = World::new();
    let request = world.sign(Tag::Request, 300);
    for (i, (code, change)) in changes.iter().enumerate() {
        let mut response = world.answer(&request, "200", true, PROVIDER_KEY);
        change(&mut response);
        let refusal = verify(&world, &request, &response, NOW).map(|_| ()).expect_err(code);
        assert_eq!(refusal.code(), *code, "case {i}: {refusal}");
    }
    // The answer to one request is no answer to another one with the same fields.
    let response = world.answer(&request, "200", true, PROVIDER_KEY);
    let other = world.sign(Tag::Request, 299);
    let refusal = verify(&world, &other, &response, NOW).expect_err("another request");
    assert_eq!(refusal.code(), "signature-wrong");
    // Only a refusal may leave the request's signature out.
    let unbound = world.answer(&request, "200", false, PROVIDER_KEY);
    let refusal = verify(&world, &request, &unbound, NOW).expect_err("unbound");
    assert_eq!(refusal.code(), "component-list");
}

impl Response {
    fn input(&mut self, from: &str, to: &str) {
        let old = self.headers["signature-input"].to_str().expect("ASCII").to_owned();
        assert!(old.contains(from), "{from} is not in {old}");
        put(&mut self.headers, "signature-input", &old.replacen(from, to, 1));
    }
}

#[test]
fn any_changed_byte_of_stored_evidence_is_found() {
    let world = World::new();
    let request = world.sign(Tag::Request, 300);
    let response = world.answer(&request, "200", true, PROVIDER_KEY);
    for (signed, by) in [(&request.signed, CLIENT_KEY), (&response.signed, PROVIDER_KEY)] {
        let public = &world.entries[&key(by)].public;
        for i in 0..signed.base.len() {
            let mut bytes = signed.base.clone().into_bytes();
            bytes[i] ^= 1;
            let changed = String::from_utf8(bytes).expect("ASCII");
            assert!(verify_base(&changed, &signed.signature_bytes, public).is_err(), "byte {i}");
        }
        for i in 0..signed.signature_bytes.len() {
            let mut signature = signed.signature_bytes.clone();
            signature[i] ^= 1;
            assert!(verify_base(&signed.base, &signature, public).is_err(), "byte {i}");
        }
        for (from, to) in [
            ("\"content-type\": application/json\n", ""),
            ("\"@signature-params\"", "\"@signature-param\""),
            ("content-digest", "content-digesx"),
            (";tag=", ";alg=\"a\";tag="),
        ] {
            assert!(parse_base(&signed.base.replace(from, to)).is_err(), "{from}");
        }
        assert!(parse_base(&(signed.base.clone() + "\n")).is_err());
    }
}

proptest::proptest! {
    #[test]
    fn parsers_take_any_text(text in "\\PC{0,200}", tail in "[;=a-z0-9\"\\\\]{0,60}") {
        let _ = parse_base(&text);
        let _ = parse_content_digest(&text);
        let _ = Params::parse(&text);
        let _ = Params::parse(&tail);
        let mut headers = HeaderMap::new();
        for (name, value) in [("signature-input", &text), ("signature", &tail)] {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(name, value);
            }
        }
        proptest::prop_assert!(field::Claimed::read(&headers).is_err());
    }
}

mod batches;
