//! The report of `tandem bench`: a table for people, JSON for programs.

use std::path::Path;

use serde::Serialize;
use serde_json::Value;

use super::args::BenchArgs;
use super::compare::{Comparison, Single, median};
use super::measure::{Measured, Rates};
use super::overload::Overload;
use super::probe::Leftover;
use super::recorder::LatencySummary;
use crate::api::pb;
use crate::cli::client::ServerAddress;
use crate::cli::exit::Exit;
use crate::cli::output::{self, fail};
use crate::cli::terminal::{Painted, Table};
use crate::cores;

/// All figures.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub tandem: &'static str,
    pub server: String,
    pub model: String,
    pub cores: usize,
    pub load: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub measured: Option<Measured>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comparison: Option<Comparison>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overload: Option<Overload>,
    /// The latencies of health checks under the load.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health: Option<LatencySummary>,
    /// What the server still held after the load.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leftover: Option<Leftover>,
}

impl Report {
    /// A report without figures yet.
    pub fn new(args: &BenchArgs, address: &ServerAddress, answer: &pb::PredictResponse) -> Self {
        let models: Vec<String> = answer
            .models
            .iter()
            .map(|model| format!("{}@{} {}", model.name, model.version, model.fingerprint))
            .collect();
        Self {
            tandem: env!("CARGO_PKG_VERSION"),
            server: address.to_string(),
            model: models.join(", "),
            cores: cores::usable(),
            load: serde_json::json!({
                "concurrency": args.concurrency,
                "rate": args.rate,
                "connections": args.connections,
                "batch_size": args.batch_size,
                "texts": args.texts.as_ref().map_or_else(|| "built in".into(), |file| file.display().to_string()),
                "timeout": args.timeout,
                "least_timeout": args.least_timeout,
                "client_threads": args.client_threads,
                "server_cpus": args.server_cpus,
                "seed": args.seed,
            }),
            measured: None,
            comparison: None,
            overload: None,
            health: None,
            leftover: None,
        }
    }

    /// Why the server failed this measurement as a test; `None` if it did not.
    fn failure(&self) -> Option<String> {
        let alone = self.measured.iter();
        let compared = self.comparison.iter().flat_map(|comparison| &comparison.server);
        let overloaded = self
            .overload
            .iter()
            .flat_map(|overload| [&overload.capacity, &overload.overloaded]);
        let wrong: u64 = alone
            .chain(compared)
            .chain(overloaded)
            .map(|measured| measured.wrong_answers)
            .sum();
        let queued = self.leftover.map_or(0, |leftover| leftover.queued_texts);
        match (wrong, queued) {
            (0, 0) => None,
            (0, queued) => Some(format!("{queued} texts are still queued though nobody waits for them")),
            (wrong, _) => Some(format!("{wrong} answers were wrong")),
        }
    }

    /// Writes the report as the arguments say.
    pub fn write(&self, json: Option<&Path>) -> Exit {
        match (self.write_figures(json), self.failure()) {
            (Exit::Success, Some(problem)) => fail(&problem, Exit::Failure),
            (exit, _) => exit,
        }
    }

    fn write_figures(&self, json: Option<&Path>) -> Exit {
        let to_stdout = json.is_some_and(|file| file.as_os_str() == "-");
        let text = serde_json::to_string_pretty(self).expect("a report is plain values with names") + "\n";
        if to_stdout {
            output::block(text.trim_end());
        } else {
            output::painted(&self.table());
        }
        match json {
            Some(file) if !to_stdout => match std::fs::write(file, text) {
                Ok(()) => Exit::Success,
                Err(error) => fail(&format!("{}: {error}", file.display()), Exit::Failure),
            },
            _ => Exit::Success,
        }
    }

    fn table(&self) -> Painted {
        let mut out = Painted::default();
        out.push_line(&format!("{} at {}", self.model, self.server));
        if let Some(measured) = &self.measured {
            out.append(&measured_table(measured));
        }
        if let Some(comparison) = &self.comparison {
            if let Some(measured) = comparison.server.last() {
                out.push_line("the server's last round:");
                out.append(&measured_table(measured));
            }
            out.append(&comparison_table(comparison));
        }
        if let Some(overload) = &self.overload {
            out.append(&overload_table(overload));
        }
        if let Some(health) = &self.health {
            out.push_line(&format!(
                "health checks meanwhile: {:.3} ms at p99, {:.3} ms at most",
                health.p99_ms, health.max_ms
            ));
        }
        if let Some(leftover) = &self.leftover {
            out.push_line(&format!("texts still queued at the end: {}", leftover.queued_texts));
        }
        out
    }
}

fn measured_table(measured: &Measured) -> Painted {
    let rates = &measured.rates;
    let mut out = Painted::default();
    out.push_line(&format!(
        "{:.1} s, {} calls answered, {} texts: {:.1} calls/s, {:.1} texts/s",
        measured.seconds,
        measured.calls_answered,
        measured.texts_answered,
        rates.calls_per_second,
        rates.texts_per_second
    ));
    let micros = |value: f64| format!("{value:.1} µs");
    let server = match (rates.cpu_us_per_text, rates.cpu_us_per_call) {
        (Some(text), Some(call)) => format!("{} a text, {} a call", micros(text), micros(call)),
        // Whose process it is was not told, or nothing was answered.
        _ => "unknown".to_owned(),
    };
    out.push_line(&format!(
        "processor time: server {server}; this client {}",
        measured
            .client_cpu_seconds
            .map_or("unknown".into(), |seconds| format!("{seconds:.2} s")),
    ));
    let mut table = table(["ms", "count", "p50", "p95", "p99", "p99.9", "max"]);
    let stages = &measured.stages;
    let mut rows = vec![
        ("answers".to_owned(), measured.latency),
        ("  preprocess".to_owned(), stages.preprocess),
        ("  queue".to_owned(), stages.queue),
        ("  inference".to_owned(), stages.inference),
        ("  server, in all".to_owned(), stages.total),
        ("  outside".to_owned(), stages.outside),
        ("sent late".to_owned(), measured.sent_late),
    ];
    for failure in &measured.failures {
        let name = if failure.reason.starts_with(failure.code) {
            failure.reason.clone()
        } else {
            format!("{} {}", failure.code, failure.reason)
        };
        rows.push((name, failure.latency));
    }
    for (name, summary) in rows {
        if let Some(summary) = summary {
            table.row(latency_row(name, &summary));
        }
    }
    out.append(&table.painted());
    for failure in measured.failures.iter().filter(|failure| failure.reason == "client") {
        out.push_line(&format!("{} client, for instance: {}", failure.code, failure.message));
    }
    for (count, what) in [
        (measured.calls_cancelled, "calls cancelled by this client"),
        (measured.calls_not_sent, "calls not sent: too many were open"),
        (measured.wrong_answers, "wrong answers"),
    ] {
        if count > 0 {
            out.push_line(&format!("{count} {what}"));
        }
    }
    out
}

fn overload_table(overload: &Overload) -> Painted {
    let mut out = Painted::default();
    out.push_line("the closed loop:");
    out.append(&measured_table(&overload.capacity));
    out.push_line(&format!("with {:.1} calls/s:", overload.offered_calls_per_second));
    out.append(&measured_table(&overload.overloaded));
    let refusals = overload.overloaded.refusals;
    out.push_line(&format!(
        "answered in time: {:.1} texts/s, {:.3} of the closed loop; refusals at p99: {}",
        overload.overloaded.texts_in_time_per_second,
        overload.kept,
        refusals.map_or("none".into(), |refusals| format!("{:.3} ms", refusals.p99_ms)),
    ));
    out
}

/// Picks one figure of a round.
type Figure = fn(&Rates) -> Option<f64>;

fn comparison_table(comparison: &Comparison) -> Painted {
    let mut table = table(["median", "server", comparison.reference, "ratio"]);
    let ours: Vec<Rates> = comparison.server.iter().map(|round| round.rates).collect();
    let theirs: Vec<Rates> = comparison.reference_rounds.iter().map(|round| round.rates).collect();
    let middle = |rounds: &[Rates], figure: Figure| median(rounds.iter().filter_map(figure));
    let number = |value: Option<f64>| value.map_or("unknown".into(), |value| format!("{value:.1}"));
    let ratio = |value: Option<f64>| value.map_or("unknown".into(), |value| format!("{value:.3}"));
    let figures: [(&str, Figure, Option<f64>); 3] = [
        (
            "texts/s",
            |rates| Some(rates.texts_per_second),
            Some(comparison.ratios.wall),
        ),
        (
            "processor µs a text",
            |rates| rates.cpu_us_per_text,
            comparison.ratios.cpu,
        ),
        (
            "processor µs a call",
            |rates| rates.cpu_us_per_call,
            comparison.ratios.cpu,
        ),
    ];
    for (name, figure, value) in figures {
        table.row([
            name.to_owned(),
            number(middle(&ours, figure)),
            number(middle(&theirs, figure)),
            ratio(value),
        ]);
    }
    let mut out = Painted::default();
    out.push_line(&match ours.len() {
        1 => "1 round".to_owned(),
        rounds => format!("{rounds} rounds"),
    });
    if let Some(facts) = comparison.description.as_object() {
        let fact = |name: &str| facts.get(name).map(Value::to_string).unwrap_or_default();
        out.push_line(&format!(
            "bare model: {}; sessions {}, threads {} each, batch {}, window {}",
            fact("model").trim_matches('"'),
            fact("sessions"),
            fact("threads_a_session"),
            fact("batch"),
            fact("window"),
        ));
    }
    out.append(&table.painted());
    if let Some(added) = comparison.ratios.added_p50_ms {
        if comparison.reference_rounds.iter().all(|round| round.single.is_none()) {
            out.push_line(&format!("added to a call that does nothing: {added:.3} ms at p50"));
            return out;
        }
        let singles = || comparison.reference_rounds.iter().filter_map(|round| round.single);
        let middle = |figure: fn(&Single) -> f64| median(singles().map(|single| figure(&single))).unwrap_or_default();
        out.push_line(&format!(
            "added to the bare run of {:.3} ms (preprocessing of {:.3} ms apart): {added:.3} ms at p50",
            middle(Single::run_ms),
            middle(|single| single.preprocess_p50_ms),
        ));
    }
    out
}

fn table<const N: usize>(header: [&str; N]) -> Table {
    Table::new(header).right(1..N)
}

fn latency_row(name: String, summary: &LatencySummary) -> [String; 7] {
    let millis = |value: f64| format!("{value:.3}");
    [
        name,
        summary.count.to_string(),
        millis(summary.p50_ms),
        millis(summary.p95_ms),
        millis(summary.p99_ms),
        millis(summary.p999_ms),
        millis(summary.max_ms),
    ]
}
