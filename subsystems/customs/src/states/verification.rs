//! The life of a verification, at the side that asks.

use super::{chart, words};

words! {
    /// Where a verification stands.
    VerificationState: STATES {
        /// Opened here.
        Opened = "opened",
        /// The query is on its way.
        Sent = "sent",
        /// The partner took it up.
        Received = "received",
        /// The partner confirms.
        Confirmed = "confirmed",
        /// The partner does not confirm.
        Refuted = "refuted",
        /// The partner confirms in part.
        Partly = "partly",
        /// The partner did not answer in time.
        NoAnswer = "no-answer",
        /// What followed is decided.
        Closed = "closed",
    }
}

words! {
    /// What happens to a verification.
    VerificationEvent: EVENTS {
        /// The query is sent.
        Send = "send",
        /// The partner accepts the query, or answers for the time being.
        Acknowledge = "acknowledge",
        /// The partner refuses the query; it is mended and sent again.
        Return = "return",
        /// The answer confirms.
        Confirm = "confirm",
        /// The answer does not confirm.
        Refute = "refute",
        /// The answer confirms in part.
        ConfirmPartly = "confirm-partly",
        /// The time for the answer is over.
        Expire = "expire",
        /// An officer draws the conclusion.
        Close = "close",
        /// New facts come after the conclusion.
        Reopen = "reopen",
    }
}

chart! { VerificationState, VerificationEvent, "a verification", Opened:
    Opened, Send, Officer => Sent;
    Sent | Received, Acknowledge, ExportCustoms => Received;
    Sent, Return, ExportCustoms => Opened;
    Sent | Received | NoAnswer, Confirm, ExportCustoms => Confirmed;
    Sent | Received | NoAnswer, Refute, ExportCustoms => Refuted;
    Sent | Received | NoAnswer, ConfirmPartly, ExportCustoms => Partly;
    Sent | Received, Expire, Clock => NoAnswer;
    Opened | Sent | Received | Confirmed | Refuted | Partly | NoAnswer, Close, Officer => Closed;
    Closed, Reopen, Officer => Opened;
}
