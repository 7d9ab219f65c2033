//! The tree as the chores see it: packages with their edges, and files with their lines.
//!
//! Loaded once from `cargo metadata` and `git ls-files` (tracked files, and new ones that git does
//! not ignore). A test plants a small tree with `Workspace::planted`, so every rule is tried on
//! a tree that breaks it.
//!
//! Not here: what is right or wrong (`crate::tidy`).

mod lines;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};

pub(crate) use lines::Line;

/// Everything that the rules look at.
#[derive(Debug, Default)]
pub(crate) struct Workspace {
    pub(crate) packages: Vec<Package>,
    pub(crate) files: Vec<File>,
}

/// One crate of the workspace.
#[derive(Debug)]
pub(crate) struct Package {
    pub(crate) name: String,
    /// Folder relative to the root, such as `base/types`.
    pub(crate) folder: String,
    pub(crate) dependencies: Vec<Dependency>,
    pub(crate) manifest: toml::Table,
}

/// One edge from a package to a crate of the workspace or of a registry.
#[derive(Clone, Debug)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// Whether only tests, examples and benches use it.
    pub(crate) dev: bool,
}

/// One file of the tree.
#[derive(Debug)]
pub(crate) struct File {
    /// Path relative to the root, with `/`.
    pub(crate) path: String,
    pub(crate) content: Content,
}

/// What is in a file.
#[derive(Debug)]
pub(crate) enum Content {
    Text(String),
    /// Not UTF-8, or with a zero byte; only the length in bytes matters.
    Binary(usize),
}

impl Workspace {
    /// Reads the tree that the current directory is in.
    pub(crate) fn load() -> Result<Self> {
        let root = root()?;
        Ok(Self { packages: read_packages(&root)?, files: read_files(&root)? })
    }

    /// Returns the package whose folder holds `path`.
    pub(crate) fn package_of(&self, path: &str) -> Option<&Package> {
        self.packages.iter().find(|package| is_within(path, &package.folder))
    }

    pub(crate) fn package(&self, name: &str) -> Option<&Package> {
        self.packages.iter().find(|package| package.name == name)
    }

    pub(crate) fn file(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }
}

impl File {
    /// Returns the text, empty for a binary file.
    pub(crate) fn text(&self) -> &str {
        match &self.content {
            Content::Text(text) => text,
            Content::Binary(_) => "",
        }
    }

    /// Returns the part of the name after the last dot, empty when there is none.
    pub(crate) fn extension(&self) -> &str {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        name.rsplit_once('.').map_or("", |(_, extension)| extension)
    }

    /// Returns whether this is data for tests, which follows the rules of whoever made it.
    pub(crate) fn is_testdata(&self) -> bool {
        self.path.split('/').any(|part| matches!(part, "testdata" | "snapshots"))
    }
}

/// Returns whether `path` is `folder` or lies below it.
pub(crate) fn is_within(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Returns the root of the repository.
pub(crate) fn root() -> Result<PathBuf> {
    let manifest = output("cargo", &["locate-project", "--workspace", "--message-format=plain"])?;
    let root = Path::new(manifest.trim()).parent().context("the workspace has no folder")?;
    Ok(root.to_owned())
}

/// Returns the folder for logs and other output of the chores.
pub(crate) fn output_folder() -> Result<PathBuf> {
    let metadata = metadata()?;
    let target = metadata["target_directory"].as_str().context("cargo named no target folder")?;
    Ok(Path::new(target).join("xtask"))
}

fn metadata() -> Result<serde_json::Value> {
    let text = output("cargo", &["metadata", "--no-deps", "--locked", "--format-version", "1"])?;
    serde_json::from_str(&text).context("reading the answer of `cargo metadata`")
}

/// Runs a program and returns what it printed.
fn output(program: &str, arguments: &[&str]) -> Result<String> {
    let line = format!("{program} {}", arguments.join(" "));
    let done = Command::new(program).args(arguments).output();
    let done = done.with_context(|| format!("starting `{line}`"))?;
    if !done.status.success() {
        bail!("`{line}` failed: {}", String::from_utf8_lossy(&done.stderr).trim());
    }
    String::from_utf8(done.stdout).with_context(|| format!("`{line}` printed no UTF-8"))
}

fn read_packages(root: &Path) -> Result<Vec<Package>> {
    let metadata = metadata()?;
    let listed = metadata["packages"].as_array().context("cargo listed no packages")?;
    let mut packages = Vec::new();
    for package in listed {
        let path = Path::new(package["manifest_path"].as_str().context("package without path")?);
        let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
        let folder = path.parent().and_then(|folder| folder.strip_prefix(root).ok());
        let dependencies = package["dependencies"].as_array().into_iter().flatten();
        packages.push(Package {
            name: package["name"].as_str().unwrap_or_default().to_owned(),
            folder: folder.context("package outside the root")?.display().to_string(),
            manifest: text.parse().with_context(|| path.display().to_string())?,
            dependencies: dependencies
                .map(|dependency| Dependency {
                    name: dependency["name"].as_str().unwrap_or_default().to_owned(),
                    dev: dependency["kind"].as_str() == Some("dev"),
                })
                .collect(),
        });
    }
    ensure!(!packages.is_empty(), "the workspace has no package");
    Ok(packages)
}

fn read_files(root: &Path) -> Result<Vec<File>> {
    let at = root.display().to_string();
    let list = ["-C", &at, "ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let mut files = Vec::new();
    for path in output("git", &list)?.split_terminator('\0') {
        // A tracked file may be deleted in the work tree; then there is nothing to check.
        let Ok(bytes) = fs::read(root.join(path)) else { continue };
        files.push(File { path: path.to_owned(), content: Content::from(bytes) });
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files.dedup_by(|a, b| a.path == b.path);
    Ok(files)
}

impl From<Vec<u8>> for Content {
    fn from(bytes: Vec<u8>) -> Self {
        let length = bytes.len();
        match String::from_utf8(bytes) {
            Ok(text) if !text.contains('\0') => Self::Text(text),
            _ => Self::Binary(length),
        }
    }
}

#[cfg(test)]
impl Workspace {
    /// Makes a tree of text files, and packages from those named `Cargo.toml`.
    pub(crate) fn planted(files: &[(&str, &str)]) -> Self {
        let mut tree = Self::default();
        for (path, text) in files {
            let content = Content::Text((*text).to_owned());
            tree.files.push(File { path: (*path).to_owned(), content });
            if let Some(folder) = path.strip_suffix("/Cargo.toml") {
                tree.packages.push(planted_package(folder, text));
            }
        }
        tree
    }
}

#[cfg(test)]
fn planted_package(folder: &str, text: &str) -> Package {
    let manifest: toml::Table = text.parse().unwrap();
    let mut dependencies = Vec::new();
    for (section, dev) in [("dependencies", false), ("dev-dependencies", true)] {
        let names = manifest.get(section).and_then(toml::Value::as_table).into_iter().flatten();
        dependencies.extend(names.map(|(name, _)| Dependency { name: name.clone(), dev }));
    }
    let name = manifest["package"]["name"].as_str().unwrap().to_owned();
    Package { name, folder: folder.to_owned(), dependencies, manifest }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_hold_whole_names_only() {
        assert!(is_within("base/types/src/id.rs", "base/types"));
        assert!(is_within("base", "base"));
        assert!(!is_within("base/types-more/src/id.rs", "base/types"));
        assert!(!is_within("baseline/a.rs", "base"));
    }

    #[test]
    fn zero_bytes_make_a_file_binary() {
        assert!(matches!(Content::from(b"a\0b".to_vec()), Content::Binary(3)));
        assert!(matches!(Content::from(vec![0xff, 0xfe]), Content::Binary(2)));
        assert!(matches!(Content::from("ə".as_bytes().to_vec()), Content::Text(_)));
    }

    #[test]
    fn this_tree_is_read_whole() {
        let tree = Workspace::load().unwrap();
        let package = tree.package("xtask").unwrap();
        assert_eq!(package.folder, "xtask");
        assert!(package.dependencies.iter().any(|dependency| dependency.name == "anyhow"));
        assert!(tree.file("xtask/src/workspace.rs").unwrap().text().contains("this_tree"));
        assert_eq!(tree.package_of("xtask/src/main.rs").unwrap().name, "xtask");
    }
}
