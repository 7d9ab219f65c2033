//! The life of a certificate. The issuing side begins with the draft that its issuer hands in, the
//! importing side with what arrives.

use super::{chart, words};

words! {
    /// Where a certificate stands.
    CertificateState: STATES {
        /// It is written and not issued.
        Draft = "draft",
        /// It is issued and not on its way.
        Issued = "issued",
        /// It is on its way to the partner.
        Sent = "sent",
        /// The partner has it, and has not accepted it yet.
        Received = "received",
        /// It can be used.
        Available = "available",
        /// A part of it is used.
        PartlyUsed = "partly-used",
        /// Nothing of it is left.
        UsedUp = "used-up",
        /// It is being verified, or its verification did not end well, or an officer or its issuer
        /// suspended it: nothing is debited finally. A state on a day, stored only when its issuer
        /// says so. That a verification suspends from its opening on is assumed: the agreement is
        /// silent.
        Suspended = "suspended",
        /// Its validity is over. Never stored: a state on a day.
        Expired = "expired",
        /// Its issuer took it back before it was used.
        Cancelled = "cancelled",
        /// Another certificate took its place.
        Replaced = "replaced",
        /// Its issuer took it back after it was used: each use is looked at.
        RevokedAfterUse = "revoked-after-use",
    }
}

words! {
    /// What happens to a certificate.
    CertificateEvent: EVENTS {
        /// Its issuer issues it.
        Issue = "issue",
        /// It is put on its way.
        Send = "send",
        /// The partner's node stores it.
        Store = "store",
        /// It comes from the partner.
        Arrive = "arrive",
        /// The receiving side accepts it.
        Accept = "accept",
        /// The receiving side refuses it.
        Refuse = "refuse",
        /// A part of it is debited.
        UsePart = "use-part",
        /// All of it is debited.
        UseUp = "use-up",
        /// Everything debited is given back.
        Free = "free",
        /// A verification begins, or somebody suspends it.
        Suspend = "suspend",
        /// Every item was confirmed, or who suspended it lets it be used again.
        Resume = "resume",
        /// Its validity ends.
        Expire = "expire",
        /// Its issuer takes it back, unused.
        Cancel = "cancel",
        /// Its issuer takes it back, used.
        Revoke = "revoke",
        /// Its issuer puts another one in its place.
        Replace = "replace",
    }
}

chart! { CertificateState, CertificateEvent, "a certificate", Draft:
    Draft, Issue, Issuer => Issued;
    Issued, Send, Issuer => Sent;
    Sent, Store, Node => Received;
    Draft, Arrive, ImportCustoms => Received;
    Sent | Received, Accept, ImportCustoms => Available;
    Sent | Received, Refuse, ImportCustoms => Issued;
    Sent | Received | Available | PartlyUsed | UsedUp, UsePart, Officer => PartlyUsed;
    Sent | Received | Available | PartlyUsed | UsedUp, UseUp, Officer => UsedUp;
    Available | PartlyUsed | UsedUp, Free, Officer => Available;
    Issued | Sent | Received | Available | PartlyUsed | UsedUp, Suspend, ImportCustoms => Suspended;
    Suspended, Resume, ImportCustoms => Available;
    Available | PartlyUsed, Expire, Clock => Expired;
    Issued | Sent | Received | Available | Suspended | Expired, Cancel, Issuer => Cancelled;
    PartlyUsed | UsedUp | Suspended | Expired, Revoke, Issuer => RevokedAfterUse;
    Issued | Sent | Received | Available | PartlyUsed | UsedUp | Suspended | Expired,
        Replace, Issuer => Replaced;
}
