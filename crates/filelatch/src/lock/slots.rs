//! Bytes of the lock file that stand for records: who of this process has which, and who waits (P10).
//!
//! The system lets all threads of a process through that use one open file. So this table excludes them from each other, first come,
//! first served for each byte, and takes and gives back a byte at the system once for all of them.
//!
//! # Invariants
//! - A byte that is held, waited for or being worked on has a [`Slot`]; a free one has none.
//! - At most one thread works on a byte at a time: the caller that found it free, or one helper. While it does, `holder` is `None`.
//!   So a byte is never asked for at the system while another thread of the process may give it back.
//! - A waiter is in the queue or has its answer, never both, and both change only under the table's mutex (LOCK-8).
//! - Whoever holds a byte or waits for one has the shared lock on the lock file (`Tenure`) all the while.
//!
//! # Fairness
//! As for whole files: a wait in the kernel first takes the byte's *gate*, a byte of its own, and newcomers of other processes that
//! see the gate taken do not try. A process hands a byte on among its threads [`HANDOVERS`] times or for [`TURN`] while another
//! process stands at the gate.

use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, Weak};
use std::task::Waker;
use std::time::Duration;

use filelatch_fs::{Host, LockKind};

use super::Wait;
use super::acquire::{Queued, Request, Target};
use super::helpers::Work;
use super::owner::Owner;
use super::records::PUBLISH;
use super::resource::{Begin, HANDOVERS, QUICK, Resource, TURN, Tenure, locked};
use super::sidecar::Sidecar;
use super::waiter::{Grant, Waiter};
use crate::error::{Error, Result};

/// From a byte to its gate.
const TO_GATE: u64 = 1 << 61;
/// May a helper wait for a byte in the kernel? On Windows an open file serves one call after the other: nobody could give a byte back
/// meanwhile, so bytes are polled there.
const MAY_BLOCK: bool = !cfg!(windows);

/// The bytes of one lock file, as this process shares them.
#[derive(Debug)]
pub(crate) struct Slots {
    /// The shared lock that everybody has who has a byte.
    resource: Arc<Resource>,
    /// Bytes that the process which started this one has for us, too (P12): there is nothing to ask the system for.
    inherited: Vec<u64>,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    slots: HashMap<u64, Slot>,
    owners: HashMap<Owner, Owned>,
    next_id: u64,
}

#[derive(Debug)]
struct Slot {
    sidecar: Arc<Sidecar>,
    /// `None`: somebody works on the byte.
    holder: Option<Holder>,
    queue: VecDeque<Pending>,
    kernel: Option<KernelWait>,
    /// Programs that this process started have the byte, too.
    handed_on: bool,
    handovers: u32,
    turn_began: Duration,
}

#[derive(Debug)]
struct Holder {
    owner: Owner,
    /// What it holds the byte for: different records may have the same one.
    names: Vec<(u64, Arc<str>)>,
}

#[derive(Debug)]
struct Pending {
    waiter: Arc<Waiter>,
    name: Arc<str>,
    tenure: Weak<Tenure>,
}

/// The wait in the kernel that a helper is in.
#[derive(Debug, Default)]
struct KernelWait {
    past_gate: bool,
    keeps_gate: bool,
    /// Nobody wants it at the moment: it must keep nobody out.
    called_off: bool,
}

/// What one owner has of this file.
#[derive(Debug)]
struct Owned {
    tenure: Weak<Tenure>,
    bytes: Vec<u64>,
}

/// A byte that is asked for on behalf of a record.
pub(crate) struct Wanted {
    pub(crate) slots: Arc<Slots>,
    pub(crate) byte: u64,
    pub(crate) name: Arc<str>,
    pub(crate) tenure: Arc<Tenure>,
}

/// A byte that is held. Dropping it releases it.
#[must_use = "dropping the tenure releases the record at once"]
#[derive(Debug)]
pub(crate) struct ByteTenure {
    slots: Arc<Slots>,
    byte: u64,
    id: u64,
    /// Given back after the byte.
    tenure: Arc<Tenure>,
}

/// A place in the queue for a byte.
#[must_use = "dropping the ticket leaves the queue"]
#[derive(Debug)]
pub(crate) struct ByteTicket {
    slots: Arc<Slots>,
    byte: u64,
    waiter: Arc<Waiter>,
    tenure: Arc<Tenure>,
}

impl Target for Wanted {
    /// `None`: the lock file was handed on to another program meanwhile; begin anew, with another open file.
    type Held = Option<ByteTenure>;
    type Ticket = ByteTicket;

    fn begin(&self, request: &Request<'_>) -> Result<Begin<Self::Held, ByteTicket>> {
        self.slots.begin(self, request.owner, request.wait != Wait::No)
    }

    fn resource(&self) -> &Arc<Resource> {
        &self.slots.resource
    }

    fn name(&self) -> String {
        name_of(&self.slots.resource, self.byte)
    }

    fn path(&self) -> PathBuf {
        path_of(&self.slots.resource, &self.name)
    }
}

/// The name of a record's lock on this machine. Records with one byte are one lock.
pub(crate) fn name_of(resource: &Resource, byte: u64) -> String {
    format!("{}:{:016x}", resource.place.id, byte)
}

/// `FILE#RECORD`, as errors call it.
pub(crate) fn path_of(resource: &Resource, record: &str) -> PathBuf {
    let mut path = resource.place.spelled.clone().into_os_string();
    if !record.is_empty() {
        path.push("#");
        path.push(record);
    }
    path.into()
}

impl Slots {
    pub(crate) fn new(resource: Resource, inherited: Vec<u64>) -> Slots {
        Slots { resource: Arc::new(resource), inherited, table: Mutex::default() }
    }

    pub(crate) fn resource(&self) -> &Arc<Resource> {
        &self.resource
    }

    /// The shared lock of an owner that holds a record already.
    pub(crate) fn tenure_of(&self, owner: Owner) -> Option<Arc<Tenure>> {
        locked(&self.table).owners.get(&owner).and_then(|owned| owned.tenure.upgrade())
    }

    pub(crate) fn is_held_by(&self, owner: Owner) -> bool {
        locked(&self.table).owners.contains_key(&owner)
    }

    /// Names of what an owner holds.
    pub(crate) fn holdings(&self, owner: Owner) -> Vec<String> {
        let table = locked(&self.table);
        let bytes = table.owners.get(&owner).map_or(&[][..], |owned| &owned.bytes);
        bytes.iter().map(|byte| name_of(&self.resource, *byte)).collect()
    }

    fn begin(
        self: &Arc<Self>,
        wanted: &Wanted,
        owner: Owner,
        wait: bool,
    ) -> Result<Begin<Option<ByteTenure>, ByteTicket>> {
        let path = || path_of(&self.resource, &wanted.name);
        if self.resource.is_foreign_process() {
            return Err(Error::Forked { path: path() });
        }
        let Some(sidecar) = self.resource.sidecar() else {
            return Err(Error::Internal { path: path(), message: "the lock file was closed".to_owned() });
        };
        let mut table = locked(&self.table);
        let Table { slots, owners, next_id } = &mut *table;
        // Another lock file than before: what is left there is a wait that was called off, which gives back what it gets by itself.
        let known = slots.get_mut(&wanted.byte).filter(|slot| Arc::ptr_eq(&slot.sidecar, &sidecar));
        let Some(slot) = known else {
            slots.insert(wanted.byte, Slot::new(Arc::clone(&sidecar)));
            drop(table);
            return self.first_try(wanted, owner, wait, &sidecar);
        };
        if let Some(holder) = slot.holder.as_mut().filter(|holder| holder.owner == owner) {
            if holder.names.iter().any(|(_, name)| *name == wanted.name) {
                return Err(Error::Reentrant { path: path() });
            }
            *next_id += 1;
            holder.names.push((*next_id, Arc::clone(&wanted.name)));
            owners.entry(owner).or_insert_with(|| Owned::new(&wanted.tenure)).bytes.push(wanted.byte);
            return Ok(Begin::Got(Some(self.tenure(wanted, *next_id))));
        }
        if !wait {
            return Ok(if slot.holder.is_some() { Begin::Held } else { Begin::HeldElsewhere });
        }
        let ticket = self.queue_up(&mut table, wanted, owner, false);
        Ok(Begin::Queued(ticket))
    }

    /// The byte is free, as far as this process knows.
    fn first_try(
        self: &Arc<Self>,
        wanted: &Wanted,
        owner: Owner,
        wait: bool,
        sidecar: &Sidecar,
    ) -> Result<Begin<Option<ByteTenure>, ByteTicket>> {
        let byte = wanted.byte;
        let tried = self.try_byte(sidecar, byte);
        let mut table = locked(&self.table);
        match tried {
            Ok(true) => {
                let now = self.resource.parts.host.monotonic();
                let pending = (Arc::clone(&wanted.name), Arc::downgrade(&wanted.tenure));
                let id = table.hold(byte, owner, pending, Some(now));
                Ok(Begin::Got(Some(self.tenure(wanted, id))))
            }
            Ok(false) if wait => {
                let ticket = self.queue_up(&mut table, wanted, owner, true);
                self.call_helper(&mut table, byte);
                Ok(Begin::Queued(ticket))
            }
            Ok(false) => {
                self.retreat(&mut table, byte);
                Ok(Begin::HeldElsewhere)
            }
            Err(e) => {
                self.give_back(sidecar, byte);
                self.retreat(&mut table, byte);
                Err(Error::io("lock", &self.resource.lock.path, e))
            }
        }
    }

    fn try_byte(&self, sidecar: &Sidecar, byte: u64) -> std::io::Result<bool> {
        if self.inherited.contains(&byte) {
            return Ok(true);
        }
        Ok(!sidecar.byte_is_locked(byte + TO_GATE)? && sidecar.try_lock_byte(byte)?)
    }

    /// Gives a byte back to the system. What can't be given back ends when the file is closed.
    fn give_back(&self, sidecar: &Sidecar, byte: u64) {
        if !self.inherited.contains(&byte) && sidecar.unlock_byte(byte).is_err() {
            self.resource.close_at_the_end();
        }
    }

    fn tenure(self: &Arc<Self>, wanted: &Wanted, id: u64) -> ByteTenure {
        ByteTenure { slots: Arc::clone(self), byte: wanted.byte, id, tenure: Arc::clone(&wanted.tenure) }
    }

    fn queue_up(self: &Arc<Self>, table: &mut Table, wanted: &Wanted, owner: Owner, first: bool) -> ByteTicket {
        table.next_id += 1;
        let waiter = Arc::new(Waiter::new(table.next_id, LockKind::Exclusive, owner));
        let (name, tenure) = (Arc::clone(&wanted.name), Arc::downgrade(&wanted.tenure));
        let pending = Pending { waiter: Arc::clone(&waiter), name, tenure };
        if let Some(slot) = table.slots.get_mut(&wanted.byte) {
            if first {
                slot.queue.push_front(pending);
            } else {
                slot.queue.push_back(pending);
            }
            slot.call_back(wanted.byte);
        }
        ByteTicket { slots: Arc::clone(self), byte: wanted.byte, waiter, tenure: Arc::clone(&wanted.tenure) }
    }

    /// Gives up being the one who works on the byte; whoever queued meanwhile gets a helper.
    fn retreat(self: &Arc<Self>, table: &mut Table, byte: u64) {
        if table.slots.get(&byte).is_some_and(|slot| !slot.queue.is_empty()) {
            self.call_helper(table, byte);
        } else {
            table.slots.remove(&byte);
        }
    }

    fn call_helper(self: &Arc<Self>, table: &mut Table, byte: u64) {
        let work = Work::Record(Arc::clone(self), byte);
        if let Err(e) = self.resource.helpers().submit(work, MAY_BLOCK) {
            self.fail_all(table, byte, &format!("cannot start a thread to wait for the lock: {e}"));
        }
    }

    /// Nobody may wait for ever.
    fn fail_all(&self, table: &mut Table, byte: u64, message: &str) {
        for pending in table.slots.remove(&byte).map(|slot| slot.queue).unwrap_or_default() {
            let path = path_of(&self.resource, &pending.name);
            pending.waiter.answer(Err(Error::Internal { path, message: message.to_owned() }));
        }
    }

    /// A helper panicked.
    pub(crate) fn fail_queue(&self, byte: u64, message: &str) {
        self.fail_all(&mut locked(&self.table), byte, message);
    }

    /// A helper's work: waits for the byte on behalf of its queue until the first in it has an answer. False: it is still held by
    /// others (only when not blocking).
    pub(crate) fn serve_queue(self: &Arc<Self>, byte: u64, block: bool) -> bool {
        loop {
            let sidecar = {
                let mut table = locked(&self.table);
                let Some(slot) = table.slots.get_mut(&byte) else { return true };
                if slot.queue.is_empty() {
                    table.slots.remove(&byte);
                    return true;
                }
                slot.kernel = block.then(KernelWait::default);
                Arc::clone(&slot.sidecar)
            };
            let had = if block { self.wait_for(&sidecar, byte).map(|()| true) } else { self.try_byte(&sidecar, byte) };
            let mut table = locked(&self.table);
            let Some(slot) = table.slots.get_mut(&byte).filter(|slot| Arc::ptr_eq(&slot.sidecar, &sidecar)) else {
                // Left behind: the lock file is another now.
                self.give_back(&sidecar, byte);
                return true;
            };
            slot.kernel = None;
            match had {
                Ok(false) => return false,
                Ok(true) => {
                    let Some(first) = slot.queue.pop_front() else {
                        // Whoever waited for this has left: give it back before anybody sees it.
                        self.give_back(&sidecar, byte);
                        continue;
                    };
                    let now = self.resource.parts.host.monotonic();
                    let waker = table.admit(byte, first, Some(now));
                    drop(table);
                    waker.into_iter().for_each(Waker::wake);
                    return true;
                }
                Err(e) => {
                    self.give_back(&sidecar, byte);
                    if let Some(first) = slot.queue.pop_front() {
                        first.waiter.answer(Err(Error::io("lock", &self.resource.lock.path, e)));
                    }
                }
            }
        }
    }

    /// Queues at the byte's gate, then waits for the byte, in the kernel.
    fn wait_for(&self, sidecar: &Arc<Sidecar>, byte: u64) -> std::io::Result<()> {
        sidecar.lock_byte(byte + TO_GATE)?;
        let keeps = |keep: &mut dyn FnMut(&mut KernelWait) -> bool| {
            let mut table = locked(&self.table);
            let slot = table.slots.get_mut(&byte).filter(|slot| Arc::ptr_eq(&slot.sidecar, sidecar));
            slot.and_then(|slot| slot.kernel.as_mut()).is_some_and(keep)
        };
        let kept = keeps(&mut |wait| {
            wait.past_gate = true;
            wait.keeps_gate = !wait.called_off;
            wait.keeps_gate
        });
        if !kept {
            sidecar.unlock_byte(byte + TO_GATE)?;
        }
        let had = sidecar.lock_byte(byte);
        // Nobody takes the gate for this wait any more.
        let kept = keeps(&mut |wait| {
            wait.past_gate = false;
            std::mem::take(&mut wait.keeps_gate)
        });
        if kept && sidecar.unlock_byte(byte + TO_GATE).is_err() {
            self.resource.close_at_the_end();
        }
        had
    }

    fn release(self: &Arc<Self>, byte: u64, id: u64) {
        if self.resource.is_foreign_process() {
            return;
        }
        let mut table = locked(&self.table);
        let Table { slots, owners, .. } = &mut *table;
        let Some(slot) = slots.get_mut(&byte) else { return };
        let Some(holder) = &mut slot.holder else { return };
        let before = holder.names.len();
        holder.names.retain(|(other, _)| *other != id);
        if holder.names.len() == before {
            return;
        }
        if let Some(owned) = owners.get_mut(&holder.owner) {
            if let Some(i) = owned.bytes.iter().position(|other| *other == byte) {
                owned.bytes.swap_remove(i);
            }
            if owned.bytes.is_empty() {
                owners.remove(&holder.owner);
            }
        }
        if !holder.names.is_empty() {
            return;
        }
        slot.holder = None;
        if slot.handed_on {
            // It is another program's as well, until that and this open file are closed. Who waits here must ask with another one.
            let queue = slots.remove(&byte).map(|slot| slot.queue).unwrap_or_default();
            for pending in queue {
                pending.waiter.answer(Ok(Grant { id: 0, intent: None, recovery: None, enforced: false }));
            }
            return;
        }
        let inherited = self.inherited.contains(&byte);
        if !slot.queue.is_empty() && (inherited || slot.may_hand_over(self.resource.parts.host.monotonic(), byte)) {
            if let Some(next) = slot.queue.pop_front() {
                let waker = table.admit(byte, next, None);
                // Woken while the mutex is held, it would run into it and sleep again.
                drop(table);
                waker.into_iter().for_each(Waker::wake);
            }
            return;
        }
        self.give_back(&slot.sidecar, byte);
        self.retreat(&mut table, byte);
    }

    /// Every record that is held now is the other programs' too that are started from now on; answers the descriptor's number.
    pub(crate) fn hand_on(&self) -> Result<Option<u64>> {
        let mut table = locked(&self.table);
        // Whose turn it is to publish stays a matter of this process: it ends while these programs run.
        for (_, slot) in table.slots.iter_mut().filter(|(byte, slot)| **byte != PUBLISH && slot.holder.is_some()) {
            slot.handed_on = true;
        }
        self.resource.make_inheritable()
    }

    /// In a forked child: closes the inherited lock file.
    pub(crate) fn close_after_fork(&self) {
        if let Ok(mut table) = self.table.try_lock() {
            table.slots.clear();
        }
        self.resource.close_after_fork();
    }
}

impl Table {
    fn hold(&mut self, byte: u64, owner: Owner, pending: (Arc<str>, Weak<Tenure>), fresh: Option<Duration>) -> u64 {
        self.next_id += 1;
        let (name, tenure) = pending;
        if let Some(slot) = self.slots.get_mut(&byte) {
            slot.holder = Some(Holder { owner, names: vec![(self.next_id, name)] });
            if let Some(now) = fresh {
                (slot.handovers, slot.turn_began) = (0, now);
            }
        }
        self.owners.entry(owner).or_insert_with(|| Owned { tenure, bytes: Vec::new() }).bytes.push(byte);
        self.next_id
    }

    /// Makes the first in the queue the holder; whom to wake.
    fn admit(&mut self, byte: u64, first: Pending, fresh: Option<Duration>) -> Option<Waker> {
        let id = self.hold(byte, first.waiter.owner, (first.name, first.tenure), fresh);
        first.waiter.settle(Ok(Grant { id, intent: None, recovery: None, enforced: true }))
    }
}

impl Owned {
    fn new(tenure: &Arc<Tenure>) -> Owned {
        Owned { tenure: Arc::downgrade(tenure), bytes: Vec::new() }
    }
}

impl Slot {
    /// Somebody works on it.
    fn new(sidecar: Arc<Sidecar>) -> Slot {
        Slot {
            sidecar,
            holder: None,
            queue: VecDeque::new(),
            kernel: None,
            handed_on: false,
            handovers: 0,
            turn_began: Duration::ZERO,
        }
    }

    fn may_hand_over(&mut self, now: Duration, byte: u64) -> bool {
        self.handovers += 1;
        if self.handovers < HANDOVERS && now.saturating_sub(self.turn_began) < TURN {
            return true;
        }
        let alone = !self.sidecar.byte_is_locked(byte + TO_GATE).unwrap_or(true);
        if alone {
            (self.handovers, self.turn_began) = (0, now);
        }
        alone
    }

    /// Nobody wants the byte any more that a helper waits for: the wait goes on, but keeps nobody out.
    fn call_off(&mut self, byte: u64) {
        let sidecar = &self.sidecar;
        if let Some(wait) = self.kernel.as_mut().filter(|_| self.queue.is_empty()) {
            wait.called_off = true;
            if wait.keeps_gate && sidecar.unlock_byte(byte + TO_GATE).is_ok() {
                wait.keeps_gate = false;
            }
        }
    }

    /// Somebody wants it again.
    fn call_back(&mut self, byte: u64) {
        let sidecar = &self.sidecar;
        if let Some(wait) = self.kernel.as_mut().filter(|wait| wait.called_off) {
            wait.called_off = false;
            if wait.past_gate && !wait.keeps_gate {
                wait.keeps_gate = sidecar.try_lock_byte(byte + TO_GATE).unwrap_or(false);
            }
        }
    }
}

impl ByteTenure {
    pub(crate) fn slots(&self) -> &Arc<Slots> {
        &self.slots
    }

    pub(crate) fn shared(&self) -> &Arc<Tenure> {
        &self.tenure
    }

    pub(crate) fn byte(&self) -> u64 {
        self.byte
    }

    pub(crate) fn is_inherited(&self) -> bool {
        self.slots.inherited.contains(&self.byte)
    }
}

impl Drop for ByteTenure {
    fn drop(&mut self) {
        self.slots.release(self.byte, self.id);
    }
}

impl Queued for ByteTicket {
    type Held = Option<ByteTenure>;

    fn poll(&self, waker: &Waker) -> Option<Result<Self::Held>> {
        let granted = self.waiter.poll(waker)?;
        Some(granted.map(|grant| self.tenure(&grant)))
    }

    fn leave(&self) -> bool {
        let mut table = locked(&self.slots.table);
        let Some(slot) = table.slots.get_mut(&self.byte) else { return false };
        let before = slot.queue.len();
        slot.queue.retain(|pending| pending.waiter.id != self.waiter.id);
        let was_in = slot.queue.len() < before;
        if was_in {
            slot.call_off(self.byte);
        }
        was_in
    }

    fn is_for_thread(&self) {
        self.waiter.is_for_thread();
    }

    fn spin_if_near(&self, host: &dyn Host) {
        self.waiter.spin_if_near(host, QUICK);
    }
}

impl ByteTicket {
    fn tenure(&self, grant: &Grant) -> Option<ByteTenure> {
        grant.enforced.then(|| ByteTenure {
            slots: Arc::clone(&self.slots),
            byte: self.byte,
            id: grant.id,
            tenure: Arc::clone(&self.tenure),
        })
    }
}

impl Drop for ByteTicket {
    fn drop(&mut self) {
        if self.slots.resource.is_foreign_process() || self.leave() {
            return;
        }
        if let Some(Ok(grant)) = self.waiter.take() {
            drop(self.tenure(&grant));
        }
    }
}

#[cfg(test)]
mod tests {
    use filelatch_fs::sim::SimFs;
    use filelatch_fs::{Access, Fs};

    use super::*;
    use crate::engine::Filelatch;
    use crate::lock::acquire::acquire;
    use crate::lock::records::{FIRST, byte_of};
    use crate::lock::{LockOptions, LockScope};

    /// LOCK-17 (P10): records whose names have the same hash are one lock: one owner may have it for all of them, until the last is given
    /// back, and nobody else has it meanwhile.
    #[test]
    fn records_with_one_byte() {
        let fs = SimFs::default();
        let engine = Filelatch::builder().fs(fs.as_fs()).host(Arc::new(fs.host())).without_workspaces().build();
        let file = engine.file("/a").unwrap();
        let entry = file.entry().unwrap();
        let take = |scope: &LockScope, name: &str| {
            let (name, owner, options) = (Arc::from(name), scope.owner(), LockOptions::new());
            let holdings = Vec::new;
            let request = file.request(owner, Wait::No, &options, &holdings);
            let mut door = entry.records.door(&name, owner).unwrap();
            let tenure = door.tenure.take().map_or_else(|| acquire(&door, &request).map(Arc::new), Ok)?;
            // What the hashes of both would have to be.
            acquire(&door.wanted(FIRST + 7, tenure).unwrap(), &request).map(Option::unwrap)
        };
        let (one, two) = (LockScope::new(), LockScope::new());
        let x = take(&one, "x").unwrap();
        let y = take(&one, "y").unwrap();
        assert_eq!(entry.records.holdings(one.owner()).len(), 2);
        assert!(matches!(take(&one, "x"), Err(Error::Reentrant { .. })), "the very record");
        assert!(matches!(take(&two, "z"), Err(Error::Locked { .. })));
        drop(x);
        assert!(matches!(take(&two, "x"), Err(Error::Locked { .. })), "the other record still needs it");
        let x = take(&one, "x").unwrap();
        drop(y);
        assert!(matches!(take(&two, "y"), Err(Error::Locked { .. })));
        drop(x);
        assert!(!entry.records.is_held_by(one.owner()));
        drop(take(&two, "y").unwrap());
    }

    /// P2, LOCK-15: a record is handed on so often, or for so long, while another process stands at its gate.
    #[test]
    fn turns() {
        let fs = SimFs::default();
        let engine = Filelatch::builder().fs(fs.as_fs()).host(Arc::new(fs.host())).without_workspaces().build();
        let file = engine.file("/a").unwrap();
        let (byte, held) = (byte_of("x"), file.lock_record("x", &LockOptions::new()).unwrap());
        let entry = file.entry().unwrap();
        let mut door = entry.records.door(&Arc::from("x"), Owner::current()).unwrap();
        let tenure = door.tenure.take().unwrap();
        let slots = door.wanted(byte, tenure).unwrap().slots;
        let other = fs.process().open_dir("/".as_ref()).unwrap().open(".a.lock".as_ref(), Access::ReadWrite).unwrap();
        let mut table = locked(&slots.table);
        let slot = table.slots.get_mut(&byte).unwrap();
        let now = slot.turn_began;
        assert!((0..100).all(|_| slot.may_hand_over(now, byte)), "nobody else wants it");
        assert!(other.try_lock_range(byte + TO_GATE, 1, LockKind::Exclusive).unwrap());
        slot.handovers = 0;
        let times = (0..100).take_while(|_| slot.may_hand_over(now, byte)).count();
        assert_eq!(times + 1, usize::try_from(HANDOVERS).unwrap());
        slot.handovers = 0;
        assert!(!slot.may_hand_over(now + TURN, byte));
        drop(table);
        drop(held);
    }
}
