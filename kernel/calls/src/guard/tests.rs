use super::*;

const HEAD: &str = "POST /r1/a HTTP/1.1\r\nHost: x\r\n";

/// Reads a stream in pieces of a size; returns the fault and how many bytes were good.
fn read(text: &[u8], piece: usize) -> Option<(usize, Fault)> {
    let mut scan = Scan::new();
    let mut before = 0;
    for piece in text.chunks(piece) {
        if let Err((good, fault)) = scan.read(piece) {
            return Some((before + good, fault));
        }
        before += piece.len();
    }
    None
}

/// The outcome is the same however the bytes arrive.
#[track_caller]
fn check(text: &str, expected: Option<&str>) {
    for piece in [usize::MAX, 7, 1] {
        let found = read(text.as_bytes(), piece.min(text.len()));
        let told = found.map(|(_, Fault::Malformed(text) | Fault::TooLong(text))| text);
        let same = match (told, expected) {
            (Some(told), Some(expected)) => told.contains(expected),
            (None, None) => true,
            _ => false,
        };
        assert!(same, "{piece}: {told:?} instead of {expected:?}: {text}");
    }
}

#[test]
fn good_requests_follow_each_other() {
    let get = "GET /r1/a?b=%20 HTTP/1.1\r\nhost: x\r\nX-A: a: b\r\n\r\n";
    let length = format!("{HEAD}content-length: 5\r\n\r\nsalam");
    let none = format!("{HEAD}content-length: 0\r\n\r\n");
    let chunks = format!(
        "{HEAD}Transfer-Encoding: Chunked\r\n\r\n5;a=b\r\nsal\r\n\r\nA\r\n0123456789\r\n0\r\nx: y\r\n\r\n"
    );
    let old = "GET / HTTP/1.0\r\n\r\n";
    for one in [get, &length, &none, &chunks, old, "\r\n"] {
        for other in [get, &length, &none, &chunks, old] {
            check(&format!("{one}{other}{get}"), None);
            check(&format!("{one}{other}no HTTP\r\n"), Some("no request"));
        }
    }
}

#[test]
fn what_can_be_read_in_two_ways_is_a_fault() {
    for (fields, expected) in [
        ("content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n", "not both"),
        ("transfer-encoding: chunked\r\nContent-Length: 5\r\n\r\n", "not both"),
        ("content-length: 5\r\ncontent-length: 5\r\n\r\n", "one Content-Length"),
        ("content-length: 5, 5\r\n\r\n", "no number"),
        ("content-length: +5\r\n\r\n", "no number"),
        ("content-length:\r\n\r\n", "no number"),
        ("content-length: 99999999999999999999\r\n\r\n", "no number"),
        ("transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n", "once"),
        ("transfer-encoding: gzip, chunked\r\n\r\n", "`chunked`"),
        ("host: y\r\n\r\n", "one Host"),
        ("x-a: 1\nx-b: 2\r\n\r\n", "without CR"),
        ("\n", "without CR"),
        ("x-a: 1\r\n x-b: 2\r\n\r\n", "no name"),
        ("x-a : 1\r\n\r\n", "no name"),
        (": 1\r\n\r\n", "no name"),
        ("x-a\r\n\r\n", "no name"),
        ("transfer-encoding: chunked\r\n\r\n5\r\nsalam!\r\n", "another length"),
        ("transfer-encoding: chunked\r\n\r\n5\nsalam", "without CR"),
        ("transfer-encoding: chunked\r\n\r\n+5\r\nsalam", "no length"),
        ("transfer-encoding: chunked\r\n\r\n\r\n", "no length"),
        ("transfer-encoding: chunked\r\n\r\nffffffffffffffff\r\n", "no length"),
    ] {
        check(&format!("{HEAD}{fields}"), Some(expected));
    }
    for (head, expected) in [
        ("GET / HTTP/1.1\r\n\r\n", "one Host"),
        ("GET / HTTP/2.0\r\n", "no request"),
        ("GET  / HTTP/1.1\r\n", "no request"),
        ("GET /\r\n", "no request"),
        ("GET /?a=\"b\" HTTP/1.1\r\n", "percent-encode"),
        ("GET /?a=<b> HTTP/1.1\r\n", "percent-encode"),
        ("GET /gömrük HTTP/1.1\r\n", "percent-encode"),
        ("GET / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n", "not both"),
        ("\r\n\r\n\r\n", "no request"),
    ] {
        check(head, Some(expected));
    }
    check(&format!("{HEAD}{}", "x: 1\r\n".repeat(FIELDS_MAX)), Some("more than 81"));
    check(&format!("{HEAD}x: {}", "y".repeat(HEAD_BYTES_MAX)), Some("65536"));
}

/// The lengths of many small chunks are no part of a head, however many bytes they are together.
#[test]
fn a_body_may_come_in_many_chunks() {
    let chunks = "1\r\na\r\n".repeat(HEAD_BYTES_MAX);
    let whole = format!("{HEAD}transfer-encoding: chunked\r\n\r\n{chunks}0\r\nx: y\r\n\r\n");
    check(&format!("{whole}{whole}no HTTP\r\n"), Some("no request"));
    check(
        &format!("{HEAD}transfer-encoding: chunked\r\n\r\n0\r\nx: {}", "y".repeat(HEAD_BYTES_MAX)),
        Some("65536"),
    );
}

/// What came before the head with the fault is shown; of the head itself no end.
#[test]
fn only_what_is_good_goes_on() {
    let good = format!("{HEAD}content-length: 5\r\n\r\nsalam");
    let bad = "GET / HTTP/1.1\r\nhost: x\r\nhost: y\r\n\r\n";
    let text = format!("{good}{bad}GET / HTTP/1.1\r\n");
    let (shown, fault) = read(text.as_bytes(), text.len()).expect("a fault");
    assert_eq!((shown, fault), (good.len(), Fault::Malformed("a request has one Host")));
    let (shown, _) = read(text.as_bytes(), 1).expect("a fault");
    assert!(shown < good.len() + bad.len(), "{shown}");
}
