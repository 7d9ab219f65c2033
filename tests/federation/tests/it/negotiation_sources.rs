//! Feeds that come from a sub-system and from a system that speaks HTTP, and feeds that an
//! agreement written by hand grants.

use std::sync::Arc;

use bytes::Bytes;
use http::Response;
use http::header::{CONTENT_RANGE, ETAG, IF_RANGE, RANGE};
use http_body_util::{BodyExt as _, Full};
use karvan_agreements::{Agreement, Agreements, Grant};
use karvan_exchange::tokens::{Token, Tokens};
use karvan_federation::{AZ, Agency, PK, Settings, Station, System, World, until};
use karvan_negotiation::records::{Dataset, Kind, Process};
use karvan_negotiation::source::Source;
use karvan_testkit::HANDLED;
use karvan_types::limits::JSON_BYTES_MAX;
use karvan_types::{Digest, ErrorKind};
use serde_json::{Value, json};

use crate::negotiation::{service, wait_for};
use crate::negotiation_feeds::{fetch, open};

fn feed(world: &World, source: Source) -> Dataset {
    Dataset {
        kind: Kind::Feed {},
        source: Some(source),
        formats: vec!["HttpData-PULL".to_owned()],
        ..service("figures", &world.nation(AZ).member, true)
    }
}

fn query(operation: &str, input: Value) -> Source {
    let (subsystem, operation) = ("probe".to_owned(), operation.to_owned());
    Source::Query { subsystem, operation, input }
}

fn field<'a>(answer: &'a Response<Bytes>, name: &http::HeaderName) -> Option<&'a str> {
    answer.headers().get(name).map(|value| value.to_str().expect("a text"))
}

/// Publishes a feed and starts its transfer.
async fn transfer(world: &World, az: &Station, pk: &Station, source: Source) -> Process {
    az.engine.publish(feed(world, source)).await.expect("publishes");
    let [_, transfer] = open(world, pk, "figures").await;
    transfer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_sub_system_answers_is_pulled() {
    let world = World::new(71);
    let [az, pk] = world.start_both().await;
    let source = query("count", json!({ "label": "seen" }));
    let transfer = transfer(&world, &az, &pk, source).await;
    let provider = &world.nation(AZ).member;
    let expected = |seen: u64| {
        format!(
            r#"{{"label":"seen","member":"{provider}","permissions":["probe.read"],"seen":{seen}}}"#
        )
    };
    let whole = fetch(&world, &pk, &transfer, "", &[]).await;
    assert_eq!((whole.status().as_u16(), whole.body().as_ref()), (200, expected(0).as_bytes()));
    let tag = field(&whole, &ETAG).expect("a tag").to_owned();
    assert_eq!(tag, format!("\"{}\"", Digest::of(whole.body())));
    let rest = [(RANGE, "bytes=9-"), (IF_RANGE, tag.as_str())];
    let part = fetch(&world, &pk, &transfer, "", &rest).await;
    assert_eq!((part.status().as_u16(), part.body().as_ref()), (206, &expected(0).as_bytes()[9..]));
    assert_eq!(fetch(&world, &pk, &transfer, "/item", &[]).await.status(), 404);

    // Another answer has another tag, and who comes back for the rest gets all of the new one.
    let id = pk.agency().send(provider, HANDLED, "counted").await;
    pk.agency().wait_for(id, "delivered").await;
    let fresh = fetch(&world, &pk, &transfer, "", &rest).await;
    assert_eq!((fresh.status().as_u16(), fresh.body().as_ref()), (200, expected(1).as_bytes()));
    assert_ne!(field(&fresh, &ETAG), Some(tag.as_str()));
    let path = format!("/v1/transfers/{}/data", transfer.pid);
    assert_eq!(pk.agency().get(&path).await.body.as_ref(), expected(1).as_bytes());
    az.stop().await;
    pk.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_that_cannot_be_asked_is_not_offered() {
    let world = World::new(72);
    let (provider, token) = (world.nation(AZ).member.clone(), "may decide");
    let known = Token {
        sha256: Digest::of(token.as_bytes()),
        member: provider.clone(),
        user: "clerk".to_owned(),
        permissions: vec!["agreements.decide".to_owned()],
    };
    let tokens = |settings: &mut Settings| settings.node.tokens = Arc::new(Tokens::new(&[known]));
    let az = world.start_with(AZ, tokens).await;
    let check = async |source: Source, code: &str, text: &str| {
        let refused = az.engine.publish(feed(&world, source)).await.expect_err(text);
        assert_eq!(refused.code(), code, "{refused}");
        assert!(refused.to_string().contains(text), "{refused}");
    };
    let label = json!({ "label": "x" });
    check(query("conut", label.clone()), "operation-unknown", "count, note").await;
    check(query("note", label.clone()), "operation-writes", "name one that only reads").await;
    check(query("count", json!({})), "probe.label", "needs a text `label`").await;
    let long = json!({ "label": "x".repeat(JSON_BYTES_MAX) });
    check(query("count", long), "source", "narrow `source.query.input`").await;
    let nowhere = Source::Query {
        subsystem: "nowhere".to_owned(),
        operation: "count".to_owned(),
        input: label.clone(),
    };
    check(nowhere, "operation-unknown", "no sub-system `nowhere`").await;
    // Who may not ask it cannot let others ask it.
    let body = serde_json::to_vec(&feed(&world, query("count", label))).expect("JSON");
    let refused = Agency::new(az.local(), token.to_owned()).post("/v1/offers", body).await;
    assert_eq!(refused.code(), "permission-missing");
    let nothing = az.engine.unpublish("figures", &provider).await;
    assert_eq!(nothing.expect_err("nothing is offered").kind(), ErrorKind::NotFound);
    az.stop().await;
}

const DATA: &[u8] = b"0123456789abcdef";

/// Starts a system with data that knows open ranges and tags.
async fn data_system() -> System {
    System::start(|seen| {
        let text = |name| seen.headers.get(name).and_then(|value| value.to_str().ok());
        let current = text(IF_RANGE).is_none_or(|tag| tag == "\"v1\"");
        let from = text(RANGE).filter(|_| current);
        let from = from.and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-'));
        let from: Option<usize> = from.and_then(|from| from.parse().ok());
        let data = DATA.get(from.unwrap_or(0)..).unwrap_or_default();
        let answer = Response::builder().header(ETAG, "\"v1\"").header("x-internal", "secret");
        let answer = match from {
            Some(from) => answer.status(206).header(CONTENT_RANGE, format!("bytes {from}-15/16")),
            None => answer,
        };
        let body = Full::new(Bytes::from_static(data)).map_err(|never| match never {}).boxed();
        Some(answer.body(body).expect("an answer"))
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_system_is_pulled_from_and_may_be_away() {
    let world = World::new(73);
    let [az, pk] = world.start_both().await;
    let system = data_system().await;
    let source = Source::Http { url: format!("{}/export?day=1", system.url()) };
    let transfer = transfer(&world, &az, &pk, source).await;
    let check = async |fields: &[(http::HeaderName, &str)], status: u16, body: &[u8]| {
        let answer = fetch(&world, &pk, &transfer, "", fields).await;
        assert_eq!((answer.status().as_u16(), answer.body().as_ref()), (status, body));
        assert_eq!(field(&answer, &ETAG), Some("\"v1\""));
        assert!(!answer.headers().contains_key("x-internal"), "only what is needed passes");
    };
    check(&[], 200, DATA).await;
    assert_eq!(system.last().target, "/export?day=1");
    check(&[(RANGE, "bytes=10-")], 206, b"abcdef").await;
    // Resumed with the tag of the first part; with another tag it begins anew.
    check(&[(RANGE, "bytes=4-"), (IF_RANGE, "\"v1\"")], 206, &DATA[4..]).await;
    check(&[(RANGE, "bytes=4-"), (IF_RANGE, "\"v0\"")], 200, DATA).await;
    assert!(!system.last().headers.contains_key("authorization"), "our token stays here");
    let path = format!("/v1/transfers/{}/data", transfer.pid);
    assert_eq!(pk.agency().get(&path).await.body.as_ref(), DATA);

    drop(system);
    let away = pk.agency().get(&path).await;
    assert_eq!((away.status, away.code().as_str()), (504, "feed-refused"));
    let text = String::from_utf8_lossy(&away.body).into_owned();
    assert!(text.contains("does not answer") && text.contains("try again later"), "{text}");
    // The transfer itself goes on.
    wait_for(&pk, &transfer.pid, "STARTED").await;
    az.stop().await;
    pk.stop().await;
}

/// An agreement that was never negotiated, about these feeds.
fn by_hand(world: &World, id: &str, feeds: &[&str]) -> Agreement {
    let (client, provider) = (world.nation(PK).member.clone(), world.nation(AZ).member.clone());
    let feeds = feeds.iter().map(|&feed| feed.to_owned()).collect();
    Agreement {
        id: id.to_owned(),
        grants: vec![Grant { feeds, ..Grant::new(client, provider) }],
        ..world.federation.agreement.clone()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_feed_is_pulled_under_an_agreement_written_by_hand() {
    let world = World::new(74);
    let agreements =
        [by_hand(&world, "figures", &["figures"]), by_hand(&world, "both", &["figures", "other"])];
    let book = || Arc::new(Agreements::new(world.federation.sign_agreements(&agreements)));
    let with_book = |settings: &mut Settings| settings.node.agreements = book();
    let az = world.start_with(AZ, with_book).await;
    let pk = world.start_with(PK, with_book).await;
    let source = query("count", json!({ "label": "by hand" }));
    az.engine.publish(feed(&world, source)).await.expect("publishes");

    let start = |agreement: &str| {
        json!({ "agreement": agreement, "format": "HttpData-PULL" }).to_string().into_bytes()
    };
    let pid = |answer: &Value| answer["pid"].as_str().expect("a process id").to_owned();
    let good = "urn:karvan:agreement:figures:1";
    let asked: Value = pk.agency().post("/v1/transfers", start(good)).await.read();
    let transfer = wait_for(&pk, &pid(&asked), "STARTED").await;
    let answer = fetch(&world, &pk, &transfer, "", &[]).await;
    assert_eq!(answer.status(), 200, "{:?}", answer.body());
    let answer: Value = serde_json::from_slice(answer.body()).expect("JSON");
    assert_eq!(answer["label"], "by hand");

    let refused = async |agreement: &str, code: &str| {
        let answer = pk.agency().post("/v1/transfers", start(agreement)).await;
        assert_eq!(answer.code(), code, "{agreement}");
    };
    refused("urn:karvan:agreement:both:1", "feed-ambiguous").await;
    refused("urn:karvan:agreement:figures:2", "unknown").await;
    refused("figures", "unknown").await;
    // The provider is no consumer of it.
    let turned = az.agency().post("/v1/transfers", start(good)).await;
    assert_eq!(turned.code(), "unknown");

    // It ends like any other.
    let name = pk.node.agreements().book().iter().next().expect("one").name.clone();
    let member = world.nation(PK).member.clone();
    pk.engine.withdraw(&name, &member, "a test", None).await.expect("withdraws");
    until("the provider knows", async || {
        let answer = fetch(&world, &pk, &transfer, "", &[]).await;
        (answer.status() != 200).then_some(())
    })
    .await;
    refused(good, "unknown").await;
    az.stop().await;
    pk.stop().await;
}
