//! What a node tells about itself while it runs: log lines on standard error and, in a program that
//! was built with the feature `otel`, traces to a collector.

use anyhow::Result;
use karvan_calls::TraceContext;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

use crate::config::{LogFormat, TelemetrySection};
use crate::failure::Failure;

#[cfg(feature = "otel")]
mod traces;

/// How calls are tied to the spans of other programs.
#[cfg(feature = "otel")]
pub(crate) const TRACE_CONTEXT: Option<TraceContext> = Some(traces::CONTEXT);
/// Without traces `traceparent` passes as it came.
#[cfg(not(feature = "otel"))]
pub(crate) const TRACE_CONTEXT: Option<TraceContext> = None;

/// Sends what was not sent yet when it is dropped.
#[derive(Default)]
pub(crate) struct Telemetry {
    #[cfg(feature = "otel")]
    _traces: Option<traces::Traces>,
}

/// Starts log lines and traces, once for the process.
pub(crate) fn start(section: &TelemetrySection) -> Result<Telemetry> {
    let filter = EnvFilter::builder().parse(&section.log)?;
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false);
    let lines = match section.format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().boxed(),
    };
    let registry = tracing_subscriber::registry().with(lines.with_filter(filter));
    let failed = |error| Failure::config(format!("the log cannot start: {error}"));
    #[cfg(feature = "otel")]
    if let Some(collector) = &section.traces {
        let (traces, layer) = traces::start(collector)?;
        registry.with(layer).try_init().map_err(failed)?;
        return Ok(Telemetry { _traces: Some(traces) });
    }
    registry.try_init().map_err(failed)?;
    Ok(Telemetry::default())
}
