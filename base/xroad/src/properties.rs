//! Properties that hold for any input.

use std::borrow::Cow;

use karvan_types::limits::ID_BYTES_MAX;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::access::{AccessPath, EndpointRight, Rights};
use crate::fault::BodyFormat;
use crate::header::RequestHeaders;
use crate::id::member_text;
use crate::metadata::{openapi, query_value};
use crate::url::ServiceUrl;
use crate::{ClientId, Code, FaultCode, Method, Prefix, ServiceId, Spelling, Target};

/// Names of every script, with the characters that encodings stumble over.
fn part() -> impl Strategy<Value = String> {
    let any = "[a-zA-Z0-9 ./%\\\\:;?#&+~_\\-əöğکسٹم€😀]{1,20}";
    any.prop_filter("dot segments are no names", |part| part != "." && part != "..")
}

/// Texts near to a target, so that the parsers are entered deeply.
fn near_target() -> impl Strategy<Value = String> {
    vec("(/r1)?(/([A-Za-z.;%*\\\\]|%2F|%2e|%c3%b6|%zz){0,4}){0,9}(\\?[a-z=&%]{0,6})?", 1)
        .prop_map(|texts| texts.concat())
}

/// The slow but evident way to match.
fn matches_slowly(pattern: &[u8], path: &[u8]) -> bool {
    match (pattern, path) {
        ([], _) => path.is_empty(),
        ([b'*', b'*', after @ ..], _) => {
            (0..=path.len()).any(|at| matches_slowly(after, path.get(at..).unwrap_or_default()))
        }
        ([b'*', after @ ..], _) => {
            let segment = path.iter().position(|&byte| byte == b'/').unwrap_or(path.len());
            (0..=segment).any(|at| matches_slowly(after, path.get(at..).unwrap_or_default()))
        }
        ([byte, after @ ..], [first, rest @ ..]) => byte == first && matches_slowly(after, rest),
        _ => false,
    }
}

proptest! {
    #[test]
    fn clients_survive_their_encoding(parts in vec(part(), 3..=4)) {
        let [instance, class, member, rest @ ..] = parts.as_slice() else { unreachable!() };
        let client = ClientId {
            instance: Cow::Borrowed(instance),
            class: Cow::Borrowed(class),
            member: Cow::Borrowed(member),
            subsystem: rest.first().map(|part| Cow::Borrowed(part.as_str())),
        };
        let text = client.to_string();
        prop_assert!(text.is_ascii());
        prop_assert_eq!(ClientId::parse(text.as_bytes()), Ok(client.clone()));
        let client = ClientId { instance: Cow::Borrowed("PK"), ..client };
        if let Ok(id) = client.to_member() {
            prop_assert_eq!(ClientId::from_member(&id), Ok(client.clone()));
        } else {
            // Member ids have a bound, and no part of dots alone.
            let dots = parts.iter().any(|part| part.chars().all(|letter| letter == '.'));
            let text = member_text("PK", class, member, client.subsystem.as_deref());
            prop_assert!(dots || text.len() > ID_BYTES_MAX);
        }
        prop_assert_eq!(client.clone().into_owned(), client);
    }

    #[test]
    fn services_survive_their_encoding(parts in vec(part(), 5), path in "(/[a-z%]{0,5}){0,4}") {
        let [instance, class, member, subsystem, service] = parts.as_slice() else {
            unreachable!()
        };
        let service = ServiceId {
            instance: Cow::Borrowed(instance),
            class: Cow::Borrowed(class),
            member: Cow::Borrowed(member),
            subsystem: Cow::Borrowed(subsystem),
            service: Cow::Borrowed(service),
        };
        let text = service.to_string();
        let target = format!("/r1/{text}{path}");
        prop_assert_eq!(ServiceId::parse(text.as_bytes()), Ok(service.clone().into_owned()));
        let provider = service.provider().to_string();
        let rest = text.strip_prefix(&provider);
        prop_assert!(rest.is_some_and(|rest| rest.starts_with('/')));
        let expected = Target { service, path: &path, query: None };
        prop_assert_eq!(Target::parse(&target), Ok(expected));
    }

    #[test]
    fn patterns_match_as_they_evidently_should(
        pattern in "/(a|b|/|\\*|\\*\\*){0,7}",
        path in "/(a|b|a/|b/){0,9}",
    ) {
        let right = EndpointRight { method: "*".to_owned(), path: pattern.clone() };
        let rights = Rights::compile(&[right]).expect("a valid pattern");
        let parsed = AccessPath::parse(&path).expect("a plain path");
        let expected = matches_slowly(pattern.as_bytes(), parsed.as_str().as_bytes());
        prop_assert_eq!(rights.allow(Method::Get, &parsed), expected, "{} {}", pattern, path);
    }

    #[test]
    fn a_checked_path_has_one_reading(path in near_target()) {
        if let Ok(path) = AccessPath::parse(&path) {
            prop_assert!(path.as_str().starts_with('/'));
            prop_assert!(!path.as_str().contains("//"));
            prop_assert!(!path.as_str().split(['/', '\\']).any(|it| matches!(it, "." | "..")));
        }
    }

    #[test]
    fn nothing_panics(text in any::<String>(), near in near_target(), bytes in any::<Vec<u8>>()) {
        for text in [text.as_str(), near.as_str()] {
            let _ = Target::parse(text).map(|target| target.service.to_string());
            let _ = AccessPath::parse(text);
            let _ = ServiceUrl::parse(text);
            let _ = FaultCode::parse(text);
            let _ = Method::parse(text);
            let _ = query_value(Some(text), "a");
            let _ = openapi::reduce(format!("openapi: 3.0\nservers:\n{text}").as_bytes());
            let right = EndpointRight { method: "*".to_owned(), path: text.to_owned() };
            let _ = Rights::compile(&[right]);
        }
        for bytes in [bytes.as_slice(), text.as_bytes(), near.as_bytes()] {
            let _ = ClientId::parse(bytes).map(|client| client.to_member());
            let _ = openapi::reduce(bytes);
            let _ = BodyFormat::from_accept([bytes]);
            for name in crate::header::READ {
                let client = ("x-road-client", b"PK/GOV/FBR".as_slice());
                let _ = RequestHeaders::read([client, (name, bytes)]);
            }
        }
    }
}

#[test]
fn every_code_is_read_as_it_is_written() {
    for &code in Code::ALL {
        for prefix in Prefix::ALL {
            for spelling in [Spelling::Snake, Spelling::Camel] {
                for whole in [FaultCode::new(prefix, code), FaultCode::relayed(prefix, code)] {
                    assert_eq!(FaultCode::parse(&whole.text(spelling)), Some(whole));
                }
            }
        }
    }
    assert_eq!(Code::ALL.len(), 76);
}
