//! Transfer processes (DSP 2025-1, transfer process protocol): messages and state machine.
//!
//! A consumer asks for data under an agreement; the provider starts; either side suspends,
//! completes or terminates. [`state::next`] says what is allowed when and by whom.
//!
//! Invariant: the debug form of a [`DataAddress`] never shows a token.
//!
//! Not here: the data itself.

pub mod state;

use std::fmt;

use serde_json::Value;

use crate::error::Problem;
use crate::message::{Cause, Message, Out, Pids, open, read_address};
use crate::read::Node;

pub use state::{Act, State};

/// Most properties of a data address.
pub const ENDPOINT_PROPERTIES_MAX: usize = 64;
/// Longest value of a property, in bytes; tokens are long.
pub const ENDPOINT_PROPERTY_BYTES_MAX: usize = 16 * 1024;

/// The type of an endpoint that speaks HTTP, as peers write it.
pub const HTTP_ENDPOINT_TYPE: &str = "https://w3id.org/idsa/v4.1/HTTP";
/// Names of the property that repeats the URL; connectors of Eclipse EDC read only these.
const ENDPOINT_PROPERTIES: [&str; 2] = ["endpoint", "https://w3id.org/edc/v0.0.1/ns/endpoint"];

/// Where data is fetched or delivered, and the token that opens the door.
#[derive(Clone, Eq, PartialEq)]
pub struct DataAddress {
    /// An IRI or term that says what kind of endpoint it is.
    pub endpoint_type: String,
    /// The URL.
    pub endpoint: Option<String>,
    /// Names and values, in order. Values may be secret.
    pub properties: Vec<(String, String)>,
}

impl DataAddress {
    /// Makes the address of an HTTP endpoint that wants a bearer token. The URL is written as
    /// member and as properties, so that every peer finds it.
    pub fn http(url: &str, token: &str) -> Self {
        let fixed = [("authType", "bearer"), ("authorization", token)];
        let urls = ENDPOINT_PROPERTIES.map(|name| (name, url));
        let all = fixed.into_iter().chain(urls);
        Self {
            endpoint_type: HTTP_ENDPOINT_TYPE.to_owned(),
            endpoint: Some(url.to_owned()),
            properties: all.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        }
    }

    /// Returns the value of a property.
    pub fn property(&self, name: &str) -> Option<&str> {
        self.properties.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Returns the URL, from the member or from the properties that stand for it.
    pub fn url(&self) -> Option<&str> {
        let written = ENDPOINT_PROPERTIES.iter().find_map(|name| self.property(name));
        self.endpoint.as_deref().or(written)
    }

    fn read(node: &Node<'_>) -> Result<Self, Problem> {
        let object = node.object()?;
        let mut properties = Vec::new();
        for entry in object.list("endpointProperties", ENDPOINT_PROPERTIES_MAX)? {
            let property = entry.object()?;
            let value = property.required("value")?.text(ENDPOINT_PROPERTY_BYTES_MAX)?;
            properties.push((property.text("name")?, value.to_owned()));
        }
        Ok(Self {
            endpoint_type: object.text("endpointType")?,
            endpoint: object.optional_text("endpoint")?,
            properties,
        })
    }

    fn to_value(&self) -> Value {
        let property = |(name, value): &(String, String)| {
            Out::part("EndpointProperty").text("name", name).text("value", value).done()
        };
        Out::part("DataAddress")
            .text("endpointType", &self.endpoint_type)
            .optional("endpoint", self.endpoint.as_deref())
            .list("endpointProperties", self.properties.iter().map(property).collect())
            .done()
    }
}

impl fmt::Debug for DataAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.properties.iter().map(|(name, _)| name).collect();
        f.debug_struct("DataAddress")
            .field("endpoint_type", &self.endpoint_type)
            .field("endpoint", &self.endpoint)
            .field("properties", &names)
            .finish()
    }
}

/// Asks for data under an agreement (`TransferRequestMessage`).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TransferRequest {
    /// `@id`, kept when the message is sent again.
    pub id: Option<String>,
    /// The consumer's id of the process.
    pub consumer_pid: String,
    /// The agreement that allows it.
    pub agreement_id: String,
    /// How the data travels, such as `HttpData-PULL`.
    pub format: String,
    /// Where the provider's messages go: the consumer's base, without a slash at its end.
    pub callback_address: String,
    /// Where data is delivered, when the provider pushes it.
    pub data_address: Option<DataAddress>,
}

impl Message for TransferRequest {
    const TYPE: &'static str = "TransferRequestMessage";

    fn from_value(value: &Value) -> Result<Self, Problem> {
        let (object, id) = open(value, Self::TYPE)?;
        let data_address = object.find("dataAddress")?;
        Ok(Self {
            id,
            consumer_pid: object.text("consumerPid")?,
            agreement_id: object.text("agreementId")?,
            format: object.text("format")?,
            callback_address: read_address(&object)?,
            data_address: data_address.as_ref().map(DataAddress::read).transpose()?,
        })
    }

    fn to_value(&self) -> Value {
        let out = Out::root(Self::TYPE, self.id.as_deref())
            .text("consumerPid", &self.consumer_pid)
            .text("agreementId", &self.agreement_id)
            .text("format", &self.format)
            .text("callbackAddress", &self.callback_address);
        with_address(out, self.data_address.as_ref()).done()
    }
}

fn with_address(out: Out, address: Option<&DataAddress>) -> Out {
    match address {
        Some(address) => out.value("dataAddress", address.to_value()),
        None => out,
    }
}

/// Starts or resumes a transfer (`TransferStartMessage`).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TransferStart {
    /// `@id`, kept when the message is sent again.
    pub id: Option<String>,
    /// The process.
    pub pids: Pids,
    /// Where data is fetched; a provider gives it at the first start when the consumer pulls.
    pub data_address: Option<DataAddress>,
}

impl Message for TransferStart {
    const TYPE: &'static str = "TransferStartMessage";

    fn from_value(value: &Value) -> Result<Self, Problem> {
        let (object, id) = open(value, Self::TYPE)?;
        let data_address = object.find("dataAddress")?;
        let data_address = data_address.as_ref().map(DataAddress::read).transpose()?;
        Ok(Self { id, pids: Pids::read(&object)?, data_address })
    }

    fn to_value(&self) -> Value {
        let out = Out::root(Self::TYPE, self.id.as_deref()).pids(&self.pids);
        with_address(out, self.data_address.as_ref()).done()
    }
}

/// Pauses a transfer (`TransferSuspensionMessage`).
#[derive(Clone, Debug, PartialEq)]
pub struct TransferSuspension {
    /// `@id`, kept when the message is sent again.
    pub id: Option<String>,
    /// The process.
    pub pids: Pids,
    /// Why.
    pub cause: Cause,
}

impl Message for TransferSuspension {
    const TYPE: &'static str = "TransferSuspensionMessage";

    fn from_value(value: &Value) -> Result<Self, Problem> {
        let (object, id) = open(value, Self::TYPE)?;
        Ok(Self { id, pids: Pids::read(&object)?, cause: Cause::read(&object)? })
    }

    fn to_value(&self) -> Value {
        self.cause.write(Out::root(Self::TYPE, self.id.as_deref()).pids(&self.pids)).done()
    }
}

/// Says that all data went over (`TransferCompletionMessage`).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TransferCompletion {
    /// `@id`, kept when the message is sent again.
    pub id: Option<String>,
    /// The process.
    pub pids: Pids,
}

impl Message for TransferCompletion {
    const TYPE: &'static str = "TransferCompletionMessage";

    fn from_value(value: &Value) -> Result<Self, Problem> {
        let (object, id) = open(value, Self::TYPE)?;
        Ok(Self { id, pids: Pids::read(&object)? })
    }

    fn to_value(&self) -> Value {
        Out::root(Self::TYPE, self.id.as_deref()).pids(&self.pids).done()
    }
}

/// Ends a transfer (`TransferTerminationMessage`).
#[derive(Clone, Debug, PartialEq)]
pub struct TransferTermination {
    /// `@id`, kept when the message is sent again.
    pub id: Option<String>,
    /// The process.
    pub pids: Pids,
    /// Why.
    pub cause: Cause,
}

impl Message for TransferTermination {
    const TYPE: &'static str = "TransferTerminationMessage";

    fn from_value(value: &Value) -> Result<Self, Problem> {
        let (object, id) = open(value, Self::TYPE)?;
        Ok(Self { id, pids: Pids::read(&object)?, cause: Cause::read(&object)? })
    }

    fn to_value(&self) -> Value {
        self.cause.write(Out::root(Self::TYPE, self.id.as_deref()).pids(&self.pids)).done()
    }
}

/// The answer that shows a transfer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TransferProcess {
    /// `@id` of the answer.
    pub id: Option<String>,
    /// The process.
    pub pids: Pids,
    /// Where it stands.
    pub state: State,
}

impl Message for TransferProcess {
    const TYPE: &'static str = "TransferProcess";

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

/// The answer that refuses a message about a transfer.
#[derive(Clone, Debug, PartialEq)]
pub struct TransferError {
    /// `@id` of the answer.
    pub id: Option<String>,
    /// The process, or what the caller called it; absent ids are read as
    /// [`NIL_PID`](crate::message::NIL_PID).
    pub pids: Pids,
    /// Why.
    pub cause: Cause,
}

impl Message for TransferError {
    const TYPE: &'static str = "TransferError";

    fn from_value(value: &Value) -> Result<Self, Problem> {
        let (object, id) = open(value, Self::TYPE)?;
        Ok(Self { id, pids: Pids::read_or_nil(&object)?, cause: Cause::read(&object)? })
    }

    fn to_value(&self) -> Value {
        self.cause.write(Out::root(Self::TYPE, self.id.as_deref()).pids(&self.pids)).done()
    }
}
