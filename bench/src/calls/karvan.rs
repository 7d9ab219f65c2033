//! What is measured: two `karvan node` processes of the release build, set up by the ceremony.
//!
//! Each nation is made with `karvan init`, both trust each other, and an agreement without a quota
//! lets Pakistan's customs call one service of Azerbaijan's, which is the upstream. Nothing is
//! switched off: every call is signed on both sides, durable before the upstream sees it and before
//! its answer goes on, and logged in both evidence logs, which are checkpointed and cosigned
//! meanwhile.
//!
//! To show where the time goes the same is measured of a program that is built with the feature
//! `measure` and leaves out one thing ([`Without`]).
//!
//! The client calls in plain HTTP, like that of the yardstick, with a token; [`Nodes::plain`] is
//! the same without one.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use clap::ValueEnum;
use karvan_federation::free_address;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::runtime::Runtime;

use crate::target::{Target, await_answer, put};
use crate::tools;

/// Who calls.
const CLIENT: &str = "PK/GOV/FBR/customs";
/// Whose service is called.
const PROVIDER: &str = "AZ/GOV/SCC/customs";
/// The service.
const SERVICE: &str = "tariff";
/// What of it is called.
const PATH: &str = "/v1/rates";
/// Connections that a node may have to the upstream.
const UPSTREAM_CONNECTIONS: u32 = 1024;
/// The user whose token calls.
const CALLER: &str = "caller";

/// One nation's folder, node and address.
struct Nation {
    folder: &'static str,
    code: &'static str,
    node: &'static str,
    member: &'static str,
}

const PK: Nation = Nation { folder: "pk", code: "PK", node: "karachi-1", member: CLIENT };
const AZ: Nation = Nation { folder: "az", code: "AZ", node: "baku-1", member: PROVIDER };

/// The variable that tells a program that is built to be measured what to leave out.
const WITHOUT_VARIABLE: &str = "KARVAN_MEASURE_WITHOUT";

/// What a program that is built to be measured leaves out.
#[derive(Clone, Copy, Debug, Serialize, ValueEnum)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Without {
    /// Making and verifying the signatures of calls.
    Signatures,
    /// The entries of calls in the evidence log.
    Log,
}

/// Both nodes; they end when this is dropped.
pub(crate) struct Nodes {
    name: &'static str,
    client: Node,
    provider: Node,
    token: String,
}

/// The same nodes, called without a token.
pub(crate) struct Plain<'a>(&'a Nodes);

/// A running node.
struct Node {
    child: Child,
    /// The node ends when this does, also if this process is killed.
    _life: Option<ChildStdin>,
    ready: Ready,
}

/// What a node says about itself once it accepts connections.
#[derive(Deserialize)]
struct Ready {
    local: String,
    calls: String,
}

/// The program, and how it is run.
pub(crate) struct Program {
    /// The program itself.
    pub(crate) path: PathBuf,
    /// The folder that it works in.
    pub(crate) folder: PathBuf,
    /// Whether each message has a signature of its own.
    pub(crate) each: bool,
    /// What is left out; only by a program of [`program_to_measure`].
    pub(crate) without: Option<Without>,
}

impl Nodes {
    /// Makes two nations, starts their nodes, and waits until a call comes through.
    pub(crate) fn start(
        program: &Program,
        upstream: SocketAddr,
        answer: &str,
        runtime: &Runtime,
    ) -> Result<Self> {
        fs::create_dir_all(&program.folder)?;
        program.found()?;
        let (client, provider) = (program.start(&PK)?, program.start(&AZ)?);
        let service = json!({
            "member": PROVIDER, "code": SERVICE, "baseUrl": format!("http://{upstream}"),
            "connectionsMax": UPSTREAM_CONNECTIONS,
        });
        let url = format!("{}/v1/services/{PROVIDER}/{SERVICE}", provider.ready.local);
        runtime.block_on(put(&url, &program.token(&AZ, "operator")?, &service))?;
        let access = json!({ "subsystem": CLIENT, "plainHttp": true });
        let url = format!("{}/v1/clients/{CLIENT}", client.ready.local);
        runtime.block_on(put(&url, &program.token(&PK, "operator")?, &access))?;
        let name = match program.without {
            None => "karvan",
            Some(Without::Signatures) => "karvan, signatures off",
            Some(Without::Log) => "karvan, log off",
        };
        let nodes = Self { name, client, provider, token: program.token(&PK, CALLER)? };
        runtime.block_on(await_answer(&nodes, answer))?;
        Ok(nodes)
    }

    /// Returns the same nodes as a target of calls without token.
    pub(crate) fn plain(&self) -> Plain<'_> {
        Plain(self)
    }
}

impl Target for Nodes {
    fn name(&self) -> &'static str {
        self.name
    }

    fn url(&self) -> String {
        format!("{}/r1/{PROVIDER}/{SERVICE}{PATH}", self.client.ready.calls)
    }

    fn headers(&self) -> Vec<(String, String)> {
        let mut headers = self.plain().headers();
        headers.push(("Authorization".to_owned(), format!("Bearer {}", self.token)));
        headers
    }

    fn pids(&self) -> Vec<u32> {
        vec![self.client.child.id(), self.provider.child.id()]
    }
}

impl Target for Plain<'_> {
    fn name(&self) -> &'static str {
        "karvan without token"
    }

    fn url(&self) -> String {
        self.0.url()
    }

    fn headers(&self) -> Vec<(String, String)> {
        vec![("X-Road-Client".to_owned(), CLIENT.to_owned())]
    }

    fn pids(&self) -> Vec<u32> {
        self.0.pids()
    }
}

/// Returns the program to measure: the one that is named, or one that is built now beside this one,
/// so that it is never an old one. It keeps its symbols, for `crate::counts` and `crate::flame`.
pub(crate) fn program(named: Option<&Path>) -> Result<PathBuf> {
    if let Some(named) = named {
        return std::path::absolute(named).context("the path of the program");
    }
    build(&[]).context("build karvan, or name it with --karvan")
}

/// Returns the program that can leave something out: the one that is named, or one that is built
/// now; call it before [`program`], which builds to the same place.
pub(crate) fn program_to_measure(named: Option<&Path>, folder: &Path) -> Result<PathBuf> {
    if let Some(named) = named {
        return std::path::absolute(named).context("the path of the program");
    }
    let built = build(&["--features", "measure"]);
    let built = built.context("build karvan to be measured, or name it with --karvan-measure")?;
    let kept = folder.join("karvan-measure");
    fs::copy(built, &kept)?;
    Ok(kept)
}

fn build(more: &[&str]) -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let target =
        own.parent().and_then(Path::parent).context("this program is in a build folder")?;
    let mut build = Command::new(cargo);
    build.env("CARGO_PROFILE_RELEASE_STRIP", "none");
    build.args(["build", "--release", "--locked", "--package", "karvan"]).args(more);
    tools::run(build.arg("--target-dir").arg(target))?;
    Ok(target.join("release").join("karvan"))
}

impl Program {
    fn run(&self, arguments: &[&str]) -> Result<()> {
        let mut command = Command::new(&self.path);
        command.args(arguments).current_dir(&self.folder).env_remove("KARVAN_DIR");
        tools::run(&mut command).map(drop)
    }

    /// Makes both nations and what they sign together.
    fn found(&self) -> Result<()> {
        for Nation { folder, code, node, member } in [&PK, &AZ] {
            let address = free_address().to_string();
            let any = "127.0.0.1:0";
            let nation = ["init", "--dir", folder, "--nation", code, "--name", code];
            let at = ["--node", node, "--address", &address, "--local", any, "--calls", any];
            self.run(&[&nation[..], &at, &["--member", member]].concat())?;
        }
        self.run(&["init", "root", "--dir", "pk", "--with", "az/nation.json"])?;
        self.run(&["init", "countersign", "--dir", "az", "root.json", "--yes"])?;
        self.run(&["init", "install", "--dir", "pk", "root.json", "az/lists/list-AZ.json"])?;
        self.run(&["init", "install", "--dir", "az", "root.json", "pk/lists/list-PK.json"])?;
        let draft = json!({
            "id": "look-ups", "version": 1, "purpose": "customs-look-up",
            "legalBasis": "Measurement between two nations",
            "validFrom": "2020-01-01T00:00:00.000Z", "validUntil": "2099-01-01T00:00:00.000Z",
            "grants": [{
                "client": CLIENT, "provider": PROVIDER,
                "services": [{
                    "service": SERVICE, "endpoints": [{ "method": "GET", "path": PATH }],
                }],
            }],
        });
        fs::write(self.folder.join("draft.json"), serde_json::to_vec(&draft)?)?;
        let sign = ["init", "agreement", "--yes", "--dir"];
        self.run(&[&sign[..], &["pk", "draft.json", "--out", "half.json"]].concat())?;
        let whole = "pk/agreements/look-ups-1.json";
        self.run(&[&sign[..], &["az", "half.json", "--out", whole]].concat())?;
        if self.each {
            for Nation { folder, .. } in [&PK, &AZ] {
                let path = self.folder.join(folder).join("node.toml");
                let text = fs::read_to_string(&path)?;
                let each = text.replace("[calls]\n", "[calls]\nsignatures = \"each\"\n");
                ensure!(each != text, "{} has no [calls]", path.display());
                fs::write(path, each)?;
            }
        }
        let token = ["init", "token", "--dir", "pk", "--user", CALLER, "--member", CLIENT];
        self.run(&[&token[..], &["--permission", "calls.send"]].concat())
    }

    fn token(&self, nation: &Nation, user: &str) -> Result<String> {
        let path = self.folder.join(nation.folder).join(format!("tokens/{user}.token"));
        let text = fs::read_to_string(&path).with_context(|| format!("{}", path.display()))?;
        Ok(text.trim().to_owned())
    }

    fn start(&self, nation: &Nation) -> Result<Node> {
        let log = self.folder.join(format!("{}.log", nation.folder));
        let mut command = Command::new(&self.path);
        if let Some(without) = self.without.and_then(|without| without.to_possible_value()) {
            command.env(WITHOUT_VARIABLE, without.get_name());
        }
        let mut child = command
            .args(["--json", "node", "--parent-pipe", "--config"])
            .arg(format!("{}/node.toml", nation.folder))
            .current_dir(&self.folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(&log)?)
            .spawn()
            .with_context(|| format!("cannot start {}", self.path.display()))?;
        let life = child.stdin.take();
        let out = child.stdout.take().context("piped")?;
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line)?;
        let told = || fs::read_to_string(&log).unwrap_or_default();
        let Ok(ready) = serde_json::from_str(&line) else {
            let _ = child.kill();
            let _ = child.wait();
            bail!("the node of {} does not start: {line}{}", nation.code, told());
        };
        let node = Node { child, _life: life, ready };
        ensure!(node.ready.calls.starts_with("http://"), "the node takes no calls");
        Ok(node)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
