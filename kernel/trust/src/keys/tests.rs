use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use karvan_system::{Disk, OsDisk, SystemEntropy};
use serde_json::json;

use super::*;

const BOTH: [Algorithm; 2] = [Algorithm::Ed25519, Algorithm::EcdsaP256Sha256];

fn id(text: &str) -> KeyId {
    text.parse().expect("a key id")
}

#[test]
fn names_say_whose_key_it_is() {
    for (text, owner) in [
        ("AZ/GOV/SCC/customs#sign-1", "member"),
        ("AZ/GOV/SCC#sign-1", "member"),
        ("PK/node/karachi-1#log-1", "node"),
        ("PK#root-2026", "nation"),
    ] {
        let found = match id(text).owner() {
            Some(Owner::Member(_)) => "member",
            Some(Owner::Node(_)) => "node",
            Some(Owner::Nation(_)) => "nation",
            None => "nobody",
        };
        assert_eq!(found, owner, "{text}");
    }
    let long = format!("AZ/GOV/SCC#{}", "a".repeat(65));
    for bad in ["", "AZ/GOV/SCC", "AZ/GOV/SCC#", "#a", "AZ/GOV/SCC#a#b", "AZ/GOV/SCC#a\"", &long] {
        assert!(bad.parse::<KeyId>().is_err(), "{bad}");
    }
}

#[test]
fn owners_speak_for_themselves_and_members_for_their_subsystems() {
    for (owner, party, expected) in [
        ("AZ/GOV/SCC", "AZ/GOV/SCC", true),
        ("AZ/GOV/SCC", "AZ/GOV/SCC/customs", true),
        ("AZ/GOV/SCC", "AZ/GOV/SCCX", false),
        ("AZ/GOV/SCC/customs", "AZ/GOV/SCC/customs", true),
        ("AZ/GOV/SCC/customs", "AZ/GOV/SCC", false),
        ("AZ/GOV/SCC/customs", "AZ/GOV/SCC/customs2", false),
        ("AZ/node/baku-1", "AZ/node/baku-1", true),
        ("AZ/node/baku-1", "AZ/node/baku-12", false),
        ("AZ", "AZ", false),
    ] {
        let speaks = owner.parse::<Owner>().expect("an owner").speaks_for(party);
        assert_eq!(speaks, expected, "{owner} for {party}");
    }
}

#[test]
fn both_algorithms_sign_and_verify() {
    for algorithm in BOTH {
        let pair = KeyPair::generate(algorithm, &SystemEntropy).expect("key");
        let signature = pair.sign(b"message").expect("signature");
        assert_eq!(signature.len(), SIGNATURE_BYTES);
        assert!(pair.public().verify(b"message", &signature));
        assert!(!pair.public().verify(b"messagf", &signature));
        for i in 0..signature.len() {
            let mut wrong = signature.clone();
            wrong[i] ^= 1;
            assert!(!pair.public().verify(b"message", &wrong), "{algorithm:?} byte {i}");
        }
        assert!(!pair.public().verify(b"message", &signature[..63]));
        let other = KeyPair::generate(algorithm, &SystemEntropy).expect("key");
        assert!(!other.public().verify(b"message", &signature));
        let jwk = serde_json::to_value(pair.public()).expect("JWK");
        let back: PublicKey = serde_json::from_value(jwk).expect("public key");
        assert_eq!(&back, pair.public());
    }
}

#[test]
fn known_answers() {
    // RFC 8037, appendix A.1 and A.2.
    let secret = b"\x9d\x61\xb1\x9d\xef\xfd\x5a\x60\xba\x84\x4a\xf4\x92\xec\x2c\xc4\
        \x44\x49\xc5\x69\x7b\x32\x69\x19\x70\x3b\xac\x03\x1c\xae\x7f\x60";
    let pair = KeyPair::from_secret(Algorithm::Ed25519, secret).expect("key");
    assert_eq!(
        serde_json::to_value(pair.public()).expect("JWK"),
        json!({"kty": "OKP", "crv": "Ed25519",
            "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})
    );
    // RFC 6979, appendix A.2.5: the private scalar and the public point.
    let secret = b"\xc9\xaf\xa9\xd8\x45\xba\x75\x16\x6b\x5c\x21\x57\x67\xb1\xd6\x93\
        \x4e\x50\xc3\xdb\x36\xe8\x9b\x12\x7b\x8a\x62\x2b\x12\x0f\x67\x21";
    let pair = KeyPair::from_secret(Algorithm::EcdsaP256Sha256, secret).expect("key");
    assert_eq!(pair.public().as_bytes()[..5], [4, 0x60, 0xfe, 0xd4, 0xba]);
}

#[test]
fn unusable_keys_are_refused() {
    assert!(KeyPair::from_secret(Algorithm::EcdsaP256Sha256, &[0; 32]).is_err());
    assert!(KeyPair::from_secret(Algorithm::EcdsaP256Sha256, &[255; 32]).is_err());
    assert!(PublicKey::new(Algorithm::Ed25519, &[1; 31]).is_err());
    assert!(PublicKey::new(Algorithm::EcdsaP256Sha256, &[4; 65]).is_err());
    let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
    for (jwk, reason) in [
        (json!({"kty": "OKP", "crv": "Ed25519", "x": x, "d": x}), "private"),
        (json!({"kty": "OKP", "crv": "Ed448", "x": x}), "OKP with Ed25519"),
        (json!({"kty": "OKP", "crv": "Ed25519", "x": "AAAA"}), "32 bytes"),
        (json!({"kty": "EC", "crv": "P-256", "x": x}), "EC with P-256"),
        (json!({"kty": "EC", "crv": "P-256", "x": x, "y": x}), "no point"),
    ] {
        let error = serde_json::from_value::<PublicKey>(jwk).expect_err(reason).to_string();
        assert!(error.contains(reason), "{reason}: {error}");
    }
}

#[test]
fn a_sealed_folder_survives_reopening_and_keeps_its_secret() {
    let disk: Arc<dyn Disk> = Arc::new(OsDisk);
    let file = new_key_file(&SystemEntropy);
    for unlock in [Unlock::Passphrase(b"four quiet camels"), Unlock::KeyFile(file.as_bytes())] {
        let dir = tempfile::tempdir().expect("folder");
        let keys =
            SealedKeys::create(dir.path(), disk.clone(), &unlock, &SystemEntropy).expect("made");
        for algorithm in BOTH {
            let id = id(&format!("AZ/GOV/SCC/customs#{algorithm:?}"));
            let public = keys.generate(&id, algorithm, &SystemEntropy).expect("generated");
            let again = SealedKeys::open(dir.path(), disk.clone(), &unlock).expect("opened");
            let signature = again.sign(&id, b"x").expect("signed");
            assert!(public.verify(b"x", &signature));
            assert_eq!(keys.ids(), again.ids());
            let exists = keys.generate(&id, algorithm, &SystemEntropy);
            assert!(matches!(exists, Err(Error::KeyExists(_))));
        }
        for wrong in [Unlock::Passphrase(b"four quiet camelz"), Unlock::KeyFile(b"AAAA\n")] {
            let opened = SealedKeys::open(dir.path(), disk.clone(), &wrong);
            assert!(matches!(opened, Err(Error::Locked(_))));
        }
        let again = SealedKeys::create(dir.path(), disk.clone(), &unlock, &SystemEntropy);
        assert!(matches!(again, Err(Error::FolderExists(_))));
        for name in disk.list(dir.path()).expect("listed") {
            let mode = std::fs::metadata(dir.path().join(name)).expect("file").permissions();
            assert_eq!(mode.mode() & 0o777, 0o600);
        }
    }
}

/// Whoever had opened what an interrupted write left behind reads nothing of the new key.
#[test]
fn a_key_is_closed_to_others_from_its_first_byte() {
    let disk: Arc<dyn Disk> = Arc::new(OsDisk);
    let file = new_key_file(&SystemEntropy);
    let unlock = Unlock::KeyFile(file.as_bytes());
    let dir = tempfile::tempdir().expect("folder");
    let left = dir.path().join("master.json.tmp");
    std::fs::write(&left, "").expect("left behind");
    std::fs::set_permissions(&left, Permissions::from_mode(0o644)).expect("open to all");
    let reader = disk.open(&left).expect("opened");
    SealedKeys::create(dir.path(), disk.clone(), &unlock, &SystemEntropy).expect("made");
    assert!(!disk.exists(&left) && reader.is_empty().expect("read"));
    let mode = std::fs::metadata(dir.path().join("master.json")).expect("file").permissions();
    assert_eq!(mode.mode() & 0o777, 0o600);
}

#[test]
fn a_sealed_file_cannot_be_altered() {
    let disk: Arc<dyn Disk> = Arc::new(OsDisk);
    let file = new_key_file(&SystemEntropy);
    let unlock = Unlock::KeyFile(file.as_bytes());
    let dir = tempfile::tempdir().expect("folder");
    let keys = SealedKeys::create(dir.path(), disk.clone(), &unlock, &SystemEntropy).expect("made");
    let id = id("PK/node/karachi-1#log-1");
    keys.generate(&id, Algorithm::Ed25519, &SystemEntropy).expect("generated");
    for name in ["master.json", &id.file_name()] {
        let path = dir.path().join(name);
        let good = disk.read(&path).expect("read");
        for i in 0..good.len() {
            let mut bad = good.clone();
            bad[i] ^= 1;
            disk.replace(&path, &bad).expect("written");
            let opened = SealedKeys::open(dir.path(), disk.clone(), &unlock);
            assert!(
                matches!(opened, Err(Error::Altered(_) | Error::Locked(_))),
                "{name} with byte {i} changed opened"
            );
        }
        disk.replace(&path, &good).expect("written");
    }
    let moved = dir.path().join("PK+node+karachi-1@log-2.key.json");
    disk.rename(&dir.path().join(id.file_name()), &moved).expect("renamed");
    let opened = SealedKeys::open(dir.path(), disk, &unlock);
    assert!(matches!(opened, Err(Error::Altered(_))));
}
