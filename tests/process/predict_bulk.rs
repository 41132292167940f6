//! `tandem predict --out`: every row of files with its answer, other columns kept, and nothing lost or doubled however
//! often the run is killed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::command::{Finished, finish, tandem};
use crate::support::models::{FAST_ONLY, FastModelCopy};
use crate::support::reviews::reviews;
use crate::support::{LIMIT, RunningServer, root};

/// A folder with files to read and a place to write.
pub struct Folder(TempDir);

impl Folder {
    pub fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for (name, content) in files {
            fs::write(folder.path().join(name), content).expect("written");
        }
        Self(folder)
    }

    pub fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.at(name)).expect("it is there")
    }

    pub fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).expect("a folder");
        let mut names: Vec<String> = entries
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    /// The command, in this folder, with the fast model.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = tandem();
        command
            .current_dir(self.0.path())
            .args(["predict", "--route", "fast", "--models"]);
        command.arg(root().join("models")).args(args);
        command
    }

    pub fn run(&self, args: &[&str]) -> Finished {
        finish(&mut self.command(args), b"")
    }
}

pub fn objects(text: &str) -> Vec<Value> {
    let lines = text.lines().map(serde_json::from_str);
    lines.collect::<Result<_, _>>().expect("an object a line")
}

#[test]
fn columns_are_kept_and_answers_are_added_in_every_text_format() {
    let folder = Folder::new(&[
        (
            "a.csv",
            "id,text,note\n1,정말 재미있게 봤어요,\"x, y\"\n2,시간이 아까운 영화,\n",
        ),
        (
            "b.jsonl",
            "{\"text\": \"정말 재미있게 봤어요\", \"id\": 1.10}\n{\"id\": 2, \"document\": \"시간이 아까운 영화\"}\n",
        ),
        ("c.txt", "정말 재미있게 봤어요\n시간이 아까운 영화\n"),
    ]);
    assert_eq!(folder.run(&["--file", "a.csv", "--out", "out.csv"]).code, Some(0));
    let out = folder.read("out.csv");
    let mut lines = out.lines();
    assert_eq!(
        lines.next(),
        Some("id,text,note,label,confidence,tier,decision,model,error")
    );
    let first = lines.next().expect("a row");
    assert!(
        first.starts_with("1,정말 재미있게 봤어요,\"x, y\",positive,0."),
        "{first}"
    );
    assert!(first.ends_with(",fast,requested,sentiment-fast@1,"), "{first}");

    folder
        .run(&[
            "--file",
            "b.jsonl",
            "--out",
            "out.jsonl",
            "--scores",
            "--prefix",
            "said_",
        ])
        .success();
    let out = folder.read("out.jsonl");
    assert!(
        out.starts_with("{\"text\": \"정말 재미있게 봤어요\", \"id\": 1.10,\"said_label\":\"positive\""),
        "{out}"
    );
    let rows = objects(&out);
    assert_eq!(
        (&rows[1]["id"], &rows[1]["said_label"], &rows[1]["said_error"]),
        (&2.into(), &"negative".into(), &Value::Null)
    );
    assert!(rows[0]["said_score:positive"].as_f64() > Some(0.5), "{out}");

    folder.run(&["--file", "c.txt", "--out", "out.tsv"]).success();
    assert!(folder.read("out.tsv").starts_with("text\tlabel\tconfidence\t"));
    folder.run(&["--file", "b.jsonl", "--out", "b.csv"]).success();
    assert!(
        folder.read("b.csv").starts_with("document,id,text,label,"),
        "{}",
        folder.read("b.csv")
    );
    let piped = finish(&mut folder.command(&["-", "--out", "-"]), "좋다\n".as_bytes()).success();
    assert_eq!(objects(&piped)[0]["text"], "좋다");
    // Nothing else is left beside what was asked for.
    assert_eq!(
        folder.names(),
        ["a.csv", "b.csv", "b.jsonl", "c.txt", "out.csv", "out.jsonl", "out.tsv"]
    );
}

#[test]
fn several_files_and_patterns_are_one_job() {
    let folder = Folder::new(&[
        ("b.csv", "text,id\n나쁘다,2\n"),
        ("a.csv", "text,id\n좋다,1\n"),
        ("c.csv", "text,other\n좋다,3\n"),
    ]);
    folder.run(&["--file", "[ab].csv", "--out", "out.jsonl"]).success();
    let ids: Vec<Value> = objects(&folder.read("out.jsonl"))
        .iter()
        .map(|row| row["id"].clone())
        .collect();
    assert_eq!(ids, ["1", "2"]);
    let other = folder.run(&["--file", "a.csv", "c.csv", "--out", "out.csv"]);
    assert_eq!(other.code, Some(1), "{other:?}");
    assert!(
        other.complaint().contains("other columns") && other.complaint().contains("--resume"),
        "{other:?}"
    );
    let none = folder.run(&["--file", "x*.csv", "--out", "none.csv"]);
    assert!(
        none.code == Some(1) && none.complaint().contains("no file fits"),
        "{none:?}"
    );
}

#[test]
fn what_can_not_be_right_is_refused_before_any_work() {
    let folder = Folder::new(&[("a.csv", "text,label\n좋다,1\n"), ("there.csv", "")]);
    for (args, code, said) in [
        (&["--file", "a.csv", "--out", "out.csv"][..], 1, "--prefix"),
        (&["--file", "a.csv", "--out", "there.csv"], 2, "is there already"),
        (&["--file", "a.csv", "--out", "a.csv"], 2, "what is read too"),
        (&["--file", "a.csv", "--out", "out.xyz"], 2, "says no format"),
        (&["--file", "a.csv", "--out", "out.csv", "--task", "*"], 2, "one --task"),
        (&["-", "--out", "out.csv", "--resume"], 2, "standard input"),
        (&["--file", "a.csv", "there.csv"], 2, "go with --out alone"),
    ] {
        let refused = folder.run(args);
        assert_eq!(refused.code, Some(code), "{refused:?}");
        assert!(refused.complaint().contains(said), "{refused:?}");
    }
}

#[test]
fn a_row_that_fails_is_a_row_with_an_error_up_to_a_bound() {
    let long = "가".repeat(6000);
    let bad = format!(
        "{{\"text\": \"좋다\"}}\n{{\"text\": null, \"id\": 7}}\nno\n{{\"text\": \"{long}\"}}\n{{\"text\": \"나쁘다\"}}\n"
    );
    let folder = Folder::new(&[("a.jsonl", &bad)]);
    let run = folder.run(&["--file", "a.jsonl", "--out", "out.jsonl"]);
    assert_eq!(run.code, Some(3), "{run:?}");
    assert!(
        run.complaint()
            .contains("3 of 5 rows have no answer; the first, line 2: "),
        "{run:?}"
    );
    let rows = objects(&folder.read("out.jsonl"));
    assert_eq!(rows.len(), 5);
    assert_eq!((&rows[1]["id"], &rows[1]["label"]), (&7.into(), &Value::Null));
    for (row, said) in [
        (1, "line 2: `text` is not a string"),
        (2, "line 3: "),
        (3, "18000 bytes"),
    ] {
        assert!(
            rows[row]["error"].as_str().is_some_and(|error| error.contains(said)),
            "{}",
            rows[row]["error"]
        );
    }
    assert_eq!(rows[4]["label"], "negative");
    let bounded = &["--file", "a.jsonl", "--out", "few.jsonl", "--resume", "--max-errors"];
    let stopped = folder.run(&[bounded, &["2"][..]].concat());
    assert_eq!(stopped.code, Some(1), "{stopped:?}");
    assert!(stopped.complaint().contains("more than --max-errors 2"), "{stopped:?}");
    // With a wider bound it goes on; asked once more, it has nothing to do.
    for _ in 0..2 {
        assert_eq!(folder.run(&[bounded, &["3"][..]].concat()).code, Some(3));
    }
    assert_eq!(folder.read("few.jsonl"), folder.read("out.jsonl"));
}

/// Numbers that look random and are the same in every run.
struct Seeded(u64);

impl Seeded {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound.max(1)
    }
}

/// Waits until the program has written so many bytes or ends; whether it ended.
pub fn wait_for(child: &mut Child, partial: &Path, bytes: u64) -> bool {
    let began = Instant::now();
    while began.elapsed() < LIMIT {
        if child.try_wait().expect("a child").is_some() {
            return true;
        }
        if partial.metadata().is_ok_and(|about| about.len() >= bytes) {
            return false;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("it neither writes nor ends");
}

/// Some files of rows, which are read as one.
pub fn many_rows(folder: &Folder, rows: usize) {
    let reviews = reviews(500);
    for file in 0..2 {
        let mut csv = "id,text,note\n".to_owned();
        for row in 0..rows / 2 {
            let text = reviews[(row * 7 + file) % reviews.len()].replace('"', "\"\"");
            csv.push_str(&format!("{file}-{row},\"{text}\",n{}\n", row % 10));
        }
        fs::write(folder.at(&format!("in-{file}.csv")), csv).expect("written");
    }
}

/// How often the program is killed: five times, or as the environment says.
fn kills() -> u64 {
    std::env::var("KILLS").map_or(5, |kills| kills.parse().expect("KILLS is a number"))
}

#[test]
fn a_run_that_is_killed_again_and_again_writes_what_an_unbroken_one_does() {
    let folder = Folder::new(&[]);
    many_rows(&folder, 20_000);
    folder
        .run(&[
            "--file",
            "in-*.csv",
            "--out",
            "whole.csv",
            "--scores",
            "--progress",
            "0",
        ])
        .success();
    let whole = folder.read("whole.csv");
    assert_eq!(whole.lines().count(), 20_001);
    let mut random = Seeded(7);
    let (mut killed, mut went_on) = (0, 0);
    let args = [
        "--file",
        "in-*.csv",
        "--out",
        "out.csv",
        "--scores",
        "--progress",
        "0",
        "--resume",
    ];
    while killed < kills() {
        let written = folder.at(".out.csv.partial").metadata().map_or(0, |about| about.len());
        // At places all over the file, and now and then before anything is written.
        let left = whole.len() as u64 - written;
        let until = written + random.below(left * 2 / (kills() - killed + 1));
        let mut command = folder.command(&args);
        let mut child = command.stderr(Stdio::null()).spawn().expect("the program");
        if wait_for(&mut child, &folder.at(".out.csv.partial"), until) {
            break;
        }
        child.kill().expect("killed");
        child.wait().expect("its end");
        killed += 1;
        went_on += u64::from(folder.at(".out.csv.journal").exists());
    }
    assert!(killed >= 2 && went_on >= 1, "{killed} {went_on}");
    folder.run(&args).success();
    assert!(folder.read("out.csv") == whole, "the same bytes, after {killed} kills");
    assert!(!folder.at(".out.csv.partial").exists());
}

#[test]
fn a_run_goes_on_only_with_the_same_files_and_options() {
    let bad = format!("{}no\n", "{\"text\": \"좋다\"}\n".repeat(3000));
    let folder = Folder::new(&[("a.jsonl", &bad)]);
    let args = ["--file", "a.jsonl", "--out", "out.jsonl", "--max-errors", "0"];
    assert_eq!(folder.run(&args).code, Some(1));
    let with = |more: &[&str]| folder.run(&[&args[..], more].concat());
    for (more, said) in [
        (&[][..], "--resume goes on from there"),
        (&["--resume", "--scores"], "--scores was not given, now it is set"),
        (&["--resume", "--prefix", "x"], "--prefix was not given, now it is x"),
    ] {
        let refused = with(more);
        assert_eq!(refused.code, Some(2), "{refused:?}");
        assert!(refused.complaint().contains(said), "{refused:?}");
    }
    fs::write(folder.at("a.jsonl"), "{\"text\": \"좋다\"}\n").expect("written");
    let refused = with(&["--resume"]);
    assert!(
        refused.code == Some(2) && refused.complaint().contains("a.jsonl: was changed"),
        "{refused:?}"
    );
}

/// A server with the fast model alone, and what it is started with beside that.
fn fast_server(models: &FastModelCopy, args: &[&str]) -> RunningServer {
    let models = models.repository().display().to_string();
    RunningServer::start_with(&[&["--models", &models][..], &FAST_ONLY, args].concat())
}

#[test]
fn servers_share_the_rows_and_one_that_dies_costs_none() {
    let models = FastModelCopy::new();
    // One that soon has no room, and says so.
    let small = fast_server(&models, &["--max-queue-texts", "128"]);
    let other = fast_server(&models, &[]);
    let addresses = format!("{},{}", small.grpc, other.grpc);
    let folder = Folder::new(&[]);
    many_rows(&folder, 20_000);
    folder.run(&["--file", "in-*.csv", "--out", "whole.csv"]).success();
    let whole = folder.read("whole.csv");
    let args = ["--file", "in-*.csv", "--out", "out.csv", "--addr", &addresses];
    let mut child = folder
        .command(&args)
        .stderr(Stdio::null())
        .spawn()
        .expect("the program");
    let ended = wait_for(&mut child, &folder.at(".out.csv.partial"), whole.len() as u64 / 4);
    assert!(!ended, "it was not done before the kill");
    other.signal("KILL");
    let status = child.wait().expect("its end");
    assert_eq!(status.code(), Some(0));
    assert!(folder.read("out.csv") == whole, "each row once, in order");
}

#[test]
fn without_any_server_a_job_ends_and_can_be_taken_up_again() {
    let models = FastModelCopy::new();
    let server = fast_server(&models, &[]);
    let folder = Folder::new(&[]);
    many_rows(&folder, 20_000);
    let args = [
        "--file",
        "in-*.csv",
        "--out",
        "out.csv",
        "--resume",
        "--patience",
        "1",
        "--addr",
    ];
    let address = server.grpc.to_string();
    let mut command = folder.command(&[&args[..], &[&address]].concat());
    let mut child = command.stderr(Stdio::piped()).spawn().expect("the program");
    assert!(
        !wait_for(&mut child, &folder.at(".out.csv.partial"), 200_000),
        "it was not done before the kill"
    );
    server.signal("KILL");
    let output = child.wait_with_output().expect("its end");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(
        told.contains("no server answered for") && told.contains("--resume goes on"),
        "{told}"
    );
    let gone = folder.run(&[&args[..], &[&address]].concat());
    assert!(gone.code == Some(1) && gone.complaint().contains(&address), "{gone:?}");
    let next = fast_server(&models, &[]);
    let addresses = format!("{address},{}", next.grpc);
    folder.run(&[&args[..], &[&addresses]].concat()).success();
    assert_eq!(folder.read("out.csv").lines().count(), 20_001);
}
