use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};

use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use karvan_exchange::client::full;
use karvan_system::SystemClock;

use super::node::{open, token};
use super::*;

/// A node with its local interface, and what is needed to ask it.
struct World {
    address: SocketAddr,
    client: Upstream,
    draining: Arc<AtomicBool>,
    node: Node,
    _folder: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let tokens = vec![
            token("operator", "PK/GOV/FBR", &["*"]),
            token("manager", "PK/GOV/FBR", &["services.manage"]),
            token("reader", "PK/GOV/FBR", &["node.read"]),
            token("stranger", "PK/GOV/SBP", &["services.manage"]),
        ];
        let node = open(folder.path(), tokens).await;
        let registry = Arc::new(Registry::open(&node).await.expect("settings"));
        let draining = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&draining);
        let routes = routes(Admin {
            node: node.clone(),
            registry,
            upstream: Arc::new(Upstream::new(Arc::new(SystemClock), None)),
            metrics: Arc::new(Metrics::new()),
            draining: Arc::new(move || flag.load(Ordering::SeqCst)),
        });
        let routes = routes.merge(node.local_routes());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let service = TowerToHyperService::new(routes.clone());
                let served = hyper::server::conn::http1::Builder::new();
                tokio::spawn(served.serve_connection(TokioIo::new(stream), service));
            }
        });
        let client = Upstream::new(Arc::new(SystemClock), None);
        Self { address, client, draining, node, _folder: folder }
    }

    /// Asks and returns status and body; `method_path` is such as `GET /ready`.
    async fn ask(&self, method_path: &str, user: &str, body: &str) -> (u16, String) {
        let (method, path) = method_path.split_once(' ').expect("a method and a path");
        let base = format!("http://{}", self.address);
        let text = format!(r#"{{"member":"PK/GOV/FBR/x","code":"x","baseUrl":"{base}"}}"#);
        let service: Service = serde_json::from_str(&text).expect("a service");
        let mut request = http::Request::builder().method(method).uri(path);
        if !user.is_empty() {
            request = request.header("authorization", format!("Bearer {user}"));
        }
        let request = request.body(full(body.to_owned())).expect("a request");
        let answer = self.client.send(&service, request, Duration::from_secs(20)).await;
        let (head, body) = answer.expect("answered").into_parts();
        let body = body.collect().await.expect("read").to_bytes();
        (head.status.as_u16(), String::from_utf8(body.to_vec()).expect("UTF-8"))
    }

    #[track_caller]
    fn check(
        &self,
        method_path: &str,
        user: &str,
        body: &str,
        expected: (u16, &str),
    ) -> impl Future<Output = ()> {
        let place = std::panic::Location::caller();
        async move {
            let (status, text) = self.ask(method_path, user, body).await;
            assert_eq!(status, expected.0, "{place}: {text}");
            assert!(text.contains(expected.1), "{place}: {text}");
        }
    }
}

const PETS: &str = "/v1/services/PK/GOV/FBR/customs/pets";
const CUSTOMS: &str = "/v1/clients/PK/GOV/FBR/customs";
const SETTINGS: &str = r#"{"baseUrl":"http://10.0.0.5/api"}"#;

#[tokio::test]
async fn every_route_asks_for_its_permission() {
    let world = World::new().await;
    for (method_path, allowed) in [
        ("GET /v1/services".to_owned(), "reader"),
        (format!("GET {PETS}"), "reader"),
        (format!("PUT {PETS}"), "manager"),
        (format!("DELETE {PETS}"), "manager"),
        ("GET /v1/clients".to_owned(), "reader"),
        (format!("GET {CUSTOMS}"), "reader"),
        (format!("PUT {CUSTOMS}"), "manager"),
        (format!("DELETE {CUSTOMS}"), "manager"),
    ] {
        let denied = if allowed == "reader" { "manager" } else { "reader" };
        world.check(&method_path, "", "{}", (401, "token-missing")).await;
        world.check(&method_path, denied, "{}", (403, "permission-missing")).await;
        let (status, text) = world.ask(&method_path, allowed, "{}").await;
        assert!(![401, 403, 405].contains(&status), "{method_path}: {status} {text}");
        if allowed == "manager" {
            world.check(&method_path, "stranger", "{}", (403, "token-of-another")).await;
        }
    }
    world.check("GET /metrics", "", "", (200, "# EOF")).await;
}

#[tokio::test]
async fn services_and_clients_are_set_shown_and_removed() {
    let world = World::new().await;
    let put = |path: &str| format!("PUT {path}");
    let get = |path: &str| format!("GET {path}");
    world.check(&put(PETS), "manager", SETTINGS, (201, r#""enabled":true"#)).await;
    world.check(&put(PETS), "manager", SETTINGS, (200, r#""code":"pets""#)).await;
    world.check(&get(PETS), "reader", "", (200, "http://10.0.0.5/api")).await;
    world.check("GET /v1/services", "reader", "", (200, "http://10.0.0.5/api")).await;
    world
        .check(
            "PUT /v1/services/PK/GOV/FBR/customs/listMethods",
            "manager",
            SETTINGS,
            (422, "keeps"),
        )
        .await;
    let other = "PUT /v1/services/PK/GOV/SBP/rates/gold";
    world.check(other, "operator", SETTINGS, (403, "does not serve")).await;
    world.check(&put(PETS), "manager", r#"{"baseUrl":"x"}"#, (422, "/baseUrl")).await;
    let access = r#"{"plainHttp":true,"legacyCodes":true}"#;
    world.check(&put(CUSTOMS), "manager", access, (201, r#""plainHttp":true"#)).await;
    world.check(&get(CUSTOMS), "reader", "", (200, r#""legacyCodes":true"#)).await;

    // What was set is durable: another registry of the same store has it.
    let again = Registry::open(&world.node).await.expect("settings");
    let customs = "PK/GOV/FBR/customs".parse().expect("a member");
    assert!(again.find(&customs, "pets").is_some() && again.client(&customs).plain_http);

    world.check(&format!("DELETE {PETS}"), "manager", "", (204, "")).await;
    world.check(&format!("DELETE {PETS}"), "manager", "", (404, "service-unknown")).await;
    world.check(&get(PETS), "reader", "", (404, "service-unknown")).await;
    world.check(&format!("DELETE {CUSTOMS}"), "manager", "", (204, "")).await;
    world.check(&get(CUSTOMS), "reader", "", (200, r#""plainHttp":false"#)).await;
    let again = Registry::open(&world.node).await.expect("settings");
    assert!(again.find(&customs, "pets").is_none() && !again.client(&customs).plain_http);
}

#[tokio::test]
async fn endpoints_are_read_from_the_description() {
    let world = World::new().await;
    let document = r#"{"openapi":"3.0.0","paths":{"/pets/{id}":{"get":{}}}}"#;
    let settings = |description: &str| {
        object!({
            "baseUrl": "http://10.0.0.5",
            "kind": { "type": "openapi", "description": description },
        })
        .to_string()
    };
    let put = format!("PUT {PETS}");
    world.check(&put, "manager", &settings(document), (201, r#""path":"/pets/*""#)).await;
    let nowhere = settings("http://nowhere.invalid/openapi.json");
    world.check(&put, "manager", &nowhere, (504, "description-unreachable")).await;
    world.check(&format!("GET {PETS}"), "reader", "", (200, "/pets/*")).await;
}

#[tokio::test]
async fn a_node_is_ready_until_it_drains() {
    let world = World::new().await;
    world.check("GET /ready", "", "", (200, r#""ready":true"#)).await;
    world.draining.store(true, Ordering::SeqCst);
    world.check("GET /ready", "", "", (503, "the node is stopping")).await;
    world.check("GET /health", "", "", (200, "ok")).await;
}
