//! docs/metrics.md lists every metric as it is declared. UPDATE_SNAPSHOTS=1 writes its table anew.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;

use prometheus_client::encoding::prometheus_protobuf::prometheus_data_model::MetricType;
use tandem::error::{Error, Reason};
use tandem::model::device_memory::DeviceMemory;
use tandem::model::providers::Assigned;
use tandem::telemetry::door_metrics::Handshake;
use tandem::telemetry::kept::Cause;
use tandem::telemetry::metrics::Metrics;

use crate::support::{TestServer, fast, root};

const BEGIN: &str = "<!-- metrics, by `make metrics-docs` -->\n";
const END: &str = "<!-- end of metrics -->";

/// Metrics of which each has been used, since the library leaves out those that were not.
fn used() -> Metrics {
    let metrics = Metrics::new("1");
    let second = Duration::from_secs(1);
    let refused = Error::new(Reason::QueueFull, "full");
    let doors = metrics.doors();
    doors.open("grpc", ["Predict"].into_iter());
    doors.listen("grpc", 1, true);
    doors.answered(("grpc", "Predict"), Some(&refused), Some("key"), (second, None));
    doors.shaken("grpc", Handshake::Done);
    drop(doors.connected("grpc"));
    metrics.set_certificate_expiry("server", 1);
    let versions = metrics.versions();
    versions.set_state(["a", "1", "f"], "serving", &["serving"]);
    versions.set_verified("a", "1", Some(true));
    versions.set_memory("a", "1", Some(1));
    versions.set_providers("a", "1", Some(&Assigned::all("cpu")));
    let memory = DeviceMemory::of(["cpu".to_owned()]);
    // It stays as long as the metrics do.
    Box::leak(Box::new(memory.part(0))).set(1);
    versions.set_device_memory("a", "1", Some(memory));
    versions.reloaded("a", "exchanged");
    versions.examined("a", "sound");
    versions.canary_request("a", true, false);
    versions.canary_rolled_back("a", "failures");
    versions.set_refused("a", true);
    let model = metrics.for_model("a", "fast");
    model.took(true, second);
    let cascade = metrics.cascade();
    cascade.audited("a", [1, 1], Some(1.0), false);
    cascade.audit_dropped("a", 1);
    cascade.in_gear("a", 0.5, true);
    cascade.decided("a", "cascade", "fast", 1);
    cascade.compared("a", 1, 1);
    cascade.confident("a", "fast", [0.5].into_iter());
    cascade.distance("a", 0.1);
    cascade.share("a", 0.1, Some((0.1, 0.2)), false);
    metrics.spans().sent(1);
    metrics.spans().lost("queue_full", 1);
    metrics.kept().kept("a", "random");
    metrics.kept().dropped(Cause::TooLarge);
    metrics
}

/// The kind, the labels and the help of each metric by name.
fn declared(metrics: &Metrics) -> BTreeMap<String, (&'static str, BTreeSet<String>, String)> {
    let families = metrics.families().into_iter().map(|family| {
        let kind = match family.r#type() {
            MetricType::Counter => "counter",
            MetricType::Histogram => "histogram",
            _ => "gauge",
        };
        let labels = family.metric.iter().flat_map(|metric| metric.label.iter());
        let labels = labels.map(|label| label.name.clone()).collect();
        (family.name.clone(), (kind, labels, family.help.clone()))
    });
    families.collect()
}

fn table() -> String {
    let mut table = "\n| metric | kind | labels | what it is |\n| --- | --- | --- | --- |\n".to_owned();
    for (name, (kind, labels, help)) in declared(&used()) {
        let labels: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
        let help = help.trim_end_matches('.');
        table += &format!("| `{name}` | {kind} | {} | {help} |\n", labels.join(", "));
    }
    table + "\n"
}

#[test]
fn the_page_lists_what_is_declared() {
    let file = root().join("docs/metrics.md");
    let page = fs::read_to_string(&file).expect("the page");
    let (before, rest) = page.split_once(BEGIN).expect("the mark");
    let (listed, after) = rest.split_once(END).expect("the mark");
    let declared = table();
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        fs::write(&file, format!("{before}{BEGIN}{declared}{END}{after}")).expect("written");
        return;
    }
    assert_eq!(listed, declared, "run make metrics-docs");
}

#[tokio::test]
async fn a_server_has_no_metric_that_the_page_does_not_know() {
    let server = TestServer::builder().start().await;
    server.client().await.predict(fast(&["좋다"])).await.expect("an answer");
    let known = declared(&used());
    let there = declared(server.service.metrics());
    assert!(there.len() > 30, "{there:?}");
    for (name, (kind, labels, _)) in there {
        let (known_kind, known_labels, _) = known.get(&name).unwrap_or_else(|| panic!("{name} is not in the table"));
        assert_eq!((kind, &labels), (*known_kind, known_labels), "{name}");
    }
}
