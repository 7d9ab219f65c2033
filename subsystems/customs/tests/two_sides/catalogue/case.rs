//! A case as its file says it.

use std::collections::BTreeMap;

use karvan_types::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::source::Source;
use super::trust::Signing;

/// A response that the catalogue asks for.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd)]
#[serde(rename_all = "lowercase")]
pub(super) enum Response {
    /// Taken without a word, or granted.
    Accept,
    /// Refused, and told why.
    Reject,
    /// Kept until what it waits for comes.
    Park,
    /// Kept, shown, and left to the officer.
    Flag,
    /// Not granted before something is cleared up.
    Hold,
    /// A denial is proposed.
    Deny,
    /// Granted in part.
    Partial,
    /// A security event for the operators.
    Alarm,
    /// Somebody gets a task.
    Task,
}

/// A case of the catalogue.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    #[serde(rename = "case")]
    pub(super) number: u32,
    pub(super) title: String,
    pub(super) about: String,
    pub(super) fictitious: bool,
    pub(super) response: Vec<Response>,
    base: Option<String>,
    today: Option<Timestamp>,
    #[serde(default)]
    steps: Vec<Value>,
    #[serde(default)]
    plays: Vec<Play>,
}

/// Steps that share one exchange.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Play {
    #[serde(default)]
    pub(super) about: String,
    pub(super) base: Option<String>,
    pub(super) today: Option<Timestamp>,
    /// Whether neither side has the exchange rates of the samples.
    #[serde(default, rename = "withoutRates")]
    pub(super) without_rates: bool,
    pub(super) steps: Vec<Value>,
}

impl Case {
    /// Reads a case.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let case: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if case.steps.is_empty() == case.plays.is_empty() {
            return Err("give either `steps` or `plays`".to_owned());
        }
        if !case.fictitious || case.title.is_empty() || case.about.is_empty() {
            return Err("give `title` and `about`, and say `fictitious: true`".to_owned());
        }
        if case.response.is_empty() {
            return Err("name the `response`".to_owned());
        }
        Ok(case)
    }

    /// Returns what is played, each on an exchange of its own.
    pub(super) fn plays(&self) -> Vec<Play> {
        if self.plays.is_empty() {
            let (base, today, steps) = (self.base.clone(), self.today, self.steps.clone());
            return vec![Play { base, today, steps, ..Play::default() }];
        }
        let whole = |play: &Play| Play {
            base: play.base.clone().or_else(|| self.base.clone()),
            today: play.today.or(self.today),
            ..play.clone()
        };
        self.plays.iter().map(whole).collect()
    }
}

/// What a step expects of a refusal; all that is given must hold.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Refusal {
    /// The code of the refusal, or of an EDIFACT syntax error.
    pub(super) code: Option<String>,
    /// A part of what is said.
    pub(super) text: Option<String>,
    /// A rule that is named.
    pub(super) rule: Option<String>,
    /// A part of the place of the field, or of the position in the text.
    pub(super) at: Option<String>,
}

/// One step.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Repeat(Repeat),
    Operate(Operate),
    Document(Document),
    Format(Format),
    Clock(Clock),
    Signed(ByKey),
    Together(Together),
}

/// A step of the sample, with changes.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Repeat {
    /// Which step of the sample, counted from 1.
    pub(super) play: usize,
    #[serde(default)]
    pub(super) changes: serde_json::Map<String, Value>,
    /// Whether what it sends is lost on the way.
    #[serde(default)]
    pub(super) lost: bool,
    pub(super) expect: Option<Value>,
    pub(super) refusal: Option<Value>,
    /// Codes of the alarms that the step raises, on either side; no others.
    #[serde(default)]
    pub(super) alarms: Vec<String>,
    #[serde(default)]
    pub(super) proves: Vec<Response>,
}

/// Any operation.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Operate {
    pub(super) actor: String,
    pub(super) operation: String,
    pub(super) input: Value,
    /// Texts that are put into the input, by JSON pointer.
    #[serde(default)]
    pub(super) texts: BTreeMap<String, Source>,
    pub(super) expect: Option<Value>,
    pub(super) refusal: Option<Value>,
    /// Codes of the alarms that the step raises, on either side; no others.
    #[serde(default)]
    pub(super) alarms: Vec<String>,
    #[serde(default)]
    pub(super) proves: Vec<Response>,
}

/// A document that arrives, whoever sent it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Document {
    #[serde(rename = "document")]
    pub(super) code: String,
    pub(super) sender: String,
    pub(super) roles: Option<Vec<String>>,
    pub(super) to: Option<String>,
    pub(super) from: Source,
    pub(super) answer: Option<Answer>,
    pub(super) refusal: Option<Value>,
    /// Codes of the alarms that the step raises, on either side; no others.
    #[serde(default)]
    pub(super) alarms: Vec<String>,
    #[serde(default)]
    pub(super) proves: Vec<Response>,
}

/// The validation that answers a document.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Answer {
    /// `accepted`, `rejected`, or `none` when it waits.
    pub(super) outcome: String,
    pub(super) rule: Option<String>,
    pub(super) at: Option<String>,
    pub(super) text: Option<String>,
}

/// A text in an exchange format, read without a node.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Format {
    /// `json`, `wco`, `edifact`, `coo`, or `auto`; `status-list` for the bytes of a list of
    /// statuses.
    #[serde(rename = "format")]
    pub(super) name: String,
    pub(super) from: Source,
    /// What the first document of the text contains.
    pub(super) expect: Option<Value>,
    /// Rules that the first document breaks.
    #[serde(default)]
    pub(super) problems: Vec<String>,
    pub(super) refusal: Option<Value>,
    #[serde(default)]
    pub(super) proves: Vec<Response>,
}

/// Time goes by on both sides.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Clock {
    /// How much, such as `90m`, `24h` or `3d`.
    pub(super) clock: String,
    /// Codes of the alarms that are raised meanwhile, on either side; no others.
    #[serde(default)]
    pub(super) alarms: Vec<String>,
}

/// A certificate that the issuer's key signed, verified by the lists of a node.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ByKey {
    pub(super) signed: Signing,
    /// Which step of the sample has the certificate.
    pub(super) play: usize,
    /// Nothing when the signature holds.
    pub(super) refusal: Option<Value>,
}

/// Operations that two offices of the importing customs call at the same moment.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Together {
    pub(super) together: [Call; 2],
    /// What becomes of them, whichever comes first.
    pub(super) outcomes: [Outcome; 2],
}

/// An operation of one office.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Call {
    pub(super) operation: String,
    pub(super) input: Value,
}

/// What becomes of one of two calls: exactly one of the two.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Outcome {
    pub(super) expect: Option<Value>,
    pub(super) refusal: Option<Value>,
}

impl Step {
    /// Reads a step; the member that only it has tells which kind it is.
    pub(super) fn read(value: &Value) -> Result<Self, String> {
        let has = |name: &str| value.get(name).is_some();
        if has("operation") {
            return Ok(Self::Operate(of(value)?));
        }
        if has("together") {
            return Ok(Self::Together(of(value)?));
        }
        if has("signed") {
            return Ok(Self::Signed(of(value)?));
        }
        if has("play") {
            return Ok(Self::Repeat(of(value)?));
        }
        if has("document") {
            return Ok(Self::Document(of(value)?));
        }
        if has("format") {
            return Ok(Self::Format(of(value)?));
        }
        if has("clock") {
            return Ok(Self::Clock(of(value)?));
        }
        Err("a step has `play`, `operation`, `together`, `document`, `signed`, `format` or `clock`"
            .to_owned())
    }
}

fn of<T: DeserializeOwned>(value: &Value) -> Result<T, String> {
    serde_json::from_value(value.clone()).map_err(|error| error.to_string())
}

impl Refusal {
    /// Reads an expected refusal: its code alone, or several things about it.
    pub(super) fn read(value: &Value) -> Result<Self, String> {
        match value {
            Value::String(code) => Ok(Self { code: Some(code.clone()), ..Self::default() }),
            other => of(other),
        }
    }
}
