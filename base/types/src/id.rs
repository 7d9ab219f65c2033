//! Identifiers. Members are named as in X-Road: `instance/class/member[/subsystem]`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use crate::limits::ID_BYTES_MAX;
use crate::{Digest, Timestamp};

/// An identifier breaks its rule.
#[derive(Debug, Clone, Eq, PartialEq, thiserror::Error)]
#[error("`{value}` is not a valid {what}: {rule}")]
pub struct InvalidId {
    /// Which kind of identifier was expected.
    pub what: &'static str,
    /// What was found, shortened.
    pub value: String,
    /// The rule, and so the remedy.
    pub rule: &'static str,
}

fn invalid(what: &'static str, value: &str, rule: &'static str) -> InvalidId {
    InvalidId { what, value: value.chars().take(80).collect(), rule }
}

/// Gives a text-like type its serde form through `Display` and `FromStr`.
macro_rules! as_text {
    ($name:ident) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

/// A nation's X-Road instance: the two upper-case letters of ISO 3166-1, such as `PK`.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Instance([u8; 2]);

impl Instance {
    /// Returns the two letters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("??")
    }
}

impl fmt::Display for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Instance {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match *text.as_bytes() {
            [a @ b'A'..=b'Z', b @ b'A'..=b'Z'] => Ok(Self([a, b])),
            _ => Err(invalid("instance", text, "two upper-case letters of ISO 3166-1, such as PK")),
        }
    }
}

as_text!(Instance);

/// A member or one of its subsystems: `PK/GOV/FBR` or `PK/GOV/FBR/customs`.
///
/// Parts are 1 to 64 characters of `A-Z a-z 0-9 . _ -`, so an identifier needs no escaping in
/// paths, headers and file names. X-Road allows more: any other character stands as the
/// percent-encoding of its UTF-8 with upper-case digits (RFC 3986, section 2.1), and what needs no
/// encoding has none, so that every identifier has one spelling.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct MemberId(String);

const MEMBER_RULE: &str = "instance/class/member or instance/class/member/subsystem, parts of up \
                           to 64 letters, digits, dot, underscore or hyphen (anything else \
                           percent-encoded), such as PK/GOV/FBR/customs";

impl MemberId {
    /// Returns the whole identifier.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the nation.
    pub fn instance(&self) -> Instance {
        let bytes = self.0.as_bytes();
        Instance([bytes.first().copied().unwrap_or(b'?'), bytes.get(1).copied().unwrap_or(b'?')])
    }

    /// Returns the member without its subsystem.
    #[must_use]
    pub fn member(&self) -> Self {
        Self(self.0.split('/').take(3).collect::<Vec<_>>().join("/"))
    }
}

fn is_plain(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-')
}

fn is_part(part: &str) -> bool {
    (1..=64).contains(&part.len()) && part.bytes().all(is_plain) && part.bytes().any(|b| b != b'.')
}

/// Returns whether a part of a member's identifier is in its one spelling.
fn is_member_part(part: &str) -> bool {
    is_part(part) || (part.contains('%') && is_encoded(part))
}

fn is_encoded(part: &str) -> bool {
    let mut decoded = Vec::with_capacity(part.len());
    let mut rest = part.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        if first != b'%' {
            if !is_plain(first) {
                return false;
            }
            decoded.push(first);
            continue;
        }
        let [high, low, after @ ..] = rest else { return false };
        let digit = |b: u8| match b {
            b'0'..=b'9' => Some(b - b'0'),
            b'A'..=b'F' => Some(b - b'A' + 10),
            _ => None,
        };
        let (Some(high), Some(low)) = (digit(*high), digit(*low)) else { return false };
        let byte = high << 4 | low;
        if is_plain(byte) {
            return false;
        }
        decoded.push(byte);
        rest = after;
    }
    let text = std::str::from_utf8(&decoded);
    text.is_ok_and(|text| {
        (1..=64).contains(&text.chars().count()) && !text.chars().any(char::is_control)
    })
}

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for MemberId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split('/');
        let fits = text.len() <= ID_BYTES_MAX && (3..=4).contains(&parts.clone().count());
        let instance = parts.next().is_some_and(|part| part.parse::<Instance>().is_ok());
        if fits && instance && parts.all(is_member_part) {
            Ok(Self(text.to_owned()))
        } else {
            Err(invalid("member id", text, MEMBER_RULE))
        }
    }
}

as_text!(MemberId);

/// A node of a nation: `PK/node/karachi-1`.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct NodeId(String);

impl NodeId {
    /// Returns the whole identifier.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the nation.
    pub fn instance(&self) -> Instance {
        let bytes = self.0.as_bytes();
        Instance([bytes.first().copied().unwrap_or(b'?'), bytes.get(1).copied().unwrap_or(b'?')])
    }

    /// Returns the name within the nation.
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for NodeId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once("/node/") {
            Some((instance, name)) if instance.parse::<Instance>().is_ok() && is_part(name) => {
                Ok(Self(text.to_owned()))
            }
            _ => Err(invalid("node id", text, "instance/node/name, such as PK/node/karachi-1")),
        }
    }
}

as_text!(NodeId);

/// Names one exchange for ever, on both sides: a UUID version 7 (RFC 9562), so ids sort by time.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ExchangeId(Uuid);

impl ExchangeId {
    /// Makes an id from the current instant and ten random bytes.
    pub fn new(now: Timestamp, random: [u8; 10]) -> Self {
        let millis = u64::try_from(now.as_millis()).unwrap_or(0);
        Self(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
    }

    /// Returns the 16 bytes.
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl fmt::Display for ExchangeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.0.as_hyphenated(), f)
    }
}

impl FromStr for ExchangeId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const RULE: &str = "a UUID of version 7 in lower case with hyphens (RFC 9562)";
        let uuid = Uuid::try_parse(text).map_err(|_| invalid("exchange id", text, RULE))?;
        let id = Self(uuid);
        if uuid.get_version_num() == 7 && id.to_string() == text {
            Ok(id)
        } else {
            Err(invalid("exchange id", text, RULE))
        }
    }
}

as_text!(ExchangeId);

/// Names the exact text of an agreement: `id;version;sha256`.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct AgreementRef {
    /// The agreement's identifier.
    pub id: String,
    /// Its version, starting at 1.
    pub version: u32,
    /// Digest of its canonical text.
    pub digest: Digest,
}

impl fmt::Display for AgreementRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{};{};{}", self.id, self.version, self.digest)
    }
}

impl FromStr for AgreementRef {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const RULE: &str = "id;version;sha256, such as az-pk-customs;1;0f…";
        let error = || invalid("agreement reference", text, RULE);
        let parts: Vec<_> = text.split(';').collect();
        let [id, version, digest] = parts[..] else { return Err(error()) };
        if !is_part(id) {
            return Err(error());
        }
        Ok(Self {
            id: id.to_owned(),
            version: version.parse().map_err(|_| error())?,
            digest: digest.parse().map_err(|_| error())?,
        })
    }
}

as_text!(AgreementRef);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members() {
        for good in ["PK/GOV/FBR", "AZ/GOV/SCC/customs", "PK/COM/a.b_c-1", "AZ/GOV/%C6%8FL%2F"] {
            assert_eq!(good.parse::<MemberId>().map(|id| id.to_string()), Ok(good.to_owned()));
        }
        let long = format!("PK/GOV/{}", "a".repeat(65));
        let encoded =
            ["PK/GOV/%41", "PK/GOV/%c6%8f", "PK/GOV/%C6", "PK/GOV/%0A", "PK/GOV/%F", "%50K/GOV/x"];
        let plain =
            ["", "PK", "PK/GOV", "pk/GOV/x", "PK/GOV/..", "PK/GOV/a b", "PK/G/a/b/c", &long];
        for bad in plain.into_iter().chain(encoded) {
            assert!(bad.parse::<MemberId>().is_err(), "{bad}");
        }
        let id: MemberId = "AZ/GOV/SCC/customs".parse().expect("valid");
        assert_eq!(id.instance().as_str(), "AZ");
        assert_eq!(id.member().as_str(), "AZ/GOV/SCC");
    }

    #[test]
    fn exchange_ids_are_version_7_and_sort_by_time() {
        let early = ExchangeId::new(Timestamp::from_millis(1_700_000_000_000), [255; 10]);
        let late = ExchangeId::new(Timestamp::from_millis(1_700_000_000_001), [0; 10]);
        assert!(early < late);
        assert_eq!(early.to_string().parse(), Ok(early));
        assert!("00000000-0000-4000-8000-000000000000".parse::<ExchangeId>().is_err());
        assert!(early.to_string().to_uppercase().parse::<ExchangeId>().is_err());
    }

    #[test]
    fn agreement_references() {
        let text = format!("az-pk-customs;3;{}", Digest::of(b"x"));
        assert_eq!(text.parse::<AgreementRef>().map(|r| r.to_string()), Ok(text));
        assert!("az;x;y".parse::<AgreementRef>().is_err());
    }
}
