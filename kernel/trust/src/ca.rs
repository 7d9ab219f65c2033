//! A nation's certificate authority for its nodes, and a node's request to it.
//!
//! Node certificates are short-lived and renewed at half of their life, so that expiry does the
//! work of revocation. A certificate names its node as the URI `karvan:<node id>` and the hosts its
//! endpoint is reached by (RFC 5280, section 4.2.1.6).
//!
//! Invariants: an authority certifies nodes of its own nation only; of a request (PKCS #10) it
//! takes nothing but the proven public key, the node id and the hosts.
//!
//! Not here: whether that node may have a certificate (the operator decides, see the national
//! list), and verification of chains (`crate::tls`).

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use karvan_system::Entropy;
use karvan_types::limits::CLOCK_SKEW_SECONDS_MAX;
use karvan_types::{Instance, NodeId, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyUsagePurpose, SanType, SerialNumber,
};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::Error;
use crate::keys::{KeyId, KeyProvider, Owner};
use crate::lists::Certificate;
use crate::provided::ProvidedKey;

/// How long a node certificate lives unless told otherwise.
pub const CERTIFICATE_LIFETIME: Duration = Duration::from_hours(7 * 24);
/// The longest life of a node certificate.
pub const CERTIFICATE_LIFETIME_MAX: Duration = Duration::from_hours(30 * 24);
/// Most hosts in one certificate.
const HOSTS_MAX: usize = 16;
/// Longest certificate request, in bytes.
const REQUEST_BYTES_MAX: usize = 16 * 1024;
/// The scheme of a node's name in a certificate.
const NODE_SCHEME: &str = "karvan:";

/// A certificate or certificate request is refused, with the rule it breaks.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the certificate is refused: {0}")]
pub struct CertificateError(pub &'static str);

/// A nation's authority.
pub struct Authority {
    nation: Instance,
    issuer: Issuer<'static, ProvidedKey>,
    certificate: Certificate,
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "authority of {} with {:?}", self.nation, self.certificate)
    }
}

impl Authority {
    /// Makes the authority of the nation that `key` is named after, with a certificate of its own
    /// signature.
    pub fn create(
        key: &KeyId,
        keys: Arc<dyn KeyProvider>,
        now: Timestamp,
        lifetime: Duration,
        entropy: &dyn Entropy,
    ) -> Result<Self, Error> {
        let nation = nation(key)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = name(&format!("Karvan nodes of {nation}"), nation);
        set_validity(&mut params, now, lifetime);
        params.serial_number = Some(serial(entropy));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let provided = ProvidedKey::new(key, keys)?;
        let written = params.self_signed(&provided).map_err(|_| Error::Crypto("certify itself"))?;
        let certificate = Certificate(written.der().to_vec());
        Ok(Self { nation, issuer: Issuer::new(params, provided), certificate })
    }

    /// Opens an authority that was made before, here or by the nation's own means.
    pub fn open(
        certificate: &Certificate,
        key: &KeyId,
        keys: Arc<dyn KeyProvider>,
    ) -> Result<Self, Error> {
        let nation = nation(key)?;
        let provided = ProvidedKey::new(key, keys)?;
        if parse(certificate)?.public_key().raw != provided.spki() {
            return Err(CertificateError("it belongs to another key").into());
        }
        let issuer = Issuer::from_ca_cert_der(&certificate.0.as_slice().into(), provided)
            .map_err(|_| CertificateError("it is not an authority's"))?;
        Ok(Self { nation, issuer, certificate: certificate.clone() })
    }

    /// Returns the authority's own certificate, for the national list.
    pub const fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// Certifies the node that made `request` (PKCS #10, DER) for `lifetime`, at most
    /// [`CERTIFICATE_LIFETIME_MAX`]. `node` is whom the operator means to certify.
    pub fn issue(
        &self,
        request: &[u8],
        node: &NodeId,
        now: Timestamp,
        lifetime: Duration,
        entropy: &dyn Entropy,
    ) -> Result<Certificate, Error> {
        if request.len() > REQUEST_BYTES_MAX {
            return Err(CertificateError("a request has at most 16 KiB").into());
        }
        if node.instance() != self.nation {
            return Err(CertificateError("the node belongs to another nation").into());
        }
        if lifetime > CERTIFICATE_LIFETIME_MAX {
            return Err(CertificateError("a node certificate lives at most 30 days").into());
        }
        let request = CertificateSigningRequestParams::from_der(&request.into())
            .map_err(|_| CertificateError("the request is not PKCS #10 signed by its own key"))?;
        let names = request.params.subject_alt_names;
        let own = format!("{NODE_SCHEME}{node}");
        let is_own = |san: &SanType| matches!(san, SanType::URI(uri) if uri.as_str() == own);
        let is_host = |san: &SanType| matches!(san, SanType::DnsName(_) | SanType::IpAddress(_));
        let others = names.iter().filter(|san| !is_own(san));
        let hosts = others.clone().count();
        if names.len() != hosts + 1 || hosts > HOSTS_MAX || !others.clone().all(is_host) {
            let rule = "it names exactly the node asked for, and 0 to 16 hosts";
            return Err(CertificateError(rule).into());
        }
        let mut params = node_params(node, names);
        set_validity(&mut params, now, lifetime);
        params.serial_number = Some(serial(entropy));
        params.use_authority_key_identifier_extension = true;
        let written = params.signed_by(&request.public_key, &self.issuer);
        let written = written.map_err(|_| Error::Crypto("sign a certificate"))?;
        Ok(Certificate(written.der().to_vec()))
    }
}

/// Makes a node's certificate request (PKCS #10, DER) for the hosts (DNS names or IP addresses)
/// of its endpoint.
pub fn certificate_request(
    node: &NodeId,
    hosts: &[&str],
    key: &KeyId,
    keys: Arc<dyn KeyProvider>,
) -> Result<Vec<u8>, Error> {
    let text = |text: String| text.try_into().map_err(|_| CertificateError("a host is ASCII"));
    let mut names = vec![SanType::URI(text(format!("{NODE_SCHEME}{node}"))?)];
    for host in hosts {
        names.push(match host.parse::<IpAddr>() {
            Ok(address) => SanType::IpAddress(address),
            Err(_) => SanType::DnsName(text((*host).to_owned())?),
        });
    }
    let request = node_params(node, names).serialize_request(&ProvidedKey::new(key, keys)?);
    let request = request.map_err(|_| Error::Crypto("sign a certificate request"))?;
    Ok(request.der().to_vec())
}

/// Returns whether half of the certificate's life is over.
pub fn needs_renewal(certificate: &Certificate, now: Timestamp) -> Result<bool, Error> {
    let parsed = parse(certificate)?;
    let begin = Timestamp::from_seconds(parsed.validity().not_before.timestamp());
    let end = Timestamp::from_seconds(parsed.validity().not_after.timestamp());
    Ok(now >= begin.plus(end.since(begin) / 2))
}

/// Returns the end of the certificate's life.
pub fn expires(certificate: &Certificate) -> Result<Timestamp, Error> {
    Ok(Timestamp::from_seconds(parse(certificate)?.validity().not_after.timestamp()))
}

/// Returns the node a certificate names. This verifies nothing: see `crate::tls`.
pub fn named_node(der: &[u8]) -> Result<NodeId, CertificateError> {
    let (_, certificate) = X509Certificate::from_der(der).map_err(|_| NOT_X509)?;
    let names = certificate.subject_alternative_name().map_err(|_| NOT_X509)?;
    let names = names.map(|names| names.value.general_names.as_slice()).unwrap_or_default();
    let mut nodes = names.iter().filter_map(|name| match name {
        GeneralName::URI(uri) => uri.strip_prefix(NODE_SCHEME),
        _ => None,
    });
    let (Some(node), None) = (nodes.next(), nodes.next()) else {
        return Err(CertificateError("it names no node, or several: ask for one with karvan:<id>"));
    };
    node.parse().map_err(|_| CertificateError("its node id does not parse"))
}

const NOT_X509: CertificateError = CertificateError("it is not X.509 in DER");

fn parse(certificate: &Certificate) -> Result<X509Certificate<'_>, CertificateError> {
    X509Certificate::from_der(&certificate.0).map(|(_, parsed)| parsed).map_err(|_| NOT_X509)
}

fn nation(key: &KeyId) -> Result<Instance, Error> {
    match key.owner() {
        Some(Owner::Nation(nation)) => Ok(nation),
        _ => Err(Error::KeyRejected("an authority's key is named after its nation, as AZ#ca-1")),
    }
}

fn name(common: &str, nation: Instance) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CountryName, nation.as_str());
    name.push(DnType::CommonName, common);
    name
}

fn node_params(node: &NodeId, names: Vec<SanType>) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = name(node.name(), node.instance());
    params.subject_alt_names = names;
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params
}

/// Certificates begin a little early, so that a peer whose clock lags accepts them at once.
fn set_validity(params: &mut CertificateParams, now: Timestamp, lifetime: Duration) {
    let at = |seconds: i64| {
        let seconds = u64::try_from(seconds).unwrap_or(0);
        rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds)
    };
    let skew = Duration::from_secs(CLOCK_SKEW_SECONDS_MAX);
    params.not_before = at(now.minus(skew).as_seconds());
    params.not_after = at(now.plus(lifetime).as_seconds());
}

fn serial(entropy: &dyn Entropy) -> SerialNumber {
    let mut bytes = entropy.array::<16>();
    // Positive and of constant length (RFC 5280, section 4.1.2.2).
    if let Some(first) = bytes.first_mut() {
        *first = *first & 0x3f | 0x40;
    }
    SerialNumber::from_slice(&bytes)
}
