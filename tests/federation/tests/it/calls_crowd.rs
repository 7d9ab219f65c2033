//! Many connections of agencies' systems at once: most idle, some calling.

use std::fs;

use bytes::Bytes;
use http::header::HOST;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use karvan_federation::{Caller, PK, System, World, service};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// Calls that each active connection makes.
const CALLS_EACH: usize = 5;
/// Calls under way at one time when the idle connections end their rest.
const AT_ONCE: usize = 64;
/// Files that a full crowd may open in this process, where both ends of each connection are.
const FILES_FULL: usize = 8192;

type Line = SendRequest<Empty<Bytes>>;

/// Returns how many connections are idle and how many call: a full crowd where a process may open
/// enough files (`ulimit -n 8192`), a small one elsewhere.
fn crowd() -> (usize, usize) {
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let most: Option<usize> = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    if most.is_some_and(|most| most >= FILES_FULL) { (2000, 200) } else { (150, 30) }
}

async fn connect(caller: &Caller) -> Line {
    let stream = TcpStream::connect(caller.at()).await.expect("it connects");
    let (line, connection) = handshake(TokioIo::new(stream)).await.expect("HTTP");
    tokio::spawn(connection);
    line
}

async fn call(line: &mut Line, caller: &Caller, path: &str) -> StatusCode {
    line.ready().await.expect("the connection is open");
    let mut request = Request::get(path).header(HOST, caller.at().to_string());
    for (name, value) in caller.fields() {
        request = request.header(name, value);
    }
    let request = request.body(Empty::new()).expect("a request");
    let answer = line.send_request(request).await.expect("the node answers");
    let status = answer.status();
    answer.into_body().collect().await.expect("a whole answer");
    status
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_of_connections_is_served_without_an_error() {
    let world = World::new(561);
    let [az, pk] = world.start_both().await;
    let system = System::echo().await;
    pk.offer(service(&world.nation(PK).member, "echo", &system.url())).await;
    let caller = az.caller();
    let path = format!("/r1/{}/echo", world.nation(PK).member);
    let (idle, active) = crowd();

    let mut lines = Vec::with_capacity(idle);
    for _ in 0..idle {
        lines.push(connect(&caller).await);
    }
    let mut calling = JoinSet::new();
    for _ in 0..active {
        let (caller, path) = (caller.clone(), path.clone());
        calling.spawn(async move {
            let mut line = connect(&caller).await;
            for _ in 0..CALLS_EACH {
                assert_eq!(call(&mut line, &caller, &path).await, StatusCode::OK);
            }
        });
    }
    calling.join_all().await;
    let mut waking = JoinSet::new();
    for mut line in lines {
        if waking.len() >= AT_ONCE {
            waking.join_next().await.expect("one wakes").expect("well");
        }
        let (caller, path) = (caller.clone(), path.clone());
        waking.spawn(async move {
            assert_eq!(call(&mut line, &caller, &path).await, StatusCode::OK);
        });
    }
    waking.join_all().await;
    az.stop().await;
    pk.stop().await;
}
