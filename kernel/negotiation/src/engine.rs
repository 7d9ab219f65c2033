//! The engine: the parts that all of it shares, how a process enters a state, and how one begins.
//!
//! Every step is one transaction: the process, the message that made the step, its log entry, and
//! for a message of ours its place in the outbox. So a crash leaves a process where its messages
//! say it is, and what was to be sent is sent after it.
//!
//! Invariants: a process moves only along the tables of `karvan_dataspace`; our own state is
//! committed before our message leaves, and before we answer a message of the other side.
//!
//! Not here: steps of ours (`step`), of the other side (`receive`), sending (`courier`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use karvan_agreements::Agreement;
use karvan_dataspace::policy::Wording;
use karvan_dataspace::{negotiation, transfer};
use karvan_exchange::Node;
use karvan_exchange::evidence;
use karvan_exchange::records::LeafRef;
use karvan_store::{Range, Tx};
use karvan_types::{AgreementRef, Digest, ErrorKind, ExchangeId, MemberId, Timestamp};
use serde_json::Value;
use tokio::sync::Notify;

use crate::Error;
use crate::decide::{Decide, Decision};
use crate::identity::{Identity, member_of, participant_of};
use crate::line::{Line, Seal};
use crate::records::{Act, Dataset, Kind, Message, Process, Side, Stage};

/// The kind of a message's log entry.
pub const MESSAGE_LEAF: &str = "dataspace.message";
/// The member of our messages that carries the signed agreement. Connectors of others ignore it.
pub const DOCUMENT_MEMBER: &str = "urn:karvan:dsp:v1:agreement";
/// The member of a request that names the agreement which the new one takes the place of.
pub const REPLACES_MEMBER: &str = "urn:karvan:dsp:v1:replaces";
/// Most processes open at once with one counterparty.
const OPEN_PER_COUNTERPARTY_MAX: usize = 10_000;

/// What an operator decides about negotiations.
#[derive(Clone, Debug)]
pub struct Config {
    /// How long a step waits for its decision. Zero between nodes; the protocol's kit must get our
    /// answer before our next message.
    pub first_delay: Duration,
    /// Pause before a message is sent again; it doubles.
    pub retry_first: Duration,
    /// Longest pause.
    pub retry_longest: Duration,
    /// How long a message is tried.
    pub retry_for: Duration,
    /// How long a process may stand in one state.
    pub state_deadline: Duration,
    /// How long a token of a feed lasts.
    pub token_life: Duration,
    /// Datasets on one page of a catalog.
    pub page: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            first_delay: Duration::ZERO,
            retry_first: Duration::from_millis(300),
            retry_longest: Duration::from_mins(5),
            retry_for: Duration::from_hours(7 * 24),
            state_deadline: Duration::from_hours(30 * 24),
            token_life: Duration::from_mins(10),
            page: 100,
        }
    }
}

/// Catalog, negotiation and transfer of one node.
pub struct Engine {
    pub(crate) node: Node,
    pub(crate) identity: Arc<dyn Identity>,
    pub(crate) line: Arc<dyn Line>,
    pub(crate) decide: Arc<dyn Decide>,
    pub(crate) config: Config,
    pub(crate) wake: Notify,
    /// Messages and pushes that are under way; owned by the courier.
    pub(crate) flying: Mutex<BTreeSet<String>>,
}

/// A process that we begin.
#[derive(Clone, Debug)]
pub struct Opening {
    /// Our member.
    pub own: MemberId,
    /// The other side's participant id.
    pub counterparty: String,
    /// Its base; looked up when it is not named.
    pub address: Option<String>,
    /// The dataset.
    pub dataset: String,
    /// What it is, when that is known.
    pub kind: Option<Kind>,
    /// The offer (ODRL), with its id.
    pub offer: Value,
    /// The agreement that the new one takes the place of.
    pub replaces: Option<AgreementRef>,
}

impl Engine {
    /// Puts an engine together. The node's store must have [`crate::records::MIGRATIONS`].
    pub fn new(
        node: Node,
        identity: Arc<dyn Identity>,
        line: Arc<dyn Line>,
        decide: Arc<dyn Decide>,
        config: Config,
    ) -> Arc<Self> {
        let (wake, flying) = (Notify::new(), Mutex::default());
        Arc::new(Self { node, identity, line, decide, config, wake, flying })
    }

    /// Returns the node that it works for.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// Returns a new id.
    pub(crate) fn new_id(&self, now: Timestamp) -> String {
        format!("urn:uuid:{}", self.new_uuid(now))
    }

    pub(crate) fn new_uuid(&self, now: Timestamp) -> ExchangeId {
        ExchangeId::new(now, self.node.entropy().array())
    }

    /// Returns a process of ours.
    pub async fn process(&self, pid: &str) -> Result<Option<Process>, Error> {
        let pid = pid.to_owned();
        Ok(self.node.store().read(move |view| view.find::<Process>(pid)).await?)
    }

    /// Returns the messages of a process, the oldest first.
    pub async fn messages(&self, pid: &str) -> Result<Vec<Message>, Error> {
        let range = Range::of("process", vec![pid.into()], MESSAGES_SHOWN_MAX);
        Ok(self.node.store().read(move |view| view.select::<Message>(&range)).await?)
    }

    /// Asks a provider for a dataset under an offer; durable when it resolves.
    pub async fn request(self: &Arc<Self>, opening: Opening, by: &str) -> Result<Process, Error> {
        self.open(opening, Side::Consumer, by).await
    }

    /// Offers a dataset of ours to a consumer that has not asked.
    pub async fn offer(self: &Arc<Self>, opening: Opening, by: &str) -> Result<Process, Error> {
        self.open(opening, Side::Provider, by).await
    }

    async fn open(
        self: &Arc<Self>,
        opening: Opening,
        side: Side,
        by: &str,
    ) -> Result<Process, Error> {
        Wording::from_value(&opening.offer)?;
        let mut process = self.blank(&opening.own, opening.counterparty, opening.address, side)?;
        process.dataset = opening.dataset;
        process.kind = opening.kind;
        process.offer = Some(opening.offer);
        process.replaces = opening.replaces;
        let decision = match side {
            Side::Consumer => Decision::Counter(None),
            Side::Provider => Decision::Offer(None),
        };
        self.begin(process, decision, by).await
    }

    /// Asks for the data of an agreement; durable when it resolves.
    pub async fn request_transfer(
        self: &Arc<Self>,
        agreement: &str,
        format: &str,
        address: Option<String>,
        by: &str,
    ) -> Result<Process, Error> {
        let concluded = self.concluded(agreement, |_| true).await?;
        self.begin_transfer(concluded, format, address, by).await
    }

    /// Returns how an agreement was concluded that lets a member of ours fetch; `is_own` accepts
    /// the member.
    pub(crate) async fn concluded(
        &self,
        agreement: &str,
        is_own: impl Fn(&MemberId) -> bool,
    ) -> Result<Process, Error> {
        let range = Range::of("agreement", vec![agreement.into()], AGREEMENT_PROCESSES_MAX);
        let known = self.node.store().read(move |view| view.select::<Process>(&range)).await?;
        let finalized = Stage::Negotiation(negotiation::State::Finalized);
        let negotiated = known.into_iter().find(|known| {
            let own = member_of(&known.own);
            known.stage == finalized
                && known.side == Side::Consumer
                && own.is_some_and(|m| is_own(&m))
        });
        match negotiated {
            Some(negotiated) => Ok(negotiated),
            None => self.granted(agreement, Side::Consumer, None, |grant| is_own(&grant.client)),
        }
    }

    /// Begins the transfer of what was concluded.
    pub(crate) async fn begin_transfer(
        self: &Arc<Self>,
        concluded: Process,
        format: &str,
        address: Option<String>,
        by: &str,
    ) -> Result<Process, Error> {
        let mut process = Process {
            pid: String::new(),
            peer_pid: None,
            stage: Stage::Transfer(transfer::State::Requested),
            visits: BTreeMap::new(),
            moves: 0,
            format: Some(format.to_owned()),
            data_address: None,
            resumed: false,
            pending: None,
            decide_at: None,
            waiting: false,
            cause: None,
            replaces: None,
            ..concluded
        };
        if let Some(address) = address {
            process.address = address;
        }
        let now = self.node.now();
        process.pid = self.new_id(now);
        (process.opened_at, process.updated_at) = (now, now);
        process.deadline = now.plus(self.config.state_deadline);
        self.begin(process, Decision::Nothing, by).await
    }

    /// Makes a process before its first step.
    pub(crate) fn blank(
        &self,
        own: &MemberId,
        counterparty: String,
        address: Option<String>,
        side: Side,
    ) -> Result<Process, Error> {
        let now = self.node.now();
        let address = match address {
            Some(address) => address,
            None => self.line.address_of(&counterparty)?,
        };
        Ok(Process {
            pid: self.new_id(now),
            peer_pid: None,
            side,
            own: participant_of(own),
            counterparty,
            address,
            stage: Stage::Negotiation(match side {
                Side::Consumer => negotiation::State::Requested,
                Side::Provider => negotiation::State::Offered,
            }),
            visits: BTreeMap::new(),
            moves: 0,
            dataset: String::new(),
            kind: None,
            offer: None,
            policy: None,
            agreement: None,
            document: None,
            replaces: None,
            concluded: None,
            format: None,
            data_address: None,
            resumed: false,
            pending: None,
            decide_at: None,
            waiting: false,
            cause: None,
            opened_at: now,
            updated_at: now,
            deadline: now.plus(self.config.state_deadline),
        })
    }

    /// Lets a process enter a state.
    pub(crate) fn enter(&self, process: &mut Process, stage: Stage, now: Timestamp) {
        process.stage = stage;
        *process.visits.entry(stage.name().to_owned()).or_default() += 1;
        process.moves += 1;
        process.updated_at = now;
        process.deadline = now.plus(self.config.state_deadline);
        process.decide_at = Some(now.plus(self.config.first_delay));
        process.waiting = false;
        process.resumed = false;
        process.cause = None;
    }

    /// Queues the log entry of a message.
    pub(crate) fn log(
        tx: &mut dyn Tx,
        body: &[u8],
        seal: Option<&Seal>,
        salt: &str,
    ) -> Result<LeafRef, karvan_store::Error> {
        let statement = match seal {
            Some(seal) => evidence::message_statement(salt, &seal.signed),
            None => Digest::of_parts(&[salt.as_bytes(), b"\n", body]),
        };
        evidence::record(tx, MESSAGE_LEAF, statement)
    }

    /// Returns the dataset of a process, when it is offered here.
    pub(crate) async fn dataset(&self, id: &str) -> Result<Option<Dataset>, Error> {
        let id = id.to_owned();
        Ok(self.node.store().read(move |view| view.find::<Dataset>(id)).await?)
    }

    /// Returns the agreement of a process that was signed here, if one was.
    pub(crate) fn signed_agreement(process: &Process) -> Result<Option<Agreement>, Error> {
        let Some(document) = &process.document else { return Ok(None) };
        let payload = karvan_trust::document::unverified_payload(
            document.as_bytes(),
            karvan_types::limits::LIST_BYTES_MAX,
        );
        let read = payload.ok().and_then(|payload| karvan_types::json::from_slice(&payload).ok());
        let damaged = || Error::new(ErrorKind::Storage, "storage", "a stored agreement is damaged");
        read.map(Some).ok_or_else(damaged)
    }
}

/// Most messages of one process that are shown.
const MESSAGES_SHOWN_MAX: usize = 1_000;
/// Most processes of one agreement that are looked at.
pub(crate) const AGREEMENT_PROCESSES_MAX: usize = 1_000;

/// Returns the member that a participant of ours is.
pub(crate) fn own_member(participant: &str) -> Result<MemberId, Error> {
    let text = || format!("`{participant}` is no member");
    member_of(participant).ok_or_else(|| Error::invalid("participant", text()))
}

/// Checks that a counterparty does not have too many processes open.
pub(crate) fn check_room(tx: &dyn Tx, counterparty: &str, kind: Stage) -> Result<(), Error> {
    let range = Range::of("peer", vec![counterparty.into(), kind.kind().into()], 1);
    if tx.count(&crate::records::PROCESS, &range)? >= OPEN_PER_COUNTERPARTY_MAX as u64 {
        let text = format!("{counterparty} has too many processes here");
        return Err(Error::new(ErrorKind::Overloaded, "too-many", text));
    }
    Ok(())
}

/// Returns the state after a step that we take.
pub(crate) fn next_sent(stage: Option<Stage>, act: Act, side: Side) -> Result<Stage, Error> {
    let role = side.role();
    Ok(match act {
        Act::Negotiation(act) => {
            let state = negotiation_state(stage)?;
            Stage::Negotiation(negotiation::state::next_sent(state, act, role)?)
        }
        Act::Transfer(act) => {
            let state = transfer_state(stage)?;
            Stage::Transfer(transfer::state::next(state, act, role)?)
        }
    })
}

/// Returns the state after a message of the other side; `side` is ours.
pub(crate) fn next_received(stage: Option<Stage>, act: Act, side: Side) -> Result<Stage, Error> {
    let role = side.role().other();
    Ok(match act {
        Act::Negotiation(act) => {
            let state = negotiation_state(stage)?;
            Stage::Negotiation(negotiation::state::next(state, act, role)?)
        }
        Act::Transfer(act) => {
            let state = transfer_state(stage)?;
            Stage::Transfer(transfer::state::next(state, act, role)?)
        }
    })
}

fn negotiation_state(stage: Option<Stage>) -> Result<Option<negotiation::State>, Error> {
    match stage {
        None => Ok(None),
        Some(Stage::Negotiation(state)) => Ok(Some(state)),
        Some(Stage::Transfer(_)) => Err(wrong_machine("transfer")),
    }
}

fn transfer_state(stage: Option<Stage>) -> Result<Option<transfer::State>, Error> {
    match stage {
        None => Ok(None),
        Some(Stage::Transfer(state)) => Ok(Some(state)),
        Some(Stage::Negotiation(_)) => Err(wrong_machine("negotiation")),
    }
}

fn wrong_machine(is: &str) -> Error {
    Error::invalid(
        "wrong-process",
        format!("the process is a {is}, and the step is for another kind"),
    )
}
