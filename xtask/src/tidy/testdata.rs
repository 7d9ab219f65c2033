//! Test data that no test reads is weight without use.

use super::{Findings, Rule};
use crate::workspace::{File, Package, Workspace, is_within};

pub(super) const RULES: &[Rule] = &[Rule {
    name: "dead-testdata",
    about: "Every file of a testdata folder is named by its crate, or lies in a folder that is.",
    remedy: "use it in a test, or delete it",
    check: dead_testdata,
}];

const FOLDER: &str = "testdata/";

/// Names of files that tell where the others come from.
const ABOUT: &[&str] = &["ORIGIN.txt", "README.md"];

fn dead_testdata(tree: &Workspace, findings: &mut Findings) {
    for file in &tree.files {
        let Some((_, inner)) = file.path.split_once(FOLDER) else { continue };
        let name = inner.rsplit('/').next().unwrap_or_default();
        let source = sources(tree, tree.package_of(&file.path), &file.path);
        if !ABOUT.contains(&name) && !names(&source, inner, name) {
            findings.report(&file.path, 0, "no source names it".to_owned());
        }
    }
}

/// Returns the code that may read the file: its crate's, or what lies beside its folder.
fn sources(tree: &Workspace, package: Option<&Package>, path: &str) -> String {
    let beside = path.split_once(FOLDER).map_or("", |(before, _)| before.trim_end_matches('/'));
    let folder = package.map_or(beside, |package| package.folder.as_str());
    let code = |file: &&File| matches!(file.extension(), "rs" | "go" | "py");
    let near = tree.files.iter().filter(code).filter(|file| is_within(&file.path, folder));
    near.map(File::text).collect()
}

/// Returns whether the source names the file, or a folder above it as one that it walks.
fn names(source: &str, inner: &str, name: &str) -> bool {
    let mut folders = vec!["testdata"];
    folders.extend(inner.match_indices('/').filter_map(|(at, _)| inner.get(..at)));
    let holds = |text: String| source.contains(&text);
    let file = holds(format!("/{name}\"")) || holds(format!("\"{name}\""));
    // A name that is put together from parts reads its folder like one that is walked.
    let endings = ["\"", "/\"", "/{"];
    let walked = |folder: &str| endings.iter().any(|end| holds(format!("{folder}{end}")));
    file || folders.into_iter().any(walked)
}

#[cfg(test)]
mod tests {
    use super::super::testkit;

    #[test]
    fn data_is_used() {
        let check = |data: &str, source: &str, found: bool| {
            let manifest = ("a/b/Cargo.toml", "[package]\nname = \"b\"\n");
            let place = format!("{data}:0");
            let expected = if found { vec![place.as_str()] } else { vec![] };
            let files = [manifest, (data, "x"), ("a/b/src/lib.rs", source)];
            testkit::check("dead-testdata", &files, &expected);
        };
        check("a/b/testdata/one.json", "include_str!(\"../testdata/one.json\")", false);
        check("a/b/testdata/one.json", "include_str!(\"../testdata/zone.json\")", true);
        check("a/b/testdata/notes/one.json", "walk(\"testdata/notes\")", false);
        check("a/b/testdata/notes/one.json", "walk(\"testdata/lists\")", true);
        check("a/b/testdata/notes/one.json", "format!(\"testdata/notes/{name}.json\")", false);
        check(
            "a/b/testdata/notes/one.json",
            "concat!(env!(\"CARGO_MANIFEST_DIR\"), \"/testdata\")",
            false,
        );
        check("a/b/testdata/ORIGIN.txt", "", false);
        check("a/c/testdata/one.json", "include_str!(\"../testdata/one.json\")", true);
    }
}
