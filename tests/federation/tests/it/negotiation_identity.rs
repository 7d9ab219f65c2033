//! Who may say what: tokens, signatures, and processes of others.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, Response};
use karvan_federation::{AZ, PK, Station, World};
use karvan_negotiation::identity::{Identity as _, MemberTokens, participant_of};
use karvan_negotiation::line::BASE_PATH;
use serde_json::{Value, json};

use crate::negotiation::{ask, service, wait_for};

struct Case {
    world: World,
    az: Station,
    pk: Station,
    tokens: MemberTokens,
}

impl Case {
    async fn new(seed: u64) -> Self {
        let world = World::new(seed);
        let [az, pk] = world.start_both().await;
        let provider = &world.nation(AZ).member;
        az.engine.publish(service("vehicles", provider, true)).await.expect("publishes");
        let tokens = MemberTokens::new(pk.node.clone());
        Self { world, az, pk, tokens }
    }

    /// Makes a token of Pakistan's first or second subsystem for Azerbaijan's node.
    fn token(&self, archive: bool) -> String {
        let nation = self.world.nation(PK);
        let own = if archive { &nation.archive } else { &nation.member };
        let peer = participant_of(&self.world.nation(AZ).member);
        self.tokens.token_for(&participant_of(own), &peer, "").expect("a token")
    }

    async fn send(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        body: &Value,
    ) -> Response<Bytes> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, "application/json".parse().expect("a type"));
        if let Some(token) = token {
            headers.insert(AUTHORIZATION, token.parse().expect("a token"));
        }
        let node = &self.world.nation(AZ).node;
        let path = format!("{BASE_PATH}{path}");
        let body = if body.is_null() { Bytes::new() } else { body.to_string().into() };
        self.pk.node.ask(node, method, &path, &headers, body).await.expect("an answer")
    }

    async fn get(&self, path: &str, token: Option<&str>) -> u16 {
        self.send("GET", path, token, &Value::Null).await.status().as_u16()
    }

    async fn stop(self) {
        drop(self.tokens);
        self.az.stop().await;
        self.pk.stop().await;
    }
}

/// Writes the claims of a token anew and leaves its signature.
fn altered(token: &str, change: impl Fn(&mut Value)) -> String {
    let parts: Vec<_> = token.split('.').collect();
    let claims = URL_SAFE_NO_PAD.decode(parts[1]).expect("base64url");
    let mut claims: Value = serde_json::from_slice(&claims).expect("claims");
    change(&mut claims);
    format!("{}.{}.{}", parts[0], URL_SAFE_NO_PAD.encode(claims.to_string()), parts[2])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_counts_once_for_one_node_and_as_signed() {
    let case = Case::new(91).await;
    let path = "/catalog/datasets/vehicles";
    let token = case.token(false);
    assert_eq!(case.get(path, Some(&token)).await, 200);
    assert_eq!(case.get(path, Some(&token)).await, 401, "used before");
    assert_eq!(case.get(path, None).await, 401);
    assert_eq!(case.get(path, Some("Bearer a.b.c")).await, 401);
    assert_eq!(case.get(path, Some("Basic x")).await, 401);
    let own = participant_of(&case.world.nation(PK).member);
    let here = format!("urn:karvan:node:{}", case.world.nation(PK).node);
    let other = case.tokens.token_for(&own, &here, "").expect("a token");
    assert_eq!(case.get(path, Some(&other)).await, 401, "for another node");
    let az = participant_of(&case.world.nation(AZ).member);
    for (name, value) in
        [("sub", json!(az)), ("jti", json!("other")), ("exp", json!(4_102_444_800_i64))]
    {
        let forged = altered(&case.token(false), |claims| claims[name] = value.clone());
        assert_eq!(case.get(path, Some(&forged)).await, 401, "{name} was changed");
    }
    assert!(case.tokens.token_for(&az, &own, "").is_err(), "no key of a foreign member is here");
    case.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_is_its_parties_own_and_its_messages_are_signed() {
    let case = Case::new(92).await;
    let asked = ask(&case.world, &case.pk, "vehicles").await;
    let done = wait_for(&case.pk, &asked.pid, "FINALIZED").await;
    let theirs = done.peer_pid.expect("known");
    let path = format!("/negotiations/{theirs}");
    assert_eq!(case.get(&path, Some(&case.token(false))).await, 200);
    assert_eq!(case.get(&path, Some(&case.token(true))).await, 404, "not a party");
    assert_eq!(case.get(&path, None).await, 401);
    let context = ["https://w3id.org/dspace/2025/1/context.jsonld"];
    let end = json!({ "@context": context, "@type": "ContractNegotiationTerminationMessage",
        "providerPid": theirs, "consumerPid": asked.pid });
    let answer =
        case.send("POST", &format!("{path}/termination"), Some(&case.token(false)), &end).await;
    assert_eq!(answer.status(), 401, "unsigned: {:?}", answer.body());
    let shown = case.az.engine.process(&theirs).await.expect("reads").expect("known");
    assert_eq!(shown.stage.name(), "FINALIZED");
    case.stop().await;
}
