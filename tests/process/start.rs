//! How a server starts, and how it does not: one line that names what is wrong, and an exit code.

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use sha2::{Digest, Sha256};
use tandem::api::pb;
use tandem::api::pb::prediction_service_client::PredictionServiceClient;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_types::StatusExt;

use crate::support::command::{curl_get, finish, tandem};
use crate::support::models::{FAST_ONLY, FastModelCopy};
use crate::support::server::free_ports;
use crate::support::{Finished, RunningServer, curl, root, runtime, wait};

/// A start that fails.
fn refused(models: &Path, args: &[&str]) -> Finished {
    let mut command = tandem();
    command.arg("serve").args(free_ports()).arg("--models").arg(models);
    finish(command.args(args), b"")
}

fn opened_ports(finished: &Finished) -> bool {
    finished.stderr.contains(r#""message":"listening""#)
}

/// A port that is taken, and its address.
fn taken_port() -> (TcpListener, String) {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("an address").to_string();
    (taken, address)
}

#[test]
fn an_unknown_key_exits_2_and_names_the_nearest_one_before_any_port_is_tried() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("tandem.toml");
    fs::write(&file, "max_txts = 3\n").expect("write");
    // A port that is in use would exit 1: it was not tried.
    let (_taken, address) = taken_port();
    let config = file.to_string_lossy();
    let mut command = tandem();
    command.args(["serve", "--config", &config, "--grpc-addr", &address]);
    let finished = finish(&mut command, b"");
    assert_eq!(finished.code, Some(2), "{finished:?}");
    assert_eq!(
        finished.complaint(),
        format!("tandem: {config}: unknown key `max_txts`; the nearest known one is `max_texts`")
    );
    assert_eq!(finished.stderr.lines().count(), 1, "{finished:?}");
}

#[test]
#[cfg(not(feature = "object-store"))]
fn models_at_an_address_exit_2_and_name_the_feature_that_is_missing() {
    for models in ["s3://bucket/models", "hf://owner/name"] {
        let finished = refused(Path::new(models), &[]);
        assert_eq!(finished.code, Some(2), "{finished:?}");
        assert!(
            finished.complaint().contains("without the feature `object-store`"),
            "{finished:?}"
        );
        assert_eq!(finished.stderr.lines().count(), 1, "{finished:?}");
    }
}

#[test]
fn a_configuration_file_that_is_not_there_exits_2_and_is_named() {
    let finished = refused(&root().join("models"), &["--config", "/nowhere/tandem.toml"]);
    assert_eq!(finished.code, Some(2), "{finished:?}");
    let complaint = finished.complaint();
    assert!(complaint.starts_with("tandem: /nowhere/tandem.toml: "), "{complaint}");
}

#[test]
fn a_corrupt_model_file_exits_2_and_is_named_before_any_port_is_tried() {
    for file in ["model.onnx", "golden.jsonl"] {
        let models = FastModelCopy::new();
        models.flip_a_bit(file);
        let (_taken, address) = taken_port();
        let mut command = tandem();
        command.args(["serve", "--log-format", "json", "--grpc-addr", &address]);
        command.args(FAST_ONLY).arg("--models").arg(models.repository());
        let finished = finish(&mut command, b"");
        assert_eq!(finished.code, Some(2), "{finished:?}");
        let path = models.file(file).display().to_string();
        let expected = format!("tandem: {path}: its SHA-256 is not the one in the manifest");
        assert_eq!(finished.complaint(), expected);
    }
}

#[test]
fn a_repository_without_models_exits_2_and_is_named() {
    let empty = tempfile::tempdir().expect("a temporary folder");
    let finished = refused(empty.path(), &[]);
    assert_eq!(finished.code, Some(2), "{finished:?}");
    assert!(finished.complaint().contains(&empty.path().display().to_string()));
    assert!(!opened_ports(&finished));
}

#[test]
fn a_port_in_use_exits_1_and_is_named() {
    let models = FastModelCopy::new();
    for key in ["grpc", "http", "metrics"] {
        let (_taken, address) = taken_port();
        let mut command = tandem();
        command.args(["serve", "--log-format", "json"]).args(FAST_ONLY);
        command.arg("--models").arg(models.repository());
        for door in ["grpc", "http", "metrics"] {
            let address = if door == key { address.as_str() } else { "127.0.0.1:0" };
            command.args([format!("--{door}-addr"), address.to_owned()]);
        }
        let finished = finish(&mut command, b"");
        assert_eq!(finished.code, Some(1), "{finished:?}");
        let complaint = finished.complaint();
        let expected = format!("tandem: can't listen on {address} ({key}_addr): ");
        assert!(complaint.starts_with(&expected), "{complaint}");
        assert!(!opened_ports(&finished));
    }
}

#[test]
fn a_golden_mismatch_exits_1_after_the_ports_were_open() {
    let models = FastModelCopy::new();
    models.falsify_golden_example();
    let finished = refused(models.repository(), &FAST_ONLY);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(opened_ports(&finished), "{finished:?}");
    let not_json = |line: &str| serde_json::from_str::<serde_json::Value>(line).is_err();
    assert!(
        !finished.stderr.lines().any(not_json),
        "what is fatal is JSON too: {finished:?}"
    );
    let complaint = finished.complaint();
    let folder = models
        .file("golden.jsonl")
        .parent()
        .expect("in a folder")
        .display()
        .to_string();
    assert!(
        complaint.starts_with(&format!("tandem: {folder}: golden.jsonl: line 1: ")),
        "{complaint}"
    );
    assert!(complaint.contains("the tolerance is 0.0001"), "{complaint}");
    assert!(!finished.stderr.contains(r#""message":"ready""#));
}

#[test]
fn a_library_of_onnx_runtime_that_is_missing_or_none_exits_1_and_is_named() {
    let models = FastModelCopy::new();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let missing = folder.path().join("missing.so");
    let other = folder.path().join("other.so");
    fs::write(&other, "not a library").expect("write");
    for library in [&missing, &other] {
        let mut command = tandem();
        command.arg("serve").args(free_ports()).args(FAST_ONLY);
        command.arg("--models").arg(models.repository());
        let finished = finish(command.env("ORT_DYLIB_PATH", library), b"");
        assert_eq!(finished.code, Some(1), "{finished:?}");
        let complaint = finished.complaint();
        let start = "tandem: ONNX Runtime can't be loaded: ";
        assert!(complaint.starts_with(start), "{complaint}");
        assert!(complaint.contains(&library.display().to_string()), "{complaint}");
        assert!(complaint.contains("ORT_DYLIB_PATH"), "{complaint}");
        assert!(!opened_ports(&finished));
    }
}

#[test]
fn print_config_shows_flags_over_environment_over_file_over_defaults() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("tandem.toml");
    fs::write(&file, "max_texts = 5\nmax_text_bytes = 100\nmax_queue_texts = 600\n").expect("write");
    let mut command = tandem();
    command.args(["serve", "--print-config", "--max-queue-texts", "800"]);
    command
        .env("TANDEM_MAX_TEXT_BYTES", "200")
        .env("TANDEM_MAX_QUEUE_TEXTS", "700");
    command.env("TANDEM_CONFIG", &file);
    let printed = finish(&mut command, b"").success();
    let settings: toml::Table = printed.parse().expect("TOML");
    let setting = |key: &str| settings[key].as_integer().expect("a number");
    assert_eq!(setting("max_texts"), 5);
    assert_eq!(setting("max_text_bytes"), 200);
    assert_eq!(setting("max_queue_texts"), 800);
    assert_eq!(setting("max_connections"), 1024);
}

#[test]
fn a_printed_configuration_can_be_read_back() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("tandem.toml");
    let printed = finish(tandem().args(["serve", "--print-config", "--drain-grace", "7s"]), b"").success();
    fs::write(&file, &printed).expect("write");
    let mut command = tandem();
    command.args(["serve", "--print-config", "--config"]).arg(&file);
    assert_eq!(finish(&mut command, b"").success(), printed);
}

#[test]
fn no_http_leaves_the_gateway_off() {
    let server = RunningServer::start(&["--no-http", "--metrics-addr", "127.0.0.1:0"]);
    assert_eq!(server.logged("listening")["http"], "off");
    assert_eq!(server.http, None);
    let metrics = curl_get(server.metrics.expect("a port for operators"), "/metrics");
    assert!(metrics.contains("# EOF"), "{metrics}");
}

#[test]
fn the_first_line_of_the_log_names_the_library_and_its_version() {
    let server = RunningServer::start(&[]);
    let first = server.logged("tandem starts");
    assert_eq!(first["version"], env!("CARGO_PKG_VERSION"));
    assert!(
        first["onnxruntime"]
            .as_str()
            .is_some_and(|version| version.starts_with("1."))
    );
    assert!(first["library"].as_str().is_some_and(|path| Path::new(path).is_file()));
}

/// A repository whose only model never ends to load: its graph is an endless loop.
fn endless_model() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let model = folder.path().join("endless/1");
    fs::create_dir_all(&model).expect("a folder");
    let graph = fs::read(root().join("tests/data/poisoned/endless.onnx")).expect("the graph");
    let sum: String = Sha256::digest(&graph)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    fs::write(model.join("model.onnx"), graph).expect("written");
    let manifest = format!(
        "schema_version = 1\nname = 'endless'\nversion = '1'\ntask = 'sentiment'\ntier = 'fast'\nlabels = ['negative', 'positive']\n\
         license = 'MIT'\n[onnx]\nfile = 'model.onnx'\ninput = 'text'\noutput = 'probabilities'\noutput_kind = 'probabilities'\n\
         [preprocess]\nkind = 'string'\nmax_bytes = 8192\n[files]\n'model.onnx' = '{sum}'\n"
    );
    fs::write(model.join("manifest.toml"), manifest).expect("written");
    folder
}

#[test]
fn while_a_model_loads_health_says_not_serving_predict_says_model_loading_and_a_signal_ends_it() {
    let models = endless_model();
    let mut command = tandem();
    command
        .arg("serve")
        .args(free_ports())
        .args(["--listen", "at-start", "--default-route", "fast", "--models"])
        .arg(models.path());
    let server = RunningServer::spawn(command);

    let runtime = runtime();
    let mut health = HealthClient::new(server.channel(&runtime));
    for name in ["", "tandem.v1.PredictionService", "endless"] {
        let request = HealthCheckRequest {
            service: name.to_owned(),
        };
        let answer = wait(&runtime, health.check(request)).expect("an answer");
        assert_eq!(answer.into_inner().status(), ServingStatus::NotServing, "{name:?}");
    }
    let mut client = PredictionServiceClient::new(server.channel(&runtime));
    let request = pb::PredictRequest {
        texts: vec!["영화".to_owned()],
        ..pb::PredictRequest::default()
    };
    let refusal = wait(&runtime, client.predict(request)).expect_err("not loaded yet");
    assert_eq!(refusal.code(), tonic::Code::Unavailable);
    let reason = refusal.get_details_error_info().map(|info| info.reason);
    assert_eq!(reason.as_deref(), Some("MODEL_LOADING"));
    let body = r#"{"text": "영화", "do_fast": true}"#;
    let (status, body) = curl(server.http(), "/predict", &[], body.as_bytes());
    assert_eq!((status, &body["error"]["reason"]), (503, &"MODEL_LOADING".into()));

    server.signal("TERM");
    assert_eq!(server.wait_exit().0, Some(0));
}

#[cfg(target_os = "linux")]
#[test]
fn a_server_that_is_given_one_core_runs_one_session_and_no_thread_of_onnx_runtime() {
    let mut command = crate::support::command::clean("taskset");
    command.args(["--cpu-list", &first_core(), env!("CARGO_BIN_EXE_tandem"), "serve"]);
    command.args(free_ports()).arg("--models").arg(root().join("models"));
    let server = RunningServer::spawn(command);
    server.wait_ready();
    let serves = server.logged("model serves");
    assert_eq!(serves["instances"], 1, "{serves}");
    // A thread has its name from its first moment on a processor: both have run once they answered.
    for do_fast in [true, false] {
        let body = format!(r#"{{"text": "영화", "do_fast": {do_fast}}}"#);
        assert_eq!(curl(server.http(), "/predict", &[], body.as_bytes()).0, 200);
    }
    assert_eq!(
        server.model_threads(),
        ["sentiment-deep-", "sentiment-fast-"],
        "a thread a session"
    );
}

/// The first processor that this process may use: containers do not always have number 0.
#[cfg(target_os = "linux")]
fn first_core() -> String {
    let status = fs::read_to_string("/proc/self/status").expect("Linux has it");
    let line = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    let cores = line.expect("Linux has the line").trim();
    cores.split([',', '-']).next().expect("split gives one").to_owned()
}

#[test]
fn a_check_does_all_of_a_start_but_for_the_ports() {
    let models = FastModelCopy::new();
    // A port that is in use: it is not tried.
    let (_taken, address) = taken_port();
    let check = || {
        let mut command = tandem();
        command.args(["serve", "--check", "--grpc-addr", &address, "--log-format", "json"]);
        command.arg("--models").arg(models.repository()).args(FAST_ONLY);
        finish(&mut command, b"")
    };
    let finished = check();
    assert!(!opened_ports(&finished), "{finished:?}");
    assert_eq!(finished.success(), "ok: 1 model loaded and verified\n");
    models.falsify_golden_example();
    let finished = check();
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(finished.complaint().contains("sentiment-fast"), "{finished:?}");
    models.flip_a_bit("model.onnx");
    let finished = check();
    assert_eq!(finished.code, Some(2), "{finished:?}");
}
