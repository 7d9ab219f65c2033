//! Risk before arrival, as the officer of the importing side sees it.

use karvan_customs::risk::draw::{self, Revealed};
use karvan_customs::samples::{Consignment, shipped};
use serde_json::{Value, json};

use crate::exchange::{Exchange, customs_of};

pub(crate) fn sample() -> Consignment {
    shipped().into_iter().find(|sample| sample.id == "clean-grant").expect("the sample")
}

/// The export declaration of the sample under another number, with changes by JSON pointer.
pub(crate) fn export(number: u32, changes: &[(&str, Value)]) -> Value {
    let mut declaration = sample().steps[1].input["declaration"].clone();
    let ucr = format!("6AZR{number:04}");
    let own = [
        ("/ID", json!(format!("AZ-EX-R-{number:04}"))),
        ("/FunctionalReferenceID", json!(format!("AZ-R-{number:04}"))),
        ("/GoodsShipment/UCR/ID", json!(ucr)),
        ("/GoodsShipment/GovernmentAgencyGoodsItem/0/AdditionalDocument", json!([])),
    ];
    for (pointer, value) in own.iter().chain(changes) {
        let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
        declaration.pointer_mut(parent).expect("the parent")[name] = value.clone();
    }
    declaration
}

fn boxed(id: &str, seals: &[&str]) -> (&'static str, Value) {
    let seals: Vec<Value> = seals.iter().map(|seal| json!({ "ID": seal })).collect();
    let boxes = json!([{ "ID": id, "Seal": seals }]);
    ("/GoodsShipment/Consignment/TransportEquipment", boxes)
}

pub(crate) struct Scene(pub(crate) Exchange);

impl Scene {
    pub(crate) fn new() -> Self {
        Self(Exchange::new(sample().today))
    }

    pub(crate) async fn az(&mut self, operation: &str, input: Value) -> Value {
        let member = customs_of("AZ".parse().expect("AZ"));
        self.0.act(&member, operation, input).await.expect("done by AZ")
    }

    pub(crate) async fn pk(&mut self, operation: &str, input: Value) -> Result<Value, String> {
        let member = customs_of("PK".parse().expect("PK"));
        self.0.act(&member, operation, input).await.map_err(|refusal| refusal.code)
    }

    pub(crate) async fn declare(&mut self, number: u32, changes: &[(&str, Value)]) {
        self.az("submit", json!({ "declaration": export(number, changes) })).await;
    }

    async fn risk(&mut self, number: u32) -> Value {
        let shown = self.pk("risk", json!({ "export": format!("AZ-EX-R-{number:04}") })).await;
        shown.unwrap_or_else(|code| panic!("{number}: {code}"))
    }

    async fn check(&mut self, number: u32, lane: &str, rules: &[&str]) {
        let shown = self.risk(number).await;
        let fired = shown["scoring"]["fired"].as_array().expect("rules");
        let fired: Vec<_> = fired.iter().map(|fired| fired["rule"].as_str()).collect();
        let wanted: Vec<_> = rules.iter().map(|rule| Some(*rule)).collect();
        assert_eq!((shown["lane"].as_str(), fired), (Some(lane), wanted), "{number}: {shown:#}");
    }
}

#[tokio::test]
async fn containers_and_seals_decide_the_lane() {
    let mut scene = Scene::new();
    scene.declare(1, &[boxed("CSQU3054383", &["S-100"])]).await;
    scene.check(1, "green", &[]).await;
    scene.declare(2, &[boxed("CSQU3054384", &[])]).await;
    scene.check(2, "red", &["container-check-digit"]).await;
    // The same container again, while the first is on its way: both are red.
    scene.declare(3, &[boxed("CSQU 305438-3", &["S-200"])]).await;
    scene.check(3, "red", &["container-in-parallel"]).await;
    scene.check(1, "red", &["container-in-parallel"]).await;
    let shown = scene.risk(1).await;
    assert_eq!(shown["history"].as_array().map(Vec::len), Some(2), "{shown:#}");
    let tasks = scene.pk("list", json!({ "what": "tasks" })).await.expect("tasks");
    let kinds = tasks["rows"].as_array().expect("rows").iter();
    assert_eq!(kinds.filter(|task| task["kind"] == "red-lane").count(), 3, "{tasks:#}");
    // The exporting side is not told.
    let own = scene.az("risk-lanes", json!({})).await;
    assert_eq!(own["rows"], json!([]));
}

#[tokio::test]
async fn a_seal_that_differs_at_arrival_is_red() {
    let mut scene = Scene::new();
    scene.declare(1, &[boxed("CSQU3054383", &["S-100", "S-101"])]).await;
    let mut claim = sample().steps[2].input["claim"].clone();
    claim["GoodsShipment"]["UCR"]["ID"] = json!("6AZR0001");
    let arrived = json!([{ "ID": "CSQU3054383", "Seal": [{ "ID": "s100" }, { "ID": "X-9" }] }]);
    claim["GoodsShipment"]["Consignment"] = json!({ "TransportEquipment": arrived });
    scene.pk("claim", json!({ "claim": claim })).await.expect("filed");
    scene.check(1, "red", &["seal-differs"]).await;
    let text = scene.risk(1).await["scoring"]["fired"][0]["text"].to_string();
    assert!(text.contains("S101 and X9 on CSQU3054383 (import declaration"), "{text}");
    // What has arrived no longer keeps a container busy.
    scene.declare(2, &[boxed("CSQU3054383", &[])]).await;
    scene.check(2, "green", &[]).await;
}

#[tokio::test]
async fn a_burst_of_a_new_importer_just_under_the_limit_is_seen() {
    let mut scene = Scene::new();
    let small = |value: &str| {
        let amount = json!({ "value": value, "currency": "USD" });
        [
            ("/GoodsShipment/GovernmentAgencyGoodsItem/0/StatisticalValueAmount", amount.clone()),
            (
                "/GoodsShipment/GovernmentAgencyGoodsItem/0/Commodity/InvoiceLine/ItemChargeAmount",
                amount.clone(),
            ),
            ("/InvoiceAmount", amount),
        ]
    };
    for (number, value) in [(1, "990"), (2, "985.50"), (3, "999.99")] {
        scene.declare(number, &small(value)).await;
    }
    scene.check(1, "green", &[]).await;
    scene.check(3, "yellow", &["just-under-limit"]).await;
    scene.declare(4, &small("901")).await;
    scene.check(4, "red", &["just-under-limit", "new-importer", "new-exporter"]).await;
    // At the limit itself nothing is evaded.
    scene.declare(5, &small("1000")).await;
    scene.check(5, "yellow", &["new-importer", "new-exporter"]).await;
}

#[tokio::test]
async fn findings_count_and_raise_later_consignments() {
    let mut scene = Scene::new();
    scene.declare(1, &[]).await;
    let found = |code: &str| {
        let text = "opened and counted by two";
        json!({ "export": "AZ-EX-R-0001", "code": code, "text": text })
    };
    assert_eq!(scene.pk("finding", found("fraud")).await, Err("customs.bad-input".to_owned()));
    scene.pk("finding", found("quantity")).await.expect("recorded");
    scene.declare(2, &[]).await;
    scene.check(2, "yellow", &["earlier-findings", "earlier-findings-exporter"]).await;
    scene
        .pk(
            "finding",
            json!({ "export": "AZ-EX-R-0002", "code": "nothing-found", "text": "all as declared" }),
        )
        .await
        .expect("recorded");
    let stats = scene.pk("risk-stats", json!({})).await.expect("stats");
    let tally = |selected, checked, found, percent: &str| {
        let mut tally = json!({ "selected": selected, "checked": checked, "found": found });
        tally["percent"] = percent.into();
        tally
    };
    assert_eq!(stats["all"], tally(2, 2, 1, "50.0"), "{stats:#}");
    assert_eq!(stats["rules"]["earlier-findings"], tally(1, 1, 0, "0.0"));
    assert_eq!(stats["counted"], 2);
}

#[tokio::test]
async fn a_profile_of_the_nation_replaces_the_shipped_one() {
    let mut scene = Scene::new();
    scene.declare(1, &[]).await;
    let text = karvan_customs::risk::Profile::shipped("PK").expect("shipped");
    let import = |text: String| json!({ "text": text });
    for (changed, code) in [
        (text.replace("\"PK\"", "\"AZ\""), "customs.risk-profile"),
        (text.replace("points = 60", "points = 61"), "customs.risk-profile"),
        (text.replace("blue = 20", "blue = 90"), "customs.risk-profile"),
        (String::new(), "customs.risk-profile"),
    ] {
        assert_eq!(scene.pk("risk-import", import(changed)).await, Err(code.to_owned()));
    }
    let mine = text.replace("2026-1\"", "mine-1\"").replace("blue = 20", "blue = 10")
        + "\n[[rule]]\nid = \"all-of-it\"\npoints = 10\ntext = \"every consignment is looked at\"\n\
           when = [{ fact = \"items\", is = \"at-least\", value = \"1\" }]\n\
           from = \"2026-01-01\"\nstatus = \"assumed\"\nsource = \"made for this test\"\n";
    let imported = scene.pk("risk-import", import(mine.clone())).await.expect("imported");
    assert_eq!(imported["version"], "mine-1");
    let again = scene.pk("risk-import", import(mine)).await.expect("the same");
    assert_eq!(again["duplicate"], true);
    scene.check(1, "green", &[]).await;
    let asked = json!({ "export": "AZ-EX-R-0001" });
    scene.pk("risk-score", asked).await.expect("scored");
    scene.check(1, "blue", &["all-of-it"]).await;
}

#[tokio::test]
async fn a_draw_is_fixed_before_and_proven_after() {
    let mut scene = Scene::new();
    let seed = "00112233445566778899aabbccddeeff".repeat(2);
    let period = |from: &str, until: &str| json!({ "from": from, "until": until, "seed": seed });
    let refused = Err("customs.draw-period".to_owned());
    let all = karvan_customs::risk::Profile::shipped("PK").expect("shipped");
    let all = all.replace("per_mille = 30", "per_mille = 500").replace("2026-1\"", "half\"");
    scene.pk("risk-import", json!({ "text": all })).await.expect("imported");
    // Today is 2026-10-05: too late for it, in time for tomorrow.
    assert_eq!(scene.pk("risk-commit", period("2026-10-05", "2026-10-05")).await, refused);
    assert_eq!(scene.pk("risk-commit", period("2026-10-07", "2026-10-06")).await, refused);
    let bad = scene.pk("risk-commit", json!({ "from": "2026-10-06", "seed": "00" })).await;
    assert_eq!(bad, Err("customs.bad-input".to_owned()));
    let fixed = scene.pk("risk-commit", period("2026-10-06", "2026-10-31")).await.expect("fixed");
    assert!(!fixed.to_string().contains(&seed[..20]), "the seed is not shown");
    assert_eq!(scene.pk("risk-commit", period("2026-10-31", "2026-11-30")).await, refused);
    // The partner holds the digest, and answered that it does.
    let sent = scene.0.sent.iter().find(|sent| sent.code == "CMT").expect("sent");
    let body = String::from_utf8(sent.body.clone()).expect("text");
    assert!(body.contains(fixed["commitment"].as_str().expect("a digest")), "{body}");
    assert!(!body.contains(&seed[..20]) && !body.contains("500"), "{body}");
    scene.0.az.bench.now = scene.0.az.bench.now.plus(std::time::Duration::from_hours(48));
    scene.0.pk.bench.now = scene.0.az.bench.now;
    for number in 1..=12 {
        scene.declare(number, &[]).await;
    }
    let reveal = json!({ "from": "2026-10-06" });
    assert_eq!(scene.pk("risk-reveal", reveal.clone()).await, refused);
    let shown = scene.pk("risk-profile", json!({})).await.expect("the profile");
    assert!(!shown["periods"].to_string().contains("seed"), "{shown:#}");
    // An amendment is no second chance.
    let before = scene.risk(3).await["drawn"].clone();
    let mut amended = export(3, &[]);
    amended["FunctionCode"] = json!("5");
    amended["VersionID"] = json!(2);
    amended["FunctionalReferenceID"] = json!("AZ-R-0003-2");
    scene.az("submit", json!({ "declaration": amended })).await;
    assert_eq!(scene.risk(3).await["drawn"], before);
    scene.0.pk.bench.now = "2026-11-01T05:00:00Z".parse().expect("an instant");
    let revealed = scene.pk("risk-reveal", reveal).await.expect("revealed");
    let revealed: Revealed = serde_json::from_value(revealed).expect("its form");
    assert_eq!(revealed.consignments.len(), 12);
    let committed = fixed["commitment"].as_str().expect("a digest").parse().expect("a digest");
    let drawn = draw::verify(&revealed, Some(committed)).expect("proven");
    assert!((1..12).contains(&drawn), "{drawn} of 12 at a half");
    for one in &revealed.consignments {
        let number = one.export.rsplit_once('-').expect("a number").1.parse().expect("a number");
        let shown = scene.risk(number).await;
        assert_eq!(shown["drawn"], one.drawn);
        assert!(!one.drawn || shown["lane"] != "green", "{shown:#}");
    }
}
