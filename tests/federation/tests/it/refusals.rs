//! Whatever a peer gets wrong is refused with its own code, signed, and logged, and does not hold
//! up the documents after it.

use bytes::Bytes;
use http::Response;
use karvan_exchange::wire::DOCUMENTS_PATH;
use karvan_federation::{AZ, Agency, Courier, Draft, Letter, PK, Station, World, until};
use karvan_system::{Clock as _, Entropy, SystemClock, SystemEntropy};
use karvan_testkit::{HANDLED, PLAIN, key};
use karvan_trust::keys::{Algorithm, KeyProvider};
use karvan_trust::message::Tag;
use karvan_types::limits::DOCUMENT_BYTES_MAX;
use karvan_types::{Digest, ExchangeId};
use std::time::Duration;

/// A courier of Pakistan before the node of Azerbaijan.
struct Counter {
    world: World,
    station: Station,
    agency: Agency,
    courier: Courier,
}

/// One way to be wrong.
struct Wrong {
    name: &'static str,
    code: &'static str,
    status: u16,
    /// Changes what is signed.
    draft: fn(&mut Draft, &World),
    /// Changes what is sent.
    letter: fn(&mut Letter, &World),
}

const fn nothing(_: &mut Draft, _: &World) {}

const fn as_signed(_: &mut Letter, _: &World) {}

const fn signed(code: &'static str, status: u16, draft: fn(&mut Draft, &World)) -> Wrong {
    Wrong { name: code, code, status, draft, letter: as_signed }
}

const fn sent(code: &'static str, status: u16, letter: fn(&mut Letter, &World)) -> Wrong {
    Wrong { name: code, code, status, draft: nothing, letter }
}

impl Wrong {
    const fn named(self, name: &'static str) -> Self {
        Self { name, ..self }
    }
}

impl Counter {
    async fn open(seed: u64) -> Self {
        let world = World::new(seed);
        let station = world.start(AZ).await;
        let (agency, courier) = (station.agency(), Courier::new(&world, PK, AZ));
        Self { world, station, agency, courier }
    }

    fn keys(&self) -> &dyn KeyProvider {
        &*self.world.nation(PK).keys
    }

    fn draft(&self, sequence: u64, code: &str) -> Draft {
        Draft::new(&self.world, PK, AZ, sequence, code)
    }

    async fn carry(&self, letter: &Letter) -> Response<Bytes> {
        self.courier.carry(letter).await.expect("the node answers")
    }

    /// Sends a letter that must be taken.
    async fn deliver(&self, letter: &Letter) -> Response<Bytes> {
        let answer = self.carry(letter).await;
        assert_eq!(answer.status(), 200, "{}", String::from_utf8_lossy(answer.body()));
        let lists = self.station.trust.snapshot();
        let receipt = letter.verify(&answer, &lists).expect("a receipt verifies");
        assert!(receipt.bound);
        answer
    }

    /// Sends a letter that must be refused with a code; the refusal must be signed and logged.
    async fn refused(&self, name: &str, letter: &Letter, code: &str, status: u16) {
        let answer = self.carry(letter).await;
        let text = String::from_utf8_lossy(answer.body()).into_owned();
        assert_eq!(code_of(&answer), code, "{name}: {text}");
        assert_eq!(answer.status().as_u16(), status, "{name}: {text}");
        let lists = self.station.trust.snapshot();
        let refusal = letter.verify(&answer, &lists);
        let refusal = refusal.unwrap_or_else(|error| panic!("{name} is signed: {error}"));
        let readable = letter.headers.iter().filter(|(field, _)| field == "signature").count() == 1
            && letter.header("signature") == letter.signed.signature;
        assert!(refusal.bound || !readable, "{name} is bound to what was sent");
        // With the document's salt, so that the sender makes the same entry; without one when no
        // salt can be read.
        let salt = &letter.draft.envelope.salt;
        let readable = letter.header("karvan-document").contains(&format!("salt=\"{salt}\""));
        let salt = if readable && salt.len() == 22 { salt } else { "" };
        let entry = letter.refusal_entry(&refusal, salt);
        let look = async || self.agency.log().await.contains(&entry).then_some(());
        until(&format!("{name} is in the log"), look).await;
    }
}

fn code_of(answer: &Response<Bytes>) -> String {
    let problem: serde_json::Value = serde_json::from_slice(answer.body()).unwrap_or_default();
    let kind = problem["type"].as_str().unwrap_or_default();
    kind.strip_prefix("urn:karvan:problem:").unwrap_or_default().to_owned()
}

fn fresh_id() -> ExchangeId {
    let entropy: &dyn Entropy = &SystemEntropy;
    ExchangeId::new(SystemClock.now(), entropy.array())
}

/// Everything wrong with the signature, the fields and the body. Numbers of the stream stay free.
const HEADS: &[Wrong] = &[
    sent("signature-missing", 401, |letter, _| letter.remove("signature")),
    sent("signature-missing", 401, |letter, _| letter.remove("signature-input"))
        .named("no signature-input"),
    sent("signature-malformed", 422, |letter, _| {
        let length = letter.header("signature").len() - "kvn=::".len();
        letter.put("signature", &format!("kvn=:{}:", "!".repeat(length)));
    }),
    sent("signature-malformed", 422, |letter, _| letter.change("signature", "kvn=", "sig1="))
        .named("another label"),
    sent("parameter-missing", 422, |letter, _| letter.put("signature-input", "kvn=()"))
        .named("no parameters"),
    sent("signature-wrong", 401, |letter, _| {
        let other = if letter.header("signature").starts_with("kvn=:A") { "B" } else { "A" };
        let signature = letter.header("signature").to_owned();
        letter.put("signature", &format!("kvn=:{other}{}", &signature[6..]));
    }),
    sent("signature-wrong", 401, |letter, _| letter.put("karvan-purpose", "curiosity"))
        .named("a field changed on the way"),
    sent("signature-wrong", 401, |letter, _| letter.change("karvan-document", "seq=", "seq=1"))
        .named("another number"),
    signed("key-unknown", 401, |draft, world| {
        let name = key(world.nation(PK).member.member().as_str(), "sign-9");
        let keys = &world.nation(PK).keys;
        if keys.public(&name).is_none() {
            keys.generate(&name, Algorithm::Ed25519, &SystemEntropy).expect("a key");
        }
        draft.key = name;
    }),
    sent("owner-mismatch", 401, |letter, _| letter.put("karvan-client", "PK/GOV/OTHER/customs")),
    signed("clock-skew", 401, |draft, _| {
        draft.created = draft.created.plus(Duration::from_secs(90));
    }),
    signed("signature-expired", 401, |draft, _| {
        draft.created = draft.created.minus(Duration::from_hours(1));
        draft.lasts = Duration::from_mins(50);
    }),
    sent("lifetime-too-long", 422, |letter, _| {
        let seconds = letter.draft.created.as_seconds();
        let (from, to) = (seconds + 3600, seconds + 500 * 86_400);
        letter.change("signature-input", &format!("expires={from}"), &format!("expires={to}"));
    }),
    signed("tag-unknown", 422, |draft, _| {
        draft.tag = Tag::Request;
        draft.lasts = Duration::from_mins(5);
    }),
    sent("component-list", 422, |letter, _| {
        letter.change("signature-input", " \"karvan-purpose\"", "");
    }),
    sent("component-list", 422, |letter, _| letter.remove("karvan-document"))
        .named("no karvan-document"),
    sent("component-list", 422, |letter, _| letter.target.push_str("?a=b")).named("a query"),
    sent("algorithm-named", 422, |letter, _| {
        letter.change("signature-input", ";tag", ";alg=\"ed25519\";tag");
    }),
    sent("parameter-unknown", 422, |letter, _| {
        letter.change("signature-input", ";tag", ";nonce=\"1\";tag");
    }),
    sent("duplicate-field", 422, |letter, _| {
        let client = letter.header("karvan-client").to_owned();
        letter.headers.push(("karvan-client".to_owned(), client));
    }),
    sent("duplicate-field", 422, |letter, _| {
        let signature = letter.header("signature").to_owned();
        letter.headers.push(("signature".to_owned(), signature));
    })
    .named("two signatures"),
    sent("duplicate-field", 422, |letter, _| {
        let digest = letter.header("content-digest").to_owned();
        letter.headers.push(("content-digest".to_owned(), digest));
    })
    .named("two digests"),
    sent("digest-missing", 422, |letter, _| letter.remove("content-digest")),
    sent("field-missing", 422, |letter, _| letter.remove("content-type")),
    sent("field-missing", 422, |letter, _| letter.remove("karvan-exchange-id")).named("no id"),
    sent("field-missing", 422, |letter, _| letter.remove("karvan-agreement")).named("no agreement"),
    sent("field-missing", 422, |letter, _| letter.remove("karvan-client")).named("no client"),
    sent("field-missing", 422, |letter, _| letter.remove("karvan-service")).named("no service"),
    sent("field-missing", 422, |letter, _| letter.remove("karvan-purpose")).named("no purpose"),
    signed("authority-wrong", 422, |draft, _| {
        "elsewhere.example:443999".clone_into(&mut draft.host);
    }),
    signed("field-malformed", 422, |draft, _| {
        draft.path = format!("{DOCUMENTS_PATH}{}", fresh_id());
    })
    .named("the path of another exchange"),
    signed("field-malformed", 422, |draft, _| draft.path = format!("{DOCUMENTS_PATH}not-an-id"))
        .named("a path without an id"),
    signed("field-malformed", 422, |draft, _| "short".clone_into(&mut draft.envelope.salt))
        .named("a short salt"),
    signed("digest-mismatch", 422, |draft, _| draft.body = Bytes::from_static(b"another body")),
    signed("digest-mismatch", 422, |draft, _| draft.envelope.size += 1).named("a longer length"),
    signed("body-too-long", 422, |draft, _| draft.envelope.size -= 1),
    sent("body-too-long", 422, |letter, _| {
        letter.body = Bytes::from(vec![0; 200_000]);
        letter.chunked = true;
    })
    .named("an undeclared length"),
    signed("document-too-large", 413, |draft, _| draft.envelope.size = DOCUMENT_BYTES_MAX + 1),
    signed("sequence-out-of-range", 422, |draft, _| draft.envelope.sequence = 0),
    signed("sequence-out-of-range", 422, |draft, _| draft.envelope.sequence = 10_000_000)
        .named("absurdly far ahead"),
];

/// Well signed, but not allowed: the number is used up, so that the stream goes on.
const FORBIDDEN: &[Wrong] = &[
    signed("agreement-unknown", 403, |draft, _| {
        draft.put_agreement(1, Digest::of(b"another text"));
    }),
    signed("agreement-unknown", 403, |draft, _| {
        let digest = draft.envelope.agreement.digest;
        draft.put_agreement(2, digest);
    })
    .named("another version"),
    signed("agreement-does-not-cover", 403, |draft, _| "NOPE".clone_into(&mut draft.envelope.code)),
    signed("purpose-mismatch", 403, |draft, _| "curiosity".clone_into(&mut draft.envelope.purpose)),
    signed("content-type", 422, |draft, _| {
        "text/plain".clone_into(&mut draft.envelope.content_type);
    }),
    signed("document-too-large", 413, |draft, _| draft.put_body(vec![0; 64 * 1024 + 1])),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_wrong_head_is_refused_with_its_own_code() {
    let counter = Counter::open(20).await;
    for wrong in HEADS {
        let mut draft = counter.draft(1, HANDLED);
        (wrong.draft)(&mut draft, &counter.world);
        let mut letter = draft.sign(counter.keys());
        (wrong.letter)(&mut letter, &counter.world);
        counter.refused(wrong.name, &letter, wrong.code, wrong.status).await;
    }
    assert_eq!(counter.agency.count("/received/delivered").await, 0);
    // Nothing of all that holds up a good one.
    let good = counter.draft(1, HANDLED);
    counter.deliver(&good.sign(counter.keys())).await;
    assert_eq!(counter.agency.count("/received/delivered").await, 1);
    counter.station.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_allowed_is_refused_and_does_not_hold_up_the_stream() {
    let counter = Counter::open(21).await;
    let mut sequence = 0;
    for wrong in FORBIDDEN {
        sequence += 1;
        let mut draft = counter.draft(sequence, HANDLED);
        (wrong.draft)(&mut draft, &counter.world);
        let mut letter = draft.sign(counter.keys());
        (wrong.letter)(&mut letter, &counter.world);
        counter.refused(wrong.name, &letter, wrong.code, wrong.status).await;
        sequence += 1;
        let good = counter.draft(sequence, HANDLED);
        counter.deliver(&good.sign(counter.keys())).await;
        counter.agency.wait_for(good.envelope.exchange, "delivered").await;
    }
    // Streams of their own: a recipient elsewhere, one that nobody knows, a sender elsewhere.
    let mut draft = counter.draft(1, HANDLED);
    draft.envelope.recipient = counter.world.nation(PK).archive.clone();
    let letter = draft.sign(counter.keys());
    counter.refused("a recipient elsewhere", &letter, "member-not-served", 403).await;
    let mut draft = counter.draft(1, HANDLED);
    draft.envelope.recipient = "AZ/GOV/NOBODY/desk".parse().expect("an id");
    let letter = draft.sign(counter.keys());
    counter.refused("an unknown recipient", &letter, "not-listed", 404).await;
    let mut draft = counter.draft(1, HANDLED);
    draft.envelope.sender = counter.world.nation(AZ).member.clone();
    draft.key = counter.world.nation(AZ).member_key();
    let letter = draft.sign(&*counter.world.nation(AZ).keys);
    counter.refused("a sender elsewhere", &letter, "node-not-responsible", 403).await;
    counter.station.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inv_7_and_inv_8_a_repetition_gets_the_same_bytes_and_another_content_a_refusal() {
    let counter = Counter::open(22).await;
    // The two lists, and the agreements.
    let mut logged = 2 + counter.station.node.agreements().book().iter().count();
    let mut previous = Digest::default();
    for code in [HANDLED, PLAIN] {
        let sequence = if code == HANDLED { 1 } else { 2 };
        let mut draft = counter.draft(sequence, code);
        draft.envelope.previous = previous;
        let letter = draft.sign(counter.keys());
        previous = Digest::of(letter.signed.signature.as_bytes());
        let first = counter.deliver(&letter).await;
        // Submission, relay, and handover where a sub-system takes it.
        let entries = if code == HANDLED { 3 } else { 2 };
        logged += entries;
        until("the log has them", async || {
            (counter.agency.log().await.len() == logged).then_some(())
        })
        .await;
        let log = counter.agency.log().await;
        for _ in 0..3 {
            let again = counter.deliver(&letter).await;
            assert_eq!(again.body(), first.body());
            for field in ["signature", "signature-input", "content-digest", "content-type"] {
                assert_eq!(again.headers()[field], first.headers()[field], "{field}");
            }
        }
        assert_eq!(counter.agency.log().await, log, "a repetition is no act");

        // INV-8: one id with another content is refused, signed and alarmed.
        let mut other = draft.clone();
        other.put_body("another content under the same id");
        let other = other.sign(counter.keys());
        counter.refused("another content", &other, "id-reused", 409).await;
        let alarms = counter.agency.alarms("id-reused").await;
        assert_eq!(alarms[0].exchange, Some(draft.envelope.exchange));
        let path = format!("/v1/documents/{}/body", draft.envelope.exchange);
        assert_eq!(counter.agency.get(&path).await.body, draft.body, "the first one stands");
        assert_eq!(counter.deliver(&letter).await.body(), first.body());
        // The refusal and its alarm.
        logged += 2;
    }
    // Another document under a number that is taken.
    let mut fork = counter.draft(1, HANDLED);
    fork.put_body("a second history");
    let fork = fork.sign(counter.keys());
    counter.refused("a second history", &fork, "stream-forked", 409).await;
    assert_eq!(counter.agency.alarms("stream-forked").await.len(), 1);
    assert_eq!(counter.agency.count("/received/delivered").await, 1, "handed over once (INV-2)");
    assert_eq!(counter.agency.count("/received/waiting").await, 1);
    counter.station.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_of_a_large_body_reaches_its_sender() {
    let counter = Counter::open(23).await;
    let mut draft = counter.draft(1, PLAIN);
    draft.put_body(vec![1; 24 << 20]);
    let mut letter = draft.sign(counter.keys());
    letter.put("karvan-purpose", "curiosity");
    for _ in 0..3 {
        counter.refused("a large body", &letter, "signature-wrong", 401).await;
    }
    counter.station.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_closes_a_connection_and_nothing_else() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let counter = Counter::open(24).await;
    for garbage in [
        &b"\x00\xff\xfe nonsense\r\n\r\n"[..],
        b"GET /karvan/v1/list HTTP/9.9\r\n\r\n",
        b"POST /karvan/v1/documents/x HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n",
        b"POST /karvan/v1/streams HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nnope",
        b"POST /karvan/v1/receipts HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nnope",
        b"POST /witness/add-checkpoint HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nnope",
        b"GET /log/../../../../etc/passwd HTTP/1.1\r\nhost: a\r\n\r\n",
        b"GET /karvan/v1/proofs/x/y HTTP/1.1\r\nhost: a\r\n\r\n",
        b"DELETE /karvan/v1/list HTTP/1.1\r\nhost: a\r\n\r\n",
    ] {
        let mut stream = counter.courier.connect().await.expect("a connection");
        stream.write_all(garbage).await.expect("written");
        // The node may have answered and closed by now.
        let _ = stream.shutdown().await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        let text = String::from_utf8_lossy(&answer);
        assert!(text.is_empty() || text.starts_with("HTTP/1.1 4"), "{text}");
    }
    let good = counter.draft(1, HANDLED);
    counter.deliver(&good.sign(counter.keys())).await;
    counter.station.stop().await;
}
