//! Measures claims against a store with many certificates and export declarations.
//!
//!     cargo run --release -p karvan-customs --example claim_speed -- [RECORDS [CLAIMS [FOLDER]]]
//!
//! Fills a store with RECORDS certificates and as many export declarations (1,000,000 unless
//! given; a FOLDER that is given is kept and used again), then says
//!
//! - *in process*: how many claims a second are matched and computed on two threads, each reading
//!   certificate, export declaration, ledger and tariff from the store; nothing is written and the
//!   claim itself was read before;
//! - *durable*: how many claims a second are imported in batches through SQLite, from JSON text to
//!   the commit, on the one thread that writes;
//! - *one by one*: the same for claims that are filed by 64 officers at a time, each waiting for
//!   the commit.
//!
//! Processor time is that of the whole process by `/proc/self/stat`; the machine's other work does
//! not count in it, which makes it the figure to compare.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{env, error, fs};

use karvan_customs::bulk::BATCH_RECORDS_MAX;
use karvan_customs::certificate::{Certificate, CertificateNumber, Delivery, Version};
use karvan_customs::claim::Claim;
use karvan_customs::export::Export;
use karvan_customs::messages::{FunctionCode, Message, SharingLevel};
use karvan_customs::relief::DEFAULT_IMPORTER;
use karvan_customs::samples::{Consignment, each};
use karvan_customs::states::Status;
use karvan_customs::subsystem::{Config, Customs};
use karvan_store::{SqliteStore, Store};
use karvan_subsystem::{Caller, Context, Rejection, Subsystem};
use karvan_types::{Digest, ExchangeId, MemberId, Timestamp};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// That of the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Outcome<T> = Result<T, Box<dyn error::Error + Send + Sync>>;

const SEED: u64 = 2026;
/// Consignments stored in one transaction.
const FILL_BATCH: usize = 1_000;
/// Officers who file at one time.
const OFFICERS: usize = 64;
/// Clock ticks of `/proc` per second on Linux.
const TICKS_PER_SECOND: f64 = 100.0;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Outcome<()> {
    let mut arguments = env::args().skip(1);
    let mut number = |default: usize| -> Outcome<usize> {
        Ok(arguments.next().map(|text| text.parse()).transpose()?.unwrap_or(default))
    };
    let (records, claims) = (number(1_000_000)?, number(20_000)?);
    let kept = arguments.next().map(PathBuf::from);
    let temporary = tempfile::tempdir()?;
    let folder = kept.unwrap_or_else(|| temporary.path().to_owned());
    let customs = Arc::new(Customs::new(config()?)?);
    let store = Store::new(SqliteStore::open(&folder, customs.migrations())?);
    fill(&store, &folder, records).await?;
    let consignments = scattered(records, claims);
    in_process(&store, &customs, &consignments).await?;
    let (batched, single) = consignments.split_at(consignments.len() / 2);
    durable(&store, &customs, batched).await?;
    one_by_one(&store, &customs, single).await
}

fn config() -> Outcome<Config> {
    Ok(Config {
        customs: "PK/GOV/FBR/customs".parse()?,
        issuers: Vec::new(),
        partner: "AZ/GOV/SCC/customs".parse()?,
        agreement: "AZ-PK-PTA".to_owned(),
        sharing_level: SharingLevel::L2,
        go_live: "2025-01-01".parse()?,
    })
}

fn document(consignment: &Consignment, step: usize, member: &str) -> Value {
    consignment.steps.get(step).map(|step| step.input[member].clone()).unwrap_or_default()
}

fn version<T>(at: Timestamp, content: T) -> Version<T> {
    let function = FunctionCode::Original;
    Version { exchange: None, at, function, digest: Digest::of(b"measured"), content }
}

/// Makes what the importing side stores of a consignment.
fn papers(consignment: &Consignment) -> Outcome<(Certificate, Export)> {
    let at = consignment.today;
    let text = document(consignment, 0, "certificate").to_string();
    let Message::Certificate(coo) = Message::parse("COO", text.as_bytes())? else {
        return Err("no certificate".into());
    };
    let text = document(consignment, 1, "declaration").to_string();
    let Message::Export(exd) = Message::parse("EXD", text.as_bytes())? else {
        return Err("no export declaration".into());
    };
    let number = CertificateNumber::parse(&coo.header.id)?;
    let issuer: MemberId = "AZ/GOV/AMCM".parse()?;
    let certificate = Certificate::new(number, issuer, Delivery::Received, version(at, *coo))?;
    let export = Export {
        number: exd.header.id.clone(),
        country: "AZ".parse()?,
        sender: "AZ/GOV/SCC/customs".parse()?,
        status: Status::default(),
        delivery: Delivery::Received,
        versions: vec![version(at, *exd)],
    };
    Ok((certificate, export))
}

/// Fills the store: one thread makes, the store's own writes.
async fn fill(store: &Store, folder: &Path, records: usize) -> Outcome<()> {
    let marker = folder.join("filled");
    if fs::read_to_string(&marker).is_ok_and(|text| text == records.to_string()) {
        println!("the store in {} is filled already", folder.display());
        return Ok(());
    }
    let (start, cpu) = (Instant::now(), cpu_seconds()?);
    let (sender, mut receiver) = tokio::sync::mpsc::channel(2);
    let making = tokio::task::spawn_blocking(move || -> Outcome<()> {
        let mut consignments = each(SEED).take(records);
        loop {
            let batch = consignments.by_ref().take(FILL_BATCH).map(|c| papers(&c));
            let batch = batch.collect::<Outcome<Vec<_>>>()?;
            if batch.is_empty() || sender.blocking_send(batch).is_err() {
                return Ok(());
            }
        }
    });
    while let Some(batch) = receiver.recv().await {
        store
            .write(move |tx| -> Result<(), karvan_store::Error> {
                for (certificate, export) in &batch {
                    tx.save(certificate)?;
                    export.store(tx)?;
                }
                Ok(())
            })
            .await?;
    }
    making.await??;
    fs::write(&marker, records.to_string())?;
    println!(
        "filled with {records} certificates and {records} export declarations in {:.0} s, {:.0} s \
         of processor time",
        start.elapsed().as_secs_f64(),
        cpu_seconds()? - cpu
    );
    Ok(())
}

/// Returns consignments from all over the store, in no order.
fn scattered(records: usize, claims: usize) -> Vec<Consignment> {
    let step = (records / claims.max(1)).max(1);
    let mut found: Vec<_> = each(SEED).take(records).step_by(step).take(claims).collect();
    // A stride that shares no factor with the count visits all of them in no order.
    let count = found.len();
    let mut order: Vec<usize> = (0..count).map(|at| at * 7919 % count.max(1)).collect();
    order.dedup();
    let mut shuffled = Vec::with_capacity(count);
    for at in order {
        shuffled.extend(found.get_mut(at).map(|found| found.clone()));
    }
    shuffled
}

async fn in_process(
    store: &Store,
    customs: &Arc<Customs>,
    consignments: &[Consignment],
) -> Outcome<()> {
    let mut claims = Vec::with_capacity(consignments.len());
    for consignment in consignments {
        let text = document(consignment, 2, "claim").to_string();
        let Message::Import(content) = Message::parse("IMP", text.as_bytes())? else {
            return Err("no claim".into());
        };
        claims.push(Claim {
            number: content.header.id.clone(),
            received_at: consignment.today,
            filed: consignment.today.utc_date(),
            by: "measurement".to_owned(),
            importer_class: DEFAULT_IMPORTER,
            versions: vec![version(consignment.today, *content)],
            withdrawn: None,
        });
    }
    let count = claims.len();
    let half = claims.split_off(count / 2);
    for round in ["cold", "warm"] {
        let (start, cpu) = (Instant::now(), cpu_seconds()?);
        let run = |claims: Vec<Claim>| {
            let customs = Arc::clone(customs);
            store.read(move |view| -> Result<Vec<Claim>, Rejection> {
                for claim in &claims {
                    let found = customs.preview(view, claim, claim.received_at)?;
                    if found.len() != 1 {
                        let text = "every claim has one claimed item";
                        return Err(Rejection::new(
                            karvan_types::ErrorKind::Internal,
                            "item",
                            text,
                        ));
                    }
                }
                Ok(claims)
            })
        };
        let (one, two) = tokio::join!(run(claims.clone()), run(half.clone()));
        let _ = (one?, two?);
        tell(&format!("in process, {round}"), count, start, cpu)?;
    }
    Ok(())
}

fn caller() -> Outcome<Caller> {
    Ok(Caller {
        member: "PK/GOV/FBR/customs".parse()?,
        user: "measurement".to_owned(),
        permissions: vec!["*".to_owned()],
    })
}

/// Calls an operation in a transaction of its own.
async fn operate(
    store: &Store,
    customs: &Arc<Customs>,
    now: Timestamp,
    operation: &'static str,
    input: Value,
) -> Outcome<Value> {
    let (customs, caller) = (Arc::clone(customs), caller()?);
    let mut serial = 0_u8;
    let output = store
        .write(move |tx| -> Result<Value, Rejection> {
            let mut ids = || {
                serial = serial.wrapping_add(1);
                ExchangeId::new(now, [serial; 10])
            };
            let mut cx = Context::new(tx, now, &mut ids);
            customs.operate(&mut cx, &caller, operation, input)
        })
        .await?;
    Ok(output)
}

async fn durable(
    store: &Store,
    customs: &Arc<Customs>,
    consignments: &[Consignment],
) -> Outcome<()> {
    let records: Vec<Value> = consignments
        .iter()
        .map(|consignment| {
            let text = document(consignment, 2, "claim").to_string();
            let digest = Digest::of(text.as_bytes());
            json!({ "place": consignment.id, "digest": digest, "content": { "text": text } })
        })
        .collect();
    let now = consignments.first().map(|consignment| consignment.today).ok_or("no claims")?;
    let name = format!("measured {}", std::process::id());
    let (start, cpu) = (Instant::now(), cpu_seconds()?);
    let mut position = json!(0);
    let mut counts = Value::Null;
    for batch in records.chunks(BATCH_RECORDS_MAX) {
        let input = json!({ "import": name, "position": position, "records": batch });
        let done = operate(store, customs, now, "import", input).await?;
        position = done["import"]["position"].clone();
        counts = done["import"]["counts"].clone();
    }
    tell("durable, imported in batches", records.len(), start, cpu)?;
    println!("    {counts}");
    Ok(())
}

async fn one_by_one(
    store: &Store,
    customs: &Arc<Customs>,
    consignments: &[Consignment],
) -> Outcome<()> {
    let (start, cpu) = (Instant::now(), cpu_seconds()?);
    let mut waiting = JoinSet::new();
    for consignment in consignments {
        if waiting.len() >= OFFICERS {
            waiting.join_next().await.transpose()?.transpose()?;
        }
        let (store, customs, now) = (store.clone(), Arc::clone(customs), consignment.today);
        let input = json!({ "claim": document(consignment, 2, "claim") });
        waiting.spawn(async move {
            let filed = operate(&store, &customs, now, "claim", input).await;
            // A store that is used again has some of them.
            filed.map(drop)
        });
    }
    while let Some(filed) = waiting.join_next().await {
        filed??;
    }
    tell("durable, one by one", consignments.len(), start, cpu)
}

fn tell(what: &str, count: usize, start: Instant, cpu: f64) -> Outcome<()> {
    let (elapsed, used) = (start.elapsed().as_secs_f64(), cpu_seconds()? - cpu);
    println!(
        "{what}: {count} claims in {elapsed:.2} s, {:.0} claims/s; {:.0} µs of processor time each",
        count as f64 / elapsed,
        used / count as f64 * 1e6
    );
    Ok(())
}

/// Returns the processor time of this process, user and system, in seconds.
fn cpu_seconds() -> Outcome<f64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = stat.rsplit_once(')').ok_or("no name")?;
    let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<u64>);
    Ok(ticks.sum::<Result<u64, _>>()? as f64 / TICKS_PER_SECOND)
}
