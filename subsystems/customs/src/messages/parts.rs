//! What every message is made of: the header, parties, places, documents, packages.

use karvan_types::{Amount, Date, Quantity, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::text::{date, optional_date};

/// What a message does to the document it names: `FunctionCode` `017`, UN/EDIFACT 1225.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, JsonSchema, PartialEq, Serialize)]
pub enum FunctionCode {
    /// 9: the first version.
    #[serde(rename = "9")]
    Original,
    /// 4: changes named fields.
    #[serde(rename = "4")]
    Change,
    /// 5: replaces the whole earlier version.
    #[serde(rename = "5")]
    Replace,
    /// 1: cancels.
    #[serde(rename = "1")]
    Cancellation,
    /// 11: answers, in a validation or a utilisation result.
    #[serde(rename = "11")]
    Response,
}

impl FunctionCode {
    /// Returns the code as written.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Original => "9",
            Self::Change => "4",
            Self::Replace => "5",
            Self::Cancellation => "1",
            Self::Response => "11",
        }
    }
}

/// How much the agreement lets the receiver see.
#[derive(
    Clone, Copy, Debug, Deserialize, Eq, Hash, JsonSchema, Ord, PartialEq, PartialOrd, Serialize,
)]
pub enum SharingLevel {
    /// Goods, quantities, transport; no values.
    L1,
    /// L1 and values.
    L2,
    /// L2 and the full addresses of the parties.
    L3,
}

/// The fields that open every message.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub struct Header {
    /// Message function `017`.
    #[serde(rename = "FunctionCode")]
    pub function_code: FunctionCode,
    /// The sender's own unique reference, an..35 `D026`.
    #[serde(rename = "FunctionalReferenceID")]
    pub functional_reference_id: String,
    /// Document name code, UN/EDIFACT 1001, an..3 `D013`.
    #[serde(rename = "TypeCode")]
    pub type_code: String,
    /// Number of the declaration or certificate, an..70 `D014`.
    #[serde(rename = "ID")]
    pub id: String,
    /// Version of the document, counted from 1 `383`.
    #[serde(rename = "VersionID")]
    pub version_id: u32,
    /// When the document was issued `D011`.
    #[serde(rename = "IssueDateTime")]
    pub issue_date_time: Timestamp,
    /// The agreement under which the message travels.
    #[serde(rename = "agreementID")]
    pub agreement_id: String,
    /// How much of the document the agreement lets the receiver see.
    #[serde(rename = "sharingLevel")]
    pub sharing_level: SharingLevel,
}

/// A trader, agent or authority: exporter `57A`, consignee `27A`, importer `74A` and others.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Party {
    /// Name, an..70 [R031 exporter, R014 consignee, R037 importer].
    #[serde(rename = "Name", default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Tax number, VÖEN or NTN, an..17 [R032 exporter, R015 consignee, R038 importer].
    #[serde(rename = "ID", default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Postal address `04A`.
    #[serde(rename = "Address", default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Address>,
}

/// A postal address `04A`.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Address {
    /// Street and number, an..70 `239`.
    #[serde(rename = "Line", default, skip_serializing_if = "Option::is_none")]
    pub line: Option<String>,
    /// City, an..35 `241`.
    #[serde(rename = "CityName", default, skip_serializing_if = "Option::is_none")]
    pub city_name: Option<String>,
    /// Country, ISO 3166-1 alpha-2 `242`.
    #[serde(rename = "CountryCode", default, skip_serializing_if = "Option::is_none")]
    pub country_code: Option<String>,
    /// Postcode, an..9 `245`.
    #[serde(rename = "PostcodeID", default, skip_serializing_if = "Option::is_none")]
    pub postcode_id: Option<String>,
}

/// A country named by `CountryCode`, such as the destination `465`.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Country {
    /// ISO 3166-1 alpha-2.
    #[serde(rename = "CountryCode")]
    pub country_code: String,
}

/// A country named by `ID`, such as the country of exportation `062`.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct CountryId {
    /// ISO 3166-1 alpha-2.
    #[serde(rename = "ID")]
    pub id: String,
}

/// Origin of the goods `92A`.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// Country of origin, ISO 3166-1 alpha-2 `063`.
    #[serde(rename = "CountryCode")]
    pub country_code: String,
    /// Origin type: `1` non-preferential, `2` preferential `501`.
    #[serde(rename = "TypeCode", default, skip_serializing_if = "Option::is_none")]
    pub type_code: Option<String>,
}

/// A vehicle, vessel or aircraft [15A border, 46A departure, 10A arrival].
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TransportMeans {
    /// Mode of transport, UN/ECE Recommendation 19, n1 `T022`.
    #[serde(rename = "ModeCode", default, skip_serializing_if = "Option::is_none")]
    pub mode_code: Option<String>,
    /// Identification, an..35 `T006`.
    #[serde(rename = "ID", default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Country of registration, ISO 3166-1 alpha-2 `T014`.
    #[serde(
        rename = "RegistrationNationalityCode",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub registration_nationality_code: Option<String>,
}

/// A place, by UN/LOCODE or by name [83A loading, L002 terms].
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Location {
    /// UN/LOCODE, an..17 `L010`.
    #[serde(rename = "ID", default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Name, an..256 `L009`.
    #[serde(rename = "Name", default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// The transport of the shipment `28A`.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Consignment {
    /// `1` when the goods travel in containers, `0` when not `096`.
    #[serde(rename = "ContainerCode", default, skip_serializing_if = "Option::is_none")]
    pub container_code: Option<String>,
    /// When the transport left or leaves; the model's departure date of the means of transport.
    #[serde(rename = "DepartureDateTime", default, skip_serializing_if = "Option::is_none")]
    pub departure_date_time: Option<Timestamp>,
    /// Means of transport at departure `46A`.
    #[serde(rename = "DepartureTransportMeans", default, skip_serializing_if = "Option::is_none")]
    pub departure_transport_means: Option<TransportMeans>,
    /// Means of transport at arrival `10A`.
    #[serde(rename = "ArrivalTransportMeans", default, skip_serializing_if = "Option::is_none")]
    pub arrival_transport_means: Option<TransportMeans>,
    /// Place of loading `83A`.
    #[serde(rename = "LoadingLocation", default, skip_serializing_if = "Option::is_none")]
    pub loading_location: Option<Location>,
    /// Place of unloading.
    #[serde(rename = "UnloadingLocation", default, skip_serializing_if = "Option::is_none")]
    pub unloading_location: Option<Location>,
    /// Countries of routing in order, ISO 3166-1 alpha-2 `064`.
    #[serde(rename = "RoutingCountryCode", default, skip_serializing_if = "Vec::is_empty")]
    pub routing_country_codes: Vec<String>,
    /// Containers and other equipment `31B`.
    #[serde(rename = "TransportEquipment", default, skip_serializing_if = "Vec::is_empty")]
    pub transport_equipment: Vec<TransportEquipment>,
}

/// A container or other piece of equipment `31B`.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TransportEquipment {
    /// Equipment number, ISO 6346 for containers, an..17 `159`.
    #[serde(rename = "ID")]
    pub id: String,
    /// Seals `44B`.
    #[serde(rename = "Seal", default, skip_serializing_if = "Vec::is_empty")]
    pub seals: Vec<Seal>,
}

/// A seal `44B`.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Seal {
    /// Seal number, an..35 `165`.
    #[serde(rename = "ID")]
    pub id: String,
}

/// Unique consignment reference `35B`.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Ucr {
    /// Unique consignment reference, an..35 `016`.
    #[serde(rename = "ID", default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The trader's own reference, an..35 `009`.
    #[serde(
        rename = "TraderAssignedReferenceID",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub trader_assigned_reference_id: Option<String>,
}

/// An invoice `78A`.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct InvoiceReference {
    /// Invoice number, an..70 `D016`.
    #[serde(rename = "ID")]
    pub id: String,
    /// Invoice date `D015`.
    #[serde(rename = "IssueDateTime", with = "date")]
    #[schemars(with = "Date")]
    pub issue_date: Date,
}

/// A document that came before: transport document, earlier declaration `99A`.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct PreviousDocument {
    /// Document category, an..3 `D031`.
    #[serde(rename = "CategoryCode", default, skip_serializing_if = "Option::is_none")]
    pub category_code: Option<String>,
    /// Document type, an..3 `D019`: 705, 730, 740, 952 for transport documents.
    #[serde(rename = "TypeCode")]
    pub type_code: String,
    /// Number, an..70 `D018`.
    #[serde(rename = "ID")]
    pub id: String,
    /// Line in that document `171`.
    #[serde(rename = "LineNumeric", default, skip_serializing_if = "Option::is_none")]
    pub line_numeric: Option<u32>,
}

/// A supporting document of an item `02A`; type 864 quotes the certificate of origin.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct AdditionalDocument {
    /// Document category, an..3 `D031`.
    #[serde(rename = "CategoryCode", default, skip_serializing_if = "Option::is_none")]
    pub category_code: Option<String>,
    /// Document type, an..3 `D006`; 864 is a preferential certificate of origin.
    #[serde(rename = "TypeCode")]
    pub type_code: String,
    /// Number of the document, an..70 `D005`.
    #[serde(rename = "ID")]
    pub id: String,
    /// Date of the document `276`; for a certificate its date of issue.
    #[serde(
        rename = "EffectiveDateTime",
        default,
        skip_serializing_if = "Option::is_none",
        with = "optional_date"
    )]
    #[schemars(with = "Date")]
    pub effective_date: Option<Date>,
    /// Item of the document that this item of goods uses.
    #[serde(rename = "LineNumeric", default, skip_serializing_if = "Option::is_none")]
    pub line_numeric: Option<u32>,
    /// Status of the licence or certificate, an..3 `360`.
    #[serde(rename = "LPCOExemptionCode", default, skip_serializing_if = "Option::is_none")]
    pub lpco_exemption_code: Option<String>,
    /// What is to be debited from the document `22C`.
    #[serde(rename = "WriteOff", default, skip_serializing_if = "Option::is_none")]
    pub write_off: Option<WriteOff>,
}

/// A debit of a licence or certificate `22C`.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct WriteOff {
    /// Quantity debited `502`.
    #[serde(rename = "QuantityQuantity", default, skip_serializing_if = "Option::is_none")]
    pub quantity: Option<Quantity>,
    /// Amount debited `503`.
    #[serde(rename = "AmountAmount", default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Amount>,
}

/// Which nomenclature a code is from: `IdentificationTypeCode`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, JsonSchema, PartialEq, Serialize)]
pub enum ClassificationKind {
    /// Harmonized System, 6 digits.
    #[serde(rename = "HS")]
    HarmonizedSystem,
    /// Pakistan Customs Tariff, 8 digits.
    #[serde(rename = "PCT")]
    PakistanTariff,
    /// Azerbaijan's commodity nomenclature, 10 digits.
    #[serde(rename = "XIFMN")]
    AzerbaijanNomenclature,
    /// Another national nomenclature, 6 to 18 characters.
    #[serde(rename = "TSP")]
    OtherNational,
}

/// A commodity code `21A`. Codes are digits only, without dots or spaces.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Classification {
    /// The code, an..18 `145`.
    #[serde(rename = "ID")]
    pub id: String,
    /// The nomenclature.
    #[serde(rename = "IdentificationTypeCode")]
    pub kind: ClassificationKind,
    /// Edition of the Harmonized System that the code follows, such as 2022.
    #[serde(rename = "edition", default, skip_serializing_if = "Option::is_none")]
    pub edition: Option<u16>,
}

/// Packages of an item `93A`.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Packaging {
    /// Number of packages, n..8 `144`.
    #[serde(rename = "QuantityQuantity")]
    pub quantity: u32,
    /// Type of package, UN/ECE Recommendation 21, an..2 `141`.
    #[serde(rename = "TypeCode")]
    pub type_code: String,
    /// Shipping marks, an..512 `142`.
    #[serde(rename = "MarksNumbersID", default, skip_serializing_if = "Option::is_none")]
    pub marks_numbers: Option<String>,
}
