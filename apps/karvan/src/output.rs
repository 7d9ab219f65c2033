//! What commands print: a table or sentence for a person, JSON for a script. Never ANSI.

use std::io::{self, Write as _};

use anyhow::Result;
use serde::Serialize;

/// How the caller wants it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    pub(crate) json: bool,
}

impl Output {
    /// Prints `value` as JSON, or what `human` makes of it.
    pub(crate) fn print<T: Serialize>(
        self,
        value: &T,
        human: impl FnOnce(&T) -> String,
    ) -> Result<()> {
        let mut text =
            if self.json { serde_json::to_string_pretty(value)? } else { harmless(human(value)) };
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        write(text.as_bytes())
    }
}

/// Takes out of a text what could make a terminal or a reader see something else than is there:
/// control characters, overrides and embeddings of direction, and characters without width. The
/// text ends with a notice when something was taken out; JSON keeps everything, escaped.
fn harmless(text: String) -> String {
    let hidden = text.chars().filter(|c| is_hidden(*c)).count();
    if hidden == 0 {
        return text;
    }
    let mut shown: String = text.chars().filter(|c| !is_hidden(*c)).collect();
    if !shown.ends_with('\n') {
        shown.push('\n');
    }
    shown + &format!("({hidden} hidden characters are not shown; --json has them)\n")
}

/// Isolates and joiners stay: sentences in Urdu need them, and an isolate ends with its line.
fn is_hidden(c: char) -> bool {
    (c.is_control() && c != '\n' && c != '\t')
        || matches!(c, '\u{ad}' | '\u{200b}' | '\u{202a}'..='\u{202e}' | '\u{2060}' | '\u{feff}')
}

/// Writes to standard output; a reader that has gone, such as `head`, is no error.
pub(crate) fn write(bytes: &[u8]) -> Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}

/// Sets rows under headings in columns of equal width.
pub(crate) fn table<const N: usize>(headings: [&str; N], rows: &[[String; N]]) -> String {
    let mut widths = headings.map(|heading| heading.chars().count());
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: &[String; N]| {
        let padded = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        format!("{}\n", padded.collect::<Vec<_>>().join("  ").trim_end())
    };
    let head = line(&headings.map(str::to_uppercase));
    rows.iter().fold(head, |text, row| text + &line(row))
}

#[cfg(test)]
mod tests {
    use super::{harmless, table};

    #[test]
    fn hidden_characters_are_taken_out_and_told() {
        for (text, expected) in [
            ("plain\n", "plain\n"),
            (
                "\u{2067}اردو \u{2068}7408\u{2069}\u{2069}\n",
                "\u{2067}اردو \u{2068}7408\u{2069}\u{2069}\n",
            ),
            (
                "a\u{202e}b\u{1b}[31m",
                "ab[31m\n(2 hidden characters are not shown; --json has them)\n",
            ),
            ("x\u{200b}\r\n", "x\n(2 hidden characters are not shown; --json has them)\n"),
        ] {
            assert_eq!(harmless(text.to_owned()), expected);
        }
    }

    #[test]
    fn columns_line_up() {
        let rows = [["a".to_owned(), "1".to_owned()], ["long".to_owned(), String::new()]];
        assert_eq!(table(["name", "n"], &rows), "NAME  N\na     1\nlong\n");
    }
}
