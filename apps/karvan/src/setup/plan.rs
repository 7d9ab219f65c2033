//! What a nation decides before its material is made.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

use anyhow::Result;
use http::uri::Authority;
use karvan_types::id::InvalidId;
use karvan_types::{ErrorKind, Instance, MemberId, NodeId};

use super::NewToken;
use crate::failure::Failure;
use crate::subsystems;

/// A nation's first node.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) nation: Instance,
    /// Who runs the nation's list.
    pub(crate) name: String,
    pub(crate) node: NodeId,
    /// Where other nodes reach it: `host:port`.
    pub(crate) address: String,
    /// Where it listens for them; the address itself when that is numeric.
    pub(crate) listen: Option<SocketAddr>,
    /// Where the local interface listens.
    pub(crate) local: SocketAddr,
    /// Where agencies' systems call services without TLS.
    pub(crate) calls: SocketAddr,
    pub(crate) members: Vec<PlannedMember>,
    /// The environment variable with the passphrase of the keys; a key file when not named.
    pub(crate) passphrase_env: Option<String>,
    pub(crate) customs: Option<karvan_customs::subsystem::Config>,
}

/// A member or subsystem: `ID[=ROLE,ROLE][:NAME]`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct PlannedMember {
    pub(crate) id: MemberId,
    pub(crate) roles: Vec<String>,
    pub(crate) name: Option<String>,
}

impl FromStr for PlannedMember {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (text, name) = match text.split_once(':') {
            Some((text, name)) => (text, Some(name.to_owned())),
            None => (text, None),
        };
        let (id, roles) = text.split_once('=').unwrap_or((text, ""));
        let roles = roles.split(',').filter(|role| !role.is_empty()).map(ToOwned::to_owned);
        Ok(Self { id: id.parse()?, roles: roles.collect(), name })
    }
}

impl Plan {
    /// Refuses what could not work, before anything is made.
    pub(super) fn check(&self) -> Result<(), Failure> {
        let wrong = |text: String| Err(Failure::new(ErrorKind::Invalid, text));
        if self.node.instance() != self.nation {
            return wrong(format!("the node {} is not of {}", self.node, self.nation));
        }
        if let Some(member) = self.members.iter().find(|each| each.id.instance() != self.nation) {
            return wrong(format!("the member {} is not of {}", member.id, self.nation));
        }
        if self.members.is_empty() {
            return wrong("a node serves at least one member; name it with --member".to_owned());
        }
        let ids: BTreeSet<_> = self.members.iter().map(|member| &member.id).collect();
        if ids.len() < self.members.len() {
            return wrong("a member is named twice".to_owned());
        }
        let authority = self.address.parse::<Authority>().ok();
        let port = authority.as_ref().and_then(Authority::port_u16);
        if port.is_none_or(|port| port == 0) || self.address.contains('@') {
            return wrong(format!("the address `{}` is not host:port", self.address));
        }
        Ok(())
    }

    /// Returns what requests to the node name as their authority.
    pub(super) fn authority(&self) -> String {
        let lower = self.address.to_ascii_lowercase();
        lower.strip_suffix(":443").map(ToOwned::to_owned).unwrap_or(lower)
    }

    /// Returns the members, without subsystems, in the order of their ids.
    pub(super) fn owners(&self) -> BTreeSet<MemberId> {
        self.members.iter().map(|member| member.id.member()).collect()
    }

    /// Returns each member with the planned entries that are it or its subsystems.
    pub(super) fn by_owner(&self) -> BTreeMap<MemberId, Vec<&PlannedMember>> {
        let mut owners: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for member in &self.members {
            owners.entry(member.id.member()).or_default().push(member);
        }
        owners
    }

    /// Returns the first tokens: the operator's with every permission, and one for each member's
    /// own system with those that its work needs.
    pub(super) fn tokens(&self) -> Result<Vec<NewToken>> {
        let permissions =
            subsystems::member_permissions(&subsystems::registered(self.customs.as_ref())?);
        let operator = self.members.first().map(|member| NewToken {
            user: "operator".to_owned(),
            member: member.id.clone(),
            permissions: vec!["*".to_owned()],
        });
        let systems = self.members.iter().map(|member| NewToken {
            user: member.id.as_str().replace('/', "_"),
            member: member.id.clone(),
            permissions: permissions.clone(),
        });
        Ok(operator.into_iter().chain(systems).collect())
    }

    fn listen_address(&self) -> SocketAddr {
        let port = self.address.parse::<Authority>().ok().and_then(|address| address.port_u16());
        let any = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port.unwrap_or_default());
        self.listen.or_else(|| self.address.parse().ok()).unwrap_or(any)
    }

    /// Returns the text of the configuration.
    pub(super) fn config_text(&self) -> Result<String> {
        let unlock = match &self.passphrase_env {
            Some(name) => format!("{{ passphrase-env = {} }}", toml::Value::from(name.as_str())),
            None => "{ key-file = \"unlock.key\" }".to_owned(),
        };
        let mut text = format!(
            "# A Karvan node. `karvan config show` prints every key with its value;\n\
             # docs/operate/README.md explains them. Paths begin at this file's folder.\n\n\
             [node]\nid = \"{}\"\ndata = \"data\"\n\n\
             [keys]\nfolder = \"keys\"\nunlock = {unlock}\n\n\
             [peer]\nlisten = \"{}\"\n\n\
             [local]\nlisten = \"{}\"\n\n\
             [calls]\nlisten = \"{}\"\n\n\
             [log]\n# Better on another volume than the data: it finds a restored backup out.\n\
             signed-size-file = \"signed-size\"\n",
            self.node,
            self.listen_address(),
            self.local,
            self.calls,
        );
        if let Some(customs) = &self.customs {
            text.push_str("\n[customs]\n");
            text.push_str(&toml::to_string(customs)?);
        }
        Ok(text)
    }
}
