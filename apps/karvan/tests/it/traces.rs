//! Traces reach a collector; only in a program that was built with the feature `otel`.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::Value;

use crate::world::{AZ, PK, World};

/// How long the batch with the span may take.
const PATIENCE: Duration = Duration::from_mins(1);
/// Most of what was received that waits to be looked at.
const QUEUE: usize = 16;

/// Takes one post and returns what it says.
fn take_post(collector: &TcpListener) -> Vec<u8> {
    let (mut stream, _) = collector.accept().expect("the node connects");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time limit");
    let (mut seen, mut piece) = (Vec::new(), [0; 4096]);
    let length = loop {
        let read = stream.read(&mut piece).expect("a request");
        assert!(read > 0, "the request broke off: {}", String::from_utf8_lossy(&seen));
        seen.extend_from_slice(&piece[..read]);
        let text = String::from_utf8_lossy(&seen).to_lowercase();
        let Some((head, _)) = text.split_once("\r\n\r\n") else { continue };
        assert!(head.starts_with("post /v1/traces http/1.1"), "{head}");
        assert!(head.contains("content-type: application/x-protobuf"), "{head}");
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        break head.len()
            + 4
            + length.expect("a length").trim().parse::<usize>().expect("a number");
    };
    while seen.len() < length {
        let read = stream.read(&mut piece).expect("the body");
        assert!(read > 0, "the body broke off");
        seen.extend_from_slice(&piece[..read]);
    }
    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    stream.write_all(answer).expect("answered");
    seen
}

/// Sends the traces of a node to a collector.
fn trace(world: &World, dir: &str, collector: &TcpListener) {
    let address = collector.local_addr().expect("an address");
    let config = world.path(&format!("{dir}/node.toml"));
    let text = std::fs::read_to_string(&config).expect("config");
    let text = format!("{text}\n[telemetry]\ntraces = \"http://{address}\"\n");
    std::fs::write(&config, text).expect("written");
}

/// Calls as a program does; returns the whole answer.
fn call(world: &World, dir: &str, path: &str, fields: &str) -> String {
    let ready = std::fs::read_to_string(world.path(&format!("{dir}/data/ready.json")));
    let ready: Value = serde_json::from_str(&ready.expect("ready")).expect("JSON");
    let calls = ready["calls"].as_str().and_then(|url| url.strip_prefix("http://")).expect("a URL");
    let mut agency = TcpStream::connect(calls).expect("connects");
    let request =
        format!("GET {path} HTTP/1.1\r\nhost: {calls}\r\n{fields}connection: close\r\n\r\n");
    agency.write_all(request.as_bytes()).expect("sent");
    let mut answer = String::new();
    agency.read_to_string(&mut answer).expect("answered");
    answer
}

/// Takes posts until what they hold is what is looked for.
fn collect<T>(collector: TcpListener, find: impl Fn(&[u8]) -> Option<T>) -> T {
    let (send, posts) = mpsc::sync_channel(QUEUE);
    std::thread::spawn(move || while send.send(take_post(&collector)).is_ok() {});
    let mut seen = Vec::new();
    loop {
        let post = posts.recv_timeout(PATIENCE);
        seen.extend(post.unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&seen))));
        if let Some(found) = find(&seen) {
            return found;
        }
    }
}

#[test]
fn a_call_is_a_span_at_the_collector() {
    let world = World::two_nations();
    let collector = TcpListener::bind("127.0.0.1:0").expect("a port");
    trace(&world, "pk", &collector);
    let node = world.start("pk");
    let path = "/r1/AZ/GOV/SCC/customs/traced/line";
    let answer = call(&world, "pk", path, "");
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    collect(collector, |batch| {
        let has = |part: &str| batch.windows(part.len()).any(|window| window == part.as_bytes());
        let parts = ["karvan", "call", "client", "http.request.method", "GET", "url.path", path];
        parts.into_iter().all(has).then_some(())
    });
    assert_eq!(node.stop(), Some(0));
}

/// Starts a provider's system; returns its address, and what each request says in `traceparent` and
/// whether it has a `tracestate`.
fn provider() -> (SocketAddr, mpsc::Receiver<(String, bool)>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let (send, seen) = mpsc::sync_channel(QUEUE);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let (mut head, mut piece) = (Vec::new(), [0; 4096]);
            while !head.ends_with(b"\r\n\r\n") {
                let read = stream.read(&mut piece).expect("a request");
                head.extend_from_slice(&piece[..read]);
            }
            let head = String::from_utf8(head).expect("text").to_lowercase();
            let parent = head.lines().find_map(|line| line.strip_prefix("traceparent: "));
            let state = head.contains("\r\ntracestate:");
            send.send((parent.unwrap_or_default().to_owned(), state)).expect("wanted");
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            stream.write_all(answer).expect("answered");
        }
    });
    (address, seen)
}

/// Returns the id of the span's parent among the spans of a batch: field 2 of a span is its id,
/// field 4 its parent's, each with eight bytes (opentelemetry-proto, `trace.proto`).
fn parent(batch: &[u8], span: [u8; 8]) -> Option<[u8; 8]> {
    let id = [&[0x12, 8][..], &span, &[0x22, 8]].concat();
    let at = batch.windows(id.len()).position(|window| window == id)? + id.len();
    batch.get(at..at + 8)?.try_into().ok()
}

/// The agency's span, that of its node, that of the other node, and what the provider's system
/// makes are a chain in one trace.
#[test]
fn a_trace_goes_through_both_nodes() {
    let world = World::two_nations();
    let collector = TcpListener::bind("127.0.0.1:0").expect("a port");
    trace(&world, "pk", &collector);
    trace(&world, "az", &collector);
    let nodes = ["pk", "az"].map(|dir| world.start(dir));
    let (address, seen) = provider();
    let service = format!("{AZ}/traced");
    let url = format!("http://{address}");
    world.good(&["services", "add", &service, "--url", &url, "--dir", "az"]);
    let allow = ["services", "allow", &service, "--client", PK, "--purpose", "p"];
    let terms = ["--legal-basis", "l", "--until", "2099-01-01", "--out", "1.json", "--dir", "az"];
    world.good(&[&allow[..], &terms].concat());
    let hand_in = ["services", "allow", "--document"];
    world.good(&[&hand_in[..], &["1.json", "--out", "2.json", "--dir", "pk"]].concat());
    world.good(&[&hand_in[..], &["2.json", "--dir", "az"]].concat());
    world.good(&["services", "client", PK, "--plain-http", "--dir", "pk"]);
    let (trace, agency) = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331");
    let fields = format!("x-road-client: {PK}\r\ntraceparent: 00-{trace}-{agency}-01\r\n");
    let answer = call(&world, "pk", &format!("/r1/{service}"), &fields);
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let (passed_on, state) = seen.recv_timeout(PATIENCE).expect("it was asked");
    assert!(!state, "an empty field was added");
    let rest = passed_on.strip_prefix(&format!("00-{trace}-")).expect("the same trace");
    let span = rest.strip_suffix("-01").expect("the flag of the agency");
    let id = |hex: &str| u64::from_str_radix(hex, 16).expect("an id").to_be_bytes();
    let first = collect(collector, |batch| {
        parent(batch, id(span)).and_then(|client| parent(batch, client))
    });
    assert_eq!(first, id(agency));
    // Whoever names none gets one all the same.
    let answer = call(&world, "pk", &format!("/r1/{service}"), &format!("x-road-client: {PK}\r\n"));
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let (passed_on, _) = seen.recv_timeout(PATIENCE).expect("it was asked");
    assert!(passed_on.starts_with("00-") && !passed_on.contains(trace), "{passed_on}");
    for node in nodes {
        assert_eq!(node.stop(), Some(0));
    }
}
