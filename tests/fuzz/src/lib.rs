#![doc = include_str!("../README.md")]

pub mod base;
pub mod customs;
pub mod seeds;

/// A reader and the property that it must hold to.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name on the command line, and of its folder of regressions.
    pub name: &'static str,
    /// What it reads.
    pub about: &'static str,
    /// Panics when the property does not hold for an input.
    pub run: fn(&[u8]),
    /// Makes its first inputs.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Words of the format, which chance would find late.
    pub words: &'static [&'static str],
}

/// Every target.
pub const TARGETS: &[Target] = &[
    Target {
        name: "edifact",
        about: "UN/EDIFACT interchanges: CUSDEC, CUSRES, CUSCAR",
        run: customs::edifact,
        seeds: seeds::edifact,
        words: &[
            "UNB+UNOA:1+",
            "UNB+UNOY:4+",
            "UNH+",
            "UNT+",
            "UNZ+",
            "UNG+",
            "UNE+",
            "UNS+D'",
            "UNS+S'",
            "BGM+830+",
            "BGM+929+",
            "CUSDEC:D:96B:UN",
            "CUSRES:D:09A:UN",
            "CUSCAR:D:96B:UN",
            "DTM+137:",
            ":304'",
            ":102'",
            "NAD+EX+",
            "LOC+22+",
            "MEA+WT+AAD+KGM:",
            "MOA+38:",
            "CST+1+",
            "RFF+UCN:",
            "DOC+380+",
            "FTX+AAA+++",
            "PAC+1++CT'",
            "TAX+1+CD'",
            "??",
            "?'",
            "?+",
            "UNA:+,? '",
        ],
    },
    Target {
        name: "wco",
        about: "WCO Data Model XML: declarations, amendments, responses",
        run: customs::wco,
        seeds: seeds::wco,
        words: &[
            "<Declaration",
            "</Declaration>",
            "<Response>",
            "<MetaData",
            "<FunctionCode>",
            "<TypeCode>",
            "<GoodsShipment>",
            "<GovernmentAgencyGoodsItem>",
            "<SequenceNumeric>",
            "<Pointer>",
            "<DocumentSectionCode>",
            "<DateTimeString formatCode=\"304\">",
            "currencyID=\"USD\"",
            "unitCode=\"KGM\"",
            "xmlns=\"urn:wco:datamodel:WCO:DEC-DMS:2\"",
            "<![CDATA[",
            "]]>",
            "&#x",
            "&amp;",
            "<!DOCTYPE",
            "<!--",
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>",
            "COR",
            "INV",
        ],
    },
    Target {
        name: "coo",
        about: "UN/CEFACT certificates of origin, JSON",
        run: customs::certificate,
        seeds: seeds::certificate,
        words: &[
            "\"exchangedDocument\"",
            "\"specifiedConsignment\"",
            "\"x-karvan\"",
            "\"content\"",
            "\"864\"",
            "\"includedConsignmentItem\"",
            "\"$ref\"",
            "\"typeCode\"",
        ],
    },
    Target {
        name: "json",
        about: "canonical JSON messages of every type",
        run: customs::json,
        seeds: seeds::json,
        words: &[
            "\"TypeCode\"",
            "\"FunctionCode\"",
            "\"GoodsShipment\"",
            "\"outcome\"",
            "\"decisionDate\"",
            "\"Amendment\"",
            "\"ChangeReasonCode\"",
            "\"formCode\"",
            "\"value\"",
            "\"unit\"",
            "null",
            "1e1",
            "\\ud800",
            "\\u0000",
        ],
    },
    Target {
        name: "token",
        about: "the token in the code on a printed certificate, and what is claimed in it",
        run: customs::token,
        seeds: seeds::token,
        words: &["eyJ", ".", "\"sub\"", "\"status\"", "\"idx\"", "\"uri\"", "https://"],
    },
    Target {
        name: "image",
        about: "a picture of the code on a printed certificate: PNG or JPEG",
        run: customs::image,
        seeds: seeds::image,
        words: &["IHDR", "IDAT", "IEND", "JFIF", "Exif", "%PDF", "\u{89}PNG"],
    },
    Target {
        name: "target",
        about: "the path of an X-Road call: identifiers, percent signs, rights",
        run: base::target,
        seeds: seeds::target,
        words: &["/r1/", "%2F", "%2f", "%00", "/../", "//", "?", "#", "%C9%99"],
    },
    Target {
        name: "evidence",
        about: "signed notes, checkpoints and proof files of the evidence log",
        run: base::evidence,
        seeds: seeds::evidence,
        words: &["\u{2014} ", "c2sp.org/tlog-proof@v1\n", "index ", "\n\n", "="],
    },
];

/// Returns the target of this name.
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}
