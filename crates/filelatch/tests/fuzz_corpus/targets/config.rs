//! `.filelatch/config.toml` (VER-5, P16), as an engine on a simulated disk reads it: a policy or an error that names the file.

use std::sync::Arc;

use filelatch::{Error, Filelatch, Wait};
use filelatch_fs::sim::SimFs;

const CONFIG: &str = "/.filelatch/config.toml";

pub(crate) fn run(data: &[u8]) {
    let sim = SimFs::default();
    sim.foreign().create_dirs("/.filelatch").expect("an empty disk");
    sim.foreign().create_dirs("/src").expect("an empty disk");
    sim.foreign().create(CONFIG, data).expect("an empty disk");
    let latch = Filelatch::builder().fs(sim.as_fs()).host(Arc::new(sim.host())).session("s").build();
    let toml = std::str::from_utf8(data).ok().and_then(|text| text.parse::<toml_edit::DocumentMut>().ok());
    for path in ["/a.json", "/src/deep.yaml"] {
        match latch.file(path) {
            Ok(file) => {
                let policy = file.policy();
                let document = toml.as_ref().expect("what is obeyed is TOML");
                let said = |key: &str| document.get(key).and_then(|value| value.as_str());
                assert_eq!(policy.locks, said("locks") != Some("off"), "{policy:?}");
                if document.get("policy").is_none() && said("timeout") == Some("5s") {
                    assert_eq!(policy.wait, Wait::For(std::time::Duration::from_secs(5)));
                }
                for (key, _) in document.iter() {
                    assert!(KEYS.contains(&key), "`{key}` was skipped");
                }
            }
            Err(Error::Config { path, message }) => {
                assert!(path.ends_with(".filelatch/config.toml") && !message.is_empty(), "{message}");
                assert!(!message.contains('\n'), "{message}");
            }
            Err(e) => panic!("{e}"),
        }
    }
}

/// What the configuration may say at its top.
const KEYS: [&str; 3] = ["locks", "timeout", "policy"];
