//! The short form of `tools/scoreboard/swaps.py`: versions change under calls of the official Python client. Figures of time are
//! not asserted.

use std::time::Duration;

use crate::support::command::{clean, finish_within};
use crate::support::root;
use crate::support::tools::tool;

#[test]
fn exchanges_and_broken_versions_under_calls_fail_none_and_each_answer_is_its_versions() {
    // Installed here, with the proxies that pip may need.
    tool("grpc");
    let mut command = clean("python3");
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    command.arg(root().join("tools/scoreboard/swaps.py"));
    command.args(["--short", "--program", env!("CARGO_BIN_EXE_tandem"), "right", "broken"]);
    // It loads a dozen versions beside calls, which takes as long as other tests leave it waiting.
    let told = finish_within(Duration::from_mins(5), &mut command, b"").success();
    assert!(told.contains("right    ok     calls "), "{told}");
    assert!(told.contains("exchanges 4, failed 0, wrong 0"), "{told}");
    assert!(told.contains("broken   ok     offered 4, refused 4"), "{told}");
}
