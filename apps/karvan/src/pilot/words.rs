//! The sentences of the pilot.

use std::fmt::Write as _;

use karvan_customs::samples::Consignment;

use super::folder::Folder;
use super::nations::{AZ, BOTH, PK};
use super::process::NodeProcess;
use super::record::Record;
use super::{Report, report, shown};

pub(super) fn opening(folder: &Folder, resumed: bool) -> String {
    let place = folder.path().display();
    if resumed {
        return format!("Going on in {place}: keys, lists and data of both nations are kept.");
    }
    let [az, pk] = BOTH;
    format!(
        "Made in {place}: keys, certificates and national lists of two nations ({}/, {}/), the \
         federation root that both have signed (root.json), and their customs agreement.",
        az.folder, pk.folder
    )
}

pub(super) fn started(nodes: &[NodeProcess]) -> String {
    let nodes = nodes.iter().map(|node| {
        format!(
            "{} started in {:.2} s: process {}, peers at {}, local interface at {}\n",
            node.ready.node,
            node.started_in.as_secs_f64(),
            node.ready.pid,
            node.ready.peer,
            node.ready.local
        )
    });
    nodes.collect()
}

pub(super) fn played(
    number: usize,
    count: usize,
    consignment: &Consignment,
    before: &Record,
    record: &Record,
) -> String {
    let what = if before.complete {
        "played before"
    } else if !record.complete {
        "stopped; the next start goes on here"
    } else if record.problems.is_empty() {
        "as expected"
    } else {
        "NOT as expected"
    };
    format!("[{number:2}/{count}] {}: {what}", consignment.title)
}

/// Returns the report for a person.
pub(super) fn closing(told: &Report) -> String {
    if let Some(load) = &told.load {
        return load.describe(&told.nodes);
    }
    let mut text = String::from("\n");
    text.push_str(&report::describe(&told.consignments));
    let documents: usize = told.consignments.iter().map(|row| row.evidence.documents).sum();
    let verified: usize = told.consignments.iter().map(|row| row.evidence.verified).sum();
    let expected = told.consignments.iter().filter(|row| row.expected).count();
    let _ = write!(
        text,
        "\n{expected} of {} consignments came out as expected; {verified} of {documents} evidence \
         bundles verify offline, from the federation root alone.\n",
        told.consignments.len()
    );
    text.push_str("\nCalls between the two customs services\n");
    for call in &told.calls {
        let outcome = match &call.error {
            Some(error) => format!("{} with {error}", call.status),
            None => call.status.to_string(),
        };
        let proof = if call.verified { "verifies" } else { "DOES NOT VERIFY" };
        let _ = writeln!(
            text,
            "{} {}: {outcome}; {}, bundle {proof}\n    {}",
            if call.good() { '✓' } else { '✗' },
            call.title,
            call.evidence,
            call.target
        );
    }
    text.push('\n');
    for node in &told.nodes {
        let _ = writeln!(
            text,
            "{}: started in {:.2} s, {} MiB resident, {:.2} s of processor time",
            node.node,
            f64::from(u32::try_from(node.started_in_ms).unwrap_or(u32::MAX)) / 1000.0,
            node.usage.resident_kib / 1024,
            node.usage.cpu_seconds
        );
    }
    if !told.good {
        text.push_str("✗ Not everything came out as it should.\n");
    }
    text
}

/// Returns what to try next, in commands that can be pasted.
pub(super) fn next_steps(folder: &Folder) -> String {
    let program = std::env::current_exe().map_or_else(|_| "karvan".to_owned(), |path| shown(&path));
    let dir = |nation: &super::nations::Nation| shown(folder.home(nation).root());
    let (az, pk) = (dir(&AZ), dir(&PK));
    let (root, bundles) = (shown(&folder.root()), shown(&folder.bundles()));
    format!(
        "\nBoth nodes are running; Ctrl-C ends them. In another terminal:\n\n\
         alias karvan={program}\n\
         karvan customs list claims --dir {pk}\n\
         karvan customs show --claim KAPE-HC-00003-02-10-2026 --dir {pk}\n\
         karvan customs show --certificate AZPK-2026-00007 --dir {az}\n\
         karvan customs tariff explain 7408.1100 --date 2026-10-02 --origin AZ\n\
         karvan documents list --dir {az}\n\
         karvan call AZ/GOV/SCC/customs/certificates/AZPK-2026-00007 --as PK/GOV/FBR/customs \
         --dir {pk}\n\
         karvan messages list --dir {az}\n\
         karvan services list --dir {az}\n\
         karvan status --dir {pk}\n\
         karvan verify {bundles}/clean-grant/01-COO-*.zip --root {root}\n\
         \nCustoms over REST, as docs/use/customs-api.md walks through it; the page for people is \
         /docs beside it:\n\n\
         API=$(sed 's/.*\"local\":\"\\([^\"]*\\)\".*/\\1/' {pk}/data/ready.json)/api/customs/v1\n\
         curl -s -H \"Authorization: Bearer $(cat {pk}/tokens/PK_GOV_FBR_customs.token)\" \
         \"$API/claims?light=red&limit=2\"\n\
         \nAnd once the nodes have ended:\n\n\
         karvan log audit --dir {az}\n"
    )
}
