//! Which segments each message has in each directory, so that a segment that is none of its own is
//! told apart from one that is merely not read here.
//!
//! Taken in November 2026 from the mapping of both directories that the project
//! php-edifact/edifact-mapping publishes (revision c875cda0). How often and in which order they
//! stand is not checked.

use super::table::Directory;

/// Segments that all three messages have in both directories.
const ALL: &[&str] = &[
    "AUT", "BGM", "CNT", "COM", "CST", "CTA", "CUX", "DOC", "DTM", "EQD", "FTX", "LOC", "MEA",
    "MOA", "NAD", "PAC", "PCI", "RFF", "TDT", "UNH", "UNT",
];
/// What else CUSDEC has in both.
const CUSDEC: &[&str] = &[
    "ALC", "DMS", "FII", "GDS", "GIN", "GIR", "IMD", "LIN", "PCD", "PIA", "PRI", "QTY", "QVR",
    "RTE", "SEL", "TAX", "TOD", "TPL", "UNS",
];
/// What else CUSCAR has in both.
const CUSCAR: &[&str] =
    &["CNI", "CPI", "DGS", "DIM", "GID", "HAN", "QTY", "RNG", "SEL", "SGP", "TMP", "TSR"];
/// What else CUSRES has in both.
const CUSRES: &[&str] = &["ERC", "ERP", "TAX"];

/// Returns whether a message has such a segment.
pub(super) fn is_segment_of(message: &str, directory: Directory, tag: &str) -> bool {
    let (own, of_directory): (&[&str], &[&str]) = match (message, directory) {
        ("CUSDEC", Directory::D96B) => (CUSDEC, &["GIS", "PAT"]),
        ("CUSDEC", Directory::D09A) => (CUSDEC, &["CED", "EFI", "GEI", "PYT"]),
        ("CUSCAR", Directory::D96B) => (CUSCAR, &["GIS"]),
        ("CUSCAR", Directory::D09A) => (CUSCAR, &["GEI", "TMD"]),
        ("CUSRES", Directory::D96B) => (CUSRES, &["GIS"]),
        ("CUSRES", Directory::D09A) => (CUSRES, &["GEI"]),
        // Another message is refused by its type.
        _ => return true,
    };
    [ALL, own, of_directory].iter().any(|tags| tags.contains(&tag))
}
