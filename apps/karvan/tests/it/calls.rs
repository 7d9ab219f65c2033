//! Calls between two running nodes: services offered and allowed on the command line, called by it
//! and by a program, listed, proven, and refused with words that help.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};

use serde_json::Value;

use crate::world::{AZ, PK, World};

/// The service of the tests.
const SERVICE: &str = "AZ/GOV/SCC/customs/certificates";

/// Starts a provider's system: it tells which request it got, and knows nothing of `missing`.
fn provider() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || serve(stream));
        }
    });
    address
}

/// Answers requests until the connection closes.
fn serve(mut stream: TcpStream) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|length| *length > 0)?;
        let mut length = 0;
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).ok()?;
            let (name, value) = header.split_once(':').unwrap_or_default();
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().ok()?;
            }
            if header.trim().is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let asked = line.trim().trim_end_matches(" HTTP/1.1");
        let status = if asked.contains("missing") { "404 Not Found" } else { "200 OK" };
        let text = format!("{{\"asked\":\"{asked}\",\"bytes\":{length}}}");
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            text.len()
        );
        stream.write_all((head + &text).as_bytes()).ok()?;
    }
}

/// Calls as a program does, with no more than X-Road asks for; returns the whole answer.
fn plain_call(world: &World, dir: &str, path: &str) -> String {
    let ready = std::fs::read(world.path(&format!("{dir}/data/ready.json"))).expect("it runs");
    let ready: Value = serde_json::from_slice(&ready).expect("JSON");
    let url = ready["calls"].as_str().expect("a listener");
    let mut stream = TcpStream::connect(url.trim_start_matches("http://")).expect("connected");
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: karvan\r\nx-road-client: {PK}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

/// Makes an agreement about a service that nobody offers; returns what is told.
fn allow_too_early(world: &World) -> Value {
    let allow = ["services", "allow", "AZ/GOV/SCC/customs/certifcates", "--client", PK];
    let terms = ["--purpose", "p", "--legal-basis", "l", "--until", "2099-01-01", "--dir", "az"];
    world.json(&[&allow[..], &terms, &["--out", "early.json"]].concat())
}

/// Offers the service and concludes the agreement, as the two operators do.
fn agree(world: &World) {
    let url = format!("http://{}/api", provider());
    let added = world.good(&["services", "add", SERVICE, "--url", &url, "--dir", "az"]);
    assert!(added.contains("karvan services allow"), "{added}");
    world.karvan(&["services", "list", "--dir", "az"]).check(0, SERVICE);
    let call = ["call", "AZ/GOV/SCC/customs/certificates/7", "--as", PK, "--dir", "pk"];
    world.karvan(&call).check(5, "karvan services allow");

    let allow = ["services", "allow", SERVICE, "--client", PK, "--purpose", "customs-control"];
    let terms = ["--legal-basis", "Test agreement", "--until", "2099-01-01", "--dir", "az"];
    let endpoints = ["--endpoint", "GET /*", "--endpoint", "POST /questions"];
    let rest = ["--quota", "600/minute", "--out", "half.json"];
    let made = world.karvan(&[&allow[..], &terms, &endpoints, &rest].concat());
    made.check(0, "Not in force yet: PK has to sign");
    assert!(!made.out.contains("warning"), "{}", made.out);
    let early = allow_too_early(world);
    assert!(early["warning"].as_str().is_some_and(|it| it.contains("certifcates yet")), "{early}");
    let hand_in = ["services", "allow", "--document"];
    let whole = [&hand_in[..], &["half.json", "--out", "whole-calls.json", "--dir", "pk"]].concat();
    world.karvan(&whole).check(0, "in force at this node, signed by all");
    let known = world.json(&[&hand_in[..], &["whole-calls.json", "--dir", "az"]].concat());
    assert_eq!(known["installed"], true, "{known}");
    let name = known["agreement"].as_str().expect("a name");
    assert!(name.starts_with("pk-az-certificates;1;"), "{name}");
}

#[test]
fn a_service_is_offered_allowed_called_and_proven() {
    let world = World::two_nations();
    for dir in ["pk", "az"] {
        let config = format!("{dir}/node.toml");
        let text = std::fs::read_to_string(world.path(&config)).expect("config");
        world.write(&config, &(text + "\n[telemetry]\nlog = \"info\"\nformat = \"json\"\n"));
    }
    let (pk, az) = (world.start("pk"), world.start("az"));
    agree(&world);

    let address = format!("{SERVICE}/7?origin=AZ");
    let call = ["call", &address, "--as", PK, "--dir", "pk", "--id", "question-7"];
    let called = world.karvan(&call);
    called.check(0, "\"asked\":\"GET /api/7?origin=AZ\"");
    assert_eq!(called.out, "{\"asked\":\"GET /api/7?origin=AZ\",\"bytes\":0}\n");
    for part in ["question-7", "pk-az-certificates version 1", "request by PK/GOV/FBR", "entry"] {
        assert!(called.err.contains(part), "{part}: {}", called.err);
    }
    world.write("question.json", "{\"number\": 7}");
    let questions = format!("{SERVICE}/questions");
    let post = ["call", "POST", &questions, "-d", "@question.json", "--as", PK, "--dir", "pk"];
    let more = ["-H", "Content-Type: application/json", "-o", "answer.json", "--user", "officer-1"];
    let asked = world.json(&[&post[..], &more].concat());
    assert_eq!((&asked["status"], &asked["call"]["state"]), (&200.into(), &"answered".into()));
    let exchange = asked["call"]["exchange"].as_str().expect("an id").to_owned();

    world.good(&["services", "client", PK, "--plain-http", "--dir", "pk"]);
    let answer = plain_call(&world, "pk", &format!("/r1/{SERVICE}/8"));
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("GET /api/8") && answer.contains("karvan-exchange-id"), "{answer}");

    check_settings(&world);
    check_messages(&world);
    check_bundle(&world, &exchange);
    check_wrong_uses(&world);
    check_lines(&world);
    assert_eq!((pk.stop(), az.stop()), (Some(0), Some(0)));
}

/// Setting one thing leaves the others as they are.
fn check_settings(world: &World) {
    let client = |more: &[&str]| {
        let set = ["services", "client", PK, "--dir", "pk"];
        world.json(&[&set[..], more].concat())
    };
    for name in ["first", "second"] {
        let pem = format!("-----BEGIN CERTIFICATE-----\n{name:x<8}\n-----END CERTIFICATE-----\n");
        world.write(&format!("{name}.pem"), &pem);
    }
    let digests = |settings: &Value| {
        let all = settings["certificates"].as_array().cloned().unwrap_or_default();
        all.iter().map(|it| it.as_str().expect("text").to_owned()).collect::<Vec<_>>()
    };
    let first = digests(&client(&["--certificate", "first.pem"]));
    let set = client(&["--certificate", "second.pem", "--legacy-codes"]);
    assert_eq!((digests(&set).len(), &digests(&set)[..1]), (2, &first[..]), "{set}");
    assert_eq!((&set["plainHttp"], &set["legacyCodes"]), (&true.into(), &true.into()), "{set}");
    let set = client(&["--remove-certificate", "second.pem", "--plain-http=false"]);
    assert_eq!((digests(&set), &set["plainHttp"]), (first.clone(), &false.into()), "{set}");
    assert_eq!(set["legacyCodes"], true, "{set}");
    let set = ["services", "client", PK, "--dir", "pk"];
    world.karvan(&[&set[..], &["--remove-certificate", "second.pem"]].concat()).check(6, "shows");
    let set = client(&["--remove-certificate", &first[0], "--legacy-codes=false"]);
    assert_eq!(digests(&set), [""; 0], "{set}");

    let service = |more: &[&str]| world.json(&[&["services"], more, &["--dir", "az"]].concat());
    service(&["disable", SERVICE, "--notice", "back at noon"]);
    let before = service(&["show", SERVICE]);
    let after = service(&["add", SERVICE, "--timeout", "7"]);
    assert_eq!((&after["timeoutMs"], &after["enabled"]), (&7000.into(), &false.into()), "{after}");
    for field in ["notice", "baseUrl", "connectionsMax", "verifyTls"] {
        assert_eq!(before[field], after[field], "{field}: {after}");
    }
    service(&["enable", SERVICE]);
    let unknown = ["services", "add", "AZ/GOV/SCC/customs/new", "--timeout", "7", "--dir", "az"];
    world.karvan(&unknown).check(6, "needs --url");
}

/// Both sides tell of the same calls, filtered and in pages.
fn check_messages(world: &World) {
    let list = |more: &[&str]| {
        let page = world.json(&[&["messages", "list"], more].concat());
        page["messages"].as_array().cloned().expect("messages")
    };
    // The three that were answered, and the one that was refused before there was an agreement.
    assert_eq!(list(&["--dir", "pk"]).len(), 4);
    assert_eq!(list(&["--dir", "az", "--side", "provider"]).len(), 4);
    assert_eq!(list(&["--dir", "az", "--side", "client"]).len(), 0);
    let refused = list(&["--dir", "pk", "--state", "refused"]);
    let [refused] = &*refused else { panic!("{refused:?}") };
    check_refusal(world, refused["exchange"].as_str().expect("an id"));
    assert_eq!(list(&["--dir", "pk", "--as", PK, "--service", "certificates"]).len(), 4);
    assert_eq!(list(&["--dir", "az", "--as", AZ, "--client", PK]).len(), 4);
    assert_eq!(list(&["--dir", "az", "--service", "other"]).len(), 0);
    assert_eq!(list(&["--dir", "pk", "--since", "2099-01-01T00:00:00.000Z"]).len(), 0);
    let first = world.json(&["messages", "list", "--dir", "pk", "--limit", "3"]);
    let next = first["next"].as_str().expect("there is more");
    let rest = list(&["--dir", "pk", "--limit", "3", "--after", next]);
    assert_eq!((first["messages"].as_array().map(Vec::len), rest.len()), (Some(3), 1));
    let shown = world.json(&["messages", "show", "question-7", "--dir", "az"]);
    assert_eq!(
        (shown[0]["side"].as_str(), shown[0]["status"].as_u64()),
        (Some("provider"), Some(200))
    );
    assert_eq!(shown[0]["path"], format!("/r1/{SERVICE}/7"), "{shown}");
}

/// A refusal has a bundle too, with its reason.
fn check_refusal(world: &World, exchange: &str) {
    let witnessed = |views: &Value| views[0]["evidence"]["state"] == "witnessed";
    world.wait_for(&["messages", "show", exchange, "--dir", "az"], witnessed);
    world.good(&["messages", "bundle", exchange, "--dir", "az", "--out", "refused.zip"]);
    let told = world.karvan(&["verify", "refused.zip", "--root", "root.json"]);
    told.check(0, "AZ/node/baku-1 refused it");
    assert!(told.out.contains("agreement-does-not-cover"), "{}", told.out);
}

/// The bundle of a call proves it to whoever has the root; what is altered is named.
fn check_bundle(world: &World, exchange: &str) {
    let witnessed = |views: &Value| views[0]["evidence"]["state"] == "witnessed";
    for dir in ["pk", "az"] {
        world.wait_for(&["messages", "show", exchange, "--dir", dir], witnessed);
    }
    let fetch = ["messages", "bundle", exchange, "--dir", "pk", "--out", "call.zip"];
    world.karvan(&fetch).check(0, "karvan verify");
    let verify = ["verify", "call.zip", "--root", "root.json"];
    world.karvan(&verify).check(0, "body of the answer");
    let bodies = ["--request-body", "question.json", "--body", "answer.json"];
    let told = world.karvan(&[&verify[..], &bodies].concat());
    told.check(0, "agreement pk-az-certificates version 1 allowed it");
    for part in [
        "PK/GOV/FBR/customs asked AZ/GOV/SCC/customs/certificates",
        "AZ/GOV/SCC/customs answered",
        "the given file is the one that was signed",
        "call.exchange is entry",
        "cosigned by",
    ] {
        assert!(told.out.contains(part), "{part}: {}", told.out);
    }
    let other = ["--request-body", "answer.json"];
    world.karvan(&[&verify[..], &other].concat()).check(14, "body of the request");
    let bundle = std::fs::read(world.path("call.zip")).expect("a bundle");
    for (text, name) in [
        ("\"@method\": POST", "request/base.txt"),
        ("x-road-userid", "request/head.txt"),
        ("\"@status\": 200", "answer/base.txt"),
        ("c2sp.org/tlog-proof", "proofs/"),
    ] {
        let mut altered = bundle.clone();
        let place = altered.windows(text.len()).position(|part| part == text.as_bytes());
        altered[place.unwrap_or_else(|| panic!("{text} is not there"))] ^= 1;
        std::fs::write(world.path("altered.zip"), altered).expect("written");
        world.karvan(&["verify", "altered.zip", "--root", "root.json"]).check(14, name);
    }
}

/// Returns the fields of the first line of a node's log that has a text in a field.
fn line(world: &World, dir: &str, (field, text): (&str, &str)) -> Value {
    let log = std::fs::read_to_string(world.path(&format!("{dir}.log"))).expect("a log");
    let mut lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let has = |line: &Value| line["fields"][field].as_str().is_some_and(|it| it.contains(text));
    let found = lines.find(has);
    found.unwrap_or_else(|| panic!("{dir} has no {field} with {text}:\n{log}"))["fields"].clone()
}

/// Both nodes write a line for a call, with X-Road's names; a refusal names message and client.
fn check_lines(world: &World) {
    let [pk, az] = ["pk", "az"].map(|dir| line(world, dir, ("messageId", "question-7")));
    for name in ["clientSecurityServerAddress", "serviceSecurityServerAddress", "xRequestId"] {
        assert!(pk[name].is_string() && pk[name] == az[name], "{name}: {pk}\n{az}");
    }
    assert_ne!(pk["clientSecurityServerAddress"], pk["serviceSecurityServerAddress"]);
    for line in [&pk, &az] {
        assert_eq!((&line["restMethod"], &line["restPath"]), (&"GET".into(), &"/*".into()));
        assert_eq!((&line["statusCode"], &line["succeeded"]), (&200.into(), &true.into()));
        assert!(line["xRoadVersion"].as_str().is_some_and(|it| it.starts_with("karvan-")));
    }
    assert_eq!((&pk["serviceType"], &az["serviceType"]), (&Value::Null, &"REST".into()));
    let refused = line(world, "az", ("message", "call refused"));
    assert_eq!(refused["client"], PK, "{refused}");
    assert!(refused["message.id"].as_str().is_some_and(|id| id.starts_with("PK-")), "{refused}");
}

/// Wrong uses end with the documented codes and say what to do.
fn check_wrong_uses(world: &World) {
    let disable = ["services", "disable", SERVICE, "--notice", "back at noon", "--dir", "az"];
    let to = |rest: &str| format!("{SERVICE}{rest}");
    let (missing, outside, seven) = (to("/missing"), to("/lines/1"), to("/7"));
    let unknown = "01900000-0000-7000-8000-000000000000";
    let own = ["--as", PK, "--dir", "pk"];
    let allow = ["services", "allow", SERVICE, "--client", PK, "--purpose", "p", "--dir", "az"];
    let terms = ["--legal-basis", "l", "--until", "2099-01-01"];
    for (arguments, code, part) in [
        (vec!["call", &seven, "--dir", "pk"], 3, "hint: give --as"),
        (vec!["call"], 2, "ADDRESS"),
        ([&["call", &missing], &own[..]].concat(), 1, "the service itself answered 404"),
        ([&["call", &outside], &own[..]].concat(), 5, "not this method and path"),
        ([&["call", "XX/GOV/SCC/customs/certificates"], &own[..]].concat(), 6, "national list"),
        ([&["call", &seven, "-H", "no header"], &own[..]].concat(), 3, "Name: value"),
        (vec!["call", &seven, "--client", PK, "--dir", "az"], 6, "clientproxy"),
        (vec!["messages", "show", unknown, "--dir", "pk"], 6, unknown),
        (vec!["services", "show", &to("x"), "--dir", "az"], 6, "has no service"),
        ([&allow[..], &terms, &["--quota", "many"]].concat(), 3, "600/minute"),
        ([&allow[..], &terms, &["--endpoint", "/7"]].concat(), 3, "GET /lines/*"),
        ([&allow[..], &terms, &["--endpoint", "FETCH /7"]].concat(), 3, "DELETE, GET, HEAD"),
        (disable.to_vec(), 0, "disabled"),
        ([&["call", &seven], &own[..]].concat(), 11, "back at noon"),
        (vec!["services", "enable", SERVICE, "--dir", "az"], 0, "enabled"),
        ([&["call", &seven], &own[..]].concat(), 0, "GET /api/7"),
    ] {
        world.karvan(&arguments).check(code, part);
    }
}
