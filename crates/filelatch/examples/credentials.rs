//! A token for a server, renewed once: `credentials FILE SECONDS`. Start it several times at once: one prints that it asks the server, all print
//! the same token, and after so many seconds the next one asks again.
#![expect(clippy::disallowed_methods, reason = "a small program of its own, not part of the library")]
#![expect(clippy::print_stdout, reason = "and this is what it does")]

use std::error::Error;
use std::time::{Duration, SystemTime};

use filelatch::store::{Credential, NewCredential, Secret};
use filelatch::{Filelatch, LockOptions};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [file, seconds] = arguments.as_slice() else { return Err("usage: credentials FILE SECONDS".into()) };
    let lifetime = Duration::from_secs(seconds.parse()?);

    let store = Filelatch::new().credentials(file)?;
    let lasts = |found: &Credential, now| found.lasts(now, Duration::ZERO);
    let refreshed = store.refresh_with("server", lasts, &LockOptions::new(), |old| {
        println!(
            "process {} asks the server; there was {} before",
            std::process::id(),
            if old.is_some() { "one" } else { "none" }
        );
        let token = format!("token for process {}", std::process::id());
        Ok::<_, Box<dyn Error>>(NewCredential::new(Secret::new(token)).expires(SystemTime::now() + lifetime))
    })?;
    println!("{}", refreshed.credential.secret.expose_text().unwrap_or_default());
    Ok(())
}
