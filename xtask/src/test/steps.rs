//! The table of steps, in the order in which they are worth knowing: cheap ones first.

use std::fmt::Write as _;

use super::needs::Need;

/// One step.
pub(crate) struct Step {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    /// Command lines that fetch what the act needs from a registry, as in [`Act::Run`]. When one
    /// fails the step is skipped: no network is no fault of the project.
    pub(super) fetch: &'static [&'static str],
    pub(super) act: Act,
    pub(super) needs: &'static [&'static Need],
    pub(super) env: &'static [(&'static str, &'static str)],
    /// Where it runs, relative to the root.
    pub(super) folder: &'static str,
}

/// What a step does.
#[derive(Clone, Copy)]
pub(super) enum Act {
    /// Runs command lines one after the other until one fails; the exit code judges. Words are
    /// split at white space, nothing else; `{out}` stands for an empty folder of the step's own,
    /// `{tools}` for one that is kept from run to run.
    Run(&'static [&'static str]),
    /// Checks the house rules.
    Tidy,
    /// Checks that generated files are fresh.
    Fresh,
}

const CXX: Need = Need { name: "c++", probe: &["c++", "--version"], packages: &["g++"], hint: "" };

const GO: Need = Need { name: "go", probe: &["go", "version"], packages: &["golang-go"], hint: "" };

/// The packages that other transparency logs are checked with, as sources; no network is needed.
const GO_SUMDB: Need = Need {
    name: "golang.org/x/mod/sumdb",
    probe: &["test", "-d", "/usr/share/gocode/src/golang.org/x/mod/sumdb/tlog"],
    packages: &["golang-golang-x-mod-dev"],
    hint: "",
};

/// Any Python with this package will do, so that no registry is needed.
const PYTHON_CRYPTOGRAPHY: Need = Need {
    name: "python3 with cryptography",
    probe: &["python3", "-c", "import cryptography"],
    packages: &["python3-cryptography"],
    hint: "",
};

const PYTHON: Need =
    Need { name: "python3", probe: &["python3", "--version"], packages: &["python3"], hint: "" };

/// Reads TOML with the standard library, as of Python 3.11.
const PYTHON_TOML: Need = Need {
    name: "python3 with tomllib",
    probe: &["python3", "-c", "import tomllib"],
    packages: &["python3"],
    hint: "Python 3.11 or later is needed",
};

const PYTHON_VENV: Need = Need {
    name: "python3 with venv",
    probe: &["python3", "-m", "ensurepip", "--version"],
    packages: &["python3-venv"],
    hint: "",
};

const MAVEN: Need =
    Need { name: "mvn", probe: &["mvn", "--version"], packages: &["maven"], hint: "" };

/// The compiler too: the kit is started from a source file.
const JDK: Need = Need {
    name: "javac",
    probe: &["javac", "--version"],
    packages: &["default-jdk-headless"],
    hint: "",
};

/// What a step is made of when it needs nothing special.
const PLAIN: Step =
    Step { name: "", about: "", fetch: &[], act: Act::Run(&[]), needs: &[], env: &[], folder: "" };

pub(super) const STEPS: &[Step] = &[
    Step {
        name: "format",
        about: "cargo fmt changes nothing",
        act: Act::Run(&["cargo fmt --all --check"]),
        ..PLAIN
    },
    Step { name: "tidy", about: "the house rules hold", act: Act::Tidy, ..PLAIN },
    Step { name: "generated", about: "generated files are fresh", act: Act::Fresh, ..PLAIN },
    Step {
        name: "clippy",
        about: "no lint, warnings included",
        act: Act::Run(&["cargo clippy --workspace --all-targets --locked -- -D warnings"]),
        ..PLAIN
    },
    Step {
        name: "tests",
        about: "all tests of all crates",
        // Output of passed tests is kept, because that is where they say what they skipped.
        act: Act::Run(&["cargo test --workspace --locked --no-fail-fast -- --show-output"]),
        ..PLAIN
    },
    Step {
        name: "traces",
        about: "a program built with the feature `otel` sends its traces, one through both nodes",
        act: Act::Run(&["cargo test -p karvan --locked --features otel --test it traces"]),
        ..PLAIN
    },
    Step {
        name: "measured",
        about: "a program built to be measured serves nobody unless that is meant",
        act: Act::Run(&[
            "cargo test -p karvan-calls -p karvan-trust --locked --features karvan-calls/measure \
             --lib -- measure",
        ]),
        ..PLAIN
    },
    Step {
        name: "fuzz",
        about: "no input that coverage leads to breaks a reader, ten seconds each",
        act: Act::Run(&["cargo run -q --locked -p xtask -- fuzz --seconds 10"]),
        needs: &[&CXX],
        ..PLAIN
    },
    Step {
        name: "doc",
        about: "the documentation builds without a warning",
        act: Act::Run(&["cargo doc --no-deps --workspace --locked"]),
        env: &[("RUSTDOCFLAGS", "-D warnings")],
        ..PLAIN
    },
    Step {
        name: "go-verifier",
        about: "a Go program without our code accepts the golden log and refuses altered ones",
        act: Act::Run(&[
            "cargo run --locked -p karvan-evidence --example golden_log -- {out}",
            "go run tests/foreign/go/checklog.go -log {out} -key @{out}/log.vkey \
             -witness @{out}/witness.vkey -proof {out}/entry.tlog-proof -entry {out}/entry \
             -old {out}/checkpoint.old -consistency {out}/consistency",
        ]),
        needs: &[&GO, &GO_SUMDB],
        env: &[("GO111MODULE", "off"), ("GOPATH", "/usr/share/gocode"), ("GOFLAGS", "")],
        ..PLAIN
    },
    Step {
        name: "go-node-log",
        about: "the same Go program accepts the log of a real node and its cosignature",
        act: Act::Run(&[
            "cargo run --locked -p karvan-federation --example node_log -- {out}",
            "go run tests/foreign/go/checklog.go -log {out}/pk/log -checkpoint witnessed \
             -key @{out}/log.vkey -witness @{out}/witness.vkey",
        ]),
        needs: &[&GO, &GO_SUMDB],
        env: &[("GO111MODULE", "off"), ("GOPATH", "/usr/share/gocode"), ("GOFLAGS", "")],
        ..PLAIN
    },
    Step {
        name: "python-verifier",
        about: "a Python program without our code accepts our messages and refuses altered ones",
        act: Act::Run(&[
            "cargo run --locked -p karvan-trust --example signed_messages -- {out}/messages.json",
            "python3 tests/foreign/python/verify_messages.py {out}/messages.json",
        ]),
        needs: &[&PYTHON_CRYPTOGRAPHY],
        ..PLAIN
    },
    Step {
        name: "python-library",
        about: "a general library for HTTP message signatures agrees",
        fetch: &[
            "python3 -m venv {out}/venv",
            "{out}/venv/bin/pip install --quiet --disable-pip-version-check \
             -r tests/foreign/python/requirements.txt",
        ],
        act: Act::Run(&[
            "cargo run --locked -p karvan-trust --example signed_messages -- {out}/messages.json",
            "{out}/venv/bin/python tests/foreign/python/crosscheck.py {out}/messages.json",
        ]),
        needs: &[&PYTHON_VENV],
        ..PLAIN
    },
    Step {
        name: "python-duty",
        about: "a Python program without our code computes 1,000 random claims to the same unit",
        act: Act::Run(&[
            "cargo run --locked -p karvan-customs --example duty_claims -- {out}/claims.json",
            "python3 -B tests/foreign/python/duty.py {out}/claims.json",
        ]),
        needs: &[&PYTHON_TOML],
        ..PLAIN
    },
    Step {
        name: "python-tables",
        about: "Apache Arrow reads the mirror's Parquet tables as their CSV says",
        fetch: &[
            "python3 -m venv {out}/venv",
            "{out}/venv/bin/pip install --quiet --disable-pip-version-check \
             -r tests/foreign/python/tables.txt",
        ],
        act: Act::Run(&[
            "cargo run --locked -p karvan-customs --example mirror_tables -- {out}/tables",
            "{out}/venv/bin/python -B tests/foreign/python/tables.py {out}/tables",
        ]),
        needs: &[&PYTHON_VENV],
        ..PLAIN
    },
    Step {
        name: "api-from-outside",
        about: "the REST interface is as its OpenAPI document says, whatever Schemathesis sends",
        fetch: &[
            "python3 -m venv {out}/venv",
            "{out}/venv/bin/pip install --quiet --disable-pip-version-check \
             -r tests/foreign/api/requirements.txt",
        ],
        act: Act::Run(&[
            "cargo build --locked -p karvan --bin karvan",
            "{out}/venv/bin/python -B tests/foreign/api/check.py --out {out}",
        ]),
        needs: &[&PYTHON_VENV],
        ..PLAIN
    },
    Step {
        name: "foreign-runners",
        about: "the runners of foreign programs find a test that is missing, failed or a lie",
        act: Act::Run(&[
            "python3 -B tests/foreign/tck/self_test.py",
            "python3 -B tests/foreign/edc/self_test.py",
            "python3 -B tests/foreign/api/self_test.py",
        ]),
        needs: &[&PYTHON],
        ..PLAIN
    },
    Step {
        name: "dsp-tck-harness",
        about: "the official kit passes a model of a node, and finds each of its lies",
        fetch: &["mvn -q -B -f tests/foreign/tck/pom.xml dependency:copy-dependencies \
             -DoutputDirectory={out}/jars"],
        act: Act::Run(&["python3 -B tests/foreign/tck/self_test.py --jars {out}/jars"]),
        needs: &[&PYTHON, &MAVEN, &JDK],
        ..PLAIN
    },
    Step {
        name: "edc-alone",
        about: "two Eclipse EDC connectors exchange through our driver, step by step",
        fetch: &["mvn -q -B -f tests/foreign/edc/pom.xml dependency:copy-dependencies \
             -DoutputDirectory={out}/jars"],
        act: Act::Run(&[
            "python3 -B tests/foreign/edc/interop.py alone --jars {out}/jars --out {out}",
        ]),
        needs: &[&PYTHON, &MAVEN, &JDK],
        ..PLAIN
    },
    Step {
        name: "dsp-tck",
        about: "the official kit of the Dataspace Protocol passes our node, 65 of 65",
        fetch: &["mvn -q -B -f tests/foreign/tck/pom.xml dependency:copy-dependencies \
             -DoutputDirectory={out}/jars"],
        act: Act::Run(&[
            "cargo build --locked -p karvan-federation --example dsp_node",
            "python3 -B tests/foreign/tck/karvan_node.py --jars {out}/jars --out {out}",
        ]),
        needs: &[&PYTHON, &MAVEN, &JDK],
        ..PLAIN
    },
    Step {
        name: "edc-interop",
        about: "an Eclipse EDC connector and our node exchange, each as consumer and as provider",
        fetch: &["mvn -q -B -f tests/foreign/edc/pom.xml dependency:copy-dependencies \
             -DoutputDirectory={out}/jars"],
        act: Act::Run(&[
            "cargo build --locked -p karvan --bin karvan",
            "cargo build --locked -p karvan-federation --example edc_node",
            "python3 -B tests/foreign/edc/karvan_node.py --jars {out}/jars --out {out}",
        ]),
        needs: &[&PYTHON, &MAVEN, &JDK],
        ..PLAIN
    },
    Step {
        name: "deny",
        about: "licences, banned and double crates, and sources",
        // Built once, in about two minutes; where it is there already, this does nothing.
        fetch: &["cargo install --quiet --locked --root {tools} --version 0.20.2 cargo-deny"],
        act: Act::Run(&["{tools}/bin/cargo-deny --locked check bans licenses sources"]),
        ..PLAIN
    },
];

/// Returns the steps as a Markdown table.
pub(crate) fn table() -> String {
    let mut text = "| step | what holds | how |\n| --- | --- | --- |\n".to_owned();
    for Step { name, about, fetch, act, .. } in STEPS {
        let how = match act {
            Act::Run(lines) => [*fetch, *lines].concat().join("`, then `"),
            Act::Tidy => "cargo xtask tidy".to_owned(),
            Act::Fresh => "cargo xtask gen --check".to_owned(),
        };
        let _ = writeln!(text, "| `{name}` | {about} | `{how}` |");
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_fit_a_file_name() {
        let names: BTreeSet<_> = STEPS.iter().map(|step| step.name).collect();
        assert_eq!(names.len(), STEPS.len());
        let fits =
            |name: &str| name.chars().all(|letter| letter.is_ascii_lowercase() || letter == '-');
        assert!(names.iter().all(|name| !name.is_empty() && fits(name)), "{names:?}");
    }

    #[test]
    fn every_cargo_step_holds_to_the_lock_file() {
        for step in STEPS {
            let Act::Run(lines) = step.act else { continue };
            for line in lines.iter().filter(|line| line.starts_with("cargo ")) {
                let locked = line.contains(" --locked") || line.starts_with("cargo fmt");
                assert!(locked, "`{line}` may change Cargo.lock");
            }
        }
    }
}
