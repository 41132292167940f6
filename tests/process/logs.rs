//! What the log and the metrics say, and what they never say: the texts of requests.

use std::io::Write;
use std::time::Instant;

use serde_json::{Value, json};
use tandem::api::pb;
use tandem::api::pb::prediction_service_client::PredictionServiceClient;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::support::command::curl_get;
use crate::support::models::FastModelCopy;
use crate::support::{RunningServer, curl, runtime, wait};
use crate::support::{command::tandem, models::FAST_ONLY, server::free_ports};

/// Stands for what people write: in every place of a request that takes a string.
const CANARY: &str = "kanarienvogel";

fn request(texts: &[&str]) -> pb::PredictRequest {
    pb::PredictRequest {
        texts: texts.iter().map(|&text| text.to_owned()).collect(),
        ..pb::PredictRequest::default()
    }
}

async fn call_by_grpc(channel: Channel) {
    let mut client = PredictionServiceClient::new(channel.clone());
    let good = request(&[CANARY, "영화"]);
    client.predict(good.clone()).await.expect("an answer");
    let too_long = CANARY.repeat(2000);
    let bad = [
        pb::PredictRequest {
            top_k: -1,
            ..good.clone()
        },
        pb::PredictRequest {
            task: CANARY.to_owned(),
            ..good.clone()
        },
        pb::PredictRequest {
            model: CANARY.to_owned(),
            ..good.clone()
        },
        pb::PredictRequest {
            text_pairs: vec![CANARY.to_owned()],
            ..good.clone()
        },
        pb::PredictRequest {
            route: 77,
            ..good.clone()
        },
        request(&[&too_long]),
        request(&[CANARY; 129]),
        // Over the limit of a message.
        request(&[&CANARY.repeat(1 << 19)]),
    ];
    for request in bad {
        client.predict(request).await.expect_err("refused");
    }
    let open = |id: &str, request| pb::PredictStreamRequest {
        id: id.to_owned(),
        request,
        timeout_duration: None,
    };
    let requests = [
        open(CANARY, Some(good.clone())),
        open(CANARY, Some(good)),
        open(&CANARY.repeat(20), Some(request(&[CANARY]))),
        open("2", None),
    ];
    let stream = client.predict_stream(futures::stream::iter(requests)).await;
    let mut answers = stream.expect("a stream").into_inner();
    while let Ok(Some(_)) = answers.message().await {}
    let service = CANARY.to_owned();
    let health = HealthClient::new(channel).check(HealthCheckRequest { service }).await;
    health.expect_err("no such service");
}

fn call_by_http(server: &RunningServer) {
    let (status, answer) = curl(
        server.http(),
        "/predict",
        &[],
        json!({ "text": CANARY }).to_string().as_bytes(),
    );
    assert_eq!((status, &answer["0"]["text"]), (200, &CANARY.into()));
    let bad: [(&str, Vec<u8>); 10] = [
        ("/predict", format!(r#"{{"text": "{CANARY}""#).into()),
        ("/predict", format!(r#"{{"text": "a", "do_fast": "{CANARY}"}}"#).into()),
        ("/predict", format!(r#"{{"text": "a", "{CANARY}": 1}}"#).into()),
        ("/predict", format!(r#"{{"text": "{}"}}"#, CANARY.repeat(2000)).into()),
        ("/predict", format!("{CANARY} is no JSON").into()),
        (
            "/v1/predict",
            format!(r#"{{"texts": ["{CANARY}"], "route": "{CANARY}"}}"#).into(),
        ),
        (
            "/v1/predict",
            format!(r#"{{"texts": ["{CANARY}"], "{CANARY}": 1}}"#).into(),
        ),
        ("/v1/predict", format!(r#"{{"texts": "{CANARY}"}}"#).into()),
        (
            "/v1/predict",
            [br#"{"texts": [""#, CANARY.as_bytes(), b"\xff\"]}"].concat(),
        ),
        (&*format!("/{CANARY}"), CANARY.into()),
    ];
    for (path, body) in bad {
        let (status, answer) = curl(server.http(), path, &[], &body);
        assert!((400..500).contains(&status), "{path}: {status} {answer}");
    }
}

#[test]
fn no_line_of_the_log_and_no_metric_holds_a_text() {
    // All that our own code says, and all of the libraries' worries.
    let filter = "debug,tandem=trace";
    let server = RunningServer::start(&["--log-filter", filter]);
    let runtime = runtime();
    wait(&runtime, call_by_grpc(server.channel(&runtime)));
    call_by_http(&server);
    let metrics = curl_get(server.http(), "/metrics");
    assert!(metrics.contains("INVALID_FIELD"), "{metrics}");
    assert!(!metrics.contains(CANARY), "{metrics}");
    server.signal("TERM");
    drop(runtime);
    let (code, log) = server.wait_exit();
    assert_eq!(code, Some(0));
    assert!(log.iter().any(|line| line.contains("refused")), "{log:#?}");
    for line in log {
        assert!(!line.contains(CANARY), "{line}");
    }
}

#[test]
fn a_refused_call_is_logged_once_with_the_request_id_and_the_trace_id_of_its_caller() {
    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    let traceparent = format!("00-{TRACE}-00f067aa0ba902b7-01");
    let server = RunningServer::start(&[]);
    let headers = [
        "x-request-id: by-http".to_owned(),
        format!("traceparent: {traceparent}"),
    ];
    let (status, body) = curl(
        server.http(),
        "/predict",
        &headers.each_ref().map(String::as_str),
        b"{}",
    );
    assert_eq!((status, &body["error"]["requestId"]), (400, &"by-http".into()));

    let runtime = runtime();
    let mut call = tonic::Request::new(pb::PredictRequest::default());
    call.metadata_mut()
        .insert("x-request-id", "by-grpc".parse().expect("a value"));
    call.metadata_mut()
        .insert("traceparent", traceparent.parse().expect("a value"));
    let mut client = PredictionServiceClient::new(server.channel(&runtime));
    let refusal = wait(&runtime, client.predict(call)).expect_err("no texts");
    let returned = refusal.metadata().get("x-request-id").map(|value| value.as_bytes());
    assert_eq!(returned, Some(&b"by-grpc"[..]));

    server.signal("TERM");
    drop(runtime);
    drop(client);
    let (_, log) = server.wait_exit();
    for (door, id) in [("http", "by-http"), ("grpc", "by-grpc")] {
        let lines: Vec<&String> = log.iter().filter(|line| line.contains(id)).collect();
        let [line] = lines[..] else {
            panic!("one line for {id}: {log:#?}")
        };
        let line: Value = serde_json::from_str(line).expect("JSON");
        assert_eq!(line["message"], "refused");
        assert_eq!(line["door"], door);
        assert_eq!(line["request_id"], id);
        assert_eq!(line["trace_id"], TRACE);
        assert!(line["reason"].is_string() && line["took_us"].is_u64(), "{line}");
    }
}

#[test]
fn refused_calls_beyond_a_hundred_a_second_are_counted_instead_of_logged() {
    const CALLS: u64 = 2_000;
    let server = RunningServer::start(&[]);
    let runtime = runtime();
    let mut client = PredictionServiceClient::new(server.channel(&runtime));
    let started = Instant::now();
    wait(&runtime, async {
        for _ in 0..CALLS {
            client.predict(request(&[])).await.expect_err("no texts");
        }
    });
    let seconds = started.elapsed().as_secs() + 1;
    let metrics = curl_get(server.http(), "/metrics");
    let counted = format!(r#"reason="INVALID_FIELD"}} {CALLS}"#);
    assert!(metrics.contains(&counted), "{metrics}");
    server.signal("TERM");
    drop((client, runtime));
    let (_, log) = server.wait_exit();
    let lines: Vec<Value> = log
        .iter()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let refused: Vec<&Value> = lines.iter().filter(|line| line["message"] == "refused").collect();
    let logged = refused.len() as u64;
    assert!(logged >= 100, "{logged}");
    assert!(logged <= 100 + 100 * seconds, "{logged} in {seconds} s");
    let unlogged: u64 = refused.iter().filter_map(|line| line["unlogged"].as_u64()).sum();
    assert!(logged + unlogged <= CALLS, "{logged} and {unlogged}");
}

#[test]
fn a_connection_that_ends_for_its_malformed_calls_leaves_a_line() {
    let models = FastModelCopy::new();
    let server = RunningServer::start_with(&[
        "--models",
        &models.repository().to_string_lossy(),
        "--log-filter",
        "info,tandem::server=debug",
    ]);
    // Calls with a method and nothing else, one more than may be reset.
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
    for call in 0..=128_u32 {
        bytes.extend_from_slice(b"\0\0\x01\x01\x05");
        bytes.extend_from_slice(&(2 * call + 1).to_be_bytes());
        bytes.push(0x83);
    }
    let mut connection = std::net::TcpStream::connect(server.grpc).expect("open");
    connection.write_all(&bytes).expect("sent");
    let line = server
        .logged("a connection was ended: too many of its calls were reset, malformed (their :authority, say) or taken back at once");
    assert_eq!(
        (&line["level"], &line["door"]),
        (&"WARN".into(), &"grpc".into()),
        "{line}"
    );
}

#[test]
fn the_access_log_tells_who_asked_for_what() {
    let models = FastModelCopy::new();
    let mut command = tandem();
    command.arg("serve").args(free_ports());
    command.arg("--models").arg(models.repository()).args(FAST_ONLY);
    command.args(["--access-log", "1"]);
    command.env("TANDEM_TOKENS", "reports:0123456789abcdef");
    command.env("TANDEM_GRPC_ADR", "127.0.0.1:1");
    let server = RunningServer::spawn(command);
    server.wait_ready();
    let headers = ["authorization: Bearer 0123456789abcdef", "x-request-id: mine"];
    let body = json!({"texts": [CANARY, "영화"], "route": "ROUTE_FAST"}).to_string();
    let (status, _) = curl(server.http(), "/v1/predict", &headers, body.as_bytes());
    assert_eq!(status, 200);
    assert!(curl_get(server.http(), "/healthz").contains("ok"));
    server.signal("TERM");
    let (code, log) = server.wait_exit();
    assert_eq!(code, Some(0));
    let lines = log.iter().map(|line| serde_json::from_str(line).expect("JSON"));
    let lines: Vec<Value> = lines.collect();
    let answered: Vec<&Value> = lines.iter().filter(|line| line["message"] == "answered").collect();
    let [line] = answered[..] else {
        panic!("one line, and none for the probe: {answered:?}")
    };
    assert_eq!(line["level"], "INFO");
    for (key, value) in [
        ("door", json!("http")),
        ("method", json!("/v1/predict")),
        ("request_id", json!("mine")),
        ("key", json!("reports")),
        ("peer", json!("127.0.0.1")),
        ("route", json!("fast")),
        ("texts", json!(2)),
    ] {
        assert_eq!(line[key], value, "{line}");
    }
    assert!(line["took_us"].as_u64().is_some_and(|took| took > 0), "{line}");
    let told = lines.iter().filter(|line| line["level"] == "WARN");
    let misspelt = |line: &Value| {
        line["message"]
            .as_str()
            .is_some_and(|message| message.contains("TANDEM_GRPC_ADR"))
    };
    assert_eq!(told.filter(|line| misspelt(line)).count(), 1, "{log:?}");
}

#[cfg(not(feature = "otlp"))]
#[test]
fn a_build_without_an_exporter_says_so_where_spans_and_lines_are_asked_for() {
    let mut command = tandem();
    command.env("OTEL_LOGS_EXPORTER", "otlp");
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1");
    command.arg("serve").args(free_ports()).args(FAST_ONLY);
    let model = FastModelCopy::new();
    command.arg("--models").arg(model.repository());
    let server = RunningServer::spawn(command);
    server.wait_ready();
    server.signal("TERM");
    let (code, log) = server.wait_exit();
    assert_eq!(code, Some(0));
    for what in ["no exporter of spans", "no exporter of log lines"] {
        let warnings: Vec<&String> = log.iter().filter(|line| line.contains(what)).collect();
        let [warning] = warnings[..] else {
            panic!("one line: {log:#?}")
        };
        let warning: Value = serde_json::from_str(warning).expect("JSON");
        assert_eq!(warning["level"], "WARN");
    }
}

#[test]
fn at_a_signal_the_log_filter_is_read_again_from_its_file() {
    let models = FastModelCopy::new();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("tandem.toml");
    let write = |filter: &str| std::fs::write(&file, format!("log_filter = \"{filter}\"\n")).expect("written");
    write("info");
    let mut command = tandem();
    command.arg("serve").args(free_ports()).args(FAST_ONLY);
    command.arg("--models").arg(models.repository());
    command.arg("--config").arg(&file);
    let server = RunningServer::spawn(command);
    server.wait_ready();
    let ask = |id: &str| {
        let id = format!("x-request-id: {id}");
        let (status, _) = curl(server.http(), "/predict", &[&id], br#"{"text": "a", "do_fast": true}"#);
        assert_eq!(status, 200);
    };
    ask("quiet");
    write("tandem=debug");
    server.signal("HUP");
    let changed = server.logged("the log filter changed");
    assert_eq!(
        (&changed["filter"], &changed["before"]),
        (&json!("tandem=debug"), &json!("info"))
    );
    ask("talkative");
    let answered = server.logged("answered");
    assert_eq!(answered["request_id"], "talkative", "the first call has no line");
    write("tandem=[");
    server.signal("HUP");
    server.logged("the configuration can't be read again, the log filter stays");
    ask("still");
    server.logged_where("answered", |line| line["request_id"] == "still");
}
