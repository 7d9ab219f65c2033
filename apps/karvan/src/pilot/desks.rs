//! The agencies' side of both nodes: one client for each member, as its own system would have.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Result;
use karvan_types::{ErrorKind, ExchangeId, MemberId};
use serde_json::Value;

use super::folder::Folder;
use super::nations::{BOTH, Nation};
use super::wait;
use crate::client::{Client, NodeArgs};
use crate::failure::Failure;

/// How long documents may take to be delivered before the pilot gives up.
const DELIVERY_MAX: Duration = Duration::from_mins(1);
/// Clients of every member of both nations, and of both operators.
pub(crate) struct Desks(Vec<Desk>);

struct Desk {
    nation: &'static str,
    /// Nothing for the operator.
    member: Option<MemberId>,
    client: Client,
}

impl Desks {
    /// Opens the clients of running nodes.
    pub(crate) fn open(folder: &Folder) -> Result<Self> {
        let mut desks = Vec::new();
        for nation in BOTH {
            for member in [None, Some(nation.customs()?), Some(nation.issuer()?)] {
                let client = Client::open(&NodeArgs {
                    dir: Some(folder.home(nation).root().to_owned()),
                    node: None,
                    token_file: None,
                    acting_as: member.clone(),
                })?;
                desks.push(Desk { nation: nation.folder, member, client });
            }
        }
        Ok(Self(desks))
    }

    /// Returns the client of a member, or of the operator.
    pub(crate) fn of(&self, nation: &Nation, member: Option<&MemberId>) -> Result<&Client> {
        self.0
            .iter()
            .find(|desk| desk.nation == nation.folder && desk.member.as_ref() == member)
            .map(|desk| &desk.client)
            .ok_or_else(|| anyhow::anyhow!("no desk for {member:?} in {}", nation.folder))
    }

    /// Returns the state of a document as its sender's node has it.
    fn sent_state(&self, nation: &Nation, exchange: ExchangeId) -> Result<String> {
        let views = self.of(nation, None)?.get(&format!("/v1/documents/{exchange}"))?;
        let mut views = views.as_array().into_iter().flatten();
        let sent = views.find(|view| view["direction"] == "sent");
        Ok(sent.and_then(|view| view["state"].as_str()).unwrap_or_default().to_owned())
    }

    /// Waits until a document has been handed over, refused or given up at the other side.
    pub(crate) fn await_handover(&self, nation: &Nation, exchange: ExchangeId) -> Result<()> {
        wait_until(&format!("document {exchange} to be handed over"), || {
            let state = self.sent_state(nation, exchange)?;
            Ok(["delivered", "refused", "dead"].contains(&state.as_str()))
        })
    }

    /// Waits until nothing is on the way in either direction.
    pub(crate) fn settle(&self) -> Result<()> {
        // An answer is queued in the transaction that takes the document. So a second look after
        // both nodes were found idle sees whatever the first look came too early for.
        let mut idle = 0;
        wait_until("both nodes to have delivered everything", || {
            idle = if self.is_idle()? { idle + 1 } else { 0 };
            Ok(idle >= 2)
        })
    }

    fn is_idle(&self) -> Result<bool> {
        for nation in BOTH {
            let status = self.of(nation, None)?.get("/v1/status")?;
            let waiting = |state: &str| status["sent"][state].as_u64().unwrap_or_default();
            if waiting("accepted") + waiting("relayed") > 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Returns how many documents both nodes have delivered so far.
    pub(crate) fn delivered(&self) -> Result<u64> {
        let mut sum = 0;
        for nation in BOTH {
            let status = self.of(nation, None)?.get("/v1/status")?;
            sum += status["sent"]["delivered"].as_u64().unwrap_or_default();
        }
        Ok(sum)
    }
}

/// Waits until it holds; an error when that takes too long.
pub(crate) fn wait_until(what: &str, holds: impl FnMut() -> Result<bool>) -> Result<()> {
    if wait::until(DELIVERY_MAX, holds)? {
        return Ok(());
    }
    let text = format!("waited {} s for {what}", DELIVERY_MAX.as_secs());
    let hint = "look at the alarms of both nodes: karvan alarms --dir DIR/az, DIR/pk";
    Err(Failure::new(ErrorKind::PeerUnavailable, text).hint(hint).into())
}

/// Returns the exchanges under which an operation sent documents.
pub(crate) fn exchanges_of(output: &Value) -> BTreeSet<ExchangeId> {
    let lists = [&output["exchanges"], &output["decision"]["results"]];
    let listed = lists.into_iter().filter_map(Value::as_array).flatten();
    let single = output.get("exchange");
    listed.chain(single).filter_map(|id| id.as_str()?.parse().ok()).collect()
}
