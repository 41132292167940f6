//! Models with several heads, and several tasks in one go, from the command line.

use std::fs;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::command::{finish, tandem};
use crate::support::root;

/// A repository of the shipped fast model and the small model with a head for `sentiment` and one for `toxicity`.
fn repository() -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let sources = [
        root().join("models/sentiment-fast/1"),
        root().join("tests/data/heads/two-heads/1"),
    ];
    for from in sources {
        let name = from.parent().and_then(Path::file_name).expect("a name");
        let to = folder.path().join(name).join("1");
        fs::create_dir_all(&to).expect("a folder");
        for entry in fs::read_dir(from).expect("the model") {
            let path = entry.expect("an entry").path();
            fs::copy(&path, to.join(path.file_name().expect("a name"))).expect("a copy");
        }
    }
    folder
}

#[test]
fn predict_asks_several_tasks_at_once() {
    let repository = repository();
    let predict = |args: &[&str]| {
        let mut command = tandem();
        command.arg("predict").args(args).arg("--models").arg(repository.path());
        finish(&mut command, b"")
    };
    let texts = ["the film is good", "what a bad day"];
    let lines = predict(&[texts[0], texts[1], "--task", "*", "--json"]).success();
    let found: Vec<[String; 3]> = lines
        .lines()
        .map(|line| {
            let line: Value = serde_json::from_str(line).expect("a line of JSON");
            ["text", "task", "label"].map(|key| line[key].as_str().expect(key).to_owned())
        })
        .collect();
    let expected = [
        [texts[0], "sentiment", "positive"],
        [texts[0], "toxicity", "clean"],
        [texts[1], "sentiment", "negative"],
        [texts[1], "toxicity", "clean"],
    ];
    assert_eq!(found, expected.map(|row| row.map(str::to_owned)));
    let table = predict(&[texts[0], "--task", "toxicity", "--task", "sentiment", "--format", "csv"]).success();
    let rows: Vec<&str> = table.lines().collect();
    assert!(rows[0].starts_with("text,task,label,confidence"), "{table}");
    assert!(rows[1].starts_with("the film is good,toxicity,clean,"), "{table}");
    // One that there is not has its row, and the others have theirs.
    let one_missing = predict(&[texts[0], "--task", "sentiment", "--task", "weather", "--json"]);
    assert_eq!(one_missing.code, Some(1), "{one_missing:?}");
    assert!(
        one_missing.stderr.contains("1 of 2 answers is missing"),
        "{one_missing:?}"
    );
    assert!(
        one_missing.stdout.contains("there is no task `weather`"),
        "{one_missing:?}"
    );
    let refused = predict(&[texts[0], "--task", "sentiment", "--task", "toxicity", "--explain"]);
    assert_eq!(refused.code, Some(2), "{refused:?}");
}

#[test]
fn a_head_is_calibrated_and_evaluated_as_the_deep_model_of_its_task() {
    let repository = repository();
    let all = fs::read_to_string(root().join("tests/data/reviews.tsv")).expect("the reviews");
    let lines: Vec<&str> = all.lines().take(301).collect();
    let reviews = repository.path().join("reviews.tsv");
    fs::write(&reviews, lines.join("\n") + "\n").expect("written");
    let run = |args: &[&str]| {
        let mut command = tandem();
        command.arg(args[0]).arg(&reviews).args(&args[1..]);
        command.args(["--task", "sentiment", "--models"]).arg(repository.path());
        finish(&mut command, b"")
    };
    run(&["calibrate", "--target", "cost<=0.5"]).success();
    let calibration = fs::read_to_string(repository.path().join("sentiment.cascade.toml")).expect("written");
    assert!(calibration.contains("model = \"two-heads\""), "{calibration}");
    let told = run(&["evaluate", "--route", "deep"]).success();
    assert!(told.contains("negative") && !told.contains("toxicity"), "{told}");
    // The start takes it.
    let mut command = tandem();
    command.args(["predict", "좋다", "--task", "sentiment", "--route", "cascade", "--json"]);
    command.arg("--models").arg(repository.path());
    assert!(finish(&mut command, b"").success().contains("\"label\""));
}
