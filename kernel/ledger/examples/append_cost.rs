//! Prints what one entry costs, in processor time of the whole log: queue, segment, tree, tiles,
//! checkpoints. `cargo run --release -p karvan-ledger --example append_cost [-- DIR]`.
//!
//! Everything runs on one thread, whose time the kernel counts. A DIR keeps the log for a look at
//! it; the keys are those of the golden log.

#[path = "../../../base/evidence/tests/it/keys.rs"]
#[expect(dead_code, reason = "no witness is asked here")]
mod keys;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use karvan_ledger::{Config, Ledger};
use karvan_system::{Disk as _, OsDisk, SystemClock};

const ORIGIN: &str = "pk.karvan.example/evidence/1";
const ENTRY_BYTES: usize = 500;
const ENTRIES: u64 = 200_000;

fn main() -> io::Result<()> {
    let temporary = tempfile::tempdir()?;
    let root = std::env::args_os().nth(1).map_or(temporary.path().to_owned(), PathBuf::from);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    println!("{ENTRIES} entries of {ENTRY_BYTES} bytes");
    println!("{:>6} {:>12} {:>12}", "batch", "CPU/entry", "entries/s");
    for batch in [64, 256, 1024] {
        runtime.block_on(measure(&root.join(format!("batch-{batch}")), batch))?;
    }
    Ok(())
}

async fn measure(root: &Path, batch: u64) -> io::Result<()> {
    OsDisk.create_dir_all(&root.join("second"))?;
    let (signer, verifier) = keys::log(ORIGIN, 1);
    println!("       {}", signer.verifier_key());
    let (dir, second) = (root.join("log"), root.join("second/signed-size"));
    let config = Config::new(dir, second, Arc::new(verifier));
    let opened = Ledger::open(config, Arc::new(OsDisk), Arc::new(SystemClock), Arc::new(signer));
    let (ledger, task) = opened.map_err(io::Error::other)?;
    let task = tokio::spawn(task.run(std::future::pending()));
    let start = (cpu_nanos()?, tokio::time::Instant::now());
    let mut number = 0;
    while number < ENTRIES {
        let entries = (number + 1..=(number + batch).min(ENTRIES)).map(|n| {
            let mut entry = vec![0x5a; ENTRY_BYTES];
            entry.iter_mut().zip(n.to_be_bytes()).for_each(|(to, from)| *to = from);
            (n, entry)
        });
        ledger.append_queued(entries.collect()).await.map_err(io::Error::other)?;
        number += batch;
    }
    ledger.checkpoint_now().await.map_err(io::Error::other)?;
    let (cpu, wall) = (cpu_nanos()? - start.0, start.1.elapsed());
    drop(ledger);
    task.await?.map_err(io::Error::other)?;
    let per_entry = cpu as f64 / ENTRIES as f64 / 1000.0;
    println!("{batch:>6} {per_entry:>9.2} us {:>12.0}", ENTRIES as f64 / wall.as_secs_f64());
    Ok(())
}

/// Returns the processor time of this thread, in nanoseconds.
fn cpu_nanos() -> io::Result<u64> {
    let text = OsDisk.read(Path::new("/proc/thread-self/schedstat"))?;
    let text = String::from_utf8_lossy(&text);
    let first = text.split_whitespace().next().and_then(|number| number.parse().ok());
    first.ok_or_else(|| io::Error::other("the kernel does not count thread time"))
}
