//! Identities of connectors that know nothing of our lists. Only for trials on loopback.

use http::HeaderMap;
use http::header::AUTHORIZATION;
use karvan_types::{ErrorKind, NodeId};
use serde_json::{Value, json};

use super::{Identity, Participant};
use crate::Error;

fn refuse(text: &str) -> Error {
    Error::new(ErrorKind::Unauthenticated, "token", text)
}

fn header(headers: &HeaderMap) -> Result<&str, Error> {
    let value = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    value.ok_or_else(|| refuse("send the header `Authorization`"))
}

/// One agreed header value, as the protocol's own kit sends it.
pub struct FixedToken {
    /// The value of `Authorization`.
    pub value: String,
    /// Who sends it.
    pub participant: String,
}

impl Identity for FixedToken {
    fn authenticate(&self, _: Option<&NodeId>, headers: &HeaderMap) -> Result<Participant, Error> {
        if header(headers)? == self.value {
            return Ok(Participant { id: self.participant.clone(), node: None });
        }
        Err(refuse("the token is not the agreed one"))
    }

    fn token_for(&self, _: &str, _: &str, _: &str) -> Result<String, Error> {
        Ok(self.value.clone())
    }
}

/// The mock identity of Eclipse EDC (`iam-mock`): a JSON object that anybody can write.
pub struct MockClaims;

impl Identity for MockClaims {
    fn authenticate(&self, _: Option<&NodeId>, headers: &HeaderMap) -> Result<Participant, Error> {
        let claims: Value = serde_json::from_str(header(headers)?)
            .map_err(|_| refuse("`Authorization` must be a JSON object with `clientId`"))?;
        let id = claims.get("clientId").and_then(Value::as_str);
        let id = id.filter(|id| !id.is_empty()).ok_or_else(|| refuse("`clientId` is missing"))?;
        Ok(Participant { id: id.to_owned(), node: None })
    }

    fn token_for(&self, own: &str, _: &str, address: &str) -> Result<String, Error> {
        Ok(json!({ "region": "any", "audience": address, "clientId": own }).to_string())
    }
}
