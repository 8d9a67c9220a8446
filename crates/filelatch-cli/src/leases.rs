//! `FILELATCH_LEASE`: the leases of the command that started this one, which it writes under (P11).
//!
//! Words separated by blanks, each `RESOURCE:NUMBER`. Nothing is believed: every write compares the number with the lease file.

use filelatch::InheritedLease;

/// Words that make no sense are left out: such a lease is then somebody else's.
pub(crate) fn parse(text: &str) -> Vec<InheritedLease> {
    let words = text.split_ascii_whitespace().filter_map(|word| {
        let (resource, token) = word.rsplit_once(':')?;
        Some(InheritedLease { resource: resource.to_owned(), token: token.parse().ok()? })
    });
    words.collect()
}

/// The variable's value.
pub(crate) fn to_value(leases: &[InheritedLease]) -> String {
    leases.iter().map(|lease| format!("{}:{}", lease.resource, lease.token)).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// P11: what is written is read again; nonsense is left out.
    #[test]
    fn round_trip() {
        let text = "fe00:12:a.json:1795268393233 fe00:12:b%20c:7";
        assert_eq!(to_value(&parse(text)), text);
        assert_eq!(parse("nonsense a:b x:-1 "), []);
    }
}
