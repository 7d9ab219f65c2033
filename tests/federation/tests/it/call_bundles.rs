//! The bundle of a call proves it to somebody with the root and a laptop; whatever is changed in
//! it is found and named, and a node that puts parts of different calls together is found out.

use std::sync::Arc;

use karvan_agreements::{Agreement, AgreementBook, Agreements};
use karvan_calls::bundle::verify::{Bodies, verify};
use karvan_calls::bundle::{FORMAT, make};
use karvan_calls::records::{Call, Outcome, Sent};
use karvan_exchange::bundle::format_of;
use karvan_exchange::bundle::verify::Report;
use karvan_exchange::tokens::{Token, Tokens};
use karvan_federation::{
    AZ, Agency, Caller, PK, Settings, Station, System, World, service, token, until,
};
use karvan_store::{Error, Read};
use karvan_types::{Digest, MemberId};

/// Another side of a bundle than the first is damaged at every so many bytes: a prime.
const STEP: usize = 97;

/// Two nodes, a system of Pakistan behind `echo`, and a caller of Azerbaijan.
struct Scene {
    world: World,
    az: Station,
    pk: Station,
    caller: Caller,
    system: System,
}

impl Scene {
    async fn new(seed: u64) -> Self {
        let world = World::new(seed);
        let [az, pk] = world.start_both().await;
        Self::of(world, az, pk, System::echo().await).await
    }

    async fn of(world: World, az: Station, pk: Station, system: System) -> Self {
        let offered = service(&world.nation(PK).member, "echo", &system.url());
        pk.offer(offered).await;
        let caller = az.caller();
        Self { world, az, pk, caller, system }
    }

    /// Makes a call and returns it as both sides keep it, once both logs are cosigned that far.
    async fn call(&self, service: &str, body: &str) -> [Call; 2] {
        let path = format!("/r1/{}/{service}", self.world.nation(PK).member);
        let fields = [("content-type", "text/plain"), ("x-road-userid", "AZ123")];
        let answer = self.caller.call("POST", &path, &fields, body.to_owned()).await;
        let id = answer.headers["karvan-exchange-id"].to_str().expect("text").to_owned();
        self.known(&id).await
    }

    async fn known(&self, id: &str) -> [Call; 2] {
        let sent = find(&self.az, id, |view, id| Ok(view.find::<Sent>(id)?.map(|row| row.0)));
        let received = find(&self.pk, id, Call::received);
        [sent.await, received.await]
    }

    fn root(&self) -> &[u8] {
        &self.world.federation.root
    }

    async fn stop(self) {
        self.az.stop().await;
        self.pk.stop().await;
    }
}

type Find = fn(&dyn Read, &str) -> Result<Option<Call>, Error>;

/// Waits for a call at one side until its entry is cosigned.
async fn find(station: &Station, id: &str, find: Find) -> Call {
    let look = async || {
        let id = id.to_owned();
        let read = move |view: &dyn Read| find(view, &id);
        let found = station.node.store().read(move |view| read(view)).await.expect("a row")?;
        (station.node.entry_state(found.entry) == "witnessed").then_some(found)
    };
    until("the call is cosigned", look).await
}

fn bad(report: &Report) -> String {
    let bad = report.findings.iter().filter(|finding| !finding.holds);
    let bad = bad.map(|finding| format!("{}: {}", finding.part, finding.text));
    bad.collect::<Vec<_>>().join("\n")
}

fn bodies(body: &str) -> Bodies<'_> {
    Bodies { request: Some(body.as_bytes()), answer: Some(body.as_bytes()) }
}

/// Calls at one time; more than the few from which on they share signatures.
const CROWD: usize = 40;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_share_a_signature_are_each_proven_alone() {
    let scene = Scene::new(607).await;
    let path = format!("/r1/{}/echo", scene.world.nation(PK).member);
    let calls = (0..CROWD).map(|number| {
        let (caller, path) = (scene.caller.clone(), path.clone());
        tokio::spawn(async move {
            let answer = caller.call("POST", &path, &[], format!("salam {number}")).await;
            answer.headers["karvan-exchange-id"].to_str().expect("text").to_owned()
        })
    });
    let ids = futures_util::future::join_all(calls.collect::<Vec<_>>()).await;
    let (mut requests, mut answers) = (Vec::new(), Vec::new());
    for (number, id) in ids.into_iter().enumerate() {
        let [sent, received] = scene.known(&id.expect("called")).await;
        assert_eq!(sent.request, received.request);
        assert_eq!(sent.response, received.response);
        let halves = sent.request.as_ref().zip(sent.response.as_ref());
        let (request, response) = halves.expect("both");
        let batched = request.base.contains("\"karvan-req-batch/1\"");
        for (half, tag, list) in [
            (request, "\"karvan-req-batch/1\"", &mut requests),
            (response, "\"karvan-res-batch/1\"", &mut answers),
        ] {
            if half.base.ends_with(tag) {
                // 64 bytes of the root's signature, in base64 but for the last ones.
                list.push(half.signature[..84].to_owned());
            }
        }
        if !batched {
            continue;
        }
        let body = format!("salam {number}");
        for (station, call) in [(&scene.az, &sent), (&scene.pk, &received)] {
            let bundle = make(&station.node, call).await.expect("a bundle");
            let report = verify(&bundle, Some(scene.root()), bodies(&body));
            assert!(report.holds(), "{report:#?}");
            let told = verify(&bundle, Some(scene.root()), bodies("another"));
            assert!(bad(&told).contains("body of the request"), "{told:#?}");
            let signature = &call.request.as_ref().expect("there").signature;
            let at = bundle.windows(signature.len()).position(|it| it == signature.as_bytes());
            let mut damaged = bundle.clone();
            damaged[at.expect("stored as it is") + signature.len() - 4] ^= 1;
            assert!(!verify(&damaged, Some(scene.root()), bodies(&body)).holds());
        }
    }
    for mut roots in [requests, answers] {
        let messages = roots.len();
        roots.sort_unstable();
        roots.dedup();
        assert!(messages > 0 && roots.len() < messages, "{} for {messages}", roots.len());
    }
    scene.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_byte_of_a_bundle_of_a_call_counts() {
    let scene = Scene::new(601).await;
    let [sent, received] = scene.call("echo/pets/1", "salam").await;
    for (station, call, step) in [(&scene.az, &sent, 1), (&scene.pk, &received, STEP)] {
        let bundle = make(&station.node, call).await.expect("a bundle");
        assert_eq!(format_of(&bundle).as_deref(), Some(FORMAT));
        let report = verify(&bundle, Some(scene.root()), bodies("salam"));
        assert!(report.holds(), "{report:#?}");
        // Withdrawals are known to nodes only.
        assert!(matches!(&*report.gaps, [gap] if gap.contains("withdrawn")), "{report:#?}");
        let files = karvan_exchange::bundle::Files::from_zip(&bundle).expect("an archive");
        let mut damaged = bundle.clone();
        for at in (0..bundle.len()).step_by(step) {
            let bit = 1 << (at % 8);
            damaged[at] ^= bit;
            let report = verify(&damaged, Some(scene.root()), bodies("salam"));
            damaged[at] ^= bit;
            assert!(!report.holds(), "byte {at} of {} is free", bundle.len());
        }
        // In the content of a file that file is named.
        for name in files.names() {
            let content = files.get(name).expect("there");
            let header = |at: &usize| {
                bundle[*at..].starts_with(b"PK\x03\x04")
                    && bundle[*at + 30..].starts_with(name.as_bytes())
            };
            let at = (0..bundle.len() - 30).find(header).expect("a local header");
            let at = at + 30 + name.len();
            assert!(bundle[at..].starts_with(content), "{name}");
            let at = at + content.len() / 2;
            damaged[at] ^= 1;
            let told = bad(&verify(&damaged, Some(scene.root()), bodies("salam")));
            damaged[at] ^= 1;
            assert!(told.contains(name), "{name}: {told}");
        }
        for cut in [0, 1, bundle.len() / 2, bundle.len() - 1] {
            assert!(!verify(&bundle[..cut], Some(scene.root()), bodies("salam")).holds());
        }
        let told = verify(&bundle, Some(scene.root()), bodies("another"));
        assert!(bad(&told).contains("body of the request"), "{told:#?}");
        let told = verify(&bundle, Some(scene.root()), Bodies::default());
        assert!(told.holds() && told.gaps.iter().any(|gap| gap.contains("--body")), "{told:#?}");
        assert!(verify(&bundle, None, Bodies::default()).gaps.iter().any(|it| it.contains("root")));
        let document = karvan_exchange::bundle::verify::verify(&bundle, Some(scene.root()), None);
        assert!(bad(&document).contains(FORMAT), "{document:#?}");
    }
    scene.stop().await;
}

type Forge = fn(&mut Call, &Call);

/// What a node may put together of calls that it has, and what is then said.
const FORGED: &[(&str, Forge)] = &[
    ("another request", |call, other| call.response.clone_from(&other.response)),
    ("another call", |call, other| call.request.clone_from(&other.request)),
    ("another call", |call, other| {
        call.request.clone_from(&other.request);
        call.response.clone_from(&other.response);
    }),
    ("proofs/", |call, other| call.entry = other.entry),
    ("salt", |call, other| call.salt.clone_from(&other.salt)),
    ("different requests", |call, other| call.message.clone_from(&other.message)),
    ("another call", |call, _| call.client = call.client.member()),
    ("another call", |call, _| call.service.push('x')),
    ("another status", |call, _| call.status = Some(201)),
    ("there is one", |call, _| call.outcome = Outcome::Unanswered),
    ("only nodes refuse", |call, _| call.outcome = Outcome::Refused),
    ("answer/base.txt is missing", |call, _| call.response = None),
    ("not the head that was signed", |call, other| {
        let head = &other.request.as_ref().expect("a request").head;
        call.request.as_mut().expect("a request").head.clone_from(head);
    }),
    ("not the head that was signed", |call, other| {
        let head = &other.response.as_ref().expect("an answer").head;
        call.response.as_mut().expect("an answer").head.clone_from(head);
    }),
    ("does not fit", |call, other| {
        let signature = &other.response.as_ref().expect("an answer").signature;
        call.response.as_mut().expect("an answer").signature.clone_from(signature);
    }),
    ("answer/base.txt", |call, _| {
        let base = &mut call.response.as_mut().expect("an answer").base;
        *base = base.replace("\"@status\": 200", "\"@status\": 404");
        call.status = Some(404);
    }),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parts_of_different_calls_prove_nothing_together() {
    let scene = Scene::new(602).await;
    let [call, _] = scene.call("echo/a", "one").await;
    let [other, _] = scene.call("echo/b", "two").await;
    for (number, (part, forge)) in FORGED.iter().enumerate() {
        let mut forged = call.clone();
        forge(&mut forged, &other);
        // Signed by the node, as everything in its bundles.
        let bundle = make(&scene.az.node, &forged).await.expect("a bundle");
        let report = verify(&bundle, Some(scene.root()), Bodies::default());
        let told = bad(&report);
        assert!(told.contains(part), "{number}, {part}: {told}");
    }
    scene.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refused_and_unanswered_calls_have_bundles() {
    let scene = Scene::new(603).await;
    let check = async |call: &[Call; 2], outcome: Outcome, parts: &[&str]| {
        for (station, call) in [&scene.az, &scene.pk].into_iter().zip(call) {
            assert_eq!(call.outcome, outcome);
            let bundle = make(&station.node, call).await.expect("a bundle");
            let report = verify(&bundle, Some(scene.root()), Bodies::default());
            assert!(report.holds(), "{report:#?}");
            let told = format!("{report:#?}");
            for part in parts {
                assert!(told.contains(part), "{part}: {told}");
            }
        }
    };
    let refused = scene.call("gone/1", "x").await;
    let reason = ["refused it at", "(service-unknown)", "call.refusal is entry"];
    check(&refused, Outcome::Refused, &reason).await;
    let path = format!("/r1/{}/listMethods", scene.world.nation(PK).member);
    let described = scene.caller.call("GET", &path, &[], "").await;
    assert_eq!(described.status, 200, "{described:?}");
    let id = described.headers["karvan-exchange-id"].to_str().expect("text");
    let described = scene.known(id).await;
    check(&described, Outcome::Answered, &["for which no agreement is needed"]).await;

    // Of an answer without a body the reason is in the signed field.
    let path = format!("/r1/{}/gone/1", scene.world.nation(PK).member);
    let headless = scene.caller.call("HEAD", &path, &[], "").await;
    let id = headless.headers["karvan-exchange-id"].to_str().expect("text");
    check(&scene.known(id).await, Outcome::Refused, &reason).await;

    // Another reason than the one that was signed.
    let mut forged = refused[0].clone();
    forged.cause.as_mut().expect("a cause").code = "agreement-missing".to_owned();
    let bundle = make(&scene.az.node, &forged).await.expect("a bundle");
    let told = bad(&verify(&bundle, Some(scene.root()), Bodies::default()));
    assert!(told.contains("another cause"), "{told}");

    // What is refused before it is signed is in one log only.
    let path = format!("/r1/{}/pets/secret/1", scene.world.nation(PK).member);
    let early = scene.caller.call("POST", &path, &[], "x").await;
    let id = early.headers["karvan-exchange-id"].to_str().expect("text");
    let early = find(&scene.az, id, |view, id| Ok(view.find::<Sent>(id)?.map(|row| row.0))).await;
    assert!(early.request.is_none(), "{early:?}");
    let bundle = make(&scene.az.node, &early).await.expect("a bundle");
    let report = verify(&bundle, Some(scene.root()), Bodies::default());
    assert!(
        report.holds() && format!("{report:?}").contains("before it was signed"),
        "{report:#?}"
    );

    scene.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_stays_at_home_is_cosigned_abroad() {
    let scene = Scene::new(607).await;
    let home = scene.world.nation(AZ).member.clone();
    scene.az.offer(service(&home, "echo", &scene.system.url())).await;
    let answer = scene.caller.call("GET", &format!("/r1/{home}/echo"), &[], "").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let id = answer.headers["karvan-exchange-id"].to_str().expect("text");
    let sides: [Find; 2] = [|view, id| Ok(view.find::<Sent>(id)?.map(|row| row.0)), Call::received];
    for side in sides {
        let call = find(&scene.az, id, side).await;
        let bundle = make(&scene.az.node, &call).await.expect("a bundle");
        let report = verify(&bundle, Some(scene.root()), Bodies::default());
        assert!(report.holds(), "{report:#?}");
        assert!(matches!(&*report.gaps, [gap] if gap.contains("withdrawn")), "{report:#?}");
    }

    scene.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_without_an_answer_has_a_bundle() {
    let world = World::new(608);
    let [az, pk] = world.start_both().await;
    let silent = System::start(|_| None).await;
    let scene = Scene::of(world, az, pk, silent).await;
    let (caller, path) =
        (scene.caller.clone(), format!("/r1/{}/echo", scene.world.nation(PK).member));
    let id = "01939c2e-7b1a-7c3d-8e4f-5a6b7c8d9e0f";
    let fields = [("karvan-exchange-id", id)];
    let calling = tokio::spawn(async move { caller.call("GET", &path, &fields, "").await });
    until("the system is asked", async || scene.system.seen().pop()).await;
    calling.abort();
    for (station, call) in [&scene.az, &scene.pk].into_iter().zip(scene.known(id).await) {
        assert_eq!(call.outcome, Outcome::Unanswered);
        let bundle = make(&station.node, &call).await.expect("a bundle");
        let report = verify(&bundle, Some(scene.root()), Bodies::default());
        assert!(report.holds(), "{report:#?}");
        let gaps = report.gaps.join("\n");
        assert!(gaps.contains("whether the provider's system acted is not known"), "{gaps}");
    }
    scene.stop().await;
}

/// Two nodes that agree to act against the agreement cannot prove that it allowed them to.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agreement_that_does_not_cover_the_call_proves_nothing() {
    let world = World::new(604);
    let wide = karvan_federation::agree_on_calls(&world.federation);
    let wide = wide.iter().find(|entry| entry.agreement.id == "calls").expect("one");
    let cases: [fn(&mut Agreement); 2] = [
        |agreement| {
            for grant in &mut agreement.grants {
                grant.services.retain(|granted| granted.service != "echo");
            }
        },
        |agreement| agreement.purpose = "another".to_owned(),
    ];
    for (number, narrow) in cases.into_iter().enumerate() {
        let mut signed = wide.agreement.clone();
        narrow(&mut signed);
        let book = world.federation.sign_agreements(&[signed]);
        let entry = book.iter().next().expect("one");
        let mut lie = AgreementBook::default();
        lie.add(wide.agreement.clone(), entry.name.digest, entry.document.to_vec());
        let folder = |own| world.aside(&format!("lie-{number}-{own}"));
        let mut stations = Vec::new();
        for own in [AZ, PK] {
            let started = world.start_with(own, |settings| {
                *settings = Settings::new(&world.federation, own, folder(own));
                settings.node.agreements = Arc::new(Agreements::new(lie.clone()));
            });
            stations.push(started.await);
        }
        let [az, pk]: [Station; 2] = stations.try_into().ok().expect("two");
        let system = System::echo().await;
        pk.offer(service(&world.nation(PK).member, "echo", &system.url())).await;
        let path = format!("/r1/{}/echo", world.nation(PK).member);
        let answer = az.caller().call("GET", &path, &[], "").await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let id = answer.headers["karvan-exchange-id"].to_str().expect("text");
        let call = find(&az, id, |view, id| Ok(view.find::<Sent>(id)?.map(|row| row.0))).await;
        let bundle = make(&az.node, &call).await.expect("a bundle");
        let told = bad(&verify(&bundle, Some(&world.federation.root), Bodies::default()));
        assert!(told.contains("agreement.json") && told.contains("did not let"), "{told}");
        az.stop().await;
        pk.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_of_messages_join_without_a_gap() {
    let scene = Scene::new(605).await;
    let mut expected = Vec::new();
    for number in 0..7 {
        let [call, _] = scene.call(&format!("echo/{number}"), "x").await;
        expected.push(call.exchange.to_string());
    }
    expected.reverse();
    for station in [&scene.az, &scene.pk] {
        let agency = station.agency();
        for limit in 1..=8 {
            let (mut seen, mut after) = (Vec::new(), String::new());
            loop {
                let path = format!("/v1/messages?limit={limit}{after}");
                let page: serde_json::Value = agency.get(&path).await.read();
                let messages = page["messages"].as_array().expect("messages");
                assert!(messages.len() <= limit, "{page}");
                let ids = messages.iter().map(|it| it["exchange"].as_str().expect("an id"));
                seen.extend(ids.map(ToOwned::to_owned));
                let Some(next) = page["next"].as_str() else { break };
                after = format!("&after={next}");
            }
            assert_eq!(seen, expected, "pages of {limit}");
        }
        for (query, code) in
            [("limit=0", "query"), ("limit=501", "query"), ("after=x", "query"), ("x=1", "query")]
        {
            assert_eq!(agency.get(&format!("/v1/messages?{query}")).await.code(), code, "{query}");
        }
    }
    scene.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_sees_its_own_calls_only() {
    let world = World::new(606);
    let nation = world.nation(AZ);
    let known = |member: &MemberId, permissions: &[&str]| Token {
        sha256: Digest::of(token(member).as_bytes()),
        member: member.clone(),
        user: "tester".to_owned(),
        permissions: permissions.iter().map(|&permission| permission.to_owned()).collect(),
    };
    let whole = nation.member.member();
    let nobody: MemberId = "AZ/GOV/SCC/nobody".parse().expect("a member");
    let tokens = [
        known(&nation.member, &["calls.send", "calls.read"]),
        known(&nation.archive, &["calls.read"]),
        known(&whole, &["calls.read"]),
        known(&nobody, &["documents.read"]),
    ];
    let az = world.start_with(AZ, |settings| {
        settings.node.tokens = Arc::new(Tokens::new(&tokens));
    });
    let (az, pk) = (az.await, world.start(PK).await);
    let scene = Scene::of(world, az, pk, System::echo().await).await;
    let [call, _] = scene.call("echo/1", "x").await;
    let (nation, path) = (scene.world.nation(AZ), format!("/v1/messages/{}", call.exchange));
    for (member, seen) in
        [(&nation.member, true), (&nation.archive, whole == nation.archive), (&whole, true)]
    {
        let agency = Agency::new(scene.az.local(), token(member));
        let page: serde_json::Value = agency.get("/v1/messages").await.read();
        let count = page["messages"].as_array().map(Vec::len);
        assert_eq!(count, Some(usize::from(seen)), "{member}: {page}");
        for path in [path.clone(), format!("{path}/bundle")] {
            let answer = agency.get(&path).await;
            assert_eq!(answer.status, if seen { 200 } else { 404 }, "{member}: {path}");
        }
    }
    let agency = Agency::new(scene.az.local(), token(&nobody));
    assert_eq!(agency.get(&path).await.status, 403);
    scene.stop().await;
}
