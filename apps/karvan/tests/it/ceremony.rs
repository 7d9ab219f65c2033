//! The ceremony of two nations, and what it refuses.

use std::os::unix::fs::PermissionsExt as _;

use crate::world::{AZ, PK, World, draft};

#[test]
fn two_nations_are_made_and_their_configurations_are_good() {
    let world = World::two_nations();
    for dir in ["pk", "az"] {
        let config = format!("{dir}/node.toml");
        world.karvan(&["config", "check", &config]).check(0, "is good");
        let shown = world.good(&["config", "show", &config]);
        assert!(shown.contains("relay-window = 64"), "{shown}");
        let mode = std::fs::metadata(world.path(dir)).expect(dir).permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "{dir}");
        for secret in ["unlock.key", "tokens/operator.token", "keys/master.json"] {
            let path = world.path(&format!("{dir}/{secret}"));
            let mode = std::fs::metadata(&path).expect(secret).permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{secret}");
        }
        let token = std::fs::read_to_string(world.path(&format!("{dir}/tokens/operator.token")));
        let known = std::fs::read_to_string(world.path(&format!("{dir}/tokens.json")));
        let (token, known) = (token.expect("token"), known.expect("tokens"));
        assert!(!known.contains(token.trim()), "the node's file holds a token in plain text");
    }
}

#[test]
fn the_ceremony_refuses_what_would_break_trust() {
    let world = World::new();
    world.init("pk", "PK", "karachi-1", PK);
    world.init("az", "AZ", "baku-1", AZ);
    world.good(&["init", "root", "--dir", "pk", "--with", "az/nation.json"]);
    let install = ["init", "install", "--dir", "pk", "root.json", "az/lists/list-AZ.json"];

    // Nobody said yes, so nothing is signed; and half a root is not installed.
    let asked = world.karvan(&["init", "countersign", "--dir", "az", "root.json"]);
    asked.check(5, "hint: compare the digest");
    asked.check(5, "federation root number 1");
    world.karvan(&install).check(14, "not signed by AZ");

    // A root that names other keys for a nation is not signed by it.
    world.init("other", "AZ", "ganja-1", AZ);
    world
        .karvan(&["init", "countersign", "--dir", "other", "root.json", "--yes"])
        .check(14, "names AZ with other keys");
    let third = world.karvan(&["init", "countersign", "--dir", "pk", "root.json", "--yes"]);
    third.check(3, "a key signs a document once");

    // A list of a nation's other folder is not signed by a key in the root.
    world.good(&["init", "countersign", "--dir", "az", "root.json", "--yes"]);
    let foreign = [&install[..5], &["other/lists/list-AZ.json"]].concat();
    world.karvan(&foreign).check(4, "a list is refused");
    world.good(&install);

    // What exists is not made again.
    let again = world.karvan(&[
        "init",
        "--dir",
        "pk",
        "--nation",
        "PK",
        "--name",
        "x",
        "--node",
        "n",
        "--address",
        "127.0.0.1:1",
        "--member",
        PK,
    ]);
    again.check(7, "hint: take another folder");
}

#[test]
fn an_agreement_counts_only_with_both_signatures() {
    let world = World::two_nations();
    std::fs::copy(world.path("half.json"), world.path("pk/agreements/notes-1.json"))
        .expect("copied");
    let half = world.karvan(&["config", "check", "pk/node.toml"]);
    half.check(1, "no member of AZ that is a party has signed");
    // A signature that does not hold gets no second one beside it.
    let text = std::fs::read_to_string(world.path("half.json")).expect("half");
    let place = text.find("\"signature\":\"").expect("a signature") + 20;
    let other = if text[place..].starts_with('A') { "B" } else { "A" };
    world.write("forged.json", &format!("{}{other}{}", &text[..place], &text[place + 1..]));
    world
        .karvan(&["init", "agreement", "--dir", "az", "forged.json", "--yes"])
        .check(4, "signature does not hold");

    for (from, to, part) in [
        ("\"version\": 1", "\"version\": 0", "`version` counts from 1"),
        ("customs-notes", "for customs, of course", "`purpose` is a code"),
        ("2099-", "2019-", "`validUntil` is after validFrom"),
        ("2099-01-01T00:00:00.000Z", "2099-01-01T04:00:00+04:00", "as it would be signed"),
        ("\"grants\"", "\"gifts\"", "unknown field `gifts`"),
    ] {
        world.write("bad.json", &draft().replacen(from, to, 1));
        let refused = world.karvan(&["init", "agreement", "--dir", "pk", "bad.json", "--yes"]);
        refused.check(3, part);
    }
}

#[test]
fn lists_certificates_and_tokens_are_renewed() {
    let world = World::two_nations();
    let issued = world.json(&["init", "list", "--dir", "pk", "--lifetime", "90d"]);
    assert_eq!(issued["number"], 2, "{issued}");
    let list = "pk/lists/list-PK.json";
    world.good(&["init", "install", "--dir", "az", "root.json", list]);
    let before = std::fs::read(world.path("pk/node.crt")).expect("certificate");
    world.good(&["init", "renew", "--dir", "pk"]);
    assert_ne!(before, std::fs::read(world.path("pk/node.crt")).expect("certificate"));
    let token = ["init", "token", "--dir", "pk", "--user", "amina", "--member", PK];
    let token = [&token[..], &["--permission", "documents.read"]].concat();
    world.good(&token);
    world.karvan(&token).check(7, "amina has a token already");
    world.karvan(&["config", "check", "pk/node.toml"]).check(0, "is good");
    // A first start that failed leaves an empty folder, and the installed lists still count.
    std::fs::create_dir_all(world.path("pk/data/trust")).expect("a folder");
    world.karvan(&["config", "check", "pk/node.toml"]).check(0, "is good");
}

#[test]
fn the_key_of_the_authority_may_be_elsewhere() {
    let world = World::two_nations();
    let key = world.path("pk/keys/PK@ca-1.key.json");
    std::fs::rename(&key, world.path("offline")).expect("moved away");
    let refused = world.karvan(&["init", "renew", "--dir", "pk"]);
    refused.check(6, "hint: run `karvan init renew` where the authority's key is");
    std::fs::rename(world.path("offline"), &key).expect("brought back");
    world.good(&["init", "renew", "--dir", "pk"]);
}
