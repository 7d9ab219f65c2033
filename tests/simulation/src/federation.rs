//! Two nations with a root, lists and one agreement, made from one seed.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use karvan_exchange::agreement::{Agreement, AgreementBook, Grant};
use karvan_system::Entropy;
use karvan_trust::document::{sign_document, verify_document};
use karvan_trust::keys::{Algorithm, KeyId, KeyProvider as _, MemoryKeys};
use karvan_trust::lists::{
    FederationRoot, LIST_TYP, ListedKey, Member, NationalList, Node, NoteKey, ROOT_TYP, RootKey,
    RootNation,
};
use karvan_trust::notes;
use karvan_types::limits::LIST_BYTES_MAX;
use karvan_types::{Instance, MemberId, NodeId, Timestamp};

/// The instant at which every simulation begins.
pub(crate) const BEGIN: Timestamp = Timestamp::from_seconds(1_800_000_000);
/// How long lists and agreements last.
const YEAR: Duration = Duration::from_hours(365 * 24);

/// Numbers that look random and follow from a seed (SplitMix64).
pub(crate) struct Dice(Mutex<u64>);

impl Dice {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(Mutex::new(seed))
    }

    pub(crate) fn roll(&self) -> u64 {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number below `bound`.
    pub(crate) fn below(&self, bound: u64) -> u64 {
        self.roll() % bound
    }
}

impl Entropy for Dice {
    fn fill(&self, buffer: &mut [u8]) {
        for chunk in buffer.chunks_mut(8) {
            let bytes = self.roll().to_le_bytes();
            chunk.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
        }
    }
}

/// One nation: a node, a member, their keys.
pub(crate) struct Nation {
    pub(crate) node: NodeId,
    pub(crate) member: MemberId,
    pub(crate) host: &'static str,
    pub(crate) keys: Arc<MemoryKeys>,
    pub(crate) log_key: KeyId,
    pub(crate) witness_key: KeyId,
    pub(crate) origin: String,
    pub(crate) witness_name: String,
    pub(crate) list: Vec<u8>,
}

/// Both nations and what they signed together.
pub(crate) struct Federation {
    pub(crate) nations: [Nation; 2],
    pub(crate) root: Vec<u8>,
    pub(crate) agreements: AgreementBook,
}

/// What a key is named after.
fn key(owner: &str, name: &str) -> KeyId {
    format!("{owner}#{name}").parse().expect("a constant key name")
}

impl Federation {
    pub(crate) fn new(dice: &Dice) -> Self {
        let mut nations = [
            Nation::new("AZ", "baku-1", "SCC/customs", "az", dice),
            Nation::new("PK", "karachi-1", "FBR/customs", "pk", dice),
        ];
        let root = root(&nations);
        for nation in &mut nations {
            nation.list = list(nation);
        }
        let agreements = agreement(&nations);
        Self { nations, root, agreements }
    }
}

impl Nation {
    fn new(code: &str, node: &str, member: &str, host: &'static str, dice: &Dice) -> Self {
        let node: NodeId = format!("{code}/node/{node}").parse().expect("constant");
        let member: MemberId = format!("{code}/GOV/{member}").parse().expect("constant");
        let keys = Arc::new(MemoryKeys::new());
        let names = [
            key(code, "root-1"),
            key(node.as_str(), "sign-1"),
            key(node.as_str(), "log-1"),
            key(node.as_str(), "witness-1"),
            key(member.as_str(), "sign-1"),
        ];
        for name in &names {
            keys.generate(name, Algorithm::Ed25519, dice).expect("a fresh key");
        }
        let [_, _, log_key, witness_key, _] = names;
        Self {
            origin: format!("{host}.karvan.example/evidence/1"),
            witness_name: format!("{host}.karvan.example/witness/1"),
            node,
            member,
            host,
            keys,
            log_key,
            witness_key,
            list: Vec::new(),
        }
    }

    pub(crate) fn instance(&self) -> Instance {
        self.node.instance()
    }

    fn listed(&self, owner: &str) -> ListedKey {
        let kid = key(owner, "sign-1");
        let jwk = self.keys.public(&kid).expect("made above");
        ListedKey { kid, jwk, not_before: BEGIN, not_after: BEGIN.plus(YEAR) }
    }

    /// Returns the verifier key of its log.
    pub(crate) fn log_vkey(&self) -> String {
        let signer = notes::log_signer(&self.origin, &self.log_key, self.keys.clone());
        signer.expect("an Ed25519 key").verifier_key().to_string()
    }

    /// Returns the verifier key of its witness.
    pub(crate) fn witness_vkey(&self) -> String {
        let cosigner = notes::cosigner(&self.witness_name, &self.witness_key, self.keys.clone());
        cosigner.expect("an Ed25519 key").verifier_key().to_string()
    }
}

fn root(nations: &[Nation; 2]) -> Vec<u8> {
    let entry = |nation: &Nation| {
        let kid = key(nation.instance().as_str(), "root-1");
        let jwk = nation.keys.public(&kid).expect("made above");
        RootNation {
            scheme_territory: nation.instance(),
            scheme_operator_name: "operator of a simulated nation".to_owned(),
            keys: vec![RootKey { kid, jwk }],
            certificate_authorities: Vec::new(),
        }
    };
    let root = FederationRoot {
        sequence_number: 1,
        issue_date_time: BEGIN,
        next_update: BEGIN.plus(YEAR),
        nations: nations.iter().map(entry).collect(),
    };
    let [first, second] = nations;
    let signer = key(first.instance().as_str(), "root-1");
    let document = sign_document(ROOT_TYP, &root, &[signer], &*first.keys).expect("signs");
    let signer = key(second.instance().as_str(), "root-1");
    karvan_trust::document::add_signature(&document, ROOT_TYP, &signer, &*second.keys)
        .expect("signs")
}

fn list(nation: &Nation) -> Vec<u8> {
    let list = NationalList {
        scheme_territory: nation.instance(),
        scheme_operator_name: "operator of a simulated nation".to_owned(),
        sequence_number: 1,
        issue_date_time: BEGIN,
        next_update: BEGIN.plus(YEAR),
        certificate_authorities: Vec::new(),
        timestamp_authorities: Vec::new(),
        members: vec![Member {
            id: nation.member.member(),
            name: "a simulated ministry".to_owned(),
            roles: vec!["customs".to_owned()],
            subsystems: vec![karvan_trust::lists::Subsystem {
                id: nation.member.clone(),
                name: "a simulated customs service".to_owned(),
                roles: Vec::new(),
            }],
            keys: vec![nation.listed(nation.member.as_str())],
        }],
        nodes: vec![Node {
            id: nation.node.clone(),
            endpoint: format!("https://{}:7443", nation.host),
            authority: format!("{}:7443", nation.host),
            keys: vec![nation.listed(nation.node.as_str())],
            log: Some(NoteKey { name: nation.origin.clone(), vkey: nation.log_vkey() }),
            witness: Some(NoteKey {
                name: nation.witness_name.clone(),
                vkey: nation.witness_vkey(),
            }),
            members: vec![nation.member.member()],
        }],
    };
    let signer = key(nation.instance().as_str(), "root-1");
    sign_document(LIST_TYP, &list, &[signer], &*nation.keys).expect("signs")
}

fn agreement(nations: &[Nation; 2]) -> AgreementBook {
    const TYP: &str = karvan_exchange::bundle::verify::AGREEMENT_TYP;
    let [az, pk] = nations;
    let grant = |client: &Nation, provider: &Nation| Grant {
        client: client.member.clone(),
        provider: provider.member.clone(),
        documents: vec!["PRB".to_owned()],
    };
    let agreement = Agreement {
        id: "simulated".to_owned(),
        version: 1,
        purpose: "simulation".to_owned(),
        legal_basis: "none".to_owned(),
        valid_from: BEGIN,
        valid_until: BEGIN.plus(YEAR),
        grants: vec![grant(az, pk), grant(pk, az)],
    };
    let signer = key(az.member.as_str(), "sign-1");
    let document = sign_document(TYP, &agreement, &[signer], &*az.keys).expect("signs");
    let verified = verify_document(&document, TYP, LIST_BYTES_MAX, &|id| {
        Ok(az.keys.public(id).expect("signed above"))
    });
    let mut book = AgreementBook::default();
    book.add(agreement, verified.expect("verifies").digest, document);
    book
}
