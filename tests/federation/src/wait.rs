//! Waiting for what must happen.

use std::time::Duration;

/// How long anything may take before a test gives up.
pub const WAIT_MAX: Duration = Duration::from_mins(1);
/// Time between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Looks until there is something to see.
///
/// # Panics
/// When there is nothing after [`WAIT_MAX`]; `what` says what was waited for.
pub async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let looking = async {
        loop {
            if let Some(seen) = look().await {
                return seen;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    let seen = tokio::time::timeout(WAIT_MAX, looking).await;
    seen.unwrap_or_else(|_| panic!("not within {WAIT_MAX:?}: {what}"))
}
