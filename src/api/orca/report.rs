//! Report: what is told of a load, as a message and in the forms that a header has. Names of models are in the message of a stream
//! alone: a header stays as short as a server of one model has it.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use http::HeaderValue;
use prost::Message;

use super::pb::OrcaLoadReport;
use crate::telemetry::load::{Load, ModelLoad};

/// The most models that a stream's report names, the first by name.
const MOST_MODELS: usize = 64;
/// Whatever is told is rounded to so many parts of 1: shorter as text, and far below what is worth telling.
const PARTS: f64 = 1e9;

/// A load, ready to be sent.
pub struct Report {
    /// For a stream.
    pub message: OrcaLoadReport,
    /// For a header: the message in base64, as text, and as JSON.
    pub binary: HeaderValue,
    pub text: HeaderValue,
    pub json: HeaderValue,
}

impl Report {
    pub fn of(load: &Load) -> Self {
        let short = of_server(load);
        let mut message = short.clone();
        for model in load.models.iter().take(MOST_MODELS) {
            add(&mut message, &format!("model.{}", model.name), model);
        }
        let base64 = STANDARD_NO_PAD.encode(short.encode_to_vec());
        Self {
            message,
            binary: header(base64),
            text: header(format!("TEXT {}", text(&short))),
            json: header(format!("JSON {}", json(&short))),
        }
    }
}

/// All its parts are names of ours and numbers.
fn header(value: String) -> HeaderValue {
    HeaderValue::try_from(value).expect("printable ASCII")
}

/// A number that every reader of reports takes: not below 0, and finite.
fn told(number: f64) -> f64 {
    if number.is_finite() {
        (number.max(0.0) * PARTS).round() / PARTS
    } else {
        0.0
    }
}

/// What is told of the server and its tiers; of each tier the model that is worst off.
fn of_server(load: &Load) -> OrcaLoadReport {
    let mut report = OrcaLoadReport {
        cpu_utilization: told(load.cpu),
        mem_utilization: told(load.memory.unwrap_or(0.0).min(1.0)),
        rps_fractional: told(load.answered),
        eps: told(load.failed),
        application_utilization: told(load.utilization),
        ..OrcaLoadReport::default()
    };
    for model in &load.models {
        add(&mut report, model.tier, model);
    }
    report
}

/// Adds a model's share and its wait under a name; the larger of two under the same.
fn add(report: &mut OrcaLoadReport, name: &str, model: &ModelLoad) {
    let mut larger = |to: fn(&mut OrcaLoadReport) -> &mut BTreeMap<String, f64>, name: String, number: f64| {
        let known = to(report).entry(name).or_insert(0.0);
        *known = known.max(told(number));
    };
    larger(|report| &mut report.utilization, name.to_owned(), model.busy.min(1.0));
    let wait = model.wait.as_secs_f64();
    larger(
        |report| &mut report.named_metrics,
        format!("queue_seconds.{name}"),
        wait,
    );
}

/// The fields of a report that is no stream's, by their names.
fn fields(report: &OrcaLoadReport) -> Vec<(String, f64)> {
    let plain = [
        ("application_utilization", report.application_utilization),
        ("cpu_utilization", report.cpu_utilization),
        ("mem_utilization", report.mem_utilization),
        ("rps_fractional", report.rps_fractional),
        ("eps", report.eps),
    ];
    // Without a limit there is no share of it; some memory is always used.
    let told = plain
        .into_iter()
        .filter(|&(name, number)| name != "mem_utilization" || number > 0.0);
    told.map(|(name, number)| (name.to_owned(), number)).collect()
}

/// `name=number`, with commas between; entries of maps with the map's name before theirs.
fn text(report: &OrcaLoadReport) -> String {
    let of_map = |map: &str, entries: &BTreeMap<String, f64>| -> Vec<(String, f64)> {
        entries
            .iter()
            .map(|(name, number)| (format!("{map}.{name}"), *number))
            .collect()
    };
    let all = [
        fields(report),
        of_map("utilization", &report.utilization),
        of_map("named_metrics", &report.named_metrics),
    ];
    let all: Vec<String> = all
        .concat()
        .into_iter()
        .map(|(name, number)| format!("{name}={number}"))
        .collect();
    all.join(",")
}

fn json(report: &OrcaLoadReport) -> String {
    let mut document = serde_json::Map::new();
    for (name, number) in fields(report) {
        document.insert(name, number.into());
    }
    document.insert("utilization".into(), serde_json::json!(report.utilization));
    document.insert("named_metrics".into(), serde_json::json!(report.named_metrics));
    serde_json::Value::Object(document).to_string()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn load(models: usize) -> Load {
        let model = |at: usize| ModelLoad {
            name: format!("m{at:03}"),
            tier: if at == 0 { "fast" } else { "deep" },
            busy: 0.25 * at as f64,
            wait: Duration::from_millis(at as u64),
        };
        Load {
            utilization: 1.25,
            cpu: 0.5,
            memory: None,
            answered: 10.0,
            failed: f64::NAN,
            models: (0..models).map(model).collect(),
        }
    }

    #[test]
    fn a_header_has_tiers_and_a_stream_models_too() {
        let report = Report::of(&load(3));
        let bytes = STANDARD_NO_PAD.decode(&report.binary).expect("base64");
        let short = OrcaLoadReport::decode(bytes.as_slice()).expect("a report");
        let told = |map: &BTreeMap<String, f64>| {
            map.iter()
                .map(|(name, number)| format!("{name} {number}"))
                .collect::<Vec<_>>()
        };
        assert_eq!(told(&short.utilization), ["deep 0.5", "fast 0"]);
        assert_eq!(
            told(&short.named_metrics),
            ["queue_seconds.deep 0.002", "queue_seconds.fast 0"]
        );
        assert_eq!(
            (short.application_utilization, short.eps),
            (1.25, 0.0),
            "what is no number is not told"
        );
        let long = report.message;
        assert_eq!(
            told(&long.utilization)[2..],
            ["model.m000 0", "model.m001 0.25", "model.m002 0.5"]
        );
        assert!(long.named_metrics.contains_key("queue_seconds.model.m002"));
    }

    #[test]
    fn a_header_is_as_long_with_many_models_and_a_stream_names_some() {
        let (few, many) = (Report::of(&load(3)), Report::of(&load(1000)));
        assert_eq!(few.binary.len(), many.binary.len());
        assert_eq!(many.message.utilization.len(), MOST_MODELS + 2);
        assert_eq!(many.message.utilization["deep"], 1.0, "a share");
    }

    #[test]
    fn text_and_json_say_the_same() {
        let report = Report::of(&load(2));
        assert_eq!(
            report.text,
            "TEXT application_utilization=1.25,cpu_utilization=0.5,rps_fractional=10,eps=0,utilization.deep=0.25,\
             utilization.fast=0,named_metrics.queue_seconds.deep=0.001,named_metrics.queue_seconds.fast=0"
        );
        let json = report
            .json
            .to_str()
            .expect("ASCII")
            .strip_prefix("JSON ")
            .expect("its form");
        let json: serde_json::Value = serde_json::from_str(json).expect("JSON");
        assert_eq!(json["application_utilization"], 1.25);
        assert_eq!(json["named_metrics"]["queue_seconds.deep"], 0.001);
    }
}
