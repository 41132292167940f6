//! Execution providers: a model runs on the hardware that settings or its manifest name, or without it where it may, or not at
//! all; golden examples decide whether its answers serve. OpenVINO is run for real, by an ONNX Runtime that has it.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tandem::api::pb;
use tandem::api::pb::prediction_service_client::PredictionServiceClient;
use tempfile::TempDir;

use crate::support::command::{curl_get, finish, tandem};
use crate::support::models::{FAST_ONLY, FastModelCopy};
use crate::support::reviews::reviews;
use crate::support::server::free_ports;
use crate::support::tools::tool;
use crate::support::{RunningServer, curl, root, runtime, wait};

/// A float32 transformer as transformers exported it.
const TRANSFORMER: &str = "tests/data/hugging_face/minilm";

/// The program, with an ONNX Runtime that has OpenVINO.
fn with_openvino() -> Command {
    let mut command = tandem();
    command.env("ORT_DYLIB_PATH", tool("openvino"));
    command
}

/// A server of the transformer alone.
fn server(mut command: Command, folder: &Path, args: &[&str]) -> RunningServer {
    command
        .arg("serve")
        .args(free_ports())
        .arg("--deep")
        .arg(folder)
        .args(args);
    let server = RunningServer::spawn(command);
    server.wait_ready();
    server
}

fn predictions(server: &RunningServer, texts: &[String]) -> Vec<Value> {
    let body = json!({ "texts": texts }).to_string();
    let (status, answer) = curl(server.http(), "/v1/predict", &[], body.as_bytes());
    assert_eq!(status, 200, "{answer}");
    answer["predictions"].as_array().expect("predictions").clone()
}

/// The names of what runs the only model, by the model's page.
fn providers(server: &RunningServer) -> Vec<String> {
    let listed: Value = serde_json::from_str(&curl_get(server.http(), "/v1/models")).expect("JSON");
    let all = listed["models"][0]["executionProviders"]
        .as_array()
        .expect("providers")
        .clone();
    all.iter()
        .map(|one| one["name"].as_str().expect("a name").to_owned())
        .collect()
}

/// The transformer in a folder that may be written to, with a manifest and golden examples by the processor.
fn with_manifest() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for entry in std::fs::read_dir(root().join(TRANSFORMER)).expect("the transformer") {
        let path = entry.expect("an entry").path();
        std::fs::copy(&path, folder.path().join(path.file_name().expect("a name"))).expect("a copy");
    }
    let mut check = tandem();
    finish(check.arg("check").arg(folder.path()).arg("--write-manifest"), b"").success();
    folder
}

#[test]
fn openvino_gives_the_answers_of_the_processor_and_health_and_metrics_say_what_runs() {
    let texts = reviews(40);
    let folder = root().join(TRANSFORMER);
    let on_cpu = server(tandem(), &folder, &[]);
    assert_eq!(providers(&on_cpu), ["cpu"]);
    let expected = predictions(&on_cpu, &texts);
    let on_openvino = server(with_openvino(), &folder, &["--deep-execution-providers", "openvino"]);
    assert_eq!(providers(&on_openvino)[0], "openvino");
    let runtime = runtime();
    let mut client = PredictionServiceClient::new(on_openvino.channel(&runtime));
    let health = wait(&runtime, client.health(pb::HealthRequest::default()))
        .expect("an answer")
        .into_inner();
    let first = &health.models[0].execution_providers[0];
    assert!(first.name == "openvino" && first.node_count > 0, "{health:?}");
    let metrics = curl_get(on_openvino.http(), "/metrics");
    let series = metrics
        .lines()
        .find(|line| line.contains("_model_execution_provider{") && line.contains("openvino"));
    assert!(series.is_some_and(|line| line.ends_with(" 1")), "{metrics}");
    for (found, expected) in predictions(&on_openvino, &texts).iter().zip(&expected) {
        assert_eq!(found["label"], expected["label"]);
        let confidence = |of: &Value| of["confidence"].as_f64().expect("a number");
        assert!(
            (confidence(found) - confidence(expected)).abs() < 1e-3,
            "{found} {expected}"
        );
    }
    drop(client);
    on_openvino.signal("TERM");
    assert_eq!(on_openvino.wait_exit().0, Some(0), "it drains and closes its sessions");
}

#[test]
fn a_provider_whose_answers_are_wrong_is_left_out_or_ends_the_start() {
    // The shipped deep model is quantised while it runs, which OpenVINO does otherwise.
    let deep = root().join("models/sentiment-deep/1");
    let server = server(with_openvino(), &deep, &["--deep-execution-providers", "openvino,cpu"]);
    let warning = server.logged("an execution provider is left out");
    assert_eq!(warning["provider"], "openvino", "{warning}");
    assert!(
        warning["problem"]
            .as_str()
            .is_some_and(|problem| problem.contains("golden.jsonl")),
        "{warning}"
    );
    assert_eq!(providers(&server), ["cpu"]);
    let mut alone = with_openvino();
    alone.arg("serve").args(free_ports()).arg("--deep").arg(&deep);
    let ended = finish(alone.args(["--deep-execution-providers", "openvino"]), b"");
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(
        ended.stderr.contains("on openvino of ONNX Runtime 1.24.1: line"),
        "{ended:?}"
    );
}

#[test]
fn a_provider_that_is_not_there_is_named_with_the_library_and_what_it_has() {
    let missing = |list: &str| {
        let mut serve = tandem();
        serve
            .arg("serve")
            .args(free_ports())
            .arg("--deep")
            .arg(root().join(TRANSFORMER));
        let ended = finish(serve.args(["--deep-execution-providers", list]), b"");
        assert_eq!(ended.code, Some(1), "{list}: {ended:?}");
        ended.stderr
    };
    for (list, told) in [
        ("cuda", "execution provider cuda: ONNX Runtime 1."),
        (
            "tensorrt(required),cpu",
            "it needs another build of ONNX Runtime, such as that of the package onnxruntime-gpu",
        ),
        (
            "openvino",
            "libonnxruntime_providers_openvino_plugin.so is not beside it: name it, library=FILE",
        ),
        ("openvino(library=/no/such.so)", "library: /no/such.so is no file"),
        ("other", "name the library of its plugin, library=FILE"),
        ("cuda(device=x)", "device is `x`, it must be a number from 0 to 255"),
    ] {
        let found = missing(list);
        assert!(found.contains(told), "{list}: {found}");
    }
    let text = root().join("README.md");
    let found = missing(&format!("openvino(library={})", text.display()));
    assert!(found.contains("is no library of an execution provider"), "{found}");
    let server = server(
        tandem(),
        &root().join(TRANSFORMER),
        &["--deep-execution-providers", "tensorrt,cuda,cpu"],
    );
    for provider in ["tensorrt", "cuda"] {
        server.logged_where("an execution provider is left out", |line| line["provider"] == provider);
    }
    assert_eq!(providers(&server), ["cpu"]);
}

#[test]
fn a_list_that_can_be_none_ends_the_start_with_the_setting() {
    let mut serve = tandem();
    serve.arg("serve").args(["--deep-execution-providers", "cpu,cuda"]);
    let ended = finish(&mut serve, b"");
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(
        ended
            .stderr
            .contains("cpu takes all that is left, so it must be the last"),
        "{ended:?}"
    );
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("tandem.toml");
    std::fs::write(&file, "[execution_providers]\nsentiment-deep = [\"cuda\", \"cuda\"]\n").expect("written");
    let ended = finish(tandem().arg("serve").arg("--config").arg(&file), b"");
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(
        ended
            .stderr
            .contains("execution_providers.sentiment-deep: cuda is there twice"),
        "{ended:?}"
    );
}

#[test]
fn a_model_has_providers_by_its_name_and_a_name_that_is_not_there_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("tandem.toml");
    let text =
        "deep_execution_providers = \"cuda\"\n[execution_providers]\nminilm = \"openvino,cpu\"\nminilmm = \"cuda\"\n";
    std::fs::write(&file, text).expect("written");
    let config = file.display().to_string();
    let server = server(with_openvino(), &root().join(TRANSFORMER), &["--config", &config]);
    assert_eq!(providers(&server)[0], "openvino");
    server.logged_where("execution_providers names a model that is not there", |line| {
        line["model"] == "minilmm"
    });
}

#[test]
fn tolerances_are_measured_on_a_provider_and_kept_from_then_on() {
    let folder = with_manifest();
    let manifest = folder.path().join("manifest.toml");
    let mut check = with_openvino();
    let report = check
        .args(["check", "--json", "--provider", "openvino", "--write-tolerances"])
        .arg(folder.path());
    let report = finish(report, b"").json();
    assert_eq!(report["execution_providers"][0]["name"], "openvino", "{report}");
    assert_eq!(report["written"], json!(["manifest.toml"]));
    let text = std::fs::read_to_string(&manifest).expect("the manifest");
    assert_eq!(text.matches("[golden.providers.openvino]").count(), 1, "{text}");
    let server = server(
        with_openvino(),
        folder.path(),
        &["--deep-execution-providers", "openvino"],
    );
    assert_eq!(providers(&server)[0], "openvino");
    drop(server);
    // A tolerance that nothing keeps to: the provider may not serve, and the processor still does.
    let strict = text
        .split("[golden.providers.openvino]")
        .next()
        .expect("a part")
        .to_owned()
        + "[golden.providers.openvino]\nlogit_tolerance = 0.0\nbatched_logit_tolerance = 0.0\n";
    std::fs::write(&manifest, strict).expect("written");
    let server = self::server(
        with_openvino(),
        folder.path(),
        &["--deep-execution-providers", "openvino,cpu"],
    );
    assert_eq!(providers(&server), ["cpu"]);
}

#[test]
fn a_manifest_names_providers_but_no_paths_and_a_setting_overrules_it() {
    let folder = with_manifest();
    let manifest = folder.path().join("manifest.toml");
    let text = std::fs::read_to_string(&manifest).expect("the manifest");
    let with =
        |line: &str| std::fs::write(&manifest, text.replacen("\n[", &format!("\n{line}\n\n["), 1)).expect("written");
    with("execution_providers = [{ name = \"openvino\", device = \"CPU\" }, \"cpu\"]");
    let by_manifest = server(with_openvino(), folder.path(), &[]);
    assert_eq!(providers(&by_manifest)[0], "openvino");
    drop(by_manifest);
    let by_setting = server(with_openvino(), folder.path(), &["--deep-execution-providers", "cpu"]);
    assert_eq!(providers(&by_setting), ["cpu"]);
    with("execution_providers = [{ name = \"openvino\", library = \"/tmp/a.so\" }]");
    let checked = finish(tandem().arg("check").arg(folder.path()), b"");
    assert_eq!(checked.code, Some(2), "{checked:?}");
    let told = "execution_providers: openvino: library is for the server's settings";
    assert!(checked.stderr.contains(told), "{checked:?}");
}

#[test]
fn a_version_whose_provider_is_missing_is_refused_at_a_reload_and_the_old_one_serves() {
    let models = FastModelCopy::new();
    let repository = models.repository().to_string_lossy().into_owned();
    let server = RunningServer::start_with(&[&["--models", &*repository], &FAST_ONLY[..]].concat());
    assert_eq!(providers(&server), ["native"]);
    models.add_version("2");
    let manifest = models.repository().join("sentiment-fast/2/manifest.toml");
    let text = std::fs::read_to_string(&manifest).expect("the manifest");
    let text = text.replacen("\n[", "\nexecution_providers = [\"cuda\"]\n\n[", 1);
    std::fs::write(&manifest, text).expect("written");
    server.signal("HUP");
    let refused = server.logged("a version was refused, what served before does");
    assert_eq!(
        (&refused["version"], &refused["stage"]),
        (&"2".into(), &"load".into()),
        "{refused}"
    );
    assert!(refused.to_string().contains("execution provider cuda"), "{refused}");
    assert_eq!(predictions(&server, &reviews(1)).len(), 1);
    assert_eq!(providers(&server), ["native"]);
}

#[test]
fn batches_are_as_large_as_pay_on_hardware_that_is_not_the_processor_unless_the_manifest_bounds_them() {
    let texts = reviews(128);
    // What chooses a device by itself counts as another one; on this machine it finds the processor.
    let elsewhere = ["--deep-execution-providers", "openvino(device=AUTO:CPU)"];
    let limit = |server: &RunningServer| {
        let name = curl_get(server.http(), "/v1/models");
        let listed: Value = serde_json::from_str(&name).expect("JSON");
        listed["models"][0]["limits"]["maxBatchSize"].clone()
    };
    let server = self::server(with_openvino(), &root().join(TRANSFORMER), &elsewhere);
    assert_eq!(
        (&providers(&server)[0], limit(&server)),
        (&"openvino".to_owned(), json!(256))
    );
    assert_eq!(predictions(&server, &texts).len(), 128);
    drop(server);
    let here = self::server(
        with_openvino(),
        &root().join(TRANSFORMER),
        &["--deep-execution-providers", "openvino"],
    );
    assert_eq!(limit(&here), json!(32));
    drop(here);
    let folder = with_manifest();
    let manifest = folder.path().join("manifest.toml");
    let text = std::fs::read_to_string(&manifest).expect("the manifest");
    let text = text.replacen("[limits]\n", "[limits]\nmax_batch_size = 4\n", 1);
    assert!(text.contains("max_batch_size = 4"), "{text}");
    std::fs::write(&manifest, text).expect("written");
    let mut check = with_openvino();
    let check = check.args(["check", "--write-tolerances", "--provider", elsewhere[1]]);
    finish(check.arg(folder.path()), b"").success();
    let bounded = self::server(with_openvino(), folder.path(), &elsewhere);
    assert_eq!(limit(&bounded), json!(4));
    assert_eq!(predictions(&bounded, &texts[..9]).len(), 9);
}

#[test]
fn memory_is_told_by_device() {
    let server = server(tandem(), &root().join(TRANSFORMER), &["--deep-instances", "1"]);
    let metrics = curl_get(server.http(), "/metrics");
    let of_cpu = metrics
        .lines()
        .find(|line| line.starts_with("tandem_model_device_memory_bytes{") && line.contains("device=\"cpu\""));
    let bytes = of_cpu.and_then(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
    assert!(bytes.is_some_and(|bytes| bytes > 0), "{metrics}");
}
