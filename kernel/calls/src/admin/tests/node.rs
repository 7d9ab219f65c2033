//! The smallest whole node: one nation, one member, nobody to talk to.

use std::io;
use std::path::Path;

use karvan_exchange::network::{Boxed, Incoming, Network, Stream};
use karvan_exchange::tokens::{Token, Tokens};
use karvan_exchange::{NodeConfig, Parts};
use karvan_ledger::{Config, Ledger, Witness};
use karvan_store::{Blobs, SqliteStore, Store};
use karvan_system::{Clock, Disk, OsDisk, SystemClock, SystemEntropy};
use karvan_trust::document::sign_document;
use karvan_trust::keys::{Algorithm, KeyId, KeyProvider, MemoryKeys};
use karvan_trust::lists::{
    FederationRoot, LIST_TYP, Member, NationalList, Node as ListedNode, ROOT_TYP, RootKey,
    RootNation, Subsystem, TrustStore,
};
use karvan_trust::notes;
use karvan_types::{Digest, NodeId, Timestamp};

use super::*;
use crate::records;

const NODE: &str = "PK/node/karachi-1";
const DAY: Duration = Duration::from_hours(24);

struct NoNetwork;

impl Network for NoNetwork {
    fn connect<'a>(&'a self, _: &'a NodeId) -> Boxed<'a, io::Result<Box<dyn Stream>>> {
        Box::pin(async { Err(io::ErrorKind::ConnectionRefused.into()) })
    }

    fn accept(&self) -> Boxed<'_, io::Result<Incoming>> {
        Box::pin(std::future::pending())
    }
}

fn key(keys: &MemoryKeys, name: &str) -> KeyId {
    let id: KeyId = name.parse().expect("a key id");
    keys.generate(&id, Algorithm::Ed25519, &SystemEntropy).expect("a key");
    id
}

/// Publishes root and list; the node serves the whole member `PK/GOV/FBR` and nobody else.
fn publish(trust: &TrustStore, keys: &MemoryKeys, now: Timestamp) {
    let nations = ["AZ", "PK"].map(|nation| {
        let kid = key(keys, &format!("{nation}#root-1"));
        RootNation {
            scheme_territory: nation.parse().expect("an instance"),
            scheme_operator_name: "operator of a test nation".to_owned(),
            keys: vec![RootKey { jwk: keys.public(&kid).expect("a key"), kid }],
            certificate_authorities: Vec::new(),
        }
    });
    let signers: Vec<_> = nations.iter().map(|nation| nation.keys[0].kid.clone()).collect();
    let root = FederationRoot {
        sequence_number: 1,
        issue_date_time: now,
        next_update: now.plus(DAY),
        nations: nations.into(),
    };
    let root = sign_document(ROOT_TYP, &root, &signers, keys).expect("signed");
    trust.install_root(&root, now).expect("installed");
    let member = |id: &str, subsystem: &str| Member {
        id: id.parse().expect("a member"),
        name: id.to_owned(),
        roles: Vec::new(),
        subsystems: vec![Subsystem {
            id: subsystem.parse().expect("a subsystem"),
            name: subsystem.to_owned(),
            roles: Vec::new(),
        }],
        keys: Vec::new(),
    };
    let node = ListedNode {
        id: NODE.parse().expect("a node"),
        endpoint: "https://karachi-1.example".to_owned(),
        authority: "karachi-1.example".to_owned(),
        keys: Vec::new(),
        log: None,
        witness: None,
        members: vec!["PK/GOV/FBR".parse().expect("a member")],
    };
    let list = NationalList {
        scheme_territory: "PK".parse().expect("an instance"),
        scheme_operator_name: "operator of a test nation".to_owned(),
        sequence_number: 1,
        issue_date_time: now,
        next_update: now.plus(DAY),
        certificate_authorities: Vec::new(),
        timestamp_authorities: Vec::new(),
        members: vec![
            member("PK/GOV/FBR", "PK/GOV/FBR/customs"),
            member("PK/GOV/SBP", "PK/GOV/SBP/rates"),
        ],
        nodes: vec![node],
    };
    let list = sign_document(LIST_TYP, &list, &signers[1..], keys).expect("signed");
    trust.accept(&list, now).expect("accepted");
}

/// Opens a node in a folder; its evidence log is not run.
pub(crate) async fn open(folder: &Path, tokens: Vec<Token>) -> Node {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let disk: Arc<dyn Disk> = Arc::new(OsDisk);
    let keys = Arc::new(MemoryKeys::new());
    let trust = TrustStore::open(&folder.join("trust"), Arc::clone(&disk)).expect("opened");
    publish(&trust, &keys, clock.now());
    let (log, cosigner) = (key(&keys, "PK/node/a#log-1"), key(&keys, "PK/node/a#witness-1"));
    let signer = notes::log_signer("pk.example/log", &log, keys.clone()).expect("a signer");
    let verifier = notes::verifier(&signer.verifier_key().to_string()).expect("a verifier");
    let config = Config::new(folder.join("log"), folder.join("size"), Arc::new(verifier));
    let (ledger, _) = Ledger::open(config, Arc::clone(&disk), Arc::clone(&clock), Arc::new(signer))
        .expect("a log");
    let cosigner = notes::cosigner("pk.example/witness", &cosigner, keys.clone());
    let cosigner = cosigner.expect("a cosigner");
    let witness =
        Witness::open(folder.join("witness"), Arc::clone(&disk), Arc::clone(&clock), cosigner);
    let migrations = karvan_exchange::records::MIGRATIONS.iter().chain(records::MIGRATIONS);
    let parts = Parts {
        clock,
        entropy: Arc::new(SystemEntropy),
        store: Store::new(SqliteStore::open(&folder.join("state"), migrations).expect("a store")),
        blobs: Blobs::open(&folder.join("bodies"), disk).expect("a folder"),
        ledger,
        witness: witness.expect("a witness"),
        trust: Arc::new(trust),
        keys,
        network: Arc::new(NoNetwork),
        subsystems: Vec::new(),
    };
    let config = NodeConfig {
        tokens: Arc::new(Tokens::new(&tokens)),
        ..NodeConfig::new(NODE.parse().expect("a node"))
    };
    Node::open(config, parts).await.expect("a node")
}

/// Makes a token.
pub(super) fn token(secret: &str, member: &str, permissions: &[&str]) -> Token {
    Token {
        sha256: Digest::of(secret.as_bytes()),
        member: member.parse().expect("a member"),
        user: secret.to_owned(),
        permissions: permissions.iter().map(|&permission| permission.to_owned()).collect(),
    }
}
