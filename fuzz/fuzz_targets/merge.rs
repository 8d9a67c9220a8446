#![no_main]

#[path = "../../crates/filelatch/tests/fuzz_corpus/targets/mod.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::run("merge", data));
