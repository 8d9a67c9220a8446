//! Markdown and plain text: what people resolve without thinking, and what they do not.

use std::path::Path;

use filelatch::merge::{ConflictStyle, Markers, MergeOptions, Method, merge};

use crate::cases::Numbers;

fn merged(name: &str, base: &str, ours: &str, theirs: &str) -> Option<String> {
    let options = MergeOptions::for_path(Path::new(name));
    let merged = merge(base.as_bytes(), ours.as_bytes(), theirs.as_bytes(), &options);
    merged.content().map(|content| String::from_utf8(content).unwrap())
}

fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines.sort_unstable();
    lines
}

#[track_caller]
fn clean(name: &str, base: &str, ours: &str, theirs: &str, expected: &str) {
    assert_eq!(merged(name, base, ours, theirs).as_deref(), Some(expected));
    let exchanged = merged(name, base, theirs, ours).expect("a conflict with the sides exchanged");
    assert_eq!(sorted(&exchanged), sorted(expected), "other lines with the sides exchanged");
}

#[track_caller]
fn conflict(name: &str, base: &str, ours: &str, theirs: &str) {
    assert_eq!(merged(name, base, ours, theirs), None);
    assert_eq!(merged(name, base, theirs, ours), None, "with the sides exchanged");
}

/// MERGE-2: the last line of one side has no end; where the other side goes on behind it, it gets one.
#[test]
fn lines_behind_a_last_line_without_end() {
    for (base, line_end) in [("a\nc\n", "\n"), ("a\r\nc\r\n", "\r\n")] {
        let [ours, theirs] = ["c\nnew\n", "x\nc"].map(|text| text.replace('\n', line_end));
        let text = shown("a.txt", base, &ours, &theirs);
        assert!(text.ends_with(&format!("c{line_end}new{line_end}")), "{text:?}");
    }
}

/// What is shown of a conflict, ours over theirs.
fn shown(name: &str, base: &str, ours: &str, theirs: &str) -> String {
    let options = MergeOptions::for_path(Path::new(name));
    let merged = merge(base.as_bytes(), ours.as_bytes(), theirs.as_bytes(), &options);
    let markers = Markers { style: ConflictStyle::Merge, ..Markers::default() };
    String::from_utf8(merged.render(&markers)).unwrap()
}

const CHANGELOG: &str = "# Changes\n\n## Unreleased\n\n- first\n\n## 1.0.0\n\n- old\n";

/// MERGE-2: entries of both under one heading; ours first.
#[test]
fn entries_at_one_place_are_both_kept() {
    let ours = CHANGELOG.replace("- first\n", "- first\n- ours\n");
    let theirs = CHANGELOG.replace("- first\n", "- first\n- theirs,\n  on two lines\n");
    let both = CHANGELOG.replace("- first\n", "- first\n- ours\n- theirs,\n  on two lines\n");
    clean("CHANGELOG.md", CHANGELOG, &ours, &theirs, &both);
}

/// MERGE-2: what both inserted stands once.
#[test]
fn an_entry_of_both_stands_once() {
    let ours = CHANGELOG.replace("- first\n", "- first\n- both\n- ours\n");
    let theirs = CHANGELOG.replace("- first\n", "- first\n- theirs\n- both\n");
    let both = CHANGELOG.replace("- first\n", "- first\n- theirs\n- both\n- ours\n");
    clean("CHANGELOG.md", CHANGELOG, &ours, &theirs, &both);
}

/// MERGE-2: two paragraphs of which one says all that the other says and more are two versions of one.
#[test]
fn a_paragraph_that_goes_on_is_a_rival() {
    conflict("a.md", "# Notes\n", "# Notes\none\n", "# Notes\none\ntwo\n");
    conflict("a.md", "# Notes\n", "# Notes\n\nhello world\n", "# Notes\n\nhello\n");
    clean("a.md", "# Notes\n", "# Notes\n\nhello\n", "# Notes\n\nhellos\n", "# Notes\n\nhello\n\nhellos\n");
}

/// MERGE-1: an entry that a side inserted more than once stands as often as there, whoever is ours.
#[test]
fn an_entry_of_both_that_one_has_twice() {
    clean("a.txt", "", "a\nx\na\nx", "a\ny\n", "a\nx\na\nx\ny\n");
    clean("a.txt", "", "a\ny\n", "a\nx\na\nx", "a\ny\nx\na\nx");
    clean("a.txt", "", "a\ny\nz\n", "y\na\nx\n", "a\ny\nz\nx\n");
}

/// MERGE-2: new sections of both; a heading that both made does not double, and its entries come together.
#[test]
fn sections_at_one_place_are_joined() {
    let base = "# Changes\n\n## 1.0.0\n\n- old\n";
    let ours = base.replace("## 1.0.0", "## Unreleased\n\n### Added\n\n- ours\n\n### Fixed\n\n- a bug\n\n## 1.0.0");
    let theirs =
        base.replace("## 1.0.0", "## Unreleased\n\n### Fixed\n\n- a crash\n\n### Added\n\n- theirs\n\n## 1.0.0");
    let both = base.replace(
        "## 1.0.0",
        "## Unreleased\n\n### Added\n\n- ours\n\n- theirs\n\n### Fixed\n\n- a bug\n\n- a crash\n\n## 1.0.0",
    );
    clean("CHANGELOG.md", base, &ours, &theirs, &both);
}

/// MERGE-2: of two new releases the newer one comes first, whoever wrote it.
#[test]
fn new_releases_come_in_their_order() {
    let base = "# Changes\n\n## 1.0.0\n\n- old\n";
    let next = "## Unreleased\n\n- next\n\n";
    let one = "## 1.1.0\n\n- one\n\n";
    let ours = base.replace("## 1.0.0", &format!("{one}## 1.0.0"));
    let theirs = base.replace("## 1.0.0", &format!("{next}## 1.0.0"));
    let both = base.replace("## 1.0.0", &format!("{next}{one}## 1.0.0"));
    assert_eq!(merged("CHANGELOG.md", base, &ours, &theirs).as_ref(), Some(&both));
    assert_eq!(merged("CHANGELOG.md", base, &theirs, &ours).as_ref(), Some(&both));
}

/// MERGE-2: what is not released comes first, also where no release follows.
#[test]
fn what_is_not_released_comes_first() {
    let (one, next) = ("## 1.1.0\n\n- one\n", "## Unreleased\n\n- next\n");
    let [one_only, next_only] = [one, next].map(|section| format!("# Changes\n\n{section}"));
    let both = format!("# Changes\n\n{next}\n{one}");
    assert_eq!(merged("CHANGELOG.md", "# Changes\n\n", &one_only, &next_only).as_ref(), Some(&both));
    assert_eq!(merged("CHANGELOG.md", "# Changes\n\n", &next_only, &one_only).as_ref(), Some(&both));
}

/// MERGE-2: data at the head of a document is no list of entries.
#[test]
fn insertions_into_front_matter_conflict() {
    let base = "---\ntitle: a\n---\ntext\n";
    conflict("a.md", base, &base.replace("a\n---", "a\ntag: b\n---"), &base.replace("a\n---", "a\ndate: c\n---"));
}

/// MERGE-2: a deeper section belongs to the section above, so it comes before a new one of that level, whoever wrote it.
#[test]
fn a_deeper_section_stays_where_it_was_added() {
    let base = "# Changes\n\n## 2.0\n\n- new\n\n## 1.0\n\n- old\n";
    let (deeper, section) = ("### Fixed\n\n- bug\n\n", "## 1.5\n\n- between\n\n");
    let ours = base.replace("## 1.0", &format!("{section}## 1.0"));
    let theirs = base.replace("## 1.0", &format!("{deeper}## 1.0"));
    let both = base.replace("## 1.0", &format!("{deeper}{section}## 1.0"));
    assert_eq!(merged("CHANGELOG.md", base, &ours, &theirs).as_ref(), Some(&both));
    assert_eq!(merged("CHANGELOG.md", base, &theirs, &ours).as_ref(), Some(&both));
}

/// MERGE-2: one side makes a release of the entries, the other adds one at the same place: it is in no release yet.
#[test]
fn an_entry_stays_out_of_a_release_made_meanwhile() {
    let ours = CHANGELOG.replace("## Unreleased\n\n", "## Unreleased\n\n- ours\n");
    let theirs = CHANGELOG.replace("## Unreleased\n\n", "## Unreleased\n\n## 1.1.0\n\n");
    let both = CHANGELOG.replace("## Unreleased\n\n", "## Unreleased\n\n- ours\n\n## 1.1.0\n\n");
    assert_eq!(merged("CHANGELOG.md", CHANGELOG, &ours, &theirs).as_ref(), Some(&both));
    assert_eq!(merged("CHANGELOG.md", CHANGELOG, &theirs, &ours).as_ref(), Some(&both));
}

/// MERGE-2: the same, but lines merge without a conflict, to a wrong result.
#[test]
fn an_entry_that_would_slip_into_a_release_is_a_conflict() {
    let base = CHANGELOG.replace("- first\n", "- first\n- second\n- third\n");
    let ours = base.replace("- third\n", "- third\n- ours\n");
    let theirs = base.replace("## Unreleased\n", "## Unreleased\n\n## 1.1.0 (2024-05-01)\n");
    conflict("CHANGELOG.md", &base, &ours, &theirs);
    let shown = shown("CHANGELOG.md", &base, &ours, &theirs);
    assert!(shown.starts_with("# Changes\n\n## Unreleased\n"), "{shown}");
    assert!(shown.ends_with("## 1.0.0\n\n- old\n"), "{shown}");
    // What is below another release does not slip.
    let ours = base.replace("- old\n", "- old\n- older\n");
    let both = theirs.replace("- old\n", "- old\n- older\n");
    clean("CHANGELOG.md", &base, &ours, &theirs, &both);
    // A changed entry goes where the entry goes.
    let ours = base.replace("- third\n", "- third, and more\n");
    let both = theirs.replace("- third\n", "- third, and more\n");
    clean("CHANGELOG.md", &base, &ours, &theirs, &both);
    // Nor does a section that is put behind the entries.
    let ours = base.replace("## 1.0.0\n", "## 1.0.1\n\n- fix\n\n## 1.0.0\n");
    let both = theirs.replace("## 1.0.0\n", "## 1.0.1\n\n- fix\n\n## 1.0.0\n");
    clean("CHANGELOG.md", &base, &ours, &theirs, &both);
    // A `#` in program text is no heading.
    let base = "# Use\n\n```sh\nrun\n# done\n```\n\ntext\n";
    let ours = base.replace("run\n", "# 1.0 and later\nrun\n");
    let theirs = base.replace("# done\n", "# done\nend\n");
    let both = ours.replace("# done\n", "# done\nend\n");
    clean("README.md", base, &ours, &theirs, &both);
}

/// MERGE-2: entries that speak of one thing are for a person.
#[test]
fn two_versions_of_one_entry_conflict() {
    let insert = |line: &str| CHANGELOG.replace("- first\n", &format!("- first\n{line}\n"));
    conflict("CHANGELOG.md", CHANGELOG, &insert("- Update serde to 1.2"), &insert("- Update serde to 1.3"));
    conflict("CHANGELOG.md", CHANGELOG, &insert("| `a` | one |"), &insert("| `a` | two |"));
    conflict("CHANGELOG.md", CHANGELOG, &insert("[home]: https://a.example"), &insert("[home]: https://b.example"));
    let sections = |title: &str| CHANGELOG.replace("## 1.0.0", &format!("## {title}\n\n- {title}\n\n## 1.0.0"));
    conflict("CHANGELOG.md", CHANGELOG, &sections("1.1.0 (soon)"), &sections("1.1.0 (2024-01-01)"));
    let text = |text: &str| CHANGELOG.replace("## 1.0.0", &format!("## Notes\n\n{text}\n\n## 1.0.0"));
    conflict("CHANGELOG.md", CHANGELOG, &text("We wrote this."), &text("They mean that."));
}

/// MERGE-1: two entries that differ in numbers only speak of one thing, whichever has them.
#[test]
fn a_number_on_one_side() {
    conflict("a.txt", "", "item\n", "item2\n");
    conflict("a.txt", "", "item 1\n", "item 2\n");
}

/// MERGE-2: neighbouring lines, changed on each side.
#[test]
fn neighbouring_lines_are_both_changed() {
    let base = "one\ntwo\nthree\nfour\n";
    clean("a.txt", base, "one\n2\nthree\nfour\n", "one\ntwo\n3\nfour\n", "one\n2\n3\nfour\n");
    clean("a.txt", base, "one\nthree\nfour\n", "one\ntwo\nthree\nand\nfour\n", "one\nthree\nand\nfour\n");
    clean("a.txt", base, "one\ntwo\n", "one\n2\nthree\nfour\n", "one\n2\n");
    conflict("a.txt", base, "one\nthree\nfour\n", "one\nzwei\nthree\nfour\n");
}

/// MERGE-2: different words of one line; and of one paragraph that a side broke anew.
#[test]
fn different_words_of_a_paragraph_are_merged() {
    let base = "Run the tool with\n`--all` to see\nevery file in the tree.\n";
    let ours = "Run the new tool with\n`--all` to see\nevery file in the tree.\n";
    let theirs = "Run the tool with `--all`\nto see every file in the\nwhole tree.\n";
    let both = "Run the new tool with `--all`\nto see every file in the\nwhole tree.\n";
    clean("a.md", base, ours, theirs, both);
    let code = |line: &str| format!("```sh\n{line}\n```\n");
    clean(
        "a.md",
        &code("copy --from a --to b --mode 1"),
        &code("copy --from $A --to b --mode 1"),
        &code("copy --from a --to b --as 1"),
        &code("copy --from $A --to b --as 1"),
    );
}

/// MERGE-2: a line that one side made a comment does not come back, or away, with the other's words.
#[test]
fn a_line_commented_out_conflicts_with_an_edit() {
    let base = "a\nset level 1 of many things\nb\n";
    conflict("a.txt", base, "a\n# set level 1 of many things\nb\n", "a\nset level 1 of many more\nb\n");
}

/// MERGE-2: program text is not a list of entries.
#[test]
fn insertions_into_program_text_conflict() {
    let base = "text\n\n```c\nbegin();\nend();\n```\n";
    let insert = |line: &str| base.replace("begin();\n", &format!("begin();\n{line}\n"));
    conflict("a.md", base, &insert("x = one();"), &insert("y = two();"));
    let open = |line: &str| format!("{base}{line}");
    conflict("a.md", base, &open("\n```\nnever closed\n"), &open("\nmore\n"));
    // A conflict that leaves a block open on one side only.
    let base = "a\nb\nc\nlist:\n";
    let insert = |first: &str, last: &str| format!("a\n{first}\nc\nlist:\n{last}\n");
    let options = MergeOptions::for_path(Path::new("a.md"));
    let (ours, theirs) = (insert("```", "one"), insert("B", "two"));
    for (ours, theirs) in [(&ours, &theirs), (&theirs, &ours)] {
        let merged = merge(base.as_bytes(), ours.as_bytes(), theirs.as_bytes(), &options);
        assert_eq!(merged.conflicts().count(), 2);
    }
}

/// MERGE-1: a `.conf` that is no ini file is merged as text, and says why.
#[test]
fn settings_of_no_known_form_are_text() {
    let base = b"server {\n  listen 80;\n  root /srv;\n}\n";
    let ours = b"server {\n  listen 8080;\n  root /srv;\n}\n";
    let theirs = b"server {\n  listen 80;\n  root /var/www;\n}\n";
    let merged = merge(base, ours, theirs, &MergeOptions::for_path(Path::new("site.conf")));
    assert_eq!(merged.content().unwrap(), b"server {\n  listen 8080;\n  root /var/www;\n}\n");
    assert!(merged.fallback().is_some());
}

/// MERGE-2: sorted lines stay sorted; a requirement stands once.
#[test]
fn lists_of_lines() {
    let base = "*.log\n*.tmp\nbuild/\ndist/\nout/\n";
    let ours = "*.log\n*.tmp\nbuild/\ncache/\ndist/\nout/\n";
    let theirs = "*.log\n*.tmp\nbuild/\nbin/\ncoverage/\ndist/\nout/\n";
    assert_eq!(
        merged(".gitignore", base, ours, theirs).as_deref(),
        Some("*.log\n*.tmp\nbuild/\ncache/\nbin/\ncoverage/\ndist/\nout/\n")
    );
    let theirs = "*.log\n*.tmp\nbuild/\nbundle/\ncoverage/\ndist/\nout/\n";
    let both = "*.log\n*.tmp\nbuild/\nbundle/\ncache/\ncoverage/\ndist/\nout/\n";
    clean(".gitignore", base, ours, theirs, both);
    let pins = "attrs==1.0\nzipp==3.0\n";
    conflict("requirements.txt", pins, "attrs==1.0\nclick==8.1\nzipp==3.0\n", "attrs==1.0\nclick==8.2\nzipp==3.0\n");
    clean(
        "requirements.txt",
        "attrs==1.0\nclick==8.1\nzipp==3.0\n",
        "attrs==2.0\nclick==8.1\nzipp==3.0\n",
        "attrs==2.0\nclick==8.2\nzipp==3.1\n",
        "attrs==2.0\nclick==8.2\nzipp==3.1\n",
    );
}

/// MERGE-2: neighbouring changes that add the same line add it once.
#[test]
fn a_line_added_by_both_in_neighbouring_changes_stands_once() {
    let base = "keep\na.orig\nb.orig\nend\n";
    let merged = merged("x.txt", base, "keep\n*.orig\n.DS_Store\nend\n", "keep\na.orig\nb.orig\n.DS_Store\nend\n");
    assert!(merged.is_none_or(|merged| merged.matches(".DS_Store").count() == 1));
}

/// MERGE-2: one side did what the other did, and more.
#[test]
fn a_change_that_includes_the_other_is_taken() {
    let base = "a\nsize 100\nlimit 5172\nz\n";
    let ours = "a\n# size 100\nlimit 2048\nz\n";
    let theirs = "a\n# breaks some clients\n# size 100\n# for all others\nlimit 2048\nz\n";
    clean("a.txt", base, ours, theirs, theirs);
    // Deleted by one side, changed by the other.
    let (ours, theirs) = ("a\nsize 200\nlimit 2048\nz\n", "a\nlimit 2048\nz\n");
    conflict("a.txt", base, ours, theirs);
}

/// MERGE-2: white space at line ends and blank lines give way to what changed words.
#[test]
fn white_space_gives_way() {
    clean("a.md", "one \ntwo\n", "one\ntwo\n", "one \nzwei\n", "one\nzwei\n");
    clean("a.md", "one\ntwo", "one\ntwo\n", "one\nzwei", "one\nzwei");
    clean("a.md", "a\n\nb\n\nc\n", "a\n\n\nb\n\nc\n", "a\n\nB\n\nc\n", "a\n\n\nB\n\nc\n");
}

/// MERGE-1: CR LF stays, also where entries are joined; a file without a last line end gets one only between entries.
#[test]
fn line_ends_stay() {
    clean("a.md", "- a\r\n", "- a\r\n- b\r\n", "- a\r\n- c\r\n", "- a\r\n- b\r\n- c\r\n");
    clean("a.md", "- a", "- a\n- b", "- a\n- c", "- a\n- b\n- c");
}

/// MERGE-1: one side writes other line ends, the other changes lines.
#[test]
fn new_line_ends_are_for_the_changes_of_both() {
    let (base, theirs) = ("one\ntwo\nthree\nfour", "one\n2\nthree\nfour");
    clean("a.md", base, "one\r\ntwo\r\nthree\r\nfour", theirs, "one\r\n2\r\nthree\r\nfour");
    let crlf = base.replace('\n', "\r\n");
    clean("a.txt", &crlf, &format!("{base}\nfive\n"), &theirs.replace('\n', "\r\n"), "one\n2\nthree\nfour\nfive\n");
    // Around what is left of a conflict, markers end as the lines do.
    let text = shown("a.md", "a\r\nb\r\nc\r\n", "A\r\nours\r\nc\r\n", "a\r\ntheirs\r\nc\r\n");
    assert_eq!(text, "A\r\n<<<<<<< ours\r\nours\r\n=======\r\ntheirs\r\n>>>>>>> theirs\r\nc\r\n");
}

/// MERGE-1: a row that one side adds does not fit a table to which the other side adds a column.
#[test]
fn a_new_row_conflicts_with_a_new_column() {
    let base = "| a | b |\n|---|---|\n| 1 | 2 |\n| 3 | 4 |\n";
    let column = "| a | b | c |\n|---|---|---|\n| 1 | 2 | x |\n| 3 | 4 | y |\n";
    conflict("a.md", base, column, &format!("{base}| 5 | 6 |\n"));
    let base = "| a | b |\n|---|---|\n| 1 | two of them |\n";
    let column = "| a | b | c |\n|---|---|---|\n| 1 | two of them | x |\n";
    let cell = base.replace("| 1 | two", "| 1 | all two");
    clean("a.md", base, column, &cell, &column.replace("| 1 | two", "| 1 | all two"));
}

/// MERGE-1: only what git calls a conflict is touched, and what is left is a smaller conflict.
#[test]
fn a_resolved_part_stays_resolved() {
    let base = "# T\n\nalpha\nbeta\ngamma\n";
    let ours = "# T\n\nalpha one\nbeta\ngamma\n";
    let theirs = "# T\n\nalpha two\nbeta changed\ngamma\n";
    let text = shown("a.md", base, ours, theirs);
    assert_eq!(text, "# T\n\n<<<<<<< ours\nalpha one\n=======\nalpha two\n>>>>>>> theirs\nbeta changed\ngamma\n");
}

/// MERGE-1: program text is merged as git does, in no other way.
#[test]
fn program_text_is_left_to_lines() {
    let (base, ours, theirs) = ("a\nb\n", "A\nb\n", "a\nB\n");
    for name in ["a.rs", "src/CMakeLists.txt", "Makefile"] {
        let options = MergeOptions::for_path(Path::new(name));
        let merged = merge(base.as_bytes(), ours.as_bytes(), theirs.as_bytes(), &options);
        assert!(!merged.is_clean(), "{name}");
        assert_eq!(merged.method(), Method::Lines, "{name}");
    }
}

/// MERGE-1: every line that a side adds is in a clean result, unless its words are; nothing comes from nowhere; the sides can be
/// exchanged; code blocks stay closed.
#[test]
fn clean_results_hold_what_both_sides_added() {
    let mut numbers = Numbers(11);
    let mut clean = 0;
    for round in 0..4_000 {
        let base = document(&mut numbers);
        let (ours, theirs) = (edited(&base, &mut numbers, "ours"), edited(&base, &mut numbers, "theirs"));
        let [base, ours, theirs] = [base, ours, theirs].map(|lines| lines.concat());
        let name = ["a.md", "a.txt"][numbers.below(2)];
        let result = merged(name, &base, &ours, &theirs);
        let exchanged = merged(name, &base, &theirs, &ours);
        assert_eq!(result.is_some(), exchanged.is_some(), "round {round}: {base:?} {ours:?} {theirs:?}");
        let (Some(result), Some(exchanged)) = (result, exchanged) else { continue };
        clean += 1;
        assert_eq!(sorted(&result), sorted(&exchanged), "round {round}: {base:?} {ours:?} {theirs:?}");
        let known: Vec<&str> = [&base, &ours, &theirs].into_iter().flat_map(|text| sorted(text)).collect();
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        for line in sorted(&result) {
            let of_words = words(line).iter().all(|word| known.iter().any(|line| words(line).contains(word)));
            assert!(known.contains(&line) || of_words, "round {round}: {line:?} is nobody's");
        }
        for (side, text) in [("ours", &ours), ("theirs", &theirs)] {
            for word in words(text).into_iter().filter(|word| word.contains(side)) {
                assert!(
                    words(&result).contains(&word),
                    "round {round}: {word} of {side} is gone: {base:?} {ours:?} {theirs:?} {result:?}"
                );
            }
        }
    }
    assert!(clean > 1_000, "too few clean merges to prove anything: {clean}");
}

fn document(numbers: &mut Numbers) -> Vec<String> {
    let lines = [
        "# One\n",
        "## Two\n",
        "\n",
        "\n",
        "- an item of some words\n",
        "- item\n",
        "A paragraph of a few words here.\n",
        "| a | b |\n",
        "```\n",
    ];
    (0..3 + numbers.below(14)).map(|_| numbers.pick(&lines).to_owned()).collect()
}

/// Edits that leave words which tell whose they are.
fn edited(base: &[String], numbers: &mut Numbers, side: &str) -> Vec<String> {
    let mut lines = base.to_vec();
    for _ in 0..=numbers.below(3) {
        let at = numbers.below(lines.len().max(1));
        let word = format!("{side}{}", numbers.below(1000));
        match numbers.below(4) {
            0 if at < lines.len() && !lines[at].contains(side) => drop(lines.remove(at)),
            1 if at < lines.len() && !lines[at].contains(side) => {
                lines[at] = lines[at].replacen("of", &format!("of {word}"), 1);
            }
            2 => lines.insert(at, format!("- {word}\n")),
            _ => lines.insert(at, format!("## {word}\n")),
        }
    }
    lines
}
