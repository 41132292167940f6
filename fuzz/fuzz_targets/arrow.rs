#![no_main]

use libfuzzer_sys::fuzz_target;
use tandem_fuzz::columns;

fuzz_target!(|bytes: &[u8]| columns::arrow(bytes));
