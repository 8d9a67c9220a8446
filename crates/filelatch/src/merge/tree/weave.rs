//! The way down: what one side left alone is the other's; what both changed is taken apart.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use super::emit::{self, Layout};
use super::leaf::{leaf, same_words, trivia};
use super::node::{Node, NodeId, Shape, Span, hash, mix};
use super::order::{Run, one_run, order};
use super::pair::{self, Slot};
use super::stale::Stale;
use super::{BASE, OURS, THEIRS, Trees};
use crate::merge::merged::{Piece, Source};
use crate::merge::options::{ListRule, Rules};

/// Containers nested deeper are not taken apart: they are one side's or the other's. Each level costs stack.
const MAX_DEPTH: usize = 128;

/// A merged tree.
pub(in crate::merge) struct Woven {
    pub(in crate::merge) pieces: Vec<Piece>,
    pub(in crate::merge) notes: Notes,
}

/// What the check of the result has to know ([`super::check`]).
#[derive(Default)]
pub(in crate::merge) struct Notes {
    /// Where values were mixed of both sides' words or lines: neither side has them.
    pub(super) mixed: HashSet<u64>,
    /// Ways to units that one side renamed, and the ways they had.
    pub(super) renamed: HashMap<u64, u64>,
}

/// Merges three trees. `None`: the documents do not fit as wholes, or their conflicts can't be shown in lines.
pub(in crate::merge) fn weave(
    base: &super::Tree,
    ours: &super::Tree,
    theirs: &super::Tree,
    rules: &Rules,
) -> Option<Woven> {
    let trees = [base, ours, theirs];
    let mut weaver = Weaver { trees, rules, stale: Stale::new(&trees), path: Vec::new(), notes: Notes::default() };
    let parts = weaver.root()?;
    Some(Woven { pieces: emit::pieces(parts)?, notes: weaver.notes })
}

/// Bytes of the result, or a conflict.
#[derive(Clone, Debug)]
pub(super) enum Seg<'t> {
    Bytes(Cow<'t, [u8]>, From),
    Clash(Clash),
}

/// Whose bytes these are; `None`: nobody changed them.
pub(super) type From = Option<Source>;

/// Units that do not fit together, as they stand in the three versions: whole rows, each beginning with its line end.
#[derive(Clone, Debug, Default)]
pub(super) struct Clash {
    pub(super) sides: [Vec<u8>; 3],
    pub(super) place: Option<String>,
}

/// Both sides changed something, and it does not fit. Rises until there are rows to show it.
pub(super) struct Unsettled;

type Settled<T> = Result<T, Unsettled>;

/// One unit of a merged container.
pub(super) enum Part<'t> {
    Unit(Unit<'t>),
    /// Units that do not fit together: those of each version.
    Clash([Vec<NodeId>; 3], String),
}

/// A merged unit whose separator is not decided yet.
pub(super) struct Unit<'t> {
    pub(super) lead: Cow<'t, [u8]>,
    pub(super) body: Vec<Seg<'t>>,
    /// What stands before and behind the separator.
    pub(super) tail: [Cow<'t, [u8]>; 2],
    /// Whether it had a separator: if not, a new one comes before the tail.
    pub(super) separated: bool,
    pub(super) from: From,
    /// The version whose indentation it has.
    pub(super) side: usize,
    pub(super) section: bool,
    /// Whether it was the first in its container.
    pub(super) first: bool,
}

struct Weaver<'t, 'r> {
    trees: Trees<'t>,
    rules: &'r Rules,
    stale: Stale,
    /// The names of the units above.
    path: Vec<Step>,
    notes: Notes,
}

struct Step {
    name: Option<Box<str>>,
    /// A hash of the way from the root, as [`super::check`] computes it.
    hash: u64,
}

impl<'t> Weaver<'t, '_> {
    fn root(&mut self) -> Option<Vec<Seg<'t>>> {
        let [base, ours, theirs] = self.trees.map(|tree| tree.root);
        let unit = self.unit(Some(base), ours, theirs).ok()?;
        let mut segs = vec![Seg::Bytes(unit.lead, unit.from)];
        segs.extend(unit.body);
        let [before, behind] = unit.tail;
        segs.push(Seg::Bytes(before, unit.from));
        segs.push(Seg::Bytes(behind, unit.from));
        Some(segs)
    }

    /// Are these the same bytes, separators aside?
    fn same(&self, a: (usize, NodeId), b: (usize, NodeId)) -> bool {
        let (one, other) = (self.trees[a.0].node(a.1), self.trees[b.0].node(b.1));
        one.spelling == other.spelling
            && one.meaning == other.meaning
            && self.trees[a.0].bytes(one.head) == self.trees[b.0].bytes(other.head)
            && (one.is_container() || self.trees[a.0].bytes(one.value) == self.trees[b.0].bytes(other.value))
    }

    /// Is there nothing in `changed` that a person would miss if the unit were deleted with its base?
    fn untouched(&self, base: NodeId, side: usize, changed: NodeId) -> bool {
        if self.same((BASE, base), (side, changed)) {
            return true;
        }
        let (one, other) = (self.trees[BASE].node(base), self.trees[side].node(changed));
        let tail = |side: usize, node: &Node| {
            let (before, behind) = self.trees[side].tail_parts(node);
            [before, behind].concat()
        };
        one.meaning == other.meaning
            && same_words(self.without_separator(BASE, base), self.without_separator(side, changed))
            && same_words(&tail(BASE, one), &tail(side, other))
    }

    fn without_separator(&self, side: usize, id: NodeId) -> &'t [u8] {
        let node = self.trees[side].node(id);
        self.trees[side].bytes(Span { start: node.item.start, end: node.value.end })
    }

    /// A unit as one side has it.
    fn verbatim(&self, side: usize, id: NodeId, from: From) -> Unit<'t> {
        let tree = self.trees[side];
        let node = tree.node(id);
        let (before, behind) = tree.tail_parts(node);
        let body = tree.bytes(Span { start: node.head.start, end: node.value.end });
        Unit {
            lead: Cow::Borrowed(tree.bytes(node.lead())),
            body: vec![Seg::Bytes(Cow::Borrowed(body), from)],
            tail: [Cow::Borrowed(before), Cow::Borrowed(behind)],
            separated: node.separator.is_some(),
            from,
            side,
            section: node.section,
            first: false,
        }
    }

    /// Merges a unit that both sides have.
    fn unit(&mut self, base: Option<NodeId>, ours: NodeId, theirs: NodeId) -> Settled<Unit<'t>> {
        let (o, t) = ((OURS, ours), (THEIRS, theirs));
        let same_as_base = |side| base.is_some_and(|base| self.same((BASE, base), side));
        if self.same(o, t) {
            let from = if same_as_base(o) { None } else { Some(Source::Both) };
            return Ok(self.verbatim(OURS, ours, from));
        }
        if same_as_base(o) {
            return Ok(self.verbatim(THEIRS, theirs, Some(Source::Theirs)));
        }
        if same_as_base(t) {
            return Ok(self.verbatim(OURS, ours, Some(Source::Ours)));
        }
        let trees = self.trees;
        let spans = |side: usize, id: NodeId| {
            let node = trees[side].node(id);
            let (before, behind) = trees[side].tail_parts(node);
            [trees[side].bytes(node.lead()), trees[side].bytes(node.head), before, behind]
        };
        let (b, o, t) = (base.map(|base| spans(BASE, base)), spans(OURS, ours), spans(THEIRS, theirs));
        let part = |at: usize| trivia(b.map(|b| b[at]), o[at], t[at]).ok_or(Unsettled);
        let head = part(1)?;
        let mut body = vec![Seg::Bytes(head, Some(Source::Merged))];
        let whole = self.value(base, ours, theirs, &mut body)?;
        if let Some(side) = whole {
            // `key:` before rows, `key: ` before a word.
            let own = if side == OURS { o[1] } else { t[1] };
            if let Some(Seg::Bytes(head, _)) = body.first_mut()
                && same_words(head, own)
            {
                *head = Cow::Borrowed(own);
            }
        }
        // A tail with a separator in the middle has its comment behind it; without one, before it.
        let tails = |parts: [&'t [u8]; 4]| if parts[3].is_empty() { parts[2] } else { parts[3] };
        let with = [(OURS, ours), (THEIRS, theirs)];
        let separated = with.map(|(side, id)| trees[side].node(id).separator.is_some());
        let tail = if separated[0] == separated[1] && b.is_none_or(|b| b[3].is_empty() == o[3].is_empty()) {
            [part(2)?, part(3)?]
        } else {
            let tail = trivia(b.map(tails), tails(o), tails(t)).ok_or(Unsettled)?;
            if separated[0] || separated[1] { [Cow::Borrowed(&[][..]), tail] } else { [tail, Cow::Borrowed(&[][..])] }
        };
        let lead = part(0)?;
        let side = if lead == t[0] && lead != o[0] { THEIRS } else { OURS };
        let from = Some(Source::Merged);
        let section = trees[OURS].node(ours).section;
        Ok(Unit { lead, body, tail, separated: separated[0] || separated[1], from, side, section, first: false })
    }

    /// Merges the values of a unit. Answers the side whose value it is, if it is one side's and not made of both.
    fn value(
        &mut self,
        base: Option<NodeId>,
        ours: NodeId,
        theirs: NodeId,
        out: &mut Vec<Seg<'t>>,
    ) -> Settled<Option<usize>> {
        let trees = self.trees;
        let (o, t) = (trees[OURS].node(ours), trees[THEIRS].node(theirs));
        let whole = |side: usize, id: NodeId, from| {
            Seg::Bytes(Cow::Borrowed(trees[side].bytes(trees[side].node(id).value)), Some(from))
        };
        let left_alone = |side: usize, id: NodeId| {
            base.is_some_and(|base| {
                trees[BASE].node(base).meaning == trees[side].node(id).meaning
                    && trees[BASE].comments(base) == trees[side].comments(id)
            })
        };
        // On one line the blanks of one side between the words of the other would be nobody's.
        let only_blanks = |side: usize, id: NodeId| {
            base.is_some_and(|base| {
                let (one, other) = (trees[BASE].node(base), trees[side].node(id));
                !one.rows
                    && !other.rows
                    && one.meaning == other.meaning
                    && same_words(trees[BASE].bytes(one.value), trees[side].bytes(other.value))
            })
        };
        match (o.is_container(), t.is_container()) {
            (true, true) if !t.rows && only_blanks(OURS, ours) => {
                out.push(whole(THEIRS, theirs, Source::Theirs));
                Ok(Some(THEIRS))
            }
            (true, true) if !o.rows && only_blanks(THEIRS, theirs) => {
                out.push(whole(OURS, ours, Source::Ours));
                Ok(Some(OURS))
            }
            (true, true) if o.shape == t.shape && o.separated == t.separated && self.path.len() < MAX_DEPTH => {
                let base = base.filter(|&base| trees[BASE].node(base).shape == o.shape);
                if base.is_none() && o.shape == Shape::List && !self.one_holds_the_other(ours, theirs) {
                    // Two lists that begin at nothing: there is no telling what belongs into both.
                    return Err(Unsettled);
                }
                if base.is_none() && o.shape == Shape::Map && self.are_two_versions(ours, theirs) {
                    return Err(Unsettled);
                }
                self.container([base, Some(ours), Some(theirs)], o.shape, out)?;
                Ok(None)
            }
            (false, false) => {
                let leaf = leaf(&trees, base, ours, theirs, self.rules.version).ok_or(Unsettled)?;
                if leaf.mixed {
                    self.notes.mixed.insert(self.path.last().map_or(0, |step| step.hash));
                }
                out.push(Seg::Bytes(leaf.bytes, Some(Source::Merged)));
                Ok(None)
            }
            // Another kind of value on each side, or written in another way: one of them must have left it alone.
            _ if left_alone(OURS, ours) => {
                out.push(whole(THEIRS, theirs, Source::Theirs));
                Ok(Some(THEIRS))
            }
            _ if left_alone(THEIRS, theirs) => {
                out.push(whole(OURS, ours, Source::Ours));
                Ok(Some(OURS))
            }
            _ => Err(Unsettled),
        }
    }

    /// Did both sides add the same thing, each in its own way? Two maps that share a field and have others that only they have.
    fn are_two_versions(&self, ours: NodeId, theirs: NodeId) -> bool {
        let fields = |side: usize, id: NodeId| -> HashMap<&str, u64> {
            let fields = self.trees[side].node(id).children.iter().map(|&child| self.trees[side].node(child));
            fields.map(|field| (field.name.as_deref().unwrap_or_default(), field.meaning)).collect()
        };
        let (ours, theirs) = (fields(OURS, ours), fields(THEIRS, theirs));
        ours.iter().any(|(name, meaning)| theirs.get(name) == Some(meaning))
            && ours.keys().any(|name| !theirs.contains_key(name))
            && theirs.keys().any(|name| !ours.contains_key(name))
    }

    /// Does one of two lists have all items of the other, in their order?
    fn one_holds_the_other(&self, ours: NodeId, theirs: NodeId) -> bool {
        let meanings = |side: usize, id: NodeId| -> Vec<u64> {
            self.trees[side].node(id).children.iter().map(|&child| self.trees[side].node(child).meaning).collect()
        };
        let (ours, theirs) = (meanings(OURS, ours), meanings(THEIRS, theirs));
        let (few, many) = if ours.len() <= theirs.len() { (ours, theirs) } else { (theirs, ours) };
        let mut many = many.iter();
        !few.is_empty() && few.iter().all(|item| many.any(|other| other == item))
    }

    /// Did one side drop most values of a list that the other added values to? There is no telling whether it would want them.
    fn is_rewritten(&self, slots: &[Slot]) -> bool {
        let is_value = |side: usize, id: NodeId| !self.trees[side].node(id).is_container();
        let has = |slot: &Slot, side: usize| slot.nodes[side].is_some_and(|id| is_value(side, id));
        let count = |what: &dyn Fn(&Slot) -> bool| slots.iter().filter(|slot| what(slot)).count();
        let all = count(&|slot| has(slot, BASE));
        [(OURS, THEIRS), (THEIRS, OURS)].into_iter().any(|(one, other)| {
            let dropped = count(&|slot| has(slot, BASE) && slot.nodes[one].is_none());
            let added = count(&|slot| has(slot, other) && slot.nodes[BASE].is_none() && slot.nodes[one].is_none());
            2 * dropped > all && added > 0
        })
    }

    fn container(&mut self, nodes: [Option<NodeId>; 3], shape: Shape, out: &mut Vec<Seg<'t>>) -> Settled<()> {
        let trees = self.trees;
        let slots = match shape {
            Shape::Map => pair::map(&trees, nodes),
            _ => pair::list(&trees, nodes, self.list_rule()),
        };
        let order = order(&slots);
        if shape == Shape::List && (order.disputed || self.is_rewritten(&slots) || self.are_numbers(&slots)) {
            return Err(Unsettled);
        }
        let sorted = emit::is_sorted(&trees, nodes);
        let mut parts = Vec::new();
        for run in &order.runs {
            if let Some(index) = run.shared {
                parts.extend(self.part(&slots[index]));
            }
            self.run(run, &slots, shape, sorted, &mut parts);
        }
        let is_section = |part: &Part<'_>| match part {
            Part::Unit(unit) => unit.section,
            Part::Clash(ids, _) => {
                [BASE, OURS, THEIRS].into_iter().any(|side| ids[side].iter().any(|&id| trees[side].node(id).section))
            }
        };
        if parts.iter().any(is_section) {
            parts.sort_by_key(is_section);
        }
        let layout = Layout::of(&trees, nodes).ok_or(Unsettled)?;
        emit::container(&trees, nodes, &layout, parts, out)
    }

    /// Are these numbers of which both sides replaced some? A point, a colour, a version: each number means something at its place, and
    /// two halves of two of them are nothing.
    fn are_numbers(&self, slots: &[Slot]) -> bool {
        let dropped = |side: usize| {
            slots.iter().any(|slot| {
                slot.nodes[BASE].is_some_and(|base| {
                    slot.nodes[side]
                        .is_none_or(|id| self.trees[side].node(id).meaning != self.trees[BASE].node(base).meaning)
                })
            })
        };
        let number = |side: usize, id: NodeId| {
            let node = self.trees[side].node(id);
            !node.is_container()
                && std::str::from_utf8(self.trees[side].bytes(node.value))
                    .is_ok_and(|text| text.trim().parse::<f64>().is_ok())
        };
        let [base, ours, theirs] =
            [BASE, OURS, THEIRS].map(|side| slots.iter().filter(|slot| slot.nodes[side].is_some()).count());
        base == ours
            && base == theirs
            && dropped(OURS)
            && dropped(THEIRS)
            && slots.iter().all(|slot| {
                [BASE, OURS, THEIRS].into_iter().all(|side| slot.nodes[side].is_none_or(|id| number(side, id)))
            })
    }

    /// What stands between two units that both sides have.
    fn run(&mut self, run: &Run, slots: &[Slot], shape: Shape, sorted: bool, parts: &mut Vec<Part<'t>>) {
        let fresh = |side: usize| -> Vec<usize> {
            run.only[side].iter().copied().filter(|&index| slots[index].nodes[BASE].is_none()).collect()
        };
        let (ours, theirs) = (fresh(OURS), fresh(THEIRS));
        let replaced = &run.only[BASE];
        let one_replaced = |fresh: &[usize], side: usize| {
            !fresh.is_empty()
                && fresh
                    .iter()
                    .all(|&index| slots[index].nodes[side].is_some_and(|id| !self.trees[side].node(id).is_container()))
        };
        let clash =
            !ours.is_empty() && !theirs.is_empty() || one_replaced(&ours, OURS) || one_replaced(&theirs, THEIRS);
        if shape == Shape::List && !replaced.is_empty() && clash {
            // Both replaced the same items by other ones, or one side deleted what the other replaced.
            let ids =
                |indices: &[usize], side: usize| indices.iter().filter_map(|&index| slots[index].nodes[side]).collect();
            for &index in run.only[OURS].iter().chain(&run.only[THEIRS]) {
                if slots[index].nodes[BASE].is_some() {
                    parts.extend(self.part(&slots[index]));
                }
            }
            parts.push(Part::Clash([ids(replaced, BASE), ids(&ours, OURS), ids(&theirs, THEIRS)], self.place(None)));
            return;
        }
        let indices = if sorted {
            emit::merge_sorted(&self.trees, slots, &run.only[OURS], &run.only[THEIRS])
        } else {
            one_run(slots, run)
        };
        // Both added something below one new comment: it stands there once.
        let headed = |fresh: &[usize], side: usize| -> Option<&'t [u8]> {
            let id = slots[*fresh.first()?].nodes[side]?;
            let lead = self.trees[side].bytes(self.trees[side].node(id).lead());
            (!lead.is_ascii() || !lead.iter().all(u8::is_ascii_whitespace)).then_some(lead)
        };
        let mut headed = headed(&ours, OURS).filter(|&lead| headed(&theirs, THEIRS) == Some(lead)).map(|_| 0);
        for index in indices {
            let mut part = self.part(&slots[index]);
            let is_first = Some(&index) == ours.first() || Some(&index) == theirs.first();
            if let (true, Some(count), Some(Part::Unit(unit))) = (is_first, &mut headed, &mut part) {
                if *count > 0 {
                    unit.lead = emit::row_of(&unit.lead);
                }
                *count += 1;
            }
            parts.extend(part);
        }
    }

    /// What becomes of one unit; nothing, if it is deleted.
    fn part(&mut self, slot: &Slot) -> Option<Part<'t>> {
        let [base, ours, theirs] = slot.nodes;
        let known = [(OURS, ours), (THEIRS, theirs), (BASE, base)];
        let (side, id) = known.into_iter().find_map(|(side, id)| Some((side, id?)))?;
        let clash = |place: String| Part::Clash(slot.nodes.map(|id| id.into_iter().collect()), place);
        let first = |side: usize| slot.places[side] == Some(0);
        match (base, ours, theirs) {
            (base, Some(ours), Some(theirs)) => {
                self.enter(slot);
                let unit = self.unit(base, ours, theirs);
                self.path.pop();
                match unit {
                    Ok(unit) => {
                        let first = first(unit.side);
                        Some(Part::Unit(Unit { first, ..unit }))
                    }
                    Err(Unsettled) => Some(clash(self.place(Some((side, id))))),
                }
            }
            (None, Some(id), None) | (None, None, Some(id)) => {
                if self.stale.has(self.trees[side], side, id) {
                    return Some(clash(self.place(Some((side, id)))));
                }
                let from = if side == OURS { Source::Ours } else { Source::Theirs };
                Some(Part::Unit(Unit { first: first(side), ..self.verbatim(side, id, Some(from)) }))
            }
            (Some(base), Some(id), None) | (Some(base), None, Some(id)) => {
                if self.untouched(base, side, id) {
                    None
                } else {
                    Some(clash(self.place(Some((side, id)))))
                }
            }
            (_, None, None) => None,
        }
    }

    /// Goes down to a unit; its way is the one it has in the first version that has it.
    fn enter(&mut self, slot: &Slot) {
        let above = self.path.last().map_or(0, |step| step.hash);
        let mut way = None;
        let mut name = None;
        for side in [BASE, OURS, THEIRS] {
            let Some(id) = slot.nodes[side] else { continue };
            let hash = step(above, self.trees[side], id);
            name.clone_from(&self.trees[side].node(id).name);
            if *way.get_or_insert(hash) != hash
                && let Some(way) = way
            {
                self.notes.renamed.insert(hash, way);
            }
        }
        self.path.push(Step { name, hash: way.unwrap_or(above) });
    }

    /// The place of a unit in the document, as a JSON pointer; of the container itself, if no unit is given.
    fn place(&self, unit: Option<(usize, NodeId)>) -> String {
        let mut place = String::new();
        let last = unit.and_then(|(side, id)| self.trees[side].node(id).name.as_deref());
        for name in self.path.iter().map(|step| step.name.as_deref()).chain(last.map(Some)) {
            place.push('/');
            place.push_str(&name.unwrap_or("-").replace('~', "~0").replace('/', "~1"));
        }
        place
    }

    /// What the owner of the document says about the list that is being merged.
    fn list_rule(&self) -> Option<&ListRule> {
        if self.rules.lists.is_empty() {
            return None;
        }
        let fits = |pointer: &str, names: &[Option<&str>]| {
            let mut steps = pointer.split('/').skip(usize::from(pointer.starts_with('/')));
            let fits = names.iter().all(|name| {
                steps.next().is_some_and(|wanted| {
                    wanted == "*" || name.is_some_and(|name| name == wanted.replace("~1", "/").replace("~0", "~"))
                })
            });
            fits && steps.next().is_none()
        };
        let names: Vec<Option<&str>> = self.path.iter().map(|step| step.name.as_deref()).collect();
        // The tables of a TOML document are units by their headers: `[a.b]`, and none for the pairs above the first one.
        let tables: Vec<Option<&str>> = match names.split_first() {
            Some((Some(header), rest)) => {
                let parts = header.trim_matches(['[', ']']).split('.').filter(|part| !part.is_empty());
                parts.map(Some).chain(rest.iter().copied()).collect()
            }
            _ => names.clone(),
        };
        let rule = self.rules.lists.iter().find(|(pointer, _)| fits(pointer, &names) || fits(pointer, &tables));
        rule.map(|(_, rule)| rule)
    }
}

/// The way to a unit, given the way to its container: by name in maps, by an item's own name in lists.
pub(super) fn step(mut above: u64, tree: &super::Tree, id: NodeId) -> u64 {
    const NAMES: [&str; 3] = ["id", "name", "key"];
    let node = tree.node(id);
    if let Some(name) = &node.name {
        // `a.b`, `b` in `a`, and `b` in the table `[a]` are the same place.
        // So are an item of `[[c]]` and the same item where it stands apart from the others.
        let item = name.strip_prefix("[[").and_then(|rest| rest.split_once("]] "));
        let name = item.map_or(name.trim_matches(['[', ']']), |(title, _)| title);
        let parts = name.split('.').filter(|part| !part.is_empty());
        above = parts.fold(above, |above, part| mix(above, hash(20, part.as_bytes())));
        if item.is_none() {
            return above;
        }
    }
    let named = (node.shape == Shape::Map).then(|| NAMES.iter().find_map(|name| tree.field(id, name))).flatten();
    match named {
        Some(named) if !tree.node(named).is_container() => mix(above, hash(21, tree.says(named))),
        _ => mix(above, 22),
    }
}
