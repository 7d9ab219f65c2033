//! The life of a claimed item at the importing side.

use super::{chart, words};

words! {
    /// Where a claimed item stands.
    ItemState: STATES {
        /// Matched, not decided; the light tells how the match went.
        Open = "open",
        /// A question is open; the goods may be released under security.
        Query = "query",
        /// Released under security; the final decision follows.
        Provisional = "provisional",
        /// Granted.
        Granted = "granted",
        /// Granted for a part of the quantity.
        GrantedInPart = "granted-in-part",
        /// Denied.
        Denied = "denied",
        /// A decision was reopened and not made again yet.
        Reopened = "reopened",
    }
}

words! {
    /// What happens to a claimed item.
    ClaimEvent: EVENTS {
        /// The preference is granted.
        Grant = "grant",
        /// The preference is granted for a part.
        GrantInPart = "grant-in-part",
        /// The preference is denied.
        Deny = "deny",
        /// The partner is asked.
        Query = "query",
        /// The goods are released under security.
        Release = "release",
        /// A decision is taken up again.
        Reopen = "reopen",
    }
}

chart! { ItemState, ClaimEvent, "a claimed item", Open:
    Open | Query | Provisional | Reopened, Grant, Officer => Granted;
    Open | Query | Provisional | Reopened, GrantInPart, Officer => GrantedInPart;
    Open | Query | Provisional | Reopened, Deny, Officer => Denied;
    Open | Query | Provisional | Reopened, Query, Officer => Query;
    Open | Query | Provisional | Reopened, Release, Officer => Provisional;
    Granted | GrantedInPart | Denied, Reopen, Officer => Reopened;
}

impl ItemState {
    /// Whether a decision stands that must be reopened before another one.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Granted | Self::GrantedInPart | Self::Denied)
    }
}
