//! Gathers the facts of a consignment from the store.
//!
//! Every look is by an index and bounded; what is not known is left out.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use karvan_store::{Error, Range, Read};
use karvan_types::{Amount, Date, Decimal};

use super::facts::{Fact, Facts};
use super::profile::Profile;
use super::record::{ContainerUse, RELATED_MAX, Trace, of_consignee};
use super::tally::{self, Part};
use crate::certificate::{Certificate, standing_name};
use crate::codes::units;
use crate::export::{Export, quoted};
use crate::messages::{ExportDeclaration, Party, TransportEquipment};
use crate::mirror::{Flow, Line, flow, month_of, party_key};
use crate::validate::numbers::container;

/// The fact that compares the value per kg.
const UNIT_VALUE: &str = "unit-value.percent";
/// Most lines of one code from which a median is taken.
const MEDIAN_LINES_MAX: usize = 200;
/// Fewest lines that make a median.
const MEDIAN_LINES_MIN: usize = 5;

/// What another paper says about the transport: a transport notice or the import declaration.
#[derive(Clone, Debug, Default)]
pub(crate) struct Paper {
    /// Its name for people, such as `transport notice T-1`.
    pub(crate) name: String,
    /// Its containers and seals.
    pub(crate) equipment: Vec<TransportEquipment>,
    /// The countries of its route.
    pub(crate) route: Vec<String>,
    /// Whether it is a transport notice.
    pub(crate) is_notice: bool,
}

/// A consignment and what surrounds it.
pub(crate) struct Scene<'a> {
    pub(crate) profile: &'a Profile,
    pub(crate) export: &'a Export,
    pub(crate) content: &'a ExportDeclaration,
    /// The day on which the declaration first arrived.
    pub(crate) day: Date,
    pub(crate) papers: &'a [Paper],
    /// What was known before, when nothing but the import declaration is new: it changes no value
    /// of the export declaration, so the comparison of values stands.
    pub(crate) before: Option<&'a Facts>,
}

/// The facts, and what is stored beside them.
pub(crate) struct Gathered {
    pub(crate) facts: Facts,
    pub(crate) consignee: Option<String>,
    pub(crate) exporter: Option<String>,
    pub(crate) value: Option<Amount>,
    pub(crate) containers: BTreeSet<String>,
}

/// Gathers everything that rules may speak about.
pub(crate) fn gather(view: &dyn Read, scene: &Scene<'_>) -> Result<Gathered, Error> {
    let mut facts = Facts::default();
    let consignee = scene.content.shipment.consignee.as_ref();
    let value = declared(scene, &mut facts);
    let containers = transport(view, scene, &mut facts)?;
    certificates(view, scene, &mut facts)?;
    party(&mut facts, "exporter", Some(&scene.content.exporter));
    party(&mut facts, "consignee", consignee);
    let (exporter, consignee) = (party_key(&scene.content.exporter), consignee.and_then(party_key));
    let own: Option<Trace> = view.find(scene.export.id())?;
    if let Some(exporter) = &exporter {
        history((view, scene), own.as_ref(), &mut facts, (Part::Exporter, exporter))?;
    }
    if let Some(consignee) = &consignee {
        history((view, scene), own.as_ref(), &mut facts, (Part::Consignee, consignee))?;
        just_under(view, scene, &mut facts, (value.as_ref(), consignee))?;
    }
    denied(view, scene, &mut facts)?;
    match scene.before.and_then(|before| before.get(UNIT_VALUE)) {
        Some(Fact::Number(percent)) => facts.number(UNIT_VALUE, *percent),
        _ if scene.before.is_some() => {}
        _ => unit_value(view, scene, &mut facts)?,
    }
    Ok(Gathered { facts, consignee, exporter, value, containers })
}

/// What the declaration itself says.
fn declared(scene: &Scene<'_>, facts: &mut Facts) -> Option<Amount> {
    let content = scene.content;
    let shipment = &content.shipment;
    let items = &shipment.items;
    let codes = items.iter().flat_map(|item| &item.commodity.classifications);
    facts.texts("hs", codes.map(|code| code.id.as_str()));
    let origins = items.iter().filter_map(|item| item.origin.as_ref());
    facts.texts("origin", origins.map(|origin| origin.country_code.as_str()));
    if let Some(destination) = &shipment.destination {
        facts.texts("destination", [destination.country_code.as_str()]);
    }
    if let Some(terms) = &shipment.trade_terms {
        facts.texts("terms", [terms.condition_code.as_str()]);
    }
    let mode = content.border_transport_means.as_ref().and_then(|means| means.mode_code.as_deref());
    if let Some(mode) = mode {
        facts.texts("mode", [mode]);
    }
    facts.number("items", Decimal::from(items.len()));
    facts.number("versions", Decimal::from(scene.export.versions.len()));
    let gross = content.total_gross_mass.as_ref();
    if let Some(mass) = gross.and_then(|mass| units::convert(mass, "KGM").ok()) {
        facts.number("gross-mass", mass.quantity.value);
    }
    let values: Vec<&Amount> = items
        .iter()
        .filter_map(|item| {
            let line = item.commodity.invoice_line.as_ref().map(|line| &line.item_charge);
            item.statistical_value.as_ref().or(line)
        })
        .collect();
    facts.texts("currency", values.iter().map(|value| value.currency.as_str()));
    let first = *values.first()?;
    let in_one_currency = values.iter().all(|value| value.currency == first.currency);
    if !in_one_currency || values.len() != items.len() {
        return None;
    }
    let sum = values.iter().try_fold(Decimal::ZERO, |sum, value| sum.checked_add(value.value))?;
    facts.number("value", sum);
    Some(Amount { value: sum, currency: first.currency.clone() })
}

/// Returns the number of a container or seal in capitals, without spaces and dashes.
pub(crate) fn plain_number(number: &str) -> String {
    number.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_uppercase()
}

/// The seals of each container of one paper.
fn sealed(equipment: &[TransportEquipment]) -> BTreeMap<String, BTreeSet<String>> {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for one in equipment {
        let seals =
            one.seals.iter().map(|seal| plain_number(&seal.id)).filter(|seal| !seal.is_empty());
        found.entry(plain_number(&one.id)).or_default().extend(seals);
    }
    found
}

/// Containers, seals and route of all papers.
fn transport(
    view: &dyn Read,
    scene: &Scene<'_>,
    facts: &mut Facts,
) -> Result<BTreeSet<String>, Error> {
    let consignment = scene.content.shipment.consignment.as_ref();
    let equipment = consignment.map(|c| c.transport_equipment.as_slice()).unwrap_or_default();
    let routed = consignment.map(|c| c.routing_country_codes.clone()).unwrap_or_default();
    let notices = scene.papers.iter().filter(|paper| paper.is_notice).count();
    facts.number("transport.notices", Decimal::from(notices));
    let route = scene.papers.iter().flat_map(|paper| paper.route.iter().cloned());
    let route: Vec<String> = routed.into_iter().chain(route).collect();
    if !route.is_empty() {
        facts.texts("route", route);
    }
    let declared = sealed(equipment);
    let mut containers: BTreeSet<String> = declared.keys().cloned().collect();
    let mut differ = BTreeSet::new();
    let mut other_seals = BTreeSet::new();
    for paper in scene.papers.iter().filter(|paper| !paper.equipment.is_empty()) {
        let stated = sealed(&paper.equipment);
        containers.extend(stated.keys().cloned());
        if declared.is_empty() {
            continue;
        }
        let one_sided = |a: &BTreeMap<_, _>, b: &BTreeMap<String, BTreeSet<String>>| {
            b.keys().filter(|id| !a.contains_key(*id)).cloned().collect::<Vec<_>>()
        };
        differ.extend(one_sided(&declared, &stated));
        differ.extend(one_sided(&stated, &declared));
        for (id, seals) in &stated {
            // A paper without seals says nothing about them.
            let ours = declared.get(id).filter(|ours| !ours.is_empty() && !seals.is_empty());
            if let Some(ours) = ours.filter(|ours| *ours != seals) {
                let odd: Vec<_> = ours.symmetric_difference(seals).map(String::as_str).collect();
                other_seals.insert(format!("{} on {id} ({})", odd.join(" and "), paper.name));
            }
        }
    }
    facts.texts("containers.differ", differ);
    facts.texts("seals.differ", other_seals);
    facts.texts("containers.invalid", containers.iter().filter(|id| !container(id)).cloned());
    facts.texts("containers.parallel", parallel(view, scene, &containers)?);
    facts.texts("containers", containers.iter().cloned());
    Ok(containers)
}

/// Returns the containers that another consignment on its way uses as well.
fn parallel(
    view: &dyn Read,
    scene: &Scene<'_>,
    containers: &BTreeSet<String>,
) -> Result<Vec<String>, Error> {
    let own = scene.export.id();
    let window = scene.profile.windows.parallel_days;
    let mut found = Vec::new();
    for id in containers {
        for used in used_near(view, id, scene.day, window)? {
            let Some(other) = view.find::<Trace>(used.export.as_str())? else { continue };
            if used.export != own && !other.cancelled && other.arrived.is_none() {
                found.push(format!("{id} with {}", used.export));
            }
        }
    }
    Ok(found)
}

/// Returns the uses of a container within a window around a day.
pub(crate) fn used_near(
    view: &dyn Read,
    id: &str,
    day: Date,
    window: u16,
) -> Result<Vec<ContainerUse>, Error> {
    let (from, to) = (days_before(day, window), day.saturating_add(days(window)));
    let range = Range::of("by_container", vec![id.into()], RELATED_MAX);
    view.select(&range.from(from.to_string()).to(to.to_string()))
}

fn days(count: u16) -> Duration {
    Duration::from_secs(u64::from(count) * 86_400)
}

/// Returns the day so many days before another.
pub(crate) fn days_before(day: Date, count: u16) -> Date {
    day.saturating_sub(days(count))
}

fn certificates(view: &dyn Read, scene: &Scene<'_>, facts: &mut Facts) -> Result<(), Error> {
    let mut keys = BTreeMap::new();
    for (number, _) in quoted(scene.content) {
        keys.insert(number.key(scene.export.country), number.shown.clone());
    }
    let (mut missing, mut standing) = (Vec::new(), Vec::new());
    for (key, shown) in &keys {
        match view.find::<Certificate>(key.as_str())? {
            Some(certificate) => standing.push(standing_name(certificate.standing())),
            None => missing.push(shown.clone()),
        }
    }
    facts.number("certificates", Decimal::from(keys.len()));
    facts.texts("certificates.missing", missing);
    facts.texts("certificates.standing", standing);
    Ok(())
}

fn party(facts: &mut Facts, name: &str, party: Option<&Party>) {
    let Some(party) = party else { return };
    if let Some(id) = party.id.as_deref() {
        facts.texts(name, [id]);
    }
    if let Some(text) = party.name.as_deref() {
        facts.texts(&format!("{name}.name"), [text.to_uppercase()]);
    }
}

/// Facts of the earlier consignments of a party; `own` is what is stored of the one in hand.
fn history(
    (view, scene): (&dyn Read, &Scene<'_>),
    own: Option<&Trace>,
    facts: &mut Facts,
    (part, party): (Part, &str),
) -> Result<(), Error> {
    let since = days_before(scene.day, scene.profile.windows.history_days);
    let history = tally::history(view, (part, party), own, (since, scene.day))?;
    let (name, others) = (part.name(), history.others);
    let age = (scene.day - history.first).get_days();
    let recent = others.all.saturating_sub(others.cancelled).saturating_add(1);
    facts.number(&format!("{name}.age-days"), Decimal::from(age));
    facts.number(&format!("{name}.recent"), Decimal::from(recent));
    facts.number(&format!("{name}.findings"), Decimal::from(others.found));
    Ok(())
}

/// How many consignments for a consignee lie just under the limit. The others are looked at only
/// when this one does.
fn just_under(
    view: &dyn Read,
    scene: &Scene<'_>,
    facts: &mut Facts,
    (own, consignee): (Option<&Amount>, &str),
) -> Result<(), Error> {
    let (Some(limit), Some(own)) = (&scene.profile.limit, own) else { return Ok(()) };
    let is_under = |value: &Amount| limit.is_just_under(value.value, &value.currency);
    let mut count = 0;
    if is_under(own) {
        let id = scene.export.id();
        let since = days_before(scene.day, scene.profile.windows.history_days);
        let others: Vec<Trace> = view.select(&of_consignee(consignee, since))?;
        let others = others.iter().filter(|other| {
            other.export != id
                && other.day <= scene.day
                && !other.cancelled
                && other.value.as_ref().is_some_and(is_under)
        });
        count = 1 + others.count();
    }
    facts.number("limit.just-under", Decimal::from(count));
    Ok(())
}

fn denied(view: &dyn Read, scene: &Scene<'_>, facts: &mut Facts) -> Result<(), Error> {
    let consignee = scene.content.shipment.consignee.as_ref();
    let Some(id) = consignee.and_then(|party| party.id.as_deref()) else { return Ok(()) };
    facts.number("consignee.denied", Decimal::from(tally::denied(view, id)?));
    Ok(())
}

/// The lowest value per kg of an item, against the median of other declarations of its code.
fn unit_value(view: &dyn Read, scene: &Scene<'_>, facts: &mut Facts) -> Result<(), Error> {
    let lines = flow::of_document(view, Flow::Export, scene.export.country, &scene.export.id())?;
    let mut lowest: Option<Decimal> = None;
    for line in &lines {
        let (Some(own), Some(value)) = (line.unit_value(), &line.value) else { continue };
        let median = median(view, line, &value.currency, scene.day)?;
        let Some(percent) = median
            .and_then(|median| (own * Decimal::ONE_HUNDRED).checked_div(median))
            .map(|percent| crate::mirror::rounded(percent, 1))
        else {
            continue;
        };
        lowest = Some(lowest.map_or(percent, |lowest| lowest.min(percent)));
    }
    if let Some(lowest) = lowest {
        facts.number(UNIT_VALUE, lowest);
    }
    Ok(())
}

/// Returns the median value per kg of the other documents with the same code in the last year.
fn median(
    view: &dyn Read,
    line: &Line,
    currency: &str,
    day: Date,
) -> Result<Option<Decimal>, Error> {
    let stream = Line::stream(line.flow, line.nation);
    let range =
        Range::of("by_code", vec![stream.into(), line.hs6.as_str().into()], MEDIAN_LINES_MAX);
    let others: Vec<Line> = view.select(&range.from(month_of(days_before(day, 365))).reversed())?;
    let others = others.iter().filter(|other| other.document != line.document && !other.elsewhere);
    let same = others.filter(|other| other.value.as_ref().is_some_and(|v| v.currency == currency));
    Ok(crate::mirror::median(same.filter_map(Line::unit_value).collect(), MEDIAN_LINES_MIN))
}
