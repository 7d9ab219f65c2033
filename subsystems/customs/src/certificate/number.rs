//! Certificate numbers as people write them, and the one spelling under which they are stored.

use std::fmt;

use karvan_types::Instance;
use serde::{Deserialize, Serialize};

/// Longest certificate number, in characters (WCO Data Model D014, an..70).
pub const NUMBER_CHARS_MAX: usize = 70;

/// A certificate number: as it was written, and normalised for look-up.
///
/// Normalising removes everything but letters and digits, makes letters upper case and maps
/// letters and digits of other scripts that look Latin (`А` of the Cyrillic alphabet, `Ο` of the
/// Greek one, Eastern Arabic digits) to their Latin twins: the scripts of the corridor by a table
/// here, all others by the confusable characters of Unicode Technical Standard 39.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct CertificateNumber {
    /// As written, trimmed.
    pub shown: String,
    /// Normalised.
    pub normal: String,
    /// The characters that only look like Latin ones, in order of appearance.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub look_alikes: String,
}

/// A text is no certificate number.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "`{0}` is not a certificate number; write the number as printed on the certificate, with at \
     least one letter or digit and at most {NUMBER_CHARS_MAX} characters"
)]
pub struct InvalidNumber(pub String);

impl CertificateNumber {
    /// Reads a number as a person or a system wrote it.
    pub fn parse(text: &str) -> Result<Self, InvalidNumber> {
        let error = || InvalidNumber(text.chars().take(NUMBER_CHARS_MAX).collect());
        if text.chars().count() > NUMBER_CHARS_MAX || text.chars().any(char::is_control) {
            return Err(error());
        }
        let mut normal = String::with_capacity(text.len());
        let mut look_alikes = String::new();
        for original in text.chars().filter(|c| c.is_alphanumeric()) {
            if original.is_ascii() {
                normal.push(original.to_ascii_uppercase());
                continue;
            }
            for upper in original.to_uppercase().filter(|c| c.is_alphanumeric()) {
                let twin = latin_twin(upper);
                if twin != upper && !AZERBAIJANI.contains(&original) {
                    look_alikes.push(original);
                }
                normal.push(twin);
            }
        }
        if normal.is_empty() {
            return Err(error());
        }
        Ok(Self { shown: text.trim().to_owned(), normal, look_alikes })
    }

    /// Returns the key of the certificate: the issuing nation and the normalised number.
    pub fn key(&self, country: Instance) -> String {
        format!("{country}:{}", self.normal)
    }

    /// Returns the normalised number with O read as zero and I and L as one, to find a number that
    /// was misread by eye.
    pub fn folded(&self) -> String {
        self.normal.replace('O', "0").replace(['I', 'L'], "1")
    }

    /// Whether the number was written otherwise than `other` although both mean the same.
    pub fn differs_in_spelling(&self, other: &Self) -> bool {
        self.normal == other.normal && self.shown != other.shown
    }
}

impl fmt::Display for CertificateNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

/// Letters of the Azerbaijani alphabet that are Latin, though not ASCII.
const AZERBAIJANI: [char; 2] = ['İ', 'ı'];

/// Upper-case letters that look like a Latin letter, by the Latin letter that they look like.
const LOOK_ALIKES: [(char, &str); 21] = [
    ('A', "АΑ"),
    ('B', "ВΒ"),
    ('C', "СϹ"),
    ('E', "ЕΕ"),
    ('F', "Ϝ"),
    ('H', "НΗ"),
    ('I', "ІΙİ"),
    ('J', "ЈͿ"),
    ('K', "КΚ"),
    ('M', "МΜ"),
    ('N', "Ν"),
    ('O', "ОΟՕ"),
    ('P', "РΡ"),
    ('Q', "Ԛ"),
    ('S', "ЅՏ"),
    ('T', "ТΤ"),
    ('U', "Ս"),
    ('V', "Ѵ"),
    ('W', "Ԝ"),
    ('X', "ХΧ"),
    ('Y', "УΥҮ"),
];

/// First digits of the runs of ten digits that are read as ASCII digits: Arabic-Indic, Extended
/// Arabic-Indic (Urdu) and full width.
const DIGIT_ZEROS: [u32; 3] = [0x0660, 0x06F0, 0xFF10];
/// First letter of the full-width Latin capitals.
const FULL_WIDTH_A: u32 = 0xFF21;

/// Returns the Latin letter or digit that a character looks like, or the character itself.
fn latin_twin(upper: char) -> char {
    if upper.is_ascii() {
        return upper;
    }
    if let Some(&(latin, _)) = LOOK_ALIKES.iter().find(|(_, twins)| twins.contains(upper)) {
        return latin;
    }
    let offset =
        |start: u32, len| u32::from(upper).checked_sub(start).filter(|offset| *offset < len);
    let ascii = |base: u8, offset: u32| char::from_u32(u32::from(base) + offset);
    DIGIT_ZEROS
        .iter()
        .find_map(|&zero| ascii(b'0', offset(zero, 10)?))
        .or_else(|| ascii(b'A', offset(FULL_WIDTH_A, 26)?))
        .or_else(|| prototype(upper))
        .unwrap_or(upper)
}

/// Returns the Latin letter or digit to which the standard reduces a character, if it does.
fn prototype(upper: char) -> Option<char> {
    let mut buffer = [0; 4];
    let mut reduced = unicode_security::skeleton(upper.encode_utf8(&mut buffer));
    let first = reduced.next().filter(char::is_ascii_alphanumeric)?;
    // The standard takes a small L for everything that looks like a stroke.
    let first = if first == 'l' { 'I' } else { first.to_ascii_uppercase() };
    reduced.next().is_none().then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, normal: &str, look_alikes: &str) {
        let number = CertificateNumber::parse(text).expect("a number");
        assert_eq!((number.normal.as_str(), number.look_alikes.as_str()), (normal, look_alikes));
    }

    #[test]
    fn one_number_however_it_is_written() {
        for text in
            ["AZPK-2026-00017", "azpk 2026.00017", " AZ PK/2026/00017 ", "AZPK\u{2013}202600017"]
        {
            check(text, "AZPK202600017", "");
        }
        check("11.1234.12345", "11123412345", "");
        check("azpıi-1", "AZPII1", "");
        check("İ-7", "I7", "");
    }

    #[test]
    fn look_alikes_are_mapped_and_told() {
        check("АZРK-1", "AZPK1", "АР");
        check("azрк-1", "AZPK1", "рк");
        check("ΑZPΚ-1", "AZPK1", "ΑΚ");
        check("AZPK-۱۲", "AZPK12", "۱۲");
        check("ＡZ１", "AZ1", "Ａ１");
        // Cherokee, Lisu and mathematical letters, by the standard.
        check("ᎪZPK-1", "AZPK1", "Ꭺ");
        check("ꓮZPK-1", "AZPK1", "ꓮ");
        check("𝐀ZPK-1", "AZPK1", "𝐀");
    }

    proptest::proptest! {
        #[test]
        fn normalising_again_changes_nothing(text in "\\PC{0,40}") {
            if let Ok(number) = CertificateNumber::parse(&text) {
                let again = CertificateNumber::parse(&number.normal).expect("still a number");
                proptest::prop_assert_eq!(&again.normal, &number.normal);
            }
        }
    }

    #[test]
    fn refuses_what_is_no_number() {
        let long = "1".repeat(NUMBER_CHARS_MAX + 1);
        for bad in ["", " - ", "A\u{0}1", "A\n1", &long] {
            assert!(CertificateNumber::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn misread_letters_fold_together() {
        let folded = |text| CertificateNumber::parse(text).expect("a number").folded();
        assert_eq!(folded("AZPK-2O26-I7"), folded("AZPK-2026-17"));
        assert_eq!(folded("AZPK-2026-l7"), folded("AZPK-2026-17"));
        assert_ne!(folded("AZPK-2026-18"), folded("AZPK-2026-17"));
    }
}
