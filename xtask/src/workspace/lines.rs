//! Lines of Rust: which belong to tests, which are code, and how long a function is.
//!
//! Leans on rustfmt: an item that opens at some indentation closes at the same one, so no parser
//! is needed. `cargo fmt --check` runs before every use that matters.

use super::File;

/// One line of a file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line<'a> {
    /// Counted from 1.
    pub(crate) number: usize,
    pub(crate) text: &'a str,
    /// Whether the line is only compiled for tests, examples or benches.
    pub(crate) in_test: bool,
}

/// A function from its `fn` line to its closing brace.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Function<'a> {
    pub(crate) name: &'a str,
    /// Line of the `fn`, counted from 1.
    pub(crate) number: usize,
    /// Lines inside the body that are neither empty nor only comment, as clippy counts.
    pub(crate) length: usize,
}

impl<'a> Line<'a> {
    /// Returns the line without its comment.
    pub(crate) fn code(&self) -> &'a str {
        self.text.get(..self.comment_start()).unwrap_or_default()
    }

    /// Returns the comment with its slashes, empty when there is none.
    pub(crate) fn comment(&self) -> &'a str {
        self.text.get(self.comment_start()..).unwrap_or_default()
    }

    /// Finds `//` that does not belong to a URL. One inside a string is taken for a comment, which
    /// no rule minds.
    fn comment_start(&self) -> usize {
        let slashes = self.text.match_indices("//").map(|(at, _)| at);
        let mut comments = slashes.filter(|&at| !self.text[..at].ends_with(':'));
        comments.next().unwrap_or(self.text.len())
    }
}

impl File {
    /// Returns the lines, each with whether it belongs to tests.
    pub(crate) fn lines(&self) -> Vec<Line<'_>> {
        let whole = self.is_test_file();
        let mut closing: Option<String> = None;
        let mut lines = Vec::new();
        for (index, text) in self.text().lines().enumerate() {
            if closing.is_none() && text.trim_start() == "#[cfg(test)]" {
                closing = Some(indent(text).to_owned());
            }
            let in_test = whole || closing.is_some();
            lines.push(Line { number: index + 1, text, in_test });
            if closing.as_deref().is_some_and(|at| ends_item(text, at)) {
                closing = None;
            }
        }
        lines
    }

    /// Returns the part of a line in which people remark on the work.
    pub(crate) fn remarks<'a>(&self, line: &Line<'a>) -> &'a str {
        match self.extension() {
            "rs" | "go" => line.comment(),
            "md" => line.text,
            _ => line.text.split_once('#').map_or("", |(_, remark)| remark),
        }
    }

    /// Returns the functions of a Rust file in order.
    pub(crate) fn functions(&self) -> Vec<Function<'_>> {
        let lines = self.lines();
        let mut functions = Vec::new();
        for (index, line) in lines.iter().enumerate() {
            let Some(name) = function_name(line.text) else { continue };
            let close = format!("{}}}", indent(line.text));
            let Some(rest) = lines.get(index..) else { continue };
            let mut item = rest.iter().take_while(|line| line.text != close);
            // The signature may span lines; a body on its last line is short, or there is none.
            let end = item.find(|line| line.text.ends_with(['{', '}', ';']));
            if !end.is_some_and(|line| line.text.ends_with('{')) {
                continue;
            }
            let length = item.filter(|line| !line.code().trim().is_empty()).count();
            functions.push(Function { name, number: line.number, length });
        }
        functions
    }

    fn is_test_file(&self) -> bool {
        let mut parts = self.path.split('/').peekable();
        let folder = |part: &str| matches!(part, "tests" | "benches" | "examples" | "fuzz");
        let mut last = "";
        while let Some(part) = parts.next() {
            if parts.peek().is_some() && folder(part) {
                return true;
            }
            last = part;
        }
        last == "tests.rs"
    }
}

fn indent(text: &str) -> &str {
    let width = text.len() - text.trim_start().len();
    text.get(..width).unwrap_or_default()
}

/// Returns whether `text` closes the item that began at the indentation `at`.
fn ends_item(text: &str, at: &str) -> bool {
    let Some(rest) = text.strip_prefix(at) else { return false };
    rest == "}" || (!rest.starts_with([' ', '#', '/']) && rest.ends_with([';', '}']))
}

fn function_name(text: &str) -> Option<&str> {
    let (before, after) = text.split_once("fn ")?;
    let qualifier = |word: &str| {
        matches!(word, "async" | "const" | "extern" | "pub" | "unsafe") || word.starts_with("pub(")
    };
    let end = after.find(['(', '<'])?;
    before.split_whitespace().all(qualifier).then(|| after.get(..end)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Content;

    fn file(path: &str, text: &str) -> File {
        File { path: path.to_owned(), content: Content::Text(text.to_owned()) }
    }

    #[test]
    fn test_code_is_told_from_the_rest() {
        let check = |path: &str, text: &str, expected: &[usize]| {
            let file = file(path, text);
            let lines = file.lines();
            let found: Vec<_> =
                lines.iter().filter(|line| line.in_test).map(|l| l.number).collect();
            assert_eq!(found, expected, "{path}: {text}");
        };
        check("a/src/lib.rs", "fn a() {}\n#[cfg(test)]\nmod tests;\nfn b() {}\n", &[2, 3]);
        check(
            "a/src/lib.rs",
            "#[cfg(test)]\nmod tests {\n    fn a() {\n    }\n}\nx\n",
            &[1, 2, 3, 4, 5],
        );
        check("a/src/lib.rs", "    #[cfg(test)]\n    fn a() {\n    }\n    fn b() {}\n", &[1, 2, 3]);
        check("a/src/lib.rs", "#[cfg(test)]\n#[path = \"x\"]\nuse a::b;\nfn c() {}\n", &[1, 2, 3]);
        check("a/src/x/tests.rs", "one\n", &[1]);
        check("a/tests/all.rs", "one\n", &[1]);
        check("a/benches/all.rs", "one\n", &[1]);
        check("a/src/tests_of_law.rs", "one\n", &[]);
    }

    #[test]
    fn functions_are_measured_without_comments() {
        let text = [
            "impl A {",
            "    pub(crate) async fn long(",
            "        a: u8,",
            "    ) -> u8 {",
            "        // why",
            "",
            "        a;",
            "        if a {",
            "        }",
            "    }",
            "    fn none(&self);",
            "}",
            "fn one() { 1 }",
        ];
        let file = file("a/src/lib.rs", &text.join("\n"));
        assert_eq!(file.functions(), [Function { name: "long", number: 2, length: 3 }]);
    }

    #[test]
    fn comments_are_cut_but_not_urls() {
        let line = |text| Line { number: 1, text, in_test: false };
        assert_eq!(line("let a = 1; // why").code(), "let a = 1; ");
        assert_eq!(line("let a = 1; // why").comment(), "// why");
        assert_eq!(line("\"https://a.example\"").code(), "\"https://a.example\"");
        assert_eq!(line("/// doc").code(), "");
    }
}
