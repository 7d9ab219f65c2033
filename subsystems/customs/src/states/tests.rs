use std::collections::BTreeSet;
use std::path::Path;

use super::*;

/// Compares with a file under `testdata/states`, or writes it.
fn expect(name: &str, found: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/states").join(name);
    if std::env::var_os("KARVAN_UPDATE_EXPECTED").is_some() {
        std::fs::write(&path, found).expect("written");
    }
    let expected = std::fs::read_to_string(&path).expect("an expected table");
    assert_eq!(found, expected, "{name}: run with KARVAN_UPDATE_EXPECTED=1 if this is meant");
}

/// Tries every event in every state; the whole outcome is in a file.
fn check<S: Chart>(name: &str) {
    let mut text = String::new();
    for &from in S::STATES {
        for &event in S::EVENTS {
            let mut status = Status(from);
            let outcome = match status.step(event) {
                Ok(to) => to.word().to_owned(),
                Err(error) => {
                    assert_eq!(status, from, "a refused event changes nothing");
                    assert_eq!(error.kind(), ErrorKind::Conflict);
                    assert!(error.to_string().contains(from.word()), "{error}");
                    "-".to_owned()
                }
            };
            let _ = writeln!(text, "{:<18} {:<16} {outcome}", from.word(), S::event_word(event));
        }
    }
    expect(name, &text);
    let rows: Vec<_> =
        S::ROWS.iter().map(|row| (row.from.word(), S::event_word(row.event))).collect();
    let unique: BTreeSet<_> = rows.iter().collect();
    assert_eq!(unique.len(), rows.len(), "{name}: two rows for one state and event");
    let mut reached = vec![S::START];
    let mut next = 0;
    while let Some(&state) = reached.get(next) {
        next += 1;
        for row in S::ROWS.iter().filter(|row| row.from == state) {
            if !reached.contains(&row.to) {
                reached.push(row.to);
            }
        }
    }
    assert_eq!(reached.len(), S::STATES.len(), "{name}: a state is never reached");
    for &event in S::EVENTS {
        assert!(S::ROWS.iter().any(|row| row.event == event), "{name}: {event:?} is never used");
    }
}

#[test]
fn every_event_in_every_state_is_allowed_or_forbidden() {
    check::<CertificateState>("certificate.txt");
    check::<ExportState>("export.txt");
    check::<ItemState>("claim.txt");
    check::<VerificationState>("verification.txt");
}

#[test]
fn the_pictures_of_the_documentation_are_fresh() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/use/choreography.md");
    let mut page = std::fs::read_to_string(&path).expect("the page");
    let drawn = [
        ("certificate", diagram::<CertificateState>(), table::<CertificateState>()),
        ("export declaration", diagram::<ExportState>(), table::<ExportState>()),
        ("claimed item", diagram::<ItemState>(), table::<ItemState>()),
        ("verification", diagram::<VerificationState>(), table::<VerificationState>()),
    ];
    for (name, diagram, table) in &drawn {
        let (begin, end) = (format!("<!-- begin {name} -->\n"), format!("<!-- end {name} -->"));
        let made = format!("```mermaid\n{diagram}```\n\n{table}");
        let from = page.find(&begin).unwrap_or_else(|| panic!("{begin} is missing")) + begin.len();
        let to = page.find(&end).unwrap_or_else(|| panic!("{end} is missing"));
        if std::env::var_os("KARVAN_UPDATE_EXPECTED").is_some() {
            page.replace_range(from..to, &made);
            std::fs::write(&path, &page).expect("written");
        } else {
            assert_eq!(page.get(from..to), Some(made.as_str()), "{name}");
        }
    }
}

#[test]
fn a_status_begins_at_the_start_and_keeps_its_name_in_store() {
    let mut status = Status::<CertificateState>::default();
    assert_eq!(status, CertificateState::Draft);
    assert_eq!(status.step(CertificateEvent::Issue), Ok(CertificateState::Issued));
    let stored = serde_json::to_string(&status).expect("JSON");
    assert_eq!(stored, "\"issued\"");
    assert_eq!(serde_json::from_str::<Status<CertificateState>>(&stored).ok(), Some(status));
    let refusal = Rejection::from(status.step(CertificateEvent::UsePart).expect_err("not there"));
    assert_eq!((refusal.kind, refusal.code.as_str()), (ErrorKind::Conflict, "customs.wrong-state"));
}

/// The sources of the sub-system that are no chart.
fn sources(folder: &Path, found: &mut String) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
        if matches!(name, "states" | "tests") {
            continue;
        }
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push_str(&std::fs::read_to_string(&path).expect("a source"));
        }
    }
}

#[test]
fn every_event_of_every_chart_is_raised_by_something() {
    fn check<S: Chart>(of: &str, text: &str) {
        for event in S::EVENTS {
            let name = format!("{of}::{event:?}");
            let raised = text.match_indices(&name).any(|(place, _)| {
                let next = text.get(place + name.len()..).and_then(|rest| rest.chars().next());
                !next.is_some_and(char::is_alphanumeric)
            });
            assert!(raised, "{name} is raised nowhere: take it out of the chart, or raise it");
        }
    }
    let mut text = String::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut text);
    check::<CertificateState>("CertificateEvent", &text);
    check::<ExportState>("ExportEvent", &text);
    check::<ItemState>("ClaimEvent", &text);
    check::<VerificationState>("VerificationEvent", &text);
}
