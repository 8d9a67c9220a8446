//! Reading and following.

use std::sync::Arc;
use std::time::Duration;

use super::handle::Log;
use super::reader::{Next, Reader};
use super::wait::LogWaiter;
use crate::error::Result;

/// A record of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRecord {
    /// Where it begins in the log, in bytes of all that was ever appended. It keeps it through compactions.
    pub offset: u64,
    /// The record as it was given, one JSON value.
    pub bytes: Arc<[u8]>,
}

/// The records of a log, from [`Log::read`]. Ends at what is the end by then, or after an error.
#[derive(Debug)]
pub struct Records {
    reader: Reader,
    from: u64,
    /// Records before this were given already.
    given: u64,
    done: bool,
}

/// The records of a log as they come, from [`Log::follow`].
#[derive(Debug)]
pub struct Follow {
    records: Records,
    /// Made on the thread that waits.
    waiter: Option<(std::thread::ThreadId, LogWaiter)>,
    log: Log,
}

impl Log {
    /// The records from an offset on (0: all), oldest first. Takes no lock and holds a record or two in memory. A record that was written by
    /// half at that moment is not there yet; damage is an error that names the place, and the end.
    ///
    /// Records need not be durable yet.
    pub fn read(&self, from: u64) -> Result<Records> {
        Ok(Records { reader: Reader::new(self.entry()?.place().clone(), from), from, given: from, done: false })
    }

    /// The records from an offset on, and those that come. What was compacted meanwhile is passed over; what survived comes with its offset.
    pub fn follow(&self, from: u64) -> Result<Follow> {
        Ok(Follow { records: self.read(from)?, waiter: None, log: self.clone() })
    }
}

impl Records {
    fn step(&mut self) -> Result<Option<LogRecord>> {
        loop {
            match self.reader.next()? {
                Next::Record { offset } if offset >= self.given => {
                    self.given = offset + 1;
                    return Ok(Some(LogRecord { offset, bytes: self.reader.record().into() }));
                }
                // A log that was removed and begun again begins at 0.
                Next::Anew if self.reader.position() == 0 && self.from == 0 && !self.reader.is_in_snapshot() => {
                    self.given = 0;
                }
                Next::Record { .. } | Next::Anew => {}
                Next::Nothing => return Ok(None),
            }
        }
    }
}

impl Iterator for Records {
    type Item = Result<LogRecord>;

    fn next(&mut self) -> Option<Result<LogRecord>> {
        if self.done {
            return None;
        }
        let next = self.step().transpose();
        self.done = !matches!(next, Some(Ok(_)));
        next
    }
}

impl Follow {
    /// The next record; waits for one at most so long (`None`: without limit). `None`: none has come. The wait is no polling where the system
    /// tells of changes.
    pub fn next(&mut self, timeout: Option<Duration>) -> Result<Option<LogRecord>> {
        let host = Arc::clone(&self.log.entry()?.parts().host);
        let began = host.monotonic();
        loop {
            // Made before the last look, so that nothing is missed between the two.
            let me = std::thread::current().id();
            if self.waiter.as_ref().is_none_or(|(thread, _)| *thread != me) {
                self.waiter = Some((me, LogWaiter::new(&self.log)?));
            }
            if let Some(record) = self.records.step()? {
                return Ok(Some(record));
            }
            let left = timeout.map(|timeout| timeout.saturating_sub(host.monotonic().saturating_sub(began)));
            let Some((_, waiter)) = &mut self.waiter else { continue };
            if !waiter.wait(left)? {
                return Ok(None);
            }
        }
    }
}

impl From<LogRecord> for Vec<u8> {
    fn from(record: LogRecord) -> Vec<u8> {
        record.bytes.to_vec()
    }
}

impl LogRecord {
    /// The record as a value.
    pub fn parse<T: serde::de::DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(&self.bytes)
    }
}
