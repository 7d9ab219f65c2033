//! Writing the few XML answers of the protocol.

/// The declaration before every answer.
pub(crate) const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>";

/// Appends `<name>text</name>`, with the text escaped.
pub(crate) fn element(out: &mut String, name: &str, text: &str) {
    out.extend(["<", name, ">"]);
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            // A reader would turn a bare carriage return into a line feed.
            '\r' => out.push_str("&#13;"),
            '\t' | '\n' => out.push(letter),
            // XML 1.0, production 2: these may not even be written as references.
            '\0'..='\x1f' | '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            _ => out.push(letter),
        }
    }
    out.extend(["</", name, ">"]);
}
