//! Agreements: who may send which document type to whom, for what purpose, until when.
//!
//! Enforced by the recipient's node on every document and checked early by the sender's node. Each
//! exchange names the exact text by id, version and digest. An agreement is signed by a member of
//! each side ([`karvan_trust::document`]).

use std::collections::BTreeMap;

use karvan_subsystem::Rejection;
use karvan_types::{AgreementRef, Digest, ErrorKind, MemberId, Timestamp};
use serde::{Deserialize, Serialize};

/// Most agreements that a node loads.
pub const AGREEMENTS_MAX: usize = 10_000;

/// What one side allows the other, in force for a period.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Agreement {
    /// Identifier, such as `az-pk-customs`.
    pub id: String,
    /// Version, from 1.
    pub version: u32,
    /// Why data is exchanged; travels with each exchange.
    pub purpose: String,
    /// The legal basis, in words.
    pub legal_basis: String,
    /// First instant at which it allows anything.
    pub valid_from: Timestamp,
    /// First instant at which it no longer does.
    pub valid_until: Timestamp,
    /// What it allows.
    pub grants: Vec<Grant>,
}

/// One permission of an agreement.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Grant {
    /// Who may send.
    pub client: MemberId,
    /// Who receives.
    pub provider: MemberId,
    /// The document type codes.
    pub documents: Vec<String>,
}

/// The agreements in force at a node.
#[derive(Clone, Debug, Default)]
pub struct AgreementBook(Vec<(AgreementRef, Agreement)>, BTreeMap<Digest, Vec<u8>>);

impl AgreementBook {
    /// Adds an agreement whose signatures were verified; `digest` is that of its canonical text,
    /// `document` the signed document itself.
    pub fn add(&mut self, agreement: Agreement, digest: Digest, document: Vec<u8>) {
        let name = AgreementRef { id: agreement.id.clone(), version: agreement.version, digest };
        self.0.push((name, agreement));
        self.1.insert(digest, document);
    }

    /// Returns the signed document of an agreement.
    pub fn document(&self, name: &AgreementRef) -> Option<&[u8]> {
        self.1.get(&name.digest).map(Vec::as_slice)
    }

    /// Returns the agreements.
    pub fn iter(&self) -> impl Iterator<Item = &(AgreementRef, Agreement)> {
        self.0.iter()
    }

    /// Returns the agreement that allows this document type now, or says what is missing.
    pub fn find(
        &self,
        client: &MemberId,
        provider: &MemberId,
        code: &str,
        now: Timestamp,
    ) -> Result<(&AgreementRef, &Agreement), Rejection> {
        self.0
            .iter()
            .filter(|(_, agreement)| agreement.in_force(now))
            .find(|(_, agreement)| agreement.allows(client, provider, code))
            .map(|(name, agreement)| (name, agreement))
            .ok_or_else(|| {
                Rejection::new(
                    ErrorKind::Forbidden,
                    "agreement-missing",
                    format!(
                        "no agreement in force lets {client} send `{code}` to {provider}; \
                         conclude one or extend an existing one"
                    ),
                )
            })
    }

    /// Checks that the named agreement is known, in force and allows the document.
    pub fn check(
        &self,
        name: &AgreementRef,
        client: &MemberId,
        provider: &MemberId,
        code: &str,
        now: Timestamp,
    ) -> Result<&Agreement, Rejection> {
        let refuse = |code, text| Err(Rejection::new(ErrorKind::Forbidden, code, text));
        let Some((_, agreement)) = self.0.iter().find(|(known, _)| known == name) else {
            return refuse(
                "agreement-unknown",
                format!(
                    "agreement {} version {} with that text is not known here",
                    name.id, name.version
                ),
            );
        };
        if !agreement.in_force(now) {
            return refuse(
                "agreement-not-in-force",
                format!(
                    "agreement {} is in force from {} until {}",
                    name.id, agreement.valid_from, agreement.valid_until
                ),
            );
        }
        if !agreement.allows(client, provider, code) {
            return refuse(
                "agreement-does-not-cover",
                format!("agreement {} does not let {client} send `{code}` to {provider}", name.id),
            );
        }
        Ok(agreement)
    }
}

impl Agreement {
    /// Returns whether it allows anything at an instant.
    pub(crate) fn in_force(&self, now: Timestamp) -> bool {
        self.valid_from <= now && now < self.valid_until
    }

    /// Returns whether one of its grants covers a document.
    pub(crate) fn allows(&self, client: &MemberId, provider: &MemberId, code: &str) -> bool {
        self.grants.iter().any(|grant| {
            grant.client == *client
                && grant.provider == *provider
                && grant.documents.iter().any(|allowed| allowed == code)
        })
    }
}
