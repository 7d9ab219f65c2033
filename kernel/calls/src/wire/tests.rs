use std::time::Duration;

use karvan_agreements::Quota;
use karvan_agreements::meter::Period;
use karvan_types::{ExchangeId, Timestamp};
use karvan_xroad::{Code, Prefix, Spelling};

use super::*;

fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
    let pair = |(name, value): &(&'static str, &str)| {
        (HeaderName::from_static(name), HeaderValue::from_bytes(value.as_bytes()).expect("a value"))
    };
    let mut headers = HeaderMap::new();
    for (name, value) in fields.iter().map(pair) {
        headers.append(name, value);
    }
    headers
}

#[test]
fn the_call_field_has_one_spelling() {
    let head = Digest::of(b"head");
    let salt = "abcdefghijklmnopqrst-_";
    for (salt, typeless) in [(Some(salt), true), (Some(salt), false), (None, true), (None, false)] {
        let field = CallField { size: 17, head, salt, typeless };
        assert_eq!(CallField::read(&field.write()), Ok(field));
    }
    let good = CallField { size: 17, head, salt: Some(salt), typeless: true }.write();
    assert_eq!(good, format!("size=17, head=:{}:, salt=\"{salt}\", typeless", head.to_base64()));
    for (from, to) in [
        ("17", "017"),
        ("17", "-1"),
        ("17", "18446744073709551616"),
        (", ", ","),
        ("=:", "="),
        ("abc", "ab"),
        ("abc", "a b"),
        ("typeless", "typeless=?1"),
        ("typeless", "other"),
        ("size", "Size"),
    ] {
        let bad = good.replacen(from, to, 1);
        assert!(CallField::read(&bad).is_err(), "{bad}");
    }
    assert!(CallField::read("").is_err());
}

#[track_caller]
fn check(fields: &[(&'static str, &str)], typeless: bool, content_type: &str) {
    let from = headers(fields);
    let mut out = Outgoing::new(&from, |_| true);
    assert_eq!((out.typeless, out.content_type()), (typeless, content_type));
    // What the signature adds must not be taken for the agency's.
    for name in ["content-digest", "karvan-call", "signature", "signature-input", "host"] {
        out.put(&HeaderName::from_static(name), "ours").expect("a value");
    }
    let mut back = HeaderMap::new();
    carried(&out.headers, out.typeless).for_each(|field| field.hand_on(&mut back));
    let list = |headers: &HeaderMap| -> Vec<_> {
        headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
    };
    assert_eq!(list(&back), list(&from));
}

#[test]
fn what_an_agency_says_comes_back_in_its_order() {
    const NONE: &str = "application/octet-stream";
    check(&[], true, NONE);
    check(
        &[("content-type", "text/plain"), ("x-a", "1"), ("x-b", ""), ("x-a", "2")],
        false,
        "text/plain",
    );
    check(&[("x-a", "1"), ("content-type", "a/b"), ("content-type", "c/d")], true, NONE);
    check(&[("content-type", "")], true, NONE);
    check(&[("content-type", "text/ə")], true, NONE);
    check(&[("content-type", &"x".repeat(4097))], true, NONE);
    check(
        &[("signature", "a"), ("x-b", "1"), ("signature", "b"), ("content-digest", "c")],
        true,
        NONE,
    );
    check(&[("karvan-agency-signature", "a"), ("karvan-call", "b"), ("karvan-x", "c")], true, NONE);
}

#[test]
fn a_refusal_travels_as_problem_and_as_field() {
    let rejection = Rejection::new(ErrorKind::Overloaded, "quota-exceeded", "ə".repeat(2000));
    let mut refusal = Refusal::new(Prefix::ServerProxy, Code::QuotaExceeded, rejection)
        .retry_after(Duration::from_millis(1500));
    let quota = Quota { calls: 2, per: Period::Minute };
    refusal.limit = Some(Box::new(Limit::new(quota, 0, Duration::from_secs(59))));
    let field = refusal.field();
    for read in [Refusal::read(&refusal.problem()), Refusal::read_field(&field)] {
        let read = read.expect("a refusal");
        assert_eq!((read.status(), read.code), (429, refusal.code));
        assert_eq!(read.rejection.text.chars().count(), 1024);
        assert_eq!((read.retry_after, &read.limit), (Some(Duration::from_secs(2)), &refusal.limit));
    }
    assert!(field.len() < 4096, "{}", field.len());
    assert!(Refusal::read(b"{}").is_none() && Refusal::read_field("size=1").is_none());
    let id = ExchangeId::new(Timestamp::from_seconds(1), [0; 10]);
    let answer = refusal.to_answer(&http::Method::GET, &HeaderMap::new(), Spelling::Camel, id);
    let header = |name: &str| answer.headers()[name].to_str().expect("text").to_owned();
    assert_eq!(header("x-road-error"), "Server.ServerProxy.QuotaExceeded");
    assert_eq!(header("retry-after"), "2");
    assert_eq!(header("ratelimit"), "\"agreement\";r=0;t=59");
    assert_eq!(header("ratelimit-policy"), "\"agreement\";q=2;w=60");
    assert_eq!(header("karvan-exchange-id"), id.to_string());
}

#[test]
fn heads_that_are_no_text_are_kept_as_base64() {
    assert_eq!(kept_head(b"GET\r\n".to_vec()), "GET\r\n");
    assert_eq!(kept_head(b"x:\xff".to_vec()), "base64:eDr/");
}
