use karvan_agreements::{Agreement, Endpoint, Grant, ServiceGrant};
use karvan_system::{SystemClock, SystemEntropy};
use karvan_trust::document::sign_document;
use karvan_trust::keys::{Algorithm, MemoryKeys};
use karvan_trust::lists::{
    FederationRoot, LIST_TYP, Member, NationalList, ROOT_TYP, RootKey, RootNation, Subsystem,
};
use karvan_types::Digest;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

const NOW: Timestamp = Timestamp::from_seconds(1_790_000_000);
const LATER: Timestamp = Timestamp::from_seconds(1_800_000_000);

fn member(text: &str) -> MemberId {
    text.parse().expect("a member")
}

fn lists() -> Arc<Snapshot> {
    let keys = MemoryKeys::new();
    let mut nations = Vec::new();
    for nation in ["AZ", "PK"] {
        let kid: karvan_trust::keys::KeyId = format!("{nation}#root-1").parse().expect("a key id");
        let jwk = keys.generate(&kid, Algorithm::Ed25519, &SystemEntropy).expect("a key");
        nations.push(RootNation {
            scheme_territory: nation.parse().expect("an instance"),
            scheme_operator_name: "Operator".to_owned(),
            keys: vec![RootKey { kid, jwk }],
            certificate_authorities: Vec::new(),
        });
    }
    let root =
        FederationRoot { sequence_number: 1, issue_date_time: NOW, next_update: LATER, nations };
    let signers = ["AZ#root-1", "PK#root-1"].map(|name| name.parse().expect("a key id"));
    let root = sign_document(ROOT_TYP, &root, &signers, &keys).expect("signed");
    let list = NationalList {
        scheme_territory: "PK".parse().expect("an instance"),
        scheme_operator_name: "Operator".to_owned(),
        sequence_number: 1,
        issue_date_time: NOW,
        next_update: LATER,
        certificate_authorities: Vec::new(),
        timestamp_authorities: Vec::new(),
        members: vec![Member {
            id: member("PK/GOV/FBR"),
            name: "Revenue & Customs".to_owned(),
            roles: Vec::new(),
            subsystems: vec![Subsystem {
                id: member("PK/GOV/FBR/customs"),
                name: "Customs".to_owned(),
                roles: Vec::new(),
            }],
            keys: Vec::new(),
        }],
        nodes: Vec::new(),
    };
    let [_, signer] = signers;
    let list = sign_document(LIST_TYP, &list, &[signer], &keys).expect("signed");
    Arc::new(Snapshot::of_documents(&root, &[&list]).expect("accepted"))
}

#[test]
fn clients_of_a_nation_are_listed_on_demand() {
    let lists = lists();
    let [az, pk] = ["AZ", "PK"].map(|name| name.parse().expect("an instance"));
    let list = |own, query, accept: &'static [u8]| {
        let described = list_clients(&lists, own, query, [accept], NOW)?;
        let body = String::from_utf8(described.body).expect("UTF-8");
        Ok::<_, Rejection>((described.content_type, body))
    };
    let (kind, own) = list(pk, None, b"application/json").expect("the own nation");
    assert_eq!(kind, JSON);
    assert!(own.contains(r#""subsystem_code":"customs""#) && own.contains("Revenue & Customs"));
    let (kind, abroad) = list(az, Some("xRoadInstance=PK"), b"*/*").expect("the other nation");
    assert_eq!(kind, XML);
    assert!(abroad.contains("Revenue &amp; Customs"), "{abroad}");
    for (own, query, code) in [
        (pk, Some("xRoadInstance=XX"), "instance-unknown"),
        (pk, Some("xRoadInstance=nonsense"), "instance-unknown"),
        (pk, Some("xRoadInstance=%"), "query"),
        (az, None, "instance-unknown"),
    ] {
        assert_eq!(list(own, query, b"*/*").expect_err("refused").code, code, "{query:?}");
    }
    let late = list_clients(&lists, pk, None, [], LATER).expect_err("ended");
    assert_eq!(late.code, "list-not-in-force");
}

fn service(code: &str, rest: &str) -> Service {
    let text = format!(
        r#"{{"member":"PK/GOV/FBR/customs","code":"{code}","baseUrl":"http://h",
            "endpoints":[{{"method":"GET","path":"/a"}},{{"method":"PUT","path":"/b"}}]{rest}}}"#
    );
    serde_json::from_str(&text).expect("a service")
}

fn book() -> AgreementBook {
    let endpoint = Endpoint { method: "GET".to_owned(), path: "/a".to_owned() };
    let part = ServiceGrant { service: "part".to_owned(), endpoints: vec![endpoint] };
    let whole = ServiceGrant { service: "whole".to_owned(), endpoints: Vec::new() };
    let provider = member("PK/GOV/FBR/customs");
    let mut grant = Grant::new(member("AZ/GOV/SCC/customs"), provider);
    grant.services = vec![part.clone(), whole, part];
    let agreement = Agreement {
        id: "az-pk".to_owned(),
        version: 1,
        purpose: "tests".to_owned(),
        legal_basis: "a test".to_owned(),
        valid_from: NOW,
        valid_until: LATER,
        grants: vec![grant],
        policy: None,
    };
    let mut book = AgreementBook::default();
    book.add(agreement, Digest::default(), Vec::new());
    book
}

async fn ask(
    registry: &Registry,
    question: Question,
    query: Option<&str>,
    now: Timestamp,
) -> Result<Described, Rejection> {
    let (client, provider) = (member("AZ/GOV/SCC/customs"), member("PK/GOV/FBR/customs"));
    let asked = Asked { question, client: &client, provider: &provider, query, now };
    answer(asked, registry, &book(), &Upstream::new(Arc::new(SystemClock), None)).await
}

/// Returns the codes of an answer, each with the number of its endpoints.
fn codes(described: &Described) -> Vec<(String, usize)> {
    let body: serde_json::Value = serde_json::from_slice(&described.body).expect("JSON");
    let services = body["service"].as_array().expect("a list").iter();
    let code = |it: &serde_json::Value| it["service_code"].as_str().expect("a code").to_owned();
    services.map(|it| (code(it), it["endpoint_list"].as_array().expect("a list").len())).collect()
}

#[tokio::test]
async fn all_services_and_those_that_agreements_allow() {
    let names = ["none", "part", "whole"];
    let registry = Registry::of_services(names.map(|code| service(code, "")));
    let all = ask(&registry, Question::ListMethods, None, NOW).await.expect("listed");
    assert_eq!(codes(&all), names.map(|code| (code.to_owned(), 2)));
    let allowed = ask(&registry, Question::AllowedMethods, None, NOW).await.expect("listed");
    assert_eq!(codes(&allowed), [("part".to_owned(), 1), ("whole".to_owned(), 2)]);
    let later = ask(&registry, Question::AllowedMethods, None, LATER).await.expect("listed");
    assert_eq!(codes(&later), []);
}

#[tokio::test]
async fn descriptions_lose_inside_addresses() {
    let document = r#"{"openapi":"3.0.0","servers":[{"url":"http://10.0.0.5:81/api"}]}"#;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 1024];
            let read = stream.read(&mut request).await.unwrap_or(0);
            let found = request[..read].starts_with(b"GET /d.json?v=1 ");
            let status = if found { "200 OK" } else { "404 Not Found" };
            let head = "Content-Type: application/vnd.oai.openapi+json\r\nConnection: close";
            let answer = format!("HTTP/1.1 {status}\r\n{head}\r\n\r\n{document}");
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    let described = |code: &str, description: &str| {
        let kind = serde_json::json!({ "type": "openapi", "description": description });
        service(code, &format!(r#","kind":{kind}"#))
    };
    let registry = Registry::of_services([
        service("rest", ""),
        described("inline", document),
        described("live", &format!("http://{address}/d.json?v=1")),
        described("gone", &format!("http://{address}/none")),
    ]);
    for (code, kind) in
        [("inline", "application/json"), ("live", "application/vnd.oai.openapi+json")]
    {
        let query = format!("serviceCode={code}");
        let found = ask(&registry, Question::GetOpenApi, Some(&query), NOW).await.expect("given");
        assert_eq!(found.content_type, kind);
        assert_eq!(found.body, document.replace("http://10.0.0.5:81", "").as_bytes());
    }
    for (query, code) in [
        (None, "service-code-missing"),
        (Some("serviceCode=none"), "service-unknown"),
        (Some("serviceCode=rest"), "service-not-described"),
        (Some("serviceCode=gone"), "description-unreachable"),
    ] {
        let refusal = ask(&registry, Question::GetOpenApi, query, NOW).await.expect_err("refused");
        assert_eq!(refusal.code, code);
        assert!(!refusal.text.contains("127.0.0.1"), "{refusal}");
    }
}
