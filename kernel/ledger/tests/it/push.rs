//! Pushing checkpoints to a witness: growth, outages, restarts and a witness that knows better.

use std::path::Path;
use std::sync::{Arc, Mutex};

use karvan_evidence::cosignature;
use karvan_evidence::note::Note;
use karvan_ledger::{
    KnownLog, Refused, State, Witness, WitnessAnswer, WitnessClient, WitnessPush, WitnessRefusal,
};
use karvan_system::memory::MemoryDisk;

use crate::keys;
use crate::world::{
    ORIGIN, Running, StoppedClock, WITNESS, World, entry, pass, witness, witness_verifier,
};

/// A witness in the same process, which can be switched off.
struct Local {
    witness: Witness,
    mood: Mutex<Mood>,
}

#[derive(Clone, Copy, PartialEq)]
enum Mood {
    Good,
    Down,
    Silent,
    Liar,
}

impl Local {
    fn new() -> Arc<Self> {
        let disk = Arc::new(MemoryDisk::default());
        let (cosigner, clock) = (witness().0, Arc::new(StoppedClock));
        let witness = Witness::open("/witness".into(), disk, clock, cosigner).expect("opens");
        Arc::new(Self { witness, mood: Mutex::new(Mood::Good) })
    }

    fn set(&self, mood: Mood) {
        *self.mood.lock().expect("free") = mood;
    }

    fn answer(&self, request: &str) -> Result<String, WitnessRefusal> {
        let known = [KnownLog { verifier: Arc::new(keys::log(ORIGIN, 1).1) }];
        match self.witness.add_checkpoint(request.as_bytes(), &known) {
            Ok(lines) => Ok(lines),
            Err(Refused::Refused { refusal, .. }) => {
                Err(WitnessRefusal { status: refusal.status(), body: refusal.to_string() })
            }
            Err(Refused::Failed(error)) => {
                Err(WitnessRefusal { status: 500, body: error.to_string() })
            }
        }
    }
}

impl WitnessClient for Local {
    fn name(&self) -> &str {
        WITNESS
    }

    fn add_checkpoint(&self, request: String) -> WitnessAnswer<'_> {
        let mood = *self.mood.lock().expect("free");
        Box::pin(async move {
            match mood {
                Mood::Good => self.answer(&request),
                Mood::Down => Err(WitnessRefusal { status: 0, body: "unreachable".into() }),
                Mood::Silent => std::future::pending().await,
                Mood::Liar => {
                    let note = request.split_once("\n\n").expect("head").1;
                    let note = Note::parse(note.as_bytes()).expect("note");
                    let checkpoint = note.text().parse().expect("checkpoint");
                    let mut line = witness().0.cosign(&checkpoint, 5).expect("cosigns");
                    line.blob[40] ^= 1;
                    assert_eq!(cosignature::time(&line), Some(5));
                    Ok(line.to_string())
                }
            }
        })
    }
}

fn world() -> World {
    World::new(Arc::new(MemoryDisk::default()), Path::new("/"))
}

fn push(log: &Running, client: &Arc<Local>) {
    let client: Arc<dyn WitnessClient> = client.clone();
    let clock = Arc::new(StoppedClock);
    let push = WitnessPush::new(log.ledger.clone(), client, witness_verifier(), clock);
    tokio::spawn(push.run(std::future::pending()));
}

async fn grow(log: &Running, count: u64) {
    let from = log.ledger.size();
    log.append_many(from..from + count).await;
    log.ledger.checkpoint_now().await.expect("made");
}

#[tokio::test(start_paused = true)]
async fn checkpoints_are_cosigned_as_they_come() {
    let (world, client) = (world(), Local::new());
    let log = world.open().expect("opens");
    push(&log, &client);
    for round in 1..=3 {
        grow(&log, 300).await;
        pass(1).await;
        assert_eq!(log.ledger.state(round * 300 - 1).expect("there"), State::Witnessed);
        world.verify();
    }
    let status = log.ledger.status().witnesses;
    assert_eq!((status[0].cosigned_size, status[0].last_error.as_deref()), (900, None));
    // After a restart the push begins from what is stored.
    log.kill().await;
    let log = world.open().expect("opens");
    push(&log, &client);
    grow(&log, 5).await;
    pass(1).await;
    assert_eq!(log.ledger.state(904).expect("there"), State::Witnessed);
    world.verify();
}

#[tokio::test(start_paused = true)]
async fn a_witness_that_is_down_degrades_the_state_only() {
    for mood in [Mood::Down, Mood::Silent, Mood::Liar] {
        let (world, client) = (world(), Local::new());
        let log = world.open().expect("opens");
        push(&log, &client);
        grow(&log, 10).await;
        pass(1).await;
        client.set(mood);
        grow(&log, 10).await;
        pass(60).await;
        assert_eq!(log.ledger.state(19).expect("there"), State::Checkpointed);
        let status = log.ledger.status().witnesses;
        assert!(status[0].last_error.is_some() && !status[0].alarm);
        assert_eq!(log.ledger.append(entry(20)).await.expect("goes on"), 20);
        client.set(Mood::Good);
        pass(120).await;
        assert_eq!(log.ledger.state(20).expect("there"), State::Witnessed);
        assert_eq!(log.ledger.status().witnesses[0].last_error, None);
        world.verify();
    }
}

/// A witness that saw more of this log than there is raises an alarm.
#[tokio::test(start_paused = true)]
async fn a_lost_history_raises_an_alarm() {
    let client = Local::new();
    let first = world();
    let log = first.open().expect("opens");
    push(&log, &client);
    grow(&log, 30).await;
    pass(1).await;
    log.kill().await;
    // The same key with nothing stored: shorter, then longer but another history.
    let second = world();
    let log = second.open().expect("opens");
    push(&log, &client);
    log.ledger.append(b"other".to_vec()).await.expect("appended");
    log.ledger.checkpoint_now().await.expect("made");
    pass(1).await;
    let status = log.ledger.status().witnesses;
    assert!(status[0].alarm, "{status:?}");
    for index in 1..40 {
        log.ledger.append(entry(index)).await.expect("appended");
    }
    log.ledger.checkpoint_now().await.expect("made");
    pass(120).await;
    let status = log.ledger.status().witnesses;
    assert!(status[0].alarm && status[0].last_error.as_ref().expect("refused").contains("422"));
    assert_eq!(log.ledger.state(0).expect("there"), State::Checkpointed);
}
