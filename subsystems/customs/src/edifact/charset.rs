//! The repertoires of ISO 9735: from bytes to UTF-8 and back, refusing what does not fit.
//!
//! `UNOA` and `UNOB` are parts of ASCII, `UNOC` to `UNOL` are parts of ISO 8859, `UNOW` and `UNOY`
//! are UTF-8. `UNOX` switches repertoires by escape sequences (ISO 2022); its first repertoire is
//! read, an escape sequence is refused.
//!
//! Invariants: a byte has one meaning or none; nothing is replaced by a substitute.

use encoding_rs::{
    Encoding, ISO_8859_2, ISO_8859_3, ISO_8859_4, ISO_8859_5, ISO_8859_6, ISO_8859_7, ISO_8859_8,
    ISO_8859_15, WINDOWS_1252, WINDOWS_1254,
};

/// A repertoire, named by the syntax identifier (data element 0001).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Charset {
    /// `UNOA`: capital letters, digits, some signs.
    A,
    /// `UNOB`: `UNOA` and small letters.
    B,
    /// `UNOC`: ISO 8859-1.
    C,
    /// `UNOD`: ISO 8859-2.
    D,
    /// `UNOE`: ISO 8859-5, Cyrillic.
    E,
    /// `UNOF`: ISO 8859-7, Greek.
    F,
    /// `UNOG`: ISO 8859-3.
    G,
    /// `UNOH`: ISO 8859-4.
    H,
    /// `UNOI`: ISO 8859-6, Arabic.
    I,
    /// `UNOJ`: ISO 8859-8, Hebrew.
    J,
    /// `UNOK`: ISO 8859-9, Turkish.
    K,
    /// `UNOL`: ISO 8859-15.
    L,
    /// `UNOW`: ISO 10646 as UTF-8.
    W,
    /// `UNOX`: ISO 2022; the first repertoire only.
    X,
    /// `UNOY`: ISO 10646 as UTF-8.
    Y,
}

/// The signs of `UNOA` and `UNOB` besides letters and digits (ISO 9735, annex A).
const SIGNS: &[u8] = b" .,-()/='+:?!\"%&*;<>";

impl Charset {
    /// Every repertoire.
    pub const ALL: [Self; 15] = [
        Self::A,
        Self::B,
        Self::C,
        Self::D,
        Self::E,
        Self::F,
        Self::G,
        Self::H,
        Self::I,
        Self::J,
        Self::K,
        Self::L,
        Self::W,
        Self::X,
        Self::Y,
    ];

    /// Returns the syntax identifier.
    pub const fn identifier(self) -> &'static str {
        match self {
            Self::A => "UNOA",
            Self::B => "UNOB",
            Self::C => "UNOC",
            Self::D => "UNOD",
            Self::E => "UNOE",
            Self::F => "UNOF",
            Self::G => "UNOG",
            Self::H => "UNOH",
            Self::I => "UNOI",
            Self::J => "UNOJ",
            Self::K => "UNOK",
            Self::L => "UNOL",
            Self::W => "UNOW",
            Self::X => "UNOX",
            Self::Y => "UNOY",
        }
    }

    /// Returns the repertoire with this syntax identifier.
    pub fn from_identifier(identifier: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|charset| charset.identifier() == identifier)
    }

    /// Returns whether a byte can stand for data, alone or as part of a longer character.
    pub(super) const fn is_data(self, byte: u8) -> bool {
        match (self, byte) {
            (_, ..0x20 | 0x7f) | (Self::A, b'a'..=b'z') | (Self::X, 0x80..) => false,
            (Self::A | Self::B, _) => is_basic(byte),
            (Self::W | Self::Y, _) => true,
            // The second set of control characters of ISO 8859.
            _ => !matches!(byte, 0x80..=0x9f),
        }
    }

    /// Appends the text of bytes that are all data; `Err` is the offset of the first that is not a
    /// character.
    pub(super) fn decode(self, bytes: &[u8], out: &mut String) -> Result<(), usize> {
        let valid = match std::str::from_utf8(bytes) {
            Ok(text) if text.is_ascii() => {
                out.push_str(text);
                return Ok(());
            }
            Ok(text) if self.single_byte().is_none() => {
                // Somebody before us could not read a character and put this sign in its place.
                if let Some(lost) = text.find(char::REPLACEMENT_CHARACTER) {
                    return Err(lost);
                }
                out.push_str(text);
                return Ok(());
            }
            Ok(_) => 0,
            Err(error) => error.valid_up_to(),
        };
        let Some(encoding) = self.single_byte() else { return Err(valid) };
        let (text, malformed) = encoding.decode_without_bom_handling(bytes);
        if malformed {
            let bad = |byte: &u8| encoding.decode_without_bom_handling(&[*byte]).1;
            return Err(bytes.iter().position(bad).unwrap_or_default());
        }
        out.push_str(&text);
        Ok(())
    }

    /// Appends the bytes of a character; `false` when the repertoire lacks it.
    pub(super) fn encode(self, character: char, out: &mut Vec<u8>) -> bool {
        let mut buffer = [0; 4];
        let utf8 = character.encode_utf8(&mut buffer);
        let bytes = match self.single_byte() {
            Some(encoding) if !character.is_ascii() => {
                let (bytes, _, unmappable) = encoding.encode(utf8);
                if unmappable {
                    return false;
                }
                bytes
            }
            _ => utf8.as_bytes().into(),
        };
        let fits = bytes.iter().all(|byte| self.is_data(*byte));
        if fits {
            out.extend_from_slice(&bytes);
        }
        fits
    }

    /// Returns the encoding of the upper half. The web's names for ISO 8859-1 and -9 differ from
    /// the standards only among the control characters, which are no data here.
    fn single_byte(self) -> Option<&'static Encoding> {
        Some(match self {
            Self::A | Self::B | Self::W | Self::X | Self::Y => return None,
            Self::C => WINDOWS_1252,
            Self::D => ISO_8859_2,
            Self::E => ISO_8859_5,
            Self::F => ISO_8859_7,
            Self::G => ISO_8859_3,
            Self::H => ISO_8859_4,
            Self::I => ISO_8859_6,
            Self::J => ISO_8859_8,
            Self::K => WINDOWS_1254,
            Self::L => ISO_8859_15,
        })
    }
}

const fn is_basic(byte: u8) -> bool {
    if byte.is_ascii_alphanumeric() {
        return true;
    }
    let mut index = 0;
    while index < SIGNS.len() {
        if SIGNS[index] == byte {
            return true;
        }
        index += 1;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes and reads again; `None` when the repertoire lacks a character.
    fn there_and_back(charset: Charset, text: &str) -> Option<String> {
        let mut bytes = Vec::new();
        if !text.chars().all(|character| charset.encode(character, &mut bytes)) {
            return None;
        }
        let mut back = String::new();
        charset.decode(&bytes, &mut back).ok()?;
        Some(back)
    }

    #[test]
    fn each_repertoire_has_its_letters_and_no_others() {
        for (charset, fits, lacks) in [
            (Charset::A, "COPPER WIRE 8.5 (A/B)=\"X\"", "copper"),
            (Charset::B, "Copper wire; 8 mm", "a@b"),
            (Charset::C, "Köln é ÿ", "ğ"),
            (Charset::D, "Łódź", "ə"),
            (Charset::E, "Баку Ѓ", "ö"),
            (Charset::F, "Αθήνα", "я"),
            (Charset::G, "Ħamrun", "ə"),
            (Charset::H, "Rīga", "ğ"),
            (Charset::I, "اسلام", "گ"),
            (Charset::J, "שלום", "ə"),
            (Charset::K, "Şəki".trim_end_matches("əki"), "ə"),
            (Charset::K, "Gəncə Bakı ğüşöç İ".split('ə').next_back().expect("a part"), "€"),
            (Charset::L, "€ Œ", "¤"),
            (Charset::W, "Gəncə اردو گ", "\u{7}"),
            (Charset::X, "PLAIN plain", "é"),
            (Charset::Y, "Gəncə اردو گ 𐎀", "\n"),
        ] {
            assert_eq!(there_and_back(charset, fits).as_deref(), Some(fits), "{charset:?}");
            assert_eq!(there_and_back(charset, lacks), None, "{charset:?}");
        }
    }

    #[test]
    fn bytes_that_are_no_character_are_found() {
        for (charset, bytes, expected) in [
            (Charset::Y, &b"ab\xff"[..], Err(2)),
            (Charset::Y, b"\xc9", Err(0)),
            (Charset::Y, "Bak\u{fffd}".as_bytes(), Err(3)),
            (Charset::I, b"a\xa1", Err(1)),
            (Charset::C, b"\xe9", Ok(())),
            (Charset::A, b"\xc9\x99", Ok(())),
        ] {
            assert_eq!(charset.decode(bytes, &mut String::new()), expected, "{charset:?}");
        }
        for identifier in ["UNOZ", "unoa", "", "ASCII"] {
            assert_eq!(Charset::from_identifier(identifier), None);
        }
        for charset in Charset::ALL {
            assert_eq!(Charset::from_identifier(charset.identifier()), Some(charset));
            assert!(!charset.is_data(0x1b) && !charset.is_data(0) && charset.is_data(b'A'));
        }
    }
}
