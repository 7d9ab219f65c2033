//! The services about services (PR-MREST): who is there, and what may be called.
//!
//! `listClients` is answered by any node for any nation of the federation, from the national lists.
//! The others are about one subsystem and are answered by its own node; to a caller abroad they
//! travel as ordinary calls, signed and logged, for which no right is needed.
//!
//! Not here: the shapes of the answers (`karvan_xroad::metadata`).

use std::sync::Arc;

use http_body_util::{BodyExt as _, Limited};
use karvan_agreements::AgreementBook;
use karvan_exchange::client::full;
use karvan_subsystem::Rejection;
use karvan_trust::lists::Snapshot;
use karvan_types::{ErrorKind, Instance, MemberId, Timestamp};
use karvan_xroad::access::EndpointRight;
use karvan_xroad::metadata::openapi::{DESCRIPTION_BYTES_MAX, reduce};
use karvan_xroad::metadata::{
    Client, INSTANCE_PARAMETER, JSON, ListedService, SERVICE_PARAMETER, Service as Question, XML,
    clients_json, clients_xml, query_value, services_json, wants_json,
};
use karvan_xroad::{ClientId, ServiceId};

use crate::registry::{Registry, Service, ServiceKind};
use crate::upstream::{Upstream, UpstreamError, target};

/// An answer about services or clients; its status is 200.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Described {
    /// Value of `Content-Type`.
    pub content_type: String,
    /// The body.
    pub body: Vec<u8>,
}

/// Who asks what of whom, and when.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The question, from the service code that was called.
    pub question: Question,
    /// Who asks.
    pub client: &'a MemberId,
    /// The subsystem that is asked about.
    pub provider: &'a MemberId,
    /// The raw query.
    pub query: Option<&'a str>,
    /// The instant.
    pub now: Timestamp,
}

/// Answers `GET /listClients`. `own` is the nation of this node, and the one that is listed when
/// the query names none; `accept` are the values of `Accept`.
pub fn list_clients<'a>(
    lists: &Snapshot,
    own: Instance,
    query: Option<&str>,
    accept: impl IntoIterator<Item = &'a [u8]>,
    now: Timestamp,
) -> Result<Described, Rejection> {
    let wanted = query_value(query, INSTANCE_PARAMETER).map_err(|error| bad_query(&error))?;
    let instance = match &wanted {
        None => own,
        Some(name) => name.parse().map_err(|_| unknown_instance(name))?,
    };
    let nation = lists.nation(instance, now).map_err(|error| match error.kind() {
        ErrorKind::NotFound => unknown_instance(instance.as_str()),
        kind => Rejection::new(kind, "list-not-in-force", error.to_string()),
    })?;
    let mut clients = Vec::new();
    for member in &nation.list.members {
        let mut add = |id, subsystem_name| {
            // The list's own check has made sure that each identifier has this form.
            if let Ok(id) = ClientId::from_member(id) {
                clients.push(Client { id, name: &member.name, subsystem_name });
            }
        };
        add(&member.id, None);
        for subsystem in &member.subsystems {
            add(&subsystem.id, Some(subsystem.name.as_str()));
        }
    }
    Ok(if wants_json(accept) {
        Described { content_type: JSON.to_owned(), body: clients_json(&clients) }
    } else {
        Described { content_type: XML.to_owned(), body: clients_xml(&clients) }
    })
}

/// Answers `listMethods`, `allowedMethods` or `getOpenAPI` of a subsystem of this node.
pub async fn answer(
    asked: Asked<'_>,
    registry: &Registry,
    book: &AgreementBook,
    upstream: &Upstream,
) -> Result<Described, Rejection> {
    match asked.question {
        Question::ListMethods => {
            let services = registry.of_member(asked.provider);
            list(asked.provider, services.iter().map(|it| (it, it.endpoints.clone())))
        }
        Question::AllowedMethods => {
            let services = registry.of_member(asked.provider);
            let allowed = services.iter().filter_map(|it| Some((it, rights(asked, it, book)?)));
            list(asked.provider, allowed)
        }
        Question::GetOpenApi => {
            let service = wanted(asked, registry)?;
            let described = describe(upstream, &service).await?;
            let body = reduce(&described.body).map_err(|error| {
                Rejection::new(error.kind(), "description-refused", error.to_string())
            })?;
            Ok(Described { body, ..described })
        }
    }
}

fn list<'a>(
    provider: &MemberId,
    services: impl Iterator<Item = (&'a Arc<Service>, Vec<EndpointRight>)>,
) -> Result<Described, Rejection> {
    let services: Vec<_> = services.collect();
    let id = ClientId::from_member(provider)
        .map_err(|error| Rejection::new(error.kind(), "member", error.to_string()))?;
    let listed = services.iter().map(|(service, endpoints)| ListedService {
        id: ServiceId {
            instance: id.instance.clone(),
            class: id.class.clone(),
            member: id.member.clone(),
            subsystem: id.subsystem.clone().unwrap_or_default(),
            service: service.code.as_str().into(),
        },
        kind: match service.kind {
            ServiceKind::Rest => karvan_xroad::metadata::ServiceKind::Rest,
            ServiceKind::OpenApi { .. } => karvan_xroad::metadata::ServiceKind::OpenApi,
        },
        endpoints,
    });
    let body = services_json(&listed.collect::<Vec<_>>());
    Ok(Described { content_type: JSON.to_owned(), body })
}

/// Returns the endpoints of a service that agreements let the client call; all that are known when
/// one covers the whole service, nothing when there is no right.
fn rights(asked: Asked<'_>, service: &Service, book: &AgreementBook) -> Option<Vec<EndpointRight>> {
    let mut rights = Vec::new();
    let mut any = false;
    for allowed in book.between(asked.client, asked.provider, asked.now) {
        let Some(grant) = allowed.grant.service(&service.code) else { continue };
        if grant.endpoints.is_empty() {
            return Some(service.endpoints.clone());
        }
        any = true;
        for endpoint in &grant.endpoints {
            let (method, path) = (endpoint.method.clone(), endpoint.path.clone());
            let right = EndpointRight { method, path };
            if !rights.contains(&right) {
                rights.push(right);
            }
        }
    }
    any.then_some(rights)
}

/// Returns the service whose description is asked for.
fn wanted(asked: Asked<'_>, registry: &Registry) -> Result<Arc<Service>, Rejection> {
    let code = query_value(asked.query, SERVICE_PARAMETER).map_err(|error| bad_query(&error))?;
    let code = code.ok_or_else(|| {
        let text = "the query names no service; add ?serviceCode= and the code";
        Rejection::new(ErrorKind::Invalid, "service-code-missing", text)
    })?;
    registry.find(asked.provider, &code).ok_or_else(|| {
        let text = format!("{} has no service `{code}`; see its listMethods", asked.provider);
        Rejection::new(ErrorKind::NotFound, "service-unknown", text)
    })
}

/// Returns the description of a service as its owner wrote it: read live from its address, or the
/// stored one.
pub(crate) async fn describe(
    upstream: &Upstream,
    service: &Service,
) -> Result<Described, Rejection> {
    let ServiceKind::OpenApi { description } = &service.kind else {
        let text = format!(
            "`{}` has no OpenAPI description; its provider adds one (`karvan services add \
             --openapi`), and allowedMethods says what you may call",
            service.code
        );
        return Err(Rejection::new(ErrorKind::NotFound, "service-not-described", text));
    };
    if service.kind.description_url().is_none() {
        let json = description.trim_start().starts_with('{');
        let content_type = if json { "application/json" } else { "application/yaml" };
        let body = description.clone().into_bytes();
        return Ok(Described { content_type: content_type.to_owned(), body });
    }
    fetch(upstream, service, description).await
}

async fn fetch(upstream: &Upstream, service: &Service, url: &str) -> Result<Described, Rejection> {
    let (base, query) = match url.split_once('?') {
        Some((base, query)) => (base, Some(query)),
        None => (url, None),
    };
    // A code that no service can have, so that the description has connections of its own.
    let source = Service {
        code: format!("{}/description", service.code),
        base_url: base.to_owned(),
        ..service.clone()
    };
    let failed = |error: &UpstreamError| {
        tracing::warn!(service = %service.code, "the description could not be read: {error}");
        let text = format!("the service's description: {}", error.kind.public_text());
        Rejection::new(ErrorKind::PeerUnavailable, "description-unreachable", text)
    };
    let uri = target(&source, "", query).map_err(|error| failed(&error))?;
    let request = http::Request::get(uri).body(full(bytes::Bytes::new()));
    let request = request.map_err(|error| {
        Rejection::new(ErrorKind::LocalConfig, "description-unreachable", error.to_string())
    })?;
    let answer = upstream.send(&source, request, service.timeout).await;
    let answer = answer.map_err(|error| failed(&error))?;
    if answer.status() != http::StatusCode::OK {
        let text = format!(
            "the provider's system answered {} where the description of the service should be",
            answer.status()
        );
        return Err(Rejection::new(ErrorKind::PeerMisbehaved, "description-unreachable", text));
    }
    let content_type = answer.headers().get(http::header::CONTENT_TYPE);
    let content_type = content_type.and_then(|value| value.to_str().ok());
    let content_type = content_type.unwrap_or("text/plain").to_owned();
    let body = Limited::new(answer.into_body(), DESCRIPTION_BYTES_MAX).collect().await;
    let body = body.map_err(|error| {
        tracing::warn!(service = %service.code, "the description could not be read: {error}");
        let text = "the service's description broke off or is longer than 4 MiB";
        Rejection::new(ErrorKind::PeerMisbehaved, "description-unreachable", text)
    })?;
    Ok(Described { content_type, body: body.to_bytes().to_vec() })
}

fn bad_query(error: &karvan_xroad::Error) -> Rejection {
    Rejection::new(ErrorKind::Invalid, "query", error.to_string())
}

fn unknown_instance(name: &str) -> Rejection {
    let name: String = name.chars().take(80).collect();
    let text = format!("`{name}` is no instance of this federation; ask for a nation such as PK");
    Rejection::new(ErrorKind::NotFound, "instance-unknown", text)
}

#[cfg(test)]
mod tests;
