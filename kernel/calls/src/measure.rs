//! What a program that was built to be measured leaves out, to show where the time of a call goes.
//!
//! Only with the feature `measure`, which no release has: without it `is_without` is `false` when
//! it is compiled, and nothing of this is left. With it somebody says once for the process what is
//! left out; a signature that is left out is zeros, which such a program takes for good.
//!
//! Invariants: what is not left out goes the way that it always goes; a program with the feature
//! opens no gateway before somebody has said what is left out.

#[cfg(feature = "measure")]
use std::sync::OnceLock;

/// What may be left out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Without {
    /// Making and verifying the signatures of calls and their answers.
    Signatures,
    /// The entries of calls in the evidence log.
    Log,
}

/// Nobody has said that a measurement is meant.
#[cfg(feature = "measure")]
#[derive(Debug, thiserror::Error)]
#[error(
    "this program was built to be measured (feature `measure`): it takes calls that nobody signed, \
     and is no node for anybody's data; run one that was built without that feature"
)]
pub struct NotMeant;

#[cfg(feature = "measure")]
static WITHOUT: OnceLock<Option<Without>> = OnceLock::new();

/// Says that a measurement is meant, and what is left out from now on: `nothing`, `signatures` or
/// `log`; what was said first stands.
///
/// # Errors
///
/// [`NotMeant`] for any other word.
#[cfg(feature = "measure")]
pub fn permit(word: &str) -> Result<(), NotMeant> {
    let what = match word {
        "nothing" => None,
        "signatures" => Some(Without::Signatures),
        "log" => Some(Without::Log),
        _ => return Err(NotMeant),
    };
    let _ = WITHOUT.set(what);
    Ok(())
}

/// Fails until somebody has said that a measurement is meant.
#[cfg(feature = "measure")]
pub(crate) fn check() -> Result<(), NotMeant> {
    WITHOUT.get().map(|_| ()).ok_or(NotMeant)
}

/// Returns whether something is left out.
#[cfg(feature = "measure")]
pub(crate) fn is_without(what: Without) -> bool {
    WITHOUT.get() == Some(&Some(what))
}

/// Returns whether something is left out: nothing is.
#[cfg(not(feature = "measure"))]
pub(crate) const fn is_without(_: Without) -> bool {
    false
}

#[cfg(all(test, feature = "measure"))]
mod tests {
    use std::sync::Arc;

    use karvan_system::OsDisk;

    use super::*;
    use crate::admin::tests::node;
    use crate::{Error, Gateway, Settings};

    /// One test for all of it: what is said is said for the process.
    #[tokio::test]
    async fn a_program_to_be_measured_serves_nobody_unless_it_is_meant() {
        let folder = tempfile::tempdir().expect("a folder");
        let node = node::open(folder.path(), Vec::new()).await;
        let open = async || {
            let settings = Settings::new(folder.path().join("spool"));
            Gateway::open(node.clone(), settings, Arc::new(OsDisk), None).await.map(drop)
        };
        for word in ["", "yes", "Log", "log,signatures"] {
            assert!(permit(word).is_err(), "{word:?}");
            assert!(matches!(open().await, Err(Error::NotMeant(_))), "{word:?}");
        }
        let left_out = || [Without::Signatures, Without::Log].map(is_without);
        assert_eq!(left_out(), [false, false]);
        permit("log").expect("a word");
        assert_eq!(left_out(), [false, true]);
        open().await.expect("it opens");
        permit("nothing").expect("a word");
        assert_eq!(left_out(), [false, true], "what was said first stands");
    }
}
