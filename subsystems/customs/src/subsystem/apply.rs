//! Takes a certificate, export declaration or cancellation into account, from whichever side.
//!
//! Nothing is written before the message is known to fit, so that a refused message leaves no
//! trace but its record.

use karvan_store::Tx;
use karvan_subsystem::{Context, Rejection};
use karvan_types::{Digest, ExchangeId, MemberId};

use super::assess::{self, Late};
use super::{
    Customs, amended, answer, booking, cargo, lowered, replacing, risks, suspending, transporting,
    unseen,
};
use crate::certificate::{
    Certificate, CertificateNumber, Delivery, VERSIONS_MAX, Version, carry_in, standing_name,
};
use crate::claim::ClaimItem;
use crate::export::{Export, export_key, quoted, ucr_of};
use crate::invoice;
use crate::journal::{TaskKind, note};
use crate::messages::{
    Cancellation, CertificateOfOrigin, CertificateStatus, ExportDeclaration, FunctionCode, Header,
    Message, ValidationError,
};
use crate::states::{CertificateEvent, ExportEvent, Status};

/// From where a message comes.
pub(super) struct Incoming<'a> {
    pub(super) exchange: ExchangeId,
    pub(super) sender: &'a MemberId,
    pub(super) delivery: Delivery,
    /// Member, and person where there is one, for the history.
    pub(super) by: &'a str,
    pub(super) digest: Digest,
}

/// What became of a message.
pub(super) enum Effect {
    /// It was taken into account.
    Applied {
        /// What it is about.
        subject: String,
    },
    /// It was taken into account, with remarks for its sender.
    Late {
        /// What it is about.
        subject: String,
        /// The remarks.
        remarks: Vec<ValidationError>,
    },
    /// It breaks a rule.
    Refused(Vec<ValidationError>),
    /// It builds on a document that is not here yet.
    Early {
        /// Subject of that document.
        waits_for: String,
    },
}

/// Returns the subject of a certificate.
pub(super) fn certificate_subject(key: &str) -> String {
    format!("certificate {key}")
}

/// Returns the subject of an export declaration.
pub(super) fn export_subject(key: &str) -> String {
    format!("export {key}")
}

pub(super) fn refused(pointer: &str, rule: &str, remedy: impl Into<String>) -> Effect {
    let (pointer, rule) = (pointer.to_owned(), rule.to_owned());
    Effect::Refused(vec![ValidationError { pointer, rule, remedy: remedy.into() }])
}

/// Takes a message into account.
pub(super) fn apply(
    customs: &Customs,
    cx: &mut Context<'_>,
    incoming: &Incoming<'_>,
    message: &Message,
) -> Result<Effect, Rejection> {
    let effect = match message {
        Message::Certificate(content) => certificate(customs, cx, incoming, content)?,
        Message::Export(content) => export(customs, cx, incoming, content)?,
        Message::Transport(content) => {
            return transporting::take(customs, cx, incoming, content);
        }
        Message::Amendment(content) => return amended::take(customs, cx, incoming, content),
        Message::Cancellation(content) if content.document.document_type == "COO" => {
            cancel_certificate(customs, cx, incoming, content)?
        }
        Message::Cancellation(content) if content.document.document_type == "EXD" => {
            cancel_export(customs, cx, incoming, content)?
        }
        _ => {
            let remedy = "only a COO or an EXD can be cancelled here";
            return Ok(refused("document/documentType", "TYPE", remedy));
        }
    };
    match effect {
        Effect::Applied { subject } if message.header().function_code != FunctionCode::Original => {
            remarked(cx, subject)
        }
        effect => Ok(effect),
    }
}

/// Most decided items that a remark names.
const REMARKED_MAX: usize = 5;

/// Adds to a change or withdrawal which decisions rest on what it changes.
fn remarked(cx: &Context<'_>, subject: String) -> Result<Effect, Rejection> {
    let items = if let Some(key) = subject.strip_prefix("certificate ") {
        certificate_items(cx.tx, key)?
    } else if let Some(key) = subject.strip_prefix("export ") {
        match cx.tx.find::<Export>(key)? {
            Some(export) => export_items(cx.tx, &export)?,
            None => Vec::new(),
        }
    } else {
        Vec::new()
    };
    let decided: Vec<&ClaimItem> = items.iter().filter(|item| item.state.is_final()).collect();
    if decided.is_empty() {
        return Ok(Effect::Applied { subject });
    }
    let name = |item: &&ClaimItem| {
        format!("item {} of {} is {}", item.item, item.claim, item.state.name())
    };
    let named: Vec<String> = decided.iter().take(REMARKED_MAX).map(name).collect();
    let more = decided.len().saturating_sub(REMARKED_MAX);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let remark = ValidationError {
        pointer: "FunctionCode".to_owned(),
        rule: answer::REMARK.to_owned(),
        remedy: format!(
            "too late to be taken into account by itself: {}{more}; an officer looks whether the \
             decision stands",
            named.join(", ")
        ),
    };
    Ok(Effect::Late { subject, remarks: vec![remark] })
}

fn version<T>(
    cx: &Context<'_>,
    incoming: &Incoming<'_>,
    header: &Header,
    content: T,
) -> Version<T> {
    Version {
        exchange: Some(incoming.exchange),
        at: cx.now,
        function: header.function_code,
        digest: incoming.digest,
        content,
    }
}

/// Checks that a message fits on top of the versions that are here; `latest` is `None` when none
/// is. Returns what to answer if it does not.
fn misfit(
    header: &Header,
    latest: Option<(u32, usize)>,
    what: &str,
    waits_for: String,
) -> Option<Effect> {
    let error = |pointer: &str, rule: &str, remedy: String| Some(refused(pointer, rule, remedy));
    match (header.function_code, latest) {
        (FunctionCode::Original, Some(_)) => error(
            "ID",
            "EXISTS",
            format!("{what} {} is here already; use function 4 or 5 to change it", header.id),
        ),
        (FunctionCode::Original, None) => None,
        (_, None) => Some(Effect::Early { waits_for }),
        (_, Some((latest, _))) if header.version_id <= latest => error(
            "VersionID",
            "VERSION",
            format!("version {latest} of {what} {} is here already; send a later one", header.id),
        ),
        (_, Some((_, count))) if count >= VERSIONS_MAX => error(
            "VersionID",
            "VERSION",
            format!(
                "{what} {} has {VERSIONS_MAX} versions, the most allowed; replace it",
                header.id
            ),
        ),
        _ => None,
    }
}

fn certificate(
    customs: &Customs,
    cx: &mut Context<'_>,
    incoming: &Incoming<'_>,
    content: &CertificateOfOrigin,
) -> Result<Effect, Rejection> {
    let header = &content.header;
    let number = match CertificateNumber::parse(&header.id) {
        Ok(number) => number,
        Err(error) => return Ok(refused("ID", "NUMBER", error.to_string())),
    };
    let country = incoming.sender.instance();
    if content.export_country.id != country.as_str() {
        let remedy = format!("an issuer of {country} certifies goods exported from {country}");
        return Ok(refused("ExportCountry/ID", "ISSUER", remedy));
    }
    let key = number.key(country);
    let subject = certificate_subject(&key);
    let existing: Option<Certificate> = cx.tx.find(key.as_str())?;
    let latest = existing
        .as_ref()
        .and_then(|c| c.content().map(|latest| (latest.header.version_id, c.versions.len())));
    if let Some(effect) = misfit(header, latest, "certificate", subject.clone()) {
        return Ok(effect);
    }
    let unfit = |c: &Certificate| {
        not_changeable(c, incoming.sender).or_else(|| lowered::unit_misfit(c, content))
    };
    if let Some(error) = existing.as_ref().and_then(unfit) {
        return Ok(Effect::Refused(vec![error]));
    }
    if let Some(effect) = booking::copy_misfit(cx.tx, incoming.sender, content, &key)? {
        return Ok(effect);
    }
    if let Some(effect) =
        replacing::misfit(cx.tx, incoming.sender, content, &key, existing.as_ref())?
    {
        return Ok(effect);
    }
    let is_new = existing.is_none();
    let new = version(cx, incoming, header, content.clone());
    let text = format!("certificate {number}, version {}: {}", header.version_id, deed(header));
    note(cx.tx, cx.now, &subject, incoming.by, text)?;
    let mut overdrawn = Vec::new();
    let (stored, because) = if let Some(mut certificate) = existing {
        overdrawn = certificate.add_version(new)?;
        certificate.delivery = incoming.delivery;
        (certificate, "the certificate was amended")
    } else {
        let sender = incoming.sender.clone();
        (Certificate::new(number, sender, incoming.delivery, new)?, "the certificate arrived")
    };
    let mut stored = stored;
    booking::link_copy(cx, &mut stored, content)?;
    carry_in(cx.tx, &mut stored)?;
    cx.tx.save(&stored)?;
    lowered::tell(cx, &stored, &overdrawn, incoming.by)?;
    replacing::replace(customs, cx, incoming, content)?;
    if is_new && incoming.delivery == Delivery::Received {
        unseen::book(customs, cx, &stored)?;
    }
    // A verification may have been opened before the certificate came.
    suspending::follow(cx, &key, incoming.by)?;
    invoice::link(cx.tx, invoice::Kind::Certificate, &key, &content.invoices)?;
    let late = Late { kind: TaskKind::AmendedAfterDecision, because };
    assess::touch(customs, cx, certificate_items(cx.tx, &key)?, &late)?;
    risks::on_certificate(customs, cx, &key, because)?;
    Ok(Effect::Applied { subject })
}

fn deed(header: &Header) -> &'static str {
    match header.function_code {
        FunctionCode::Original => "issued",
        FunctionCode::Change => "changed",
        FunctionCode::Replace => "replaced by a new version",
        FunctionCode::Cancellation => "cancelled",
        FunctionCode::Response => "answered",
    }
}

/// Says why a certificate takes no new version from this sender.
fn not_changeable(certificate: &Certificate, sender: &MemberId) -> Option<ValidationError> {
    let remedy = if certificate.issuer != *sender {
        format!(
            "the certificate was issued by {}; only that member may change it",
            certificate.issuer
        )
    } else if matches!(
        certificate.standing(),
        CertificateStatus::Cancelled | CertificateStatus::Replaced
    ) {
        let standing = standing_name(certificate.standing());
        format!("the certificate is {standing} and stays so; issue a new one")
    } else {
        return None;
    };
    Some(ValidationError { pointer: "ID".to_owned(), rule: "ISSUED".to_owned(), remedy })
}

fn certificate_items(tx: &dyn Tx, key: &str) -> Result<Vec<ClaimItem>, Rejection> {
    Ok(tx.select(&ClaimItem::range("by_certificate", key))?)
}

fn cancel_certificate(
    customs: &Customs,
    cx: &mut Context<'_>,
    incoming: &Incoming<'_>,
    content: &Cancellation,
) -> Result<Effect, Rejection> {
    let number = match CertificateNumber::parse(&content.document.id) {
        Ok(number) => number,
        Err(error) => return Ok(refused("document/ID", "NUMBER", error.to_string())),
    };
    let key = number.key(incoming.sender.instance());
    let subject = certificate_subject(&key);
    let Some(certificate) = cx.tx.find::<Certificate>(key.as_str())? else {
        return Ok(Effect::Early { waits_for: subject });
    };
    if let Some(error) = not_changeable(&certificate, incoming.sender) {
        return Ok(Effect::Refused(vec![error]));
    }
    let by = content.replaced_by.as_deref();
    if let Some(effect) = replacing::cannot_follow(cx.tx, &certificate, by)? {
        return Ok(effect);
    }
    end_certificate(
        customs,
        cx,
        incoming,
        certificate,
        content.replaced_by.clone(),
        &content.reason,
    )?;
    Ok(Effect::Applied { subject })
}

pub(super) fn end_certificate(
    customs: &Customs,
    cx: &mut Context<'_>,
    incoming: &Incoming<'_>,
    mut certificate: Certificate,
    replaced_by: Option<String>,
    reason: &str,
) -> Result<(), Rejection> {
    if replaced_by.is_some() {
        certificate.status.step(CertificateEvent::Replace)?;
    } else {
        certificate.take_back()?;
    }
    certificate.replaced_by = replaced_by;
    cx.tx.save(&certificate)?;
    let key = certificate.id();
    let mut text = format!("certificate {} cancelled: {reason}", certificate.number);
    if let Some(by) = &certificate.replaced_by {
        text = format!("certificate {} replaced by {by}", certificate.number);
    }
    note(cx.tx, cx.now, &certificate_subject(&key), incoming.by, text)?;
    booking::ended(cx, &certificate, incoming.by, reason)?;
    let late =
        Late { kind: TaskKind::CancelledAfterDecision, because: "the certificate was cancelled" };
    risks::on_certificate(customs, cx, &key, late.because)?;
    for key in certificate.copies.iter().chain([&key]) {
        assess::touch(customs, cx, certificate_items(cx.tx, key)?, &late)?;
    }
    // What took its place inherits what a verification suspends.
    suspending::follow(cx, &certificate.id(), incoming.by)
}

fn export(
    customs: &Customs,
    cx: &mut Context<'_>,
    incoming: &Incoming<'_>,
    content: &ExportDeclaration,
) -> Result<Effect, Rejection> {
    let header = &content.header;
    let country = incoming.sender.instance();
    let key = export_key(country, &header.id);
    let subject = export_subject(&key);
    let existing: Option<Export> = cx.tx.find(key.as_str())?;
    let latest = existing
        .as_ref()
        .and_then(|e| e.content().map(|latest| (latest.header.version_id, e.versions.len())));
    if let Some(effect) = misfit(header, latest, "export declaration", subject.clone()) {
        return Ok(effect);
    }
    if existing.as_ref().is_some_and(Export::is_cancelled) {
        return Ok(refused("ID", "ENDED", "the declaration was cancelled; submit a new one"));
    }
    let new = version(cx, incoming, header, content.clone());
    let (mut stored, because) = existing.map_or_else(
        || {
            let export = Export {
                number: header.id.trim().to_owned(),
                country,
                sender: incoming.sender.clone(),
                status: Status::default(),
                delivery: incoming.delivery,
                versions: Vec::new(),
            };
            (export, "the export declaration arrived")
        },
        |export| (export, "the export declaration was amended"),
    );
    stored.delivery = incoming.delivery;
    stored.versions.push(new);
    stored.store(cx.tx)?;
    invoice::link(cx.tx, invoice::Kind::Export, &key, &content.shipment.invoices)?;
    let verb = if header.function_code == FunctionCode::Original { "declared" } else { "amended" };
    let text = format!("export declaration {}, version {}: {verb}", header.id, header.version_id);
    note(cx.tx, cx.now, &subject, incoming.by, text)?;
    let late = Late { kind: TaskKind::AmendedAfterDecision, because };
    assess::touch(customs, cx, export_items(cx.tx, &stored)?, &late)?;
    risks::on_export(customs, cx, &stored, because)?;
    cargo::declared(customs, cx, &stored)?;
    Ok(Effect::Applied { subject })
}

/// Returns the claimed items that rest on a declaration: by its certificates and its reference.
pub(super) fn export_items(tx: &dyn Tx, export: &Export) -> Result<Vec<ClaimItem>, Rejection> {
    let Some(content) = export.content() else { return Ok(Vec::new()) };
    let mut items: Vec<ClaimItem> = Vec::new();
    for (number, _) in quoted(content) {
        items.extend(certificate_items(tx, &number.key(export.country))?);
    }
    if let Some(ucr) = ucr_of(content) {
        items.extend(tx.select::<ClaimItem>(&ClaimItem::range("by_ucr", ucr))?);
    }
    items.sort_by_key(ClaimItem::id);
    items.dedup_by_key(|item| item.id());
    Ok(items)
}

fn cancel_export(
    customs: &Customs,
    cx: &mut Context<'_>,
    incoming: &Incoming<'_>,
    content: &Cancellation,
) -> Result<Effect, Rejection> {
    let key = export_key(incoming.sender.instance(), &content.document.id);
    let subject = export_subject(&key);
    let Some(mut export) = cx.tx.find::<Export>(key.as_str())? else {
        return Ok(Effect::Early { waits_for: subject });
    };
    if export.is_cancelled() {
        return Ok(refused("document/ID", "ENDED", "the declaration was cancelled before"));
    }
    export.status.step(ExportEvent::Cancel)?;
    cx.tx.save(&export)?;
    let text = format!("export declaration {} cancelled: {}", export.number, content.reason);
    note(cx.tx, cx.now, &subject, incoming.by, text)?;
    let late = Late {
        kind: TaskKind::CancelledAfterDecision,
        because: "the export declaration was cancelled",
    };
    assess::touch(customs, cx, export_items(cx.tx, &export)?, &late)?;
    risks::on_export(customs, cx, &export, late.because)?;
    Ok(Effect::Applied { subject })
}
