//! What the operating system says of this process: memory, file descriptors, processor time. Linux only; elsewhere
//! the metrics are left out.

use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use rustix::time::{ClockId, clock_gettime};

use super::sent_lines::{self, Lost};

/// Reads the process's figures when metrics are rendered. Their names are those that all Prometheus clients give them.
#[derive(Debug)]
pub struct ProcessCollector;

impl Collector for ProcessCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let mut gauge = |name: &str, help: &str, value: Option<i64>| {
            let Some(value) = value else { return Ok(()) };
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)
        };
        gauge("process_resident_memory_bytes", "Resident memory", resident_bytes())?;
        gauge(
            "process_virtual_memory_bytes",
            "Virtual memory",
            status_bytes("VmSize:"),
        )?;
        gauge("process_open_fds", "Open file descriptors", open_files())?;
        gauge(
            "process_max_fds",
            "The most file descriptors that may be open",
            most_files(),
        )?;
        gauge(
            "process_start_time_seconds",
            "When the process started, in seconds since 1970",
            started_at(),
        )?;
        let Some(seconds) = cpu_seconds("self") else {
            return Ok(());
        };
        let counter = ConstCounter::new(seconds);
        counter.encode(encoder.encode_descriptor(
            "process_cpu_seconds",
            "Processor time used",
            None,
            counter.metric_type(),
        )?)
    }
}

/// Reads what the log and the panic hook counted.
#[derive(Debug)]
pub struct LogCollector;

impl Collector for LogCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        for (name, help, value) in [
            (
                "log_lines_lost",
                "Lines of the log that could not be written, or not fast enough",
                super::stderr::lost(),
            ),
            (
                "panics",
                "Panics of threads and tasks, each a bug",
                super::logs::panics(),
            ),
        ] {
            let counter = ConstCounter::new(value);
            counter.encode(encoder.encode_descriptor(name, help, None, counter.metric_type())?)?;
        }
        encode_sent(&mut encoder)
    }
}

/// What became of the lines that a collector was to have.
fn encode_sent(encoder: &mut DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
    let sent = ConstCounter::new(sent_lines::total_sent());
    sent.encode(encoder.encode_descriptor(
        "otlp_log_lines_sent",
        "Lines of the log that an OpenTelemetry collector took",
        None,
        sent.metric_type(),
    )?)?;
    let mut family = encoder.encode_descriptor(
        "otlp_log_lines_lost",
        "Lines of the log that no collector took, where they are sent: for want of room in the queue, or since none could be \
         reached or took them",
        None,
        MetricType::Counter,
    )?;
    for why in Lost::ALL {
        let lost = ConstCounter::new(sent_lines::total_lost(why));
        lost.encode(family.encode_family(&[("why", why.name())])?)?;
    }
    Ok(())
}

/// Resident memory in bytes.
pub fn resident_bytes() -> Option<i64> {
    status_bytes("VmRSS:")
}

fn status_bytes(field: &str) -> Option<i64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    let kib: i64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

fn open_files() -> Option<i64> {
    let count = std::fs::read_dir("/proc/self/fd").ok()?.count();
    i64::try_from(count).ok()
}

fn most_files() -> Option<i64> {
    let limits = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    limits.current.and_then(|most| i64::try_from(most).ok())
}

/// When the process started: at the boot of the machine, and so many ticks later.
fn started_at() -> Option<i64> {
    let stat = std::fs::read_to_string("/proc/stat").ok()?;
    let boot: i64 = stat
        .lines()
        .find_map(|line| line.strip_prefix("btime "))?
        .trim()
        .parse()
        .ok()?;
    let own = std::fs::read_to_string("/proc/self/stat").ok()?;
    let ticks: i64 = own.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()?;
    Some(boot + ticks / 100)
}

/// User and system time of a process, by its id or `self`, in seconds. The kernel counts in ticks of 10 ms on every
/// Linux platform that Rust supports.
pub fn cpu_seconds(process: &str) -> Option<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let after_name = stat.rsplit_once(')')?.1;
    let mut fields = after_name.split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / 100.0)
}

/// User and system time of this process, to the nanosecond.
pub fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or(0),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}
