//! Ranges of commodity codes: `7408`, `7304-7306`, `01-97`.

use std::fmt;

/// Digits to which every code is filled up for comparison.
const DIGITS_MAX: usize = 10;
/// Fewest digits of a code of goods.
const GOODS_DIGITS_MIN: usize = 6;

/// All codes that begin with one of the prefixes from `from` to `to`, both with as many digits.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct CodeRange {
    from: String,
    to: String,
    /// First and last code when filled up to ten digits.
    span: (u64, u64),
}

impl CodeRange {
    /// Parses `PREFIX` or `PREFIX-PREFIX`, each of 2, 4, 6, 8 or 10 digits.
    pub fn parse(text: &str) -> Option<Self> {
        let (from, to) = text.split_once('-').unwrap_or((text, text));
        if from.len() != to.len() {
            return None;
        }
        let span = (span(from)?.0, span(to)?.1);
        (span.0 <= span.1).then(|| Self { from: from.to_owned(), to: to.to_owned(), span })
    }

    /// Parses a first and a last code of ten digits, shortened to the digits that tell.
    pub(super) fn between(first: &str, last: &str) -> Option<Self> {
        let span = (span(first)?.0, span(last)?.1);
        let short = |length: usize| {
            let (from, to) = (first.get(..length)?, last.get(..length)?);
            Self::parse(&format!("{from}-{to}")).filter(|range| range.span == span)
        };
        [2, 4, 6, 8, 10].into_iter().find_map(short)
    }

    /// Returns whether every code that begins with `code` lies in the range.
    pub fn contains(&self, code: &str) -> bool {
        span(code).is_some_and(|(first, last)| self.span.0 <= first && last <= self.span.1)
    }

    /// Returns whether some code that begins with `code` lies in the range.
    pub fn meets(&self, code: &str) -> bool {
        span(code).is_some_and(|(first, last)| self.span.0 <= last && first <= self.span.1)
    }

    /// Returns first and last code, filled up to ten digits.
    pub(super) const fn span(&self) -> (u64, u64) {
        self.span
    }

    /// Returns how many digits the prefixes have.
    pub(super) fn digits(&self) -> usize {
        self.from.len()
    }
}

impl fmt::Display for CodeRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.from == self.to {
            return f.write_str(&self.from);
        }
        write!(f, "{}-{}", self.from, self.to)
    }
}

/// Returns first and last ten-digit code that begin with an even number of digits.
fn span(code: &str) -> Option<(u64, u64)> {
    let is_code = (2..=DIGITS_MAX).contains(&code.len())
        && code.len().is_multiple_of(2)
        && code.bytes().all(|byte| byte.is_ascii_digit());
    let number: u64 = code.parse().ok().filter(|_| is_code)?;
    let missing = u32::try_from(DIGITS_MAX - code.len()).ok()?;
    let step = 10_u64.pow(missing);
    Some((number * step, number * step + step - 1))
}

/// Returns the digits of a code of goods as people write it, such as `7408.11 00`.
pub(super) fn goods_code(text: &str) -> Option<String> {
    let code: String = text.chars().filter(|c| !". ".contains(*c)).collect();
    (code.len() >= GOODS_DIGITS_MIN && span(&code).is_some()).then_some(code)
}

/// Writes several ranges.
pub(super) fn join(ranges: &[CodeRange]) -> String {
    let texts: Vec<_> = ranges.iter().map(ToString::to_string).collect();
    texts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_hold_what_begins_with_their_prefixes() {
        for (range, code, contains, meets) in [
            ("74", "740811", true, true),
            ("7304-7306", "730630", true, true),
            ("7304-7306", "730710", false, false),
            ("74081100", "740811", false, true),
            ("740811", "7408110000", true, true),
            ("01-97", "970110", true, true),
        ] {
            let found = CodeRange::parse(range).expect(range);
            assert_eq!((found.contains(code), found.meets(code)), (contains, meets), "{range}");
            assert_eq!(found.to_string(), range);
        }
        for bad in ["", "7", "740", "74-7408", "7408-7407", "74O8", "7408-", "74081100000", "٧٤"]
        {
            assert_eq!(CodeRange::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn long_codes_are_shortened() {
        for (first, last, expected) in [
            ("0100000000", "0199999999", "01"),
            ("7309000000", "7315199999", "730900-731519"),
            ("2103300000", "2103399999", "210330-210339"),
            ("7408000000", "7408999999", "7408"),
        ] {
            let range = CodeRange::between(first, last).expect(first);
            assert_eq!(range.to_string(), expected);
        }
        assert_eq!(CodeRange::between("7408999999", "7408000000"), None);
    }

    #[test]
    fn codes_of_goods() {
        assert_eq!(goods_code("7408.11 00").as_deref(), Some("74081100"));
        for bad in ["7408", "7408.1", "74081x", "", "7408110000000"] {
            assert_eq!(goods_code(bad), None, "{bad}");
        }
    }
}
