#![no_main]

use libfuzzer_sys::fuzz_target;
use tandem_fuzz::{readers, with_caught_panics};

fuzz_target!(|bytes: &[u8]| with_caught_panics(readers::tokenizer, bytes));
