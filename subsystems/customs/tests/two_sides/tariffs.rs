//! A running side takes new versions of a tariff, and shares out a quota among claims.

use karvan_customs::samples::{Consignment, shipped};
use karvan_subsystem::Caller;
use karvan_types::{Digest, ErrorKind, MemberId};
use serde_json::{Value, json};

use crate::exchange::{Exchange, customs_of, issuer_of};

const SHIPPED: &str = include_str!("../../data/tariff/pakistan.toml");

/// The shipped tariff of Pakistan under another name, changed in one place.
fn version(name: &str, published: &str, from: &str, to: &str) -> String {
    assert!(SHIPPED.contains(from), "{from}");
    SHIPPED
        .replace("version = \"shipped-2026-08\"", &format!("version = \"{name}\""))
        .replace("published = \"2026-08-01\"", &format!("published = \"{published}\""))
        .replace(from, to)
}

async fn import(exchange: &mut Exchange, who: &MemberId, text: &str) -> Value {
    let input = json!({ "text": text });
    exchange.act(who, "tariff-import", input).await.expect("imported")
}

struct Played {
    exchange: Exchange,
    consignment: Consignment,
    pk: MemberId,
}

fn sample(id: &str) -> Played {
    let consignment = shipped().into_iter().find(|c| c.id == id).expect("a shipped sample");
    let exchange = Exchange::new(consignment.today);
    let pk = customs_of(consignment.to);
    Played { exchange, consignment, pk }
}

#[tokio::test]
async fn a_new_version_applies_from_then_on_and_the_old_one_stays() {
    let Played { mut exchange, consignment, pk } = sample("clean-grant");
    let polymers = "{ codes = [\"390110\", \"390120\"], rate = \"2\" }";
    let halved = version("2026-10", "2026-10-01", polymers, &polymers.replace("\"2\"", "\"1\""));
    for step in consignment.steps.iter().take(3) {
        exchange.play(&consignment, step).await.expect("played");
    }
    let show = json!({ "claim": "KAPE-HC-00001-02-10-2026" });
    let before = exchange.act(&pk, "show", show.clone()).await.expect("shown");
    let duty = &before["items"][0]["duty"];
    assert_eq!(duty["tariff"]["version"], "shipped-2026-08");
    assert_eq!(duty["tariff"]["day"], "2026-10-02");
    assert_eq!(duty["tariff"]["final"], true);

    let imported = import(&mut exchange, &pk, &halved).await;
    assert_eq!(imported["duplicate"], false);
    assert_eq!(imported["digest"], Digest::of(halved.as_bytes()).to_string());
    assert_eq!(import(&mut exchange, &pk, &halved).await["duplicate"], true);
    // What was shown stays; what is decided now rests on the new version.
    let decided = exchange.play(&consignment, &consignment.steps[3]).await.expect("decided");
    assert_eq!(decided["decision"]["duty"]["tariff"]["version"], "2026-10");
    assert_ne!(decided["decision"]["duty"]["payable"], duty["preferential"]);

    // The old rates answer to their digest.
    let ask = |digest: Option<&Value>| {
        let mut ask = json!({ "code": "39011000", "day": "2026-10-02", "value":
            { "value": "6270000", "currency": "PKR" } });
        if let Some(digest) = digest {
            ask["digest"] = digest.clone();
        }
        ask
    };
    let old = exchange.act(&pk, "tariff", ask(Some(&duty["tariff"]["digest"]))).await;
    let total = &old.expect("explained")["duty"]["total_preferential"];
    assert_eq!(*total, duty["preferential"]["value"]);
    let new = exchange.act(&pk, "tariff", ask(None)).await.expect("explained");
    let total = &new["duty"]["total_preferential"];
    assert_eq!(*total, decided["decision"]["duty"]["payable"]["value"]);
    let listed = exchange.act(&pk, "tariffs", json!({})).await.expect("listed");
    assert_eq!(listed["versions"][0]["version"], "2026-10");
    assert_eq!(listed["shipped"]["version"], "shipped-2026-08");
    let text = json!({ "digest": imported["digest"] });
    assert_eq!(exchange.act(&pk, "tariffs", text).await.expect("shown")["text"], halved);
}

#[tokio::test]
async fn a_bad_version_is_refused() {
    let Played { mut exchange, consignment, pk } = sample("clean-grant");
    let issuer = issuer_of(consignment.to);
    let slab = "{ codes = [\"\"], cd_min = \"15\", cd_max = \"15\", rate = \"2\" }";
    let wide = "{ codes = [\"\"], cd_min = \"15\", cd_max = \"20\", rate = \"2\" }";
    let digest = Digest::of(b"none");
    for (who, operation, input, kind, reason) in [
        (
            &pk,
            "tariff-import",
            json!({ "text": version("x", "2026-10-01", slab, wide) }),
            ErrorKind::Invalid,
            "both give ACD for all goods on 2025-07-01",
        ),
        (
            &pk,
            "tariff-import",
            json!({ "text": SHIPPED.replace("\"18\"", "\"17\"") }),
            ErrorKind::Conflict,
            "give the changed file a new name",
        ),
        (
            &pk,
            "tariff-import",
            json!({ "text": version("x", "2026-07-31", slab, slab) }),
            ErrorKind::Conflict,
            "before the version in force of 2026-08-01",
        ),
        (
            &pk,
            "tariff-import",
            json!({ "text": version("x", "2026-10-01", "country = \"PK\"", "country = \"FR\"") }),
            ErrorKind::Invalid,
            "is no side of this exchange",
        ),
        (
            &issuer,
            "tariff-import",
            json!({ "text": SHIPPED }),
            ErrorKind::Forbidden,
            "your token acts for",
        ),
        (&pk, "tariffs", json!({ "digest": digest }), ErrorKind::NotFound, "list the versions"),
        (&pk, "quota", json!({ "quota": "X" }), ErrorKind::NotFound, "no such quota"),
    ] {
        let refusal = exchange.act(who, operation, input).await.expect_err(reason);
        assert!(refusal.text.contains(reason), "{reason}: {}", refusal.text);
        assert_eq!(refusal.kind, kind, "{reason}");
    }
    let listed = exchange.act(&pk, "tariffs", json!({})).await.expect("listed");
    assert_eq!(listed["versions"], json!([]), "nothing was kept");
}

/// Going back to an earlier file would leave the later one in force.
#[tokio::test]
async fn a_replaced_version_is_refused() {
    let Played { mut exchange, pk, .. } = sample("clean-grant");
    let tax = "rate = \"18\"";
    let first = version("first", "2026-10-01", tax, tax);
    let second = version("second", "2026-10-02", tax, "rate = \"19\"");
    import(&mut exchange, &pk, &first).await;
    import(&mut exchange, &pk, &second).await;
    assert_eq!(import(&mut exchange, &pk, &second).await["duplicate"], true);
    let back = exchange.act(&pk, "tariff-import", json!({ "text": first })).await;
    let refusal = back.expect_err("the second is in force");
    assert_eq!(refusal.kind, ErrorKind::Conflict, "{}", refusal.text);
    assert!(refusal.text.contains("`second` is in force"), "{}", refusal.text);
    // Under a new name and day the same rates come back.
    let again = version("third", "2026-10-03", tax, tax);
    import(&mut exchange, &pk, &again).await;
    let listed = exchange.act(&pk, "tariffs", json!({})).await.expect("listed");
    assert_eq!(listed["versions"][0]["version"], "third");
}

/// The shipped tariff with a quota of 25 tonnes on drill pipe.
fn with_quota(name: &str, tonnes: &str) -> String {
    let line = "{ codes = [\"730422\", \"730423\", \"730424\", \"730429\"], rate = \"5\" },\n  \
                { codes = [\"740811\"], rate = \"5\" },\n]\n\n# The ACD targets";
    let limited = line.replacen("rate = \"5\"", "rate = \"5\", quota = \"PIPE\"", 1);
    let quota = format!(
        "[[quotas]]\nid = \"PIPE\"\nagreement = \"AZ-PK-PTA\"\nquantity = \"{tonnes}\"\n\
         unit = \"TNE\"\nfrom = \"2026-01-01\"\nuntil = \"2026-12-31\"\n\
         source = \"sro-2053-2024\"\nstatus = \"assumed\"\n\n[[lines]]"
    );
    version(name, "2026-10-01", line, &limited).replacen("[[lines]]", &quota, 1)
}

/// What each request has, in order of acceptance, and what is left.
async fn quota(exchange: &mut Exchange, who: &MemberId) -> String {
    let shown = exchange.act(who, "quota", json!({ "quota": "PIPE" })).await.expect("shown");
    let requests = shown["requests"].as_array().expect("a list").iter();
    let words = requests.map(|request| {
        let item = request["claimItem"].as_str().expect("a claim");
        format!("{}:{}/{} ", &item[..4], request["allocated"], request["asked"])
    });
    format!("{}left {}", words.collect::<String>(), shown["balance"]["value"]).replace('"', "")
}

#[tokio::test]
async fn a_quota_is_shared_out_in_the_order_of_filing() {
    let Played { mut exchange, consignment, pk } = sample("reuse-beyond-quantity");
    import(&mut exchange, &pk, &with_quota("with-quota", "25")).await;
    for step in [0, 1, 2, 4] {
        exchange.play(&consignment, &consignment.steps[step]).await.expect("played");
    }
    // Two claims of 18 tonnes each; the quota has 25.
    assert_eq!(quota(&mut exchange, &pk).await, "KAPE:18/18 KAPW:7/18 left 0");
    let second = "KAPW-HC-00007-09-10-2026";
    let grant = json!({ "claim": second, "decision": "grant", "reason": "other",
        "text": "there is enough for all of it" });
    let refusal = exchange.act(&pk, "decide", grant.clone()).await.expect_err("too much");
    assert_eq!((refusal.kind, &*refusal.code), (ErrorKind::Conflict, "customs.quota-exceeded"));
    let shown = exchange.act(&pk, "show", json!({ "claim": second })).await.expect("shown");
    let proposal = &shown["items"][0]["proposal"];
    assert_eq!(proposal["reason"], "quota-exceeded", "{proposal:#}");
    assert_eq!(proposal["quantity"]["value"], "7000");
    let part = json!({ "claim": second, "decision": "grant-in-part" });
    let decided = exchange.act(&pk, "decide", part).await.expect("granted in part");
    assert_eq!(decided["decision"]["debited"]["value"], "7000");
    assert_eq!(quota(&mut exchange, &pk).await, "KAPE:18/18 KAPW:7/18 left 0");

    // The first is denied: its part is carried back, and the second gets the rest of its own.
    let deny = json!({ "claim": "KAPE-HC-00007-02-10-2026", "decision": "deny",
        "reason": "false-papers", "text": "the pipes are not of the partner" });
    exchange.act(&pk, "decide", deny).await.expect("denied");
    assert_eq!(quota(&mut exchange, &pk).await, "KAPW:18/18 left 7");
    let listed = exchange.act(&pk, "list", json!({ "what": "tasks" })).await.expect("listed");
    assert_eq!(listed["rows"][0]["kind"], "quota-reopened", "{listed:#}");
    let why = json!({ "claim": second, "text": "the quota was reopened" });
    exchange.act(&pk, "reopen", why).await.expect("reopened");
    let decided = exchange.act(&pk, "decide", json!({ "claim": second, "decision": "grant" }));
    let decided = decided.await.expect("granted");
    assert_eq!(decided["decision"]["debited"]["value"], "18000");
    assert_eq!(quota(&mut exchange, &pk).await, "KAPW:18/18 left 7");

    // A smaller quota takes nothing away, and gives nothing more.
    import(&mut exchange, &pk, &with_quota("smaller", "20")).await;
    assert_eq!(quota(&mut exchange, &pk).await, "KAPW:18/18 left 2");
}

#[tokio::test]
async fn a_used_up_quota_leaves_the_general_rate() {
    let Played { mut exchange, consignment, pk } = sample("reuse-beyond-quantity");
    import(&mut exchange, &pk, &with_quota("with-quota", "18")).await;
    for step in [0, 1, 2, 4] {
        exchange.play(&consignment, &consignment.steps[step]).await.expect("played");
    }
    let show = json!({ "claim": "KAPW-HC-00007-09-10-2026" });
    let shown = exchange.act(&pk, "show", show.clone()).await.expect("shown");
    assert_eq!(shown["items"][0]["proposal"]["verdict"], "general-rate");
    // A larger quota serves who waits, and the claim is matched anew.
    import(&mut exchange, &pk, &with_quota("larger", "40")).await;
    assert_eq!(quota(&mut exchange, &pk).await, "KAPE:18/18 KAPW:18/18 left 4");
    let shown = exchange.act(&pk, "show", show).await.expect("shown");
    assert_ne!(shown["items"][0]["proposal"]["verdict"], "general-rate");
    assert_eq!(shown["items"][0]["duty"]["quota"]["allocated"]["value"], "18");
}

/// What an item asks for keeps within the digits of a quantity: an excess is told, never rounded.
#[tokio::test]
async fn what_is_too_large_for_the_unit_of_a_quota_is_told() {
    let Played { mut exchange, mut consignment, pk } = sample("reuse-beyond-quantity");
    let in_grams = with_quota("in-grams", "9999999999999999").replacen("\"TNE\"", "\"GRM\"", 1);
    import(&mut exchange, &pk, &in_grams).await;
    let measure = "/claim/GoodsShipment/GovernmentAgencyGoodsItem/0/Commodity/GoodsMeasure";
    for (step, kilograms, asked) in
        [(2, "9999999999999", "KAPE:9999999999999000/9999999999999000 left 999"), (4, "18", "")]
    {
        let input = &mut consignment.steps[step].input;
        for name in ["TariffQuantity", "NetNetWeightMeasure", "GrossMassMeasure"] {
            input.pointer_mut(measure).expect("the measures")[name] =
                json!({ "value": kilograms, "unit": "KGM" });
        }
        exchange.play(&consignment, &consignment.steps[step]).await.expect("filed");
        if !asked.is_empty() {
            assert_eq!(quota(&mut exchange, &pk).await, asked);
        }
    }
    // Two requests together want more than a quantity can say; each stands by itself.
    let both = quota(&mut exchange, &pk).await;
    assert_eq!(both, "KAPE:9999999999999000/9999999999999000 KAPW:999/18000 left 0");

    let Played { mut exchange, mut consignment, pk } = sample("reuse-beyond-quantity");
    import(&mut exchange, &pk, &in_grams).await;
    let found = consignment.steps[2].input.pointer_mut(measure).expect("the measures");
    for name in ["TariffQuantity", "NetNetWeightMeasure", "GrossMassMeasure"] {
        found[name] = json!({ "value": "10000000000000", "unit": "KGM" });
    }
    exchange.play(&consignment, &consignment.steps[2]).await.expect("filed");
    assert_eq!(quota(&mut exchange, &pk).await, "left 9999999999999999");
    let show = json!({ "claim": "KAPE-HC-00007-02-10-2026" });
    let shown = exchange.act(&pk, "show", show).await.expect("shown");
    let history = shown["history"].to_string();
    let told = "item 1: nothing is asked of quota PIPE: 10000000000000 KGM has too many digits";
    assert!(history.contains(told), "{shown:#}");
}

/// How many requests a period of the quota has, and what is left of it.
async fn left(exchange: &mut Exchange, who: &MemberId, day: &str) -> (usize, String) {
    let asked = json!({ "quota": "PIPE", "day": day });
    let shown = exchange.act(who, "quota", asked).await.expect("shown");
    let requests = shown["requests"].as_array().expect("a list").len();
    (requests, shown["balance"]["value"].as_str().expect("a number").to_owned())
}

/// The day of arrival lies in another period than the day of filing: the item asks there.
#[tokio::test]
async fn a_quota_follows_the_day_of_arrival() {
    let Played { mut exchange, consignment, pk } = sample("reuse-beyond-quantity");
    let whole = with_quota("two-periods", "25").replace("rule = \"filing\"", "rule = \"arrival\"");
    let first = "from = \"2026-01-01\"\nuntil = \"2026-10-02\"";
    let until = "from = \"2026-01-01\"\nuntil = \"2026-12-31\"";
    assert!(whole.contains(until), "{whole}");
    let (head, tail) = whole.split_once("[[quotas]]").expect("a quota");
    let (quota_text, rest) = tail.split_once("[[lines]]").expect("what follows");
    let second = quota_text.replace("2026-01-01", "2026-10-03");
    let one = quota_text.replace(until, first);
    let text = format!("{head}[[quotas]]{one}[[quotas]]{second}[[lines]]{rest}");
    import(&mut exchange, &pk, &text).await;
    for step in 0..3 {
        exchange.play(&consignment, &consignment.steps[step]).await.expect("played");
    }
    // Filed on 2 October, and nobody knows yet when the goods come.
    assert_eq!(left(&mut exchange, &pk, "2026-10-02").await, (1, "7".to_owned()));
    assert_eq!(left(&mut exchange, &pk, "2026-10-04").await, (0, "25".to_owned()));
    let claim = "KAPE-HC-00007-02-10-2026";
    for (day, before, after) in
        [("2026-10-04", (0, "25"), (1, "7")), ("2026-10-01", (1, "7"), (0, "25"))]
    {
        let arrived = json!({ "claim": claim, "event": "arrived", "day": day });
        let shown = exchange.act(&pk, "event", arrived).await.expect("reported");
        let quota = &shown["items"][0]["duty"]["quota"];
        assert_eq!(quota["allocated"]["value"], "18", "{quota}");
        let owned = |(requests, balance): (usize, &str)| (requests, balance.to_owned());
        assert_eq!(left(&mut exchange, &pk, "2026-10-02").await, owned(before), "{day}");
        assert_eq!(left(&mut exchange, &pk, "2026-10-04").await, owned(after), "{day}");
    }
}

/// Both days are taken in one act; when one of them cannot be, neither is.
#[tokio::test]
async fn arrival_and_payment_are_reported_together() {
    let Played { mut exchange, consignment, pk } = sample("reuse-beyond-quantity");
    for step in 0..3 {
        exchange.play(&consignment, &consignment.steps[step]).await.expect("played");
    }
    let claim = "KAPE-HC-00007-02-10-2026";
    for (days, expected) in [
        (json!({}), Err(("customs.bad-input", "/event"))),
        (json!({ "event": "paid" }), Err(("customs.bad-input", "/day"))),
        (json!({ "day": "2026-10-03" }), Err(("customs.bad-input", "/event"))),
        (
            json!({ "event": "paid", "day": "2026-10-03", "arrived": "2026-10-01" }),
            Err(("customs.bad-input", "/event")),
        ),
        (
            json!({ "arrived": "2026-10-01", "paid": "2027-10-03" }),
            Err(("customs.day-to-come", "/paid")),
        ),
        (json!({ "event": "arrived", "day": "2027-10-01" }), Err(("customs.day-to-come", "/day"))),
        (json!({ "arrived": "2026-10-01", "paid": "2026-10-03" }), Ok(false)),
        (json!({ "arrived": "2026-10-01", "paid": "2026-10-03" }), Ok(true)),
        (json!({ "event": "paid", "day": "2026-10-04" }), Ok(false)),
    ] {
        let mut input = days.clone();
        input["claim"] = json!(claim);
        let result = exchange.act(&pk, "event", input).await;
        match (result, expected) {
            (Ok(shown), Ok(duplicate)) => {
                assert_eq!(shown["duplicate"], duplicate, "{days}");
            }
            (Err(refusal), Err((code, pointer))) => {
                assert_eq!(refusal.code, code, "{days}");
                let named = refusal.pointers.first().map(|found| found.pointer.as_str());
                assert_eq!(named, Some(pointer), "{days}");
                let shown = exchange.act(&pk, "show", json!({ "claim": claim })).await;
                let history = shown.expect("shown")["history"].to_string();
                assert!(!history.contains("goods arrived"), "{days}: nothing of it was taken");
            }
            (result, _) => panic!("{days}: {result:?}"),
        }
    }
    let shown = exchange.act(&pk, "show", json!({ "claim": claim })).await.expect("shown");
    let history = shown["history"].to_string();
    for text in
        ["goods arrived on 2026-10-01", "duty paid on 2026-10-03", "2026-10-04, not on 2026-10-03"]
    {
        assert_eq!(history.matches(text).count(), 1, "{text}: {history}");
    }
}

/// Two offices file at the same moment; together they get what the quota holds and no more.
#[tokio::test]
async fn two_offices_share_the_last_tonnes() {
    let Played { mut exchange, consignment, pk } = sample("reuse-beyond-quantity");
    import(&mut exchange, &pk, &with_quota("with-quota", "25")).await;
    for step in [0, 1] {
        exchange.play(&consignment, &consignment.steps[step]).await.expect("played");
    }
    let caller = Caller {
        member: pk.clone(),
        user: "officer-7".to_owned(),
        permissions: vec!["customs.claim".to_owned()],
    };
    let [first, second] = [2, 4].map(|step| consignment.steps[step].input.clone());
    let mut other = exchange.pk.twin();
    let (one, two) = tokio::join!(
        exchange.pk.bench.operate(&caller, "claim", first),
        other.operate(&caller, "claim", second)
    );
    one.and(two).expect("both are filed");
    let shared = quota(&mut exchange, &pk).await;
    let orders = ["KAPE:18/18 KAPW:7/18 left 0", "KAPW:18/18 KAPE:7/18 left 0"];
    assert!(orders.contains(&shared.as_str()), "{shared}");
}
