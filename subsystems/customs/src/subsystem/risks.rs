//! Risk at a running node: scores that follow the documents, findings, profiles and hit rates.
//!
//! Only consignments that come from the partner are scored, and only for the officers of this
//! side: nothing of it is sent. A score is made when the export declaration, a certificate that it
//! quotes, a transport notice or the import declaration arrives or changes, and again when another
//! consignment turns up with the same container.
//!
//! Not here: the draw (`draws`), rules and facts (`crate::risk`).

pub(super) mod draws;
pub(super) mod profiles;

use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};

use karvan_store::{Range, Read, Record as _};
use karvan_subsystem::{Caller, Context, Rejection};
use karvan_types::{Date, ErrorKind, Instance, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{refuse, with_problems};
use super::apply::export_subject;
use super::decide::required_text;
use super::operate::{must_act_for, read, signed_by};
use super::show::json_of;
use super::{Customs, mirrors};
use crate::claim::Claim;
use crate::export::{CANDIDATES_MAX, Export, Link, export_key, ucr_of};
use crate::journal::{TaskKind, note, open_task};
use crate::matching::local_date;
use crate::messages::TransportReport;
use crate::mirror::{Flow, flow};
use crate::risk::gather::{Gathered, Paper, Scene, gather, used_near};
use crate::risk::profile::{Lane, Problem};
use crate::risk::record::{
    ContainerUse, FINDINGS_MAX, Finding, FindingCode, Notice, ProfileVersion, RiskRecord,
    ScoreRecord, Trace,
};
use crate::risk::{Profile, evaluate, stats, tally};

/// Most consignments listed at once.
const LISTED_MAX: usize = 1000;
/// Listed when nothing is said.
const LISTED: usize = 100;
/// Most consignments that statistics count.
const COUNTED_MAX: usize = 20_000;
/// Most scores of one consignment that are shown.
const HISTORY_SHOWN_MAX: usize = 200;
/// Most transport reports of one consignment that are looked at, newest first.
const PAPERS_MAX: usize = 50;
/// Most other consignments that are scored anew because of one.
const RIPPLE_MAX: usize = 20;

/// The profile in force, once it is read.
#[derive(Debug, Default)]
pub(super) struct Shelf(Mutex<Option<(u64, Arc<Profile>)>>);

impl Customs {
    /// Returns the profile in force: the last one imported, or the one of the program.
    fn profile(&self, view: &dyn Read) -> Result<Option<Arc<Profile>>, Rejection> {
        let newest: Option<ProfileVersion> = view.select(&Range::all(1).reversed())?.pop();
        let number = newest.as_ref().map_or(0, |newest| newest.number);
        let mut shelf = self.profiles.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, profile)) = shelf.as_ref()
            && *known == number
        {
            return Ok(Some(Arc::clone(profile)));
        }
        let shipped = Profile::shipped(self.config.nation().as_str());
        let Some(text) = newest.as_ref().map(|newest| newest.text.as_str()).or(shipped) else {
            return Ok(None);
        };
        let profile = Arc::new(Profile::parse(text).map_err(|problems| refused(&problems))?);
        *shelf = Some((number, Arc::clone(&profile)));
        Ok(Some(profile))
    }
}

fn refused(problems: &[Problem]) -> Rejection {
    let first = problems.first().map(ToString::to_string).unwrap_or_default();
    let text = format!("the profile has {} problems, the first: {first}", problems.len());
    let refusal = refuse(ErrorKind::Invalid, "risk-profile", text);
    with_problems(refusal, "risk-profile", problems)
}

/// Follows an export declaration: its lines of trade, and its score when it comes to this side.
pub(super) fn on_export(
    customs: &Customs,
    cx: &mut Context<'_>,
    export: &Export,
    because: &str,
) -> Result<(), Rejection> {
    flow::write_export(cx.tx, export)?;
    mirrors::arm(customs, cx)?;
    score(customs, cx, export, because, Extent::Neighbours)
}

/// Scores the consignments that quote a certificate anew.
pub(super) fn on_certificate(
    customs: &Customs,
    cx: &mut Context<'_>,
    certificate: &str,
    because: &str,
) -> Result<(), Rejection> {
    for link in cx.tx.select::<Link>(&Link::range(certificate))? {
        if let Some(export) = cx.tx.find::<Export>(link.export)? {
            score(customs, cx, &export, because, Extent::Whole)?;
        }
    }
    Ok(())
}

/// Follows an import declaration: its lines of trade, and the consignments that it brings.
/// `exports` are stored declarations that need not be read again.
pub(super) fn on_claim(
    customs: &Customs,
    cx: &mut Context<'_>,
    claim: &Claim,
    exports: &[Export],
) -> Result<(), Rejection> {
    let (nation, partner) = (customs.config.nation(), customs.config.partner_nation());
    let lines = flow::write_claim(cx.tx, nation, partner, claim)?;
    mirrors::arm(customs, cx)?;
    let mut brought: Vec<String> = flow::counterparts(cx.tx, &lines, Flow::Export, partner)?
        .into_iter()
        .map(|line| line.document)
        .collect();
    brought.dedup();
    for key in brought {
        let export = match exports.iter().find(|export| export.id() == key) {
            Some(export) => Some(Cow::Borrowed(export)),
            None => cx.tx.find::<Export>(key)?.map(Cow::Owned),
        };
        if let Some(export) = export {
            let because = "the import declaration was filed";
            score(customs, cx, &export, because, Extent::Arrival(claim))?;
        }
    }
    Ok(())
}

/// Follows a transport report: containers, seals and route of the consignments on board.
pub(super) fn on_transport(
    customs: &Customs,
    cx: &mut Context<'_>,
    content: &TransportReport,
    country: Instance,
) -> Result<(), Rejection> {
    let places = content.route.iter().filter_map(|place| place.location.id.as_deref());
    let route: Vec<String> = places.filter_map(|id| id.get(..2)).map(str::to_owned).collect();
    for declared in &content.exports {
        let export = export_key(country, &declared.id);
        cx.tx.save(&Notice {
            export: export.clone(),
            report: content.header.id.clone(),
            equipment: content.equipment.clone(),
            route: route.clone(),
        })?;
        if let Some(export) = cx.tx.find::<Export>(export)? {
            score(customs, cx, &export, "a transport report arrived", Extent::Neighbours)?;
        }
    }
    Ok(())
}

/// Returns what transport reports and import declarations of a consignment say about its transport,
/// and when the first was filed. `filed` is a stored claim that need not be read again.
fn arrivals(
    customs: &Customs,
    view: &dyn Read,
    export: &Export,
    filed: Option<&Claim>,
) -> Result<(Vec<Paper>, Option<Timestamp>), Rejection> {
    let lines = flow::of_document(view, Flow::Export, export.country, &export.id())?;
    let nation = customs.config.nation();
    let mut claims: Vec<String> = flow::counterparts(view, &lines, Flow::Import, nation)?
        .into_iter()
        .map(|line| line.document)
        .collect();
    claims.dedup();
    let (mut papers, mut first) = (Vec::new(), None::<Timestamp>);
    let range = Range::of("by_export", vec![export.id().into()], PAPERS_MAX).reversed();
    for notice in view.select::<Notice>(&range)? {
        papers.push(Paper {
            name: format!("transport report {}", notice.report),
            equipment: notice.equipment,
            route: notice.route,
            is_notice: true,
        });
    }
    for key in claims {
        let claim = match filed.filter(|claim| claim.id() == key) {
            Some(claim) => Cow::Borrowed(claim),
            None => match view.find::<Claim>(key)? {
                Some(claim) => Cow::Owned(claim),
                None => continue,
            },
        };
        first = Some(first.map_or(claim.received_at, |first| first.min(claim.received_at)));
        let consignment = claim.content().and_then(|content| content.shipment.consignment.as_ref());
        papers.push(Paper {
            name: format!("import declaration {}", claim.number),
            equipment: consignment.map(|c| c.transport_equipment.clone()).unwrap_or_default(),
            route: consignment.map(|c| c.routing_country_codes.clone()).unwrap_or_default(),
            is_notice: false,
        });
    }
    Ok((papers, first))
}

/// How far a score goes.
#[derive(Clone, Copy)]
pub(super) enum Extent<'a> {
    /// An import declaration is all that is new, this one.
    Arrival(&'a Claim),
    /// Everything about the consignment is gathered anew.
    Whole,
    /// The same, and consignments that use its containers are scored as well.
    Neighbours,
}

/// Scores a consignment, keeps the score when it changed, and says so.
pub(super) fn score(
    customs: &Customs,
    cx: &mut Context<'_>,
    export: &Export,
    because: &str,
    extent: Extent<'_>,
) -> Result<(), Rejection> {
    let (Some(content), Some(first)) = (export.content(), export.versions.first()) else {
        return Ok(());
    };
    let nation = customs.config.nation();
    let Some(exchange) = first.exchange.filter(|_| export.country != nation) else {
        return Ok(());
    };
    let Some(profile) = customs.profile(cx.tx)? else { return Ok(()) };
    let key = export.id();
    let old: Option<RiskRecord> = cx.tx.find(key.as_str())?;
    let day = local_date(first.at, nation);
    let filed = match extent {
        Extent::Arrival(claim) => Some(claim),
        Extent::Whole | Extent::Neighbours => None,
    };
    let (papers, arrived) = arrivals(customs, cx.tx, export, filed)?;
    let before = old.as_ref().map(|old| &old.facts).filter(|_| filed.is_some());
    let scene = Scene { profile: &profile, export, content, day, papers: &papers, before };
    let gathered = gather(cx.tx, &scene)?;
    let scoring = evaluate(&profile, &gathered.facts, local_date(cx.now, nation));
    let (period, drawn) = match &old {
        Some(old) => (old.period.clone(), old.drawn),
        None => draws::draw(cx.tx, day, &key, &exchange)?,
    };
    let least = if drawn { profile.draw.lane } else { Lane::Green };
    let record = RiskRecord {
        export: key,
        ucr: ucr_of(content).map(str::to_owned),
        exchange,
        day,
        number: old.as_ref().map_or(0, |old| old.number),
        at: cx.now,
        because: because.to_owned(),
        lane: scoring.lane.max(least),
        scoring,
        facts: gathered.facts.clone(),
        period,
        drawn,
        findings: old.as_ref().map(|old| old.findings.clone()).unwrap_or_default(),
    };
    trace(cx, &record, &gathered, export.is_cancelled(), arrived)?;
    keep(cx, old.as_ref(), record)?;
    match extent {
        Extent::Neighbours => ripple(customs, cx, &gathered, day, &profile),
        Extent::Arrival(_) | Extent::Whole => Ok(()),
    }
}

/// Writes what later consignments are compared with.
fn trace(
    cx: &mut Context<'_>,
    record: &RiskRecord,
    gathered: &Gathered,
    cancelled: bool,
    arrived: Option<Timestamp>,
) -> Result<(), Rejection> {
    let (export, day) = (record.export.clone(), record.day);
    for container in &gathered.containers {
        let (container, export) = (container.clone(), export.clone());
        cx.tx.save(&ContainerUse { container, export, day })?;
    }
    let Gathered { consignee, exporter, value, .. } = gathered;
    let trace = Trace {
        export,
        day,
        consignee: consignee.clone(),
        exporter: exporter.clone(),
        value: value.clone(),
        cancelled,
        arrived,
        found: record.outcome(),
    };
    Ok(tally::store(cx.tx, &trace)?)
}

/// Stores a score; the history gets a line only when lane, points or rules changed.
fn keep(
    cx: &mut Context<'_>,
    old: Option<&RiskRecord>,
    mut record: RiskRecord,
) -> Result<(), Rejection> {
    let is_same = old.is_some_and(|old| {
        old.lane == record.lane
            && old.scoring.fired == record.scoring.fired
            && old.scoring.digest == record.scoring.digest
    });
    if !is_same {
        record.number += 1;
        let subject = export_subject(&record.export);
        let chosen = if record.drawn { ", drawn at random" } else { "" };
        let rules: Vec<_> = record.scoring.fired.iter().map(|fired| fired.rule.as_str()).collect();
        let rules = if rules.is_empty() { "no rule".to_owned() } else { rules.join(", ") };
        let (lane, points) = (record.lane, record.scoring.points);
        let text = format!(
            "risk scored because {}: {} lane, {points} points{chosen} ({rules})",
            record.because,
            lane.name()
        );
        note(cx.tx, cx.now, &subject, "risk", text)?;
        if lane == Lane::Red {
            let text = format!("red lane: examine the goods before release ({rules}{chosen})");
            open_task(cx.tx, cx.now, TaskKind::RedLane, &subject, text)?;
        }
        cx.tx.add(&ScoreRecord {
            export: record.export.clone(),
            number: record.number,
            at: record.at,
            because: record.because.clone(),
            lane,
            scoring: record.scoring.clone(),
        })?;
    }
    Ok(cx.tx.save(&record)?)
}

/// Scores the other consignments that use one of the containers.
fn ripple(
    customs: &Customs,
    cx: &mut Context<'_>,
    gathered: &Gathered,
    day: Date,
    profile: &Profile,
) -> Result<(), Rejection> {
    let mut others = Vec::new();
    for id in &gathered.containers {
        let used = used_near(cx.tx, id, day, profile.windows.parallel_days)?;
        others.extend(used.into_iter().map(|used| used.export));
    }
    others.sort();
    others.dedup();
    for key in others.into_iter().take(RIPPLE_MAX) {
        if let Some(export) = cx.tx.find::<Export>(key)? {
            score(customs, cx, &export, "another consignment uses its container", Extent::Whole)?;
        }
    }
    Ok(())
}

/// Exactly one of these is given.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asking {
    export: Option<String>,
    consignment: Option<String>,
}

/// Finds the export declaration of the partner that a number or consignment reference means.
fn find(
    customs: &Customs,
    view: &dyn Read,
    export: Option<&str>,
    ucr: Option<&str>,
) -> Result<Export, Rejection> {
    let partner = customs.config.partner_nation();
    let found = match (export, ucr) {
        (Some(number), None) => {
            let number = number.strip_prefix(&format!("{partner}:")).unwrap_or(number);
            view.find::<Export>(export_key(partner, number))?
        }
        (None, Some(ucr)) => {
            let range = Range::of("by_ucr", vec![ucr.into()], CANDIDATES_MAX);
            view.select::<Export>(&range)?.into_iter().rfind(|export| export.country == partner)
        }
        _ => {
            let text = "give exactly one of `export` and `consignment`";
            return Err(refuse(ErrorKind::Invalid, "bad-input", text));
        }
    };
    found.ok_or_else(|| {
        let text = "no consignment from the partner has this number; check it";
        refuse(ErrorKind::NotFound, "unknown-consignment", text)
    })
}

/// Shows the score of a consignment with its explanation and history.
pub(super) fn show(customs: &Customs, view: &dyn Read, input: Value) -> Result<Value, Rejection> {
    let input: Asking = read("risk", input)?;
    let export = find(customs, view, input.export.as_deref(), input.consignment.as_deref())?;
    shown(view, &export.id())?.ok_or_else(|| {
        let text = "this consignment was never scored; score it";
        refuse(ErrorKind::NotFound, "not-scored", text)
    })
}

/// Returns the score of a consignment as it is shown, if it has one.
pub(super) fn shown(view: &dyn Read, export: &str) -> Result<Option<Value>, Rejection> {
    let Some(record) = view.find::<RiskRecord>(export)? else { return Ok(None) };
    let history: Vec<ScoreRecord> = view.select(&ScoreRecord::of(export, HISTORY_SHOWN_MAX))?;
    let mut shown = json_of(&record);
    shown["about"] = record.lane.about().into();
    shown["history"] = json_of(&history);
    Ok(Some(shown))
}

/// Scores a consignment anew, such as after a change of the profile.
pub(super) fn rescore(
    customs: &Customs,
    cx: &mut Context<'_>,
    caller: &Caller,
    input: Value,
) -> Result<Value, Rejection> {
    must_act_for(caller, &customs.config.customs)?;
    let input: Asking = read("risk-score", input)?;
    let export = find(customs, cx.tx, input.export.as_deref(), input.consignment.as_deref())?;
    let because = format!("{} asked for it", caller.user);
    score(customs, cx, &export, &because, Extent::Whole)?;
    Ok(shown(cx.tx, &export.id())?.unwrap_or_default())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Listing {
    lane: Option<Lane>,
    from: Option<Date>,
    limit: Option<usize>,
}

/// Lists consignments by lane, newest first, and counts each lane.
pub(super) fn lanes(customs: &Customs, view: &dyn Read, input: Value) -> Result<Value, Rejection> {
    let input: Listing = read("risk-lanes", input)?;
    let limit = input.limit.unwrap_or(LISTED).min(LISTED_MAX);
    let mut rows = Vec::new();
    let mut counts = serde_json::Map::new();
    for lane in Lane::ALL.into_iter().rev() {
        let range = Range::of("by_lane", vec![lane.name().into()], limit).reversed();
        let range = match input.from {
            Some(from) => range.from(from.to_string()),
            None => range,
        };
        counts.insert(lane.name().to_owned(), view.count(RiskRecord::TABLE, &range)?.into());
        if input.lane.is_none_or(|wanted| wanted == lane) {
            for record in view.select::<RiskRecord>(&range)? {
                rows.push(summary(view, &record)?);
            }
        }
    }
    rows.truncate(limit);
    let profile = customs.profile(view)?.map(|profile| profile.version.clone());
    Ok(json!({ "profile": profile, "counts": counts, "limit": limit, "rows": rows }))
}

fn summary(view: &dyn Read, record: &RiskRecord) -> Result<Value, Rejection> {
    let trace: Option<Trace> = view.find(record.export.as_str())?;
    let rules: Vec<_> = record.scoring.fired.iter().map(|fired| fired.rule.as_str()).collect();
    Ok(json!({
        "export": record.export,
        "ucr": record.ucr,
        "day": record.day.to_string(),
        "lane": record.lane.name(),
        "points": record.scoring.points,
        "drawn": record.drawn,
        "rules": rules,
        "arrived": trace.as_ref().and_then(|trace| trace.arrived),
        "cancelled": trace.as_ref().is_some_and(|trace| trace.cancelled),
        "found": record.outcome(),
    }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Between {
    from: Option<Date>,
    until: Option<Date>,
}

/// Counts how often checks found something.
pub(super) fn statistics(view: &dyn Read, input: Value) -> Result<Value, Rejection> {
    let input: Between = read("risk-stats", input)?;
    let mut range = Range { index: Some("by_day"), ..Range::all(COUNTED_MAX) }.reversed();
    if let Some(from) = input.from {
        range = range.from(from.to_string());
    }
    if let Some(until) = input.until {
        range = range.to(until.to_string());
    }
    let records: Vec<RiskRecord> = view.select(&range)?;
    let all = view.count(RiskRecord::TABLE, &range)?;
    let mut shown = json_of(&stats::count(&records));
    shown["counted"] = records.len().into();
    shown["there"] = all.into();
    Ok(shown)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Found {
    export: Option<String>,
    consignment: Option<String>,
    code: FindingCode,
    text: String,
}

/// Records what a check of a consignment found.
pub(super) fn finding(
    customs: &Customs,
    cx: &mut Context<'_>,
    caller: &Caller,
    input: Value,
) -> Result<Value, Rejection> {
    must_act_for(caller, &customs.config.customs)?;
    let input: Found = read("finding", input)?;
    let export = find(customs, cx.tx, input.export.as_deref(), input.consignment.as_deref())?;
    let text = required_text(Some(&input.text), "what the check found")?;
    let Some(mut record) = cx.tx.find::<RiskRecord>(export.id())? else {
        let text = "this consignment was never scored; score it first";
        return Err(refuse(ErrorKind::NotFound, "not-scored", text));
    };
    if record.findings.len() >= FINDINGS_MAX {
        let text = format!("{FINDINGS_MAX} findings are recorded already; open a case instead");
        return Err(refuse(ErrorKind::Conflict, "findings-full", text));
    }
    let by = signed_by(caller);
    let words = format!("check recorded, {}: {text}", json_of(&input.code).as_str().unwrap_or(""));
    note(cx.tx, cx.now, &export_subject(&record.export), &by, words)?;
    record.findings.push(Finding { code: input.code, text, by, at: cx.now });
    cx.tx.save(&record)?;
    if let Some(mut trace) = cx.tx.find::<Trace>(record.export.as_str())? {
        trace.found = record.outcome();
        tally::store(cx.tx, &trace)?;
    }
    Ok(json!({ "export": record.export, "lane": record.lane, "findings": record.findings }))
}
