//! Heartbeats of the fallback locks that this process holds (P4): one thread for all of them, while there are any.
//!
//! # Non-promise
//! A file server that does not answer stops the beats for the locks on other servers, too; these may then be taken over from another
//! machine, and their holder is refused at its next publish.

use std::io;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use filelatch_fs::Host;

use super::held::HeldFile;
use super::resource::locked;

/// Between two beats; six of them may fail before another machine may take the lock over.
const BEAT: Duration = Duration::from_secs(5);
/// The thread's stack: system calls and little else.
const STACK: usize = 256 << 10;

#[derive(Debug)]
pub(crate) struct Heart {
    beats: Mutex<Beats>,
    host: Arc<dyn Host>,
}

#[derive(Debug, Default)]
struct Beats {
    files: Vec<Weak<HeldFile>>,
    running: bool,
}

impl Heart {
    pub(crate) fn new(host: Arc<dyn Host>) -> Arc<Heart> {
        Arc::new(Heart { beats: Mutex::default(), host })
    }

    /// Beats for this lock for as long as it exists.
    pub(crate) fn keep(self: &Arc<Self>, file: &Arc<HeldFile>) -> io::Result<()> {
        let mut beats = locked(&self.beats);
        if !beats.running {
            let heart = Arc::clone(self);
            self.host.spawn("filelatch-beat", STACK, Box::new(move || heart.run()))?;
            beats.running = true;
        }
        beats.files.retain(|file| file.strong_count() > 0);
        beats.files.push(Arc::downgrade(file));
        Ok(())
    }

    fn run(&self) {
        loop {
            self.host.idle(BEAT);
            let mut beats = locked(&self.beats);
            let files: Vec<_> = beats.files.iter().filter_map(Weak::upgrade).collect();
            if files.is_empty() {
                *beats = Beats::default();
                return;
            }
            // Without the mutex: a network file system may keep a call waiting.
            drop(beats);
            for file in &files {
                file.beat();
            }
        }
    }
}
