//! Who gets the lock how often, and how long the unluckiest waits (LOCK-15).

use crate::Settings;
use crate::pool::{Contest, Process, What, contest};
use crate::stats::{Pairs, time};
use crate::table::Table;
use crate::together::updates;
use crate::worker::now;

const PROCESSES: usize = 8;
/// Of one contest, as a multiple of the others': a share needs time to settle.
const LONGER: f64 = 6.0;

pub fn fairness(settings: &Settings, table: &mut Table) {
    for (hold, what) in [(0, "nothing"), (100_000, "100 µs"), (2_000_000, "2 ms")] {
        let run = |name: &str| {
            let dir = settings.scratch();
            let seconds = settings.seconds * LONGER;
            contest(&settings.peers, name, dir.path(), PROCESSES, 1, seconds, What::Holds(hold)).unwrap()
        };
        let (ours, raw) = (run("filelatch"), run("raw"));
        let title = format!("{PROCESSES} processes hold a lock for {what}");
        shares(table, &title, &ours, &raw);
    }
    let (ours, raw) =
        (updates(settings, "filelatch", PROCESSES, 1).unwrap(), updates(settings, "raw", PROCESSES, 1).unwrap());
    shares(table, &format!("{PROCESSES} processes update a document durably"), &ours, &raw);
    writer_among_readers(settings, table);
}

fn shares(table: &mut Table, title: &str, ours: &Contest, raw: &Contest) {
    let share = |contest: &Contest| format!("{:.2}", contest.max_to_min());
    let row = table.add(format!("{title}: greatest share to smallest"), share(ours), share(raw), String::new());
    row.target("≤ 1.5", ours.max_to_min() <= 1.5);
    let worst = |contest: &Contest| format!("{} = {:.1}", time(contest.worst as f64), contest.worst_to_fair());
    let row =
        table.add("… longest wait, in rounds of one turn each".to_owned(), worst(ours), worst(raw), String::new());
    row.target("≤ 3", ours.worst_to_fair() <= 3.0);
}

/// Eight readers that never pause and one writer, all with holds of 10 ms.
fn writer_among_readers(settings: &Settings, table: &mut Table) {
    const HOLD: u64 = 10_000_000;
    let run = |name: &str| {
        let dir = settings.scratch();
        let mut all: Vec<_> =
            (0..=PROCESSES).map(|_| Process::start(&settings.peers, name, dir.path()).unwrap()).collect();
        let begin = now() + 20_000_000;
        for (i, process) in all.iter_mut().enumerate() {
            let verb = if i == 0 { "hold" } else { "share" };
            process.tell(&format!("{verb} {begin} {} 1 {HOLD}", settings.seconds));
        }
        let waits: Vec<f64> = all.iter_mut().map(|process| process.hear()[4].parse().unwrap()).collect();
        let readers = waits[1..].iter().copied().fold(0.0, f64::max);
        [waits[0] / HOLD as f64, readers / HOLD as f64]
    };
    let (mut writer, mut readers) = (Pairs::default(), Pairs::default());
    for _ in 0..settings.rounds {
        let (ours, raw) = (run("filelatch"), run("raw"));
        writer.push(ours[0], raw[0]);
        readers.push(ours[1], raw[1]);
    }
    let holds = |n: f64| format!("{n:.1}");
    let title = "a writer among 8 readers, holds of 10 ms: its longest wait, in holds";
    let row = table.add(title.to_owned(), holds(writer.ours()), holds(writer.raw()), String::new());
    row.target("≤ 3", writer.ours() <= 3.0);
    let title = "… the readers' longest wait, in holds";
    table.add(title.to_owned(), holds(readers.ours()), holds(readers.raw()), String::new());
}
