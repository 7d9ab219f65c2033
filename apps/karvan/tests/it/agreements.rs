//! Two running nodes: people offer, ask, decide, look and end, at the command line only.

use serde_json::{Value, json};

use crate::world::{AZ, PK, World};

/// What Pakistan offers to everybody in Azerbaijan.
fn dataset(id: &str, kind: &Value, format: &str) -> Value {
    json!({
        "id": id, "title": format!("The {id} of Pakistan"), "provider": PK, "kind": kind,
        "formats": [format], "visibleTo": ["AZ"],
        "policy": {
            "@type": "Offer", "@id": format!("{id}-1"),
            "permission": [{ "action": "use", "constraint": [{
                "leftOperand": "urn:karvan:policy:v1:purpose", "operator": "eq",
                "rightOperand": "customs-control",
            }] }],
        },
    })
}

/// Offers a dataset of Pakistan.
fn offer(world: &World, dataset: &Value) {
    world.write("offer.json", &dataset.to_string());
    world.karvan(&["catalog", "offer", "offer.json", "--dir", "pk"]).check(0, "is offered");
}

/// Asks for it as Azerbaijan, and returns the process id there.
fn ask(world: &World, dataset: &str, more: &[&str]) -> String {
    let request = ["catalog", "request", dataset, "--peer", PK, "--dir", "az"];
    text(&world.json(&[&request[..], more].concat())["pid"])
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

/// Waits until Pakistan has a question to answer, and returns its process id there.
fn question(world: &World) -> String {
    let waiting = ["agreements", "list", "--waiting", "--dir", "pk"];
    let list = world.wait_for(&waiting, |list| list["negotiations"][0].is_object());
    text(&list["negotiations"][0]["pid"])
}

/// Waits until a process of Azerbaijan is in a state.
fn wait(world: &World, kind: &str, pid: &str, state: &str) -> Value {
    world.wait_for(&[kind, "show", pid, "--dir", "az"], |shown| shown["state"] == state)
}

/// Lets Azerbaijan ask for a dataset and Pakistan say yes; returns the process at Azerbaijan.
fn conclude(world: &World, dataset: &str) -> Value {
    let pid = ask(world, dataset, &[]);
    world.good(&["agreements", "approve", &question(world), "--dir", "pk"]);
    wait(world, "agreements", &pid, "FINALIZED")
}

#[test]
fn a_service_is_offered_asked_for_approved_explained_and_withdrawn() {
    let world = World::two_nations();
    let (pk, az) = (world.start("pk"), world.start("az"));
    let kind = json!({ "service": { "code": "certificates" } });
    offer(&world, &dataset("certificates", &kind, "Karvan-CALL"));
    world.karvan(&["catalog", "list", "--dir", "pk"]).check(0, "service certificates");
    let at_peer = ["--peer", PK, "--dir", "az"];
    let list = [&["catalog", "list"], &at_peer[..]].concat();
    world.karvan(&list).check(0, "The certificates of Pakistan");
    let show = [&["catalog", "show", "certificates"], &at_peer[..]].concat();
    world.karvan(&show).check(0, "offer certificates-1");
    let explain =
        ["agreements", "explain", "--client", AZ, "--provider", PK, "--service", "certificates"];
    let explain = |dir: &str| world.karvan(&[&explain[..], &["--dir", dir]].concat());
    explain("az").check(1, "✗ not allowed: no agreement in force");

    let done = conclude(&world, "certificates");
    let steps: Vec<_> = done["timeline"].as_array().expect("steps").iter().collect();
    let states: Vec<_> = steps.iter().map(|step| text(&step["state"])).collect();
    assert_eq!(states, ["REQUESTED", "AGREED", "VERIFIED", "FINALIZED"]);
    assert!(steps.iter().all(|step| step["signed"] == true), "{done}");
    let pid = text(&done["pid"]);
    let shown = world.karvan(&["agreements", "show", &pid, "--dir", "az"]);
    shown.check(0, "they  ContractAgreement, now AGREED\n  signed; log entry");
    shown.check(0, "decided by operator");
    for dir in ["pk", "az"] {
        explain(dir).check(0, "✓ allowed");
        explain(dir).check(0, "    ✓ ");
        world.karvan(&["agreements", "list", "--dir", dir]).check(0, "in force  customs-control");
    }

    let name = text(&done["concluded"]);
    world.karvan(&["agreements", "show", &name, "--dir", "pk"]).check(0, "may call certificates");
    let end = ["agreements", "withdraw", &name, "--reason", "the treaty ends", "--dir", "pk"];
    world.karvan(&end).check(0, "is withdrawn");
    explain("pk").check(1, "✗ not allowed");
    let show = ["agreements", "show", &name, "--dir", "az"];
    world.wait_for(&show, |shown| shown["inForce"] == false);
    explain("az").check(1, "✗ not allowed");
    world.karvan(&show).check(0, &format!("withdrawn by {PK} at 20"));
    world.karvan(&show).check(0, "the treaty ends; signed by");

    world.good(&["catalog", "withdraw", "certificates", "--dir", "pk"]);
    world.karvan(&list).check(0, "it offers you nothing");
    assert_eq!((pk.stop(), az.stop()), (Some(0), Some(0)));
}

#[test]
fn a_document_type_is_refused_with_a_reason_and_agreed_as_offered() {
    let world = World::two_nations();
    let (pk, az) = (world.start("pk"), world.start("az"));
    let kind = json!({ "documents": { "codes": ["manifest"] } });
    offer(&world, &dataset("manifests", &kind, "Karvan-DOCUMENT"));
    world.write("manifest.txt", "one container");
    let send = ["documents", "send", "--to", AZ, "--code", "manifest", "manifest.txt"];
    let send = [&send[..], &["--dir", "pk"]].concat();
    world.karvan(&send).check(5, "no agreement in force");

    // Other rules than those offered are a question to people.
    let refused = ask(&world, "manifests", &["--purpose", "transit"]);
    let asked = question(&world);
    let shown = world.karvan(&["agreements", "show", &asked, "--dir", "pk"]);
    shown.check(0, "agreements approve");
    shown.check(0, "\"rightOperand\": \"transit\"");
    let reason = ["--reason", "no legal basis for transit", "--dir", "pk"];
    world.good(&[&["agreements", "refuse", &asked], &reason[..]].concat());
    let ended = wait(&world, "agreements", &refused, "TERMINATED");
    assert_eq!(ended["cause"]["reasons"][0], "no legal basis for transit", "{ended}");
    let shown = world.karvan(&["agreements", "show", &refused, "--dir", "az"]);
    shown.check(0, "said: refused: no legal basis for transit");
    let list = world.karvan(&["agreements", "list", "--dir", "az"]);
    list.check(0, "Ended without an agreement");

    let done = conclude(&world, "manifests");
    let explain = ["agreements", "explain", "--client", PK, "--provider", AZ, "--document"];
    let explain = [&explain[..], &["manifest", "--dir", "pk"]].concat();
    world.karvan(&explain).check(0, "✓ allowed");
    world.good(&send);
    let next = ["documents", "next", "--dir", "az", "--out", "taken.txt"];
    let lease = world.wait_for(&next, |lease| !lease.is_null());
    assert_eq!(lease["document"]["code"], "manifest");
    let agreement = text(&done["agreement"]);
    let end = ["agreements", "withdraw", &agreement, "--reason", "over", "--dir", "az"];
    world.good(&end);
    world.wait_for(&["agreements", "show", &agreement, "--dir", "pk"], |shown| {
        shown["inForce"] == false
    });
    world.karvan(&send).check(5, "no agreement in force");
    assert_eq!((pk.stop(), az.stop()), (Some(0), Some(0)));
}

#[test]
fn data_is_fetched_and_a_fetch_that_broke_off_goes_on() {
    let world = World::two_nations();
    let (pk, az) = (world.start("pk"), world.start("az"));
    let data = "0123456789".repeat(20_000);
    world.write("register.txt", &data);
    let mut feed = dataset("register", &json!({ "feed": {} }), "HttpData-PULL");
    let path = world.path("register.txt");
    feed["source"] = json!({ "file": { "path": path, "media_type": "text/plain" } });
    feed["autoApprove"] = true.into();
    offer(&world, &feed);
    let negotiation = wait(&world, "agreements", &ask(&world, "register", &[]), "FINALIZED");
    let agreement = text(&negotiation["agreement"]);
    let asked = world.json(&["transfers", "request", &agreement, "--dir", "az"]);
    let pid = text(&asked["pid"]);
    wait(&world, "transfers", &pid, "STARTED");
    world.karvan(&["transfers", "list", "--dir", "pk"]).check(0, "they ask us");

    let get = ["transfers", "get", &pid, "--out", "got.txt", "--dir", "az"];
    let whole = world.json(&get);
    assert_eq!((&whole["bytes"], &whole["fetched"]), (&200_000.into(), &200_000.into()));
    let resume = [&get[..], &["--resume"]].concat();
    // What is here already is not fetched again, unless it is of other data.
    let (tag, other) = (text(&whole["tag"]), "\"other\"");
    for (here, tag, fetched) in
        [(120_000, tag.as_str(), 80_001), (200_000, &tag, 1), (120_000, other, 200_000)]
    {
        world.write("got.txt.part", &data[..here]);
        world.write("got.txt.part.tag", tag);
        let rest = world.json(&resume);
        assert_eq!((&rest["bytes"], &rest["fetched"]), (&200_000.into(), &fetched.into()));
        let got = std::fs::read_to_string(world.path("got.txt")).expect("fetched");
        assert!(got == data, "{} bytes of other content", got.len());
        assert!(!world.path("got.txt.part.tag").exists());
    }

    let act = |verb: &str, more: &[&str]| {
        world.good(&[&["transfers", verb, &pid, "--dir", "az"], more].concat());
    };
    act("suspend", &["--reason", "maintenance"]);
    world.wait_for(&["transfers", "list", "--dir", "pk"], |list| list[0]["state"] == "SUSPENDED");
    world.karvan(&get).check(7, "only a started transfer");
    act("start", &[]);
    world.wait_for(&["transfers", "list", "--dir", "pk"], |list| list[0]["state"] == "STARTED");
    world.good(&get);
    act("complete", &[]);
    wait(&world, "transfers", &pid, "COMPLETED");
    assert_eq!((pk.stop(), az.stop()), (Some(0), Some(0)));
}

#[test]
fn wrong_uses_end_with_the_documented_codes() {
    let world = World::two_nations();
    let node = world.start("pk");
    let kind = json!({ "service": { "code": "certificates" } });
    let mut bad = dataset("certificates", &kind, "Karvan-CALL");
    bad["visibleTo"] = json!([]);
    world.write("bad.json", &bad.to_string());
    world.write("broken.json", "{");
    let unknown = "urn:uuid:01900000-0000-7000-8000-000000000000";
    let explain = ["agreements", "explain", "--client", AZ, "--provider", PK];
    for (arguments, code, part) in [
        (vec!["catalog", "offer", "bad.json"], 3, "visibleTo"),
        (vec!["catalog", "offer", "broken.json"], 3, "docs/use/agreements.md"),
        (vec!["catalog", "show", "nothing"], 6, "hint: `karvan catalog list`"),
        (vec!["catalog", "list", "--peer", "nobody"], 3, "neither a member nor a node"),
        (vec!["catalog", "request", "x", "--peer", AZ], 11, ""),
        (vec!["catalog", "withdraw", "nothing"], 6, "nothing"),
        (vec!["agreements", "show", "nothing"], 6, "hint: `karvan agreements list`"),
        (vec!["agreements", "approve", unknown], 6, unknown),
        (vec!["agreements", "refuse", unknown], 2, "--reason"),
        (vec!["agreements", "refuse", unknown, "--reason", "no"], 6, unknown),
        (explain.to_vec(), 2, "--service"),
        (vec!["transfers", "request", "nothing"], 6, "nothing"),
        (vec!["transfers", "get", unknown, "--resume"], 2, "--out"),
        (vec!["agreements", "list", "--as", PK], 5, "agreements.read"),
    ] {
        let arguments = [&arguments[..], &["--dir", "pk"]].concat();
        world.karvan(&arguments).check(code, part);
        let told = world.karvan(&[&arguments[..], &["--json"]].concat());
        let problem: Value = serde_json::from_str(&told.err).expect("a problem in JSON");
        assert!(problem["title"].is_string() && told.code == code, "{}", told.err);
    }
    assert_eq!(node.stop(), Some(0));
}
