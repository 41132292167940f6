//! The raw values: what was said on the command line or in the environment, or in the file. Nothing is checked here
//! beyond each value's type.

use std::path::PathBuf;

use clap::Args;
use serde::{Deserialize, Serialize};

use super::address::Address;
use super::duration::HumanDuration;
use super::listen::Listen;
use super::profile::Profile;
use super::settings::RouteSetting;
use crate::telemetry::logs::LogFormat;

/// Settings that may be given as flags, in the environment, or in `tandem.toml` by the same name with `_` for `-`.
#[derive(Clone, Debug, Default, Args, Serialize, Deserialize)]
#[serde(default)]
pub struct Options {
    /// The values of the settings that nobody gave: hardened has the strict ones [default: standard]
    #[arg(long, env = "TANDEM_PROFILE", value_name = "PROFILE", help_heading = "Security")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<Profile>,
    /// Where gRPC listens [default: 127.0.0.1:50051]
    #[arg(long, env = "TANDEM_GRPC_ADDR", value_name = "ADDRESS", help_heading = "Listeners")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grpc_addr: Option<Address>,
    /// When the gRPC port takes connections: once every model serves, or from the start [default: when-ready]
    #[arg(long, env = "TANDEM_LISTEN", value_name = "WHEN", help_heading = "Listeners")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<Listen>,
    /// Where the HTTP gateway listens [default: 127.0.0.1:5000]
    #[arg(long, env = "TANDEM_HTTP_ADDR", value_name = "ADDRESS", help_heading = "Listeners")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_addr: Option<Address>,
    /// Turn the HTTP gateway off
    #[arg(long, env = "TANDEM_NO_HTTP", num_args = 0..=1, default_missing_value = "true", value_name = "BOOL", help_heading = "Listeners")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_http: Option<bool>,
    /// Serve /metrics, /healthz and /readyz on an address of their own too
    #[arg(
        long,
        env = "TANDEM_METRICS_ADDR",
        value_name = "ADDRESS",
        help_heading = "Listeners"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics_addr: Option<Address>,
    /// Serve the admin API, which changes the models that serve, on an address of its own [default: off]
    #[arg(long, env = "TANDEM_ADMIN_ADDR", value_name = "ADDRESS", help_heading = "Listeners")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admin_addr: Option<Address>,
    /// Serve addresses other than loopback without TLS
    #[arg(long, env = "TANDEM_ALLOW_PLAINTEXT", num_args = 0..=1, default_missing_value = "true", value_name = "BOOL", help_heading = "Security")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_plaintext: Option<bool>,
    /// The certificates by which this program shows itself, PEM [default: none]
    #[arg(long, env = "TANDEM_TLS_CERT", value_name = "FILE", help_heading = "TLS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_cert: Option<PathBuf>,
    /// Their key, PEM
    #[arg(long, env = "TANDEM_TLS_KEY", value_name = "FILE", help_heading = "TLS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_key: Option<PathBuf>,
    /// The authorities whose certificates clients must have, PEM [default: clients need none]
    #[arg(long, env = "TANDEM_TLS_CLIENT_CA", value_name = "FILE", help_heading = "Security")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_client_ca: Option<PathBuf>,
    /// The keys of callers, name:token a line; TANDEM_TOKENS may hold more [default: none]
    #[arg(long, env = "TANDEM_TOKENS_FILE", value_name = "FILE", help_heading = "Security")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_file: Option<PathBuf>,
    /// The keys of operators at the admin API, name:token a line; TANDEM_ADMIN_TOKENS may hold more [default: none]
    #[arg(
        long,
        env = "TANDEM_ADMIN_TOKENS_FILE",
        value_name = "FILE",
        help_heading = "Security"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admin_tokens_file: Option<PathBuf>,
    /// How often the files of certificates and keys are looked at [default: 5s]
    #[arg(
        long,
        env = "TANDEM_RELOAD_INTERVAL",
        value_name = "DURATION",
        help_heading = "Security"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reload_interval: Option<HumanDuration>,
    /// Turn reflection off
    #[arg(long, env = "TANDEM_NO_REFLECTION", num_args = 0..=1, default_missing_value = "true", value_name = "BOOL", help_heading = "Security")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_reflection: Option<bool>,
    /// The model repository: NAME/VERSION/manifest.toml [default: models, here or beside the program]
    #[arg(long, env = "TANDEM_MODELS", value_name = "FOLDER", help_heading = "Models")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub models: Option<PathBuf>,
    /// Serve the deep model in this folder, in place of the repository: a model of ours, or a Hugging Face export
    #[arg(long, env = "TANDEM_DEEP", value_name = "FOLDER", help_heading = "Models")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deep: Option<PathBuf>,
    /// Serve the fast model in this folder, in place of the repository: a model of ours, or a scikit-learn export
    #[arg(long, env = "TANDEM_FAST", value_name = "FOLDER", help_heading = "Models")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fast: Option<PathBuf>,
    /// How often the repository is looked at for new versions; 0 for never [default: 0s]
    #[arg(
        long,
        env = "TANDEM_MODELS_POLL_INTERVAL",
        value_name = "DURATION",
        help_heading = "Models"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub models_poll_interval: Option<HumanDuration>,
    /// The bytes that loaded models may take; 0 leaves it to the control group's limit [default: 0]
    #[arg(long, env = "TANDEM_MAX_MODEL_MEMORY", value_name = "BYTES", help_heading = "Models")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_model_memory: Option<u64>,
    /// The most tokens that a transformer reads of a text; 0 leaves it to its folder, and to 512 without a manifest [default: 0]
    #[arg(long, env = "TANDEM_MAX_TOKENS", value_name = "COUNT", help_heading = "Models")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<usize>,
    /// How many live texts a new version runs beside the old one before it takes its place; 0 for none [default: 0]
    #[arg(long, env = "TANDEM_SHADOW_TEXTS", value_name = "COUNT", help_heading = "Models")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shadow_texts: Option<usize>,
    /// The longest that this may take [default: 1m]
    #[arg(long, env = "TANDEM_SHADOW_TIME", value_name = "DURATION", help_heading = "Models")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shadow_time: Option<HumanDuration>,
    /// The largest share of these texts that may get another label [default: 0.05]
    #[arg(
        long,
        env = "TANDEM_SHADOW_MAX_DISAGREEMENT",
        value_name = "SHARE",
        help_heading = "Models"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shadow_max_disagreement: Option<f64>,
    /// How many times as long the middle one of them may take [default: 2]
    #[arg(
        long,
        env = "TANDEM_SHADOW_MAX_SLOWDOWN",
        value_name = "FACTOR",
        help_heading = "Models"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shadow_max_slowdown: Option<f64>,
    /// Where it is kept which versions are stable and canary [default: labels.toml in the repository]
    #[arg(long, env = "TANDEM_LABELS_FILE", value_name = "FILE", help_heading = "Roll-out")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels_file: Option<PathBuf>,
    /// How many requests, and how many compared texts, it takes to tell how a canary does [default: 100]
    #[arg(
        long,
        env = "TANDEM_CANARY_MIN_COUNT",
        value_name = "COUNT",
        help_heading = "Roll-out"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canary_min_count: Option<u64>,
    /// By how much the share of its requests that fail may be above the stable version's [default: 0.01]
    #[arg(
        long,
        env = "TANDEM_CANARY_MAX_FAILURES",
        value_name = "SHARE",
        help_heading = "Roll-out"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canary_max_failures: Option<f64>,
    /// The largest share of compared texts that it may give another label [default: 0.1]
    #[arg(
        long,
        env = "TANDEM_CANARY_MAX_DISAGREEMENT",
        value_name = "SHARE",
        help_heading = "Roll-out"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canary_max_disagreement: Option<f64>,
    /// How many times as long as the stable version it may take for them [default: 2]
    #[arg(
        long,
        env = "TANDEM_CANARY_MAX_SLOWDOWN",
        value_name = "FACTOR",
        help_heading = "Roll-out"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canary_max_slowdown: Option<f64>,
    /// The task of requests that name none [default: the only task]
    #[arg(long, env = "TANDEM_DEFAULT_TASK", value_name = "TASK", help_heading = "Models")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_task: Option<String>,
    /// The route of requests that name none [default: deep]
    #[arg(long, env = "TANDEM_DEFAULT_ROUTE", value_name = "ROUTE", help_heading = "Models")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_route: Option<RouteSetting>,
    /// Sessions of each fast model; 0 chooses by the processor [default: 0]
    #[arg(long, env = "TANDEM_FAST_INSTANCES", value_name = "COUNT", help_heading = "Models")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fast_instances: Option<usize>,
    /// Sessions of each deep model; 0 chooses by the processor [default: 0]
    #[arg(long, env = "TANDEM_DEEP_INSTANCES", value_name = "COUNT", help_heading = "Models")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deep_instances: Option<usize>,
    /// Threads inside one run of a session [default: 1]
    #[arg(long, env = "TANDEM_INTRA_THREADS", value_name = "COUNT", help_heading = "Models")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub intra_threads: Option<usize>,
    /// Threads inside a deep run while nothing else runs or waits; 0 takes all processors where that is faster, 1 is off [default: 0]
    #[arg(long, env = "TANDEM_IDLE_THREADS", value_name = "COUNT", help_heading = "Models")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_threads: Option<usize>,
    /// The most texts in a request [default: 128]
    #[arg(long, env = "TANDEM_MAX_TEXTS", value_name = "COUNT", help_heading = "Limits")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_texts: Option<usize>,
    /// The longest text, in bytes of UTF-8 [default: 16384]
    #[arg(long, env = "TANDEM_MAX_TEXT_BYTES", value_name = "BYTES", help_heading = "Limits")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_text_bytes: Option<usize>,
    /// The time that a request without a deadline may take [default: 10s]
    #[arg(
        long,
        env = "TANDEM_DEFAULT_TIMEOUT",
        value_name = "DURATION",
        help_heading = "Limits"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_timeout: Option<HumanDuration>,
    /// The longest deadline that is kept; longer ones are cut to it [default: 1m]
    #[arg(long, env = "TANDEM_MAX_TIMEOUT", value_name = "DURATION", help_heading = "Limits")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_timeout: Option<HumanDuration>,
    /// The most texts that a model accepts and has not answered [default: 1024]
    #[arg(long, env = "TANDEM_MAX_QUEUE_TEXTS", value_name = "COUNT", help_heading = "Limits")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_queue_texts: Option<usize>,
    /// The most bytes of text that a model accepts and has not answered [default: 33554432]
    #[arg(long, env = "TANDEM_MAX_QUEUE_BYTES", value_name = "BYTES", help_heading = "Limits")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_queue_bytes: Option<usize>,
    /// The most bytes of request bodies in flight, at all doors together; 0 chooses by the largest body [default: 0]
    #[arg(
        long,
        env = "TANDEM_MAX_INFLIGHT_BODY_BYTES",
        value_name = "BYTES",
        help_heading = "Limits"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_inflight_body_bytes: Option<usize>,
    /// The header whose value tells clients apart for fair shares of a busy server [default: none, connections are]
    #[arg(long, env = "TANDEM_CLIENT_HEADER", value_name = "NAME", help_heading = "Limits")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_header: Option<String>,
    /// The bytes of the cache of answers to texts seen before; 0 turns it off [default: 0]
    #[arg(long, env = "TANDEM_CACHE_BYTES", value_name = "BYTES", help_heading = "Limits")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_bytes: Option<usize>,
    /// The most open connections, at each door [default: 1024]
    #[arg(long, env = "TANDEM_MAX_CONNECTIONS", value_name = "COUNT", help_heading = "Limits")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_connections: Option<usize>,
    /// The most open calls on one connection [default: 256]
    #[arg(
        long,
        env = "TANDEM_MAX_STREAMS_PER_CONNECTION",
        value_name = "COUNT",
        help_heading = "Limits"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_streams_per_connection: Option<u32>,
    /// How long a new connection may take to its first request, with its TLS handshake [default: 5s]
    #[arg(
        long,
        env = "TANDEM_HANDSHAKE_TIMEOUT",
        value_name = "DURATION",
        help_heading = "Connections"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handshake_timeout: Option<HumanDuration>,
    /// How long the headers of an HTTP/1 request may take [default: 10s]
    #[arg(
        long,
        env = "TANDEM_HEADER_TIMEOUT",
        value_name = "DURATION",
        help_heading = "Connections"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header_timeout: Option<HumanDuration>,
    /// How long a connection may stay without a call; 0 for ever [default: 15m]
    #[arg(
        long,
        env = "TANDEM_IDLE_TIMEOUT",
        value_name = "DURATION",
        help_heading = "Connections"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_timeout: Option<HumanDuration>,
    /// The age at which a connection is told to go, give or take a tenth; 0 for never [default: 30m]
    #[arg(
        long,
        env = "TANDEM_MAX_CONNECTION_AGE",
        value_name = "DURATION",
        help_heading = "Connections"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_connection_age: Option<HumanDuration>,
    /// How long the calls of such a connection may take to finish [default: 2m]
    #[arg(
        long,
        env = "TANDEM_MAX_CONNECTION_AGE_GRACE",
        value_name = "DURATION",
        help_heading = "Connections"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_connection_age_grace: Option<HumanDuration>,
    /// How often a quiet HTTP/2 peer is asked whether it is there; 0 for never [default: 1m]
    #[arg(
        long,
        env = "TANDEM_KEEPALIVE_INTERVAL",
        value_name = "DURATION",
        help_heading = "Connections"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keepalive_interval: Option<HumanDuration>,
    /// How long it may take to say so [default: 20s]
    #[arg(
        long,
        env = "TANDEM_KEEPALIVE_TIMEOUT",
        value_name = "DURATION",
        help_heading = "Connections"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keepalive_timeout: Option<HumanDuration>,
    /// The most calls of a connection that were reset before they were begun [default: 256]
    #[arg(
        long,
        env = "TANDEM_MAX_PENDING_RESETS",
        value_name = "COUNT",
        help_heading = "Connections"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_pending_resets: Option<usize>,
    /// The most calls of a connection that were reset for their caller's mistakes [default: 128]
    #[arg(
        long,
        env = "TANDEM_MAX_ERROR_RESETS",
        value_name = "COUNT",
        help_heading = "Connections"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_error_resets: Option<usize>,
    /// The most calls of a connection that were taken back at once, before it is read slowly [default: 128]
    #[arg(
        long,
        env = "TANDEM_MAX_RAPID_RESETS",
        value_name = "COUNT",
        help_heading = "Connections"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_rapid_resets: Option<usize>,
    /// The most bytes of answers that wait for the reader of one call [default: 262144]
    #[arg(
        long,
        env = "TANDEM_MAX_SEND_BUFFER_BYTES",
        value_name = "BYTES",
        help_heading = "Connections"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_send_buffer_bytes: Option<usize>,
    /// How long calls are still taken after SIGTERM, with health NOT_SERVING [default: 0s]
    #[arg(long, env = "TANDEM_DRAIN_PAUSE", value_name = "DURATION", help_heading = "Limits")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drain_pause: Option<HumanDuration>,
    /// How long accepted calls may take to finish after SIGTERM [default: 20s]
    #[arg(long, env = "TANDEM_DRAIN_GRACE", value_name = "DURATION", help_heading = "Limits")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drain_grace: Option<HumanDuration>,
    /// How log lines look [default: auto]
    #[arg(long, env = "TANDEM_LOG_FORMAT", value_name = "FORMAT", help_heading = "Logs")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_format: Option<LogFormat>,
    /// Which log lines are written: a level, or a filter such as tandem=debug [default: info]
    #[arg(long, env = "TANDEM_LOG_FILTER", value_name = "FILTER", help_heading = "Logs")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_filter: Option<String>,
}
