use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use http_body_util::{BodyExt as _, Full};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use karvan_exchange::client::full;
use karvan_system::SystemClock;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

const LONG: Duration = Duration::from_mins(1);

fn service(base_url: &str) -> Service {
    let text = format!(
        r#"{{"member":"PK/GOV/FBR/customs","code":"pets","baseUrl":"{base_url}","timeoutMs":20000}}"#
    );
    serde_json::from_str(&text).expect("a service")
}

fn upstream() -> Upstream {
    Upstream::new(Arc::new(SystemClock), None)
}

fn get(service: &Service, path: &str) -> Request<Body> {
    let uri = target(service, path, None).expect("a target");
    Request::get(uri).body(full(Bytes::new())).expect("a request")
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let address = listener.local_addr().expect("address");
    (listener, address)
}

/// Serves HTTP: `/302` redirects, anything else tells the target and `Host`. Counts connections.
async fn serve(connections: Arc<AtomicUsize>) -> SocketAddr {
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            connections.fetch_add(1, Ordering::SeqCst);
            let service = service_fn(async |request: Request<Incoming>| {
                let host = request.headers()[HOST].to_str().expect("text");
                let text = format!("{} {host}", request.uri());
                let mut answer = Response::new(Full::new(Bytes::from(text)));
                if request.uri().path() == "/302" {
                    *answer.status_mut() = http::StatusCode::FOUND;
                    let location = HeaderValue::from_static("/elsewhere");
                    answer.headers_mut().insert("location", location);
                }
                Ok::<_, Infallible>(answer)
            });
            let served = hyper::server::conn::http1::Builder::new();
            tokio::spawn(served.serve_connection(TokioIo::new(stream), service));
        }
    });
    address
}

/// Answers each connection's first request with these bytes and closes it.
async fn answer_with(bytes: &'static [u8]) -> SocketAddr {
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(bytes).await;
        }
    });
    address
}

#[test]
fn targets_stay_as_they_came() {
    for (base, path, query, expected) in [
        ("http://h", "", None, "/"),
        ("http://h", "", Some(""), "/?"),
        ("http://h/api", "", None, "/api"),
        ("http://h/api/", "/v1", Some("a=%2F&b"), "/api/v1?a=%2F&b"),
        ("http://h:8080/api", "/a%3B/../b//c", None, "/api/a%3B/../b//c"),
    ] {
        let found = target(&service(base), path, query).expect("a target");
        assert_eq!(found.to_string(), expected, "{base} {path}");
    }
    let error = target(&service("ftp://h"), "", None).expect_err("no http");
    assert_eq!(error.kind, UpstreamErrorKind::Address);
}

#[tokio::test]
async fn connections_serve_one_call_after_the_other() {
    let connections = Arc::new(AtomicUsize::new(0));
    let address = serve(Arc::clone(&connections)).await;
    let service = service(&format!("http://{address}/api"));
    let upstream = upstream();
    for round in 0..5 {
        let answer = upstream.send(&service, get(&service, "/x"), LONG).await.expect("answered");
        let body = answer.into_body().collect().await.expect("read").to_bytes();
        assert_eq!(body, format!("/api/x {address}"), "{round}");
    }
    assert_eq!(connections.load(Ordering::SeqCst), 1);
    // An answer that is not read to its end costs its connection; a changed setting the pool.
    let unread = upstream.send(&service, get(&service, "/x"), LONG).await.expect("answered");
    drop(unread);
    let changed = Service { connections_max: 1, ..service.clone() };
    let answer = upstream.send(&changed, get(&changed, "/x"), LONG).await.expect("answered");
    assert_eq!(answer.status(), 200);
    assert_eq!(connections.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn redirects_and_cookies_are_the_callers() {
    let address = serve(Arc::default()).await;
    let service = service(&format!("http://{address}"));
    let upstream = upstream();
    let answer = upstream.send(&service, get(&service, "/302"), LONG).await.expect("answered");
    assert_eq!(answer.status(), 302);
    assert_eq!(answer.headers()["location"], "/elsewhere");
}

#[tokio::test]
async fn failures_are_told_apart() {
    use UpstreamErrorKind::{Address, Io, Refused, Reset, Timeout, Tls, UnknownHost};

    // Bound, so that nobody else gets the port, and not listened on.
    let closed = tokio::net::TcpSocket::new_v4().expect("a socket");
    closed.bind("127.0.0.1:0".parse().expect("an address")).expect("bound");
    let nobody = closed.local_addr().expect("address");
    let (_silent, silent) = listen().await;
    let half = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab";
    for (base, kind, code, sent) in [
        (format!("http://{nobody}"), Refused, "network_error", false),
        (format!("http://{}", answer_with(b"").await), Reset, "network_error", true),
        (format!("http://{}", answer_with(half).await), Reset, "network_error", true),
        (format!("http://{}", answer_with(b"hello\r\n\r\n").await), Io, "io_error", true),
        (format!("http://{silent}"), Timeout, "io_error", true),
        ("http://nowhere.invalid".to_owned(), UnknownHost, "unknown_host", false),
        ("https://127.0.0.1".to_owned(), Tls, "incorrect_certificate", false),
        ("http://127.0.0.1:99999".to_owned(), Address, "service_malformed_url", false),
    ] {
        let service = service(&base);
        let request = Request::get("/").body(full(Bytes::new())).expect("a request");
        let within = if kind == Timeout { Duration::from_millis(50) } else { LONG };
        let outcome = match upstream().send(&service, request, within).await {
            Ok(answer) => answer.into_body().collect().await.map(|_| ()),
            Err(error) => Err(error),
        };
        let error = outcome.expect_err(&base);
        assert_eq!((error.kind, error.sent), (kind, sent), "{base}: {error}");
        let code = format!("server.serverproxy.{code}");
        assert_eq!(error.kind.code().text(karvan_xroad::Spelling::Snake), code);
        assert!(!kind.public_text().contains("127.0.0.1"));
    }
}

/// A queue before a slow system is short: who finds no connection is told at once, and not sent.
#[tokio::test]
async fn a_busy_system_is_not_queued_for() {
    let (_silent, silent) = listen().await;
    let busy = Service { connections_max: 1, ..service(&format!("http://{silent}")) };
    let upstream = upstream();
    // The first call outlasts the patience of the others by far: a tenth of it.
    let within = Duration::from_secs(3);
    let calls = [(); 3].map(|()| upstream.send(&busy, get(&busy, "/"), within));
    let outcomes = futures_util::future::join_all(calls).await;
    let kinds: Vec<_> = outcomes
        .into_iter()
        .map(|outcome| outcome.map(|_| ()).expect_err("nobody answers"))
        .map(|error| (error.kind, error.sent))
        .collect();
    let refused = (UpstreamErrorKind::Busy, false);
    assert_eq!(kinds, [(UpstreamErrorKind::Timeout, true), refused, refused]);
    assert_eq!(
        UpstreamErrorKind::Busy.code().text(karvan_xroad::Spelling::Snake),
        "server.serverproxy.overloaded"
    );
}

#[tokio::test]
async fn what_the_system_closed_is_not_used_again() {
    let address = answer_with(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    let service = service(&format!("http://{address}"));
    let upstream = upstream();
    for _ in 0..3 {
        let answer = upstream.send(&service, get(&service, "/"), LONG).await.expect("answered");
        assert_eq!(answer.into_body().collect().await.expect("read").to_bytes(), "ok");
        // The end of the connection arrives some time after the answer.
        let closed = async {
            while upstream.pool(&service).expect("a pool").idle_open() > 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(LONG, closed).await.expect("closed");
    }
}

#[tokio::test]
async fn large_bodies_pass_in_both_directions() {
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // Sends back what comes while it comes.
            let echo = service_fn(async |request: Request<Incoming>| {
                Ok::<_, Infallible>(Response::new(request.into_body()))
            });
            let served = hyper::server::conn::http1::Builder::new();
            tokio::spawn(served.serve_connection(TokioIo::new(stream), echo));
        }
    });
    let service = service(&format!("http://{address}"));
    let upstream = upstream();
    let sent: Vec<u8> = (0..5_000_000_u32).map(|number| number.to_le_bytes()[1]).collect();
    for _ in 0..2 {
        let request = Request::post("/").body(full(sent.clone())).expect("a request");
        let answer = upstream.send(&service, request, LONG).await.expect("answered");
        let body = answer.into_body().collect().await.expect("read").to_bytes();
        assert!(body == sent, "{} bytes came back", body.len());
    }
    assert_eq!(upstream.pool(&service).expect("a pool").idle_open(), 1);
}

/// A system that reads a request and then closes may have acted on it: it is not asked again.
#[tokio::test]
async fn what_was_sent_is_never_sent_again() {
    let requests = Arc::new(AtomicUsize::new(0));
    let (listener, address) = listen().await;
    let seen = Arc::clone(&requests);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut buffer = [0; 1024];
            // The first request of a connection is answered, the second one only read.
            for answer in [&b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"[..], b""] {
                if stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {
                    seen.fetch_add(1, Ordering::SeqCst);
                }
                let _ = stream.write_all(answer).await;
            }
        }
    });
    let service = service(&format!("http://{address}"));
    let upstream = upstream();
    let first = upstream.send(&service, get(&service, "/"), LONG).await.expect("answered");
    first.into_body().collect().await.expect("read");
    let second = upstream.send(&service, get(&service, "/"), LONG).await;
    assert_eq!(second.map(|_| ()).expect_err("closed").kind, UpstreamErrorKind::Reset);
    assert_eq!(requests.load(Ordering::SeqCst), 2);
}

mod tls;
