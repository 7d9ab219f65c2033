//! What all messages of the Dataspace Protocol 2025-1 have in common.
//!
//! A [`Message`] is read with [`from_slice`] and written with [`to_vec`]. Written messages have the
//! one compact form that the JSON schemas of the protocol demand: `@context` is an array of one
//! string, a list is an array even with one entry, and an empty list is left out. `@id` is kept
//! when a message is sent again, because peers know duplicates by it.
//!
//! Invariants: what is written can be read, and means the same; reading never panics.
//!
//! Not here: routes, authentication and HTTP status codes (the protocol's HTTPS binding), which
//! belong to who speaks HTTP.

use karvan_types::json;
use serde_json::{Map, Value};

use crate::error::{Error, Problem};
use crate::names::CONTEXT;
use crate::read::{Node, Object, TEXT_BYTES_MAX};

/// Longest body of a message other than a catalog, in bytes.
pub const MESSAGE_BYTES_MAX: usize = 1024 * 1024;
/// Most contexts that a message names.
pub const CONTEXTS_MAX: usize = 16;
/// Most reasons that a termination or an error gives.
pub const REASONS_MAX: usize = 64;
/// Stands for a process id in the error about an unknown process: the nil UUID (RFC 9562).
pub const NIL_PID: &str = "urn:uuid:00000000-0000-0000-0000-000000000000";

/// A message, an answer or a document of the protocol.
pub trait Message: Sized {
    /// The value of `@type`, which stands in error texts too.
    const TYPE: &'static str;
    /// Longest body that is read, in bytes.
    const BYTES_MAX: usize = MESSAGE_BYTES_MAX;

    /// Reads the message from parsed JSON.
    fn from_value(value: &Value) -> Result<Self, Problem>;

    /// Returns the compact form.
    fn to_value(&self) -> Value;
}

/// Reads a body: strict JSON in which no name appears twice and every number is an exact integer
/// ([`karvan_types::json`]).
pub fn from_slice<M: Message>(body: &[u8]) -> Result<M, Error> {
    if body.len() > M::BYTES_MAX {
        let (what, bytes, bytes_max) = (M::TYPE, body.len(), M::BYTES_MAX);
        return Err(Error::TooLong { what, bytes, bytes_max });
    }
    Ok(M::from_value(&json::parse(body)?)?)
}

/// Writes the body.
pub fn to_vec<M: Message>(message: &M) -> Vec<u8> {
    message.to_value().to_string().into_bytes()
}

/// Who sends: each side of a process plays one of the two roles until its end.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Role {
    /// Asks for data.
    Consumer,
    /// Has the data.
    Provider,
}

impl Role {
    /// Both roles.
    pub const ALL: [Self; 2] = [Self::Consumer, Self::Provider];

    /// Returns the word for people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Consumer => "consumer",
            Self::Provider => "provider",
        }
    }

    /// Returns the role of the other side.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Consumer => Self::Provider,
            Self::Provider => Self::Consumer,
        }
    }
}

/// The two ids of one process: opaque texts, compared byte for byte.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Pids {
    /// What the provider calls the process.
    pub provider: String,
    /// What the consumer calls the process.
    pub consumer: String,
}

impl Pids {
    pub(crate) fn read(object: &Object<'_>) -> Result<Self, Problem> {
        Ok(Self { provider: object.text("providerPid")?, consumer: object.text("consumerPid")? })
    }

    /// Reads the ids of an error. Peers forget them when they do not know the process.
    pub(crate) fn read_or_nil(object: &Object<'_>) -> Result<Self, Problem> {
        let pid = |name| Ok(object.optional_text(name)?.unwrap_or_else(|| NIL_PID.to_owned()));
        Ok(Self { provider: pid("providerPid")?, consumer: pid("consumerPid")? })
    }

    /// Returns the id that this role gave to the process.
    pub fn of(&self, role: Role) -> &str {
        match role {
            Role::Consumer => &self.consumer,
            Role::Provider => &self.provider,
        }
    }
}

/// How a request or an offer names the process: it opens one, or belongs to one.
///
/// A message that names the peer's process id belongs to that process; a callback address beside it
/// is passed over.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Thread {
    /// Opens a process. Answers go below this address: the sender's base with its version path,
    /// without a slash at its end. It is the caller's to check that it belongs to the sender.
    Initial {
        /// The address.
        callback_address: String,
    },
    /// Belongs to the process that the recipient calls by this id.
    Running {
        /// The id that the recipient gave.
        pid: String,
    },
}

impl Thread {
    /// Reads it; `pid` is the member with the recipient's id.
    pub(crate) fn read(object: &Object<'_>, pid: &'static str) -> Result<Self, Problem> {
        if let Some(pid) = object.optional_text(pid)? {
            return Ok(Self::Running { pid });
        }
        if object.find("callbackAddress")?.is_some() {
            return Ok(Self::Initial { callback_address: read_address(object)? });
        }
        let remedy = format!(
            "add `callbackAddress` when it opens a process, `{pid}` when it belongs to one"
        );
        Err(object.problem(format!("needs either `callbackAddress` or `{pid}`"), remedy))
    }

    pub(crate) fn write(&self, out: Out, pid: &'static str) -> Out {
        match self {
            Self::Initial { callback_address } => out.text("callbackAddress", callback_address),
            Self::Running { pid: value } => out.text(pid, value),
        }
    }
}

/// Reads `callbackAddress`, and takes the slash off its end.
pub(crate) fn read_address(object: &Object<'_>) -> Result<String, Problem> {
    let node = object.required("callbackAddress")?;
    let text = node.text(TEXT_BYTES_MAX)?;
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let starts = |host: &str| !host.is_empty() && !host.starts_with(['/', '?', '#']);
    if !host.is_some_and(starts) || text.contains([' ', '?', '#', '\\', '@']) {
        return Err(node.problem(
            "must be an HTTP address without user, query and fragment",
            "write it such as https://node.example/dsp/2025-1",
        ));
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// Why a process ends or a message is refused.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Cause {
    /// A short word for programs; its values are the sender's.
    pub code: Option<String>,
    /// Reasons for people: texts when we write them, anything when a peer does.
    pub reasons: Vec<Value>,
}

impl Cause {
    /// Makes a cause of a word and one sentence.
    pub fn new(code: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { code: Some(code.into()), reasons: vec![Value::String(reason.into())] }
    }

    /// Returns the reasons as texts, whatever shape the peer gave them.
    pub fn sentences(&self) -> Vec<String> {
        self.reasons.iter().map(sentence).collect()
    }

    pub(crate) fn read(object: &Object<'_>) -> Result<Self, Problem> {
        // A peer that ends a process must not fail over the type of its code.
        let code = object.find("code")?.map(|node| sentence(node.value));
        let reasons = object.list("reason", REASONS_MAX)?;
        Ok(Self { code, reasons: reasons.iter().map(|node| node.value.clone()).collect() })
    }

    pub(crate) fn write(&self, out: Out) -> Out {
        out.optional("code", self.code.as_deref()).list("reason", self.reasons.clone())
    }
}

fn sentence(value: &Value) -> String {
    let inner = ["message", "@value", "reason"].iter().find_map(|name| value.get(name)?.as_str());
    match (value, inner) {
        (Value::String(text), _) => text.clone(),
        (_, Some(text)) => text.to_owned(),
        _ => value.to_string(),
    }
}

/// Opens the root of a message: checks `@context` and `@type`, and returns it with its `@id`.
pub(crate) fn open<'a>(
    value: &'a Value,
    name: &'static str,
) -> Result<(Object<'a>, Option<String>), Problem> {
    let object = Node::root(value).object()?;
    let node = object.required("@context")?;
    let contexts = node.list(CONTEXTS_MAX)?;
    if !contexts.iter().any(|context| context.value.as_str() == Some(CONTEXT)) {
        let remedy = format!("write \"@context\": [\"{CONTEXT}\"]");
        return Err(node.problem(format!("must hold `{CONTEXT}`"), remedy));
    }
    object.expect_type(name)?;
    let id = object.optional_text("@id")?;
    Ok((object, id))
}

/// Collects the members of an object in compact form.
#[derive(Default)]
pub(crate) struct Out(Map<String, Value>);

impl Out {
    /// Starts the root of a message.
    pub(crate) fn root(name: &'static str, id: Option<&str>) -> Self {
        Self::default()
            .list("@context", vec![CONTEXT.into()])
            .text("@type", name)
            .optional("@id", id)
    }

    /// Starts an object inside of a message.
    pub(crate) fn part(name: &'static str) -> Self {
        Self::default().text("@type", name)
    }

    /// Starts from members that are there already.
    pub(crate) fn with(members: Map<String, Value>) -> Self {
        Self(members)
    }

    pub(crate) fn value(mut self, name: &str, value: Value) -> Self {
        self.0.insert(name.to_owned(), value);
        self
    }

    pub(crate) fn text(self, name: &str, text: &str) -> Self {
        self.value(name, Value::String(text.to_owned()))
    }

    pub(crate) fn optional(self, name: &str, text: Option<&str>) -> Self {
        match text {
            Some(text) => self.text(name, text),
            None => self,
        }
    }

    /// Adds a list, unless it is empty: an empty array breaks the protocol's schemas.
    pub(crate) fn list(self, name: &str, entries: Vec<Value>) -> Self {
        if entries.is_empty() { self } else { self.value(name, Value::Array(entries)) }
    }

    pub(crate) fn pids(self, pids: &Pids) -> Self {
        self.text("providerPid", &pids.provider).text("consumerPid", &pids.consumer)
    }

    pub(crate) fn members(self) -> Map<String, Value> {
        self.0
    }

    pub(crate) fn done(self) -> Value {
        Value::Object(self.0)
    }
}
