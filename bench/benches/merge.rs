//! Three-way merges of documents of about 1 MB with 20 changes a side: in the process, as a process, and by `git merge-file`.
//!
//! The program is `../target/release/filelatch` (build it first), or what `FILELATCH_BIN` names. Where it or git is missing the
//! processes are left out.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use filelatch::merge::{MergeOptions, merge};

const RECORDS: usize = 5000;
const EDITS: usize = 20;

/// One record: its number, title and count.
type Print = fn(usize, &str, usize) -> String;

fn json(id: usize, title: &str, count: usize) -> String {
    let end = if id + 1 == RECORDS { "" } else { "," };
    format!(
        "    \"record-{id}\": {{\n      \"title\": \"{title}\",\n      \"count\": {count},\n      \"note\": \"number {id} of a document that many programs change, with some text to fill the line and more of it\"\n    }}{end}\n"
    )
}

fn yaml(id: usize, title: &str, count: usize) -> String {
    format!(
        "record-{id}:\n  title: {title}\n  count: {count}\n  note: number {id} of a document that many programs change, with some text to fill the line, and more of it to read\n"
    )
}

fn toml(id: usize, title: &str, count: usize) -> String {
    format!(
        "[record-{id}]\ntitle = \"{title}\"\ncount = {count}\nnote = \"number {id} of a document that many programs change, with some text to fill the line, and more of it\"\n\n"
    )
}

/// A document in which the records that `edited` names have another title or another count.
fn document(name: &str, print: Print, title: impl Fn(usize) -> bool, count: impl Fn(usize) -> bool) -> Vec<u8> {
    let mut text = if name == "f.json" { "{\n  \"records\": {\n".to_owned() } else { String::new() };
    for id in 0..RECORDS {
        let title = if title(id) { "changed" } else { "as it was" };
        text += &print(id, title, if count(id) { 7 } else { 0 });
    }
    if name == "f.json" {
        text += "  }\n}\n";
    }
    text.into_bytes()
}

/// Base, ours, theirs.
fn contents(name: &str, print: Print, near: bool) -> [Vec<u8>; 3] {
    let every = RECORDS / EDITS;
    let ours = move |id: usize| id % every == 0;
    // Neighbouring lines of one record, or records far away.
    let theirs = move |id: usize| id % every == if near { 0 } else { every / 2 };
    let never = |_: usize| false;
    [document(name, print, never, never), document(name, print, ours, never), document(name, print, never, theirs)]
}

fn program() -> Option<PathBuf> {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/release/filelatch");
    std::env::var_os("FILELATCH_BIN").map(PathBuf::from).or(Some(built)).filter(|path| path.exists())
}

fn ends(command: &mut Command, expected: i32) {
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
    assert_eq!(status.code(), Some(expected), "{command:?} ended with {status}");
}

fn merges(c: &mut Criterion) {
    let has_git = Command::new("git").arg("--version").output().is_ok();
    let formats: [(&str, Print); 3] = [("f.json", json), ("f.yaml", yaml), ("f.toml", toml)];
    for (what, near, conflicts) in [("far apart (lines)", false, 0), ("side by side (trees)", true, EDITS as i32)] {
        let mut group = c.benchmark_group(format!("merge 1 MB, 20 changes a side, {what}"));
        group.sample_size(20);
        for (name, print) in formats {
            let [base, ours, theirs] = contents(name, print, near);
            group.throughput(Throughput::Bytes(base.len() as u64));
            let options = MergeOptions::for_path(Path::new(name));
            assert!(merge(&base, &ours, &theirs, &options).is_clean());
            group.bench_function(BenchmarkId::new("in the process", name), |b| {
                b.iter(|| merge(&base, &ours, &theirs, &options));
            });
            let dir = tempfile::tempdir().unwrap();
            for (side, bytes) in [("base", &base), ("ours", &ours), ("theirs", &theirs)] {
                std::fs::write(dir.path().join(side), bytes).unwrap();
            }
            if let Some(program) = program() {
                group.bench_function(BenchmarkId::new("filelatch merge", name), |b| {
                    let mut command = Command::new(&program);
                    command.args(["merge", "--path", name, "base", "ours", "theirs"]).current_dir(&dir);
                    b.iter(|| ends(&mut command, 0));
                });
            }
            if has_git {
                group.bench_function(BenchmarkId::new("git merge-file", name), |b| {
                    let mut command = Command::new("git");
                    command.args(["merge-file", "-p", "ours", "base", "theirs"]).current_dir(&dir);
                    b.iter(|| ends(&mut command, conflicts));
                });
            }
        }
        group.finish();
    }
}

criterion_group!(all, merges);
criterion_main!(all);
