//! Rules of transport reports.

use karvan_types::Timestamp;

use super::super::Problems;
use super::super::numbers::container;
use super::result::reference;
use super::{instant, sequence};
use crate::messages::{DocumentType, RoutePlace, TransportEvent, TransportReport};

/// Most export declarations in one report.
const EXPORTS_MAX: usize = 100;
/// Most places of a route.
const PLACES_MAX: usize = 50;
/// Most containers of one report.
const EQUIPMENT_MAX: usize = 500;
/// Most seals of one container.
const SEALS_MAX: usize = 20;

/// Checks a transport report.
pub(super) fn check(message: &TransportReport, now: Timestamp, problems: &mut Problems) {
    instant("eventDateTime", message.event_date_time, now, problems);
    let exports = &message.exports;
    if exports.is_empty() || exports.len() > EXPORTS_MAX {
        let remedy = format!("name 1 to {EXPORTS_MAX} export declarations that travel together");
        problems.refuse("exports", "ITEMS", remedy);
    }
    for (export, number) in exports.iter().zip(1..) {
        reference(&format!("exports[{number}]"), export, &[DocumentType::Export], problems);
    }
    if message.means.id.is_none() {
        let remedy = "the means of transport has no number; give plate, flight or vessel";
        problems.flag("BorderTransportMeans", "REQUIRED", remedy);
    }
    if message.event == TransportEvent::Diverted && message.remark.is_none() {
        let remedy = "goods were diverted; say where they go and why";
        problems.refuse("StatementDescription", "REASON", remedy);
    }
    route(&message.route, message, problems);
    equipment(message, problems);
}

fn route(places: &[RoutePlace], message: &TransportReport, problems: &mut Problems) {
    sequence("route", places.iter().map(|place| place.sequence), problems);
    if places.len() > PLACES_MAX {
        let remedy = format!("a route has at most {PLACES_MAX} places; leave out the lesser ones");
        problems.refuse("route", "ITEMS", remedy);
    }
    if places.len() == 1 {
        let remedy = "a route has two places or more, from loading to unloading";
        problems.refuse("route", "ROUTE", remedy);
    }
    let mut last: Option<Timestamp> = None;
    for (place, number) in places.iter().zip(1..) {
        let pointer = format!("route[{number}]");
        match place.location.id.as_deref() {
            Some(code) if is_locode(code) => {}
            Some(code) => {
                let shown: String = code.chars().take(20).collect();
                let remedy = format!("`{shown}` is no UN/LOCODE; write two letters and three more");
                problems.refuse(&format!("{pointer}/Location/ID"), "LOCODE", remedy);
            }
            None => {
                let remedy = "give the UN/LOCODE of the place, such as AZBAK";
                problems.refuse(&format!("{pointer}/Location/ID"), "REQUIRED", remedy);
            }
        }
        let arrival = place.arrival_date_time.or(place.expected_arrival);
        for at in [arrival, place.departure_date_time].into_iter().flatten() {
            if last.is_some_and(|last| at < last) {
                let remedy = "the times of the route do not follow each other; correct one";
                problems.flag(&pointer, "DATE", remedy);
            }
            last = Some(at);
        }
    }
    let arrived = places.last().is_some_and(|place| place.arrival_date_time.is_some());
    if message.event == TransportEvent::Arrived && !arrived {
        let remedy = "goods that arrived have an arrival at the last place; add it";
        problems.flag("route", "REQUIRED", remedy);
    }
}

/// Returns whether a text has the form of a UN/LOCODE (UN/ECE Recommendation 16): a country and
/// three letters or the digits 2 to 9.
pub(crate) fn is_locode(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() == 5
        && bytes.iter().take(2).all(u8::is_ascii_uppercase)
        && bytes.iter().skip(2).all(|b| b.is_ascii_uppercase() || matches!(b, b'2'..=b'9'))
}

fn equipment(message: &TransportReport, problems: &mut Problems) {
    if message.equipment.len() > EQUIPMENT_MAX {
        let remedy = format!("a report names at most {EQUIPMENT_MAX} containers; split it");
        problems.refuse("TransportEquipment", "ITEMS", remedy);
    }
    for (equipment, number) in message.equipment.iter().zip(1..) {
        let pointer = format!("TransportEquipment[{number}]");
        if !container(&equipment.id) {
            let shown: String = equipment.id.chars().take(20).collect();
            let remedy = format!("`{shown}` is not a container number of ISO 6346; check it");
            problems.flag(&format!("{pointer}/ID"), "ISO6346", remedy);
        }
        if equipment.seals.len() > SEALS_MAX {
            let remedy = format!("a container has at most {SEALS_MAX} seals; leave out old ones");
            problems.refuse(&format!("{pointer}/Seal"), "ITEMS", remedy);
        }
    }
}
