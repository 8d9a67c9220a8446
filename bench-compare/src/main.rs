//! filelatch against the bare system calls and its peers.
//!
//! `run [--quick] [--only SECTION,…] [--peers DIR] [--program FILELATCH] [--dir SCRATCH] [--rounds N] [--seconds S] [--paths N]`
//!
//! Ours and the bare calls take turns within each round; a figure is the median of the rounds, a ratio the median of the
//! rounds' ratios. Prints Markdown; progress goes to the standard error.

mod alone;
mod fairness;
mod group;
mod lockers;
mod pool;
mod raw;
mod stats;
mod stores;
mod table;
mod together;
mod turns;
mod worker;

use std::path::{Path, PathBuf};

use pool::Peers;
use table::Table;

pub struct Settings {
    rounds: usize,
    /// Of a contest, one side of one round.
    seconds: f64,
    /// Of all other numbers of repetitions.
    scale: f64,
    paths: usize,
    peers: Peers,
    /// The `filelatch` binary.
    program: Option<PathBuf>,
    dir: PathBuf,
}

impl Settings {
    fn scaled(&self, n: usize) -> usize {
        ((n as f64 * self.scale) as usize).max(1)
    }

    fn scratch(&self) -> tempfile::TempDir {
        tempfile::Builder::new().prefix("filelatch-compare-").tempdir_in(&self.dir).unwrap()
    }
}

type Section = (&'static str, fn(&Settings, &mut Table));

const SECTIONS: [Section; 14] = [
    ("locks", alone::locks),
    ("threads", together::threads),
    ("hand-over", together::hand_over),
    ("processes", together::processes),
    ("fairness", fairness::fairness),
    ("kill", together::after_kill),
    ("replaces", alone::replaces),
    ("update", together::update),
    ("appends", stores::appends),
    ("queues", stores::queues),
    ("reads", alone::reads),
    ("one-shot", alone::one_shot),
    ("memory", together::memory),
    ("peers", |_, _| {}),
];

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.first().is_some_and(|arg| arg == "worker") {
        return worker::main(&args[1], Path::new(&args[2]));
    }
    let mut settings = Settings {
        rounds: 7,
        seconds: 1.0,
        scale: 1.0,
        paths: 1_000_000,
        peers: Peers(None),
        program: None,
        dir: std::env::temp_dir(),
    };
    let mut only: Option<Vec<String>> = None;
    let mut words = args.into_iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().unwrap_or_else(|| panic!("{word} wants a value"));
        match word.as_str() {
            "--quick" => {
                (settings.rounds, settings.seconds, settings.scale, settings.paths) = (5, 0.3, 0.25, 20_000);
            }
            "--only" => only = Some(value().split(',').map(str::to_owned).collect()),
            "--rounds" => settings.rounds = value().parse().unwrap(),
            "--seconds" => settings.seconds = value().parse().unwrap(),
            "--paths" => settings.paths = value().parse().unwrap(),
            "--peers" => settings.peers = Peers(Some(std::fs::canonicalize(value()).unwrap())),
            "--program" => settings.program = Some(std::fs::canonicalize(value()).unwrap()),
            "--dir" => settings.dir = std::fs::canonicalize(value()).unwrap(),
            other => panic!("no option `{other}`"),
        }
    }
    let wanted = |name: &str| only.as_ref().is_none_or(|only| only.iter().any(|o| o == name));
    let mut table = Table::default();
    for (name, section) in SECTIONS {
        if wanted(name) {
            eprintln!("# {name}");
            section(&settings, &mut table);
        }
    }
    println!("{}", machine(&settings));
    if !table.is_empty() {
        println!("{}", table.markdown(["", "filelatch", "bare calls", "ratio"]));
    }
    if wanted("peers") {
        println!("{}", together::peers(&settings).join("\n"));
    }
}

/// What the figures depend on, without a name.
fn machine(settings: &Settings) -> String {
    let system = rustix::system::uname();
    let kind = rustix::fs::statfs(&settings.dir).map_or(0, |fs| fs.f_type);
    let kind = match kind {
        0xEF53 => "ext4",
        0x0102_1994 => "tmpfs",
        0x5846_5342 => "xfs",
        0x9123_683E => "btrfs",
        _ => "another file system",
    };
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("?");
    let cpus = std::thread::available_parallelism().map_or(0, usize::from);
    let release = system.release().to_string_lossy();
    let release = release.split('-').next().unwrap_or("?").to_owned();
    format!("{cpus} CPUs, {kind}, Linux {release}; load at the end {load}; {} rounds.\n", settings.rounds)
}
