//! Claims of preference as stored: the importer's declaration and, per item that quotes a
//! certificate, how the match went, what is proposed and where the item stands.
//!
//! Invariants: an item is decided once, and again only after it was reopened; every assessment
//! that was ever shown to an officer is kept, the newest with its item and each earlier one as an
//! [`AssessmentRecord`].

use karvan_store::{Error, Index, Range, Read, Record, Table, Tx, Value};
use karvan_types::{Date, Timestamp};
use serde::{Deserialize, Serialize};

use crate::certificate::Version;
use crate::decision::Proposal;
use crate::matching::{Light, Match, Quote};
use crate::messages::{GoodsItem, ImportClaim};
use crate::relief::Relief;
pub use crate::states::ItemState;
use crate::states::Status;
use crate::tariff::ImporterClass;

/// Most claimed items looked at for one certificate, consignment or claim.
pub const ITEMS_MAX: usize = 1000;

/// An importer's declaration that claims a preference.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Claim {
    /// Number of the import declaration.
    pub number: String,
    /// When this side received it.
    pub received_at: Timestamp,
    /// The day of the declaration, whose rates and rules apply.
    pub filed: Date,
    /// The day on which its goods arrived, as this side reported it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arrived: Option<Date>,
    /// The day on which its duty was paid, as this side reported it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paid: Option<Date>,
    /// Who handed it in, as on the token.
    pub by: String,
    /// Class of the importer for taxes at import.
    pub importer_class: ImporterClass,
    /// Its versions, oldest first; never empty.
    pub versions: Vec<Version<ImportClaim>>,
    /// How it was withdrawn, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withdrawn: Option<Withdrawal>,
}

/// How a claim was withdrawn before anything was decided.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Withdrawal {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: String,
    /// Reference of the cancellation.
    pub reference: String,
    /// Its reason as a code.
    pub code: String,
    /// Its reason in words.
    pub reason: String,
}

/// Where claims are kept.
pub(crate) static CLAIMS: Table = Table { name: "customs_claim", columns: &[], indexes: &[] };

impl Record for Claim {
    const TABLE: &'static Table = &CLAIMS;

    fn key(&self) -> Value {
        self.id().into()
    }

    fn columns(&self) -> Vec<Value> {
        Vec::new()
    }
}

/// A claim bears a reference of the declarant.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ClaimReference {
    /// The reference, in upper case.
    pub reference: String,
    /// Key of the claim.
    pub claim: String,
}

/// Where these are kept. A version of a claim that bears another reference adds one.
pub(crate) static CLAIM_REFERENCES: Table = Table {
    name: "customs_claim_reference",
    columns: &["reference"],
    indexes: &[Index { name: "by_reference", columns: &["reference"], unique: false }],
};

/// Most claims under one reference that are looked at.
const SAME_REFERENCE_MAX: usize = 20;

impl Record for ClaimReference {
    const TABLE: &'static Table = &CLAIM_REFERENCES;

    fn key(&self) -> Value {
        format!("{} {}", self.reference, self.claim).into()
    }

    fn columns(&self) -> Vec<Value> {
        vec![self.reference.as_str().into()]
    }
}

impl ClaimReference {
    /// Returns the reference of the newest version of a claim, as it is kept.
    pub fn of(claim: &Claim) -> Option<Self> {
        let reference = &claim.content()?.header.functional_reference_id;
        Some(Self { reference: claim_key(reference), claim: claim.id() })
    }

    /// Returns the numbers of the other claims, not withdrawn, whose newest version bears the same
    /// reference.
    pub fn shared_with(view: &dyn Read, claim: &Claim) -> Result<Vec<String>, Error> {
        let Some(own) = Self::of(claim) else { return Ok(Vec::new()) };
        let prefix = vec![own.reference.as_str().into()];
        let same: Vec<Self> =
            view.select(&Range::of("by_reference", prefix, SAME_REFERENCE_MAX))?;
        let mut found = Vec::new();
        for other in same.iter().filter(|other| other.claim != own.claim) {
            let Some(stored) = view.find::<Claim>(other.claim.as_str())? else { continue };
            let bears = Self::of(&stored).is_some_and(|its| its.reference == own.reference);
            if bears && stored.withdrawn.is_none() {
                found.push(stored.number);
            }
        }
        Ok(found)
    }
}

/// Returns the key of a claim.
pub fn claim_key(number: &str) -> String {
    number.trim().to_ascii_uppercase()
}

/// Returns the key of a claimed item.
pub fn item_key(claim: &str, item: u32) -> String {
    format!("{claim}#{item:05}")
}

impl Claim {
    /// Returns its key.
    pub fn id(&self) -> String {
        claim_key(&self.number)
    }

    /// Returns the content of the newest version.
    pub fn content(&self) -> Option<&ImportClaim> {
        self.versions.last().map(|version| &version.content)
    }

    /// Returns who imports: the number of the importer in the newest version, or else its name.
    pub fn importer(&self) -> Option<&str> {
        let party = self.content()?.shipment.importer.as_ref()?;
        party.id.as_deref().or(party.name.as_deref())
    }

    /// Returns an item of the newest version.
    pub fn item(&self, sequence: u32) -> Option<&GoodsItem> {
        self.content()?.shipment.items.iter().find(|item| item.sequence == sequence)
    }
}

/// An item of a claim that quotes a certificate.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClaimItem {
    /// The claim.
    pub claim: String,
    /// Its item.
    pub item: u32,
    /// Which certificate it quotes.
    pub quote: Quote,
    /// Key of that certificate, whether it has arrived or not.
    pub certificate: String,
    /// Unique consignment reference, if the claim has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ucr: Option<String>,
    /// Where it stands.
    pub state: Status<ItemState>,
    /// How many assessments were made.
    pub assessments: u32,
    /// The newest assessment.
    pub assessment: Assessment,
    /// How many decisions were made.
    pub decisions: u32,
}

/// Where claimed items are kept.
pub(crate) static CLAIM_ITEMS: Table = Table {
    name: "customs_claim_item",
    columns: &["claim", "certificate", "ucr", "export", "state"],
    indexes: &[
        Index { name: "by_claim", columns: &["claim"], unique: false },
        Index { name: "by_certificate", columns: &["certificate"], unique: false },
        Index { name: "by_standing", columns: &["certificate", "state"], unique: false },
        Index { name: "by_ucr", columns: &["ucr"], unique: false },
        Index { name: "by_state", columns: &["state"], unique: false },
        Index { name: "by_export", columns: &["export"], unique: false },
    ],
};

impl Record for ClaimItem {
    const TABLE: &'static Table = &CLAIM_ITEMS;

    fn key(&self) -> Value {
        self.id().into()
    }

    fn columns(&self) -> Vec<Value> {
        vec![
            self.claim.as_str().into(),
            self.certificate.as_str().into(),
            self.ucr.as_deref().into(),
            self.export().into(),
            self.state.name().into(),
        ]
    }
}

impl ClaimItem {
    /// Returns its key.
    pub fn id(&self) -> String {
        item_key(&self.claim, self.item)
    }

    /// Returns the key of the item of the export declaration on which it rests.
    pub fn export(&self) -> Option<String> {
        let matched = &self.assessment.matched;
        Some(item_key(matched.export.as_deref()?, matched.export_item?))
    }

    /// Returns the range of items in one state, of one claim, certificate, consignment
    /// or item of an export declaration.
    pub fn range(index: &'static str, value: &str) -> Range {
        Range::of(index, vec![value.into()], ITEMS_MAX)
    }
}

/// How an item was matched and what follows.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Assessment {
    /// When.
    pub at: Timestamp,
    /// Why it was made.
    pub because: String,
    /// The light that the officer sees.
    pub light: Light,
    /// What is proposed.
    pub proposal: Proposal,
    /// The match.
    #[serde(flatten)]
    pub matched: Match,
    /// What the preference is worth; absent when the tariff has nothing on the line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duty: Option<Relief>,
}

/// An assessment whose place a newer one took, kept for ever.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct AssessmentRecord {
    /// The claim.
    pub claim: String,
    /// Its item.
    pub item: u32,
    /// Which assessment of this item, counted from 1.
    pub number: u32,
    /// The assessment.
    pub assessment: Assessment,
}

/// Where these are kept.
pub(crate) static ASSESSMENTS: Table = Table {
    name: "customs_match",
    columns: &["claim"],
    indexes: &[Index { name: "by_claim", columns: &["claim"], unique: false }],
};

impl Record for AssessmentRecord {
    const TABLE: &'static Table = &ASSESSMENTS;

    fn key(&self) -> Value {
        format!("{}#{:05}", item_key(&self.claim, self.item), self.number).into()
    }

    fn columns(&self) -> Vec<Value> {
        vec![self.claim.as_str().into()]
    }
}

impl AssessmentRecord {
    fn newest_of(item: &ClaimItem) -> Self {
        Self {
            claim: item.claim.clone(),
            item: item.item,
            number: item.assessments,
            assessment: item.assessment.clone(),
        }
    }
}

/// Keeps the newest assessment of an item, which is about to get another one or to go.
pub fn keep_assessment(tx: &mut dyn Tx, item: &ClaimItem) -> Result<(), Error> {
    tx.add(&AssessmentRecord::newest_of(item))
}

/// Returns how many assessments were made of an item that was claimed before and went.
pub fn assessments_before(tx: &dyn Tx, claim: &str, item: u32) -> Result<u32, Error> {
    let key = item_key(claim, item);
    let range = Range::all(1).from(format!("{key}#0")).to(format!("{key}#:")).reversed();
    let last: Option<AssessmentRecord> = tx.select(&range)?.pop();
    Ok(last.map_or(0, |last| last.number))
}

/// Returns the assessments of the items of a claim, item by item and oldest first: at most `limit`
/// earlier ones, and the newest of each item.
pub fn assessments(
    view: &dyn Read,
    claim: &str,
    limit: usize,
) -> Result<Vec<AssessmentRecord>, Error> {
    let range = Range::of("by_claim", vec![claim.into()], limit);
    let mut found: Vec<AssessmentRecord> = view.select(&range)?;
    let items: Vec<ClaimItem> = view.select(&ClaimItem::range("by_claim", claim))?;
    found.extend(items.iter().map(AssessmentRecord::newest_of));
    found.sort_by_key(|record| (record.item, record.number));
    Ok(found)
}
