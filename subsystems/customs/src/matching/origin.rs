//! Looks at what the papers say about origin and route, by the agreement's rules of origin.
//!
//! The certificate's criterion and value content are held against the rule for its code; the
//! dates, the route and the documents of the route against the conditions of a claim. Every finding
//! quotes the rule, with its status and source, in `basis`.
//!
//! A certificate names no materials, so nothing here shows that goods originate; it shows that a
//! statement does not fit, or that something must be asked. How heavy that is stands in the data.
//!
//! Not here: the rules and their evaluation (`crate::origin`), parties, goods and values.

use std::collections::{BTreeMap, BTreeSet};

use karvan_types::{Date, Decimal, Timestamp};

use super::{Case, Findings, Papers, Rule, certificate, local_date};
use crate::messages::{
    CertificateFlag, CertificateItem, CertificateOfOrigin, ClassificationKind, GoodsShipment,
    OriginCriterion, PreviousDocument, TransportEquipment, TransportEvent,
};
use crate::origin::{self, Product, RuleSet, Step, Verdict};
use crate::risk::gather::plain_number;

/// Documents that prove a route through other countries: UN/EDIFACT 1001 code, and the name that
/// rule sets give it.
const PROOFS: [(&str, &str); 5] = [
    ("761", "through-bill-of-lading"),
    ("820", "transit-declaration"),
    ("821", "transit-declaration"),
    ("822", "transit-declaration"),
    ("952", "tir-carnet"),
];
/// Documents of the carriage, of which a consignment has one all the way: bill of lading, road
/// note, air waybill, TIR carnet.
const CARRIAGE: [&str; 4] = ["705", "730", "740", "952"];
/// The previous procedure (`PreviousCode` of `GovernmentProcedure`) of goods from a free zone.
const FREE_ZONE: &str = "78";

/// Looks at criterion, dates of the agreement, route and stay.
pub(super) fn look(case: &Case<'_>, findings: &mut Findings<'_>) {
    look_at_route_papers(case, findings);
    look_at_stay(case, findings);
    let Some(set) = origin::built_in().filter(|set| set.id == id(&case.rules.agreement)) else {
        return;
    };
    let Some(content) = case.certificate.and_then(|certificate| certificate.content()) else {
        return;
    };
    if let Some(item) = content.item(case.quote.item) {
        // The rules are of one edition; a code of another one is read as the claim has it.
        let is_other = item.classifications.iter().any(|code| {
            code.kind == ClassificationKind::HarmonizedSystem
                && code.edition.is_some_and(|edition| edition != set.hs_edition)
        });
        let code = if is_other { case.item.commodity.hs6() } else { item.hs6() };
        look_at_statement(set, code.unwrap_or_default(), item, findings);
        look_at_value_content(item, findings);
    }
    look_at_conditions(case, set, content, findings);
}

/// Returns what is wrong with the date that a claim quotes of a certificate that is not here: the
/// rule, the day against which it is held, and why.
pub(super) fn of_quoted_date(case: &Case<'_>, date: Date) -> Vec<(Rule, Date, String)> {
    let mut found = Vec::new();
    let Some(set) = origin::built_in().filter(|set| set.id == id(&case.rules.agreement)) else {
        return found;
    };
    let why = |basis: &origin::Basis| format!("{}, {}", basis.status.name(), basis.source);
    if let Some(period) = set.parameters.in_force.as_ref().filter(|period| date < period.from) {
        found.push((Rule::QuotedTooEarly, period.from, why(&period.basis)));
    }
    if let Some((months, basis)) = &set.parameters.validity_months {
        let last = origin::plus_months(date, *months);
        if last < case.filed {
            found.push((Rule::CertificateExpired, last, why(basis)));
        }
    }
    found
}

/// Returns the id that the rule set of an agreement has.
fn id(agreement: &str) -> String {
    agreement.to_ascii_lowercase()
}

fn look_at_statement(
    set: &RuleSet,
    code: &str,
    item: &CertificateItem,
    findings: &mut Findings<'_>,
) {
    let (criterion, percent) = (item.origin_criterion, share(item).or(item.rvc_percent));
    let step = origin::statement(set, code, criterion, percent);
    let stated = match percent.filter(|_| criterion == OriginCriterion::RegionalValueContent) {
        Some(percent) => format!("{} {percent} %", name(criterion)),
        None => name(criterion).to_owned(),
    };
    let papers = || Papers::new().certificate(&stated).claim(code).basis(words(set, code, &step));
    match step.verdict {
        Verdict::NotMet => findings.add(Rule::OriginCriterion, papers()),
        Verdict::NeedsPerson if criterion == OriginCriterion::WhollyObtained => {
            findings.add(Rule::OriginImplausible, papers());
        }
        Verdict::NeedsPerson | Verdict::CannotSay => findings.add(Rule::OriginOpen, papers()),
        Verdict::Met | Verdict::NotChecked => {}
    }
}

const fn name(criterion: OriginCriterion) -> &'static str {
    match criterion {
        OriginCriterion::WhollyObtained => "WO",
        OriginCriterion::RegionalValueContent => "RVC",
        OriginCriterion::ChangeOfHeading => "CTH",
        OriginCriterion::ChangeOfSubheading => "CTSH",
        OriginCriterion::ProductSpecificRule => "PSR",
    }
}

/// Says why, with the rule for the code, its status and its source.
fn words(set: &RuleSet, code: &str, step: &Step) -> String {
    let reasons = step.steps.iter().map(|step| step.because.english());
    let mut text = reasons.collect::<Vec<_>>().join(" ");
    if text.is_empty() {
        text = step.because.english();
    }
    for entry in set.find(code).map(|found| found.entries).unwrap_or_default() {
        let (rule, basis) = (entry.rule.sentence(set).english(), &entry.basis);
        text = format!("{text} {}: {rule} ({}, {})", entry.id, basis.status.name(), basis.source);
    }
    text
}

/// Returns the value content that the certificate's own values make: the free on board value
/// without materials that do not originate, in percent of it (build-down).
fn share(item: &CertificateItem) -> Option<Decimal> {
    let (fob, foreign) = (item.fob_value.as_ref()?, item.non_originating_value.as_ref()?);
    if fob.currency != foreign.currency {
        return None;
    }
    let own = fob.value.checked_sub(foreign.value)?;
    own.checked_mul(Decimal::ONE_HUNDRED)?.checked_div(fob.value).map(|share| share.round_dp(2))
}

fn look_at_value_content(item: &CertificateItem, findings: &mut Findings<'_>) {
    let (Some(stated), Some(made)) = (item.rvc_percent, share(item)) else { return };
    let papers = || Papers::new().certificate(format!("{stated} %")).basis(format!("{made} %"));
    let off = stated.checked_sub(made).unwrap_or_default().abs();
    if off > findings.limit(Rule::ValueContent) {
        findings.add(Rule::ValueContent, papers());
    } else if !off.is_zero() {
        findings.add_tolerated(Rule::ValueContent, papers());
    }
}

fn look_at_conditions(
    case: &Case<'_>,
    set: &RuleSet,
    content: &CertificateOfOrigin,
    findings: &mut Findings<'_>,
) {
    let issued = local_date(content.header.issue_date_time, case.partner);
    let shipped = certificate::departure(case, content);
    let product = Product {
        produced_in: case.partner.as_str().to_owned(),
        destination: destination(case),
        transport: origin::Transport {
            transit: Some(transit(case)),
            proofs: Some(proofs(case)).filter(|proofs| !proofs.is_empty()),
            ..origin::Transport::default()
        },
        certificate: origin::Certificate {
            issued: Some(issued),
            shipped,
            presented: Some(case.filed),
            retrospective: Some(content.flags.contains(&CertificateFlag::Retrospective)),
            ..origin::Certificate::default()
        },
        ..Product::default()
    };
    let shipped = shipped.map(|day| day.to_string()).unwrap_or_default();
    for step in origin::conditions(set, &product).steps {
        let basis = match &step.basis {
            Some(basis) => {
                let (why, status) = (step.because.english(), basis.status.name());
                format!("{why} ({status}, {})", basis.source)
            }
            None => step.because.english(),
        };
        let papers = Papers::new().basis(basis);
        match (step.rule.key(), step.because.key(), step.verdict) {
            ("in-force", _, Verdict::NotMet) => {
                findings.add(Rule::AgreementInForce, papers.export(&shipped));
            }
            ("issue", "issue.too-late", Verdict::NotMet) => {
                let papers = papers.certificate(issued).export(&shipped);
                findings.add(Rule::CertificateTooLate, papers);
            }
            ("validity", "validity.expired", Verdict::NotMet)
                if content.valid_until >= case.filed =>
            {
                let papers = papers.certificate(content.valid_until).claim(case.filed);
                findings.add(Rule::CertificateValidity, papers);
            }
            ("direct", _, Verdict::NotMet | Verdict::CannotSay) => {
                look_at_route(set, &product, papers, findings);
            }
            _ => {}
        }
    }
}

/// A proof that the rule names is enough until somebody doubts it; without one it is asked for.
fn look_at_route(set: &RuleSet, product: &Product, papers: Papers, findings: &mut Findings<'_>) {
    let countries = product.transport.transit.iter().flatten().cloned().collect::<Vec<_>>();
    let shown = product.transport.proofs.as_deref().unwrap_or_default();
    let known = set.parameters.direct_consignment.as_ref().map(|rule| rule.proofs.as_slice());
    let is_proven = shown.iter().any(|proof| known.is_some_and(|known| known.contains(proof)));
    let papers = papers.export(countries.join(", ")).claim(if shown.is_empty() {
        "no proof".to_owned()
    } else {
        shown.join(", ")
    });
    if is_proven {
        findings.add_tolerated(Rule::DirectConsignment, papers);
    } else {
        findings.add(Rule::DirectConsignment, papers);
    }
}

fn destination(case: &Case<'_>) -> String {
    let stated =
        case.claim.shipment.destination.as_ref().map(|country| country.country_code.clone());
    stated.unwrap_or_else(|| if case.partner.as_str() == "AZ" { "PK" } else { "AZ" }.to_owned())
}

fn shipments<'a>(case: &Case<'a>) -> impl Iterator<Item = &'a GoodsShipment> {
    let export = case.export.and_then(|export| export.content());
    export.map(|export| &export.shipment).into_iter().chain([&case.claim.shipment])
}

/// Returns the countries through which the papers say that the goods went: stops of the route, and
/// ports of loading that lie in neither country.
fn transit(case: &Case<'_>) -> Vec<String> {
    let mut found = BTreeSet::new();
    let certified = case.certificate.and_then(|certificate| certificate.content());
    let of_certificate = certified.and_then(|content| content.consignment.as_ref());
    let consignments = shipments(case).filter_map(|shipment| shipment.consignment.as_ref());
    for consignment in consignments.chain(of_certificate) {
        found.extend(consignment.routing_country_codes.iter().cloned());
        let port = consignment.loading_location.as_ref().and_then(|place| place.id.as_deref());
        found.extend(port.and_then(|id| id.get(..2)).map(str::to_owned));
    }
    let reported = case.reports.iter().flat_map(|report| &report.route);
    let reported = reported.filter_map(|place| place.location.id.as_deref()?.get(..2));
    found.extend(reported.map(str::to_owned));
    let ends = [case.partner.as_str().to_owned(), destination(case)];
    found.into_iter().filter(|country| !ends.contains(country)).collect()
}

fn documents<'a>(case: &Case<'a>) -> impl Iterator<Item = (&'a str, &'a str)> {
    let claim = case.claim;
    let of_item = case.item.additional_documents.iter();
    let of_item = of_item.map(|document| (document.type_code.as_str(), document.id.as_str()));
    let before = claim.shipment.previous_documents.iter().chain(&case.item.previous_documents);
    let export = case.export.and_then(|export| export.content());
    let exported = export.into_iter().flat_map(|export| &export.shipment.previous_documents);
    of_item.chain(before.chain(exported).map(both))
}

fn both(document: &PreviousDocument) -> (&str, &str) {
    (document.type_code.as_str(), document.id.as_str())
}

fn proofs(case: &Case<'_>) -> Vec<String> {
    let named = documents(case).filter_map(|(code, _)| {
        PROOFS.iter().find(|(known, _)| *known == code).map(|(_, name)| (*name).to_owned())
    });
    named.collect::<BTreeSet<_>>().into_iter().collect()
}

/// Compares what travelled: the document of carriage, containers and seals of both declarations
/// and of the reports of transport; and whether the goods went elsewhere.
fn look_at_route_papers(case: &Case<'_>, findings: &mut Findings<'_>) {
    let Some(export) = case.export.and_then(|export| export.content()) else { return };
    look_at_diversion(case, findings);
    let carriage = [&export.shipment, &case.claim.shipment].map(|shipment| {
        let documents = shipment.previous_documents.iter().map(both);
        documents.filter(|(code, _)| CARRIAGE.contains(code)).map(shown).collect::<BTreeSet<_>>()
    });
    let [exported, claimed] = &carriage;
    if !exported.is_empty() && !claimed.is_empty() && exported.is_disjoint(claimed) {
        transhipped(carriage, findings);
    }
    for wants_seals in [false, true] {
        let mut known = equipment(of_shipment(&export.shipment), wants_seals);
        for report in case.reports {
            known.append(&mut equipment(&report.equipment, wants_seals));
        }
        let claimed = equipment(of_shipment(&case.claim.shipment), wants_seals);
        // A claim may be for some of the containers, but for no other ones.
        if !known.is_empty() && claimed.keys().any(|id| !known.contains_key(id)) {
            transhipped([known, claimed].map(|units| units.into_values().collect()), findings);
        }
    }
}

fn transhipped(sets: [BTreeSet<String>; 2], findings: &mut Findings<'_>) {
    let [export, claim] = sets.map(|set| set.into_iter().collect::<Vec<_>>().join(", "));
    findings.add(Rule::Transhipment, Papers::new().export(export).claim(claim));
}

/// The last word of the reports counts: goods may be diverted and arrive nevertheless.
fn look_at_diversion(case: &Case<'_>, findings: &mut Findings<'_>) {
    let Some(last) = case.reports.last() else { return };
    if last.event != TransportEvent::Diverted {
        return;
    }
    let day = local_date(last.event_at, case.partner);
    let places = last.route.iter().filter_map(|place| place.location.id.as_deref());
    let route = places.collect::<Vec<_>>().join(" - ");
    let remark = last.remark.as_deref().map(|remark| format!(" ({remark})")).unwrap_or_default();
    findings.add(Rule::Diverted, Papers::new().export(format!("{day}, {route}{remark}")));
}

fn shown((code, id): (&str, &str)) -> String {
    format!("{code} {id}")
}

fn of_shipment(shipment: &GoodsShipment) -> &[TransportEquipment] {
    let consignment = shipment.consignment.as_ref();
    consignment.map(|consignment| &*consignment.transport_equipment).unwrap_or_default()
}

/// Returns the containers or, where they are wanted, their seals as they are written, by their
/// numbers without spaces and dashes.
fn equipment(units: &[TransportEquipment], wants_seals: bool) -> BTreeMap<String, String> {
    let seals = units.iter().flat_map(|unit| unit.seals.iter().map(|seal| &seal.id));
    let all: Vec<&String> =
        if wants_seals { seals.collect() } else { units.iter().map(|unit| &unit.id).collect() };
    let named = all.into_iter().map(|id| (plain_number(id), id.clone()));
    named.filter(|(plain, _)| !plain.is_empty()).collect()
}

/// Looks how long the goods were on the way, and whether they come out of a free zone.
fn look_at_stay(case: &Case<'_>, findings: &mut Findings<'_>) {
    let is_from_zone = |procedure: &crate::messages::GovernmentProcedure| {
        procedure.previous_code.as_deref() == Some(FREE_ZONE)
    };
    if case.item.procedures.iter().any(is_from_zone) {
        findings.add(Rule::FreeZone, Papers::new().claim(FREE_ZONE));
    }
    let departed = shipments(case).find_map(departed_at);
    let Some(departed) = departed.map(|at| local_date(at, case.partner)) else { return };
    let days = days(departed, case.filed);
    if Decimal::from(days) > findings.limit(Rule::TransitStay) {
        let papers = Papers::new().export(departed).claim(days);
        findings.add(Rule::TransitStay, papers);
    }
}

fn departed_at(shipment: &GoodsShipment) -> Option<Timestamp> {
    let departure = shipment.consignment.as_ref().and_then(|c| c.departure_date_time);
    shipment.exit_date_time.or(departure)
}

/// Returns how many days lie between two days; zero when the second is earlier.
fn days(from: Date, to: Date) -> u32 {
    u32::try_from((to - from).get_days()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matching::{Rules, Severity};
    use crate::messages::Message;

    /// The shipped rules with another rule for polymers.
    fn set(rule: &str) -> RuleSet {
        let shipped = include_str!("../../data/origin/az-pk-pta.json");
        let mut value: serde_json::Value = serde_json::from_str(shipped).expect("JSON");
        let entries = value["entries"].as_array_mut().expect("entries");
        let polymers = entries.iter_mut().find(|entry| entry["id"] == "polymers");
        let rule = serde_json::from_str(rule).expect("a rule");
        *polymers.and_then(|entry| entry.get_mut("rule")).expect("a rule") = rule;
        RuleSet::parse("test.json", value.to_string().as_bytes()).expect("a rule set")
    }

    #[test]
    fn a_statement_fits_its_rule_or_says_which_it_breaks() {
        let example = include_bytes!("../../testdata/messages/COO.json");
        let Message::Certificate(content) = Message::parse("COO", example).expect("a certificate")
        else {
            panic!("a certificate");
        };
        let mut item = content.items.first().expect("an item").clone();
        let rules = Rules::shipped().expect("rules");
        let text = r#"{"text": "Produced from ethylene of the parties"}"#;
        let half = r#"{"max_share": {"percent": "50", "of": "ex_works"}}"#;
        let forty = r#"{"content": {"method": "build_down", "percent": "40", "of": "fob"}}"#;
        for (rule, criterion, percent, expected) in [
            (text, OriginCriterion::RegionalValueContent, Some(90), Some(Rule::OriginOpen)),
            (half, OriginCriterion::RegionalValueContent, None, Some(Rule::OriginOpen)),
            (forty, OriginCriterion::RegionalValueContent, Some(38), Some(Rule::OriginCriterion)),
            (forty, OriginCriterion::RegionalValueContent, Some(40), None),
            (forty, OriginCriterion::ChangeOfHeading, None, Some(Rule::OriginCriterion)),
            (forty, OriginCriterion::WhollyObtained, None, Some(Rule::OriginImplausible)),
            (forty, OriginCriterion::ProductSpecificRule, None, None),
        ] {
            item.origin_criterion = criterion;
            item.rvc_percent = percent.map(Decimal::from);
            (item.non_originating_value, item.fob_value) = (None, None);
            let mut findings = Findings::new(&rules, rules.in_force, Some("39"));
            look_at_statement(&set(rule), "390110", &item, &mut findings);
            let found = findings.finish();
            let first = found.first();
            assert_eq!(first.map(|found| found.rule), expected, "{rule} {criterion:?} {percent:?}");
            if let Some(first) = first {
                let basis = first.papers.basis.as_deref().unwrap_or_default();
                assert!(basis.contains("polymers") && basis.contains("assumed"), "{basis}");
                assert!(
                    first.severity >= Severity::Flag && first.text.contains(basis),
                    "{first:?}"
                );
            }
        }
    }

    #[test]
    fn the_value_content_is_computed_exactly_and_never_panics() {
        let example = include_bytes!("../../testdata/messages/COO.json");
        let Message::Certificate(content) = Message::parse("COO", example).expect("a certificate")
        else {
            panic!("a certificate");
        };
        let mut item = content.items.first().expect("an item").clone();
        let amount = |value: &str, currency: &str| {
            Some(karvan_types::Amount {
                value: value.parse().expect("a number"),
                currency: currency.to_owned(),
            })
        };
        for (fob, foreign, currency, expected) in [
            ("22000", "13640", "USD", Some("38.00")),
            ("3", "1", "USD", Some("66.67")),
            ("0", "0", "USD", None),
            ("5", "9", "USD", Some("-80.00")),
            ("5", "1", "EUR", None),
        ] {
            item.fob_value = amount(fob, "USD");
            item.non_originating_value = amount(foreign, currency);
            let expected: Option<Decimal> = expected.map(|text| text.parse().expect("a number"));
            assert_eq!(share(&item), expected, "{fob} {foreign} {currency}");
        }
    }
}
