use super::*;
use crate::{Endpoint, Quota, meter::Period};

fn at(hour: i64) -> Timestamp {
    Timestamp::from_seconds(1_760_000_000 + hour * 3_600)
}

fn id(text: &str) -> MemberId {
    text.parse().expect("a member id")
}

fn agreement() -> Agreement {
    Agreement {
        id: "az-pk-tariff".to_owned(),
        version: 1,
        purpose: "tariff-look-up".to_owned(),
        legal_basis: "a test".to_owned(),
        valid_from: at(0),
        valid_until: at(100),
        grants: vec![Grant {
            client: id("AZ/GOV/SCC/customs"),
            provider: id("PK/GOV/FBR/customs"),
            documents: vec!["EXD".to_owned()],
            services: vec![ServiceGrant {
                service: "tariff".to_owned(),
                endpoints: vec![Endpoint { method: "GET".to_owned(), path: "/lines/*".to_owned() }],
            }],
            feeds: vec!["urn:karvan:feed:rates".to_owned()],
            quota: Some(Quota { calls: 2, per: Period::Hour }),
            sharing_level: None,
        }],
        policy: None,
    }
}

fn book() -> AgreementBook {
    let mut book = AgreementBook::default();
    book.add(agreement(), Digest::of(b"text"), b"signed".to_vec());
    book
}

#[test]
fn each_question_has_its_answer() {
    let book = book();
    let (client, provider) = (id("AZ/GOV/SCC/customs"), id("PK/GOV/FBR/customs"));
    let other = id("AZ/GOV/SCC/other");
    let call = |service: &str, now, covered| {
        book.find_service(&client, &provider, service, now, |_| covered)
            .map(drop)
            .map_err(|refusal| format!("{}: {}", refusal.code, refusal.text))
    };
    assert_eq!(call("tariff", at(1), true), Ok(()));
    let no_right = call("tariff", at(1), false).expect_err("no right");
    assert!(no_right.starts_with("agreement-does-not-cover: ") && no_right.contains("and path"));
    let no_grant = call("rates", at(1), true).expect_err("no grant");
    assert!(no_grant.starts_with("agreement-missing: no agreement in force"), "{no_grant}");
    assert!(call("tariff", at(100), true).is_err(), "it has ended");
    assert!(book.find_document(&client, &provider, "EXD", at(1)).is_ok());
    assert!(book.find_document(&provider, &client, "EXD", at(1)).is_err(), "the other direction");
    assert!(book.find_document(&other, &provider, "EXD", at(1)).is_err());
    assert!(book.find_feed(&client, &provider, "urn:karvan:feed:rates", at(1)).is_ok());
    assert!(book.find_feed(&client, &provider, "urn:karvan:feed:other", at(1)).is_err());
}

#[test]
fn the_named_text_is_checked() {
    let mut book = book();
    let name = agreement().name(Digest::of(b"text"));
    let other = agreement().name(Digest::of(b"another text"));
    let (client, provider) = (id("AZ/GOV/SCC/customs"), id("PK/GOV/FBR/customs"));
    let check = |book: &AgreementBook, name, code: &str, now| {
        let outcome = book.check_document(name, &client, &provider, code, now);
        outcome.map(drop).map_err(|refusal| refusal.code)
    };
    assert_eq!(check(&book, &name, "EXD", at(1)), Ok(()));
    assert_eq!(check(&book, &other, "EXD", at(1)), Err("agreement-unknown".to_owned()));
    assert_eq!(check(&book, &name, "EXD", at(-1)), Err("agreement-not-in-force".to_owned()));
    assert_eq!(check(&book, &name, "COO", at(1)), Err("agreement-does-not-cover".to_owned()));
    assert!(book.withdraw(&name, at(2)));
    assert_eq!(check(&book, &name, "EXD", at(1)), Ok(()));
    assert_eq!(check(&book, &name, "EXD", at(2)), Err("agreement-withdrawn".to_owned()));
    assert!(book.find_document(&client, &provider, "EXD", at(2)).is_err());
    assert!(!book.withdraw(&other, at(2)));
}

#[test]
fn the_count_goes_on_when_the_book_is_replaced() {
    let agreements = Agreements::new(book());
    let take = || {
        let book = agreements.book();
        let (client, provider) = (id("AZ/GOV/SCC/customs"), id("PK/GOV/FBR/customs"));
        let allowed = book.find_service(&client, &provider, "tariff", at(1), |_| true);
        allowed.expect("allowed").meter.expect("a quota").take(at(1)).is_ok()
    };
    assert!(take());
    agreements.replace(&book());
    assert!(take());
    agreements.change(|book| {
        book.withdraw(&agreement().name(Digest::of(b"another text")), at(1));
    });
    assert!(!take(), "two calls are the allowance, whatever happens to the book");
}

#[test]
fn what_an_agreement_must_be() {
    let check = |field: &str, change: &dyn Fn(&mut Agreement)| {
        let mut agreement = agreement();
        change(&mut agreement);
        let error = agreement.check().expect_err(field).to_string();
        assert!(error.contains(field), "{error}");
    };
    assert!(agreement().check().is_ok());
    check("`id`", &|a| a.id = "a;b".to_owned());
    check("`version`", &|a| a.version = 0);
    check("`purpose`", &|a| a.purpose = "two words".to_owned());
    check("`legalBasis`", &|a| a.legal_basis = " ".to_owned());
    check("`validUntil`", &|a| a.valid_until = a.valid_from);
    check("`grants`", &|a| a.grants.clear());
    check("grants[0].quota", &|a| {
        a.grants[0].quota = Some(Quota { calls: 0, per: Period::Day });
    });
    check("grants[0].documents", &|a| a.grants[0].documents.push(String::new()));
    for (method, path) in [
        ("get", "/"),
        ("FETCH", "/"),
        ("", "/"),
        ("GET", "lines"),
        ("GET", "/".repeat(1_025).as_str()),
    ] {
        check("grants[0].services.endpoints", &|a| {
            let (method, path) = (method.to_owned(), path.to_owned());
            a.grants[0].services[0].endpoints[0] = Endpoint { method, path };
        });
    }
    check("grants[0].", &|a| {
        let grant = &mut a.grants[0];
        (grant.documents, grant.services, grant.feeds) = Default::default();
    });
}
