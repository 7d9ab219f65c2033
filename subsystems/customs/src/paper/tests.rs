//! Papers of the shipped samples, signed with real keys.

use karvan_store::{SqliteStore, Store};
use karvan_subsystem::testkit::Bench;
use karvan_subsystem::{Caller, Subsystem as _};
use karvan_trust::document::{sign_document, verify_document};
use karvan_trust::keys::{Algorithm, KeyId, KeyPair, KeyProvider as _, MemoryKeys};
use karvan_types::{Digest, Timestamp, json};
use serde_json::json;

use super::check::{Question, Report, Signed, Verdict, check};
use super::form::{Form, Pdf, pdf};
use super::register::Print;
use super::status::{Packed, Status, StatusList};
use super::token::{Claims, StatusReference, compact, is_sample};
use super::{STATUS_TYP, TOKEN_TYP, qr};
use crate::messages::{CertificateOfOrigin, Message, SharingLevel};
use crate::samples;
use crate::subsystem::{Config, Customs};
use crate::words::Language;

const ADDRESS: &str = "https://origin.example.az/status/amcm.jwt";
const KEY: &str = "AZ/GOV/AMCM#sign-1";
const OTHER_KEY: &str = "AZ/GOV/SCC#sign-1";
const PLACE: u64 = 5;

fn at(text: &str) -> Timestamp {
    text.parse().expect("an instant")
}

fn keys() -> MemoryKeys {
    let keys = MemoryKeys::new();
    for (id, secret) in [(KEY, 1), (OTHER_KEY, 2)] {
        let pair = KeyPair::from_secret(Algorithm::Ed25519, &[secret; 32]).expect("a key");
        keys.insert(&id.parse().expect("an id"), pair).expect("a new key");
    }
    keys
}

fn sign<T: serde::Serialize>(typ: &str, content: &T, key: &str) -> String {
    let key: KeyId = key.parse().expect("an id");
    compact(&sign_document(typ, content, &[key], &keys()).expect("signs")).expect("one signature")
}

/// What the national lists say: only AMCM issues certificates.
fn verify(document: &[u8], typ: &str) -> Result<Signed, String> {
    let known = |id: &KeyId| Ok(keys().public(id).expect("a known key"));
    let verified =
        verify_document(document, typ, 1 << 20, &known).map_err(|error| error.to_string())?;
    let key = verified.signers.first().expect("a signer").to_string();
    let (member, _) = key.split_once('#').expect("a member's key");
    Ok(Signed {
        payload: verified.payload,
        member: member.parse().expect("a member"),
        name: "Agency".to_owned(),
        is_issuer: key == KEY,
        key,
        not_before: at("2026-01-01T00:00:00Z"),
        not_after: at("2028-01-01T00:00:00Z"),
        list_ends: at("2026-12-01T00:00:00Z"),
    })
}

fn certificate() -> CertificateOfOrigin {
    let sample = samples::shipped().into_iter().find(|each| each.id == "clean-grant");
    let input = sample.expect("a sample").steps.remove(0).input;
    serde_json::from_value(input["certificate"].clone()).expect("a certificate")
}

fn canonical(certificate: &CertificateOfOrigin) -> Vec<u8> {
    Message::Certificate(Box::new(certificate.clone())).to_canonical().expect("canonical")
}

fn print(certificate: CertificateOfOrigin) -> Print {
    Print {
        country: "AZ".parse().expect("AZ"),
        digest: Digest::of(&canonical(&certificate)),
        issued: "2026-09-01".parse().expect("a date"),
        issuer: "AZ/GOV/AMCM".parse().expect("a member"),
        place: PLACE,
        reprint: false,
        certificate,
    }
}

fn claims() -> Claims {
    let now = at("2026-09-01T09:00:00Z");
    print(certificate()).claims(ADDRESS, now).expect("claims")
}

fn list(status: Status) -> StatusList {
    let mut statuses = vec![Status::Valid; usize::try_from(PLACE).expect("small")];
    statuses.push(status);
    StatusList {
        exp: at("2026-10-08T00:00:00Z").as_seconds(),
        iat: at("2026-10-01T00:00:00Z").as_seconds(),
        status_list: Packed::new(&statuses),
        sub: ADDRESS.to_owned(),
        ttl: 3600,
    }
}

/// One check, everything in order unless a case changes it.
struct Case {
    token: String,
    status: Option<String>,
    certificate: Option<Vec<u8>>,
    sample_allowed: bool,
    now: &'static str,
}

impl Case {
    fn new() -> Self {
        Self {
            token: sign(TOKEN_TYP, &claims(), KEY),
            status: Some(sign(STATUS_TYP, &list(Status::Valid), KEY)),
            certificate: Some(canonical(&certificate())),
            sample_allowed: true,
            now: "2026-10-02T00:00:00Z",
        }
    }

    fn report(&self) -> Report {
        let question = Question {
            token: &self.token,
            status: self.status.as_ref().map(String::as_bytes),
            certificate: self.certificate.as_deref(),
            sample_allowed: self.sample_allowed,
            now: at(self.now),
        };
        check(&question, &verify)
    }
}

/// Changes what is in order and compares the verdict, and the words of the part that decides it.
fn expect(verdict: Verdict, part: &str, words: &str, change: impl FnOnce(&mut Case)) {
    let mut case = Case::new();
    change(&mut case);
    let report = case.report();
    assert_eq!(report.verdict(), verdict, "{words}: {report:#?}");
    let found = report.findings.iter().find(|finding| finding.part == part);
    let found = found.unwrap_or_else(|| panic!("no finding about {part}: {report:#?}"));
    assert_eq!(found.verdict, verdict, "{report:#?}");
    assert!(found.text.contains(words), "`{words}` is not in `{}`", found.text);
}

/// Puts other claims under the token, signed.
fn reclaim(case: &mut Case, change: impl FnOnce(&mut Claims)) {
    let mut other = claims();
    change(&mut other);
    case.token = sign(TOKEN_TYP, &other, KEY);
}

fn relist(case: &mut Case, change: impl FnOnce(&mut StatusList)) {
    let mut other = list(Status::Valid);
    change(&mut other);
    case.status = Some(sign(STATUS_TYP, &other, KEY));
}

#[test]
fn what_is_in_order_holds() {
    for part in ["signature", "key", "validity", "sample", "certificate", "status"] {
        expect(Verdict::Holds, part, "", |_| ());
    }
    let report = Case::new().report();
    assert_eq!(report.status, Some(Status::Valid));
    assert!(report.gaps.iter().any(|gap| gap.contains("after 2026-10-01T00:00:00")), "{report:?}");
}

#[test]
fn what_was_altered_or_is_of_another_breaks() {
    let broken = Verdict::Broken;
    expect(broken, "signature", "signature", |case| {
        // Another claim under the same signature.
        let mut other = claims();
        other.number = "AZPK-2026-99999".to_owned();
        let other = sign(TOKEN_TYP, &other, KEY);
        let mut parts: Vec<&str> = case.token.split('.').collect();
        parts[1] = other.split('.').nth(1).expect("a payload");
        case.token = parts.join(".");
    });
    expect(broken, "signature", "typ", |case| {
        case.token = sign(STATUS_TYP, &claims(), KEY);
    });
    expect(broken, "signature", "three parts", |case| case.token = "a.b".to_owned());
    expect(broken, "signature", "base64url", |case| case.token = "a.b+.c".to_owned());
    expect(broken, "signature", "too long", |case| case.token = "a".repeat(3000));
    expect(broken, "key", "does not let AZ/GOV/SCC issue", |case| {
        case.token = sign(TOKEN_TYP, &claims(), OTHER_KEY);
        case.status = None;
    });
    expect(broken, "key", "no issuer of PK", |case| {
        reclaim(case, |claims| claims.country = "PK".parse().expect("PK"));
    });
    expect(broken, "key", "valid from 2026-01-01", |case| {
        reclaim(case, |claims| claims.iat = at("2025-12-31T23:59:59Z").as_seconds());
    });
    expect(broken, "key", "valid from", |case| {
        reclaim(case, |claims| claims.iat = at("2028-01-01T00:00:00Z").as_seconds());
        case.status = None;
    });
    expect(broken, "certificate", "is not the one that was signed", |case| {
        let mut other = certificate();
        other.items[0].quantity.value += karvan_types::Decimal::ONE;
        case.certificate = Some(canonical(&other));
    });
    expect(broken, "status", "AZ/GOV/SCC signed it", |case| {
        case.status = Some(sign(STATUS_TYP, &list(Status::Valid), OTHER_KEY));
    });
    expect(broken, "status", "signature", |case| {
        // Another list under the same signature.
        let other = sign(STATUS_TYP, &list(Status::Cancelled), KEY);
        let given = case.status.clone().expect("a list");
        let mut parts: Vec<&str> = given.split('.').collect();
        parts[1] = other.split('.').nth(1).expect("a payload");
        case.status = Some(parts.join("."));
    });
}

#[test]
fn a_mistake_of_the_checker_is_no_forgery() {
    let unreadable = Verdict::Unreadable;
    let other_kind = sign(TOKEN_TYP, &claims(), KEY).into_bytes();
    let pdf = b"%PDF-1.7\n\xff".to_vec();
    for given in [&b""[..], b"{}", b"[]", b"{\"payload\":\"\"}", &other_kind, &pdf] {
        expect(unreadable, "certificate", "no certificate of origin", |case| {
            case.certificate = Some(given.to_vec());
        });
    }
    let root = r#"{"payload":"e30","signatures":[{"protected":"e30","signature":"AA"}]}"#;
    let other_kind = sign(TOKEN_TYP, &claims(), KEY);
    for (given, words) in [
        ("", "three parts"),
        (root, "three parts"),
        ("e30.e30.AA", "does not tell its kind"),
        (other_kind.as_str(), "its kind is `karvan-coo+jws`"),
    ] {
        expect(unreadable, "status", words, |case| case.status = Some(given.to_owned()));
    }
    expect(unreadable, "status", "three parts", |case| {
        case.status = case.status.as_ref().map(|list| list.replace('.', ""));
    });
    expect(unreadable, "status", "not compressed", |case| {
        relist(case, |list| list.status_list.lst = "AAAA".to_owned());
    });
    expect(unreadable, "status", "four bits", |case| relist(case, |l| l.status_list.bits = 1));
    // A forgery is still one, whatever cannot be read beside it.
    let mut case = Case::new();
    (case.token, case.certificate) = (sign(TOKEN_TYP, &claims(), OTHER_KEY), Some(Vec::new()));
    assert_eq!(case.report().verdict(), Verdict::Broken);
    // A clock may be five minutes behind that of the issuer.
    for (signed, verdict) in [
        ("2026-10-02T00:05:00Z", Verdict::Holds),
        ("2026-10-02T00:05:01Z", Verdict::Unusable),
        ("2026-12-01T00:00:00Z", Verdict::Unusable),
    ] {
        let words =
            if verdict == Verdict::Holds { "lets this key sign" } else { "check the clock" };
        expect(verdict, "key", words, |case| {
            reclaim(case, |claims| claims.iat = at(signed).as_seconds());
            case.status = None;
        });
    }
}

#[test]
fn what_is_genuine_may_still_be_unusable() {
    let unusable = Verdict::Unusable;
    for (status, words) in [
        (Status::Cancelled, "CANCELLED by its issuer, as of 2026-10-01"),
        (Status::Suspended, "SUSPENDED"),
        (Status::Replaced, "REPLACED"),
        (Status::UsedUp, "USED UP"),
    ] {
        let signed = sign(STATUS_TYP, &list(status), KEY);
        expect(unusable, "status", words, |case| case.status = Some(signed));
    }
    expect(unusable, "status", "stale since 2026-10-08", |case| {
        case.now = "2026-10-08T00:00:00Z";
    });
    expect(unusable, "status", "not of https", |case| {
        relist(case, |list| list.sub = "https://other.example/".to_owned());
    });
    expect(unusable, "status", "before the paper", |case| {
        relist(case, |list| list.iat = at("2026-08-01T00:00:00Z").as_seconds());
    });
    expect(unusable, "status", "no place 6", |case| {
        reclaim(case, |claims| claims.status.status_list.idx = 6);
    });
    expect(unusable, "validity", "until 2027-09-01 only", |case| {
        case.now = "2027-09-01T20:00:00Z";
        case.status = None;
    });
    expect(unusable, "sample", "SAMPLE", |case| case.sample_allowed = false);
}

#[test]
fn what_was_not_checked_is_named() {
    let mut case = Case::new();
    (case.status, case.certificate, case.now) = (None, None, "2026-12-01T00:00:00Z");
    let report = case.report();
    assert_eq!(report.verdict(), Verdict::Holds);
    for words in ["--certificate", "--status", "list at hand ended", "only one", "issuer's word"] {
        assert!(report.gaps.iter().any(|gap| gap.contains(words)), "{words}: {report:#?}");
    }
}

#[test]
fn statuses_are_packed_as_the_standard_says() {
    // The lowest place is in the lowest bits: draft-ietf-oauth-status-list, section 4.1.
    let packed = Packed::new(&[Status::Cancelled, Status::UsedUp, Status::Replaced]);
    let bytes = miniz_oxide::inflate::decompress_to_vec_zlib(
        &base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, &packed.lst)
            .expect("base64url"),
    );
    assert_eq!(bytes.expect("zlib"), [0xb1, 0x03]);
    let all = Packed::new(&Status::ALL);
    for (place, status) in (0..).zip(Status::ALL) {
        assert_eq!(all.status(place).expect("a list"), Some(status));
    }
    assert_eq!(all.status(6).expect("a list"), None);
    assert_eq!(all.status(u64::MAX).expect("a list"), None);
}

#[test]
fn addresses_are_https_and_short() {
    for (address, good) in [
        (ADDRESS, true),
        ("http://origin.example.az/list", false),
        ("https://", false),
        ("https:///list", false),
        ("https://a b/", false),
        (&format!("https://a/{}", "a".repeat(190)), true),
        (&format!("https://a/{}", "a".repeat(191)), false),
    ] {
        assert_eq!(StatusReference::new(0, address).is_ok(), good, "{address}");
    }
}

fn form(certificate: &CertificateOfOrigin, token: &str) -> Pdf {
    form_in(Language::Az, certificate, token)
}

fn form_in(beside: Language, certificate: &CertificateOfOrigin, token: &str) -> Pdf {
    let form = Form {
        certificate,
        issuer: &"AZ/GOV/AMCM".parse().expect("a member"),
        digest: Digest::of(&canonical(certificate)),
        token,
        sample: is_sample(certificate),
        beside,
    };
    pdf(&form).expect("a PDF")
}

#[test]
fn the_same_certificate_makes_the_same_bytes() {
    let (certificate, token) = (certificate(), sign(TOKEN_TYP, &claims(), KEY));
    let first = form(&certificate, &token);
    assert_eq!(first, form(&certificate, &token));
    assert_eq!((first.pages, &first.missing), (1, &vec![]));
    let mut other = certificate.clone();
    other.header.id.push('X');
    assert_ne!(first.bytes, form(&other, &token).bytes);
}

#[test]
fn what_does_not_fit_goes_to_further_pages() {
    let mut long = certificate();
    let token = sign(TOKEN_TYP, &claims(), KEY);
    let item = long.items[0].clone();
    for sequence in 2..=50 {
        let mut item = item.clone();
        item.sequence = sequence;
        item.description = "Ə".repeat(512);
        long.items.push(item);
    }
    let pages = form(&long, &token).pages;
    assert!(pages > 5, "{pages}");
    let mut odd = certificate();
    odd.items[0].description = "茶 و چای".to_owned();
    odd.invoices = vec![odd.invoices[0].clone(); 200];
    let odd = form(&odd, &token);
    assert_eq!((odd.pages, odd.missing), (4, vec!['茶']));
}

/// A certificate whose parties and goods are written in Urdu.
fn urdu() -> CertificateOfOrigin {
    let mut urdu = certificate();
    urdu.exporter.name = Some("کراچی کیبل اینڈ وائر (پرائیویٹ) لمیٹڈ (fictitious)".to_owned());
    urdu.consignee.name = Some("Xəzər Kabel MMC, باکو (fictitious)".to_owned());
    let address = json!({ "Line": "پلاٹ 12-A، شارع ۲۴", "CityName": "کراچی", "CountryCode": "PK" });
    urdu.exporter.address = serde_json::from_value(address).expect("an address");
    urdu.items[0].description = format!(
        "{} 6 mm",
        "ریفائنڈ تانبے کا تار، قطر آٹھ ملی میٹر، \
        کوائل میں، ہر کوائل کا وزن 1500 KGM، برقی مقاصد کے لیے، پیکنگ لکڑی کے ڈبوں میں "
            .repeat(3)
    );
    urdu.producer = None;
    urdu.issue_place = Some("اسلام آباد".to_owned());
    urdu
}

#[test]
fn urdu_is_read_back_in_its_order() {
    let token = sign(TOKEN_TYP, &claims(), KEY);
    let certificate = urdu();
    let printed = form_in(Language::Ur, &certificate, &token);
    assert_eq!((printed.pages, &printed.missing), (1, &vec![]));
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("certificate.pdf");
    std::fs::write(&file, &printed.bytes).expect("written");
    let Ok(output) = std::process::Command::new("pdftotext").arg(&file).arg("-").output() else {
        println!("SKIPPED urdu_is_read_back_in_its_order: pdftotext is not installed");
        return;
    };
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    // What a reader of PDF adds to show the order.
    let text: String = text.chars().filter(|c| !('\u{202a}'..='\u{202e}').contains(c)).collect();
    for expected in [
        "سرٹیفکیٹ آف اوریجن",
        "1. Exporter",
        "برآمد کنندہ",
        "ذریعۂ نقل و حمل اور راستہ",
        "تاریخ اجرا",
        "2026-09-01",
        "کارآمد تا",
        "2027-09-01",
        "کراچی کیبل اینڈ وائر (پرائیویٹ) لمیٹڈ",
        "ریفائنڈ تانبے کا تار",
        "برآمد کنندہ ہی",
        "اسلام آباد",
        "شارع ۲۴",
    ] {
        assert!(text.contains(expected), "`{expected}` is not in:\n{text}");
    }
}

/// Draws a code as a grey image with a quiet zone of four modules.
fn picture(code: &qr::Code, scale: usize) -> (usize, Vec<u8>) {
    let side = (code.size + 8) * scale;
    let module = |n: usize| (n / scale).checked_sub(4);
    let dark = |x, y| module(x).zip(module(y)).is_some_and(|(x, y)| code.is_dark(x, y));
    let pixels = (0..side).flat_map(|y| (0..side).map(move |x| (x, y)));
    (side, pixels.map(|(x, y)| if dark(x, y) { 20 } else { 240 }).collect())
}

fn png_of(side: usize, grey: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let side = u32::try_from(side).expect("small");
    let mut encoder = png::Encoder::new(&mut bytes, side, side);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().expect("a head");
    writer.write_image_data(grey).expect("pixels");
    writer.finish().expect("an end");
    bytes
}

#[test]
fn the_code_is_read_back_and_checks() {
    let token = sign(TOKEN_TYP, &claims(), KEY);
    let code = qr::Code::new(&token).expect("a code");
    assert!(code.version <= 18, "{} bytes take version {}", token.len(), code.version);
    let (side, grey) = picture(&code, 4);
    assert_eq!(qr::read_grey(side, side, &grey).expect("a code"), std::slice::from_ref(&token));
    let mut case = Case::new();
    case.token = qr::read_png(&png_of(side, &grey)).expect("a code").remove(0);
    assert_eq!(case.report().verdict(), Verdict::Holds);
    // A sixteenth of the code is dirty: level M repairs it.
    let spot = side / 4;
    let dirty = |(at, &grey): (usize, &u8)| {
        let (x, y) = (at % side, at / side);
        let hit = (side / 2..side / 2 + spot / 2).contains(&x) && (side / 2..).contains(&y);
        if hit && y < side / 2 + spot / 2 { 20 } else { grey }
    };
    let spoilt: Vec<u8> = grey.iter().enumerate().map(dirty).collect();
    assert_ne!(spoilt, grey);
    assert_eq!(qr::read_grey(side, side, &spoilt).expect("a code"), [token]);
}

/// The photograph is a drawing that was turned by seven degrees, lit from one side, made grainy,
/// and written as JPEG in colours: baseline and progressive.
#[test]
fn a_photograph_is_read() {
    for name in ["photograph.jpg", "progressive.jpg"] {
        let path = format!("{}/testdata/paper/{name}", env!("CARGO_MANIFEST_DIR"));
        let bytes = std::fs::read(path).expect("a photograph");
        let text = "eyJ0eXAiOiJmaWN0aXRpb3VzIn0.\
                    eyJzYW1wbGUiOnRydWUsIm51bWJlciI6IkFaUEstMjAyNi0wMDAwMSJ9.c2lnbmVk";
        assert_eq!(qr::read_image(&bytes).expect("a code"), [text], "{name}");
        for cut in [3, 40, bytes.len() / 2] {
            assert!(qr::read_image(&bytes[..cut]).is_err(), "{name} cut at {cut}");
        }
    }
}

#[test]
fn images_and_tokens_that_cannot_be_are_refused() {
    let longest = "a".repeat(qr::TOKEN_BYTES_MAX);
    assert_eq!(qr::Code::new(&longest).expect("fits").version, qr::VERSION_MAX);
    let error = qr::Code::new(&(longest + "a")).expect_err("one too many");
    assert!(error.to_string().contains("667 bytes"), "{error}");
    let white = vec![255; 64 * 64];
    for (result, words) in [
        (qr::read_grey(64, 64, &white), "no QR code"),
        (qr::read_grey(65, 64, &white), "not whole"),
        (qr::read_grey(usize::MAX, 2, &white), "too large"),
        (qr::read_png(b"\x89PNG\r\n\x1a\n"), "no whole PNG"),
        (qr::read_png(&png_of(64, &white)[..60]), "no whole PNG"),
        (qr::read_image(&png_of(64, &white)), "no QR code"),
        (qr::read_image(b"\xff\xd8\xff\xe0"), "no whole JPEG"),
        (qr::read_image(b"%PDF-1.7"), "pdftoppm"),
        (qr::read_image(b""), "no whole PNG"),
    ] {
        let error = result.expect_err(words);
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[test]
fn signed_values_are_spelled_as_promised() {
    let text = json::canonical(&claims()).expect("canonical");
    let text = String::from_utf8(text).expect("text");
    let digest = Digest::of(&canonical(&certificate()));
    let expected = format!(
        "{{\"country\":\"AZ\",\"date\":\"2026-09-01\",\"iat\":1788253200,\
         \"number\":\"AZPK-2026-00001\",\"sample\":true,\"sha256\":\"{digest}\",\
         \"status\":{{\"status_list\":{{\"idx\":5,\"uri\":\"{ADDRESS}\"}}}},\
         \"until\":\"2027-09-01\"}}"
    );
    assert_eq!(text, expected);
}

#[test]
fn a_spoilt_code_is_an_error_and_never_a_panic() {
    let token = sign(TOKEN_TYP, &claims(), KEY);
    let code = qr::Code::new(&token).expect("a code");
    let (side, grey) = picture(&code, 2);
    // A fixed sequence (Knuth's MMIX generator), so that a failure comes again.
    let mut state = 7_u64;
    let mut next = move || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).expect("31 bits")
    };
    let mut refused = 0;
    for round in 0..60 {
        let mut spoilt = grey.clone();
        for _ in 0..round * side {
            let at = next() % spoilt.len();
            spoilt[at] = u8::try_from(next() % 256).expect("a byte");
        }
        match qr::read_grey(side, side, &spoilt) {
            Ok(texts) => assert_eq!(texts, std::slice::from_ref(&token), "round {round}"),
            Err(error) => {
                assert_eq!(error.kind(), karvan_types::ErrorKind::Invalid);
                refused += 1;
            }
        }
    }
    assert!((1..60).contains(&refused), "{refused} of 60");
}

#[tokio::test]
async fn a_version_keeps_its_place_and_a_newer_one_replaces_it() {
    let customs = Customs::new(Config {
        customs: "AZ/GOV/SCC/customs".parse().expect("a member"),
        issuers: vec!["AZ/GOV/AMCM".parse().expect("a member")],
        partner: "PK/GOV/FBR/customs".parse().expect("a member"),
        agreement: "AZ-PK-PTA".to_owned(),
        sharing_level: SharingLevel::L2,
        go_live: "2025-01-01".parse().expect("a date"),
        compare_every_seconds: None,
        filed_late_days: None,
    })
    .expect("the shipped rules load");
    let folder = tempfile::tempdir().expect("a folder");
    let store = SqliteStore::open(folder.path(), customs.migrations()).expect("a store");
    let now = at("2026-09-02T00:00:00Z");
    let mut bench = Bench::new(std::sync::Arc::new(customs), Store::new(store), now);
    let issuer = Caller {
        member: "AZ/GOV/AMCM".parse().expect("a member"),
        user: "test".to_owned(),
        permissions: vec!["*".to_owned()],
    };
    let first = serde_json::to_value(certificate()).expect("JSON");
    let mut second = first.clone();
    second["FunctionCode"] = json!("5");
    second["VersionID"] = json!(2);
    second["FunctionalReferenceID"] = json!("AZ-COO-00001-03");
    second["issuePlace"] = json!("Sumqayit");
    // Each version is printed twice: the place, and whether it was printed before.
    for (version, expected) in [(first, [(0, false), (0, true)]), (second, [(1, false), (1, true)])]
    {
        let input = json!({ "certificate": version });
        bench.operate(&issuer, "certificate", input).await.expect("issued");
        for expected in expected {
            let input = json!({ "certificate": "azpk 2026 00001" });
            let (printed, _) = bench.operate(&issuer, "paper", input).await.expect("printed");
            let printed: Print = serde_json::from_value(printed).expect("a print");
            assert_eq!((printed.place, printed.reprint), expected);
        }
    }
    let told = bench.query(&issuer, "statuses", json!({})).await.expect("statuses");
    let packed: Packed = serde_json::from_value(told["statuses"].clone()).expect("packed");
    for (place, expected) in (0..).zip([Some(Status::Replaced), Some(Status::Valid), None]) {
        assert_eq!(packed.status(place).expect("a list"), expected, "place {place}");
    }
    let error = bench.operate(&issuer, "paper", json!({ "certificate": "X-1" })).await;
    assert_eq!(error.expect_err("unknown").code, "customs.unknown-certificate");
}
