//! The way to a collector, by the variables: what spans and log lines have in common.

use std::time::{Duration, Instant};

use opentelemetry::Context;
use parking_lot::Mutex;
use tokio::runtime::{Builder, Handle, Runtime};

use crate::telemetry::variables::variable;

/// How many may wait to be sent where no variable says it.
const ROOM: usize = 2048;
/// The most that a variable may say.
const MOST_ROOM: usize = 1 << 16;

/// How often the log says that something can't be sent.
const SAID_EVERY: Duration = Duration::from_mins(1);
/// How long a batch may take to be sent, where the variables say nothing.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How the collector is spoken to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Grpc,
    Http,
}

impl Protocol {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::Http => "http/protobuf",
        }
    }
}

/// What is sent, by its word in the variables.
#[derive(Clone, Copy)]
pub(super) enum Signal {
    Traces,
    Logs,
}

impl Signal {
    /// The most that may wait to be sent. The library makes room for all of them at once.
    pub(super) fn room(self) -> usize {
        let name = match self {
            Self::Traces => "OTEL_BSP_MAX_QUEUE_SIZE",
            Self::Logs => "OTEL_BLRP_MAX_QUEUE_SIZE",
        };
        let asked = variable(name).and_then(|size| size.parse().ok());
        asked.unwrap_or(ROOM).clamp(1, MOST_ROOM)
    }

    /// A variable's value: that for this alone, or that for all that is exported.
    fn variable(self, name: &str) -> Option<String> {
        let own = match self {
            Self::Traces => "TRACES",
            Self::Logs => "LOGS",
        };
        variable(&format!("OTEL_EXPORTER_OTLP_{own}_{name}"))
            .or_else(|| variable(&format!("OTEL_EXPORTER_OTLP_{name}")))
    }

    /// The protocol that the variables say; HTTP by default, as the specification has it.
    pub(super) fn protocol(self) -> Protocol {
        match self.variable("PROTOCOL").as_deref() {
            Some("grpc") => Protocol::Grpc,
            _ => Protocol::Http,
        }
    }

    /// Writes a line if the variables say a protocol that is not known.
    pub(super) fn tell_unknown_protocol(self) {
        let named = self.variable("PROTOCOL");
        if let Some(unknown) = named.filter(|name| !["grpc", "http/protobuf"].contains(&&**name)) {
            tracing::warn!(
                unknown,
                "OTEL_EXPORTER_OTLP_PROTOCOL may be grpc or http/protobuf, which is taken"
            );
        }
    }

    /// How long a batch may take to be sent.
    pub(super) fn timeout(self) -> Duration {
        let millis = self.variable("TIMEOUT").and_then(|millis| millis.parse().ok());
        millis.map_or(TIMEOUT, Duration::from_millis)
    }

    /// The authorities that the collector's certificate may be from, in PEM, where a variable names them.
    pub(super) fn authorities(self) -> Result<Option<Vec<u8>>, String> {
        let read = |path: String| {
            let read = std::fs::read(&path);
            read.map_err(|error| format!("OTEL_EXPORTER_OTLP_CERTIFICATE {path}: {error}"))
        };
        self.variable("CERTIFICATE").map(read).transpose()
    }
}

/// A runtime that sends, with one thread. It ends without waiting for a request that hangs, also where an async runtime
/// drops it.
pub(super) struct Background(Option<Runtime>);

impl Background {
    /// Starts the runtime. `name` is that of its thread.
    pub(super) fn start(name: &str) -> Result<Self, String> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(1)
            .thread_name(name)
            // What the sending itself says must not be sent, which would be said again. The guard would end it; the thread
            // sends for as long as it lives.
            .on_thread_start(|| std::mem::forget(Context::enter_telemetry_suppressed_scope()))
            .enable_all()
            .build();
        let runtime = runtime.map_err(|error| format!("there is no thread to send {name}: {error}"))?;
        Ok(Self(Some(runtime)))
    }

    pub(super) fn handle(&self) -> &Handle {
        self.0.as_ref().expect("it is there until it is dropped").handle()
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// What the log has yet to say of things that could not be sent.
#[derive(Default)]
pub(super) struct Trouble(Mutex<(Option<Instant>, usize)>);

impl Trouble {
    /// Adds to what was lost. Gives how many are to be told now; nothing where some were told a moment ago.
    pub(super) fn add(&self, lost: usize) -> Option<usize> {
        let mut trouble = self.0.lock();
        let (said, untold) = &mut *trouble;
        *untold += lost;
        if said.is_some_and(|said| said.elapsed() < SAID_EVERY) {
            return None;
        }
        *said = Some(Instant::now());
        Some(std::mem::take(untold))
    }
}
