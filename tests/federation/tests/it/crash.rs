//! Two nodes as processes, either killed with SIGKILL at any instant while documents go both ways.
//!
//! Nothing acknowledged is lost (INV-1), nothing is handed over twice (INV-2), both logs audit
//! clean, and what the other nation cosigned is a prefix of the log (INV-4).
//!
//! A killed process keeps what it gave to the operating system, so this tests recovery and order,
//! not durability on power loss; the simulation does that.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt as _};
use karvan_evidence::Checkpoint;
use karvan_evidence::note::Note;
use karvan_evidence::tree::{Tree, leaf_hash};
use karvan_exchange::records::{Alarm, Received, Sent, SentState};
use karvan_federation::{AZ, Agency, PK, Process, World, migrations, until};
use karvan_ledger::{AuditKeys, Ledger, audit};
use karvan_store::{Error, Range, SqliteStore, Store};
use karvan_system::{OsDisk, SystemClock};
use karvan_testkit::{Dice, HANDLED, Seen};
use karvan_trust::notes;
use karvan_types::{Digest, ExchangeId, Timestamp};
use tokio::sync::{mpsc, watch};

/// Runs by default; `KARVAN_CRASH_SEEDS` sets another number, `KARVAN_CRASH_FIRST` the first seed.
const SEEDS: u64 = 20;
/// Documents that each side hands in.
const DOCUMENTS: usize = 250;
/// Documents that one side hands in at once.
const AT_ONCE: usize = 16;
/// Kills in one run.
const KILLS: u64 = 6;
/// Runs at the same time.
const PARALLEL: usize = 4;
/// Most records read.
const ALL: usize = 10_000;
/// Alarms that only a defect can raise here.
const FORBIDDEN: [&str; 6] =
    ["lost-at-peer", "stream-forked", "log-forked", "id-reused", "document-refused", "dead-letter"];

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inv_1_inv_2_and_inv_4_nothing_is_lost_or_doubled_when_nodes_are_killed() {
    let first = setting("KARVAN_CRASH_FIRST", 1);
    let seeds = first..first + setting("KARVAN_CRASH_SEEDS", SEEDS);
    let runs = stream::iter(seeds).map(async |seed| (seed, run(seed).await));
    let mut runs = Box::pin(runs.buffer_unordered(PARALLEL));
    while let Some((seed, outcome)) = runs.next().await {
        match outcome {
            Ok(story) => println!("seed {seed}: {story}"),
            Err(error) => panic!("seed {seed}: {error:#}"),
        }
    }
}

/// One side's agency: what it hands in, and where its node is now.
struct Side {
    agency: watch::Receiver<Agency>,
    planned: Vec<ExchangeId>,
    to: karvan_types::MemberId,
}

impl Side {
    /// Hands everything in; a document counts once its node has acknowledged it.
    async fn feed(self, acknowledged: mpsc::Sender<()>) {
        let Self { agency, planned, to } = &self;
        let feeding = planned.chunks(DOCUMENTS.div_ceil(AT_ONCE)).map(async |documents| {
            for id in documents {
                let accepted = async || {
                    let now = agency.borrow().clone();
                    let answer = now.try_submit(to, HANDLED, *id, id.to_string()).await.ok()?;
                    (answer.status == 202).then_some(())
                };
                until("a document is accepted", accepted).await;
                let _ = acknowledged.send(()).await;
            }
        });
        join_all(feeding).await;
    }
}

/// Plays one seed.
async fn run(seed: u64) -> Result<String> {
    let world = World::new(seed);
    world.write_paper();
    let dice = Dice::new(seed ^ 0x6b69_6c6c);
    let program = Path::new(env!("CARGO_BIN_EXE_karvan-test-node"));
    let mut processes = [AZ, PK].map(|own| Process::new(&world, own, program));
    let mut agencies = Vec::new();
    for process in &mut processes {
        agencies.push(watch::Sender::new(process.start().await?));
    }
    let (acknowledge, mut acknowledged) = mpsc::channel(DOCUMENTS);
    let planned = [AZ, PK].map(|_| plan(&dice));
    let mut feeding = Vec::new();
    for (own, agency) in agencies.iter().enumerate() {
        let side = Side {
            agency: agency.subscribe(),
            planned: planned[own].clone(),
            to: world.nation(1 - own).member.clone(),
        };
        feeding.push(side.feed(acknowledge.clone()));
    }
    drop(acknowledge);
    let killing = async {
        let mut story = String::new();
        let mut due = kills(&dice);
        let mut count = 0;
        while acknowledged.recv().await.is_some() {
            count += 1;
            while due.first().is_some_and(|(at, _)| *at <= count) {
                let (at, own) = due.remove(0);
                // Not only right after an acknowledgement.
                let pause = std::time::Duration::from_micros(dice.below(20_000));
                tokio::time::sleep(pause).await;
                processes[own].kill().await?;
                agencies[own].send_replace(processes[own].start().await?);
                write!(story, "{} at {at}, ", world.nation(own).host)?;
            }
        }
        anyhow::Ok((story, count))
    };
    let (killed, _) = tokio::join!(killing, join_all(feeding));
    let (story, count) = killed?;
    for agency in &agencies {
        let agency = agency.borrow().clone();
        agency.wait_for_count("/sent/delivered", DOCUMENTS as u64).await;
        // The push to the witness may just be backing off.
        let cosigned =
            async || agency.status().await.pointer("/evidence/log/witnessed")?.as_u64().map(drop);
        until("the other nation has cosigned", cosigned).await;
    }
    for process in &mut processes {
        process.kill().await?;
    }
    for own in [AZ, PK] {
        check_documents(&world, own, &planned).await?;
        check_log(&world, own)?;
    }
    Ok(format!("killed {story}all {count} acknowledged documents delivered once"))
}

fn plan(dice: &Dice) -> Vec<ExchangeId> {
    let random = || std::array::from_fn(|_| u8::try_from(dice.below(256)).unwrap_or(0));
    (0..DOCUMENTS).map(|_| ExchangeId::new(Timestamp::from_seconds(1), random())).collect()
}

/// Draws after how many acknowledgements which node is killed.
fn kills(dice: &Dice) -> Vec<(usize, usize)> {
    let draw = |_| {
        let at = usize::try_from(dice.below(2 * DOCUMENTS as u64)).unwrap_or(0);
        (at, usize::try_from(dice.below(2)).unwrap_or(0))
    };
    let mut kills: Vec<_> = (0..KILLS).map(draw).collect();
    kills.sort_unstable();
    kills
}

struct State {
    sent: BTreeMap<String, Sent>,
    received: BTreeMap<String, Received>,
    seen: BTreeMap<String, Seen>,
    alarms: Vec<Alarm>,
}

async fn state(world: &World, own: usize) -> Result<State> {
    let store = Store::new(SqliteStore::open(&world.folder(own).join("state"), migrations())?);
    let state = store.read(|view| -> Result<State, Error> {
        let sent = view.select::<Sent>(&Range::all(ALL))?;
        let received = view.select::<Received>(&Range::all(ALL))?;
        let seen = view.select::<Seen>(&Range::all(ALL))?;
        let id = |exchange: ExchangeId| exchange.to_string();
        Ok(State {
            sent: sent.into_iter().map(|sent| (id(sent.envelope.exchange), sent)).collect(),
            received: received.into_iter().map(|r| (id(r.envelope.exchange), r)).collect(),
            seen: seen.into_iter().map(|seen| (seen.exchange.clone(), seen)).collect(),
            alarms: view.select::<Alarm>(&Range::all(ALL))?,
        })
    });
    Ok(state.await?)
}

/// Everything that one side acknowledged is delivered at both, once, in order.
async fn check_documents(world: &World, own: usize, planned: &[Vec<ExchangeId>; 2]) -> Result<()> {
    let (here, there) = (state(world, own).await?, state(world, 1 - own).await?);
    for id in planned[own].iter().map(ToString::to_string) {
        let sent = here.sent.get(&id).with_context(|| format!("{id} is lost at its sender"))?;
        ensure!(sent.state == SentState::Delivered, "{id} is {:?}", sent.state);
        ensure!(sent.relay.is_some() && sent.handover.is_some(), "{id} lacks a receipt");
        let seen = there.seen.get(&id).with_context(|| format!("{id} was never handed over"))?;
        ensure!(seen.times == 1, "{id} was handed over {} times", seen.times);
        let received = there.received.get(&id).with_context(|| format!("{id} has no inbox row"))?;
        let texts = |leaves: &[karvan_exchange::records::LeafRef]| {
            let mut texts: Vec<_> = leaves.iter().map(|leaf| leaf.entry.clone()).collect();
            texts.sort();
            texts
        };
        ensure!(
            texts(&sent.leaves) == texts(&received.leaves),
            "{id} has other log entries on the two sides"
        );
    }
    ensure!(there.seen.len() == DOCUMENTS, "{} documents had an effect", there.seen.len());
    let mut order: Vec<_> = there
        .seen
        .values()
        .filter_map(|seen| {
            Some((there.received.get(&seen.exchange)?.envelope.sequence, seen.order))
        })
        .collect();
    order.sort_unstable();
    ensure!(order.is_sorted_by_key(|(_, order)| *order), "handed over out of order");
    for alarm in &here.alarms {
        ensure!(!FORBIDDEN.contains(&alarm.code.as_str()), "{}: {}", alarm.code, alarm.text);
    }
    Ok(())
}

/// The log is whole, and what the other nation cosigned last is a prefix of it.
fn check_log(world: &World, own: usize) -> Result<()> {
    let settings = world.settings(own);
    let (nation, other) = (world.nation(own), world.nation(1 - own));
    let keys = AuditKeys {
        log: &*settings.log.verifier,
        witnesses: &settings.log.witnesses,
        signed_size_file: Some(&settings.log.signed_size_file),
    };
    let report = audit(Arc::new(OsDisk), &settings.log.dir, &keys)?;
    ensure!(report.is_good(), "log of {}: {report:?}", nation.host);

    let witness = world.folder(1 - own).join("witness");
    ensure!(
        std::fs::read_dir(witness.join("conflicts")).map_or(0, Iterator::count) == 0,
        "the witness of {} kept a conflict",
        other.host
    );
    let saved = witness.join(Digest::of(nation.origin.as_bytes()).to_string()).join("checkpoint");
    let note = Note::parse(&std::fs::read(&saved).context("what the witness saw last")?)?;
    let cosigned: Checkpoint = note.text().parse()?;
    let signer = notes::log_signer(&nation.origin, &nation.log_key, nation.keys.clone())?;
    let (log, _task) =
        Ledger::open(settings.log, Arc::new(OsDisk), Arc::new(SystemClock), Arc::new(signer))?;
    ensure!(cosigned.size <= log.size(), "{} entries cosigned, {} here", cosigned.size, log.size());
    let mut tree = Tree::new();
    for index in 0..cosigned.size {
        tree.push(leaf_hash(&log.entry(index)?), &mut Vec::new());
    }
    ensure!(tree.root() == cosigned.root, "the cosignature covers another history");
    ensure!(cosigned.size > 0, "nothing was cosigned");
    Ok(())
}
