//! Rates and quotas.

use karvan_subsystem::interface::{Endpoint, Kind, Parameter};

use super::{READ, path, query, shown};

pub(super) const ENDPOINTS: &[Endpoint] = &[
    Endpoint {
        id: "getRates",
        path: "/tariff/{code}",
        group: "Tariff",
        summary: "Show the rates of a code",
        about: "Each rate with its source and status: `official`, `reported`, `derived`, \
            `analogue` or `assumed`. Nobody may collect money on an assumed rate.",
        operation: "tariff",
        parameters: &[
            Parameter {
                kind: Kind::Digits { min: 4, max: 10 },
                ..path("code", "code", "Commodity code, digits only.", "74081100")
            },
            query("day", Kind::Date, "The day; today unless given.", "2026-10-05"),
            query("origin", Kind::Text { chars_max: 2 }, "Country of origin.", "AZ"),
            query("country", Kind::Choice(&["AZ", "PK"]), "Whose tariff; ours unless given.", "PK"),
        ],
        answer: shown("Rates", "rates"),
        ..READ
    },
    Endpoint {
        id: "getQuota",
        path: "/quotas/{quota}",
        group: "Tariff",
        summary: "Show what is left of a quota",
        about: "And who has asked for how much, in which order.",
        operation: "quota",
        parameters: &[
            path("quota", "quota", "Number of the quota, as the tariff names it.", "PK-AZ-0802"),
            query("day", Kind::Date, "A day of its period; today unless given.", "2026-10-05"),
        ],
        answer: shown("QuotaView", "quota"),
        ..READ
    },
];
