//! Systems of agencies that call services of the other nation, and what was agreed about that.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use http::header::HOST;
use http::{HeaderName, HeaderValue, Request};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::ext::ReasonPhrase;
use hyper_util::rt::TokioIo;
use karvan_agreements::meter::Period;
use karvan_agreements::{Agreement, AgreementBook, Endpoint, Grant, Quota, ServiceGrant};
use karvan_calls::access::Line;
use karvan_calls::records::{Call, Received};
use karvan_calls::registry::Service;
use karvan_calls::{Gateway, Settings};
use karvan_exchange::Node;
use karvan_store::{Error, Range, Read};
use karvan_system::OsDisk;
use karvan_testkit::Federation;
use karvan_trust::tls::Tls;
use karvan_types::MemberId;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::{Answer, token};

/// How long a connection of an agency's system may wait for its next request: longer than a test
/// on a busy machine leaves one alone.
const IDLE: Duration = Duration::from_mins(5);

/// The gateway of a station, and its listener for agencies' systems.
pub struct Calls {
    /// The gateway.
    pub gateway: Gateway,
    listener: Arc<TcpListener>,
}

impl Calls {
    /// Opens the gateway.
    pub(crate) async fn open(node: &Node, folder: &Path, tls: Arc<Tls>) -> Result<Self> {
        let settings = Settings { head_timeout: IDLE, ..Settings::new(folder.join("spool")) };
        let gateway = Gateway::open(node.clone(), settings, Arc::new(OsDisk), Some(tls)).await?;
        let listener = Arc::new(TcpListener::bind("127.0.0.1:0").await?);
        Ok(Self { gateway, listener })
    }

    /// Returns where agencies' systems call.
    ///
    /// # Panics
    /// Never: the listener is bound.
    pub fn at(&self) -> SocketAddr {
        self.listener.local_addr().expect("bound")
    }

    /// Serves agencies' systems; their connections end with it.
    pub(crate) fn serve(&self) -> impl Future<Output = ()> + Send + 'static {
        let (gateway, listener) = (self.gateway.clone(), Arc::clone(&self.listener));
        async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let gateway = gateway.clone();
                let line = Line { private: true, certificate: None };
                connections.spawn(async move { gateway.serve_client(stream, line).await });
                while connections.try_join_next().is_some() {}
            }
        }
    }
}

/// Calls for one subsystem.
#[derive(Clone, Debug)]
pub struct Caller {
    at: SocketAddr,
    client: Option<MemberId>,
}

/// Adds to a federation's agreement one about calls: between the first subsystems either may call
/// `echo` and `gone`, of `pets` what is written here, `scarce` twice a day, and `rationed` 300
/// times an hour.
pub fn agree_on_calls(federation: &Federation) -> AgreementBook {
    let [az, pk] = &federation.nations;
    let whole = |service: &str| ServiceGrant { service: service.to_owned(), endpoints: Vec::new() };
    let endpoint =
        |method: &str, path: &str| Endpoint { method: method.to_owned(), path: path.to_owned() };
    let pets = ServiceGrant {
        service: "pets".to_owned(),
        endpoints: vec![endpoint("GET", "/pets/*"), endpoint("*", "/open/**")],
    };
    let pairs = [(az, pk), (pk, az), (az, az)];
    let grants = pairs.into_iter().flat_map(|(client, provider)| {
        let (client, provider) = (&client.member, &provider.member);
        let grant = |services| Grant { services, ..Grant::new(client.clone(), provider.clone()) };
        let [scarce, rationed] =
            [(2, Period::Day), (300, Period::Hour)].map(|(calls, per)| Some(Quota { calls, per }));
        let services = ["echo", "gone", "grüße"].map(whole).into_iter().chain([pets.clone()]);
        [
            grant(services.collect()),
            Grant { quota: scarce, ..grant(vec![whole("scarce")]) },
            Grant { quota: rationed, ..grant(vec![whole("rationed")]) },
        ]
    });
    let calls = Agreement {
        id: "calls".to_owned(),
        grants: grants.collect(),
        ..federation.agreement.clone()
    };
    federation.sign_agreements(&[federation.agreement.clone(), calls])
}

/// Describes a service whose system listens at an address.
pub fn service(member: &MemberId, code: &str, base_url: &str) -> Service {
    let text = serde_json::json!({"member": member, "code": code, "baseUrl": base_url});
    serde_json::from_value(text).expect("a service")
}

impl Caller {
    /// Makes a caller that shows the token of the subsystem.
    pub const fn new(at: SocketAddr, client: MemberId) -> Self {
        Self { at, client: Some(client) }
    }

    /// Makes a caller that says nothing about itself.
    #[must_use]
    pub fn bare(self) -> Self {
        Self { at: self.at, client: None }
    }

    /// Returns where it calls.
    pub const fn at(&self) -> SocketAddr {
        self.at
    }

    /// Returns the header fields that say who it is.
    pub fn fields(&self) -> Vec<(String, String)> {
        let Some(client) = &self.client else { return Vec::new() };
        let fields = [("x-road-client", client.to_string()), ("x-karvan-token", token(client))];
        fields.map(|(name, value)| (name.to_owned(), value)).to_vec()
    }

    /// Calls.
    ///
    /// # Panics
    /// When the node does not answer.
    pub async fn call(
        &self,
        method: &str,
        target: &str,
        fields: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let body = Full::new(body.into()).map_err(|never| match never {}).boxed();
        self.send(method, target, fields, body).await.expect("the node answers")
    }

    /// Calls with any body.
    pub async fn send(
        &self,
        method: &str,
        target: &str,
        fields: &[(&str, &str)],
        body: BoxBody<Bytes, std::io::Error>,
    ) -> Result<Answer> {
        let stream = TcpStream::connect(self.at).await?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let driver = tokio::spawn(connection);
        let mut request = Request::builder()
            .method(method)
            .uri(target)
            .header(HOST, self.at.to_string())
            .body(body)?;
        let own = self.fields();
        let own = own.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in own.chain(fields.iter().copied()) {
            let name = HeaderName::from_bytes(name.as_bytes())?;
            request.headers_mut().append(name, HeaderValue::from_bytes(value.as_bytes())?);
        }
        let answer = sender.send_request(request).await?;
        let (mut head, body) = answer.into_parts();
        if let Some(reason) = head.extensions.get::<ReasonPhrase>() {
            let reason = HeaderValue::from_bytes(reason.as_bytes())?;
            head.headers.insert("x-test-reason", reason);
        }
        let body = body.collect().await?.to_bytes();
        driver.abort();
        Ok(Answer { status: head.status.as_u16(), headers: head.headers, body })
    }
}

/// Returns the ended calls to services of a node, at most `limit` of them and of open ones.
pub fn received(view: &dyn Read, limit: usize) -> Result<Vec<Call>, Error> {
    let mut calls = Vec::new();
    for row in view.select::<Received>(&Range::all(limit))? {
        let (call, has_ended) = row.joined(view)?;
        if has_ended {
            calls.push(call);
        }
    }
    Ok(calls)
}
