//! Steps that we take: a decision becomes a message, a state and a place in the outbox.
//!
//! Invariant: at most one message of a process is on its way, so messages never overtake.

use std::fmt::Write as _;
use std::sync::Arc;

use karvan_agreements::signed::{self, AGREEMENT_TYP};
use karvan_dataspace::negotiation::{
    self, ContractAgreement, ContractAgreementVerification, ContractNegotiationEvent,
    ContractNegotiationTermination, ContractOffer, ContractRequest, EventType,
};
use karvan_dataspace::policy::{self, Wording};
use karvan_dataspace::transfer::{
    self, TransferCompletion, TransferRequest, TransferStart, TransferSuspension,
    TransferTermination,
};
use karvan_dataspace::{Cause, Message as _, Pids, Thread};
use karvan_store::Tx;
use karvan_types::{ErrorKind, Timestamp};
use serde_json::Value;

use crate::Error;
use crate::catalog::{KIND_MEMBER, kind_text};
use crate::decide::{Decision, offer_id, offer_of};
use crate::engine::{DOCUMENT_MEMBER, Engine, REPLACES_MEMBER, next_sent, own_member};
use crate::line::Draft;
use crate::records::{Act, Dataset, Direction, Message, Process, Sending, Side, Stage, Why};
use crate::terms;

/// A message of ours before it is signed.
struct Letter {
    path: String,
    body: Value,
    kind: &'static str,
}

impl Engine {
    /// Takes the first step of a process.
    pub(crate) async fn begin(
        self: &Arc<Self>,
        process: Process,
        decision: Decision,
        by: &str,
    ) -> Result<Process, Error> {
        let act = match process.stage {
            Stage::Negotiation(_) => decision.act(process.stage),
            Stage::Transfer(_) => Some(Act::Transfer(transfer::Act::Request)),
        };
        let act = act.ok_or_else(|| Error::invalid("decision", "no first step"))?;
        let (engine, by) = (Arc::clone(self), by.to_owned());
        let work = move |tx: &mut dyn Tx| -> Result<Process, Error> {
            let stage = next_sent(None, act, process.side)?;
            engine.write_step(tx, process, (decision, act, stage), None, &by)
        };
        let process = self.node.store().write(work).await?;
        self.wake.notify_one();
        Ok(process)
    }

    /// Takes a step in a process of ours, decided by `by`; durable when it resolves.
    pub async fn step(
        self: &Arc<Self>,
        pid: &str,
        decision: Decision,
        by: &str,
    ) -> Result<Process, Error> {
        self.step_from(pid, None, decision, by).await
    }

    /// Takes a step, unless the process has gone on since `moves`: what was decided about one
    /// state must not be done in another.
    pub(crate) async fn step_from(
        self: &Arc<Self>,
        pid: &str,
        moves: Option<u64>,
        decision: Decision,
        by: &str,
    ) -> Result<Process, Error> {
        if decision == Decision::Finalize {
            self.put_in_force(pid).await?;
            self.end_replaced(pid).await?;
        }
        let (engine, pid, by) = (Arc::clone(self), pid.to_owned(), by.to_owned());
        let work = move |tx: &mut dyn Tx| -> Result<Process, Error> {
            let found = tx.find::<Process>(pid.as_str())?;
            let mut process = found.ok_or_else(|| Error::unknown("process", &pid))?;
            if moves.is_some_and(|moves| moves != process.moves) {
                return Ok(process);
            }
            let Some(act) = decision.act(process.stage) else {
                process.decide_at = None;
                process.waiting = decision == Decision::WaitForPerson;
                tx.save(&process)?;
                return Ok(process);
            };
            let stage = next_sent(Some(process.stage), act, process.side)?;
            Self::clear_way(tx, &mut process, &decision)?;
            let before = Some(Box::new(process.clone()));
            engine.write_step(tx, process, (decision, act, stage), before, &by)
        };
        let process = self.node.store().write(work).await?;
        self.wake.notify_one();
        Ok(process)
    }

    /// Makes sure that no earlier message is on its way; a termination takes its place.
    fn clear_way(tx: &mut dyn Tx, process: &mut Process, decision: &Decision) -> Result<(), Error> {
        let Some(number) = process.pending else { return Ok(()) };
        if !matches!(decision, Decision::Terminate(_)) {
            let text = "the other side does not have our last message yet; try again when it has";
            return Err(Error::new(ErrorKind::Conflict, "message-pending", text));
        }
        if let Some(mut message) = tx.find::<Message>(number)? {
            message.sending = None;
            message.trouble = Some("given up for a termination".to_owned());
            tx.save(&message)?;
        }
        process.pending = None;
        Ok(())
    }

    fn write_step(
        &self,
        tx: &mut dyn Tx,
        mut process: Process,
        (decision, act, stage): (Decision, Act, Stage),
        before: Option<Box<Process>>,
        by: &str,
    ) -> Result<Process, Error> {
        let now = self.node.now();
        let id = self.new_id(now);
        let dataset = tx.find::<Dataset>(process.dataset.as_str())?;
        let letter = self.compose(tx, &mut process, (&decision, act), dataset.as_ref(), &id)?;
        self.enter(&mut process, stage, now);
        if let Decision::Terminate(why) | Decision::Suspend(why) = &decision {
            process.cause = Some(why.clone());
        }
        let Some(letter) = letter else {
            // The other side never learned of the process, so there is nobody to tell.
            tx.save(&process)?;
            return Ok(process);
        };
        let resumes = act == Act::Transfer(transfer::Act::Start);
        process.resumed = resumes && process.side == Side::Consumer;
        self.dispatch(tx, &mut process, letter, (id, before, by))?;
        tx.save(&process)?;
        Ok(process)
    }

    /// Says once more that a transfer is started, to a consumer that resumed it: with a new token,
    /// since the old ones went with the pause.
    pub(crate) fn confirm_start(
        &self,
        tx: &mut dyn Tx,
        process: &mut Process,
    ) -> Result<(), Error> {
        let (Some(pids), None) = (pids(process), process.pending) else { return Ok(()) };
        let dataset = tx.find::<Dataset>(process.dataset.as_str())?;
        let id = self.new_id(self.node.now());
        let base = format!("/transfers/{}", escape(process.peer_pid.as_deref()));
        let words = (base.as_str(), pids, Cause::default());
        let act = (transfer::Act::Start, dataset.as_ref());
        let letter = self.transfer(tx, process, act, words, Some(id.clone()))?;
        let before = Some(Box::new(process.clone()));
        self.dispatch(tx, process, letter, (id, before, "rule:resumed"))
    }

    /// Signs a message, logs it and puts it into the outbox.
    fn dispatch(
        &self,
        tx: &mut dyn Tx,
        process: &mut Process,
        letter: Letter,
        (id, before, by): (String, Option<Box<Process>>, &str),
    ) -> Result<(), Error> {
        let (now, stage) = (self.node.now(), process.stage);
        let body = letter.body.to_string();
        let draft = Draft {
            own: &process.own,
            peer: &process.counterparty,
            address: &process.address,
            path: &letter.path,
            body: body.as_bytes(),
            agreement: process.concluded.as_ref(),
            now,
        };
        let seal = self.line.seal(&draft)?;
        let salt = seal.as_ref().map_or_else(|| id.clone(), |seal| seal.salt.clone());
        let leaf = Self::log(tx, body.as_bytes(), seal.as_ref(), &salt)?;
        let number = tx.next("dataspace-message")?;
        process.pending = Some(number);
        tx.add(&Message {
            number,
            process: process.pid.clone(),
            direction: Direction::Out,
            id: Some(id),
            kind: letter.kind.to_owned(),
            from: process.own.clone(),
            to: process.counterparty.clone(),
            address: process.address.clone(),
            path: letter.path,
            body,
            headers: seal.as_ref().map(|seal| seal.headers.clone()).unwrap_or_default(),
            signed: seal.map(|seal| seal.signed),
            salt,
            leaf,
            by: Some(by.to_owned()),
            stage: Some(stage),
            moves: process.moves,
            at: now,
            delivered_at: None,
            sending: Some(Sending { due_at: now, attempts: 0, before }),
            trouble: None,
        })?;
        Ok(())
    }

    /// Puts a step into the words of the protocol. None when the other side knows no process.
    fn compose(
        &self,
        tx: &mut dyn Tx,
        process: &mut Process,
        (decision, act): (&Decision, Act),
        dataset: Option<&Dataset>,
        id: &str,
    ) -> Result<Option<Letter>, Error> {
        let opens = process.moves == 0;
        let Some(pids) = pids(process) else {
            return match (opens, act) {
                (true, Act::Negotiation(_)) => self.open_negotiation(process, id).map(Some),
                (true, Act::Transfer(_)) => self.open_transfer(process, id).map(Some),
                (
                    false,
                    Act::Negotiation(negotiation::Act::Terminate)
                    | Act::Transfer(transfer::Act::Terminate),
                ) => Ok(None),
                _ => {
                    let text = "the other side has not told its process id yet; try again soon";
                    Err(Error::new(ErrorKind::Conflict, "peer-pid-unknown", text))
                }
            };
        };
        let cause = match decision {
            Decision::Terminate(why) | Decision::Suspend(why) => Cause::from(why),
            _ => Cause::default(),
        };
        let own_id = Some(id.to_owned());
        let letter = match act {
            Act::Negotiation(act) => {
                let base = format!("/negotiations/{}", escape(process.peer_pid.as_deref()));
                self.negotiate(process, (decision, act), (&base, pids, cause), own_id)?
            }
            Act::Transfer(act) => {
                let base = format!("/transfers/{}", escape(process.peer_pid.as_deref()));
                self.transfer(tx, process, (act, dataset), (&base, pids, cause), own_id)?
            }
        };
        Ok(Some(letter))
    }

    fn open_negotiation(&self, process: &Process, id: &str) -> Result<Letter, Error> {
        let thread = Thread::Initial { callback_address: self.line.own_address()? };
        let offer = current_offer(process)?;
        let (id, own) = (Some(id.to_owned()), process.pid.clone());
        Ok(match process.side {
            Side::Consumer => {
                let message = ContractRequest { id, consumer_pid: own, thread, offer };
                let mut body = message.to_value();
                if let Some(replaces) = &process.replaces {
                    put(&mut body, REPLACES_MEMBER, &replaces.to_string());
                }
                letter("/negotiations/request".to_owned(), body, ContractRequest::TYPE)
            }
            Side::Provider => {
                let message = ContractOffer { id, provider_pid: own, thread, offer };
                let mut body = message.to_value();
                if let Some(kind) = &process.kind {
                    put(&mut body, KIND_MEMBER, &kind_text(kind)?);
                }
                letter("/negotiations/offers".to_owned(), body, ContractOffer::TYPE)
            }
        })
    }

    fn open_transfer(&self, process: &Process, id: &str) -> Result<Letter, Error> {
        let message = TransferRequest {
            id: Some(id.to_owned()),
            consumer_pid: process.pid.clone(),
            agreement_id: process.agreement.clone().unwrap_or_default(),
            format: process.format.clone().unwrap_or_default(),
            callback_address: self.line.own_address()?,
            data_address: None,
        };
        Ok(letter("/transfers/request".to_owned(), message.to_value(), TransferRequest::TYPE))
    }

    fn negotiate(
        &self,
        process: &mut Process,
        (decision, act): (&Decision, negotiation::Act),
        (base, pids, cause): (&str, Pids, Cause),
        id: Option<String>,
    ) -> Result<Letter, Error> {
        use negotiation::Act;
        let running = |pid: String| Thread::Running { pid };
        Ok(match act {
            Act::Request | Act::Offer => {
                if let Decision::Counter(Some(offer)) | Decision::Offer(Some(offer)) = decision {
                    Wording::from_value(offer)?;
                    process.offer = Some(offer.clone());
                }
                let offer = current_offer(process)?;
                if act == Act::Request {
                    let (consumer_pid, thread) = (pids.consumer, running(pids.provider));
                    let message = ContractRequest { id, consumer_pid, thread, offer };
                    letter(format!("{base}/request"), message.to_value(), ContractRequest::TYPE)
                } else {
                    let (provider_pid, thread) = (pids.provider, running(pids.consumer));
                    let message = ContractOffer { id, provider_pid, thread, offer };
                    letter(format!("{base}/offers"), message.to_value(), ContractOffer::TYPE)
                }
            }
            Act::Agree => {
                let agreement = self.agree(process)?;
                let mut body = ContractAgreement { id, pids, agreement }.to_value();
                if let Some(document) = &process.document {
                    put(&mut body, DOCUMENT_MEMBER, document);
                }
                letter(format!("{base}/agreement"), body, ContractAgreement::TYPE)
            }
            Act::Verify => {
                self.sign_too(process)?;
                let mut body = ContractAgreementVerification { id, pids }.to_value();
                if let Some(document) = &process.document {
                    put(&mut body, DOCUMENT_MEMBER, document);
                }
                let path = format!("{base}/agreement/verification");
                letter(path, body, ContractAgreementVerification::TYPE)
            }
            Act::Accept | Act::Finalize => {
                let event = match act {
                    Act::Accept => EventType::Accepted,
                    _ => EventType::Finalized,
                };
                let message = ContractNegotiationEvent { id, pids, event };
                letter(format!("{base}/events"), message.to_value(), ContractNegotiationEvent::TYPE)
            }
            Act::Terminate => {
                let message = ContractNegotiationTermination { id, pids, cause };
                let path = format!("{base}/termination");
                letter(path, message.to_value(), ContractNegotiationTermination::TYPE)
            }
        })
    }

    fn transfer(
        &self,
        tx: &mut dyn Tx,
        process: &mut Process,
        (act, dataset): (transfer::Act, Option<&Dataset>),
        (base, pids, cause): (&str, Pids, Cause),
        id: Option<String>,
    ) -> Result<Letter, Error> {
        use transfer::Act;
        Ok(match act {
            Act::Start => {
                let data_address = match process.side {
                    Side::Provider => self.grant_access(tx, process, dataset)?,
                    Side::Consumer => None,
                };
                let message = TransferStart { id, pids, data_address };
                letter(format!("{base}/start"), message.to_value(), TransferStart::TYPE)
            }
            Act::Suspend => {
                Self::revoke_access(tx, &process.pid)?;
                let message = TransferSuspension { id, pids, cause };
                letter(format!("{base}/suspension"), message.to_value(), TransferSuspension::TYPE)
            }
            Act::Complete => {
                Self::revoke_access(tx, &process.pid)?;
                let message = TransferCompletion { id, pids };
                letter(format!("{base}/completion"), message.to_value(), TransferCompletion::TYPE)
            }
            Act::Terminate | Act::Request => {
                Self::revoke_access(tx, &process.pid)?;
                let message = TransferTermination { id, pids, cause };
                letter(format!("{base}/termination"), message.to_value(), TransferTermination::TYPE)
            }
        })
    }

    /// Makes the agreement of the last offer, and signs it when the line has signatures.
    fn agree(&self, process: &mut Process) -> Result<policy::Agreement, Error> {
        let now = self.node.now();
        let offer = current_offer(process)?;
        let (id, version) = match &process.replaces {
            Some(old) => (old.id.clone(), old.version + 1),
            None => (format!("dsp-{}", self.new_uuid(now)), 1),
        };
        let odrl = policy::Agreement {
            id: terms::odrl_id(&id, version),
            target: process.dataset.clone(),
            assigner: process.own.clone(),
            assignee: process.counterparty.clone(),
            timestamp: Some(now),
            wording: offer.wording,
        };
        process.agreement = Some(odrl.id.clone());
        process.policy = Some(odrl.to_value());
        // Between nodes the dataset's kind is known, and the agreement is signed by both members.
        if let (Some(kind), Some(_)) =
            (&process.kind, crate::identity::member_of(&process.counterparty))
        {
            let agreement = terms::derive(&odrl, kind)?;
            let member = own_member(&process.own)?;
            let document = self.node.sign_as_member(&member, AGREEMENT_TYP, &agreement, None)?;
            process.document = Some(text(document)?);
        }
        Ok(odrl)
    }

    /// Adds our member's signature to the agreement that the provider has signed.
    fn sign_too(&self, process: &mut Process) -> Result<(), Error> {
        let Some(agreement) = Self::signed_agreement(process)? else { return Ok(()) };
        let Some(document) = process.document.take() else { return Ok(()) };
        let member = own_member(&process.own)?;
        let nations = signed::unsigned(&agreement, &self.signers(&document)?);
        // Two members of one nation need one signature between them, and it is there.
        process.document = Some(if nations.is_empty() {
            document
        } else {
            let known = Some(document.as_bytes());
            text(self.node.sign_as_member(&member, AGREEMENT_TYP, &agreement, known)?)?
        });
        Ok(())
    }

    pub(crate) fn signers(&self, document: &str) -> Result<Vec<karvan_trust::keys::KeyId>, Error> {
        let verified = signed::verify(document.as_bytes(), &self.node.lists(), self.node.now());
        let verified = verified
            .map_err(|error| Error::new(error.kind(), "agreement-refused", error.to_string()))?;
        Ok(verified.signers)
    }

    /// Ends the agreement that the new one of a process takes the place of.
    async fn end_replaced(self: &Arc<Self>, pid: &str) -> Result<(), Error> {
        let Some(process) = self.process(pid).await? else { return Ok(()) };
        let (Some(old), Some(new)) = (process.replaces, process.concluded) else { return Ok(()) };
        let member = own_member(&process.own)?;
        self.withdraw(&old, &member, &format!("replaced by version {}", new.version), Some(new))
            .await
    }

    /// Puts the agreement of a process in force here, when both sides have signed it.
    pub(crate) async fn put_in_force(&self, pid: &str) -> Result<(), Error> {
        let Some(process) = self.process(pid).await? else { return Ok(()) };
        let Some(document) = &process.document else { return Ok(()) };
        let name = self.node.install_agreement(document.as_bytes()).await?;
        let pid = pid.to_owned();
        self.node
            .store()
            .write(move |tx| -> Result<(), Error> {
                if let Some(mut process) = tx.find::<Process>(pid)? {
                    process.concluded = Some(name);
                    tx.save(&process)?;
                }
                Ok(())
            })
            .await
    }
}

fn text(document: Vec<u8>) -> Result<String, Error> {
    String::from_utf8(document)
        .map_err(|error| Error::new(ErrorKind::Internal, "signing-failed", error.to_string()))
}

fn letter(path: String, body: Value, kind: &'static str) -> Letter {
    Letter { path, body, kind }
}

fn put(body: &mut Value, name: &str, text: &str) {
    if let Value::Object(members) = body {
        members.insert(name.to_owned(), Value::String(text.to_owned()));
    }
}

/// Returns both ids of a process, once the other side has told its own.
pub(crate) fn pids(process: &Process) -> Option<Pids> {
    let (own, peer) = (process.pid.clone(), process.peer_pid.clone()?);
    Some(match process.side {
        Side::Consumer => Pids { consumer: own, provider: peer },
        Side::Provider => Pids { consumer: peer, provider: own },
    })
}

/// Returns the last offer in the words of a message.
pub(crate) fn current_offer(process: &Process) -> Result<policy::Offer, Error> {
    let offer = process.offer.as_ref();
    let offer = offer.ok_or_else(|| Error::invalid("offer", "the process has no offer yet"))?;
    let id = offer_id(offer).ok_or_else(|| Error::invalid("offer", "the offer has no `@id`"))?;
    let wording = Wording::from_value(offer)?;
    let (assigner, assignee) = match process.side {
        Side::Consumer => (&process.counterparty, &process.own),
        Side::Provider => (&process.own, &process.counterparty),
    };
    Ok(offer_of(id.to_owned(), wording, &process.dataset, assigner, assignee))
}

/// Escapes a process id for a path (RFC 3986, section 3.3).
pub(crate) fn escape(pid: Option<&str>) -> String {
    let mut out = String::new();
    for byte in pid.unwrap_or_default().bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~:@!$&'()*+,;=".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// Says that a process came to its deadline.
pub(crate) fn too_late(process: &Process, now: Timestamp) -> Why {
    let state = process.stage.name();
    let text = format!("nothing happened in {state} until {}; it is {now}", process.deadline);
    Why::new("deadline", text)
}
