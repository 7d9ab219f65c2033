//! Measures durable transactions per second with 1, 10 and 100 concurrent writers.
//!
//! `cargo run --release -p karvan-store --example commit_rate [FOLDER]` (default: the system's
//! temporary folder). Each transaction takes a number from a sequence and inserts one row of 500
//! bytes with a two-column index, which is what keeping a received document costs.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use karvan_store::{Error, Index, Migration, Row, SqliteStore, Store, Table};
use tokio::time::Instant;

const ROW: Table = Table {
    name: "bench_row",
    columns: &["kind", "number"],
    indexes: &[Index { name: "by_kind", columns: &["kind", "number"], unique: false }],
};
const SCHEMA: Migration = Migration { id: "bench-0001", creates: &[&ROW] };
/// How long each number of writers runs.
const ROUND: Duration = Duration::from_secs(5);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let parent = std::env::args_os().nth(1).map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = parent.join(format!("karvan-commit-rate-{}", std::process::id()));
    let outcome = measure(&folder).await;
    if let Err(error) = std::fs::remove_dir_all(&folder) {
        eprintln!("{} stays behind: {error}", folder.display());
    }
    outcome
}

async fn measure(folder: &std::path::Path) -> Result<(), Error> {
    let backend = Arc::new(SqliteStore::open(folder, [&SCHEMA])?);
    let store = Store::new(Arc::clone(&backend));
    println!("writers  rows/s  rows per commit  CPU us/row  median ms  p99 ms");
    for writers in [1, 10, 100] {
        let (before, cpu_before, start) = (backend.stats(), cpu_micros(), Instant::now());
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..writers {
            tasks.spawn(write_until(store.clone(), start + ROUND));
        }
        let mut waits = Vec::new();
        while let Some(task) = tasks.join_next().await {
            let waited = task.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
            waits.extend(waited?);
        }
        waits.sort_unstable();
        let millis = |part: usize| {
            let wait = waits.get(waits.len() * part / 100).copied().unwrap_or_default();
            wait.as_secs_f64() * 1e3
        };
        let (after, seconds) = (backend.stats(), start.elapsed().as_secs_f64());
        let rows = (after.works - before.works) as f64;
        let commits = (after.commits - before.commits) as f64;
        let cpu = cpu_micros().saturating_sub(cpu_before) as f64;
        println!(
            "{writers:7}  {:6.0}  {:15.1}  {:10.1}  {:9.2}  {:6.2}",
            rows / seconds,
            rows / commits,
            cpu / rows,
            millis(50),
            millis(99),
        );
    }
    Ok(())
}

/// Writes one row after the other; returns how long each answer took.
async fn write_until(store: Store, end: Instant) -> Result<Vec<Duration>, Error> {
    let mut waits = Vec::new();
    while Instant::now() < end {
        let start = Instant::now();
        store
            .write(|tx| {
                let number = tx.next("bench")?;
                let columns = vec!["inbox".into(), number.into()];
                // Keys grow with time, as exchange ids do.
                let key = format!("{number:036}").into();
                tx.insert(&ROW, &Row { key, columns, body: vec![b'x'; 500] })
            })
            .await?;
        waits.push(start.elapsed());
    }
    Ok(waits)
}

/// Returns the CPU time of this process so far, in microseconds; 0 where `/proc` is missing.
fn cpu_micros() -> u64 {
    /// Linux counts here in hundredths of a second, whatever the kernel's own tick.
    const TICK_MICROS: u64 = 10_000;
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // proc_pid_stat(5): the name may hold spaces; after it, fields 14 and 15 are user and system.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let ticks: u64 = fields.split(' ').skip(12).take(2).filter_map(|f| f.parse::<u64>().ok()).sum();
    ticks * TICK_MICROS
}
