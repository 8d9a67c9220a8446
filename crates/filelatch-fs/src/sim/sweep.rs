//! A scenario run again and again, with the mishap one call later each time, and everything that can be left looked at.

use std::fmt;
use std::io::ErrorKind;

use super::call::Verb;
use super::dials::Dials;
use super::faults::Fault;
use super::foreign::Foreign;
use super::simfs::SimFs;

/// After so many violations a sweep ends: one is a bug, twenty are its pattern.
const ENOUGH: usize = 20;
/// And so many of one mishap, so that it does not hide the others.
const ENOUGH_OF_ONE: usize = 3;

/// What to sweep with.
///
/// Each sweep takes three closures. `build` makes the files that are there before; they are made durable. `scenario` is the
/// protocol under test; it must do the same each time, deal with every error itself, and answer what it was promised
/// (*acknowledged*). `check` gets a file system as the next program finds it, and what was acknowledged, and says what is
/// wrong. It may write: a check that starts the protocol once more proves that nothing blocks the next start.
#[derive(Clone, Debug)]
pub struct Sweep {
    /// The file system.
    pub dials: Dials,
    /// What [`Sweep::faults`] orders, each of them once and lasting.
    pub faults: Vec<Fault>,
}

impl Default for Sweep {
    fn default() -> Self {
        let faults = vec![
            Fault::EIO,
            ErrorKind::StorageFull.into(),
            ErrorKind::ResourceBusy.into(),
            ErrorKind::CrossesDevices.into(),
            ErrorKind::Unsupported.into(),
            ErrorKind::ReadOnlyFilesystem.into(),
            Fault::Late(ErrorKind::Other),
            Fault::Short(3),
        ];
        Sweep { dials: Dials::default(), faults }
    }
}

/// What is wrong with what was left.
#[derive(Clone, Debug)]
pub struct Violation {
    /// The mishap.
    pub mishap: String,
    /// What reached the disk.
    pub story: String,
    /// What the check said.
    pub complaint: String,
    /// The calls up to the mishap and after it.
    pub trace: Vec<String>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n  mishap: {}\n  left: {}\n  calls:", self.complaint, self.mishap, self.story)?;
        self.trace.iter().try_for_each(|call| writeln!(f, "    {call}"))
    }
}

/// What a sweep saw.
#[derive(Debug, Default)]
pub struct Report {
    /// Runs of the scenario.
    pub runs: usize,
    /// File systems that were checked.
    pub checked: usize,
    /// Runs whose possible disks were too many, so that a sample was checked.
    pub sampled: usize,
    /// What was wrong; at most three of each mishap, twenty in all.
    pub violations: Vec<Violation>,
}

impl Report {
    fn append(&mut self, mut other: Report) {
        self.runs += other.runs;
        self.checked += other.checked;
        self.sampled += other.sampled;
        self.violations.append(&mut other.violations);
    }

    /// # Panics
    /// When something was wrong, with the first violation, or when nothing was checked at all.
    #[track_caller]
    pub fn assert_clean(&self) {
        assert!(self.checked > 0, "the sweep checked nothing");
        if let Some(first) = self.violations.first() {
            panic!("{} violations in {} runs; the first: {first}", self.violations.len(), self.runs);
        }
    }
}

/// The closures of one sweep.
struct Trial<B, S, C> {
    build: B,
    scenario: S,
    check: C,
}

impl<A, B, S, C> Trial<B, S, C>
where
    B: Fn(&SimFs),
    S: Fn(&SimFs) -> A,
    C: Fn(&SimFs, &A) -> Result<(), String>,
{
    fn start(&self, dials: Dials) -> SimFs {
        let fs = SimFs::new(dials);
        (self.build)(&fs);
        fs.settle();
        fs
    }

    /// The verbs of a run without mishap.
    fn verbs(&self, dials: Dials) -> Vec<Verb> {
        let fs = self.start(dials);
        (self.scenario)(&fs);
        fs.trace_calls().iter().map(|call| call.verb).collect()
    }

    /// One run with one mishap.
    fn run(&self, dials: Dials, report: &mut Report, mishap: &str, arm: impl FnOnce(&SimFs)) {
        if report.violations.len() >= ENOUGH {
            return;
        }
        let fs = self.start(dials);
        arm(&fs);
        let acked = (self.scenario)(&fs);
        report.runs += 1;
        let trace = fs.trace();
        let disks = fs.possible_disks();
        report.sampled += usize::from(!disks.is_complete());
        let most = ENOUGH.min(report.violations.len() + ENOUGH_OF_ONE);
        let mut look = |fs: &SimFs, story: &str| {
            report.checked += 1;
            if let Err(complaint) = (self.check)(fs, &acked)
                && report.violations.len() < most
            {
                let (mishap, story, trace) = (mishap.into(), story.into(), trace.clone());
                report.violations.push(Violation { mishap, story, complaint, trace });
            }
        };
        if !fs.is_cut() {
            fs.heal();
            fs.unhook();
            // A cut that was to come after the last call must not come while the check calls.
            fs.power_cut_before(u64::MAX);
            fs.kill();
            look(&fs.process(), "the power stayed on; this is the next process");
        }
        for disk in disks {
            look(&disk.fs, &disk.story);
        }
    }
}

impl Sweep {
    /// With this file system and the usual faults.
    pub fn on(dials: Dials) -> Self {
        Sweep { dials, ..Sweep::default() }
    }

    /// Cuts the power before each call, and after the last; checks every disk that can be left.
    pub fn cuts<A>(
        &self,
        build: impl Fn(&SimFs),
        scenario: impl Fn(&SimFs) -> A,
        check: impl Fn(&SimFs, &A) -> Result<(), String>,
    ) -> Report {
        let trial = Trial { build, scenario, check };
        let mut report = Report::default();
        let calls = trial.verbs(self.dials).len();
        for n in 0..=calls {
            let mishap = format!("power cut before call #{n}");
            trial.run(self.dials, &mut report, &mishap, |fs| fs.power_cut_before(n as u64));
        }
        report
    }

    /// Makes each call fail in each way that is conceivable for it, alone and together with all later ones; checks what the
    /// next process finds, and every disk that a power cut at the end can leave.
    pub fn faults<A>(
        &self,
        build: impl Fn(&SimFs),
        scenario: impl Fn(&SimFs) -> A,
        check: impl Fn(&SimFs, &A) -> Result<(), String>,
    ) -> Report {
        let trial = Trial { build, scenario, check };
        let mut report = Report::default();
        for (n, verb) in trial.verbs(self.dials).into_iter().enumerate() {
            for fault in self.faults.iter().copied().filter(|fault| fault.may_hit(verb)) {
                let n = n as u64;
                let mishap = format!("{fault:?} at call #{n}");
                trial.run(self.dials, &mut report, &mishap, |fs| fs.fail_call(n, fault));
                let mishap = format!("{fault:?} from call #{n} on");
                trial.run(self.dials, &mut report, &mishap, |fs| fs.fail_from(n, fault));
            }
        }
        report
    }

    /// Kills the process before each call; checks what the next process finds, and every disk that a power cut right then
    /// can leave.
    pub fn kills<A>(
        &self,
        build: impl Fn(&SimFs),
        scenario: impl Fn(&SimFs) -> A,
        check: impl Fn(&SimFs, &A) -> Result<(), String>,
    ) -> Report {
        let trial = Trial { build, scenario, check };
        let mut report = Report::default();
        for n in 0..=trial.verbs(self.dials).len() as u64 {
            let mishap = format!("killed before call #{n}");
            trial.run(self.dials, &mut report, &mishap, |fs| {
                let victim = fs.pid();
                fs.on_call(n, move |outside| {
                    if let Some(victim) = outside.find_process(victim) {
                        victim.kill();
                    }
                });
            });
        }
        report
    }

    /// [`Sweep::cuts`], [`Sweep::kills`] and [`Sweep::faults`], one after the other: all that can happen to a program that is
    /// alone. One report for all of them.
    pub fn everything<A>(
        &self,
        build: impl Fn(&SimFs),
        scenario: impl Fn(&SimFs) -> A,
        check: impl Fn(&SimFs, &A) -> Result<(), String>,
    ) -> Report {
        let mut report = self.cuts(&build, &scenario, &check);
        report.append(self.kills(&build, &scenario, &check));
        report.append(self.faults(&build, &scenario, &check));
        report
    }

    /// Lets a program that ignores us act before each call; checks what the next process finds, and every disk that a power
    /// cut at the end can leave.
    pub fn intrusions<A>(
        &self,
        build: impl Fn(&SimFs),
        scenario: impl Fn(&SimFs) -> A,
        intrude: impl Fn(&Foreign) + Clone + Send + 'static,
        check: impl Fn(&SimFs, &A) -> Result<(), String>,
    ) -> Report {
        let trial = Trial { build, scenario, check };
        let mut report = Report::default();
        for n in 0..trial.verbs(self.dials).len() as u64 {
            let intrude = intrude.clone();
            let mishap = format!("foreign program before call #{n}");
            trial.run(self.dials, &mut report, &mishap, |fs| fs.on_call(n, move |outside| intrude(&outside.foreign())));
        }
        report
    }
}

/// [`Sweep::everything`] on each of the [usual kinds of file systems](Dials::usual), which must come out clean. The one line that
/// a protocol needs to be swept; a check that depends on the file system asks [`SimFs::dials`], one that depends on whether
/// the power stayed on asks [`SimFs::boots`].
///
/// ```
/// use filelatch_fs::fs::{Fs, FsDir, write_all_at};
/// use filelatch_fs::sim::{SimFs, for_each_mishap};
///
/// // A file that is created whole or not at all, and is there once that was said.
/// let create = |fs: &SimFs| {
///     let create = || {
///         let dir = fs.open_dir("/".as_ref())?;
///         let temp = dir.create_new(".f.tmp".as_ref(), 0o600)?;
///         write_all_at(&*temp, b"new", 0)?;
///         temp.sync()?;
///         dir.rename(".f.tmp".as_ref(), "f".as_ref())?;
///         dir.sync()
///     };
///     std::io::Result::is_ok(&create())
/// };
/// for_each_mishap(
///     |_| (),
///     create,
///     |fs, done| match fs.foreign().read("/f") {
///         Ok(text) if text == b"new" => Ok(()),
///         Err(_) if !*done => Ok(()),
///         other => Err(format!("done: {done}, and yet the file is {other:?}")),
///     },
/// );
/// ```
///
/// # Panics
/// When something was wrong, with the first violation and the file system it happened on.
#[track_caller]
pub fn for_each_mishap<A>(
    build: impl Fn(&SimFs),
    scenario: impl Fn(&SimFs) -> A,
    check: impl Fn(&SimFs, &A) -> Result<(), String>,
) {
    for dials in Dials::usual() {
        let check =
            |fs: &SimFs, acked: &A| check(fs, acked).map_err(|complaint| format!("{complaint}\n  on: {dials:?}"));
        Sweep::on(dials).everything(&build, &scenario, check).assert_clean();
    }
}

/// [`Sweep::cuts`] on the usual file system, which must come out clean.
///
/// # Panics
/// When it does not.
#[track_caller]
pub fn for_each_cut<A>(
    build: impl Fn(&SimFs),
    scenario: impl Fn(&SimFs) -> A,
    check: impl Fn(&SimFs, &A) -> Result<(), String>,
) {
    Sweep::default().cuts(build, scenario, check).assert_clean();
}

/// [`Sweep::faults`] on the usual file system, which must come out clean.
///
/// # Panics
/// When it does not.
#[track_caller]
pub fn for_each_fault<A>(
    build: impl Fn(&SimFs),
    scenario: impl Fn(&SimFs) -> A,
    check: impl Fn(&SimFs, &A) -> Result<(), String>,
) {
    Sweep::default().faults(build, scenario, check).assert_clean();
}

/// [`Sweep::kills`] on the usual file system, which must come out clean.
///
/// # Panics
/// When it does not.
#[track_caller]
pub fn for_each_kill<A>(
    build: impl Fn(&SimFs),
    scenario: impl Fn(&SimFs) -> A,
    check: impl Fn(&SimFs, &A) -> Result<(), String>,
) {
    Sweep::default().kills(build, scenario, check).assert_clean();
}

/// [`Sweep::intrusions`] on the usual file system, which must come out clean.
///
/// # Panics
/// When it does not.
#[track_caller]
pub fn for_each_intrusion<A>(
    build: impl Fn(&SimFs),
    scenario: impl Fn(&SimFs) -> A,
    intrude: impl Fn(&Foreign) + Clone + Send + 'static,
    check: impl Fn(&SimFs, &A) -> Result<(), String>,
) {
    Sweep::default().intrusions(build, scenario, intrude, check).assert_clean();
}
