use karvan_store::{SqliteStore, Store};

use super::*;
use crate::records::MIGRATIONS;

fn member(text: &str) -> MemberId {
    text.parse().expect("a member")
}

fn service(code: &str) -> Service {
    let text = format!(
        r#"{{"member":"PK/GOV/FBR/customs","code":"{code}","baseUrl":"https://10.0.0.5/api"}}"#
    );
    serde_json::from_str(&text).expect("a service")
}

#[test]
fn what_is_left_out_is_safe() {
    let service = service("pets");
    assert!(service.enabled && service.verify_tls);
    assert_eq!((service.timeout, service.connections_max), (Duration::from_mins(1), 64));
    assert_eq!(service.connect_timeout, Duration::from_secs(30));
    assert_eq!(service.check(), Ok(()));
    let client = ClientAccess::new(member("PK/GOV/FBR/customs"));
    assert!(!client.plain_http && client.certificates.is_empty());
    let unknown = r#"{"subsystem":"PK/GOV/FBR/customs","plainHTTP":true}"#;
    assert!(serde_json::from_str::<ClientAccess>(unknown).is_err());
}

#[track_caller]
fn check(change: impl FnOnce(&mut Service), field: &str, part: &str) {
    let mut service = service("pets");
    change(&mut service);
    let refusal = service.check().expect_err(field);
    assert_eq!(refusal.pointers[0].pointer, format!("/{field}"));
    assert!(refusal.text.contains(part), "{refusal}");
    assert!(!refusal.pointers[0].remedy.is_empty());
}

#[test]
fn what_breaks_a_rule_is_refused_with_field_rule_and_remedy() {
    check(|it| it.code = "listMethods".to_owned(), "code", "keeps for itself");
    for code in ["", "..", "a/b", "a%b", "a\nb", "a;b", &"x".repeat(256)] {
        check(|it| it.code = code.to_owned(), "code", "1 to 255 bytes");
    }
    check(|it| it.member = member("PK/GOV/FBR"), "member", "subsystem");
    for url in ["ftp://h", "https://", "http://u@h/", "https://h/?q", "h"] {
        check(|it| it.base_url = url.to_owned(), "baseUrl", "malformed");
    }
    for millis in [0, 600_001] {
        let time = Duration::from_millis(millis);
        check(|it| it.timeout = time, "timeoutMs", "600000");
        check(|it| it.connect_timeout = time, "connectTimeoutMs", "600000");
    }
    check(|it| it.connections_max = 0, "connectionsMax", "1 to 1024");
    check(|it| it.notice = Some("x".repeat(1_001)), "notice", "1000");
    check(|it| it.authorities = Some("none".to_owned()), "authorities", "PEM");
    let described = |text: &str| ServiceKind::OpenApi { description: text.to_owned() };
    check(|it| it.kind = described("{}"), "kind/description", "OpenAPI 3");
    check(|it| it.kind = described("https://?"), "kind/description", "host");
    let right = |method: &str, path: &str| EndpointRight {
        method: method.to_owned(),
        path: path.to_owned(),
    };
    check(|it| it.endpoints = vec![right("get", "/")], "endpoints", "method");
    check(|it| it.endpoints = vec![right("*", "**"); 2_001], "endpoints", "2000");
    let access = ClientAccess {
        certificates: vec![Digest::default(); 65],
        ..ClientAccess::new(member("PK/GOV/FBR"))
    };
    assert!(access.check().expect_err("too many").text.contains("64"));
}

#[test]
fn endpoints_come_from_the_description() {
    let json = r#"{"openapi":"3.1.0","paths":{
        "/pets/{id}/photos/{n}":{"get":{},"delete":{},"parameters":[]},
        "/a*b":{"post":{"x-rate":0.5}}}}"#;
    let block = "openapi: 3.1.0\npaths:\n  /pets/{id}/photos/{n}:\n    get: {}\n    delete:\n      \
                 responses: [1, {x: y}]\n    parameters: []\n  '/a*b':\n    \"post\": \
                 {x-rate: 0.5}\n";
    let flow =
        "openapi: 3.1.0\npaths: {/pets/{id}/photos/{n}: {get: , delete: [], parameters: a}}\n";
    let quoted = "openapi: 3.1.0\npaths: {\"/pets/{id}/photos/{n}\": {get: , delete: []}, \
                  \"/a\\u002ab\": {post: x}, /c: *gone}\n";
    let alias = "x: &item {get: {}}\nopenapi: 3.1.0\npaths:\n  /c: *item\n  /d: {$ref: '#/x'}\n";
    let all = [r"POST /a\*b", "DELETE /pets/*/photos/*", "GET /pets/*/photos/*"];
    for (description, expected) in [
        (json, Some(&all[..])),
        (block, Some(&all)),
        (flow, None),
        (quoted, None),
        (&quoted.replace(", /c: *gone", ""), Some(&all)),
        (alias, Some(&[])),
        ("openapi: 3.0.0\n", Some(&[])),
        ("openapi: [", None),
    ] {
        let found = openapi::endpoints(description.as_bytes()).ok().map(|found| {
            found.iter().map(|it| format!("{} {}", it.method, it.path)).collect::<Vec<_>>()
        });
        let expected = expected.map(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(found, expected, "{description}");
    }
}

#[tokio::test]
async fn what_is_stored_is_read_again() {
    let folder = tempfile::tempdir().expect("folder");
    let open = || Store::new(SqliteStore::open(folder.path(), MIGRATIONS).expect("opened"));
    let mut access = ClientAccess::new(member("PK/GOV/FBR/customs"));
    access.certificates.push(Digest::of(b"certificate"));
    let kind = ServiceKind::OpenApi { description: "http://h/openapi.json".to_owned() };
    let pets = Service { kind, notice: Some("soon".to_owned()), ..service("pets") };
    let rows = (access.clone(), pets.clone(), service("wolves"));
    let written: Result<(), Error> = open()
        .write(move |tx| {
            tx.save(&rows.0)?;
            tx.save(&rows.1)?;
            tx.save(&rows.2)?;
            tx.remove::<Service>("PK/GOV/FBR/customs/wolves").map(|_| ())
        })
        .await;
    written.expect("written");
    let settings: Settings = open().read(|view| Settings::read(view)).await.expect("read");
    let registry = Registry { live: ArcSwap::from_pointee(settings), writing: Mutex::default() };
    assert_eq!(registry.find(&pets.member, "pets").as_deref(), Some(&pets));
    assert_eq!(registry.find(&pets.member, "wolves"), None);
    assert_eq!(registry.of_member(&pets.member).len(), 1);
    assert_eq!(*registry.client(&access.subsystem), access);
    let other = member("PK/GOV/FBR/other");
    assert_eq!(*registry.client(&other), ClientAccess::new(other.clone()));
}
