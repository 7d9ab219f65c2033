//! Agreements that come and go while both nodes run.

use std::sync::Arc;
use std::time::Duration;

use karvan_agreements::signed::{WITHDRAWAL_TYP, Withdrawal};
use karvan_federation::{AZ, PK, Settings, Station, World};
use karvan_system::{Clock as _, SystemClock};
use karvan_testkit::HANDLED;
use karvan_types::{MemberId, json};
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

/// Both sides withdraw before they hear of each other. On both nodes the earlier statement counts,
/// in whatever order the two come, with whatever signatures, and after a restart.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_withdrawals_the_earlier_counts_on_both_sides() {
    let world = World::new(71);
    let (az, pk) = (world.start(AZ).await, world.start(PK).await);
    let name = az.node.agreements().book().iter().next().expect("one").name.clone();
    let document = Arc::from(az.node.agreements().book().document(&name).expect("signed"));
    for station in [&az, &pk] {
        let document: &Arc<[u8]> = &document;
        station.node.install_agreement(document).await.expect("installs");
    }
    let now = SystemClock.now();
    let (first, second) = (now.plus(Duration::from_mins(1)), now.plus(Duration::from_hours(1)));
    let (az_member, pk_member) = (&world.nation(AZ).member, &world.nation(PK).member);
    let statement = |by: &MemberId, at| Withdrawal {
        agreement: name.clone(),
        by: by.clone(),
        at,
        reason: "the purpose has ended".to_owned(),
        replaced_by: None,
    };
    let (early, late) = (statement(az_member, first), statement(pk_member, second));
    let sign = |station: &Station, by, what: &Withdrawal, known: Option<&[u8]>| {
        station.node.sign_as_member(by, WITHDRAWAL_TYP, what, known).expect("signs")
    };
    let own_early = sign(&az, az_member, &early, None);
    let own_late = sign(&pk, pk_member, &late, None);
    az.node.install_withdrawal(&own_early).await.expect("a party may");
    pk.node.install_withdrawal(&own_late).await.expect("a party may");
    // They cross; each side signs the other's, which then has more signatures than the own.
    let both_late = sign(&az, az_member, &late, Some(&own_late));
    let both_early = sign(&pk, pk_member, &early, Some(&own_early));
    for (station, documents) in
        [(&az, [&own_late, &both_late, &own_early]), (&pk, [&both_late, &own_early, &both_early])]
    {
        for document in documents {
            station.node.install_withdrawal(document).await.expect("holds");
            station.node.install_withdrawal(document).await.expect("holds again");
        }
    }
    let check = async |station: &Station| {
        let agreed = station.node.agreed(name.digest).await.expect("reads").expect("known");
        let kept = agreed.withdrawn.expect("withdrawn");
        assert_eq!((kept.at, &kept.by), (first, az_member));
        assert_eq!(agreed.later_withdrawals.len(), 1, "the other is known, once");
        let book = station.node.agreements().book();
        assert_eq!(book.get(&name).expect("known").withdrawn, Some(first));
    };
    check(&az).await;
    check(&pk).await;
    az.stop().await;
    let az = world.start(AZ).await;
    check(&az).await;
    az.stop().await;
    pk.stop().await;
}
