//! What a lease file is taken for (LOCK-13, P11): a number in it counts, so nothing torn may pass for one.

use std::time::Duration;

use filelatch::fuzzing::{Lease, LeaseContent};

pub(crate) fn run(data: &[u8]) {
    let found = Lease::find(data);
    let ours = data.starts_with(b"{\"v\":") || data.starts_with(b"\0");
    assert_eq!(ours, found != LeaseContent::Foreign, "{found:?}");
    let LeaseContent::Lease(lease) = found else { return };
    assert!(lease.token() > 0, "no number");
    let ends = |lease: &Lease| {
        let [for_its_holder, for_others] = lease.ends();
        assert!(for_its_holder <= for_others, "{lease:?}");
        for_others
    };
    written(&lease);
    let before = ends(&lease);
    let given_back = lease.given_back();
    assert_eq!((given_back.token(), ends(&given_back)), (lease.token(), before));
    written(&given_back);
    for now in [Duration::ZERO, before, Duration::MAX] {
        let renewed = lease.renewed(now);
        assert_eq!(renewed.token(), lease.token());
        assert!(ends(&renewed) >= now.min(Duration::from_millis(u64::MAX)), "{renewed:?} at {now:?}");
        written(&renewed);
    }
}

/// Written it is one line and the same lease; cut anywhere, it is none.
fn written(lease: &Lease) {
    let line = lease.line();
    assert_eq!(line.iter().position(|b| *b == b'\n'), Some(line.len() - 1));
    assert_eq!(Lease::find(&line), LeaseContent::Lease(lease.clone()));
    for end in [line.len() - 2, line.len() / 2, 20] {
        assert_eq!(Lease::find(&line[..end]), LeaseContent::Damaged, "torn at {end}");
    }
}
