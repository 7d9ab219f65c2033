//! Sizes and shape of source files: what a reader can hold in the head, and on the screen.

use super::{Findings, Rule};
use crate::workspace::{Content, File, Workspace};

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "file-length",
        about: "A source file has at most 600 lines without its tests; aim under 300.",
        remedy: "split it by notion into `foo.rs` and `foo/`; a generated file or a table may be \
                 exempt in xtask/src/tidy/exemptions.rs",
        check: file_length,
    },
    Rule {
        name: "function-length",
        about: "A function has at most 70 lines of code.",
        remedy: "name its steps and make each a function",
        check: function_length,
    },
    Rule {
        name: "line-width",
        about: "A line has at most 100 columns, unless it cannot be broken.",
        remedy: "break the line",
        check: line_width,
    },
    Rule {
        name: "white-space",
        about: "No tab, no trailing space, no carriage return; a file ends with one newline.",
        remedy: "let the editor strip them; `cargo fmt` does it for Rust",
        check: white_space,
    },
    Rule {
        name: "module-header",
        about: "A module over 100 lines without tests opens with `//!`: what, how, invariants, \
                what is not here.",
        remedy: "write the header for a reader who arrives by search",
        check: module_header,
    },
    Rule {
        name: "no-mod-rs",
        about: "A module is `foo.rs` with a folder `foo/`.",
        remedy: "rename `foo/mod.rs` to `foo.rs`",
        check: no_mod_rs,
    },
    Rule {
        name: "large-binaries",
        about: "No binary file over 200 KiB outside testdata.",
        remedy: "make it when it is needed, or move test data into a testdata folder",
        check: large_binaries,
    },
];

const FILE_LINES_MAX: usize = 600;
const FUNCTION_LINES_MAX: usize = 70;
const LINE_COLUMNS_MAX: usize = 100;
/// A word this long (a digest, a URL, a key) cannot be broken, nor can its line.
const WORD_COLUMNS_MAX: usize = 60;
const HEADERLESS_LINES_MAX: usize = 100;
const BINARY_BYTES_MAX: usize = 200 * 1024;

/// Texts that people write, by the end of their names. Data keeps the shape of its maker.
const WRITTEN: &[&str] = &["rs", "md", "py", "go", "sh"];

fn rust(tree: &Workspace) -> impl Iterator<Item = &File> {
    tree.files.iter().filter(|file| file.extension() == "rs" && !file.is_testdata())
}

fn written(tree: &Workspace) -> impl Iterator<Item = &File> {
    let known = |file: &&File| WRITTEN.contains(&file.extension()) && !file.is_testdata();
    tree.files.iter().filter(known)
}

fn file_length(tree: &Workspace, findings: &mut Findings) {
    for file in written(tree).filter(|file| file.extension() != "md") {
        let count = file.lines().iter().filter(|line| !line.in_test).count();
        if count > FILE_LINES_MAX {
            let what = format!("{count} lines without tests, {FILE_LINES_MAX} at most");
            findings.report(&file.path, 0, what);
        }
    }
}

fn function_length(tree: &Workspace, findings: &mut Findings) {
    for file in rust(tree) {
        for function in file.functions() {
            if function.length > FUNCTION_LINES_MAX {
                let (name, length) = (function.name, function.length);
                let what = format!("{name} has {length} lines, {FUNCTION_LINES_MAX} at most");
                findings.report(&file.path, function.number, what);
            }
        }
    }
}

fn line_width(tree: &Workspace, findings: &mut Findings) {
    // Go is as wide as gofmt leaves it; a table or a command in Markdown cannot be broken.
    for file in written(tree).filter(|file| file.extension() != "go") {
        let markdown = file.extension() == "md";
        for line in file.lines() {
            let width = line.text.chars().count();
            let whole = markdown && (line.text.starts_with('|') || line.text.starts_with("    "));
            let solid = |word: &str| word.chars().count() > WORD_COLUMNS_MAX;
            if width > LINE_COLUMNS_MAX && !whole && !line.text.split(' ').any(solid) {
                let what = format!("{width} columns, {LINE_COLUMNS_MAX} at most");
                findings.report(&file.path, line.number, what);
            }
        }
    }
}

fn white_space(tree: &Workspace, findings: &mut Findings) {
    let shaped = ["toml", "yaml", "yml", "sql", "html", "css"];
    let known = |file: &&File| shaped.contains(&file.extension()) && !file.is_testdata();
    for file in written(tree).chain(tree.files.iter().filter(known)) {
        // gofmt indents with tabs.
        let tabs = file.extension() != "go";
        for (index, text) in file.text().split('\n').enumerate() {
            if text.ends_with([' ', '\t', '\r']) || (tabs && text.contains('\t')) {
                findings.report(&file.path, index + 1, "tab, trailing space or CR".to_owned());
            }
        }
        let text = file.text();
        if !text.is_empty() && (!text.ends_with('\n') || text.ends_with("\n\n")) {
            let what = "does not end with exactly one newline".to_owned();
            findings.report(&file.path, text.lines().count(), what);
        }
    }
}

fn module_header(tree: &Workspace, findings: &mut Findings) {
    for file in rust(tree) {
        let text = file.text();
        let opens = text.starts_with("//!") || text.starts_with("#![doc = include_str!(");
        let count = file.lines().iter().filter(|line| !line.in_test).count();
        if count > HEADERLESS_LINES_MAX && !opens {
            findings.report(&file.path, 1, "no module header".to_owned());
        }
    }
}

fn no_mod_rs(tree: &Workspace, findings: &mut Findings) {
    for file in rust(tree).filter(|file| file.path.ends_with("/mod.rs")) {
        findings.report(&file.path, 0, "is called mod.rs".to_owned());
    }
}

fn large_binaries(tree: &Workspace, findings: &mut Findings) {
    for file in tree.files.iter().filter(|file| !file.is_testdata()) {
        match file.content {
            Content::Binary(bytes) if bytes > BINARY_BYTES_MAX => {
                let what = format!("{bytes} bytes, {BINARY_BYTES_MAX} at most");
                findings.report(&file.path, 0, what);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testkit::{check, found};
    use super::*;

    /// Checks one Rust file; `lines` are those that the rule should name.
    #[track_caller]
    fn at(rule: &str, path: &str, text: &str, lines: &[usize]) {
        let places: Vec<_> = lines.iter().map(|line| format!("{path}:{line}")).collect();
        let expected: Vec<_> = places.iter().map(String::as_str).collect();
        check(rule, &[(path, text)], &expected);
    }

    #[test]
    fn files_are_short_but_for_tests() {
        let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "    x;\n".repeat(700));
        at("file-length", "a/src/a.rs", &"x;\n".repeat(600), &[]);
        at("file-length", "a/src/a.rs", &"x;\n".repeat(601), &[0]);
        at("file-length", "a/src/a.rs", &format!("{}{tests}", "x;\n".repeat(600)), &[]);
        at("file-length", "a/src/a/tests.rs", &"x;\n".repeat(900), &[]);
        at("file-length", "a/testdata/a.rs", &"x;\n".repeat(900), &[]);
    }

    #[test]
    fn functions_are_short_but_for_comments() {
        let function = |lines: usize| format!("x;\nfn a() {{\n{}}}\n", "    x;\n".repeat(lines));
        at("function-length", "a/src/a.rs", &function(70), &[]);
        at("function-length", "a/src/a.rs", &function(71), &[2]);
        let told = format!("fn a() {{\n{}}}\n", "    // why\n\n".repeat(71));
        at("function-length", "a/src/a.rs", &told, &[]);
    }

    #[test]
    fn lines_are_narrow_where_they_can_be_broken() {
        let words = |count: usize| "ə1234 ".repeat(count);
        at("line-width", "a/src/a.rs", &format!("{}abcd", words(16)), &[]);
        at("line-width", "a/src/a.rs", &format!("x\n{}abcde", words(16)), &[2]);
        at("line-width", "docs/a.md", &format!("| {}", words(20)), &[]);
        at("line-width", "docs/a.md", &format!("    {}", words(20)), &[]);
        at("line-width", "docs/a.md", &words(20), &[1]);
        at("line-width", "a/b.go", &words(20), &[]);
        at("line-width", "a/src/a.rs", &format!("// {} {}", "f".repeat(64), words(9)), &[]);
        at("line-width", "a/src/a.csv", &words(20), &[]);
    }

    #[test]
    fn white_space_is_plain() {
        at("white-space", "a/src/a.rs", "a\n", &[]);
        at("white-space", "a/src/a.rs", "a \n", &[1]);
        at("white-space", "a/src/a.rs", "a\n\tb\n", &[2]);
        at("white-space", "a/b.go", "a\n\tb\n", &[]);
        at("white-space", "a/b.go", "a\t\n", &[1]);
        at("white-space", "a/src/a.rs", "a\r\n", &[1]);
        at("white-space", "a/Cargo.toml", "[package]\nname = \"a\"", &[2]);
        at("white-space", "a/src/a.rs", "a\n\n", &[2]);
    }

    #[test]
    fn long_modules_have_a_header() {
        at("module-header", "a/src/a.rs", &"x;\n".repeat(100), &[]);
        at("module-header", "a/src/a.rs", &"x;\n".repeat(101), &[1]);
        at("module-header", "a/src/a/tests.rs", &"x;\n".repeat(101), &[]);
        at("module-header", "a/src/a.rs", &format!("//! what\n{}", "x;\n".repeat(101)), &[]);
    }

    #[test]
    fn modules_are_named() {
        at("no-mod-rs", "a/src/a/mod.rs", "x\n", &[0]);
        at("no-mod-rs", "a/src/a/model.rs", "x\n", &[]);
    }

    #[test]
    fn binaries_are_small() {
        let tree = |path: &str, bytes| {
            let file = File { path: path.to_owned(), content: Content::Binary(bytes) };
            Workspace { files: vec![file], ..Workspace::default() }
        };
        let limit = 200 * 1024;
        assert!(found("large-binaries", &tree("a/b.png", limit)).is_empty());
        assert_eq!(found("large-binaries", &tree("a/b.png", limit + 1)), ["a/b.png:0"]);
        assert!(found("large-binaries", &tree("a/testdata/b.png", limit + 1)).is_empty());
    }
}
