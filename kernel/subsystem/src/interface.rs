//! What a sub-system offers to agencies' systems over HTTP, as data.
//!
//! An [`Interface`] is a table: each [`Endpoint`] says which operation a request calls and from
//! which parts of the request the operation's input is put together. The kernel serves the table
//! and writes its OpenAPI document from it ([`crate::openapi`]), so neither can say anything that
//! the other does not do, and no sub-system sees HTTP (INV-10).
//!
//! Not here: what the operations do (`Subsystem::operate`, `Subsystem::query`), who may call them
//! ([`crate::Operation::permission`]).

use serde_json::{Map, Value};

use crate::Rejection;

/// The way to a sub-system for agencies' systems: `/api/{sub-system}/v{version}/…`.
#[derive(Debug)]
pub struct Interface {
    /// Version of the whole; a change that breaks callers is a new one.
    pub version: u32,
    /// Title of its description.
    pub title: &'static str,
    /// What it is for, in Markdown.
    pub about: &'static str,
    /// Groups of endpoints with a sentence for each, in the order of reading.
    pub groups: &'static [Group],
    /// The endpoints.
    pub endpoints: &'static [Endpoint],
    /// Makes the named JSON Schemas (draft 2020-12) that endpoints refer to.
    pub schemas: fn() -> Map<String, Value>,
    /// Returns a named example.
    pub example: fn(&str) -> Option<Value>,
    /// Returns where a rule that refusals name is written: a standard, an agreement, a data file.
    pub source: fn(&str) -> Option<&'static str>,
    /// Says a refusal, its own or the kernel's, in one of [`LANGUAGES`] other than the first; None
    /// leaves it in the first.
    pub say: fn(&Rejection, &str) -> Option<Said>,
}

/// A refusal in the words of a language.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Said {
    /// The kind of refusal.
    pub title: String,
    /// What is wrong and what to do, without the values of the case.
    pub detail: String,
}

/// Languages that texts may exist in (ISO 639-1), the first one always.
pub const LANGUAGES: [&str; 3] = ["en", "az", "ur"];

/// A group of endpoints.
#[derive(Clone, Copy, Debug)]
pub struct Group {
    /// Name, as endpoints write it.
    pub name: &'static str,
    /// One sentence.
    pub about: &'static str,
}

/// What a request does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Method {
    /// Reads.
    Get,
    /// Has an effect.
    Post,
}

/// One method and path.
#[derive(Clone, Copy, Debug)]
pub struct Endpoint {
    /// Unique name (`operationId`), such as `submitCertificate`.
    pub id: &'static str,
    /// The method.
    pub method: Method,
    /// Path below the interface's, with parameters in braces.
    pub path: &'static str,
    /// Name of its group.
    pub group: &'static str,
    /// A few words.
    pub summary: &'static str,
    /// What it does, what it leaves, what to watch, in Markdown.
    pub about: &'static str,
    /// The operation that it calls.
    pub operation: &'static str,
    /// Members of the operation's input that are always the same.
    pub fixed: &'static [(&'static str, &'static str)],
    /// Members that come from path and query.
    pub parameters: &'static [Parameter],
    /// What the request carries.
    pub body: Option<Body>,
    /// What is answered when all is well.
    pub answer: Answer,
    /// Whether the operation says its texts in the language that the member `lang` of its input
    /// names: one of [`LANGUAGES`].
    pub speaks: bool,
    /// The endpoint that shows what this one changes: a caller may make its request depend on the
    /// state that it has seen there (`If-Match`).
    pub changes: Option<&'static str>,
}

/// The body of a request.
#[derive(Clone, Copy, Debug)]
pub struct Body {
    /// In which form it comes.
    pub media: Media,
    /// Name of its schema.
    pub schema: &'static str,
    /// Where it goes.
    pub place: Place,
    /// Name of an example.
    pub example: &'static str,
}

/// The form of a body: its media type, and what the operation's input has of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Media {
    /// One JSON object, `application/json`.
    Json,
    /// UTF-8 text of this media type, as a string.
    Text(&'static str),
    /// Bytes of this media type, as a string in base64 (RFC 4648, section 4).
    Bytes(&'static str),
}

/// Where a body goes in the input of an operation.
#[derive(Clone, Copy, Debug)]
pub enum Place {
    /// Into the member of this name.
    Member(&'static str),
    /// Its members become members of the input; JSON only.
    Whole,
}

/// What is answered when all is well.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    /// 200, or 201 when something was made.
    pub status: u16,
    /// Name of its schema.
    pub schema: &'static str,
    /// Name of an example.
    pub example: &'static str,
}

/// A value in the path or the query.
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    /// Name in the path or the query.
    pub name: &'static str,
    /// Where it stands.
    pub at: At,
    /// The member of the operation's input that it becomes.
    pub member: &'static str,
    /// What it may be.
    pub kind: Kind,
    /// What it means.
    pub about: &'static str,
    /// An example.
    pub example: &'static str,
}

/// Where a parameter stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum At {
    /// In the path; always there.
    Path,
    /// In the query; may be left out.
    Query,
    /// In the query; must be there.
    RequiredQuery,
}

/// What a parameter may be.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// Text of one to so many characters, none of them a control character.
    Text {
        /// Most characters.
        chars_max: usize,
    },
    /// A whole number.
    Number {
        /// Smallest.
        min: u64,
        /// Largest.
        max: u64,
    },
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Digits only, so many.
    Digits {
        /// Fewest.
        min: usize,
        /// Most.
        max: usize,
    },
    /// A calendar date, `YYYY-MM-DD`.
    Date,
}

/// Something that happened, told to a member's systems: a line of the sub-system's journal.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Notice {
    /// Number of the line; grows, and never changes.
    pub number: u64,
    /// What kind of thing happened, such as `customs.certificate`.
    pub kind: String,
    /// When.
    pub at: karvan_types::Timestamp,
    /// The rest, for the reader.
    pub data: Value,
}

/// A page of notices.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Notices {
    /// Those of the member, in order.
    pub rows: Vec<Notice>,
    /// The last line that was looked at, whether it is for the member or not.
    pub seen: u64,
}

impl Interface {
    /// Returns the endpoint with this name.
    pub fn endpoint(&self, id: &str) -> Option<&'static Endpoint> {
        self.endpoints.iter().find(|endpoint| endpoint.id == id)
    }

    /// Returns the path under which it is served.
    pub fn base(&self, subsystem: &str) -> String {
        format!("/api/{subsystem}/v{}", self.version)
    }
}

impl Media {
    /// Returns the media type, as it is registered.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Text(name) | Self::Bytes(name) => name,
        }
    }
}

impl Kind {
    /// Reads a value, or tells what it must be.
    pub fn read(&self, text: &str) -> Result<Value, String> {
        match self {
            Self::Text { chars_max } => {
                let fits = (1..=*chars_max).contains(&text.chars().count())
                    && !text.chars().any(char::is_control);
                let wanted = format!("1 to {chars_max} characters, none of them a control one");
                if fits { Ok(text.into()) } else { Err(wanted) }
            }
            Self::Number { min, max } => {
                let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
                let number = text.parse::<u64>().ok().filter(|_| plain);
                let number = number.filter(|number| (min..=max).contains(&number));
                number.map(Value::from).ok_or_else(|| format!("a whole number from {min} to {max}"))
            }
            Self::Choice(words) => {
                let known = words.contains(&text);
                if known { Ok(text.into()) } else { Err(format!("one of {}", words.join(", "))) }
            }
            Self::Digits { min, max } => {
                let fits = (*min..=*max).contains(&text.len())
                    && text.bytes().all(|byte| byte.is_ascii_digit());
                if fits { Ok(text.into()) } else { Err(format!("{min} to {max} digits")) }
            }
            Self::Date => {
                let date = text.parse::<karvan_types::Date>().ok();
                let date = date.filter(|date| date.to_string() == text);
                date.map(|_| text.into()).ok_or_else(|| "a date written YYYY-MM-DD".to_owned())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_read_strictly() {
        let text = Kind::Text { chars_max: 3 };
        let number = Kind::Number { min: 1, max: 20 };
        let choice = Kind::Choice(&["open", "closed"]);
        let digits = Kind::Digits { min: 6, max: 8 };
        for (kind, value, good) in [
            (text, "abc", true),
            (text, "ə¹²", true),
            (text, "", false),
            (text, "abcd", false),
            (text, "a\u{0}", false),
            (number, "20", true),
            (number, "0", false),
            (number, "21", false),
            (number, "+5", false),
            (number, "", false),
            (number, "99999999999999999999", false),
            (choice, "open", true),
            (choice, "Open", false),
            (digits, "740811", true),
            (digits, "7408.11", false),
            (digits, "74081", false),
            (Kind::Date, "2026-10-02", true),
            (Kind::Date, "2026-02-30", false),
            (Kind::Date, "20261002", false),
        ] {
            assert_eq!(kind.read(value).is_ok(), good, "{kind:?} {value:?}");
        }
    }
}
