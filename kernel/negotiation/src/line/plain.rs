//! HTTP without TLS to connectors on this machine: for the protocol's own kit, and for trials with
//! connectors of others. Nothing is signed, and no address beyond loopback is ever called.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST};
use http::{HeaderValue, Request, Response, request};
use karvan_exchange::client::{Dial, Pool, full};
use karvan_exchange::network::{Boxed, Stream};
use karvan_types::ErrorKind;
use tokio::net::TcpStream;

use super::{Draft, Line, Parcel, Seal, header_map};
use crate::Error;
use crate::identity::Participant;

/// How long an answer may take. The protocol's kit drops a repeated message, so this is generous.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// Most places with a pool of connections.
const PLACES_MAX: usize = 64;

/// A line to connectors on loopback.
pub struct PlainLine {
    own_address: String,
    peers: BTreeMap<String, String>,
    pools: Mutex<BTreeMap<SocketAddr, Arc<Pool>>>,
}

/// A place on loopback.
struct Place(SocketAddr);

impl Dial for Place {
    fn place(&self) -> String {
        self.0.to_string()
    }

    fn dial(&self) -> Boxed<'_, std::io::Result<Box<dyn Stream>>> {
        Box::pin(async {
            let stream = TcpStream::connect(self.0).await?;
            stream.set_nodelay(true)?;
            Ok(Box::new(stream) as Box<dyn Stream>)
        })
    }
}

/// Takes an address apart: where it is, what it calls itself, and its path.
fn locate(address: &str) -> Result<(SocketAddr, &str, &str), Error> {
    let refuse = || {
        let text = format!("`{address}` is not on loopback; use http://127.0.0.1:port/path");
        Error::invalid("callback-address", text)
    };
    let rest = address.strip_prefix("http://").ok_or_else(refuse)?;
    let (host, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    let named = host.replace("localhost", "127.0.0.1");
    let at: SocketAddr =
        named.parse().or_else(|_| format!("{named}:80").parse()).map_err(|_| refuse())?;
    let loopback = match at.ip() {
        IpAddr::V4(ip) => ip.is_loopback(),
        IpAddr::V6(ip) => ip.is_loopback(),
    };
    if loopback { Ok((at, host, path)) } else { Err(refuse()) }
}

impl PlainLine {
    /// Makes a line; `own_address` is where its peers find us.
    pub fn new(own_address: String) -> Self {
        Self { own_address, peers: BTreeMap::new(), pools: Mutex::default() }
    }

    /// Adds where a participant is found.
    #[must_use]
    pub fn with_peer(mut self, participant: &str, address: &str) -> Self {
        self.peers.insert(participant.to_owned(), address.to_owned());
        self
    }

    fn pool(&self, at: SocketAddr) -> Arc<Pool> {
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        if pools.len() >= PLACES_MAX {
            pools.clear();
        }
        Arc::clone(pools.entry(at).or_default())
    }
}

impl Line for PlainLine {
    fn own_address(&self) -> Result<String, Error> {
        Ok(self.own_address.clone())
    }

    fn address_of(&self, participant: &str) -> Result<String, Error> {
        self.peers.get(participant).cloned().ok_or_else(|| {
            let text = format!("nobody knows where `{participant}` is; name its address");
            Error::new(ErrorKind::NotFound, "address-unknown", text)
        })
    }

    fn check_address(&self, _: &Participant, address: &str) -> Result<(), Error> {
        locate(address).map(drop)
    }

    fn seal(&self, _: &Draft<'_>) -> Result<Option<Seal>, Error> {
        Ok(None)
    }

    fn open(&self, _: &Participant, _: &request::Parts, _: &[u8]) -> Result<Option<Seal>, Error> {
        Ok(None)
    }

    fn send<'a>(&'a self, parcel: Parcel<'a>) -> Boxed<'a, Result<Response<Bytes>, Error>> {
        Box::pin(async move {
            let (at, host, base) = locate(parcel.address)?;
            let headers = header_map(&parcel)?;
            let uri = format!("{base}{}", parcel.path);
            let make = || {
                let request = Request::builder()
                    .method(parcel.method)
                    .uri(&uri)
                    .header(HOST, host)
                    .header(CONTENT_LENGTH, HeaderValue::from(parcel.body.len()));
                let mut request = request
                    .body(full(parcel.body.clone()))
                    .map_err(|error| std::io::Error::other(error.to_string()))?;
                request.headers_mut().extend(headers.clone());
                Ok(request)
            };
            let sent = self.pool(at).send(&Place(at), ANSWER_TIMEOUT, make).await;
            sent.map_err(|error| {
                Error::new(ErrorKind::PeerUnavailable, "peer-unreachable", error.to_string())
            })
        })
    }
}
