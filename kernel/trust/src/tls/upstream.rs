//! TLS towards the systems of agencies that answer calls.
//!
//! The node shows its own certificate when it is asked, so a system can make sure that only its
//! node calls it. Whom the node takes for the system is the operator's decision per service
//! ([`Verification`]); the host name is checked unless nothing is (X-Road never checks it).
//!
//! The authorities of the machine are read from the operating system's store, not from a list
//! inside the program: agencies' authorities are mostly internal ones, which an administrator adds
//! to or takes from that store without a new release of Karvan.
//!
//! TLS 1.3, and 1.2 for older systems; nothing below.

use std::fmt;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use super::{HTTP_1_1, Tls};
use crate::Error;

/// Longest text of a service's authorities, in bytes.
pub const AUTHORITIES_BYTES_MAX: usize = 64 * 1024;

/// Whom a node takes for an agency's system.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verification<'a> {
    /// Whoever has a certificate for the host by an authority of the operating system's store.
    System,
    /// Whoever has one by an authority of this text (certificates in PEM, RFC 7468).
    Authorities(&'a str),
    /// Whoever answers. The connection is encrypted, but to whom is not known.
    Off,
}

impl Tls {
    /// Returns the configuration of a client of an agency's system. Keep it: sessions are resumed
    /// within one configuration.
    pub fn upstream(&self, verification: Verification<'_>) -> Result<ClientConfig, Error> {
        let provider = &self.judge.provider;
        let verifier: Arc<dyn ServerCertVerifier> = match verification {
            Verification::System => verifier(system_authorities()?, provider)?,
            Verification::Authorities(pem) => verifier(authorities(pem)?, provider)?,
            Verification::Off => Arc::new(Anyone(provider.clone())),
        };
        let mut config = ClientConfig::builder_with_details(provider.clone(), self.time.clone())
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(|_| Error::Crypto("set up TLS 1.3 and 1.2"))?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_client_cert_resolver(self.own.clone());
        config.alpn_protocols = vec![HTTP_1_1.to_vec()];
        Ok(config)
    }
}

/// Checks that a text holds at least one usable authority and nothing that is none.
pub fn check_authorities(pem: &str) -> Result<(), Error> {
    authorities(pem).map(|_| ())
}

fn verifier(
    anchors: RootCertStore,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, Error> {
    WebPkiServerVerifier::builder_with_provider(Arc::new(anchors), provider.clone())
        .build()
        .map_err(|_| Error::Crypto("set up the verification of a system's certificate"))
}

fn system_authorities() -> Result<RootCertStore, Error> {
    let found = rustls_native_certs::load_native_certs();
    let mut anchors = RootCertStore::empty();
    // Stores hold old entries that no library reads; the others count all the same.
    anchors.add_parsable_certificates(found.certs);
    if anchors.is_empty() {
        return Err(Error::NoAuthorities("the operating system's store holds none"));
    }
    Ok(anchors)
}

fn authorities(pem: &str) -> Result<RootCertStore, Error> {
    if pem.len() > AUTHORITIES_BYTES_MAX {
        return Err(Error::NoAuthorities("the text is longer than 64 KiB"));
    }
    let mut anchors = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.map_err(|_| Error::NoAuthorities("the PEM is malformed"))?;
        anchors.add(certificate).map_err(|_| Error::NoAuthorities("a certificate is malformed"))?;
    }
    if anchors.is_empty() {
        return Err(Error::NoAuthorities("the text holds no certificate in PEM"));
    }
    Ok(anchors)
}

/// Takes whoever answers, and still has the handshake's signature verified.
struct Anyone(Arc<CryptoProvider>);

impl fmt::Debug for Anyone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("whoever answers")
    }
}

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _leaf: &CertificateDer<'_>,
        _rest: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    handshake_signatures!(|self| self.0, rustls::crypto::verify_tls12_signature);
}
