//! The reference page of the command line is fresh, and help teaches.

use crate::world::World;

/// Where the page is in the repository.
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/cli.md");

#[test]
fn the_reference_page_is_fresh() {
    let fresh = World::new().good(&["help-markdown"]);
    let page = std::fs::read_to_string(PAGE).unwrap_or_default();
    assert!(
        page == fresh,
        "docs/reference/cli.md is stale; write it with \
         `cargo run -p karvan -- help-markdown > docs/reference/cli.md`"
    );
}

#[test]
fn every_command_has_an_example() {
    let page = World::new().good(&["help-markdown"]);
    for section in page.split("\n## ").skip(1) {
        let name = section.lines().next().unwrap_or_default();
        let group = section.contains("\nCommands:\n") && name != "karvan init";
        assert!(group || section.contains("Example"), "{name} has no example");
    }
}

#[test]
fn completions_know_the_commands() {
    let script = World::new().good(&["completions", "bash"]);
    assert!(script.contains("documents") && script.contains("countersign"), "{script}");
}
