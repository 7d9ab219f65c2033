//! What a message of the other side says, whatever its type.

use karvan_dataspace::negotiation::{
    self, ContractAgreement, ContractAgreementVerification, ContractNegotiationEvent,
    ContractNegotiationTermination, ContractOffer, ContractRequest,
};
use karvan_dataspace::policy::{self, Offer};
use karvan_dataspace::transfer::{
    self, DataAddress, TransferCompletion, TransferRequest, TransferStart, TransferSuspension,
    TransferTermination,
};
use karvan_dataspace::{Message as _, Pids, Thread};
use karvan_types::{AgreementRef, json};
use serde_json::Value;

use crate::Error;
use crate::catalog::KIND_MEMBER;
use crate::engine::{DOCUMENT_MEMBER, REPLACES_MEMBER};
use crate::records::{Act, Kind, Side, Why};

/// What a message says, whatever its type.
#[derive(Debug, Default)]
pub(crate) struct Said {
    pub(crate) act: Option<Act>,
    pub(crate) kind: &'static str,
    pub(crate) id: Option<String>,
    pub(crate) provider_pid: Option<String>,
    pub(crate) consumer_pid: Option<String>,
    pub(crate) callback: Option<String>,
    pub(crate) offer: Option<Offer>,
    pub(crate) agreement: Option<policy::Agreement>,
    pub(crate) agreement_id: Option<String>,
    pub(crate) format: Option<String>,
    pub(crate) data_address: Option<DataAddress>,
    pub(crate) cause: Option<Why>,
    /// What is offered, in an offer that nobody asked for.
    pub(crate) dataset_kind: Option<Kind>,
    /// The signed agreement that travels beside it.
    pub(crate) document: Option<String>,
    pub(crate) replaces: Option<AgreementRef>,
}

/// The paths to which messages are sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Route {
    Request,
    Offers,
    Agreement,
    Verification,
    Events,
    Termination,
    TransferRequest,
    Start,
    Suspension,
    Completion,
    TransferTermination,
}

impl Said {
    /// Reads the message that belongs to a path.
    pub(crate) fn read(route: Route, value: &Value) -> Result<Self, Error> {
        let mut said = match route {
            Route::Request => Self::request(ContractRequest::from_value(value)?),
            Route::Offers => Self::offers(ContractOffer::from_value(value)?),
            Route::Agreement => {
                let message = ContractAgreement::from_value(value)?;
                let said = Self::of(negotiation::Act::Agree, message.id, message.pids);
                Self { kind: ContractAgreement::TYPE, agreement: Some(message.agreement), ..said }
            }
            Route::Verification => {
                let message = ContractAgreementVerification::from_value(value)?;
                let said = Self::of(negotiation::Act::Verify, message.id, message.pids);
                Self { kind: ContractAgreementVerification::TYPE, ..said }
            }
            Route::Events => {
                let message = ContractNegotiationEvent::from_value(value)?;
                let said = Self::of(message.event.act(), message.id, message.pids);
                Self { kind: ContractNegotiationEvent::TYPE, ..said }
            }
            Route::Termination => {
                let message = ContractNegotiationTermination::from_value(value)?;
                let said = Self::of(negotiation::Act::Terminate, message.id, message.pids);
                let cause = Some(Why::from(&message.cause));
                Self { kind: ContractNegotiationTermination::TYPE, cause, ..said }
            }
            _ => Self::transfer(route, value)?,
        };
        said.document = text_member(value, DOCUMENT_MEMBER)?;
        said.dataset_kind = match text_member(value, KIND_MEMBER)? {
            Some(text) => Some(json::from_slice(text.as_bytes()).map_err(|error| {
                Error::invalid("malformed", format!("`{KIND_MEMBER}`: {error}"))
            })?),
            None => None,
        };
        said.replaces = match text_member(value, REPLACES_MEMBER)? {
            Some(text) => Some(text.parse().map_err(|error| {
                Error::invalid("replaces", format!("`{REPLACES_MEMBER}`: {error}"))
            })?),
            None => None,
        };
        Ok(said)
    }

    fn of(act: negotiation::Act, id: Option<String>, pids: Pids) -> Self {
        Self {
            act: Some(Act::Negotiation(act)),
            id,
            provider_pid: Some(pids.provider),
            consumer_pid: Some(pids.consumer),
            ..Self::default()
        }
    }

    fn request(message: ContractRequest) -> Self {
        let (provider_pid, callback) = split(message.thread);
        Self {
            act: Some(Act::Negotiation(negotiation::Act::Request)),
            kind: ContractRequest::TYPE,
            id: message.id,
            provider_pid,
            consumer_pid: Some(message.consumer_pid),
            callback,
            offer: Some(message.offer),
            ..Self::default()
        }
    }

    fn offers(message: ContractOffer) -> Self {
        let (consumer_pid, callback) = split(message.thread);
        Self {
            act: Some(Act::Negotiation(negotiation::Act::Offer)),
            kind: ContractOffer::TYPE,
            id: message.id,
            provider_pid: Some(message.provider_pid),
            consumer_pid,
            callback,
            offer: Some(message.offer),
            ..Self::default()
        }
    }

    fn transfer(route: Route, value: &Value) -> Result<Self, Error> {
        let of = |act, kind, id, pids: Pids| Self {
            act: Some(Act::Transfer(act)),
            kind,
            id,
            provider_pid: Some(pids.provider),
            consumer_pid: Some(pids.consumer),
            ..Self::default()
        };
        Ok(match route {
            Route::Start => {
                let message = TransferStart::from_value(value)?;
                let said = of(transfer::Act::Start, TransferStart::TYPE, message.id, message.pids);
                Self { data_address: message.data_address, ..said }
            }
            Route::Suspension => {
                let message = TransferSuspension::from_value(value)?;
                let kind = TransferSuspension::TYPE;
                let said = of(transfer::Act::Suspend, kind, message.id, message.pids);
                Self { cause: Some(Why::from(&message.cause)), ..said }
            }
            Route::Completion => {
                let message = TransferCompletion::from_value(value)?;
                let kind = TransferCompletion::TYPE;
                of(transfer::Act::Complete, kind, message.id, message.pids)
            }
            Route::TransferRequest => {
                let message = TransferRequest::from_value(value)?;
                Self {
                    act: Some(Act::Transfer(transfer::Act::Request)),
                    kind: TransferRequest::TYPE,
                    id: message.id,
                    consumer_pid: Some(message.consumer_pid),
                    callback: Some(message.callback_address),
                    agreement_id: Some(message.agreement_id),
                    format: Some(message.format),
                    data_address: message.data_address,
                    ..Self::default()
                }
            }
            _ => {
                let message = TransferTermination::from_value(value)?;
                let kind = TransferTermination::TYPE;
                let said = of(transfer::Act::Terminate, kind, message.id, message.pids);
                Self { cause: Some(Why::from(&message.cause)), ..said }
            }
        })
    }

    /// Returns the id that this side gave to the process.
    pub(crate) fn pid(&self, side: Side) -> Option<&str> {
        match side {
            Side::Consumer => self.consumer_pid.as_deref(),
            Side::Provider => self.provider_pid.as_deref(),
        }
    }
}

fn split(thread: Thread) -> (Option<String>, Option<String>) {
    match thread {
        Thread::Running { pid } => (Some(pid), None),
        Thread::Initial { callback_address } => (None, Some(callback_address)),
    }
}

fn text_member(value: &Value, name: &str) -> Result<Option<String>, Error> {
    match value.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(Error::invalid("malformed", format!("`{name}` must be a text"))),
    }
}
