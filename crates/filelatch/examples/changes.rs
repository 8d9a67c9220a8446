//! Who has changed which file, and files that go with their session: `cargo run --features store --example changes`.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use filelatch::store::changes::ChangeFilter;
use filelatch::store::generated::{Owner, PublishOptions, RemoveOptions};
use filelatch::{Filelatch, LockOptions, WriteOptions};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = tempfile::tempdir()?;
    let latch = Filelatch::builder().session("ada").build();
    latch.init(dir.path())?;
    latch.file(dir.path().join("notes.txt"))?.write(b"one", &WriteOptions::new())?;

    let generated = latch.generated(dir.path())?;
    let owner = Owner::Session("ada".to_owned());
    generated.publish(&owner, dir.path().join("conf/ada.toml"), b"port = 4711\n", &PublishOptions::new())?;
    let removal = generated.remove(&owner, &RemoveOptions::new())?;
    println!("removed: {:?}", removal.removed);

    let index = latch.changes(dir.path())?;
    index.update(&LockOptions::new())?;
    index.for_each(&ChangeFilter::new().session("ada"), &mut |change| {
        println!("{}  {}  by {}", change.kind, change.path.display(), change.by);
    })?;
    Ok(())
}
