//! CMT: a commitment to random checks, made before they begin.

use karvan_types::{Date, Digest};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::parts::Header;
use super::text::date;

/// CMT: seed and rate of the random checks of a coming period are fixed. Only their digest is
/// sent, so the receiver learns nothing of either, and can prove later what was fixed and when.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct DrawCommitment {
    /// Common header; `ID` is the number of the commitment.
    #[serde(flatten)]
    pub header: Header,
    /// First day of the period.
    #[serde(rename = "from", with = "date")]
    #[schemars(with = "Date")]
    pub from: Date,
    /// Last day.
    #[serde(rename = "until", with = "date")]
    #[schemars(with = "Date")]
    pub until: Date,
    /// SHA-256 of what is fixed, as docs/use/risk.md lays it out.
    #[serde(rename = "commitment")]
    #[schemars(with = "String")]
    pub commitment: Digest,
}

impl DrawCommitment {
    /// The document type code.
    pub const DOCUMENT_TYPE: &'static str = "CMT";
}
