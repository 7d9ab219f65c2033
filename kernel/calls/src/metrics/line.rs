//! The log line of a call.

use karvan_types::{MemberId, Timestamp};

use super::{Record, Side};

/// The version of the message protocol for REST (PR-REST, section 4.1: the `1` of `/r1/`).
const MESSAGE_PROTOCOL_VERSION: &str = "1";
/// What made the record: X-Road's own tell their version here.
const VERSION: &str = concat!("karvan-", env!("CARGO_PKG_VERSION"));

/// The parts of a member's identifier, as X-Road's records have them.
#[derive(Clone, Copy, Default)]
struct Parts<'a> {
    instance: Option<&'a str>,
    class: Option<&'a str>,
    member: Option<&'a str>,
    subsystem: Option<&'a str>,
}

impl<'a> Parts<'a> {
    fn of(id: Option<&'a MemberId>) -> Self {
        let mut parts = id.map_or("", MemberId::as_str).split('/').filter(|part| !part.is_empty());
        Self {
            instance: parts.next(),
            class: parts.next(),
            member: parts.next(),
            subsystem: parts.next(),
        }
    }
}

/// Returns whether anybody listens.
pub(crate) fn is_wanted() -> bool {
    tracing::enabled!(target: "karvan::call", tracing::Level::INFO)
}

/// Writes the line of a call, if anybody listens.
pub(super) fn write(record: &Record<'_>) {
    if !is_wanted() {
        return;
    }
    let client = Parts::of(record.client);
    let service = Parts::of(record.service.map(|(provider, _)| provider));
    let (party_class, party_code) = match record.represented_party {
        Some(party) => {
            party.split_once('/').map_or((None, Some(party)), |(c, p)| (Some(c), Some(p)))
        }
        None => (None, None),
    };
    tracing::info!(
        target: "karvan::call",
        monitoringDataTs = record.response_out.as_seconds(),
        exchange = record.exchange.map(tracing::field::display),
        peer = record.peer.map(tracing::field::display),
        securityServerType = match record.side {
            Side::Client => "Client",
            Side::Provider => "Producer",
        },
        requestInTs = record.request_in.as_millis(),
        requestOutTs = record.request_out.map(Timestamp::as_millis),
        responseInTs = record.response_in.map(Timestamp::as_millis),
        responseOutTs = record.response_out.as_millis(),
        clientXRoadInstance = client.instance,
        clientMemberClass = client.class,
        clientMemberCode = client.member,
        clientSubsystemCode = client.subsystem,
        serviceXRoadInstance = service.instance,
        serviceMemberClass = service.class,
        serviceMemberCode = service.member,
        serviceSubsystemCode = service.subsystem,
        serviceCode = record.service.map(|(_, code)| code),
        serviceType = record.service_type,
        restMethod = record.method,
        restPath = record.path,
        statusCode = record.status,
        xRoadVersion = VERSION,
        representedPartyClass = party_class,
        representedPartyCode = party_code,
        messageProtocolVersion = MESSAGE_PROTOCOL_VERSION,
        messageId = record.message_id,
        messageUserId = record.user_id,
        messageIssue = record.issue,
        xRequestId = record.request_id,
        clientSecurityServerAddress = record.client_address,
        serviceSecurityServerAddress = record.service_address,
        requestSize = record.request_size,
        responseSize = record.response_size,
        succeeded = record.fault.is_none(),
        faultCode = record.fault.map(|(code, _)| code),
        faultString = record.fault.map(|(_, text)| text),
    );
}
