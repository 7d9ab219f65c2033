use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use karvan_system::{OsDisk, SystemEntropy};
use karvan_trust::ca::{Authority, CERTIFICATE_LIFETIME, certificate_request};
use karvan_trust::keys::{Algorithm, KeyId, KeyProvider, MemoryKeys};
use karvan_trust::lists::{Certificate, TrustStore};
use karvan_trust::tls::agency::fingerprint;
use karvan_types::Digest;
use tokio_rustls::TlsAcceptor;

use super::*;

/// A node of a nation with an authority.
struct Party {
    authority: Certificate,
    certificate: Certificate,
    tls: Arc<Tls>,
    _folder: tempfile::TempDir,
}

fn party(nation: &str) -> Party {
    let keys = Arc::new(MemoryKeys::new());
    let [authority, key] =
        [format!("{nation}#ca-1"), format!("{nation}/node/one#tls-1")].map(|id| {
            let id: KeyId = id.parse().expect("a key id");
            keys.generate(&id, Algorithm::EcdsaP256Sha256, &SystemEntropy).expect("a key");
            id
        });
    let keys: Arc<dyn KeyProvider> = keys;
    let (clock, node) = (SystemClock, format!("{nation}/node/one").parse().expect("a node"));
    let now = clock.now();
    let lifetime = CERTIFICATE_LIFETIME;
    let authority = Authority::create(&authority, keys.clone(), now, lifetime, &SystemEntropy);
    let authority = authority.expect("an authority");
    let request = certificate_request(&node, &["127.0.0.1"], &key, keys.clone());
    let request = request.expect("a request");
    let certificate = authority.issue(&request, &node, now, lifetime, &SystemEntropy);
    let certificate = certificate.expect("a certificate");
    let folder = tempfile::tempdir().expect("a folder");
    let store = Arc::new(TrustStore::open(folder.path(), Arc::new(OsDisk)).expect("opened"));
    let tls = Tls::new(store, Arc::new(clock), &key, keys, &certificate).expect("TLS");
    let authority = authority.certificate().clone();
    Party { authority, certificate, tls: Arc::new(tls), _folder: folder }
}

fn pem(certificate: &Certificate) -> String {
    let text = STANDARD.encode(&certificate.0);
    format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
}

/// Serves HTTPS and answers with the SHA-256 of the caller's certificate.
async fn serve(party: &Party) -> SocketAddr {
    let (listener, address) = listen().await;
    let acceptor = TlsAcceptor::from(Arc::new(party.tls.agency_server().expect("a server")));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(stream) = acceptor.accept(stream).await else { continue };
            let shown = fingerprint(stream.get_ref().1.peer_certificates());
            let service = service_fn(move |_: Request<Incoming>| {
                let answer = Response::new(Full::new(Bytes::from(format!("{shown:?}"))));
                std::future::ready(Ok::<_, Infallible>(answer))
            });
            let served = hyper::server::conn::http1::Builder::new();
            tokio::spawn(served.serve_connection(TokioIo::new(stream), service));
        }
    });
    address
}

#[tokio::test]
async fn a_system_is_whom_the_operator_says_and_sees_who_calls() {
    let (system, node) = (party("AZ"), party("PK"));
    let port = serve(&system).await.port();
    let upstream = Upstream::new(Arc::new(SystemClock), Some(Arc::clone(&node.tls)));
    let right = Some(pem(&system.authority));
    for (host, verify_tls, authorities, reached) in [
        ("127.0.0.1", true, right.clone(), true),
        ("127.0.0.1", true, Some(pem(&node.authority)), false),
        ("127.0.0.1", true, None, false),
        ("localhost", true, right.clone(), false),
        ("localhost", false, None, true),
        ("localhost", false, right, true),
    ] {
        let base_url = format!("https://{host}:{port}/");
        let service = Service { verify_tls, authorities, ..service(&base_url) };
        let answer = upstream.send(&service, get(&service, ""), LONG).await;
        match answer {
            Ok(answer) => {
                let body = answer.into_body().collect().await.expect("read").to_bytes();
                let shown = format!("Some({})", Digest::of(&node.certificate.0));
                assert_eq!(body, shown, "the node shows its own certificate");
                assert!(reached, "{host} {verify_tls} was reached");
            }
            Err(error) => {
                assert_eq!(error.kind, UpstreamErrorKind::Tls, "{error}");
                assert!(!reached, "{host} {verify_tls}: {error}");
            }
        }
    }
}
