use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use karvan_types::Digest;

use super::super::agency::fingerprint;
use super::super::upstream::{Verification, check_authorities};
use super::*;

fn pem(certificate: &Certificate) -> String {
    let lines = STANDARD.encode(&certificate.0);
    let lines: Vec<_> = lines.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    let (begin, end) = ("-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----");
    format!("{begin}\n{}\n{end}\n", lines.join("\n"))
}

#[test]
fn a_listener_for_agencies_takes_any_certificate_and_none_and_tells_which() {
    for algorithm in [Algorithm::Ed25519, Algorithm::EcdsaP256Sha256] {
        let world = World::new(algorithm);
        let baku = world.good("AZ/node/baku-1");
        let server = Arc::new(baku.agency_server().expect("server"));
        // A system known to no list, with a certificate of an authority known to none.
        let certificate = world.certify(&world.authorities[1], "PK/node/rogue-1");
        let stranger = world.tls("PK/node/rogue-1", &certificate);
        let trusted = pem(world.authorities[0].certificate());
        let config = stranger.upstream(Verification::Authorities(&trusted)).expect("client");
        for versions in [&[&rustls::version::TLS13], &[&rustls::version::TLS12]] {
            let mut with = config.clone();
            let anonymous = ClientConfig::builder_with_provider(Arc::new(provider()))
                .with_protocol_versions(versions)
                .expect("versions")
                .with_root_certificates({
                    let mut roots = RootCertStore::empty();
                    let authority = world.authorities[0].certificate().0.clone();
                    roots.add(authority.into()).expect("authority");
                    roots
                })
                .with_no_client_auth();
            let mut anonymous = anonymous;
            anonymous.time_provider = Arc::new(ClockTime(world.clock.clone()));
            with.alpn_protocols.clear();
            let (_, known) = connect(&Arc::new(with), &server, "baku-1.example").expect("with");
            let (_, unknown) =
                connect(&Arc::new(anonymous), &server, "baku-1.example").expect("without");
            assert_eq!(fingerprint(known.peer_certificates()), Some(Digest::of(&certificate.0)));
            assert_eq!(fingerprint(unknown.peer_certificates()), None);
            assert_eq!(unknown.protocol_version(), Some(versions[0].version));
        }
    }
}

#[test]
fn a_certificate_without_its_key_is_refused() {
    let world = World::new(Algorithm::Ed25519);
    let baku = world.good("AZ/node/baku-1");
    let server = Arc::new(baku.agency_server().expect("server"));
    let stolen = world.certify(&world.authorities[1], "PK/node/karachi-1");
    let key = ProvidedKey::new(&id("PK/node/rogue-1#tls-1"), world.keys()).expect("key");
    let chain = vec![CertificateDer::from(stolen.0)];
    let thief = Arc::new(OwnCertificate {
        certified: RwLock::new(Arc::new(CertifiedKey::new(chain, Arc::new(key)))),
    });
    let rogue = world.good("PK/node/rogue-1");
    let mut config = rogue.upstream(Verification::Off).expect("client");
    config.client_auth_cert_resolver = thief;
    check_refused(connect(&Arc::new(config), &server, "baku-1.example"), "BadSignature");
}

#[test]
fn a_system_is_verified_as_the_operator_says() {
    let world = World::new(Algorithm::EcdsaP256Sha256);
    let (baku, karachi) = (world.good("AZ/node/baku-1"), world.good("PK/node/karachi-1"));
    let server = Arc::new(baku.agency_server().expect("server"));
    let [az, pk] = [0, 1].map(|at: usize| pem(world.authorities[at].certificate()));
    let both = format!("{pk}{az}");
    for (verification, name, refusal) in [
        (Verification::Authorities(&az), "baku-1.example", None),
        (Verification::Authorities(&both), "baku-1.example", None),
        (Verification::Authorities(&az), "other.example", Some("NotValidForName")),
        (Verification::Authorities(&pk), "baku-1.example", Some("InvalidCertificate")),
        (Verification::Off, "other.example", None),
    ] {
        let client = Arc::new(karachi.upstream(verification).expect("client"));
        let connected = connect(&client, &server, name);
        match refusal {
            Some(part) => check_refused(connected, part),
            None => assert!(connected.is_ok(), "{verification:?} {name}"),
        }
    }
    for (text, reason) in [
        ("", "no certificate"),
        ("hello", "no certificate"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "malformed"),
        (&"x".repeat(70_000), "64 KiB"),
    ] {
        let error = check_authorities(text).expect_err(reason).to_string();
        assert!(error.contains(reason), "{error}");
    }
}
