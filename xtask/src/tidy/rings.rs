//! The rings (INV-10): the folder of a crate says what it may use.
//!
//! `base` is pure, `kernel` knows no sub-system, sub-systems know only the kernel's contracts, only
//! `apps` know all, only tests and measurements use `tests`, nobody uses `bench` or `xtask`. The
//! tables below are the whole rule; a new edge is a line here, which a reviewer sees.

use super::{Findings, Rule};
use crate::workspace::{Dependency, Package, Workspace, is_within};

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "ring-edges",
        about: "A crate uses only crates of the rings that its own ring may use (INV-10).",
        remedy: "move the shared part down a ring, or turn the call around through a trait; the \
                 table is in xtask/src/tidy/rings.rs",
        check: ring_edges,
    },
    Rule {
        name: "ring-externals",
        about: "A library of one concern is named only where that concern lives.",
        remedy: "go through the crate that owns the concern, or add the owner to the table in \
                 xtask/src/tidy/rings.rs with its reason",
        check: ring_externals,
    },
];

/// The base crates in order: each may use those before it, so no circle can form.
const BASE_ORDER: &[&str] =
    &["karvan-types", "karvan-evidence", "karvan-xroad", "karvan-dataspace"];

/// All that base may take from outside: small crates without input, output, clock or randomness.
const BASE_EXTERNALS: &[&str] = &[
    "base64",
    "granit-parser",
    "hmac",
    "jiff",
    "rust_decimal",
    "schemars",
    "serde",
    "serde_json",
    "sha2",
    "thiserror",
    "uuid",
];

/// All that a sub-system may take from the inner rings.
const SUBSYSTEM_USES: &[&str] =
    &["karvan-types", "karvan-evidence", "karvan-store", "karvan-subsystem"];

/// A library, and the folders whose crates may use it outside of tests.
struct Owned {
    library: &'static str,
    owners: &'static [&'static str],
}

/// Who speaks HTTP: the kernel's gateways; the binary, tests and measurements act as agencies.
const NETWORK: &[&str] =
    &["kernel/exchange", "kernel/calls", "kernel/negotiation", "apps", "tests", "bench"];

const OWNED: &[Owned] = &[
    // One cryptography library, behind one set of types, so that it can be replaced and audited.
    Owned { library: "aws-lc-rs", owners: &["kernel/trust", "kernel/system"] },
    Owned { library: "rcgen", owners: &["kernel/trust"] },
    Owned { library: "x509-parser", owners: &["kernel/trust"] },
    Owned { library: "argon2", owners: &["kernel/trust"] },
    Owned { library: "rustls", owners: &["kernel/trust", "kernel/exchange", "tests"] },
    Owned {
        library: "tokio-rustls",
        owners: &["kernel/exchange", "kernel/calls", "apps", "tests"],
    },
    // Roots of agencies' systems are a matter of TLS; figures are the gateway's.
    Owned { library: "rustls-native-certs", owners: &["kernel/trust"] },
    Owned { library: "prometheus-client", owners: &["kernel/calls", "apps"] },
    // Pages and codes are the printed certificate's; a second sub-system that prints moves them.
    Owned { library: "krilla", owners: &["subsystems/customs"] },
    Owned { library: "png", owners: &["subsystems/customs"] },
    Owned { library: "qrcodegen", owners: &["subsystems/customs"] },
    Owned { library: "rqrr", owners: &["subsystems/customs"] },
    // Tables for analysts are the mirror's.
    Owned { library: "parquet", owners: &["subsystems/customs"] },
    Owned { library: "rustybuzz", owners: &["subsystems/customs"] },
    Owned { library: "unicode-bidi", owners: &["subsystems/customs"] },
    // Characters that look like others, in numbers that people type.
    Owned { library: "unicode-normalization", owners: &["subsystems/customs"] },
    Owned { library: "unicode-security", owners: &["subsystems/customs"] },
    // SQL is a detail of one back end.
    Owned { library: "rusqlite", owners: &["kernel/store"] },
    // The network is the gateway's; the binary, tests and measurements act as agencies.
    Owned { library: "hyper", owners: NETWORK },
    Owned { library: "hyper-util", owners: NETWORK },
    // Character repertoires of EDIFACT; all else is UTF-8.
    Owned { library: "encoding_rs", owners: &["subsystems/customs"] },
    // Errors of libraries are typed; only a program may lump them together.
    Owned { library: "anyhow", owners: &["apps", "tests", "bench", "xtask"] },
    Owned { library: "clap", owners: &["apps", "bench", "xtask"] },
    Owned { library: "indicatif", owners: &["apps"] },
    // A program chooses its allocator; a library must not.
    Owned { library: "mimalloc", owners: &["apps"] },
    Owned { library: "tempfile", owners: &["apps", "bench", "tests"] },
    Owned { library: "tracing-subscriber", owners: &["apps", "tests"] },
    // For tests only.
    Owned { library: "ed25519-dalek", owners: &["tests"] },
    Owned { library: "insta", owners: &["tests"] },
    Owned { library: "libfuzzer-sys", owners: &["tests/fuzz"] },
    Owned { library: "proptest", owners: &["tests"] },
    Owned { library: "turmoil", owners: &["tests"] },
];

fn ring_edges(tree: &Workspace, findings: &mut Findings) {
    for package in &tree.packages {
        for dependency in &package.dependencies {
            let Some(used) = tree.package(&dependency.name) else { continue };
            if let Some(reason) = forbidden_edge(package, used, dependency.dev) {
                let what = format!("{} uses {}, but {reason}", package.name, used.name);
                findings.report(&manifest(package), 0, what);
            }
        }
    }
}

/// Returns why `package` may not use `used`, or `None` when it may.
fn forbidden_edge(package: &Package, used: &Package, dev: bool) -> Option<&'static str> {
    let named = SUBSYSTEM_USES.contains(&used.name.as_str());
    let allowed = match (ring(package), ring(used)) {
        ("tests" | "bench", "tests") => true,
        (_, "tests" | "bench" | "xtask") => false,
        ("base", "base") => comes_before(&used.name, &package.name),
        ("kernel", "base" | "kernel") | ("apps" | "tests" | "bench" | "xtask", _) => true,
        ("subsystems", "base" | "kernel") => dev || named,
        _ => false,
    };
    let reason = match (ring(package), ring(used)) {
        (_, "tests") => "only tests and bench may use tests",
        (_, "bench" | "xtask") => "nothing may use bench or xtask",
        ("base", "base") => "it does not stand before it in the order of base",
        ("base", _) => "base uses only base",
        ("kernel", _) => "the kernel knows no sub-system and no app",
        ("subsystems", "subsystems") => "a sub-system knows no other sub-system",
        ("subsystems", _) => "a sub-system knows only the contracts of the kernel",
        _ => "its folder is no ring",
    };
    (!allowed).then_some(reason)
}

fn comes_before(used: &str, user: &str) -> bool {
    let place = |name| BASE_ORDER.iter().position(|&known| known == name);
    place(used).zip(place(user)).is_some_and(|(used, user)| used < user)
}

fn ring_externals(tree: &Workspace, findings: &mut Findings) {
    for package in &tree.packages {
        let externals = package.dependencies.iter();
        for dependency in externals.filter(|dependency| tree.package(&dependency.name).is_none()) {
            if let Some(reason) = forbidden_external(package, dependency) {
                let what = format!("{} names {}, but {reason}", package.name, dependency.name);
                findings.report(&manifest(package), 0, what);
            }
        }
    }
}

fn forbidden_external(package: &Package, dependency: &Dependency) -> Option<String> {
    if dependency.dev {
        return None;
    }
    let name = dependency.name.as_str();
    if ring(package) == "base" && !BASE_EXTERNALS.contains(&name) {
        return Some(format!("base takes only {}", BASE_EXTERNALS.join(", ")));
    }
    let owned = OWNED.iter().find(|owned| owned.library == name)?;
    let may = owned.owners.iter().any(|owner| is_within(&package.folder, owner));
    (!may).then(|| format!("only {} may", owned.owners.join(", ")))
}

fn ring(package: &Package) -> &str {
    package.folder.split('/').next().unwrap_or_default()
}

fn manifest(package: &Package) -> String {
    format!("{}/Cargo.toml", package.folder)
}

#[cfg(test)]
mod tests {
    use super::super::testkit;

    const CRATES: &[(&str, &str)] = &[
        ("base/types", "karvan-types"),
        ("base/evidence", "karvan-evidence"),
        ("kernel/trust", "karvan-trust"),
        ("kernel/store", "karvan-store"),
        ("subsystems/customs", "karvan-customs"),
        ("subsystems/degrees", "karvan-degrees"),
        ("apps/karvan", "karvan"),
        ("tests/simulation", "karvan-simulation"),
        ("tests/testkit", "karvan-testkit"),
        ("bench", "karvan-bench"),
        ("xtask", "xtask"),
        ("stray", "stray"),
    ];

    /// Checks a tree in which only the crate in `folder` has a dependency.
    #[track_caller]
    fn check(rule: &str, folder: &str, section: &str, dependency: &str, allowed: bool) {
        let manifests: Vec<_> = CRATES
            .iter()
            .map(|(at, name)| {
                let section = if *at == folder { section } else { "metadata" };
                let text = format!(
                    "[package]\nname = \"{name}\"\n[{section}]\n{dependency}.workspace = true\n"
                );
                (format!("{at}/Cargo.toml"), text)
            })
            .collect();
        let files: Vec<_> =
            manifests.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        let place = format!("{folder}/Cargo.toml:0");
        let expected = if allowed { vec![] } else { vec![place.as_str()] };
        testkit::check(rule, &files, &expected);
    }

    #[test]
    fn inv_10_edges_between_rings() {
        let check = |folder, used, allowed| {
            check("ring-edges", folder, "dependencies", used, allowed);
        };
        check("base/evidence", "karvan-types", true);
        check("base/types", "karvan-evidence", false);
        check("base/types", "karvan-store", false);
        check("kernel/store", "karvan-types", true);
        check("kernel/store", "karvan-trust", true);
        check("kernel/store", "karvan-customs", false);
        check("kernel/store", "karvan", false);
        check("subsystems/customs", "karvan-store", true);
        check("subsystems/customs", "karvan-trust", false);
        check("subsystems/customs", "karvan-degrees", false);
        check("apps/karvan", "karvan-customs", true);
        check("apps/karvan", "karvan-simulation", false);
        check("tests/simulation", "karvan", true);
        check("tests/simulation", "karvan-testkit", true);
        check("kernel/store", "karvan-testkit", false);
        check("bench", "karvan", true);
        check("bench", "karvan-testkit", true);
        check("tests/simulation", "karvan-bench", false);
        check("xtask", "karvan-trust", true);
        check("kernel/trust", "xtask", false);
        check("stray", "karvan-types", false);
    }

    #[test]
    fn inv_10_tests_of_a_subsystem_may_use_the_kernel_but_no_sibling() {
        let check = |used, allowed| {
            check("ring-edges", "subsystems/customs", "dev-dependencies", used, allowed);
        };
        check("karvan-trust", true);
        check("karvan-degrees", false);
    }

    #[test]
    fn libraries_stay_with_their_owner() {
        let check = |folder, section, library, allowed| {
            check("ring-externals", folder, section, library, allowed);
        };
        check("base/types", "dependencies", "serde", true);
        check("base/types", "dependencies", "tokio", false);
        check("base/types", "dependencies", "tracing", false);
        check("base/types", "dev-dependencies", "proptest", true);
        check("kernel/trust", "dependencies", "aws-lc-rs", true);
        check("kernel/store", "dependencies", "aws-lc-rs", false);
        check("kernel/store", "dependencies", "rusqlite", true);
        check("subsystems/customs", "dependencies", "rusqlite", false);
        check("subsystems/customs", "dependencies", "hyper", false);
        check("kernel/trust", "dependencies", "anyhow", false);
        check("apps/karvan", "dependencies", "anyhow", true);
        check("kernel/store", "dependencies", "tempfile", false);
        check("kernel/store", "dev-dependencies", "tempfile", true);
    }
}
