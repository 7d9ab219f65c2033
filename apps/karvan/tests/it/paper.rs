//! A certificate is issued, printed, checked, cancelled, and checked again.

use serde_json::{Value, json};

use crate::pilot::Pilot;
use crate::world::World;

const URL: &str = "https://origin.example.az/status/amcm.jwt";
const NUMBER: &str = "AZPK-2026-00015";
const ISSUER: [&str; 4] = ["--dir", "data/az", "--as", "AZ/GOV/AMCM"];

fn step(step: usize, member: &str) -> Value {
    let all = karvan_customs::samples::shipped();
    let found = all.into_iter().find(|each| each.id == "cancelled-certificate");
    found.expect("a consignment").steps[step].input[member].clone()
}

#[test]
fn a_printed_certificate_is_checked_offline() {
    let world = World::new();
    let (mut pilot, _) = Pilot::running(&world);
    let customs = |arguments: &[&str]| world.karvan(&[&["customs"], arguments].concat());
    let as_issuer = |arguments: &[&str]| customs(&[arguments, &ISSUER].concat());
    world.write("coo.json", &step(0, "certificate").to_string());
    world.write("cancel.json", &step(2, "cancellation").to_string());

    let paper = ["paper", NUMBER, "--out", "coo.pdf", "--status-url", URL];
    let paper = [&paper[..], &["--token-out", "token.txt", "--json-out", "same.json"]].concat();
    as_issuer(&paper).check(6, "no certificate AZPK-2026-00015");
    as_issuer(&["certificate", "issue", "coo.json"]).check(0, "accepted it");
    as_issuer(&paper).check(0, "a SAMPLE with fictitious data");
    as_issuer(&[&paper[..4], &["--status-url", "http://origin.az"]].concat()).check(3, "https://");
    let other = [&paper[..], &["--dir", "data/az", "--as", "AZ/GOV/SCC/customs"]].concat();
    customs(&other).check(5, "only it may print it");
    let pdf = std::fs::read(world.path("coo.pdf")).expect("a file");
    assert!(pdf.starts_with(b"%PDF-"), "{} bytes", pdf.len());
    let list = |file| as_issuer(&["status-list", "--out", file, "--status-url", URL]);
    list("before.jwt").check(0, "where 1 printed certificates of AZ/GOV/AMCM stand");

    let token = std::fs::read_to_string(world.path("token.txt")).expect("a token");
    let trust = ["--root", "data/pk/lists/root.json", "--lists", "data/pk/lists/list-AZ.json"];
    let check = |token: &str, more: &[&str]| {
        customs(&[&["check-qr", token.trim(), "--allow-sample"], &trust[..], more].concat())
    };
    let all = ["--status", "before.jwt", "--certificate", "coo.json"];
    check(&token, &all).check(0, "✓ status: valid, as of ");
    check(&token, &["--certificate", "same.json"]).check(0, "✓ certificate");
    customs(&[&["check-qr", token.trim()], &trust[..]].concat()).check(1, "! sample");
    let mut altered = step(0, "certificate");
    altered["GovernmentAgencyGoodsItem"][0]["quantity"]["value"] = json!("999999");
    world.write("altered.json", &altered.to_string());
    check(&token, &["--certificate", "altered.json"]).check(14, "✗ certificate");
    for file in ["data/pk/lists/root.json", "token.txt", "cancel.json"] {
        check(&token, &["--status", file]).check(3, "? status");
        check(&token, &["--certificate", file]).check(3, "? certificate");
    }
    check(&token.replacen('.', ".A", 1), &[]).check(14, "✗ signature");
    let unlisted = ["--lists", "data/pk/lists/list-PK.json"];
    let foreign = [&["check-qr", token.trim()], &trust[..2], &unlisted].concat();
    customs(&foreign).check(14, "✗ signature");

    as_issuer(&["certificate", "cancel", "cancel.json"]).check(0, "accepted it");
    list("after.jwt").check(0, "stand, made ");
    check(&token, &["--status", "after.jwt"]).check(1, "! status: CANCELLED by its issuer");
    as_issuer(&paper).check(7, "the certificate is cancelled");
    assert_eq!(pilot.end("-TERM"), Some(0));
}
