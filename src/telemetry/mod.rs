//! Telemetry: logs, metrics, request ids. Request text appears in none of them.

pub mod cascade;
pub mod door_metrics;
mod histogram;
pub mod inputs;
pub mod kept;
pub mod line_limit;
pub mod logs;
pub mod metrics;
pub mod model_metrics;
mod plain_text;
pub mod process;
pub mod request_id;
pub mod stderr;
pub mod versions;
pub mod visible;
