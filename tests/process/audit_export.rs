//! `tandem audit export`: texts of live traffic come out as lines whose label people fill in, for `tandem evaluate` and others
//! to read.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::support::command::{Finished, finish, tandem};
use crate::support::models::{FAST_ONLY, FastModelCopy};
use crate::support::reviews::reviews;
use crate::support::{RunningServer, curl};

const TOKEN: &str = "operator-0123456789";

/// A server of the fast model with these settings.
fn server(models: &FastModelCopy, settings: &str) -> RunningServer {
    let config = models.repository().join("tandem.toml");
    fs::write(&config, settings).expect("written");
    let mut command = tandem();
    command.arg("serve").args(crate::support::server::free_ports());
    command.arg("--models").arg(models.repository()).args(FAST_ONLY);
    command
        .args(["--admin-addr", "127.0.0.1:0"])
        .arg("--config")
        .arg(config);
    command.env("TANDEM_ADMIN_TOKENS", format!("operator:{TOKEN}"));
    let server = RunningServer::spawn(command);
    server.wait_ready();
    server
}

fn export(server: &RunningServer, args: &[&str]) -> Finished {
    let address = server.admin.expect("the admin port is open").to_string();
    let mut command = tandem();
    command.args(["audit", "export", "--server", &address]).args(args);
    finish(command.env("TANDEM_ADMIN_TOKEN", TOKEN), b"")
}

fn evaluate(models: &FastModelCopy, args: &[&str]) -> Finished {
    let mut command = tandem();
    command.arg("evaluate").arg("--models").arg(models.repository());
    finish(command.args(["--model", "sentiment-fast"]).args(args), b"")
}

fn lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

#[test]
fn what_was_kept_is_exported_labelled_and_evaluated() {
    let models = FastModelCopy::new();
    let at = |name: &str| models.repository().join(name).display().to_string();
    let kept_file = at("kept.jsonl");
    let settings = format!(
        "keep_texts = 600\nkeep_share = 1.0\nkeep_file = {kept_file:?}\n[tasks.sentiment.abstain]\nmin_confidence = 0.9\n"
    );
    let server = server(&models, &settings);
    // More than a page of them.
    let texts = reviews(100);
    let of_second_page = ["한 쪽에 다 들어가지 않는 글"];
    let answers = [
        &texts.iter().map(String::as_str).collect::<Vec<_>>()[..],
        &of_second_page,
    ]
    .map(|texts| {
        let (status, answer) = curl(
            server.http(),
            "/v1/predict",
            &[],
            json!({ "texts": texts }).to_string().as_bytes(),
        );
        assert_eq!(status, 200, "{answer}");
        answer["predictions"].as_array().expect("a list").clone()
    });
    let withheld = |answer: &&Value| answer["decision"] == "DECISION_ABSTAINED";
    let count = answers.iter().flatten().filter(withheld).count();
    assert!((1..101).contains(&count));

    let out = at("today.jsonl");
    let exported = export(&server, &["--out", &out]);
    assert_eq!(
        exported.complaint(),
        format!("tandem: 101 texts: {count} abstained, 0 differed, 101 random")
    );
    assert_eq!(exported.success(), "");
    let mode = fs::metadata(&out).expect("the file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let mut kept = lines(&fs::read_to_string(&out).expect("the file"));
    assert_eq!(kept.len(), 101);
    for (line, answer) in kept.iter().zip(answers.iter().flatten()) {
        assert_eq!(line["label"], Value::Null);
        assert_eq!(line["withheld"], withheld(&answer));
        let given = answer["label"].as_str().expect("a label");
        assert!(given.is_empty() || line["predicted"] == given, "{line} {answer}");
        assert_eq!((&line["task"], &line["tier"]), (&json!("sentiment"), &json!("fast")));
        assert_eq!(line["model"], "sentiment-fast@1");
    }
    // On standard output, of one reason and task.
    let abstained = export(&server, &["--reason", "abstained", "--task", "sentiment"]).success();
    let abstained = lines(&abstained);
    assert_eq!(abstained.len(), count);
    assert!(
        abstained
            .iter()
            .all(|line| line["reasons"] == json!(["abstained", "random"]))
    );

    // Without labels it is no labelled file, and says so; with some, the others are told or left out.
    let found = evaluate(&models, &[&out]);
    assert_eq!(found.code, Some(2), "{found:?}");
    assert!(
        found.stderr.contains("no row has a value in `label`"),
        "{}",
        found.stderr
    );
    for line in kept.iter_mut().skip(1) {
        line["label"] = line["predicted"].clone();
    }
    let labelled = at("labelled.jsonl");
    let written: Vec<String> = kept.iter().map(Value::to_string).collect();
    fs::write(&labelled, written.join("\n")).expect("written");
    let found = evaluate(&models, &[&labelled]);
    assert_eq!(found.code, Some(2), "{found:?}");
    assert!(
        found.stderr.contains("--skip-unlabelled leaves them out"),
        "{}",
        found.stderr
    );
    let found = evaluate(&models, &[&labelled, "--skip-unlabelled", "--json", "-"]).json();
    assert_eq!(found["texts"], 100);
    assert_eq!(found["contenders"][0]["accuracy"]["value"], 1.0);

    // A file that is there may hold labels.
    let again = export(&server, &["--out", &labelled]);
    assert_eq!(again.code, Some(2));
    assert!(again.complaint().contains("labels may be in it"), "{again:?}");
    assert_eq!(fs::read_to_string(&labelled).expect("the file"), written.join("\n"));

    // The server wrote the same lines, and the last of them before its end.
    server.signal("TERM");
    let (code, log) = server.wait_exit();
    assert_eq!(code, Some(0), "{log:?}");
    let by_server = lines(&fs::read_to_string(&kept_file).expect("the file"));
    let texts = |lines: &[Value]| lines.iter().map(|line| line["text"].clone()).collect::<Vec<_>>();
    assert_eq!(texts(&by_server), texts(&kept));
}

#[test]
fn what_can_not_be_exported_is_one_line() {
    let models = FastModelCopy::new();
    let off = server(&models, "");
    let found = export(&off, &[]);
    assert_eq!((found.code, found.stdout.as_str()), (Some(1), ""));
    assert!(
        found.complaint().contains("keeps no texts: set keep_texts"),
        "{found:?}"
    );
    let other = FastModelCopy::new();
    let on = server(&other, "keep_texts = 3");
    let found = export(&on, &["--task", "other"]);
    assert_eq!(found.code, Some(1));
    assert!(
        found.complaint().contains("NotFound: task: there is no task `other`"),
        "{found:?}"
    );
    for (args, expected) in [
        (["--out", "/nowhere/a.jsonl"], "no such folder"),
        (["--reason", "because"], "possible values: abstained, differed, random"),
    ] {
        let found = export(&on, &args);
        assert_eq!(found.code, Some(2), "{found:?}");
        assert!(found.stderr.contains(expected), "{found:?}");
    }
}

#[test]
fn what_is_asked_without_a_server_is_no_traffic_and_a_look_before_a_start_leaves_nothing() {
    let models = FastModelCopy::new();
    let kept = models.repository().join("kept.jsonl");
    let config = models.repository().join("tandem.toml");
    let settings = format!(
        "keep_texts = 300\nkeep_share = 1.0\nkeep_file = {:?}\n[tasks.sentiment.abstain]\nmin_confidence = 0.9\n",
        kept.display().to_string()
    );
    fs::write(&config, settings).expect("written");
    let run = |args: &[&str]| {
        let mut command = tandem();
        command.args(args).arg("--models").arg(models.repository());
        finish(command.arg("--config").arg(&config).args(FAST_ONLY), b"")
    };
    let checked = run(&["serve", "--check"]);
    assert_eq!(checked.code, Some(0), "{checked:?}");
    assert!(!kept.exists(), "it was only looked at");
    let mut predict = tandem();
    predict.args(["predict", "좋다", "--models"]).arg(models.repository());
    finish(predict.arg("--config").arg(&config), b"").success();
    // Of labelled texts some answers are withheld: they are measured as if they were given.
    let lines: Vec<String> = reviews(60)
        .iter()
        .enumerate()
        .map(|(at, text)| {
            let label = ["negative", "positive"][at % 2];
            json!({ "text": text, "label": label }).to_string()
        })
        .collect();
    let labelled = models.repository().join("labelled.jsonl");
    fs::write(&labelled, lines.join("\n") + "\n").expect("written");
    let mut evaluate = tandem();
    evaluate.arg("evaluate").arg(&labelled).args(["--route", "fast"]);
    evaluate.arg("--models").arg(models.repository());
    finish(evaluate.arg("--config").arg(&config), b"").success();
    assert!(!kept.exists(), "nothing of it was kept");
}
