//! The cargo report: what carriers and terminals tell customs about a transport, and what a
//! declaration says about it for them.
//!
//! It is no canonical message: customs files it as a transport report about the export declarations
//! that its consignments name. Values, certificates and duties are not part of it.
//!
//! Not here: what filing it does (`crate::subsystem`).

use karvan_types::Timestamp;
use serde::{Deserialize, Serialize};

use crate::messages::{
    ExportDeclaration, GoodsItem, GoodsMeasure, GoodsShipment, Header, Location, Party,
    PreviousDocument, TransportMeans, Ucr,
};

/// UN/EDIFACT 1001 code of a cargo manifest.
const MANIFEST_TYPE_CODE: &str = "785";
/// UN/EDIFACT 1001 codes of cargo reports: manifest, declaration at departure and at arrival.
pub(crate) const CARGO_TYPE_CODES: [&str; 3] = [MANIFEST_TYPE_CODE, "833", "933"];
/// Codes of transport documents: bill of lading, road and air waybill, TIR carnet.
pub(crate) const TRANSPORT_DOCUMENTS: [&str; 4] = ["705", "730", "740", "952"];

/// A cargo report (CUSCAR): one journey, one consignment or several.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct CargoReport {
    /// Common header; `ID` is the number of the report.
    #[serde(flatten)]
    pub header: Header,
    /// Means of transport at the border.
    #[serde(rename = "BorderTransportMeans", default, skip_serializing_if = "Option::is_none")]
    pub border_transport_means: Option<TransportMeans>,
    /// Who carries the goods.
    #[serde(rename = "Carrier", default, skip_serializing_if = "Option::is_none")]
    pub carrier: Option<Party>,
    /// When the transport is expected at the place of unloading.
    #[serde(rename = "expectedArrival", default, skip_serializing_if = "Option::is_none")]
    pub expected_arrival: Option<Timestamp>,
    /// When it arrived there.
    #[serde(rename = "ArrivalDateTime", default, skip_serializing_if = "Option::is_none")]
    pub arrival_date_time: Option<Timestamp>,
    /// The transport document.
    #[serde(rename = "transportDocument", default, skip_serializing_if = "Option::is_none")]
    pub transport_document: Option<TransportDocument>,
    /// Numbers of the export declarations of the goods (RFF+ABT).
    #[serde(rename = "declarations", default, skip_serializing_if = "Vec::is_empty")]
    pub declarations: Vec<String>,
    /// Number of packages.
    #[serde(rename = "TotalPackageQuantity", default, skip_serializing_if = "Option::is_none")]
    pub total_package_quantity: Option<u32>,
    /// Consignor.
    #[serde(rename = "Exporter", default, skip_serializing_if = "Option::is_none")]
    pub exporter: Option<Party>,
    /// Consignee, route, containers and goods.
    #[serde(rename = "GoodsShipment")]
    pub shipment: GoodsShipment,
    /// The consignments after the first; containers are those of the journey.
    #[serde(rename = "furtherConsignment", default, skip_serializing_if = "Vec::is_empty")]
    pub further: Vec<FurtherConsignment>,
}

/// A transport document by number, with its type where the report states one.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TransportDocument {
    /// UN/EDIFACT 1001: 705, 730, 740, 952.
    #[serde(rename = "TypeCode", default, skip_serializing_if = "Option::is_none")]
    pub type_code: Option<String>,
    /// Its number.
    #[serde(rename = "ID")]
    pub id: String,
}

/// One more consignment of a journey.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct FurtherConsignment {
    /// Its number in the report.
    #[serde(rename = "SequenceNumeric", default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u32>,
    /// The transport document.
    #[serde(rename = "transportDocument", default, skip_serializing_if = "Option::is_none")]
    pub transport_document: Option<TransportDocument>,
    /// Unique consignment reference.
    #[serde(rename = "UCR", default, skip_serializing_if = "Option::is_none")]
    pub ucr: Option<Ucr>,
    /// Numbers of the export declarations of the goods.
    #[serde(rename = "declarations", default, skip_serializing_if = "Vec::is_empty")]
    pub declarations: Vec<String>,
    /// Where it is loaded.
    #[serde(rename = "LoadingLocation", default, skip_serializing_if = "Option::is_none")]
    pub loading_location: Option<Location>,
    /// Where it is unloaded.
    #[serde(rename = "UnloadingLocation", default, skip_serializing_if = "Option::is_none")]
    pub unloading_location: Option<Location>,
    /// Consignor.
    #[serde(rename = "Exporter", default, skip_serializing_if = "Option::is_none")]
    pub exporter: Option<Party>,
    /// Consignee.
    #[serde(rename = "Consignee", default, skip_serializing_if = "Option::is_none")]
    pub consignee: Option<Party>,
    /// The goods.
    #[serde(rename = "GovernmentAgencyGoodsItem", default, skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<GoodsItem>,
}

impl CargoReport {
    /// Takes what is about the transport out of an export declaration.
    pub fn of(export: &ExportDeclaration, issued_at: Timestamp) -> Self {
        let from = &export.shipment;
        let is_transport =
            |doc: &&PreviousDocument| TRANSPORT_DOCUMENTS.contains(&doc.type_code.as_str());
        let document = from.previous_documents.iter().find(is_transport);
        let mut shipment = GoodsShipment {
            exit_date_time: None,
            importer: None,
            destination: None,
            export_country: None,
            invoices: Vec::new(),
            trade_terms: None,
            previous_documents: Vec::new(),
            items: from.items.iter().map(goods).collect(),
            ..from.clone()
        };
        if let Some(consignment) = &mut shipment.consignment {
            consignment.container_code = None;
            consignment.departure_transport_means = None;
            consignment.arrival_transport_means = None;
        }
        if let Some(ucr) = &mut shipment.ucr {
            ucr.trader_assigned_reference_id = None;
        }
        Self {
            header: Header {
                type_code: MANIFEST_TYPE_CODE.to_owned(),
                issue_date_time: issued_at,
                ..export.header.clone()
            },
            border_transport_means: export.border_transport_means.clone(),
            carrier: None,
            expected_arrival: None,
            arrival_date_time: None,
            transport_document: document.map(|document| TransportDocument {
                type_code: Some(document.type_code.clone()),
                id: document.id.clone(),
            }),
            declarations: vec![export.header.id.clone()],
            total_package_quantity: export.total_package_quantity,
            exporter: Some(export.exporter.clone()),
            shipment,
            further: Vec::new(),
        }
    }
}

/// Keeps of an item what a carrier reports.
fn goods(item: &GoodsItem) -> GoodsItem {
    let mut kept = item.clone();
    kept.statistical_value = None;
    kept.customs_value = None;
    kept.origin = None;
    kept.additional_documents.clear();
    kept.previous_documents.clear();
    kept.procedures.clear();
    kept.ucr = None;
    kept.valuation = None;
    kept.commodity.invoice_line = None;
    kept.commodity.duty_tax_fees.clear();
    let gross_mass = kept.commodity.measure.take().and_then(|measure| measure.gross_mass);
    kept.commodity.measure =
        gross_mass.map(|mass| GoodsMeasure { gross_mass: Some(mass), ..GoodsMeasure::default() });
    kept
}
