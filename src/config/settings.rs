//! Every setting, with its default, and the checks that a value alone must pass.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::address::Address;
use super::bodies;
use super::connections;
use super::duration::HumanDuration;
use super::listen::Listen;
use super::profile::Profile;
use super::rollout;
use super::security;
use crate::model::manifest::{LEAST_TOKENS, MOST_TOKENS};
use crate::telemetry::logs::LogFormat;

/// The settings of a server. The keys of `tandem.toml` are the names of these fields.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The values of the settings that nobody gave.
    pub profile: Profile,
    /// Where gRPC listens.
    pub grpc_addr: Address,
    /// When the gRPC port takes connections.
    pub listen: Listen,
    /// Where the HTTP gateway listens.
    pub http_addr: Address,
    /// Turns the HTTP gateway off.
    pub no_http: bool,
    /// Where `/metrics`, `/healthz` and `/readyz` are served apart; nowhere if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics_addr: Option<Address>,
    /// Where `tandem.v1.AdminService` is served; nowhere if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin_addr: Option<Address>,
    /// Lets addresses other than loopback be served without TLS.
    pub allow_plaintext: bool,
    /// The certificates by which the server shows itself, PEM; no TLS if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_cert: Option<PathBuf>,
    /// Their key, PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_key: Option<PathBuf>,
    /// The authorities whose certificates clients must have, PEM; clients need none if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_client_ca: Option<PathBuf>,
    /// The keys of callers, `name:token` a line; no keys if absent, unless the environment has some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_file: Option<PathBuf>,
    /// The keys of operators, who alone may call the admin listener; nobody needs one if absent, unless the environment has
    /// some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin_tokens_file: Option<PathBuf>,
    /// How often the files of certificates and keys are looked at.
    pub reload_interval: HumanDuration,
    /// Turns reflection off.
    pub no_reflection: bool,
    /// The model repository.
    pub models: PathBuf,
    /// A folder with the deep model, in place of the repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deep: Option<PathBuf>,
    /// A folder with the fast model, in place of the repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fast: Option<PathBuf>,
    /// How often the repository is looked at for new versions; 0 for never: SIGHUP and the admin API do it.
    pub models_poll_interval: HumanDuration,
    /// The bytes that loaded models may be expected to take, two versions in an exchange included; 0 leaves it to the control
    /// group's limit.
    pub max_model_memory: u64,
    /// The most tokens that a transformer reads of a text: fewer than its folder says, or more than the 512 that one without a
    /// manifest reads, as far as its files go. 0 leaves it to the folder.
    pub max_tokens: usize,
    /// How many texts of live requests a new version runs beside the one that serves before it takes its place; 0 for none.
    pub shadow_texts: usize,
    /// The longest that this may take; then what was seen counts.
    pub shadow_time: HumanDuration,
    /// The largest share of these texts that may get another label.
    pub shadow_max_disagreement: f64,
    /// How many times as long the middle one of them may take.
    pub shadow_max_slowdown: f64,
    /// Where it is kept which versions are stable and canary; `labels.toml` in the repository if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels_file: Option<PathBuf>,
    /// How many requests, and how many compared texts, it takes to tell how a canary does.
    pub canary_min_count: u64,
    /// By how much the share of a canary's requests that fail may be above the stable version's.
    pub canary_max_failures: f64,
    /// The largest share of compared texts that a canary may give another label.
    pub canary_max_disagreement: f64,
    /// How many times as long as the stable version a canary may take for them.
    pub canary_max_slowdown: f64,
    /// The task of requests that name none; where there is one task only, that one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_task: Option<String>,
    /// The route of requests that name none, unless their task says.
    pub default_route: RouteSetting,
    /// The most texts in a request.
    pub max_texts: usize,
    /// The longest text, in bytes of UTF-8.
    pub max_text_bytes: usize,
    /// The time that a request without a deadline may take.
    pub default_timeout: HumanDuration,
    /// The longest deadline that is kept; longer ones are cut to it.
    pub max_timeout: HumanDuration,
    /// The most texts that a model accepts and has not answered; more are refused.
    pub max_queue_texts: usize,
    /// The most bytes of text that a model accepts and has not answered; more are refused.
    pub max_queue_bytes: usize,
    /// The most bytes of request bodies in flight and of unread answers, at all doors together; 0 chooses by the largest body.
    pub max_inflight_body_bytes: usize,
    /// The header whose value tells clients apart for fair shares; connections are, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_header: Option<String>,
    /// The bytes of the answer cache; 0 turns it off.
    pub cache_bytes: usize,
    /// Sessions of each fast model; 0 chooses by the processor.
    pub fast_instances: usize,
    /// Sessions of each deep model; 0 chooses by the processor.
    pub deep_instances: usize,
    /// Threads inside one run of a session.
    pub intra_threads: usize,
    /// Threads inside a deep run while nothing else runs or waits; 0 takes all processors where that is faster, 1 is off.
    pub idle_threads: usize,
    /// The most open connections, at each door.
    pub max_connections: usize,
    /// The most open calls on one connection.
    pub max_streams_per_connection: u32,
    /// How long a new connection may take until its TLS handshake is done and its first call is there.
    pub handshake_timeout: HumanDuration,
    /// How long the headers of an HTTP/1 request may take, and a connection of HTTP/1 may wait for its next request.
    pub header_timeout: HumanDuration,
    /// How long a connection may stay without a call before it is told to go; 0 for ever.
    pub idle_timeout: HumanDuration,
    /// The age, give or take a tenth, at which a connection is told to go; 0 for never.
    pub max_connection_age: HumanDuration,
    /// How long the calls of a connection that was told to go for its age may take, before they are cut.
    pub max_connection_age_grace: HumanDuration,
    /// How often a quiet HTTP/2 peer is asked whether it is still there; 0 for never.
    pub keepalive_interval: HumanDuration,
    /// How long a peer may take to say that it is still there.
    pub keepalive_timeout: HumanDuration,
    /// The most calls of a connection that their caller reset before they were begun; a connection with more is ended.
    pub max_pending_resets: usize,
    /// The most calls of a connection that were reset for their caller's mistakes; a connection with more is ended.
    pub max_error_resets: usize,
    /// The most calls of a connection that their caller took back within 10 ms, two for each answered one not counted; a
    /// connection with more is read slowly, 4 KiB every 5 ms.
    pub max_rapid_resets: usize,
    /// The most bytes of answers that wait for the reader of one call.
    pub max_send_buffer_bytes: usize,
    /// How long calls are still taken after SIGTERM, when health says already that the server goes.
    pub drain_pause: HumanDuration,
    /// How long accepted calls may take to finish after SIGTERM, before they are cut.
    pub drain_grace: HumanDuration,
    /// How log lines look.
    pub log_format: LogFormat,
    /// Which log lines are written.
    pub log_filter: String,
    /// Tasks by name; those that are not listed follow from the models' manifests.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tasks: BTreeMap<String, TaskSettings>,
}

/// The models of one task.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskSettings {
    /// The name of its fast model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fast: Option<String>,
    /// The name of its deep model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deep: Option<String>,
    /// The route of requests that name none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_route: Option<RouteSetting>,
    /// Whether the fast model may answer where the deep one can't, unless a request says.
    #[serde(default)]
    pub allow_fallback: bool,
    /// Its cascade.
    #[serde(default)]
    pub cascade: CascadeSettings,
}

impl TaskSettings {
    /// Whether it says which models serve the task; if not, they follow from the manifests.
    pub fn names_models(&self) -> bool {
        self.fast.is_some() || self.deep.is_some()
    }
}

/// The cascade of one task.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CascadeSettings {
    /// The file that `tandem calibrate` wrote; if absent, `<task>.cascade.toml` in the model repository, if it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<PathBuf>,
    /// The confidence at which the fast answer stands; if absent, the calibration's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_confidence: Option<f32>,
}

/// Which tier answers where a request does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum RouteSetting {
    /// The fast model.
    Fast,
    /// The deep model.
    Deep,
    /// The fast model, and the deep one for what it is not sure of.
    Cascade,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            profile: Profile::Standard,
            grpc_addr: Address::Ip(([127, 0, 0, 1], 50051).into()),
            listen: Listen::WhenReady,
            http_addr: Address::Ip(([127, 0, 0, 1], 5000).into()),
            no_http: false,
            metrics_addr: None,
            admin_addr: None,
            allow_plaintext: false,
            tls_cert: None,
            tls_key: None,
            tls_client_ca: None,
            tokens_file: None,
            admin_tokens_file: None,
            reload_interval: HumanDuration(Duration::from_secs(5)),
            no_reflection: false,
            models: PathBuf::from("models"),
            deep: None,
            fast: None,
            models_poll_interval: HumanDuration(Duration::ZERO),
            max_model_memory: 0,
            max_tokens: 0,
            shadow_texts: 0,
            shadow_time: HumanDuration(Duration::from_secs(60)),
            shadow_max_disagreement: 0.05,
            shadow_max_slowdown: 2.0,
            labels_file: None,
            canary_min_count: 100,
            canary_max_failures: 0.01,
            canary_max_disagreement: 0.1,
            canary_max_slowdown: 2.0,
            default_task: None,
            default_route: RouteSetting::Deep,
            max_texts: 128,
            max_text_bytes: 16 * 1024,
            default_timeout: HumanDuration(Duration::from_secs(10)),
            max_timeout: HumanDuration(Duration::from_secs(60)),
            max_queue_texts: 1024,
            max_queue_bytes: 32 << 20,
            max_inflight_body_bytes: 0,
            client_header: None,
            cache_bytes: 0,
            fast_instances: 0,
            deep_instances: 0,
            intra_threads: 1,
            idle_threads: 0,
            max_connections: 1024,
            max_streams_per_connection: 256,
            handshake_timeout: HumanDuration(Duration::from_secs(5)),
            header_timeout: HumanDuration(Duration::from_secs(10)),
            idle_timeout: HumanDuration(Duration::from_secs(15 * 60)),
            max_connection_age: HumanDuration(Duration::from_secs(30 * 60)),
            max_connection_age_grace: HumanDuration(Duration::from_secs(2 * 60)),
            keepalive_interval: HumanDuration(Duration::from_secs(60)),
            keepalive_timeout: HumanDuration(Duration::from_secs(20)),
            // A client may cancel all that it may have open.
            max_pending_resets: 256,
            max_error_resets: 128,
            max_rapid_resets: 128,
            max_send_buffer_bytes: 256 * 1024,
            drain_pause: HumanDuration(Duration::ZERO),
            drain_grace: HumanDuration(Duration::from_secs(20)),
            log_format: LogFormat::Auto,
            log_filter: "info".into(),
            tasks: BTreeMap::new(),
        }
    }
}

impl Settings {
    /// The most tokens that a transformer may read of a text, where somebody said it.
    pub fn asked_tokens(&self) -> Option<usize> {
        (self.max_tokens > 0).then_some(self.max_tokens)
    }

    /// Checks each value, and the values that must fit each other. The error names the key and the limit.
    pub fn check(&self) -> Result<(), String> {
        let bounds = [
            ("max_texts", self.max_texts, 1, 10_000),
            ("max_text_bytes", self.max_text_bytes, 1, 16 << 20),
            ("max_queue_texts", self.max_queue_texts, 1, 1 << 20),
            ("max_queue_bytes", self.max_queue_bytes, 1, 1 << 32),
            ("cache_bytes", self.cache_bytes, 0, 1 << 36),
            ("fast_instances", self.fast_instances, 0, 256),
            ("deep_instances", self.deep_instances, 0, 256),
            ("intra_threads", self.intra_threads, 1, 256),
            ("idle_threads", self.idle_threads, 0, 256),
            ("max_connections", self.max_connections, 1, 1 << 20),
            (
                "max_streams_per_connection",
                self.max_streams_per_connection as usize,
                1,
                1 << 20,
            ),
        ];
        for (key, value, least, most) in bounds {
            if !(least..=most).contains(&value) {
                return Err(format!("{key} is {value}, it must be from {least} to {most}"));
            }
        }
        if self
            .asked_tokens()
            .is_some_and(|tokens| !(LEAST_TOKENS..=MOST_TOKENS).contains(&tokens))
        {
            return Err(format!(
                "max_tokens is {}, it must be from {LEAST_TOKENS} to {MOST_TOKENS}, or 0 for what each folder says",
                self.max_tokens
            ));
        }
        if self.max_queue_texts < self.max_texts {
            return Err(format!(
                "max_queue_texts is {}, it must be at least max_texts ({}), or the largest request never fits",
                self.max_queue_texts, self.max_texts
            ));
        }
        let largest = self.max_texts.saturating_mul(self.max_text_bytes);
        if self.max_queue_bytes < largest {
            return Err(format!(
                "max_queue_bytes is {}, it must be at least max_texts × max_text_bytes ({largest}), or the largest request never fits",
                self.max_queue_bytes
            ));
        }
        if let Some(header) = &self.client_header
            && http::HeaderName::try_from(header.as_str()).is_err()
        {
            return Err("client_header must be the name of a header".into());
        }
        if self.max_texts.saturating_mul(self.max_text_bytes) > 256 << 20 {
            return Err("max_texts × max_text_bytes must be at most 256 MiB".into());
        }
        for (name, task) in &self.tasks {
            if let Some(confidence) = task.cascade.min_confidence
                && !(0.0..=1.0).contains(&confidence)
            {
                return Err(format!(
                    "tasks.{name}.cascade.min_confidence is {confidence}, it must be from 0 to 1"
                ));
            }
        }
        let day = Duration::from_secs(24 * 3600);
        for (key, value) in [
            ("default_timeout", self.default_timeout),
            ("max_timeout", self.max_timeout),
            ("drain_grace", self.drain_grace),
        ] {
            if value.0 > day || (value.0.is_zero() && key != "drain_grace") {
                return Err(format!("{key} is {value}, it must be above 0s and at most 1day"));
            }
        }
        if self.default_timeout > self.max_timeout {
            return Err(format!(
                "default_timeout is {}, it must be at most max_timeout ({})",
                self.default_timeout, self.max_timeout
            ));
        }
        rollout::check(self)?;
        bodies::check(self)?;
        connections::check(self)?;
        security::check(self)
    }
}
