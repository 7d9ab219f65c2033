use std::io::{Read as _, Write as _};
use std::sync::Mutex;

use karvan_system::{OsDisk, SystemEntropy};
use rustls::{ClientConnection, Connection, HandshakeKind, ServerConnection};

use super::*;
use crate::ca::{Authority, certificate_request, expires, needs_renewal};
use crate::document::sign_document;
use crate::keys::{Algorithm, MemoryKeys};
use crate::lists::{FederationRoot, LIST_TYP, NationalList, ROOT_TYP, RootKey, RootNation};

const START: Timestamp = Timestamp::from_seconds(1_790_000_000);
const DAY: Duration = Duration::from_hours(24);

struct TestClock(Mutex<Timestamp>);

impl TestClock {
    fn set(&self, now: Timestamp) {
        *self.0.lock().expect("clock") = now;
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().expect("clock")
    }
}

/// Two nations with an authority and a node each, and one more node of PK that is on no list.
struct World {
    keys: Arc<MemoryKeys>,
    clock: Arc<TestClock>,
    store: Arc<TrustStore>,
    authorities: Vec<Authority>,
    _dir: tempfile::TempDir,
}

fn id(text: &str) -> KeyId {
    text.parse().expect("a key id")
}

fn node(text: &str) -> NodeId {
    text.parse().expect("a node id")
}

impl World {
    fn new(algorithm: Algorithm) -> Self {
        let keys = Arc::new(MemoryKeys::new());
        let dir = tempfile::tempdir().expect("folder");
        let store = TrustStore::open(dir.path(), Arc::new(OsDisk)).expect("opened");
        let make = |name: &str| keys.generate(&id(name), algorithm, &SystemEntropy).expect("key");
        for name in ["AZ/node/baku-1", "PK/node/karachi-1", "PK/node/rogue-1"] {
            make(&format!("{name}#tls-1"));
        }
        let (mut nations, mut authorities) = (Vec::new(), Vec::new());
        for nation in ["AZ", "PK"] {
            let kid = id(&format!("{nation}#root-1"));
            let jwk = make(kid.as_str());
            nations.push(RootNation {
                scheme_territory: nation.parse().expect("instance"),
                scheme_operator_name: "Operator".to_owned(),
                keys: vec![RootKey { kid, jwk }],
                certificate_authorities: Vec::new(),
            });
            let key = id(&format!("{nation}#ca-1"));
            make(key.as_str());
            let authority = Authority::create(&key, keys.clone(), START, DAY * 365, &SystemEntropy);
            authorities.push(authority.expect("authority"));
        }
        let root = FederationRoot {
            sequence_number: 1,
            issue_date_time: START,
            next_update: START.plus(DAY * 365),
            nations,
        };
        let signers = [id("AZ#root-1"), id("PK#root-1")];
        let root = sign_document(ROOT_TYP, &root, &signers, &*keys).expect("signed");
        store.install_root(&root, START).expect("installed");
        let clock = Arc::new(TestClock(Mutex::new(START)));
        let world = Self { keys, clock, store: Arc::new(store), authorities, _dir: dir };
        world.publish(0, 1, &["AZ/node/baku-1"]);
        world.publish(1, 1, &["PK/node/karachi-1"]);
        world
    }

    /// Publishes the list of one nation with these nodes.
    fn publish(&self, authority: usize, sequence_number: u64, nodes: &[&str]) {
        let nation = ["AZ", "PK"][authority];
        let listed = nodes.iter().map(|name| Node {
            id: node(name),
            endpoint: format!("https://{}.example:8443", node(name).name()),
            authority: format!("{}.example:8443", node(name).name()),
            keys: Vec::new(),
            log: None,
            witness: None,
            members: Vec::new(),
        });
        let list = NationalList {
            scheme_territory: nation.parse().expect("instance"),
            scheme_operator_name: "Operator".to_owned(),
            sequence_number,
            issue_date_time: START,
            next_update: START.plus(DAY * 30),
            certificate_authorities: vec![self.authorities[authority].certificate().clone()],
            timestamp_authorities: Vec::new(),
            members: Vec::new(),
            nodes: listed.collect(),
        };
        let signer = [id(&format!("{nation}#root-1"))];
        let document = sign_document(LIST_TYP, &list, &signer, &*self.keys).expect("signed");
        self.store.accept(&document, self.clock.now()).expect("accepted");
    }

    fn certify(&self, authority: &Authority, name: &str) -> Certificate {
        let host = format!("{}.example", node(name).name());
        let key = id(&format!("{name}#tls-1"));
        let request = certificate_request(&node(name), &[&host, "127.0.0.1"], &key, self.keys())
            .expect("request");
        let lifetime = crate::ca::CERTIFICATE_LIFETIME;
        let issued =
            authority.issue(&request, &node(name), self.clock.now(), lifetime, &SystemEntropy);
        issued.expect("issued")
    }

    fn keys(&self) -> Arc<dyn KeyProvider> {
        self.keys.clone()
    }

    fn tls(&self, name: &str, certificate: &Certificate) -> Tls {
        let key = id(&format!("{name}#tls-1"));
        Tls::new(self.store.clone(), self.clock.clone(), &key, self.keys(), certificate)
            .expect("TLS")
    }

    /// The node at `name` with a good certificate of its nation's authority.
    fn good(&self, name: &str) -> Tls {
        let authority = &self.authorities[usize::from(name.starts_with("PK"))];
        self.tls(name, &self.certify(authority, name))
    }
}

/// Shakes hands in memory and sends a byte both ways; gives both ends or the first error.
fn connect(
    client: &Arc<ClientConfig>,
    server: &Arc<ServerConfig>,
    name: &str,
) -> Result<(ClientConnection, ServerConnection), rustls::Error> {
    let name = ServerName::try_from(name.to_owned()).expect("name");
    let mut client = ClientConnection::new(client.clone(), name)?;
    let mut server = ServerConnection::new(server.clone())?;
    client.writer().write_all(b"c").expect("buffered");
    server.writer().write_all(b"s").expect("buffered");
    while client.wants_write() || server.wants_write() {
        let mut wire = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut wire).expect("written");
        }
        feed(&mut wire, &mut server)?;
        while server.wants_write() {
            server.write_tls(&mut wire).expect("written");
        }
        feed(&mut wire, &mut client)?;
    }
    let mut byte = [0];
    client.reader().read_exact(&mut byte).expect("the server's byte");
    server.reader().read_exact(&mut byte).expect("the client's byte");
    Ok((client, server))
}

fn feed<Side>(
    wire: &mut Vec<u8>,
    end: &mut (impl std::ops::DerefMut<Target = rustls::ConnectionCommon<Side>> + Into<Connection>),
) -> Result<(), rustls::Error>
where
    Side: rustls::SideData,
{
    let mut rest = wire.as_slice();
    while !rest.is_empty() {
        end.read_tls(&mut rest).expect("read");
        end.process_new_packets()?;
    }
    wire.clear();
    Ok(())
}

fn check_refused(result: Result<(ClientConnection, ServerConnection), rustls::Error>, part: &str) {
    let Err(error) = result else { panic!("connected; expected {part}") };
    let error = format!("{error:?}");
    assert!(error.contains(part), "`{error}` does not say `{part}`");
}

#[test]
fn listed_nodes_connect_and_know_each_other() {
    for algorithm in [Algorithm::Ed25519, Algorithm::EcdsaP256Sha256] {
        let world = World::new(algorithm);
        let (baku, karachi) = (world.good("AZ/node/baku-1"), world.good("PK/node/karachi-1"));
        let client = Arc::new(karachi.client(&node("AZ/node/baku-1")).expect("client"));
        let server = Arc::new(baku.server().expect("server"));
        for (host, kind) in [
            ("baku-1.example", HandshakeKind::Full),
            ("baku-1.example", HandshakeKind::Resumed),
            ("127.0.0.1", HandshakeKind::Full),
        ] {
            let (a, b) = connect(&client, &server, host).expect("connected");
            assert_eq!(b.handshake_kind(), Some(kind));
            assert_eq!(b.protocol_version(), Some(rustls::ProtocolVersion::TLSv1_3));
            let group = b.negotiated_key_exchange_group().expect("a group").name();
            assert_eq!(group, rustls::NamedGroup::X25519MLKEM768);
            let at_server = baku.peer(b.peer_certificates()).expect("known");
            assert_eq!(at_server, node("PK/node/karachi-1"));
            let at_client = karachi.peer(a.peer_certificates()).expect("known");
            assert_eq!(at_client, node("AZ/node/baku-1"));
        }
        let wrong_host = connect(&client, &server, "karachi-1.example");
        check_refused(wrong_host, "NotValidForName");
    }
}

#[test]
fn everyone_else_is_refused() {
    let world = World::new(Algorithm::EcdsaP256Sha256);
    let baku = world.good("AZ/node/baku-1");
    let server = Arc::new(baku.server().expect("server"));
    let to_baku = |tls: &Tls| Arc::new(tls.client(&node("AZ/node/baku-1")).expect("client"));
    let host = "baku-1.example";

    let rogue = world.good("PK/node/rogue-1");
    check_refused(connect(&to_baku(&rogue), &server, host), "Unlisted");

    // An authority of the right name that is not the nation's.
    let keys: Arc<dyn KeyProvider> = {
        let other = MemoryKeys::new();
        other.generate(&id("PK#ca-1"), Algorithm::Ed25519, &SystemEntropy).expect("key");
        Arc::new(other)
    };
    let impostor = Authority::create(&id("PK#ca-1"), keys, START, DAY, &SystemEntropy);
    let forged = world.certify(&impostor.expect("authority"), "PK/node/karachi-1");
    let forged = world.tls("PK/node/karachi-1", &forged);
    check_refused(connect(&to_baku(&forged), &server, host), "InvalidCertificate");

    // The client calls one node and another one answers, in its place and under its name.
    let karachi = world.good("PK/node/karachi-1");
    world.publish(0, 2, &["AZ/node/baku-1", "AZ/node/baku-2"]);
    let elsewhere = Arc::new(karachi.client(&node("AZ/node/baku-2")).expect("client"));
    check_refused(connect(&elsewhere, &server, host), "another node");

    // A client without any certificate.
    let anonymous = ClientConfig::builder_with_provider(Arc::new(provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(PeerVerifier {
            judge: karachi.judge.clone(),
            expected: None,
        }))
        .with_no_client_auth();
    let result = connect(&Arc::new(anonymous), &server, host);
    check_refused(result, "Certificate");
    assert!(baku.peer(None).is_err());
}

#[test]
fn time_and_lists_end_certificates_also_on_living_connections() {
    let world = World::new(Algorithm::Ed25519);
    let (baku, karachi) = (world.good("AZ/node/baku-1"), world.good("PK/node/karachi-1"));
    let client = Arc::new(karachi.client(&node("AZ/node/baku-1")).expect("client"));
    let server = Arc::new(baku.server().expect("server"));
    let fresh = || Arc::new(karachi.client(&node("AZ/node/baku-1")).expect("client"));
    let (_, living) = connect(&client, &server, "baku-1.example").expect("connected");

    world.clock.set(START.minus(DAY));
    check_refused(connect(&fresh(), &server, "baku-1.example"), "NotValidYet");
    world.clock.set(START.plus(DAY * 8));
    check_refused(connect(&fresh(), &server, "baku-1.example"), "Expired");
    assert!(baku.peer(living.peer_certificates()).is_err());
    let renewed = world.certify(&world.authorities[0], "AZ/node/baku-1");
    baku.renew(&renewed).expect("renewed");
    karachi.renew(&world.certify(&world.authorities[1], "PK/node/karachi-1")).expect("renewed");
    let (_, living) = connect(&fresh(), &server, "baku-1.example").expect("connected again");
    assert!(baku.peer(living.peer_certificates()).is_ok());
    assert!(baku.renew(&world.certify(&world.authorities[1], "PK/node/karachi-1")).is_err());

    world.publish(1, 2, &["PK/node/lahore-1"]);
    let error = baku.peer(living.peer_certificates()).expect_err("off the list").to_string();
    assert!(error.contains("not on the list"), "{error}");
    check_refused(connect(&fresh(), &server, "baku-1.example"), "Unlisted");
    world.clock.set(START.plus(DAY * 31));
    check_refused(connect(&fresh(), &server, "baku-1.example"), "Expired");
}

#[test]
fn authorities_certify_only_what_was_asked_for() {
    let world = World::new(Algorithm::Ed25519);
    let authority = &world.authorities[0];
    let key = id("AZ/node/baku-1#tls-1");
    let request = |name: &str, hosts: &[&str]| {
        certificate_request(&node(name), hosts, &key, world.keys()).expect("request")
    };
    let issue = |request: &[u8], name: &str, lifetime| {
        authority.issue(request, &node(name), START, lifetime, &SystemEntropy)
    };
    let good = request("AZ/node/baku-1", &["baku-1.example"]);
    let subject = |certificate: &Certificate| {
        let parsed = x509_parser::parse_x509_certificate(&certificate.0).expect("X.509").1;
        let names = parsed.subject_alternative_name().expect("names");
        (parsed.public_key().raw.to_vec(), format!("{names:?}"))
    };
    let expected = subject(&issue(&good, "AZ/node/baku-1", DAY).expect("issued"));
    for i in 0..good.len() {
        let mut changed = good.clone();
        changed[i] ^= 1;
        // The count of unused bits of the signature is outside of what is signed.
        if let Ok(issued) = issue(&changed, "AZ/node/baku-1", DAY) {
            assert_eq!(subject(&issued), expected, "byte {i}");
        }
    }
    let many: Vec<_> = (0..17).map(|i| format!("h{i}.example")).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    for (request, name, lifetime, reason) in [
        (&good, "AZ/node/baku-2", DAY, "exactly the node asked for"),
        (&good, "PK/node/baku-1", DAY, "another nation"),
        (&good, "AZ/node/baku-1", DAY * 31, "at most 30 days"),
        (&request("AZ/node/baku-1", &many), "AZ/node/baku-1", DAY, "0 to 16 hosts"),
        (&vec![0; 20_000], "AZ/node/baku-1", DAY, "16 KiB"),
        (&b"x".to_vec(), "AZ/node/baku-1", DAY, "PKCS #10"),
    ] {
        let error = issue(request, name, lifetime).expect_err(reason).to_string();
        assert!(error.contains(reason), "{reason}: {error}");
    }
    let issued = issue(&good, "AZ/node/baku-1", DAY * 7).expect("issued");
    assert_eq!(named_node(&issued.0), Ok(node("AZ/node/baku-1")));
    assert_eq!(expires(&issued).expect("read"), START.plus(DAY * 7));
    for (hours, renew) in [(0, false), (83, false), (84, true), (200, true)] {
        let now = START.plus(Duration::from_hours(hours));
        assert_eq!(needs_renewal(&issued, now).expect("read"), renew, "{hours} h");
    }
    let reopened =
        Authority::open(authority.certificate(), &id("AZ#ca-1"), world.keys()).expect("opened");
    assert!(reopened.issue(&good, &node("AZ/node/baku-1"), START, DAY, &SystemEntropy).is_ok());
    let other = Authority::open(authority.certificate(), &id("PK#ca-1"), world.keys());
    assert!(other.expect_err("another key").to_string().contains("another key"));
}

#[test]
fn server_names_come_from_authorities() {
    let world = World::new(Algorithm::Ed25519);
    let now = world.clock.now();
    let mut listed = world.store.snapshot().node(&node("AZ/node/baku-1"), now).cloned();
    let listed = listed.as_mut().expect("listed");
    for (authority, expected) in [
        ("baku-1.example:8443", Some("baku-1.example")),
        ("baku-1.example", Some("baku-1.example")),
        ("127.0.0.1:8443", Some("127.0.0.1")),
        ("[::1]:8443", Some("::1")),
        ("", None),
    ] {
        listed.authority = authority.to_owned();
        let found = server_name(listed).ok().map(|name| name.to_str().into_owned());
        assert_eq!(found.as_deref(), expected, "{authority}");
    }
}

mod agencies;
