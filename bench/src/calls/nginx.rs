//! The yardstick: nginx as upstream, and as both hops of a call with mutual TLS 1.3 between them.
//!
//! A call goes from the client in plain HTTP to the first hop, over pooled TLS connections on which
//! each side verifies the other's certificate to the second, and over pooled plain connections to
//! the upstream, which answers with a fixed text. That is the way of a call through two nodes,
//! without evidence or policy. One worker each, no access log, no limits on kept connections.
//!
//! Each listens on a loopback address of its own with its configuration, pid file and log in the
//! folder it is given; the machine's own nginx is neither read nor touched. The fixed text holds a
//! mark of this run.
//!
//! Not here: the load (`crate::load`).

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use karvan_federation::free_address;
use tokio::runtime::Runtime;

use crate::target::{ANSWER_BYTES, Target, await_answer, get, usual_headers};
use crate::tools;

/// The service that is called; it has the shape of an X-Road call so that it has its length.
const PATH: &str = "/r1/PK/GOV/9100/trade/tariff/v1/rates";
/// Where the second hop tells how the first one came.
const HANDSHAKE_PATH: &str = "/handshake";
/// What it must tell: the version, and that it verified the certificate of the first hop.
const HANDSHAKE: &str = "TLSv1.3 SUCCESS";
/// The name in the certificate of the second hop, which the first one verifies.
const SECOND_NAME: &str = "second.karvan.example";
/// The name in the certificate of the first hop.
const FIRST_NAME: &str = "first.karvan.example";
/// Days for which the certificates of a run are valid.
const DAYS: &str = "2";

/// A running nginx; it ends when this is dropped.
struct Server {
    child: Child,
    program: String,
    config: PathBuf,
    address: SocketAddr,
}

/// The fixed answer, on its own and behind each target.
pub(crate) struct Upstream {
    server: Server,
    /// What it answers, [`ANSWER_BYTES`] long.
    pub(crate) answer: String,
}

/// The two hops.
pub(crate) struct Hops {
    first: Server,
    second: Server,
}

impl Upstream {
    /// Starts the upstream and waits until it answers.
    pub(crate) fn start(folder: &Path, runtime: &Runtime) -> Result<Self> {
        let mark = folder.file_name().context("a named folder")?.to_string_lossy().into_owned();
        let answer = format!("{mark:.<ANSWER_BYTES$}");
        ensure!(answer.len() == ANSWER_BYTES, "the mark {mark} is too long for the answer");
        let serve = format!(
            "default_type text/plain;\n\
             server {{ listen @address@ backlog=4096; location / {{ return 200 \"{answer}\"; }} }}"
        );
        let upstream = Self { server: Server::start(folder, "upstream", &serve)?, answer };
        runtime.block_on(await_answer(&upstream, &upstream.answer))?;
        Ok(upstream)
    }

    /// Returns where it listens for plain HTTP.
    pub(crate) fn address(&self) -> SocketAddr {
        self.server.address
    }

    /// Returns its process.
    pub(crate) fn pid(&self) -> u32 {
        self.server.child.id()
    }
}

impl Target for Upstream {
    fn name(&self) -> &'static str {
        "upstream alone"
    }

    fn url(&self) -> String {
        format!("http://{}{PATH}", self.address())
    }

    fn headers(&self) -> Vec<(String, String)> {
        usual_headers()
    }

    fn pids(&self) -> Vec<u32> {
        Vec::new()
    }
}

impl Hops {
    /// Makes certificates, starts both hops, and waits until the answer comes through them.
    pub(crate) fn start(folder: &Path, upstream: &Upstream, runtime: &Runtime) -> Result<Self> {
        make_certificates(folder)?;
        let second = Server::start(folder, "second", &second(upstream.address()))?;
        let first = Server::start(folder, "first", &first(second.address))?;
        let hops = Self { first, second };
        runtime.block_on(await_answer(&hops, &upstream.answer))?;
        let url = format!("http://{}{HANDSHAKE_PATH}", hops.first.address);
        let told = runtime.block_on(get(&url, &[]))?;
        ensure!(told == HANDSHAKE, "the hops use `{told}` between them, not `{HANDSHAKE}`");
        Ok(hops)
    }
}

impl Target for Hops {
    fn name(&self) -> &'static str {
        "nginx"
    }

    fn url(&self) -> String {
        format!("http://{}{PATH}", self.first.address)
    }

    fn headers(&self) -> Vec<(String, String)> {
        usual_headers()
    }

    fn pids(&self) -> Vec<u32> {
        vec![self.first.child.id(), self.second.child.id()]
    }
}

/// Plain listener, pooled TLS with the own certificate to the second hop, which is verified.
fn first(second: SocketAddr) -> String {
    format!(
        "{pool}
         server {{
             listen @address@ backlog=4096;
             location / {{
                 proxy_pass https://next;
                 proxy_http_version 1.1;
                 proxy_set_header Connection \"\";
                 proxy_ssl_protocols TLSv1.3;
                 proxy_ssl_certificate @folder@/{FIRST_NAME}.pem;
                 proxy_ssl_certificate_key @folder@/{FIRST_NAME}.key;
                 proxy_ssl_trusted_certificate @folder@/authority.pem;
                 proxy_ssl_verify on;
                 proxy_ssl_name {SECOND_NAME};
             }}
         }}",
        pool = pool(second)
    )
}

/// TLS listener that requires a certificate, pooled plain connections to the upstream.
fn second(upstream: SocketAddr) -> String {
    format!(
        "{pool}
         server {{
             listen @address@ ssl backlog=4096;
             ssl_protocols TLSv1.3;
             ssl_certificate @folder@/{SECOND_NAME}.pem;
             ssl_certificate_key @folder@/{SECOND_NAME}.key;
             ssl_client_certificate @folder@/authority.pem;
             ssl_verify_client on;
             location / {{
                 proxy_pass http://next;
                 proxy_http_version 1.1;
                 proxy_set_header Connection \"\";
             }}
             location = {HANDSHAKE_PATH} {{
                 return 200 \"$ssl_protocol $ssl_client_verify\";
             }}
         }}",
        pool = pool(upstream)
    )
}

fn pool(next: SocketAddr) -> String {
    format!(
        "upstream next {{ server {next}; keepalive 1024; keepalive_requests 1000000000; \
         keepalive_timeout 1h; }}"
    )
}

impl Server {
    fn start(folder: &Path, name: &str, serve: &str) -> Result<Self> {
        let program = tools::program("nginx", "nginx-light")?;
        let address = free_address();
        let serve = serve
            .replace("@address@", &address.to_string())
            .replace("@folder@", &folder.display().to_string());
        let at = folder.join(name);
        fs::create_dir_all(&at)?;
        let config = at.join("nginx.conf");
        fs::write(&config, frame(&at, &serve))?;
        let mut check = Command::new(&program);
        tools::run(check.args(["-q", "-t", "-c"]).arg(&config))?;
        // Should this process be killed, the kernel ends nginx, which then ends its worker.
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "TERM", &program, "-c"])
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .context("start nginx with setpriv of the package util-linux")?;
        Ok(Self { child, program, config, address })
    }
}

impl Drop for Server {
    /// The master ends its worker, which a signal to the master that cannot be caught would leave.
    fn drop(&mut self) {
        let mut stop = Command::new(&self.program);
        if tools::run(stop.args(["-q", "-s", "stop", "-c"]).arg(&self.config)).is_err() {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}

/// What all three have in common; every path is within the folder, and a call that fails is not
/// tried again where nobody would see it.
fn frame(at: &Path, serve: &str) -> String {
    let at = at.display();
    format!(
        "daemon off;
worker_processes 1;
worker_rlimit_nofile 16384;
pid {at}/nginx.pid;
error_log {at}/error.log warn;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    server_tokens off;
    tcp_nodelay on;
    keepalive_timeout 1h;
    keepalive_requests 1000000000;
    proxy_next_upstream off;
    client_body_temp_path {at}/body;
    proxy_temp_path {at}/proxy;
    fastcgi_temp_path {at}/fastcgi;
    uwsgi_temp_path {at}/uwsgi;
    scgi_temp_path {at}/scgi;
    {serve}
}}
"
    )
}

/// Makes an authority for this run, and certificates of both hops under it, with P-256.
fn make_certificates(folder: &Path) -> Result<()> {
    let openssl = tools::program("openssl", "openssl")?;
    let make = |name: &str, rest: &[&str]| {
        let mut command = Command::new(&openssl);
        command
            .current_dir(folder)
            .args(["req", "-x509", "-noenc", "-newkey", "ec", "-pkeyopt"])
            .args(["ec_paramgen_curve:P-256", "-days", DAYS])
            .args(["-subj", &format!("/CN={name}"), "-keyout", &format!("{name}.key")])
            .args(["-out", &format!("{name}.pem")])
            .args(rest);
        tools::run(&mut command)
    };
    make("authority", &[])?;
    for name in [FIRST_NAME, SECOND_NAME] {
        let alias = format!("subjectAltName=DNS:{name}");
        let under = ["-CA", "authority.pem", "-CAkey", "authority.key", "-addext", &alias];
        make(name, &[&under[..], &["-addext", "basicConstraints=critical,CA:FALSE"]].concat())?;
    }
    Ok(())
}
