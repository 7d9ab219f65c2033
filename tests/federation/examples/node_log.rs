//! Writes what a foreign verifier needs to check the log of a real node: `node_log FOLDER`.
//!
//! Two nodes exchange documents until the other nation has cosigned the log of Pakistan's. Then
//! `FOLDER/pk/log` is that log, `FOLDER/log.vkey` its key and `FOLDER/witness.vkey` the witness's;
//! the file `witnessed` in the log is the checkpoint with both signatures.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use karvan_federation::{AZ, PK, Settings, Station, World};
use karvan_testkit::{HANDLED, PLAIN, REFUSE};

/// Documents of each kind: enough for more than one tile.
const DOCUMENTS: usize = 100;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<()> {
    let folder = PathBuf::from(std::env::args_os().nth(1).context("the argument is a folder")?);
    std::fs::create_dir_all(&folder)?;
    let world = World::new(1);
    let start = async |own: usize| {
        let home = folder.join(world.nation(own).host);
        Station::start(&world.federation, own, Settings::new(&world.federation, own, home)).await
    };
    let (az, pk) = (start(AZ).await?, start(PK).await?);
    let (agency, to) = (pk.agency(), &world.nation(AZ).member);
    for _ in 0..DOCUMENTS {
        agency.send(to, HANDLED, "taken").await;
        agency.send(to, HANDLED, REFUSE).await;
        agency.send(to, PLAIN, "waits").await;
    }
    agency.wait_for_count("/sent/accepted", 0).await;
    let last = agency.send(to, HANDLED, "last").await;
    agency.wait_for(last, "delivered").await;
    agency.wait_for_evidence(last, "witnessed").await;
    pk.stop().await;
    az.stop().await;
    std::fs::write(folder.join("log.vkey"), world.nation(PK).log_vkey())?;
    std::fs::write(folder.join("witness.vkey"), world.nation(AZ).witness_vkey())?;
    Ok(())
}
