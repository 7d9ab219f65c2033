//! An evidence bundle proves an exchange to somebody with the root and a laptop; whatever is
//! changed in it, or in the database that it is made from, is found and named.

use std::sync::Arc;

use karvan_agreements::{Agreement, AgreementBook, Agreements};
use karvan_exchange::bundle::verify::{Report, verify};
use karvan_exchange::records::{Received, Sent};
use karvan_federation::{AZ, PK, Settings, Station, World, open_state};
use karvan_store::{Error, Record, Tx};
use karvan_testkit::{HANDLED, PLAIN, REFUSE};
use karvan_types::ExchangeId;

/// Bundles up to this length are damaged at every byte.
const EVERY_BYTE_MAX: usize = 48 * 1024;
const HOUR: std::time::Duration = std::time::Duration::from_hours(1);
/// A larger one at every so many bytes: a prime, so that no field is always missed.
const STEP: usize = 97;

/// Sends a document from Pakistan and waits until both sides can prove it.
async fn prove(stations: &[Station; 2], world: &World, body: Vec<u8>, end: &str) -> ExchangeId {
    let [az, pk] = stations;
    let id = pk.agency().send(&world.nation(AZ).member, HANDLED, body).await;
    pk.agency().wait_for(id, end).await;
    az.agency().wait_for_evidence(id, "witnessed").await;
    pk.agency().wait_for_evidence(id, "witnessed").await;
    id
}

fn bad(report: &Report) -> Vec<String> {
    let bad = report.findings.iter().filter(|finding| !finding.holds);
    bad.map(|finding| format!("{}: {}", finding.part, finding.text)).collect()
}

/// The files of a stored ZIP archive: name, and where the content is.
fn files(bundle: &[u8]) -> Vec<(String, std::ops::Range<usize>)> {
    let number = |at: usize, width: usize| {
        bundle[at..at + width].iter().rev().fold(0, |sum, byte| sum << 8 | usize::from(*byte))
    };
    let mut files = Vec::new();
    let mut at = 0;
    while bundle[at..].starts_with(b"PK\x03\x04") {
        let (size, name, extra) = (number(at + 18, 4), number(at + 26, 2), number(at + 28, 2));
        let name_at = at + 30;
        let content = name_at + name + extra;
        let text = String::from_utf8_lossy(&bundle[name_at..name_at + name]).into_owned();
        files.push((text, content..content + size));
        at = content + size;
    }
    files
}

/// Flips bits at chosen bytes; every time something must be found, and in the content of a file
/// that file must be named.
fn damage(bundle: &[u8], root: &[u8], step: usize) -> usize {
    let files = files(bundle);
    let mut damaged = bundle.to_vec();
    let mut count = 0;
    for at in (0..bundle.len()).step_by(step) {
        // Another bit each time, among them the one between upper and lower case.
        let bit = 1 << (at % 8);
        damaged[at] ^= bit;
        let report = verify(&damaged, Some(root), None);
        damaged[at] ^= bit;
        let bad = bad(&report);
        assert!(!report.holds() && !bad.is_empty(), "byte {at} of {} is free", bundle.len());
        if let Some((name, _)) = files.iter().find(|(_, content)| content.contains(&at)) {
            let text = bad.join("\n");
            // The reader notices damaged content by its checksum, and names the file too.
            assert!(text.contains(name.as_str()), "byte {at} is in {name}, but: {text}");
        }
        count += 1;
    }
    count
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_byte_of_a_bundle_counts() {
    let world = World::new(30);
    let stations = world.start_both().await;
    let root = &world.federation.root;
    let small = prove(&stations, &world, b"small".to_vec(), "delivered").await;
    let large = prove(&stations, &world, vec![b'L'; 60_000], "delivered").await;
    for id in [small, large] {
        for station in &stations {
            let bundle = station.agency().bundle(id).await;
            let report = verify(&bundle, Some(root), None);
            assert!(report.holds() && report.gaps.is_empty(), "{report:#?}");
            let step = if bundle.len() <= EVERY_BYTE_MAX { 1 } else { STEP };
            // Every byte of one bundle is enough; the other three are sampled.
            let every = id == small && station.local() == stations[AZ].local();
            let count = damage(&bundle, root, if every { step } else { STEP });
            assert!(!every || count == bundle.len(), "{} bytes were too many", bundle.len());
        }
    }
    // Cut off, lengthened, empty, and another root.
    let bundle = stations[AZ].agency().bundle(small).await;
    for cut in [0, 1, bundle.len() / 2, bundle.len() - 1] {
        assert!(!verify(&bundle[..cut], Some(root), None).holds());
    }
    let longer = [&bundle[..], b"x"].concat();
    assert!(!verify(&longer, Some(root), None).holds());
    let other = World::new(31);
    let report = verify(&bundle, Some(&other.federation.root), None);
    assert!(!report.holds(), "under another root it proves nothing: {report:#?}");
    let unanchored = verify(&bundle, None, None);
    assert!(unanchored.holds());
    assert!(unanchored.gaps.iter().any(|gap| gap.contains("root")), "{unanchored:#?}");
    for station in stations {
        station.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bundle_tells_what_is_missing_and_what_was_refused() {
    let world = World::new(32);
    let stations = world.start_both().await;
    let root = &world.federation.root;
    let texts = |report: &Report| format!("{report:#?}");

    let refused = prove(&stations, &world, REFUSE.to_vec(), "refused").await;
    let report = verify(&stations[PK].agency().bundle(refused).await, Some(root), None);
    assert!(report.holds(), "{report:#?}");
    assert!(texts(&report).contains("refused it"), "{report:#?}");

    // Waits for the agency: relay receipt, but no hand-over.
    let agency = stations[PK].agency();
    let waiting = agency.send(&world.nation(AZ).member, PLAIN, vec![3; 9 << 20]).await;
    agency.wait_for(waiting, "relayed").await;
    agency.wait_for_evidence(waiting, "witnessed").await;
    let bundle = agency.bundle(waiting).await;
    let report = verify(&bundle, Some(root), None);
    assert!(report.holds(), "{report:#?}");
    assert!(report.gaps.iter().any(|gap| gap.contains("handover")), "{report:#?}");
    assert!(report.gaps.iter().any(|gap| gap.contains("document itself")), "{report:#?}");
    // The document beside the bundle.
    assert!(verify(&bundle, Some(root), Some(&vec![3; 9 << 20])).holds());
    assert!(!verify(&bundle, Some(root), Some(b"another one")).holds());

    // With the peer away its proofs are missing, and that is said.
    let [az, pk] = stations;
    az.stop().await;
    let report = verify(&pk.agency().bundle(refused).await, Some(root), None);
    assert!(report.holds(), "{report:#?}");
    let gaps = report.gaps.iter().filter(|gap| gap.contains("no proof")).count();
    assert_eq!(gaps, 3, "{report:#?}");
    pk.stop().await;
}

/// Changes one stored record and returns it as it was.
async fn alter<R: Record + Send + 'static>(
    world: &World,
    own: usize,
    id: ExchangeId,
    change: fn(&mut R),
) -> R {
    let state = open_state(&world.folder(own)).expect("opens");
    state
        .change(move |tx| {
            let find =
                |tx: &mut dyn Tx| Ok::<R, Error>(tx.find(id.to_string())?.expect("the record"));
            let (before, mut record) = (find(tx)?, find(tx)?);
            change(&mut record);
            tx.save(&record)?;
            Ok(before)
        })
        .await
}

type Change = fn(&mut Sent);
type Narrow = fn(&mut Agreement);

fn swap(text: &mut String, from: &str, to: &str) {
    assert!(text.contains(from), "{text}");
    *text = text.replacen(from, to, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receipt_altered_in_the_database_is_found_by_the_bundle() {
    let world = World::new(33);
    let stations = world.start_both().await;
    let id = prove(&stations, &world, b"evidence".to_vec(), "delivered").await;
    let [az, pk] = stations;
    az.stop().await;
    pk.stop().await;

    let sent: [(&str, Change); 6] = [
        ("relay", |sent| {
            swap(
                &mut sent.relay.as_mut().expect("a receipt").body,
                "\"sequence\":1",
                "\"sequence\":9",
            );
        }),
        ("relay", |sent| {
            swap(
                &mut sent.relay.as_mut().expect("a receipt").signed.base,
                "\"@status\": 200",
                "\"@status\": 201",
            );
        }),
        ("relay", |sent| {
            sent.relay
                .as_mut()
                .expect("a receipt")
                .signed
                .signature
                .clone_from(&sent.signed.signature);
        }),
        ("handover", |sent| {
            let jws = sent.handover.as_mut().expect("a receipt");
            let mut document: serde_json::Value = serde_json::from_str(jws).expect("JSON");
            let payload = document["payload"].as_str().expect("a text").to_owned();
            let other = if payload.ends_with('A') { "Q" } else { "A" };
            document["payload"] = format!("{}{other}", &payload[..payload.len() - 1]).into();
            *jws = document.to_string();
        }),
        ("document", |sent| {
            swap(
                &mut sent.signed.base,
                "\"karvan-purpose\": testing",
                "\"karvan-purpose\": testiny",
            );
        }),
        ("proofs/", |sent| {
            let [first, second, ..] = &mut sent.leaves[..] else { panic!("two entries") };
            std::mem::swap(&mut first.index, &mut second.index);
        }),
    ];
    for (part, change) in sent {
        let before = found(&world, id).await;
        assert!(before.holds(), "{before:#?}");
        let kept: Sent = alter(&world, PK, id, change).await;
        let report = found(&world, id).await;
        let bad = bad(&report).join("\n");
        assert!(!report.holds() && bad.contains(part), "{part}: {bad}");
        let state = open_state(&world.folder(PK)).expect("opens");
        state.change(move |tx| tx.save(&kept)).await;
    }
    // The other side's copy too.
    alter::<Received>(&world, AZ, id, |received| {
        swap(&mut received.answer.body, "\"sequence\":1", "\"sequence\":9");
    })
    .await;
    let az = world.start(AZ).await;
    let report = verify(&az.agency().bundle(id).await, Some(&world.federation.root), None);
    assert!(!report.holds() && bad(&report).join(" ").contains("relay"), "{report:#?}");
    az.stop().await;
}

/// Makes and checks the bundle of Pakistan's node.
async fn found(world: &World, id: ExchangeId) -> Report {
    let pk = world.start(PK).await;
    let bundle = pk.agency().bundle(id).await;
    pk.stop().await;
    verify(&bundle, Some(&world.federation.root), None)
}

/// Two nodes that agree to act against the agreement cannot prove that it allowed them to.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agreement_that_does_not_cover_the_document_proves_nothing() {
    let world = World::new(34);
    let wide = world.federation.agreement.clone();
    let cases: [(&str, Narrow); 3] = [
        ("did not let", |agreement| agreement.grants.retain(|grant| grant.documents.is_empty())),
        ("did not let", |agreement| agreement.valid_until = agreement.valid_from.plus(HOUR)),
        ("did not let", |agreement| agreement.purpose = "another".to_owned()),
    ];
    for (number, (text, narrow)) in cases.into_iter().enumerate() {
        let mut signed = wide.clone();
        narrow(&mut signed);
        let book = world.federation.sign_agreements(&[signed]);
        let entry = book.iter().next().expect("one");
        let mut lie = AgreementBook::default();
        lie.add(wide.clone(), entry.name.digest, entry.document.to_vec());
        let folder = |own| world.aside(&format!("lie-{number}-{own}"));
        let mut stations = Vec::new();
        for own in [AZ, PK] {
            let started = world.start_with(own, |settings| {
                *settings = Settings::new(&world.federation, own, folder(own));
                settings.node.agreements = Arc::new(Agreements::new(lie.clone()));
            });
            stations.push(started.await);
        }
        let stations: [Station; 2] = stations.try_into().ok().expect("two");
        let id = prove(&stations, &world, b"unlawful".to_vec(), "delivered").await;
        let bundle = stations[AZ].agency().bundle(id).await;
        let report = verify(&bundle, Some(&world.federation.root), None);
        let bad = bad(&report).join("\n");
        assert!(bad.contains("agreement.json") && bad.contains(text), "{bad}");
        for station in stations {
            station.stop().await;
        }
    }
}
