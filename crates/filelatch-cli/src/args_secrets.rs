//! The definitions of the commands `token` and `credential`, as `args` has it of the others.
#![expect(clippy::doc_markdown, reason = "the comments are the help that users read on a terminal")]

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use filelatch::store::Scope;

use crate::args::{Waiting, duration};

/// Make, list, verify and revoke API tokens, of which only hashes are stored
///
/// A token is shown once, when it is made; the file has nothing that it could be found by. The file is .filelatch/stores/tokens.json of the
/// workspace (see `init`), or that of --store. It has mode 0600; one that others may open is refused.
#[derive(Debug, Args)]
pub(crate) struct Token {
    #[command(subcommand)]
    pub(crate) action: TokenAction,
    /// The file with the tokens [default: the workspace's]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) store: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TokenAction {
    Create(TokenCreate),
    List(TokenList),
    Verify(TokenVerify),
    Revoke(TokenRevoke),
    Prune(TokenPrune),
}

/// Make a token and print it, for the only time
///
/// With --json: {id, token}.
#[derive(Debug, Args)]
pub(crate) struct TokenCreate {
    /// What people call it; it need not be unique
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// What it allows: read, write or admin, each with those before it. Can be given several times [default: read]
    #[arg(long, value_name = "SCOPE")]
    pub(crate) scope: Vec<Scope>,
    /// It ends after so long: 12h, 90d [default: not by itself]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) expires: Option<Duration>,
    #[command(flatten)]
    pub(crate) waiting: Waiting,
}

/// List the tokens, the oldest first, with those that expired or were revoked
///
/// With --json: {tokens: [{id, name, scopes, state, created, expires, revoked, lastUsed}]}; state is active, expired or revoked.
#[derive(Debug, Args)]
pub(crate) struct TokenList {}

/// Tell whether the token on standard input is good
///
/// Exit status 0: it is, and its id, name and scopes are printed; 1: it is not, for whatever reason.
///
/// With --json: {valid, id, name, scopes}.
#[derive(Debug, Args)]
pub(crate) struct TokenVerify {
    /// It must also allow this
    #[arg(long, value_name = "SCOPE")]
    pub(crate) scope: Option<Scope>,
}

/// Revoke a token; it stays in the list
#[derive(Debug, Args)]
pub(crate) struct TokenRevoke {
    /// Its id, the part between the two underscores of the token
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) waiting: Waiting,
}

/// Remove tokens that expired or were revoked; print how many
#[derive(Debug, Args)]
pub(crate) struct TokenPrune {
    /// Only those that ended so long ago: 30d
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "0s")]
    pub(crate) older_than: Duration,
    #[command(flatten)]
    pub(crate) waiting: Waiting,
}

/// Keep secrets that several programs use, and renew each of them once
///
/// Secrets come from standard input and go to standard output, never from or to arguments. The file is .filelatch/stores/credentials.json of the
/// workspace (see `init`), or that of --store. It has mode 0600; one that others may open is refused.
///
/// Of an encrypted file the passphrase is taken from --passphrase-file, else from FILELATCH_PASSPHRASE.
#[derive(Debug, Args)]
pub(crate) struct Credential {
    #[command(subcommand)]
    pub(crate) action: CredentialAction,
    /// The file with the credentials [default: the workspace's]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) store: Option<PathBuf>,
    /// A file whose first line is the passphrase; - for standard input, /dev/fd/N for an open descriptor [env: FILELATCH_PASSPHRASE]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CredentialAction {
    Get(CredentialGet),
    Set(CredentialSet),
    Delete(CredentialDelete),
    List(CredentialList),
    Import(CredentialImport),
    Export(CredentialExport),
    Refresh(CredentialRefresh),
    Encrypt(CredentialEncrypt),
    Decrypt(CredentialDecrypt),
}

/// Print a secret, with the end of a line; exit status 5 if there is none
///
/// With --json: {key, secret, expires, updated, by, note}; a secret that is not text comes in base64, with "encoding": "base64".
#[derive(Debug, Args)]
pub(crate) struct CredentialGet {
    /// Its key
    #[arg(value_name = "KEY")]
    pub(crate) key: String,
    /// Print the secret and nothing else, not even the end of the line
    #[arg(long)]
    pub(crate) exact: bool,
}

/// Store the secret on standard input
///
/// One end of line at the end of the input is not part of it, unless --exact.
#[derive(Debug, Args)]
pub(crate) struct CredentialSet {
    /// Its key
    #[arg(value_name = "KEY")]
    pub(crate) key: String,
    /// For those who try it: it is refused without being shown
    #[arg(hide = true, allow_hyphen_values = true)]
    pub(crate) value: Vec<OsString>,
    /// It ends after so long: 1h, 30d [default: nobody has said]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) expires: Option<Duration>,
    /// A note for people, which `list` shows; an empty one removes it [default: as before]
    #[arg(long, value_name = "TEXT")]
    pub(crate) note: Option<String>,
    /// All of the input is the secret
    #[arg(long)]
    pub(crate) exact: bool,
    #[command(flatten)]
    pub(crate) waiting: Waiting,
}

/// Remove a credential
#[derive(Debug, Args)]
pub(crate) struct CredentialDelete {
    /// Its key
    #[arg(value_name = "KEY")]
    pub(crate) key: String,
    #[command(flatten)]
    pub(crate) waiting: Waiting,
}

/// List what there is, without the secrets
///
/// With --json: {encrypted, credentials: [{key, expires, updated, by, note}]}.
#[derive(Debug, Args)]
pub(crate) struct CredentialList {}

/// Store all credentials of a JSON file, or none; print how many
///
/// The form is {"credentials": {"KEY": {"text": "…", "expires": "2027-01-01T00:00:00Z", "note": "…"}}}, with "base64" for secrets that are not text;
/// a mere text in place of the object will do. A key that has another secret already is refused (3) unless --replace.
#[derive(Debug, Args)]
pub(crate) struct CredentialImport {
    /// The file, which nobody else may open; - for standard input
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Replace what is there under the same keys
    #[arg(long)]
    pub(crate) replace: bool,
    #[command(flatten)]
    pub(crate) waiting: Waiting,
}

/// Write all credentials, secrets included and not encrypted, to a file with mode 0600, in the form that `import` reads
#[derive(Debug, Args)]
pub(crate) struct CredentialExport {
    /// The file; - for standard output
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Replace the file if it exists
    #[arg(long)]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) waiting: Waiting,
}

/// Print a secret that is good for a while; if it is not, have a command renew it, once
///
/// Of many that meet an expired secret at one time one runs its command; the others wait for it and print what it made. The command gets the old
/// secret on its standard input (nothing, if there is none) and prints the new one; one end of line at its end is not part of it. What it prints
/// is stored, durable, before anybody sees it. If it fails, its exit status is passed on, nothing is changed, and the next who waits runs
/// his own. A command that was killed, or whose result could not be stored, may have used up what it was given: that can't be taken back.
#[derive(Debug, Args)]
pub(crate) struct CredentialRefresh {
    /// Its key
    #[arg(value_name = "KEY")]
    pub(crate) key: String,
    /// Renew it if it ends within so long; one that does not end is good
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "0s")]
    pub(crate) if_expires_within: Duration,
    /// What the command prints is {"secret": "…", "expires": "2027-01-01T00:00:00Z"} or {…, "expiresIn": SECONDS}
    #[arg(long, conflicts_with = "expires")]
    pub(crate) from_json: bool,
    /// The new one ends after so long: 1h
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) expires: Option<Duration>,
    /// Print nothing
    #[arg(long, short)]
    pub(crate) quiet: bool,
    /// Wait so long for another who renews it: 500ms, 5s, 2m [default: without limit]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) timeout: Option<Duration>,
    /// The command and its arguments; no shell is involved
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
}

/// Encrypt the file, or give it another passphrase
///
/// The format is age's: `age --decrypt FILE` reads it as well.
#[derive(Debug, Args)]
pub(crate) struct CredentialEncrypt {
    /// A file whose first line is the new passphrase, 8 bytes or more; - for standard input [env: FILELATCH_NEW_PASSPHRASE]
    #[arg(long, value_name = "FILE")]
    pub(crate) new_passphrase_file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) waiting: Waiting,
}

/// Take the encryption off the file
#[derive(Debug, Args)]
pub(crate) struct CredentialDecrypt {
    #[command(flatten)]
    pub(crate) waiting: Waiting,
}
