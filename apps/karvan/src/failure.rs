//! Errors at the edge: which kind they are, and how a person or a script reads them.
//!
//! Libraries have error enums; here they meet in `anyhow`, and [`kind`] finds the kind again, so
//! that the exit code says whose turn it is to act.

use anyhow::Error;
use karvan_exchange::wire;
use karvan_subsystem::Rejection;
use karvan_types::ErrorKind;
use std::fmt::Write as _;

/// A failure of the command line itself, with a remedy.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub(crate) struct Failure {
    pub(crate) kind: ErrorKind,
    pub(crate) text: String,
    pub(crate) hint: Option<String>,
}

impl Failure {
    pub(crate) fn new(kind: ErrorKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into(), hint: None }
    }

    pub(crate) fn config(text: impl Into<String>) -> Self {
        Self::new(ErrorKind::LocalConfig, text)
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Returns the kind of the first cause that has one.
pub(crate) fn kind(error: &Error) -> ErrorKind {
    // A failure that was attached as context is known to anyhow only, not to the chain.
    if let Some(failure) = error.downcast_ref::<Failure>() {
        return failure.kind;
    }
    error.chain().find_map(kind_of_cause).unwrap_or(ErrorKind::Internal)
}

fn kind_of_cause(cause: &(dyn std::error::Error + 'static)) -> Option<ErrorKind> {
    if let Some(failure) = cause.downcast_ref::<Failure>() {
        return Some(failure.kind);
    }
    if let Some(rejection) = cause.downcast_ref::<Rejection>() {
        return Some(rejection.kind);
    }
    macro_rules! told_by {
        ($($error:ty),+) => {
            $(if let Some(error) = cause.downcast_ref::<$error>() {
                return Some(error.kind());
            })+
        };
    }
    told_by!(
        karvan_agreements::Error,
        karvan_calls::Error,
        karvan_negotiation::Error,
        karvan_exchange::Error,
        karvan_trust::Error,
        karvan_store::Error,
        karvan_ledger::Error,
        karvan_evidence::Error
    );
    cause.downcast_ref::<std::io::Error>().map(|error| match error.kind() {
        std::io::ErrorKind::NotFound => ErrorKind::NotFound,
        _ => ErrorKind::Storage,
    })
}

/// Returns what to try next, when something can be tried.
fn hint(error: &Error) -> Option<String> {
    let context = error.downcast_ref::<Failure>().and_then(|failure| failure.hint.clone());
    let own = || error.chain().find_map(|cause| cause.downcast_ref::<Failure>()?.hint.clone());
    context.or_else(own).or_else(|| {
        let known = match kind(error) {
            ErrorKind::Unauthenticated => {
                "give a token of this node with --token-file, or its folder with --dir"
            }
            // Other refusals of this kind say themselves what to do.
            ErrorKind::Forbidden if is_permission(error) => {
                "ask the operator for a token with that permission"
            }
            ErrorKind::Evidence => "keep the material as it is; it is itself evidence",
            ErrorKind::Internal => {
                "this is a defect in Karvan; report it with the command's output"
            }
            _ => return None,
        };
        Some(known.to_owned())
    })
}

/// Returns whether the token lacks a permission.
fn is_permission(error: &Error) -> bool {
    let mut rejections = error.chain().filter_map(|cause| cause.downcast_ref::<Rejection>());
    rejections.any(|rejection| rejection.code == "permission-missing")
}

/// Returns error, causes and hint for a person.
pub(crate) fn text(error: &Error) -> String {
    let mut text = format!("error: {error:#}\n");
    let rejection = error.chain().find_map(|cause| cause.downcast_ref::<Rejection>());
    for pointer in rejection.map(|rejection| &*rejection.pointers).unwrap_or_default() {
        let at = if pointer.pointer.is_empty() { "document" } else { &pointer.pointer };
        let _ = writeln!(text, "  at {at}: {}; {}", pointer.rule, pointer.remedy);
    }
    if let Some(hint) = hint(error) {
        let _ = writeln!(text, "hint: {hint}");
    }
    text
}

/// Returns the error as a problem (RFC 9457) for a script.
pub(crate) fn problem(error: &Error) -> String {
    let rejection = error.chain().find_map(|cause| cause.downcast_ref::<Rejection>()).cloned();
    let rejection = rejection.unwrap_or_else(|| {
        let kind = kind(error);
        let mut text = format!("{error:#}");
        if let Some(hint) = hint(error) {
            text.push_str("; ");
            text.push_str(&hint);
        }
        Rejection::new(kind, kind.label(), text)
    });
    String::from_utf8_lossy(&wire::problem(&rejection)).into_owned()
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn the_kind_is_found_below_context() {
        let check = |error: Error, expected: ErrorKind| assert_eq!(kind(&error), expected);
        let failed = || Err::<(), _>(Failure::config("no")).context("while starting");
        check(failed().expect_err("fails"), ErrorKind::LocalConfig);
        let denied = || Err::<(), _>(std::io::Error::from(std::io::ErrorKind::PermissionDenied));
        let attached = denied().with_context(|| Failure::config("no").hint("do"));
        let attached = attached.expect_err("fails");
        assert_eq!(hint(&attached).as_deref(), Some("do"));
        check(attached, ErrorKind::LocalConfig);
        check(Rejection::new(ErrorKind::Forbidden, "a", "b").into(), ErrorKind::Forbidden);
        check(karvan_store::Error::Stopped.into(), ErrorKind::Storage);
        check(std::io::Error::from(std::io::ErrorKind::NotFound).into(), ErrorKind::NotFound);
        check(anyhow::anyhow!("surprise"), ErrorKind::Internal);
    }

    /// Not each refusal is about a token.
    #[test]
    fn only_a_missing_permission_is_asked_for() {
        for (code, expected) in [("permission-missing", true), ("member-elsewhere", false)] {
            let error = Error::from(Rejection::new(ErrorKind::Forbidden, code, "no"));
            let hint = hint(&error).unwrap_or_default();
            assert_eq!(hint.contains("token with that permission"), expected, "{code}: {hint}");
        }
    }

    #[test]
    fn texts_have_causes_and_a_hint() {
        let failure = Failure::config("the key `x` is unknown").hint("delete it");
        let error = Error::from(failure).context("cannot start");
        assert_eq!(text(&error), "error: cannot start: the key `x` is unknown\nhint: delete it\n");
        assert!(problem(&error).contains(r#""title":"configuration""#), "{}", problem(&error));
    }
}
