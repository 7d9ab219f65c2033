//! Rules of values that go with a declaration without a field of their own.

use super::super::Problems;
use crate::messages::{EXTENSIONS_MAX, Message};
use crate::wco;

/// Longest such value, in bytes.
const VALUE_BYTES_MAX: usize = wco::TEXT_BYTES_MAX;

pub(super) fn check(message: &Message, problems: &mut Problems) {
    let ext = match message {
        Message::Export(content) => &content.ext,
        Message::Import(content) => &content.ext,
        Message::Amendment(content) => &content.ext,
        Message::Cancellation(content) => &content.ext,
        _ => return,
    };
    if ext.len() > EXTENSIONS_MAX {
        let remedy = format!("give at most {EXTENSIONS_MAX} values without a field of their own");
        problems.refuse("ext", "ITEMS", remedy);
        return;
    }
    for (value, number) in ext.iter().zip(1..) {
        let depth = usize::try_from(value.depth).unwrap_or(usize::MAX);
        if !wco::is_known(&value.path, depth) {
            let remedy = "name an element of the WCO Data Model by its path below the declaration, \
                          and how many of its elements the message has";
            problems.refuse(&format!("ext[{number}]/path"), "PATH", remedy);
        }
        if value.value.is_empty() || value.value.len() > VALUE_BYTES_MAX {
            let remedy = format!("give 1 to {VALUE_BYTES_MAX} bytes");
            problems.refuse(&format!("ext[{number}]/value"), "LENGTH", remedy);
        }
    }
}
