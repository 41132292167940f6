//! When spans are sent, when not, and that no call waits for it.

use std::net::TcpListener;

use serde_json::json;

use crate::collector::{Collector, spans};
use crate::support::command::{curl_get, finish, tandem};
use crate::support::curl;
use crate::support::server::free_ports;
use crate::{server, url};

fn ask(server: &crate::support::RunningServer) {
    let body = json!({"text": "영화", "do_fast": true}).to_string();
    let (status, _) = curl(server.http(), "/predict", &[], body.as_bytes());
    assert_eq!(status, 200);
}

#[test]
fn what_waits_is_sent_in_the_drain() {
    let collector = Collector::start();
    let endpoint = url(collector.http);
    let server = server(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
        // Nothing is sent before the end.
        ("OTEL_BSP_SCHEDULE_DELAY", "3600000"),
    ]);
    server.logged("spans of calls are sent to a collector");
    ask(&server);
    assert_eq!(collector.now(<[_]>::len), 0);
    server.signal("TERM");
    assert_eq!(server.wait_exit().0, Some(0));
    let calls = collector.now(spans);
    assert!(calls.iter().any(|span| span.name == "POST /predict"), "{calls:#?}");
}

#[test]
fn a_collector_behind_tls_gets_spans_and_lines_if_its_authority_is_named() {
    let collector = Collector::start();
    let (address, authority) = collector.behind_tls();
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), authority).expect("a file");
    let path = file.path().to_str().expect("a path");
    for protocol in ["grpc", "http/protobuf"] {
        let before = collector.now(<[_]>::len);
        let lines_before = collector.lines().len();
        let server = server(&[
            ("OTEL_LOGS_EXPORTER", "otlp"),
            ("OTEL_BLRP_SCHEDULE_DELAY", "20"),
            (
                "OTEL_EXPORTER_OTLP_ENDPOINT",
                &format!("https://localhost:{}", address.port()),
            ),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", path),
            ("OTEL_BSP_SCHEDULE_DELAY", "20"),
        ]);
        ask(&server);
        collector.until(|exports| (exports.len() > before).then_some(()));
        collector.until_lines(|lines| (lines.len() > lines_before).then_some(()));
    }
}

#[test]
fn a_collector_that_is_not_there_is_one_line_of_the_log_and_the_spans_are_counted() {
    let nobody = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = nobody.local_addr().expect("an address");
    drop(nobody);
    for protocol in ["grpc", "http/protobuf"] {
        let server = server(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &url(address)),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "100"),
            ("OTEL_BSP_SCHEDULE_DELAY", "20"),
        ]);
        ask(&server);
        let line = server.logged("spans can't be sent to the collector, calls go on");
        assert_eq!(line["level"], "WARN", "{line}");
        ask(&server);
        let metrics = curl_get(server.http(), "/metrics");
        let lost = metrics
            .lines()
            .find(|line| line.starts_with("tandem_spans_lost_total{why=\"not_sent\"}"));
        let lost = lost.and_then(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok());
        assert!(lost.is_some_and(|lost| lost > 0), "{metrics}");
        assert!(metrics.contains("tandem_spans_sent_total 0"), "{metrics}");
        server.signal("TERM");
        let (code, log) = server.wait_exit();
        assert_eq!(code, Some(0));
        let said = log.iter().filter(|line| line.contains("spans can't be sent"));
        assert_eq!(said.count(), 1, "{log:#?}");
    }
}

#[test]
fn a_collector_that_hangs_fills_the_queue_and_what_has_no_room_is_counted() {
    // It takes connections, as the system does for it, and answers none.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = silent.local_addr().expect("an address");
    let server = server(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &url(address)),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "8"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4"),
        ("OTEL_BSP_SCHEDULE_DELAY", "20"),
    ]);
    // Each call has several spans.
    for _ in 0..20 {
        ask(&server);
    }
    let metrics = curl_get(server.http(), "/metrics");
    let lost = metrics.lines().find_map(|line| {
        let count = line.strip_prefix("tandem_spans_lost_total{why=\"queue_full\"} ")?;
        count.parse::<u64>().ok()
    });
    assert!(lost.is_some_and(|lost| lost > 0), "{metrics}");
    server.signal("TERM");
    server.signal("TERM");
    assert_eq!(server.wait_exit().0, Some(0));
}

#[test]
fn a_queue_of_no_size_or_of_every_size_has_one_that_can_be() {
    let collector = Collector::start();
    for size in ["0", "18446744073709551615", "many"] {
        let server = server(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &url(collector.http)),
            ("OTEL_LOGS_EXPORTER", "otlp"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", size),
            ("OTEL_BLRP_MAX_QUEUE_SIZE", size),
        ]);
        ask(&server);
        server.signal("TERM");
        assert_eq!(server.wait_exit().0, Some(0), "{size}");
    }
}

#[test]
fn a_sampled_share_of_calls_has_spans() {
    let collector = Collector::start();
    let server = server(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &url(collector.http)),
        ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
        ("OTEL_TRACES_SAMPLER_ARG", "0.1"),
    ]);
    let asked = 400;
    for _ in 0..asked {
        ask(&server);
    }
    server.signal("TERM");
    assert_eq!(server.wait_exit().0, Some(0));
    let calls = collector.now(spans);
    let calls = calls.iter().filter(|span| span.name == "POST /predict").count();
    // Of 400 calls 40 are expected, with a deviation of 6; this is seven of these on either side.
    assert!((1..=82).contains(&calls), "{calls} of {asked}");
}

#[test]
fn nothing_is_sent_unless_a_collector_is_named_and_the_sdk_is_not_disabled() {
    let collector = Collector::start();
    let endpoint = url(collector.http);
    let off: [&[(&str, &str)]; 3] = [
        &[("OTEL_SERVICE_NAME", "reviews"), ("OTEL_TRACES_SAMPLER", "always_on")],
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
            ("OTEL_SDK_DISABLED", "true"),
        ],
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
            ("OTEL_TRACES_EXPORTER", "none"),
        ],
    ];
    for variables in off {
        let server = server(variables);
        ask(&server);
        assert!(!server.threads().iter().any(|name| name == "spans"));
        assert!(!curl_get(server.http(), "/metrics").contains(" # {"));
        server.signal("TERM");
        let (code, log) = server.wait_exit();
        assert_eq!(code, Some(0));
        assert!(!log.iter().any(|line| line.contains("spans")), "{log:#?}");
    }
    assert_eq!(collector.now(<[_]>::len), 0);
}

#[test]
fn a_start_that_fails_ends_as_it_does_without_spans() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = taken.local_addr().map(|address| (taken, address)).expect("an address");
    let mut command = tandem();
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1");
    command.arg("serve").args(free_ports());
    command
        .arg("--fast")
        .arg(crate::support::root().join("models/sentiment-fast/1"));
    command.args(["--default-route", "fast", "--metrics-addr", &taken.1.to_string()]);
    let ended = finish(&mut command, b"");
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
}
