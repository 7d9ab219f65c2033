//! Bytes on an agency's connection that no client library would send.

use std::sync::Arc;
use std::time::Duration;

use karvan_calls::access::Line;
use karvan_calls::{Gateway, Settings};
use karvan_federation::{AZ, Caller, PK, System, WAIT_MAX, World, service};
use karvan_system::OsDisk;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Returns whether an answer is here to its end.
fn is_whole(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer);
    let Some((head, _)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.map_or(0, |length| length.parse().expect("a length"));
    answer.len() >= head.len() + 4 + length
}

/// Sends raw bytes and returns everything that comes back until the node closes, or answers and
/// then says nothing for a moment.
async fn raw(caller: &Caller, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(caller.at()).await.expect("the node listens");
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let patience = if is_whole(&answer) { Duration::from_millis(300) } else { WAIT_MAX };
        match tokio::time::timeout(patience, stream.read(&mut piece)).await {
            Ok(Ok(read)) if read > 0 => answer.extend_from_slice(&piece[..read]),
            _ => break,
        }
    }
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_that_trickles_is_given_up() {
    let world = World::new(532);
    let az = world.start(AZ).await;
    let settings = Settings {
        head_timeout: Duration::from_millis(100),
        ..Settings::new(world.aside("spool"))
    };
    let gateway = Gateway::open(az.node.clone(), settings, Arc::new(OsDisk), None).await;
    let gateway = gateway.expect("opens");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let at = listener.local_addr().expect("bound");
    let serving = async {
        let (stream, _) = listener.accept().await.expect("a connection");
        gateway.serve_client(stream, Line { private: true, certificate: None }).await;
    };
    let dripping = async {
        let mut stream = TcpStream::connect(at).await.expect("it listens");
        let _ = stream.write_all(b"GET / HTTP/1.1\r\nx-a: ").await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        answer
    };
    let both = async { tokio::join!(serving, dripping).1 };
    let answer = tokio::time::timeout(WAIT_MAX, both).await.expect("the node closes");
    assert!(!answer.starts_with(b"HTTP/1.1 2"), "{}", String::from_utf8_lossy(&answer));
    drop(gateway);
    az.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ambiguous_and_oversized_requests_reach_nobody() {
    let world = World::new(531);
    let [az, pk] = world.start_both().await;
    let system = System::echo().await;
    pk.offer(service(&world.nation(PK).member, "echo", &system.url())).await;
    pk.offer(service(&world.nation(PK).member, "pets", &system.url())).await;
    let caller = az.caller();
    let own: String = caller
        .fields()
        .iter()
        .fold(String::new(), |all, (name, value)| all + name + ": " + value + "\r\n");
    let path = format!("/r1/{}/echo", world.nation(PK).member);
    let pets = format!("/r1/{}/pets", world.nation(PK).member);
    let post = |target: &str, fields: &str, body: &str| {
        format!("POST {target} HTTP/1.1\r\nhost: x\r\n{own}{fields}\r\n{body}")
    };
    let long = "x".repeat(70_000);
    let many: String =
        (0..200).fold(String::new(), |all, n| all + "x-" + &n.to_string() + ": 1\r\n");
    let cases = [
        ("two lengths", post(&path, "content-length: 5\r\ncontent-length: 6\r\n", "salam!"), "400"),
        ("a length that is none", post(&path, "content-length: +5\r\n", "salam"), "400"),
        ("another coding", post(&path, "transfer-encoding: gzip\r\n", "x"), "400"),
        ("a folded header", post(&path, "x-a: 1\r\n 2\r\n", ""), "400"),
        ("a bare line feed in a value", post(&path, "x-a: 1\nx-road-userid: y\r\r\n", ""), "400"),
        ("a nul in a value", post(&path, "x-a: \0\r\n", ""), "400"),
        ("a space before the colon", post(&path, "x-a : 1\r\n", ""), "400"),
        ("a long header", post(&path, &format!("x-a: {long}\r\n"), ""), "4"),
        ("long headers", post(&path, &format!("x-a: {}\r\n", &long[..33_000]), ""), "400"),
        ("many headers", post(&path, &many, ""), "431"),
        ("a long target", post(&format!("{path}/{long}"), "", ""), "4"),
        ("a climb out of a right", post(&format!("{pets}/open/../pets/1"), "", ""), "500"),
        ("an escaped climb", post(&format!("{pets}/open/%2e%2e/x"), "", ""), "400"),
        ("a doubly escaped slash", post(&format!("{pets}/open%2F..%2Fx"), "", ""), "400"),
        ("a climb above the root", post(&format!("{path}/../../x"), "", ""), "400"),
        ("another protocol version", post("/r2/a/b/c/d/e", "", ""), "400"),
        ("no target", "POST  HTTP/1.1\r\n\r\n".to_owned(), "400"),
        ("no HTTP", "\x16\x03\x01\x02\x00 hello".to_owned(), "400"),
        ("HTTP/2 without asking", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), ""),
    ];
    for (what, bytes, status) in cases {
        let answer = raw(&caller, bytes.as_bytes()).await;
        let wanted = if status.is_empty() { String::new() } else { format!("HTTP/1.1 {status}") };
        assert!(answer.starts_with(&wanted), "{what}: {answer}");
        assert!(!answer.starts_with("HTTP/1.1 2"), "{what}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count().max(1), 1, "{what}: {answer}");
        assert!(system.seen().is_empty(), "{what}: {:?}", system.last());
    }
    // Every other call goes on.
    assert_eq!(caller.call("GET", &path, &[], "").await.status, 200);
    az.stop().await;
    pk.stop().await;
}

/// What the HTTP library would settle by itself, or refuse without a word, is refused in X-Road's
/// form before it is read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn framing_that_servers_read_in_two_ways_is_refused() {
    let world = World::new(533);
    let [az, pk] = world.start_both().await;
    let system = System::echo().await;
    pk.offer(service(&world.nation(PK).member, "echo", &system.url())).await;
    let caller = az.caller();
    let own: String = caller
        .fields()
        .iter()
        .fold(String::new(), |all, (name, value)| all + name + ": " + value + "\r\n");
    let path = format!("/r1/{}/echo", world.nation(PK).member);
    let post = |target: &str, fields: &str, body: &str| {
        format!("POST {target} HTTP/1.1\r\nhost: x\r\n{own}{fields}\r\n{body}")
    };
    // With chunks and a length nothing is read, nor what would follow (RFC 9112, section 6.3).
    let chunks = "5\r\nsalam\r\n0\r\n\r\n";
    let smuggled = format!("{chunks}{}", post(&path, "x-smuggled: 1\r\n", ""));
    let (length, chunked) = ("content-length: 5\r\n", "transfer-encoding: chunked\r\n");
    let bare = |host: &str| format!("GET {path} HTTP/1.1\r\n{host}{own}\r\n");
    for bytes in [
        post(&path, &[length, chunked].concat(), &smuggled),
        post(&path, &[chunked, length].concat(), &smuggled),
        post(&path, &length.repeat(2), "salam"),
        post(&path, &chunked.repeat(2), chunks),
        bare(""),
        bare("host: x\r\nhost: x\r\n"),
        bare("host: x\r\n").replace("\r\n", "\n"),
        post(&format!("{path}?a=\"b\""), "", ""),
        post(&format!("{path}?a=<b>"), "", ""),
        post(&format!("{path}/gömrük"), "", ""),
    ] {
        let answer = raw(&caller, bytes.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{bytes}: {answer}");
        assert!(answer.contains("x-road-error: client.bad_request\r\n"), "{bytes}: {answer}");
        assert!(answer.contains("connection: close\r\n"), "{bytes}: {answer}");
        assert!(answer.contains("\"type\":\"client.bad_request\""), "{bytes}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{bytes}: {answer}");
        assert!(system.seen().is_empty(), "{bytes}: {:?}", system.last());
    }
    // A good request before a bad one is answered, and the bad one too.
    let good = post(&path, chunked, chunks);
    let mut stream = TcpStream::connect(caller.at()).await.expect("the node listens");
    for (bytes, status) in [(good, "HTTP/1.1 200"), (bare(""), "HTTP/1.1 400")] {
        stream.write_all(bytes.as_bytes()).await.expect("sent");
        let mut answer = Vec::new();
        while !is_whole(&answer) {
            assert_ne!(stream.read_buf(&mut answer).await.expect("an answer"), 0, "{answer:?}");
        }
        let text = String::from_utf8_lossy(&answer).into_owned();
        assert!(text.starts_with(status), "{text}");
    }
    assert_eq!((system.seen().len(), &*system.last().body), (1, &b"salam"[..]));
    az.stop().await;
    pk.stop().await;
}
