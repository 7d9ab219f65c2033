//! Many connections at once: most are idle, some call without pause.
//!
//! Every idle connection makes a call when it opens and another one at the end, so that it is known
//! to have been served all the time; between the two the others call. One failed call, or one
//! connection that a node closed, fails the measurement. What is measured is resident memory: with
//! nobody, with the idle ones, and with all.
//!
//! A node gives an agency's connection 30 seconds from one request to the next, so the load must be
//! shorter than that by as long as opening takes.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use http::Request;
use http::header::HOST;
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use karvan_bench::process::memory_kib;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::load::Load;
use crate::target::Target;

/// Connections that are opened, or called over, at the same time.
const AT_ONCE: usize = 64;
/// Files that are open beside the connections.
const OTHER_FILES: usize = 1024;
/// How long the nodes are left alone before they are looked at.
const REST: Duration = Duration::from_secs(1);

type Line = SendRequest<Empty<Bytes>>;

/// How many, and for how long.
pub(crate) struct Crowd {
    pub(crate) idle: usize,
    pub(crate) active: u16,
    pub(crate) seconds: u32,
}

/// Resident memory of both nodes, in KiB.
struct Memory(Vec<u64>);

impl Crowd {
    /// Measures, and prints what it saw.
    pub(crate) fn measure(
        &self,
        runtime: &Runtime,
        load: &Load,
        target: &dyn Target,
    ) -> Result<String> {
        check_files(self.idle + usize::from(self.active))?;
        let nobody = Memory::now(target, "VmRSS")?;
        let lines = runtime.block_on(open(target, self.idle))?;
        let idle = Memory::now(target, "VmRSS")?;
        let counted = load.run(target, self.active, self.seconds, &[])?;
        ensure!(counted.good(), "calls failed: {:?}", counted.errors);
        let most = Memory::now(target, "VmHWM")?;
        let alive = runtime.block_on(call_all(target, lines))?;
        ensure!(alive == self.idle, "only {alive} of {} idle connections are served", self.idle);
        Ok(format!(
            "resident MiB, client's / provider's node: {} with nobody, {} with {} idle \
             connections, {} at most with {} active ones beside; {:.0} calls/s, p99 {:.0} ms, no \
             error",
            nobody.text(),
            idle.text(),
            self.idle,
            most.text(),
            self.active,
            counted.per_second(),
            counted.p99_micros as f64 / 1e3,
        ))
    }
}

impl Memory {
    fn now(target: &dyn Target, line: &str) -> Result<Self> {
        target.pids().iter().map(|&pid| memory_kib(pid, line)).collect::<Result<_>>().map(Self)
    }

    fn text(&self) -> String {
        let each = self.0.iter().map(|&kib| format!("{:.0}", kib as f64 / 1024.0));
        each.collect::<Vec<_>>().join(" / ")
    }
}

/// A process that may not open that many files would measure its own errors.
fn check_files(connections: usize) -> Result<()> {
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let most = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    let wanted = connections + OTHER_FILES;
    if most.unwrap_or(usize::MAX) < wanted {
        bail!("a process here may open too few files: `ulimit -n {wanted}`, then try again");
    }
    Ok(())
}

/// Opens connections and makes a call over each.
async fn open(target: &dyn Target, count: usize) -> Result<Vec<Line>> {
    let authority = authority(&target.url())?;
    let (mut opening, mut lines) = (JoinSet::new(), Vec::with_capacity(count));
    for begun in 0..count {
        if begun >= AT_ONCE {
            lines.push(opening.join_next().await.context("one that opens")???);
        }
        let (request, authority) = (request(target)?, authority.clone());
        opening.spawn(async move {
            let stream = TcpStream::connect(authority).await?;
            let (mut line, connection) = handshake(TokioIo::new(stream)).await?;
            tokio::spawn(connection);
            call(&mut line, request).await?;
            anyhow::Ok(line)
        });
    }
    while let Some(opened) = opening.join_next().await {
        lines.push(opened??);
    }
    tokio::time::sleep(REST).await;
    Ok(lines)
}

/// Makes a call over each connection; returns how many were answered.
async fn call_all(target: &dyn Target, lines: Vec<Line>) -> Result<usize> {
    let (mut calling, mut answered) = (JoinSet::new(), 0);
    for (begun, mut line) in lines.into_iter().enumerate() {
        if begun >= AT_ONCE {
            answered += usize::from(calling.join_next().await.context("a call")??);
        }
        let request = request(target)?;
        calling.spawn(async move { call(&mut line, request).await.is_ok() });
    }
    while let Some(ended) = calling.join_next().await {
        answered += usize::from(ended?);
    }
    Ok(answered)
}

async fn call(line: &mut Line, request: Request<Empty<Bytes>>) -> Result<()> {
    line.ready().await?;
    let answer = line.send_request(request).await?;
    let status = answer.status();
    answer.into_body().collect().await?;
    ensure!(status == 200, "status {status}");
    Ok(())
}

fn request(target: &dyn Target) -> Result<Request<Empty<Bytes>>> {
    let url: http::Uri = target.url().parse()?;
    let path = url.path_and_query().context("a URL with a path")?;
    let mut request = Request::get(path.as_str()).header(HOST, authority(&target.url())?);
    for (name, value) in target.headers() {
        request = request.header(name, value);
    }
    Ok(request.body(Empty::new())?)
}

fn authority(url: &str) -> Result<String> {
    let url: http::Uri = url.parse()?;
    Ok(url.authority().context("a URL with an authority")?.as_str().to_owned())
}
