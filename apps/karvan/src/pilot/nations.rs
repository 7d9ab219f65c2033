//! The two nations of the pilot: members, nodes, and the agreement between them.
//!
//! Names of agencies are real, everything that travels is invented.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;

use anyhow::Result;
use karvan_agreements::meter::Period;
use karvan_agreements::{Agreement, Endpoint, Grant, Quota, ServiceGrant};
use karvan_customs::messages::SharingLevel;
use karvan_customs::samples::{Actor, Consignment};
use karvan_customs::subsystem::ISSUER_ROLE;
use karvan_system::{Clock as _, SystemClock};
use karvan_types::{Instance, MemberId, Timestamp};

use crate::setup::{Plan, PlannedMember};

/// How long the agreement of the pilot is in force.
const AGREEMENT_LIFETIME: Duration = Duration::from_hours(5 * 365 * 24);
/// How often either side may look something up; more than a person asks, less than a mistake.
const LOOK_UPS_PER_MINUTE: u32 = 600;
/// The day on which the two customs services began to exchange data, in the story of the samples.
const GO_LIVE: &str = "2025-01-01";
/// The papers of the pilot are of fixed days, from this one on but for those of earlier years.
const PAPERS_FROM: &str = "2026-10-01T00:00:00Z";
/// How many days later than those days a claim may come: as many as the rules say.
const PAPERS_LATE_DAYS: u64 = 30;
const SECONDS_PER_DAY: u64 = 24 * 60 * 60;
/// The role of customs services on the national lists.
const CUSTOMS_ROLE: &str = "customs";

/// One nation of the pilot.
#[derive(Debug)]
pub(crate) struct Nation {
    /// Also the name of its folder.
    pub(crate) folder: &'static str,
    code: &'static str,
    node: &'static str,
    operator: &'static str,
    customs: (&'static str, &'static str),
    issuer: (&'static str, &'static str),
}

/// Azerbaijan.
pub(crate) static AZ: Nation = Nation {
    folder: "az",
    code: "AZ",
    node: "AZ/node/baku-1",
    operator: "Azerbaijan, pilot operator",
    customs: ("AZ/GOV/SCC/customs", "State Customs Committee"),
    issuer: ("AZ/GOV/AMCM", "State Agency for Antimonopoly and Consumer Market Control"),
};

/// Pakistan.
pub(crate) static PK: Nation = Nation {
    folder: "pk",
    code: "PK",
    node: "PK/node/karachi-1",
    operator: "Pakistan, pilot operator",
    customs: ("PK/GOV/FBR/customs", "Pakistan Customs, Federal Board of Revenue"),
    issuer: ("PK/GOV/TDAP", "Trade Development Authority of Pakistan"),
};

/// Both nations, in the order in which they are set up.
pub(crate) static BOTH: [&Nation; 2] = [&AZ, &PK];

impl Nation {
    /// Returns the nation of an identifier.
    pub(crate) fn of(instance: Instance) -> Option<&'static Self> {
        BOTH.into_iter().find(|nation| nation.code == instance.as_str())
    }

    pub(crate) fn other(&self) -> &'static Self {
        if self.code == AZ.code { &PK } else { &AZ }
    }

    pub(crate) fn instance(&self) -> Result<Instance> {
        Ok(self.code.parse()?)
    }

    pub(crate) fn customs(&self) -> Result<MemberId> {
        Ok(self.customs.0.parse()?)
    }

    pub(crate) fn issuer(&self) -> Result<MemberId> {
        Ok(self.issuer.0.parse()?)
    }

    /// Returns what the nation decides before its material is made.
    pub(crate) fn plan(&self, peer_port: u16) -> Result<Plan> {
        let member = |(id, name): (&str, &str), role: &str| -> Result<PlannedMember> {
            let (id, name) = (id.parse()?, Some(name.to_owned()));
            Ok(PlannedMember { id, roles: vec![role.to_owned()], name })
        };
        Ok(Plan {
            nation: self.instance()?,
            name: self.operator.to_owned(),
            node: self.node.parse()?,
            address: format!("{}:{peer_port}", Ipv4Addr::LOCALHOST),
            listen: None,
            local: SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0)),
            calls: SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0)),
            members: vec![member(self.customs, CUSTOMS_ROLE)?, member(self.issuer, ISSUER_ROLE)?],
            passphrase_env: None,
            customs: Some(karvan_customs::subsystem::Config {
                customs: self.customs()?,
                issuers: vec![self.issuer()?],
                partner: self.other().customs()?,
                agreement: "AZ-PK-PTA".to_owned(),
                sharing_level: SharingLevel::L2,
                go_live: GO_LIVE.parse()?,
                compare_every_seconds: None,
                filed_late_days: Some(papers_days()?),
            }),
        })
    }

    /// Returns what this nation may send to the other.
    fn grants(&self) -> Result<[Grant; 3]> {
        let (customs, partner) = (self.customs()?, self.other().customs()?);
        let grant = |client: &MemberId, provider: &MemberId, documents: &[&str]| Grant {
            documents: documents.iter().map(|code| (*code).to_owned()).collect(),
            ..Grant::new(client.clone(), provider.clone())
        };
        Ok([
            grant(
                &customs,
                &partner,
                &[
                    "EXD", "CXL", "AMD", "TRN", "UTL", "VAL", "QRY", "RSP", "LDG", "SEQ", "REC",
                    "CMT",
                ],
            ),
            grant(&self.issuer()?, &partner, &["COO", "CXL", "AMD", "VAL", "RSP"]),
            grant(&customs, &self.other().issuer()?, &["UTL", "VAL", "QRY"]),
        ])
    }
}

/// Returns the agreements between the two: one that covers every document type of customs, both
/// ways, and one that covers the services.
pub(crate) fn agreements(now: Timestamp) -> Result<[Agreement; 2]> {
    let mut documents = Vec::new();
    for nation in BOTH {
        documents.extend(nation.grants()?);
    }
    Ok([
        agreement("az-pk-customs", "customs-preference", documents, now)?,
        agreement("az-pk-look-ups", "customs-look-up", services()?, now)?,
    ])
}

/// Returns which services either customs may call: certificates and trouble of Azerbaijan, the
/// tariff of Pakistan.
fn services() -> Result<Vec<Grant>> {
    let service = |code: &str, path: &str| ServiceGrant {
        service: code.to_owned(),
        endpoints: vec![Endpoint { method: "GET".to_owned(), path: path.to_owned() }],
    };
    let quota = Some(Quota { calls: LOOK_UPS_PER_MINUTE, per: Period::Minute });
    let (az, pk) = (AZ.customs()?, PK.customs()?);
    Ok(vec![
        Grant {
            services: vec![service("certificates", "/*"), service("trouble", "/**")],
            quota,
            ..Grant::new(pk.clone(), az.clone())
        },
        Grant { services: vec![service("tariff", "/lines/*")], quota, ..Grant::new(az, pk) },
    ])
}

fn agreement(id: &str, purpose: &str, grants: Vec<Grant>, now: Timestamp) -> Result<Agreement> {
    Ok(Agreement {
        id: id.to_owned(),
        version: 1,
        purpose: purpose.to_owned(),
        legal_basis: "Preferential Trade Agreement between Azerbaijan and Pakistan, 2024"
            .to_owned(),
        // Not this very instant: signatures bear whole seconds, and the first one may be rounded
        // to before it.
        valid_from: format!("{GO_LIVE}T00:00:00Z").parse()?,
        valid_until: now.plus(AGREEMENT_LIFETIME),
        grants,
        policy: None,
    })
}

/// Returns how many days a claim of the pilot may come after its filing day: its papers age.
fn papers_days() -> Result<u32> {
    let age = SystemClock.now().since(PAPERS_FROM.parse()?);
    Ok(u32::try_from(age.as_secs() / SECONDS_PER_DAY + PAPERS_LATE_DAYS)?)
}

/// Returns who acts in a step: the nation whose node is asked, and the member.
pub(crate) fn actor(
    consignment: &Consignment,
    actor: Actor,
) -> Result<(&'static Nation, MemberId)> {
    let instance = match actor {
        Actor::Issuer | Actor::ExportCustoms => consignment.from,
        Actor::ImportCustoms | Actor::SecondOfficer => consignment.to,
    };
    let nation = Nation::of(instance)
        .ok_or_else(|| anyhow::anyhow!("{instance} is no nation of the pilot"))?;
    let member = if actor == Actor::Issuer { nation.issuer()? } else { nation.customs()? };
    Ok((nation, member))
}
