//! Systems of agencies that call over TLS: the certificate registered for their subsystem lets them
//! in, another one or none does not.

use std::sync::Arc;

use karvan_calls::Gateway;
use karvan_calls::access::Line;
use karvan_calls::registry::ClientAccess;
use karvan_federation::{AZ, PK, Station, System, World, service};
use karvan_system::SystemClock;
use karvan_trust::tls::upstream::Verification;
use karvan_trust::tls::{Tls, agency};
use karvan_types::Digest;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::rustls::client::ResolvesClientCert;
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{ClientConfig, SignatureScheme};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// A system that has no certificate to show.
#[derive(Debug)]
struct Nothing;

impl ResolvesClientCert for Nothing {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}

/// Returns TLS with the certificate of a nation's node, which is any certificate here.
fn tls(world: &World, own: usize, at: &Station) -> Tls {
    let (settings, keys) = (world.settings(own), world.nation(own).keys.clone());
    let (key, certificate) = (&settings.tls_key, &settings.certificate);
    Tls::new(at.trust.clone(), Arc::new(SystemClock), key, keys, certificate).expect("an identity")
}

/// Accepts connections as the listener of a node does.
async fn serve(listener: TcpListener, acceptor: TlsAcceptor, gateway: Gateway) {
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, gateway) = (acceptor.clone(), gateway.clone());
        tokio::spawn(async move {
            let stream = acceptor.accept(stream).await.expect("a handshake");
            let certificate = agency::fingerprint(stream.get_ref().1.peer_certificates());
            gateway.serve_client(stream, Line { private: true, certificate }).await;
        });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_registered_certificate_alone_lets_a_system_in() {
    let world = World::new(547);
    let [az, pk] = world.start_both().await;
    let system = System::echo().await;
    let (client, provider) = (&world.nation(AZ).member, &world.nation(PK).member);
    pk.offer(service(provider, "echo", &system.url())).await;
    let registered = world.settings(PK).certificate;
    let access = ClientAccess {
        certificates: vec![Digest::of(&registered.0)],
        ..ClientAccess::new(client.clone())
    };
    let gateway = &az.calls.gateway;
    gateway.registry().put_client(&az.node, access).await.expect("good settings");

    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let at = listener.local_addr().expect("bound");
    let server = tls(&world, AZ, &az).agency_server().expect("a server");
    let serving =
        tokio::spawn(serve(listener, TlsAcceptor::from(Arc::new(server)), gateway.clone()));
    let shows = |own| tls(&world, own, &az).upstream(Verification::Off).expect("a client");
    let mut none: ClientConfig = shows(PK);
    none.client_auth_cert_resolver = Arc::new(Nothing);
    let refused = "x-road-error: server.clientproxy.ssl_authentication_failed\r\n";
    let request = format!(
        "GET /r1/{provider}/echo HTTP/1.1\r\nhost: x\r\nx-road-client: {client}\r\nconnection: \
         close\r\n\r\n"
    );
    for (what, config, status, part) in [
        ("the right one", shows(PK), "HTTP/1.1 200", "x-road-request-hash"),
        ("another", shows(AZ), "HTTP/1.1 500", refused),
        ("none", none, "HTTP/1.1 500", refused),
    ] {
        let stream = TcpStream::connect(at).await.expect("it listens");
        let name = "localhost".try_into().expect("a name");
        let connector = TlsConnector::from(Arc::new(config));
        let mut stream = connector.connect(name, stream).await.expect(what);
        stream.write_all(request.as_bytes()).await.expect(what);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(answer.starts_with(status) && answer.contains(part), "{what}: {answer}");
    }
    assert_eq!(system.seen().len(), 1);
    serving.abort();
    az.stop().await;
    pk.stop().await;
}
