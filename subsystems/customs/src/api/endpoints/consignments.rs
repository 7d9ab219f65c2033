//! Consignments, their risk, what waits, and what was sent beyond the agreement.

use karvan_subsystem::interface::Endpoint;

use super::{CURSOR, LIMIT, LISTED, READ, UCR, shown};

pub(super) const ENDPOINTS: &[Endpoint] = &[
    Endpoint {
        id: "getConsignment",
        path: "/consignments/{ucr}",
        group: "Consignments",
        summary: "Show a consignment",
        about: "Declarations, certificates and claims under one unique consignment reference.",
        parameters: &[UCR],
        answer: shown("ConsignmentView", "consignment"),
        speaks: true,
        ..READ
    },
    Endpoint {
        id: "getRisk",
        path: "/consignments/{ucr}/risk",
        group: "Consignments",
        summary: "Show the risk score of a consignment",
        about: "Lane, points, and every rule that fired with its sentence; of consignments from \
            the partner, which never learns it.",
        operation: "risk",
        parameters: &[UCR],
        answer: shown("RiskView", "risk"),
        ..READ
    },
    Endpoint {
        id: "listParked",
        path: "/parked",
        group: "Consignments",
        summary: "List messages that wait for another",
        about: LISTED,
        operation: "browse",
        fixed: &[("what", "parked")],
        parameters: &[LIMIT, CURSOR],
        answer: shown("ParkedPage", "parked"),
        ..READ
    },
    Endpoint {
        id: "listSharingIncidents",
        path: "/sharing-incidents",
        group: "Consignments",
        summary: "List what the partner sent beyond the agreement",
        about: "Each message that was stripped before storage, with the names of the fields; their \
            values are kept nowhere.",
        operation: "browse",
        fixed: &[("what", "incidents")],
        parameters: &[LIMIT, CURSOR],
        answer: shown("IncidentPage", "sharing-incidents"),
        ..READ
    },
];
