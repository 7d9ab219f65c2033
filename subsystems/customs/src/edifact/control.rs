//! The answer to an interchange, after the CONTRL message: what was taken and what was not.
//!
//! Per interchange one UCI, per message one UCM; a refused message names segment (UCS), element
//! and component (UCD) with the error code of data element 0085. It acknowledges syntax and form,
//! not content: what customs decides is answered by CUSRES.
//!
//! Invariants: an answer is never answered; nothing of the refused content is repeated in it.

use super::convert::Unwritable;
use super::error::Error;
use super::interchange::{Header, MessageType};
use super::write::{Envelope, Line, Out};

/// Action code (0083): this level and all below it are rejected.
const REJECTED: &str = "4";
/// Action code: this level is acknowledged, the next unless it is rejected by name.
const ACKNOWLEDGED: &str = "7";

/// What became of one message.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// Message reference.
    pub reference: String,
    /// Its type.
    pub kind: MessageType,
    /// Why it was refused, if it was.
    pub error: Option<Error>,
}

/// What became of an interchange.
#[derive(Clone, Debug)]
pub struct Control {
    header: Header,
    /// Per message, in order.
    pub verdicts: Vec<Verdict>,
    /// Why the whole interchange was refused, if it was.
    pub error: Option<Error>,
}

impl Control {
    /// Begins the answer to an interchange.
    pub fn new(header: Header) -> Self {
        Self { header, verdicts: Vec::new(), error: None }
    }

    /// Returns whether everything was taken.
    pub fn is_clean(&self) -> bool {
        self.error.is_none() && self.verdicts.iter().all(|verdict| verdict.error.is_none())
    }

    /// Returns the header of the interchange that is answered.
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// Writes the answer. The envelope says who answers; `UNOC` and above hold every reference.
    pub fn write(&self, envelope: &Envelope<'_>) -> Result<Vec<u8>, Unwritable> {
        let fail = |error: super::write::Unmappable| {
            Unwritable::character("CONTRL", error.0, envelope.charset)
        };
        let mut out = Out::open(envelope).map_err(fail)?;
        out.open_message("1", "CONTRL", ["D", "3"]).map_err(fail)?;
        for line in self.lines() {
            out.line(&line).map_err(fail)?;
        }
        out.close_message("1").map_err(fail)?;
        out.close(1, envelope.reference).map_err(fail)
    }

    fn lines(&self) -> Vec<Line> {
        let Header { reference, sender, recipient, .. } = &self.header;
        let action = if self.error.is_some() { REJECTED } else { ACKNOWLEDGED };
        let mut uci = Line::of("UCI", &[reference, sender, recipient, action]);
        if let Some(error) = &self.error {
            place(&mut uci, 5, error);
        }
        let mut lines = vec![uci];
        // A rejected interchange takes its messages with it.
        let verdicts = if self.error.is_some() { &[] } else { self.verdicts.as_slice() };
        for Verdict { reference, kind, error } in verdicts {
            let action = if error.is_some() { REJECTED } else { ACKNOWLEDGED };
            let mut ucm = Line::of("UCM", &[reference, &kind.name, action]);
            let (version, release) = kind.directory.split_once('.').unwrap_or_default();
            for (component, value) in (2..).zip([version, release, "UN"]) {
                ucm.set(2, component, value);
            }
            let Some(error) = error else {
                lines.push(ucm);
                continue;
            };
            if matches!(error.position.tag.as_str(), "UNH" | "UNT") {
                place(&mut ucm, 4, error);
                lines.push(ucm);
                continue;
            }
            lines.push(ucm);
            let number = error.position.segment_in_message.to_string();
            let code = error.rule.code();
            if error.position.element == 0 {
                lines.push(Line::of("UCS", &[&number, code]));
            } else {
                lines.push(Line::of("UCS", &[&number]));
                let mut ucd = Line::of("UCD", &[code]);
                ucd.set(2, 1, error.position.element.to_string());
                ucd.set(2, 2, component(error));
                lines.push(ucd);
            }
        }
        lines
    }
}

/// Adds code, service segment, element and component from an element of the line on.
fn place(line: &mut Line, from: usize, error: &Error) {
    line.set(from, 1, error.rule.code());
    line.set(from + 1, 1, error.position.tag.as_str());
    if error.position.element > 0 {
        line.set(from + 2, 1, error.position.element.to_string());
        line.set(from + 2, 2, component(error));
    }
}

fn component(error: &Error) -> String {
    match error.position.component {
        0 => String::new(),
        component => component.to_string(),
    }
}
