//! The full set of proofs, one after the other: what continuous integration has no time for.
//!
//! Each step is a program of its own; the first that fails ends the run. What could not be run (a tool that is missing, a test
//! that needs root) is told at the end, so that "proved" never means "not tried".

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// For each target.
const FUZZING: Duration = Duration::from_secs(180);
/// For each kind of lock and each durability.
const TORTURE: Duration = Duration::from_secs(60);
/// Optimised, with the assertions of a debug build: see `Cargo.toml`.
const PROFILE: &str = "prove";

struct Step {
    name: String,
    proves: &'static str,
    does: Does,
}

enum Does {
    /// `cargo test` with these arguments.
    Tests(&'static [&'static str]),
    Fuzz {
        target: String,
    },
    Torture {
        lock: &'static str,
        durability: &'static str,
    },
}

/// What was done, and what was not.
#[derive(Default)]
struct Summary {
    proved: Vec<(String, Duration, &'static str)>,
    skipped: Vec<(String, String)>,
}

/// Runs all steps, or those of this name: `torture` is all of `torture-…`.
pub(crate) fn run(root: &Path, only: Option<&str>) -> Result<(), String> {
    let mut summary = Summary::default();
    let mut steps = tests();
    match fuzz_targets(root) {
        Ok(targets) => steps.extend(targets),
        Err(why) => summary.skipped.push(("fuzz".to_owned(), why)),
    }
    steps.extend(tortures());
    if let Some(only) = only {
        let wanted = |name: &str| name.strip_prefix(only).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'));
        let all = steps.iter().map(|step| &*step.name).collect::<Vec<_>>().join(", ");
        steps.retain(|step| wanted(&step.name));
        summary.skipped.retain(|(name, _)| wanted(name));
        if steps.is_empty() {
            let why = summary.skipped.first().map_or(format!("there are: {all}"), |(_, why)| why.clone());
            return Err(format!("nothing named `{only}` can be run; {why}"));
        }
    }
    let began = Instant::now();
    let mut failed = None;
    for step in steps {
        println!("== {}: {}", step.name, step.proves);
        let began = Instant::now();
        let result = step.run(root, &mut summary.skipped);
        println!("-- {}s", began.elapsed().as_secs());
        match result {
            Ok(()) => summary.proved.push((step.name, began.elapsed(), step.proves)),
            Err(e) => {
                failed = Some(format!("{}: {e}; the steps after it were not run", step.name));
                break;
            }
        }
    }
    println!("\n{}in all {}s", summary.text(), began.elapsed().as_secs());
    failed.map_or(Ok(()), Err)
}

fn tests() -> Vec<Step> {
    let steps: [(&str, &str, &[&str]); 4] = [
        (
            "simulation",
            "the simulated system answers as the kernel does; the sweeps and schedules find planted bugs",
            &["-p", "filelatch-fs"],
        ),
        (
            "schedules",
            "two and three processes in every order with few preemptions, deaths and power cuts between",
            &["-p", "filelatch", "--test", "engine", "schedules::"],
        ),
        (
            "library",
            "every mishap at every call; 10,000 rounds of eight processes at a stale lock; all other tests of the library",
            &["-p", "filelatch", "--", "--skip", "schedules::"],
        ),
        (
            "programs",
            "the command line, its neighbours flock(1) and filelock, the test kit, the examples of the documents",
            &["--workspace", "--exclude", "filelatch-fs", "--exclude", "filelatch"],
        ),
    ];
    steps.map(|(name, proves, args)| Step { name: name.to_owned(), proves, does: Does::Tests(args) }).into()
}

fn fuzz_targets(root: &Path) -> Result<Vec<Step>, String> {
    let listed = Command::new("cargo").args(["+nightly", "fuzz", "list"]).current_dir(root.join("fuzz")).output();
    let listed = listed.ok().filter(|output| output.status.success());
    let listed = listed.ok_or("a nightly Rust or cargo-fuzz is not installed")?;
    let targets = String::from_utf8_lossy(&listed.stdout).into_owned();
    let step = |target: &str| Step {
        name: format!("fuzz-{target}"),
        proves: "nothing that three minutes of new inputs break (fuzz/README.md)",
        does: Does::Fuzz { target: target.to_owned() },
    };
    Ok(targets.split_whitespace().map(step).collect())
}

fn tortures() -> Vec<Step> {
    let mut steps = Vec::new();
    for lock in ["auto", "os", "file"] {
        for durability in ["none", "file", "full"] {
            steps.push(Step {
                name: format!("torture-{lock}-{durability}"),
                proves: "real processes, stopped and killed: nothing lost, torn, stale, or held by two",
                does: Does::Torture { lock, durability },
            });
        }
    }
    steps
}

impl Step {
    fn run(&self, root: &Path, skipped: &mut Vec<(String, String)>) -> Result<(), String> {
        match &self.does {
            Does::Tests(args) => {
                let mut cargo = Command::new("cargo");
                cargo.args(["test", "--profile", PROFILE, "--all-features"]).env("FILELATCH_FULL", "1");
                cargo.args(*args);
                cargo.args(if args.contains(&"--") { &[][..] } else { &["--"][..] }).arg("--show-output");
                for line in lines_of(cargo.current_dir(root))? {
                    skipped.push((self.name.clone(), line));
                }
                Ok(())
            }
            Does::Fuzz { target } => {
                let fuzz = root.join("fuzz");
                let found = fuzz.join("found").join(target);
                std::fs::create_dir_all(&found).map_err(|e| format!("cannot make {}: {e}", found.display()))?;
                let mut cargo = Command::new("cargo");
                // Without the sanitizer, as in .ci/run: nothing of ours that is fuzzed is unsafe code, and it is several times as fast.
                cargo.args(["+nightly", "fuzz", "run", "-s", "none", target]);
                cargo.args([format!("found/{target}"), format!("corpus/{target}")]).arg("--");
                cargo.arg(format!("-max_total_time={}", FUZZING.as_secs())).args(["-max_len=600", "-verbosity=0"]);
                done(cargo.current_dir(fuzz))
            }
            Does::Torture { lock, durability } => {
                let (target, scratch) = (target_dir(root), target_dir(root).join("prove-scratch"));
                std::fs::create_dir_all(&scratch).map_err(|e| format!("cannot make {}: {e}", scratch.display()))?;
                let mut cargo = Command::new("cargo");
                cargo.args(["build", "--profile", PROFILE, "-p", "filelatch-cli", "--target-dir"]).arg(&target);
                done(cargo.current_dir(root))?;
                let program = target.join(PROFILE).join("filelatch").with_extension(std::env::consts::EXE_EXTENSION);
                let seconds = TORTURE.as_secs().to_string();
                let mut torture = Command::new(program);
                torture.arg("torture").arg(&scratch).args(["--kill", "--lock", lock, "--durability", durability]);
                done(torture.args(["--seconds", &seconds]))
            }
        }
    }
}

/// Where cargo puts what it builds: on a disk, not in memory as folders for temporary files often are.
fn target_dir(root: &Path) -> PathBuf {
    root.join(std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
}

fn done(command: &mut Command) -> Result<(), String> {
    let status = command.stdin(Stdio::null()).status().map_err(|e| format!("cannot start: {e}"))?;
    if status.success() { Ok(()) } else { Err(status.to_string()) }
}

/// Runs it, passes on what it says, and answers what it says was skipped.
fn lines_of(command: &mut Command) -> Result<Vec<String>, String> {
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
    let mut child = child.map_err(|e| format!("cannot start: {e}"))?;
    let mut skipped = Vec::new();
    for line in child.stdout.take().map(BufReader::new).into_iter().flat_map(BufRead::lines) {
        let line = line.map_err(|e| format!("cannot read what it says: {e}"))?;
        println!("{line}");
        let why = line.strip_prefix("skipped: ");
        skipped.extend(why.filter(|why| !skipped.iter().any(|known| known == why)).map(str::to_owned));
    }
    let status = child.wait().map_err(|e| e.to_string())?;
    if status.success() { Ok(skipped) } else { Err(status.to_string()) }
}

impl Summary {
    fn text(&self) -> String {
        let mut text = String::from("proved:\n");
        for (name, time, proves) in &self.proved {
            writeln!(text, "  {name:<18} {:>5}s  {proves}", time.as_secs()).ok();
        }
        if self.proved.is_empty() {
            text.push_str("  nothing\n");
        }
        if !self.skipped.is_empty() {
            text.push_str("not run:\n");
        }
        for (name, why) in &self.skipped {
            writeln!(text, "  {name:<18}         {why}").ok();
        }
        text
    }
}
