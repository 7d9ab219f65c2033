//! The cargo report: what a declaration says about the transport, for carriers and terminals.
//!
//! It is no canonical message; no sub-system acts on it. Values, certificates and duties are not
//! part of it.

use karvan_types::Timestamp;
use serde::{Deserialize, Serialize};

use crate::messages::{
    ExportDeclaration, GoodsItem, GoodsMeasure, GoodsShipment, Header, Party, PreviousDocument,
    TransportMeans,
};

/// UN/EDIFACT 1001 code of a cargo manifest.
pub(crate) const MANIFEST_TYPE_CODE: &str = "785";
/// Codes of transport documents: bill of lading, road and air waybill, TIR carnet.
const TRANSPORT_DOCUMENTS: [&str; 4] = ["705", "730", "740", "952"];

/// A cargo report of one consignment (CUSCAR).
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct CargoReport {
    /// Common header; `ID` is the number of the report.
    #[serde(flatten)]
    pub header: Header,
    /// Means of transport at the border.
    #[serde(rename = "BorderTransportMeans", default, skip_serializing_if = "Option::is_none")]
    pub border_transport_means: Option<TransportMeans>,
    /// The transport document.
    #[serde(rename = "transportDocument", default, skip_serializing_if = "Option::is_none")]
    pub transport_document: Option<PreviousDocument>,
    /// Number of packages.
    #[serde(rename = "TotalPackageQuantity", default, skip_serializing_if = "Option::is_none")]
    pub total_package_quantity: Option<u32>,
    /// Consignor.
    #[serde(rename = "Exporter")]
    pub exporter: Party,
    /// Consignee, route, containers and goods.
    #[serde(rename = "GoodsShipment")]
    pub shipment: GoodsShipment,
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
            transport_document: document.map(|document| PreviousDocument {
                category_code: None,
                line_numeric: None,
                ..document.clone()
            }),
            total_package_quantity: export.total_package_quantity,
            exporter: export.exporter.clone(),
            shipment,
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
