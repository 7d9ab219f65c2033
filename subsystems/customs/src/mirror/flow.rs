//! Lines of trade: every declared item of both directions in the few columns that are compared.
//!
//! A line is written when a declaration is accepted, replaced with each new version, and taken
//! away when the declaration is cancelled. The declarations themselves stay the truth; these lines
//! are so laid out that a month, a code or a consignment is found by one index.
//!
//! Invariants: the lines of a document are those of its newest version; masses are in kg; a value
//! is as declared, in its own currency, and nothing is converted here.

use karvan_store::{Error, Index, Range, Read, Record, Table, Tx, Value};
use karvan_types::{Amount, Date, Decimal, Instance};
use serde::{Deserialize, Serialize};

use crate::certificate::CertificateNumber;
use crate::claim::Claim;
use crate::codes::units;
use crate::export::{Export, export_key, ucr_of};
use crate::matching::local_date;
use crate::messages::text::date;
use crate::messages::{
    CountryId, EXPORT_TYPE_CODE, ExportDeclaration, GoodsItem, GoodsShipment, Party, TransportMeans,
};
use crate::validate::numbers::normalise_ntn;

/// Most lines that are linked to one document.
pub const LINKED_MAX: usize = 1000;

/// Which direction, and by which side it was declared.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Flow {
    /// Declared for export.
    Export,
    /// Declared for import.
    Import,
}

impl Flow {
    /// Returns the name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Export => "export",
            Self::Import => "import",
        }
    }
}

/// One declared item.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    /// By which side it was declared.
    pub flow: Flow,
    /// The nation that declared it.
    pub nation: Instance,
    /// Key of the export declaration or claim.
    pub document: String,
    /// Item of it.
    pub item: u32,
    /// The day that counts: of departure, or else of the declaration; of filing for an import.
    #[serde(with = "date")]
    pub day: Date,
    /// Six digits of the Harmonized System.
    pub hs6: String,
    /// Mode of transport at the border.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// Terms of delivery, which tell whether freight is in the value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terms: Option<String>,
    /// Value as declared: statistical (free on board) of an export, invoice price of an import.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Amount>,
    /// Whether the value is free on board whatever the terms say.
    pub is_fob: bool,
    /// Net mass in kg.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "crate::messages::text::optional_decimal"
    )]
    pub net_mass: Option<Decimal>,
    /// Unique consignment reference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ucr: Option<String>,
    /// Key of the certificate that the item quotes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// Key of the export declaration that an import names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub names: Option<String>,
    /// Of an import: whether it was dispatched from a third country and nothing but its consignment
    /// reference can tie it to the other side. It counts only when it does.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub elsewhere: bool,
}

/// Where lines are kept.
pub(crate) static LINES: Table = Table {
    name: "customs_mirror_line",
    columns: &["flow", "month", "hs6", "ucr", "certificate", "names"],
    indexes: &[
        Index { name: "by_month", columns: &["flow", "month", "hs6"], unique: false },
        Index { name: "by_code", columns: &["flow", "hs6", "month"], unique: false },
        Index { name: "by_ucr", columns: &["flow", "ucr"], unique: false },
        Index { name: "by_certificate", columns: &["flow", "certificate"], unique: false },
        Index { name: "by_name", columns: &["flow", "names"], unique: false },
    ],
};

impl Record for Line {
    const TABLE: &'static Table = &LINES;

    fn key(&self) -> Value {
        format!("{}{:05}", Self::place(self.flow, self.nation, &self.document), self.item).into()
    }

    fn columns(&self) -> Vec<Value> {
        vec![
            Self::stream(self.flow, self.nation).into(),
            self.month().into(),
            self.hs6.as_str().into(),
            self.ucr.as_deref().into(),
            self.certificate.as_deref().into(),
            self.names.as_deref().into(),
        ]
    }
}

impl Line {
    /// Returns the column that tells one direction of one nation.
    pub fn stream(flow: Flow, nation: Instance) -> String {
        format!("{}:{nation}", flow.name())
    }

    /// Returns how the keys of a document's lines begin; digits follow. A `#` in the number is
    /// doubled, so that no other document's lines stand among them.
    fn place(flow: Flow, nation: Instance, document: &str) -> String {
        format!("{} {}#", Self::stream(flow, nation), document.replace('#', "##"))
    }

    /// Returns the month, `YYYY-MM`.
    pub fn month(&self) -> String {
        month_of(self.day)
    }

    /// Returns the range of the lines of one nation's direction with a value in an index.
    pub fn range(index: &'static str, flow: Flow, nation: Instance, value: &str) -> Range {
        Range::of(index, vec![Self::stream(flow, nation).into(), value.into()], LINKED_MAX)
    }

    /// Returns the range of the lines of a document.
    fn of(flow: Flow, nation: Instance, document: &str) -> Range {
        let place = Self::place(flow, nation, document);
        Range::all(LINKED_MAX).from(format!("{place}0")).to(format!("{place}:"))
    }

    /// Returns the value per kg, rounded half up to four decimals.
    pub fn unit_value(&self) -> Option<Decimal> {
        let (value, mass) = (self.value.as_ref()?, self.net_mass?);
        let quotient = value.value.checked_div(mass)?;
        Some(super::rounded(quotient, super::UNIT_VALUE_PLACES))
    }
}

/// Returns the month of a day, `YYYY-MM`.
pub fn month_of(day: Date) -> String {
    format!("{:04}-{:02}", day.year(), day.month())
}

/// Returns what identifies a party when two documents are compared: the tax number in capitals and
/// without punctuation, or else the name in capitals.
pub fn party_key(party: &Party) -> Option<String> {
    if let Some(id) = party.id.as_deref().filter(|id| !id.trim().is_empty()) {
        let plain = || id.chars().filter(|c| c.is_alphanumeric()).collect::<String>();
        return Some(normalise_ntn(id).unwrap_or_else(plain).to_uppercase());
    }
    let words: Vec<_> = party.name.as_deref()?.split_whitespace().map(str::to_uppercase).collect();
    (!words.is_empty()).then(|| words.join(" "))
}

/// Writes the lines of an export declaration anew; a cancelled one has none.
pub fn write_export(tx: &mut dyn Tx, export: &Export) -> Result<(), Error> {
    let (flow, nation, document) = (Flow::Export, export.country, export.id());
    clear(tx, flow, nation, &document)?;
    let (Some(content), Some(first)) = (export.content(), export.versions.first()) else {
        return Ok(());
    };
    if export.is_cancelled() {
        return Ok(());
    }
    let shipment = &content.shipment;
    let departed = shipment.consignment.as_ref().and_then(|c| c.departure_date_time);
    let declared = departed.or(shipment.exit_date_time).or(content.acceptance_date_time);
    let day = local_date(declared.unwrap_or(first.at), nation);
    for item in &shipment.items {
        let line = item.commodity.invoice_line.as_ref().map(|line| &line.item_charge);
        let value = item.statistical_value.as_ref().or(line).cloned();
        tx.save(&Line {
            flow,
            nation,
            document: document.clone(),
            item: item.sequence,
            day,
            hs6: hs6_of(item),
            mode: mode(content),
            terms: terms_of(shipment),
            is_fob: item.statistical_value.is_some(),
            value,
            net_mass: net_mass(item),
            ucr: ucr_of_item(item, ucr_of(content)),
            certificate: certificate_of(item, nation),
            names: None,
            elsewhere: false,
        })?;
    }
    Ok(())
}

/// Writes the lines of an import declaration anew and returns them, at most [`LINKED_MAX`].
/// `partner` is the nation from which it comes.
pub fn write_claim(
    tx: &mut dyn Tx,
    nation: Instance,
    partner: Instance,
    claim: &Claim,
) -> Result<Vec<Line>, Error> {
    let (flow, document) = (Flow::Import, claim.id());
    clear(tx, flow, nation, &document)?;
    let mut lines = Vec::new();
    let Some(content) = claim.content() else { return Ok(lines) };
    let shipment = &content.shipment;
    let shared = shipment.ucr.as_ref().and_then(|ucr| ucr.id.as_deref());
    let elsewhere = |country: &CountryId| country.id != partner.as_str();
    let is_elsewhere = shipment.export_country.as_ref().is_some_and(elsewhere);
    for item in &shipment.items {
        let named = item.previous_documents.iter().chain(&shipment.previous_documents);
        let mut named = named.filter(|document| document.type_code == EXPORT_TYPE_CODE);
        let invoice = item.commodity.invoice_line.as_ref().map(|line| line.item_charge.clone());
        let names = named.next().map(|document| export_key(partner, &document.id));
        let certificate = certificate_of(item, partner);
        let ucr = ucr_of_item(item, shared);
        // Goods that came by way of a third country are the partner's when a paper says so.
        let elsewhere = is_elsewhere && certificate.is_none() && names.is_none();
        if elsewhere && ucr.is_none() {
            continue;
        }
        let line = Line {
            flow,
            nation,
            document: document.clone(),
            item: item.sequence,
            day: claim.filed,
            hs6: hs6_of(item),
            mode: mode_of(content.border_transport_means.as_ref(), shipment),
            terms: terms_of(shipment),
            is_fob: invoice.is_none() && item.statistical_value.is_some(),
            value: invoice.or_else(|| item.statistical_value.clone()),
            net_mass: net_mass(item),
            ucr,
            certificate,
            names,
            elsewhere,
        };
        tx.save(&line)?;
        if lines.len() < LINKED_MAX {
            lines.push(line);
        }
    }
    Ok(lines)
}

fn clear(tx: &mut dyn Tx, flow: Flow, nation: Instance, document: &str) -> Result<(), Error> {
    let old: Vec<Line> = tx.select(&Line::of(flow, nation, document))?;
    for line in old {
        tx.remove::<Line>(line.key())?;
    }
    Ok(())
}

fn hs6_of(item: &GoodsItem) -> String {
    item.commodity.hs6().unwrap_or_default().to_owned()
}

fn terms_of(shipment: &GoodsShipment) -> Option<String> {
    shipment.trade_terms.as_ref().map(|terms| terms.condition_code.clone())
}

/// Returns the mode of transport of an export declaration.
pub fn mode(content: &ExportDeclaration) -> Option<String> {
    mode_of(content.border_transport_means.as_ref(), &content.shipment)
}

/// Returns the mode of transport at the border, or else on departure or arrival.
fn mode_of(border: Option<&TransportMeans>, shipment: &GoodsShipment) -> Option<String> {
    let consignment = shipment.consignment.as_ref();
    let inland = consignment.and_then(|consignment| {
        let departure = consignment.departure_transport_means.as_ref();
        departure.or(consignment.arrival_transport_means.as_ref())
    });
    border.or(inland).and_then(|means| means.mode_code.clone())
}

fn net_mass(item: &GoodsItem) -> Option<Decimal> {
    let measure = item.commodity.measure.as_ref()?;
    let stated = measure.net_mass.as_ref().or(measure.tariff_quantity.as_ref())?;
    units::convert(stated, "KGM").ok().map(|converted| converted.quantity.value.normalize())
}

fn ucr_of_item(item: &GoodsItem, shared: Option<&str>) -> Option<String> {
    let own = item.ucr.as_ref().and_then(|ucr| ucr.id.as_deref());
    own.or(shared).map(str::to_owned)
}

fn certificate_of(item: &GoodsItem, issued_in: Instance) -> Option<String> {
    let document = item.certificates().next()?;
    CertificateNumber::parse(&document.id).ok().map(|number| number.key(issued_in))
}

/// Returns the lines of one side that belong to a document of the other: those that name it, that
/// have its consignment reference, or that quote one of its certificates.
pub fn counterparts(
    view: &dyn Read,
    lines: &[Line],
    flow: Flow,
    nation: Instance,
) -> Result<Vec<Line>, Error> {
    let mut found: Vec<Line> = Vec::new();
    for line in lines {
        let by_name = match flow {
            Flow::Import => Some(Line::range("by_name", flow, nation, &line.document)),
            Flow::Export => line.names.as_deref().map(|key| Line::of(flow, nation, key)),
        };
        let by_ucr = line.ucr.as_deref().map(|ucr| Line::range("by_ucr", flow, nation, ucr));
        let certificate = line.certificate.as_deref();
        let by_certificate =
            certificate.map(|key| Line::range("by_certificate", flow, nation, key));
        for range in [by_name, by_ucr, by_certificate].into_iter().flatten() {
            let more: Vec<Line> = view.select(&range)?;
            if !more.is_empty() {
                found.extend(more);
                // The surest link decides; a certificate also covers other consignments.
                break;
            }
        }
    }
    found.sort_by(|a, b| (&a.document, a.item).cmp(&(&b.document, b.item)));
    found.dedup_by(|a, b| a.document == b.document && a.item == b.item);
    Ok(found)
}

/// Returns the lines of a document.
pub fn of_document(
    view: &dyn Read,
    flow: Flow,
    nation: Instance,
    document: &str,
) -> Result<Vec<Line>, Error> {
    view.select(&Line::of(flow, nation, document))
}
