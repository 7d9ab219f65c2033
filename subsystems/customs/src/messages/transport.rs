//! TRN: where the goods are on their way.

use karvan_types::{Quantity, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::parts::{
    Header, Location, Party, PreviousDocument, TransportEquipment, TransportMeans, Ucr,
};
use super::result::DocumentReference;

/// TRN: what the exporting side's customs knows about the transport of declared goods. Each report
/// has a number of its own; a later one adds to the earlier ones and changes none.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TransportReport {
    /// Common header; `ID` is the number of the report.
    #[serde(flatten)]
    pub header: Header,
    /// What happened.
    #[serde(rename = "event")]
    pub event: TransportEvent,
    /// When it happened, by the clock of the place where it happened.
    #[serde(rename = "eventDateTime")]
    pub event_date_time: Timestamp,
    /// The export declarations whose goods travel together, document type `EXD`.
    #[serde(rename = "exports")]
    pub exports: Vec<DocumentReference>,
    /// Unique consignment reference `35B`.
    #[serde(rename = "UCR", default, skip_serializing_if = "Option::is_none")]
    pub ucr: Option<Ucr>,
    /// Transport documents `99A`: 705, 730, 740, 952.
    #[serde(rename = "PreviousDocument", default, skip_serializing_if = "Vec::is_empty")]
    pub transport_documents: Vec<PreviousDocument>,
    /// Who carries the goods.
    #[serde(rename = "Carrier", default, skip_serializing_if = "Option::is_none")]
    pub carrier: Option<Party>,
    /// Means of transport at the border `15A`.
    #[serde(rename = "BorderTransportMeans")]
    pub means: TransportMeans,
    /// The places of the route in order, from loading to unloading.
    #[serde(rename = "route")]
    pub route: Vec<RoutePlace>,
    /// Containers and their seals `31B`.
    #[serde(rename = "TransportEquipment", default, skip_serializing_if = "Vec::is_empty")]
    pub equipment: Vec<TransportEquipment>,
    /// Number of packages, n..8 `146`.
    #[serde(rename = "TotalPackageQuantity", default, skip_serializing_if = "Option::is_none")]
    pub total_package_quantity: Option<u32>,
    /// Gross mass, n..16,6 `131`.
    #[serde(rename = "TotalGrossMassMeasure", default, skip_serializing_if = "Option::is_none")]
    pub total_gross_mass: Option<Quantity>,
    /// A remark in words, an..512 `225`; required when the goods were diverted.
    #[serde(rename = "StatementDescription", default, skip_serializing_if = "Option::is_none")]
    pub remark: Option<String>,
}

impl TransportReport {
    /// The document type code.
    pub const DOCUMENT_TYPE: &'static str = "TRN";
}

/// What happened to a transport.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TransportEvent {
    /// It left the exporting territory.
    Departed,
    /// It reached the importing territory.
    Arrived,
    /// It goes to another destination than was declared.
    Diverted,
}

/// A place of a route.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RoutePlace {
    /// Place in the route, counted from 1 `006`.
    #[serde(rename = "SequenceNumeric")]
    pub sequence: u32,
    /// The place, by its UN/LOCODE.
    #[serde(rename = "Location")]
    pub location: Location,
    /// When the transport is expected there.
    #[serde(rename = "expectedArrival", default, skip_serializing_if = "Option::is_none")]
    pub expected_arrival: Option<Timestamp>,
    /// When it arrived there.
    #[serde(rename = "ArrivalDateTime", default, skip_serializing_if = "Option::is_none")]
    pub arrival_date_time: Option<Timestamp>,
    /// When it left there.
    #[serde(rename = "DepartureDateTime", default, skip_serializing_if = "Option::is_none")]
    pub departure_date_time: Option<Timestamp>,
}
