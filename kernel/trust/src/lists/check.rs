//! The rules a root's or a list's content keeps, whoever signed it.

use std::collections::HashSet;

use karvan_evidence::note::{KeyKind, VerifierKey};
use karvan_types::limits::ID_BYTES_MAX;
use karvan_types::{Instance, MemberId};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;

use crate::keys::{KeyId, Owner, PublicKey};
use crate::lists::{
    Certificate, FederationRoot, ListError, ListedKey, Member, NationalList, Node, RootNation,
};

/// Most nations in a root.
const NATIONS_MAX: usize = 64;
/// Most keys of one nation in the root.
const ROOT_KEYS_MAX: usize = 16;
/// Most certificate authorities of one nation.
const AUTHORITIES_MAX: usize = 16;
/// Longest name or role, in bytes.
const NAME_BYTES_MAX: usize = 512;

/// What has been seen in one document, to find it a second time.
#[derive(Default)]
struct Seen {
    ids: HashSet<String>,
    keys: HashSet<Vec<u8>>,
    authorities: HashSet<String>,
}

fn require(holds: bool, field: &str, rule: &'static str) -> Result<(), ListError> {
    if holds { Ok(()) } else { Err(ListError::Invalid { field: field.to_owned(), rule }) }
}

impl FederationRoot {
    /// Checks the content; signatures are checked where it is accepted.
    pub fn check(&self) -> Result<(), ListError> {
        require(self.issue_date_time < self.next_update, "nextUpdate", "is after issueDateTime")?;
        let fits = (1..=NATIONS_MAX).contains(&self.nations.len());
        require(fits, "nations", "holds 1 to 64 nations")?;
        let mut seen = Seen::default();
        self.nations.iter().try_for_each(|nation| nation.check(&mut seen))
    }

    /// Returns a nation's entry.
    pub fn nation(&self, nation: Instance) -> Option<&RootNation> {
        self.nations.iter().find(|entry| entry.scheme_territory == nation)
    }
}

impl RootNation {
    fn check(&self, seen: &mut Seen) -> Result<(), ListError> {
        let nation = self.scheme_territory;
        seen.id(nation.as_str())?;
        name("schemeOperatorName", &self.scheme_operator_name)?;
        let fits = (1..=ROOT_KEYS_MAX).contains(&self.keys.len());
        require(fits, "keys", "holds 1 to 16 keys of each nation")?;
        for key in &self.keys {
            let own = key.kid.owner() == Some(Owner::Nation(nation));
            require(own, key.kid.as_str(), "a root key is named after its nation, as AZ#root-1")?;
            seen.key(&key.kid, &key.jwk)?;
        }
        authorities(&self.certificate_authorities)
    }
}

impl NationalList {
    /// Checks the content; signatures are checked where it is accepted. A publisher calls this
    /// before signing.
    pub fn check(&self) -> Result<(), ListError> {
        require(self.issue_date_time < self.next_update, "nextUpdate", "is after issueDateTime")?;
        name("schemeOperatorName", &self.scheme_operator_name)?;
        authorities(&self.certificate_authorities)?;
        let known = &self.timestamp_authorities;
        require(known.len() <= AUTHORITIES_MAX, "timestampAuthorities", "holds at most 16")?;
        for authority in known {
            name("timestampAuthorities", &authority.name)?;
            let url = &authority.url;
            let fits = (url.starts_with("https://") || url.starts_with("http://"))
                && url.len() <= NAME_BYTES_MAX
                && url.bytes().all(|b| b.is_ascii_graphic());
            require(fits, &authority.name, "`url` is https:// or http:// and at most 512 bytes")?;
            authorities(std::slice::from_ref(&authority.certificate))?;
        }
        let mut seen = Seen::default();
        for member in &self.members {
            member.check(self.scheme_territory, &mut seen)?;
        }
        for node in &self.nodes {
            node.check(self.scheme_territory, &mut seen)?;
        }
        Ok(())
    }
}

impl Member {
    fn check(&self, nation: Instance, seen: &mut Seen) -> Result<(), ListError> {
        let id = self.id.as_str();
        require(self.id.instance() == nation, id, "belongs to the nation of the list")?;
        require(self.id.member() == self.id, id, "a member's id has three parts")?;
        let reserved = id.parse::<Owner>() == Ok(Owner::Member(self.id.clone()));
        require(reserved, id, "the class `node` is reserved for nodes")?;
        seen.id(id)?;
        name(id, &self.name)?;
        roles(id, &self.roles)?;
        for subsystem in &self.subsystems {
            let id = subsystem.id.as_str();
            let own = subsystem.id.member() == self.id && subsystem.id != self.id;
            require(own, id, "a subsystem's id is its member's with a fourth part")?;
            seen.id(id)?;
            name(id, &subsystem.name)?;
            roles(id, &subsystem.roles)?;
        }
        keys(&self.keys, seen, &|owner| match owner {
            Owner::Member(owner) => {
                *owner == self.id || self.subsystems.iter().any(|each| each.id == *owner)
            }
            _ => false,
        })
    }
}

impl Node {
    fn check(&self, nation: Instance, seen: &mut Seen) -> Result<(), ListError> {
        let id = self.id.as_str();
        require(self.id.instance() == nation, id, "belongs to the nation of the list")?;
        seen.id(id)?;
        let authority = &self.authority;
        let plain = authority.len() <= ID_BYTES_MAX
            && !authority.is_empty()
            && !authority.ends_with(":443")
            && authority
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-:[]".contains(&b));
        require(plain, id, "`authority` is the lower-case host, with a port unless it is 443")?;
        let free = seen.authorities.insert(authority.clone());
        require(free, id, "no other node has the same `authority`")?;
        let endpoint = self.endpoint.strip_prefix("https://").unwrap_or_default();
        let host = endpoint.strip_suffix(":443").unwrap_or(endpoint);
        let same = host.eq_ignore_ascii_case(authority);
        require(same, id, "`endpoint` is https:// and the authority, without a path")?;
        keys(&self.keys, seen, &|owner| *owner == Owner::Node(self.id.clone()))?;
        for (note, kind) in [(&self.log, KeyKind::Ed25519), (&self.witness, KeyKind::CosignatureV1)]
        {
            let Some(note) = note else { continue };
            let vkey = note.vkey.parse::<VerifierKey>().ok();
            let vkey = vkey.filter(|vkey| vkey.name() == note.name && vkey.kind() == kind);
            require(vkey.is_some(), id, "a `vkey` is of the name and of the kind of its entry")?;
            // Whatever it is named: a log key must not cosign, and a signing key must not log.
            let free = vkey.is_some_and(|vkey| seen.keys.insert(vkey.public_key().to_vec()));
            require(free, id, "the key of a `vkey` serves nothing else")?;
        }
        for member in &self.members {
            require(seen.lists(member), member.as_str(), "a served member is on the same list")?;
        }
        Ok(())
    }
}

impl Seen {
    fn id(&mut self, id: &str) -> Result<(), ListError> {
        require(self.ids.insert(id.to_owned()), id, "occurs once in a document")
    }

    fn key(&mut self, kid: &KeyId, key: &PublicKey) -> Result<(), ListError> {
        self.id(kid.as_str())?;
        let free = self.keys.insert(key.as_bytes().to_vec());
        require(free, kid.as_str(), "is the only name of its public key")
    }

    fn lists(&self, member: &MemberId) -> bool {
        self.ids.contains(member.as_str())
    }
}

fn keys(
    keys: &[ListedKey],
    seen: &mut Seen,
    owned: &dyn Fn(&Owner) -> bool,
) -> Result<(), ListError> {
    for key in keys {
        let kid = key.kid.as_str();
        let own = key.kid.owner().is_some_and(|owner| owned(&owner));
        require(own, kid, "a key is named after the entry it stands in")?;
        require(key.not_before < key.not_after, kid, "`notAfter` is after `notBefore`")?;
        seen.key(&key.kid, &key.jwk)?;
    }
    Ok(())
}

fn authorities(certificates: &[Certificate]) -> Result<(), ListError> {
    const FIELD: &str = "an authority";
    require(certificates.len() <= AUTHORITIES_MAX, FIELD, "is one of at most 16")?;
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        let parsed = roots.add(CertificateDer::from(certificate.0.as_slice()));
        require(parsed.is_ok(), FIELD, "is named by its X.509 certificate in DER")?;
    }
    Ok(())
}

fn name(field: &str, name: &str) -> Result<(), ListError> {
    let fits = !name.is_empty() && name.len() <= NAME_BYTES_MAX && !name.contains(char::is_control);
    require(fits, field, "a name has 1 to 512 bytes without control characters")
}

fn roles(field: &str, roles: &[String]) -> Result<(), ListError> {
    let good = |role: &String| {
        (1..=64).contains(&role.len())
            && role.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    require(roles.iter().all(good), field, "a role has 1 to 64 of a-z, 0-9 and hyphen")
}
