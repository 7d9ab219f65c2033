//! Errors as X-Road tells them: code, HTTP status, the header `X-Road-Error` and a small body
//! (PR-REST 4.6).
//!
//! A code is a prefix that says whose side failed, perhaps `service_failed` when a relayed message
//! could not be read, and the [`Code`] itself. X-Road 7.8 turned the codes from CamelCase to lower
//! case with underscores; consumers may match either, so [`Spelling`] is chosen per consumer.
//!
//! The presence of `X-Road-Error` is how a consumer tells an error of the exchange from one of the
//! provider, whose statuses pass through untouched.

use serde::Serialize;

pub use code::Code;

use crate::xml;

mod code;

/// In which spelling a consumer gets error codes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Spelling {
    /// `server.serverproxy.access_denied`, from X-Road 7.8 on.
    #[default]
    Snake,
    /// `Server.ServerProxy.AccessDenied`, up to X-Road 7.7 ("legacy codes").
    Camel,
}

/// Whose side failed.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Prefix {
    /// The consumer's request: `client`.
    Client,
    /// The consumer's node: `server.clientproxy`.
    ClientProxy,
    /// The provider's node, handed through unchanged by the consumer's: `server.serverproxy`.
    ServerProxy,
}

impl Prefix {
    /// Every prefix.
    pub const ALL: [Self; 3] = [Self::Client, Self::ClientProxy, Self::ServerProxy];

    /// Returns the prefix without a dot after it.
    pub const fn as_str(self, spelling: Spelling) -> &'static str {
        match (self, spelling) {
            (Self::Client, Spelling::Snake) => "client",
            (Self::Client, Spelling::Camel) => "Client",
            (Self::ClientProxy, Spelling::Snake) => "server.clientproxy",
            (Self::ClientProxy, Spelling::Camel) => "Server.ClientProxy",
            (Self::ServerProxy, Spelling::Snake) => "server.serverproxy",
            (Self::ServerProxy, Spelling::Camel) => "Server.ServerProxy",
        }
    }
}

/// A whole error code.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct FaultCode {
    /// Whose side failed.
    pub prefix: Prefix,
    /// Whether a relayed message could not be read, so that `service_failed` stands in between.
    pub relayed: bool,
    /// What happened.
    pub code: Code,
}

impl FaultCode {
    /// Makes a code for a failure of one side's own work.
    pub const fn new(prefix: Prefix, code: Code) -> Self {
        Self { prefix, relayed: false, code }
    }

    /// Makes a code for a relayed message that one side could not read.
    pub const fn relayed(prefix: Prefix, code: Code) -> Self {
        Self { prefix, relayed: true, code }
    }

    /// Returns the text of body and header.
    pub fn text(self, spelling: Spelling) -> String {
        let between = if self.relayed { Code::ServiceFailed.as_str(spelling) } else { "" };
        let dot = if self.relayed { "." } else { "" };
        [self.prefix.as_str(spelling), ".", between, dot, self.code.as_str(spelling)].concat()
    }

    /// Reads a code in either spelling; `None` when it is unknown.
    pub fn parse(text: &str) -> Option<Self> {
        [Spelling::Snake, Spelling::Camel].into_iter().find_map(|spelling| {
            Prefix::ALL.into_iter().find_map(|prefix| {
                let rest = text.strip_prefix(prefix.as_str(spelling))?.strip_prefix('.')?;
                let (relayed, code) = match rest.split_once('.') {
                    Some((between, code)) => {
                        (between == Code::ServiceFailed.as_str(spelling)).then_some((true, code))?
                    }
                    None => (false, rest),
                };
                Some(Self { prefix, relayed, code: Code::from_text(code, spelling)? })
            })
        })
    }

    /// Returns the HTTP status: 500 when a server failed, 400 for what the consumer must mend.
    pub const fn http_status(self) -> u16 {
        match self.prefix {
            Prefix::Client => 400,
            Prefix::ClientProxy | Prefix::ServerProxy => 500,
        }
    }
}

/// An error as the consumer gets it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fault {
    /// The code, also the value of `X-Road-Error`.
    pub code: FaultCode,
    /// What happened and what to do.
    pub message: String,
    /// The id under which the operator finds the cause in the log.
    pub detail: String,
}

impl Fault {
    /// Returns the body of the answer in UTF-8.
    pub fn body(&self, format: BodyFormat, spelling: Spelling) -> Vec<u8> {
        let (kind, message, detail) = (self.code.text(spelling), &self.message, &self.detail);
        if format == BodyFormat::Json {
            // Three strings always have a JSON form.
            return serde_json::to_vec(&JsonBody { kind: &kind, message, detail })
                .unwrap_or_default();
        }
        let mut out = String::from(xml::DECLARATION);
        out.push_str("<error>");
        xml::element(&mut out, "type", &kind);
        xml::element(&mut out, "message", message);
        xml::element(&mut out, "detail", detail);
        out.push_str("</error>");
        out.into_bytes()
    }
}

#[derive(Serialize)]
struct JsonBody<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    message: &'a str,
    detail: &'a str,
}

/// The formats of an error's body.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum BodyFormat {
    /// JSON, also when the consumer does not say.
    #[default]
    Json,
    /// XML as `text/xml`.
    TextXml,
    /// XML as `application/xml`.
    ApplicationXml,
}

impl BodyFormat {
    /// Chooses by the values of all `Accept` headers: the first item that is XML wins over any
    /// JSON; weights (`q`) are ignored, as X-Road does.
    pub fn from_accept<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Self {
        accepted(values).find_map(Self::of_xml).unwrap_or_default()
    }

    fn of_xml(item: &[u8]) -> Option<Self> {
        let is = |name: &[u8]| item.eq_ignore_ascii_case(name);
        if is(b"application/xml") {
            Some(Self::ApplicationXml)
        } else if is(b"text/xml") || is(b"text/*") {
            Some(Self::TextXml)
        } else {
            None
        }
    }

    /// Returns the value of `Content-Type`.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json;charset=utf-8",
            Self::TextXml => "text/xml;charset=utf-8",
            Self::ApplicationXml => "application/xml;charset=utf-8",
        }
    }
}

/// Returns the media ranges of `Accept` values, without parameters and blanks.
pub(crate) fn accepted<'a>(
    values: impl IntoIterator<Item = &'a [u8]>,
) -> impl Iterator<Item = &'a [u8]> {
    let items = values.into_iter().flat_map(|value| value.split(|&byte| byte == b','));
    items.map(|item| item.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii())
}
