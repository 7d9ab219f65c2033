//! Who is who on this side of the exchange.

use karvan_types::{Date, Instance, MemberId};
use serde::{Deserialize, Serialize};

use crate::messages::SharingLevel;

/// The members and the day that the sub-system needs to know.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// Our customs service, which submits declarations, takes claims and decides.
    pub customs: MemberId,
    /// Our members that issue certificates through this node.
    #[serde(default)]
    pub issuers: Vec<MemberId>,
    /// The partner's customs service.
    pub partner: MemberId,
    /// The agreement under which preference is claimed.
    pub agreement: String,
    /// How much the agreement lets the partner see, for documents that do not say it themselves.
    #[serde(default = "values")]
    pub sharing_level: SharingLevel,
    /// The day on which the exchange with the partner began. A certificate from before it cannot
    /// be here, which is no sign against it.
    pub go_live: Date,
}

fn values() -> SharingLevel {
    SharingLevel::L2
}

impl Config {
    /// Returns our nation.
    pub fn nation(&self) -> Instance {
        self.customs.instance()
    }

    /// Returns the partner's nation.
    pub fn partner_nation(&self) -> Instance {
        self.partner.instance()
    }

    /// Returns the other one of the two nations.
    pub fn other(&self, nation: Instance) -> Instance {
        if nation == self.nation() { self.partner_nation() } else { self.nation() }
    }
}
