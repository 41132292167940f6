//! Lines of the log on their way to a collector: a bounded queue, a thread of the library that takes batches out of it, and
//! a runtime with one thread of its own that sends them. What these threads say themselves is not sent.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::logs::{LogRecord, Logger, LoggerProvider, Severity};
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_otlp::{LogExporter, WithHttpConfig, WithTonicConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::logs::{BatchConfigBuilder, BatchLogProcessor, LogBatch, SdkLoggerProvider};
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::registry::LookupSpan;

use super::collector::{Background, Protocol, Signal, Trouble};
use super::collector_tls;
use super::log_queue::{Queue, Waiting, share};
use super::resource::resource;
use crate::telemetry::sent_lines::{self, Lost};

/// The sending of log lines, under way.
pub struct LogLines {
    provider: SdkLoggerProvider,
    waiting: Arc<Waiting>,
}

impl LogLines {
    /// Begins to send lines as the variables say. Writes no line itself, since the log may not have begun.
    pub fn start() -> Result<Self, String> {
        let waiting = Arc::<Waiting>::default();
        let sender = Sender::new(Arc::clone(&waiting))?;
        let room = Signal::Logs.room();
        let batches = BatchConfigBuilder::default().with_max_queue_size(room).build();
        let queue = Queue {
            processor: BatchLogProcessor::builder(sender).with_batch_config(batches).build(),
            room,
            waiting: Arc::clone(&waiting),
        };
        let provider = SdkLoggerProvider::builder()
            .with_resource(resource())
            .with_log_processor(queue)
            .build();
        Ok(Self { provider, waiting })
    }

    /// What a subscriber needs to have its lines sent.
    pub fn layer<S: Subscriber + for<'a> LookupSpan<'a>>(&self) -> impl Layer<S> + Send + Sync + use<S> {
        OpenTelemetryTracingBridge::new(&self.provider)
    }

    /// Says in the log, which has begun, that its lines are sent.
    pub fn tell() {
        Signal::Logs.tell_unknown_protocol();
        tracing::info!(
            protocol = Signal::Logs.protocol().name(),
            "lines of the log are sent to a collector"
        );
    }

    /// Sends what the program fails by, which no filter leaves out.
    pub fn complain(&self, problem: &str) {
        let logger = self.provider.logger("tandem");
        let mut record = logger.create_log_record();
        record.set_target("tandem");
        record.set_severity_number(Severity::Error);
        record.set_severity_text("ERROR");
        record.set_body(problem.to_owned().into());
        logger.emit(record);
    }

    /// Sends the lines that are left, within a time. Blocks.
    pub fn end(&self, limit: Duration) {
        let ended = self.provider.shutdown_with_timeout(limit);
        let unsent = self.waiting.lines();
        if ended.is_err() && unsent > 0 {
            tracing::warn!(unsent, "lines of the log could not be sent before the end");
        }
    }
}

/// Sends batches of lines. Says at most once a minute that it can't.
struct Sender {
    to: LogExporter,
    on: Background,
    timeout: Duration,
    waiting: Arc<Waiting>,
    trouble: Trouble,
}

impl fmt::Debug for Sender {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Sender")
    }
}

impl Sender {
    fn new(waiting: Arc<Waiting>) -> Result<Self, String> {
        let on = Background::start("log lines")?;
        let timeout = Signal::Logs.timeout();
        let to = {
            let _inside = on.handle().enter();
            exporter(timeout)?
        };
        Ok(Self {
            to,
            on,
            timeout,
            waiting,
            trouble: Trouble::default(),
        })
    }

    /// Counts lost lines, and says so on standard error unless that was said a moment ago.
    fn lose(&self, lines: usize, problem: &str) {
        sent_lines::lost(Lost::NotSent, lines);
        if let Some(lost) = self.trouble.add(lines) {
            tracing::warn!(lost, problem, "lines of the log can't be sent to the collector");
        }
    }
}

fn exporter(timeout: Duration) -> Result<LogExporter, String> {
    let authorities = Signal::Logs.authorities()?;
    let built = match Signal::Logs.protocol() {
        Protocol::Grpc => {
            let builder = LogExporter::builder().with_tonic();
            builder.with_tls_config(collector_tls::over_grpc(authorities)).build()
        }
        Protocol::Http => {
            let client = collector_tls::over_http(authorities, timeout)?;
            LogExporter::builder().with_http().with_http_client(client).build()
        }
    };
    built.map_err(|error| error.to_string())
}

impl opentelemetry_sdk::logs::LogExporter for Sender {
    /// The library's thread waits here, which does nothing else. The lines are its own, so they can't go to another one.
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        let share = share(&batch);
        let sending = async {
            let sent = tokio::time::timeout(self.timeout, self.to.export(batch)).await;
            sent.unwrap_or(Err(OTelSdkError::Timeout(self.timeout)))
        };
        let sent = self.on.handle().block_on(sending);
        self.waiting.leave(share);
        match &sent {
            Ok(()) => sent_lines::sent(share.0),
            Err(error) => self.lose(share.0, &error.to_string()),
        }
        sent
    }

    fn shutdown_with_timeout(&self, limit: Duration) -> OTelSdkResult {
        self.to.shutdown_with_timeout(limit)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.to.set_resource(resource);
    }
}
