//! Contents to merge, made from a number: the same number makes the same case.

/// Three contents.
pub(crate) struct Case {
    pub(crate) base: Vec<u8>,
    pub(crate) ours: Vec<u8>,
    pub(crate) theirs: Vec<u8>,
}

/// A generator of numbers (`SplitMix64`).
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound.max(1) as u64).unwrap()
    }

    /// True once in `times`.
    pub(crate) fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    pub(crate) fn pick<'a, T: ?Sized>(&mut self, items: &[&'a T]) -> &'a T {
        items[self.below(items.len())]
    }
}

type Lines = Vec<Vec<u8>>;

/// A case; some of them are long.
pub(crate) fn case(numbers: &mut Numbers) -> Case {
    let long = numbers.once_in(40);
    let sources = if long { &Source::LONG[..] } else { &Source::SHORT };
    let source = sources[numbers.below(sources.len())];
    let base = source.content(numbers);
    let (mut ours, mut theirs) = if numbers.once_in(source.independent()) {
        (source.content(numbers), source.content(numbers))
    } else {
        let effort = if long { 1 + base.len() / (2 + numbers.below(60)) } else { 1 + numbers.below(7) };
        (edited(&base, source, numbers, effort), edited(&base, source, numbers, effort))
    };
    if numbers.once_in(6) && !base.is_empty() {
        // Both make some of the same changes.
        let common = edited(&base, source, numbers, 3);
        ours = edited(&common, source, numbers, 1);
        theirs = edited(&common, source, numbers, 2);
    }
    let ends = numbers.below(10);
    let mut bytes = |lines: Lines| ended(lines, ends, numbers);
    Case { base: bytes(base), ours: bytes(ours), theirs: bytes(theirs) }
}

#[derive(Clone, Copy)]
enum Source {
    /// A few lines, hardly different.
    Tiny,
    /// As many different lines as told.
    Letters(usize),
    /// Lines without a letter or digit among others, often in a row.
    Blanks,
    Json,
    Yaml,
    Code,
    /// Bytes that are no UTF-8.
    Bytes,
    /// More than a thousand lines, some of them rare, some frequent.
    Long,
    /// Many lines, all of them frequent.
    Repeated,
    /// One line about 64 times, where the histogram ends, among lines that stand nowhere else.
    Border,
}

impl Source {
    const SHORT: [Source; 13] = [
        Source::Tiny,
        Source::Tiny,
        Source::Tiny,
        Source::Letters(2),
        Source::Letters(4),
        Source::Letters(9),
        Source::Letters(40),
        Source::Blanks,
        Source::Blanks,
        Source::Json,
        Source::Yaml,
        Source::Code,
        Source::Bytes,
    ];
    const LONG: [Source; 4] = [Source::Long, Source::Long, Source::Repeated, Source::Border];

    fn content(self, numbers: &mut Numbers) -> Lines {
        let count = match self {
            Source::Long => 400 + numbers.below(3000),
            Source::Repeated => 100 + numbers.below(1500),
            Source::Border => {
                let count = 62 + numbers.below(6);
                return border(numbers, count);
            }
            Source::Tiny => numbers.below(7),
            _ if numbers.once_in(20) => 0,
            _ => numbers.below(40),
        };
        (0..count).map(|at| self.line(numbers, at)).collect()
    }

    /// Once in so many cases the contents have nothing to do with each other but their source.
    fn independent(self) -> usize {
        match self {
            Source::Tiny => 2,
            Source::Border => 1,
            _ => 12,
        }
    }

    /// A line such as stands at about this place.
    fn line(self, numbers: &mut Numbers, at: usize) -> Vec<u8> {
        match self {
            Source::Tiny => vec![b"abc"[numbers.below(3)]],
            Source::Border => format!("only {}", numbers.next()).into_bytes(),
            Source::Letters(count) => format!("line {}", numbers.below(count)).into_bytes(),
            Source::Blanks => {
                let all = ["", " ", "\t", "}", "{", "---", "  }", "*", "ä", "_"];
                let bare = !at.is_multiple_of(7) || numbers.once_in(4);
                if bare { numbers.pick(&all).into() } else { vec![b"abcz0129"[numbers.below(8)]] }
            }
            Source::Json => match numbers.below(8) {
                0 => "  },".into(),
                1 => format!("  \"{}\": {{", numbers.pick(&["scripts", "dependencies", "files"])).into_bytes(),
                2 => "}".into(),
                _ => format!("    \"key{}\": \"^{}.0\",", numbers.below(30), numbers.below(4)).into_bytes(),
            },
            Source::Yaml => match numbers.below(6) {
                0 => "".into(),
                1 => format!("job{}:", at / 4).into_bytes(),
                2 => "    runs-on: ubuntu".into(),
                _ => format!("  - {}: {}", numbers.pick(&["name", "uses", "run"]), numbers.below(9)).into_bytes(),
            },
            Source::Code => match numbers.below(9) {
                0 | 1 => "".into(),
                2 => "    }".into(),
                3 => "}".into(),
                4 => format!("fn name{}() {{", numbers.below(12)).into_bytes(),
                5 => "    return".into(),
                _ => format!("    let x{} = {};", numbers.below(10), numbers.below(3)).into_bytes(),
            },
            Source::Bytes => (0..numbers.below(3)).map(|_| b"\xff\xfe\x80a\r"[numbers.below(5)]).collect(),
            Source::Repeated => format!("{}", numbers.below(12)).into_bytes(),
            Source::Long => match numbers.below(12) {
                0..4 => format!("item {at}").into_bytes(),
                4..7 => format!("item {}", numbers.below(2000)).into_bytes(),
                7..9 => numbers.pick(&["", "}", "  end", "---"]).into(),
                9 => format!("often {}", numbers.below(6)).into_bytes(),
                _ => format!("some {}", numbers.below(120)).into_bytes(),
            },
        }
    }
}

/// Contents that share nothing but one line, which the base has so many times.
pub(crate) fn frequent(numbers: &mut Numbers, count: usize) -> Case {
    let mut content = |count: usize| ended(border(numbers, count), 9, &mut Numbers(0));
    Case { base: content(count), ours: content(20), theirs: content(count / 2) }
}

fn border(numbers: &mut Numbers, count: usize) -> Lines {
    let mut lines = Vec::new();
    for _ in 0..count {
        for _ in 0..numbers.below(3) {
            lines.push(Source::Border.line(numbers, 0));
        }
        lines.push(b"frequent".to_vec());
    }
    lines
}

/// Some edits, as people and programs make them.
fn edited(lines: &Lines, source: Source, numbers: &mut Numbers, effort: usize) -> Lines {
    let mut lines = lines.clone();
    for _ in 0..numbers.below(effort + 1) {
        let at = numbers.below(lines.len() + 1);
        let until = (at + 1 + numbers.below(4)).min(lines.len());
        match numbers.below(7) {
            0 | 1 => {
                for _ in 0..=numbers.below(3) {
                    let line = source.line(numbers, at);
                    lines.insert(at, line);
                }
            }
            2 => drop(lines.drain(at..until)),
            3 | 4 => {
                for line in &mut lines[at..until] {
                    *line = source.line(numbers, at);
                }
            }
            5 => {
                let block: Lines = lines.drain(at..until).collect();
                let to = numbers.below(lines.len() + 1);
                lines.splice(to..to, block);
            }
            _ => {
                let block = lines[at..until].to_vec();
                lines.splice(at..at, block);
            }
        }
    }
    lines
}

/// The lines with their ends: mostly line feeds.
fn ended(lines: Lines, ends: usize, numbers: &mut Numbers) -> Vec<u8> {
    let all_crlf = ends == 0 || (ends == 1 && numbers.once_in(2));
    let mut content = Vec::new();
    let count = lines.len();
    for (at, line) in lines.into_iter().enumerate() {
        content.extend_from_slice(&line);
        let crlf = all_crlf || (ends == 2 && numbers.once_in(3));
        let bare = at + 1 == count && ends != 9 && numbers.once_in(6);
        match (bare, crlf) {
            (true, _) => {}
            (false, true) => content.extend_from_slice(b"\r\n"),
            (false, false) => content.push(b'\n'),
        }
    }
    content
}
