//! Spans of calls, and their ties to the spans of other programs (W3C Trace Context).
//!
//! Each side of a call is a span. Where the operator has traces sent, the agency's span is the
//! parent of the client's node's, that one of the provider's node's, and that one of whatever the
//! provider's system makes: `traceparent` and `tracestate` are then replaced on the way, before
//! the client's side signs and after the provider's side has verified. Otherwise they pass as they
//! came. A trace is no evidence: whose spans these are nobody has proven.
//!
//! Not here: the library that keeps traces, which the application lends.

use http::{HeaderMap, Request};
use tracing::Span;

use crate::gateway::Inner;

/// How spans are tied to those of other programs.
#[derive(Clone, Copy, Debug)]
pub struct TraceContext {
    /// Makes a span the child of the one that header fields name, if they name one.
    pub adopt: fn(&Span, &HeaderMap),
    /// Writes the header fields that name a span, if it is kept.
    pub pass_on: fn(&Span, &mut HeaderMap),
}

impl Inner {
    /// Makes the span of a call, for traces; nothing when nobody takes traces. Attributes are named
    /// after OpenTelemetry's semantic conventions for HTTP; the path names no person, the query
    /// may.
    pub(crate) fn span<B>(&self, side: &'static str, request: &Request<B>) -> Span {
        let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
        let span = tracing::debug_span!(
            target: "karvan::trace",
            "call",
            side,
            http.request.method = request.method().as_str(),
            url.path = request.uri().path(),
            exchange.id = header("karvan-exchange-id"),
            message.id = header("x-road-id"),
        );
        if let Some(context) = &self.settings.trace_context {
            (context.adopt)(&span, request.headers());
        }
        span
    }

    /// Makes what comes next a child of the span of this call.
    pub(crate) fn pass_on_trace(&self, headers: &mut HeaderMap) {
        if let Some(context) = &self.settings.trace_context {
            (context.pass_on)(&Span::current(), headers);
        }
    }
}
