//! The answers that describe members and services (PR-MREST).
//!
//! `GET /listClients` stands at the root of a node and needs no `X-Road-Client`; the others are
//! service codes below `/r1/…` that every subsystem has ([`Service`]) and that need no right.
//!
//! Unlike X-Road, an answer does not repeat the headers of its request.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde::Serialize;

use crate::access::EndpointRight;
use crate::fault::accepted;
use crate::{ClientId, Error, ServiceId, percent, xml};

pub mod openapi;

/// The path of the list of clients, at the root of a node.
pub const LIST_CLIENTS: &str = "/listClients";
/// The query parameter that names a partner's instance.
pub const INSTANCE_PARAMETER: &str = "xRoadInstance";
/// The query parameter of `getOpenAPI`.
pub const SERVICE_PARAMETER: &str = "serviceCode";
/// The content type of the JSON answers.
pub const JSON: &str = "application/json;charset=utf-8";
/// The content type of the XML list of clients.
pub const XML: &str = "text/xml;charset=utf-8";

/// Service codes that the protocols keep for themselves; no provider may use them.
const RESERVED: [&str; 5] =
    ["listMethods", "allowedMethods", "getOpenAPI", "getWsdl", "listClients"];

/// The metadata services of a subsystem.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Service {
    /// All REST services: `listMethods`.
    ListMethods,
    /// Those the caller has a right to, with the endpoints: `allowedMethods`.
    AllowedMethods,
    /// The description of one service: `getOpenAPI`.
    GetOpenApi,
}

impl Service {
    /// Returns the metadata service with this code.
    pub fn from_code(code: &str) -> Option<Self> {
        match code {
            "listMethods" => Some(Self::ListMethods),
            "allowedMethods" => Some(Self::AllowedMethods),
            "getOpenAPI" => Some(Self::GetOpenApi),
            _ => None,
        }
    }
}

/// Returns whether a provider may not give this code to a service of its own.
pub fn is_reserved(code: &str) -> bool {
    RESERVED.contains(&code)
}

/// Returns whether the list of clients is to be JSON: any `Accept` item is `application/json`.
pub fn wants_json<'a>(accept: impl IntoIterator<Item = &'a [u8]>) -> bool {
    accepted(accept).any(|item| item.eq_ignore_ascii_case(b"application/json"))
}

/// Returns the decoded value of the first parameter with this name in a raw query.
pub fn query_value<'q>(query: Option<&'q str>, name: &str) -> Result<Option<Cow<'q, str>>, Error> {
    let mut pairs = query.unwrap_or_default().split('&').map(|pair| pair.split_once('='));
    let value = pairs.find_map(|pair| pair.filter(|(key, _)| *key == name));
    value.map(|(_, value)| percent::decode("the value of the query", value)).transpose()
}

/// A member or subsystem in the list of clients.
#[derive(Clone, Debug)]
pub struct Client<'a> {
    /// The identifier.
    pub id: ClientId<'a>,
    /// The name of the member.
    pub name: &'a str,
    /// The name of the subsystem, when it has one.
    pub subsystem_name: Option<&'a str>,
}

/// Writes the list of clients as JSON.
pub fn clients_json(clients: &[Client<'_>]) -> Vec<u8> {
    let member = clients.iter().map(|Client { id, name, subsystem_name }| ClientEntry {
        id: ClientKey {
            member_class: &id.class,
            member_code: &id.member,
            object_type: object_type(id),
            subsystem_code: id.subsystem.as_deref(),
            xroad_instance: &id.instance,
        },
        name,
        subsystem_name: *subsystem_name,
    });
    // Strings always have a JSON form.
    serde_json::to_vec(&ClientList { member: member.collect() }).unwrap_or_default()
}

/// Writes the list of clients as XML.
pub fn clients_xml(clients: &[Client<'_>]) -> Vec<u8> {
    let mut out = String::from(xml::DECLARATION);
    out.push_str(
        "<xrd:clientList xmlns:xrd=\"http://x-road.eu/xsd/xroad.xsd\" \
         xmlns:id=\"http://x-road.eu/xsd/identifiers\">",
    );
    for Client { id, name, subsystem_name } in clients {
        // Writing to a string cannot fail.
        let _ = write!(out, "<xrd:member><xrd:id id:objectType=\"{}\">", object_type(id));
        xml::element(&mut out, "id:xRoadInstance", &id.instance);
        xml::element(&mut out, "id:memberClass", &id.class);
        xml::element(&mut out, "id:memberCode", &id.member);
        if let Some(subsystem) = &id.subsystem {
            xml::element(&mut out, "id:subsystemCode", subsystem);
        }
        out.push_str("</xrd:id>");
        xml::element(&mut out, "xrd:name", name);
        if let Some(name) = subsystem_name {
            xml::element(&mut out, "xrd:subsystemName", name);
        }
        out.push_str("</xrd:member>");
    }
    out.push_str("</xrd:clientList>");
    out.into_bytes()
}

/// How a service is described.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ServiceKind {
    /// A base path without a description.
    Rest,
    /// An OpenAPI 3 description.
    OpenApi,
}

/// A service in the list of services.
#[derive(Clone, Debug)]
pub struct ListedService<'a> {
    /// The identifier.
    pub id: ServiceId<'a>,
    /// How it is described.
    pub kind: ServiceKind,
    /// Its endpoints, or those that the caller may use.
    pub endpoints: &'a [EndpointRight],
}

/// Writes the answer of `listMethods` and `allowedMethods`.
pub fn services_json(services: &[ListedService<'_>]) -> Vec<u8> {
    let service = services.iter().map(|ListedService { id, kind, endpoints }| ServiceEntry {
        member_class: &id.class,
        member_code: &id.member,
        object_type: "SERVICE",
        service_code: &id.service,
        service_type: *kind,
        subsystem_code: &id.subsystem,
        xroad_instance: &id.instance,
        endpoint_list: endpoints,
    });
    // Strings always have a JSON form.
    serde_json::to_vec(&ServiceList { service: service.collect() }).unwrap_or_default()
}

const fn object_type(id: &ClientId<'_>) -> &'static str {
    match id.subsystem {
        Some(_) => "SUBSYSTEM",
        None => "MEMBER",
    }
}

#[derive(Serialize)]
struct ClientList<'a> {
    member: Vec<ClientEntry<'a>>,
}

#[derive(Serialize)]
struct ClientEntry<'a> {
    id: ClientKey<'a>,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    subsystem_name: Option<&'a str>,
}

#[derive(Serialize)]
struct ClientKey<'a> {
    member_class: &'a str,
    member_code: &'a str,
    object_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    subsystem_code: Option<&'a str>,
    xroad_instance: &'a str,
}

#[derive(Serialize)]
struct ServiceList<'a> {
    service: Vec<ServiceEntry<'a>>,
}

#[derive(Serialize)]
struct ServiceEntry<'a> {
    member_class: &'a str,
    member_code: &'a str,
    object_type: &'a str,
    service_code: &'a str,
    service_type: ServiceKind,
    subsystem_code: &'a str,
    xroad_instance: &'a str,
    endpoint_list: &'a [EndpointRight],
}
