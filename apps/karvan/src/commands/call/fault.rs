//! Errors of the exchange, as callers get them: what each means and what to do.

use bytes::Bytes;
use http::Response;
use karvan_types::ErrorKind;
use karvan_xroad::{Code, FaultCode, Prefix, header};
use serde_json::Value;

use crate::failure::Failure;

/// Returns the error that an answer is, when it is one of the exchange and not of the service.
pub(super) fn read(answer: &Response<Bytes>) -> Option<Failure> {
    let text = |name: &str| answer.headers().get(name)?.to_str().ok();
    let name = text(header::ERROR)?;
    let body: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
    let message = body["message"].as_str().unwrap_or("the node says no more");
    let Some(code) = FaultCode::parse(name) else {
        return Some(Failure::new(ErrorKind::Internal, format!("{name}: {message}")));
    };
    let (kind, mut remedy) = judge(code);
    let cause = text("karvan-cause").unwrap_or_default();
    if cause == "exchange-replayed" {
        remedy = REPLAYED;
    }
    let after = text("retry-after").map(|after| format!("; try again after {after} s"));
    let told = format!("{name} ({cause}): {message}{}", after.unwrap_or_default());
    Some(Failure::new(kind, told).hint(format!("{} {remedy}", whose(code.prefix))))
}

/// What to do about an exchange id that was used before.
const REPLAYED: &str = "an exchange id is for one call: `karvan messages show ID` says how that \
    one ended; leave Karvan-Exchange-Id out to make another call";

/// Says where the error is.
const fn whose(prefix: Prefix) -> &'static str {
    match prefix {
        Prefix::Client => "in your request:",
        Prefix::ClientProxy => "at your own node:",
        Prefix::ServerProxy => "on the provider's side:",
    }
}

/// Returns the kind of an error and what to do about it.
fn judge(error: FaultCode) -> (ErrorKind, &'static str) {
    match error.code {
        Code::AccessDenied => (
            ErrorKind::Forbidden,
            "conclude an agreement that covers client, service, method and path; \
             `karvan services allow --help` shows how",
        ),
        Code::SslAuthenticationFailed => (
            ErrorKind::Unauthenticated,
            "use a token of this subsystem (--as) with the permission calls.send, or have a \
             certificate registered with `karvan services client`",
        ),
        Code::UnknownService => (
            ErrorKind::NotFound,
            "ask which services there are: `karvan call …/SUBSYSTEM/listMethods`",
        ),
        Code::UnknownMember => (
            ErrorKind::NotFound,
            "look the name up in the national list; upper and lower case count",
        ),
        Code::QuotaExceeded => {
            (ErrorKind::Overloaded, "wait, or agree on more with `karvan services allow`")
        }
        Code::Overloaded | Code::MaintenanceMode => (ErrorKind::Overloaded, "try again later"),
        Code::ServiceDisabled => {
            (ErrorKind::PeerUnavailable, "its operator has switched the service off; ask there")
        }
        Code::NetworkError if matches!(error.prefix, Prefix::ClientProxy) => (
            ErrorKind::PeerUnavailable,
            "the other node cannot be reached: look at `karvan status`; the call was not made",
        ),
        Code::NetworkError | Code::UnknownHost | Code::ServiceFailed => (
            ErrorKind::PeerUnavailable,
            "the provider's system cannot be reached from its node; tell the provider",
        ),
        Code::IoError | Code::HttpError | Code::InconsistentResponse => (
            ErrorKind::PeerUnavailable,
            "it is not known whether the service acted: ask the provider before you repeat it",
        ),
        Code::GlobalConfOutdated | Code::MalformedGlobalConf => {
            (ErrorKind::LocalConfig, "a national list has ended: `karvan status` says which")
        }
        Code::KeyNotFound | Code::CannotCreateSignature | Code::CannotSign => {
            (ErrorKind::LocalConfig, "the operator looks at keys and log of the node")
        }
        Code::LoggingFailed | Code::DatabaseError => {
            (ErrorKind::Storage, "nothing was released; tell the operator of that node")
        }
        Code::MissingSignature
        | Code::MalformedSignature
        | Code::InvalidSignatureValue
        | Code::SignatureVerification
        | Code::CertValidation => {
            (ErrorKind::Evidence, "keys, lists or clocks differ: both operators look")
        }
        Code::InternalError => (ErrorKind::Internal, "tell the operator of that node"),
        _ => (ErrorKind::Invalid, "mend the request; `karvan call --help` shows the form"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_kind_and_a_remedy() {
        let check = |name: &str, kind: ErrorKind, part: &str| {
            let answer = Response::builder()
                .header(header::ERROR, name)
                .header("karvan-cause", "a-cause")
                .body(Bytes::from_static(br#"{"message":"what happened"}"#));
            let failure = read(&answer.expect("an answer")).expect("an error");
            assert_eq!(failure.kind, kind, "{name}");
            let told = format!("{failure} {}", failure.hint.as_deref().unwrap_or_default());
            assert!(told.contains(part) && told.contains("what happened"), "{told}");
        };
        check("server.serverproxy.access_denied", ErrorKind::Forbidden, "services allow");
        check("Server.ServerProxy.AccessDenied", ErrorKind::Forbidden, "provider's side");
        check("server.clientproxy.network_error", ErrorKind::PeerUnavailable, "was not made");
        check("server.serverproxy.quota_exceeded", ErrorKind::Overloaded, "wait");
        check("client.bad_request", ErrorKind::Invalid, "your request");
        check("something else", ErrorKind::Internal, "something else");
        let replayed = Response::builder()
            .header(header::ERROR, "client.invalid_request")
            .header("karvan-cause", "exchange-replayed")
            .body(Bytes::new());
        let failure = read(&replayed.expect("an answer")).expect("an error");
        assert_eq!(failure.kind, ErrorKind::Invalid);
        assert!(failure.hint.is_some_and(|hint| hint.contains("messages show")));
        let plain = Response::new(Bytes::new());
        assert!(read(&plain).is_none());
    }
}
