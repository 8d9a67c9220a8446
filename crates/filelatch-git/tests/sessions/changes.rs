//! What sessions have changed.

use filelatch_git::{ChangedFile, ChangesOptions, FileFate, MergeOptions, StartOptions};

use crate::fixture::{Fixture, put};

/// Path and fate, as text.
fn told(files: &[ChangedFile]) -> Vec<String> {
    let one = |file: &ChangedFile| format!("{:?} {}", file.fate, file.path.display());
    files.iter().map(one).collect()
}

#[track_caller]
fn committed(fixture: &Fixture, name: &str, options: &ChangesOptions) -> Vec<String> {
    told(&fixture.sessions().changes(name, options).unwrap().unwrap().files)
}

/// STORE-5: what the session has committed, and nothing of what others have done and it has merged; before the merge, after it by every way,
/// and from the commit on up to which it is known.
#[test]
fn of_the_session_alone() {
    let Some(fixture) = Fixture::new() else { return };
    let folder = fixture.start("a").folder;
    let all = ChangesOptions::default();
    assert!(committed(&fixture, "a", &all).is_empty());
    put(&folder.join("new"), "x\n");
    put(&folder.join("a.json"), "{}\n");
    let first = fixture.commit_in(&folder, "work");
    fixture.write("main only", "m\n");
    fixture.commit("theirs");
    fixture.git_in(&folder, "merge -q -m merged main");
    std::fs::remove_file(folder.join("dir/b.txt")).unwrap();
    let tip = fixture.commit_in(&folder, "more");
    let whole = ["Changed a.json", "Deleted dir/b.txt", "Created new"];
    assert_eq!(committed(&fixture, "a", &all), whole);
    let since = |since: &str| ChangesOptions { since: Some(since.to_owned()), ..ChangesOptions::default() };
    assert_eq!(committed(&fixture, "a", &since(&first)), ["Deleted dir/b.txt"]);
    assert_eq!(committed(&fixture, "a", &since("0123456789012345678901234567890123456789")), whole);
    let until = ChangesOptions { until: Some(first.clone()), ..ChangesOptions::default() };
    assert_eq!(committed(&fixture, "a", &until), ["Changed a.json", "Created new"]);

    let merged = fixture.sessions().merge("a", &MergeOptions::default()).unwrap();
    assert_eq!(merged.tip, tip);
    assert_eq!(committed(&fixture, "a", &all), whole, "after a fast-forward its base has it all");
    let not = ChangesOptions { not: Some(merged.before), ..ChangesOptions::default() };
    assert_eq!(committed(&fixture, "a", &not), whole);
    let found = fixture.sessions().changes("a", &all).unwrap().unwrap();
    assert_eq!(found.tip, tip);
    let json = &found.files[0];
    let blob = |of: &str| Some(fixture.git(&format!("rev-parse {of}")));
    assert_eq!((&json.before, &json.after), (&blob("main~3:a.json"), &blob("main:a.json")));
    assert!(fixture.sessions().changes("nobody", &all).unwrap().is_none());
}

/// STORE-5: a session that was moved onto what others have done has not done that: not before it is merged, nor when it is known where the
/// branch stood.
#[test]
fn rebased() {
    let Some(fixture) = Fixture::new() else { return };
    let folder = fixture.start("a").folder;
    put(&folder.join("new"), "x\n");
    fixture.commit_in(&folder, "work");
    fixture.write("main only", "m\n");
    fixture.commit("theirs");
    fixture.git_in(&folder, "rebase -q main");
    assert_eq!(committed(&fixture, "a", &ChangesOptions::default()), ["Created new"]);
    let merged = fixture.sessions().merge("a", &MergeOptions::default()).unwrap();
    let not = ChangesOptions { not: Some(merged.before), ..ChangesOptions::default() };
    assert_eq!(committed(&fixture, "a", &not), ["Created new"]);
}

/// STORE-5: what is not committed in a living session; not what is ignored, nor what was only included. Paths are those of the workspace, also
/// where that begins above the repository.
#[test]
fn not_committed() {
    let Some(fixture) = Fixture::new() else { return };
    filelatch::Filelatch::new().init(fixture.top()).unwrap();
    fixture.write("local", "mine\n");
    fixture.write("other", "mine\n");
    let include = StartOptions { include: vec!["local".to_owned(), "other".to_owned()], ..StartOptions::default() };
    let sessions = fixture.sessions();
    assert_eq!(sessions.workspace(), fixture.top());
    let folder = sessions.start(Some("a"), &include).unwrap().folder;
    assert!(sessions.uncommitted("a").unwrap().is_empty());
    put(&folder.join("a.json"), "{}\n");
    put(&folder.join("ignored.log"), "x");
    put(&folder.join("n w/x"), "x");
    put(&folder.join("other"), "changed");
    put(&folder.join("staged"), "x");
    fixture.git_in(&folder, "add staged");
    std::fs::remove_file(folder.join("dir/b.txt")).unwrap();
    let found = sessions.uncommitted("a").unwrap();
    let expected = [
        "Changed repo/a.json",
        "Deleted repo/dir/b.txt",
        "Created repo/n w/x",
        "Created repo/other",
        "Created repo/staged",
    ];
    assert_eq!(told(&found), expected);
    assert!(found.iter().all(|file| file.at > std::time::SystemTime::UNIX_EPOCH));
    assert_eq!(found[0].fate, FileFate::Changed);
    std::fs::remove_file(folder.join("other")).unwrap();
    fixture.commit_in(&folder, "work");
    assert!(
        told(&sessions.changes("a", &ChangesOptions::default()).unwrap().unwrap().files)[0].ends_with("repo/a.json")
    );
    assert!(sessions.uncommitted("nobody").unwrap().is_empty());
}
