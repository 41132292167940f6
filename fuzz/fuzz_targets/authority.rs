#![no_main]

use libfuzzer_sys::fuzz_target;
use tandem_fuzz::readers;

fuzz_target!(|bytes: &[u8]| readers::authority(bytes));
