//! Measures claims against a store with many certificates and export declarations.
//!
//!     cargo run --release -p karvan-customs --example claim_speed -- \\
//!         [--records N] [--claims N] [--folder FOLDER] [--only PART]
//!
//! Fills a store with as many certificates and export declarations (100,000 unless given). Of some
//! consignments all over it, 40,000 or all, both documents are *received* like those of a partner,
//! with everything that follows from it: message, history, lines of trade, risk score; these are
//! claimed. The others are stored without that. A folder that is given is kept and used again, each
//! time for claims that were not filed yet. Then it says, or only the PART that is named,
//!
//! - `in-process`: how many claims a second are matched and computed on two threads, each reading
//!   certificate, export declaration, ledger and tariff from the store; nothing is written and the
//!   claim itself was read before;
//! - `imported`: how many claims a second are imported in batches through SQLite, from JSON text to
//!   the commit, on the one thread that writes;
//! - `one-by-one`: the same for claims that are filed by 64 officers at a time, each waiting for
//!   the commit.
//!
//! and sets the figures beside the aims. Processor time is that of the whole process by
//! `/proc/self/stat`; the machine's other work does not count in it, which makes it the figure to
//! compare.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{env, error, fs};

use karvan_customs::bulk::BATCH_RECORDS_MAX;
use karvan_customs::certificate::{Certificate, CertificateNumber, Delivery, Version};
use karvan_customs::claim::Claim;
use karvan_customs::export::Export;
use karvan_customs::messages::{FunctionCode, Message, SharingLevel};
use karvan_customs::relief::DEFAULT_IMPORTER;
use karvan_customs::samples::{Consignment, chosen, each};
use karvan_customs::states::Status;
use karvan_customs::subsystem::{Config, Customs, ISSUER_ROLE};
use karvan_store::{SqliteStore, Store, Tx};
use karvan_subsystem::{Caller, Context, Document, Rejection, Subsystem};
use karvan_types::{AgreementRef, Digest, ExchangeId, MemberId, Timestamp};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::aim::{Aim, load_average};

#[path = "shared/aim.rs"]
mod aim;

/// That of the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Outcome<T> = Result<T, Box<dyn error::Error + Send + Sync>>;

const SEED: u64 = 2026;
/// Certificates, and as many export declarations, unless given.
const RECORDS: usize = 100_000;
/// Name of the file that says how many records a folder was filled with.
const FILLED: &str = "filled";
/// Consignments stored in one transaction.
const FILL_BATCH: usize = 1_000;
/// Consignments of which the documents are received, when there are more.
const RECEIVED: usize = 40_000;
/// Who issues the certificates.
const ISSUER: &str = "AZ/GOV/AMCM";
/// Who sends the export declarations.
const PARTNER: &str = "AZ/GOV/SCC/customs";
/// Officers who file at one time.
const OFFICERS: usize = 64;
/// Parts of the measurement.
const IN_PROCESS: &str = "in-process";
const IMPORTED: &str = "imported";
const ONE_BY_ONE: &str = "one-by-one";
const PARTS: [&str; 3] = [IN_PROCESS, IMPORTED, ONE_BY_ONE];
/// Claims a second that are aimed at, in process and durable.
const IN_PROCESS_AIM: f64 = 5_000.0;
const DURABLE_AIM: f64 = 1_000.0;
/// Clock ticks of `/proc` per second on Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// What was asked for.
struct Asked {
    records: Option<usize>,
    claims: usize,
    folder: Option<PathBuf>,
    only: Option<String>,
}

impl Asked {
    fn read() -> Outcome<Self> {
        let mut asked = Self { records: None, claims: 20_000, folder: None, only: None };
        let mut arguments = env::args().skip(1);
        while let Some(name) = arguments.next() {
            let value = arguments.next().ok_or_else(|| format!("give `{name}` a value"))?;
            match name.as_str() {
                "--records" => asked.records = Some(value.parse()?),
                "--claims" => asked.claims = value.parse()?,
                "--folder" => asked.folder = Some(value.into()),
                "--only" if PARTS.contains(&value.as_str()) => asked.only = Some(value),
                "--only" => return Err(format!("`--only` takes {}", PARTS.join(", ")).into()),
                _ => return Err(format!("no argument `{name}`; see the head of this file").into()),
            }
        }
        Ok(asked)
    }

    /// Returns how many records the store in a folder has, or is to have.
    fn records_in(&self, folder: &Path) -> Outcome<usize> {
        let Ok(there) = fs::read_to_string(folder.join(FILLED)) else {
            return Ok(self.records.unwrap_or(RECORDS));
        };
        let there = there.parse()?;
        if self.records.is_some_and(|records| records != there) {
            let shown = folder.display();
            return Err(format!("{shown} has {there} records; give another folder").into());
        }
        Ok(there)
    }

    fn wants(&self, part: &str) -> bool {
        self.only.as_deref().is_none_or(|only| only == part)
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Outcome<()> {
    let asked = Asked::read()?;
    let temporary = tempfile::tempdir()?;
    let folder = asked.folder.clone().unwrap_or_else(|| temporary.path().to_owned());
    let records = asked.records_in(&folder)?;
    let customs = Arc::new(Customs::new(config()?)?);
    let store = Store::new(SqliteStore::open(&folder, customs.migrations())?);
    fill(&store, &folder, &customs, records).await?;
    println!("load {} when the measurement begins", load_average());
    let consignments = unclaimed(&folder, records, asked.claims)?;
    let (batched, single) = consignments.split_at(consignments.len() / 2);
    if asked.wants(IN_PROCESS) {
        in_process(&store, &customs, &consignments).await?;
    }
    if asked.wants(IMPORTED) {
        durable(&store, &customs, batched).await?;
    }
    if asked.wants(ONE_BY_ONE) {
        one_by_one(&store, &customs, single).await?;
    }
    Ok(())
}

fn config() -> Outcome<Config> {
    Ok(Config {
        customs: "PK/GOV/FBR/customs".parse()?,
        issuers: Vec::new(),
        partner: PARTNER.parse()?,
        agreement: "AZ-PK-PTA".to_owned(),
        sharing_level: SharingLevel::L2,
        go_live: "2025-01-01".parse()?,
        compare_every_seconds: None,
        filed_late_days: None,
    })
}

fn document(consignment: &Consignment, step: usize, member: &str) -> Value {
    consignment.steps.get(step).map(|step| step.input[member].clone()).unwrap_or_default()
}

fn version<T>(at: Timestamp, content: T) -> Version<T> {
    let function = FunctionCode::Original;
    Version { exchange: None, at, function, digest: Digest::of(b"measured"), content }
}

/// One consignment as the importing side comes to know it.
enum Papers {
    /// Stored as they are.
    Stored(Box<(Certificate, Export)>),
    /// Received from the partner.
    Received { number: u64, at: Timestamp, certificate: String, export: String },
}

/// Makes the papers of the consignment with a number.
fn papers(number: usize, is_received: bool, consignment: &Consignment) -> Outcome<Papers> {
    let at = consignment.today;
    let coo = document(consignment, 0, "certificate").to_string();
    let exd = document(consignment, 1, "declaration").to_string();
    if is_received {
        let number = u64::try_from(number)?;
        return Ok(Papers::Received { number, at, certificate: coo, export: exd });
    }
    let Message::Certificate(coo) = Message::parse("COO", coo.as_bytes())? else {
        return Err("no certificate".into());
    };
    let Message::Export(exd) = Message::parse("EXD", exd.as_bytes())? else {
        return Err("no export declaration".into());
    };
    let number = CertificateNumber::parse(&coo.header.id)?;
    let issuer: MemberId = ISSUER.parse()?;
    let certificate = Certificate::new(number, issuer, Delivery::Received, version(at, *coo))?;
    let export = Export {
        number: exd.header.id.clone(),
        country: "AZ".parse()?,
        sender: PARTNER.parse()?,
        status: Status::default(),
        delivery: Delivery::Received,
        versions: vec![version(at, *exd)],
    };
    Ok(Papers::Stored(Box::new((certificate, export))))
}

/// Takes a document of the partner in.
fn receive(
    customs: &Customs,
    tx: &mut dyn Tx,
    (code, sender): (&str, &str),
    (number, at): (u64, Timestamp),
    body: &str,
) -> Result<(), Rejection> {
    let bad = |error: &dyn error::Error| {
        Rejection::new(karvan_types::ErrorKind::Internal, "measured", error.to_string())
    };
    let mut serial = 0_u8;
    let mut id = || {
        serial = serial.wrapping_add(1);
        let own = [u8::from(code == "EXD"), serial];
        let mut bytes = number.to_be_bytes().into_iter().chain(own);
        ExchangeId::new(at, std::array::from_fn(|_| bytes.next().unwrap_or_default()))
    };
    let exchange = id();
    let sender: MemberId = sender.parse().map_err(|error| bad(&error))?;
    let roles = [ISSUER_ROLE.to_owned()];
    let agreement =
        AgreementRef { id: "measured".to_owned(), version: 1, digest: Digest::of(b"measured") };
    let document = Document {
        exchange,
        agreement: &agreement,
        sender: &sender,
        sender_roles: if code == "COO" { &roles } else { &[] },
        recipient: &customs.config().customs,
        code,
        signed_at: at,
        digest: Digest::of(body.as_bytes()),
        sharing_level: Some("L2"),
        body: body.as_bytes(),
    };
    customs.receive(&mut Context::new(tx, at, &mut id), &document)
}

/// Every so many consignments one is received and claimed.
fn stride(records: usize) -> usize {
    (records / RECEIVED).max(1)
}

/// Fills the store: one thread makes, the store's own writes.
async fn fill(store: &Store, folder: &Path, customs: &Arc<Customs>, records: usize) -> Outcome<()> {
    let marker = folder.join(FILLED);
    if marker.exists() {
        println!("the store in {} is filled already", folder.display());
        return Ok(());
    }
    let (start, cpu) = (Instant::now(), cpu_seconds()?);
    let (sender, mut receiver) = tokio::sync::mpsc::channel(2);
    let making = tokio::task::spawn_blocking(move || -> Outcome<()> {
        let mut consignments = each(SEED).take(records).enumerate();
        loop {
            let batch = consignments.by_ref().take(FILL_BATCH);
            let batch = batch.map(|(n, c)| papers(n, n % stride(records) == 0, &c));
            let batch = batch.collect::<Outcome<Vec<_>>>()?;
            if batch.is_empty() || sender.blocking_send(batch).is_err() {
                return Ok(());
            }
        }
    });
    while let Some(batch) = receiver.recv().await {
        let customs = Arc::clone(customs);
        store.write(move |tx| batch.iter().try_for_each(|p| take(&customs, tx, p))).await?;
    }
    making.await??;
    fs::write(&marker, records.to_string())?;
    println!(
        "filled with {records} certificates and {records} export declarations in {:.0} s, {:.0} s \
         of processor time, {} MiB",
        start.elapsed().as_secs_f64(),
        cpu_seconds()? - cpu,
        fs::metadata(folder.join("state.db"))?.len() / (1024 * 1024),
    );
    Ok(())
}

fn take(customs: &Customs, tx: &mut dyn Tx, papers: &Papers) -> Result<(), Rejection> {
    match papers {
        Papers::Stored(papers) => {
            let (certificate, export) = &**papers;
            tx.save(certificate)?;
            export.store(tx)?;
            Ok(())
        }
        Papers::Received { number, at, certificate, export } => {
            receive(customs, tx, ("COO", ISSUER), (*number, *at), certificate)?;
            receive(customs, tx, ("EXD", PARTNER), (*number, *at), export)
        }
    }
}

/// Returns consignments from all over the store, in no order, that no run before claimed.
fn unclaimed(folder: &Path, records: usize, claims: usize) -> Outcome<Vec<Consignment>> {
    let marker = folder.join("claimed");
    let before = fs::read_to_string(&marker).unwrap_or_default().parse().unwrap_or(0_usize);
    let count = records.div_ceil(stride(records));
    if before + claims > count {
        return Err(format!("{before} of {count} are claimed already; fill another folder").into());
    }
    fs::write(&marker, (before + claims).to_string())?;
    // A step that shares no factor with the count visits all of them in no order.
    let numbers = (before..before + claims).map(|at| at * 7919 % count * stride(records));
    Ok(chosen(SEED, numbers).collect())
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
            arrived: None,
            paid: None,
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
    let mut best = 0.0_f64;
    for round in ["first round", "second round"] {
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
        best = best.max(tell(&format!("in process, {round}"), count, start, cpu)?);
    }
    aim("in process, the better round", best, IN_PROCESS_AIM);
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
    let rate = tell("durable, imported in batches", records.len(), start, cpu)?;
    println!("    {counts}");
    aim("durable, imported", rate, DURABLE_AIM);
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
        waiting.spawn(async move { operate(&store, &customs, now, "claim", input).await });
    }
    while let Some(filed) = waiting.join_next().await {
        filed??;
    }
    tell("durable, one by one", consignments.len(), start, cpu).map(drop)
}

fn aim(what: &'static str, seen: f64, wanted: f64) {
    Aim { what, seen, wanted, is_most: false, unit: "claims/s" }.tell();
}

/// Prints what was done since an instant; returns how much of it each second.
fn tell(what: &str, count: usize, start: Instant, cpu: f64) -> Outcome<f64> {
    let (elapsed, used) = (start.elapsed().as_secs_f64(), cpu_seconds()? - cpu);
    println!(
        "{what}: {count} claims in {elapsed:.2} s, {:.0} claims/s; {:.0} µs of processor time each",
        count as f64 / elapsed,
        used / count as f64 * 1e6
    );
    Ok(count as f64 / elapsed)
}

/// Returns the processor time of this process, user and system, in seconds.
fn cpu_seconds() -> Outcome<f64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = stat.rsplit_once(')').ok_or("no name")?;
    let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<u64>);
    Ok(ticks.sum::<Result<u64, _>>()? as f64 / TICKS_PER_SECOND)
}
