//! The live cases of X-Road's protocol, against two real nodes.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use karvan_agreements::{Agreement, Agreements, Endpoint, Grant, ServiceGrant};
use karvan_calls::registry::{ClientAccess, Service, ServiceKind};
use karvan_federation::{AZ, Answer, PK, Seen, Station, System, World, service};
use karvan_trust::lists::Subsystem;
use karvan_types::{ExchangeId, MemberId};
use karvan_xroad::Method;
use karvan_xroad::head::{BodyHash, request_hash, write_request};
use karvan_xroad::header::{RequestAdditions, passes_in_request};
use serde::Deserialize;
use serde_json::Value;
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpSocket};

const CASES: &[u8] = include_bytes!("../../../../base/xroad/testdata/conformance/live.json");
/// What the provider's system answers when a case says nothing.
const OK: &str = "{\"ok\":true}";
/// The services of the scene: subsystem, code, path of the base.
const SERVICES: [(&str, &str, &str); 6] = [
    ("AZ/GOV/SCC/customs", "declarations", "/api"),
    ("AZ/GOV/SCC/customs", "pets", "/pets/"),
    ("AZ/GOV/SCC/customs", "closed", "/api"),
    ("AZ/GOV/SCC/customs", "nowhere", ""),
    ("AZ/GOV/SCC/g%C3%B6mr%C3%BCk", "bəyan", "/api"),
    ("AZ/GOV/SCC/a%2Fb", "c", "/api"),
];

type Fields = Vec<(String, String)>;

#[derive(Deserialize)]
struct Case {
    name: String,
    request: Request,
    provider: Option<Said>,
    provider_state: Option<String>,
    #[serde(default)]
    legacy_codes: bool,
    expect: Expect,
}

#[derive(Deserialize)]
struct Request {
    method: String,
    target: String,
    headers: Fields,
    #[serde(default)]
    body: String,
}

#[derive(Clone, Deserialize)]
struct Said {
    status: u16,
    headers: Fields,
    body: String,
}

#[derive(Deserialize)]
struct Expect {
    status: u16,
    #[serde(default)]
    headers: Fields,
    #[serde(default)]
    absent: Vec<String>,
    #[serde(default)]
    once: Vec<String>,
    body: Option<String>,
    json: Option<Value>,
    #[serde(default)]
    provider: Wanted,
}

/// What a case says about the provider's system.
#[derive(Default)]
enum Wanted {
    /// No matter.
    #[default]
    Anything,
    /// It must not be reached.
    Nothing,
    /// It must be reached like this.
    Reached(Reached),
}

impl<'de> Deserialize<'de> for Wanted {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let reached = Option::<Reached>::deserialize(from)?;
        Ok(reached.map_or(Self::Nothing, Self::Reached))
    }
}

/// What must have reached the provider's system.
#[derive(Deserialize)]
struct Reached {
    method: Option<String>,
    target: Option<String>,
    #[serde(default)]
    headers: Fields,
    #[serde(default)]
    absent: Vec<String>,
    body: Option<String>,
    calls: Option<usize>,
}

/// Compares a text with a pattern of fixed text and placeholders.
fn fits(pattern: &str, text: &str) -> bool {
    let Some((before, rest)) = pattern.split_once('{').filter(|_| has_placeholder(pattern)) else {
        return pattern == text;
    };
    let Some((name, after)) = rest.split_once('}') else { return pattern == text };
    let Some(middle) = text.strip_prefix(before) else { return false };
    let good = |value: &str| match name {
        "uuid" => value.parse::<ExchangeId>().is_ok(),
        "hash" => value.len() == 88 && value.ends_with("=="),
        "text" => !value.is_empty(),
        _ => true,
    };
    (0..=middle.len())
        .filter(|at| middle.is_char_boundary(*at))
        .any(|at| good(&middle[..at]) && fits(after, &middle[at..]))
}

fn has_placeholder(pattern: &str) -> bool {
    ["{uuid}", "{hash}", "{text}", "{any}"].iter().any(|name| pattern.contains(name))
}

fn fits_json(pattern: &Value, value: &Value) -> bool {
    match (pattern, value) {
        (Value::String(pattern), Value::String(text)) => fits(pattern, text),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| fits_json(a, b)))
        }
        (a, b) => a == b,
    }
}

fn compare_headers(wanted: &Fields, absent: &[String], found: &HeaderMap) -> Result<(), String> {
    let mut names: Vec<_> = wanted.iter().map(|(name, _)| name.as_str()).collect();
    names.dedup();
    for name in names {
        let patterns: Vec<_> =
            wanted.iter().filter(|(it, _)| it == name).map(|(_, value)| value).collect();
        let values: Vec<_> = found
            .get_all(name)
            .iter()
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
            .collect();
        let same = patterns.len() == values.len()
            && patterns.iter().zip(&values).all(|(pattern, value)| fits(pattern, value));
        if !same {
            return Err(format!("{name} is {values:?}, not {patterns:?}"));
        }
    }
    match absent.iter().find(|name| found.contains_key(name.as_str())) {
        Some(name) => Err(format!("{name} is there")),
        None => Ok(()),
    }
}

/// Compares an answer, and what the provider's system saw, with what a case expects.
fn compare(expect: &Expect, answer: &Answer, seen: &[Seen]) -> Result<(), String> {
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    if answer.status != expect.status {
        return Err(format!("status {}: {text}", answer.status));
    }
    compare_headers(&expect.headers, &expect.absent, &answer.headers)?;
    for name in &expect.once {
        if answer.headers.get_all(name).iter().count() != 1 {
            return Err(format!("{name} is not there once"));
        }
    }
    let json = || serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
    let same = expect.body.as_ref().is_none_or(|body| fits(body, &text))
        && expect.json.as_ref().is_none_or(|wanted| fits_json(wanted, &json()));
    if !same {
        return Err(format!("the body is {text}"));
    }
    match (&expect.provider, seen) {
        (Wanted::Anything, _) | (Wanted::Nothing, []) => Ok(()),
        (Wanted::Nothing, _) => Err("the provider's system was reached".to_owned()),
        (Wanted::Reached(wanted), seen) => compare_reached(wanted, seen),
    }
}

fn compare_reached(wanted: &Reached, seen: &[Seen]) -> Result<(), String> {
    let last = seen.last().ok_or("the provider's system was not reached")?;
    if wanted.calls.is_some_and(|calls| calls != seen.len()) {
        return Err(format!("the provider's system was reached {} times", seen.len()));
    }
    let same = wanted.method.as_ref().is_none_or(|method| *method == last.method)
        && wanted.target.as_ref().is_none_or(|target| *target == last.target)
        && wanted.body.as_ref().is_none_or(|body| body.as_bytes() == last.body);
    if !same {
        return Err(format!("reached by {} {} {:?}", last.method, last.target, last.body));
    }
    compare_headers(&wanted.headers, &wanted.absent, &last.headers)
}

/// Makes the request hash anew (X-Road 7 code; PR-REST 4.4) from what was asked and the ids in the
/// answer.
fn compare_hash(asked: &Request, fields: &[(&str, &str)], answer: &Answer) -> Result<(), String> {
    let text = |name: &str| answer.headers.get(name).and_then(|value| value.to_str().ok());
    let Some(found) = text("x-road-request-hash") else { return Ok(()) };
    let method = Method::parse(&asked.method).map_err(|error| error.to_string())?;
    // Fields of one name stand together, where the first of them was.
    let mut grouped = HeaderMap::new();
    for (name, value) in fields {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| error.to_string())?;
        let value = HeaderValue::from_bytes(value.as_bytes()).map_err(|error| error.to_string())?;
        grouped.append(name, value);
    }
    let given = grouped.contains_key("x-road-id");
    let additions = RequestAdditions {
        request_id: text("x-road-request-id").unwrap_or_default(),
        message_id: text("x-road-id").filter(|_| !given),
    };
    let kept = grouped.iter().filter(|(name, _)| {
        passes_in_request(name.as_str()) && !name.as_str().starts_with("karvan-")
    });
    let kept = kept.map(|(name, value)| (name.as_str(), value.as_bytes()));
    let mut head = Vec::new();
    write_request(&mut head, method, &asked.target, kept, additions);
    let mut body = BodyHash::default();
    body.update(asked.body.as_bytes());
    let expected = request_hash(&head, body.finish());
    if expected == found {
        return Ok(());
    }
    Err(format!("the hash is {found}, not {expected}, of {}", String::from_utf8_lossy(&head)))
}

fn member(text: &str) -> MemberId {
    text.parse().expect("a member id")
}

/// The two nations of the scene, with its subsystems on their lists.
fn scene(seed: u64) -> World {
    let mut world = World::new(seed);
    let more = [
        ("AZ/GOV/SCC/g%C3%B6mr%C3%BCk", AZ),
        ("AZ/GOV/SCC/a%2Fb", AZ),
        ("PK/GOV/FBR/stranger", PK),
    ];
    for (id, nation) in more {
        let nation = &mut world.federation.nations[nation];
        let name = "a service for tests".to_owned();
        let subsystem = Subsystem { id: member(id), name, roles: Vec::new() };
        nation.content.members[0].subsystems.push(subsystem);
        nation.list = nation.sign_list(&nation.content);
    }
    world
}

fn agreement(world: &World) -> Agreement {
    let client = world.nation(PK).member.clone();
    let grants = SERVICES.map(|(provider, code, _)| {
        let right =
            |method: &str, path: &str| Endpoint { method: method.into(), path: path.into() };
        let endpoints = if code == "pets" { vec![right("GET", "/pets/*")] } else { Vec::new() };
        let services = vec![ServiceGrant { service: code.to_owned(), endpoints }];
        Grant { services, ..Grant::new(client.clone(), member(provider)) }
    });
    Agreement {
        id: "live".to_owned(),
        grants: grants.to_vec(),
        ..world.federation.agreement.clone()
    }
}

/// A system that resets every connection once it has read a request.
async fn resetting(seen: Arc<Mutex<Vec<Seen>>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut bytes = [0; 4096];
            let read = stream.read(&mut bytes).await.unwrap_or(0);
            let text = String::from_utf8_lossy(&bytes[..read]).into_owned();
            let mut words = text.split(' ').map(str::to_owned);
            lock(&seen).push(Seen {
                method: words.next().unwrap_or_default(),
                target: words.next().unwrap_or_default(),
                headers: HeaderMap::new(),
                size: 0,
                digest: karvan_types::Digest::default(),
                body: Bytes::new(),
            });
            let _ = stream.set_zero_linger();
        }
    });
    url
}

/// Registers the services of the scene with the provider's system at `url`.
async fn offer(az: &Station, url: &str, timeout: Duration) {
    for (provider, code, base) in SERVICES {
        let base = if code == "nowhere" {
            "http://no-such-host.invalid/".to_owned()
        } else {
            format!("{url}{base}")
        };
        let description = format!("{url}/openapi.json");
        let kind =
            if code == "pets" { ServiceKind::OpenApi { description } } else { ServiceKind::Rest };
        let enabled = code != "closed";
        let offered = service(&member(provider), code, &base);
        az.offer(Service { kind, enabled, timeout, ..offered }).await;
    }
}

/// The scene while cases are played.
struct Stage {
    world: World,
    /// Gone from the first case on in which no node of it answers.
    az: Option<Station>,
    pk: Station,
    /// What the provider's system says next.
    said: Arc<Mutex<Option<Said>>>,
    system: System,
    resets: Arc<Mutex<Vec<Seen>>>,
    resetting: String,
    closed: String,
}

fn lock<T>(shared: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Said {
    fn answer(self) -> Response<BoxBody<Bytes, std::io::Error>> {
        let body = Full::new(Bytes::from(self.body)).map_err(|never| match never {}).boxed();
        let mut answer = Response::new(body);
        *answer.status_mut() = self.status.try_into().expect("a status");
        for (name, value) in self.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
            answer.headers_mut().append(name, HeaderValue::from_str(&value).expect("a value"));
        }
        answer
    }
}

impl Stage {
    async fn new(seed: u64) -> Self {
        let world = scene(seed);
        let book = world.federation.sign_agreements(&[agreement(&world)]);
        let start = |own| {
            let agreements = Arc::new(Agreements::new(book.clone()));
            world.start_with(own, |settings| settings.node.agreements = agreements)
        };
        let (az, pk) = (Some(start(AZ).await), start(PK).await);
        let said: Arc<Mutex<Option<Said>>> = Arc::default();
        let script = Arc::clone(&said);
        let system = System::start(move |_| lock(&script).clone().map(Said::answer)).await;
        let resets: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let resetting = resetting(Arc::clone(&resets)).await;
        let closed = TcpSocket::new_v4().expect("a socket");
        closed.bind("127.0.0.1:0".parse().expect("an address")).expect("a free port");
        let closed = format!("http://{}", closed.local_addr().expect("bound"));
        Self { world, az, pk, said, system, resets, resetting, closed }
    }

    /// Puts everything into the state of a case.
    async fn set(&mut self, case: &Case) {
        let state = case.provider_state.as_deref();
        if state == Some("node-down")
            && let Some(az) = self.az.take()
        {
            az.stop().await;
        }
        if let Some(az) = &self.az {
            let (url, limit) = match state {
                Some("refuses") => (&self.closed, Duration::from_mins(1)),
                Some("resets") => (&self.resetting, Duration::from_mins(1)),
                // So long that the system is reached.
                Some("hangs") => (&self.system.url(), Duration::from_secs(2)),
                _ => (&self.system.url(), Duration::from_mins(1)),
            };
            offer(az, url, limit).await;
        }
        for id in ["PK/GOV/FBR/customs", "PK/GOV/FBR/stranger"] {
            let access = ClientAccess {
                plain_http: state != Some("unproven"),
                legacy_codes: case.legacy_codes,
                ..ClientAccess::new(member(id))
            };
            let registry = self.pk.calls.gateway.registry();
            registry.put_client(&self.pk.node, access).await.expect("good settings");
        }
        let usual = Said { status: 200, headers: Vec::new(), body: OK.to_owned() };
        let said = case.provider.clone().unwrap_or(usual);
        *lock(&self.said) = (state != Some("hangs")).then_some(said);
    }

    /// Plays a case.
    async fn play(&mut self, case: &Case) -> Result<(), String> {
        self.set(case).await;
        let before = (self.system.seen().len(), lock(&self.resets).len());
        let node = self.world.nation(AZ).node.name();
        let Request { method, target, body, headers } = &case.request;
        let fields: Vec<_> = headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.replace("node-1", node)))
            .collect();
        let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let caller = self.pk.caller().bare();
        let answer = caller.call(method, target, &fields, body.clone()).await;
        let mut seen = self.system.seen().split_off(before.0);
        seen.extend(lock(&self.resets).iter().skip(before.1).cloned());
        compare(&case.expect, &answer, &seen)
            .and_then(|()| compare_hash(&case.request, &fields, &answer))
            .map_err(|error| format!("{}: {error}", case.name))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_live_case_holds() {
    let mut cases: Vec<Case> = serde_json::from_slice(CASES).expect("cases");
    assert!(cases.len() >= 83, "{}", cases.len());
    // Without its node there is no way back.
    cases.sort_by_key(|case| case.provider_state.as_deref() == Some("node-down"));
    let mut stage = Stage::new(511).await;
    let mut failures = Vec::new();
    for case in &cases {
        failures.extend(stage.play(case).await.err());
    }
    assert!(failures.is_empty(), "{} fail:\n{}", failures.len(), failures.join("\n"));
    stage.pk.stop().await;
}
