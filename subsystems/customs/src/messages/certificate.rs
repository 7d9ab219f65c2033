//! The preferential certificate of origin.

use karvan_types::amount::DecimalText;
use karvan_types::{Amount, Date, Decimal, Quantity};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::parts::{
    Classification, ClassificationKind, Consignment, Country, CountryId, Header, InvoiceReference,
    Origin, Packaging, Party, TransportMeans,
};
use super::text::{date, optional_decimal};

/// COO: a preferential certificate of origin (UN/EDIFACT 1001 code 864).
///
/// `ID` in the header is the certificate number, `IssueDateTime` its date of issue.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct CertificateOfOrigin {
    /// Common header; `ID` is the certificate number.
    #[serde(flatten)]
    pub header: Header,
    /// Form, such as `AZ-PK`.
    #[serde(rename = "formCode")]
    pub form_code: String,
    /// Who issued the certificate.
    #[serde(rename = "issuer")]
    pub issuer: Party,
    /// Place of issue, an..70.
    #[serde(rename = "issuePlace", default, skip_serializing_if = "Option::is_none")]
    pub issue_place: Option<String>,
    /// Last day on which the certificate may be presented.
    #[serde(rename = "validUntil", with = "date")]
    #[schemars(with = "Date")]
    pub valid_until: Date,
    /// Where the certificate stands at its issuer.
    #[serde(rename = "status")]
    pub status: CertificateStatus,
    /// Remarks of the form.
    #[serde(rename = "flags", default, skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<CertificateFlag>,
    /// Number of the certificate that this one replaces.
    #[serde(rename = "replaces", default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<String>,
    /// Exporter `57A`.
    #[serde(rename = "Exporter")]
    pub exporter: Party,
    /// Producer, when it is not the exporter.
    #[serde(rename = "producer", default, skip_serializing_if = "Option::is_none")]
    pub producer: Option<Party>,
    /// Consignee `27A`.
    #[serde(rename = "Consignee")]
    pub consignee: Party,
    /// Country of exportation `062`.
    #[serde(rename = "ExportCountry")]
    pub export_country: CountryId,
    /// Country of destination `465`.
    #[serde(rename = "Destination")]
    pub destination: Country,
    /// Means of transport at the border `15A`.
    #[serde(rename = "BorderTransportMeans", default, skip_serializing_if = "Option::is_none")]
    pub border_transport_means: Option<TransportMeans>,
    /// Transport and route `28A`.
    #[serde(rename = "Consignment", default, skip_serializing_if = "Option::is_none")]
    pub consignment: Option<Consignment>,
    /// Invoices that the certificate covers `78A`.
    #[serde(rename = "invoices", default, skip_serializing_if = "Vec::is_empty")]
    pub invoices: Vec<InvoiceReference>,
    /// The items `68A`.
    #[serde(rename = "GovernmentAgencyGoodsItem")]
    pub items: Vec<CertificateItem>,
}

impl CertificateOfOrigin {
    /// The document type code.
    pub const DOCUMENT_TYPE: &'static str = "COO";

    /// Returns the item with this number.
    pub fn item(&self, sequence: u32) -> Option<&CertificateItem> {
        self.items.iter().find(|item| item.sequence == sequence)
    }
}

/// An item of a certificate.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct CertificateItem {
    /// Item number, counted from 1, n..5 `006`.
    #[serde(rename = "SequenceNumeric")]
    pub sequence: u32,
    /// Description in the original language, an..512 `137`.
    #[serde(rename = "Description")]
    pub description: String,
    /// Codes, at least the six digits of the Harmonized System `21A`.
    #[serde(rename = "Classification")]
    pub classifications: Vec<Classification>,
    /// Country of origin `92A`.
    #[serde(rename = "Origin")]
    pub origin: Origin,
    /// On which rule the origin rests.
    #[serde(rename = "originCriterion")]
    pub origin_criterion: OriginCriterion,
    /// Regional value content in percent of the free on board value, when the criterion needs it.
    #[serde(
        rename = "rvcPercent",
        default,
        skip_serializing_if = "Option::is_none",
        with = "optional_decimal"
    )]
    #[schemars(with = "DecimalText")]
    pub rvc_percent: Option<Decimal>,
    /// Value of materials without origin.
    #[serde(rename = "nonOriginatingValue", default, skip_serializing_if = "Option::is_none")]
    pub non_originating_value: Option<Amount>,
    /// Quantity certified; the ledger debits it.
    #[serde(rename = "quantity")]
    pub quantity: Quantity,
    /// Net mass.
    #[serde(rename = "netMass", default, skip_serializing_if = "Option::is_none")]
    pub net_mass: Option<Quantity>,
    /// Gross mass `126`.
    #[serde(rename = "GrossMassMeasure", default, skip_serializing_if = "Option::is_none")]
    pub gross_mass: Option<Quantity>,
    /// Free on board value; absent when the agreement withholds values.
    #[serde(rename = "fobValue", default, skip_serializing_if = "Option::is_none")]
    pub fob_value: Option<Amount>,
    /// Packages `93A`.
    #[serde(rename = "Packaging", default, skip_serializing_if = "Vec::is_empty")]
    pub packaging: Vec<Packaging>,
}

impl CertificateItem {
    /// Returns the code of one nomenclature.
    pub fn code(&self, kind: ClassificationKind) -> Option<&str> {
        self.classifications.iter().find(|c| c.kind == kind).map(|c| c.id.as_str())
    }

    /// Returns the six digits of the Harmonized System, from any of the codes.
    pub fn hs6(&self) -> Option<&str> {
        self.code(ClassificationKind::HarmonizedSystem)
            .or_else(|| self.classifications.first().map(|c| c.id.as_str()))
            .and_then(|code| code.get(..6))
    }
}

/// On which rule the origin of an item rests.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, JsonSchema, PartialEq, Serialize)]
pub enum OriginCriterion {
    /// Wholly obtained or produced.
    #[serde(rename = "WO")]
    WhollyObtained,
    /// Regional value content.
    #[serde(rename = "RVC")]
    RegionalValueContent,
    /// Change of tariff heading.
    #[serde(rename = "CTH")]
    ChangeOfHeading,
    /// Change of tariff sub-heading.
    #[serde(rename = "CTSH")]
    ChangeOfSubheading,
    /// Product-specific rule.
    #[serde(rename = "PSR")]
    ProductSpecificRule,
}

/// Where a certificate stands at its issuer.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum CertificateStatus {
    /// Issued and in force.
    Issued,
    /// Suspended while it is verified.
    Suspended,
    /// Cancelled.
    Cancelled,
    /// Replaced by another certificate.
    Replaced,
}

/// A remark of the form that changes how the certificate is read.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum CertificateFlag {
    /// Issued retrospectively, after shipment.
    Retrospective,
    /// A certified true copy of a lost original.
    TrueCopy,
    /// The invoice is from a third party.
    ThirdPartyInvoice,
    /// Origin by cumulation.
    Cumulation,
    /// Back-to-back certificate.
    BackToBack,
}
