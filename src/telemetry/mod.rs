//! Telemetry: logs, metrics, request ids, spans. Request text appears in none of them.

pub mod call_span;
pub mod cascade;
mod device_memory;
pub mod door_metrics;
mod histogram;
pub mod inputs;
pub mod kept;
pub mod line_limit;
pub mod load;
pub mod log_export;
pub mod logs;
pub mod metrics;
pub mod model_metrics;
#[cfg(feature = "otlp")]
mod otlp;
mod plain_text;
pub mod process;
pub mod request_id;
pub mod sent_lines;
pub mod span_export;
pub mod span_metrics;
pub mod spans;
pub mod stderr;
mod variables;
pub mod versions;
pub mod visible;
