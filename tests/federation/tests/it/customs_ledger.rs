//! Two offices of one customs service decide at the same moment about claims on one certificate,
//! at a running node, while another running node follows by the results that it is sent.

use std::sync::Arc;
use std::time::Duration;

use karvan_agreements::{Agreement, Grant};
use karvan_customs::messages::SharingLevel;
use karvan_customs::samples;
use karvan_customs::subsystem::{Config, Customs, ISSUER_ROLE};
use karvan_exchange::NodeConfig;
use karvan_federation::{AZ, Agency, Answer, PK, Settings, Station, World, until};
use karvan_subsystem::Subsystem as _;
use karvan_system::{Clock as _, SystemClock};
use serde_json::{Value, json};

/// Claims of each of the two offices.
const CLAIMS: u64 = 50;
/// Kilograms of each claim.
const CLAIMED: u64 = 700;
/// Kilograms of the certificate: less than all claims together, and no multiple of one.
const CERTIFIED: u64 = 30_000;
const CERTIFICATE: &str = "AZPK-2026-00001";
const DAY: Duration = Duration::from_hours(24);

/// The steps of a shipped sample, moved to the days before today.
struct Papers {
    certificate: Value,
    declaration: Value,
    claim: Value,
}

fn day(days_ago: u32) -> String {
    SystemClock.now().minus(DAY * days_ago).utc_date().to_string()
}

fn set(value: &mut Value, pointer: &str, new: impl Into<Value>) {
    let place = value.pointer_mut(pointer).unwrap_or_else(|| panic!("no {pointer}"));
    *place = new.into();
}

impl Papers {
    fn new() -> Self {
        let shipped = samples::shipped();
        let sample = shipped.into_iter().find(|sample| sample.id == "clean-grant");
        let steps = sample.expect("a shipped sample").steps;
        let [mut certificate, mut declaration, mut claim] =
            [("certificate", 0), ("declaration", 1), ("claim", 2)]
                .map(|(name, step): (&str, usize)| steps[step].input[name].clone());
        let (issued, exported, filed) = (day(30), day(28), day(1));
        let noon = |day: &str| format!("{day}T12:00:00+04:00");
        set(&mut certificate, "/IssueDateTime", noon(&issued));
        set(
            &mut certificate,
            "/validUntil",
            SystemClock.now().plus(300 * DAY).utc_date().to_string(),
        );
        set(&mut certificate, "/invoices/0/IssueDateTime", day(31));
        for pointer in ["/IssueDateTime", "/AcceptanceDateTime"] {
            set(&mut declaration, pointer, noon(&exported));
            set(&mut claim, pointer, noon(&filed));
        }
        let departure = "/GoodsShipment/Consignment/DepartureDateTime";
        set(&mut declaration, departure, noon(&exported));
        let goods = "/GoodsShipment/GovernmentAgencyGoodsItem/0";
        for document in [&mut declaration, &mut claim] {
            set(document, "/GoodsShipment/Invoice/0/IssueDateTime", day(31));
            let quoted = format!("{goods}/AdditionalDocument/0/EffectiveDateTime");
            set(document, &quoted, issued.as_str());
        }
        let measure = format!("{goods}/Commodity/GoodsMeasure");
        let weigh = |document: &mut Value, kilograms: u64| {
            for name in ["TariffQuantity", "NetNetWeightMeasure", "GrossMassMeasure"] {
                set(document, &format!("{measure}/{name}/value"), kilograms.to_string());
            }
        };
        weigh(&mut declaration, 2 * CLAIMS * CLAIMED);
        weigh(&mut claim, CLAIMED);
        let item = "/GovernmentAgencyGoodsItem/0";
        for name in ["quantity", "netMass"] {
            set(&mut certificate, &format!("{item}/{name}/value"), CERTIFIED.to_string());
        }
        Self { certificate, declaration, claim }
    }

    fn claim(&self, number: &str) -> Value {
        let mut claim = self.claim.clone();
        set(&mut claim, "/ID", number);
        set(&mut claim, "/FunctionalReferenceID", number);
        claim
    }
}

/// Makes the second subsystem of Azerbaijan's member its issuer of certificates.
fn appoint(world: &mut World) {
    let nation = world.federation.nations.get_mut(AZ).expect("two nations");
    let listed = nation.content.members.first_mut().expect("a member");
    let issuer = listed.subsystems.iter_mut().find(|subsystem| subsystem.id == nation.archive);
    issuer.expect("a second subsystem").roles.push(ISSUER_ROLE.to_owned());
    nation.list = nation.sign_list(&nation.content);
}

/// Returns customs of a nation.
fn customs(world: &World, own: usize) -> Customs {
    let (ours, theirs) = (world.nation(own), world.nation(1 - own));
    Customs::new(Config {
        customs: ours.member.clone(),
        issuers: vec![ours.archive.clone()],
        partner: theirs.member.clone(),
        agreement: "AZ-PK-PTA".to_owned(),
        sharing_level: SharingLevel::L2,
        go_live: "2025-01-01".parse().expect("a day"),
        compare_every_seconds: None,
        filed_late_days: None,
    })
    .expect("the shipped rules load")
}

async fn start(world: &World, own: usize) -> Station {
    let customs = customs(world, own);
    let documents: Vec<String> =
        customs.document_types().iter().map(|kind| kind.code.to_owned()).collect();
    let (az, pk) = (world.nation(AZ), world.nation(PK));
    let members = |nation: &karvan_testkit::Nation| [nation.member.clone(), nation.archive.clone()];
    let pairs = [(az, pk), (pk, az)].into_iter().flat_map(|(from, to)| {
        members(from).into_iter().flat_map(move |from| members(to).map(|to| (from.clone(), to)))
    });
    let grants = pairs.map(|(client, provider)| Grant {
        documents: documents.clone(),
        ..Grant::new(client, provider)
    });
    let agreement = Agreement { grants: grants.collect(), ..world.federation.agreement.clone() };
    let book = world.federation.sign_agreements(std::slice::from_ref(&agreement));
    let change = |settings: &mut Settings| {
        let agreements = Arc::new(karvan_agreements::Agreements::new(book));
        settings.node = NodeConfig { agreements, ..settings.node.clone() };
        settings.subsystems.push(Arc::new(customs));
    };
    world.start_with(own, change).await
}

async fn act(agency: &Agency, operation: &str, input: Value) -> Answer {
    agency.post(&format!("/v1/subsystems/customs/{operation}"), input.to_string()).await
}

async fn done(agency: &Agency, operation: &str, input: Value) -> Value {
    act(agency, operation, input).await.read()
}

/// What an office saw of its claims.
#[derive(Default)]
struct Office {
    debited: u64,
    granted: u64,
    in_part: u64,
    refused: u64,
}

fn kilograms(value: &Value) -> u64 {
    value.as_str().expect("a number").parse().expect("whole kilograms")
}

/// Grants every claim of an office; what is not covered any more is granted in part, then refused.
async fn office(agency: Agency, name: &'static str) -> Office {
    let mut seen = Office::default();
    for number in 0..CLAIMS {
        let claim = format!("{name}-{number}");
        let order = |decision: &str| {
            json!({
                "claim": claim, "decision": decision, "reason": "cleared-up",
                "text": "both offices decide at the same moment (a test)",
            })
        };
        let mut answer = act(&agency, "decide", order("grant")).await;
        if answer.status >= 300 && answer.code() == "customs.balance-exceeded" {
            answer = act(&agency, "decide", order("grant-in-part")).await;
        }
        if answer.status >= 300 {
            let code = answer.code();
            assert!(
                ["customs.balance-exceeded", "customs.not-grantable"].contains(&&*code),
                "{code}"
            );
            seen.refused += 1;
            continue;
        }
        let made: Value = answer.read();
        let decision = &made["decision"];
        let debited = kilograms(&decision["debited"]["value"]);
        assert!(debited <= CLAIMED && debited > 0, "{made}");
        seen.debited += debited;
        let whole = debited == CLAIMED;
        seen.granted += u64::from(whole);
        seen.in_part += u64::from(!whole);
    }
    seen
}

async fn ledger(agency: &Agency) -> Value {
    done(agency, "ledger", json!({ "certificate": CERTIFICATE, "limit": 1000 })).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_offices_debit_one_certificate_and_both_nodes_agree() {
    let mut world = World::new(180);
    appoint(&mut world);
    let stations = [start(&world, AZ).await, start(&world, PK).await];
    let (az, pk) = (stations[AZ].agency(), stations[PK].agency());
    let papers = Papers::new();
    let issued = json!({ "certificate": papers.certificate });
    done(&stations[AZ].archive(), "certificate", issued).await;
    done(&az, "submit", json!({ "declaration": papers.declaration })).await;
    // They travel in streams of their own.
    for what in ["certificates", "exports"] {
        until(&format!("the {what} have come"), async || {
            (done(&pk, "list", json!({ "what": what })).await["count"] == 1).then_some(())
        })
        .await;
    }
    for (name, number) in
        ["KAPE", "LAHO"].into_iter().flat_map(|n| (0..CLAIMS).map(move |i| (n, i)))
    {
        let claim = papers.claim(&format!("{name}-{number}"));
        done(&pk, "claim", json!({ "claim": claim })).await;
    }
    let (one, two) = tokio::join!(
        tokio::spawn(office(pk.clone(), "KAPE")),
        tokio::spawn(office(pk.clone(), "LAHO"))
    );
    let (one, two) = (one.expect("no panic"), two.expect("no panic"));
    let whole = CERTIFIED / CLAIMED;
    assert_eq!(one.debited + two.debited, CERTIFIED, "all of it was granted, and no more");
    assert_eq!((one.granted + two.granted, one.in_part + two.in_part), (whole, 1));
    assert_eq!(one.refused + two.refused, 2 * CLAIMS - whole - 1);
    assert!(one.granted > 0 && two.granted > 0, "both had their turn");

    // The messages settle: both nodes hold the same lines, and no balance was ever below zero.
    let here = ledger(&pk).await;
    until("the exporting side has followed", async || {
        let there = ledger(&az).await;
        let item = &there["certificate"]["items"][0];
        (item["uses"] == here["certificate"]["items"][0]["uses"]).then_some(())
    })
    .await;
    let there = ledger(&az).await;
    for ledger in [&here, &there] {
        let item = &ledger["certificate"]["items"][0];
        let counted = (&item["debited"], &item["balance"], &item["uses"]);
        let expected = (json!(CERTIFIED.to_string()), json!("0"), json!(whole + 1));
        assert_eq!(counted, (&expected.0, &expected.1, &expected.2), "{ledger}");
        let lines = ledger["debits"].as_array().expect("lines");
        let sum: u64 = lines.iter().map(|line| kilograms(&line["quantity"]["value"])).sum();
        assert_eq!((lines.len() as u64, sum), (whole + 1, CERTIFIED));
        assert!(lines.iter().all(|line| kilograms(&line["balance"]) < CERTIFIED), "{ledger}");
    }
    for agency in [&az, &pk] {
        let cases = done(agency, "ledger", json!({ "cases": "open" })).await;
        assert_eq!(cases["count"], 0, "{cases}");
        assert_eq!(agency.alarms("document-refused").await, [], "nothing was refused");
    }
    for station in stations {
        station.stop().await;
    }
}
