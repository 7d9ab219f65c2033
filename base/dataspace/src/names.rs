//! Names of the JSON-LD contexts behind the messages, and their spellings.
//!
//! The context of DSP 2025-1 is protected: another context beside it cannot change the meaning of
//! its terms. So messages are read and written as plain JSON, and nothing is ever fetched. Peers
//! that expand terms, or write them with the usual prefix, are understood too.

/// The context that every message and answer names.
pub const CONTEXT: &str = "https://w3id.org/dspace/2025/1/context.jsonld";
/// The namespace of ODRL 2.2 (ODRL Vocabulary and Expression, section 2.2).
pub const ODRL: &str = "http://www.w3.org/ns/odrl/2/";
/// The namespace of Karvan's own policy terms.
pub const POLICY: &str = "urn:karvan:policy:v1:";

/// What may stand before a term: namespaces, and the prefixes that are usual for them.
const BEFORE_TERMS: &[&str] = &[
    "https://w3id.org/dspace/2025/1/",
    ODRL,
    "http://www.w3.org/ns/dcat#",
    "http://purl.org/dc/terms/",
    "dspace:",
    "odrl:",
    "dcat:",
    "dct:",
    "dcterms:",
];

/// Returns the compact spelling of a term, or the text itself when it is spelled otherwise.
pub(crate) fn term(text: &str) -> &str {
    BEFORE_TERMS.iter().find_map(|before| text.strip_prefix(before)).unwrap_or(text)
}

/// Returns whether a text is an absolute IRI: a scheme (RFC 3986, section 3.1), then something.
pub(crate) fn is_absolute(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    let in_scheme = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(in_scheme)
        && !rest.is_empty()
        && !text.contains(|letter: char| letter.is_whitespace() || letter.is_control())
}
