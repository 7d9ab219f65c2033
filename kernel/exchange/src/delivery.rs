//! Delivery to an agency's own system by push; pull is in [`crate::desk`].

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST};
use http::{Request, Response, Uri};
use karvan_store::{Error, Range};
use karvan_subsystem::Rejection;
use karvan_trust::message::{content_digest, header};
use karvan_types::{ErrorKind, MemberId};
use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::client::{Body, Dial, Pool, Unreachable};
use crate::desk::Direction;
use crate::network::{Boxed, Stream};
use crate::node::Inner;
use crate::records::{Received, ReceivedState};

/// Most characters of an agency's refusal that are kept.
const TEXT_CHARS_MAX: usize = 1000;
/// How often waiting documents are looked for when nobody says that there are some.
const IDLE: Duration = Duration::from_millis(500);
/// Most documents pushed to one member in one round.
const ROUND: usize = 16;

/// How documents reach a member's own system.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "lowercase", tag = "mode")]
pub enum Delivery {
    /// The system asks for them.
    Pull,
    /// The node posts them to this URL on the agency's own network.
    Push {
        /// `http://host:port/path`.
        url: String,
    },
}

/// An agency's system, taken apart from its URL, with the connections to it.
pub struct Target {
    url: String,
    authority: String,
    host: String,
    port: u16,
    path: String,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    pool: Pool,
}

impl Target {
    /// Reads `http://host:port/path`, or `https:` when the configuration of a client is given.
    pub fn parse(url: &str, tls: Option<Arc<ClientConfig>>) -> Result<Self, crate::Error> {
        let bad = || crate::Error::Config(format!("`{url}` is no URL: http://host:port/path"));
        let uri: Uri = url.parse().map_err(|_| bad())?;
        let secure = uri.scheme_str() == Some("https");
        let plain = uri.scheme_str() == Some("http");
        let authority = uri.authority().filter(|_| plain || (secure && tls.is_some()));
        let authority = authority.ok_or_else(bad)?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let tls = match tls.filter(|_| secure) {
            Some(config) => {
                let name = ServerName::try_from(host.clone()).map_err(|_| bad())?;
                Some((TlsConnector::from(config), name))
            }
            None => None,
        };
        Ok(Self {
            url: url.to_owned(),
            authority: authority.to_string(),
            port: authority.port_u16().unwrap_or(if secure { 443 } else { 80 }),
            path: uri.path_and_query().map_or("/", |path| path.as_str()).to_owned(),
            host,
            tls,
            pool: Pool::default(),
        })
    }

    /// Returns the URL as configured.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Returns the value of `Host`.
    pub(crate) fn authority(&self) -> &str {
        &self.authority
    }

    /// Returns path and query.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Sends a request that may be repeated and reads the answer.
    pub(crate) async fn send(
        &self,
        timeout: Duration,
        make: impl FnMut() -> std::io::Result<Request<Body>>,
    ) -> Result<Response<Bytes>, Unreachable> {
        self.pool.send(self, timeout, make).await
    }
}

impl Dial for Target {
    fn place(&self) -> String {
        self.authority.clone()
    }

    fn dial(&self) -> Boxed<'_, std::io::Result<Box<dyn Stream>>> {
        Box::pin(async move {
            let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
            stream.set_nodelay(true)?;
            match &self.tls {
                None => Ok(Box::new(stream) as Box<dyn Stream>),
                Some((connector, name)) => {
                    let stream = connector.connect(name.clone(), stream).await?;
                    Ok(Box::new(stream) as Box<dyn Stream>)
                }
            }
        })
    }
}

/// What became of one push.
enum Pushed {
    Taken,
    Refused(Rejection),
    Later(String),
}

impl Inner {
    /// Pushes waiting documents until the node stops.
    pub(crate) async fn run_push(self: Arc<Self>) -> Result<(), crate::Error> {
        let mut targets = Vec::new();
        for (member, delivery) in &self.config.delivery {
            if let Delivery::Push { url } = delivery {
                targets.push((member.clone(), Target::parse(url, None)?));
            }
        }
        if targets.is_empty() {
            return std::future::pending().await;
        }
        // Side by side, so that one agency that hangs holds up its own documents only.
        let pushes = targets.iter().map(|(member, target)| self.push_to(member, target));
        futures_util::future::try_join_all(pushes).await?;
        Ok(())
    }

    async fn push_to(
        self: &Arc<Self>,
        member: &MemberId,
        target: &Target,
    ) -> Result<(), crate::Error> {
        loop {
            if self.push_round(member, target).await? == 0 {
                tokio::time::sleep(IDLE).await;
            }
        }
    }

    async fn push_round(
        self: &Arc<Self>,
        member: &MemberId,
        target: &Target,
    ) -> Result<usize, crate::Error> {
        let waiting = ReceivedState::Waiting.as_str();
        let range = Range::of("queue", vec![member.as_str().into(), waiting.into()], ROUND)
            .to(self.clock.now().as_millis());
        let due = self.store.read(move |view| view.select::<Received>(&range)).await?;
        let count = due.len();
        for received in due {
            let outcome = self.push(&received, target).await;
            self.settle_push(received, outcome).await?;
        }
        Ok(count)
    }

    async fn push(&self, received: &Received, target: &Target) -> Pushed {
        match self.post(received, target).await {
            Err(cause) => Pushed::Later(cause),
            Ok((status, _)) if status.is_success() => Pushed::Taken,
            Ok((status, text)) if status.is_client_error() && status.as_u16() != 429 => {
                let text: String = text.chars().take(TEXT_CHARS_MAX).collect();
                Pushed::Refused(Rejection::new(
                    ErrorKind::Invalid,
                    "refused-by-agency",
                    format!("the agency's system answered {status}: {text}"),
                ))
            }
            Ok((status, _)) => Pushed::Later(format!("the agency's system answered {status}")),
        }
    }

    async fn post(
        &self,
        received: &Received,
        target: &Target,
    ) -> Result<(http::StatusCode, String), String> {
        let envelope = &received.envelope;
        let (content_type, body) = self
            .body_of(envelope.exchange, Some(Direction::Received))
            .await
            .map_err(|rejection| rejection.text)?;
        let mut first = Some(body);
        let make = || {
            // The second try, over a fresh connection, reads a stored body again.
            let body = first.take().map_or_else(|| self.blob_body(envelope.digest), Ok)?;
            Request::post(&target.path)
                .header(HOST, &target.authority)
                .header(CONTENT_TYPE, &content_type)
                .header(CONTENT_LENGTH, envelope.size)
                .header(&header::CONTENT_DIGEST, content_digest(envelope.digest))
                .header(&header::EXCHANGE_ID, envelope.exchange.to_string())
                .header(&header::CLIENT, envelope.sender.as_str())
                .header(&header::SERVICE, format!("{}/{}", envelope.recipient, envelope.code))
                .body(body)
                .map_err(|error| std::io::Error::other(error.to_string()))
        };
        let answer = target.send(self.config.answer_timeout, make).await;
        let answer = answer.map_err(|unreachable| unreachable.to_string())?;
        Ok((answer.status(), String::from_utf8_lossy(answer.body()).into_owned()))
    }

    async fn settle_push(
        self: &Arc<Self>,
        received: Received,
        outcome: Pushed,
    ) -> Result<(), crate::Error> {
        let inner = Arc::clone(self);
        let now = self.clock.now();
        self.store
            .write(move |tx| -> Result<(), Error> {
                let id = received.envelope.exchange.to_string();
                let Some(mut received) = tx.find::<Received>(id)? else { return Ok(()) };
                if received.state != ReceivedState::Waiting {
                    return Ok(());
                }
                match outcome {
                    Pushed::Taken => inner.conclude(tx, &mut received, Ok(()), now)?,
                    Pushed::Refused(reason) => {
                        inner.conclude(tx, &mut received, Err(reason), now)?;
                    }
                    Pushed::Later(cause) => {
                        let pause = inner.config.retry.pause(received.attempts, &*inner.entropy);
                        tracing::warn!(exchange.id = %received.envelope.exchange,
                            "push failed, tried again later: {cause}");
                        received.attempts = received.attempts.saturating_add(1);
                        received.due_at = now.plus(pause);
                    }
                }
                tx.save(&received)
            })
            .await?;
        Ok(())
    }
}
