//! Traces reach a collector; only in a program that was built with the feature `otel`.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use serde_json::Value;

use crate::world::World;

/// How long the batch with the span may take.
const PATIENCE: Duration = Duration::from_secs(30);

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
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").expect("answered");
    seen
}

#[test]
fn a_call_is_a_span_at_the_collector() {
    let world = World::two_nations();
    let collector = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = collector.local_addr().expect("an address");
    let config = world.path("pk/node.toml");
    let text = std::fs::read_to_string(&config).expect("config");
    let text = format!("{text}\n[telemetry]\ntraces = \"http://{address}\"\n");
    std::fs::write(&config, text).expect("written");
    let node = world.start("pk");
    let ready = std::fs::read_to_string(world.path("pk/data/ready.json")).expect("ready");
    let ready: Value = serde_json::from_str(&ready).expect("JSON");
    let calls = ready["calls"].as_str().and_then(|url| url.strip_prefix("http://")).expect("a URL");
    let path = "/r1/AZ/GOV/SCC/customs/traced/line";
    let mut agency = TcpStream::connect(calls).expect("connects");
    let request = format!("GET {path} HTTP/1.1\r\nhost: {calls}\r\nconnection: close\r\n\r\n");
    agency.write_all(request.as_bytes()).expect("sent");
    let mut answer = String::new();
    agency.read_to_string(&mut answer).expect("answered");
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    let batch = take_post(&collector);
    let has = |part: &str| batch.windows(part.len()).any(|window| window == part.as_bytes());
    for part in ["karvan", "call", "client", "http.request.method", "GET", "url.path", path] {
        assert!(has(part), "`{part}` is not in {:?}", String::from_utf8_lossy(&batch));
    }
    assert_eq!(node.stop(), Some(0));
}
