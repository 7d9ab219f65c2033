//! Plays a case, and sees to it that its response was really given.

use std::collections::BTreeSet;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use karvan_customs::formats::{self, Document as Content};
use karvan_customs::messages::{DocumentType, SharingLevel};
use karvan_customs::paper::status::Packed;
use karvan_customs::samples::{self, Consignment};
use karvan_customs::validate::{self, Severity};
use karvan_customs::{edifact, wco};
use karvan_subsystem::{Caller, Outgoing, Rejection};
use karvan_types::{Instance, MemberId, Timestamp};
use serde_json::Value;

use super::case::{
    Answer, ByKey, Case, Document, Format, Outcome, Play, Refusal, Response, Step, Together,
};
use super::source::{change, document};
use super::trust;
use crate::exchange::{Exchange, OFFICER, SECOND_OFFICER, customs_of, issuer_of};

/// The day of a play without a sample.
const TODAY: &str = "2026-10-05T05:00:00Z";

/// Plays a case.
pub(super) async fn case(case: &Case) -> Result<(), String> {
    let mut given = BTreeSet::new();
    for play in case.plays() {
        let sample = match &play.base {
            Some(id) => Some(sample(id)?),
            None => None,
        };
        let today = TODAY.parse::<Timestamp>().map_err(|error| error.to_string())?;
        let today = play.today.unwrap_or_else(|| sample.as_ref().map_or(today, |s| s.today));
        let exchange =
            if play.without_rates { Exchange::without_rates(today) } else { Exchange::new(today) };
        let mut stage = Stage { exchange, sample, given: BTreeSet::new() };
        stage.all(&play).await?;
        given.append(&mut stage.given);
    }
    match case.response.iter().find(|response| !given.contains(response)) {
        Some(missing) => Err(format!("no step showed the response {missing:?}, only {given:?}")),
        None => Ok(()),
    }
}

fn sample(id: &str) -> Result<Consignment, String> {
    let found = samples::shipped().into_iter().find(|sample| sample.id == id);
    found.ok_or_else(|| format!("there is no sample `{id}`"))
}

struct Stage {
    exchange: Exchange,
    sample: Option<Consignment>,
    given: BTreeSet<Response>,
}

impl Stage {
    async fn all(&mut self, play: &Play) -> Result<(), String> {
        for (number, step) in (1..).zip(&play.steps) {
            let step = Step::read(step).map_err(|trouble| format!("step {number}: {trouble}"))?;
            self.one(step)
                .await
                .map_err(|trouble| format!("{} step {number}: {trouble}", play.about))?;
        }
        Ok(())
    }

    async fn one(&mut self, step: Step) -> Result<(), String> {
        match step {
            Step::Repeat(step) => {
                let sample = self.sample.as_ref().ok_or("`play` needs a `base`")?;
                let index = step.play.checked_sub(1);
                let original = index.and_then(|index| sample.steps.get(index));
                let original = original.ok_or_else(|| format!("no step {}", step.play))?.clone();
                let actor = match original.actor {
                    samples::Actor::Issuer => "issuer",
                    samples::Actor::ExportCustoms => "export-customs",
                    samples::Actor::ImportCustoms => "import-customs",
                    samples::Actor::SecondOfficer => "second-officer",
                };
                let mut input = original.input;
                change(&mut input, &step.changes)?;
                let is_told = step.expect.is_some() || step.refusal.is_some();
                let (expect, refusal) = if is_told {
                    (step.expect, step.refusal)
                } else {
                    (original.expect, original.refusal.map(Value::from))
                };
                self.exchange.is_cut = step.lost;
                self.operate(actor, (&original.operation, input), expect, refusal).await?;
                self.exchange.is_cut = false;
                self.proven(&step.proves, &step.alarms)?;
            }
            Step::Operate(step) => {
                let mut input = step.input;
                for (pointer, text) in &step.texts {
                    let text = String::from_utf8(text.bytes(self.sample.as_ref())?);
                    let text = text.map_err(|error| error.to_string())?;
                    let added = serde_json::Map::from_iter([(pointer.clone(), text.into())]);
                    change(&mut input, &added)?;
                }
                let what = (step.operation.as_str(), input);
                self.operate(&step.actor, what, step.expect, step.refusal).await?;
                self.proven(&step.proves, &step.alarms)?;
            }
            Step::Document(step) => {
                self.document(&step).await?;
                self.proven(&step.proves, &step.alarms)?;
            }
            Step::Format(step) => {
                self.format(&step)?;
                self.proven(&step.proves, &[])?;
            }
            Step::Signed(step) => self.signed(&step)?,
            Step::Together(step) => {
                self.together(&step).await?;
                self.proven(&[], &[])?;
            }
            Step::Clock(step) => {
                let duration = duration(&step.clock).ok_or("write 90m, 24h or 3d")?;
                self.exchange.wait(duration).await;
                self.proven(&[], &step.alarms)?;
            }
        }
        Ok(())
    }

    fn signed(&mut self, step: &ByKey) -> Result<(), String> {
        let certificate = document(self.sample.as_ref(), step.play)?;
        let now = self.exchange.pk.bench.now;
        match (trust::verify(&step.signed, &certificate, now)?, &step.refusal) {
            (Ok(()), None) => Ok(()),
            (Ok(()), Some(expected)) => Err(format!("it holds, expected {expected}")),
            (Err((code, text)), Some(expected)) => {
                self.given.insert(Response::Reject);
                fits(&Refusal::read(expected)?, Some(&code), &text, &[])
            }
            (Err((code, text)), None) => Err(format!("{code}: {text}")),
        }
    }

    /// Has two offices act at the same moment; the outcomes are those expected, in either order.
    async fn together(&mut self, step: &Together) -> Result<(), String> {
        let caller = |member: MemberId, user: &str| Caller {
            member,
            user: user.to_owned(),
            permissions: vec!["*".to_owned()],
        };
        let customs = self.member("import-customs")?;
        let side = self.exchange.side(customs.instance());
        side.bench.now = side.bench.now.plus(Duration::from_mins(1));
        let mut twin = side.twin();
        let [one, two] = &step.together;
        let (here, there) = (caller(customs.clone(), OFFICER), caller(customs, SECOND_OFFICER));
        let done = tokio::join!(
            side.bench.operate(&here, &one.operation, one.input.clone()),
            twin.operate(&there, &two.operation, two.input.clone())
        );
        let mut left: Vec<&Outcome> = step.outcomes.iter().collect();
        for outcome in [done.0, done.1] {
            let told = match &outcome {
                Ok((output, _)) => output.to_string(),
                Err(refusal) => words(refusal),
            };
            let place = left.iter().position(|wanted| match (&outcome, wanted) {
                (Ok((output, _)), Outcome { expect: Some(expect), .. }) => {
                    samples::contains(expect, output).is_ok()
                }
                (Err(found), Outcome { refusal: Some(expected), .. }) => {
                    refused(expected, found).is_ok()
                }
                _ => false,
            });
            left.remove(place.ok_or_else(|| format!("none of {left:?} is {told}"))?);
            match outcome {
                Ok((output, sent)) => {
                    observe(&output, &mut self.given);
                    self.exchange.deliver(sent).await;
                }
                Err(_) => drop(self.given.insert(Response::Reject)),
            }
        }
        Ok(())
    }

    /// Takes note of what a step proves. An alarm counts when it was raised, and none is raised
    /// that the step does not name.
    fn proven(&mut self, proves: &[Response], alarms: &[String]) -> Result<(), String> {
        if proves.contains(&Response::Alarm) {
            return Err("`proves` cannot show an alarm; name its code in `alarms`".to_owned());
        }
        self.given.extend(proves);
        let sides = [&mut self.exchange.az, &mut self.exchange.pk];
        let raised: Vec<_> =
            sides.into_iter().flat_map(|side| side.bench.warnings.drain(..)).collect();
        let codes: BTreeSet<&str> = raised.iter().map(|alarm| alarm.code).collect();
        let wanted: BTreeSet<&str> = alarms.iter().map(String::as_str).collect();
        if codes != wanted {
            return Err(format!("expected the alarms {wanted:?}, raised were {raised:#?}"));
        }
        if !codes.is_empty() {
            self.given.insert(Response::Alarm);
        }
        Ok(())
    }

    /// Returns who is meant: an actor of the sample, or a member by name.
    fn member(&self, text: &str) -> Result<MemberId, String> {
        let nation = |given: Option<Instance>, default: &str| {
            given.map_or_else(|| default.parse().map_err(|_| "a nation".to_owned()), Ok)
        };
        let from = nation(self.sample.as_ref().map(|sample| sample.from), "AZ")?;
        let to = nation(self.sample.as_ref().map(|sample| sample.to), "PK")?;
        Ok(match text {
            "issuer" => issuer_of(from),
            "export-customs" => customs_of(from),
            "import-customs" | "second-officer" => customs_of(to),
            name => name.parse().map_err(|error| format!("`{name}`: {error}"))?,
        })
    }

    async fn operate(
        &mut self,
        actor: &str,
        (operation, input): (&str, Value),
        expect: Option<Value>,
        refusal: Option<Value>,
    ) -> Result<(), String> {
        let member = self.member(actor)?;
        let user = if actor == "second-officer" { SECOND_OFFICER } else { OFFICER };
        match (self.exchange.act_as((&member, user), operation, input).await, refusal) {
            (Err(found), Some(expected)) => {
                self.given.insert(Response::Reject);
                refused(&expected, &found)
            }
            (Err(found), None) => Err(format!("{operation} was refused: {}", words(&found))),
            (Ok(output), Some(expected)) => {
                Err(format!("{operation} was done, expected the refusal {expected}\n{output:#}"))
            }
            (Ok(output), None) => {
                observe(&output, &mut self.given);
                let expect = expect.ok_or("give `expect` or `refusal`")?;
                samples::contains(&expect, &output)
                    .map_err(|trouble| format!("{operation}: {trouble}\n{output:#}"))
            }
        }
    }

    async fn document(&mut self, step: &Document) -> Result<(), String> {
        let code = karvan_subsystem::Subsystem::document_types(self.exchange.az.customs())
            .iter()
            .map(|kind| kind.code)
            .find(|code| *code == step.code)
            .ok_or_else(|| format!("`{}` is no document type", step.code))?;
        let sender = self.member(&step.sender)?;
        let document = Outgoing {
            recipient: self.member(step.to.as_deref().unwrap_or("import-customs"))?,
            content_type: "application/json",
            body: step.from.bytes(self.sample.as_ref())?,
            sender,
            code,
        };
        let roles: Option<Vec<&str>> =
            step.roles.as_ref().map(|roles| roles.iter().map(String::as_str).collect());
        let answers = self.exchange.hand_over_as(&document, roles.as_deref()).await;
        match (answers, &step.refusal, &step.answer) {
            (Err(found), Some(expected), _) => {
                self.given.insert(Response::Reject);
                refused(expected, &found)
            }
            (Err(found), None, _) => Err(format!("refused: {}", words(&found))),
            (Ok(_), Some(expected), _) => Err(format!("taken, expected the refusal {expected}")),
            (Ok(answers), None, Some(expected)) => {
                let found = answered(&answers, expected);
                self.given.extend(match expected.outcome.as_str() {
                    "accepted" => Some(Response::Accept),
                    "rejected" => Some(Response::Reject),
                    _ => Some(Response::Park),
                });
                self.exchange.deliver(answers).await;
                found
            }
            (Ok(_), None, None) => Err("give `answer` or `refusal`".to_owned()),
        }
    }

    fn format(&mut self, step: &Format) -> Result<(), String> {
        let bytes = step.from.bytes(self.sample.as_ref())?;
        if step.name == "status-list" {
            let packed = Packed { bits: 4, lst: URL_SAFE_NO_PAD.encode(&bytes) };
            let trouble = packed.status(0).err().ok_or("the list is read")?.to_string();
            self.given.insert(Response::Reject);
            let expected = step.refusal.as_ref().ok_or("give `refusal`")?;
            return fits(&Refusal::read(expected)?, None, &trouble, &[]);
        }
        let format = match step.name.as_str() {
            "auto" => match (formats::detect(&bytes), &step.refusal) {
                (None, Some(expected)) => {
                    self.given.insert(Response::Reject);
                    let text = "the format cannot be told";
                    return fits(&Refusal::read(expected)?, None, text, &[]);
                }
                (found, _) => found.ok_or("the format cannot be told"),
            },
            "json" => Ok(formats::Format::Json),
            "wco" => Ok(formats::Format::Wco),
            "edifact" => Ok(formats::Format::Edifact),
            "coo" => Ok(formats::Format::Coo),
            _ => Err("`format` is auto, json, wco, edifact or coo"),
        }?;
        let now = self.exchange.pk.bench.now;
        let context = wco::Context {
            agreement_id: "AZ-PK-PTA",
            sharing_level: SharingLevel::L2,
            received_at: now,
            subject: DocumentType::Export,
        };
        let found = formats::read(&bytes, format, context).map_err(Fault::of).and_then(|read| {
            let error = read.control.as_ref().and_then(|control| {
                let of_messages = || control.verdicts.iter().find_map(|v| v.error.as_ref());
                control.error.as_ref().or_else(of_messages)
            });
            error.map_or(Ok(()), |error| Err(Fault::edifact(error))).map(|()| read)
        });
        match (found, &step.refusal) {
            (Err(fault), Some(expected)) => {
                self.given.insert(Response::Reject);
                let text = fault.text.as_str();
                let code = fault.code.as_deref();
                fits(&Refusal::read(expected)?, code, text, &[(text, text)])
            }
            (Err(fault), None) => Err(format!("refused: {}", fault.text)),
            (Ok(_), Some(expected)) => Err(format!("read, expected the refusal {expected}")),
            (Ok(read), None) => {
                let first = read.documents.first().ok_or("no document was read")?;
                self.look(&first.document, step, now)
            }
        }
    }

    /// Compares what was read with what is expected of it.
    fn look(&mut self, found: &Content, step: &Format, now: Timestamp) -> Result<(), String> {
        if step.expect.is_none() && step.problems.is_empty() {
            return Err("give `expect`, `problems` or `refusal`".to_owned());
        }
        if let Content::Message(message) = found {
            let problems = validate::validate(message, now);
            for rule in &step.problems {
                let broken = problems.iter().find(|problem| problem.rule == rule);
                let severity = broken.ok_or_else(|| format!("{rule} is not among {problems:?}"))?;
                self.given.extend(match severity.severity {
                    Severity::Refuse => Some(Response::Reject),
                    Severity::Flag => Some(Response::Flag),
                    Severity::Notice => Some(Response::Accept),
                });
            }
        }
        let value = found.to_value().map_err(|error| error.to_string())?;
        let Some(expect) = &step.expect else { return Ok(()) };
        self.given.insert(Response::Accept);
        samples::contains(expect, &value).map_err(|trouble| format!("{trouble}\n{value:#}"))
    }
}

/// Why a text was refused.
struct Fault {
    code: Option<String>,
    text: String,
}

impl Fault {
    #[expect(clippy::needless_pass_by_value, reason = "`map_err` hands it over")]
    fn of(error: formats::Error) -> Self {
        match &error {
            formats::Error::Edifact(error) => Self::edifact(error),
            other => Self { code: None, text: other.to_string() },
        }
    }

    fn edifact(error: &edifact::Error) -> Self {
        Self { code: Some(error.rule.code().to_owned()), text: error.to_string() }
    }
}

fn words(found: &Rejection) -> String {
    format!("{}: {} {:?}", found.code, found.text, found.pointers)
}

fn refused(expected: &Value, found: &Rejection) -> Result<(), String> {
    let places: Vec<_> =
        found.pointers.iter().map(|p| (p.rule.as_str(), p.pointer.as_str())).collect();
    fits(&Refusal::read(expected)?, Some(&found.code), &found.text, &places)
        .map_err(|trouble| format!("{trouble} in {}", words(found)))
}

/// Compares a refusal with the expected one; `places` are rules and where they were broken.
fn fits(
    expected: &Refusal,
    code: Option<&str>,
    text: &str,
    places: &[(&str, &str)],
) -> Result<(), String> {
    if let Some(wanted) = &expected.code
        && code != Some(wanted)
    {
        return Err(format!("expected the code {wanted}, found {code:?}: {text}"));
    }
    if let Some(wanted) = &expected.text
        && !text.contains(wanted.as_str())
    {
        return Err(format!("`{wanted}` is not said: {text}"));
    }
    let (rule, at) = (expected.rule.as_deref(), expected.at.as_deref());
    let named = |(found, place): &(&str, &str)| {
        rule.is_none_or(|rule| *found == rule || (*found == text && text.contains(rule)))
            && at.is_none_or(|at| place.contains(at))
    };
    if (rule.is_some() || at.is_some()) && !places.iter().any(named) {
        return Err(format!("no rule {rule:?} at {at:?}: {text} {places:?}"));
    }
    Ok(())
}

/// Compares the validation that was sent with the expected one.
fn answered(answers: &[Outgoing], expected: &Answer) -> Result<(), String> {
    let validation = answers.iter().find(|answer| answer.code == "VAL");
    let Some(validation) = validation else {
        let waits = expected.outcome == "none";
        return if waits { Ok(()) } else { Err("it was not answered".to_owned()) };
    };
    let body: Value =
        serde_json::from_slice(&validation.body).map_err(|error| error.to_string())?;
    if body.get("outcome") != Some(&Value::from(expected.outcome.as_str())) {
        return Err(format!("expected {}, found {body:#}", expected.outcome));
    }
    if expected.rule.is_none() && expected.at.is_none() && expected.text.is_none() {
        return Ok(());
    }
    let errors = body.get("Error").and_then(Value::as_array).into_iter().flatten();
    let said = |error: &Value, name: &str| {
        error.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let wanted = |error: &&Value| {
        let rule = said(error, "ValidationCode");
        expected.rule.as_ref().is_none_or(|wanted| *wanted == rule)
            && expected.at.as_ref().is_none_or(|at| said(error, "pointer").contains(at))
            && expected.text.as_ref().is_none_or(|text| said(error, "Description").contains(text))
    };
    let found = errors.clone().any(|error| wanted(&error));
    if found { Ok(()) } else { Err(format!("{expected:?} is not in {body:#}")) }
}

/// Notes which responses an output shows: severities of differences, flags and proposals.
fn observe(output: &Value, given: &mut BTreeSet<Response>) {
    for item in output.get("items").and_then(Value::as_array).into_iter().flatten() {
        for found in item.get("differences").and_then(Value::as_array).into_iter().flatten() {
            given.extend(match found.get("severity").and_then(Value::as_str) {
                Some("flag") => Some(Response::Flag),
                Some("hold") => Some(Response::Hold),
                Some("deny") => Some(Response::Deny),
                _ => None,
            });
        }
        given.extend(match item.pointer("/proposal/verdict").and_then(Value::as_str) {
            Some("grant") => Some(Response::Accept),
            Some("grant-in-part") => Some(Response::Partial),
            Some("deny") => Some(Response::Deny),
            Some("query") => Some(Response::Hold),
            _ => None,
        });
    }
    if output.get("state").and_then(Value::as_str) == Some("granted-in-part") {
        given.insert(Response::Partial);
    }
    let is_flagged =
        output.get("flags").and_then(Value::as_array).is_some_and(|flags| !flags.is_empty());
    if is_flagged {
        given.insert(Response::Flag);
    }
}

fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let number: u64 = number.parse().ok()?;
    let seconds = match unit {
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return None,
    };
    Some(Duration::from_secs(number.checked_mul(seconds)?))
}
