//! Agreements that come and go while both nodes run.

use std::sync::Arc;

use karvan_agreements::signed::{WITHDRAWAL_TYP, Withdrawal};
use karvan_federation::{AZ, PK, Settings, World};
use karvan_system::{Clock as _, SystemClock};
use karvan_testkit::HANDLED;
use karvan_types::json;
use serde_json::Value;

/// Signed at one node, then at the other, then known to the first: documents pass from the next
/// one on, until a party withdraws; a restart changes nothing of that
/// (INV-18).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn are_in_force_once_all_have_signed_and_until_one_withdraws() {
    let world = World::new(70);
    let bare = |settings: &mut Settings| settings.node.agreements = Arc::default();
    let az = world.start_with(AZ, bare).await;
    let pk = world.start_with(PK, bare).await;
    let to = world.nation(PK).member.clone();
    let agency = az.agency();
    let submit = || agency.submit(&to, HANDLED, b"a body".to_vec());
    assert_eq!(submit().await.code(), "agreement-missing");

    let draft = json::canonical(&world.federation.agreement).expect("canonical");
    let half: Value = az.agency().post("/v1/agreements", draft).await.read();
    assert_eq!(half["installed"], false);
    assert_eq!(half["missing"][0], "PK");
    assert_eq!(submit().await.code(), "agreement-missing", "half an agreement opens nothing");
    let signed = half["document"].as_str().expect("a document").to_owned();
    let whole: Value = pk.agency().post("/v1/agreements", signed).await.read();
    assert_eq!(whole["installed"], true);
    let signed = whole["document"].as_str().expect("a document").to_owned();
    let same: Value = az.agency().post("/v1/agreements", signed.clone()).await.read();
    assert_eq!(same["agreement"], whole["agreement"]);
    let id = az.agency().send(&to, HANDLED, b"a body".to_vec()).await;
    az.agency().wait_for(id, "delivered").await;

    let forged = signed.replacen("\"signature\":\"", "\"signature\":\"AAAA", 1);
    assert_eq!(pk.agency().post("/v1/agreements", forged).await.code(), "agreement-refused");

    az.stop().await;
    let az = world.start_with(AZ, bare).await;
    let id = az.agency().send(&to, HANDLED, b"after a restart".to_vec()).await;
    az.agency().wait_for(id, "delivered").await;

    let name = az.node.agreements().book().iter().next().expect("one").name.clone();
    let by = world.nation(AZ).member.clone();
    let withdrawal = Withdrawal {
        agreement: name.clone(),
        by: by.clone(),
        at: SystemClock.now(),
        reason: "the purpose has ended".to_owned(),
        replaced_by: None,
    };
    let signed = az.node.sign_as_member(&by, WITHDRAWAL_TYP, &withdrawal, None).expect("signs");
    az.node.install_withdrawal(&signed).await.expect("a party may withdraw");
    let refused = az.agency().submit(&to, HANDLED, b"too late".to_vec()).await;
    assert_eq!(refused.code(), "agreement-missing");
    // The other side signs that it knows; both keep the same text with both signatures.
    let known = pk.node.sign_as_member(&to, WITHDRAWAL_TYP, &withdrawal, Some(&signed));
    let known = known.expect("signs");
    for station in [&az, &pk] {
        let opened = station.node.install_withdrawal(&known).await.expect("holds");
        assert_eq!(opened.signed_by.len(), 2);
        let agreed = station.node.agreed(name.digest).await.expect("reads").expect("known");
        assert_eq!(agreed.withdrawn.expect("withdrawn").signed_by.len(), 2);
    }
    az.stop().await;
    let az = world.start_with(AZ, bare).await;
    let refused = az.agency().submit(&to, HANDLED, b"after a restart".to_vec()).await;
    assert_eq!(refused.code(), "agreement-missing");
    az.stop().await;
    pk.stop().await;
}
