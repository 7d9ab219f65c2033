use karvan_exchange::tokens::Token;

use super::*;
use crate::registry::ClientAccess;

const CUSTOMS: &str = "PK/GOV/FBR/customs";
const OPEN: &str = "PK/GOV/FBR/open";

fn member(text: &str) -> MemberId {
    text.parse().expect("a member")
}

fn access() -> Access {
    let token = |secret: &str, of: &str, permission: &str| Token {
        sha256: Digest::of(secret.as_bytes()),
        member: member(of),
        user: "the system".to_owned(),
        permissions: vec![permission.to_owned()],
    };
    let tokens = [
        token("of-the-member", "PK/GOV/FBR", "calls.send"),
        token("of-customs", CUSTOMS, "calls.send"),
        token("for-documents", CUSTOMS, "documents.send"),
        token("of-another", "PK/GOV/SBP", "*"),
    ];
    let registry = Registry::of_clients([
        ClientAccess {
            certificates: vec![Digest::of(b"certificate")],
            ..ClientAccess::new(member(CUSTOMS))
        },
        ClientAccess { plain_http: true, ..ClientAccess::new(member(OPEN)) },
    ]);
    Access::new(Arc::new(registry), Arc::new(Tokens::new(&tokens)))
}

/// Checks what a request with these headers is: `Ok`, or the code of the refusal.
#[track_caller]
fn check(headers: &[(&str, &str)], line: Line, client: &str, expected: Result<Proof, &str>) {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
        map.append(name, value.parse().expect("a value"));
    }
    let found = access().check(&map, line, &member(client));
    let found = found.as_ref().map(|proof| *proof).map_err(|refusal| refusal.code.as_str());
    assert_eq!(found, expected);
}

#[test]
fn one_proof_is_enough_and_each_is_for_its_subsystem() {
    let tls = Line { private: true, certificate: None };
    let with = |bytes: &[u8]| Line { private: true, certificate: Some(Digest::of(bytes)) };
    let nobody = Err("client-not-authenticated");

    check(&[], with(b"certificate"), CUSTOMS, Ok(Proof::Certificate));
    check(&[], with(b"another"), CUSTOMS, nobody);
    check(&[], with(b"certificate"), "PK/GOV/FBR/other", nobody);
    check(&[], tls, CUSTOMS, nobody);
    check(&[], Line::default(), OPEN, Ok(Proof::Nothing));
    check(&[], tls, OPEN, Ok(Proof::Nothing));

    check(&[("x-karvan-token", "of-customs")], tls, CUSTOMS, Ok(Proof::Token));
    check(&[("x-karvan-token", "of-the-member")], tls, CUSTOMS, Ok(Proof::Token));
    check(&[("x-karvan-token", "of-customs")], tls, OPEN, Err("token-of-another"));
    check(&[("x-karvan-token", "of-another")], tls, CUSTOMS, Err("token-of-another"));
    check(&[("x-karvan-token", "for-documents")], tls, CUSTOMS, Err("permission-missing"));
    check(&[("x-karvan-token", "guess")], tls, OPEN, Err("token-unknown"));
    check(&[("x-karvan-token", "of-customs")], Line::default(), CUSTOMS, Err("token-exposed"));
}

#[test]
fn authorization_is_ours_only_when_we_know_the_token() {
    let tls = Line { private: true, certificate: None };
    let header = |value| [("authorization", value)];
    check(&header("Bearer of-customs"), tls, CUSTOMS, Ok(Proof::Authorization));
    check(&header("bearer of-customs"), tls, CUSTOMS, Ok(Proof::Authorization));
    check(&header("Bearer of-another"), tls, CUSTOMS, Err("token-of-another"));
    for theirs in ["Bearer of-the-provider", "Basic dTpw", "Bearer", "é"] {
        check(&header(theirs), tls, CUSTOMS, Err("client-not-authenticated"));
        check(&header(theirs), tls, OPEN, Ok(Proof::Nothing));
    }
}
