//! Sends what waits in the outbox, asks for decisions, and ends what came to its deadline.
//!
//! Invariants: a message is sent again only when there is evidence that it did not arrive; a
//! process that is over sends nothing but the message that ended it; a step that can never be
//! told is taken back, with the reason.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use karvan_dataspace::message::from_slice;
use karvan_dataspace::negotiation::ContractNegotiation;
use karvan_dataspace::transfer::TransferProcess;
use karvan_store::{Range, Tx};
use karvan_types::Timestamp;
use tokio::task::JoinSet;

use crate::Error;
use crate::decide::Decision;
use crate::engine::Engine;
use crate::line::Parcel;
use crate::push::is_ours;
use crate::records::{Message, Process, Side, Stage, Why};
use crate::step::too_late;

/// Most rows looked at in one round.
const BATCH_MAX: usize = 256;
/// After which time a push is looked at again: it is gone only when this node had died.
const PUSH_LOOK: Duration = Duration::from_mins(1);
/// How long it sleeps when nothing is due.
const IDLE: Duration = Duration::from_secs(5);
/// Longest text of a peer's refusal that is kept, in characters.
const TROUBLE_CHARACTERS_MAX: usize = 500;
/// What stands before the agreement's digest in the outbox row of a withdrawal.
pub(crate) const WITHDRAWAL_PREFIX: &str = "withdrawal:";

/// A message or push under way; dropped when it is done, also by a defect.
struct Flight(Arc<Engine>, String);

impl Drop for Flight {
    fn drop(&mut self) {
        self.0.flying.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.1);
        self.0.wake.notify_one();
    }
}

/// What came of an attempt.
enum Outcome {
    /// The other side has it; this is its answer.
    Taken(Bytes),
    /// It may be sent again.
    NotYet(String),
    /// It is refused.
    Refused(String),
}

impl Engine {
    /// Runs until the node's store fails. Dropping the future stops it; nothing is lost.
    pub async fn run(self: Arc<Self>) -> Result<(), Error> {
        let mut tasks = JoinSet::new();
        loop {
            while let Some(ended) = tasks.try_join_next() {
                if let Ok(Err(error)) = ended {
                    return Err(error);
                }
            }
            let next = self.round(&mut tasks).await?;
            let now = self.node.now();
            let pause = next.map_or(IDLE, |next| next.since(now).min(IDLE));
            let _ = tokio::time::timeout(pause, self.wake.notified()).await;
        }
    }

    /// Does what is due, and returns when the next thing is.
    async fn round(
        self: &Arc<Self>,
        tasks: &mut JoinSet<Result<(), Error>>,
    ) -> Result<Option<Timestamp>, Error> {
        let due = Range { index: Some("due"), ..Range::all(BATCH_MAX) }.from(i64::MIN);
        let processes = due.clone();
        let (messages, processes) = self
            .node
            .store()
            .read(move |view| -> Result<_, Error> {
                Ok((view.select::<Message>(&due)?, view.select::<Process>(&processes)?))
            })
            .await?;
        let now = self.node.now();
        let mut next: Option<Timestamp> = None;
        let mut later = |at: Timestamp| next = Some(next.map_or(at, |known| known.min(at)));
        for message in messages {
            let Some(sending) = &message.sending else { continue };
            if sending.due_at > now {
                later(sending.due_at);
            } else if let Some(flight) = self.take_off(format!("message {}", message.number)) {
                let engine = Arc::clone(self);
                tasks.spawn(async move {
                    let _flight = flight;
                    engine.deliver(message).await
                });
            }
        }
        for process in processes {
            match process.due() {
                Some(at) if at > now => later(at),
                Some(_) if is_ours(&process) && self.decide.pushes() && now < process.deadline => {
                    // It may take long, and the others must not wait for it.
                    if let Some(flight) = self.take_off(process.pid.clone()) {
                        let engine = Arc::clone(self);
                        tasks.spawn(async move {
                            let _flight = flight;
                            engine.push_and_complete(&process).await
                        });
                    }
                }
                Some(_) => {
                    if let Err(error) = self.settle(&process, now).await {
                        self.postpone(&process, &error, now).await?;
                    }
                    // There may be more, and what was decided is to be sent.
                    later(now);
                }
                None => {}
            }
        }
        Ok(next)
    }

    /// Returns the only flight of this name, or nothing while there is one.
    fn take_off(self: &Arc<Self>, name: String) -> Option<Flight> {
        let mut flying = self.flying.lock().unwrap_or_else(PoisonError::into_inner);
        flying.insert(name.clone()).then(|| Flight(Arc::clone(self), name))
    }

    /// Takes a process that is being pushed out of what is due, until this node might have died.
    async fn look_again_later(&self, process: &Process) -> Result<(), Error> {
        let (pid, moves) = (process.pid.clone(), process.moves);
        let at = self.node.now().plus(PUSH_LOOK);
        self.node
            .store()
            .write(move |tx| -> Result<(), Error> {
                match tx.find::<Process>(pid)? {
                    Some(mut process) if process.moves == moves => {
                        process.decide_at = Some(at);
                        Ok(tx.save(&process)?)
                    }
                    _ => Ok(()),
                }
            })
            .await
    }

    /// Sends the documents of a transfer, and says that they went.
    async fn push_and_complete(self: &Arc<Self>, process: &Process) -> Result<(), Error> {
        let moves = Some(process.moves);
        let pushed = async {
            self.look_again_later(process).await?;
            let dataset = self.dataset(&process.dataset).await?;
            if self.push(process, dataset.as_ref()).await? {
                self.step_from(&process.pid, moves, Decision::Complete, "rule:pushed").await?;
            }
            Ok::<(), Error>(())
        };
        match pushed.await {
            Ok(()) => Ok(()),
            Err(error) => self.postpone(process, &error, self.node.now()).await,
        }
    }

    /// Takes the next step of a process that is due.
    async fn settle(self: &Arc<Self>, process: &Process, now: Timestamp) -> Result<(), Error> {
        if now >= process.deadline {
            let why = Decision::Terminate(too_late(process, now));
            return self
                .step_from(&process.pid, Some(process.moves), why, "rule:deadline")
                .await
                .map(drop);
        }
        let dataset = match process.side {
            Side::Provider => self.dataset(&process.dataset).await?,
            Side::Consumer => None,
        };
        let decision = self.decide.decide(process, dataset.as_ref(), process.visit());
        self.step_from(&process.pid, Some(process.moves), decision, self.decide.name())
            .await
            .map(drop)
    }

    /// Notes why a step could not be taken: tried again soon, or left to a person.
    async fn postpone(
        &self,
        process: &Process,
        error: &Error,
        now: Timestamp,
    ) -> Result<(), Error> {
        let soon = error.code() == "peer-pid-unknown" || error.code() == "message-pending";
        let (code, text) = (error.code().to_owned(), error.to_string());
        if !soon {
            tracing::warn!(process = %process.pid, code, "a step was not taken: {text}");
        }
        let (pid, moves, pause) = (process.pid.clone(), process.moves, self.config.retry_first);
        let deadline = process.deadline <= now;
        self.node
            .store()
            .write(move |tx| -> Result<(), Error> {
                let Some(mut process) = tx.find::<Process>(pid)? else { return Ok(()) };
                if process.moves != moves {
                    return Ok(());
                }
                if deadline {
                    // Nobody can be told any more.
                    process.stage = process.stage.terminated();
                    process.cause = Some(Why::new("deadline", text));
                } else if soon {
                    process.decide_at = Some(now.plus(pause));
                } else {
                    (process.decide_at, process.waiting) = (None, true);
                    process.cause = Some(Why::new(&code, text));
                }
                tx.save(&process)?;
                Ok(())
            })
            .await
    }

    /// Sends a message once.
    async fn deliver(self: &Arc<Self>, message: Message) -> Result<(), Error> {
        let process = self.process(&message.process).await?;
        if let Some(process) = &process
            && process.stage.is_final()
            && process.moves != message.moves
        {
            return self.note(message, Outcome::Refused("the process is over".to_owned())).await;
        }
        let outcome = match self.attempt(&message).await {
            Ok(answer) => judge(answer),
            Err(error) => Outcome::NotYet(error.to_string()),
        };
        if message.process.starts_with(WITHDRAWAL_PREFIX)
            && let Outcome::Taken(answer) = &outcome
            && let Err(error) = self.node.install_withdrawal(answer).await
        {
            let text = format!("the countersigned withdrawal is refused: {error}");
            return self.note(message, Outcome::NotYet(text)).await;
        }
        self.note(message, outcome).await
    }

    async fn attempt(&self, message: &Message) -> Result<Response<Bytes>, Error> {
        let token = self.identity.token_for(&message.from, &message.to, &message.address)?;
        let parcel = Parcel {
            address: &message.address,
            method: "POST",
            path: &message.path,
            token: &token,
            headers: &message.headers,
            body: Bytes::from(message.body.clone()),
        };
        self.line.send(parcel).await
    }

    /// Writes down what came of an attempt.
    async fn note(self: &Arc<Self>, message: Message, outcome: Outcome) -> Result<(), Error> {
        let engine = Arc::clone(self);
        let number = message.number;
        self.node
            .store()
            .write(move |tx| -> Result<(), Error> {
                let Some(mut message) = tx.find::<Message>(number)? else { return Ok(()) };
                let Some(sending) = message.sending.take() else { return Ok(()) };
                let now = engine.node.now();
                let tried_for = now.since(message.at);
                match outcome {
                    Outcome::Taken(answer) => {
                        message.delivered_at = Some(now);
                        message.trouble = None;
                        tx.save(&message)?;
                        engine.delivered(tx, &message, &answer)
                    }
                    Outcome::NotYet(text) if tried_for < engine.config.retry_for => {
                        let factor = 1_u32 << sending.attempts.min(16);
                        let pause = engine.config.retry_first.saturating_mul(factor);
                        let pause = pause.min(engine.config.retry_longest);
                        message.trouble = Some(text);
                        message.sending = Some(crate::records::Sending {
                            due_at: now.plus(pause),
                            attempts: sending.attempts + 1,
                            ..sending
                        });
                        Ok(tx.save(&message)?)
                    }
                    Outcome::NotYet(text) | Outcome::Refused(text) => {
                        message.trouble = Some(text.clone());
                        tx.save(&message)?;
                        engine.failed(tx, &message, sending.before, text)
                    }
                }
            })
            .await
    }

    fn delivered(&self, tx: &mut dyn Tx, message: &Message, answer: &[u8]) -> Result<(), Error> {
        let Some(mut process) = tx.find::<Process>(message.process.as_str())? else {
            return Ok(());
        };
        if process.pending == Some(message.number) {
            process.pending = None;
        }
        // The answer to a first message tells the other side's id; others may have no body.
        let told = peer_pid(&process, answer);
        match (&process.peer_pid, told) {
            (None, Some(pid)) => process.peer_pid = Some(pid),
            (Some(known), Some(pid)) if *known != pid && message.moves == 1 => {
                let text = format!("the answer names process `{pid}`, the messages `{known}`");
                process.cause = Some(Why::new("peer-pid", text));
            }
            _ => {}
        }
        let now = self.node.now();
        if process.moves == message.moves && process.decide_at.is_some() {
            // Its own clock: the other side must have had time to take our message in.
            process.decide_at = Some(now.plus(self.config.first_delay));
        }
        tx.save(&process)?;
        Ok(())
    }

    /// Takes back a step that cannot be told.
    fn failed(
        &self,
        tx: &mut dyn Tx,
        message: &Message,
        before: Option<Box<Process>>,
        text: String,
    ) -> Result<(), Error> {
        let Some(mut process) = tx.find::<Process>(message.process.as_str())? else {
            return Ok(());
        };
        if process.pending == Some(message.number) {
            process.pending = None;
        }
        let cause = Why::new("message-refused", text);
        let taken_back = process.moves == message.moves && !process.stage.is_final();
        match before {
            Some(before) if taken_back => {
                let moves = process.moves + 1;
                process = *before;
                // The number stays ahead, so that no answer of an earlier step is taken for this.
                process.moves = moves;
                (process.pending, process.decide_at, process.waiting) = (None, None, true);
                process.cause = Some(cause);
            }
            None if taken_back => {
                let ended = process.stage.terminated();
                self.enter(&mut process, ended, self.node.now());
                process.cause = Some(cause);
            }
            // The other side has gone on, or it is over anyway.
            _ => {}
        }
        tx.save(&process)?;
        Ok(())
    }
}

fn peer_pid(process: &Process, answer: &[u8]) -> Option<String> {
    let pids = match process.stage {
        Stage::Negotiation(_) => from_slice::<ContractNegotiation>(answer).ok()?.pids,
        Stage::Transfer(_) => from_slice::<TransferProcess>(answer).ok()?.pids,
    };
    Some(pids.of(process.side.role().other()).to_owned())
}

fn judge(answer: Response<Bytes>) -> Outcome {
    let status = answer.status();
    if status.is_success() {
        return Outcome::Taken(answer.into_body());
    }
    let text: String =
        String::from_utf8_lossy(answer.body()).chars().take(TROUBLE_CHARACTERS_MAX).collect();
    let text = format!("answered with {status}: {text}");
    let temporary = matches!(
        status,
        StatusCode::UNAUTHORIZED
            | StatusCode::NOT_FOUND
            | StatusCode::REQUEST_TIMEOUT
            // Eclipse EDC, of a message that overtook our answer to the one before.
            | StatusCode::CONFLICT
            | StatusCode::TOO_MANY_REQUESTS
    );
    if status.is_client_error() && !temporary {
        Outcome::Refused(text)
    } else {
        Outcome::NotYet(text)
    }
}
