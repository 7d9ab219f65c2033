//! Manifests: one version table, one lint table, one text per crate.

use toml::{Table, Value};

use super::{Findings, Rule};
use crate::workspace::{Package, Workspace};

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "lints-inherited",
        about: "Every crate has `[lints] workspace = true`.",
        remedy: "add the two lines to its Cargo.toml",
        check: lints_inherited,
    },
    Rule {
        name: "dependencies-inherited",
        about: "Every dependency comes from the workspace table.",
        remedy: "put the version into [workspace.dependencies] of the root and write \
                 `NAME.workspace = true`",
        check: dependencies_inherited,
    },
    Rule {
        name: "package-fields",
        about: "Every crate has a description and takes version, edition, licence from the root.",
        remedy: "write the description; `FIELD.workspace = true` for the others",
        check: package_fields,
    },
    Rule {
        name: "readme-included",
        about: "Every crate has a README.md of at most 40 lines that is its crate documentation.",
        remedy: "write README.md (what, how, not here) and begin lib.rs or main.rs with \
                 `#![doc = include_str!(\"../README.md\")]`",
        check: readme_included,
    },
    Rule {
        name: "orphan-crates",
        about: "Every Cargo.toml belongs to the workspace.",
        remedy: "add the folder to `members` in the root Cargo.toml, or delete it",
        check: orphan_crates,
    },
];

/// Longest README of a crate, in lines.
const README_LINES_MAX: usize = 40;

const SECTIONS: &[&str] = &["dependencies", "dev-dependencies", "build-dependencies"];

fn lints_inherited(tree: &Workspace, findings: &mut Findings) {
    for package in &tree.packages {
        if !inherits(package.manifest.get("lints")) {
            findings.report(&path(package, "Cargo.toml"), 0, "own or no lints".to_owned());
        }
    }
}

fn dependencies_inherited(tree: &Workspace, findings: &mut Findings) {
    for package in &tree.packages {
        let targets = package.manifest.get("target").and_then(Value::as_table);
        let per_target = targets.into_iter().flat_map(Table::values).filter_map(Value::as_table);
        for table in per_target.chain([&package.manifest]) {
            let sections = SECTIONS.iter().filter_map(|name| table.get(*name)?.as_table());
            for (name, value) in sections.flatten() {
                if !inherits(Some(value)) {
                    let what = format!("{name} does not come from the workspace table");
                    findings.report(&path(package, "Cargo.toml"), 0, what);
                }
            }
        }
    }
}

fn package_fields(tree: &Workspace, findings: &mut Findings) {
    for package in &tree.packages {
        let fields = package.manifest.get("package").and_then(Value::as_table);
        let field = |name: &str| fields.and_then(|fields| fields.get(name));
        if field("description").and_then(Value::as_str).is_none_or(str::is_empty) {
            let what = "no description".to_owned();
            findings.report(&path(package, "Cargo.toml"), 0, what);
        }
        for name in ["version", "edition", "rust-version", "license", "publish"] {
            if !inherits(field(name)) {
                let what = format!("{name} does not come from the root");
                findings.report(&path(package, "Cargo.toml"), 0, what);
            }
        }
    }
}

fn readme_included(tree: &Workspace, findings: &mut Findings) {
    for package in &tree.packages {
        let readme = path(package, "README.md");
        match tree.file(&readme).map(|file| file.text().lines().count()) {
            None => findings.report(&readme, 0, "missing".to_owned()),
            Some(lines) if lines > README_LINES_MAX => {
                let what = format!("{lines} lines; the rest belongs into docs or module headers");
                findings.report(&readme, 0, what);
            }
            Some(_) => {}
        }
        let roots = ["src/lib.rs", "src/main.rs"].map(|name| path(package, name));
        let Some(root) = roots.iter().find_map(|path| tree.file(path)) else { continue };
        if !root.text().starts_with("#![doc = include_str!(\"../README.md\")]") {
            findings.report(&root.path, 1, "does not begin with its README".to_owned());
        }
    }
}

fn orphan_crates(tree: &Workspace, findings: &mut Findings) {
    for file in &tree.files {
        let Some(folder) = file.path.strip_suffix("/Cargo.toml") else { continue };
        if !tree.packages.iter().any(|package| package.folder == folder) {
            findings.report(&file.path, 0, "is no member of the workspace".to_owned());
        }
    }
}

fn inherits(value: Option<&Value>) -> bool {
    let inherited = value.and_then(|value| value.get("workspace"));
    inherited.and_then(Value::as_bool).unwrap_or_default()
}

fn path(package: &Package, name: &str) -> String {
    format!("{}/{name}", package.folder)
}

#[cfg(test)]
mod tests {
    use super::super::testkit::{check, found};
    use crate::workspace::Workspace;

    const PACKAGE: &str = "[package]\nname = \"a\"\n";

    fn manifest(rest: &str) -> String {
        format!("{PACKAGE}{rest}")
    }

    #[test]
    fn lints() {
        let at = |rest: &str, expected: &[&str]| {
            check("lints-inherited", &[("base/a/Cargo.toml", &manifest(rest))], expected);
        };
        at("[lints]\nworkspace = true\n", &[]);
        at("", &["base/a/Cargo.toml:0"]);
        at("[lints]\nworkspace = false\n", &["base/a/Cargo.toml:0"]);
        at("[lints.rust]\nunsafe_code = \"allow\"\n", &["base/a/Cargo.toml:0"]);
    }

    #[test]
    fn dependencies() {
        let at = |rest: &str, expected: &[&str]| {
            check("dependencies-inherited", &[("base/a/Cargo.toml", &manifest(rest))], expected);
        };
        at("[dependencies]\nserde.workspace = true\n", &[]);
        at("[dependencies]\nserde = { workspace = true, features = [\"x\"] }\n", &[]);
        at("[dependencies]\nserde = \"1\"\n", &["base/a/Cargo.toml:0"]);
        at("[dev-dependencies]\nserde = { version = \"1\" }\n", &["base/a/Cargo.toml:0"]);
        at("[target.'cfg(unix)'.dependencies]\nlibc = \"1\"\n", &["base/a/Cargo.toml:0"]);
    }

    #[test]
    fn fields() {
        let shared = "version.workspace = true\nedition.workspace = true\n\
                      rust-version.workspace = true\nlicense.workspace = true\n";
        let good = format!("{shared}publish.workspace = true\ndescription = \"a\"\n");
        check("package-fields", &[("base/a/Cargo.toml", &manifest(&good))], &[]);
        let bad = format!("{shared}publish = true\ndescription = \"\"\n");
        let twice = ["base/a/Cargo.toml:0", "base/a/Cargo.toml:0"];
        check("package-fields", &[("base/a/Cargo.toml", &manifest(&bad))], &twice);
    }

    #[test]
    fn readmes() {
        let root = ("base/a/src/lib.rs", "#![doc = include_str!(\"../README.md\")]\n");
        let manifest = ("base/a/Cargo.toml", PACKAGE);
        let long = "x\n".repeat(41);
        let at = |readme: &str, root, expected: &[&str]| {
            check("readme-included", &[manifest, root, ("base/a/README.md", readme)], expected);
        };
        at("# a\n", root, &[]);
        at(&long, root, &["base/a/README.md:0"]);
        at("# a\n", ("base/a/src/lib.rs", "//! a\n"), &["base/a/src/lib.rs:1"]);
        at("# a\n", ("base/a/src/main.rs", "//! a\n"), &["base/a/src/main.rs:1"]);
        check("readme-included", &[manifest, root], &["base/a/README.md:0"]);
    }

    #[test]
    fn orphans() {
        let mut tree = Workspace::planted(&[("base/a/Cargo.toml", PACKAGE)]);
        assert!(found("orphan-crates", &tree).is_empty());
        tree.packages.clear();
        assert_eq!(found("orphan-crates", &tree), ["base/a/Cargo.toml:0"]);
    }
}
