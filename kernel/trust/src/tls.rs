//! TLS between nodes: version 1.3, mutual, and nothing is accepted because of an address.
//! TLS with agencies' own systems is in [`agency`] (they call) and [`upstream`] (they are called).
//!
//! A certificate counts when it chains to an authority of the nation its node id names, and that
//! node is on that nation's list in force. Lists are read at each handshake, so a node that is
//! taken off a list gets no new connection, and [`Tls::peer`] tells it on a living one. The clock
//! is the node's ([`Clock`]), so tests and simulations decide what time it is.
//!
//! Invariants: no private key leaves its provider; session secrets are never logged; a resumed
//! session is judged like a new one by [`Tls::peer`].
//!
//! Not here: sockets, timeouts, and what the peer may do (agreements).

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use karvan_system::Clock;
use karvan_types::{NodeId, Timestamp};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, verify_server_cert_signed_by_trust_anchor};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{
    ClientHello, ParsedCertificate, ResolvesServerCert, ServerSessionMemoryCache,
    WebPkiClientVerifier,
};
use rustls::sign::CertifiedKey;
use rustls::time_provider::TimeProvider;
use rustls::{
    CertificateError as TlsCertificateError, ClientConfig, DigitallySignedStruct,
    DistinguishedName, OtherError, RootCertStore, ServerConfig, SignatureScheme,
};

use crate::Error;
use crate::ca::{CertificateError, named_node};
use crate::keys::{KeyId, KeyProvider};
use crate::lists::{Certificate, ListError, Node, TrustStore};
use crate::provided::ProvidedKey;

/// The three methods that both traits of verifiers have, for a verifier whose signatures of a
/// handshake are verified by `$provider`; `$tls12` judges those of TLS 1.2.
macro_rules! handshake_signatures {
    (|$self:ident| $provider:expr, $tls12:path) => {
        fn verify_tls12_signature(
            &$self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signed: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, rustls::Error> {
            let algorithms = &$provider.signature_verification_algorithms;
            $tls12(message, certificate, signed, algorithms)
        }

        fn verify_tls13_signature(
            &$self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signed: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, rustls::Error> {
            let algorithms = &$provider.signature_verification_algorithms;
            rustls::crypto::verify_tls13_signature(message, certificate, signed, algorithms)
        }

        fn supported_verify_schemes(&$self) -> Vec<SignatureScheme> {
            $provider.signature_verification_algorithms.supported_schemes()
        }
    };
}

pub mod agency;
pub mod upstream;

/// Sessions a server remembers for resumption.
const SESSIONS_MAX: usize = 4096;
/// The protocol spoken with agencies' systems (RFC 7301).
const HTTP_1_1: &[u8] = b"http/1.1";

/// Makes the TLS configurations of one node.
pub struct Tls {
    judge: Arc<Judge>,
    time: Arc<ClockTime>,
    own: Arc<OwnCertificate>,
    key: ProvidedKey,
}

impl Tls {
    /// Takes the node's key, its certificate, and the lists by which it judges others.
    pub fn new(
        store: Arc<TrustStore>,
        clock: Arc<dyn Clock>,
        key: &KeyId,
        keys: Arc<dyn KeyProvider>,
        certificate: &Certificate,
    ) -> Result<Self, Error> {
        let key = ProvidedKey::new(key, keys)?;
        let certified = RwLock::new(certified(&key, certificate)?);
        let judge = Arc::new(Judge { store, clock: clock.clone(), provider: Arc::new(provider()) });
        let (time, own) = (Arc::new(ClockTime(clock)), Arc::new(OwnCertificate { certified }));
        Ok(Self { judge, time, own, key })
    }

    /// Uses a renewed certificate in every handshake from now on.
    pub fn renew(&self, certificate: &Certificate) -> Result<(), Error> {
        let renewed = certified(&self.key, certificate)?;
        *self.own.certified.write().unwrap_or_else(PoisonError::into_inner) = renewed;
        Ok(())
    }

    /// Returns the configuration of a server to which any listed node may connect.
    pub fn server(&self) -> Result<ServerConfig, Error> {
        let verifier = PeerVerifier { judge: self.judge.clone(), expected: None };
        let mut config =
            ServerConfig::builder_with_details(self.judge.provider.clone(), self.time.clone())
                .with_protocol_versions(&[&rustls::version::TLS13])
                .map_err(|_| Error::Crypto("set up TLS 1.3"))?
                .with_client_cert_verifier(Arc::new(verifier))
                .with_cert_resolver(self.own.clone());
        config.session_storage = ServerSessionMemoryCache::new(SESSIONS_MAX);
        Ok(config)
    }

    /// Returns the configuration of a client that talks to `peer` and to no other node. Keep it:
    /// sessions are resumed within one configuration.
    pub fn client(&self, peer: &NodeId) -> Result<ClientConfig, Error> {
        let verifier = PeerVerifier { judge: self.judge.clone(), expected: Some(peer.clone()) };
        Ok(ClientConfig::builder_with_details(self.judge.provider.clone(), self.time.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|_| Error::Crypto("set up TLS 1.3"))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_client_cert_resolver(self.own.clone()))
    }

    /// Returns which node the other end of a connection is, by the lists and the time of now.
    ///
    /// `certificates` are the connection's `peer_certificates()`. Ask once per connection, and
    /// again when the lists have changed.
    pub fn peer(&self, certificates: Option<&[CertificateDer<'_>]>) -> Result<NodeId, Error> {
        let (leaf, rest) = certificates
            .and_then(|certificates| certificates.split_first())
            .ok_or(CertificateError("the peer sent none"))?;
        let now = unix_time(self.judge.clock.now());
        self.judge.client(leaf, rest, now).map_err(Error::Tls)
    }
}

/// Returns the name by which a listed node is reached, for SNI and the check of its certificate.
pub fn server_name(node: &Node) -> Result<ServerName<'static>, Error> {
    let host = match node.authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next(),
        None => node.authority.split(':').next(),
    };
    let name = ServerName::try_from(host.unwrap_or_default().to_owned());
    name.map_err(|_| {
        let rule = "`authority` begins with a host name or IP address";
        ListError::Invalid { field: node.id.to_string(), rule }.into()
    })
}

/// Returns the one cryptography provider of the project. The first key exchange is the hybrid with
/// ML-KEM: what is recorded today stays closed to a later quantum computer.
fn provider() -> CryptoProvider {
    let kx_groups = vec![
        aws_lc_rs::kx_group::X25519MLKEM768,
        aws_lc_rs::kx_group::X25519,
        aws_lc_rs::kx_group::SECP256R1,
    ];
    CryptoProvider { kx_groups, ..aws_lc_rs::default_provider() }
}

fn certified(key: &ProvidedKey, certificate: &Certificate) -> Result<Arc<CertifiedKey>, Error> {
    named_node(&certificate.0)?;
    let chain = vec![CertificateDer::from(certificate.0.clone())];
    let certified = CertifiedKey::new(chain, Arc::new(key.clone()));
    match certified.keys_match() {
        Ok(()) => Ok(Arc::new(certified)),
        Err(_) => Err(CertificateError("it belongs to another key").into()),
    }
}

fn unix_time(at: Timestamp) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(at.as_seconds()).unwrap_or(0)))
}

/// The node's clock, as the TLS library asks for it.
struct ClockTime(Arc<dyn Clock>);

impl fmt::Debug for ClockTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the node's clock")
    }
}

impl TimeProvider for ClockTime {
    fn current_time(&self) -> Option<UnixTime> {
        Some(unix_time(self.0.now()))
    }
}

/// The node's own certificate, replaced when it is renewed.
#[derive(Debug)]
struct OwnCertificate {
    certified: RwLock<Arc<CertifiedKey>>,
}

impl OwnCertificate {
    fn current(&self) -> Arc<CertifiedKey> {
        self.certified.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ResolvesServerCert for OwnCertificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current())
    }
}

impl ResolvesClientCert for OwnCertificate {
    fn resolve(
        &self,
        _root_hint_subjects: &[&[u8]],
        _schemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        Some(self.current())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// Judges certificates by the lists.
struct Judge {
    store: Arc<TrustStore>,
    clock: Arc<dyn Clock>,
    provider: Arc<CryptoProvider>,
}

impl Judge {
    /// Returns the node a certificate names and the anchors it must chain to.
    fn listed(&self, leaf: &[u8]) -> Result<(NodeId, RootCertStore), rustls::Error> {
        let node = named_node(leaf).map_err(refused)?;
        let (lists, now) = (self.store.snapshot(), self.clock.now());
        lists.node(&node, now).map_err(refused)?;
        let mut anchors = RootCertStore::empty();
        for authority in lists.authorities(node.instance(), now).map_err(refused)? {
            anchors.add(CertificateDer::from(authority.0.as_slice()))?;
        }
        Ok((node, anchors))
    }

    fn client(
        &self,
        leaf: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<NodeId, rustls::Error> {
        let (node, anchors) = self.listed(leaf)?;
        WebPkiClientVerifier::builder_with_provider(Arc::new(anchors), self.provider.clone())
            .build()
            .map_err(|_| refused(CertificateError("its nation publishes no authority")))?
            .verify_client_cert(leaf, rest, now)?;
        Ok(node)
    }

    fn server(
        &self,
        leaf: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<NodeId, rustls::Error> {
        let (node, anchors) = self.listed(leaf)?;
        let parsed = ParsedCertificate::try_from(leaf)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&parsed, &anchors, rest, now, algorithms)?;
        rustls::client::verify_server_name(&parsed, name)?;
        Ok(node)
    }
}

fn refused(error: impl std::error::Error + Send + Sync + 'static) -> rustls::Error {
    TlsCertificateError::Other(OtherError(Arc::new(error))).into()
}

/// Verifies a peer's certificate during a handshake.
struct PeerVerifier {
    judge: Arc<Judge>,
    expected: Option<NodeId>,
}

impl fmt::Debug for PeerVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "verifier of {:?}", self.expected)
    }
}

/// TLS 1.2 is not offered; nothing of it verifies.
fn no_tls12(
    _message: &[u8],
    _certificate: &CertificateDer<'_>,
    _signed: &DigitallySignedStruct,
    _algorithms: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, rustls::Error> {
    Err(rustls::Error::General("TLS 1.2 is not spoken between nodes".to_owned()))
}

impl ServerCertVerifier for PeerVerifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let node = self.judge.server(leaf, rest, name, now)?;
        if self.expected.as_ref().is_some_and(|expected| *expected != node) {
            return Err(refused(CertificateError("it is of another node than the one called")));
        }
        Ok(ServerCertVerified::assertion())
    }

    handshake_signatures!(|self| self.judge.provider, no_tls12);
}

impl ClientCertVerifier for PeerVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        self.judge.client(leaf, rest, now)?;
        Ok(ClientCertVerified::assertion())
    }

    handshake_signatures!(|self| self.judge.provider, no_tls12);
}

#[cfg(test)]
mod tests;
