//! Brings each new checkpoint to one witness and its cosignature back (C2SP tlog-witness).
//!
//! A push is a future beside the log's task. A witness that is down, slow or hostile costs the log
//! nothing but the state *witnessed*: the push tries again, ever more rarely, with the newest
//! checkpoint of that moment.
//!
//! Not here: HTTP; a [`WitnessClient`] carries the request.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use karvan_evidence::note::{Note, Signature, Verifier};
use karvan_evidence::witness::{AddCheckpoint, parse_size};
use karvan_system::Clock;
use tokio::time::{sleep, timeout};

use crate::site::Head;
use crate::{Error, Ledger, WitnessStatus};

/// Longest wait for an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// Wait after the first failure; it doubles with each further one.
const BACK_OFF_MIN: Duration = Duration::from_secs(1);
/// Longest wait after a failure.
const BACK_OFF_MAX: Duration = Duration::from_mins(1);
/// Longest text of a refusal that is kept, in bytes.
const REASON_BYTES_MAX: usize = 200;

/// A witness's answer, some time later: cosignature lines, or a refusal.
pub type WitnessAnswer<'c> =
    Pin<Box<dyn Future<Output = Result<String, WitnessRefusal>> + Send + 'c>>;

/// Carries add-checkpoint requests to one witness.
pub trait WitnessClient: Send + Sync {
    /// Returns the witness's name, for pages and logs.
    fn name(&self) -> &str;
    /// Posts a request and returns the body of a 200 answer.
    fn add_checkpoint(&self, request: String) -> WitnessAnswer<'_>;
}

/// An answer other than 200, or none.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WitnessRefusal {
    /// HTTP status; 0 when the witness could not be reached.
    pub status: u16,
    /// Body of the answer, or why there is none.
    pub body: String,
}

/// Brings checkpoints to one witness.
#[must_use = "a push does nothing until it runs"]
pub struct WitnessPush {
    ledger: Ledger,
    client: Arc<dyn WitnessClient>,
    verifier: Arc<dyn Verifier>,
    clock: Arc<dyn Clock>,
    /// Size that the witness is believed to have seen last.
    seen: u64,
}

/// How one attempt ended.
enum Outcome {
    Cosigned,
    /// The witness said which size it has; ask again from there.
    OtherSize(u64),
    Failed {
        reason: String,
        alarm: bool,
    },
}

impl WitnessPush {
    /// Makes a push. `verifier` is the witness's cosigning key, one of the log's settings.
    pub fn new(
        ledger: Ledger,
        client: Arc<dyn WitnessClient>,
        verifier: Arc<dyn Verifier>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        // A first guess; a wrong one costs one more request.
        let witnessed = ledger.shared().witnessed_head();
        let witnessed = witnessed.filter(|head| {
            head.note.signatures().iter().any(|signature| signature.names(&*verifier))
        });
        let seen = witnessed.map_or(0, |head| head.checkpoint.size);
        Self { ledger, client, verifier, clock, seen }
    }

    /// Runs until `shutdown` ends or the log is gone.
    pub async fn run(mut self, shutdown: impl Future<Output = ()> + Send) {
        let mut shutdown = pin!(shutdown);
        let mut checkpoints = self.ledger.checkpoints();
        let mut back_off = BACK_OFF_MIN;
        let mut done = 0;
        loop {
            let head = self.ledger.shared().head();
            let Some(head) = head.filter(|head| head.checkpoint.size > done) else {
                tokio::select! {
                    biased;
                    () = &mut shutdown => return,
                    changed = checkpoints.changed() => match changed {
                        Ok(()) => continue,
                        Err(_) => return,
                    },
                }
            };
            let good = tokio::select! {
                biased;
                () = &mut shutdown => return,
                good = self.push(&head) => good,
            };
            if good {
                (done, back_off) = (head.checkpoint.size, BACK_OFF_MIN);
                continue;
            }
            tokio::select! {
                biased;
                () = &mut shutdown => return,
                () = sleep(back_off) => {}
            }
            back_off = (back_off * 2).min(BACK_OFF_MAX);
        }
    }

    /// Asks for a cosignature, twice when the witness has another size than believed.
    async fn push(&mut self, head: &Head) -> bool {
        let mut outcome = self.attempt(head).await;
        if let Outcome::OtherSize(seen) = outcome {
            if seen > head.checkpoint.size {
                outcome = self.longer_history(seen);
            } else {
                self.seen = seen;
                outcome = self.attempt(head).await;
            }
        }
        let mut witnesses = self.ledger.shared().witnesses();
        let name = self.client.name();
        let status = witnesses
            .entry(name.to_owned())
            .or_insert_with(|| WitnessStatus { name: name.to_owned(), ..WitnessStatus::default() });
        match outcome {
            Outcome::Cosigned => {
                self.seen = head.checkpoint.size;
                *status = WitnessStatus {
                    name: name.to_owned(),
                    cosigned_size: self.seen,
                    cosigned_at: Some(self.clock.now()),
                    last_error: None,
                    alarm: false,
                };
                true
            }
            Outcome::OtherSize(_) => {
                status.last_error = Some("the witness keeps naming other sizes".to_owned());
                false
            }
            Outcome::Failed { reason, alarm } => {
                tracing::warn!(witness = name, %reason, alarm, "no cosignature");
                status.last_error = Some(reason);
                status.alarm |= alarm;
                false
            }
        }
    }

    /// A newer checkpoint of ours may have been cosigned for another process; a size that this
    /// log has never had means that it was rolled back, or that somebody else holds its key.
    fn longer_history(&self, seen: u64) -> Outcome {
        let have = self.ledger.size();
        let reason = format!("the witness has seen {seen} entries of this log, here are {have}");
        Outcome::Failed { reason, alarm: seen > have }
    }

    async fn attempt(&self, head: &Head) -> Outcome {
        match self.request(head).await {
            Ok(outcome) => outcome,
            Err(error) => Outcome::Failed { reason: error.to_string(), alarm: false },
        }
    }

    async fn request(&self, head: &Head) -> Result<Outcome, Error> {
        let (size, text) = (head.checkpoint.size, head.note.text());
        let proof = self.ledger.consistency(self.seen.min(size), size)?;
        let own = head.note.signatures().iter().find(|line| line.name == head.checkpoint.origin);
        let lines = own.map(ToString::to_string).unwrap_or_default();
        let note = Note::parse(format!("{text}\n{lines}").as_bytes())?;
        let request = AddCheckpoint { old_size: self.seen.min(size), proof, note };
        let answer = self.client.add_checkpoint(request.to_string());
        let failed = |reason: String, alarm| Ok(Outcome::Failed { reason, alarm });
        let body = match timeout(ANSWER_TIMEOUT, answer).await {
            Err(_) => return failed("the witness did not answer in time".to_owned(), false),
            Ok(Err(refusal)) if refusal.status == 409 => {
                return Ok(Outcome::OtherSize(parse_size(&refusal.body)?));
            }
            Ok(Err(WitnessRefusal { status, body })) => {
                let body: String = body.trim().chars().take(REASON_BYTES_MAX).collect();
                return failed(format!("the witness refused ({status}): {body}"), status == 422);
            }
            Ok(Ok(body)) => body,
        };
        let signatures = Signature::parse_lines(&body)?;
        let mut signed = request.note;
        for signature in &signatures {
            signed.add(signature.clone());
        }
        signed.verify(&[&*self.verifier])?;
        self.ledger.add_cosignatures(size, signatures).await?;
        Ok(Outcome::Cosigned)
    }
}
