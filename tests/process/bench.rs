//! `tandem bench`: what it counts, against a real server, and beside its references. No figure is judged here.

use serde_json::Value;

use crate::support::command::{Finished, clean, finish, tandem};
use crate::support::models::{FAST_ONLY, FastModelCopy};
use crate::support::{RunningServer, root};

fn bench(args: &[&str]) -> Finished {
    finish(tandem().arg("bench").args(args), b"")
}

/// The JSON of a run against a server.
fn bench_of(server: &RunningServer, args: &[&str]) -> Value {
    let address = server.grpc.to_string();
    let fixed = ["--server", &address, "--warm-up", "0s", "--json", "-"];
    bench(&[&fixed[..], args].concat()).json()
}

/// A number of the report, by its path.
fn number(report: &Value, path: &str) -> f64 {
    let found = report.pointer(path).and_then(Value::as_f64);
    found.unwrap_or_else(|| panic!("no number at {path}: {report:#}"))
}

#[test]
fn a_load_is_no_traffic_that_a_server_keeps() {
    let models = FastModelCopy::new();
    let (config, kept) = (
        models.repository().join("tandem.toml"),
        models.repository().join("kept.jsonl"),
    );
    let kept_file = kept.display().to_string();
    let settings = format!("keep_texts = 300\nkeep_share = 1.0\nkeep_file = {kept_file:?}\n");
    std::fs::write(&config, settings).expect("written");
    let (repository, config) = (models.repository().display().to_string(), config.display().to_string());
    let load = ["--calls", "20", "--warm-up", "0s", "--route", "fast"];
    let place = ["--spawn", "--models", &repository, "--config", &config];
    bench(&[&place[..], &load, &FAST_ONLY].concat()).success();
    assert!(!kept.exists(), "its texts are in the operator's file");
}

#[test]
fn a_closed_loop_makes_the_calls_that_it_is_told_and_counts_them() {
    let server = RunningServer::start(&[]);
    let asked = [
        "--calls",
        "40",
        "--concurrency",
        "4",
        "--connections",
        "2",
        "--batch-size",
        "3",
    ];
    let report = bench_of(&server, &[&asked[..], &["--route", "fast", "--verify"]].concat());
    assert!(
        report["model"]
            .as_str()
            .is_some_and(|model| model.starts_with("sentiment-fast@1"))
    );
    for (path, expected) in [
        ("/measured/calls_answered", 40.0),
        ("/measured/texts_answered", 120.0),
        ("/measured/latency/count", 40.0),
        ("/measured/stages/inference/count", 40.0),
        ("/measured/wrong_answers", 0.0),
        ("/leftover/queued_texts", 0.0),
        ("/load/batch_size", 3.0),
    ] {
        assert_eq!(number(&report, path), expected, "{path}");
    }
    for path in [
        "/measured/texts_per_second",
        "/measured/latency/p50_ms",
        "/measured/seconds",
    ] {
        assert!(number(&report, path) > 0.0, "{path}");
    }
    assert_eq!(report["measured"]["failures"], Value::Array(vec![]));
    // Whose process that server is, it was not told.
    assert_eq!(report["measured"]["cpu_seconds"], Value::Null);
}

#[test]
fn an_open_loop_keeps_its_schedule_and_counts_what_it_could_not_send() {
    let server = RunningServer::start(&[]);
    let steady = bench_of(&server, &["--rate", "200", "--calls", "50", "--route", "fast"]);
    assert_eq!(number(&steady, "/measured/calls_answered"), 50.0);
    assert_eq!(number(&steady, "/measured/sent_late/count"), 50.0);
    // The last of 50 calls at 200 a second is due after 245 ms.
    assert!(number(&steady, "/measured/seconds") >= 0.2, "{steady:#}");
    let flooded = bench_of(&server, &["--rate", "100000", "--max-open", "1", "--calls", "500"]);
    let answered = number(&flooded, "/measured/calls_answered");
    let not_sent = number(&flooded, "/measured/calls_not_sent");
    assert!(answered >= 1.0 && not_sent >= 1.0, "{flooded:#}");
    assert_eq!(answered + not_sent, 500.0);
}

#[test]
fn failures_are_counted_by_code_and_reason() {
    let server = RunningServer::start(&[]);
    let report = bench_of(&server, &["--timeout", "1us", "--calls", "20", "--batch-size", "32"]);
    let failures = report["measured"]["failures"].as_array().expect("a list");
    let late = failures.iter().filter(|failure| failure["code"] == "DEADLINE_EXCEEDED");
    let counted: f64 = late.map(|failure| number(failure, "/latency/count")).sum();
    assert_eq!(counted, 20.0, "{report:#}");
    assert_eq!(number(&report, "/measured/calls_answered"), 0.0);
    assert_eq!(report["measured"]["latency"], Value::Null);
}

#[test]
fn cancelled_calls_leave_nothing_behind_and_the_others_are_right() {
    let server = RunningServer::start(&[]);
    let asked = [
        "--cancel-share",
        "0.5",
        "--verify",
        "--calls",
        "400",
        "--seed",
        "7",
        "--route",
        "fast",
    ];
    let report = bench_of(&server, &asked);
    let cancelled = number(&report, "/measured/calls_cancelled");
    let answered = number(&report, "/measured/calls_answered");
    assert!(cancelled > 0.0, "{report:#}");
    // HTTP/2 may close a connection on which many calls are reset; what else was open on it then fails, and is counted.
    let failures = report["measured"]["failures"].as_array().expect("a list");
    let failed: f64 = failures.iter().map(|failure| number(failure, "/latency/count")).sum();
    assert_eq!(cancelled + answered + failed, 400.0, "{report:#}");
    assert_eq!(number(&report, "/measured/wrong_answers"), 0.0);
    assert_eq!(number(&report, "/leftover/queued_texts"), 0.0);
}

#[test]
fn an_overload_is_measured_against_what_the_server_can_do() {
    let server = RunningServer::start(&[]);
    let asked = [
        "--capacity-factor",
        "3",
        "--duration",
        "300ms",
        "--batch-size",
        "32",
        "--timeout",
        "500ms",
    ];
    let report = bench_of(
        &server,
        &[
            &asked[..],
            &["--probe-health", "--concurrency", "2", "--bulk-callers", "1"],
        ]
        .concat(),
    );
    let capacity = number(&report, "/overload/capacity/calls_per_second");
    let offered = number(&report, "/overload/offered_calls_per_second");
    assert!((offered / capacity - 3.0).abs() < 1e-6, "{report:#}");
    assert!(number(&report, "/overload/kept") >= 0.0);
    assert!(report["overload"]["overloaded"]["failures"].is_array());
    assert!(number(&report, "/health/count") > 0.0);
}

#[test]
fn a_server_of_its_own_is_compared_with_both_references() {
    let models = root().join("models");
    let models = models.to_str().expect("a path");
    let fixed = [
        "--spawn", "--models", models, "--route", "fast", "--json", "-", "--rounds", "2",
    ];
    let fixed = [
        &fixed[..],
        &["--duration", "100ms", "--warm-up", "50ms", "--concurrency", "1"],
    ]
    .concat();
    for (reference, args) in [
        ("echo", &[][..]),
        (
            "onnx",
            &[
                "--reference-batch",
                "1",
                "--reference-window",
                "3",
                "--fast-instances",
                "1",
            ],
        ),
    ] {
        let report = bench(&[&fixed[..], &["--reference", reference], args].concat()).json();
        let comparison = &report["comparison"];
        assert_eq!(comparison["reference"], reference);
        for side in ["server", "reference_rounds"] {
            let rounds = comparison[side].as_array().expect("rounds");
            assert_eq!(rounds.len(), 2, "{side}");
            for round in rounds {
                assert!(number(round, "/texts_per_second") > 0.0, "{round:#}");
                assert!(number(round, "/cpu_us_per_text") >= 0.0, "{round:#}");
            }
        }
        assert!(number(comparison, "/ratios/wall") > 0.0);
        if reference == "onnx" {
            assert_eq!(comparison["description"]["model"], "sentiment-fast@1");
            assert_eq!(comparison["description"]["sessions"], 1);
            assert_eq!(comparison["description"]["window"], 3);
            assert!(number(comparison, "/reference_rounds/0/single/run_p50_ms") > 0.0);
            assert!(comparison["ratios"]["added_p50_ms"].is_number());
        }
    }
}

#[test]
fn the_grid_is_measured_in_a_short_form() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut grid = clean("python3");
    grid.arg(root().join("benches/grid.py")).arg(folder.path());
    grid.args(["--program", env!("CARGO_BIN_EXE_tandem"), "--minilm"]);
    // The shipped deep model in place of one of MiniLM's size, which nothing here makes.
    grid.arg(root().join("models"));
    grid.args(["--tokens", "8", "--texts", "3", "--connections", "2", "--rate", "100"]);
    grid.args(["--rounds", "1", "--duration", "50ms", "--limit", "600"]);
    let told = finish(grid.args(["--connection-duration", "100ms"]), b"");
    assert_eq!(told.code, Some(0), "{told:?}");
    let found = std::fs::read(folder.path().join("grid.json")).expect("what was found");
    let found: Value = serde_json::from_slice(&found).expect("JSON");
    assert_eq!(found["left_out"], Value::Array(vec![]), "{told:?}");
    for (at, model) in ["minilm", "fast"].into_iter().enumerate() {
        let cell = &found["cells"][at];
        assert_eq!(cell["model"], model);
        assert_eq!((number(cell, "/tokens"), number(cell, "/failed")), (8.0, 0.0));
        assert!(number(cell, "/server_us") > 0.0 && number(cell, "/reference_us") >= 0.0);
    }
    assert_eq!(number(&found, "/connections/0/failed"), 0.0);
    assert!(number(&found, "/connections/0/p50_ms") > 0.0);
}

#[test]
fn people_get_a_comparison_without_json() {
    let models = root().join("models").display().to_string();
    let asked = [
        "--spawn",
        "--models",
        &models,
        "--route",
        "fast",
        "--reference",
        "onnx",
        "--reference-batch",
        "4",
    ];
    let short = [
        "--rounds",
        "1",
        "--duration",
        "50ms",
        "--warm-up",
        "0s",
        "--fast-instances",
        "1",
    ];
    let told = bench(&[&asked[..], &short].concat()).success();
    assert!(
        told.contains("\n1 round\nbare model: sentiment-fast@1; sessions 1, threads 1 each, batch 4, window 8\n"),
        "{told}"
    );
    assert!(
        !told.contains('{') && told.lines().all(|line| line.chars().count() <= 80),
        "{told}"
    );
}

#[test]
fn a_version_by_name_is_compared_with_itself_and_no_other_one() {
    let models = FastModelCopy::new();
    let repository = models.repository().display().to_string();
    let server = RunningServer::start_with(&[&["--models", &repository][..], &FAST_ONLY].concat());
    // The bare model would be read from here.
    models.add_version("2");
    let address = server.grpc.to_string();
    let asked = [
        "--server",
        &address,
        "--models",
        &repository,
        "--model",
        "sentiment-fast@1",
        "--reference",
        "onnx",
        "--rounds",
        "1",
        "--duration",
        "50ms",
        "--warm-up",
        "0s",
    ];
    let refused = bench(&asked);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("tandem: no such model in "), "{refused:?}");
}

#[test]
fn people_get_a_table() {
    let server = RunningServer::start(&[]);
    let address = server.grpc.to_string();
    let finished = bench(&[
        "--server",
        &address,
        "--calls",
        "8",
        "--route",
        "fast",
        "--warm-up",
        "0s",
        "--color",
        "always",
    ]);
    assert_eq!(finished.stderr, "", "no progress bar off a terminal");
    let table = finished.success();
    assert!(table.contains("\u{1b}[1m") && !table.contains('\\'), "{table}");
    assert!(
        table.contains("processor time: server unknown; this client "),
        "{table}"
    );
    for part in [
        "sentiment-fast@1",
        "8 calls answered",
        "texts/s",
        "p99.9",
        "answers",
        "queue",
        "inference",
    ] {
        assert!(table.contains(part), "{part}: {table}");
    }
}

#[test]
fn a_server_out_of_reach_or_that_refuses_the_calls_exits_1_with_one_line() {
    // Port 0 is nobody's.
    let nobody = bench(&["--server", "127.0.0.1:0", "--calls", "1"]);
    assert_eq!((nobody.code, &*nobody.stdout), (Some(1), ""), "{nobody:?}");
    assert!(nobody.complaint().starts_with("tandem: 127.0.0.1:0: "), "{nobody:?}");
    let server = RunningServer::start(&[]);
    let address = server.grpc.to_string();
    let refused = bench(&["--server", &address, "--task", "weather", "--calls", "1"]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.complaint().contains("task"), "{refused:?}");
    let unstarted = bench(&["--spawn", "--models", "/nowhere", "--calls", "1"]);
    assert_eq!(unstarted.code, Some(1), "{unstarted:?}");
    assert!(unstarted.complaint().contains("/nowhere"), "{unstarted:?}");
    let missing = bench(&["--server", &address, "--texts", "/nowhere/texts.tsv"]);
    assert_eq!(missing.code, Some(1), "{missing:?}");
    assert!(
        missing.complaint().starts_with("tandem: /nowhere/texts.tsv: "),
        "{missing:?}"
    );
}
