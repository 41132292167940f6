//! A server in a control group with a quota, as a container has it: its threads follow the quota, not the machine's cores,
//! also where the quota changes while it serves.
//!
//! Needs the right to make a control group with the `cpu` controller, of version 1 or 2, and two cores. Where that is
//! missing, it says so on standard error, and only the test by affinity is left.

#![cfg(target_os = "linux")]

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::support::command::{clean, curl_get, finish};
use crate::support::server::free_ports;
use crate::support::{RunningServer, curl, root};

/// A period of the scheduler, in microseconds: the kernel's own choice.
const PERIOD: u32 = 100_000;

/// A control group. It goes when this is dropped, after the processes in it.
struct Group {
    folder: PathBuf,
    second: bool,
}

impl Group {
    /// A group that may use so much of each period; nothing where none can be made.
    fn with_quota(quota: u32) -> Option<Self> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("tandem-quota-{}-{number}", std::process::id());
        let mut tried = Vec::new();
        for (mounted, second) in [
            ("/sys/fs/cgroup/cpu", false),
            ("/sys/fs/cgroup/cpu,cpuacct", false),
            ("/sys/fs/cgroup", true),
        ] {
            let folder = PathBuf::from(mounted).join(&name);
            if let Err(error) = fs::create_dir(&folder) {
                tried.push(format!("{}: {error}", folder.display()));
                continue;
            }
            let group = Self { folder, second };
            match group.set_quota(quota) {
                Ok(()) => return Some(group),
                Err(error) => tried.push(format!("a quota in {mounted}: {error}")),
            }
        }
        eprintln!("skipped: no control group with a quota can be made here: {tried:?}");
        None
    }

    fn set_quota(&self, quota: u32) -> std::io::Result<()> {
        let (file, text) = if self.second {
            ("cpu.max", format!("{quota} {PERIOD}"))
        } else {
            ("cpu.cfs_quota_us", quota.to_string())
        };
        // Never creates the file: without the controller it is not there.
        let mut file = fs::OpenOptions::new().write(true).open(self.folder.join(file))?;
        std::io::Write::write_all(&mut file, text.as_bytes())
    }

    /// A server that is in this group from its first moment.
    fn serve(&self) -> RunningServer {
        let mut command = clean("sh");
        let enter = r#"echo $$ > "$0/cgroup.procs" && exec "$@""#;
        command.args(["-c", enter]).arg(&self.folder);
        command.arg(env!("CARGO_BIN_EXE_tandem"));
        ready(command)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir(&self.folder) {
            eprintln!("{} is left behind: {error}", self.folder.display());
        }
    }
}

/// Starts the program that `command` ends with, and waits until it is ready.
fn ready(mut command: Command) -> RunningServer {
    command.arg("serve").args(free_ports());
    command.arg("--models").arg(root().join("models"));
    let server = RunningServer::spawn(command);
    server.wait_ready();
    server
}

/// The cores that this process may use, by its affinity.
fn cores() -> Vec<String> {
    let status = fs::read_to_string("/proc/self/status").expect("Linux has it");
    let line = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    let ranges = line.expect("Linux has the line").trim().split(',');
    let each = ranges.flat_map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let number = |text: &str| text.parse::<u32>().expect("a number");
        number(first)..=number(last)
    });
    each.map(|core| core.to_string()).collect()
}

/// Whether there are two cores, without which nothing here could be told apart.
fn has_two_cores() -> bool {
    let enough = cores().len() >= 2;
    if !enough {
        eprintln!("skipped: a quota of one core changes nothing on one core");
    }
    enough
}

/// Asks both models.
fn answers(server: &RunningServer) {
    for do_fast in [true, false] {
        let body = format!(r#"{{"text": "영화", "do_fast": {do_fast}}}"#);
        assert_eq!(curl(server.http(), "/predict", &[], body.as_bytes()).0, 200);
    }
}

/// How many cores the server says there are.
fn counted(server: &RunningServer) -> u32 {
    let metrics = curl_get(server.http(), "/metrics");
    let line = metrics.lines().find_map(|line| line.strip_prefix("tandem_cores "));
    let line = line.unwrap_or_else(|| panic!("no line in {metrics}"));
    line.parse().expect("a number")
}

/// Waits until the server says that the cores changed.
fn follows(server: &RunningServer, before: u32, now: u32) {
    server.logged_where("the cores changed", |line| {
        line["cores"] == now && line["before"] == before
    });
    assert_eq!(counted(server), now);
    answers(server);
}

/// How many instances the deep model has, by the log.
fn deep_instances(server: &RunningServer) -> serde_json::Value {
    server.logged_where("model serves", |line| line["tier"] == "deep")["instances"].clone()
}

#[test]
fn with_a_quota_of_one_core_two_threads_run_models_however_many_cores_there_are() {
    if !has_two_cores() {
        return;
    }
    let Some(group) = Group::with_quota(PERIOD) else { return };
    let server = group.serve();
    answers(&server);
    assert_eq!(counted(&server), 1);
    assert_eq!(deep_instances(&server), 1);
    assert_eq!(server.model_threads(), ["sentiment-deep-", "sentiment-fast-"]);
    let of = |start: &str| server.threads().iter().filter(|name| name.starts_with(start)).count();
    assert_eq!(of("preprocess-"), 2, "a text that never ends would block the only one");
    assert!(of("tokio-") <= 1 + 2, "one that answers callers, two for blocking work");
    drop(server);
    // Half a core more: a second thread would use it up before the period ends.
    group.set_quota(PERIOD * 3 / 2).expect("a quota");
    let server = group.serve();
    assert_eq!(counted(&server), 1);
    assert_eq!(deep_instances(&server), 1);
}

#[test]
fn a_quota_that_changes_while_the_server_runs_is_followed_down_and_up() {
    if !has_two_cores() {
        return;
    }
    let Some(group) = Group::with_quota(2 * PERIOD) else {
        return;
    };
    let server = group.serve();
    answers(&server);
    assert_eq!(counted(&server), 2);
    assert_eq!(deep_instances(&server), 2);
    group.set_quota(PERIOD).expect("a quota");
    follows(&server, 2, 1);
    group.set_quota(2 * PERIOD).expect("a quota");
    follows(&server, 1, 2);
}

#[test]
fn an_affinity_that_changes_while_the_server_runs_is_followed() {
    if !has_two_cores() {
        return;
    }
    let cores = cores();
    let mut command = clean("taskset");
    command.args(["--cpu-list", &cores[0], env!("CARGO_BIN_EXE_tandem")]);
    let server = ready(command);
    answers(&server);
    assert_eq!(counted(&server), 1);
    assert_eq!(server.model_threads(), ["sentiment-deep-", "sentiment-fast-"]);
    let allow = |list: &str| {
        let mut taskset = clean("taskset");
        taskset.args(["--all-tasks", "--cpu-list", "--pid", list, &server.pid().to_string()]);
        finish(&mut taskset, b"").success();
    };
    allow(&cores[..2].join(","));
    follows(&server, 1, 2);
    allow(&cores[1]);
    follows(&server, 2, 1);
}
