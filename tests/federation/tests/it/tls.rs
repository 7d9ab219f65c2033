//! Who is let in: nodes on a list in force, with a certificate of their nation's authority.

use std::io;
use std::time::Duration;

use karvan_federation::{AZ, Courier, Draft, PK, World, until};
use karvan_system::{Clock as _, SystemClock, SystemEntropy};
use karvan_testkit::{HANDLED, key};
use karvan_trust::ca::Authority;
use karvan_trust::keys::Algorithm;
use karvan_trust::lists::Certificate;
use karvan_types::NodeId;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Certificates of Pakistan's node that must not be accepted, with what the other side says.
fn wrong_certificates(world: &World) -> Vec<(&'static str, Certificate)> {
    let (nation, now) = (world.nation(PK), SystemClock.now());
    let ca = key("PK", "ca-2");
    nation.keys.generate(&ca, Algorithm::Ed25519, &SystemEntropy).expect("a fresh key");
    let unlisted = nation.new_authority(&ca, &world.federation.plan, &SystemEntropy);
    let long_ago = now.minus(Duration::from_hours(24 * 60));
    let old = Authority::create(
        &key("PK", "ca-1"),
        nation.keys.clone(),
        long_ago,
        Duration::from_hours(24 * 300),
        &SystemEntropy,
    );
    let rogue: NodeId = "PK/node/lahore-9".parse().expect("an id");
    let certify = |authority, at| nation.certify(authority, at, &SystemEntropy);
    vec![
        ("BadSignature", certify(&unlisted, now)),
        ("expired", certify(&old.expect("an authority"), long_ago)),
        ("not valid yet", certify(nation.authority(), now.plus(Duration::from_hours(2)))),
        ("lahore-9", nation.certify_node(nation.authority(), &rogue, now, &SystemEntropy)),
    ]
}

/// In TLS 1.3 a client learns with its first read that it was refused.
async fn first_answer(courier: &Courier) -> io::Result<String> {
    let mut stream = courier.connect().await?;
    stream
        .write_all(b"GET /karvan/v1/list HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    if answer.is_empty() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_without_the_right_certificate_is_not_let_in() {
    let world = World::new(60);
    let az = world.start(AZ).await;
    let good = first_answer(&Courier::new(&world, PK, AZ)).await.expect("let in");
    assert!(good.starts_with("HTTP/1.1 200"), "{good}");
    for (name, certificate) in wrong_certificates(&world) {
        let courier = Courier::with(&world, PK, AZ, &certificate);
        let refused = first_answer(&courier).await;
        assert!(refused.is_err(), "{name}: {refused:?}");
        let letter = Draft::new(&world, PK, AZ, 1, HANDLED).sign(&*world.nation(PK).keys);
        assert!(courier.carry(&letter).await.is_err(), "{name}");
    }
    // No TLS at all.
    let address = &world.nation(AZ).content.nodes[0].authority;
    let mut plain = TcpStream::connect(address).await.expect("connects");
    plain.write_all(b"GET /karvan/v1/list HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("written");
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer).await;
    assert!(!String::from_utf8_lossy(&answer).contains("HTTP/1.1 200"));
    assert_eq!(az.agency().count("/received/delivered").await, 0);
    // A right one is let in still.
    assert!(first_answer(&Courier::new(&world, PK, AZ)).await.is_ok());
    az.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_the_right_certificate_gets_nothing() {
    let world = World::new(61);
    let az = world.start(AZ).await;
    let sender = az.agency();
    let mut waiting = Vec::new();
    for (name, certificate) in wrong_certificates(&world) {
        let pk = world.start_with(PK, |settings| settings.certificate = certificate).await;
        waiting.push(sender.send(&world.nation(PK).member, HANDLED, name).await);
        let node = world.nation(PK).node.as_str();
        let what = format!("the cause is {name}");
        let told = until(&what, async || {
            let reach = sender.wait_for_reach(node, "unreachable").await;
            let cause = reach["cause"].as_str()?.to_owned();
            cause.contains(name).then_some(())
        });
        told.await;
        assert_eq!(pk.agency().count("/received/delivered").await, 0);
        // Nor does it get anything out.
        let out = pk.agency().send(&world.nation(AZ).member, HANDLED, "x").await;
        pk.agency().wait_for_reach(world.nation(AZ).node.as_str(), "unreachable").await;
        assert_eq!(pk.agency().find(out).await.expect("kept").state, "accepted");
        pk.stop().await;
    }
    // With its own certificate everything that waited goes, both ways, without anybody's help.
    let pk = world.start(PK).await;
    for id in &waiting {
        sender.wait_for(*id, "delivered").await;
    }
    pk.agency().wait_for_count("/sent/delivered", waiting.len() as u64).await;
    assert!(sender.alarms("dead-letter").await.is_empty());
    az.stop().await;
    pk.stop().await;
}
