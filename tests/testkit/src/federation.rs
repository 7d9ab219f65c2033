//! Two nations with a root, lists and one agreement, made from one seed.

use std::time::Duration;

use karvan_agreements::signed::AGREEMENT_TYP;
use karvan_agreements::{Agreement, AgreementBook, Grant};
use karvan_system::Entropy;
use karvan_trust::document::{add_signature, sign_document, verify_document};
use karvan_trust::keys::{Algorithm, KeyId, KeyProvider as _};
use karvan_trust::lists::{Certificate, FederationRoot, ROOT_TYP, RootKey, RootNation};
use karvan_types::Timestamp;
use karvan_types::limits::LIST_BYTES_MAX;
use serde::{Deserialize, Serialize};

use crate::nation::Names;
use crate::{Dice, HANDLED, Nation, PLAIN, key};

const NAMES: [Names; 2] = [
    Names {
        code: "AZ",
        host: "az",
        node: "baku-1",
        member: "SCC",
        algorithm: Algorithm::EcdsaP256Sha256,
    },
    Names {
        code: "PK",
        host: "pk",
        node: "karachi-1",
        member: "FBR",
        algorithm: Algorithm::Ed25519,
    },
];

/// What a federation is made for.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Plan {
    /// When root, lists, keys and agreement begin.
    pub begin: Timestamp,
    /// How long they last.
    pub lasts: Duration,
    /// Host and port of the node of Azerbaijan and of that of Pakistan.
    pub authorities: [String; 2],
    /// Whether the nations have certificate authorities and their nodes certificates.
    pub certified: bool,
    /// When the nodes' certificates begin; they last 30 days.
    pub certified_at: Timestamp,
}

impl Plan {
    /// Returns when root, lists, keys and agreement end.
    pub fn end(&self) -> Timestamp {
        self.begin.plus(self.lasts)
    }
}

/// Both nations and what they signed together.
pub struct Federation {
    /// What it was made for.
    pub plan: Plan,
    /// Azerbaijan and Pakistan.
    pub nations: [Nation; 2],
    /// The root, signed by both.
    pub root: Vec<u8>,
    /// The agreement: both members of either nation may send both types to those of the other.
    pub agreement: Agreement,
    /// The agreement, signed by both.
    pub agreements: AgreementBook,
}

/// A federation on its way to another process: keys follow from the seed, the rest is as signed.
#[derive(Debug, Deserialize, Serialize)]
pub struct Paper {
    seed: u64,
    plan: Plan,
    root: String,
    lists: [String; 2],
    certificates: [Option<Certificate>; 2],
}

fn text(document: &[u8]) -> String {
    String::from_utf8(document.to_vec()).expect("signed documents are JSON")
}

impl Federation {
    /// Makes a federation; equal plans and equal randomness give equal keys.
    pub fn new(plan: Plan, entropy: &dyn Entropy) -> Self {
        let [az, pk] = &NAMES;
        let [at_az, at_pk] = &plan.authorities;
        let nations =
            [Nation::new(az, at_az, &plan, entropy), Nation::new(pk, at_pk, &plan, entropy)];
        let root = root(&nations, &plan);
        let agreement = agreement(&nations, &plan);
        let mut made =
            Self { plan, nations, root, agreement, agreements: AgreementBook::default() };
        made.agreements = made.sign_agreements(std::slice::from_ref(&made.agreement));
        made
    }

    /// Puts it on paper. `seed` is that of the dice it was made with.
    pub fn to_paper(&self, seed: u64) -> Paper {
        Paper {
            seed,
            plan: self.plan.clone(),
            root: text(&self.root),
            lists: self.nations.each_ref().map(|nation| text(&nation.list)),
            certificates: self.nations.each_ref().map(|nation| nation.certificate.clone()),
        }
    }

    /// Reads it from paper. Its authorities stay with the process that made it.
    pub fn from_paper(paper: Paper) -> Self {
        let mut made = Self::new(paper.plan, &Dice::new(paper.seed));
        made.root = paper.root.into_bytes();
        let papers = paper.lists.into_iter().zip(paper.certificates);
        for (nation, (list, certificate)) in made.nations.iter_mut().zip(papers) {
            nation.list = list.into_bytes();
            nation.certificate = certificate;
            nation.authority = None;
        }
        made
    }

    /// Has a member of either nation sign agreements, and returns the book of them.
    pub fn sign_agreements(&self, agreements: &[Agreement]) -> AgreementBook {
        let [az, pk] = &self.nations;
        let mut book = AgreementBook::default();
        for agreement in agreements {
            let signed = sign_document(AGREEMENT_TYP, agreement, &[az.member_key()], &*az.keys);
            let signed = signed.expect("signs");
            let signed = add_signature(&signed, AGREEMENT_TYP, &pk.member_key(), &*pk.keys);
            let signed = signed.expect("signs");
            let public = |id: &KeyId| az.keys.public(id).or_else(|| pk.keys.public(id));
            let verified = verify_document(&signed, AGREEMENT_TYP, LIST_BYTES_MAX, &|id| {
                Ok(public(id).expect("signed above"))
            });
            book.add(agreement.clone(), verified.expect("verifies").digest, signed);
        }
        book
    }
}

fn root(nations: &[Nation; 2], plan: &Plan) -> Vec<u8> {
    let entry = |nation: &Nation| {
        let kid = key(nation.instance().as_str(), "root-1");
        let jwk = nation.keys.public(&kid).expect("made before");
        RootNation {
            scheme_territory: nation.instance(),
            scheme_operator_name: "operator of a test nation".to_owned(),
            keys: vec![RootKey { kid, jwk }],
            certificate_authorities: Vec::new(),
        }
    };
    let root = FederationRoot {
        sequence_number: 1,
        issue_date_time: plan.begin,
        next_update: plan.end(),
        nations: nations.iter().map(entry).collect(),
    };
    let [first, second] = nations;
    let signer = key(first.instance().as_str(), "root-1");
    let document = sign_document(ROOT_TYP, &root, &[signer], &*first.keys).expect("signs");
    let signer = key(second.instance().as_str(), "root-1");
    add_signature(&document, ROOT_TYP, &signer, &*second.keys).expect("signs")
}

fn agreement(nations: &[Nation; 2], plan: &Plan) -> Agreement {
    let [az, pk] = nations;
    let grants = |from: &Nation, to: &Nation| {
        let documents = vec![HANDLED.to_owned(), PLAIN.to_owned()];
        let (from, to) = ([&from.member, &from.archive], [&to.member, &to.archive]);
        let pairs = from.map(|client| to.map(|provider| (client.clone(), provider.clone())));
        let grant = move |(client, provider)| Grant {
            documents: documents.clone(),
            ..Grant::new(client, provider)
        };
        pairs.into_iter().flatten().map(grant)
    };
    Agreement {
        id: "test".to_owned(),
        version: 1,
        purpose: "testing".to_owned(),
        legal_basis: "none".to_owned(),
        valid_from: plan.begin,
        valid_until: plan.end(),
        grants: grants(az, pk).chain(grants(pk, az)).collect(),
        policy: None,
    }
}
