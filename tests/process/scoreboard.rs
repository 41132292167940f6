//! The short form of the scoreboard: what happens and how often is asserted here, figures of time are not.

use crate::support::command::{clean, finish};
use crate::support::root;

#[test]
fn attacks_and_drains_end_as_they_should() {
    let mut command = clean("python3");
    command.arg(root().join("tools/scoreboard/rows.py"));
    command.args(["--short", "--program", env!("CARGO_BIN_EXE_tandem")]);
    command.args([
        "silent",
        "half_open",
        "resets",
        "settings",
        "pings",
        "slow_headers",
        "descriptors",
        "drain",
        "stubborn",
    ]);
    let told = finish(&mut command, b"").success();
    let row = |name: &str| {
        let found = told.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
        found.unwrap_or_else(|| panic!("no row {name}: {told}"))
    };
    assert!(row("silent").starts_with("200 of 200 closed"), "{told}");
    assert!(row("half_open").starts_with("2000 streams"), "{told}");
    for flood in ["resets", "settings", "pings"] {
        assert!(row(flood).starts_with("10000 sent"), "{told}");
    }
    assert!(row("slow_headers").starts_with("20 of 20 closed"), "{told}");
    assert!(row("descriptors").ends_with("1 lines in the log"), "{told}");
    let drain = row("drain");
    assert!(
        !drain.contains("lost") && !drain.contains("failed") && drain.ends_with("exit codes {0}"),
        "{told}"
    );
    let stubborn = row("stubborn");
    assert!(!stubborn.contains("never") && stubborn.contains("exit 0"), "{told}");
}
