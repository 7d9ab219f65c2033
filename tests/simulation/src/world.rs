//! One run: two machines, a seed, and fate.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use karvan_system::memory::MemoryDisk;
use karvan_testkit::Dice;
use karvan_types::{ExchangeId, Timestamp};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use turmoil::Sim;
use turmoil::net::TcpStream;

use crate::machine::{self, BEGIN, Machine, Planted, Promises};
use crate::verdict;

/// Documents that each side hands in.
const DOCUMENTS: u64 = 12;
/// Acts of fate in one run.
const ACTS: u64 = 12;
/// How long after the last act everything must have arrived, in simulated time.
const SETTLE_MAX: Duration = Duration::from_mins(3);
/// A multiple of the number of lists among which a runtime spreads its tasks by their ids.
const TASK_SHARDS: u64 = 64;
/// One tick of simulated time.
const TICK: Duration = Duration::from_millis(5);

/// What one run showed.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// What was violated, in words; empty for a good run.
    pub violations: Vec<String>,
    /// What fate did.
    pub story: Vec<String>,
    /// Log sizes at the end, and how many hand-overs happened: equal for equal seeds.
    pub digest: String,
}

/// Plays one seed.
pub fn run(seed: u64, planted: Planted) -> Outcome {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    align_task_ids();
    let dice = Arc::new(Dice::new(seed));
    let federation = Arc::new(machine::federation(&dice));
    let machines: Vec<Machine> = (0..2)
        .map(|own| Machine {
            federation: Arc::clone(&federation),
            own,
            disk: MemoryDisk::new(),
            dice: Arc::clone(&dice),
            planted,
            promises: Arc::new(Mutex::new(plan(&dice, own as u64))),
            answers_lost: Arc::new(Mutex::new(false)),
            ends: Arc::default(),
        })
        .collect();
    let mut sim = turmoil::Builder::new()
        .rng_seed(seed)
        .tick_duration(TICK)
        .simulation_duration(Duration::from_hours(1))
        .min_message_latency(Duration::from_millis(1))
        .max_message_latency(Duration::from_millis(60))
        .tcp_capacity(4096)
        .build();
    for machine in &machines {
        let machine = machine.clone();
        sim.host(machine.nation().host, move || machine.clone().run());
    }
    let mut world = World { machines, dice, outcome: Outcome { seed, ..Outcome::default() } };
    world.play(&mut sim);
    drop(sim);
    let World { machines, mut outcome, .. } = world;
    for machine in &machines {
        let ends = machine.ends.lock().unwrap_or_else(PoisonError::into_inner);
        outcome.story.extend(ends.iter().cloned());
    }
    verdict::at_end(&machines, &mut outcome);
    outcome
}

/// Makes tokio's next task id a multiple of [`TASK_SHARDS`].
///
/// The ids count up through the whole process, and a runtime that is dropped, as in a crash, drops
/// its tasks in an order that follows from them: another order closes other connections first.
fn align_task_ids() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let spawned = || runtime.block_on(async { tokio::spawn(async {}).id().to_string() });
    while spawned().parse::<u64>().is_ok_and(|id| !(id + 1).is_multiple_of(TASK_SHARDS)) {}
}

fn plan(dice: &Dice, side: u64) -> Promises {
    let planned = (0..DOCUMENTS)
        .map(|number| {
            let mut random = [0; 10];
            let bytes = dice.roll().to_be_bytes();
            random.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
            let at = BEGIN.as_millis() + i64::try_from(number * 2 + side).unwrap_or(0);
            ExchangeId::new(Timestamp::from_millis(at), random)
        })
        .collect();
    Promises { planned, acknowledged: 0 }
}

struct World {
    machines: Vec<Machine>,
    dice: Arc<Dice>,
    outcome: Outcome,
}

impl World {
    fn play(&mut self, sim: &mut Sim<'_>) {
        for _ in 0..ACTS {
            self.act(sim);
            let pause = 100 + self.dice.below(1500);
            if !self.pass(sim, Duration::from_millis(pause)) {
                return;
            }
            verdict::logs(&self.machines, &mut self.outcome);
            if !self.outcome.violations.is_empty() {
                return;
            }
        }
        self.heal(sim);
        let limit = sim.elapsed() + SETTLE_MAX;
        while sim.elapsed() < limit && !verdict::settled(&self.machines) {
            if !self.pass(sim, Duration::from_secs(1)) {
                return;
            }
        }
        // The last receipts, checkpoints and cosignatures follow the last document.
        self.pass(sim, Duration::from_secs(30));
    }

    /// Lets simulated time pass; false when the simulation itself failed.
    fn pass(&mut self, sim: &mut Sim<'_>, time: Duration) -> bool {
        let until = sim.elapsed() + time;
        while sim.elapsed() < until {
            if let Err(error) = sim.step() {
                self.outcome.violations.push(format!("a machine failed: {error}"));
                return false;
            }
        }
        true
    }

    fn act(&mut self, sim: &mut Sim<'_>) {
        let which = usize::try_from(self.dice.below(2)).unwrap_or(0);
        let (machine, other) = (self.machines[which].clone(), self.machines[1 - which].clone());
        let (host, peer) = (machine.nation().host, other.nation().host);
        let act = match self.dice.below(8) {
            0 | 1 => self.crash(sim, &machine),
            2 => {
                machine.disk.stop_after(self.dice.below(12));
                self.pass(sim, Duration::from_millis(300));
                self.crash(sim, &machine)
            }
            3 => {
                sim.partition(host, peer);
                self.pass(sim, Duration::from_millis(500 + self.dice.below(4000)));
                sim.repair(host, peer);
                format!("partition of {host} and {peer}")
            }
            4 | 5 => {
                set(&machine.answers_lost, true);
                self.pass(sim, Duration::from_millis(500 + self.dice.below(4000)));
                set(&machine.answers_lost, false);
                format!("answers to {host} lost")
            }
            6 => {
                sim.hold(host, peer);
                self.pass(sim, Duration::from_millis(self.dice.below(2500)));
                sim.release(host, peer);
                format!("messages between {host} and {peer} held up")
            }
            _ => {
                let most = 5 + self.dice.below(400);
                sim.set_link_max_message_latency(host, peer, Duration::from_millis(most));
                format!("delays up to {most} ms")
            }
        };
        self.outcome.story.push(format!("{:?}: {act}", sim.elapsed()));
    }

    /// Cuts the power and gives it back after a while.
    fn crash(&mut self, sim: &mut Sim<'_>, machine: &Machine) -> String {
        let host = machine.nation().host;
        sim.crash(host);
        if self.dice.below(2) == 0 {
            machine.disk.crash();
        } else {
            machine.disk.crash_torn(self.dice.roll());
        }
        // What the power cut short is written again when the node starts.
        let _ = verdict::log(machine, &mut self.outcome);
        self.pass(sim, Duration::from_millis(self.dice.below(1500)));
        sim.bounce(host);
        format!("crash of {host}")
    }

    fn heal(&mut self, sim: &mut Sim<'_>) {
        let [a, b] = &self.machines[..] else { return };
        sim.repair(a.nation().host, b.nation().host);
        let calm = Duration::from_millis(20);
        sim.set_link_max_message_latency(a.nation().host, b.nation().host, calm);
    }
}

fn set(flag: &Mutex<bool>, value: bool) {
    *flag.lock().unwrap_or_else(PoisonError::into_inner) = value;
}

/// A connection whose answers get lost while fate wants it so: requests arrive, and are repeated.
pub(crate) struct Lossy {
    stream: TcpStream,
    lost: Arc<Mutex<bool>>,
}

impl Lossy {
    pub(crate) const fn new(stream: TcpStream, lost: Arc<Mutex<bool>>) -> Self {
        Self { stream, lost }
    }
}

impl AsyncRead for Lossy {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let poll = Pin::new(&mut self.stream).poll_read(cx, buffer);
        let lost = *self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        match poll {
            Poll::Ready(Ok(())) if lost && buffer.filled().len() > before => {
                buffer.set_filled(before);
                Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()))
            }
            poll => poll,
        }
    }
}

impl AsyncWrite for Lossy {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
