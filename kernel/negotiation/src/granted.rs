//! Agreements about feeds that no negotiation of this node made: written by hand, signed by their
//! parties, and in the book. A transfer names one by the same form of id as a negotiated one.
//!
//! A transfer request of the protocol names an agreement and no dataset. So such an agreement must
//! grant its client exactly one feed; between several there would be no telling.

use karvan_agreements::Grant;
use karvan_types::{AgreementRef, ErrorKind};

use crate::Error;
use crate::engine::Engine;
use crate::identity::participant_of;
use crate::records::{Kind, Process, Side};
use crate::terms;

/// One feed of one grant.
struct Found {
    name: AgreementRef,
    grant: Grant,
    feed: String,
}

impl Engine {
    /// Returns the concluded negotiation that an agreement in force stands for, for our part `side`
    /// in the grant that `is_ours` accepts. `address` is the other side's base, when it is known.
    pub(crate) fn granted(
        &self,
        odrl_id: &str,
        side: Side,
        address: Option<String>,
        is_ours: impl Fn(&Grant) -> bool,
    ) -> Result<Process, Error> {
        let found = self.find_granted(odrl_id, side, is_ours)?;
        let (own, other) = match side {
            Side::Consumer => (&found.grant.client, &found.grant.provider),
            Side::Provider => (&found.grant.provider, &found.grant.client),
        };
        let blank = self.blank(own, participant_of(other), address, side)?;
        Ok(Process {
            dataset: found.feed,
            kind: Some(Kind::Feed {}),
            agreement: Some(odrl_id.to_owned()),
            concluded: Some(found.name),
            ..blank
        })
    }

    fn find_granted(
        &self,
        odrl_id: &str,
        side: Side,
        is_ours: impl Fn(&Grant) -> bool,
    ) -> Result<Found, Error> {
        let unknown = || Error::unknown("agreement about a feed in force", odrl_id);
        let (id, version) = terms::name_of(odrl_id).map_err(|_| unknown())?;
        let (book, now) = (self.node.agreements().book(), self.node.now());
        let served = |grant: &Grant| {
            let own = if side == Side::Consumer { &grant.client } else { &grant.provider };
            self.node.member_key(own).is_ok()
        };
        let mut found = None;
        let named = |name: &AgreementRef| name.id == id && name.version == version;
        for entry in book.iter().filter(|entry| named(&entry.name) && entry.in_force(now)) {
            let grants = entry.agreement.grants.iter();
            for grant in grants.filter(|grant| is_ours(grant) && served(grant)) {
                for feed in &grant.feeds {
                    let (name, grant) = (entry.name.clone(), grant.clone());
                    if found.replace(Found { name, grant, feed: feed.clone() }).is_some() {
                        return Err(several(odrl_id));
                    }
                }
            }
        }
        found.ok_or_else(unknown)
    }
}

fn several(odrl_id: &str) -> Error {
    let text = format!(
        "`{odrl_id}` grants several feeds, and a transfer names none; conclude one agreement for \
         each feed"
    );
    Error::new(ErrorKind::Conflict, "feed-ambiguous", text)
}
