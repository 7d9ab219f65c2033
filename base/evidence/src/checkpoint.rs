//! Checkpoints: the signed head of a log (C2SP tlog-checkpoint v1.0.0).

use std::fmt;
use std::str::FromStr;

use karvan_types::Digest;

use crate::Error;
use crate::note::check_name;
use crate::text::decimal;

const WHAT: &str = "checkpoint";

/// The head of a log. Text form: origin, size and base64 root, a line each.
///
/// Extension lines are refused: Karvan writes none, and later cosignature types do not cover them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Checkpoint {
    /// Name of the log: a URL without scheme, never used for another log. Also its key's name.
    pub origin: String,
    /// Number of entries.
    pub size: u64,
    /// Root hash of the tree of these entries.
    pub root: Digest,
}

impl FromStr for Checkpoint {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let malformed = |rule| Error::Malformed { what: WHAT, rule };
        let mut lines = text.split('\n');
        let (Some(origin), Some(size), Some(root), Some(""), None) =
            (lines.next(), lines.next(), lines.next(), lines.next(), lines.next())
        else {
            return Err(malformed("it must be three lines: origin, size, root"));
        };
        check_name(origin)?;
        let size = decimal(size);
        let size = size.ok_or(malformed("its size must be decimal without leading zeros"))?;
        let root = Digest::parse_base64(root);
        let root = root.map_err(|_| malformed("its root must be the base64 of 32 bytes"))?;
        Ok(Self { origin: origin.to_owned(), size, root })
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}\n{}\n", self.origin, self.size, self.root.to_base64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str = "CLYNF2hL/Z2fzFhVXOsngntIkks10E0K5hQkAm48y/g=";

    #[test]
    fn one_spelling() {
        let text = format!("pk.karvan.example/evidence/1\n70000\n{ROOT}\n");
        let parsed: Checkpoint = text.parse().expect("good");
        assert_eq!((parsed.size, parsed.to_string()), (70_000, text));
        for bad in [
            String::new(),
            format!("o\n1\n{ROOT}"),
            format!("o\n1\n{ROOT}\nextension\n"),
            format!("o\n1\n{ROOT}\n\n"),
            format!("\n1\n{ROOT}\n"),
            format!("o o\n1\n{ROOT}\n"),
            format!("o\n01\n{ROOT}\n"),
            format!("o\n+1\n{ROOT}\n"),
            format!("o\n\n{ROOT}\n"),
            format!("o\n9223372036854775808\n{ROOT}\n"),
            "o\n1\nCLYN\n".to_owned(),
            format!("o\n1\n{}\n", ROOT.replace('=', "")),
            // Stray bits in the last character of the base64.
            format!("o\n1\n{}\n", ROOT.replace("g=", "h=")),
        ] {
            assert!(bad.parse::<Checkpoint>().is_err(), "{bad}");
        }
    }
}
