//! One nation: a node, a member with two subsystems, their keys, and what the nation signs.

use std::sync::Arc;
use std::time::Duration;

use karvan_system::Entropy;
use karvan_trust::ca::{Authority, CERTIFICATE_LIFETIME_MAX, certificate_request};
use karvan_trust::document::sign_document;
use karvan_trust::keys::{Algorithm, KeyId, KeyProvider as _, MemoryKeys};
use karvan_trust::lists::{
    Certificate, LIST_TYP, ListedKey, Member, NationalList, Node, NoteKey, Subsystem,
};
use karvan_trust::notes;
use karvan_types::{Instance, MemberId, NodeId, Timestamp};

use crate::Plan;

/// What a nation is called.
pub(crate) struct Names {
    pub(crate) code: &'static str,
    pub(crate) host: &'static str,
    pub(crate) node: &'static str,
    pub(crate) member: &'static str,
    /// Of the nation's authority and its node's TLS key: the two nations differ.
    pub(crate) algorithm: Algorithm,
}

/// One nation.
pub struct Nation {
    /// Its node.
    pub node: NodeId,
    /// A subsystem of its member.
    pub member: MemberId,
    /// Another subsystem of the same member.
    pub archive: MemberId,
    /// Name of its host, such as `az`.
    pub host: &'static str,
    /// All its private keys.
    pub keys: Arc<MemoryKeys>,
    /// Signs its log's checkpoints.
    pub log_key: KeyId,
    /// Cosigns the other nation's checkpoints.
    pub witness_key: KeyId,
    /// Its node's key for TLS, held when the plan asks for certificates.
    pub tls_key: KeyId,
    /// Origin of its log.
    pub origin: String,
    /// Name of its witness.
    pub witness_name: String,
    /// Its list.
    pub content: NationalList,
    /// Its list, signed.
    pub list: Vec<u8>,
    /// Its node's certificate, when the plan asks for one.
    pub certificate: Option<Certificate>,
    pub(crate) authority: Option<Authority>,
}

/// Returns the name of an owner's key.
///
/// # Panics
/// When the two make no key name.
pub fn key(owner: &str, name: &str) -> KeyId {
    format!("{owner}#{name}").parse().expect("an owner and a name make a key name")
}

impl Nation {
    pub(crate) fn new(names: &Names, authority: &str, plan: &Plan, entropy: &dyn Entropy) -> Self {
        let Names { code, host, .. } = names;
        let node: NodeId = format!("{code}/node/{}", names.node).parse().expect("constant");
        let member: MemberId = format!("{code}/GOV/{}/customs", names.member).parse().expect("id");
        let archive = format!("{}/archive", member.member()).parse().expect("constant");
        let keys = Arc::new(MemoryKeys::new());
        let named = [
            key(code, "root-1"),
            key(node.as_str(), "sign-1"),
            key(node.as_str(), "log-1"),
            key(node.as_str(), "witness-1"),
            key(member.member().as_str(), "sign-1"),
        ];
        for name in &named {
            keys.generate(name, Algorithm::Ed25519, entropy).expect("a fresh key");
        }
        let [_, _, log_key, witness_key, _] = named;
        let mut nation = Self {
            tls_key: key(node.as_str(), "tls-1"),
            origin: format!("{host}.karvan.example/evidence/1"),
            witness_name: format!("{host}.karvan.example/witness/1"),
            node,
            member,
            archive,
            host,
            keys,
            log_key,
            witness_key,
            content: NationalList {
                scheme_territory: code.parse().expect("constant"),
                scheme_operator_name: "operator of a test nation".to_owned(),
                sequence_number: 1,
                issue_date_time: plan.begin,
                next_update: plan.end(),
                certificate_authorities: Vec::new(),
                timestamp_authorities: Vec::new(),
                members: Vec::new(),
                nodes: Vec::new(),
            },
            list: Vec::new(),
            certificate: None,
            authority: None,
        };
        nation.content.members = vec![nation.listed_member(plan)];
        nation.content.nodes = vec![nation.listed_node(authority, plan)];
        if plan.certified {
            nation.certify_itself(names.algorithm, plan, entropy);
        }
        nation.list = nation.sign_list(&nation.content);
        nation
    }

    fn certify_itself(&mut self, algorithm: Algorithm, plan: &Plan, entropy: &dyn Entropy) {
        let ca = key(self.instance().as_str(), "ca-1");
        self.keys.generate(&ca, algorithm, entropy).expect("a fresh key");
        self.keys.generate(&self.tls_key, algorithm, entropy).expect("a fresh key");
        let authority = self.new_authority(&ca, plan, entropy);
        self.content.certificate_authorities = vec![authority.certificate().clone()];
        self.certificate = Some(self.certify(&authority, plan.certified_at, entropy));
        self.authority = Some(authority);
    }

    /// Makes a certificate authority with a key that is held.
    pub fn new_authority(&self, ca: &KeyId, plan: &Plan, entropy: &dyn Entropy) -> Authority {
        let made = Authority::create(ca, self.keys.clone(), plan.begin, plan.lasts, entropy);
        made.expect("an authority")
    }

    /// Returns the authority on the nation's list.
    pub fn authority(&self) -> &Authority {
        self.authority.as_ref().expect("a certified plan, made in this process")
    }

    /// Makes a certificate of the nation's node, for 30 days from `now`.
    pub fn certify(
        &self,
        authority: &Authority,
        now: Timestamp,
        entropy: &dyn Entropy,
    ) -> Certificate {
        self.certify_node(authority, &self.node, now, entropy)
    }

    /// Makes a certificate with the TLS key of the nation's node, for a node of any name.
    pub fn certify_node(
        &self,
        authority: &Authority,
        node: &NodeId,
        now: Timestamp,
        entropy: &dyn Entropy,
    ) -> Certificate {
        let address = &self.content.nodes.first().expect("one node").authority;
        let host = address.split(':').next().unwrap_or_default();
        let request = certificate_request(node, &[host], &self.tls_key, self.keys.clone());
        let request = request.expect("a request");
        let issued = authority.issue(&request, node, now, CERTIFICATE_LIFETIME_MAX, entropy);
        issued.expect("a certificate")
    }

    /// Returns the nation.
    pub fn instance(&self) -> Instance {
        self.node.instance()
    }

    /// Returns the key of its member.
    pub fn member_key(&self) -> KeyId {
        key(self.member.member().as_str(), "sign-1")
    }

    /// Signs a list as this nation.
    pub fn sign_list(&self, list: &NationalList) -> Vec<u8> {
        let signer = key(self.instance().as_str(), "root-1");
        sign_document(LIST_TYP, list, &[signer], &*self.keys).expect("signs")
    }

    /// Returns the verifier key of its log.
    pub fn log_vkey(&self) -> String {
        let signer = notes::log_signer(&self.origin, &self.log_key, self.keys.clone());
        signer.expect("an Ed25519 key").verifier_key().to_string()
    }

    /// Returns the verifier key of its witness.
    pub fn witness_vkey(&self) -> String {
        let cosigner = notes::cosigner(&self.witness_name, &self.witness_key, self.keys.clone());
        cosigner.expect("an Ed25519 key").verifier_key().to_string()
    }

    /// Returns an entry for a key of its own that is valid from `begin` for `lasts`.
    pub fn listed(&self, owner: &str, name: &str, begin: Timestamp, lasts: Duration) -> ListedKey {
        let kid = key(owner, name);
        let jwk = self.keys.public(&kid).expect("a key that is held");
        ListedKey { kid, jwk, not_before: begin, not_after: begin.plus(lasts) }
    }

    fn listed_member(&self, plan: &Plan) -> Member {
        let id = self.member.member();
        let subsystem = |id: &MemberId| Subsystem {
            id: id.clone(),
            name: "a service for tests".to_owned(),
            roles: Vec::new(),
        };
        Member {
            name: "a ministry for tests".to_owned(),
            roles: vec!["customs".to_owned()],
            subsystems: vec![subsystem(&self.member), subsystem(&self.archive)],
            keys: vec![self.listed(id.as_str(), "sign-1", plan.begin, plan.lasts)],
            id,
        }
    }

    fn listed_node(&self, authority: &str, plan: &Plan) -> Node {
        Node {
            id: self.node.clone(),
            endpoint: format!("https://{authority}"),
            authority: authority.to_owned(),
            keys: vec![self.listed(self.node.as_str(), "sign-1", plan.begin, plan.lasts)],
            log: Some(NoteKey { name: self.origin.clone(), vkey: self.log_vkey() }),
            witness: Some(NoteKey { name: self.witness_name.clone(), vkey: self.witness_vkey() }),
            members: vec![self.member.member()],
        }
    }
}
