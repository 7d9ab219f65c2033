//! Documents end to end between two nodes in two processes: rate, processor time, memory.
//!
//! Counted from the first hand-in to the last handover receipt: each document is signed, durable on
//! both sides, logged on both sides, relayed over mutual TLS, handed to a sub-system, and both
//! receipts are back and stored.

#![expect(clippy::print_stdout, reason = "a measurement prints its figures")]

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use clap::Parser;
use http::Request;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use karvan_bench::process::{cpu_seconds, memory_kib};
use karvan_federation::{AZ, PK, Settings, Station, World, token};
use karvan_testkit::{Federation, HANDLED};
use karvan_types::MemberId;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// Measures documents between two nodes.
#[derive(Parser)]
struct Options {
    /// Documents to send.
    #[arg(long, default_value_t = 10_000)]
    documents: usize,
    /// Bytes of each.
    #[arg(long, default_value_t = 2048)]
    size: usize,
    /// Connections of the sending agency.
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Runs one node: used by the measurement itself.
    #[arg(long, hide = true, num_args = 2, value_names = ["FOLDER", "OWN"])]
    node: Option<Vec<String>>,
}

/// A node in a process of its own.
struct Process {
    child: Child,
    local: SocketAddr,
}

impl Process {
    fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn main() -> Result<()> {
    let options = Options::parse();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    match options.node.as_deref() {
        Some([folder, own]) => runtime.block_on(serve(Path::new(folder), own)),
        _ => runtime.block_on(measure(&options)),
    }
}

async fn serve(folder: &Path, own: &str) -> Result<()> {
    let own: usize = own.parse().context("0 or 1")?;
    let paper = fs::read(folder.join("paper.json")).context("paper.json")?;
    let federation = Federation::from_paper(serde_json::from_slice(&paper)?);
    let host = federation.nations.get(own).context("0 or 1")?.host;
    let mut settings = Settings::new(&federation, own, folder.join(host));
    settings.log.checkpoint_every = Duration::from_secs(1);
    let mut station = Station::start(&federation, own, settings).await?;
    println!("{}", station.local());
    std::io::stdout().flush()?;
    bail!("the node ended: {}", station.ended().await)
}

fn start(folder: &Path, own: usize) -> Result<Process> {
    let mut child = Command::new(std::env::current_exe()?)
        .args(["--node".into(), folder.as_os_str().to_owned(), own.to_string().into()])
        .stdout(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    let stdout = child.stdout.take().context("piped")?;
    BufReader::new(stdout).read_line(&mut line)?;
    let local = line.trim().parse().context("the node did not start");
    Ok(Process { child, local: local? })
}

async fn measure(options: &Options) -> Result<()> {
    let world = World::new(1);
    let folder = world.aside("nodes");
    fs::create_dir_all(&folder)?;
    let paper = world.federation.to_paper(world.seed);
    fs::write(folder.join("paper.json"), serde_json::to_vec(&paper)?)?;
    let nodes = [start(&folder, AZ)?, start(&folder, PK)?];
    tokio::time::sleep(Duration::from_secs(3)).await;
    let idle = [memory_kib(nodes[AZ].id(), "VmRSS")?, memory_kib(nodes[PK].id(), "VmRSS")?];
    let before = [cpu_seconds(nodes[AZ].id())?, cpu_seconds(nodes[PK].id())?];
    let sender = world.nation(AZ).member.clone();
    let recipient = world.nation(PK).member.clone();

    #[expect(clippy::disallowed_methods, reason = "a measurement reads the monotonic clock")]
    let begun = Instant::now();
    load(options, nodes[AZ].local, &sender, &recipient).await?;
    let accepted = begun.elapsed();
    wait(options, nodes[AZ].local, &sender).await?;
    let delivered = begun.elapsed();

    let per_second = |time: Duration| options.documents as f64 / time.as_secs_f64();
    println!(
        "{} documents of {} bytes over {} connections",
        options.documents, options.size, options.connections
    );
    println!("accepted:  {:>8.0} documents/s", per_second(accepted));
    println!("delivered: {:>8.0} documents/s, all receipts stored", per_second(delivered));
    for (own, name) in [(AZ, "sender"), (PK, "recipient")] {
        let used = cpu_seconds(nodes[own].id())? - before[own];
        let micros = used / options.documents as f64 * 1e6;
        println!(
            "{name:<10} {micros:>6.0} µs of processor time per document, {} MiB resident idle, \
             {} MiB at most",
            idle[own] / 1024,
            memory_kib(nodes[own].id(), "VmHWM")? / 1024
        );
    }
    Ok(())
}

/// Hands all documents in, over kept connections.
async fn load(
    options: &Options,
    local: SocketAddr,
    sender: &MemberId,
    recipient: &MemberId,
) -> Result<()> {
    let left = Arc::new(AtomicUsize::new(options.documents));
    let path = format!("/v1/documents?recipient={recipient}&code={HANDLED}");
    let body = Bytes::from(vec![b'k'; options.size]);
    let mut tasks = JoinSet::new();
    for _ in 0..options.connections {
        let (left, path, body) = (Arc::clone(&left), path.clone(), body.clone());
        let authorization = format!("Bearer {}", token(sender));
        tasks.spawn(async move {
            let stream = TcpStream::connect(local).await?;
            stream.set_nodelay(true)?;
            let (mut line, connection) =
                hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
            tokio::spawn(connection);
            while left
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1))
                .is_ok()
            {
                let request = Request::post(&path)
                    .header(HOST, local.to_string())
                    .header(AUTHORIZATION, &authorization)
                    .header(CONTENT_TYPE, "application/octet-stream")
                    .body(Full::new(body.clone()))?;
                let answer = line.send_request(request).await?;
                let status = answer.status();
                let said = answer.into_body().collect().await?.to_bytes();
                ensure!(status == 202, "{status}: {}", String::from_utf8_lossy(&said));
            }
            Ok(())
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(())
}

/// Waits until the sender has every handover receipt.
async fn wait(options: &Options, local: SocketAddr, member: &MemberId) -> Result<()> {
    let agency = karvan_federation::Agency::new(local, token(member));
    loop {
        let delivered = agency.count("/sent/delivered").await;
        if usize::try_from(delivered)? >= options.documents {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
