//! Every requirement that is marked done is named by a test.
//!
//! A test names a requirement in the comment above it (`/// LOCK-8: …`, `/** SERVE-5: … */`) or in its own name (`test_1_…`). Tests that
//! are ignored prove nothing and do not count; those ignored for a known bug are listed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const PAGE: &str = "docs/reference/requirements.md";

/// One row of the page.
struct Requirement {
    id: String,
    done: bool,
}

/// One test, as found in the sources.
#[derive(Debug, PartialEq, Eq)]
struct Test {
    name: String,
    /// The comment above it, and its name.
    says: String,
    /// Why it is ignored.
    ignored: Option<String>,
}

/// Prints the table; an error when something is missing.
pub(crate) fn check(root: &Path, show_tests: bool) -> Result<(), String> {
    let page = root.join(PAGE);
    let text = fs::read_to_string(&page).map_err(|e| format!("cannot read {PAGE}: {e}"))?;
    let requirements = requirements(&text)?;

    let mut sources = Vec::new();
    for dir in ["crates", "xtask", "ui/tests", "ui/e2e"] {
        sources_below(&root.join(dir), &mut sources).map_err(|e| format!("cannot list {dir}: {e}"))?;
    }
    sources.sort();
    let mut proofs: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let mut known_bugs = Vec::new();
    for source in &sources {
        let text = fs::read_to_string(source).map_err(|e| format!("cannot read {}: {e}", source.display()))?;
        let place = source.strip_prefix(root).unwrap_or(source).display();
        let rust = source.extension().is_some_and(|extension| extension == "rs");
        for test in if rust { tests(&text) } else { page_tests(&text) } {
            if let Some(why) = &test.ignored {
                known_bugs.extend(why.contains("known bug").then(|| format!("{place}: {}: {why}", test.name)));
                continue;
            }
            for requirement in requirements.iter().filter(|r| names(&test.says, &r.id)) {
                proofs.entry(&requirement.id).or_default().push(format!("{place}: {}", test.name));
            }
        }
    }

    let mut missing = Vec::new();
    for Requirement { id, done } in &requirements {
        let found = proofs.get(id.as_str()).map_or(&[][..], Vec::as_slice);
        let status = if *done { "done" } else { "later" };
        println!("{id:<10} {status:<6} {:>3} {}", found.len(), if found.len() == 1 { "test" } else { "tests" });
        if show_tests {
            for test in found {
                println!("             {test}");
            }
        }
        if *done && found.is_empty() {
            missing.push(id.as_str());
        }
    }
    for bug in known_bugs {
        println!("known bug  {bug}");
    }
    if missing.is_empty() { Ok(()) } else { Err(format!("marked done, but no test names: {}", missing.join(", "))) }
}

/// The rows `| ID | … | done … |` or `| ID | … | later … |` of the page.
fn requirements(page: &str) -> Result<Vec<Requirement>, String> {
    let mut found: Vec<Requirement> = Vec::new();
    for line in page.lines() {
        let cells: Vec<_> = line.trim().trim_matches('|').split('|').map(str::trim).collect();
        let [first, .., last] = cells[..] else { continue };
        let id = first.split(' ').next().unwrap_or_default();
        let Some((area, number)) = id.split_once('-') else { continue };
        if area.is_empty()
            || !area.bytes().all(|b| b.is_ascii_uppercase())
            || !number.starts_with(|c: char| c.is_ascii_digit())
        {
            continue;
        }
        let done = match last.split([' ', ',', ';', ':']).next() {
            Some("done") => true,
            Some("later") => false,
            _ => return Err(format!("{PAGE}: the status of {id} is `{last}`: begin with done or later")),
        };
        if found.iter().any(|other| other.id == id) {
            return Err(format!("{PAGE}: {id} is there twice"));
        }
        found.push(Requirement { id: id.to_owned(), done });
    }
    if found.is_empty() { Err(format!("{PAGE} lists no requirements")) } else { Ok(found) }
}

fn sources_below(dir: &Path, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            if entry.file_name() != "target" {
                sources_below(&path, found)?;
            }
        } else if path.extension().is_some_and(|extension| ["rs", "ts", "mjs"].iter().any(|known| extension == *known))
        {
            found.push(path);
        }
    }
    Ok(())
}

/// The tests of one source: what stands between an empty line and `fn` with an attribute that ends in `test`.
fn tests(source: &str) -> Vec<Test> {
    let mut found = Vec::new();
    let (mut says, mut is_test, mut ignored) = (String::new(), false, None);
    for line in source.lines().map(str::trim) {
        if let Some(comment) = line.strip_prefix("///") {
            says.push_str(comment);
            says.push(' ');
        } else if line.starts_with("#[ignore") {
            ignored = Some(line.split('"').nth(1).unwrap_or_default().to_owned());
        } else if line.starts_with("#[") && (line.contains("test]") || line.contains("test(")) && !line.contains("cfg")
        {
            is_test = true;
        } else if let Some(name) = function(line) {
            if is_test {
                says.push_str(name);
                found.push(Test { name: name.to_owned(), says: std::mem::take(&mut says), ignored: ignored.take() });
            }
            (says, is_test, ignored) = (String::new(), false, None);
        } else if line.is_empty() {
            (says, is_test, ignored) = (String::new(), false, None);
        }
    }
    found
}

/// The tests of the page: `test("name", …)`, or `"name": …` in a table of scenarios, below a comment of one line.
fn page_tests(source: &str) -> Vec<Test> {
    let mut found = Vec::new();
    let mut says = "";
    for line in source.lines().map(str::trim) {
        if let Some(comment) = line.strip_prefix("/** ") {
            says = comment.trim_end_matches("*/");
            continue;
        }
        let rest = line.strip_prefix("test(").or_else(|| line.starts_with('"').then_some(line));
        if let Some((name, _)) = rest.and_then(|rest| rest.strip_prefix('"')?.split_once('"')) {
            found.push(Test { name: name.to_owned(), says: format!("{says}{name}"), ignored: None });
        }
        says = "";
    }
    found
}

fn function(line: &str) -> Option<&str> {
    let line = line.strip_prefix("pub ").unwrap_or(line);
    let line = line.strip_prefix("async ").unwrap_or(line);
    line.strip_prefix("fn ")?.split(['(', '<']).next()
}

/// Does the text name this id, as `LOCK-8` or `lock_8_`, and not only `LOCK-81`?
fn names(text: &str, id: &str) -> bool {
    let whole = |pattern: &str, ends: fn(char) -> bool| {
        text.match_indices(pattern).any(|(at, _)| {
            let before = text[..at].chars().next_back().is_none_or(|c| !c.is_ascii_alphanumeric());
            before && text[at + pattern.len()..].chars().next().is_none_or(ends)
        })
    };
    whole(id, |c| !c.is_ascii_alphanumeric()) || whole(&id.to_lowercase().replace('-', "_"), |c| c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_ids_only() {
        for text in ["LOCK-8: x", "(LOCK-8)", "LOCK-8, VER-1", "lock_8_a_waiter"] {
            assert!(names(text, "LOCK-8"), "{text}");
        }
        for text in ["LOCK-81", "CLOCK-8", "LOCK-18", "lock_81_x", "LOCK-8a", ""] {
            assert!(!names(text, "LOCK-8"), "{text}");
        }
    }

    #[test]
    fn comments_belong_to_the_test_below() {
        let source = "/// VER-1: a.\n#[cfg(unix)]\n#[test]\nfn a() {\n    /// VER-2\n    fn inner() {}\n}\n\n/// VER-3\nfn helper() {}\n\n\
                      /// VER-4\n#[tokio::test]\n#[ignore = \"known bug: x\"]\nasync fn b() {}\n";
        let found = tests(source);
        assert_eq!(found.iter().map(|t| t.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert!(names(&found[0].says, "VER-1") && !names(&found[0].says, "VER-2"));
        assert_eq!(found[1].ignored.as_deref(), Some("known bug: x"));
    }

    #[test]
    fn tests_of_the_page() {
        let source = "/** VER-1: a. */\ntest(\"a\", () => {\n  const x = \"no test: x\";\n});\n\n/** VER-2. */\nconst helper = 1;\n\n\
                      export const scenarios = {\n  /** VER-3, VER-4: b. */\n  \"b: c\": () =>\n";
        let found = page_tests(source);
        assert_eq!(found.iter().map(|t| t.name.as_str()).collect::<Vec<_>>(), ["a", "b: c"]);
        assert!(names(&found[0].says, "VER-1") && names(&found[1].says, "VER-4"));
        assert!(!found.iter().any(|t| names(&t.says, "VER-2")));
    }

    #[test]
    fn statuses() {
        let page = "| id | what | status |\n|---|---|---|\n| VER-1 ⚠ | x | done |\n| VER-4 | x | done, without merge |\n| VER-12 | x | later |\n";
        let found: Vec<_> = requirements(page).unwrap().into_iter().map(|r| (r.id, r.done)).collect();
        assert_eq!(found, [("VER-1".to_owned(), true), ("VER-4".to_owned(), true), ("VER-12".to_owned(), false)]);
        assert!(requirements("| VER-1 | x | soon |").is_err());
        assert!(requirements("").is_err());
    }
}
