//! Many records at once: a batch is one transaction, each record has a savepoint and an outcome.
//!
//! A batch says at which position of the import it begins; one that was taken before is refused,
//! so that whoever was cut off asks how far the import is and goes on there.
//!
//! A message of an EDIFACT interchange is bound to that interchange (`interchange`): a test is
//! checked only, and a reference that was used elsewhere is refused.
//!
//! Not here: what an import is (`crate::bulk`), what each record does (`super::operate`,
//! `super::claiming`, `super::decide`).

use karvan_store::{Range, Read, Record as _};
use karvan_subsystem::{Caller, Context, Rejection};
use karvan_types::{Digest, ErrorKind};
use serde::Deserialize;
use serde_json::{Value, json};

use self::interchange::Origin;
use super::answer::refuse;
use super::apply::export_subject;
use super::assess::claim_subject;
use super::decide::{self, Deciding};
use super::operate::{self, must_act_for, read as read_input, signed_by};
use super::receive::subject_of;
use super::show::json_of;
use super::{Customs, amending, cargo, claiming, responses, xml};
use crate::bulk::{
    self, BATCH_RECORDS_MAX, Batch, Content, FilledIn, Import, Item, Line, NAME_CHARS_MAX, Outcome,
    Taken, WAITING_MAX, Waiting, Whole, describe,
};
use crate::claim::{Assessment, ClaimItem, claim_key};
use crate::decision::DecisionRecord;
use crate::export::export_key;
use crate::messages::{DocumentReference, DocumentType, Message, ValidationError};
use crate::wco;

mod interchange;

/// Longest number of a claim that is shown, in characters (WCO Data Model D014, an..70).
const CLAIM_CHARS_MAX: usize = 70;
/// Most imports that are listed.
const LISTED_MAX: usize = 1000;

/// Something that the reader of the source refused already.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Refused {
    rule: String,
    text: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Handed {
    place: String,
    digest: Digest,
    content: Option<Content>,
    refused: Option<Refused>,
    /// The interchange of which the record is one message; by itself it is one.
    interchange: Option<Whole>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Importing {
    import: String,
    /// How many records were taken before.
    position: u64,
    #[serde(default)]
    records: Vec<Handed>,
    /// Take waiting records up again, those behind this number.
    take_up_after: Option<u64>,
}

/// Takes a batch of records.
pub(super) fn import(
    customs: &Customs,
    cx: &mut Context<'_>,
    caller: &Caller,
    input: Value,
) -> Result<Value, Rejection> {
    let input: Importing = read_input("import", input)?;
    let mut import = find_or_begin(cx, caller, &input.import)?;
    if import.position != input.position {
        let text = format!(
            "import `{}` is at record {}, not {}; go on there",
            import.name, import.position, input.position
        );
        return Err(refuse(ErrorKind::Conflict, "import-position", text));
    }
    if input.records.len() > BATCH_RECORDS_MAX {
        let text = format!("a batch has at most {BATCH_RECORDS_MAX} records; send more batches");
        return Err(refuse(ErrorKind::TooLarge, "batch", text));
    }
    let mut desk = Desk { customs, caller, import: &mut import, lines: Vec::new() };
    for record in input.records {
        desk.take_record(cx, record)?;
    }
    let looked_at = match input.take_up_after {
        Some(after) => desk.take_up_behind(cx, after)?,
        None => None,
    };
    let lines = std::mem::take(&mut desk.lines);
    let first = import.lines;
    import.lines += lines.len() as u64;
    import.updated_at = cx.now;
    if !lines.is_empty() {
        cx.tx.add(&Batch { import: import.name.clone(), first, lines: lines.clone() })?;
    }
    cx.tx.save(&import)?;
    Ok(json!({ "import": json_of(&import), "lines": json_of(&lines), "takenUpTo": looked_at }))
}

fn find_or_begin(cx: &Context<'_>, caller: &Caller, name: &str) -> Result<Import, Rejection> {
    let length = name.chars().count();
    if length == 0 || length > NAME_CHARS_MAX || name.chars().any(char::is_control) {
        let text = format!("name the import with 1 to {NAME_CHARS_MAX} printable characters");
        return Err(refuse(ErrorKind::Invalid, "bad-input", text));
    }
    let Some(import) = cx.tx.find::<Import>(name)? else {
        return Ok(Import {
            name: name.to_owned(),
            by: caller.member.clone(),
            began_at: cx.now,
            updated_at: cx.now,
            position: 0,
            chain: bulk::empty_chain(),
            lines: 0,
            counts: bulk::Counts::default(),
        });
    };
    must_act_for(caller, &import.by)?;
    Ok(import)
}

/// The batch in hand.
struct Desk<'a> {
    customs: &'a Customs,
    caller: &'a Caller,
    import: &'a mut Import,
    lines: Vec<Line>,
}

/// What a record did.
struct Done {
    outcome: Outcome,
    /// What it is about: what waits for this can be taken up.
    subject: Option<String>,
    items: Vec<Item>,
    /// What is to be told beside.
    notes: Vec<FilledIn>,
}

impl Done {
    const fn new(outcome: Outcome, subject: Option<String>) -> Self {
        Self { outcome, subject, items: Vec::new(), notes: Vec::new() }
    }
}

/// A refusal that is no fault of the record: the batch as a whole fails, and can be sent again.
fn is_ours(refusal: &Rejection) -> bool {
    matches!(refusal.kind, ErrorKind::Storage | ErrorKind::Internal)
}

impl Desk<'_> {
    fn take_record(&mut self, cx: &mut Context<'_>, record: Handed) -> Result<(), Rejection> {
        self.import.position += 1;
        self.import.chain = bulk::extend_chain(self.import.chain, record.digest);
        let number = self.import.position;
        let line = Line::new(number, &record.place, Outcome::Rejected);
        let line = match (record.content, record.refused) {
            (Some(content), None) => {
                let whole = record.interchange;
                let (line, missing) = self.attempt(cx, &content, whole.as_ref(), line)?;
                match missing {
                    Some(subject) => self.park(cx, line, subject, (content, whole))?,
                    None => line,
                }
            }
            (None, Some(refused)) => line.refused(refuse(
                ErrorKind::Invalid,
                &refused.rule.chars().take(40).collect::<String>(),
                refused.text.chars().take(1000).collect::<String>(),
            )),
            _ => {
                let text = "give each record exactly one of `content` and `refused`";
                return Err(refuse(ErrorKind::Invalid, "bad-input", text));
            }
        };
        self.import.counts.add(line.outcome);
        let settled = line.subject.clone().filter(|_| line.outcome == Outcome::Accepted);
        self.lines.push(line);
        match settled {
            Some(subject) if self.import.counts.parked > 0 => self.release(cx, &subject),
            _ => Ok(()),
        }
    }

    /// Tries to take a record in; returns its line, and the subject of the document that is
    /// missing if it builds on one.
    fn attempt(
        &self,
        cx: &mut Context<'_>,
        content: &Content,
        whole: Option<&Whole>,
        line: Line,
    ) -> Result<(Line, Option<String>), Rejection> {
        let mut taken = match self.read(cx, content) {
            Ok(taken) => taken,
            Err(refusal) if is_ours(&refusal) => return Err(refusal),
            Err(refusal) => return Ok((line.refused(refusal), None)),
        };
        let mut header = None;
        let (line, about) = match &mut taken {
            Taken::Message { message, interchange, reading, .. } => {
                header = interchange.take();
                (describe(std::mem::take(reading).tell(line), message), self.subject(message))
            }
            Taken::Cargo { report, interchange, reading } => {
                header = interchange.take();
                let line = bulk::describe_cargo(std::mem::take(reading).tell(line), report);
                (line, String::new())
            }
            Taken::Response { response, reading, .. } => {
                let line = bulk::describe_response(line, &response.response);
                let declared = &response.response.declaration;
                let name = declared.functional_reference_id.as_ref().or(declared.id.as_ref());
                let nation = self.customs.config.nation();
                let name = name.map(String::as_str).unwrap_or_default();
                let about = export_subject(&export_key(nation, name));
                (std::mem::take(reading).tell(line), about)
            }
            Taken::Decision(value) => {
                let id = value["claim"].as_str().unwrap_or_default();
                let about = claim_subject(&claim_key(id));
                let id = Some(id.chars().take(CLAIM_CHARS_MAX).collect());
                (Line { document: Some("decision".to_owned()), id, ..line }, about)
            }
        };
        let mut origin = None;
        if let Some(header) = header {
            let name = &self.import.name;
            let found = Origin::new(*header, whole, content, (name, &line.place))?;
            if found.is_test() {
                return Ok((interchange::checked(self.customs, &taken, cx.now, line), None));
            }
            if let Some(refusal) = found.used_before(cx)? {
                return Ok((line.refused(refusal), None));
            }
            origin = Some(found);
        }
        let done = cx.nested(|cx| {
            let done = self.apply(cx, taken)?;
            if let Some(origin) = &origin {
                origin.remember(cx, self.caller)?;
            }
            Ok(done)
        });
        match done {
            Ok(done) => {
                let Done { outcome, subject, items, notes } = done;
                let notes = line.notes.into_iter().chain(notes).collect();
                Ok((Line { outcome, subject, items, notes, ..line }, None))
            }
            Err(refusal) if is_ours(&refusal) => Err(refusal),
            Err(refusal) => {
                let is_early = matches!(&*refusal.code, "customs.no-original" | "customs.no-claim");
                let missing = is_early.then_some(about);
                if let Some(origin) = origin.filter(|_| is_early) {
                    origin.remember(cx, self.caller)?;
                }
                Ok((line.refused(refusal), missing))
            }
        }
    }

    fn read(&self, cx: &mut Context<'_>, content: &Content) -> Result<Taken, Rejection> {
        let config = &self.customs.config;
        let bytes = content.bytes()?;
        let context = |received_at| wco::Context {
            agreement_id: &config.agreement,
            sharing_level: config.sharing_level,
            received_at,
            subject: DocumentType::Export,
        };
        let mut taken = bulk::read(&bytes, context(cx.now))?;
        let Taken::Message { message, is_dated_here, .. } = &mut taken else { return Ok(taken) };
        amending::name_subject(self.customs, cx, message)?;
        if *is_dated_here && let Some(at) = xml::received_before(self.customs, cx, message)? {
            // The same text handed in again must become the same message.
            taken = bulk::read(&bytes, context(at))?;
            if let Taken::Message { message, .. } = &mut taken {
                amending::name_subject(self.customs, cx, message)?;
            }
        }
        Ok(taken)
    }

    fn subject(&self, message: &Message) -> String {
        let of_claim = |named: &DocumentReference| named.document_type == "IMP";
        match message {
            Message::Import(content) => claim_subject(&claim_key(&content.header.id)),
            Message::Amendment(content) if of_claim(&content.document) => {
                claim_subject(&claim_key(&content.document.id))
            }
            Message::Cancellation(content) if of_claim(&content.document) => {
                claim_subject(&claim_key(&content.document.id))
            }
            other => subject_of(self.customs, &self.caller.member, other),
        }
    }

    fn apply(&self, cx: &mut Context<'_>, taken: Taken) -> Result<Done, Rejection> {
        let (customs, caller) = (self.customs, self.caller);
        let message = match taken {
            Taken::Decision(input) => {
                caller.require("customs.decide")?;
                let outcome = decide_once(customs, cx, caller, input)?;
                return Ok(Done::new(outcome, None));
            }
            Taken::Response { response, text, .. } => {
                caller.require("customs.submit")?;
                must_act_for(caller, &customs.config.customs)?;
                let kept = responses::take(customs, cx, caller, &text, *response)?;
                let subject = kept["about"].as_str().map(str::to_owned);
                return Ok(Done::new(outcome(is_duplicate(&kept)), subject));
            }
            Taken::Cargo { report, .. } => {
                caller.require("customs.submit")?;
                must_act_for(caller, &customs.config.customs)?;
                let filed = cargo::file(customs, cx, &signed_by(caller), &report)?;
                let note = |remark: ValidationError| FilledIn {
                    path: remark.pointer,
                    text: remark.remedy,
                };
                let notes = filed.remarks.into_iter().map(note).collect();
                let done = Done::new(outcome(filed.is_duplicate), Some(filed.subject));
                return Ok(Done { notes, ..done });
            }
            Taken::Message { message, .. } => message,
        };
        let subject = Some(self.subject(&message));
        let was_here = match message {
            Message::Import(content) => {
                caller.require("customs.claim")?;
                must_act_for(caller, &customs.config.customs)?;
                let filed = claiming::take(customs, cx, caller, content, None)?;
                let items = filed.items.iter().map(item).collect();
                return Ok(Done { items, ..Done::new(outcome(filed.is_duplicate), subject) });
            }
            Message::Amendment(content) if content.document.document_type == "COO" => {
                caller.require("customs.issue")?;
                is_duplicate(&operate::amend_certificate(customs, cx, caller, *content)?)
            }
            Message::Amendment(content) => {
                caller.require("customs.submit")?;
                must_act_for(caller, &customs.config.customs)?;
                is_duplicate(&amending::amend(customs, cx, caller, *content, None)?)
            }
            Message::Cancellation(content) if content.document.document_type == "IMP" => {
                must_act_for(caller, &customs.config.customs)?;
                is_duplicate(&amending::withdraw(customs, cx, caller, &content)?)
            }
            message if is_about_certificate(&message) => {
                caller.require("customs.issue")?;
                operate::publish_certificate(customs, cx, caller, &message)?.is_duplicate
            }
            message => {
                caller.require("customs.submit")?;
                operate::publish_export(customs, cx, caller, &message)?.is_duplicate
            }
        };
        Ok(Done::new(outcome(was_here), subject))
    }

    /// Keeps a record until the document arrives on which it builds.
    fn park(
        &self,
        cx: &mut Context<'_>,
        line: Line,
        subject: String,
        (content, interchange): (Content, Option<Whole>),
    ) -> Result<Line, Rejection> {
        if self.import.counts.parked >= WAITING_MAX {
            let text = format!(
                "{WAITING_MAX} records of this import wait already; import the originals first"
            );
            return Ok(line.refused(refuse(ErrorKind::Overloaded, "parked-full", text)));
        }
        cx.tx.add(&Waiting {
            import: self.import.name.clone(),
            number: line.record,
            place: line.place.clone(),
            subject: subject.clone(),
            content,
            interchange,
        })?;
        Ok(Line { outcome: Outcome::Parked, subject: Some(subject), ..line })
    }

    /// Takes up what waits for a document that has arrived, in the order of the source.
    fn release(&mut self, cx: &mut Context<'_>, subject: &str) -> Result<(), Rejection> {
        let prefix = vec![self.import.name.as_str().into(), subject.into()];
        let range = Range::of("by_subject", prefix, BATCH_RECORDS_MAX);
        for waiting in cx.tx.select::<Waiting>(&range)? {
            self.take_up(cx, &waiting)?;
        }
        Ok(())
    }

    /// Takes up waiting records behind a number; returns the number of the last one looked at.
    fn take_up_behind(
        &mut self,
        cx: &mut Context<'_>,
        after: u64,
    ) -> Result<Option<u64>, Rejection> {
        let prefix = vec![self.import.name.as_str().into()];
        let range = Range::of("by_number", prefix, BATCH_RECORDS_MAX).after(after);
        let waiting: Vec<Waiting> = cx.tx.select(&range)?;
        for record in &waiting {
            self.take_up(cx, record)?;
        }
        Ok(waiting.last().map(|waiting| waiting.number))
    }

    fn take_up(&mut self, cx: &mut Context<'_>, waiting: &Waiting) -> Result<(), Rejection> {
        let line = Line::new(waiting.number, &waiting.place, Outcome::Rejected);
        let whole = waiting.interchange.as_ref();
        let (line, missing) = self.attempt(cx, &waiting.content, whole, line)?;
        if missing.is_some() {
            return Ok(());
        }
        cx.tx.remove::<Waiting>(waiting.key())?;
        let counts = &mut self.import.counts;
        counts.parked = counts.parked.saturating_sub(1);
        counts.add(line.outcome);
        self.lines.push(Line { taken_up: true, ..line });
        Ok(())
    }
}

/// Decides about one claimed item, as `decide` does, and tells the same decision again from
/// another one, so that a list of decisions can be handed in twice.
fn decide_once(
    customs: &Customs,
    cx: &mut Context<'_>,
    caller: &Caller,
    input: Value,
) -> Result<Outcome, Rejection> {
    must_act_for(caller, &customs.config.customs)?;
    let deciding: Deciding = read_input("decide", input.clone())?;
    let (_, item) = decide::find_item(cx, &deciding.claim, deciding.item)?;
    if item.state.is_final() {
        let last: Option<DecisionRecord> = cx.tx.find(decide::last_decision(&item))?;
        let is_same = last.is_some_and(|last| {
            last.decision == deciding.decision.decision()
                && deciding.reason.is_none_or(|reason| reason == last.reason)
                && deciding.quantity.is_none_or(|quantity| {
                    // What was granted on paper is debited in the unit of the certificate later.
                    [last.debited, last.unseen].contains(&Some(quantity))
                })
        });
        if is_same {
            return Ok(Outcome::Duplicate);
        }
    }
    decide::decide(customs, cx, caller, input).map(|_| Outcome::Accepted)
}

/// Whether an operation says that it changed nothing.
fn is_duplicate(output: &Value) -> bool {
    output["duplicate"] == true
}

fn outcome(is_duplicate: bool) -> Outcome {
    if is_duplicate { Outcome::Duplicate } else { Outcome::Accepted }
}

fn item(item: &ClaimItem) -> Item {
    let Assessment { light, proposal, .. } = &item.assessment;
    Item { item: item.item, light: *light, proposal: proposal.verdict }
}

/// Whether the issuer, not customs, sends this.
fn is_about_certificate(message: &Message) -> bool {
    match message {
        Message::Certificate(_) => true,
        Message::Cancellation(content) => content.document.document_type == "COO",
        _ => false,
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Showing {
    import: Option<String>,
    #[serde(default)]
    from: u64,
}

/// Lists the imports, newest first, or shows how far one is, with lines of its report.
pub(super) fn show(view: &dyn Read, caller: &Caller, input: Value) -> Result<Value, Rejection> {
    let input: Showing = read_input("imports", input)?;
    let Some(name) = input.import else {
        let range = Range { index: Some("by_updated"), ..Range::all(LISTED_MAX) }.reversed();
        let mut imports: Vec<Import> = view.select(&range)?;
        imports.retain(|import| import.by == caller.member);
        return Ok(json!({ "imports": json_of(&imports) }));
    };
    let import = view.find::<Import>(name.as_str())?;
    let Some(import) = import.filter(|import| import.by == caller.member) else {
        let empty = json_of(&bulk::empty_chain());
        return Ok(json!({ "import": { "name": name, "position": 0, "chain": empty, "lines": 0 },
            "lines": [] }));
    };
    let lines = bulk::lines_from(view, &name, input.from)?;
    Ok(json!({ "import": json_of(&import), "lines": json_of(&lines) }))
}
