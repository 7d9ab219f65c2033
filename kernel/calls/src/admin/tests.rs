use super::*;

#[track_caller]
fn check(path: &str, expected: Result<(&str, &str), &str>) {
    let found = named_service(&path.parse().expect("a path"));
    let found = found.as_ref().map(|(member, code)| (member.as_str(), code.as_str()));
    match (found, expected) {
        (Err(refusal), Err(part)) => assert!(refusal.text.contains(part), "{refusal}"),
        (found, expected) => assert_eq!(found.ok(), expected.ok(), "{path}"),
    }
}

#[test]
fn services_are_named_by_the_raw_path() {
    check("/v1/services/PK/GOV/FBR/customs/pets", Ok(("PK/GOV/FBR/customs", "pets")));
    check("/v1/services/PK/GOV/FBR/customs/p%20s", Ok(("PK/GOV/FBR/customs", "p s")));
    check("/v1/services/PK/GOV/%C6%8FL%2F/a/pets", Ok(("PK/GOV/%C6%8FL%2F/a", "pets")));
    check("/v1/services/PK/GOV/FBR/pets", Err("/v1/services/PK/GOV/FBR/customs/code"));
    check("/v1/services/PK/GOV/FBR/customs/pets/x", Err("names no service"));
    check("/v1/services/pk/GOV/FBR/customs/pets", Err("names no service"));
    let client = |path: &str| named_client(&path.parse().expect("a path"));
    assert_eq!(client("/v1/clients/PK/GOV/FBR").expect("a member").as_str(), "PK/GOV/FBR");
    assert!(client("/v1/clients/PK/GOV").expect_err("too short").text.contains("/v1/clients/PK"));
}

#[test]
fn settings_take_their_name_from_the_path() {
    let named = [("subsystem", "PK/GOV/FBR/customs")];
    let merge = |body: &str| merge::<ClientAccess>(body.as_bytes(), &named);
    let access = merge(r#"{"plainHttp":true}"#).expect("settings");
    assert_eq!(access.subsystem.as_str(), "PK/GOV/FBR/customs");
    assert!(merge(r#"{"subsystem":"PK/GOV/FBR/customs"}"#).is_ok());
    for (body, part) in [
        (r#"{"subsystem":"PK/GOV/FBR/other"}"#, "leave it out"),
        ("[]", "no JSON object"),
        ("{", "EOF"),
        (r#"{"plain":true}"#, "plain"),
        (r#"{"certificates":["00"]}"#, "64 hexadecimal digits"),
        (r#"{"plainHttp":true,"plainHttp":false}"#, "twice"),
    ] {
        let refusal = merge(body).expect_err(body);
        assert!(refusal.text.contains(part), "{body}: {refusal}");
    }
}

mod http;
pub(crate) mod node;
