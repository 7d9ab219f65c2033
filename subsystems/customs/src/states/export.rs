//! The life of an export declaration, at either side.

use super::{chart, words};

words! {
    /// Where an export declaration stands.
    ExportState: STATES {
        /// Accepted by the exporting customs.
        Announced = "announced",
        /// The goods left the exporting territory.
        Departed = "departed",
        /// The goods go elsewhere.
        Diverted = "diverted",
        /// The goods reached the importing territory.
        Arrived = "arrived",
        /// An import declaration meets it.
        Matched = "matched",
        /// The import is decided.
        Closed = "closed",
        /// The goods did not come within the time in which they should have.
        NeverArrived = "never-arrived",
        /// The exporting customs took it back.
        Cancelled = "cancelled",
    }
}

words! {
    /// What happens to an export declaration.
    ExportEvent: EVENTS {
        /// The goods leave.
        Depart = "depart",
        /// The goods change their destination.
        Divert = "divert",
        /// The goods arrive.
        Arrive = "arrive",
        /// An import declaration rests on it.
        Match = "match",
        /// All items that rest on it are decided.
        Close = "close",
        /// A decision that rests on it is reopened.
        Reopen = "reopen",
        /// The goods are overdue.
        Overdue = "overdue",
        /// It is taken back.
        Cancel = "cancel",
    }
}

chart! { ExportState, ExportEvent, "an export declaration", Announced:
    Announced | Departed | Diverted | NeverArrived, Depart, ExportCustoms => Departed;
    Announced | Departed | Diverted | NeverArrived, Divert, ExportCustoms => Diverted;
    Announced | Departed | Diverted | NeverArrived | Arrived, Arrive, Customs => Arrived;
    Matched, Depart, ExportCustoms => Matched;
    Matched, Divert, ExportCustoms => Matched;
    Matched, Arrive, Customs => Matched;
    Closed, Depart, ExportCustoms => Closed;
    Closed, Divert, ExportCustoms => Closed;
    Closed, Arrive, Customs => Closed;
    Announced | Departed | Diverted | Arrived | NeverArrived | Matched,
        Match, ImportCustoms => Matched;
    Closed, Match, ImportCustoms => Matched;
    Matched, Close, Officer => Closed;
    Closed, Reopen, Officer => Matched;
    Announced | Departed | Diverted, Overdue, Clock => NeverArrived;
    Announced | Departed | Diverted | Arrived | Matched | Closed | NeverArrived,
        Cancel, ExportCustoms => Cancelled;
}
