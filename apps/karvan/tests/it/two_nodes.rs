//! Two running nodes: documents there and back, receipts, evidence, and what is refused.

use serde_json::Value;

use crate::world::{AZ, PK, World};

/// Sends a file from one side and returns its exchange id.
fn send(world: &World, from: &str, to: &str, file: &str) -> String {
    let send = ["documents", "send", "--dir", from, "--to", to, "--code", "note", file];
    let sent = world.json(&send);
    assert_eq!(sent["state"], "accepted", "{sent}");
    sent["exchange"].as_str().expect("an id").to_owned()
}

/// Takes the next document at a side and returns it with its lease.
fn take(world: &World, dir: &str, out: &str) -> (String, String) {
    let next = ["documents", "next", "--dir", dir, "--out", out];
    let lease = world.wait_for(&next, |lease| !lease.is_null());
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    (text(&lease["document"]["exchange"]), text(&lease["lease"]))
}

fn state(views: &Value) -> &str {
    views[0]["state"].as_str().unwrap_or_default()
}

fn witnessed(views: &Value) -> bool {
    let evidence = views[0]["evidence"].as_array().expect("evidence");
    evidence.len() == 3 && evidence.iter().all(|entry| entry["state"] == "witnessed")
}

#[test]
fn documents_travel_both_ways_with_receipts_and_evidence() {
    let world = World::two_nations();
    let (pk, az) = (world.start("pk"), world.start("az"));
    world.write("there.txt", "the consignment left Karachi");
    world.write("back.txt", "the consignment reached Baku");

    let there = send(&world, "pk", AZ, "there.txt");
    let (taken, lease) = take(&world, "az", "taken.txt");
    assert_eq!(taken, there);
    let body = std::fs::read(world.path("taken.txt")).expect("body");
    assert_eq!(body, b"the consignment left Karachi");
    let ack = ["documents", "ack", &there, "--lease", &lease, "--dir", "az"];
    assert_eq!(state(&world.json(&ack)), "delivered");
    // Said twice is no error.
    world.good(&ack);
    let show = ["documents", "show", &there, "--dir", "pk"];
    let shown = world.wait_for(&show, witnessed);
    assert_eq!(state(&shown), "delivered");
    assert_eq!(shown[0]["handover_receipt"], true);

    let back = send(&world, "az", PK, "back.txt");
    let (taken, lease) = take(&world, "pk", "back-taken.txt");
    assert_eq!(taken, back);
    let refuse = ["documents", "ack", &back, "--lease", &lease, "--refuse", "wrong desk"];
    world.good(&[&refuse[..], &["--dir", "pk"]].concat());
    let show = ["documents", "show", &back, "--dir", "az"];
    let shown = world.wait_for(&show, |views| state(views) == "refused");
    assert_eq!(shown[0]["reason"]["text"], "wrong desk", "{shown}");

    check_bundle(&world, &there);
    check_client(&world);
    world.karvan(&["documents", "compare", "--dir", "pk"]).check(0, "has all up to 1");
    world.karvan(&["status", "--dir", "pk"]).check(0, "AZ/node/baku-1  reachable");
    world.karvan(&["alarms", "--dir", "az"]).check(0, "no alarms");
    world.karvan(&["log", "audit", "--dir", "pk"]).check(0, "whole and as it was signed");
    let online = world.good(&["log", "prove", "3", "--dir", "pk"]);

    assert_eq!((pk.stop(), az.stop()), (Some(0), Some(0)));
    check_stored_log(&world, &online);
    world.karvan(&["status", "--dir", "pk"]).check(11, "hint: start the node");
}

fn check_bundle(world: &World, exchange: &str) {
    // A bundle proves what a checkpoint covers.
    world.wait_for(&["documents", "show", exchange, "--dir", "az"], witnessed);
    world.good(&["documents", "bundle", exchange, "--dir", "az", "--out", "good.zip"]);
    let root = ["--root", "root.json"];
    world.karvan(&["verify", "good.zip"]).check(0, "give --root");
    let good = world.json(&[&["verify", "good.zip"], &root[..]].concat());
    assert_eq!((&good["holds"], &good["report"]["gaps"]), (&true.into(), &Value::Array(vec![])));
    let bundle = std::fs::read(world.path("good.zip")).expect("bundle");
    for (text, name) in [
        ("the consignment left", "document/body"),
        ("karvan-bundle", "manifest"),
        ("c2sp.org/tlog-proof", "proofs/"),
    ] {
        let mut altered = bundle.clone();
        let place = altered.windows(text.len()).position(|part| part == text.as_bytes());
        // The manifest is base64, so its name in the directory is altered instead.
        let place = place.or_else(|| altered.windows(8).rposition(|part| part == b"manifest"));
        altered[place.expect("there")] ^= 1;
        std::fs::write(world.path("bad.zip"), altered).expect("written");
        world.karvan(&[&["verify", "bad.zip"], &root[..]].concat()).check(14, name);
    }
}

/// Wrong inputs end with the documented codes.
fn check_client(world: &World) {
    let unknown = "01900000-0000-7000-8000-000000000000";
    world.write("wrong.token", "not a token\n");
    let send = ["documents", "send", "--dir", "pk", "--code"];
    for (arguments, code, part) in [
        (vec!["documents", "show", "not-an-id", "--dir", "pk"], 2, "UUID of version 7"),
        (vec!["documents", "show", unknown, "--dir", "pk"], 6, unknown),
        (vec!["status", "--dir", "pk", "--token-file", "wrong.token"], 4, "hint: give a token"),
        (vec!["status", "--dir", "pk", "--as", PK], 5, "lacks the permission `node.read`"),
        ([&send[..], &["secret", "--to", AZ, "there.txt"]].concat(), 5, "no agreement in force"),
        ([&send[..], &["note", "--to", AZ, "no-such.txt"]].concat(), 6, "no-such.txt"),
        (vec!["status"], 12, "hint: give --dir"),
        (vec!["status", "--node", "ftp://x", "--token-file", "wrong.token"], 3, "hint: write http"),
    ] {
        world.karvan(&arguments).check(code, part);
        let told = world.karvan(&[&arguments[..], &["--json"]].concat());
        let problem: Value = serde_json::from_str(&told.err).expect("a problem in JSON");
        assert!(problem["title"].is_string() && told.code == code, "{}", told.err);
    }
}

fn check_stored_log(world: &World, online: &str) {
    world.karvan(&["log", "audit", "--dir", "pk"]).check(0, "whole and as it was signed");
    let data = ["--data", "pk/data"];
    let offline = world.good(&[&["log", "prove", "3"], &data[..]].concat());
    let entry = |proof: &str| proof.lines().nth(1).map(ToOwned::to_owned);
    assert_eq!(entry(&offline), entry(online));
    world.karvan(&[&["log", "entry", "3"], &data[..]].concat()).check(0, "\"kind\":");
    world.karvan(&[&["log", "entry", "999"], &data[..]].concat()).check(6, "no entry 999");

    let tiles = world.path("pk/data/log/tile/entries");
    let bundle = find_file(&tiles).expect("an entry bundle");
    let mut bytes = std::fs::read(&bundle).expect("read");
    let place = bytes.windows(8).position(|part| part == b"document").expect("an entry");
    bytes[place] ^= 1;
    std::fs::write(&bundle, bytes).expect("written");
    world.karvan(&["log", "audit", "--dir", "pk"]).check(14, "tile/entries/000.p/");
}

fn find_file(folder: &std::path::Path) -> Option<std::path::PathBuf> {
    std::fs::read_dir(folder).ok()?.flatten().find_map(|entry| {
        let path = entry.path();
        if path.is_dir() { find_file(&path) } else { Some(path) }
    })
}

#[test]
fn a_node_that_cannot_run_says_why() {
    let world = World::two_nations();
    let node = world.start("pk");
    let config = ["node", "--config", "pk/node.toml"];
    world.karvan(&config).check(12, "in use by another process");
    assert_eq!(node.stop(), Some(0));
    std::fs::remove_file(world.path("pk/lists/list-PK.json")).expect("removed");
    std::fs::remove_dir_all(world.path("pk/data")).expect("removed");
    world.karvan(&config).check(12, "hint: install root and lists");
    world.karvan(&["node", "--config", "none.toml"]).check(12, "none.toml");
}

#[test]
fn a_running_node_takes_over_a_new_list_and_certificate() {
    let world = World::two_nations();
    let config = world.path("pk/node.toml");
    let text = std::fs::read_to_string(&config).expect("config");
    let text = text + "\n[exchange]\nlist-refresh = \"50ms\"\n";
    std::fs::write(&config, text).expect("written");
    let node = world.start("pk");
    world.good(&["init", "renew", "--dir", "pk"]);
    world.good(&["init", "list", "--dir", "pk"]);
    let status = ["status", "--dir", "pk"];
    world.wait_for(&status, |status| {
        let lists = status["lists"].as_array().expect("lists");
        lists.iter().any(|list| list["nation"] == "PK" && list["sequence"] == 2)
    });
    assert_eq!(node.stop(), Some(0));
    let told = std::fs::read_to_string(world.path("pk.log")).expect("log");
    assert!(told.contains("the certificate was renewed"), "{told}");
}

#[test]
fn a_running_node_reads_tokens_anew_at_sighup() {
    let world = World::two_nations();
    let node = world.start("pk");
    let file = "pk/tokens/auditor.token";
    world.good(&[
        "init",
        "token",
        "--dir",
        "pk",
        "--user",
        "auditor",
        "--member",
        PK,
        "--permission",
        "node.read",
    ]);
    let ready = std::fs::read_to_string(world.path("pk/data/ready.json")).expect("ready");
    let ready: Value = serde_json::from_str(&ready).expect("JSON");
    let url = ready["local"].as_str().expect("a URL");
    let status = ["status", "--node", url, "--token-file", file];
    world.karvan(&status).check(4, "does not know the token");
    node.signal("-HUP");
    world.wait_for_log("pk", "were read anew");
    world.good(&status);
    std::fs::write(world.path("pk/tokens.json"), "no list").expect("written");
    node.signal("-HUP");
    world.wait_for_log("pk", "nothing was read anew");
    world.good(&status);
    assert_eq!(node.stop(), Some(0));
}
