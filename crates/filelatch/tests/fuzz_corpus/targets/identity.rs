//! Identity (LOCK-9): spellings of one file are one resource, different files are different ones, on trees of directories and links that
//! the input builds. The other opinion walks the tree as `path_resolution(7)` says.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::path::Path;
use std::sync::Arc;

use filelatch::{Filelatch, ResourceId};
use filelatch_fs::sim::{Dials, SimFs};

use super::source::Source;

/// What trees and spellings are made of.
const PARTS: [&str; 12] = ["a", "b", "A", "d", "D", "l", "m", "..", ".", "", "/", "x.json"];
/// Links on one way beyond which the model has no opinion.
const LINKS: usize = 20;

#[derive(Clone, Debug)]
enum Node {
    Dir(BTreeMap<String, usize>),
    File,
    Link(String),
}

/// A tree as a test understands it.
struct Tree {
    nodes: Vec<Node>,
    parents: HashMap<usize, usize>,
    folds: bool,
}

/// What a path means.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Meaning {
    File {
        dir: usize,
        name: String,
    },
    /// Nothing that could be a file.
    Nothing,
    TooManyLinks,
}

enum Stop {
    Nothing,
    TooManyLinks,
}

impl Tree {
    fn fold(&self, name: &str) -> String {
        if self.folds { name.to_ascii_lowercase() } else { name.to_owned() }
    }

    fn child(&self, dir: usize, name: &str) -> Option<usize> {
        let Node::Dir(names) = &self.nodes[dir] else { return None };
        names.get(&self.fold(name)).copied()
    }

    fn add(&mut self, dir: usize, name: &str, node: Node) {
        let number = self.nodes.len();
        let folded = self.fold(name);
        if let Node::Dir(names) = &mut self.nodes[dir] {
            names.insert(folded, number);
        }
        self.nodes.push(node);
        self.parents.insert(number, dir);
    }

    /// The directory that all of these parts lead to.
    fn walk(&self, from: usize, path: &str, links: &mut usize) -> Result<usize, Stop> {
        let mut here = if path.starts_with('/') { 0 } else { from };
        let mut rest: VecDeque<String> = path.split('/').map(str::to_owned).collect();
        while let Some(part) = rest.pop_front() {
            if !matches!(self.nodes[here], Node::Dir(_)) {
                return Err(Stop::Nothing);
            }
            match part.as_str() {
                "" | "." => {}
                ".." => here = self.parents.get(&here).copied().unwrap_or(0),
                name => {
                    let child = self.child(here, name).ok_or(Stop::Nothing)?;
                    if let Node::Link(text) = &self.nodes[child] {
                        *links += 1;
                        if *links > LINKS {
                            return Err(Stop::TooManyLinks);
                        }
                        if text.starts_with('/') {
                            here = 0;
                        }
                        text.split('/').rev().for_each(|part| rest.push_front(part.to_owned()));
                    } else {
                        here = child;
                    }
                }
            }
        }
        if matches!(self.nodes[here], Node::Dir(_)) { Ok(here) } else { Err(Stop::Nothing) }
    }

    fn meaning(&self, spelled: &str) -> Meaning {
        let (mut from, mut path, mut links) = (0, spelled.to_owned(), 0);
        loop {
            // What ends as only a directory can is no file.
            let name = path.rsplit('/').next().unwrap_or_default().to_owned();
            if matches!(name.as_str(), "" | "." | "..") {
                return Meaning::Nothing;
            }
            let dir = match self.walk(from, &path[..path.len() - name.len()], &mut links) {
                Ok(dir) => dir,
                Err(Stop::Nothing) => return Meaning::Nothing,
                Err(Stop::TooManyLinks) => return Meaning::TooManyLinks,
            };
            match self.child(dir, &name).map(|child| &self.nodes[child]) {
                Some(Node::Dir(_)) => return Meaning::Nothing,
                Some(Node::Link(text)) => (from, path) = (dir, text.clone()),
                _ => return Meaning::File { dir, name: self.fold(&name) },
            }
            links += 1;
            if links > LINKS {
                return Meaning::TooManyLinks;
            }
        }
    }
}

fn text(source: &mut Source<'_>) -> String {
    let len = 1 + source.below(4);
    let parts: Vec<_> = (0..len).map(|_| source.one_of(&PARTS)).collect();
    let joined = parts.join("/");
    // Doubled slashes stay within reason.
    if source.below(8) == 0 { format!("/{joined}") } else { joined }
}

pub(crate) fn run(data: &[u8]) {
    let mut source = Source::new(data);
    let folds = source.byte() & 1 == 1;
    let sim = SimFs::new(Dials { case_insensitive: folds, ..Dials::default() });
    let mut tree = Tree { nodes: vec![Node::Dir(BTreeMap::new())], parents: HashMap::new(), folds };
    let mut dirs = vec![(0, String::new())];
    for _ in 0..source.below(10) {
        let (dir, path) = dirs[source.below(dirs.len())].clone();
        let name = source.one_of(&["a", "b", "A", "d", "D", "l", "m", "x.json"]);
        if tree.child(dir, name).is_some() {
            continue;
        }
        let full = format!("{path}/{name}");
        let node = match source.below(3) {
            0 => {
                sim.foreign().create_dirs(&full).expect("a directory");
                dirs.push((tree.nodes.len(), full));
                Node::Dir(BTreeMap::new())
            }
            1 => {
                sim.foreign().create(&full, b"").expect("a file");
                Node::File
            }
            _ => {
                let target = text(&mut source);
                sim.foreign().symlink(&target, &full).expect("a link");
                Node::Link(target)
            }
        };
        tree.add(dir, name, node);
    }
    let builder = Filelatch::builder().fs(sim.as_fs()).host(Arc::new(sim.host())).session("s");
    let latch = builder.without_workspaces().build();
    let mut known: Vec<(String, Meaning, ResourceId, String)> = Vec::new();
    for _ in 0..8 {
        let spelled = text(&mut source);
        let meaning = tree.meaning(&spelled);
        match (latch.file(&spelled), &meaning) {
            (_, Meaning::TooManyLinks) | (Err(_), Meaning::Nothing) => {}
            (Ok(file), Meaning::File { .. }) => {
                // The path without links means the same.
                let canonical = file.canonical_path().to_str().expect("text").to_owned();
                assert_eq!(tree.meaning(&canonical), meaning, "{spelled} is {canonical}");
                assert_eq!(latch.file(&canonical).expect("it was there").id(), file.id(), "{spelled} and {canonical}");
                let lock = file.lock_path();
                assert_eq!(lock.parent(), Path::new(&canonical).parent());
                known.push((spelled, meaning, file.id().clone(), tree.fold(lock.to_str().expect("text"))));
            }
            (Ok(file), Meaning::Nothing) => panic!("`{spelled}` became {file:?} in {:?}", tree.nodes),
            (Err(e), Meaning::File { .. }) => panic!("`{spelled}`: {e} in {:?}", tree.nodes),
        }
    }
    for (one, meaning, id, lock) in &known {
        for (two, other, other_id, other_lock) in &known {
            let same = meaning == other;
            assert_eq!(same, id == other_id, "`{one}` and `{two}` in {:?}", tree.nodes);
            assert_eq!(same, lock == other_lock, "locks of `{one}` and `{two}` in {:?}", tree.nodes);
        }
    }
}
