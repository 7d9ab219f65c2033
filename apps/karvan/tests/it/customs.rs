//! The customs command line against a running pilot, and without any node.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::pilot::Pilot;
use crate::world::World;

/// Where the test data outside of the project is.
const TEST_DATA: &str = "KARVAN_TEST_DATA";
/// Set to rewrite the expected results.
const UPDATE: &str = "KARVAN_UPDATE_EXPECTED";

fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name)
}

/// Returns the input of a step of a shipped consignment.
fn input(consignment: &str, step: usize, member: &str) -> Value {
    let all = karvan_customs::samples::shipped();
    let found = all.into_iter().find(|each| each.id == consignment).expect("a consignment");
    found.steps[step].input[member].clone()
}

fn write(world: &World, name: &str, document: &Value) {
    world.write(name, &document.to_string());
}

/// The clocks of two real nodes, with the night shortened to seconds.
#[test]
fn both_nodes_compare_by_their_own_clocks() {
    let world = World::new();
    let (mut pilot, _) = Pilot::running(&world);
    pilot.end("-TERM");
    for side in ["az", "pk"] {
        let path = world.path(&format!("data/{side}/node.toml"));
        let text = std::fs::read_to_string(&path).expect("the configuration");
        let shortened = |seconds: u32| {
            text.replace("\ngo-live", &format!("\ncompare-every-seconds = {seconds}\ngo-live"))
        };
        assert_ne!(shortened(1), text);
        std::fs::write(&path, shortened(1)).expect("written");
        let check = ["config", "check", &format!("data/{side}/node.toml")];
        world.karvan(&check).check(12, "5 to 86400 seconds");
        std::fs::write(&path, shortened(5)).expect("written");
    }
    let (_pilot, _) = Pilot::running(&world);
    // Pakistan's node debited, so it tells its balances, and Azerbaijan's compares them.
    let look = ["customs", "ledger", "compare", "--look", "--dir", "data/az"];
    let seen = world
        .wait_for(&look, |seen| seen["comparisons"].as_array().is_some_and(|all| !all.is_empty()));
    assert_eq!(seen["comparisons"][0]["differing"], 0, "{seen:#}");
    for side in ["data/az", "data/pk"] {
        let list = ["documents", "list", "--dir", side, "--limit", "100"];
        world.wait_for(&list, |seen| seen.to_string().contains("\"SEQ\""));
    }
}

#[test]
fn a_consignment_goes_through_the_command_line() {
    let world = World::new();
    let (mut pilot, _) = Pilot::running(&world);
    let customs = |arguments: &[&str]| world.karvan(&[&["customs"], arguments].concat());
    let (az, pk) = ("data/az", "data/pk");
    let issuer = ["--dir", az, "--as", "AZ/GOV/AMCM"];
    write(&world, "coo.json", &input("clean-grant", 0, "certificate"));
    write(&world, "exd.json", &input("clean-grant", 1, "declaration"));
    write(&world, "imp.json", &input("clean-grant", 2, "claim"));

    let issue = [&["certificate", "issue", "coo.json"][..], &issuer].concat();
    customs(&issue).check(0, "accepted it");
    customs(&issue).check(0, "handed in before");
    customs(&["submit", "exd.json", "--dir", az]).check(0, "partner    accepted it");
    customs(&["claim", "imp.json", "--dir", pk]).check(0, "none: the papers agree");
    let number = "KAPE-HC-00001-02-10-2026";
    let deny = ["decide", number, "--deny", "--dir", pk];
    customs(&deny).check(3, "give a reason, one of balance-exceeded");
    let lacking = [&deny[..], &["--reason", "other", "--text", "no"]].concat();
    customs(&lacking).check(3, "10 to 512 characters");
    customs(&["decide", number, "--dir", pk]).check(2, "--grant");
    customs(&["decide", number, "--grant", "--dir", pk]).check(0, "debited    20000 KGM");
    customs(&deny).check(7, "reopen it first");
    let reopen = ["decide", number, "--reopen", "--dir", pk];
    customs(&reopen).check(2, "--text");
    let why = ["--text", "the wrong item was granted"];
    customs(&[&reopen[..], &why].concat()).check(0, "Item 1: green, reopened");
    customs(&[&reopen[..], &why].concat()).check(7, "nothing to reopen");
    customs(&["decide", number, "--grant", "--dir", pk]).check(0, "debited    20000 KGM");

    let shown = customs(&["show", "6AZ00001", "--dir", pk]).good();
    for part in [
        "green, granted",
        "assumed (!)",
        "ledger       item 1: 20000 KGM certified, 20000 debited, 0 left",
        "Export declaration AZ-EX-2026-00001",
        "evidence: document.submission",
    ] {
        assert!(shown.contains(part), "`{part}` is not in\n{shown}");
    }
    customs(&["show", "--claim", "NONE", "--dir", pk]).check(6, "no claim NONE");
    customs(&["list", "claims", "--state", "granted", "--dir", pk]).check(0, number);
    let listed = world.json(&["customs", "list", "certificates", "--dir", az]);
    assert_eq!(listed["count"], 2, "{listed:#}");

    check_refusals(&world, &issuer);
    check_replacement(&world, &issuer);
    check_xml(&world);
    check_tariffs(&world);
    assert_eq!(pilot.end("-TERM"), Some(0));
}

fn check_refusals(world: &World, issuer: &[&str]) {
    let mut wrong = input("partial-grant", 0, "certificate");
    wrong["TypeCode"] = json!("380");
    wrong["Destination"]["CountryCode"] = json!("XX");
    write(world, "wrong.json", &wrong);
    let issue = [&["customs", "certificate", "issue", "wrong.json"][..], issuer].concat();
    let refused = world.karvan(&issue);
    refused.check(3, "at /Destination/CountryCode: ");
    refused.check(3, "at /TypeCode: ");
    let told: Value = serde_json::from_str(&world.karvan(&[&issue[..], &["--json"]].concat()).err)
        .expect("a problem");
    assert_eq!(told["type"], "urn:karvan:problem:customs.invalid-document", "{told:#}");
    assert!(told["detail"].is_string(), "{told:#}");

    world.write("broken.json", "{\"a\":1,\"a\":2}");
    world.karvan(&["customs", "submit", "broken.json", "--dir", "data/az"]).check(3, "twice");
    let cancel = [&["customs", "certificate", "cancel", "coo.json"][..], issuer].concat();
    world.karvan(&cancel).check(3, "`FunctionCode` is not 1");
    let officer = ["customs", "certificate", "issue", "coo.json", "--dir", "data/az"];
    world.karvan(&officer).check(5, "issues no certificates");
}

fn check_replacement(world: &World, issuer: &[&str]) {
    let act = |act: &str, file: &str| {
        world.karvan(&[&["customs", "certificate", act, file][..], issuer].concat())
    };
    write(world, "first.json", &input("replaced-certificate", 0, "certificate"));
    write(world, "second.json", &input("replaced-certificate", 2, "certificate"));
    act("issue", "first.json").check(0, "accepted it");
    act("replace", "first.json").check(3, "`replaces`");
    act("replace", "second.json").check(0, "accepted it");
    let replaced = ["customs", "show", "--certificate", "AZPK-2026-00016", "--dir", "data/pk"];
    world.karvan(&replaced).check(0, "replaced by  AZPK-2026-00016R");
    write(world, "third.json", &input("cancelled-certificate", 0, "certificate"));
    write(world, "cancel.json", &input("cancelled-certificate", 2, "cancellation"));
    act("issue", "third.json").check(0, "accepted it");
    act("cancel", "cancel.json").check(0, "accepted it");
}

fn check_xml(world: &World) {
    let xml = testdata("export-az.xml");
    let xml = xml.to_str().expect("text");
    let sent = world.karvan(&["customs", "submit", xml, "--dir", "data/az"]);
    sent.check(0, "partner    accepted it");
    assert!(!sent.out.contains("TransactionNatureCode"), "it is carried over");
    let submit = ["customs", "submit", xml, "--dir", "data/az"];
    world.karvan(&submit).check(0, "handed in before; nothing was sent");
    let claim = ["customs", "claim", xml, "--dir", "data/pk"];
    world.karvan(&claim).check(3, "a document of type IMP is expected here, not EXD");
    let show = ["customs", "show", "--export", "AZ-EX-2026-90001", "--dir", "data/pk"];
    world.karvan(&show).check(0, "consignment  6AZ90001");
}

#[test]
fn every_wco_sample_is_accepted_or_refused_by_a_named_rule() {
    let Some(data) = std::env::var_os(TEST_DATA) else {
        println!(
            "SKIPPED every_wco_sample_is_accepted_or_refused_by_a_named_rule: \
             KARVAN_TEST_DATA is not set"
        );
        return;
    };
    let folder = Path::new(&data).join("customs/wco-dec-samples");
    let entries = std::fs::read_dir(&folder).expect("the samples");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|file| file.extension().is_some_and(|end| end == "xml"));
    files.sort();
    assert!(files.len() >= 15, "{} samples", files.len());

    let world = World::new();
    let (mut pilot, _) = Pilot::running(&world);
    let mut found = String::new();
    for file in &files {
        let name = file.file_name().expect("a name").to_string_lossy();
        writeln!(found, "{name}: {}", play(&world, file, &name)).expect("written");
    }
    let standard = std::fs::read_to_string(folder.join("export-standard.xml")).expect("a sample");
    let cancellation = folder.join("export-cancellation-request.xml");
    writeln!(found, "{}", play_with_original(&world, &standard, &cancellation)).expect("written");
    assert_eq!(pilot.end("-TERM"), Some(0));
    let path = testdata("wco-submissions.txt");
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(&path, &found).expect("written");
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(expected == found, "{} differs; set {UPDATE}=1:\n{found}", path.display());
}

/// Submits one sample at the side that it is for, follows it to the other side, and says what came
/// of it without what differs from run to run.
fn play(world: &World, file: &Path, name: &str) -> String {
    let dir = if name.starts_with("import") { "data/pk" } else { "data/az" };
    let path = file.to_str().expect("text");
    let ended = world.karvan(&["customs", "submit", path, "--dir", dir, "--json"]);
    if ended.code != 0 && ended.out.is_empty() {
        let problem: Value = serde_json::from_str(&ended.err).expect("a problem");
        let code = problem["type"].as_str().expect("a type");
        let detail = problem["detail"].as_str().expect("a detail");
        return format!("refused ({code}, exit {}): {detail}", ended.code);
    }
    let sent: Value = serde_json::from_str(&ended.out).expect("an answer");
    let lost = sent["notCarriedOver"].as_array().map_or(0, Vec::len);
    let came_of_it = match sent["document"].as_str() {
        Some("IMP") => follow_claim(world, path, &sent),
        _ => follow_export(world, path, &sent),
    };
    let mut lines = format!("{came_of_it}; {lost} values not carried over");
    for flag in sent["flags"].as_array().into_iter().flatten() {
        let (at, said) = (flag["pointer"].as_str(), flag["text"].as_str());
        write!(lines, "\n  flag at {}: {}", at.expect("a place"), said.expect("a text"))
            .expect("written");
    }
    lines
}

/// Checks that both sides have the declaration, with evidence and the same flags.
fn follow_export(world: &World, path: &str, sent: &Value) -> String {
    let id = sent["id"].as_str().expect("a number");
    assert_eq!(sent["partner"]["state"], "accepted", "{sent:#}");
    for (dir, direction, answer) in [("data/az", "out", "in"), ("data/pk", "in", "out")] {
        let show = ["customs", "show", "--export", id, "--dir", dir];
        let shown = world.json(&show);
        assert_eq!(shown["export"]["state"], "announced", "{dir}: {shown:#}");
        assert_eq!(shown["versions"][0]["flags"], sent["flags"], "{dir}");
        let messages = shown["messages"].as_array().expect("messages");
        let of = |code: &str, direction: &str| {
            let mut all = messages.iter();
            all.find(|each| each["code"] == code && each["direction"] == direction)
                .unwrap_or_else(|| panic!("{dir}: no {code} {direction} in {shown:#}"))
        };
        let exported = of("EXD", direction);
        assert_eq!(exported["state"], "accepted", "{dir}");
        assert_eq!(exported["digest"], sent["digest"], "{dir}: the same bytes");
        for message in [exported, of("VAL", answer)] {
            let evidence = message["evidence"].as_array().expect("evidence");
            assert!(!evidence.is_empty(), "{dir}: {message:#}");
        }
        world.karvan(&show).check(0, "flag at GoodsShipment/");
    }
    let again = world.json(&["customs", "submit", path, "--dir", "data/az"]);
    assert_eq!((&again["exchange"], &again["duplicate"]), (&sent["exchange"], &json!(true)));
    format!("EXD {id} sent; stored by both sides with evidence, VAL accepted")
}

/// Checks that the claim is kept, once, and that a question about its certificate reaches the
/// other side.
fn follow_claim(world: &World, path: &str, filed: &Value) -> String {
    let claim = filed["claim"].as_str().expect("a number");
    let show = ["customs", "show", "--claim", claim, "--dir", "data/pk"];
    world.karvan(&show).check(0, "flag at GoodsShipment/");
    if filed["proposal"]["verdict"] == "general-rate" {
        assert_eq!(filed["items"], json!([]), "{filed:#}");
        world.karvan(&show).check(0, "no preference is claimed and the general rate applies");
        return format!("IMP {claim} filed; no preference claimed, proposal general-rate");
    }
    let item = &filed["items"][0];
    let rules: Vec<_> = item["rules"].as_array().expect("rules").iter().map(text).collect();
    assert!(rules.contains(&"certificate-unknown"), "{rules:?}");
    let again = world.json(&["customs", "claim", path, "--dir", "data/pk"]);
    assert_eq!((&again["claim"], &again["duplicate"]), (&filed["claim"], &json!(true)));
    let words = "the certificate has not arrived; do you know it?";
    let why = ["--reason", "cert-unknown", "--text", words];
    let query = [&["customs", "decide", claim, "--query", "--dir", "data/pk"][..], &why].concat();
    world.karvan(&query).check(0, "sent under exchange");
    let asked = |task: &Value| {
        let subject = task["subject"].as_str().unwrap_or_default();
        let number = item["certificate"]["key"].as_str().expect("a key");
        task["kind"] == "partner-query" && subject == format!("certificate {number}")
    };
    let tasks = ["customs", "list", "tasks", "--dir", "data/az"];
    world.wait_for(&tasks, |listed| listed["rows"].as_array().expect("rows").iter().any(asked));
    format!(
        "IMP {claim} filed; item 1 quotes certificate {}: {}, {} ({}), proposal {}; held, and the \
         partner asked",
        text(&item["certificate"]["number"]),
        text(&item["light"]),
        text(&item["state"]),
        rules.join(", "),
        text(&item["proposal"]["verdict"]),
    )
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

/// The cancellation once its original is here, and before it an amendment as the refusal of an
/// amendment by pointer demands it: the whole declaration under function 5.
fn play_with_original(world: &World, standard: &str, cancellation: &Path) -> String {
    const NUMBER: &str = "24GBDIRIGZ7QLCPAA8";
    let version = |function: &str, reference: &str| {
        let code = format!("<FunctionCode>{function}</FunctionCode><ID>{NUMBER}</ID>");
        let xml = standard.replace("<FunctionCode>9</FunctionCode>", &code);
        let xml = xml.replace("U.7847323YIPYA", reference);
        assert!(xml.contains(NUMBER) && xml.contains(reference), "{xml}");
        let name = format!("{reference}.xml");
        world.write(&name, &xml);
        world.json(&["customs", "submit", &name, "--dir", "data/az"])
    };
    for (number, (function, reference)) in (1..).zip([("9", "ORIGINAL"), ("5", "AMENDED")]) {
        let sent = version(function, reference);
        assert_eq!(
            (&sent["version"], &sent["partner"]["state"]),
            (&json!(number), &json!("accepted"))
        );
    }
    let path = cancellation.to_str().expect("text");
    let sent = world.json(&["customs", "submit", path, "--dir", "data/az"]);
    assert_eq!(sent["partner"]["state"], "accepted", "{sent:#}");
    for dir in ["data/az", "data/pk"] {
        let shown = world.json(&["customs", "show", "--export", NUMBER, "--dir", dir]);
        assert_eq!(shown["export"]["state"], "cancelled", "{dir}: {shown:#}");
        assert_eq!(shown["versions"].as_array().map(Vec::len), Some(2), "{dir}");
    }
    "export-cancellation-request.xml after its original and an amendment under function 5: CXL \
     sent; cancelled on both sides, VAL accepted"
        .to_owned()
}

/// Pakistan's tariff as shipped, under another name and with one rate changed.
fn changed_tariff() -> String {
    let shipped = include_str!("../../../../subsystems/customs/data/tariff/pakistan.toml");
    let wire = "{ codes = [\"740811\"], rate = \"5\" },\n]\n\n# The ACD";
    assert!(shipped.contains(wire));
    shipped
        .replace("version = \"shipped-", "version = \"next-")
        .replace(wire, &wire.replace("\"5\"", "\"4\""))
}

fn check_tariffs(world: &World) {
    let tariff = |rest: &[&str]| world.karvan(&[&["customs", "tariff"], rest].concat());
    world.write("next.toml", &changed_tariff());
    tariff(&["import", "next.toml", "--dir", "data/pk"]).check(0, "is in force: 107 measures");
    tariff(&["import", "next.toml", "--dir", "data/pk"]).check(0, "is here already");
    tariff(&["versions", "--dir", "data/pk"]).check(0, "next-2026-08");
    world.write("taken.toml", &changed_tariff().replace("\"18\"", "\"17\""));
    tariff(&["import", "taken.toml", "--dir", "data/pk"]).check(7, "a new name");
    tariff(&["quota", "RICE", "--dir", "data/pk"]).check(6, "no such quota");
}

#[test]
fn a_tariff_file_is_checked_and_compared() {
    let world = World::new();
    let tariff = |rest: &[&str]| world.karvan(&[&["customs", "tariff"], rest].concat());
    world.write("next.toml", &changed_tariff());
    tariff(&["validate", "next.toml"]).check(0, "valid: version next-2026-08 of PK");
    tariff(&["show", "next.toml", "--code", "7408.11"]).check(0, "740811  CD    target-rate  4 %");
    tariff(&["diff", "PK", "pk"]).check(0, "no measure differs");
    tariff(&["diff", "PK", "next.toml"]).check(1, "+ 740811  CD  target-rate  4 %");
    let asked = ["--date", "2026-10-02", "--file", "next.toml"];
    tariff(&[&["explain", "740811"], &asked[..]].concat()).check(0, "4 %");
    let overlap = "{ codes = [\"740811\", \"7408\", \"7408\"], rate = \"5\" },\n]\n\n# The ACD";
    let wrong = changed_tariff()
        .replace("{ codes = [\"740811\"], rate = \"4\" },\n]\n\n# The ACD", overlap);
    world.write("wrong.toml", &wrong);
    tariff(&["validate", "wrong.toml"]).check(3, "both give CD for 7408 on 2024-12-16");
    tariff(&["validate", "nowhere.toml"]).check(6, "no such file");
}

#[test]
fn a_tariff_is_explained_without_a_node() {
    let world = World::new();
    let explain = |rest: &[&str]| world.karvan(&[&["customs", "tariff", "explain"], rest].concat());
    let wire = explain(&["7408.1100", "--date", "2026-10-02", "--origin", "AZ"]);
    for part in ["preference is lower", "general is lower", "assumed (!)", "sro-2053-2024: "] {
        wire.check(0, part);
    }
    explain(&["7408.1900", "--date", "2026-10-02"]).check(0, "No concession covers this code");
    let rice = ["100630", "--date", "2026-10-02", "--origin", "pk", "--value", "10000 AZN"];
    explain(&rice).check(0, "AZN saved");
    explain(&["9999", "--date", "2026-10-02"]).check(3, "is not a tariff code");
    explain(&["740811", "--country", "FR"]).check(6, "ask for AZ or PK");
    explain(&["740811", "--value", "1e5 PKR"]).check(3, "write number and currency");
    explain(&["740811", "--value", "100 USD"]).check(3, "convert it to PKR");
    let told = world.json(&["customs", "tariff", "explain", "740811", "--date", "2026-10-02"]);
    assert_eq!(told["rates"]["country"], "PK", "{told:#}");
}
