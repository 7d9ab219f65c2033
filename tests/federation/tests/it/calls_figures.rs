//! Figures of calls: who is refused is counted, and nobody can fill them with names.

use karvan_federation::{AZ, PK, System, World, service};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refused_callers_are_counted_and_invented_services_are_not_told_apart() {
    let world = World::new(544);
    let [az, pk] = world.start_both().await;
    let system = System::echo().await;
    let (client, provider) = (&world.nation(AZ).member, &world.nation(PK).member);
    pk.offer(service(provider, "echo", &system.url())).await;
    let caller = az.caller();
    let target = format!("/r1/{provider}/echo");
    assert_eq!(caller.call("GET", &target, &[], "").await.status, 200);
    for n in 0..15 {
        caller.call("GET", &format!("/r1/{provider}/invented-{n}"), &[], "").await;
    }
    let bare = caller.clone().bare();
    let unproven = [("x-road-client", client.as_str())];
    let unknown = [("x-road-client", "AZ/GOV/NOBODY/x")];
    assert_eq!(bare.call("GET", &target, &unproven, "").await.status, 500);
    bare.call("GET", &target, &unknown, "").await;
    bare.call("GET", "/r2/not/a/call", &unproven, "").await;
    let figures = az.agency().get("/metrics").await;
    let text = String::from_utf8_lossy(&figures.body).into_owned();
    assert!(!text.contains("invented-"), "{text}");
    for code in ["clientproxy.ssl_authentication_failed", "clientproxy.unknown_member"] {
        let line = format!(r#"karvan_call_faults_total{{side="client",code="server.{code}"}} 1"#);
        assert!(text.contains(&line), "no {line} in\n{text}");
    }
    assert!(text.contains(r#"karvan_call_faults_total{side="client",code="client."#), "{text}");
    let of_echo =
        format!(r#"client="{client}",provider="{provider}",service="echo",outcome="success"}} 1"#);
    assert!(text.contains(&of_echo), "{text}");
    az.stop().await;
    pk.stop().await;
}
