//! Contract negotiation (DSP 2025-1, contract negotiation protocol): messages and state machine.
//!
//! A consumer asks for an offer, a provider offers and agrees, the consumer verifies, the provider
//! finalizes; either may end it. [`state::next`] says what is allowed when and by whom.
//!
//! Not here: whether a policy is understood ([`crate::policy`]), and who the sender is.

pub mod state;

use serde_json::Value;

use crate::error::Problem;
use crate::message::{Cause, Message, Out, Pids, Thread, open};
use crate::policy::{Agreement, Offer};

pub use state::{Act, State};

/// Asks for an offer, or answers an offer with a counter-offer (`ContractRequestMessage`).
#[derive(Clone, Debug, PartialEq)]
pub struct ContractRequest {
    /// `@id`, kept when the message is sent again.
    pub id: Option<String>,
    /// The consumer's id of the process.
    pub consumer_pid: String,
    /// Opens a process, or names the provider's id of it.
    pub thread: Thread,
    /// What is asked for; it has a target.
    pub offer: Offer,
}

impl Message for ContractRequest {
    const TYPE: &'static str = "ContractRequestMessage";

    fn from_value(value: &Value) -> Result<Self, Problem> {
        let (object, id) = open(value, Self::TYPE)?;
        Ok(Self {
            id,
            consumer_pid: object.text("consumerPid")?,
            thread: Thread::read(&object, "providerPid")?,
            offer: Offer::read_with_target(&object.required("offer")?)?,
        })
    }

    fn to_value(&self) -> Value {
        let out = Out::root(Self::TYPE, self.id.as_deref()).text("consumerPid", &self.consumer_pid);
        self.thread.write(out, "providerPid").value("offer", self.offer.to_value()).done()
    }
}

/// Offers a contract, unasked or as an answer (`ContractOfferMessage`).
#[derive(Clone, Debug, PartialEq)]
pub struct ContractOffer {
    /// `@id`, kept when the message is sent again.
    pub id: Option<String>,
    /// The provider's id of the process.
    pub provider_pid: String,
    /// Opens a process, or names the consumer's id of it.
    pub thread: Thread,
    /// What is offered; it has a target.
    pub offer: Offer,
}

impl Message for ContractOffer {
    const TYPE: &'static str = "ContractOfferMessage";

    fn from_value(value: &Value) -> Result<Self, Problem> {
        let (object, id) = open(value, Self::TYPE)?;
        Ok(Self {
            id,
            provider_pid: object.text("providerPid")?,
            thread: Thread::read(&object, "consumerPid")?,
            offer: Offer::read_with_target(&object.required("offer")?)?,
        })
    }

    fn to_value(&self) -> Value {
        let out = Out::root(Self::TYPE, self.id.as_deref()).text("providerPid", &self.provider_pid);
        self.thread.write(out, "consumerPid").value("offer", self.offer.to_value()).done()
    }
}

/// Gives the agreement (`ContractAgreementMessage`).
#[derive(Clone, Debug, PartialEq)]
pub struct ContractAgreement {
    /// `@id`, kept when the message is sent again.
    pub id: Option<String>,
    /// The process.
    pub pids: Pids,
    /// What is agreed.
    pub agreement: Agreement,
}

impl Message for ContractAgreement {
    const TYPE: &'static str = "ContractAgreementMessage";

    fn from_value(value: &Value) -> Result<Self, Problem> {
        let (object, id) = open(value, Self::TYPE)?;
        let pids = Pids::read(&object)?;
        Ok(Self { id, pids, agreement: Agreement::read(&object.required("agreement")?)? })
    }

    fn to_value(&self) -> Value {
        let out = Out::root(Self::TYPE, self.id.as_deref()).pids(&self.pids);
        out.value("agreement", self.agreement.to_value()).done()
    }
}

/// Says that the consumer verified the agreement (`ContractAgreementVerificationMessage`).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ContractAgreementVerification {
    /// `@id`, kept when the message is sent again.
    pub id: Option<String>,
    /// The process.
    pub pids: Pids,
}

impl Message for ContractAgreementVerification {
    const TYPE: &'static str = "ContractAgreementVerificationMessage";

    fn from_value(value: &Value) -> Result<Self, Problem> {
        let (object, id) = open(value, Self::TYPE)?;
        Ok(Self { id, pids: Pids::read(&object)? })
    }

    fn to_value(&self) -> Value {
        Out::root(Self::TYPE, self.id.as_deref()).pids(&self.pids).done()
    }
}

/// What an event message says.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum EventType {
    /// The consumer takes the offer.
    Accepted,
    /// The provider declares the agreement in force.
    Finalized,
}

const EVENT_TYPES: &[(&str, EventType)] =
    &[("ACCEPTED", EventType::Accepted), ("FINALIZED", EventType::Finalized)];

impl EventType {
    /// Returns the step of the state machine that the event is.
    pub const fn act(self) -> Act {
        match self {
            Self::Accepted => Act::Accept,
            Self::Finalized => Act::Finalize,
        }
    }

    /// Returns the value of `eventType`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accepted => "ACCEPTED",
            Self::Finalized => "FINALIZED",
        }
    }
}

/// Tells an event (`ContractNegotiationEventMessage`).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ContractNegotiationEvent {
    /// `@id`, kept when the message is sent again.
    pub id: Option<String>,
    /// The process.
    pub pids: Pids,
    /// What happened.
    pub event: EventType,
}

impl Message for ContractNegotiationEvent {
    const TYPE: &'static str = "ContractNegotiationEventMessage";

    fn from_value(value: &Value) -> Result<Self, Problem> {
        let (object, id) = open(value, Self::TYPE)?;
        let event = object.required("eventType")?.pick(EVENT_TYPES)?;
        Ok(Self { id, pids: Pids::read(&object)?, event })
    }

    fn to_value(&self) -> Value {
        let out = Out::root(Self::TYPE, self.id.as_deref()).pids(&self.pids);
        out.text("eventType", self.event.name()).done()
    }
}

/// Ends the process (`ContractNegotiationTerminationMessage`).
#[derive(Clone, Debug, PartialEq)]
pub struct ContractNegotiationTermination {
    /// `@id`, kept when the message is sent again.
    pub id: Option<String>,
    /// The process.
    pub pids: Pids,
    /// Why.
    pub cause: Cause,
}

impl Message for ContractNegotiationTermination {
    const TYPE: &'static str = "ContractNegotiationTerminationMessage";

    fn from_value(value: &Value) -> Result<Self, Problem> {
        let (object, id) = open(value, Self::TYPE)?;
        Ok(Self { id, pids: Pids::read(&object)?, cause: Cause::read(&object)? })
    }

    fn to_value(&self) -> Value {
        self.cause.write(Out::root(Self::TYPE, self.id.as_deref()).pids(&self.pids)).done()
    }
}

/// The answer that shows a process.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ContractNegotiation {
    /// `@id` of the answer.
    pub id: Option<String>,
    /// The process.
    pub pids: Pids,
    /// Where it stands.
    pub state: State,
}

impl Message for ContractNegotiation {
    const TYPE: &'static str = "ContractNegotiation";

    fn from_value(value: &Value) -> Result<Self, Problem> {
        let (object, id) = open(value, Self::TYPE)?;
        let state = object.required("state")?.pick(State::NAMES)?;
        Ok(Self { id, pids: Pids::read(&object)?, state })
    }

    fn to_value(&self) -> Value {
        let out = Out::root(Self::TYPE, self.id.as_deref()).pids(&self.pids);
        out.text("state", self.state.name()).done()
    }
}

/// The answer that refuses a message about a negotiation.
#[derive(Clone, Debug, PartialEq)]
pub struct ContractNegotiationError {
    /// `@id` of the answer.
    pub id: Option<String>,
    /// The process, or what the caller called it; absent ids are read as
    /// [`NIL_PID`](crate::message::NIL_PID).
    pub pids: Pids,
    /// Why.
    pub cause: Cause,
}

impl Message for ContractNegotiationError {
    const TYPE: &'static str = "ContractNegotiationError";

    fn from_value(value: &Value) -> Result<Self, Problem> {
        let (object, id) = open(value, Self::TYPE)?;
        Ok(Self { id, pids: Pids::read_or_nil(&object)?, cause: Cause::read(&object)? })
    }

    fn to_value(&self) -> Value {
        self.cause.write(Out::root(Self::TYPE, self.id.as_deref()).pids(&self.pids)).done()
    }
}
