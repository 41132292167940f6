//! Logs, on standard error: for people on a terminal, one JSON object a line otherwise. `log_export.rs` may send them too.

use std::fmt::Debug;
use std::io::{self, IsTerminal, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use tracing::field::Field;
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::fmt::format::{self, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{self, FormatFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, reload};

use super::log_export::{self, BoxedLayer, LogExport};
use super::stderr;
use super::visible::visible;

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Pretty on a terminal, JSON otherwise.
    #[default]
    Auto,
    /// For people.
    Pretty,
    /// One JSON object a line.
    Json,
}

/// Starts logging for the process. `filter` is a level (`info`) or a filter (`tandem=debug,h2=warn`), for what is sent to a
/// collector too. Lines for people are coloured if `colours` says so. The error is one line.
pub fn start(format: LogFormat, filter: &str, colours: bool, export: LogExport) -> Result<(), String> {
    let filter = EnvFilter::try_new(filter).map_err(|error| format!("log filter `{filter}`: {error}"))?;
    let json = match format {
        LogFormat::Auto => !std::io::stderr().is_terminal(),
        LogFormat::Pretty => false,
        LogFormat::Json => true,
    };
    IN_JSON.store(json, Ordering::Relaxed);
    let layers: Vec<BoxedLayer<Registry>> = [Some(lines(json, colours)), export.layer()]
        .into_iter()
        .flatten()
        .collect();
    let (filter, handle) = reload::Layer::new(filter);
    keep(move |filter| handle.reload(filter));
    // A second start, in tests, keeps the first.
    let _ = tracing_subscriber::registry().with(layers).with(filter).try_init();
    export.tell();
    Ok(())
}

/// The lines on standard error.
fn lines(json: bool, colours: bool) -> BoxedLayer<Registry> {
    // What can't be written is counted where it is lost; the subscriber would say so on standard error, and panic if it
    // can't.
    let layer = fmt::layer().log_internal_errors(false);
    if json {
        layer
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .with_writer(|| JsonLine)
            .boxed()
    } else {
        layer
            .with_target(false)
            .with_ansi(colours)
            .fmt_fields(plain_fields())
            .with_writer(|| PrettyLine)
            .boxed()
    }
}

/// Whether the log that was started is lines of JSON.
static IN_JSON: AtomicBool = AtomicBool::new(false);

/// Says what the command fails by, in the form of the log if that is JSON, and else in a line that begins with the
/// program's name. No filter leaves it out.
pub fn complain(problem: &str) {
    log_export::complain(problem);
    if !IN_JSON.load(Ordering::Relaxed) {
        return stderr::line(&visible(&format!("tandem: {problem}")));
    }
    let mut timestamp = String::new();
    // A string takes whatever is written to it.
    let _ = SystemTime.format_time(&mut Writer::new(&mut timestamp));
    let line = Complaint {
        timestamp,
        level: "ERROR",
        message: problem,
        target: "tandem",
    };
    let line = serde_json::to_string(&line).expect("strings are JSON");
    stderr::line(&visible(&line));
}

/// A complaint, with the keys that lines of the log have.
#[derive(Serialize)]
struct Complaint<'a> {
    timestamp: String,
    level: &'static str,
    message: &'a str,
    target: &'static str,
}

type SetFilter = Box<dyn Fn(EnvFilter) -> Result<(), reload::Error> + Send + Sync>;

/// Changes the filter of the log that was started.
static SET_FILTER: OnceLock<SetFilter> = OnceLock::new();

fn keep(set: impl Fn(EnvFilter) -> Result<(), reload::Error> + Send + Sync + 'static) {
    // A second start keeps the first.
    let _ = SET_FILTER.set(Box::new(set));
}

/// Has another filter say from now on which lines are written. After an error the one before stays. The error is one line.
pub fn set_filter(filter: &str) -> Result<(), String> {
    let named = |problem: String| format!("log filter `{filter}`: {problem}");
    let parsed = EnvFilter::try_new(filter).map_err(|error| named(error.to_string()))?;
    let set = SET_FILTER.get().ok_or_else(|| named("the log is not started".into()))?;
    set(parsed).map_err(|error| named(error.to_string()))
}

/// A line of JSON. Control characters are shown as escapes in the whole line, since in JSON only strings can hold them.
struct JsonLine;

impl Write for JsonLine {
    /// The subscriber calls this once for each line.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        stderr::line(&visible(String::from_utf8_lossy(line).trim_end_matches('\n')));
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A line for people: the only control characters in it are our own colours, see [`plain_fields`].
struct PrettyLine;

impl Write for PrettyLine {
    /// The subscriber calls this once for each line.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        stderr::line(String::from_utf8_lossy(line).trim_end_matches('\n'));
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The fields of a line for people, with the control characters in their strings shown as escapes.
fn plain_fields() -> impl for<'writer> FormatFields<'writer> {
    let field = |out: &mut Writer<'_>, field: &Field, value: &dyn Debug| {
        let text = format!("{value:?}");
        match field.name() {
            "message" => write!(out, "{}", visible(&text)),
            name => write!(out, "{name}={}", visible(&text)),
        }
    };
    format::debug_fn(field).delimited(" ")
}

static PANICS: AtomicU64 = AtomicU64::new(0);

/// How many panics there were since [`log_panics`].
pub fn panics() -> u64 {
    PANICS.load(Ordering::Relaxed)
}

/// Makes every panic from now on a log line that names its place. The panic's message is left out, since it may quote a
/// caller's text.
pub fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        PANICS.fetch_add(1, Ordering::Relaxed);
        let place = panic.location().map(ToString::to_string);
        let thread = std::thread::current();
        tracing::error!(place, thread = thread.name(), "a thread panicked");
        // The process may abort next.
        stderr::flush_if_read();
    }));
}

/// Milliseconds of a duration, for a field of a log line whose name ends in `_ms`.
pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
