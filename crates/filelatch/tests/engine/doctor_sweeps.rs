//! The doctor's `fix`, killed and with the power cut at every call: what was not proved dead is never gone, and the next run finishes
//! (P5.5, LOCK-20).

use std::sync::Arc;

use filelatch::doctor::DoctorOptions;
use filelatch::{Filelatch, HardLinks, Policy, WriteOptions};
use filelatch_fs::sim::{Dials, SimFs, Sweep};

const OLD: &[u8] = b"the old version";
const NEW: &[u8] = b"the new version, which is longer";

/// What stays as it is, whatever happens: data, what may be the only copy, other programs' files, the numbers of leases.
const KEPT: [(&str, &[u8]); 6] = [
    ("/a", b"data"),
    ("/c", b"data"),
    ("/.a.77-00000000000000cc.tmp", b"perhaps the only copy"),
    ("/.other.lock", b"another program's"),
    ("/.a.lease", b"{\"v\":1,\"token\":9,\"released\":true}\n"),
    ("/.filelatch-doctor-78-00000000000000ab/mine", b"a person's"),
];

fn engine(fs: &SimFs, policy: Policy) -> Filelatch {
    let builder = Filelatch::builder().fs(fs.as_fs()).host(Arc::new(fs.host())).without_workspaces();
    builder.defaults(policy).session("doctor").build()
}

/// `/b` is written in place by a process that is killed before its call of this number. True: it left a note, and the
/// file as it was.
fn interrupted(fs: &SimFs, call: u64) -> bool {
    fs.foreign().create("/b", OLD).unwrap();
    fs.foreign().link("/b", "/b2").unwrap();
    let (process, before) = (fs.process(), fs.calls());
    let victim = process.clone();
    fs.on_call(before + call, move |_| victim.kill());
    let mut policy = Policy::default();
    policy.hard_links = HardLinks::InPlace;
    let written = engine(&process, policy).file("/b").and_then(|file| file.write(NEW, &WriteOptions::new()));
    fs.unhook();
    assert!(written.is_err(), "nothing was killed");
    let noted = |lock: Vec<u8>| String::from_utf8_lossy(&lock).contains("in-place");
    fs.foreign().read("/.b.lock").is_ok_and(noted) && fs.foreign().read("/b").is_ok_and(|bytes| bytes == OLD)
}

fn build(fs: &SimFs, call: u64) {
    assert!(interrupted(fs, call));
    let foreign = fs.foreign();
    for folder in ["/.filelatch-doctor-77-00000000000000ab", "/.filelatch-doctor-78-00000000000000ab"] {
        foreign.create_dirs(folder).unwrap();
        foreign.create(format!("{folder}/alive"), b"").unwrap();
        foreign.create(format!("{folder}/lock"), b"").unwrap();
    }
    for (path, bytes) in KEPT {
        foreign.create(path, bytes).unwrap();
    }
    foreign.create("/.a.77-00000000000000ab.tmp", b"").unwrap();
    foreign.create("/.gone.lock", b"{\"v\":1}\n").unwrap();
    let dead = r#"{"v":1,"mode":"file","pid":77,"pidns":1,"start":5,"boot":"sim-boot-1","host":"sim","id":"00000000000000aa"}"#;
    foreign.create("/.c.lock.held", format!("{dead}\n{:020}\n", 0).as_bytes()).unwrap();
}

fn kept(fs: &SimFs) -> Result<(), String> {
    for (path, bytes) in KEPT {
        match fs.foreign().read(path) {
            Ok(found) if found == bytes => {}
            found => return Err(format!("{path}: {found:?}")),
        }
    }
    Ok(())
}

fn fix(fs: &SimFs) -> Result<Vec<String>, String> {
    let report = engine(fs, Policy::default()).doctor("/", &DoctorOptions::new().fix(true));
    let open = |report: filelatch::doctor::Report| {
        report
            .findings
            .into_iter()
            .filter(filelatch::doctor::Finding::is_open)
            .map(|finding| format!("{finding:?}"))
            .collect()
    };
    report.map(open).map_err(|e| e.to_string())
}

/// The next run, with nothing in its way.
fn finishes(fs: &SimFs) -> Result<(), String> {
    kept(fs)?;
    let open = fix(fs)?;
    kept(fs)?;
    let left = |what: &str| open.iter().any(|finding| finding.contains(what));
    if open.len() != 2 || !left("00000000000000cc.tmp") || !left("doctor-78") {
        return Err(format!("open: {open:#?}"));
    }
    for path in ["/b", "/b2"] {
        let found = fs.foreign().read(path).map_err(|e| e.to_string())?;
        if found != NEW {
            return Err(format!("{path}: {:?}", String::from_utf8_lossy(&found)));
        }
    }
    let mut names = fs.foreign().names("/").map_err(|e| e.to_string())?;
    // What was to become a fallback lock, and lost its content with the power: nobody can tell whose it is.
    let torn = |name: &String| name.starts_with("..c.lock.held.") && is_torn(fs, name);
    names.retain(|name| !torn(name));
    let known = [
        ".a.77-00000000000000cc.tmp",
        ".a.lease",
        ".a.lock",
        ".b.lock",
        ".c.lock",
        ".filelatch-doctor-78-00000000000000ab",
        ".other.lock",
        "a",
        "b",
        "b2",
        "c",
    ];
    if names == known { Ok(()) } else { Err(format!("{names:?}")) }
}

/// P5.5, LOCK-20 ⚠: killed before any call, or with the power cut there, `fix` has removed nothing that was not proved dead, on any
/// disk; and the next run puts the rest right.
#[test]
fn kills_and_power_cuts() {
    let call = (0..200).find(|call| interrupted(&SimFs::default(), *call)).unwrap();
    let sweep = Sweep::on(Dials { enumerate: 4, samples: 2, ..Dials::default() });
    sweep.kills(|fs| build(fs, call), fix, |fs, _| finishes(fs)).assert_clean();
    sweep.cuts(|fs| build(fs, call), fix, |fs, _| finishes(fs)).assert_clean();
}

fn is_torn(fs: &SimFs, name: &str) -> bool {
    fs.foreign().read(format!("/{name}")).is_ok_and(|bytes| !bytes.ends_with(b"\n"))
}
