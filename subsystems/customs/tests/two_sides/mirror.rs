//! The mirror, as both sides compute it from their own records.

use karvan_customs::mirror::totals::Total;
use karvan_types::{Decimal, Timestamp};
use serde_json::{Value, json};

use crate::risk::{Scene, sample};

fn at(text: &str) -> Timestamp {
    text.parse().expect("an instant")
}

/// An import declaration of one item, 20 t at a price, for a consignment of `risk::export`.
fn claim(number: u32, ucr: Option<u32>, price: &str) -> Value {
    claim_in("USD", number, ucr, price)
}

fn claim_in(currency: &str, number: u32, ucr: Option<u32>, price: &str) -> Value {
    let mut claim = sample().steps[2].input["claim"].clone();
    claim["ID"] = json!(format!("KAPE-HC-R-{number:04}"));
    claim["FunctionalReferenceID"] = json!(format!("PK-R-{number:04}"));
    claim["GoodsShipment"]["UCR"]["ID"] =
        json!(ucr.map_or(format!("NONE{number:04}"), |ucr| format!("6AZR{ucr:04}")));
    let item = &mut claim["GoodsShipment"]["GovernmentAgencyGoodsItem"][0];
    item["AdditionalDocument"] = json!([]);
    let amount = json!({ "value": price, "currency": currency });
    item["Commodity"]["InvoiceLine"]["ItemChargeAmount"] = amount.clone();
    if claim.get("InvoiceAmount").is_some() {
        claim["InvoiceAmount"] = amount;
    }
    claim
}

async fn file(scene: &mut Scene, number: u32, ucr: Option<u32>, price: &str) {
    let claim = claim(number, ucr, price);
    scene.pk("claim", json!({ "claim": claim })).await.expect("filed");
}

#[tokio::test]
async fn what_only_one_side_knows_is_listed_when_it_is_due() {
    let mut scene = Scene::new();
    scene.declare(1, &[]).await;
    scene.declare(2, &[]).await;
    file(&mut scene, 2, Some(2), "22000").await;
    file(&mut scene, 3, None, "22000").await;
    // Departure was on 3 September by road: 30 days; today is 5 October.
    let shown = scene.pk("mirror-consignments", json!({})).await.expect("listed");
    let rows = shown["rows"].as_array().expect("rows");
    let row = |row: &Value| (row["reason"].clone(), row["document"].clone());
    let rows: Vec<_> = rows.iter().map(row).collect();
    assert_eq!(rows, [(json!("never-arrived"), json!("AZ:AZ-EX-R-0001"))], "{shown:#}");
    scene.0.pk.bench.now = at("2026-10-09T05:00:00Z");
    let shown = scene.pk("mirror-consignments", json!({})).await.expect("listed");
    let second = &shown["rows"][1];
    assert_eq!(second["reason"], "no-export-record", "{shown:#}");
    assert_eq!(
        (&second["document"], &second["beforeExchange"]),
        (&json!("KAPE-HC-R-0003"), &json!(false))
    );
    // The declaration comes late: the consignment is explained.
    let mut late = crate::risk::export(3, &[]);
    late["GoodsShipment"]["UCR"]["ID"] = json!("NONE0003");
    scene.az("submit", json!({ "declaration": late })).await;
    let shown = scene.pk("mirror-consignments", json!({})).await.expect("listed");
    assert_eq!(shown["count"], 1, "{shown:#}");
}

#[tokio::test]
async fn goods_by_way_of_a_third_country_belong_to_the_declaration_of_their_papers() {
    let mut scene = Scene::new();
    let papers = "/GoodsShipment/GovernmentAgencyGoodsItem/0/AdditionalDocument";
    let certificate = sample().steps[2].input["claim"].pointer(papers).expect("papers").clone();
    for number in 1..=4 {
        let quoted = [(papers, certificate.clone())];
        scene.declare(number, if number == 2 { &quoted } else { &[] }).await;
    }
    // 1 by its reference, 2 by its certificate, 3 by the declaration that it names; 4 does not
    // come, and 9 is dispatched from the third country and has nothing to do with the partner.
    for number in [1, 2, 3, 9] {
        let mut claim = claim(number, (number == 1).then_some(1), "22000");
        claim["GoodsShipment"]["ExportCountry"]["ID"] = json!("AE");
        let item = &mut claim["GoodsShipment"]["GovernmentAgencyGoodsItem"][0];
        match number {
            2 => item["AdditionalDocument"] = certificate.clone(),
            3 => {
                let named = json!([{ "TypeCode": "830", "ID": "AZ-EX-R-0003" }]);
                claim["GoodsShipment"]["PreviousDocument"] = named;
            }
            _ => {}
        }
        scene.pk("claim", json!({ "claim": claim })).await.expect("filed");
    }
    scene.0.pk.bench.now = at("2026-10-20T05:00:00Z");
    let shown = scene.pk("mirror-consignments", json!({})).await.expect("listed");
    let rows = shown["rows"].as_array().expect("rows");
    let rows: Vec<_> = rows.iter().map(|row| (&row["reason"], &row["document"])).collect();
    let fourth = (&json!("never-arrived"), &json!("AZ:AZ-EX-R-0004"));
    assert_eq!(rows, [fourth], "{shown:#}");
    let totals = scene.pk("mirror-totals", json!({ "from": "2026-10" })).await.expect("totals");
    assert_eq!(totals["rows"][0]["imported"]["declarations"], 3, "9 is no import of ours");
}

#[tokio::test]
async fn what_was_claimed_against_a_third_country_of_export_has_arrived() {
    for id in ["override-indirect-route", "provisional-then-confirmed", "verification-refuted"] {
        let consignment = karvan_customs::samples::shipped().into_iter().find(|c| c.id == id);
        let consignment = consignment.expect("a sample");
        let mut exchange = crate::exchange::Exchange::new(consignment.today);
        for step in consignment.steps.iter().take(3) {
            exchange.play(&consignment, step).await.expect("played");
        }
        exchange.pk.bench.now = at("2026-12-20T05:00:00Z");
        let pk = crate::exchange::customs_of("PK".parse().expect("PK"));
        let shown = exchange.act(&pk, "mirror-consignments", json!({})).await.expect("listed");
        assert_eq!(shown["count"], 0, "{id}: {shown:#}");
    }
}

#[tokio::test]
async fn the_parts_of_a_gap_add_up_to_it() {
    let mut scene = Scene::new();
    for number in 1..=4 {
        scene.declare(number, &[]).await;
    }
    // Exported in September, imported in October: another month; 2 is cheaper, 9 has no export.
    for (number, ucr, price) in [(1, Some(1), "22000"), (2, Some(2), "15000"), (9, None, "1000.50")]
    {
        file(&mut scene, number, ucr, price).await;
    }
    let shown = scene.pk("mirror-totals", json!({})).await.expect("totals");
    let rows: Vec<Total> = serde_json::from_value(shown["rows"].clone()).expect("totals");
    let months: Vec<_> = rows.iter().map(|row| row.month.as_str()).collect();
    assert_eq!(months, ["2026-09", "2026-10"], "{shown:#}");
    for row in &rows {
        let parts = &row.parts;
        let sum =
            parts.not_arrived + parts.not_announced + parts.other_month + parts.same_consignment;
        assert_eq!(sum, row.gap, "{row:?}");
        assert_eq!(row.gap, row.imported.value_cif - row.exported.value_cif);
    }
    // Four exports at 22,000 FCA by road: 6 percent on top.
    assert_eq!(rows[0].exported.value_cif, Decimal::from(93_280), "{shown:#}");
    assert_eq!(rows[0].parts.not_arrived, Decimal::from(-46_640));
    assert_eq!(rows[1].imported.declarations, 3);
    let bad = scene.pk("mirror-totals", json!({ "from": "2026-13" })).await;
    assert_eq!(bad, Err("customs.bad-input".to_owned()));
}

#[tokio::test]
async fn values_far_from_the_others_are_candidates() {
    // The partner's 22,000 FCA by road are 23,320 with freight; the others declare 22,000.
    for (price, direction, partner, median) in [
        ("9000", "under-invoicing", "-61.4", Some("-59.1")),
        ("32648", "over-invoicing", "40", Some("48.4")),
        ("30000", "over-invoicing", "28.6", None),
    ] {
        let mut scene = Scene::new();
        for number in 1..=7 {
            scene.declare(number, &[]).await;
            file(&mut scene, number, Some(number), if number == 7 { price } else { "22000" }).await;
        }
        let ask = json!({ "by": "unit-value" });
        let shown = scene.pk("mirror-candidates", ask).await.expect("shown");
        let rows = shown["rows"].as_array().expect("rows");
        let mut found = Vec::new();
        for row in rows {
            assert_eq!(row["claim"], "KAPE-HC-R-0007", "{shown:#}");
            assert_eq!(row["candidate"], direction, "{shown:#}");
            found.push((row["against"].as_str(), row["percent"].as_str()));
        }
        found.sort_unstable();
        let mut wanted = vec![(Some("partner"), Some(partner))];
        wanted.extend(median.map(|percent| (Some("own-median"), Some(percent))));
        wanted.sort_unstable();
        assert_eq!(found, wanted, "{price}: {shown:#}");
        assert_eq!(shown["notComparable"], json!([]));
        assert!(!shown.to_string().to_lowercase().contains("fraud"));
    }
}

#[tokio::test]
async fn another_currency_is_converted_or_named() {
    let mut scene = Scene::new();
    let rate = |currency: &str, value: &str| {
        format!(
            "[[rate]]\ncurrency = \"{currency}\"\nunits = \"1\"\nvalue = \"{value}\"\n\
             from = \"2026-10-01\"\nstatus = \"assumed\"\nsource = \"fictitious\"\n"
        )
    };
    let head = "version = \"1\"\npublished = \"2026-10-01\"\nauthority = \"fictitious\"\n\
                currency = \"PKR\"\n";
    let table = format!("{head}{}{}", rate("USD", "285"), rate("EUR", "310"));
    scene.pk("rates-import", json!({ "text": table })).await.expect("imported");
    // 22,000 USD are 20,225.81 EUR; nothing is known of pounds.
    for (number, currency, price) in
        [(1, "EUR", "20225.81"), (2, "EUR", "9000"), (3, "GBP", "9000"), (4, "USD", "22000")]
    {
        let mut export = crate::risk::export(number, &[]);
        if number == 4 {
            let item = &mut export["GoodsShipment"]["GovernmentAgencyGoodsItem"][0];
            let item = item.as_object_mut().expect("an item");
            item.remove("StatisticalValueAmount");
            item["Commodity"].as_object_mut().expect("goods").remove("InvoiceLine");
        }
        scene.az("submit", json!({ "declaration": export })).await;
        let claim = claim_in(currency, number, Some(number), price);
        scene.pk("claim", json!({ "claim": claim })).await.expect("filed");
    }
    let shown = scene.pk("mirror-candidates", json!({})).await.expect("shown");
    let rows = shown["rows"].as_array().expect("rows");
    assert_eq!(rows.len(), 1, "{shown:#}");
    assert_eq!(
        (&rows[0]["claim"], &rows[0]["currency"], &rows[0]["expected"]),
        (&json!("KAPE-HC-R-0002"), &json!("EUR"), &json!("21439.35")),
        "{shown:#}"
    );
    let used: Vec<_> = rows[0]["rates"].as_array().expect("rates").iter().collect();
    assert_eq!((used.len(), &used[0]["source"]), (2, &json!("fictitious")), "{shown:#}");
    assert_eq!(shown["notComparableCount"], 2);
    let rows = shown["notComparable"].as_array().expect("rows");
    let found: Vec<_> = (rows.iter())
        .map(|row| (row["claim"].as_str(), row["obstacle"].as_str(), row["currencies"].to_string()))
        .collect();
    let wanted = [
        (Some("KAPE-HC-R-0003"), Some("currency"), "[\"GBP\",\"USD\"]".to_owned()),
        (Some("KAPE-HC-R-0004"), Some("value"), "[\"USD\"]".to_owned()),
    ];
    assert_eq!(found, wanted, "{shown:#}");
}

#[tokio::test]
async fn a_month_that_differs_is_a_task_until_both_sides_agree() {
    let mut scene = Scene::new();
    scene.declare(1, &[]).await;
    // The second declaration is on its way for long.
    let late = crate::risk::export(2, &[]);
    let caller = karvan_subsystem::Caller {
        member: crate::exchange::customs_of("AZ".parse().expect("AZ")),
        user: "officer-7".to_owned(),
        permissions: vec!["*".to_owned()],
    };
    let bench = &mut scene.0.az.bench;
    let submitted = bench.operate(&caller, "submit", json!({ "declaration": late })).await;
    let (_, on_the_way) = submitted.expect("submitted");
    check_tasks(&mut scene, &[]).await;
    let september = json!({ "month": "2026-09" });
    for _ in 0..2 {
        // The same again opens no second task.
        scene.az("mirror-report", september.clone()).await;
        check_tasks(&mut scene, &["mirror 2026-09"]).await;
    }
    scene.0.deliver(on_the_way).await;
    check_tasks(&mut scene, &["mirror 2026-09"]).await;
    scene.0.pk.bench.now = at("2026-11-05T00:01:00Z");
    scene.0.pk.bench.run_due().await.expect("done");
    check_tasks(&mut scene, &[]).await;
    let compared = scene.pk("mirror-compare", september).await.expect("compared");
    assert_eq!(compared["flows"][0]["differing"], 0, "{compared:#}");
}

/// Compares the months of which this side has an open task.
async fn check_tasks(scene: &mut Scene, wanted: &[&str]) {
    let listed = scene.pk("list", json!({ "what": "tasks" })).await.expect("listed");
    let tasks = listed["rows"].as_array().expect("tasks").iter();
    let months = tasks.filter(|task| task["kind"] == "mirror-differs");
    let months: Vec<_> = months.filter_map(|task| task["subject"].as_str()).collect();
    assert_eq!(months, wanted, "{listed:#}");
}

#[tokio::test]
async fn both_sides_report_and_the_register_shows_where_they_differ() {
    let mut scene = Scene::new();
    scene.declare(1, &[]).await;
    // The second declaration never reaches the other side.
    let lost = crate::risk::export(2, &[]);
    let member = crate::exchange::customs_of("AZ".parse().expect("AZ"));
    let caller = karvan_subsystem::Caller {
        member,
        user: "officer-7".to_owned(),
        permissions: vec!["*".to_owned()],
    };
    let bench = &mut scene.0.az.bench;
    bench.operate(&caller, "submit", json!({ "declaration": lost })).await.expect("submitted");
    let september = json!({ "month": "2026-09" });
    let before = scene.pk("mirror-compare", september.clone()).await.expect("compared");
    assert_eq!(before["flows"][0]["report"], Value::Null);
    scene.az("mirror-report", september.clone()).await;
    let shown = scene.pk("mirror-compare", september.clone()).await.expect("compared");
    let row = &shown["flows"][0]["rows"][0];
    assert_eq!(
        (&row["agrees"], &row["ours"]["items"], &row["theirs"]["items"]),
        (&json!(false), &json!(1), &json!(2)),
        "{shown:#}"
    );
    assert_eq!(row["theirs"]["value"], "44000");
    let open = scene.pk("mirror-report", json!({ "month": "2026-10" })).await;
    assert_eq!(open, Err("customs.month-open".to_owned()));
    // What this side imported is told to the other, with what it misses.
    file(&mut scene, 5, None, "22000").await;
    scene.0.pk.bench.now = at("2026-11-05T05:00:00Z");
    scene.0.az.bench.now = scene.0.pk.bench.now;
    scene.pk("mirror-report", json!({ "month": "2026-10" })).await.expect("sent");
    let shown = scene.az("mirror-compare", json!({ "month": "2026-10" })).await;
    let row = &shown["flows"][1]["rows"][0];
    assert_eq!((&row["agrees"], &row["ours"]), (&json!(false), &Value::Null), "{shown:#}");
    assert!(row["explainedBy"].to_string().contains("IMP KAPE-HC-R-0005"), "{shown:#}");
}

#[tokio::test]
async fn the_figures_of_a_month_go_out_by_themselves() {
    let mut scene = Scene::new();
    scene.declare(1, &[]).await;
    let bench = &mut scene.0.az.bench;
    let mut months = Vec::new();
    // Until the fifth of November nothing; a node that was down reports each month that it missed.
    for now in ["2026-11-04T23:59:00Z", "2026-11-05T00:01:00Z", "2027-01-20T00:00:00Z"] {
        bench.now = at(now);
        let sent = bench.run_due().await.expect("done");
        let bodies = sent.iter().filter(|sent| sent.code == "REC").map(|sent| {
            serde_json::from_slice::<Value>(&sent.body).expect("JSON")["month"].to_string()
        });
        months.push(bodies.collect::<Vec<_>>().join(" "));
    }
    assert_eq!(
        months,
        ["", "\"2026-10\" \"2026-10\"", "\"2026-11\" \"2026-11\" \"2026-12\" \"2026-12\""]
    );
}

/// A sum with more digits than a quantity may have is never stored or sent.
#[tokio::test]
async fn figures_that_no_report_can_carry_are_told() {
    let mut scene = Scene::new();
    for number in 1..=2 {
        file(&mut scene, number, Some(number), "9999999999999999").await;
    }
    scene.0.pk.bench.now = at("2026-11-04T00:00:00Z");
    let asked = scene.pk("mirror-report", json!({ "month": "2026-10" })).await;
    assert_eq!(asked.expect_err("not sent"), "customs.figures-too-large");
    let shown = scene.pk("mirror-totals", json!({ "from": "2026-10" })).await.expect("totals");
    let value = &shown["rows"][0]["imported"]["value"];
    assert_eq!(value, "19999999999999998", "the sum is shown as it is");

    // By the clock it is told, and the next month goes out all the same.
    scene.0.pk.bench.now = at("2026-11-05T00:01:00Z");
    let sent = scene.0.pk.bench.run_due().await.expect("done");
    assert!(!sent.iter().any(|sent| sent.code == "REC"), "nothing of that month is sent");
    let told = scene.0.pk.bench.warnings.iter().find(|told| told.code.contains("figures-not-sent"));
    let text = &told.expect("an alarm").text;
    assert!(text.contains("the values of HS 390110") && text.contains("mistyped"), "{text}");
    let tasks = scene.pk("list", json!({ "what": "tasks" })).await.expect("listed");
    let rows = tasks["rows"].as_array().expect("rows").iter();
    let mine: Vec<_> = rows.filter(|row| row["subject"] == "mirror 2026-10").collect();
    assert_eq!(mine.len(), 1, "{tasks:#}");
    assert_eq!(mine[0]["kind"], "not-delivered");
    scene.0.pk.bench.now = at("2026-12-05T00:01:00Z");
    let sent = scene.0.pk.bench.run_due().await.expect("done");
    assert_eq!(sent.iter().filter(|sent| sent.code == "REC").count(), 2, "November goes out");
}
