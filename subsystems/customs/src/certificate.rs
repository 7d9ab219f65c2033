//! Certificates of origin as stored: every version, where each stands, and the ledger of its use.
//!
//! A certificate is found by the issuing nation and its normalised number, so one certificate has
//! one ledger however its number is spelled, and a true copy draws on the same ledger as the
//! original.
//!
//! Invariants: a version is never changed or dropped; what is debited from an item never exceeds
//! what the newest version certifies at the time of the debit; the sum of the journal of debits
//! equals the balance kept beside it.
//!
//! Not here: whether a claim may use the certificate (`crate::matching`).

mod account;
mod ledger;
mod number;
mod suspension;
mod unseen;

pub(crate) use account::heir;
pub use account::{COPIES_MAX, REPLACED_MAX, carry_in, carry_over, original_of, replaced_by};
pub(crate) use ledger::DEBITS;
pub use ledger::{
    Debit, DebitKind, Entry, HOLDING_LINES_MAX, Holding, LedgerError, LedgerItem, Share, debit,
    give_back, held, holdings, reserve,
};
pub use number::{CertificateNumber, InvalidNumber, NUMBER_CHARS_MAX};
pub use suspension::Suspension;
pub(crate) use unseen::UNSEEN;
pub use unseen::{UNSEEN_MAX, Unseen};

use karvan_store::{Error, Index, Range, Read, Record, Table, Value};
use karvan_types::{Date, Decimal, Digest, ExchangeId, Instance, MemberId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::codes::units;
use crate::messages::{CertificateOfOrigin, CertificateStatus, FunctionCode};
use crate::states::{CertificateEvent, CertificateState, Forbidden, Status};

/// Most versions kept of one document.
pub const VERSIONS_MAX: usize = 100;
/// Most near-miss numbers offered for an unknown certificate.
const SUGGESTIONS_MAX: usize = 3;

/// One version of a document, as it was signed.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Version<T> {
    /// The exchange that brought it; absent for what was handed in at this side and stays here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exchange: Option<ExchangeId>,
    /// When this side took it into account.
    pub at: Timestamp,
    /// What the message did: original, change or replacement.
    pub function: FunctionCode,
    /// Digest of the message as signed.
    pub digest: Digest,
    /// The content.
    pub content: T,
}

/// How far a document has come between the two sides.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Delivery {
    /// It came from the partner and was accepted here.
    Received,
    /// It was sent from here; the partner has not answered yet.
    Sent,
    /// It was sent from here and the partner accepted it.
    Accepted,
    /// It was sent from here and the partner refused it.
    Rejected,
}

/// A certificate of origin with everything known about it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Certificate {
    /// The number.
    pub number: CertificateNumber,
    /// The issuing nation.
    pub country: Instance,
    /// The member that signed it.
    pub issuer: MemberId,
    /// Where it stands.
    pub status: Status<CertificateState>,
    /// Number of the certificate that took its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced_by: Option<String>,
    /// Key of the original, when this is a certified true copy of it: both draw on the ledger of
    /// the original.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy_of: Option<String>,
    /// Keys of its certified true copies, when there are any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub copies: Vec<String>,
    /// What suspends its use, oldest first, when anything does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub suspensions: Vec<Suspension>,
    /// How far it has come.
    pub delivery: Delivery,
    /// Its versions, oldest first; never empty.
    pub versions: Vec<Version<CertificateOfOrigin>>,
    /// The balance of each item.
    pub ledger: Vec<LedgerItem>,
}

/// Where certificates are kept.
pub(crate) static CERTIFICATES: Table = Table {
    name: "customs_certificate",
    columns: &["country", "folded", "issuer", "standing", "replacement"],
    indexes: &[
        Index { name: "by_folded", columns: &["country", "folded"], unique: false },
        Index { name: "by_replacement", columns: &["replacement"], unique: false },
    ],
};

impl Record for Certificate {
    const TABLE: &'static Table = &CERTIFICATES;

    fn key(&self) -> Value {
        self.id().into()
    }

    fn columns(&self) -> Vec<Value> {
        vec![
            self.country.as_str().into(),
            self.number.folded().into(),
            self.issuer.as_str().into(),
            standing_name(self.standing()).into(),
            self.replacement().into(),
        ]
    }
}

impl Certificate {
    /// Makes a certificate of its first version: as issued and sent here, or as it arrived and was
    /// accepted.
    pub fn new(
        number: CertificateNumber,
        issuer: MemberId,
        delivery: Delivery,
        version: Version<CertificateOfOrigin>,
    ) -> Result<Self, Forbidden> {
        let mut certificate = Self {
            number,
            country: issuer.instance(),
            issuer,
            status: Status::default(),
            replaced_by: None,
            copy_of: None,
            copies: Vec::new(),
            suspensions: Vec::new(),
            delivery,
            versions: Vec::new(),
            ledger: Vec::new(),
        };
        let way = match delivery {
            Delivery::Received => [CertificateEvent::Arrive, CertificateEvent::Accept],
            _ => [CertificateEvent::Issue, CertificateEvent::Send],
        };
        for event in way {
            certificate.status.step(event)?;
        }
        certificate.add_version(version)?;
        Ok(certificate)
    }

    /// Returns its key: nation and normalised number.
    pub fn id(&self) -> String {
        self.number.key(self.country)
    }

    /// Returns the newest version.
    pub fn latest(&self) -> Option<&Version<CertificateOfOrigin>> {
        self.versions.last()
    }

    /// Returns the content of the newest version.
    pub fn content(&self) -> Option<&CertificateOfOrigin> {
        self.latest().map(|version| &version.content)
    }

    /// Returns the number of the certificate that this one took the place of.
    pub fn replaces(&self) -> Option<CertificateNumber> {
        let number = self.content()?.replaces.as_deref()?;
        CertificateNumber::parse(number).ok()
    }

    /// Puts a newer version on top and sets the certified quantities by it. Returns the items of
    /// which more is debited already than the new version certifies.
    pub fn add_version(
        &mut self,
        version: Version<CertificateOfOrigin>,
    ) -> Result<Vec<u32>, Forbidden> {
        match (version.content.status, self.standing()) {
            (CertificateStatus::Suspended, CertificateStatus::Issued) => {
                self.status.step(CertificateEvent::Suspend)?;
            }
            (CertificateStatus::Issued, CertificateStatus::Suspended) => {
                self.status.step(CertificateEvent::Resume)?;
            }
            (CertificateStatus::Cancelled, _) => self.take_back()?,
            (CertificateStatus::Replaced, _) => {
                self.status.step(CertificateEvent::Replace)?;
            }
            _ => {}
        }
        // A version that was refused is mended and put on its way again.
        self.status.follow(CertificateEvent::Send);
        for old in &mut self.ledger {
            old.certified.value = Decimal::ZERO;
        }
        for item in &version.content.items {
            match self.ledger.iter_mut().find(|old| old.item == item.sequence) {
                // What was debited counts in the old unit, which therefore stays.
                Some(old) if !old.debited.is_zero() && old.certified.unit != item.quantity.unit => {
                    let converted = units::convert(&item.quantity, &old.certified.unit);
                    old.certified.value =
                        converted.map_or(old.debited, |converted| converted.quantity.value);
                }
                Some(old) => old.certified = item.quantity.clone(),
                None => self.ledger.push(LedgerItem::new(item.sequence, item.quantity.clone())),
            }
        }
        self.ledger.retain(|item| !item.certified.value.is_zero() || !item.debited.is_zero());
        self.versions.push(version);
        self.follow_ledger();
        let overdrawn = self.ledger.iter().filter(|item| item.used() > item.certified.value);
        Ok(overdrawn.map(|item| item.item).collect())
    }

    /// Its issuer takes it back: it is cancelled, or revoked when something of it was used.
    pub fn take_back(&mut self) -> Result<(), Forbidden> {
        let used = self.ledger.iter().any(|item| !item.debited.is_zero());
        let event = if used { CertificateEvent::Revoke } else { CertificateEvent::Cancel };
        self.status.step(event).map(drop)
    }

    /// Sets the status to what the ledger says about its use. A certificate that cannot be used
    /// stays as it is, whatever is given back to it.
    pub fn follow_ledger(&mut self) {
        let all_used = self.ledger.iter().all(|item| item.balance().is_zero());
        let any_used = self.ledger.iter().any(|item| !item.debited.is_zero());
        self.status.follow(match (any_used, all_used) {
            (true, true) => CertificateEvent::UseUp,
            (true, false) => CertificateEvent::UsePart,
            (false, _) => CertificateEvent::Free,
        });
    }

    /// Returns where it stands at its issuer, as messages say it.
    pub fn standing(&self) -> CertificateStatus {
        match self.status.get() {
            CertificateState::Suspended => CertificateStatus::Suspended,
            CertificateState::Cancelled | CertificateState::RevokedAfterUse => {
                CertificateStatus::Cancelled
            }
            CertificateState::Replaced => CertificateStatus::Replaced,
            _ => CertificateStatus::Issued,
        }
    }

    /// Returns the ledger of one item.
    pub fn ledger_of(&self, item: u32) -> Option<&LedgerItem> {
        self.ledger.iter().find(|ledger| ledger.item == item)
    }

    /// Returns in one word where the certificate stands on `day`.
    pub fn state(&self, day: Date) -> &'static str {
        let expired = self.content().is_some_and(|content| content.valid_until < day);
        let is_suspended = !self.suspensions.is_empty();
        let event = if is_suspended {
            Some(CertificateEvent::Suspend)
        } else {
            expired.then_some(CertificateEvent::Expire)
        };
        let then = event.and_then(|event| self.status.after(event));
        then.unwrap_or_else(|| self.status.get()).name()
    }

    /// Returns certificates of the same nation whose number reads alike when O is taken for zero
    /// and I for one.
    pub fn near_misses(
        view: &dyn Read,
        country: Instance,
        number: &CertificateNumber,
    ) -> Result<Vec<Self>, Error> {
        let prefix = vec![country.as_str().into(), number.folded().into()];
        view.select(&Range::of("by_folded", prefix, SUGGESTIONS_MAX))
    }
}

/// Returns the word for a standing.
pub const fn standing_name(standing: CertificateStatus) -> &'static str {
    match standing {
        CertificateStatus::Issued => "issued",
        CertificateStatus::Suspended => "suspended",
        CertificateStatus::Cancelled => "cancelled",
        CertificateStatus::Replaced => "replaced",
    }
}
