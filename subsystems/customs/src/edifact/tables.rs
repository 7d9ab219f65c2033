//! The tables of CUSDEC, CUSRES and CUSCAR, for D.96B and D.09A.
//!
//! Where the directories differ, a width has two numbers or a row names its one directory: D.96B
//! has narrower numbers, names and texts, and states indicators with GIS where D.09A has GEI. What
//! the model has no qualifier for uses `ZZZ`, mutually defined, or a code list of our own (`K..` in
//! data element 1131); docs/use/formats.md lists them for the partner.
//!
//! Checked in November 2026 against the mapping of both directories that the project
//! php-edifact/edifact-mapping publishes (revision c875cda0): every segment is one of its message,
//! every element and component is there with the data element that is meant here, and the widths
//! are those of the directory. Not checked: the codes in qualifiers, and what national
//! implementation guides narrow down. Segments are written in the order of the messages; only the
//! seals follow each container, so that it is seen whose they are.

use super::table::Directory::{D09A, D96B};
use super::table::Form::{
    Amount, Code, Commodities, Date, Decimal, Instant, Long, Measure, Number, Text,
};
use super::table::Node::{Many, Section};
use super::table::{Key, Node, Width, below, only, row};

const W1: Width = Width(1, 1);
const W2: Width = Width(2, 2);
const W3: Width = Width(3, 3);
/// Document number (1004).
const DOCUMENT: Width = Width(35, 70);
/// Reference number (1154).
const REFERENCE: Width = Width(35, 70);
/// Place (3225) and its name (3224).
const PLACE: Width = Width(25, 35);
const PLACE_NAME: Width = Width(70, 256);
/// Party (3039), its name (3036), street (3042), city (3164) and postcode (3251).
const PARTY: Width = Width(35, 35);
const PARTY_NAME: Width = Width(35, 70);
const STREET: Width = Width(35, 35);
const CITY: Width = Width(35, 35);
const POSTCODE: Width = Width(9, 17);
/// Free text (4440).
const FREE_TEXT: Width = Width(70, 512);
/// Marks (7102).
const MARKS: Width = Width(35, 35);
/// Equipment (8260) and seal (9308).
const EQUIPMENT: Width = Width(17, 17);
const SEAL: Width = Width(10, 35);
/// Means of transport (8213) and its name (8212).
const MEANS: Width = Width(9, 35);
const MEANS_NAME: Width = Width(35, 70);
/// Error (9321).
const ERROR: Width = Width(8, 8);

/// The order of the segments before the items, as the directories have it. What is not named keeps
/// its place at the end. CUSCAR has its own table in order: what follows CNI belongs to it.
pub(super) const ORDER_CUSDEC: &[&str] = &[
    "BGM", "LOC", "DTM", "GIS", "GEI", "MEA", "EQD", "FTX", "RFF", "TDT", "DOC", "NAD", "TOD",
    "MOA",
];
pub(super) const ORDER_CUSRES: &[&str] =
    &["BGM", "DTM", "FTX", "TDT", "LOC", "GIS", "GEI", "EQD", "NAD", "RFF", "ERP", "DOC", "CST"];

/// What every message begins with.
pub(super) const HEAD: &[Node] = &[
    row(
        "BGM",
        &[],
        &[
            ("TypeCode", 1, 1, Text(W3)),
            ("ID", 2, 1, Text(DOCUMENT)),
            ("FunctionCode", 3, 1, Text(W2)),
        ],
    ),
    row("DTM", &[(1, 1, "137")], &[("IssueDateTime", 1, 2, Instant)]),
    only(D96B, "GIS", &[(1, 2, "KSL"), (1, 3, "ZZZ")], &[("sharingLevel", 1, 1, Text(W3))]),
    only(
        D09A,
        "GEI",
        &[(1, 1, "ZZZ"), (2, 2, "KSL"), (2, 3, "ZZZ")],
        &[("sharingLevel", 2, 1, Text(W3))],
    ),
    row(
        "RFF",
        &[(1, 1, "ABO")],
        &[("FunctionalReferenceID", 1, 2, Text(REFERENCE)), ("VersionID", 1, 4, Number)],
    ),
    row("RFF", &[(1, 1, "AJS")], &[("agreementID", 1, 2, Text(REFERENCE))]),
];

/// A party: identification, name, address.
const fn party(base: &'static str, keys: &'static [Key]) -> Node {
    below(
        base,
        "NAD",
        keys,
        &[
            ("ID", 2, 1, Text(PARTY)),
            ("Name", 4, 1, Long(PARTY_NAME, 5)),
            ("Address/Line", 5, 1, Long(STREET, 3)),
            ("Address/CityName", 6, 1, Text(CITY)),
            ("Address/PostcodeID", 8, 1, Text(POSTCODE)),
            ("Address/CountryCode", 9, 1, Text(W3)),
        ],
    )
}

/// The means of transport at one stage (8051).
const fn means(base: &'static str, keys: &'static [Key]) -> Node {
    below(
        base,
        "TDT",
        keys,
        &[
            ("ModeCode", 3, 1, Text(W3)),
            ("ID", 8, 1, Text(MEANS)),
            ("ID", 8, 4, Text(MEANS_NAME)),
            ("RegistrationNationalityCode", 8, 5, Text(W3)),
        ],
    )
}

/// A place, by code or by name.
const fn place(base: &'static str, keys: &'static [Key]) -> Node {
    below(base, "LOC", keys, &[("ID", 2, 1, Text(PLACE)), ("Name", 2, 4, Text(PLACE_NAME))])
}

/// A document that is referred to.
const fn reference(base: &'static str, keys: &'static [Key]) -> Node {
    below(
        base,
        "DOC",
        keys,
        &[
            ("documentType", 1, 1, Text(W3)),
            ("ID", 2, 1, Text(DOCUMENT)),
            ("VersionID", 2, 3, Number),
        ],
    )
}

/// A document that came before: number, category, line.
const PREVIOUS: &[super::table::Field] = &[
    ("TypeCode", 1, 1, Text(W3)),
    ("CategoryCode", 1, 4, Text(W3)),
    ("ID", 2, 1, Text(DOCUMENT)),
    ("LineNumeric", 2, 3, Number),
];

/// A date that belongs to the document before it, and not to the message: it has no place, and must
/// not be taken for one of the message.
const DATE_OF_DOCUMENT: Node = row("DTM", &[], &[]);

/// Containers with their seals.
const EQUIPMENTS: Node = Many(
    "GoodsShipment/Consignment/TransportEquipment",
    &[
        row("EQD", &[(1, 1, "CN")], &[("ID", 2, 1, Text(EQUIPMENT))]),
        Many("Seal", &[row("SEL", &[], &[("ID", 1, 1, Text(SEAL))])]),
    ],
);

/// Packages with their marks.
const PACKAGES: Node = Many(
    "Packaging",
    &[
        row("PAC", &[], &[("QuantityQuantity", 1, 1, Number), ("TypeCode", 3, 1, Text(W2))]),
        row("PCI", &[], &[("MarksNumbersID", 2, 1, Long(MARKS, 10))]),
    ],
);

/// CUSDEC of a declaration for export or import.
pub(super) const DECLARATION: &[Node] = &[
    row("LOC", &[(1, 1, "22")], &[("DeclarationOfficeID", 2, 1, Text(PLACE))]),
    row("LOC", &[(1, 1, "35")], &[("GoodsShipment/ExportCountry/ID", 2, 1, Text(W2))]),
    row("LOC", &[(1, 1, "36")], &[("GoodsShipment/Destination/CountryCode", 2, 1, Text(W2))]),
    place("GoodsShipment/Consignment/LoadingLocation", &[(1, 1, "9")]),
    place("GoodsShipment/Consignment/UnloadingLocation", &[(1, 1, "11")]),
    row("LOC", &[(1, 1, "1")], &[("GoodsShipment/TradeTerms/LocationID", 2, 1, Text(PLACE))]),
    Many(
        "GoodsShipment/Consignment/RoutingCountryCode",
        &[row("LOC", &[(1, 1, "92")], &[("", 2, 1, Text(W2))])],
    ),
    row("DTM", &[(1, 1, "148")], &[("AcceptanceDateTime", 1, 2, Instant)]),
    row("DTM", &[(1, 1, "136")], &[("GoodsShipment/Consignment/DepartureDateTime", 1, 2, Instant)]),
    row("DTM", &[(1, 1, "186")], &[("GoodsShipment/ExitDateTime", 1, 2, Instant)]),
    only(
        D96B,
        "GIS",
        &[(1, 2, "KCT"), (1, 3, "ZZZ")],
        &[("GoodsShipment/Consignment/ContainerCode", 1, 1, Text(W1))],
    ),
    only(
        D09A,
        "GEI",
        &[(1, 1, "ZZZ"), (2, 2, "KCT"), (2, 3, "ZZZ")],
        &[("GoodsShipment/Consignment/ContainerCode", 2, 1, Text(W1))],
    ),
    row("MEA", &[(1, 1, "AAE"), (2, 1, "AAD")], &[("TotalGrossMassMeasure", 3, 1, Measure)]),
    EQUIPMENTS,
    row("RFF", &[(1, 1, "UCN")], &[("GoodsShipment/UCR/ID", 1, 2, Text(REFERENCE))]),
    row(
        "RFF",
        &[(1, 1, "ABE")],
        &[("GoodsShipment/UCR/TraderAssignedReferenceID", 1, 2, Text(REFERENCE))],
    ),
    means("BorderTransportMeans", &[(1, 1, "11")]),
    means("GoodsShipment/Consignment/DepartureTransportMeans", &[(1, 1, "12")]),
    means("GoodsShipment/Consignment/ArrivalTransportMeans", &[(1, 1, "13")]),
    Many(
        "GoodsShipment/Invoice",
        &[
            row("DOC", &[(1, 1, "380")], &[("ID", 2, 1, Text(DOCUMENT))]),
            row("DTM", &[(1, 1, "137")], &[("IssueDateTime", 1, 2, Date)]),
            DATE_OF_DOCUMENT,
        ],
    ),
    Many("GoodsShipment/PreviousDocument", &[row("DOC", &[], PREVIOUS), DATE_OF_DOCUMENT]),
    party("Exporter", &[(1, 1, "EX")]),
    party("GoodsShipment/Consignee", &[(1, 1, "CN")]),
    party("GoodsShipment/Importer", &[(1, 1, "IM")]),
    party("Declarant", &[(1, 1, "DT")]),
    party("Submitter", &[(1, 1, "MS")]),
    row("TOD", &[], &[("GoodsShipment/TradeTerms/ConditionCode", 3, 1, Text(W3))]),
    row("MOA", &[(1, 1, "39")], &[("InvoiceAmount", 1, 2, Amount)]),
    Section("D"),
    Many("GoodsShipment/GovernmentAgencyGoodsItem", ITEM),
    Section("S"),
    row("CNT", &[(1, 1, "5")], &[("GoodsItemQuantity", 1, 2, Number)]),
    row("CNT", &[(1, 1, "11")], &[("TotalPackageQuantity", 1, 2, Number)]),
];

/// An item of a declaration.
const ITEM: &[Node] = &[
    row(
        "CST",
        &[],
        &[("SequenceNumeric", 1, 1, Number), ("Commodity/Classification", 2, 1, Commodities)],
    ),
    row("FTX", &[(1, 1, "AAA")], &[("Commodity/Description", 4, 1, Long(FREE_TEXT, 5))]),
    row(
        "LOC",
        &[(1, 1, "27")],
        &[("Origin/CountryCode", 2, 1, Text(W2)), ("Origin/TypeCode", 3, 1, Text(W3))],
    ),
    row(
        "MEA",
        &[(1, 1, "WT"), (2, 1, "AAD")],
        &[("Commodity/GoodsMeasure/GrossMassMeasure", 3, 1, Measure)],
    ),
    row(
        "MEA",
        &[(1, 1, "WT"), (2, 1, "AAA")],
        &[("Commodity/GoodsMeasure/NetNetWeightMeasure", 3, 1, Measure)],
    ),
    row("MEA", &[(1, 1, "CT")], &[("Commodity/GoodsMeasure/TariffQuantity", 3, 1, Measure)]),
    PACKAGES,
    row("MOA", &[(1, 1, "38")], &[("Commodity/InvoiceLine/ItemChargeAmount", 1, 2, Amount)]),
    row("MOA", &[(1, 1, "40")], &[("CustomsValueAmount", 1, 2, Amount)]),
    row("MOA", &[(1, 1, "63")], &[("StatisticalValueAmount", 1, 2, Amount)]),
    row("MOA", &[(1, 1, "64")], &[("CustomsValuation/FreightChargeAmount", 1, 2, Amount)]),
    row("RFF", &[(1, 1, "UCN")], &[("UCR/ID", 1, 2, Text(REFERENCE))]),
    row("RFF", &[(1, 1, "ABE")], &[("UCR/TraderAssignedReferenceID", 1, 2, Text(REFERENCE))]),
    Many(
        "GovernmentProcedure",
        &[row(
            "RFF",
            &[(1, 1, "ZZZ")],
            &[("CurrentCode", 1, 2, Text(REFERENCE)), ("PreviousCode", 1, 4, Text(Width(35, 9)))],
        )],
    ),
    Many("PreviousDocument", &[row("DOC", &[(1, 2, "KPD"), (1, 3, "ZZZ")], PREVIOUS)]),
    Many(
        "AdditionalDocument",
        &[
            row(
                "DOC",
                &[],
                &[
                    ("TypeCode", 1, 1, Text(W3)),
                    ("CategoryCode", 1, 4, Text(W3)),
                    ("ID", 2, 1, Text(DOCUMENT)),
                    ("LPCOExemptionCode", 2, 2, Text(W3)),
                    ("LineNumeric", 2, 3, Number),
                ],
            ),
            row("DTM", &[(1, 1, "137")], &[("EffectiveDateTime", 1, 2, Date)]),
            row(
                "MEA",
                &[(1, 1, "ZZZ"), (2, 1, "WO")],
                &[("WriteOff/QuantityQuantity", 3, 1, Measure)],
            ),
            row("MOA", &[(1, 1, "ZZZ")], &[("WriteOff/AmountAmount", 1, 2, Amount)]),
        ],
    ),
    only(
        D96B,
        "GIS",
        &[(1, 2, "KVM"), (1, 3, "ZZZ")],
        &[("CustomsValuation/MethodCode", 1, 1, Text(W3))],
    ),
    only(
        D09A,
        "GEI",
        &[(1, 1, "ZZZ"), (2, 2, "KVM"), (2, 3, "ZZZ")],
        &[("CustomsValuation/MethodCode", 2, 1, Text(W3))],
    ),
    Many(
        "CustomsValuation/ChargeDeduction",
        &[
            row("TAX", &[(1, 1, "6")], &[("ChargesTypeCode", 2, 1, Text(W3))]),
            row("MOA", &[(1, 1, "8")], &[("OtherChargeDeductionAmount", 1, 2, Amount)]),
        ],
    ),
    Many(
        "Commodity/DutyTaxFee",
        &[
            row(
                "TAX",
                &[(1, 1, "1")],
                &[
                    ("TypeCode", 2, 1, Text(W3)),
                    ("DutyRegimeCode", 3, 1, Text(W3)),
                    ("TaxRateNumeric", 5, 4, Decimal),
                    ("QuotaOrderID", 7, 1, Text(Width(20, 20))),
                ],
            ),
            row("MOA", &[(1, 1, "125")], &[("AdValoremTaxBaseAmount", 1, 2, Amount)]),
            row("MOA", &[(1, 1, "52")], &[("DeductAmount", 1, 2, Amount)]),
            row("MOA", &[(1, 1, "161")], &[("Payment/TaxAssessedAmount", 1, 2, Amount)]),
            row("MOA", &[(1, 1, "9")], &[("Payment/PaymentAmount", 1, 2, Amount)]),
            row(
                "MEA",
                &[(1, 1, "ZZZ"), (2, 1, "SB")],
                &[("SpecificTaxBaseQuantity", 3, 1, Measure)],
            ),
        ],
    ),
];

/// CUSDEC of a cancellation.
pub(super) const CANCELLATION: &[Node] = &[
    reference("document", &[(1, 2, "KDT"), (1, 3, "ZZZ")]),
    row("RFF", &[(1, 1, "AGO")], &[("document/FunctionalReferenceID", 1, 2, Text(REFERENCE))]),
    row("DTM", &[(1, 1, "171")], &[("document/EffectiveDateTime", 1, 2, Date)]),
    row(
        "FTX",
        &[(1, 1, "ACD")],
        &[("ChangeReasonCode", 3, 1, Text(W3)), ("StatementDescription", 4, 1, Long(FREE_TEXT, 5))],
    ),
    row("RFF", &[(1, 1, "ACW")], &[("replacedBy", 1, 2, Text(REFERENCE))]),
    Section("D"),
    Section("S"),
];

/// CUSRES of a validation.
pub(super) const VALIDATION: &[Node] = &[
    only(D96B, "GIS", &[(1, 2, "KOC"), (1, 3, "ZZZ")], &[("outcome", 1, 1, Code(OUTCOMES))]),
    only(
        D09A,
        "GEI",
        &[(1, 1, "ZZZ"), (2, 2, "KOC"), (2, 3, "ZZZ")],
        &[("outcome", 2, 1, Code(OUTCOMES))],
    ),
    reference("document", &[(1, 2, "KDT"), (1, 3, "ZZZ")]),
    row("RFF", &[(1, 1, "AGO")], &[("document/FunctionalReferenceID", 1, 2, Text(REFERENCE))]),
    row("DTM", &[(1, 1, "171")], &[("document/EffectiveDateTime", 1, 2, Date)]),
    Many(
        "Error",
        &[
            row("ERP", &[(1, 1, "1")], &[("pointer", 1, 2, Text(Width(35, 35)))]),
            row("ERC", &[], &[("ValidationCode", 1, 1, Text(ERROR))]),
            row("FTX", &[(1, 1, "AAO")], &[("Description", 4, 1, Long(FREE_TEXT, 5))]),
            row("FTX", &[(1, 1, "ZZZ")], &[("pointer", 4, 1, Long(FREE_TEXT, 5))]),
        ],
    ),
];

const OUTCOMES: &[(&str, &str)] = &[("ACC", "accepted"), ("REJ", "rejected")];

const DECISIONS: &[(&str, &str)] = &[
    ("GRA", "granted"),
    ("PAR", "granted-in-part"),
    ("DEN", "denied"),
    ("QRY", "query"),
    ("PRV", "provisional"),
];

/// CUSRES of a utilisation result.
pub(super) const UTILISATION: &[Node] = &[
    row("DTM", &[(1, 1, "58")], &[("decisionDate", 1, 2, Date)]),
    reference("certificate", &[(1, 2, "KCE"), (1, 3, "ZZZ")]),
    row("RFF", &[(1, 1, "AGO")], &[("certificate/FunctionalReferenceID", 1, 2, Text(REFERENCE))]),
    row("DTM", &[(1, 1, "171")], &[("certificate/EffectiveDateTime", 1, 2, Date)]),
    reference("claim", &[(1, 2, "KCL"), (1, 3, "ZZZ")]),
    row("RFF", &[(1, 1, "ACW")], &[("claim/FunctionalReferenceID", 1, 2, Text(REFERENCE))]),
    row("DTM", &[(1, 1, "148")], &[("claim/EffectiveDateTime", 1, 2, Date)]),
    row("NAD", &[(1, 1, "CM")], &[("officerID", 2, 1, Text(PARTY))]),
    Many(
        "items",
        &[
            row(
                "CST",
                &[],
                &[("SequenceNumeric", 1, 1, Number), ("certificateItem", 2, 1, Number)],
            ),
            only(
                D96B,
                "GIS",
                &[(1, 2, "KDC"), (1, 3, "ZZZ")],
                &[("decision", 1, 1, Code(DECISIONS))],
            ),
            only(
                D09A,
                "GEI",
                &[(1, 1, "ZZZ"), (2, 2, "KDC"), (2, 3, "ZZZ")],
                &[("decision", 2, 1, Code(DECISIONS))],
            ),
            row(
                "MEA",
                &[(1, 1, "ZZZ"), (2, 1, "WO")],
                &[("WriteOff/QuantityQuantity", 3, 1, Measure)],
            ),
            row("MEA", &[(1, 1, "ZZZ"), (2, 1, "BA")], &[("balance", 3, 1, Measure)]),
            row("MOA", &[(1, 1, "ZZZ")], &[("WriteOff/AmountAmount", 1, 2, Amount)]),
            row("FTX", &[(1, 1, "AAO")], &[("StatementDescription", 4, 1, Long(FREE_TEXT, 5))]),
            Many("reasonCodes", &[row("ERC", &[], &[("", 1, 1, Text(ERROR))])]),
        ],
    ),
];

/// CUSCAR of a cargo report: the journey, its first consignment, and the ones after that.
pub(super) const CARGO: &[Node] = &[
    means("BorderTransportMeans", &[(1, 1, "20")]),
    row("DTM", &[(1, 1, "136")], &[("GoodsShipment/Consignment/DepartureDateTime", 1, 2, Instant)]),
    row("DTM", &[(1, 1, "132")], &[("expectedArrival", 1, 2, Instant)]),
    row("DTM", &[(1, 1, "178")], &[("ArrivalDateTime", 1, 2, Instant)]),
    party("Carrier", &[(1, 1, "CA")]),
    EQUIPMENTS,
    row("CNI", &[(1, 1, "1")], &[("transportDocument/ID", 2, 1, Text(DOCUMENT))]),
    row("DOC", &[], &[("transportDocument/TypeCode", 1, 1, Text(W3))]),
    row("RFF", &[(1, 1, "UCN")], &[("GoodsShipment/UCR/ID", 1, 2, Text(REFERENCE))]),
    DECLARATIONS,
    place("GoodsShipment/Consignment/LoadingLocation", &[(1, 1, "9")]),
    place("GoodsShipment/Consignment/UnloadingLocation", &[(1, 1, "11")]),
    Many(
        "GoodsShipment/Consignment/RoutingCountryCode",
        &[row("LOC", &[(1, 1, "92")], &[("", 2, 1, Text(W2))])],
    ),
    party("Exporter", &[(1, 1, "CZ")]),
    party("GoodsShipment/Consignee", &[(1, 1, "CN")]),
    Many("GoodsShipment/GovernmentAgencyGoodsItem", CARGO_ITEM),
    Many(
        "furtherConsignment",
        &[
            row(
                "CNI",
                &[],
                &[
                    ("SequenceNumeric", 1, 1, Number),
                    ("transportDocument/ID", 2, 1, Text(DOCUMENT)),
                ],
            ),
            row("DOC", &[], &[("transportDocument/TypeCode", 1, 1, Text(W3))]),
            row("RFF", &[(1, 1, "UCN")], &[("UCR/ID", 1, 2, Text(REFERENCE))]),
            DECLARATIONS,
            place("LoadingLocation", &[(1, 1, "9")]),
            place("UnloadingLocation", &[(1, 1, "11")]),
            party("Exporter", &[(1, 1, "CZ")]),
            party("Consignee", &[(1, 1, "CN")]),
            Many("GovernmentAgencyGoodsItem", CARGO_ITEM),
        ],
    ),
    row("CNT", &[(1, 1, "11")], &[("TotalPackageQuantity", 1, 2, Number)]),
];

/// The export declarations of a consignment.
const DECLARATIONS: Node =
    Many("declarations", &[row("RFF", &[(1, 1, "ABT")], &[("", 1, 2, Text(REFERENCE))])]);

/// An item of a consignment.
const CARGO_ITEM: &[Node] = &[
    row("GID", &[], &[("SequenceNumeric", 1, 1, Number)]),
    row("FTX", &[(1, 1, "AAA")], &[("Commodity/Description", 4, 1, Long(FREE_TEXT, 5))]),
    row(
        "MEA",
        &[(1, 1, "WT"), (2, 1, "AAD")],
        &[("Commodity/GoodsMeasure/GrossMassMeasure", 3, 1, Measure)],
    ),
    row("CST", &[], &[("Commodity/Classification", 2, 1, Commodities)]),
    PACKAGES,
];
