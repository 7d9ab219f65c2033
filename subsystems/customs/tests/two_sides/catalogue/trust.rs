//! The first gate of a certificate, which the node keeps before customs sees it: the key that
//! signed it is on the national list of its owner, and was valid when it signed.

use karvan_trust::document::{sign_document, verify_document};
use karvan_trust::keys::{Algorithm, KeyId, KeyPair, KeyProvider as _, MemoryKeys};
use karvan_trust::lists::{
    FederationRoot, LIST_TYP, ListedKey, Member, NationalList, ROOT_TYP, RootKey, RootNation,
    Snapshot, Subsystem,
};
use karvan_trust::message::KeyDirectory as _;
use karvan_types::Timestamp;
use serde::Deserialize;

/// Signs the root and the list of the issuer's nation.
const NATION_KEY: &str = "AZ#root-1";
/// The second signature of the root.
const PARTNER_KEY: &str = "PK#root-1";
const ISSUER: &str = "AZ/GOV/AAMCC";
const ISSUER_KEY: &str = "AZ/GOV/AAMCC#sign-1";
/// A key of the issuer that is on the list beside the one in question.
const OTHER_KEY: &str = "AZ/GOV/AAMCC#sign-2";
/// When the lists and keys begin, and when the lists end.
const BEGIN: &str = "2026-01-01T00:00:00Z";
const END: &str = "2027-01-01T00:00:00Z";
const BYTES_MAX: usize = 1024 * 1024;
const TYP: &str = "karvan-customs-test+jws";

/// A certificate that the key of its issuer signed.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Signing {
    /// When it was signed.
    at: Timestamp,
    /// Until when the list gives the key; without it, the nation took the key off the list.
    #[serde(rename = "listedUntil")]
    listed_until: Option<Timestamp>,
}

fn key(name: &str) -> Result<KeyId, String> {
    name.parse().map_err(|error| format!("{name}: {error}"))
}

fn keys() -> Result<MemoryKeys, String> {
    let keys = MemoryKeys::new();
    for (name, secret) in [(NATION_KEY, 1), (PARTNER_KEY, 2), (ISSUER_KEY, 3), (OTHER_KEY, 4)] {
        let pair = KeyPair::from_secret(Algorithm::Ed25519, &[secret; 32]).map_err(told)?;
        keys.insert(&key(name)?, pair).map_err(told)?;
    }
    Ok(keys)
}

#[expect(clippy::needless_pass_by_value, reason = "`map_err` hands it over")]
fn told(error: impl ToString) -> String {
    error.to_string()
}

/// Returns what a node knows: the root, and the list of the issuer's nation.
fn lists(keys: &MemoryKeys, signing: &Signing) -> Result<Snapshot, String> {
    let (begin, end): (Timestamp, Timestamp) =
        (BEGIN.parse().map_err(told)?, END.parse().map_err(told)?);
    let nation = |code: &str, name: &str| {
        let kid = key(name)?;
        let jwk = keys.public(&kid).ok_or("no key")?;
        Ok::<_, String>(RootNation {
            scheme_territory: code.parse().map_err(told)?,
            scheme_operator_name: "an operator (fictitious)".to_owned(),
            keys: vec![RootKey { kid, jwk }],
            certificate_authorities: Vec::new(),
        })
    };
    let root = FederationRoot {
        sequence_number: 1,
        issue_date_time: begin,
        next_update: end,
        nations: vec![nation("AZ", NATION_KEY)?, nation("PK", PARTNER_KEY)?],
    };
    let root = sign_document(ROOT_TYP, &root, &[key(NATION_KEY)?, key(PARTNER_KEY)?], keys);
    let root = root.map_err(told)?;
    let listed = |name: &str, not_after: Timestamp| {
        let kid = key(name)?;
        let jwk = keys.public(&kid).ok_or("no key")?;
        Ok::<_, String>(ListedKey { kid, jwk, not_before: begin, not_after })
    };
    let mut listed_keys = vec![listed(OTHER_KEY, end)?];
    if let Some(until) = signing.listed_until {
        listed_keys.push(listed(ISSUER_KEY, until)?);
    }
    let id = ISSUER.parse().map_err(told)?;
    let member = Member {
        id,
        name: "an issuer (fictitious)".to_owned(),
        roles: Vec::new(),
        subsystems: vec![Subsystem {
            id: format!("{ISSUER}/origin").parse().map_err(told)?,
            name: "certificates of origin".to_owned(),
            roles: vec!["certificate-issuer".to_owned()],
        }],
        keys: listed_keys,
    };
    let list = NationalList {
        scheme_territory: "AZ".parse().map_err(told)?,
        scheme_operator_name: "an operator (fictitious)".to_owned(),
        sequence_number: 1,
        issue_date_time: begin,
        next_update: end,
        certificate_authorities: Vec::new(),
        timestamp_authorities: Vec::new(),
        members: vec![member],
        nodes: Vec::new(),
    };
    let list = sign_document(LIST_TYP, &list, &[key(NATION_KEY)?], keys).map_err(told)?;
    Snapshot::of_documents(&root, &[&list]).map_err(told)
}

/// Signs a certificate and verifies it by the lists, as a node does; tells the code and the text
/// of the refusal.
pub(super) fn verify(
    signing: &Signing,
    certificate: &serde_json::Value,
    now: Timestamp,
) -> Result<Result<(), (String, String)>, String> {
    let keys = keys()?;
    let lists = lists(&keys, signing)?;
    let by = key(ISSUER_KEY)?;
    let signed = sign_document(TYP, certificate, std::slice::from_ref(&by), &keys).map_err(told)?;
    let entry = match lists.key(&by, signing.at, now) {
        Ok(entry) => entry,
        Err(refusal) => return Ok(Err((refusal.code().to_owned(), refusal.to_string()))),
    };
    let public = |_: &KeyId| Ok(entry.public.clone());
    verify_document(&signed, TYP, BYTES_MAX, &public).map_err(told)?;
    Ok(Ok(()))
}
