//! A station as a process of its own: `karvan-test-node FOLDER OWN`. FOLDER holds `paper.json`,
//! and `OWN` is 0 for Azerbaijan and 1 for Pakistan.
//!
//! It prints the addresses of its local interface and of its gateway of calls once it listens,
//! and runs until it is killed.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use karvan_federation::{Settings, Station};
use karvan_testkit::Federation;

fn main() -> Result<()> {
    let mut arguments = std::env::args_os().skip(1);
    let folder = PathBuf::from(arguments.next().context("the first argument is a folder")?);
    let own = arguments.next().and_then(|own| own.into_string().ok());
    let own: usize = own.as_deref().unwrap_or_default().parse().context("0 or 1")?;
    let paper = std::fs::read(folder.join("paper.json")).context("read paper.json")?;
    let federation = Federation::from_paper(serde_json::from_slice(&paper)?);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let host = federation.nations.get(own).context("0 or 1")?.host;
        let settings = Settings::new(&federation, own, folder.join(host));
        let mut station = Station::start(&federation, own, settings).await?;
        let mut out = std::io::stdout();
        writeln!(out, "{}\n{}", station.local(), station.calls.at())?;
        out.flush()?;
        bail!("the node ended: {}", station.ended().await)
    })
}
