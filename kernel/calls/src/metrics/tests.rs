use super::*;
use crate::overload::Bounds;

fn member(text: &str) -> MemberId {
    text.parse().expect("a member")
}

fn record<'a>(client: &'a MemberId, provider: &'a MemberId, service: &'a str) -> Record<'a> {
    let now = Timestamp::from_seconds(1_790_000_000);
    Record {
        side: Side::Provider,
        exchange: None,
        request_in: now,
        request_out: None,
        response_in: None,
        response_out: now,
        elapsed: Duration::from_micros(1_500),
        remote: Some(Duration::from_micros(700)),
        client: Some(client),
        service: Some((provider, service)),
        service_type: None,
        peer: None,
        client_address: None,
        service_address: None,
        method: "GET",
        path: None,
        message_id: None,
        request_id: None,
        user_id: None,
        issue: None,
        represented_party: None,
        request_size: 100,
        response_size: 2_000,
        status: 200,
        fault: None,
    }
}

#[track_caller]
fn check(text: &str, lines: &[String]) {
    for line in lines {
        assert!(text.lines().any(|found| found == line), "no `{line}` in\n{text}");
    }
}

#[test]
fn calls_are_counted_by_how_they_ended() {
    let metrics = Metrics::new();
    let (client, provider) = (member("AZ/GOV/SCC/customs"), member("PK/GOV/FBR/customs"));
    let answered = record(&client, &provider, "pets");
    metrics.observe(&answered);
    metrics.observe(&Record { status: 404, ..answered });
    let fault = Some(("server.serverproxy.io_error", "no answer"));
    metrics.observe(&Record { status: 500, fault, elapsed: Duration::from_secs(61), ..answered });
    let gate = Gate::new(Bounds::default());
    metrics.watch(Side::Provider, gate);
    let names = r#"side="provider",client="AZ/GOV/SCC/customs",provider="PK/GOV/FBR/customs",service="pets""#;
    let text = metrics.render();
    let mut lines = Vec::new();
    for outcome in ["success", "provider_error", "fault"] {
        lines.push(format!(r#"karvan_calls_total{{{names},outcome="{outcome}"}} 1"#));
    }
    for (bound, count) in [("0.001", 0), ("0.002", 2), ("+Inf", 3)] {
        let class = format!(r#"duration_seconds_bucket{{le="{bound}",{names}}}"#);
        lines.push(format!("karvan_call_{class} {count}"));
    }
    for (direction, bytes) in [("request", 300), ("response", 6_000)] {
        let labels = format!(r#"{names},direction="{direction}""#);
        lines.push(format!("karvan_call_bytes_total{{{labels}}} {bytes}"));
    }
    let code = "server.serverproxy.io_error";
    lines.push(format!(r#"karvan_call_faults_total{{side="provider",code="{code}"}} 1"#));
    lines.push(r#"karvan_calls_under_way{side="provider",state="running"} 0"#.to_owned());
    lines.push("# EOF".to_owned());
    check(&text, &lines);
}

#[test]
fn strangers_and_the_too_many_make_no_series() {
    let metrics = Metrics::new();
    let (client, provider) = (member("AZ/GOV/SCC/customs"), member("PK/GOV/FBR/customs"));
    metrics.observe(&Record { client: None, ..record(&client, &provider, "pets") });
    metrics.observe(&Record { service: None, ..record(&client, &provider, "pets") });
    for number in 0..SERIES_MAX + 3 {
        metrics.observe(&record(&client, &provider, &number.to_string()));
    }
    let text = metrics.render();
    let named = text.lines().filter(|line| {
        line.starts_with("karvan_calls_total{") && line.contains(r#"outcome="success""#)
    });
    assert_eq!(named.count(), SERIES_MAX + 2, "the series of both `other`");
    let others = text.lines().find(|line| {
        line.contains(r#"service="other""#)
            && line.contains(r#"side="provider""#)
            && line.contains(r#"outcome="success""#)
    });
    assert!(others.is_some_and(|line| line.ends_with(" 5")), "{others:?}");
}

/// Keeps the names and values of the events that it is shown.
#[derive(Clone, Default)]
struct Listener(Arc<Mutex<Vec<(String, String)>>>);

impl tracing::field::Visit for Listener {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn fmt::Debug) {
        let pair = (field.name().to_owned(), format!("{value:?}"));
        self.0.lock().expect("not poisoned").push(pair);
    }
}

impl tracing::Subscriber for Listener {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target() == "karvan::call"
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        event.record(&mut self.clone());
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

#[test]
fn a_line_has_the_names_of_operational_monitoring() {
    let listener = Listener::default();
    let (client, provider) = (member("AZ/GOV/SCC"), member("PK/GOV/FBR/customs"));
    tracing::subscriber::with_default(listener.clone(), || {
        Metrics::new().observe(&Record {
            response_in: Some(Timestamp::from_millis(7)),
            represented_party: Some("COM/1234"),
            message_id: Some("m-1"),
            path: Some("/pets/*"),
            service_type: Some("OPENAPI3"),
            client_address: Some("az.example:7443"),
            service_address: Some("pk.example:7443"),
            status: 500,
            fault: Some(("server.serverproxy.io_error", "no answer")),
            ..record(&client, &provider, "pets")
        });
    });
    let fields = listener.0.lock().expect("not poisoned").clone();
    for (name, value) in [
        ("securityServerType", r#""Producer""#),
        ("requestInTs", "1790000000000"),
        ("responseInTs", "7"),
        ("clientMemberCode", r#""SCC""#),
        ("serviceXRoadInstance", r#""PK""#),
        ("serviceSubsystemCode", r#""customs""#),
        ("serviceCode", r#""pets""#),
        ("serviceType", r#""OPENAPI3""#),
        ("restMethod", r#""GET""#),
        ("restPath", r#""/pets/*""#),
        ("statusCode", "500"),
        ("messageProtocolVersion", r#""1""#),
        ("xRoadVersion", concat!("\"karvan-", env!("CARGO_PKG_VERSION"), "\"")),
        ("clientSecurityServerAddress", r#""az.example:7443""#),
        ("serviceSecurityServerAddress", r#""pk.example:7443""#),
        ("monitoringDataTs", "1790000000"),
        ("representedPartyClass", r#""COM""#),
        ("representedPartyCode", r#""1234""#),
        ("messageId", r#""m-1""#),
        ("requestSize", "100"),
        ("responseSize", "2000"),
        ("succeeded", "false"),
        ("faultCode", r#""server.serverproxy.io_error""#),
    ] {
        let found = fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str());
        assert_eq!(found, Some(value), "{name}");
    }
    let absent = |name: &str| fields.iter().all(|(field, _)| field != name);
    assert!(absent("clientSubsystemCode") && absent("requestOutTs") && absent("exchange"));
}
