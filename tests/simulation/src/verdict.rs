//! What must hold: after every act for the logs, at the end for everything.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, PoisonError};

use karvan_exchange::records::{Alarm, LeafRef, Received, Sent, SentState};
use karvan_ledger::{AuditKeys, Finding, Ledger, audit};
use karvan_store::{Error, JournalStore, Range, Store};
use karvan_system::{Disk, SystemClock};
use karvan_testkit::Seen;
use karvan_trust::notes;

use crate::machine::{LOG, Machine, SIGNED_SIZE, STATE, WITNESS, migrations};
use crate::world::Outcome;

/// Most records read at the end.
const ALL: usize = 10_000;
/// Alarms that only a defect can raise here.
const FORBIDDEN_ALARMS: [&str; 6] =
    ["lost-at-peer", "stream-forked", "log-forked", "id-reused", "document-refused", "dead-letter"];

/// What one machine's database holds at the end.
struct State {
    sent: BTreeMap<String, Sent>,
    received: BTreeMap<String, Received>,
    seen: BTreeMap<String, Seen>,
    alarms: Vec<Alarm>,
}

/// Re-verifies each machine's whole stored log.
pub(crate) fn logs(machines: &[Machine], outcome: &mut Outcome) {
    for machine in machines {
        if let Some(unfinished) = log(machine, outcome) {
            outcome.violations.push(format!("log of {}: {unfinished:?}", machine.nation().host));
        }
    }
}

/// Re-verifies the stored log of a machine that just lost its power; returns what may be left of
/// its last write.
pub(crate) fn log(machine: &Machine, outcome: &mut Outcome) -> Option<Finding> {
    let mut unfinished = None;
    let config = machine.log_config();
    let keys =
        AuditKeys { log: &*config.verifier, witnesses: &config.witnesses, signed_size_file: None };
    let host = machine.nation().host;
    match audit(Arc::new(machine.disk.clone()), Path::new(LOG), &keys) {
        Ok(report) => {
            unfinished = report.unfinished;
            for finding in report.findings {
                outcome.violations.push(format!("log of {host}: {finding:?}"));
            }
        }
        Err(error) => outcome.violations.push(format!("log of {host}: {error}")),
    }
    let conflicts = Path::new(WITNESS).join("conflicts");
    for proof in machine.disk.list(&conflicts).unwrap_or_default() {
        outcome.violations.push(format!("the witness of {host} kept a conflict: {proof}"));
    }
    unfinished
}

/// Returns whether every promised document has arrived with both receipts.
pub(crate) fn settled(machines: &[Machine]) -> bool {
    machines.iter().all(|machine| {
        let planned = {
            let promises = machine.promises.lock().unwrap_or_else(PoisonError::into_inner);
            (promises.acknowledged == promises.planned.len()).then(|| promises.planned.len())
        };
        let Some(planned) = planned else { return false };
        read(machine).is_ok_and(|state| {
            state.sent.values().filter(|sent| sent.state == SentState::Delivered).count() == planned
        })
    })
}

fn read(machine: &Machine) -> Result<State, String> {
    let store = JournalStore::open(Path::new(STATE), &machine.disk, migrations())
        .map_err(|error| error.to_string())?;
    let store = Store::new(store);
    let reading = store.read(|view| -> Result<State, Error> {
        let sent = view.select::<Sent>(&Range::all(ALL))?;
        let received = view.select::<Received>(&Range::all(ALL))?;
        let seen = view.select::<Seen>(&Range::all(ALL))?;
        let id = |exchange: karvan_types::ExchangeId| exchange.to_string();
        Ok(State {
            sent: sent.into_iter().map(|s| (id(s.envelope.exchange), s)).collect(),
            received: received.into_iter().map(|r| (id(r.envelope.exchange), r)).collect(),
            seen: seen.into_iter().map(|s| (s.exchange.clone(), s)).collect(),
            alarms: view.select::<Alarm>(&Range::all(ALL))?,
        })
    });
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    runtime.block_on(reading).map_err(|error| error.to_string())
}

/// Judges the end of a run.
pub(crate) fn at_end(machines: &[Machine], outcome: &mut Outcome) {
    logs(machines, outcome);
    let states: Vec<_> = machines.iter().map(read).collect();
    let [Ok(first), Ok(second)] = &states[..] else {
        outcome.violations.push("a database cannot be read at the end".to_owned());
        return;
    };
    for (machine, own, other) in [(&machines[0], first, second), (&machines[1], second, first)] {
        let promises = machine.promises.lock().unwrap_or_else(PoisonError::into_inner);
        if promises.acknowledged < promises.planned.len() {
            let host = machine.nation().host;
            outcome.violations.push(format!("{host} stopped taking documents"));
        }
        for exchange in promises.planned.iter().take(promises.acknowledged) {
            document(&exchange.to_string(), own, other, &mut outcome.violations);
        }
        order(own, &mut outcome.violations);
        for alarm in &own.alarms {
            if FORBIDDEN_ALARMS.contains(&alarm.code.as_str()) {
                outcome.violations.push(format!("alarm {}: {}", alarm.code, alarm.text));
            }
        }
        entries(machine, own, &mut outcome.violations);
    }
    outcome.violations.sort();
    outcome.violations.dedup();
    outcome.digest = format!(
        "{} and {} hand-overs, {} and {} alarms",
        first.seen.len(),
        second.seen.len(),
        first.alarms.len(),
        second.alarms.len()
    );
}

/// INV-1, INV-2, INV-5, INV-6: acknowledged, so delivered, once, with the same evidence on both
/// sides.
fn document(id: &str, own: &State, other: &State, violations: &mut Vec<String>) {
    let Some(sent) = own.sent.get(id) else {
        violations.push(format!("document {id} was acknowledged and is lost at the sender"));
        return;
    };
    if sent.state != SentState::Delivered || sent.relay.is_none() || sent.handover.is_none() {
        violations.push(format!("document {id} is {:?} at the sender at the end", sent.state));
    }
    match other.seen.get(id) {
        None => violations.push(format!("document {id} was never handed over")),
        Some(seen) if seen.times != 1 => {
            violations.push(format!("document {id} was handed over {} times", seen.times));
        }
        Some(_) => {}
    }
    let Some(received) = other.received.get(id) else {
        violations.push(format!("document {id} is lost at the receiver"));
        return;
    };
    let texts = |leaves: &[LeafRef]| {
        let mut texts: Vec<_> = leaves.iter().map(|leaf| leaf.entry.clone()).collect();
        texts.sort();
        texts
    };
    if texts(&sent.leaves) != texts(&received.leaves) {
        violations.push(format!("document {id} has other log entries on the two sides"));
    }
}

/// Hand-over follows the order of the stream.
fn order(own: &State, violations: &mut Vec<String>) {
    let mut streams: BTreeMap<String, Vec<(u64, u64)>> = BTreeMap::new();
    for (id, seen) in &own.seen {
        let Some(received) = own.received.get(id) else {
            violations.push(format!("document {id} had an effect without an inbox row"));
            continue;
        };
        let stream = streams.entry(received.envelope.stream()).or_default();
        stream.push((received.envelope.sequence, seen.order));
    }
    for (stream, mut numbers) in streams {
        numbers.sort_unstable();
        if !numbers.is_sorted_by_key(|(_, order)| *order) {
            violations.push(format!("stream {stream} was handed over out of order"));
        }
    }
}

/// Every entry that a record names is in the log, at its index.
fn entries(machine: &Machine, own: &State, violations: &mut Vec<String>) {
    let nation = machine.nation();
    let signer = notes::log_signer(&nation.origin, &nation.log_key, nation.keys.clone());
    let disk: Arc<dyn Disk> = Arc::new(machine.disk.clone());
    let signer = Arc::new(signer.expect("an Ed25519 key"));
    let mut config = machine.log_config();
    config.faults = karvan_ledger::Faults::default();
    debug_assert!(config.signed_size_file.ends_with("signed-size"), "{SIGNED_SIZE}");
    let ledger = match Ledger::open(config, disk, Arc::new(SystemClock), signer) {
        Ok((ledger, _task)) => ledger,
        Err(error) => {
            violations.push(format!("the log of {} does not open: {error}", nation.host));
            return;
        }
    };
    let sent = own.sent.values().flat_map(|sent| &sent.leaves);
    for leaf in sent.chain(own.received.values().flat_map(|received| &received.leaves)) {
        match ledger.entry(leaf.index) {
            Ok(entry) if entry == leaf.entry.as_bytes() => {}
            _ => violations.push(format!("entry {} of {} is another", leaf.index, nation.host)),
        }
    }
}
