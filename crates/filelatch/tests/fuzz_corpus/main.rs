//! The fuzz targets' corpora as plain tests (issue 3, DESIGN §8.5): what fuzzing found once stays found, on every machine and without a
//! nightly compiler. `fuzz/README.md` says how to look for more.
#![cfg(unix)]
#![expect(clippy::disallowed_methods, reason = "the corpora are files")]

mod generated;
mod merges;
mod targets;

use std::path::Path;

/// Every seed of every target. A new target without seeds fails, and so does a folder without a target.
#[test]
fn corpora() {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    let mut folders: Vec<_> =
        std::fs::read_dir(&corpora).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    folders.sort();
    let mut names: Vec<_> = targets::NAMES.into();
    names.sort_unstable();
    assert_eq!(folders, names);
    for name in names {
        let mut seeds: Vec<_> =
            std::fs::read_dir(corpora.join(name)).unwrap().map(|entry| entry.unwrap().path()).collect();
        seeds.sort();
        assert!(seeds.len() >= 5, "{name} has {} seeds", seeds.len());
        for seed in seeds {
            let bytes = std::fs::read(&seed).unwrap();
            let result = std::panic::catch_unwind(|| targets::run(name, &bytes));
            assert!(result.is_ok(), "{} fails target `{name}`", seed.display());
        }
    }
}
