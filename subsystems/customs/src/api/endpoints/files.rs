//! What national systems write already: WCO Data Model XML, and UN/EDIFACT interchanges.

use karvan_subsystem::interface::{Body, Endpoint, Media, Place};

use super::{WRITE, made, shown};

pub(super) const ENDPOINTS: &[Endpoint] = &[
    Endpoint {
        id: "handInXml",
        path: "/xml-messages",
        group: "National systems",
        summary: "Hand in a message in WCO Data Model XML",
        about: "A declaration (DEC) is submitted or filed, an amendment (`COR`) or cancellation \
            (`INV`) takes effect on the declaration or claim that it names, a response (RES) is \
            kept with the declaration that it answers. `document` says which it was, \
            `notCarriedOver` each value that has no place in the canonical message. An import \
            declaration needs the permission `customs.claim` too. UTF-8 only (RFC 7303).",
        operation: "submit",
        body: Some(Body {
            media: Media::Text("application/xml"),
            schema: "XmlMessage",
            place: Place::Member("xml"),
            example: "xml",
        }),
        answer: made("HandedIn", "xml-handed-in"),
        ..WRITE
    },
    Endpoint {
        id: "handInInterchange",
        path: "/edifact-interchanges",
        group: "National systems",
        summary: "Hand in a UN/EDIFACT interchange",
        about: "Each CUSDEC is filed alone, and so is each CUSCAR, a carrier's cargo report, whose \
            `answer` is a CUSRES. What is not taken is named in `refused` and in `control`, the \
            CONTRL for the sender; so look at `refused`: an interchange of which nothing was taken \
            is answered as well. One that was taken before gets code 26, and a test interchange \
            (0035) is checked only. The repertoire is the one of UNB (RFC 1767).",
        operation: "interchange",
        body: Some(Body {
            media: Media::Bytes("application/EDIFACT"),
            schema: "EdifactInterchange",
            place: Place::Member("interchange"),
            example: "interchange",
        }),
        answer: shown("InterchangeTaken", "interchange-taken"),
        ..WRITE
    },
];
