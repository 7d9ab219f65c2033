//! What national systems hand in as they wrote it, and what is waited for.

use karvan_types::{Date, Timestamp};
use schemars::JsonSchema;
use serde_json::{Map, Value};

use super::around::TimerView;
use super::{Claimed, LossView, Submitted};

/// A message in WCO Data Model XML (DEC or RES), in UTF-8 and without DOCTYPE.
#[derive(JsonSchema)]
#[schemars(transparent)]
pub(in crate::api) struct XmlMessage(#[schemars(length(min = 1, max = 4_194_304))] String);

/// A UN/EDIFACT interchange (ISO 9735), from UNA or UNB to UNZ.
#[derive(JsonSchema)]
#[schemars(transparent)]
pub(in crate::api) struct EdifactInterchange(#[schemars(length(min = 1, max = 4_194_304))] String);

/// What became of a message of a national system.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub(in crate::api) enum HandedIn {
    Claim(Box<Claimed>),
    Response(ResponseTaken),
    Cargo(CargoTaken),
    Declaration(Box<Submitted>),
}

/// Something that was put in, or read in a certain way.
#[derive(JsonSchema)]
#[schemars(rename = "ReadingNote")]
pub(in crate::api) struct NoteView {
    /// Path of the element.
    pub(in crate::api) path: String,
    /// What was done.
    pub(in crate::api) text: String,
}

/// A cargo report of a carrier (CUSCAR), filed as a transport report.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
pub(in crate::api) struct CargoTaken {
    /// `CARGO`.
    pub(in crate::api) document: String,
    /// Its number.
    pub(in crate::api) id: String,
    /// Its version.
    pub(in crate::api) version: u32,
    /// Its reference.
    pub(in crate::api) reference: String,
    /// What happened to the goods.
    pub(in crate::api) event: String,
    /// When it happened.
    pub(in crate::api) event_date_time: Timestamp,
    /// The export declarations that it is about: country and number.
    pub(in crate::api) exports: Vec<String>,
    /// What it names that is not here yet; it is matched when that comes.
    pub(in crate::api) waits_for: Vec<String>,
    /// What it is about.
    pub(in crate::api) subject: String,
    /// Whether it was handed in before with the same content.
    pub(in crate::api) duplicate: bool,
    /// The CUSRES for the sender, in base64.
    #[schemars(extend("contentEncoding" = "base64", "contentMediaType" = "application/EDIFACT"))]
    pub(in crate::api) answer: String,
    /// Its reference in the interchange (UNH).
    pub(in crate::api) message: String,
    /// Values that were not kept.
    pub(in crate::api) not_carried_over: Vec<LossView>,
    /// What was put in where it says nothing.
    pub(in crate::api) notes: Vec<NoteView>,
}

/// A response of a national system, kept with the declaration that it answers.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
pub(in crate::api) struct ResponseTaken {
    /// `RES`.
    pub(in crate::api) document: String,
    /// What it is about.
    pub(in crate::api) about: String,
    /// What its function code means.
    pub(in crate::api) meaning: String,
    /// The response by WCO element names. Free, because which elements a response has is for the
    /// national system to say.
    pub(in crate::api) response: Map<String, Value>,
    /// Whether it was handed in before with the same content.
    pub(in crate::api) duplicate: bool,
    /// Values that were not kept.
    pub(in crate::api) not_carried_over: Vec<LossView>,
}

/// What became of an interchange.
#[derive(JsonSchema)]
pub(in crate::api) struct InterchangeTaken {
    /// `INTERCHANGE`.
    pub(in crate::api) document: String,
    /// Its sender (0004).
    pub(in crate::api) sender: String,
    /// Its reference (0020).
    pub(in crate::api) reference: String,
    /// Whether it says that it is a test (0035); then nothing was filed.
    pub(in crate::api) test: bool,
    /// Whether it was taken before; then nothing was done.
    pub(in crate::api) duplicate: bool,
    /// The messages that were taken.
    pub(in crate::api) messages: Vec<HandedIn>,
    /// What was refused.
    pub(in crate::api) refused: Vec<RefusedMessage>,
    /// The answer for the sender (CONTRL), in base64.
    #[schemars(extend("contentEncoding" = "base64", "contentMediaType" = "application/EDIFACT"))]
    pub(in crate::api) control: String,
}

/// A message that was refused, or the whole interchange.
#[derive(JsonSchema)]
pub(in crate::api) struct RefusedMessage {
    /// Reference of the message (UNH); null for the whole interchange.
    pub(in crate::api) message: Option<String>,
    /// Code of the error (0085).
    pub(in crate::api) code: String,
    /// What is wrong, where, and what to do.
    pub(in crate::api) error: String,
}

/// The day of arrival or of payment.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in crate::api) struct DayReport {
    /// What happened.
    pub(in crate::api) event: DayEvent,
    /// On which day; not one to come.
    pub(in crate::api) day: Date,
}

/// What happened on a day.
#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub(in crate::api) enum DayEvent {
    /// The goods arrived.
    Arrived,
    /// The duty was paid.
    Paid,
}

/// A time in which the partner cannot be heard.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in crate::api) struct OutageRequest {
    /// Since when; not an instant to come.
    pub(in crate::api) from: Timestamp,
    /// What is known about it, in 10 to 512 characters.
    #[schemars(length(min = 10, max = 512))]
    pub(in crate::api) text: String,
}

/// An outage of the partner.
#[derive(JsonSchema)]
#[schemars(rename = "Outage")]
pub(in crate::api) struct OutageView {
    /// Its number.
    pub(in crate::api) number: u64,
    /// Since when.
    pub(in crate::api) from: Timestamp,
    /// Until when; absent while it lasts.
    pub(in crate::api) until: Option<Timestamp>,
    /// Who declared it: a person, or `clock`.
    pub(in crate::api) by: String,
    /// What is known about it.
    pub(in crate::api) text: String,
}

/// What is waited for, and how the partner is heard.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
pub(in crate::api) struct WaitsView {
    /// How many waits are shown.
    pub(in crate::api) count: u64,
    /// What is waited for, the first due first; at most 500.
    pub(in crate::api) rows: Vec<WaitView>,
    /// How long is waited for what.
    pub(in crate::api) clocks: Vec<ClockView>,
    /// The partner.
    pub(in crate::api) partner: String,
    /// When something came from it last; null before the first time.
    pub(in crate::api) heard_at: Option<Timestamp>,
    /// Its outages.
    pub(in crate::api) outages: Vec<OutageView>,
}

/// Something that is waited for.
#[derive(JsonSchema)]
#[schemars(rename = "Wait", rename_all = "camelCase")]
pub(in crate::api) struct WaitView {
    #[schemars(flatten)]
    pub(in crate::api) timer: TimerView,
    /// What, in words.
    pub(in crate::api) waits_for: String,
    /// Whether it is late.
    pub(in crate::api) overdue: bool,
}

/// How long is waited for something.
#[derive(JsonSchema)]
#[schemars(rename = "Clock")]
pub(in crate::api) struct ClockView {
    /// What for, a stable word.
    pub(in crate::api) clock: String,
    /// Mode of transport (Recommendation 19), where it differs by mode.
    pub(in crate::api) mode: Option<String>,
    /// How long, in minutes.
    pub(in crate::api) minutes: u32,
    /// What happens then.
    pub(in crate::api) about: String,
    /// From which day on.
    pub(in crate::api) from: Option<Date>,
    /// Until which day.
    pub(in crate::api) until: Option<Date>,
    /// How sure it is: `official`, `reported`, `derived`, `analogue` or `assumed`.
    pub(in crate::api) status: String,
    /// Where it is written.
    pub(in crate::api) source: String,
}
