//! TLS for the systems of agencies that call their own node.
//!
//! The node shows its own certificate and asks for one of the caller without needing it. Whoever
//! authority issued the caller's certificate, it counts when possession of its key is proven in the
//! handshake; the subsystem that it stands for has registered its SHA-256 ([`fingerprint`]), as in
//! X-Road, so no authority has to be trusted here. An expired certificate that is still registered
//! counts too: registration is what ends it.
//!
//! TLS 1.3, and 1.2 for agencies' older systems; nothing below, and of 1.2 only forward secrecy
//! with authenticated encryption, for the library has no other suites. Between nodes it stays 1.3.
//!
//! Not here: who is registered (`karvan-calls`).

use std::fmt;
use std::sync::Arc;

use karvan_types::Digest;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::ServerSessionMemoryCache;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, ServerConfig, SignatureScheme};

use super::{HTTP_1_1, SESSIONS_MAX, Tls};
use crate::Error;

/// Returns the name under which a caller's certificate is registered: the SHA-256 of its DER, or
/// nothing when the caller showed none. `certificates` are the connection's `peer_certificates()`.
pub fn fingerprint(certificates: Option<&[CertificateDer<'_>]>) -> Option<Digest> {
    certificates?.first().map(|leaf| Digest::of(leaf))
}

impl Tls {
    /// Returns the configuration of a listener for agencies' systems. A caller may come without a
    /// certificate; what it then may do is not decided here.
    pub fn agency_server(&self) -> Result<ServerConfig, Error> {
        let verifier = AnyProven(self.judge.provider.clone());
        let mut config =
            ServerConfig::builder_with_details(self.judge.provider.clone(), self.time.clone())
                .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
                .map_err(|_| Error::Crypto("set up TLS 1.3 and 1.2"))?
                .with_client_cert_verifier(Arc::new(verifier))
                .with_cert_resolver(self.own.clone());
        config.session_storage = ServerSessionMemoryCache::new(SESSIONS_MAX);
        config.alpn_protocols = vec![HTTP_1_1.to_vec()];
        Ok(config)
    }
}

/// Takes any certificate whose key signs the handshake.
struct AnyProven(Arc<CryptoProvider>);

impl fmt::Debug for AnyProven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any certificate with its key")
    }
}

impl ClientCertVerifier for AnyProven {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _leaf: &CertificateDer<'_>,
        _rest: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    handshake_signatures!(|self| self.0, rustls::crypto::verify_tls12_signature);
}
