//! The table of endpoints: one file for each resource, and here what they share.

mod certificates;
mod claims;
mod consignments;
mod exports;
mod files;
mod tariff;
mod tasks;
mod verifications;
mod waits;

use karvan_subsystem::interface::{
    Answer, At, Body, Endpoint, Kind, Media, Method, Parameter, Place,
};

use crate::certificate::NUMBER_CHARS_MAX;
use crate::subsystem::{CURSOR_CHARS_MAX, PAGE_MAX};

/// Longest number of a declaration and longest reference of a consignment, in characters.
const ID_CHARS_MAX: usize = 70;

const fn path(
    name: &'static str,
    member: &'static str,
    about: &'static str,
    example: &'static str,
) -> Parameter {
    let kind = Kind::Text { chars_max: ID_CHARS_MAX };
    Parameter { name, at: At::Path, member, kind, about, example }
}

const fn query(
    name: &'static str,
    kind: Kind,
    about: &'static str,
    example: &'static str,
) -> Parameter {
    Parameter { name, at: At::Query, member: name, kind, about, example }
}

const CERTIFICATE: Parameter = Parameter {
    kind: Kind::Text { chars_max: NUMBER_CHARS_MAX },
    ..path(
        "certificate",
        "certificate",
        "Number of the certificate, in any spelling.",
        "AZPK-2026-00001",
    )
};
const EXPORT: Parameter =
    path("declaration", "export", "Number of the declaration.", "AZ-EX-2026-00001");
const CLAIM: Parameter =
    path("claim", "claim", "Number of the import declaration.", "KAPE-HC-00001-05-10-2026");
const ITEM: Parameter = Parameter {
    kind: Kind::Number { min: 1, max: 99_999 },
    ..path("item", "item", "Item of the declaration.", "1")
};
const VERIFICATION: Parameter = path(
    "verification",
    "verification",
    "Number of the verification.",
    "KAPE-HC-00014-02-10-2026-1-V1",
);
const UCR: Parameter = path("ucr", "consignment", "Unique consignment reference.", "6AZ00001");
const CASE_STATE: Parameter =
    query("state", Kind::Choice(&["open", "closed"]), "`open` unless given.", "open");
const QUOTED: Parameter =
    Parameter { at: At::Query, about: "Only those that quote this one.", ..CERTIFICATE };
const TASK: Parameter = Parameter {
    kind: Kind::Number { min: 1, max: 9_007_199_254_740_991 },
    ..path("task", "task", "Number of the task.", "1")
};
const LIMIT: Parameter = query(
    "limit",
    Kind::Number { min: 1, max: PAGE_MAX as u64 },
    "Most rows of the page; 50 unless given.",
    "50",
);
const CURSOR: Parameter = query(
    "cursor",
    Kind::Text { chars_max: CURSOR_CHARS_MAX },
    "`next` of the page before.",
    "dEFaOkFaUEsyMDI2MDAwMDE",
);
const STATE: Parameter = query(
    "state",
    Kind::Text { chars_max: 30 },
    "Only those that stand so, as rows show it.",
    "available",
);
/// Of a list.
const LISTED: &str = "Pages follow each other by `next`; a page may be shorter than asked, and \
    only one without `next` is the last.";

const fn message(schema: &'static str, member: &'static str, example: &'static str) -> Body {
    Body { media: Media::Json, schema, place: Place::Member(member), example }
}

const fn whole(schema: &'static str, example: &'static str) -> Body {
    Body { media: Media::Json, schema, place: Place::Whole, example }
}

const fn made(schema: &'static str, example: &'static str) -> Answer {
    Answer { status: 201, schema, example }
}

const fn shown(schema: &'static str, example: &'static str) -> Answer {
    Answer { status: 200, schema, example }
}

/// What most endpoints leave out.
const READ: Endpoint = Endpoint {
    id: "",
    method: Method::Get,
    path: "",
    group: "",
    summary: "",
    about: "",
    operation: "show",
    fixed: &[],
    parameters: &[],
    body: None,
    answer: shown("", ""),
    speaks: false,
    changes: None,
};
const WRITE: Endpoint = Endpoint { method: Method::Post, ..READ };

/// The endpoints of each resource, in the order of reading.
const RESOURCES: [&[Endpoint]; 9] = [
    certificates::ENDPOINTS,
    exports::ENDPOINTS,
    claims::ENDPOINTS,
    verifications::ENDPOINTS,
    consignments::ENDPOINTS,
    tasks::ENDPOINTS,
    tariff::ENDPOINTS,
    files::ENDPOINTS,
    waits::ENDPOINTS,
];

/// Every endpoint.
pub(super) static ENDPOINTS: [Endpoint; count()] = joined();

const fn count() -> usize {
    let (mut count, mut resources) = (0, RESOURCES.as_slice());
    while let [resource, rest @ ..] = resources {
        count += resource.len();
        resources = rest;
    }
    count
}

#[expect(clippy::indexing_slicing, reason = "the compiler evaluates it, and would refuse to go on")]
const fn joined() -> [Endpoint; count()] {
    let (mut all, mut at, mut resources) = ([READ; count()], 0, RESOURCES.as_slice());
    while let [resource, rest @ ..] = resources {
        let mut endpoints = *resource;
        while let [endpoint, others @ ..] = endpoints {
            all[at] = *endpoint;
            at += 1;
            endpoints = others;
        }
        resources = rest;
    }
    all
}
