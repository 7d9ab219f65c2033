//! The export declaration and the import claim, which share the shape of the WCO declaration.

use karvan_types::amount::DecimalText;
use karvan_types::{Amount, Quantity, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::CERTIFICATE_TYPE_CODE;
use super::extension::Extension;
use super::parts::{
    AdditionalDocument, Classification, ClassificationKind, Consignment, Country, CountryId,
    Header, InvoiceReference, Origin, Packaging, Party, PreviousDocument, TransportMeans, Ucr,
};
use super::text::optional_decimal;

/// EXD: what the exporting side's customs accepted for export `42A`.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ExportDeclaration {
    /// Common header; `ID` is the declaration number.
    #[serde(flatten)]
    pub header: Header,
    /// When customs accepted the declaration `023`.
    #[serde(rename = "AcceptanceDateTime", default, skip_serializing_if = "Option::is_none")]
    pub acceptance_date_time: Option<Timestamp>,
    /// Customs office, an..17 `065`.
    #[serde(rename = "DeclarationOfficeID", default, skip_serializing_if = "Option::is_none")]
    pub declaration_office_id: Option<String>,
    /// Number of items, n..5 `228`: a control total.
    #[serde(rename = "GoodsItemQuantity")]
    pub goods_item_quantity: u32,
    /// Number of packages, n..8 `146`: a control total.
    #[serde(rename = "TotalPackageQuantity", default, skip_serializing_if = "Option::is_none")]
    pub total_package_quantity: Option<u32>,
    /// Gross mass, n..16,6 `131`: a control total.
    #[serde(rename = "TotalGrossMassMeasure", default, skip_serializing_if = "Option::is_none")]
    pub total_gross_mass: Option<Quantity>,
    /// Invoice total, n..16,3 `109`.
    #[serde(rename = "InvoiceAmount", default, skip_serializing_if = "Option::is_none")]
    pub invoice_amount: Option<Amount>,
    /// Who submitted the declaration `17B`.
    #[serde(rename = "Submitter", default, skip_serializing_if = "Option::is_none")]
    pub submitter: Option<Party>,
    /// Who declares `57B`.
    #[serde(rename = "Declarant", default, skip_serializing_if = "Option::is_none")]
    pub declarant: Option<Party>,
    /// Exporter `57A`.
    #[serde(rename = "Exporter")]
    pub exporter: Party,
    /// Means of transport at the border `15A`.
    #[serde(rename = "BorderTransportMeans", default, skip_serializing_if = "Option::is_none")]
    pub border_transport_means: Option<TransportMeans>,
    /// The shipment `67A`.
    #[serde(rename = "GoodsShipment")]
    pub shipment: GoodsShipment,
    /// Values of its XML that it has no field for.
    #[serde(rename = "ext", default, skip_serializing_if = "Vec::is_empty")]
    pub ext: Vec<Extension>,
}

/// IMP: the importer's declaration, whose items quote certificates of origin `42A`.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ImportClaim {
    /// Common header; `ID` is the import declaration number.
    #[serde(flatten)]
    pub header: Header,
    /// When customs accepted the declaration `023`; the day whose rates apply.
    #[serde(rename = "AcceptanceDateTime", default, skip_serializing_if = "Option::is_none")]
    pub acceptance_date_time: Option<Timestamp>,
    /// Customs office, an..17 `065`.
    #[serde(rename = "DeclarationOfficeID", default, skip_serializing_if = "Option::is_none")]
    pub declaration_office_id: Option<String>,
    /// Number of items, n..5 `228`: a control total.
    #[serde(rename = "GoodsItemQuantity")]
    pub goods_item_quantity: u32,
    /// Number of packages, n..8 `146`: a control total.
    #[serde(rename = "TotalPackageQuantity", default, skip_serializing_if = "Option::is_none")]
    pub total_package_quantity: Option<u32>,
    /// Gross mass, n..16,6 `131`: a control total.
    #[serde(rename = "TotalGrossMassMeasure", default, skip_serializing_if = "Option::is_none")]
    pub total_gross_mass: Option<Quantity>,
    /// Invoice total, n..16,3 `109`.
    #[serde(rename = "InvoiceAmount", default, skip_serializing_if = "Option::is_none")]
    pub invoice_amount: Option<Amount>,
    /// Who declares `57B`.
    #[serde(rename = "Declarant", default, skip_serializing_if = "Option::is_none")]
    pub declarant: Option<Party>,
    /// Exporter `57A`.
    #[serde(rename = "Exporter", default, skip_serializing_if = "Option::is_none")]
    pub exporter: Option<Party>,
    /// Means of transport at the border `15A`.
    #[serde(rename = "BorderTransportMeans", default, skip_serializing_if = "Option::is_none")]
    pub border_transport_means: Option<TransportMeans>,
    /// The shipment, with the importer `67A`.
    #[serde(rename = "GoodsShipment")]
    pub shipment: GoodsShipment,
    /// Values of its XML that it has no field for.
    #[serde(rename = "ext", default, skip_serializing_if = "Vec::is_empty")]
    pub ext: Vec<Extension>,
}

impl ExportDeclaration {
    /// The document type code.
    pub const DOCUMENT_TYPE: &'static str = "EXD";
}

impl ImportClaim {
    /// The document type code.
    pub const DOCUMENT_TYPE: &'static str = "IMP";
}

/// The shipment of a declaration `67A`.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct GoodsShipment {
    /// When the goods left the territory `024`.
    #[serde(rename = "ExitDateTime", default, skip_serializing_if = "Option::is_none")]
    pub exit_date_time: Option<Timestamp>,
    /// Consignee `27A`.
    #[serde(rename = "Consignee", default, skip_serializing_if = "Option::is_none")]
    pub consignee: Option<Party>,
    /// Importer `74A`; required in an import claim.
    #[serde(rename = "Importer", default, skip_serializing_if = "Option::is_none")]
    pub importer: Option<Party>,
    /// Transport `28A`.
    #[serde(rename = "Consignment", default, skip_serializing_if = "Option::is_none")]
    pub consignment: Option<Consignment>,
    /// Country of destination `465`.
    #[serde(rename = "Destination", default, skip_serializing_if = "Option::is_none")]
    pub destination: Option<Country>,
    /// Country of exportation `062`.
    #[serde(rename = "ExportCountry", default, skip_serializing_if = "Option::is_none")]
    pub export_country: Option<CountryId>,
    /// Unique consignment reference `35B`.
    #[serde(rename = "UCR", default, skip_serializing_if = "Option::is_none")]
    pub ucr: Option<Ucr>,
    /// Invoices `78A`.
    #[serde(rename = "Invoice", default, skip_serializing_if = "Vec::is_empty")]
    pub invoices: Vec<InvoiceReference>,
    /// Terms of delivery `22B`.
    #[serde(rename = "TradeTerms", default, skip_serializing_if = "Option::is_none")]
    pub trade_terms: Option<TradeTerms>,
    /// Earlier and transport documents `99A`.
    #[serde(rename = "PreviousDocument", default, skip_serializing_if = "Vec::is_empty")]
    pub previous_documents: Vec<PreviousDocument>,
    /// The items `68A`.
    #[serde(rename = "GovernmentAgencyGoodsItem")]
    pub items: Vec<GoodsItem>,
}

/// Terms of delivery `22B`.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TradeTerms {
    /// Incoterms rule, a3 `090`.
    #[serde(rename = "ConditionCode")]
    pub condition_code: String,
    /// Place, UN/LOCODE, an..17 `L002`.
    #[serde(rename = "LocationID", default, skip_serializing_if = "Option::is_none")]
    pub location_id: Option<String>,
}

/// An item of goods `68A`.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct GoodsItem {
    /// Item number, counted from 1, n..5 `006`.
    #[serde(rename = "SequenceNumeric")]
    pub sequence: u32,
    /// Statistical (free on board) value, n..16,3 `114`.
    #[serde(rename = "StatisticalValueAmount", default, skip_serializing_if = "Option::is_none")]
    pub statistical_value: Option<Amount>,
    /// Customs (assessed) value, n..16,3 `108`; import only.
    #[serde(rename = "CustomsValueAmount", default, skip_serializing_if = "Option::is_none")]
    pub customs_value: Option<Amount>,
    /// What the goods are `23A`.
    #[serde(rename = "Commodity")]
    pub commodity: Commodity,
    /// Country of origin `92A`.
    #[serde(rename = "Origin", default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// Packages `93A`.
    #[serde(rename = "Packaging", default, skip_serializing_if = "Vec::is_empty")]
    pub packaging: Vec<Packaging>,
    /// Supporting documents `02A`; type 864 quotes the certificate of origin.
    #[serde(rename = "AdditionalDocument", default, skip_serializing_if = "Vec::is_empty")]
    pub additional_documents: Vec<AdditionalDocument>,
    /// Earlier and transport documents `99A`.
    #[serde(rename = "PreviousDocument", default, skip_serializing_if = "Vec::is_empty")]
    pub previous_documents: Vec<PreviousDocument>,
    /// Procedures `70A`.
    #[serde(rename = "GovernmentProcedure", default, skip_serializing_if = "Vec::is_empty")]
    pub procedures: Vec<GovernmentProcedure>,
    /// Unique consignment reference `35B`.
    #[serde(rename = "UCR", default, skip_serializing_if = "Option::is_none")]
    pub ucr: Option<Ucr>,
    /// How the value was found `41A`; import only.
    #[serde(rename = "CustomsValuation", default, skip_serializing_if = "Option::is_none")]
    pub valuation: Option<CustomsValuation>,
}

impl GoodsItem {
    /// Returns the quoted certificates of origin (document type 864).
    pub fn certificates(&self) -> impl Iterator<Item = &AdditionalDocument> {
        self.additional_documents.iter().filter(|doc| doc.type_code == CERTIFICATE_TYPE_CODE)
    }
}

/// What the goods are `23A`.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Commodity {
    /// Description in the original language, an..512 `137`.
    #[serde(rename = "Description")]
    pub description: String,
    /// Codes, one per nomenclature `21A`.
    #[serde(rename = "Classification")]
    pub classifications: Vec<Classification>,
    /// Masses and quantities `65A`.
    #[serde(rename = "GoodsMeasure", default, skip_serializing_if = "Option::is_none")]
    pub measure: Option<GoodsMeasure>,
    /// Price on the invoice `79A`.
    #[serde(rename = "InvoiceLine", default, skip_serializing_if = "Option::is_none")]
    pub invoice_line: Option<InvoiceLine>,
    /// Duties and taxes declared `50A`; import only.
    #[serde(rename = "DutyTaxFee", default, skip_serializing_if = "Vec::is_empty")]
    pub duty_tax_fees: Vec<DutyTaxFee>,
}

impl Commodity {
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

    /// Returns the longest (most specific) code.
    pub fn national_code(&self) -> Option<&str> {
        self.classifications.iter().map(|c| c.id.as_str()).max_by_key(|code| code.len())
    }
}

/// Masses and quantities of an item `65A`.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct GoodsMeasure {
    /// Gross mass, n..16,6 `126`.
    #[serde(rename = "GrossMassMeasure", default, skip_serializing_if = "Option::is_none")]
    pub gross_mass: Option<Quantity>,
    /// Net mass, n..16,6 `128`.
    #[serde(rename = "NetNetWeightMeasure", default, skip_serializing_if = "Option::is_none")]
    pub net_mass: Option<Quantity>,
    /// Quantity in the tariff's unit, n..16,6 `130`.
    #[serde(rename = "TariffQuantity", default, skip_serializing_if = "Option::is_none")]
    pub tariff_quantity: Option<Quantity>,
}

/// Price of an item on the invoice `79A`.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct InvoiceLine {
    /// Amount, n..16,3 `112`.
    #[serde(rename = "ItemChargeAmount")]
    pub item_charge: Amount,
}

/// A duty, tax or fee as declared `50A`.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct DutyTaxFee {
    /// Kind of duty, an..3 `113`.
    #[serde(rename = "TypeCode")]
    pub type_code: String,
    /// Duty regime: which preference is claimed, an..3 `164`.
    #[serde(rename = "DutyRegimeCode", default, skip_serializing_if = "Option::is_none")]
    pub duty_regime_code: Option<String>,
    /// Rate in percent `115`.
    #[serde(
        rename = "TaxRateNumeric",
        default,
        skip_serializing_if = "Option::is_none",
        with = "optional_decimal"
    )]
    #[schemars(with = "DecimalText")]
    pub rate_percent: Option<karvan_types::Decimal>,
    /// Value on which the duty is taken, n..16,3 `116`.
    #[serde(rename = "AdValoremTaxBaseAmount", default, skip_serializing_if = "Option::is_none")]
    pub ad_valorem_base: Option<Amount>,
    /// Quantity on which the duty is taken, n..16,6 `129`.
    #[serde(rename = "SpecificTaxBaseQuantity", default, skip_serializing_if = "Option::is_none")]
    pub specific_base: Option<Quantity>,
    /// Reduction, n..16,3 `111`.
    #[serde(rename = "DeductAmount", default, skip_serializing_if = "Option::is_none")]
    pub deduct_amount: Option<Amount>,
    /// Tariff quota order number, an..17 `401`.
    #[serde(rename = "QuotaOrderID", default, skip_serializing_if = "Option::is_none")]
    pub quota_order_id: Option<String>,
    /// What is assessed and paid `94A`.
    #[serde(rename = "Payment", default, skip_serializing_if = "Option::is_none")]
    pub payment: Option<Payment>,
}

/// Assessment and payment of a duty `94A`.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Payment {
    /// Amount assessed, n..16,3 `120`.
    #[serde(rename = "TaxAssessedAmount", default, skip_serializing_if = "Option::is_none")]
    pub assessed: Option<Amount>,
    /// Amount to pay, n..16,3 `378`.
    #[serde(rename = "PaymentAmount", default, skip_serializing_if = "Option::is_none")]
    pub payable: Option<Amount>,
}

/// A customs procedure `70A`.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct GovernmentProcedure {
    /// Procedure requested, an..7 `166`.
    #[serde(rename = "CurrentCode")]
    pub current_code: String,
    /// Procedure before, an..7 `161`.
    #[serde(rename = "PreviousCode", default, skip_serializing_if = "Option::is_none")]
    pub previous_code: Option<String>,
}

/// How the customs value was found `41A`.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct CustomsValuation {
    /// Valuation method, an..3 `122`: 1 is the transaction value.
    #[serde(rename = "MethodCode", default, skip_serializing_if = "Option::is_none")]
    pub method_code: Option<String>,
    /// Freight, n..16,3 `117`.
    #[serde(rename = "FreightChargeAmount", default, skip_serializing_if = "Option::is_none")]
    pub freight: Option<Amount>,
    /// Other charges and deductions `58B`.
    #[serde(rename = "ChargeDeduction", default, skip_serializing_if = "Vec::is_empty")]
    pub charges: Vec<ChargeDeduction>,
}

/// A charge added to or deducted from the value `58B`.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ChargeDeduction {
    /// Kind of charge, an..3 `371`.
    #[serde(rename = "ChargesTypeCode")]
    pub type_code: String,
    /// Amount, n..16,3 `181`.
    #[serde(rename = "OtherChargeDeductionAmount")]
    pub amount: Amount,
}
