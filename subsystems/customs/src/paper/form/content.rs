//! What stands in each box, as lines of text that the typeface can draw.

use std::collections::BTreeSet;

use karvan_types::Date;

use super::text::{Types, apart};
use super::{Form, labels};
use crate::matching::local_date;
use crate::messages::{
    CertificateItem, CertificateOfOrigin, ClassificationKind, Consignment, Location, Party,
    TransportMeans,
};
use crate::words::Language;

/// The columns of the table of goods.
pub(super) const COLUMNS: usize = 5;

/// One row of the table: lines for each column, not yet broken.
pub(super) type Row = [Vec<String>; COLUMNS];

/// A certificate as the texts of its form.
pub(super) struct Content {
    pub(super) number: String,
    pub(super) subtitle: String,
    pub(super) form: String,
    pub(super) digest: String,
    pub(super) exporter: Vec<String>,
    pub(super) consignee: Vec<String>,
    pub(super) producer: Vec<String>,
    pub(super) transport: Vec<String>,
    pub(super) invoices: Vec<String>,
    pub(super) remarks: Vec<String>,
    pub(super) issuer: Vec<String>,
    pub(super) items: Vec<Row>,
    pub(super) sample: bool,
    /// The language that stands beside English.
    pub(super) beside: Language,
    pub(super) missing: BTreeSet<char>,
}

impl Content {
    pub(super) fn new(form: &Form<'_>, types: &Types) -> Self {
        let certificate = form.certificate;
        let header = &certificate.header;
        let issued = local_date(header.issue_date_time, form.issuer.instance());
        let beside = form.beside;
        let mut missing = BTreeSet::new();
        let mut clean = |text: &str| types.clean(text, &mut missing);
        let mut all = |lines: Vec<String>| lines.iter().map(|l| clean(l)).collect::<Vec<_>>();
        let exporter = all(party(&certificate.exporter));
        let consignee = all(party(&certificate.consignee));
        let producer = certificate.producer.as_ref();
        let producer = all(producer.map_or_else(|| vec![labels::SAME.both(beside)], party));
        let transport = all(transport(certificate, beside));
        let invoices = certificate.invoices.iter();
        let invoices = all(invoices.map(|i| format!("{}, {}", i.id, i.issue_date)).collect());
        let remarks = all(remarks(certificate, beside));
        let issuer = all(issuer(form, issued));
        let items = certificate.items.iter().map(|item| row(item, beside).map(&mut all)).collect();
        let number = clean(&header.id);
        let subtitle = clean(&labels::PREFERENTIAL.with(beside, &header.agreement_id));
        let (label, version) = (labels::FORM, labels::VERSION.both(beside));
        let code = label.with(beside, &certificate.form_code);
        let form_line = clean(&format!("{code}, {version} {}", header.version_id));
        Self {
            number,
            subtitle,
            form: form_line,
            digest: form.digest.to_string(),
            exporter,
            consignee,
            producer,
            transport,
            invoices,
            remarks,
            issuer,
            items,
            sample: form.sample,
            beside,
            missing,
        }
    }
}

fn party(party: &Party) -> Vec<String> {
    let mut lines: Vec<String> = party.name.iter().cloned().collect();
    lines.extend(party.id.iter().map(|id| format!("ID {id}")));
    if let Some(address) = &party.address {
        lines.extend(address.line.clone());
        let parts = [&address.postcode_id, &address.city_name, &address.country_code];
        let place: Vec<String> = parts.into_iter().flatten().map(|part| apart(part)).collect();
        lines.push(place.join(" "));
    }
    lines
}

fn location(location: &Location) -> Option<String> {
    match (&location.name, &location.id) {
        (Some(name), Some(id)) => Some(format!("{} ({id})", apart(name))),
        (one, other) => one.clone().or_else(|| other.clone()),
    }
}

fn means(means: &TransportMeans) -> Option<String> {
    let parts = [&means.id, &means.registration_nationality_code];
    let parts: Vec<&str> = parts.into_iter().flatten().map(String::as_str).collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn transport(certificate: &CertificateOfOrigin, beside: Language) -> Vec<String> {
    let (from, to) = (&certificate.export_country.id, &certificate.destination.country_code);
    let mut lines = Vec::new();
    let Consignment {
        departure_date_time,
        departure_transport_means,
        arrival_transport_means,
        loading_location,
        unloading_location,
        routing_country_codes,
        transport_equipment,
        ..
    } = certificate.consignment.clone().unwrap_or_default();
    if let Some(at) = departure_date_time {
        lines.push(labels::DEPARTURE.with(beside, &at.utc_date().to_string()));
    }
    let border = certificate.border_transport_means.as_ref();
    let all = border.into_iter().chain(&departure_transport_means).chain(&arrival_transport_means);
    let mut vehicles: Vec<String> = all.filter_map(means).collect();
    vehicles.dedup();
    if !vehicles.is_empty() {
        lines.push(labels::VEHICLE.with(beside, &vehicles.join("; ")));
    }
    let loading = loading_location.as_ref().and_then(location);
    let unloading = unloading_location.as_ref().and_then(location);
    let mut stops = vec![loading.map_or_else(|| from.clone(), |l| format!("{from}, {l}"))];
    stops.extend(routing_country_codes.into_iter().filter(|code| code != from && code != to));
    stops.push(unloading.map_or_else(|| to.clone(), |l| format!("{to}, {l}")));
    lines.push(labels::ROUTE.with(beside, &stops.join(" → ")));
    for equipment in transport_equipment {
        let seals: Vec<&str> = equipment.seals.iter().map(|seal| seal.id.as_str()).collect();
        let container = labels::CONTAINER.both(beside);
        lines.push(format!("{container} {} {}", equipment.id, seals.join(" ")));
    }
    lines
}

fn remarks(certificate: &CertificateOfOrigin, beside: Language) -> Vec<String> {
    let mut lines: Vec<String> =
        certificate.flags.iter().map(|&flag| labels::flag(flag).both(beside)).collect();
    let replaces = certificate.replaces.iter();
    lines.extend(replaces.map(|number| labels::REPLACES.with(beside, number)));
    lines
}

fn issuer(form: &Form<'_>, issued: Date) -> Vec<String> {
    let certificate = form.certificate;
    let mut lines = party(&certificate.issuer);
    let place = certificate.issue_place.iter();
    lines.extend(place.map(|place| labels::PLACE.with(form.beside, place)));
    lines.push(labels::DATE.with(form.beside, &issued.to_string()));
    lines.push(labels::UNTIL.with(form.beside, &certificate.valid_until.to_string()));
    lines.push(labels::SIGNED.with(form.beside, &form.issuer.to_string()));
    lines
}

fn row(item: &CertificateItem, beside: Language) -> Row {
    let packages = item.packaging.iter().map(|packaging| {
        let marks = packaging.marks_numbers.as_deref().unwrap_or_default();
        format!("{} {} {}", packaging.quantity, packaging.type_code, apart(marks))
    });
    let codes = item.classifications.iter().map(|code| {
        let kind = match code.kind {
            ClassificationKind::HarmonizedSystem => "HS",
            ClassificationKind::PakistanTariff => "PCT",
            ClassificationKind::AzerbaijanNomenclature => "XİF MN",
            ClassificationKind::OtherNational => "TSP",
        };
        let edition = code.edition.map(|year| format!(" ({year})")).unwrap_or_default();
        format!("{kind} {}{edition}", code.id)
    });
    let codes: Vec<String> = codes.collect();
    let origin = labels::ORIGIN.with(beside, &item.origin.country_code);
    let (code, about) = labels::criterion(item.origin_criterion);
    let mut criterion = vec![code.to_owned(), about.en.to_owned()];
    criterion.extend(about.second(beside).map(str::to_owned));
    criterion.extend(item.rvc_percent.map(|percent| format!("RVC {percent} %")));
    let foreign = item.non_originating_value.iter();
    criterion.extend(foreign.map(|value| format!("VNM {value}")));
    let mut quantity = vec![item.quantity.to_string()];
    let (net, gross) = (labels::NET.both(beside), labels::GROSS.both(beside));
    quantity.extend(item.net_mass.iter().map(|mass| format!("{mass} {net}")));
    quantity.extend(item.gross_mass.iter().map(|mass| format!("{mass} {gross}")));
    quantity.extend(item.fob_value.iter().map(|value| format!("FOB {value}")));
    [
        vec![item.sequence.to_string()],
        packages.collect(),
        vec![item.description.clone(), codes.join(", "), origin],
        criterion,
        quantity,
    ]
}
