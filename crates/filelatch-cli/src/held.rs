//! `FILELATCH_HELD`: which locks the command that started this one holds (P12).
//!
//! Words separated by blanks, each `RESOURCE:DESCRIPTOR`: the lock's descriptor was inherited, and is checked before it is used.
//! Or `RESOURCE:pidN` (after `run --close`): process N keeps the lock to itself, so waiting for it would never end.
//! A resource's name contains no blank ([`filelatch::Guard::resource_name`]). A record's name is its file's, a colon and 16 hexadecimal
//! digits ([`filelatch::RecordGuard::resource_name`]).

use filelatch::{Error, Filelatch, Inherited, LatchFile};

use crate::output;

/// What the variable says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) inherited: Vec<Inherited>,
    /// Resource and process.
    pub(crate) kept: Vec<(String, u32)>,
}

impl Held {
    /// Words that make no sense are left out: at worst a lock is waited for.
    pub(crate) fn parse(text: &str) -> Held {
        let mut held = Held::default();
        for word in text.split_ascii_whitespace() {
            let Some((resource, holder)) = word.rsplit_once(':') else { continue };
            if let Some(pid) = holder.strip_prefix("pid").and_then(|pid| pid.parse().ok()) {
                held.kept.push((resource.to_owned(), pid));
            } else if let Ok(descriptor) = holder.parse() {
                held.inherited.push(Inherited { resource: resource.to_owned(), descriptor });
            }
        }
        held
    }

    /// The variable's value.
    pub(crate) fn to_value(&self) -> String {
        let inherited = self.inherited.iter().map(|held| format!("{}:{}", held.resource, held.descriptor));
        let kept = self.kept.iter().map(|(resource, pid)| format!("{resource}:pid{pid}"));
        inherited.chain(kept).collect::<Vec<_>>().join(" ")
    }

    /// Tells the engine. Of locks whose descriptor got lost on the way only a warning remains.
    pub(crate) fn pass_to(&mut self, latch: &Filelatch) -> Vec<Inherited> {
        let lost = latch.inherit(self.inherited.clone());
        self.inherited.retain(|held| !lost.contains(held));
        lost
    }

    /// Refuses at once what would be waited for without end.
    pub(crate) fn check(
        &self,
        file: &LatchFile,
        record: Option<&str>,
        lost: &[Inherited],
        exclusive: bool,
    ) -> Result<(), Error> {
        if self.kept.is_empty() && lost.is_empty() {
            return Ok(());
        }
        let whole = file.id().to_string();
        let own = record.map(|record| file.record_resource_name(record));
        // A record meets its own lock and the whole file's, the whole file all of its records'.
        let meets = |resource: &str| match (resource.strip_prefix(&whole), &own) {
            (Some(rest), None) => rest.is_empty() || rest.starts_with(':'),
            (Some(rest), Some(own)) => rest.is_empty() || resource == own,
            (None, _) => false,
        };
        if lost.iter().any(|held| meets(&held.resource)) {
            let path = file.path().display();
            output::warning(&format!(
                "the lock on `{path}` was not inherited (its descriptor was closed on the way), so it is waited for"
            ));
        }
        let mut keepers = self.kept.iter().filter(|(resource, _)| meets(resource)).map(|(_, pid)| *pid).peekable();
        if keepers.peek().is_none() {
            return Ok(());
        }
        let holders = file.lock_state()?.holders;
        let blocks = |pid| holders.iter().any(|holder| holder.pid == Some(pid) && (exclusive || !holder.shared));
        if keepers.any(blocks) {
            return Err(Error::HeldByParent { path: file.path().to_owned() });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// P12: what is written is read again; nonsense is left out.
    #[test]
    fn round_trip() {
        let text = "fe00:12:a.json:5 fe00:12:b%20c:77 fe00:12:a.json:4123456789abcdef:6 fe00:9:d:pid4211";
        let held = Held::parse(text);
        assert_eq!(held.to_value(), text);
        assert_eq!(held.inherited[1], Inherited { resource: "fe00:12:b%20c".into(), descriptor: 77 });
        assert_eq!(Held::parse("nonsense a:b x:-1 "), Held::default());
    }
}
