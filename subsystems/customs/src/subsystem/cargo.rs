//! Cargo reports of carriers (CUSCAR): filed as transport reports about the export declarations
//! that their consignments name.
//!
//! A consignment names its declarations by number, or else by its unique consignment reference, or
//! else by its transport document. About declarations of this side a report (TRN) goes to the
//! partner; about those of the partner it is kept here, and with it what follows from it for
//! claims, dates of rates and risk. That their goods arrived here goes to the partner as well. A
//! consignment that names nothing known makes a task, and the cargo report is kept: the moment such
//! a declaration comes, or such a number is assigned, it is matched.
//!
//! Invariants: a cargo report changes a declaration once, however often it comes; nothing that it
//! names is dropped.
//!
//! Not here: reading CUSCAR (`crate::edifact`), what a transport report does
//! (`super::transporting`).

use karvan_store::{Range, Read};
use karvan_subsystem::{Context, Rejection};
use karvan_types::{ErrorKind, Timestamp};
use serde_json::{Value, json};

use super::answer::{self, answer_header, next_reference, refuse};
use super::apply::{Effect, export_subject};
use super::operate::{self, invalid};
use super::receive::refusals;
use super::show::json_of;
use super::transporting::{self, Teller};
use super::{Customs, assigned, risks};
use crate::edifact::{CargoReport, TransportDocument};
use crate::export::{CANDIDATES_MAX, Export, export_key, transport_documents, ucr_of};
use crate::journal::{Closing, MessageRecord, TaskKind, close_tasks, note, open_task};
use crate::messages::{
    DocumentReference, FunctionCode, Header, Location, Message, Outcome, PreviousDocument,
    RoutePlace, TRANSPORT_TYPE_CODE, TransportEvent, TransportMeans, TransportReport, Ucr,
    Validation, ValidationError,
};
use crate::transport::{CARGO, Cargo, Named, Report, document_name};
use crate::validate::is_locode;

/// Most cargo reports that are kept for declarations to come.
const KEPT_MAX: u64 = 10_000;
/// Most consignments of one cargo report, and most declarations that they name.
const CONSIGNMENTS_MAX: usize = 100;
/// Longest reference of a message, in characters (D026, an..35).
const REFERENCE_CHARS_MAX: usize = 35;
/// Rule of a remark: what is named waits for a declaration.
const WAITS: &str = "WAITS";

/// A name by which a consignment says which declaration it is about.
enum Name {
    /// Number of the declaration, the sender's or one that customs assigned.
    Declaration(String),
    /// Unique consignment reference.
    Reference(String),
    Document(TransportDocument),
}

impl Name {
    /// Returns it as it is kept: the kind and the name.
    fn kept(&self) -> String {
        match self {
            Self::Declaration(number) => declaration_name(number),
            Self::Reference(reference) => reference_name(reference),
            Self::Document(document) => document_name(&document.id),
        }
    }

    /// Returns the keys of the declarations to which it leads.
    fn find(&self, customs: &Customs, view: &dyn Read) -> Result<Vec<Export>, Rejection> {
        let exports: Vec<Option<Export>> = match self {
            Self::Declaration(number) => {
                let nations = [customs.config.nation(), customs.config.partner_nation()];
                let keys = nations.map(|nation| export_key(nation, number));
                let found = keys.into_iter().map(|key| {
                    let key = assigned::export(view, key)?;
                    Ok::<_, Rejection>(view.find::<Export>(key)?)
                });
                // A number of this side goes before the same number of the other one.
                let found: Vec<_> = found.collect::<Result<_, _>>()?;
                found.into_iter().flatten().take(1).map(Some).collect()
            }
            Self::Reference(reference) => {
                let range = Range::of("by_ucr", vec![reference.as_str().into()], CANDIDATES_MAX);
                view.select::<Export>(&range)?.into_iter().map(Some).collect()
            }
            Self::Document(document) => {
                let keys = Named::keys(view, &document_name(&document.id), "export")?;
                let found = keys.into_iter().map(|key| Ok(view.find::<Export>(key)?));
                let found: Result<Vec<_>, Rejection> = found.collect();
                let states = |export: &Export| states(export, document);
                found?.into_iter().map(|export| export.filter(states)).collect()
            }
        };
        Ok(exports.into_iter().flatten().filter(|export| !export.is_cancelled()).collect())
    }
}

/// Whether the newest version of a declaration states a transport document.
fn states(export: &Export, document: &TransportDocument) -> bool {
    let stated = export.content().map(transport_documents).unwrap_or_default();
    stated.iter().any(|stated| {
        document_name(&stated.id) == document_name(&document.id)
            && document.type_code.as_ref().is_none_or(|code| *code == stated.type_code)
    })
}

fn declaration_name(number: &str) -> String {
    format!("declaration {}", number.trim().to_ascii_uppercase())
}

fn reference_name(reference: &str) -> String {
    format!("reference {}", reference.trim())
}

/// Returns for each declaration that is meant the names that may lead to it, the surest first.
fn names(report: &CargoReport) -> Vec<Vec<Name>> {
    type Parts<'a> = (&'a [String], Option<&'a Ucr>, Option<&'a TransportDocument>);
    let first: Parts<'_> =
        (&report.declarations, report.shipment.ucr.as_ref(), report.transport_document.as_ref());
    let further = report.further.iter().map(|consignment| {
        let (ucr, document) = (&consignment.ucr, &consignment.transport_document);
        (consignment.declarations.as_slice(), ucr.as_ref(), document.as_ref())
    });
    let mut all = Vec::new();
    for (declarations, ucr, document) in std::iter::once(first).chain(further) {
        if declarations.is_empty() {
            let reference = ucr.and_then(|ucr| ucr.id.clone()).map(Name::Reference);
            all.push(reference.into_iter().chain(document.cloned().map(Name::Document)).collect());
        }
        all.extend(declarations.iter().map(|number| vec![Name::Declaration(number.clone())]));
    }
    all
}

/// What filing a cargo report did.
pub(super) struct Filed {
    /// What it is about: the first declaration, or the report itself.
    pub(super) subject: String,
    /// Whether everything was here before.
    pub(super) is_duplicate: bool,
    /// What the carrier is told beside that the report was taken.
    pub(super) remarks: Vec<ValidationError>,
    /// The same for the person who handed it in.
    pub(super) told: Value,
}

/// Files a cargo report; `by` is who handed it in: member and person.
pub(super) fn file(
    customs: &Customs,
    cx: &mut Context<'_>,
    by: &str,
    report: &CargoReport,
) -> Result<Filed, Rejection> {
    let content = transport(customs, cx.now, report)?;
    let (mut exports, mut waits_for): (Vec<Export>, Vec<String>) = (Vec::new(), Vec::new());
    let names = names(report);
    for alternatives in &names {
        let mut found = Vec::new();
        for name in alternatives {
            if found.is_empty() {
                found = name.find(customs, cx.tx)?;
            }
        }
        if found.is_empty() {
            waits_for.extend(alternatives.iter().map(Name::kept));
            if alternatives.is_empty() {
                waits_for.push("a consignment that names nothing".to_owned());
            }
        }
        exports.extend(found);
    }
    exports.sort_by_key(Export::id);
    exports.dedup_by_key(|export| export.id());
    if names.len() > CONSIGNMENTS_MAX || exports.len() > CONSIGNMENTS_MAX {
        let text = format!(
            "the cargo report names more than {CONSIGNMENTS_MAX} consignments or declarations; \
             divide it"
        );
        return Err(refuse(ErrorKind::TooLarge, "cargo-too-large", text));
    }
    let keys: Vec<String> = exports.iter().map(Export::id).collect();
    let mut is_duplicate = true;
    for country in [customs.config.nation(), customs.config.partner_nation()] {
        let of_nation: Vec<_> = exports.iter().filter(|e| e.country == country).collect();
        let new = unreported(cx.tx, &content, &of_nation)?;
        if !new.is_empty() {
            let own = customs.config.nation();
            if country == own && transporting::has_arrived_in(&content, own) {
                let text = "goods that were declared for export here cannot have arrived in this \
                            country; give the place abroad where they are unloaded (LOC+11)";
                return Err(refuse(ErrorKind::Invalid, "cargo-no-route", text));
            }
            is_duplicate = false;
            let content = TransportReport { exports: new, ..content.clone() };
            tell(customs, cx, &Teller { country, by, exchange: None }, content)?;
        }
    }
    let was_kept = keep(cx, by, report, &waits_for)?;
    let subject = keys.first().map_or_else(|| cargo_subject(report), |key| export_subject(key));
    let remarks: Vec<_> = waits_for.iter().map(|name| remark(name)).collect();
    let is_duplicate = is_duplicate && (waits_for.is_empty() || was_kept);
    let told = json!({
        "document": "CARGO",
        "id": report.header.id,
        "version": report.header.version_id,
        "reference": report.header.functional_reference_id,
        "event": json_of(&content.event),
        "eventDateTime": content.event_date_time,
        "exports": keys,
        "waitsFor": waits_for,
        "subject": subject,
        "duplicate": is_duplicate,
    });
    Ok(Filed { subject, is_duplicate, remarks, told })
}

fn cargo_subject(report: &CargoReport) -> String {
    format!("cargo {}", report.header.id)
}

fn remark(name: &str) -> ValidationError {
    ValidationError {
        pointer: "declarations".to_owned(),
        rule: WAITS.to_owned(),
        remedy: format!(
            "no export declaration is here for {name}; the report is kept and matched when one \
             comes"
        ),
    }
}

/// Makes the transport report without the declarations: what happened is told by the times, since
/// a code of the document says what is reported and not what has happened.
pub(super) fn transport(
    customs: &Customs,
    now: Timestamp,
    report: &CargoReport,
) -> Result<TransportReport, Rejection> {
    let header = &report.header;
    if header.function_code != FunctionCode::Original {
        let text = "a cargo report is filed as an original (function 9); what is new comes as a \
                    later report with a number of its own";
        return Err(refuse(ErrorKind::Invalid, "cargo-function", text));
    }
    let consignment = report.shipment.consignment.clone().unwrap_or_default();
    let departure = consignment.departure_date_time;
    let (event, event_date_time) = match (report.arrival_date_time, departure) {
        (Some(arrival), _) => (TransportEvent::Arrived, arrival),
        (None, Some(departure)) => (TransportEvent::Departed, departure),
        (None, None) => {
            let text = "the cargo report says neither when the transport departed (DTM+136) nor \
                        when it arrived (DTM+178); add one";
            return Err(refuse(ErrorKind::Invalid, "cargo-no-event", text));
        }
    };
    let further = report.further.iter().map(|further| &further.transport_document);
    let documents = std::iter::once(&report.transport_document).chain(further).flatten();
    let documents = documents.filter_map(|document| {
        Some(PreviousDocument {
            category_code: None,
            type_code: document.type_code.clone()?,
            id: document.id.clone(),
            line_numeric: None,
        })
    });
    let route = route(
        report,
        consignment.loading_location.as_ref(),
        consignment.unloading_location.as_ref(),
    );
    if route.is_empty() {
        let text = "the cargo report does not say where the goods are loaded (LOC+9) and unloaded \
                    (LOC+11) by UN/LOCODE; add both";
        return Err(refuse(ErrorKind::Invalid, "cargo-no-route", text));
    }
    let unknown = TransportMeans { mode_code: None, id: None, registration_nationality_code: None };
    let content = TransportReport {
        header: Header {
            type_code: TRANSPORT_TYPE_CODE.to_owned(),
            version_id: 1,
            agreement_id: customs.config.agreement.clone(),
            sharing_level: customs.config.sharing_level,
            ..header.clone()
        },
        event,
        event_date_time,
        exports: Vec::new(),
        ucr: report.shipment.ucr.clone().filter(|_| report.further.is_empty()),
        transport_documents: documents.collect(),
        carrier: report.carrier.clone(),
        means: report.border_transport_means.clone().unwrap_or(unknown),
        route,
        equipment: consignment.transport_equipment,
        total_package_quantity: report.total_package_quantity,
        total_gross_mass: None,
        remark: None,
    };
    let errors = refusals(&Message::Transport(Box::new(content.clone())), now);
    // Which declarations are meant is looked for later; what the level does not release is left
    // out when the report is sent.
    let is_ours = |e: &ValidationError| e.pointer != "exports" && e.rule != "SHARING";
    let errors: Vec<_> = errors.into_iter().filter(is_ours).collect();
    if errors.is_empty() { Ok(content) } else { Err(invalid(errors)) }
}

/// Makes the answer to a cargo report that was taken, for its carrier.
pub(super) fn answer(
    cx: &mut Context<'_>,
    report: &CargoReport,
    remarks: Vec<ValidationError>,
) -> Result<Validation, Rejection> {
    let (header, reference) = (&report.header, next_reference(cx, "VAL")?);
    Ok(Validation {
        header: answer_header(cx, header, reference),
        document: DocumentReference {
            document_type: TransportReport::DOCUMENT_TYPE.to_owned(),
            id: header.id.clone(),
            version_id: Some(header.version_id),
            functional_reference_id: Some(header.functional_reference_id.clone()),
            effective_date: None,
        },
        outcome: Outcome::Accepted,
        errors: remarks,
    })
}

/// Returns the way of the first consignment, when both its ends are known by their codes.
fn route(report: &CargoReport, from: Option<&Location>, to: Option<&Location>) -> Vec<RoutePlace> {
    let known = |place: &&Location| place.id.as_deref().is_some_and(is_locode);
    let ends = from.filter(known).cloned().zip(to.filter(known).cloned());
    let Some((from, to)) = ends else { return Vec::new() };
    let departed = report.shipment.consignment.as_ref().and_then(|c| c.departure_date_time);
    let place = |sequence, location, arrival: [Option<Timestamp>; 2], departure| RoutePlace {
        sequence,
        location,
        expected_arrival: arrival[0],
        arrival_date_time: arrival[1],
        departure_date_time: departure,
    };
    let arrival = [report.expected_arrival, report.arrival_date_time];
    vec![place(1, from, [None, None], departed), place(2, to, arrival, None)]
}

/// Returns the declarations about which this report is new.
fn unreported(
    view: &dyn Read,
    content: &TransportReport,
    exports: &[&Export],
) -> Result<Vec<DocumentReference>, Rejection> {
    let mut new = Vec::new();
    for export in exports {
        let known: Option<Report> = view.find(format!("{} {}", export.id(), content.header.id))?;
        match known {
            None => new.push(DocumentReference {
                document_type: "EXD".to_owned(),
                id: export.number.clone(),
                version_id: None,
                functional_reference_id: None,
                effective_date: None,
            }),
            Some(known) => {
                let same = known.event == content.event
                    && known.event_at == content.event_date_time
                    && known.means == content.means
                    && known.equipment == content.equipment;
                if !same {
                    let text = format!(
                        "report {} about {} is here with another content; give each report a \
                         number of its own",
                        content.header.id, export.number
                    );
                    return Err(refuse(ErrorKind::Conflict, "reference-reused", text));
                }
            }
        }
    }
    Ok(new)
}

/// Sends a report about declarations of this side, or takes one about the partner's into account.
fn tell(
    customs: &Customs,
    cx: &mut Context<'_>,
    teller: &Teller<'_>,
    mut content: TransportReport,
) -> Result<(), Rejection> {
    let (country, member) = (teller.country, &customs.config.customs);
    let own = customs.config.nation();
    // Of goods that arrived here the partner is told that its own did.
    let is_told = if transporting::has_arrived_in(&content, own) {
        country != own && answer::may_send(customs, cx, TransportReport::DOCUMENT_TYPE)
    } else {
        country == own
    };
    if is_told {
        let reference = &content.header.functional_reference_id;
        content.header.functional_reference_id = unused(customs, cx, reference)?;
        let message = Message::Transport(Box::new(content));
        return operate::hand_in_as(customs, cx, (member, teller.by), &message).map(|_| ());
    }
    match transporting::take_from(customs, cx, teller, &content)? {
        Effect::Refused(errors) => Err(invalid(errors)),
        Effect::Applied { .. } | Effect::Late { .. } => {
            risks::on_transport(customs, cx, &content, country)
        }
        Effect::Early { waits_for } => {
            let text = format!("there is no {waits_for} here");
            Err(refuse(ErrorKind::NotFound, "no-original", text))
        }
    }
}

/// Returns a reference for one more message that is made of the same cargo report.
fn unused(customs: &Customs, cx: &Context<'_>, reference: &str) -> Result<String, Rejection> {
    for number in 1..=CONSIGNMENTS_MAX {
        let suffix = if number == 1 { String::new() } else { format!("/{number}") };
        let kept = REFERENCE_CHARS_MAX - suffix.len();
        let candidate = reference.chars().take(kept).collect::<String>() + &suffix;
        if MessageRecord::of_reference(cx.tx, &customs.config.customs, &candidate)?.is_empty() {
            return Ok(candidate);
        }
    }
    let text = format!("{CONSIGNMENTS_MAX} messages were sent under the reference {reference}");
    Err(refuse(ErrorKind::Conflict, "reference-reused", text))
}

/// Keeps a report that waits, or forgets one that waits no more; returns whether it waited before
/// for the same.
fn keep(
    cx: &mut Context<'_>,
    by: &str,
    report: &CargoReport,
    waits_for: &[String],
) -> Result<bool, Rejection> {
    let number = report.header.id.clone();
    let before: Option<Cargo> = cx.tx.find(number.as_str())?;
    if before.as_ref().is_some_and(|before| before.waits_for == waits_for) {
        return Ok(true);
    }
    let subject = cargo_subject(report);
    if let Some(before) = &before {
        for name in &before.waits_for {
            cx.tx.remove::<Named>(format!("{name} {subject}"))?;
        }
        let text = "a declaration came that it names".to_owned();
        let closing = Closing { at: cx.now, by: "clock".to_owned(), text };
        close_tasks(cx.tx, &subject, &[TaskKind::CargoUnmatched], "", &closing)?;
    }
    if waits_for.is_empty() {
        cx.tx.remove::<Cargo>(number)?;
        return Ok(false);
    }
    if before.is_none() && cx.tx.count(&CARGO, &Range::all(1))? >= KEPT_MAX {
        let text = format!(
            "{KEPT_MAX} cargo reports wait here for declarations that have not come; hand those \
             in first, then this report again"
        );
        return Err(refuse(ErrorKind::Overloaded, "cargo-full", text));
    }
    for name in waits_for {
        cx.tx.save(&Named::new(name.clone(), subject.clone()))?;
    }
    let text = format!(
        "cargo report {number}: no export declaration is here for {}. The report is kept and \
         matched when one comes; ask the carrier whether the names are right.",
        waits_for.join(", ")
    );
    note(cx.tx, cx.now, &subject, by, text.clone())?;
    open_task(cx.tx, cx.now, TaskKind::CargoUnmatched, &subject, text)?;
    let (at, by, waits_for, report) = (cx.now, by.to_owned(), waits_for.to_vec(), report.clone());
    cx.tx.save(&Cargo { number, at, by, waits_for, report })?;
    Ok(false)
}

/// A declaration came or was changed: matches the cargo reports that name it.
pub(super) fn declared(
    customs: &Customs,
    cx: &mut Context<'_>,
    export: &Export,
) -> Result<(), Rejection> {
    let mut names = vec![declaration_name(&export.number)];
    if let Some(content) = export.content() {
        names.extend(ucr_of(content).map(reference_name));
        names.extend(transport_documents(content).iter().map(|d| document_name(&d.id)));
    }
    names.iter().try_for_each(|name| take_up(customs, cx, name, &export.id()))
}

/// Customs assigned a number to a declaration: matches the cargo reports that name it so.
pub(super) fn numbered(
    customs: &Customs,
    cx: &mut Context<'_>,
    number: &str,
    export: &str,
) -> Result<(), Rejection> {
    take_up(customs, cx, &declaration_name(number), export)
}

fn take_up(
    customs: &Customs,
    cx: &mut Context<'_>,
    name: &str,
    export: &str,
) -> Result<(), Rejection> {
    for number in Named::keys(cx.tx, name, "cargo")? {
        let Some(Cargo { by, report, .. }) = cx.tx.find(number.as_str())? else { continue };
        match cx.nested(|cx| file(customs, cx, &by, &report)) {
            Ok(_) => {}
            Err(refusal) if matches!(refusal.kind, ErrorKind::Storage | ErrorKind::Internal) => {
                return Err(refusal);
            }
            Err(refusal) => {
                let text = format!("cargo report {number} was not matched: {}", refusal.text);
                note(cx.tx, cx.now, &export_subject(export), &by, text)?;
            }
        }
    }
    Ok(())
}
