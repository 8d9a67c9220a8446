//! Files of `key = value` lines: what people change in one file at one time.

use filelatch::merge::{Kind, Merged};

use crate::expect;

fn run(base: &str, ours: &str, theirs: &str) -> Merged {
    expect::run(Kind::Ini, base, ours, theirs)
}

#[track_caller]
fn fits(base: &str, ours: &str, theirs: &str, expected: &str) {
    expect::fits_in_order(Kind::Ini, base, ours, theirs, expected);
}

#[track_caller]
fn clashes(base: &str, ours: &str, theirs: &str, expected: &str) {
    expect::clashes(Kind::Ini, base, ours, theirs, expected);
}

/// MERGE-1: an environment file: neighbouring values, and additions at its end.
#[test]
fn environments() {
    fits(
        "# local\nHOST=a\nPORT=1\nexport DEBUG=0\n",
        "# local\nHOST=b\nPORT=1\nexport DEBUG=0\nOURS=\"x y z\"\n",
        "# local\nHOST=a\nPORT=2\nexport DEBUG=1\n\n# new\nTHEIRS=1\n",
        "# local\nHOST=b\nPORT=2\nexport DEBUG=1\nOURS=\"x y z\"\n\n# new\nTHEIRS=1\n",
    );
    clashes(
        "HOST=a\nPORT=1\nUSER=x\n",
        "HOST=a\nPORT=2\nUSER=y\n",
        "HOST=b\nPORT=3\nUSER=x\n",
        "HOST=b\n<<<<<<< ours\nPORT=2\n=======\nPORT=3\n>>>>>>> theirs\nUSER=y\n",
    );
}

/// MERGE-1: sections: a pair goes to its section, and sections of both are there.
#[test]
fn sections() {
    fits(
        "[core]\n\tbare = false\n\teditor = vi\n",
        "[core]\n\tbare = true\n\teditor = vi\n\n[alias]\n\tst = status\n",
        "[core]\n\tbare = false\n\teditor = ed\n\tpager = less\n\n[user]\n\tname = me\n",
        "[core]\n\tbare = true\n\teditor = ed\n\tpager = less\n\n[alias]\n\tst = status\n\n[user]\n\tname = me\n",
    );
}

/// MERGE-1: values of indented lines, and lists between commas.
#[test]
fn lists() {
    fits(
        "[options]\ninstall_requires =\n    a>=1\n    b\nignore = E1,W3\nzip_safe = no\n",
        "[options]\ninstall_requires =\n    a>=1\n    b\n    ours\nignore = E1,E2,W3\nzip_safe = no\n",
        "[options]\ninstall_requires =\n    a>=2\n    b\n    theirs\nignore = E1,W3,W4\nzip_safe = yes\n",
        "[options]\ninstall_requires =\n    a>=2\n    b\n    ours\n    theirs\nignore = E1,E2,W3,W4\nzip_safe = yes\n",
    );
}

/// MERGE-1: a section of repeated keys is a list of lines, which both sides add to.
#[test]
fn repeated_keys() {
    fits(
        "[remote]\nfetch = a\nfetch = b\n",
        "[remote]\nfetch = a\nfetch = b\nfetch = ours\n",
        "[remote]\nfetch = a\nfetch = b\nfetch = theirs\n",
        "[remote]\nfetch = a\nfetch = b\nfetch = ours\nfetch = theirs\n",
    );
}

/// MERGE-1: what is no such file is merged as lines, and says so.
#[test]
fn other_languages_are_merged_as_lines() {
    let merged = run("server {\n  listen 80;\n}\n", "server {\n  listen 81;\n}\n", "server {\n  listen 82;\n}\n");
    assert!(!merged.is_clean());
    assert!(merged.fallback().is_some());
}
