//! What the operator of this node has set: the services of its members, and how the systems of its
//! members prove who they are.
//!
//! Settings are rows of the store and, from the moment of their commit, the content of a snapshot
//! that every call reads without a lock.
//!
//! Invariants: a setting that is live is durable; writers take turns, so that the snapshot ends as
//! the store does; nothing is stored that breaks a rule of [`Service::check`] or
//! [`ClientAccess::check`].
//!
//! Not here: who may call what. That is said by agreements alone (`karvan-agreements`).

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use karvan_exchange::Node;
use karvan_store::{Error, Index, Range, Read, Record, Table, Tx, Value};
use karvan_subsystem::Rejection;
use karvan_types::{Digest, ErrorKind, MemberId};
use karvan_xroad::access::EndpointRight;
use karvan_xroad::url::ServiceUrl;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

mod check;
pub mod openapi;

/// Most services that a node serves.
pub const SERVICES_MAX: usize = 10_000;
/// Most client subsystems with settings of their own.
pub const CLIENTS_MAX: usize = 10_000;
/// How long a provider's system may take when the operator sets nothing.
pub const TIMEOUT_DEFAULT: Duration = Duration::from_mins(1);
/// How long connecting to a provider's system may take when the operator sets nothing (X-Road's
/// own bound).
pub const CONNECT_TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);
/// Longest time that may be given to a provider's system.
pub const TIMEOUT_MAX: Duration = Duration::from_mins(10);
/// Connections to a provider's system at one time when the operator sets nothing.
pub const CONNECTIONS_DEFAULT: u32 = 64;

/// The tables of this module, for the migrations of the crate.
pub const TABLES: &[&Table] = &[&SERVICE, &CLIENT];

/// Services. Key: the providing subsystem, a slash, the service code.
pub static SERVICE: Table = Table {
    name: "call_service",
    columns: &["member"],
    indexes: &[Index { name: "member", columns: &["member"], unique: false }],
};

/// How client subsystems prove who they are. Key: the subsystem.
pub static CLIENT: Table = Table { name: "call_client", columns: &[], indexes: &[] };

/// A service of a member that this node serves.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Service {
    /// The subsystem that provides it.
    pub member: MemberId,
    /// The service code.
    pub code: String,
    /// Where the provider's system is: `http://` or `https://`, host, perhaps port and path.
    pub base_url: String,
    /// How it is described.
    #[serde(default)]
    pub kind: ServiceKind,
    /// Whether calls are passed on.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// What callers are told while it is not enabled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notice: Option<String>,
    /// How long the provider's system may take, from the first byte sent to the last one read.
    #[serde(default = "timeout_default", rename = "timeoutMs", with = "millis")]
    pub timeout: Duration,
    /// How much of that time a new connection may take, its handshake included.
    #[serde(default = "connect_timeout_default", rename = "connectTimeoutMs", with = "millis")]
    pub connect_timeout: Duration,
    /// Whether the certificate of an `https` system is verified, its host name included.
    #[serde(default = "yes")]
    pub verify_tls: bool,
    /// The authorities that vouch for the system's certificate (PEM); those of the operating
    /// system when there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorities: Option<String>,
    /// Most connections to the system at one time.
    #[serde(default = "connections_default")]
    pub connections_max: u32,
    /// Its endpoints, as callers are shown them. They restrict nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub endpoints: Vec<EndpointRight>,
}

/// How a service is described.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "lowercase", tag = "type")]
pub enum ServiceKind {
    /// By a base address only.
    #[default]
    Rest,
    /// By an OpenAPI 3 description.
    OpenApi {
        /// Its `http://` or `https://` address, or the description itself.
        description: String,
    },
}

impl ServiceKind {
    /// Returns its name in X-Road's operational monitoring.
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::Rest => "REST",
            Self::OpenApi { .. } => "OPENAPI3",
        }
    }

    /// Returns the address of the description, when it has one.
    pub fn description_url(&self) -> Option<&str> {
        match self {
            Self::OpenApi { description } if is_url(description) => Some(description),
            _ => None,
        }
    }
}

fn is_url(text: &str) -> bool {
    text.starts_with("http://") || text.starts_with("https://")
}

/// How the systems of a client subsystem prove who they are.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ClientAccess {
    /// The subsystem, or a member that calls without one.
    pub subsystem: MemberId,
    /// Whether anybody who reaches the listener may call for it, without certificate and token.
    #[serde(default)]
    pub plain_http: bool,
    /// SHA-256 of the DER of each certificate that counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub certificates: Vec<Digest>,
    /// Whether it gets error codes as X-Road wrote them up to 7.7 (`Server.ServerProxy.…`).
    #[serde(default)]
    pub legacy_codes: bool,
}

impl ClientAccess {
    /// Makes the settings of a subsystem for which nothing was set: a token or nothing.
    pub fn new(subsystem: MemberId) -> Self {
        Self { subsystem, plain_http: false, certificates: Vec::new(), legacy_codes: false }
    }
}

impl Record for Service {
    const TABLE: &'static Table = &SERVICE;

    fn key(&self) -> Value {
        service_key(&self.member, &self.code).into()
    }

    fn columns(&self) -> Vec<Value> {
        vec![self.member.as_str().into()]
    }
}

impl Record for ClientAccess {
    const TABLE: &'static Table = &CLIENT;

    fn key(&self) -> Value {
        self.subsystem.as_str().into()
    }

    fn columns(&self) -> Vec<Value> {
        Vec::new()
    }
}

/// A code holds no slash, so this is the key of one service only.
fn service_key(member: &MemberId, code: &str) -> String {
    format!("{member}/{code}")
}

/// All settings at one moment.
#[derive(Clone, Debug, Default)]
struct Settings {
    services: HashMap<MemberId, BTreeMap<String, Arc<Service>>>,
    clients: HashMap<MemberId, Arc<ClientAccess>>,
}

/// The settings in force.
#[derive(Debug, Default)]
pub struct Registry {
    live: ArcSwap<Settings>,
    /// Held from the transaction to the change of the snapshot.
    writing: Mutex<()>,
}

impl Registry {
    /// Reads all settings from a node's store.
    pub async fn open(node: &Node) -> Result<Self, Error> {
        let settings = node.store().read(|view| Settings::read(view)).await?;
        Ok(Self { live: ArcSwap::from_pointee(settings), writing: Mutex::default() })
    }

    /// Makes a registry of settings that are stored nowhere.
    #[cfg(test)]
    pub(crate) fn of_clients(clients: impl IntoIterator<Item = ClientAccess>) -> Self {
        let registry = Self::default();
        for client in clients {
            registry.live.rcu(|settings| settings.with_client(client.clone()));
        }
        registry
    }

    /// Makes a registry of services that are stored nowhere.
    #[cfg(test)]
    pub(crate) fn of_services(services: impl IntoIterator<Item = Service>) -> Self {
        let registry = Self::default();
        for service in services {
            registry.live.rcu(|settings| settings.with(service.clone()));
        }
        registry
    }

    /// Returns a service, enabled or not.
    pub fn find(&self, member: &MemberId, code: &str) -> Option<Arc<Service>> {
        self.live.load().services.get(member)?.get(code).cloned()
    }

    /// Returns the services of a subsystem in the order of their codes.
    pub fn of_member(&self, member: &MemberId) -> Vec<Arc<Service>> {
        let live = self.live.load();
        live.services.get(member).into_iter().flat_map(|codes| codes.values().cloned()).collect()
    }

    /// Returns all services in the order of members and codes.
    pub fn services(&self) -> Vec<Arc<Service>> {
        let live = self.live.load();
        let sorted: BTreeMap<_, _> = live.services.iter().collect();
        sorted.values().flat_map(|codes| codes.values().cloned()).collect()
    }

    /// Returns how a subsystem's systems prove who they are.
    pub fn client(&self, subsystem: &MemberId) -> Arc<ClientAccess> {
        let known = self.live.load().clients.get(subsystem).cloned();
        known.unwrap_or_else(|| Arc::new(ClientAccess::new(subsystem.clone())))
    }

    /// Returns the subsystems that have settings of their own, in their order.
    pub fn clients(&self) -> Vec<Arc<ClientAccess>> {
        let mut clients: Vec<_> = self.live.load().clients.values().cloned().collect();
        clients.sort_by(|a, b| a.subsystem.cmp(&b.subsystem));
        clients
    }

    /// Sets a service; returns whether it is new.
    pub async fn put(&self, node: &Node, service: Service) -> Result<bool, Rejection> {
        service.check()?;
        let _turn = self.writing.lock().await;
        let live = self.live.load_full();
        let new = live.find(&service.member, &service.code).is_none();
        if new && live.services.values().map(BTreeMap::len).sum::<usize>() >= SERVICES_MAX {
            return Err(too_many("services", SERVICES_MAX));
        }
        let row = service.clone();
        node.store().write(move |tx| tx.save(&row)).await.map_err(|error: Error| error)?;
        self.live.rcu(|settings| settings.with(service.clone()));
        Ok(new)
    }

    /// Removes a service; returns whether it was there.
    pub async fn remove(
        &self,
        node: &Node,
        member: &MemberId,
        code: &str,
    ) -> Result<bool, Rejection> {
        let _turn = self.writing.lock().await;
        let key = service_key(member, code);
        let there: Result<bool, Error> =
            node.store().write(move |tx: &mut dyn Tx| tx.remove::<Service>(key)).await;
        self.live.rcu(|settings| settings.without(member, code));
        Ok(there?)
    }

    /// Sets how a subsystem's systems prove who they are; returns whether it had no settings.
    pub async fn put_client(&self, node: &Node, client: ClientAccess) -> Result<bool, Rejection> {
        client.check()?;
        let _turn = self.writing.lock().await;
        let live = self.live.load_full();
        let new = !live.clients.contains_key(&client.subsystem);
        if new && live.clients.len() >= CLIENTS_MAX {
            return Err(too_many("clients", CLIENTS_MAX));
        }
        let row = client.clone();
        node.store().write(move |tx| tx.save(&row)).await.map_err(|error: Error| error)?;
        self.live.rcu(|settings| settings.with_client(client.clone()));
        Ok(new)
    }

    /// Takes a subsystem's settings away; returns whether it had some.
    pub async fn remove_client(
        &self,
        node: &Node,
        subsystem: &MemberId,
    ) -> Result<bool, Rejection> {
        let _turn = self.writing.lock().await;
        let key = subsystem.as_str().to_owned();
        let there: Result<bool, Error> =
            node.store().write(move |tx: &mut dyn Tx| tx.remove::<ClientAccess>(key)).await;
        let there = there?;
        self.live.rcu(|settings| {
            let mut settings = Settings::clone(settings);
            settings.clients.remove(subsystem);
            settings
        });
        Ok(there)
    }
}

impl Settings {
    fn read(view: &dyn Read) -> Result<Self, Error> {
        let mut settings = Self::default();
        for service in view.select::<Service>(&Range::all(SERVICES_MAX))? {
            settings.add(service);
        }
        for client in view.select::<ClientAccess>(&Range::all(CLIENTS_MAX))? {
            settings.clients.insert(client.subsystem.clone(), Arc::new(client));
        }
        Ok(settings)
    }

    fn add(&mut self, service: Service) {
        let codes = self.services.entry(service.member.clone()).or_default();
        codes.insert(service.code.clone(), Arc::new(service));
    }

    fn find(&self, member: &MemberId, code: &str) -> Option<&Arc<Service>> {
        self.services.get(member)?.get(code)
    }

    fn with(&self, service: Service) -> Self {
        let mut changed = self.clone();
        changed.add(service);
        changed
    }

    fn without(&self, member: &MemberId, code: &str) -> Self {
        let mut changed = self.clone();
        if let Some(codes) = changed.services.get_mut(member) {
            codes.remove(code);
        }
        changed
    }

    fn with_client(&self, client: ClientAccess) -> Self {
        let mut changed = self.clone();
        changed.clients.insert(client.subsystem.clone(), Arc::new(client));
        changed
    }
}

fn too_many(what: &str, max: usize) -> Rejection {
    let text = format!("this node has {max} {what}, which is the most; remove some first");
    Rejection::new(ErrorKind::TooLarge, "registry-full", text)
}

const fn yes() -> bool {
    true
}

const fn timeout_default() -> Duration {
    TIMEOUT_DEFAULT
}

const fn connect_timeout_default() -> Duration {
    CONNECT_TIMEOUT_DEFAULT
}

const fn connections_default() -> u32 {
    CONNECTIONS_DEFAULT
}

/// A duration as a number of milliseconds.
mod millis {
    use std::time::Duration;

    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &Duration, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_u64(u64::try_from(value.as_millis()).unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Duration, D::Error> {
        u64::deserialize(input).map(Duration::from_millis)
    }
}

#[cfg(test)]
mod tests;
