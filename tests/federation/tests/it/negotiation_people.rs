//! Negotiations as people see them: the local interface, from an offer to its end.

use std::sync::Arc;

use karvan_federation::{AZ, Agency, Answer, PK, Station, World, until};
use karvan_negotiation::decide::People;
use karvan_types::MemberId;
use serde_json::{Value, json};

use crate::negotiation::{policy, service};

async fn post(agency: &Agency, path: &str, body: &Value) -> Answer {
    agency.post(path, body.to_string()).await
}

async fn wait_for(agency: &Agency, pid: &str, state: &str) -> Value {
    until(&format!("{pid} in {state}"), async || {
        let shown: Value = agency.get(&format!("/v1/negotiations/{pid}")).await.read();
        (shown["state"] == state && shown["waitsForPeer"] == false).then_some(shown)
    })
    .await
}

/// Returns the one negotiation that waits for a person.
async fn waiting(agency: &Agency) -> Value {
    until("a negotiation that waits for a person", async || {
        let list: Value = agency.get("/v1/negotiations?waiting=true").await.read();
        list.as_array().and_then(|list| list.first()).cloned()
    })
    .await
}

fn pid(process: &Value) -> &str {
    process["pid"].as_str().expect("a process has an id")
}

struct Case {
    world: World,
    az: Station,
    pk: Station,
}

impl Case {
    async fn new(seed: u64) -> Self {
        let world = World::new(seed);
        let az = world.start_with(AZ, |settings| settings.decide = Arc::new(People)).await;
        let pk = world.start(PK).await;
        let offer = json!(service("vehicles", &world.nation(AZ).member, false));
        assert_eq!(post(&az.agency(), "/v1/offers", &offer).await.status, 201);
        Self { world, az, pk }
    }

    fn provider(&self) -> &MemberId {
        &self.world.nation(AZ).member
    }

    /// Asks, approves, and returns the consumer's process in force.
    async fn conclude(&self, replaces: Option<&str>) -> Value {
        let mut start = json!({ "provider": self.provider(), "dataset": "vehicles" });
        if let Some(replaces) = replaces {
            start["replaces"] = replaces.into();
        }
        let asked: Value = post(&self.pk.agency(), "/v1/negotiations", &start).await.read();
        let waits = waiting(&self.az.agency()).await;
        let path = format!("/v1/negotiations/{}/approve", pid(&waits));
        assert_eq!(self.az.agency().post(&path, "").await.status, 200);
        wait_for(&self.pk.agency(), pid(&asked), "FINALIZED").await
    }

    async fn explain(&self, station: &Station) -> Value {
        let question = json!({
            "client": self.world.nation(PK).member, "provider": self.provider(),
            "service": "vehicles",
        });
        post(&station.agency(), "/v1/agreements/explain", &question).await.read()
    }

    async fn stop(self) {
        self.az.stop().await;
        self.pk.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_offer_is_seen_asked_for_approved_explained_and_withdrawn() {
    let case = Case::new(51).await;
    let (az, pk) = (case.az.agency(), case.pk.agency());
    let shown: Value = pk.get(&format!("/v1/catalog/{}", case.provider())).await.read();
    assert_eq!(shown["catalog"]["dataset"][0]["@id"], "vehicles");
    let before = case.explain(&case.pk).await;
    assert_eq!(before["allowed"], false);
    assert_eq!(before["missing"]["code"], "agreement-missing");

    let done = case.conclude(None).await;
    let timeline = done["timeline"].as_array().expect("a timeline");
    let steps: Vec<_> = timeline.iter().map(|step| step["state"].as_str().unwrap_or("")).collect();
    assert_eq!(steps, ["REQUESTED", "AGREED", "VERIFIED", "FINALIZED"]);
    assert!(timeline.iter().all(|step| step["signed"] == true), "{timeline:?}");
    assert_eq!(timeline[0]["decidedBy"], "tester");
    assert_eq!(timeline[2]["decidedBy"], "rule:standing");

    for station in [&case.az, &case.pk] {
        let verdict = case.explain(station).await;
        assert_eq!(verdict["allowed"], true, "{verdict}");
        assert_eq!(verdict["quota"], "60/minute");
        let constraints = &verdict["policy"]["rules"][0]["constraints"];
        assert_eq!(constraints[0]["verdict"], "holds", "{verdict}");
    }

    // Either side ends it, with a reason; it closes at once at both.
    let name = done["concluded"].as_str().expect("concluded");
    let digest = name.rsplit(';').next().expect("a digest");
    let path = format!("/v1/agreements/{digest}/withdraw");
    assert_eq!(post(&pk, &path, &json!({ "reason": "" })).await.status, 422);
    let reason = json!({ "reason": "the treaty ends" });
    let ended: Value = post(&pk, &path, &reason).await.read();
    assert_eq!(ended["inForce"], false);
    until("the agreement is closed at the provider, and known to be so", async || {
        let theirs: Value = az.get(&format!("/v1/agreements/{digest}")).await.read();
        let ours: Value = pk.get(&format!("/v1/agreements/{digest}")).await.read();
        let both = |shown: &Value| {
            shown["withdrawal"]["signed_by"].as_array().is_some_and(|signers| signers.len() == 2)
        };
        (theirs["inForce"] == false && both(&theirs) && both(&ours)).then_some(())
    })
    .await;
    assert_eq!(case.explain(&case.az).await["allowed"], false);
    case.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agreement_is_amended_by_a_new_version() {
    let case = Case::new(52).await;
    let first = case.conclude(None).await;
    let old = first["concluded"].as_str().expect("concluded").to_owned();
    let second = case.conclude(Some(&old)).await;
    let new = second["concluded"].as_str().expect("concluded");
    let id = |name: &str| name.split(';').next().map(str::to_owned);
    assert_eq!(id(&old), id(new), "the same agreement");
    assert_eq!(new.split(';').nth(1), Some("2"), "in a new version");
    for station in [&case.az, &case.pk] {
        until("the old version is closed", async || {
            let list: Value = station.agency().get("/v1/agreements").await.read();
            let of = |name: &str| {
                let all = list.as_array()?;
                all.iter().find(|one| one["name"] == *name)?["inForce"].as_bool()
            };
            (of(&old) == Some(false) && of(new) == Some(true)).then_some(())
        })
        .await;
        assert_eq!(case.explain(station).await["allowed"], true);
    }
    case.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_allowed_is_refused_with_a_reason() {
    let case = Case::new(53).await;
    let (az, pk) = (case.az.agency(), case.pk.agency());
    let start = json!({ "provider": case.provider(), "dataset": "vehicles" });
    let asked: Value = post(&pk, "/v1/negotiations", &start).await.read();
    let waits = waiting(&az).await;
    let base = format!("/v1/negotiations/{}", pid(&waits));
    // A decision needs its reason, and to be one.
    for (verb, body) in [("refuse", json!({})), ("counter", json!({})), ("dance", json!({}))] {
        let answer = post(&az, &format!("{base}/{verb}"), &body).await;
        assert!((400..500).contains(&answer.status), "{verb}: {}", answer.status);
    }
    // To another member of the nation it does not exist.
    assert_eq!(az.get("/v1/negotiations/urn:uuid:none").await.status, 404);
    let refusal = json!({ "reason": "no legal basis" });
    assert_eq!(post(&az, &format!("{base}/refuse"), &refusal).await.status, 200);
    let ended = wait_for(&pk, pid(&asked), "TERMINATED").await;
    assert_eq!(ended["cause"]["reasons"], json!(["no legal basis"]));

    // Offers that cannot become agreements never reach a catalog.
    let check = async |change: &dyn Fn(&mut Value), part: &str| {
        let mut offer = json!(service("other", case.provider(), false));
        change(&mut offer);
        let answer = post(&az, "/v1/offers", &offer).await;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(answer.status == 422 && text.contains(part), "{}: {text}", answer.status);
    };
    check(&|offer| offer["policy"]["permission"][0]["action"] = "read".into(), "action").await;
    check(&|offer| offer["policy"]["permision"] = json!([]), "permision").await;
    check(&|offer| offer["formats"] = json!(["Carrier-PIGEON"]), "formats").await;
    check(&|offer| offer["visibleTo"] = json!([]), "visibleTo").await;
    check(&|offer| offer["extra"] = 1.into(), "extra").await;
    let mut foreign = json!(service("other", &case.world.nation(PK).member, false));
    foreign["policy"] = policy("offer-x");
    assert_eq!(post(&az, "/v1/offers", &foreign).await.status, 403);
    // What is not shown to a caller does not exist for it.
    let mut hidden = json!(service("hidden", case.provider(), false));
    hidden["visibleTo"] = json!(["AZ"]);
    assert_eq!(post(&az, "/v1/offers", &hidden).await.status, 201);
    let start = json!({ "provider": case.provider(), "dataset": "hidden" });
    assert_eq!(post(&pk, "/v1/negotiations", &start).await.status, 404);
    // A node offers nothing by itself, and not everybody is known.
    for (provider, part) in [("AZ/node/baku-1", "name the member"), ("nobody", "neither")] {
        let start = json!({ "provider": provider, "dataset": "vehicles" });
        let answer = post(&pk, "/v1/negotiations", &start).await;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(answer.status == 422 && text.contains(part), "{}: {text}", answer.status);
    }
    case.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn open_data_is_listed_for_everybody_as_dcat() {
    let case = Case::new(54).await;
    let az = case.az.agency();
    let mut open = json!(service("open-data", case.provider(), true));
    open["visibleTo"] = json!(["*"]);
    assert_eq!(post(&az, "/v1/offers", &open).await.status, 201);
    let anybody = Agency::new(case.az.local(), "nobody".to_owned());
    let json: Value = anybody.get("/v1/catalog.jsonld").await.read();
    assert_eq!(json["dcat:dataset"].as_array().map(Vec::len), Some(1), "{json}");
    assert_eq!(json["dcat:dataset"][0]["dct:identifier"], "open-data");
    let turtle = anybody.get("/v1/catalog.ttl").await;
    let text = String::from_utf8_lossy(&turtle.body).into_owned();
    assert!(text.contains("a dcat:Dataset") && !text.contains("vehicles"), "{text}");
    assert_eq!(anybody.get("/v1/catalog").await.status, 401);
    case.stop().await;
}
