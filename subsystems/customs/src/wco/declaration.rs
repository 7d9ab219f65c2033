//! Maps a `Declaration` to an export declaration or an import claim.

use super::Error;
use super::read::Element;
use super::stream::{ITEM, SHIPMENT};
use super::take::{Taker, attribute, has};
use crate::messages::{
    AdditionalDocument, Address, CERTIFICATE_TYPE_CODE, ChargeDeduction, Classification,
    ClassificationKind, Commodity, Consignment, Country, CountryId, CustomsValuation, DutyTaxFee,
    EXPORT_TYPE_CODE, ExportDeclaration, GoodsItem, GoodsMeasure, GoodsShipment,
    GovernmentProcedure, Header, IMPORT_TYPE_CODE, ImportClaim, InvoiceLine, InvoiceReference,
    Location, Message, Origin, Packaging, Party, Payment, PreviousDocument, Seal, TradeTerms,
    TransportEquipment, TransportMeans, Ucr, WriteOff,
};

/// A part of the message, absent when a required field of it is missing.
pub(super) type Part<T> = Result<Option<T>, Error>;

/// The model states masses in kilograms.
const MASS_UNIT: Option<&str> = Some("KGM");

/// Category of the profile's document codes for proofs of preferential origin (`D031`).
const PROOF_OF_ORIGIN: &str = "U";

/// What of a declaration can come in thousands.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Role {
    /// Nothing, or it is not known yet.
    #[default]
    Other,
    /// Items of goods.
    Goods,
    /// Changes and new values.
    Changes,
}

impl Role {
    /// Returns what a declaration with these codes holds.
    pub(super) fn of(function: &str, type_code: &str) -> Self {
        match function {
            "9" | "4" | "5" if is_export(type_code) || is_import(type_code) => Self::Goods,
            "13" if type_code == "COR" => Self::Changes,
            _ => Self::Other,
        }
    }
}

/// Returns whether a type code is one of an export declaration.
pub(super) fn is_export(type_code: &str) -> bool {
    type_code == EXPORT_TYPE_CODE || type_code.starts_with("EX")
}

/// Returns whether a type code is one of an import claim.
pub(super) fn is_import(type_code: &str) -> bool {
    type_code == IMPORT_TYPE_CODE || type_code.starts_with("IM")
}

/// Reads an export declaration.
pub(super) fn export(
    taker: &mut Taker,
    mut element: Element,
    header: Header,
) -> Result<Message, Error> {
    let e = &mut element;
    let mut shipment = shipment(taker, e)?;
    let message = ExportDeclaration {
        header,
        acceptance_date_time: taker.instant(e, "AcceptanceDateTime")?,
        declaration_office_id: taker.text(e, "DeclarationOfficeID")?,
        goods_item_quantity: item_count(taker, e, &shipment)?,
        total_package_quantity: taker.number(e, "TotalPackageQuantity")?,
        total_gross_mass: taker.quantity(e, "TotalGrossMassMeasure", MASS_UNIT)?,
        invoice_amount: taker.amount(e, "InvoiceAmount")?,
        submitter: taker.one(e, "Submitter", party)?,
        declarant: taker.one(e, "Declarant", party)?,
        exporter: taker.one(e, "Exporter", party)?.ok_or_else(|| taker.missing(e, "Exporter"))?,
        border_transport_means: taker.one(e, "BorderTransportMeans", transport_means)?,
        shipment: {
            routing(taker, e, &mut shipment)?;
            shipment
        },
        ext: Vec::new(),
    };
    taker.lose_content(element);
    Ok(Message::Export(Box::new(message)))
}

/// Reads an import claim.
pub(super) fn import(
    taker: &mut Taker,
    mut element: Element,
    header: Header,
) -> Result<Message, Error> {
    let e = &mut element;
    let mut shipment = shipment(taker, e)?;
    let message = ImportClaim {
        header,
        acceptance_date_time: taker.instant(e, "AcceptanceDateTime")?,
        declaration_office_id: taker.text(e, "DeclarationOfficeID")?,
        goods_item_quantity: item_count(taker, e, &shipment)?,
        total_package_quantity: taker.number(e, "TotalPackageQuantity")?,
        total_gross_mass: taker.quantity(e, "TotalGrossMassMeasure", MASS_UNIT)?,
        invoice_amount: taker.amount(e, "InvoiceAmount")?,
        declarant: taker.one(e, "Declarant", party)?,
        exporter: taker.one(e, "Exporter", party)?,
        border_transport_means: taker.one(e, "BorderTransportMeans", transport_means)?,
        shipment: {
            routing(taker, e, &mut shipment)?;
            shipment
        },
        ext: Vec::new(),
    };
    taker.lose_content(element);
    Ok(Message::Import(Box::new(message)))
}

fn item_count(taker: &mut Taker, e: &mut Element, shipment: &GoodsShipment) -> Result<u32, Error> {
    if let Some(stated) = taker.number(e, "GoodsItemQuantity")? {
        return Ok(stated);
    }
    taker.note("GoodsItemQuantity", "not stated; the items are counted");
    let count = taker.streamed.items + shipment.items.len();
    Ok(u32::try_from(count).unwrap_or(u32::MAX))
}

/// The countries of routing stand beside the shipment in the profile and inside it in the message.
fn routing(taker: &mut Taker, e: &mut Element, shipment: &mut GoodsShipment) -> Result<(), Error> {
    let countries = taker.one(e, "Consignment", |taker, e| {
        let countries = taker.all(e, "Itinerary", |taker, e| {
            taker.number(e, "SequenceNumeric")?;
            taker.text(e, "RoutingCountryCode")
        })?;
        Ok(Some(countries))
    })?;
    if let Some(countries) = countries.filter(|countries| !countries.is_empty()) {
        shipment.consignment.get_or_insert_default().routing_country_codes = countries;
    }
    Ok(())
}

fn shipment(taker: &mut Taker, e: &mut Element) -> Result<GoodsShipment, Error> {
    let shipment = taker.one(e, SHIPMENT, |taker, e| {
        Ok(Some(GoodsShipment {
            exit_date_time: taker.instant(e, "ExitDateTime")?,
            consignee: taker.one(e, "Consignee", party)?,
            importer: taker.one(e, "Importer", party)?,
            consignment: taker.one(e, "Consignment", consignment)?,
            destination: taker.one(e, "Destination", |taker, e| {
                Ok(taker.text(e, "CountryCode")?.map(|country_code| Country { country_code }))
            })?,
            export_country: taker.one(e, "ExportCountry", |taker, e| {
                Ok(taker.text(e, "ID")?.map(|id| CountryId { id }))
            })?,
            ucr: taker.one(e, "UCR", ucr)?,
            invoices: taker.all(e, "Invoice", |taker, e| {
                if !has(e, &["ID", "IssueDateTime"]) {
                    return Ok(None);
                }
                let (id, date) = (taker.text(e, "ID")?, taker.date(e, "IssueDateTime")?);
                Ok(id.zip(date).map(|(id, issue_date)| InvoiceReference { id, issue_date }))
            })?,
            trade_terms: taker.one(e, "TradeTerms", |taker, e| {
                if !has(e, &["ConditionCode"]) {
                    return Ok(None);
                }
                let (code, location_id) =
                    (taker.text(e, "ConditionCode")?, taker.text(e, "LocationID")?);
                Ok(code.map(|condition_code| TradeTerms { condition_code, location_id }))
            })?,
            previous_documents: taker.all(e, "PreviousDocument", previous_document)?,
            items: {
                // What was noted of the items that are read already has its place here.
                taker.notes.append(&mut taker.streamed.notes);
                taker.all(e, ITEM, item)?
            },
        }))
    })?;
    shipment.ok_or_else(|| taker.missing(e, "GoodsShipment"))
}

fn consignment(taker: &mut Taker, e: &mut Element) -> Part<Consignment> {
    Ok(Some(Consignment {
        container_code: taker.text(e, "ContainerCode")?,
        departure_date_time: taker.instant(e, "DepartureDateTime")?,
        departure_transport_means: taker.one(e, "DepartureTransportMeans", transport_means)?,
        arrival_transport_means: taker.one(e, "ArrivalTransportMeans", transport_means)?,
        loading_location: taker.one(e, "LoadingLocation", location)?,
        unloading_location: taker.one(e, "UnloadingLocation", location)?,
        routing_country_codes: Vec::new(),
        transport_equipment: taker.all(e, "TransportEquipment", |taker, e| {
            if !has(e, &["ID"]) {
                return Ok(None);
            }
            let seals = taker.all(e, "Seal", |taker, e| {
                if !has(e, &["ID"]) {
                    return Ok(None);
                }
                Ok(taker.text(e, "ID")?.map(|id| Seal { id }))
            })?;
            Ok(taker.text(e, "ID")?.map(|id| TransportEquipment { id, seals }))
        })?,
    }))
}

fn location(taker: &mut Taker, e: &mut Element) -> Part<Location> {
    Ok(Some(Location { id: taker.text(e, "ID")?, name: taker.text(e, "Name")? }))
}

fn transport_means(taker: &mut Taker, e: &mut Element) -> Part<TransportMeans> {
    Ok(Some(TransportMeans {
        mode_code: taker.text(e, "ModeCode")?,
        id: taker.text(e, "ID")?,
        registration_nationality_code: taker.text(e, "RegistrationNationalityCode")?,
    }))
}

fn party(taker: &mut Taker, e: &mut Element) -> Part<Party> {
    Ok(Some(Party {
        name: taker.text(e, "Name")?,
        id: taker.text(e, "ID")?,
        address: taker.one(e, "Address", |taker, e| {
            Ok(Some(Address {
                line: taker.text(e, "Line")?,
                city_name: taker.text(e, "CityName")?,
                country_code: taker.text(e, "CountryCode")?,
                postcode_id: taker.text(e, "PostcodeID")?,
            }))
        })?,
    }))
}

fn ucr(taker: &mut Taker, e: &mut Element) -> Part<Ucr> {
    Ok(Some(Ucr {
        id: taker.text(e, "ID")?,
        trader_assigned_reference_id: taker.text(e, "TraderAssignedReferenceID")?,
    }))
}

fn previous_document(taker: &mut Taker, e: &mut Element) -> Part<PreviousDocument> {
    if !has(e, &["TypeCode", "ID"]) {
        return Ok(None);
    }
    let (type_code, id) = (taker.text(e, "TypeCode")?, taker.text(e, "ID")?);
    let category_code = taker.text(e, "CategoryCode")?;
    let line_numeric = taker.number(e, "LineNumeric")?;
    Ok(type_code.zip(id).map(|(type_code, id)| PreviousDocument {
        category_code,
        type_code,
        id,
        line_numeric,
    }))
}

pub(super) fn item(taker: &mut Taker, e: &mut Element) -> Part<GoodsItem> {
    let sequence = taker.number(e, "SequenceNumeric")?;
    Ok(Some(GoodsItem {
        sequence: sequence.ok_or_else(|| taker.missing(e, "SequenceNumeric"))?,
        statistical_value: taker.amount(e, "StatisticalValueAmount")?,
        customs_value: taker.amount(e, "CustomsValueAmount")?,
        commodity: taker
            .one(e, "Commodity", commodity)?
            .ok_or_else(|| taker.missing(e, "Commodity"))?,
        origin: taker.one(e, "Origin", |taker, e| {
            if !has(e, &["CountryCode"]) {
                return Ok(None);
            }
            let (country, type_code) = (taker.text(e, "CountryCode")?, taker.text(e, "TypeCode")?);
            Ok(country.map(|country_code| Origin { country_code, type_code }))
        })?,
        packaging: taker.all(e, "Packaging", |taker, e| {
            if !has(e, &["QuantityQuantity", "TypeCode"]) {
                return Ok(None);
            }
            let marks_numbers = taker.text(e, "MarksNumbersID")?;
            let quantity = taker.number(e, "QuantityQuantity")?;
            let type_code = taker.text(e, "TypeCode")?;
            Ok(quantity.zip(type_code).map(|(quantity, type_code)| Packaging {
                quantity,
                type_code,
                marks_numbers,
            }))
        })?,
        additional_documents: taker.all(e, "AdditionalDocument", additional_document)?,
        previous_documents: taker.all(e, "PreviousDocument", previous_document)?,
        procedures: taker.all(e, "GovernmentProcedure", |taker, e| {
            if !has(e, &["CurrentCode"]) {
                return Ok(None);
            }
            let current = taker.text(e, "CurrentCode")?;
            let previous_code = taker.text(e, "PreviousCode")?;
            Ok(current.map(|current_code| GovernmentProcedure { current_code, previous_code }))
        })?,
        ucr: taker.one(e, "UCR", ucr)?,
        valuation: taker.one(e, "CustomsValuation", valuation)?,
    }))
}

fn commodity(taker: &mut Taker, e: &mut Element) -> Part<Commodity> {
    Ok(Some(Commodity {
        description: taker.required_text(e, "Description")?,
        classifications: taker.all(e, "Classification", classification)?,
        measure: taker.one(e, "GoodsMeasure", |taker, e| {
            Ok(Some(GoodsMeasure {
                gross_mass: taker.quantity(e, "GrossMassMeasure", MASS_UNIT)?,
                net_mass: taker.quantity(e, "NetNetWeightMeasure", MASS_UNIT)?,
                tariff_quantity: taker.quantity(e, "TariffQuantity", None)?,
            }))
        })?,
        invoice_line: taker.one(e, "InvoiceLine", |taker, e| {
            let charge = taker.amount(e, "ItemChargeAmount")?;
            Ok(charge.map(|item_charge| InvoiceLine { item_charge }))
        })?,
        duty_tax_fees: taker.all(e, "DutyTaxFee", duty_tax_fee)?,
    }))
}

/// A code of a nomenclature that the message does not know stays behind whole.
fn classification(taker: &mut Taker, e: &mut Element) -> Part<Classification> {
    if !has(e, &["ID"]) {
        return Ok(None);
    }
    let name = e.children.iter().find(|child| child.name == "IdentificationTypeCode");
    let kind = match name.map(|child| child.text.trim()) {
        Some("HS") => ClassificationKind::HarmonizedSystem,
        Some("PCT") => ClassificationKind::PakistanTariff,
        Some("XIFMN") => ClassificationKind::AzerbaijanNomenclature,
        Some("TSP") => ClassificationKind::OtherNational,
        _ => return Ok(None),
    };
    taker.text(e, "IdentificationTypeCode")?;
    let mut edition = None;
    let id = taker.one(e, "ID", |_, child| {
        let stated = attribute(child, "schemeVersionID");
        edition = stated.as_ref().and_then(|stated| stated.parse().ok());
        if let Some(stated) = stated.filter(|_| edition.is_none()) {
            child.attributes.push(("schemeVersionID".to_owned(), stated));
        }
        Ok(Some(std::mem::take(&mut child.text).trim().to_owned()))
    })?;
    Ok(id.map(|id| Classification { id, kind, edition }))
}

pub(super) fn duty_tax_fee(taker: &mut Taker, e: &mut Element) -> Part<DutyTaxFee> {
    if !has(e, &["TypeCode"]) {
        return Ok(None);
    }
    Ok(Some(DutyTaxFee {
        type_code: taker.required_text(e, "TypeCode")?,
        duty_regime_code: taker.text(e, "DutyRegimeCode")?,
        rate_percent: taker.decimal(e, "TaxRateNumeric")?,
        ad_valorem_base: taker.amount(e, "AdValoremTaxBaseAmount")?,
        specific_base: taker.quantity(e, "SpecificTaxBaseQuantity", None)?,
        deduct_amount: taker.amount(e, "DeductAmount")?,
        quota_order_id: taker.text(e, "QuotaOrderID")?,
        payment: taker.one(e, "Payment", |taker, e| {
            let assessed = taker.amount(e, "TaxAssessedAmount")?;
            let payable = taker.amount(e, "PaymentAmount")?;
            let is_stated = assessed.is_some() || payable.is_some();
            Ok(is_stated.then_some(Payment { assessed, payable }))
        })?,
    }))
}

pub(super) fn additional_document(taker: &mut Taker, e: &mut Element) -> Part<AdditionalDocument> {
    if !has(e, &["TypeCode", "ID"]) {
        return Ok(None);
    }
    let (mut type_code, id) = (taker.text(e, "TypeCode")?, taker.text(e, "ID")?);
    let category_code = taker.text(e, "CategoryCode")?;
    if let Some(code) = type_code.as_mut().filter(|code| *code != CERTIFICATE_TYPE_CODE)
        && category_code.as_deref() == Some(PROOF_OF_ORIGIN)
    {
        let text =
            format!("`{PROOF_OF_ORIGIN}{code}` is a national code for {CERTIFICATE_TYPE_CODE}");
        taker.note("GoodsShipment/GovernmentAgencyGoodsItem/AdditionalDocument/TypeCode", &text);
        CERTIFICATE_TYPE_CODE.clone_into(code);
    }
    let effective_date = taker.date(e, "EffectiveDateTime")?;
    let line_numeric = taker.number(e, "LineNumeric")?;
    let lpco_exemption_code = taker.text(e, "LPCOExemptionCode")?;
    let write_off = taker.one(e, "WriteOff", |taker, e| {
        Ok(Some(WriteOff {
            quantity: taker.quantity(e, "QuantityQuantity", None)?,
            amount: taker.amount(e, "AmountAmount")?,
        }))
    })?;
    Ok(type_code.zip(id).map(|(type_code, id)| AdditionalDocument {
        category_code,
        type_code,
        id,
        effective_date,
        line_numeric,
        lpco_exemption_code,
        write_off,
    }))
}

fn valuation(taker: &mut Taker, e: &mut Element) -> Part<CustomsValuation> {
    Ok(Some(CustomsValuation {
        method_code: taker.text(e, "MethodCode")?,
        freight: taker.amount(e, "FreightChargeAmount")?,
        charges: taker.all(e, "ChargeDeduction", |taker, e| {
            if !has(e, &["ChargesTypeCode"]) {
                return Ok(None);
            }
            let Some(amount) = taker.amount(e, "OtherChargeDeductionAmount")? else {
                return Ok(None);
            };
            let code = taker.text(e, "ChargesTypeCode")?;
            Ok(code.map(|type_code| ChargeDeduction { type_code, amount }))
        })?,
    }))
}
