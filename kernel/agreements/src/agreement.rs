//! The content of an agreement.

use std::collections::BTreeSet;

use karvan_types::{AgreementRef, Digest, MemberId, Timestamp};
use karvan_xroad::Method;
use karvan_xroad::access::PATTERN_BYTES_MAX;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Error, Quota};

/// Longest purpose, in bytes; it travels in a header field.
const PURPOSE_BYTES_MAX: usize = 64;
/// Longest name of a document type, service or feed, in bytes.
const NAME_BYTES_MAX: usize = 255;
/// Most grants of one agreement.
const GRANTS_MAX: usize = 1_000;
/// Most names in one list of a grant.
const NAMES_MAX: usize = 1_000;
/// Longest name of a sharing level, in bytes.
const LEVEL_BYTES_MAX: usize = 16;

/// What one side allows the other, in force for a period.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Agreement {
    /// Identifier, such as `az-pk-customs`.
    pub id: String,
    /// Version, from 1.
    pub version: u32,
    /// Why data is exchanged; travels with each exchange.
    pub purpose: String,
    /// The legal basis, in words.
    pub legal_basis: String,
    /// First instant at which it allows anything.
    pub valid_from: Timestamp,
    /// First instant at which it no longer does.
    pub valid_until: Timestamp,
    /// What it allows.
    pub grants: Vec<Grant>,
    /// The ODRL agreement as it was negotiated (Dataspace Protocol 2025-1), of which the grants are
    /// the enforceable part; nothing when it was written by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Value>,
}

/// One permission of an agreement.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Grant {
    /// Who may send, call or fetch.
    pub client: MemberId,
    /// Who receives, answers or publishes.
    pub provider: MemberId,
    /// The document type codes that the client may send.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub documents: Vec<String>,
    /// The services that the client may call.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<ServiceGrant>,
    /// The feeds (dataset ids) that the client may fetch.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub feeds: Vec<String>,
    /// How often the client may call; no limit when nothing is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<Quota>,
    /// How much of a document the client releases, in the words of its sub-system, such as `L2`;
    /// what the sub-system is set to when nothing is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sharing_level: Option<String>,
}

/// A service, or a part of it, that a client may call.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ServiceGrant {
    /// The service code.
    pub service: String,
    /// What of it; the whole service when nothing is written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub endpoints: Vec<Endpoint>,
}

/// A method and a path pattern: `*` stands for one segment, `**` for any rest (X-Road).
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// One of X-Road's methods in upper case (PR-REST 4.1), or `*` for any.
    pub method: String,
    /// Path pattern, beginning with a slash, or `**` for any.
    pub path: String,
}

impl Agreement {
    /// Returns the name by which exchanges refer to this text.
    pub fn name(&self, digest: Digest) -> AgreementRef {
        AgreementRef { id: self.id.clone(), version: self.version, digest }
    }

    /// Returns whether it allows anything at an instant.
    pub fn in_force(&self, now: Timestamp) -> bool {
        self.valid_from <= now && now < self.valid_until
    }

    /// Returns whether one of its grants lets a client send a document.
    pub fn allows_document(&self, client: &MemberId, provider: &MemberId, code: &str) -> bool {
        self.grants.iter().any(|grant| {
            grant.client == *client && grant.provider == *provider && grant.covers_document(code)
        })
    }

    /// Returns everyone whom it names.
    pub fn parties(&self) -> BTreeSet<MemberId> {
        let grants = self.grants.iter();
        grants.flat_map(|grant| [grant.client.clone(), grant.provider.clone()]).collect()
    }

    /// Checks the content before anybody signs or uses it.
    pub fn check(&self) -> Result<(), Error> {
        let fail = |field: &str, rule| Err(Error::Content { field: field.to_owned(), rule });
        let name = self.name(Digest::default());
        if name.to_string().parse() != Ok(name) {
            return fail("id", "is letters, digits, dot, underscore, hyphen");
        }
        let is_code = |text: &str| {
            (1..=PURPOSE_BYTES_MAX).contains(&text.len())
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        };
        if self.version == 0 {
            return fail("version", "counts from 1");
        }
        if !is_code(&self.purpose) {
            return fail("purpose", "is a code such as customs-risk-analysis");
        }
        if self.legal_basis.trim().is_empty() {
            return fail("legalBasis", "names the legal basis");
        }
        if self.valid_from >= self.valid_until {
            return fail("validUntil", "is after validFrom");
        }
        if self.grants.is_empty() || self.grants.len() > GRANTS_MAX {
            return fail("grants", "holds 1 to 1000 grants");
        }
        self.grants.iter().enumerate().try_for_each(|(at, grant)| grant.check(at))
    }
}

impl Grant {
    /// Starts a grant that allows nothing yet.
    pub fn new(client: MemberId, provider: MemberId) -> Self {
        let (documents, services, feeds) = Default::default();
        let (quota, sharing_level) = (None, None);
        Self { client, provider, documents, services, feeds, quota, sharing_level }
    }

    /// Returns whether it covers a document type.
    pub fn covers_document(&self, code: &str) -> bool {
        self.documents.iter().any(|allowed| allowed == code)
    }

    /// Returns whether it covers a feed.
    pub fn covers_feed(&self, dataset: &str) -> bool {
        self.feeds.iter().any(|allowed| allowed == dataset)
    }

    /// Returns the part of it that is about a service.
    pub fn service(&self, code: &str) -> Option<&ServiceGrant> {
        self.services.iter().find(|allowed| allowed.service == code)
    }

    fn check(&self, at: usize) -> Result<(), Error> {
        let fail = |field: &str, rule| {
            Err(Error::Content { field: format!("grants[{at}].{field}"), rule })
        };
        if self.documents.is_empty() && self.services.is_empty() && self.feeds.is_empty() {
            return fail("", "names at least one document type, service or feed");
        }
        let fits = |name: &str| !name.trim().is_empty() && name.len() <= NAME_BYTES_MAX;
        let lists = [("documents", &self.documents), ("feeds", &self.feeds)];
        for (field, names) in lists {
            if names.len() > NAMES_MAX || !names.iter().all(|name| fits(name)) {
                return fail(field, "holds at most 1000 names of 1 to 255 bytes");
            }
        }
        if self.services.len() > NAMES_MAX || !self.services.iter().all(|s| fits(&s.service)) {
            return fail("services", "holds at most 1000 service codes of 1 to 255 bytes");
        }
        let mut endpoints = self.services.iter().flat_map(|service| &service.endpoints);
        if !endpoints.all(Endpoint::fits) {
            let rule = "have a method, one of DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT, TRACE \
                        or `*` for all, and a path that is `**` or begins with a slash";
            return fail("services.endpoints", rule);
        }
        let is_level = |level: &String| {
            (1..=LEVEL_BYTES_MAX).contains(&level.len())
                && level.bytes().all(|byte| byte.is_ascii_alphanumeric())
        };
        if !self.sharing_level.as_ref().is_none_or(is_level) {
            return fail("sharingLevel", "is a word of at most 16 letters and digits, such as L2");
        }
        match &self.quota {
            Some(quota) if quota.calls == 0 => fail("quota", "allows at least one call"),
            _ => Ok(()),
        }
    }
}

impl Endpoint {
    fn fits(&self) -> bool {
        let method = self.method == "*" || Method::parse(&self.method).is_ok();
        let path = self.path == "**" || self.path.starts_with('/');
        method && path && self.path.len() <= PATTERN_BYTES_MAX
    }
}
