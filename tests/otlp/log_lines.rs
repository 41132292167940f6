//! Lines of the log that a collector gets: which, with what, and that nobody waits for it.

use std::net::{SocketAddr, TcpListener};

use opentelemetry_proto::tonic::logs::v1::SeverityNumber;
use serde_json::{Value, json};

use crate::collector::{Collector, Line, spans, value};
use crate::support::RunningServer;
use crate::support::command::{curl_get, finish, tandem};
use crate::support::curl;
use crate::support::server::free_ports;
use crate::{CANARY, PARENT, TRACE, server, server_by, traceparent, url};

/// The name of the thread that sends lines.
const THREAD: &str = "log lines";

fn ask(server: &RunningServer, headers: &[&str]) {
    let body = json!({"text": CANARY, "do_fast": true}).to_string();
    let (status, _) = curl(server.http(), "/predict", headers, body.as_bytes());
    assert_eq!(status, 200);
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The first line of that message.
fn line(collector: &Collector, message: &str) -> Line {
    collector.until_lines(|lines| lines.iter().find(|line| line.message() == message).cloned())
}

/// The same keys with the same values as a line on standard error.
fn assert_the_same(line: &Line, written: &Value) {
    let written = written.as_object().expect("an object");
    let fields = written
        .iter()
        .filter(|(key, _)| !["timestamp", "level", "message", "target"].contains(&key.as_str()));
    let mut count = 0;
    for (key, value) in fields {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        assert_eq!(line.value(key), Some(value), "{key} of {line:#?}");
        count += 1;
    }
    assert_eq!(line.record.attributes.len(), count, "{line:#?}");
    assert_eq!(written["message"], line.message());
    assert_eq!(written["level"], line.record.severity_text);
    assert_eq!(written["target"], line.scope);
}

/// A metric's sample.
fn sample(server: &RunningServer, name: &str) -> Option<u64> {
    let metrics = curl_get(server.http(), "/metrics");
    let line = metrics
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.and_then(|count| count.parse().ok())
}

/// An address at which nobody listens.
fn nobody() -> SocketAddr {
    let nobody = TcpListener::bind("127.0.0.1:0").expect("a port");
    nobody.local_addr().expect("an address")
}

#[test]
fn a_calls_line_has_its_keys_its_trace_and_its_span() {
    for protocol in ["grpc", "http/protobuf"] {
        let collector = Collector::start();
        let address = if protocol == "grpc" {
            collector.grpc
        } else {
            collector.http
        };
        let server = server(&[
            ("OTEL_LOGS_EXPORTER", "otlp"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &url(address)),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
            ("OTEL_EXPORTER_OTLP_HEADERS", "x-for-collector=hello"),
            ("OTEL_SERVICE_NAME", "reviews"),
            ("OTEL_BSP_SCHEDULE_DELAY", "20"),
            ("OTEL_BLRP_SCHEDULE_DELAY", "20"),
        ]);
        server.logged("lines of the log are sent to a collector");
        let header = format!("traceparent: {}", traceparent());
        let (status, _) = curl(server.http(), "/predict", &[&header], b"{}");
        assert_eq!(status, 400);

        let refused = line(&collector, "refused");
        assert_the_same(
            &refused,
            &server.logged_where("refused", |line| line["trace_id"] == TRACE),
        );
        assert_eq!(refused.value("reason").as_deref(), Some("INVALID_FIELD"));
        assert_eq!(refused.record.severity_number, SeverityNumber::Info as i32);
        assert!(refused.record.time_unix_nano > 0);
        let call = collector.until(|exports| spans(exports).into_iter().find(|span| span.name == "POST /predict"));
        assert_eq!(refused.record.trace_id, call.trace_id);
        assert_eq!(refused.record.span_id, call.span_id);
        assert_eq!((hex(&call.trace_id).as_str(), refused.record.flags), (TRACE, 1));

        // The log from its beginning, also what is not of a call.
        let started = line(&collector, "tandem starts");
        assert_the_same(&started, &server.logged("tandem starts"));
        assert!(started.record.trace_id.is_empty());
        let (headers, resource) = collector.first_of_lines();
        assert_eq!(headers.get("x-for-collector").expect("it"), "hello");
        assert_eq!(value(&resource.attributes, "service.name").as_deref(), Some("reviews"));
    }
}

#[test]
fn a_caller_that_does_not_record_has_its_trace_in_its_lines_without_a_span() {
    let collector = Collector::start();
    let server = server(&[
        (
            "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT",
            &format!("{}/v1/logs", url(collector.http)),
        ),
        ("OTEL_BLRP_SCHEDULE_DELAY", "20"),
    ]);
    let header = format!("traceparent: 00-{TRACE}-{PARENT}-00");
    let (status, _) = curl(server.http(), "/predict", &[&header], b"{}");
    assert_eq!(status, 400);
    let refused = line(&collector, "refused");
    assert_eq!(hex(&refused.record.trace_id), TRACE);
    assert_eq!(
        (hex(&refused.record.span_id).as_str(), refused.record.flags),
        ("0000000000000000", 0)
    );
    assert_eq!(refused.value("span_id"), None);
    // The variable of lines alone has no spans sent.
    assert!(!server.threads().iter().any(|name| name == "spans"));
    assert_eq!(collector.now(<[_]>::len), 0);
}

#[test]
fn the_filter_of_standard_error_holds_also_when_it_changes() {
    let collector = Collector::start();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("tandem.toml");
    let write = |filter: &str| std::fs::write(&file, format!("log_filter = \"{filter}\"\n")).expect("written");
    write("info");
    let server = server_by(
        &file,
        &[
            ("OTEL_LOGS_EXPORTER", "otlp"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &url(collector.http)),
            ("OTEL_BLRP_SCHEDULE_DELAY", "20"),
        ],
    );
    ask(&server, &["x-request-id: quiet"]);
    write("tandem=debug");
    server.signal("HUP");
    line(&collector, "the log filter changed");
    ask(&server, &["x-request-id: talkative"]);
    let answered = line(&collector, "answered");
    assert_eq!(answered.value("request_id").as_deref(), Some("talkative"));
    assert_eq!(answered.record.severity_number, SeverityNumber::Debug as i32);
    write("error");
    server.signal("HUP");
    // The line that says so is below the new filter, on standard error too.
    server.signal("TERM");
    assert_eq!(server.wait_exit().0, Some(0));
}

#[test]
fn what_waits_is_sent_at_the_end_with_the_last_line() {
    let collector = Collector::start();
    let server = server(&[
        ("OTEL_LOGS_EXPORTER", "otlp"),
        ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", &url(collector.grpc)),
        ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "grpc"),
        // Nothing is sent before the end.
        ("OTEL_BLRP_SCHEDULE_DELAY", "3600000"),
    ]);
    assert!(collector.lines().is_empty());
    server.signal("TERM");
    let (code, log) = server.wait_exit();
    assert_eq!(code, Some(0));
    let sent = collector.lines();
    let messages: Vec<&str> = sent.iter().map(Line::message).collect();
    assert!(messages.contains(&"stopped"), "{messages:#?}");
    assert_eq!(messages.len(), log.len(), "{messages:#?} and {log:#?}");
}

#[test]
fn no_line_is_sent_unless_asked_for_and_the_spans_variables_do_not_ask() {
    let collector = Collector::start();
    let endpoint = url(collector.http);
    let off: [&[(&str, &str)]; 4] = [
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)],
        &[
            ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", &endpoint),
            ("OTEL_LOGS_EXPORTER", "none"),
        ],
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
            ("OTEL_LOGS_EXPORTER", "console"),
        ],
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
            ("OTEL_LOGS_EXPORTER", "otlp"),
            ("OTEL_SDK_DISABLED", "true"),
        ],
    ];
    for variables in off {
        let server = server(variables);
        ask(&server, &[]);
        assert!(!server.threads().iter().any(|name| name == THREAD));
        server.signal("TERM");
        let (code, log) = server.wait_exit();
        assert_eq!(code, Some(0));
        assert!(!log.iter().any(|line| line.contains("lines of the log")), "{log:#?}");
    }
    assert!(collector.now(<[_]>::len) > 0, "spans were asked for");
    assert!(collector.lines().is_empty());
}

#[test]
fn a_collector_that_is_away_is_one_line_on_standard_error_and_lines_are_counted() {
    for protocol in ["grpc", "http/protobuf"] {
        let server = server(&[
            ("OTEL_LOGS_EXPORTER", "otlp"),
            ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", &url(nobody())),
            ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", protocol),
            ("OTEL_EXPORTER_OTLP_LOGS_TIMEOUT", "100"),
            ("OTEL_BLRP_SCHEDULE_DELAY", "20"),
        ]);
        let warning = server.logged("lines of the log can't be sent to the collector");
        assert_eq!(warning["level"], "WARN", "{warning}");
        ask(&server, &[]);
        let lost = sample(&server, "tandem_otlp_log_lines_lost_total{why=\"not_sent\"}");
        assert!(lost.is_some_and(|lost| lost > 0), "{lost:?}");
        assert_eq!(sample(&server, "tandem_otlp_log_lines_sent_total"), Some(0));
        server.signal("TERM");
        let (code, log) = server.wait_exit();
        assert_eq!(code, Some(0));
        let said = log.iter().filter(|line| line.contains("can't be sent"));
        assert_eq!(said.count(), 1, "{log:#?}");
    }
}

#[test]
fn lines_that_are_asked_for_without_a_collector_go_to_this_machine() {
    let server = server(&[("OTEL_LOGS_EXPORTER", "otlp"), ("OTEL_EXPORTER_OTLP_TIMEOUT", "100")]);
    let told = server.logged("lines of the log are sent to a collector");
    assert_eq!(told["protocol"], "http/protobuf");
    assert!(!server.threads().iter().any(|name| name == "spans"));
    server.signal("TERM");
    assert_eq!(server.wait_exit().0, Some(0));
}

#[test]
fn a_certificate_that_can_not_be_read_is_an_error_of_the_log_and_the_server_serves() {
    let server = server(&[
        ("OTEL_LOGS_EXPORTER", "otlp"),
        ("OTEL_EXPORTER_OTLP_LOGS_CERTIFICATE", "no/such/file"),
    ]);
    let told = server.logged("no lines of the log are sent");
    let problem = told["problem"].as_str().expect("a text");
    assert!(problem.contains("CERTIFICATE no/such/file"), "{problem}");
    ask(&server, &[]);
}

#[test]
fn a_collector_that_hangs_fills_the_queue_and_what_has_no_room_is_counted() {
    // It takes connections, as the system does for it, and answers none.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = silent.local_addr().expect("an address");
    let server = server(&[
        ("OTEL_LOGS_EXPORTER", "otlp"),
        ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", &url(address)),
        ("OTEL_BLRP_MAX_QUEUE_SIZE", "8"),
        ("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", "4"),
        ("OTEL_BLRP_SCHEDULE_DELAY", "20"),
    ]);
    for _ in 0..20 {
        let (status, _) = curl(server.http(), "/predict", &[], b"{}");
        assert_eq!(status, 400);
    }
    let lost = sample(&server, "tandem_otlp_log_lines_lost_total{why=\"queue_full\"}");
    assert!(lost.is_some_and(|lost| lost > 0), "{lost:?}");
    server.signal("TERM");
    server.signal("TERM");
    let (code, log) = server.wait_exit();
    assert_eq!(code, Some(0));
    let refused = log.iter().filter(|line| line.contains("\"refused\"")).count();
    assert_eq!(refused, 20, "standard error has them all: {log:#?}");
}

#[test]
fn what_the_sending_says_is_not_sent_and_no_text_is_in_any_line() {
    let collector = Collector::start();
    let server = server(&[
        ("TANDEM_LOG_FILTER", "trace"),
        ("OTEL_LOGS_EXPORTER", "otlp"),
        ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", &url(collector.grpc)),
        ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "grpc"),
        ("OTEL_BLRP_MAX_QUEUE_SIZE", "100000"),
        ("OTEL_BLRP_SCHEDULE_DELAY", "20"),
    ]);
    ask(&server, &[]);
    let answered = line(&collector, "answered");
    assert_eq!(answered.scope, "tandem::api::call_line");
    // Nobody else in the server is a client of HTTP/2.
    server.logged_where("binding client connection", |line| line["target"] == "h2::client");
    server.signal("TERM");
    assert_eq!(server.wait_exit().0, Some(0));
    for line in collector.lines() {
        assert_ne!(line.scope, "h2::client", "{line:#?}");
        assert!(!format!("{line:?}").contains(CANARY), "{line:#?}");
    }
}

#[test]
fn a_start_that_fails_sends_what_it_fails_by() {
    let collector = Collector::start();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address");
    let mut command = tandem();
    command.env(
        "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT",
        format!("{}/v1/logs", url(collector.http)),
    );
    command.arg("serve").args(free_ports());
    command
        .arg("--fast")
        .arg(crate::support::root().join("models/sentiment-fast/1"));
    command.args(["--default-route", "fast", "--metrics-addr", &address.to_string()]);
    let ended = finish(&mut command, b"");
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let sent = collector.lines();
    let mut failures = sent.iter().filter(|line| line.record.severity_text == "ERROR");
    let failure = failures.next().expect("one");
    assert!(failure.message().contains(&address.to_string()), "{failure:#?}");
    assert_eq!(failure.record.severity_number, SeverityNumber::Error as i32);
    assert!(ended.stderr.contains(failure.message()), "{}", ended.stderr);
}
