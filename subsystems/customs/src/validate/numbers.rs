//! Numbers with an inner structure: tax numbers of both countries, container numbers.

/// What a taxpayer number of Azerbaijan (VÖEN) turns out to be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Voen {
    /// Ten digits and the check digit fits.
    Valid,
    /// Ten digits, but the check digit does not fit.
    WrongCheckDigit,
    /// Nine digits that fit once the lost leading zero is put back.
    LostLeadingZero,
    /// Not ten digits, or a last digit other than 1 (legal person) or 2 (natural person).
    Malformed,
}

/// Weights of the first eight digits of a VÖEN.
const VOEN_WEIGHTS: [u32; 8] = [4, 1, 8, 6, 2, 7, 5, 3];

/// Checks a VÖEN: two digits of territory, six of serial, a check digit, a status digit.
pub fn voen(text: &str) -> Voen {
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return Voen::Malformed;
    }
    let digits: Vec<u32> = text.bytes().map(|b| u32::from(b - b'0')).collect();
    match digits.as_slice() {
        [serial @ .., check, 1 | 2] if serial.len() == 8 => {
            let sum: u32 =
                serial.iter().zip(VOEN_WEIGHTS).map(|(digit, weight)| digit * weight).sum();
            if sum % 11 == *check { Voen::Valid } else { Voen::WrongCheckDigit }
        }
        _ if digits.len() == 9 && voen(&format!("0{text}")) == Voen::Valid => Voen::LostLeadingZero,
        _ => Voen::Malformed,
    }
}

/// Normalises a national tax number of Pakistan for comparison: digits only.
///
/// A company's number has seven digits, often followed by a dash and one check digit, which is
/// dropped; a person's is the 13-digit identity card number. The check digit's rule is not
/// published in a form that fits the known examples, so it is never enforced. Returns nothing when
/// the text is neither.
pub fn normalise_ntn(text: &str) -> Option<String> {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let others_fit = text.chars().all(|c| c.is_ascii_digit() || matches!(c, '-' | ' '));
    match digits.len() {
        7 | 13 if others_fit => Some(digits),
        8 if others_fit => digits.get(..7).map(str::to_owned),
        _ => None,
    }
}

/// Returns whether a container number has the form and the check digit of ISO 6346.
pub fn container(text: &str) -> bool {
    let bytes = text.as_bytes();
    let [head @ .., check] = bytes else { return false };
    let form = bytes.len() == 11
        && bytes.iter().take(3).all(u8::is_ascii_uppercase)
        && bytes.get(3).is_some_and(|b| matches!(b, b'U' | b'J' | b'Z'))
        && bytes.iter().skip(4).all(u8::is_ascii_digit);
    if !form {
        return false;
    }
    let value = |b: u8| {
        if b.is_ascii_digit() {
            return u32::from(b - b'0');
        }
        // Letters count from 10 and skip the multiples of 11 (ISO 6346, annex A).
        let letter = u32::from(b.saturating_sub(b'A'));
        letter + 10 + letter.div_ceil(10)
    };
    let sum: u32 = head.iter().zip(0..).map(|(b, place): (_, u32)| value(*b) << place).sum();
    sum % 11 % 10 == u32::from(check.wrapping_sub(b'0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn voen_numbers() {
        for (text, expected) in [
            ("1400057421", Voen::Valid),
            ("140 155 5071", Voen::Malformed),
            ("1400057431", Voen::WrongCheckDigit),
            ("1400057423", Voen::Malformed),
            ("14000574", Voen::Malformed),
            ("", Voen::Malformed),
            ("١٤٠٠٠٥٧٤٢١", Voen::Malformed),
        ] {
            assert_eq!(voen(text), expected, "{text}");
        }
        // Every serial has exactly one check digit, or none when the remainder is ten.
        let fitting = |serial: u32| {
            (0..10).filter(|check| voen(&format!("{serial:08}{check}1")) == Voen::Valid).count()
        };
        assert!((0..200).all(|serial| fitting(serial * 499_979) <= 1));
        assert_eq!((0..10).find(|c| voen(&format!("01000000{c}1")) == Voen::Valid), Some(1));
        assert_eq!(voen("100000011"), Voen::LostLeadingZero);
    }

    #[test]
    fn ntn_spellings() {
        for (text, expected) in [
            ("4174941-3", Some("4174941")),
            ("4174941", Some("4174941")),
            ("41749413", Some("4174941")),
            ("35202-1234567-1", Some("3520212345671")),
            ("NTN 4174941", None),
            ("417494", None),
        ] {
            assert_eq!(normalise_ntn(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn container_numbers() {
        // ISO 6346, the published example CSQU 305438 3.
        assert!(container("CSQU3054383"));
        for bad in ["CSQU3054384", "CSQU305438", "csqu3054383", "CSQX3054383", "ÇSQU305438", ""] {
            assert!(!container(bad), "{bad}");
        }
    }
}
