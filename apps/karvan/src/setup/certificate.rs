//! The nation's authority and the node's certificate.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use karvan_system::SystemEntropy;
use karvan_trust::ca::{Authority, CERTIFICATE_LIFETIME, certificate_request};
use karvan_trust::keys::{KeyId, Owner, SealedKeys};
use karvan_trust::lists::{Certificate, RootKey, RootNation};
use karvan_types::{ErrorKind, NodeId, Timestamp};

use super::list::read_list;
use super::{Material, Plan, keys_of, newest_key, public};
use crate::failure::Failure;
use crate::files;

/// How long the nation's authority lives.
const AUTHORITY_LIFETIME: Duration = Duration::from_hours(10 * 365 * 24);
/// Longest certificate file, in bytes.
const CERTIFICATE_BYTES_MAX: u64 = 64 * 1024;
const PEM_BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const PEM_END: &str = "-----END CERTIFICATE-----";
/// Letters in a line of PEM (RFC 7468, section 2).
const PEM_COLUMNS: usize = 64;

/// Makes the nation's authority, its public part and the node's first certificate.
pub(super) fn first(
    plan: &Plan,
    keys: Arc<SealedKeys>,
    now: Timestamp,
) -> Result<(RootNation, Certificate)> {
    let nation = Owner::Nation(plan.nation);
    let key = KeyId::new(&nation, "ca-1")?;
    let provider = Arc::<SealedKeys>::clone(&keys);
    let authority = Authority::create(&key, provider, now, AUTHORITY_LIFETIME, &SystemEntropy)?;
    let mut root_keys = Vec::new();
    for name in ["root-1", "list-1"] {
        let kid = KeyId::new(&nation, name)?;
        root_keys.push(RootKey { jwk: public(&keys, &kid)?, kid });
    }
    let certificate = issue(&authority, &plan.node, &plan.authority(), keys, now)?;
    let entry = RootNation {
        scheme_territory: plan.nation,
        scheme_operator_name: plan.name.clone(),
        keys: root_keys,
        certificate_authorities: vec![authority.certificate().clone()],
    };
    Ok((entry, certificate))
}

fn issue(
    authority: &Authority,
    node: &NodeId,
    at: &str,
    keys: Arc<SealedKeys>,
    now: Timestamp,
) -> Result<Certificate> {
    let key = newest_key(&keys, &Owner::Node(node.clone()), "tls")?;
    let request = certificate_request(node, &[host(at)], &key, keys)?;
    Ok(authority.issue(&request, node, now, CERTIFICATE_LIFETIME, &SystemEntropy)?)
}

/// Issues a new certificate for a node that is reached at `at`, when the key of one of the
/// nation's authorities is held here.
pub(crate) fn renew(
    node: &NodeId,
    at: &str,
    authorities: &[Certificate],
    keys: &Arc<SealedKeys>,
    now: Timestamp,
) -> Result<Certificate> {
    for key in keys_of(keys, &Owner::Nation(node.instance()), "ca").iter().rev() {
        for certificate in authorities {
            let provider = Arc::<SealedKeys>::clone(keys);
            if let Ok(authority) = Authority::open(certificate, key, provider) {
                return issue(&authority, node, at, Arc::clone(keys), now);
            }
        }
    }
    let text = format!("the key of no authority of {} is in the folder of keys", node.instance());
    let hint = "run `karvan init renew` where the authority's key is, and bring node.crt here";
    Err(Failure::new(ErrorKind::NotFound, text).hint(hint).into())
}

/// Renews the certificate of this folder's node and puts it in place.
pub(crate) fn renew_certificate(material: &Material, now: Timestamp) -> Result<Certificate> {
    let id = &material.config.node.id;
    let list = read_list(material)?;
    let node = list.nodes.iter().find(|node| node.id == *id);
    let node = node.ok_or_else(|| {
        Failure::new(ErrorKind::NotFound, format!("{id} is not on the list of its nation"))
    })?;
    // Authorities of the list replace those of the root, once there are any.
    let listed = &list.certificate_authorities;
    let nation = &material.nation.certificate_authorities;
    let authorities = if listed.is_empty() { nation } else { listed };
    let certificate = renew(id, &node.authority, authorities, &material.keys, now)?;
    write_certificate(&material.config.peer.certificate, &certificate)?;
    Ok(certificate)
}

/// Returns the host of an authority, without port and brackets.
fn host(authority: &str) -> &str {
    match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    }
}

/// Writes a certificate in PEM (RFC 7468).
pub(crate) fn write_certificate(path: &Path, certificate: &Certificate) -> Result<()> {
    let encoded = STANDARD.encode(&certificate.0);
    let mut text = format!("{PEM_BEGIN}\n");
    for line in encoded.as_bytes().chunks(PEM_COLUMNS) {
        text.push_str(&String::from_utf8_lossy(line));
        text.push('\n');
    }
    text.push_str(PEM_END);
    text.push('\n');
    files::write(path, text.as_bytes())
}

/// Reads the first certificate of a PEM file.
pub(crate) fn read_certificate(path: &Path) -> Result<Certificate> {
    let bytes = files::read(path, CERTIFICATE_BYTES_MAX)?;
    let text = String::from_utf8_lossy(&bytes);
    let inner = text.split_once(PEM_BEGIN).and_then(|(_, rest)| rest.split_once(PEM_END));
    let encoded: Option<String> =
        inner.map(|(inner, _)| inner.chars().filter(|letter| !letter.is_whitespace()).collect());
    encoded.and_then(|encoded| STANDARD.decode(encoded).ok()).map(Certificate).with_context(|| {
        Failure::config(format!("{} holds no certificate in PEM", path.display()))
            .hint("name a file with BEGIN CERTIFICATE; `karvan init renew` makes the node's own")
    })
}
