//! Steps that the other side takes: a received message becomes a state, or a refusal with a reason.
//!
//! Invariants: what is refused leaves the process as it was; a message that comes again is answered
//! as the first time; a process is shown only to its counterparty.

use std::sync::Arc;

use karvan_agreements::{Grant, signed};
use karvan_dataspace::{negotiation, policy, transfer};
use karvan_store::{Range, Tx};
use karvan_trust::keys::KeyId;
use karvan_types::{AgreementRef, ErrorKind, json};

use crate::Error;
use crate::engine::{AGREEMENT_PROCESSES_MAX, Engine, check_room, next_received};
use crate::feeds::address_value;
use crate::identity::{Participant, member_of, participant_of};
use crate::line::Seal;
use crate::records::{Act, Dataset, Direction, Message, Process, Side, Stage};
use crate::terms;

pub(crate) use said::{Route, Said};

mod said;

/// A message as it arrived.
pub(crate) struct Received {
    pub(crate) caller: Participant,
    pub(crate) route: Route,
    pub(crate) path: String,
    pub(crate) body: Vec<u8>,
    pub(crate) seal: Option<Seal>,
}

impl Engine {
    /// Takes a message that opens a process; a second one with the same id is the same process.
    pub(crate) async fn receive_first(
        self: &Arc<Self>,
        received: Received,
    ) -> Result<Process, Error> {
        let said = Said::read(
            received.route,
            &json::parse(&received.body).map_err(karvan_dataspace::Error::from)?,
        )?;
        let address = said.callback.clone().ok_or_else(|| {
            Error::invalid("malformed", "`callbackAddress` is required to open a process")
        })?;
        self.line.check_address(&received.caller, &address)?;
        let engine = Arc::clone(self);
        let work = move |tx: &mut dyn Tx| -> Result<Process, Error> {
            engine.open_received(tx, &received, &said, address)
        };
        let process = self.node.store().write(work).await?;
        self.wake.notify_one();
        Ok(process)
    }

    fn open_received(
        &self,
        tx: &mut dyn Tx,
        received: &Received,
        said: &Said,
        address: String,
    ) -> Result<Process, Error> {
        let act = said.act.ok_or_else(|| Error::invalid("malformed", "no step"))?;
        let side = match received.route {
            Route::Offers => Side::Consumer,
            _ => Side::Provider,
        };
        let stage = next_received(None, act, side)?;
        let peer_pid = match side {
            Side::Provider => said.consumer_pid.clone(),
            Side::Consumer => said.provider_pid.clone(),
        };
        let caller = &received.caller.id;
        let same = vec![caller.as_str().into(), stage.kind().into(), peer_pid.as_deref().into()];
        let known = tx.select::<Process>(&Range::of("peer", same, SAME_PID_MAX))?;
        if let Some(process) = known.into_iter().find(|process| process.side == side) {
            return Ok(process);
        }
        check_room(tx, caller, stage)?;
        let mut process = match stage {
            Stage::Negotiation(_) => self.new_negotiation(tx, caller, said, side, address)?,
            Stage::Transfer(_) => self.new_transfer(tx, caller, said, address)?,
        };
        process.peer_pid = peer_pid;
        self.enter(&mut process, stage, self.node.now());
        self.keep(tx, &mut process, received, said)?;
        Ok(process)
    }

    fn new_negotiation(
        &self,
        tx: &mut dyn Tx,
        caller: &str,
        said: &Said,
        side: Side,
        address: String,
    ) -> Result<Process, Error> {
        let offer = said.offer.as_ref();
        let offer = offer.ok_or_else(|| Error::invalid("malformed", "`offer` is required"))?;
        let target = offer.target.clone().unwrap_or_default();
        let known = tx.find::<Dataset>(target.as_str())?;
        let shown = |dataset: &Dataset| {
            let audiences = Participant { id: caller.to_owned(), node: None }.audiences();
            dataset.visible_to.iter().any(|audience| audiences.contains(audience))
        };
        let (own, kind) = match (side, known) {
            (Side::Provider, Some(dataset)) if shown(&dataset) => {
                if crate::decide::offer_id(&dataset.policy) != Some(offer.id.as_str()) {
                    let text = format!("dataset `{target}` has no offer `{}`", offer.id);
                    return Err(Error::invalid("offer-unknown", text));
                }
                (dataset.provider, Some(dataset.kind))
            }
            (Side::Provider, _) => {
                let text = format!("there is no dataset `{target}` here; ask for the catalog");
                return Err(Error::invalid("dataset-unknown", text));
            }
            (Side::Consumer, _) => {
                let own = offer.assignee.as_deref().and_then(member_of);
                let own = own.filter(|member| self.node.member_key(member).is_ok());
                let own = own.ok_or_else(|| {
                    Error::invalid("assignee", "`offer.assignee` must be a member of this node")
                })?;
                (own, said.dataset_kind.clone())
            }
        };
        let mut process = self.blank(&own, caller.to_owned(), Some(address), side)?;
        process.dataset = target;
        process.kind = kind;
        process.offer = Some(offer.to_value());
        if let Some(replaces) = &said.replaces {
            self.check_replaced(replaces, &process)?;
            process.replaces = Some(replaces.clone());
        }
        Ok(process)
    }

    /// Checks that an agreement which is to be replaced is between the two.
    fn check_replaced(&self, name: &AgreementRef, process: &Process) -> Result<(), Error> {
        let book = self.node.agreements().book();
        let between = book.get(name).is_some_and(|entry| {
            let parties = entry.agreement.parties();
            let is = |id: &str| member_of(id).is_some_and(|member| parties.contains(&member));
            is(&process.own) && is(&process.counterparty)
        });
        if between {
            return Ok(());
        }
        let text = format!("agreement {name} is not one between the two; it cannot be replaced");
        Err(Error::invalid("replaces", text))
    }

    fn new_transfer(
        &self,
        tx: &mut dyn Tx,
        caller: &str,
        said: &Said,
        address: String,
    ) -> Result<Process, Error> {
        let agreement = said.agreement_id.as_deref().unwrap_or_default();
        let range = Range::of("agreement", vec![agreement.into()], AGREEMENT_PROCESSES_MAX);
        let finalized = Stage::Negotiation(negotiation::State::Finalized);
        let concluded = tx.select::<Process>(&range)?.into_iter().find(|known| {
            known.stage == finalized && known.side == Side::Provider && known.counterparty == caller
        });
        let concluded = match concluded {
            Some(concluded) => concluded,
            None => self.granted_to(caller, agreement, &address)?,
        };
        let format = said.format.clone().unwrap_or_default();
        let dataset = tx.find::<Dataset>(concluded.dataset.as_str())?;
        let dataset = dataset.filter(|dataset| dataset.is_of(&concluded.own));
        let formats = dataset.map(|dataset| dataset.formats).unwrap_or_default();
        if !formats.contains(&format) {
            let text = format!("`format` is `{format}`; use one of {}", formats.join(", "));
            return Err(Error::invalid("format", text));
        }
        self.check_in_force(&concluded)?;
        let own = crate::engine::own_member(&concluded.own)?;
        let blank = self.blank(&own, caller.to_owned(), Some(address), Side::Provider)?;
        Ok(Process {
            stage: Stage::Transfer(transfer::State::Requested),
            dataset: concluded.dataset,
            kind: concluded.kind,
            agreement: concluded.agreement,
            concluded: concluded.concluded,
            format: Some(format),
            data_address: None,
            ..blank
        })
    }

    /// Finds the agreement with a caller that was written by hand.
    fn granted_to(&self, caller: &str, agreement: &str, address: &str) -> Result<Process, Error> {
        let is_ours = |grant: &Grant| participant_of(&grant.client) == caller;
        let granted = self.granted(agreement, Side::Provider, Some(address.to_owned()), is_ours);
        granted.map_err(|error| {
            if error.kind() != ErrorKind::NotFound {
                return error;
            }
            let text = format!("there is no agreement `{agreement}` with you; negotiate one");
            Error::invalid("agreement-unknown", text)
        })
    }

    /// Checks that the agreement of a process is in force now.
    pub(crate) fn check_in_force(&self, process: &Process) -> Result<(), Error> {
        let Some(name) = &process.concluded else { return Ok(()) };
        let book = self.node.agreements().book();
        let now = self.node.now();
        let entry = book.get(name).filter(|entry| entry.in_force(now));
        let text = || format!("agreement {} is not in force; negotiate a new one", name.id);
        entry
            .map(drop)
            .ok_or_else(|| Error::new(ErrorKind::Forbidden, "agreement-not-in-force", text()))
    }

    /// Takes a message about a running process.
    pub(crate) async fn receive(
        self: &Arc<Self>,
        pid: &str,
        received: Received,
    ) -> Result<Process, Error> {
        let value = json::parse(&received.body).map_err(karvan_dataspace::Error::from);
        // Whose process it is comes first: to others there is none, whatever they say.
        let process = self.process_for(pid, &received.caller).await?;
        let said = Said::read(received.route, &value?)?;
        let finalizes = said.act == Some(Act::Negotiation(negotiation::Act::Finalize));
        if finalizes && process.side == Side::Consumer {
            check_pids(&process, &said)?;
            if !self.is_repeated(&process, &said).await? {
                next_received(
                    Some(process.stage),
                    Act::Negotiation(negotiation::Act::Finalize),
                    process.side,
                )?;
                self.put_in_force(pid).await?;
            }
        }
        let (engine, pid) = (Arc::clone(self), pid.to_owned());
        let work = move |tx: &mut dyn Tx| -> Result<Process, Error> {
            let found = tx.find::<Process>(pid.as_str())?;
            let mut process = found.ok_or_else(|| Error::unknown("process", &pid))?;
            check_pids(&process, &said)?;
            if is_known(tx, &process, &said)? {
                return Ok(process);
            }
            let act = said.act.ok_or_else(|| Error::invalid("malformed", "no step"))?;
            if process.resumed && act == Act::Transfer(transfer::Act::Start) {
                // The provider says that it has resumed too, where its data is now.
                engine.take_over(tx, &mut process, &said)?;
                process.resumed = false;
                engine.keep(tx, &mut process, &received, &said)?;
                return Ok(process);
            }
            let stage = next_received(Some(process.stage), act, process.side)?;
            engine.take_over(tx, &mut process, &said)?;
            let resumes = act == Act::Transfer(transfer::Act::Start);
            engine.enter(&mut process, stage, engine.node.now());
            process.cause.clone_from(&said.cause);
            engine.keep(tx, &mut process, &received, &said)?;
            if resumes && process.side == Side::Provider {
                engine.confirm_start(tx, &mut process)?;
                tx.save(&process)?;
            }
            Ok(process)
        };
        let process = self.node.store().write(work).await?;
        self.wake.notify_one();
        Ok(process)
    }

    /// Returns a process, if it is the caller's.
    pub(crate) async fn process_for(
        &self,
        pid: &str,
        caller: &Participant,
    ) -> Result<Process, Error> {
        let found = self.process(pid).await?;
        let own = found.filter(|process| process.counterparty == caller.id);
        own.ok_or_else(|| Error::unknown("process", pid))
    }

    async fn is_repeated(&self, process: &Process, said: &Said) -> Result<bool, Error> {
        let known = self.messages(&process.pid).await?;
        Ok(known.iter().any(|message| repeats(message, said)))
    }

    /// Takes over what a message says beside the step itself.
    fn take_over(&self, tx: &mut dyn Tx, process: &mut Process, said: &Said) -> Result<(), Error> {
        if process.peer_pid.is_none() {
            process.peer_pid = said.pid(other(process.side)).map(str::to_owned);
        }
        if let Some(offer) = &said.offer {
            if offer.target.as_deref() != Some(process.dataset.as_str()) {
                let text = format!("`offer.target` must be `{}`", process.dataset);
                return Err(Error::invalid("target", text));
            }
            process.offer = Some(offer.to_value());
        }
        if let Some(agreement) = &said.agreement {
            self.take_agreement(process, agreement, said.document.as_deref())?;
        }
        if said.act == Some(Act::Negotiation(negotiation::Act::Verify)) {
            self.take_signature(process, said.document.as_deref())?;
        }
        if let Some(address) = &said.data_address {
            process.data_address = Some(address_value(address.clone()));
        }
        if let Some(Act::Transfer(act)) = said.act
            && act != transfer::Act::Start
        {
            Self::revoke_access(tx, &process.pid)?;
        }
        Ok(())
    }

    /// Judges the agreement that the provider gives.
    fn take_agreement(
        &self,
        process: &mut Process,
        agreement: &policy::Agreement,
        document: Option<&str>,
    ) -> Result<(), Error> {
        let wrong = |field: &str, is: &str, expected: &str| {
            let text = format!("`agreement.{field}` is `{is}`, expected `{expected}`");
            Err(Error::invalid("agreement", text))
        };
        if agreement.target != process.dataset {
            return wrong("target", &agreement.target, &process.dataset);
        }
        if agreement.assigner != process.counterparty {
            return wrong("assigner", &agreement.assigner, &process.counterparty);
        }
        if agreement.assignee != process.own {
            return wrong("assignee", &agreement.assignee, &process.own);
        }
        if let (Some(kind), Some(provider)) = (&process.kind, member_of(&process.counterparty)) {
            let expected = terms::derive(agreement, kind)?;
            let document = document.ok_or_else(|| unsigned("the agreement comes unsigned"))?;
            let verified = signed::verify(document.as_bytes(), &self.node.lists(), self.node.now());
            let verified = verified.map_err(|error| unsigned(error.to_string()))?;
            let speaks =
                |key: &KeyId| key.owner().is_some_and(|owner| owner.speaks_for(provider.as_str()));
            if !verified.signers.iter().any(speaks) {
                return Err(unsigned(format!("{provider} has not signed the agreement")));
            }
            let given: karvan_agreements::Agreement =
                verified.read().map_err(|error| unsigned(error.to_string()))?;
            if given != expected {
                return Err(unsigned("the signed agreement is not what the policy says"));
            }
            process.document = Some(document.to_owned());
        }
        process.agreement = Some(agreement.id.clone());
        process.policy = Some(agreement.to_value());
        Ok(())
    }

    /// Judges the consumer's signature of our agreement.
    fn take_signature(&self, process: &mut Process, document: Option<&str>) -> Result<(), Error> {
        let Some(agreement) = Self::signed_agreement(process)? else { return Ok(()) };
        let document = document.ok_or_else(|| unsigned("the agreement comes back unsigned"))?;
        let opened = signed::open(document.as_bytes(), &self.node.lists(), self.node.now());
        let (given, _) = opened.map_err(|error| unsigned(error.to_string()))?;
        if given != agreement {
            return Err(unsigned("another agreement was signed than was given"));
        }
        process.document = Some(document.to_owned());
        Ok(())
    }

    /// Keeps a message, and the process as it is after it.
    fn keep(
        &self,
        tx: &mut dyn Tx,
        process: &mut Process,
        received: &Received,
        said: &Said,
    ) -> Result<(), Error> {
        let now = self.node.now();
        let seal = received.seal.as_ref();
        let salt = seal.map_or_else(|| self.new_id(now), |seal| seal.salt.clone());
        let leaf = Self::log(tx, &received.body, seal, &salt)?;
        let number = tx.next("dataspace-message")?;
        tx.add(&Message {
            number,
            process: process.pid.clone(),
            direction: Direction::In,
            id: said.id.clone(),
            kind: said.kind.to_owned(),
            from: process.counterparty.clone(),
            to: process.own.clone(),
            address: String::new(),
            path: received.path.clone(),
            body: String::from_utf8_lossy(&received.body).into_owned(),
            headers: Vec::new(),
            signed: seal.map(|seal| seal.signed.clone()),
            salt,
            leaf,
            by: None,
            stage: Some(process.stage),
            moves: process.moves,
            at: now,
            delivered_at: Some(now),
            sending: None,
            trouble: None,
        })?;
        tx.save(process)?;
        Ok(())
    }
}

/// Most processes of one peer with one id: both roles of a node that talks to itself.
const SAME_PID_MAX: usize = 8;
/// Most messages of a process among which a repeated one is looked for.
const REPEATS_LOOKED_AT: usize = 1_000;

fn unsigned(text: impl Into<String>) -> Error {
    Error::invalid("agreement-unsigned", text)
}

const fn other(side: Side) -> Side {
    match side {
        Side::Consumer => Side::Provider,
        Side::Provider => Side::Consumer,
    }
}

fn check_pids(process: &Process, said: &Said) -> Result<(), Error> {
    let (own, peer) = (said.pid(process.side), said.pid(other(process.side)));
    let expected = process.peer_pid.as_deref();
    if own == Some(process.pid.as_str()) && (expected.is_none() || peer == expected) {
        return Ok(());
    }
    let text = "`providerPid` and `consumerPid` must be those of the process in the path";
    Err(Error::invalid("pids", text))
}

fn is_known(tx: &dyn Tx, process: &Process, said: &Said) -> Result<bool, Error> {
    if said.id.is_none() {
        return Ok(false);
    }
    let range = Range::of("process", vec![process.pid.as_str().into()], REPEATS_LOOKED_AT);
    let known = tx.select::<Message>(&range)?;
    Ok(known.iter().any(|message| repeats(message, said)))
}

fn repeats(message: &Message, said: &Said) -> bool {
    message.direction == Direction::In
        && message.kind == said.kind
        && message.id.is_some()
        && message.id == said.id
}
