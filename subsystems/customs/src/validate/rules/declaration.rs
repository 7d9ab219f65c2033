//! Rules of the export declaration and the import claim.

use karvan_types::{Amount, Decimal, Quantity, Timestamp};

use super::super::Problems;
use super::super::numbers::container;
use super::{classifications, instant, party, sequence};
use crate::codes::units;
use crate::messages::{
    ExportDeclaration, GoodsItem, GoodsShipment, ImportClaim, SharingLevel, TransportMeans,
};

const ITEMS: &str = "GoodsShipment/GovernmentAgencyGoodsItem";
/// The countries of the agreement.
const PARTNERS: [&str; 2] = ["AZ", "PK"];

/// Checks an export declaration.
pub(super) fn export(message: &ExportDeclaration, now: Timestamp, problems: &mut Problems) {
    let shipment = &message.shipment;
    let export_country = shipment.export_country.as_ref().map(|country| country.id.as_str());
    party("Exporter", &message.exporter, export_country, problems);
    if shipment.consignee.is_none() {
        let remedy = "an export declaration names the consignee; add at least the name";
        problems.refuse("GoodsShipment/Consignee", "REQUIRED", remedy);
    }
    if let Some(acceptance) = message.acceptance_date_time {
        instant("AcceptanceDateTime", acceptance, now, problems);
    }
    Totals {
        items: message.goods_item_quantity,
        packages: message.total_package_quantity,
        gross_mass: message.total_gross_mass.as_ref(),
        invoice: message.invoice_amount.as_ref(),
    }
    .check(&shipment.items, problems);
    common(shipment, message.border_transport_means.as_ref(), problems);
    for (item, number) in shipment.items.iter().zip(1..) {
        let pointer = format!("{ITEMS}[{number}]");
        if item.origin.is_none() {
            // Origin `103` is optional in an export declaration; the certificate states it.
            let number = item.sequence;
            let remedy =
                format!("the export declaration does not state the origin of item {number}");
            problems.flag(&format!("{pointer}/Origin"), "REQUIRED", remedy);
        }
        let is_import = item.customs_value.is_some()
            || item.valuation.is_some()
            || !item.commodity.duty_tax_fees.is_empty();
        if is_import {
            let remedy = "customs value, valuation and duties belong to the import side";
            problems.flag(&pointer, "IMPORT", remedy);
        }
        let has_value = item.statistical_value.is_some() || item.commodity.invoice_line.is_some();
        if has_value && message.header.sharing_level == SharingLevel::L1 {
            let remedy = "sharing level L1 carries no values; leave them out";
            problems.refuse(&pointer, "SHARING", remedy);
        }
    }
}

/// Checks an import claim.
pub(super) fn import(message: &ImportClaim, now: Timestamp, problems: &mut Problems) {
    let shipment = &message.shipment;
    let destination = shipment.destination.as_ref().map(|country| country.country_code.as_str());
    if let Some(importer) = &shipment.importer {
        party("GoodsShipment/Importer", importer, destination, problems);
    } else {
        let remedy = "an import claim names the importer; add the tax number and the name";
        problems.refuse("GoodsShipment/Importer", "REQUIRED", remedy);
    }
    if let Some(exporter) = &message.exporter {
        let country = shipment.export_country.as_ref().map(|country| country.id.as_str());
        party("Exporter", exporter, country, problems);
    }
    if let Some(acceptance) = message.acceptance_date_time {
        instant("AcceptanceDateTime", acceptance, now, problems);
    }
    Totals {
        items: message.goods_item_quantity,
        packages: message.total_package_quantity,
        gross_mass: message.total_gross_mass.as_ref(),
        invoice: message.invoice_amount.as_ref(),
    }
    .check(&shipment.items, problems);
    common(shipment, message.border_transport_means.as_ref(), problems);
    for (item, number) in shipment.items.iter().zip(1..) {
        claimed(&format!("{ITEMS}[{number}]"), item, problems);
    }
}

/// A claimed preference should say which certificate, of which day, and which of its items. Day
/// and item are optional in the model, so what is missing is for the officer to clear up.
fn claimed(pointer: &str, item: &GoodsItem, problems: &mut Problems) {
    let quoted = item.certificates().count();
    if quoted > 1 {
        let remedy = format!("the item quotes {quoted} certificates; split it, one for each");
        problems.refuse(&format!("{pointer}/AdditionalDocument"), "CERT", remedy);
    }
    for certificate in item.certificates() {
        let pointer = format!("{pointer}/AdditionalDocument");
        if certificate.effective_date.is_none() {
            let remedy = "the date of issue of the quoted certificate is not stated; ask for it";
            problems.flag(&pointer, "CERT", remedy);
        }
        let debit = certificate.write_off.as_ref().and_then(|it| it.quantity.as_ref());
        if debit.is_some_and(|quantity| quantity.value.is_zero()) {
            let remedy = "a write-off of zero claims nothing; state the quantity";
            problems.refuse(&format!("{pointer}/WriteOff"), "QUANTITY", remedy);
        }
        if certificate.line_numeric.is_none() {
            let remedy = "the item of the quoted certificate is not stated; item 1 is taken";
            problems.flag(&pointer, "CERT", remedy);
        }
    }
    if quoted > 0 && item.origin.is_none() {
        let remedy = "a preference is claimed without a country of origin; add it";
        problems.refuse(&format!("{pointer}/Origin"), "REQUIRED", remedy);
    }
    if item.customs_value.is_none() {
        let remedy = "the customs value is missing; without it no duty can be computed";
        problems.flag(&format!("{pointer}/CustomsValueAmount"), "REQUIRED", remedy);
    }
}

fn common(shipment: &GoodsShipment, border: Option<&TransportMeans>, problems: &mut Problems) {
    sequence(ITEMS, shipment.items.iter().map(|item| item.sequence), problems);
    route(shipment, problems);
    if let Some(consignee) = &shipment.consignee {
        let country = shipment.destination.as_ref().map(|country| country.country_code.as_str());
        party("GoodsShipment/Consignee", consignee, country, problems);
    }
    let equipment = shipment.consignment.iter().flat_map(|c| &c.transport_equipment);
    for (equipment, number) in equipment.zip(1..) {
        if !container(&equipment.id) {
            problems.flag(
                &format!("GoodsShipment/Consignment/TransportEquipment[{number}]/ID"),
                "CONTAIN",
                format!("`{}` is not a container number of ISO 6346; check it", equipment.id),
            );
        }
    }
    if border.is_some_and(|means| means.mode_code.is_none()) {
        let remedy = "the mode of transport is missing; add it";
        problems.flag("BorderTransportMeans/ModeCode", "REQUIRED", remedy);
    }
    for (item, number) in shipment.items.iter().zip(1..) {
        let pointer = format!("{ITEMS}[{number}]");
        let commodity = format!("{pointer}/Commodity");
        classifications(&commodity, &item.commodity.classifications, problems);
        masses(&format!("{commodity}/GoodsMeasure"), item, problems);
    }
}

/// Looks where the goods go. Both countries are optional in the model, and a third country is a
/// fact about the goods: neither is a reason to refuse the declaration.
fn route(shipment: &GoodsShipment, problems: &mut Problems) {
    const FROM: &str = "GoodsShipment/ExportCountry";
    const TO: &str = "GoodsShipment/Destination";
    let from = shipment.export_country.as_ref().map(|country| country.id.as_str());
    let to = shipment.destination.as_ref().map(|country| country.country_code.as_str());
    if from.is_some() && from == to {
        let remedy = "country of exportation and of destination are the same; correct one";
        problems.refuse(TO, "ROUTE", remedy);
    }
    for (pointer, name, country) in
        [(FROM, "country of exportation", from), (TO, "country of destination", to)]
    {
        match country {
            None => problems.flag(pointer, "REQUIRED", format!("the {name} is not stated")),
            Some(country) if !PARTNERS.contains(&country) => {
                let remedy = format!(
                    "the {name} is {country}, which is no partner of the agreement; look whether \
                     the agreement covers the goods"
                );
                problems.flag(pointer, "ROUTE", remedy);
            }
            Some(_) => {}
        }
    }
}

fn masses(pointer: &str, item: &GoodsItem, problems: &mut Problems) {
    let Some(measure) = &item.commodity.measure else {
        let remedy = "net mass and quantity are missing; without them nothing can be compared";
        return problems.flag(pointer, "REQUIRED", remedy);
    };
    let stated = [&measure.gross_mass, &measure.net_mass, &measure.tariff_quantity];
    if stated.into_iter().flatten().any(|quantity| quantity.value.is_zero()) {
        let remedy = "a mass or quantity of zero is no goods; state what there is, or leave it out";
        problems.refuse(pointer, "QUANTITY", remedy);
    }
    let base = |mass: &Option<Quantity>| mass.as_ref().and_then(|m| units::to_base(m).ok());
    for mass in [&measure.gross_mass, &measure.net_mass].into_iter().flatten() {
        if units::unit(&mass.unit).is_some_and(|unit| unit.kind != "mass") {
            let remedy = format!("{} is not a unit of mass; use KGM", mass.unit);
            problems.refuse(pointer, "UNIT", remedy);
        }
    }
    if let (Some(gross), Some(net)) = (base(&measure.gross_mass), base(&measure.net_mass))
        && net > gross
    {
        let remedy = "the net mass is larger than the gross mass; correct one";
        problems.refuse(pointer, "MASS", remedy);
    }
}

/// The control totals of a declaration.
struct Totals<'a> {
    items: u32,
    packages: Option<u32>,
    gross_mass: Option<&'a Quantity>,
    invoice: Option<&'a Amount>,
}

impl Totals<'_> {
    fn check(&self, items: &[GoodsItem], problems: &mut Problems) {
        let mut compare = |pointer: &str, stated: String, found: String| {
            let remedy = format!("the total says {stated}, the items make {found}; correct one");
            problems.refuse(pointer, "TOTAL", remedy);
        };
        if usize::try_from(self.items) != Ok(items.len()) {
            compare("GoodsItemQuantity", self.items.to_string(), items.len().to_string());
        }
        let packages: u64 =
            items.iter().flat_map(|item| &item.packaging).map(|p| u64::from(p.quantity)).sum();
        if let Some(stated) = self.packages
            && items.iter().all(|item| !item.packaging.is_empty())
            && u64::from(stated) != packages
        {
            compare("TotalPackageQuantity", stated.to_string(), packages.to_string());
        }
        if let Some(stated) = self.gross_mass
            && let Ok(stated_base) = units::to_base(stated)
            && let Some(found) = sum_of_gross(items)
            && stated_base != found
        {
            compare("TotalGrossMassMeasure", stated.to_string(), format!("{found} KGM"));
        }
        if let Some(stated) = self.invoice
            && let Some(found) = sum_of_invoice(items, &stated.currency)
            && stated.value != found
        {
            compare("InvoiceAmount", stated.to_string(), format!("{found} {}", stated.currency));
        }
    }
}

/// Returns the sum in kilograms, when every item states its gross mass.
fn sum_of_gross(items: &[GoodsItem]) -> Option<Decimal> {
    items.iter().try_fold(Decimal::ZERO, |sum, item| {
        let gross = item.commodity.measure.as_ref()?.gross_mass.as_ref()?;
        sum.checked_add(units::to_base(gross).ok()?)
    })
}

/// Returns the sum, when every item states its price in this currency.
fn sum_of_invoice(items: &[GoodsItem], currency: &str) -> Option<Decimal> {
    items.iter().try_fold(Decimal::ZERO, |sum, item| {
        let charge = &item.commodity.invoice_line.as_ref()?.item_charge;
        (charge.currency == currency).then_some(())?;
        sum.checked_add(charge.value)
    })
}
