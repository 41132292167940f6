//! Prometheus's older text format (0.0.4), for collectors that know no OpenMetrics. The library writes it not.

use std::fmt::Write;

use prometheus_client::encoding::prometheus_protobuf::prometheus_data_model as data;

/// The metrics in that format.
pub fn render(families: &[data::MetricFamily]) -> String {
    let mut out = String::new();
    for family in families {
        let name = family.name.as_str();
        // Writing to a string can't fail.
        let _ = writeln!(out, "# HELP {name} {}", escaped(&family.help, false));
        let _ = writeln!(out, "# TYPE {name} {}", kind(family.r#type()));
        for metric in &family.metric {
            write_metric(&mut out, name, metric);
        }
    }
    out
}

/// The name of a kind of metric; the format has no other kinds than these.
pub fn kind(kind: data::MetricType) -> &'static str {
    match kind {
        data::MetricType::Counter => "counter",
        data::MetricType::Gauge => "gauge",
        data::MetricType::Summary => "summary",
        data::MetricType::Histogram | data::MetricType::GaugeHistogram => "histogram",
        data::MetricType::Untyped => "untyped",
    }
}

fn write_metric(out: &mut String, name: &str, metric: &data::Metric) {
    let labels: Vec<(&str, String)> = metric
        .label
        .iter()
        .map(|label| (label.name.as_str(), escaped(&label.value, true)))
        .collect();
    let single = [
        metric.counter.as_ref().map(|counter| counter.value),
        metric.gauge.as_ref().map(|gauge| gauge.value),
        metric.untyped.as_ref().map(|untyped| untyped.value),
    ];
    for value in single.into_iter().flatten() {
        line(out, name, &labels, value);
    }
    let Some(histogram) = &metric.histogram else { return };
    for bucket in &histogram.bucket {
        let mut labels = labels.clone();
        labels.push(("le", number(bucket.upper_bound)));
        line(out, &format!("{name}_bucket"), &labels, bucket.cumulative_count as f64);
    }
    line(out, &format!("{name}_sum"), &labels, histogram.sample_sum);
    line(out, &format!("{name}_count"), &labels, histogram.sample_count as f64);
}

fn line(out: &mut String, name: &str, labels: &[(&str, String)], value: f64) {
    out.push_str(name);
    if !labels.is_empty() {
        let labels: Vec<String> = labels
            .iter()
            .map(|(name, value)| format!("{name}=\"{value}\""))
            .collect();
        let _ = write!(out, "{{{}}}", labels.join(","));
    }
    let _ = writeln!(out, " {}", number(value));
}

fn number(value: f64) -> String {
    if value == f64::INFINITY {
        "+Inf".to_owned()
    } else if value == f64::NEG_INFINITY {
        "-Inf".to_owned()
    } else {
        value.to_string()
    }
}

/// A help text, or the value of a label, in which quotes are escaped too.
fn escaped(text: &str, quoted: bool) -> String {
    let text = text.replace('\\', "\\\\").replace('\n', "\\n");
    if quoted { text.replace('"', "\\\"") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::metrics::{Format, Metrics};

    #[test]
    fn what_the_format_writes_otherwise_is_escaped() {
        assert_eq!(escaped("a \\ \"b\"\nc", true), r#"a \\ \"b\"\nc"#);
        assert_eq!(escaped("\"b\"", false), "\"b\"");
        let numbers = [1.0, 0.000_05, f64::INFINITY, f64::NAN].map(number);
        assert_eq!(numbers, ["1", "0.00005", "+Inf", "NaN"]);
    }

    #[test]
    fn the_same_samples_are_in_both_text_formats() {
        let metrics = Metrics::new("1");
        metrics
            .for_model("a", "fast")
            .ran(3, std::time::Duration::from_millis(2));
        let text = |format| String::from_utf8(metrics.render(format)).expect("UTF-8");
        let samples = |text: String| {
            let mut names: Vec<String> = text
                .lines()
                .filter(|line| !line.starts_with('#'))
                .filter_map(|line| line.split_once(' ').map(|(name, _)| name.to_owned()))
                .collect();
            names.sort();
            names
        };
        let (plain, open) = (samples(text(Format::PlainText)), samples(text(Format::OpenMetrics)));
        assert_eq!(plain.len(), open.len());
        assert!(
            plain
                .iter()
                .any(|name| name.starts_with("tandem_texts_total{model=\"a\"")),
            "{plain:?}"
        );
    }
}
