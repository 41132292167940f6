//! Signals that come before there is anything to serve, and as process 1.

use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::support::RunningServer;
use crate::support::command::{clean, signal, tandem};
use crate::support::models::{FAST_ONLY, FastModelCopy};
use crate::support::server::free_ports;

/// A configuration that comes when the test lets it: the start waits for it.
struct LateConfiguration {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

impl LateConfiguration {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("late.toml");
        assert!(Command::new("mkfifo").arg(&path).status().expect("mkfifo").success());
        Self { _folder: folder, path }
    }

    /// Waits until somebody reads it.
    fn is_read(&self) -> std::fs::File {
        std::fs::OpenOptions::new()
            .write(true)
            .open(&self.path)
            .expect("a reader")
    }
}

fn serve(program: Command, config: &Path, args: &[&str]) -> Child {
    start(program, config, &[&["serve"], args].concat())
}

/// Starts a command that waits for its configuration.
fn start(mut program: Command, config: &Path, command: &[&str]) -> Child {
    program.args(command).arg("--config").arg(config);
    let quiet = program.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.spawn().expect("the program under test")
}

#[test]
fn a_signal_to_stop_ends_a_start_that_waits_for_its_configuration() {
    for (name, args, code) in [
        ("TERM", &[][..], 0),
        ("INT", &[], 0),
        // Whoever asked for a check has no answer.
        ("TERM", &["--check"], 1),
    ] {
        let late = LateConfiguration::new();
        let mut child = serve(tandem(), &late.path, args);
        let _writer = late.is_read();
        signal(name, child.id());
        assert_eq!(child.wait().expect("an outcome").code(), Some(code), "{name} {args:?}");
    }
}

#[test]
fn process_1_hears_signals_from_the_start_of_every_command() {
    for (command, code) in commands() {
        let late = LateConfiguration::new();
        let Some(namespace) = namespace() else { return };
        let mut outer = start(namespace, &late.path, &command);
        let _writer = late.is_read();
        signal("TERM", child_of(outer.id()));
        assert_eq!(outer.wait().expect("an outcome").code(), Some(code), "{command:?}");
    }
}

/// The program under test, told to hear a signal that whoever runs the tests ignores, as a shell's background jobs do.
fn not_ignoring(name: &str, number: i32) -> Command {
    let status = std::fs::read_to_string("/proc/self/status").expect("of this process");
    let ignored = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .expect("a mask");
    let ignored = u64::from_str_radix(ignored.trim(), 16).expect("hexadecimal");
    if ignored >> (number - 1) & 1 == 0 {
        return tandem();
    }
    let mut command = clean("env");
    command.arg(format!("--default-signal={name}"));
    command
        .arg(env!("CARGO_BIN_EXE_tandem"))
        .current_dir(env!("CARGO_TARGET_TMPDIR"));
    command
}

#[test]
fn a_short_command_ends_by_the_signal_itself_where_it_is_not_process_1() {
    for (name, number) in [("TERM", 15), ("INT", 2), ("HUP", 1)] {
        let late = LateConfiguration::new();
        let mut child = start(not_ignoring(name, number), &late.path, &["predict", "좋아요"]);
        let _writer = late.is_read();
        signal(name, child.id());
        let status = child.wait().expect("an outcome");
        assert_eq!(status.signal(), Some(number), "{name}: {status:?}");
    }
}

#[test]
fn a_signal_that_was_ignored_before_is_ignored() {
    let late = LateConfiguration::new();
    let mut shell = clean("sh");
    shell.args(["-c", "trap '' HUP; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_tandem")]);
    let mut child = start(shell, &late.path, &["check", "/nowhere"]);
    let mut writer = late.is_read();
    signal("HUP", child.id());
    writer.write_all(b"max_texts = 0\n").expect("written");
    drop(writer);
    let status = child.wait().expect("an outcome");
    assert_eq!(status.code(), Some(2), "it went on to its configuration: {status:?}");
}

/// Every command that reads the configuration, and what a signal to stop makes of it as process 1.
fn commands() -> Vec<(Vec<&'static str>, i32)> {
    let mut commands = vec![(vec!["serve"], 0)];
    for command in [
        &["check", "/nowhere"][..],
        &["calibrate", "/nowhere.tsv"],
        &["predict", "좋아요"],
        &["bench"],
        &["models", "list"],
        &["healthcheck"],
    ] {
        commands.push((command.to_vec(), 128 + 15));
    }
    commands
}

/// A program whose first argument is run as process 1; nothing where that is not allowed.
fn namespace() -> Option<Command> {
    let may = Command::new("unshare").args(["--pid", "--fork", "true"]).output();
    if !may.as_ref().is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: no process namespaces here: {may:?}");
        return None;
    }
    let mut namespace = clean("unshare");
    namespace.args(["--pid", "--fork", "--kill-child"]);
    namespace.arg(env!("CARGO_BIN_EXE_tandem"));
    namespace.current_dir(env!("CARGO_TARGET_TMPDIR"));
    Some(namespace)
}

fn child_of(parent: u32) -> u32 {
    let children = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"));
    let children = children.expect("the children of a process");
    children.trim().parse().expect("one child")
}

#[test]
fn a_sighup_that_comes_before_the_configuration_is_heeded_once_the_server_runs() {
    let late = LateConfiguration::new();
    let models = FastModelCopy::new();
    let mut command = tandem();
    command.arg("serve").args(free_ports()).args(FAST_ONLY);
    command
        .arg("--models")
        .arg(models.repository())
        .arg("--config")
        .arg(&late.path);
    std::thread::scope(|scope| {
        let starting = scope.spawn(|| RunningServer::spawn(command));
        let mut writer = late.is_read();
        let pid = reader_of(&late.path);
        signal("HUP", pid);
        writer.write_all(b"# nothing\n").expect("written");
        drop(writer);
        let server = starting.join().expect("a server");
        server.logged("told to look for new versions of models");
        server.signal("TERM");
        assert_eq!(server.wait_exit().0, Some(0));
    });
}

/// The child of ours that has a file open.
fn reader_of(path: &Path) -> u32 {
    let processes = std::fs::read_dir("/proc").expect("the processes");
    let mut pids = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    let reads = |pid: &u32| {
        let files = std::fs::read_dir(format!("/proc/{pid}/fd")).ok();
        let mut links = files
            .into_iter()
            .flatten()
            .filter_map(|file| std::fs::read_link(file.ok()?.path()).ok());
        *pid != std::process::id() && links.any(|link| link == path)
    };
    pids.find(reads).expect("it reads its configuration")
}
