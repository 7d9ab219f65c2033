//! What nodes tell each other beside documents: lists, cosignatures, proofs; and what operators ask
//! about the log.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST};
use karvan_ledger::{KnownLog, Refused, State, WitnessClient, WitnessPush, WitnessRefusal};
use karvan_store::{Error, Range};
use karvan_subsystem::Rejection;
use karvan_types::limits::LIST_BYTES_MAX;
use karvan_types::{Digest, ErrorKind, ExchangeId, NodeId};
use serde_json::{Value, json};

use crate::client::{Body, full};
use crate::evidence;
use crate::network::Boxed;
use crate::node::{Inner, Peer};
use crate::records::{ListLogged, RECEIVED, ReceivedState, SENT, Sent, SentState};
use crate::wire;

/// How often a list that has ended is looked at again, to see whether the next one is here.
const LIST_WAIT: Duration = Duration::from_secs(5);

impl Inner {
    /// Posts a control message to a peer; returns the body of a good answer, or the cause.
    pub(crate) async fn control(
        &self,
        peer: &Arc<Peer>,
        path: &str,
        body: Vec<u8>,
    ) -> Result<Bytes, String> {
        let body = Bytes::from(body);
        let answer = self.ask(peer, "POST", path, &body).await?;
        if answer.status().is_success() {
            return Ok(answer.into_body());
        }
        Err(wire::read_problem(&answer).text)
    }

    async fn ask(
        &self,
        peer: &Arc<Peer>,
        method: &str,
        path: &str,
        body: &Bytes,
    ) -> Result<http::Response<Bytes>, String> {
        let authority = self.authority_of(&peer.id).map_err(|rejection| rejection.text)?;
        let make = || {
            Request::builder()
                .method(method)
                .uri(path)
                .header(HOST, &authority)
                .header(CONTENT_TYPE, "application/octet-stream")
                .header(CONTENT_LENGTH, body.len())
                .body(full(body.clone()))
                .map_err(|error| std::io::Error::other(error.to_string()))
        };
        self.send_to(peer, make).await
    }

    /// Sends a request that may be repeated, and notes whether the peer answers.
    pub(crate) async fn send_to(
        &self,
        peer: &Arc<Peer>,
        make: impl FnMut() -> std::io::Result<Request<Body>>,
    ) -> Result<http::Response<Bytes>, String> {
        let timeout = self.config.answer_timeout;
        let sent = peer.pool.send(&self.line(peer), timeout, make).await;
        let now = self.clock.now();
        match &sent {
            Ok(_) => peer.set_reachable(now),
            Err(unreachable) => peer.set_unreachable(now, &unreachable.to_string()),
        }
        sent.map_err(|unreachable| unreachable.to_string())
    }

    pub(crate) async fn fetch(&self, peer: &Arc<Peer>, path: &str) -> Result<Bytes, String> {
        let answer = self.ask(peer, "GET", path, &Bytes::new()).await?;
        if answer.status().is_success() {
            return Ok(answer.into_body());
        }
        Err(wire::read_problem(&answer).text)
    }

    /// Fetches the peers' lists every so often until the node stops.
    pub(crate) async fn run_lists(self: Arc<Self>) -> Result<(), crate::Error> {
        loop {
            tokio::time::sleep(self.config.list_refresh).await;
            for id in self.all_nodes() {
                if id.instance() == self.config.node.instance() {
                    continue;
                }
                let peer = self.wake.peer(&id);
                match self.fetch(&peer, wire::LIST_PATH).await {
                    Ok(bytes) => self.take_list(&id, &bytes).await?,
                    Err(cause) => tracing::debug!(peer.id = %id, "no list: {cause}"),
                }
            }
        }
    }

    async fn take_list(self: &Arc<Self>, from: &NodeId, bytes: &[u8]) -> Result<(), crate::Error> {
        let now = self.clock.now();
        if bytes.len() > LIST_BYTES_MAX {
            return Ok(());
        }
        match self.trust.accept(bytes, now) {
            Ok(accepted) if accepted.new => {
                tracing::info!(peer.id = %from, list.sequence = accepted.sequence, "list accepted");
                self.log_lists().await?;
            }
            // Offered again and again, it is one alarm.
            Err(error) if self.peer(from).refuses_list(Digest::of(bytes)) => {
                let text = format!("the list that {from} offers is refused: {error}");
                self.raise("list-refused", text).await;
            }
            Ok(_) | Err(_) => {}
        }
        Ok(())
    }

    /// Logs every list in force that was not logged yet, this nation's own too.
    pub(crate) async fn log_lists(&self) -> Result<(), crate::Error> {
        let lists = self.lists();
        let known: Vec<_> = lists
            .nations()
            .map(|nation| ListLogged {
                nation: nation.list.scheme_territory,
                sequence: nation.list.sequence_number,
                digest: nation.digest,
            })
            .collect();
        self.store
            .write(move |tx| -> Result<(), Error> {
                for list in known {
                    let logged = tx.find::<ListLogged>(list.nation.as_str())?;
                    if logged.is_none_or(|logged| logged.digest != list.digest) {
                        evidence::record(tx, evidence::LIST, list.digest)?;
                        tx.save(&list)?;
                    }
                }
                Ok(())
            })
            .await?;
        Ok(())
    }

    /// Gets this node's checkpoints cosigned by a peer until the node stops.
    pub(crate) async fn run_witnessing(
        self: Arc<Self>,
        peer: Arc<Peer>,
    ) -> Result<(), crate::Error> {
        let witness = loop {
            match self.lists().node(&peer.id, self.clock.now()) {
                Ok(node) => break node.witness.clone(),
                // Its nation's list has ended; the next one will name it again.
                Err(_) => tokio::time::sleep(LIST_WAIT).await,
            }
        };
        let Some(witness) = witness else { return std::future::pending().await };
        let client = Arc::new(PeerWitness { inner: Arc::clone(&self), peer, name: witness.name });
        let verifier = karvan_trust::notes::verifier(&witness.vkey)?;
        let clock = Arc::clone(&self.clock);
        WitnessPush::new(self.ledger.clone(), client, Arc::new(verifier), clock)
            .run(std::future::pending())
            .await;
        Ok(())
    }

    /// Answers a peer that wants a cosignature (C2SP tlog-witness): status and body.
    pub(crate) async fn witness_checkpoint(self: &Arc<Self>, body: &[u8]) -> (u16, String) {
        match self.witness.add_checkpoint(body, &self.known_logs()) {
            Ok(lines) => (200, lines),
            Err(Refused::Failed(error)) => {
                tracing::error!("the witness failed: {error}");
                (500, "the witness cannot store what it saw\n".to_owned())
            }
            Err(Refused::Refused { refusal, conflict }) => {
                if let Some(conflict) = conflict {
                    self.raise(
                        "log-forked",
                        format!(
                            "log {} contradicts what this node cosigned before (size {} then, {} \
                             now); the offending checkpoint is kept as proof; stop trusting that \
                             log and call its operator",
                            conflict.origin, conflict.seen_size, conflict.size
                        ),
                    )
                    .await;
                }
                (refusal.status(), refusal.to_string())
            }
        }
    }

    /// Raises an alarm in a transaction of its own.
    pub(crate) async fn raise(self: &Arc<Self>, code: &'static str, text: String) {
        let inner = Arc::clone(self);
        let now = self.clock.now();
        let raised: Result<_, Error> =
            self.store.write(move |tx| inner.alarm(tx, code, text, None, now)).await;
        if let Err(error) = raised {
            tracing::error!("an alarm could not be stored: {error}");
        }
    }

    /// Returns the verifiers of the peers' logs on the lists in force.
    fn known_logs(&self) -> Vec<KnownLog> {
        let lists = self.lists();
        let nodes = lists.nations().flat_map(|nation| &nation.list.nodes);
        nodes
            .filter_map(|node| node.log.as_ref())
            .filter_map(|log| karvan_trust::notes::verifier(&log.vkey).ok())
            .map(|verifier| KnownLog { verifier: Arc::new(verifier) })
            .collect()
    }

    /// Returns the proof of a common log entry of an exchange, with the entry as `extra`.
    pub(crate) async fn proof_of(
        &self,
        exchange: ExchangeId,
        kind: &str,
    ) -> Result<String, Rejection> {
        let (sent, received) = self.find(exchange).await?;
        let leaves = sent.into_iter().flat_map(Sent::counting_leaves);
        let mut leaves = leaves.chain(received.into_iter().flat_map(|received| received.leaves));
        let leaf = leaves.find(|leaf| leaf.kind == kind).ok_or_else(|| {
            Rejection::new(
                ErrorKind::NotFound,
                "entry-unknown",
                format!("exchange {exchange} has no log entry `{kind}` here"),
            )
        })?;
        self.proof(leaf.index)
    }

    /// Returns a file of the log by its C2SP path, with its media type.
    pub(crate) fn log_file(&self, path: &str) -> Option<(Vec<u8>, &'static str)> {
        let text = "text/plain; charset=utf-8";
        let kind = if path == "checkpoint" { text } else { "application/octet-stream" };
        self.ledger.static_file(path).ok().map(|bytes| (bytes, kind))
    }

    pub(crate) fn checkpoint(&self) -> Result<String, Rejection> {
        self.ledger.checkpoint().ok_or_else(|| {
            let text = "the log has no checkpoint yet; it gets one with its first entry";
            Rejection::new(ErrorKind::NotFound, "log-empty", text)
        })
    }

    pub(crate) fn proof(&self, index: u64) -> Result<String, Rejection> {
        self.ledger.proof(index).map(|proof| proof.to_string()).map_err(|error| ledger(&error))
    }

    pub(crate) fn entry(&self, index: u64) -> Result<Value, Rejection> {
        let entry = self.ledger.entry(index).map_err(|error| ledger(&error))?;
        Ok(json!({
            "index": index,
            "state": self.entry_state(index),
            "entry": String::from_utf8_lossy(&entry),
            "leafHash": karvan_evidence::tree::leaf_hash(&entry).to_base64(),
        }))
    }

    /// Returns what an entry has reached: `logged`, `checkpointed` or `witnessed`.
    ///
    /// An entry that the log does not have yet is durable in its queue, which counts as logged
    /// (`docs/adr/0003-log-and-database-in-one-transaction.md`).
    pub(crate) fn entry_state(&self, index: u64) -> &'static str {
        match self.ledger.state(index) {
            Err(_) | Ok(State::Logged) => "logged",
            Ok(State::Checkpointed) => "checkpointed",
            Ok(State::Witnessed) => "witnessed",
        }
    }

    fn log_status(&self) -> Value {
        let status = self.ledger.status();
        let size = |checkpoint: Option<karvan_evidence::Checkpoint>| checkpoint.map(|c| c.size);
        let witnesses: Vec<_> = status
            .witnesses
            .iter()
            .map(|witness| {
                json!({
                    "name": witness.name,
                    "cosignedSize": witness.cosigned_size,
                    "cosignedAt": witness.cosigned_at,
                    "lastError": witness.last_error,
                    "alarm": witness.alarm,
                })
            })
            .collect();
        json!({
            "size": status.size,
            "checkpointed": size(status.checkpoint),
            "witnessed": size(status.witnessed),
            "witnesses": witnesses,
        })
    }

    /// Compares with every peer; per peer the findings or the cause.
    pub(crate) async fn compare_all(self: &Arc<Self>) -> Value {
        let mut report = serde_json::Map::new();
        for id in self.all_nodes() {
            let outcome = match self.compare(&self.wake.peer(&id)).await {
                Ok(streams) => json!({ "streams": streams }),
                Err(rejection) => json!({ "error": rejection }),
            };
            report.insert(id.to_string(), outcome);
        }
        Value::Object(report)
    }

    /// Returns what an operator wants to see at a glance.
    pub(crate) async fn status(&self) -> Result<Value, Rejection> {
        let now = self.clock.now();
        let (sent, received, queued) = self
            .store
            .read(|view| -> Result<_, Error> {
                let count = |table, word: &'static str| {
                    view.count(table, &Range::of("state", vec![word.into()], 1))
                };
                let mut sent = serde_json::Map::new();
                for state in [
                    SentState::Accepted,
                    SentState::Relayed,
                    SentState::Delivered,
                    SentState::Refused,
                    SentState::Dead,
                ] {
                    let word = state.as_str();
                    sent.insert(word.to_owned(), count(&SENT, word)?.into());
                }
                let mut received = serde_json::Map::new();
                for state in [
                    ReceivedState::Parked,
                    ReceivedState::Waiting,
                    ReceivedState::Delivered,
                    ReceivedState::Refused,
                ] {
                    let word = state.as_str();
                    received.insert(word.to_owned(), count(&RECEIVED, word)?.into());
                }
                let queued = view.count_lines(&crate::records::EVIDENCE_QUEUE)?;
                Ok((sent, received, queued))
            })
            .await?;
        let peers: Vec<_> = self
            .wake
            .peers()
            .iter()
            .map(|peer| json!({ "node": peer.id, "reach": peer.reach() }))
            .collect();
        let lists = self.lists();
        let lists: Vec<_> = lists
            .nations()
            .map(|nation| {
                json!({
                    "nation": nation.list.scheme_territory,
                    "sequence": nation.list.sequence_number,
                    "ends": nation.ends,
                    "inForce": now < nation.ends,
                })
            })
            .collect();
        Ok(json!({
            "node": self.config.node,
            "now": now,
            "startedAt": self.started,
            "sent": sent,
            "received": received,
            "evidence": { "queued": queued, "log": self.log_status() },
            "peers": peers,
            "lists": lists,
            "dueWorkFailed": self.due_failed.load(Ordering::Relaxed),
            "subsystems": self.subsystems.iter().map(|s| s.name()).collect::<Vec<_>>(),
        }))
    }

    /// Opens a stored body as an HTTP body that is read piece by piece.
    pub(crate) fn blob_body(&self, digest: Digest) -> std::io::Result<Body> {
        use http_body_util::{BodyExt as _, StreamBody};
        /// Bytes read at once.
        const PIECE: u64 = 64 * 1024;
        let reader =
            self.blobs.reader(digest).map_err(|error| std::io::Error::other(error.to_string()))?;
        let pieces = futures_util::stream::unfold((reader, 0), |(reader, offset)| async move {
            let left = reader.len().saturating_sub(offset);
            if left == 0 {
                return None;
            }
            let mut piece = vec![0; usize::try_from(left.min(PIECE)).unwrap_or(0)];
            let read = reader.read_at(offset, &mut piece);
            let next = offset + piece.len() as u64;
            let frame = read
                .map(|()| hyper::body::Frame::data(Bytes::from(piece)))
                .map_err(|error| std::io::Error::other(error.to_string()));
            // After an error the end: the peer sees a body that breaks off.
            let next = if frame.is_ok() { next } else { u64::MAX };
            Some((frame, (reader, next)))
        });
        Ok(StreamBody::new(pieces).boxed_unsync())
    }
}

fn ledger(error: &karvan_ledger::Error) -> Rejection {
    Rejection::new(error.kind(), "log", error.to_string())
}

/// A peer as a witness of this node's log.
struct PeerWitness {
    inner: Arc<Inner>,
    peer: Arc<Peer>,
    name: String,
}

impl WitnessClient for PeerWitness {
    fn name(&self) -> &str {
        &self.name
    }

    fn add_checkpoint(&self, request: String) -> Boxed<'_, Result<String, WitnessRefusal>> {
        Box::pin(async move {
            let body = Bytes::from(request);
            let answer = self
                .inner
                .ask(&self.peer, "POST", wire::WITNESS_PATH, &body)
                .await
                .map_err(|cause| WitnessRefusal { status: 0, body: cause })?;
            let text = String::from_utf8_lossy(answer.body()).into_owned();
            if answer.status().is_success() {
                return Ok(text);
            }
            Err(WitnessRefusal { status: answer.status().as_u16(), body: text })
        })
    }
}
