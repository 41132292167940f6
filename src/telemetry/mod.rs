//! Telemetry: logs, metrics, request ids, spans. Request text appears in none of them.

pub mod call_span;
pub mod cascade;
mod histogram;
pub mod inputs;
pub mod kept;
pub mod line_limit;
pub mod logs;
pub mod metrics;
#[cfg(feature = "otlp")]
mod otlp;
pub mod process;
pub mod request_id;
pub mod span_export;
pub mod span_metrics;
pub mod spans;
pub mod stderr;
mod variables;
pub mod versions;
pub mod visible;
