//! Traces to a collector: OTLP over HTTP/1.1 with Protobuf bodies (OpenTelemetry protocol 1.x), in
//! batches, from a thread of their own.
//!
//! A collector is a neighbour on the same machine or a closed network, so the way to it is plain
//! HTTP; what leaves the machine is the collector's matter. When it does not answer, spans are
//! dropped: a trace is no evidence.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http::{HeaderMap, Request, Response, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::rt::TokioIo;
use karvan_calls::TraceContext;
use opentelemetry::Context as TraceParent;
use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_http::{HeaderExtractor, HeaderInjector, HttpClient, HttpError};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tracing::{Level, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::registry::LookupSpan;

use crate::failure::Failure;

/// How long a batch may take.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest answer of a collector that is read, in bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// The ties to the spans of other programs: `traceparent` and `tracestate`. Where no traces are
/// sent both functions do nothing.
pub(super) const CONTEXT: TraceContext = TraceContext { adopt, pass_on };
/// The second field of W3C Trace Context, which is left out when it is empty.
const STATE: &str = "tracestate";

/// The way to the collector.
pub(super) struct Traces(SdkTracerProvider);

impl Drop for Traces {
    fn drop(&mut self) {
        if let Err(error) = self.0.shutdown() {
            tracing::debug!("the last traces were not sent: {error}");
        }
    }
}

/// Opens the way to a collector, such as `http://127.0.0.1:4318`.
pub(super) fn start<S>(collector: &str) -> Result<(Traces, impl Layer<S> + use<S>)>
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a>,
{
    let uri: Uri = collector.parse().ok().filter(is_plain).ok_or_else(|| {
        Failure::config(format!("`telemetry.traces`: `{collector}` is not the URL of a collector"))
            .hint("write http://host:port, such as http://127.0.0.1:4318")
    })?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let exporter = SpanExporter::builder()
        .with_http()
        .with_endpoint(format!("{}/v1/traces", uri.to_string().trim_end_matches('/')))
        .with_http_client(Poster(Arc::new(runtime)))
        .build()
        .context("traces cannot be sent")?;
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(Resource::builder().with_service_name("karvan").build())
        .build();
    // Only the spans of calls; spans about the sending of spans would never end.
    let own = Targets::new().with_target("karvan::trace", Level::DEBUG);
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("karvan"));
    Ok((Traces(provider), layer.with_filter(own)))
}

fn adopt(span: &Span, headers: &HeaderMap) {
    let none = TraceParent::new();
    let parent =
        TraceContextPropagator::new().extract_with_context(&none, &HeaderExtractor(headers));
    if let Err(error) = span.set_parent(parent) {
        tracing::trace!("a span has no parent: {error}");
    }
}

fn pass_on(span: &Span, headers: &mut HeaderMap) {
    let injected = &mut HeaderInjector(headers);
    TraceContextPropagator::new().inject_context(&span.context(), injected);
    if headers.get(STATE).is_some_and(http::HeaderValue::is_empty) {
        headers.remove(STATE);
    }
}

fn is_plain(uri: &Uri) -> bool {
    uri.scheme_str() == Some("http") && uri.authority().is_some()
}

/// Posts over a connection of its own each time: once in some seconds.
#[derive(Clone)]
struct Poster(Arc<Runtime>);

impl std::fmt::Debug for Poster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Poster")
    }
}

impl HttpClient for Poster {
    fn send_bytes<'s, 'f>(
        &'s self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'f>>
    where
        's: 'f,
        Self: 'f,
    {
        // The caller is a plain thread of the library, without a runtime to wait in.
        let outcome = self.0.block_on(async {
            tokio::time::timeout(SEND_TIMEOUT, post(request))
                .await
                .unwrap_or_else(|late| Err(late.into()))
        });
        Box::pin(std::future::ready(outcome))
    }
}

async fn post(request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
    let authority = request.uri().authority().ok_or("the collector has no address")?.clone();
    let address = (authority.host(), authority.port_u16().unwrap_or(80));
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let driver = tokio::spawn(connection);
    let (mut head, body) = request.into_parts();
    head.headers.insert(http::header::HOST, authority.as_str().parse()?);
    head.uri = head.uri.path().parse()?;
    let answer = sender.send_request(Request::from_parts(head, Full::new(body))).await?;
    let (head, body) = answer.into_parts();
    let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await?.to_bytes();
    driver.abort();
    Ok(Response::from_parts(head, body))
}
