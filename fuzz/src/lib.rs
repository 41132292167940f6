//! Fuzzers: programs that have libFuzzer make inputs for everything that reads bytes which others wrote. One a file of
//! `fuzz_targets/`; what they call is in [`readers`] and `columns`.

#[cfg(feature = "columns")]
pub mod columns;
pub mod inputs;
pub mod readers;

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook};
use std::sync::Once;

thread_local! {
    static LAST: RefCell<String> = RefCell::default();
}

/// Calls a reader that takes the panic of a library for an error, as the server has it: libFuzzer's own hook would end the
/// process there. A panic that comes out of the reader ends it.
pub fn with_caught_panics(read: inputs::Reader, bytes: &[u8]) {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        set_hook(Box::new(|panic| {
            let trace = std::backtrace::Backtrace::force_capture();
            LAST.with_borrow_mut(|last| *last = format!("{panic}\n{trace}"));
        }));
    });
    if catch_unwind(AssertUnwindSafe(|| read(bytes))).is_err() {
        LAST.with_borrow(|last| eprintln!("{last}"));
        std::process::abort();
    }
}
