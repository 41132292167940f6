//! The inputs that fuzzing kept: each took a branch that no other takes, or broke something once. Without libFuzzer, in seconds;
//! `make fuzz-targets` looks for more.

#[path = "../../fuzz/src/inputs.rs"]
mod inputs;
#[path = "../../fuzz/src/readers.rs"]
mod readers;

use crate::support::root;

#[test]
fn what_fuzzing_kept_breaks_no_promise() {
    inputs::replay(root(), readers::ALL);
}
