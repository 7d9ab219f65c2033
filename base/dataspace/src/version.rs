//! Version discovery: the document at `/.well-known/dspace-version` (DSP 2025-1, common functions).

use serde_json::Value;

use crate::error::Problem;
use crate::message::{Cause, Message, Out, open};
use crate::read::{Node, Object};

/// The version of the protocol that is spoken here.
pub const VERSION: &str = "2025-1";
/// The binding that is spoken here.
pub const BINDING: &str = "HTTPS";
/// Most versions that a document lists.
pub const VERSIONS_MAX: usize = 64;

/// What a node speaks, and below which path.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Versions {
    /// One entry for each version and binding.
    pub protocol_versions: Vec<ProtocolVersion>,
}

/// One version of the protocol.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ProtocolVersion {
    /// Such as [`VERSION`].
    pub version: String,
    /// What is appended to the root to get the base of this version.
    pub path: String,
    /// Such as [`BINDING`].
    pub binding: String,
    /// Tells several services of one participant apart.
    pub service_id: Option<String>,
    /// How participants are identified.
    pub identifier_type: Option<String>,
    /// How callers prove who they are.
    pub auth: Option<Auth>,
}

/// A protocol of authentication.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Auth {
    /// Its name.
    pub protocol: String,
    /// Its version.
    pub version: String,
    /// Its profiles.
    pub profile: Vec<String>,
}

impl Versions {
    /// Returns the entry that this crate can speak.
    pub fn spoken(&self) -> Option<&ProtocolVersion> {
        let fits = |entry: &&ProtocolVersion| {
            entry.version == VERSION && entry.binding.eq_ignore_ascii_case(BINDING)
        };
        self.protocol_versions.iter().find(fits)
    }
}

impl Message for Versions {
    const TYPE: &'static str = "version document";

    fn from_value(value: &Value) -> Result<Self, Problem> {
        let object = Node::root(value).object()?;
        let entries = object.required("protocolVersions")?.list(VERSIONS_MAX)?;
        let read = |node: &Node<'_>| ProtocolVersion::read(&node.object()?);
        Ok(Self { protocol_versions: entries.iter().map(read).collect::<Result<_, _>>()? })
    }

    fn to_value(&self) -> Value {
        let entries = self.protocol_versions.iter().map(ProtocolVersion::to_value).collect();
        Out::default().value("protocolVersions", Value::Array(entries)).done()
    }
}

impl ProtocolVersion {
    fn read(object: &Object<'_>) -> Result<Self, Problem> {
        Ok(Self {
            version: object.text("version")?,
            path: object.text("path")?,
            binding: object.text("binding")?,
            service_id: object.optional_text("serviceId")?,
            identifier_type: object.optional_text("identifierType")?,
            auth: match object.find("auth")? {
                Some(node) => Some(Auth::read(&node.object()?)?),
                None => None,
            },
        })
    }

    fn to_value(&self) -> Value {
        let out = Out::default()
            .text("version", &self.version)
            .text("path", &self.path)
            .text("binding", &self.binding)
            .optional("serviceId", self.service_id.as_deref())
            .optional("identifierType", self.identifier_type.as_deref());
        match &self.auth {
            Some(auth) => out.value("auth", auth.to_value()).done(),
            None => out.done(),
        }
    }
}

impl Auth {
    fn read(object: &Object<'_>) -> Result<Self, Problem> {
        let profile = object.list("profile", VERSIONS_MAX)?;
        let text = |node: &Node<'_>| node.text(crate::read::TEXT_BYTES_MAX).map(str::to_owned);
        Ok(Self {
            protocol: object.text("protocol")?,
            version: object.text("version")?,
            profile: profile.iter().map(text).collect::<Result<_, _>>()?,
        })
    }

    fn to_value(&self) -> Value {
        let profile = self.profile.iter().map(|text| text.clone().into()).collect();
        Out::default()
            .text("protocol", &self.protocol)
            .text("version", &self.version)
            .list("profile", profile)
            .done()
    }
}

/// The answer that refuses a question for versions (`VersionsError`).
#[derive(Clone, Debug, PartialEq)]
pub struct VersionsError {
    /// `@id` of the answer.
    pub id: Option<String>,
    /// Why.
    pub cause: Cause,
}

impl Message for VersionsError {
    const TYPE: &'static str = "VersionsError";

    fn from_value(value: &Value) -> Result<Self, Problem> {
        let (object, id) = open(value, Self::TYPE)?;
        Ok(Self { id, cause: Cause::read(&object)? })
    }

    fn to_value(&self) -> Value {
        self.cause.write(Out::root(Self::TYPE, self.id.as_deref())).done()
    }
}
