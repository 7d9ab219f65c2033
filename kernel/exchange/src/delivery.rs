//! Delivery to an agency's own system by push; pull is in [`crate::desk`].

use std::sync::Arc;
use std::time::Duration;

use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST};
use http::{Request, Uri};
use http_body_util::BodyExt as _;
use hyper_util::rt::TokioIo;
use karvan_store::{Error, Range};
use karvan_subsystem::Rejection;
use karvan_trust::message::{content_digest, header};
use karvan_types::{ErrorKind, MemberId};
use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;

use crate::desk::Direction;
use crate::node::Inner;
use crate::records::{Received, ReceivedState};

/// How long an agency's system may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
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

/// What became of one push.
enum Pushed {
    Taken,
    Refused(Rejection),
    Later(String),
}

impl Inner {
    /// Pushes waiting documents until the node stops.
    pub(crate) async fn run_push(self: Arc<Self>) -> Result<(), crate::Error> {
        let targets: Vec<(MemberId, String)> = self
            .config
            .delivery
            .iter()
            .filter_map(|(member, delivery)| match delivery {
                Delivery::Push { url } => Some((member.clone(), url.clone())),
                Delivery::Pull => None,
            })
            .collect();
        if targets.is_empty() {
            return std::future::pending().await;
        }
        loop {
            let mut pushed = 0;
            for (member, url) in &targets {
                pushed += self.push_round(member, url).await?;
            }
            if pushed == 0 {
                tokio::time::sleep(IDLE).await;
            }
        }
    }

    async fn push_round(
        self: &Arc<Self>,
        member: &MemberId,
        url: &str,
    ) -> Result<usize, crate::Error> {
        let waiting = ReceivedState::Waiting.as_str();
        let range = Range::of("queue", vec![member.as_str().into(), waiting.into()], ROUND)
            .to(self.clock.now().as_millis());
        let due = self.store.read(move |view| view.select::<Received>(&range)).await?;
        let count = due.len();
        for received in due {
            let outcome = self.push(&received, url).await;
            self.settle_push(received, outcome).await?;
        }
        Ok(count)
    }

    async fn push(&self, received: &Received, url: &str) -> Pushed {
        match tokio::time::timeout(ANSWER_TIMEOUT, self.post(received, url)).await {
            Err(_) => Pushed::Later(format!("no answer within {ANSWER_TIMEOUT:?}")),
            Ok(Err(cause)) => Pushed::Later(cause),
            Ok(Ok((status, _))) if status.is_success() => Pushed::Taken,
            Ok(Ok((status, text))) if status.is_client_error() && status.as_u16() != 429 => {
                Pushed::Refused(Rejection::new(
                    ErrorKind::Invalid,
                    "refused-by-agency",
                    format!("the agency's system answered {status}: {text}"),
                ))
            }
            Ok(Ok((status, _))) => Pushed::Later(format!("the agency's system answered {status}")),
        }
    }

    async fn post(
        &self,
        received: &Received,
        url: &str,
    ) -> Result<(http::StatusCode, String), String> {
        const TEXT_BYTES_MAX: usize = 1000;
        let text = |error: &dyn std::fmt::Display| error.to_string();
        let uri: Uri = url.parse().map_err(|error| text(&error))?;
        let authority = uri.authority().ok_or("the push URL names no host")?.clone();
        let port = authority.port_u16().unwrap_or(80);
        let envelope = &received.envelope;
        let (content_type, body) = self
            .body_of(envelope.exchange, Some(Direction::Received))
            .await
            .map_err(|rejection| rejection.text)?;
        let request = Request::post(uri.path_and_query().map_or("/", |path| path.as_str()))
            .header(HOST, authority.as_str())
            .header(CONTENT_TYPE, content_type)
            .header(CONTENT_LENGTH, envelope.size)
            .header(&header::CONTENT_DIGEST, content_digest(envelope.digest))
            .header(&header::EXCHANGE_ID, envelope.exchange.to_string())
            .header(&header::CLIENT, envelope.sender.as_str())
            .header(&header::SERVICE, format!("{}/{}", envelope.recipient, envelope.code))
            .body(body)
            .map_err(|error| text(&error))?;
        let stream =
            TcpStream::connect((authority.host(), port)).await.map_err(|error| text(&error))?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| text(&error))?;
        let driver = tokio::spawn(connection);
        let answer = sender.send_request(request).await.map_err(|error| text(&error))?;
        let status = answer.status();
        let limited = http_body_util::Limited::new(answer.into_body(), TEXT_BYTES_MAX);
        let said = match limited.collect().await {
            Ok(body) => String::from_utf8_lossy(&body.to_bytes()).into_owned(),
            Err(_) => String::new(),
        };
        driver.abort();
        Ok((status, said))
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
        self.wake.flush();
        Ok(())
    }
}
