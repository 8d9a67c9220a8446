//! The examples of the documents, compiled and run by `cargo test`: a document can't show what does not work.

/// `docs/concepts/locking.md`
#[cfg(doctest)]
#[doc = include_str!("../../docs/concepts/locking.md")]
struct Locking;

/// `docs/concepts/conflicts.md`
#[cfg(doctest)]
#[doc = include_str!("../../docs/concepts/conflicts.md")]
struct Conflicts;

/// `docs/concepts/leases.md`
#[cfg(doctest)]
#[doc = include_str!("../../docs/concepts/leases.md")]
struct Leases;

/// `docs/concepts/live-documents.md`
#[cfg(doctest)]
#[doc = include_str!("../../docs/concepts/live-documents.md")]
struct LiveDocuments;

/// `docs/concepts/merging.md`
#[cfg(doctest)]
#[doc = include_str!("../../docs/concepts/merging.md")]
struct Merging;

/// `docs/concepts/queue.md`
#[cfg(doctest)]
#[doc = include_str!("../../docs/concepts/queue.md")]
struct Queue;

/// `docs/concepts/publishing.md`
#[cfg(doctest)]
#[doc = include_str!("../../docs/concepts/publishing.md")]
struct Publishing;

/// `docs/concepts/kept-versions.md`
#[cfg(doctest)]
#[doc = include_str!("../../docs/concepts/kept-versions.md")]
struct KeptVersions;

/// `docs/concepts/several-files.md`
#[cfg(doctest)]
#[doc = include_str!("../../docs/concepts/several-files.md")]
struct SeveralFiles;

/// `docs/concepts/audit.md`
#[cfg(doctest)]
#[doc = include_str!("../../docs/concepts/audit.md")]
struct Audit;

/// `docs/concepts/tokens.md`
#[cfg(doctest)]
#[doc = include_str!("../../docs/concepts/tokens.md")]
struct Tokens;

/// `docs/concepts/credentials.md`
#[cfg(doctest)]
#[doc = include_str!("../../docs/concepts/credentials.md")]
struct Credentials;

/// `docs/concepts/log.md`
#[cfg(doctest)]
#[doc = include_str!("../../docs/concepts/log.md")]
struct Log;

/// `docs/concepts/versions.md`
#[cfg(doctest)]
#[doc = include_str!("../../docs/concepts/versions.md")]
struct Versions;

/// `docs/concepts/watching.md`
#[cfg(doctest)]
#[doc = include_str!("../../docs/concepts/watching.md")]
struct Watching;

/// `docs/concepts/changes.md`
#[cfg(doctest)]
#[doc = include_str!("../../docs/concepts/changes.md")]
struct Changes;

/// `docs/concepts/generated-files.md`
#[cfg(doctest)]
#[doc = include_str!("../../docs/concepts/generated-files.md")]
struct GeneratedFiles;

/// `docs/concepts/repository.md`
#[cfg(doctest)]
#[doc = include_str!("../../docs/concepts/repository.md")]
struct Repository;

/// `docs/design/testing.md`
#[cfg(doctest)]
#[doc = include_str!("../../docs/design/testing.md")]
struct Testing;
