//! The short form of the scoreboard: what happens and how often is asserted here, figures of time are not.

use crate::support::command::{clean, finish_within};
use crate::support::tools::tool;
use crate::support::{LIMIT, root};

/// What the rows told, by their names.
struct Scoreboard(String);

impl Scoreboard {
    /// Runs rows of the short form.
    fn run(rows: &[&str]) -> Self {
        // Some rows use it; the script would install it without the proxies that pip may need.
        tool("grpc");
        let mut command = clean("python3");
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        command.arg(root().join("tools/scoreboard/rows.py"));
        command.args(["--short", "--program", env!("CARGO_BIN_EXE_tandem")]);
        // A row takes some seconds on a machine that does nothing else; the tests beside it take their share.
        let limit = LIMIT * u32::try_from(rows.len()).expect("few rows");
        Self(finish_within(limit, command.args(rows), b"").success())
    }

    fn row(&self, name: &str) -> &str {
        let start = format!("{name}: ");
        let found = self.0.lines().find_map(|line| line.strip_prefix(&start));
        found.unwrap_or_else(|| panic!("no row {name}: {}", self.0))
    }

    /// Asserts that a row holds every one of `parts`.
    fn says(&self, name: &str, parts: &[&str]) {
        for part in parts {
            assert!(self.row(name).contains(part), "{name} says `{part}`: {}", self.0);
        }
    }
}

#[test]
fn silent_slow_and_half_open_connections_are_closed_and_a_shortage_is_told_once() {
    let told = Scoreboard::run(&["silent", "stalled_tls", "half_open", "slow_headers", "descriptors"]);
    told.says("silent", &["200 of 200 closed"]);
    told.says("stalled_tls", &["200 of 200 closed"]);
    told.says("half_open", &["2000 streams"]);
    told.says("slow_headers", &["20 of 20 closed"]);
    told.says("descriptors", &[" 1 lines in the log"]);
}

#[test]
fn a_flood_ends_and_another_client_is_answered_meanwhile() {
    let floods = ["resets", "settings", "pings", "continuations"];
    let told = Scoreboard::run(&floods);
    for flood in floods {
        told.says(flood, &["10000 sent"]);
    }
}

#[test]
fn what_is_held_at_the_doors_costs_nobody_else_an_answer() {
    let held = [
        "keyless_bodies",
        "stream_bodies",
        "many_bodies",
        "reflection_bodies",
        "watch_names",
        "unread_answers",
    ];
    let told = Scoreboard::run(&[&held[..], &["prefaces"]].concat());
    for row in held {
        told.says(row, &[": 0 of "]);
    }
    told.says("prefaces", &["answered after"]);
}

#[test]
fn readers_that_stop_hold_up_nobody_and_many_small_requests_are_all_answered() {
    let told = Scoreboard::run(&["stopped_readers", "unread_frames", "pipelining"]);
    told.says("stopped_readers", &["64 texts at once answered"]);
    told.says("unread_frames", &["MB after"]);
    told.says("pipelining", &["fast: all", "rests: all", "deep: all", "16 of 16"]);
}

#[test]
fn hard_texts_keep_no_other_client_from_its_answers() {
    let told = Scoreboard::run(&["hard_texts"]);
    told.says("hard_texts", &[": 0 of 5 failed"]);
}

#[test]
fn bombs_are_refused_and_a_canary_is_found_nowhere() {
    let told = Scoreboard::run(&["bombs", "canary"]);
    told.says("bombs", &["gRPC: 10 of 10 refused", "HTTP: 10 of 10 refused"]);
    told.says("canary", &[": 0 answers, 0 of ", " and 0 metrics hold it"]);
}

#[test]
fn millions_of_empty_texts_are_refused_and_others_are_answered() {
    let told = Scoreboard::run(&["many_empty_texts"]);
    let row = told.row("many_empty_texts");
    assert_eq!(row.matches(" refused, 0 otherwise, ").count(), 2, "{}", told.0);
}

#[test]
fn broken_and_flipped_models_are_refused_in_one_line() {
    let told = Scoreboard::run(&["broken", "flipped"]);
    told.says(
        "broken",
        &["39 of 39 refused", "taken: none", "more than one line: none"],
    );
    told.says("flipped", &["10 of 10 refused"]);
}

#[test]
fn starts_drains_ages_and_rotations_lose_no_call() {
    let told = Scoreboard::run(&[
        "drain",
        "stubborn",
        "idle_stream",
        "health",
        "starts",
        "ages",
        "rotation",
    ]);
    assert!(
        !told.row("drain").contains("lost") && !told.row("drain").contains("failed"),
        "{}",
        told.0
    );
    told.says("drain", &["exit codes {0}"]);
    told.says("stubborn", &["exit 0"]);
    told.says("idle_stream", &["exit 0"]);
    assert!(!told.row("stubborn").contains("never"), "{}", told.0);
    told.says("health", &["2 times NOT_SERVING"]);
    told.says("starts", &["SERVING 0 times", "3 ended with exit 1"]);
    for name in ["ages", "rotation"] {
        // One outcome and no other.
        told.says(name, &[": {'answered': "]);
        assert!(!told.row(name).contains("problems"), "{}", told.0);
    }
    told.says("rotation", &["3 rotations, 3 taken into use"]);
}

#[test]
fn folders_that_would_hang_or_swell_are_refused() {
    let told = Scoreboard::run(&["poisoned"]);
    told.says("poisoned", &["17 of 17 refused", "exit 0 "]);
}

/// Envoy's package has a program for x86-64 alone; the others are run where they are installed.
#[cfg(target_arch = "x86_64")]
#[test]
fn servers_restart_in_turn_behind_each_balancer_by_its_file() {
    let told = Scoreboard::run(&["envoy", "haproxy", "nginx"]);
    for balancer in ["envoy", "haproxy", "nginx"] {
        if !told.row(balancer).starts_with("skipped") {
            told.says(balancer, &["2 restarts, 2 with exit 0", "calls failed"]);
        }
    }
}

/// As above. A kill of one of two servers may cost what docs/balancing.md says, and each door is open through each file.
#[cfg(target_arch = "x86_64")]
#[test]
fn a_killed_server_behind_a_balancer_costs_what_its_page_says_and_every_door_answers() {
    let rows = [
        "envoy_kill",
        "haproxy_kill",
        "nginx_kill",
        "envoy_outliers",
        "envoy_doors",
        "haproxy_doors",
        "nginx_doors",
    ];
    // The program ends with an error if a row misses its mark.
    let told = Scoreboard::run(&rows);
    for row in rows {
        if !told.row(row).starts_with("skipped") {
            let part = match row.rsplit('_').next() {
                Some("kill") => "2 kills, 2 times",
                Some("outliers") => "0 servers put out;",
                _ => "Connect answered",
            };
            told.says(row, &[part]);
        }
    }
}

/// As above. By the load reports of two servers the slow one gets fewer calls: of gRPC's own client, and of Envoy.
#[cfg(target_arch = "x86_64")]
#[test]
fn a_slow_server_gets_fewer_calls_of_clients_that_weigh_servers_by_their_reports() {
    let told = Scoreboard::run(&["grpc_by_load", "envoy_by_load"]);
    told.says(
        "grpc_by_load",
        &["turns ", "per call ", "out of band ", "; 0 calls failed"],
    );
    told.says("envoy_by_load", &["turns ", "by load ", "; 0 calls failed"]);
}
