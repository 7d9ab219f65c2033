//! Ten thousand idle connections of agencies' systems beside a thousand that call.
//!
//! Both nodes are processes of their own, so that their memory is theirs alone. Every idle
//! connection is asked something before and after, so that it is known to have been served all the
//! time; some of them make whole calls when their rest ends.

use std::path::Path;

use bytes::Bytes;
use http::header::HOST;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use karvan_federation::{AZ, Caller, PK, Process, System, World, service};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Connections of a full crowd: idle ones, and ones that call.
const FULL: (usize, usize) = (10_000, 1_000);
/// Of a small one.
const SMALL: (usize, usize) = (150, 30);
/// Files that a process may have to open beside the connections.
const OTHER_FILES: u64 = 500;
/// Calls that each active connection makes.
const CALLS_EACH: usize = 2;
/// Of how many idle connections one makes a call when its rest ends.
const ONE_CALLS_OF: usize = 20;
/// Requests under way at one time while the idle connections open, and when their rest ends.
const AT_ONCE: usize = 64;
/// Most memory that the node may have for an idle connection, in KiB.
const IDLE_KIB_MAX: u64 = 64;
/// What any connection may ask without leaving a trace.
const QUESTION: &str = "/listClients";

type Line = SendRequest<Empty<Bytes>>;

/// Returns how many connections are idle and how many call: a full crowd where a process may open
/// enough files, a small one elsewhere.
fn crowd() -> (usize, usize) {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = (FULL.0 + FULL.1) as u64 + OTHER_FILES;
    let enough = |limit: Option<u64>| limit.is_none_or(|most| most >= wanted);
    // The nodes inherit it.
    let raised = || setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum }).is_ok();
    if enough(current) || (enough(maximum) && raised()) {
        return FULL;
    }
    println!(
        "SKIPPED the full crowd of connections: a process may open {} files only; raise the hard \
         limit to {wanted}",
        maximum.unwrap_or_default()
    );
    SMALL
}

async fn connect(caller: &Caller) -> Line {
    let stream = TcpStream::connect(caller.at()).await.expect("it connects");
    let (line, connection) = handshake(TokioIo::new(stream)).await.expect("HTTP");
    tokio::spawn(connection);
    line
}

async fn ask(line: &mut Line, caller: &Caller, path: &str) {
    line.ready().await.expect("the connection is open");
    let mut request = Request::get(path).header(HOST, caller.at().to_string());
    for (name, value) in caller.fields() {
        request = request.header(name, value);
    }
    let request = request.body(Empty::new()).expect("a request");
    let answer = line.send_request(request).await.expect("the node answers");
    let status = answer.status();
    let body = answer.into_body().collect().await.expect("a whole answer").to_bytes();
    assert_eq!(status, StatusCode::OK, "{}", String::from_utf8_lossy(&body));
}

/// Does something about each, a bounded number at one time, and returns what that gave.
async fn each<T, R, F>(all: impl IntoIterator<Item = T>, work: impl Fn(T) -> F) -> Vec<R>
where
    R: Send + 'static,
    F: Future<Output = R> + Send + 'static,
{
    let (mut working, mut done) = (JoinSet::new(), Vec::new());
    for one in all {
        if working.len() >= AT_ONCE {
            done.push(working.join_next().await.expect("one at work").expect("well"));
        }
        working.spawn(work(one));
    }
    done.extend(working.join_all().await);
    done
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_of_connections_is_served_without_an_error() {
    let (idle, active) = crowd();
    let world = World::new(561);
    world.write_paper();
    let system = System::echo().await;
    let station = world.start(PK).await;
    station.offer(service(&world.nation(PK).member, "echo", &system.url())).await;
    station.stop().await;
    let program = Path::new(env!("CARGO_BIN_EXE_karvan-test-node"));
    let [mut az, mut pk] = [AZ, PK].map(|own| Process::new(&world, own, program));
    az.start().await.expect("it starts");
    pk.start().await.expect("it starts");
    let caller = az.caller(world.nation(AZ).member.clone());
    let path = format!("/r1/{}/echo", world.nation(PK).member);
    ask(&mut connect(&caller).await, &caller, &path).await;

    let began = Instant::now();
    let nobody = az.memory_kib().expect("measured");
    let lines = each(0..idle, |_| {
        let caller = caller.clone();
        async move {
            let mut line = connect(&caller).await;
            ask(&mut line, &caller, QUESTION).await;
            line
        }
    });
    let lines = lines.await;
    let resting = az.memory_kib().expect("measured");
    let opened = began.elapsed();
    let mut calling = JoinSet::new();
    for _ in 0..active {
        let (caller, path) = (caller.clone(), path.clone());
        calling.spawn(async move {
            let mut line = connect(&caller).await;
            for _ in 0..CALLS_EACH {
                ask(&mut line, &caller, &path).await;
            }
            line
        });
    }
    let busy = calling.join_all().await;
    let loaded = az.memory_kib().expect("measured");
    let called = began.elapsed();
    let woken = each(lines.into_iter().enumerate(), |(place, mut line)| {
        let (caller, path) = (caller.clone(), path.clone());
        async move {
            let path = if place % ONE_CALLS_OF == 0 { &path } else { QUESTION };
            ask(&mut line, &caller, path).await;
        }
    });
    assert_eq!(woken.await.len(), idle);
    drop(busy);

    let each_kib = resting.saturating_sub(nobody) / idle as u64;
    let peaks = [&az, &pk].map(|node| node.memory_peak_kib().expect("measured") / 1024);
    println!(
        "the client's node, resident MiB: {} with nobody, {} with {idle} idle connections \
         ({each_kib} KiB for each), {} after {active} more made {CALLS_EACH} calls each, {} at \
         most; the provider's node {} at most. Opened in {opened:?}, called until {called:?}, all \
         served until {:?}",
        nobody / 1024,
        resting / 1024,
        loaded / 1024,
        peaks[0],
        peaks[1],
        began.elapsed()
    );
    assert!(each_kib <= IDLE_KIB_MAX, "{each_kib} KiB for an idle connection");
    az.kill().await.expect("it is killed");
    pk.kill().await.expect("it is killed");
}
