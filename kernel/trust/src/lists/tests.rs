use std::sync::Arc;
use std::time::Duration;

use karvan_evidence::note::{KeyKind, VerifierKey};
use karvan_system::{Disk, OsDisk, SystemEntropy};

use super::*;
use crate::Error;
use crate::document::{add_signature, sign_document, verify_document};
use crate::keys::{Algorithm, KeyPair, KeyProvider, MemoryKeys};
use crate::message::{KeyDirectory, Refusal};

const NOW: Timestamp = Timestamp::from_seconds(1_790_000_000);
const DAY: Duration = Duration::from_hours(24);

/// Root and signing keys of two nations, and what they would publish.
struct World {
    keys: MemoryKeys,
    root: FederationRoot,
    list: NationalList,
}

fn id(text: &str) -> KeyId {
    text.parse().expect("a key id")
}

fn member(text: &str) -> MemberId {
    text.parse().expect("a member id")
}

fn note_key(kind: KeyKind, seed: u8) -> NoteKey {
    let name = format!("az.example/{seed}");
    let pair = KeyPair::from_secret(Algorithm::Ed25519, &[seed; 32]).expect("key");
    let public = pair.public().as_bytes().try_into().expect("32 bytes");
    let vkey = VerifierKey::new(&name, kind, public).expect("vkey").to_string();
    NoteKey { name, vkey }
}

impl World {
    fn new() -> Self {
        let keys = MemoryKeys::new();
        let make = |name: &str, algorithm| {
            let jwk = keys.generate(&id(name), algorithm, &SystemEntropy).expect("key");
            RootKey { kid: id(name), jwk }
        };
        let nation = |territory: &str, keys| RootNation {
            scheme_territory: territory.parse().expect("instance"),
            scheme_operator_name: format!("Operator of {territory}"),
            keys,
            certificate_authorities: Vec::new(),
        };
        let root = FederationRoot {
            sequence_number: 1,
            issue_date_time: NOW,
            next_update: NOW.plus(DAY * 365),
            nations: vec![
                nation("AZ", vec![make("AZ#root-1", Algorithm::Ed25519)]),
                nation("PK", vec![make("PK#root-1", Algorithm::EcdsaP256Sha256)]),
            ],
        };
        let listed = |name: &str| {
            let RootKey { kid, jwk } = make(name, Algorithm::Ed25519);
            ListedKey { kid, jwk, not_before: NOW.minus(DAY), not_after: NOW.plus(DAY * 30) }
        };
        let list = NationalList {
            scheme_territory: "AZ".parse().expect("instance"),
            scheme_operator_name: "Operator of AZ".to_owned(),
            sequence_number: 7,
            issue_date_time: NOW,
            next_update: NOW.plus(DAY),
            certificate_authorities: Vec::new(),
            timestamp_authorities: Vec::new(),
            members: vec![Member {
                id: member("AZ/GOV/SCC"),
                name: "Dövlət Gömrük Komitəsi".to_owned(),
                roles: vec!["customs".to_owned()],
                subsystems: vec![Subsystem {
                    id: member("AZ/GOV/SCC/customs"),
                    name: "Gömrük".to_owned(),
                    roles: vec!["declarations".to_owned()],
                }],
                keys: vec![listed("AZ/GOV/SCC/customs#sign-1"), listed("AZ/GOV/SCC#sign-1")],
            }],
            nodes: vec![Node {
                id: "AZ/node/baku-1".parse().expect("node"),
                endpoint: "https://node.baku.example:8443".to_owned(),
                authority: "node.baku.example:8443".to_owned(),
                keys: vec![listed("AZ/node/baku-1#sign-1")],
                log: Some(note_key(KeyKind::Ed25519, 1)),
                witness: Some(note_key(KeyKind::CosignatureV1, 2)),
                members: vec![member("AZ/GOV/SCC")],
            }],
        };
        Self { keys, root, list }
    }

    fn sign_root(&self, root: &FederationRoot, by: &[&str]) -> Vec<u8> {
        let by: Vec<_> = by.iter().map(|name| id(name)).collect();
        sign_document(ROOT_TYP, root, &by, &self.keys).expect("signed")
    }

    fn sign_list(&self, list: &NationalList) -> Vec<u8> {
        sign_document(LIST_TYP, list, &[id("AZ#root-1")], &self.keys).expect("signed")
    }

    fn store(&self, dir: &tempfile::TempDir) -> TrustStore {
        let disk: Arc<dyn Disk> = Arc::new(OsDisk);
        let store = TrustStore::open(dir.path(), disk).expect("opened");
        let root = self.sign_root(&self.root, &["AZ#root-1", "PK#root-1"]);
        store.install_root(&root, NOW).expect("installed");
        store
    }
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("folder")
}

fn check_refused<T: fmt::Debug>(result: Result<T, Error>, part: &str) {
    let error = result.expect_err(part).to_string();
    assert!(error.contains(part), "`{error}` does not say `{part}`");
}

/// A restart forgets no number: the older list stays refused (INV-12).
#[test]
fn a_list_is_accepted_found_and_remembered() {
    let (world, dir) = (World::new(), folder());
    let store = world.store(&dir);
    let document = world.sign_list(&world.list);
    let accepted = store.accept(&document, NOW).expect("accepted");
    assert_eq!((accepted.new, accepted.sequence), (true, 7));
    assert!(!store.accept(&document, NOW).expect("the same again").new);

    let reopened = TrustStore::open(dir.path(), Arc::new(OsDisk)).expect("reopened");
    for store in [store, reopened] {
        let lists = store.snapshot();
        let nation = lists.nation(world.list.scheme_territory, NOW).expect("in force");
        assert_eq!((&nation.list, nation.digest), (&world.list, accepted.digest));
        let customs = member("AZ/GOV/SCC/customs");
        let party = lists.party(&customs, NOW).expect("listed");
        for (role, has) in [("customs", true), ("declarations", true), ("issuer", false)] {
            assert_eq!(party.has_role(role), has, "{role}");
        }
        let member_alone = lists.party(&member("AZ/GOV/SCC"), NOW).expect("listed");
        assert!(!member_alone.has_role("declarations"));
        assert_eq!(lists.nodes_serving(&customs, NOW), Ok(vec![&world.list.nodes[0]]));
        assert_eq!(lists.node(&world.list.nodes[0].id, NOW), Ok(&world.list.nodes[0]));
        let unlisted = lists.node(&"AZ/node/baku-2".parse().expect("node"), NOW);
        assert_eq!(unlisted, Err(ListError::Unlisted("AZ/node/baku-2".to_owned())));
        let missing = lists.nation("PK".parse().expect("instance"), NOW).map(|_| ());
        assert_eq!(missing, Err(ListError::ListMissing("PK".parse().expect("instance"))));
        check_refused(store.accept(&world.sign_list(&older(&world.list)), NOW), "older than");
    }
}

fn older(list: &NationalList) -> NationalList {
    NationalList { sequence_number: list.sequence_number - 1, ..list.clone() }
}

#[test]
fn a_damaged_store_does_not_open() {
    let (world, dir) = (World::new(), folder());
    world.store(&dir).accept(&world.sign_list(&world.list), NOW).expect("accepted");
    for name in ["root.json", "list-AZ.json"] {
        let path = dir.path().join(name);
        let good = OsDisk.read(&path).expect("read");
        OsDisk.replace(&path, good.get(..good.len() / 2).expect("half")).expect("cut");
        let opened = TrustStore::open(dir.path(), Arc::new(OsDisk)).map(|_| "opened");
        check_refused(opened, name);
        OsDisk.replace(&path, &good).expect("mended");
    }
    assert!(TrustStore::open(dir.path(), Arc::new(OsDisk)).is_ok());
}

/// Under an expired list no key is found (INV-12).
#[test]
fn keys_are_found_while_they_and_their_list_are_valid() {
    let (world, dir) = (World::new(), folder());
    let store = world.store(&dir);
    store.accept(&world.sign_list(&world.list), NOW).expect("accepted");
    let lists = store.snapshot();
    let key = id("AZ/GOV/SCC/customs#sign-1");
    for (key, at, now, code) in [
        (&key, NOW, NOW, ""),
        (&id("AZ/node/baku-1#sign-1"), NOW, NOW, ""),
        (&id("AZ/GOV/SCC#sign-9"), NOW, NOW, "key-unknown"),
        (&id("AZ#root-1"), NOW, NOW, "key-unknown"),
        (&key, NOW.minus(DAY * 2), NOW, "key-not-yet-valid"),
        (&key, NOW.plus(DAY * 30), NOW, "key-expired"),
        (&key, NOW, NOW.plus(DAY), "list-expired"),
    ] {
        let found = lists.key(key, at, now).map_or_else(|refusal| refusal.code(), |_| "");
        assert_eq!(found, code, "{key}");
    }
}

/// Among them one that was rolled back and one that has expired (INV-12).
#[test]
fn bad_lists_are_refused_for_their_own_reason() {
    type Change = fn(&mut NationalList);
    let changes: &[(&str, Change)] = &[
        ("has other content", |list| list.members[0].name.push('x')),
        ("older than number 7", |list| list.sequence_number = 6),
        ("ended at", |list| list.next_update = NOW.plus(Duration::from_millis(1))),
        ("in the future", |list| list.issue_date_time = NOW.plus(Duration::from_mins(2))),
        ("after issueDateTime", |list| list.next_update = list.issue_date_time),
        ("not in the federation root", |list| list.scheme_territory = "TR".parse().expect("TR")),
        ("key", |list| list.scheme_territory = "PK".parse().expect("PK")),
        ("nation of the list", |list| list.members[0].id = member("PK/GOV/SCC")),
        ("nation of the list", |list| list.nodes[0].id = "PK/node/a".parse().expect("node")),
        ("three parts", |list| list.members[0].id = member("AZ/GOV/SCC/x")),
        ("reserved for nodes", |list| list.members[0].id = member("AZ/node/x")),
        ("occurs once", |list| list.members.push(list.members[0].clone())),
        ("fourth part", |list| list.members[0].subsystems[0].id = member("AZ/GOV/OTHER/x")),
        ("named after the entry", |list| list.members[0].keys[0].kid = id("AZ/GOV/X#sign-1")),
        ("named after the entry", |list| {
            list.members[0].keys[0].kid = id("AZ/node/baku-1#sign-2");
        }),
        ("only name of its public key", |list| {
            let jwk = list.members[0].keys[0].jwk.clone();
            list.nodes[0].keys[0].jwk = jwk;
        }),
        ("after `notBefore`", |list| list.members[0].keys[0].not_after = NOW.minus(DAY)),
        ("lower-case host", |list| list.nodes[0].authority = "Node:8443".to_owned()),
        ("`endpoint`", |list| list.nodes[0].endpoint = "http://node.baku.example:8443".to_owned()),
        ("served member", |list| list.nodes[0].members = vec![member("AZ/GOV/NONE")]),
        ("`vkey`", |list| list.nodes[0].log.as_mut().expect("log").name = "other".to_owned()),
        ("kind of its entry", |list| list.nodes[0].log = Some(note_key(KeyKind::CosignatureV1, 3))),
        ("serves nothing else", |list| {
            list.nodes[0].witness = Some(note_key(KeyKind::CosignatureV1, 1));
        }),
        ("role", |list| list.members[0].roles = vec!["Customs".to_owned()]),
        ("DER", |list| list.certificate_authorities = vec![Certificate(vec![1])]),
        ("`url`", |list| {
            list.timestamp_authorities = vec![TimestampAuthority {
                name: "TSA".to_owned(),
                url: "ftp://tsa.example".to_owned(),
                certificate: Certificate(vec![1]),
            }];
        }),
        ("control characters", |list| list.members[0].name = "a\nb".to_owned()),
    ];
    let (world, dir) = (World::new(), folder());
    let store = world.store(&dir);
    store.accept(&world.sign_list(&world.list), NOW).expect("accepted");
    let before = store.snapshot();
    for (reason, change) in changes {
        let mut list = world.list.clone();
        // All but the first two arrive under a new number.
        list.sequence_number += u64::from(*reason != "has other content");
        change(&mut list);
        let reason = if *reason == "has other content" { "other content" } else { reason };
        let later = NOW.plus(Duration::from_millis(1));
        check_refused(store.accept(&world.sign_list(&list), later), reason);
    }
    assert!(Arc::ptr_eq(&before, &store.snapshot()), "a refused list changes nothing");
    let big = vec![b' '; karvan_types::limits::LIST_BYTES_MAX + 1];
    check_refused(store.accept(&big, NOW), "at most");
}

#[test]
fn any_changed_byte_of_a_list_is_found() {
    let (world, dir) = (World::new(), folder());
    let store = world.store(&dir);
    let document = world.sign_list(&world.list);
    for i in 0..document.len() {
        for bit in [1, 0x20] {
            let mut changed = document.clone();
            changed[i] ^= bit;
            assert!(store.accept(&changed, NOW).is_err(), "byte {i} bit {bit}");
        }
    }
    store.accept(&document, NOW).expect("the unchanged list");
}

/// A root that was rolled back or has expired is refused too (INV-12).
#[test]
fn roots_need_every_nation() {
    let (world, dir) = (World::new(), folder());
    let disk: Arc<dyn Disk> = Arc::new(OsDisk);
    let store = TrustStore::open(dir.path(), disk).expect("opened");
    check_refused(store.accept(&world.sign_list(&world.list), NOW), "no federation root");
    let half = world.sign_root(&world.root, &["AZ#root-1"]);
    check_refused(store.install_root(&half, NOW), "not signed by PK");
    let late = NOW.plus(DAY * 365);
    let whole = add_signature(&half, ROOT_TYP, &id("PK#root-1"), &world.keys).expect("signed");
    check_refused(store.install_root(&whole, late), "ended");
    assert!(store.install_root(&whole, NOW).expect("installed").new);
    assert!(!store.install_root(&whole, NOW).expect("again").new);
    assert!(!store.accept(&whole, NOW).expect("again").new);
    store.accept(&world.sign_list(&world.list), NOW).expect("accepted");

    // AZ changes its key: the next root must be signed by the old key and the new one.
    let jwk = world.keys.generate(&id("AZ#root-2"), Algorithm::Ed25519, &SystemEntropy);
    let mut next = world.root.clone();
    next.sequence_number = 2;
    next.nations[0].keys = vec![RootKey { kid: id("AZ#root-2"), jwk: jwk.expect("key") }];
    for (signers, missing) in [
        (&["AZ#root-2", "PK#root-1"][..], "AZ with a key of the root before it"),
        (&["AZ#root-1", "PK#root-1"], "AZ with a key of this root"),
        (&["AZ#root-1", "AZ#root-2"], "PK with a key of this root"),
    ] {
        check_refused(store.accept(&world.sign_root(&next, signers), NOW), missing);
    }
    let mut swapped = next.clone();
    swapped.nations[0].keys[0].kid = id("AZ#root-1");
    let document = world.sign_root(&swapped, &["AZ#root-1", "PK#root-1"]);
    check_refused(store.accept(&document, NOW), "on no national list");
    let all = world.sign_root(&next, &["AZ#root-1", "AZ#root-2", "PK#root-1"]);
    assert!(store.accept(&all, NOW).expect("accepted").new);
    check_refused(store.accept(&whole, NOW), "AZ with a key of the root before it");
    next.sequence_number = 1;
    let old = world.sign_root(&next, &["AZ#root-2", "PK#root-1"]);
    check_refused(store.accept(&old, NOW), "older than number 2");
    check_refused(store.install_root(&whole, NOW), "has a federation root");

    // The old list no longer counts, but still bars older ones; a fresh node takes the new root.
    let reopened = TrustStore::open(dir.path(), Arc::new(OsDisk)).expect("reopened");
    for store in [store, reopened] {
        assert_eq!(store.snapshot().nations().count(), 0);
        let by_new = |list: &NationalList| {
            sign_document(LIST_TYP, list, &[id("AZ#root-2")], &world.keys).expect("signed")
        };
        check_refused(store.accept(&by_new(&older(&world.list)), NOW), "older than number 7");
    }
    let fresh = folder();
    let store = TrustStore::open(fresh.path(), Arc::new(OsDisk)).expect("opened");
    assert!(store.install_root(&all, NOW).expect("installed").new);
}

#[test]
fn kept_documents_verify_without_a_store_at_any_later_time() {
    let world = World::new();
    let root = world.sign_root(&world.root, &["AZ#root-1", "PK#root-1"]);
    let list = world.sign_list(&world.list);
    let lists = Snapshot::of_documents(&root, &[&list]).expect("verified");
    let key = id("AZ/GOV/SCC/customs#sign-1");
    assert_eq!(lists.key(&key, NOW, NOW).map(|entry| &entry.id), Ok(&key));
    let mut forged = world.list.clone();
    forged.scheme_territory = "PK".parse().expect("PK");
    check_refused(Snapshot::of_documents(&root, &[&world.sign_list(&forged)]), "key");
    check_refused(Snapshot::of_documents(&list, &[]), "missing field");
    check_refused(Snapshot::of_documents(&root, &[&root]), "not a list");
}

#[test]
fn documents_keep_their_kind_and_their_signers() {
    let world = World::new();
    let (az, pk) = (id("AZ/GOV/SCC#sign-1"), id("PK#root-1"));
    let key = |id: &KeyId| world.keys.public(id).ok_or_else(|| Refusal::KeyUnknown(id.clone()));
    let agreement = serde_json::json!({"b": 1, "a": "ağac"});
    let one = sign_document("test+jws", &agreement, std::slice::from_ref(&az), &world.keys);
    let two = add_signature(&one.expect("signed"), "test+jws", &pk, &world.keys).expect("signed");
    let verified = verify_document(&two, "test+jws", 4096, &key).expect("verified");
    assert_eq!(verified.payload, r#"{"a":"ağac","b":1}"#.as_bytes());
    assert_eq!(verified.signers, [az, pk.clone()]);
    check_refused(verify_document(&two, "other+jws", 4096, &key), "another kind");
    check_refused(verify_document(&two, "test+jws", 64, &key), "at most 64");
    check_refused(add_signature(&two, "test+jws", &pk, &world.keys), "once");
    let nobody = |id: &KeyId| Err(Refusal::KeyUnknown(id.clone()));
    check_refused(verify_document(&two, "test+jws", 4096, &nobody), "on no national list");
    let text = String::from_utf8(two).expect("UTF-8");
    let none =
        text.replace(&text[text.find("\"signatures\":[").expect("there")..], "\"signatures\":[]}");
    check_refused(verify_document(none.as_bytes(), "test+jws", 4096, &key), "1 to 16");
}
