//! The set of names that lists of patterns select, as an automaton that can be searched.
//!
//! It answers what trying names cannot: whether any name at all is selected, and whether one name is selected by
//! several lists at once. Topic names have 65 characters to choose from, so the search is small.

use std::collections::{HashMap, VecDeque};

use regex_automata::hybrid::LazyStateID;
use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::nfa::thompson;
use regex_automata::util::{start, syntax};
use regex_automata::{Anchored, MatchKind};

use super::{PatternList, TopicFilter};

/// What a topic name is made of; what comes first is tried first.
const NAME_BYTES: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
/// Bytes that the states of one automaton may take.
const CACHE_BYTES: usize = 8 << 20;
/// Bytes of one automaton before its states.
const NFA_BYTES_MAX: usize = 4 << 20;
/// States of a search after which it gives up.
const STATES_MAX: usize = 8_000;
/// Rules of a list that are looked at one by one.
const RULES_MAX: usize = 256;
/// Any name.
const ANYTHING: &str = "(?s:.*)";

/// An automaton of some expressions: a name is taken when one of them matches the whole of it.
#[derive(Debug)]
pub(crate) struct Automaton {
    dfa: DFA,
    cache: Cache,
}

impl Automaton {
    /// Nothing when the expressions hold what no automaton can have, look-around for one, or take too much room.
    fn build(expressions: &[String]) -> Option<Self> {
        // Bytes make a much smaller automaton than characters, and names are ASCII; but some classes need characters.
        Self::build_with(expressions, false).or_else(|| Self::build_with(expressions, true))
    }

    fn build_with(expressions: &[String], unicode: bool) -> Option<Self> {
        let whole: Vec<String> = expressions.iter().map(|text| format!(r"(?:{text})\z")).collect();
        let config = DFA::config()
            .match_kind(MatchKind::All)
            .cache_capacity(CACHE_BYTES)
            .skip_cache_capacity_check(true)
            .minimum_cache_clear_count(Some(0))
            .unicode_word_boundary(true);
        let dfa = DFA::builder()
            .configure(config)
            .syntax(syntax::Config::new().unicode(unicode).utf8(unicode))
            .thompson(thompson::Config::new().utf8(unicode).nfa_size_limit(Some(NFA_BYTES_MAX)))
            .build_many(&whole)
            .ok()?;
        let cache = dfa.create_cache();
        Some(Self { dfa, cache })
    }

    fn start(&mut self) -> Option<LazyStateID> {
        self.dfa.start_state(&mut self.cache, &start::Config::new().anchored(Anchored::Yes)).ok()
    }

    fn step(&mut self, state: LazyStateID, byte: u8) -> Option<LazyStateID> {
        self.dfa.next_state(&mut self.cache, state, byte).ok().filter(|next| !next.is_quit())
    }

    fn accepts(&mut self, state: LazyStateID) -> Option<bool> {
        self.dfa.next_eoi_state(&mut self.cache, state).ok().map(|end| end.is_match())
    }
}

/// What is selected at one place: `include` without `exclude`, of the name with a prefix before it.
#[derive(Debug)]
pub(crate) struct Selection {
    include: Automaton,
    exclude: Option<Automaton>,
    prefix: String,
    /// Whether the automata say exactly what the expressions say, or select more.
    exact: bool,
}

impl Selection {
    /// What a list takes and another leaves out, and `also_excluded` beside it, of names with a prefix before them.
    pub(crate) fn of(filter: &TopicFilter, also_excluded: Vec<String>, prefix: String) -> Option<Self> {
        let mut exclude = filter.exclude.automaton_expressions();
        exclude.extend(also_excluded);
        Self::new(&filter.include.automaton_expressions(), &exclude, prefix)
    }

    /// Of lists of expressions. Those that no automaton can have count as selecting everything, or excluding nothing.
    fn new(include: &[String], exclude: &[String], prefix: String) -> Option<Self> {
        let (include, include_exact) = match Automaton::build(include) {
            Some(automaton) => (automaton, true),
            None => (Automaton::build(&[ANYTHING.to_owned()])?, false),
        };
        let (exclude, exclude_exact) = match exclude {
            [] => (None, true),
            all => match Automaton::build(all) {
                Some(automaton) => (Some(automaton), true),
                None => (Self::what_can_be_had(all), false),
            },
        };
        Some(Self { include, exclude, prefix, exact: include_exact && exclude_exact })
    }

    fn what_can_be_had(expressions: &[String]) -> Option<Automaton> {
        let sound: Vec<String> = expressions
            .iter()
            .filter(|text| Automaton::build(&[(*text).clone()]).is_some())
            .cloned()
            .collect();
        if sound.is_empty() { None } else { Automaton::build(&sound) }
    }

    /// The states behind the prefix.
    fn start(&mut self) -> Option<Option<State>> {
        let mut state = State { include: self.include.start()?, exclude: None };
        if let Some(exclude) = &mut self.exclude {
            state.exclude = Some(exclude.start()?);
        }
        let prefix = self.prefix.clone();
        prefix.bytes().try_fold(Some(state), |state, byte| match state {
            Some(state) => self.step(&state, byte),
            None => Some(None),
        })
    }

    /// The outer option is empty when the automaton gives up, the inner one when no name can follow.
    fn step(&mut self, state: &State, byte: u8) -> Option<Option<State>> {
        let include = self.include.step(state.include, byte)?;
        if include.is_dead() {
            return Some(None);
        }
        let exclude = match (&mut self.exclude, state.exclude) {
            (Some(automaton), Some(exclude)) => Some(automaton.step(exclude, byte)?),
            _ => None,
        };
        Some(Some(State { include, exclude }))
    }

    fn accepts(&mut self, state: &State) -> Option<bool> {
        let excluded = match (&mut self.exclude, state.exclude) {
            (Some(automaton), Some(exclude)) => automaton.accepts(exclude)?,
            _ => false,
        };
        Some(self.include.accepts(state.include)? && !excluded)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct State {
    include: LazyStateID,
    exclude: Option<LazyStateID>,
}

/// What a search found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Names {
    /// The names, the shortest first.
    pub(crate) names: Vec<String>,
    /// There are no others, and these are selected indeed.
    pub(crate) exact: bool,
}

/// The shortest names that all the selections take, no more than `wanted`; one of those that no automaton tells
/// from one another.
pub(crate) fn common_names(selections: &mut [Selection], wanted: usize) -> Names {
    let exact = selections.iter().all(|selection| selection.exact);
    let mut found = Names { names: Vec::new(), exact };
    if search(selections, wanted, &mut found.names).is_none() {
        found.exact = false;
    }
    found
}

/// Breadth first over the states of all automata at once. Nothing when it had to give up.
fn search(selections: &mut [Selection], wanted: usize, names: &mut Vec<String>) -> Option<()> {
    let mut first = Vec::with_capacity(selections.len());
    for selection in selections.iter_mut() {
        match selection.start()? {
            Some(state) => first.push(state),
            None => return Some(()),
        }
    }
    // From each state the one before it and the byte between them, to spell out the name.
    let mut paths: Vec<Option<(usize, u8)>> = vec![None];
    let mut seen: HashMap<Vec<State>, usize> = HashMap::from([(first.clone(), 0)]);
    let mut queue = VecDeque::from([(0, first)]);
    while let Some((index, states)) = queue.pop_front() {
        for &byte in NAME_BYTES {
            let Some(next) = step_all(selections, &states, byte)? else { continue };
            if seen.contains_key(&next) {
                continue;
            }
            if seen.len() >= STATES_MAX {
                return None;
            }
            let next_index = paths.len();
            paths.push(Some((index, byte)));
            if accepts_all(selections, &next)? {
                names.push(spell(&paths, next_index));
                if names.len() >= wanted {
                    return Some(());
                }
            }
            seen.insert(next.clone(), next_index);
            queue.push_back((next_index, next));
        }
    }
    Some(())
}

fn step_all(selections: &mut [Selection], states: &[State], byte: u8) -> Option<Option<Vec<State>>> {
    let mut all = Vec::with_capacity(states.len());
    for (selection, state) in selections.iter_mut().zip(states) {
        match selection.step(state, byte)? {
            Some(next) => all.push(next),
            None => return Some(None),
        }
    }
    Some(Some(all))
}

fn accepts_all(selections: &mut [Selection], states: &[State]) -> Option<bool> {
    for (selection, state) in selections.iter_mut().zip(states) {
        if !selection.accepts(state)? {
            return Some(false);
        }
    }
    Some(true)
}

fn spell(paths: &[Option<(usize, u8)>], mut index: usize) -> String {
    let mut bytes = Vec::new();
    while let Some(&Some((before, byte))) = paths.get(index) {
        bytes.push(char::from(byte));
        index = before;
    }
    bytes.iter().rev().collect()
}

/// Whether no topic name at all can match.
pub(crate) fn matches_nothing(expressions: &[String]) -> bool {
    if expressions.is_empty() {
        return true;
    }
    let Some(selection) = Selection::new(expressions, &[], String::new()) else { return false };
    let found = common_names(&mut [selection], 1);
    found.exact && found.names.is_empty()
}

impl PatternList {
    /// Whether no topic name at all can match the list.
    pub(crate) fn matches_nothing(&self) -> bool {
        matches_nothing(&self.automaton_expressions())
    }

    /// The entries, of the first few hundred, that no topic name can match.
    pub(crate) fn entries_without_match(&self) -> Vec<&str> {
        self.patterns()
            .take(RULES_MAX)
            .filter(|(_, expression)| matches_nothing(&[(*expression).to_owned()]))
            .map(|(entry, _)| entry)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selection(include: &[&str], exclude: &[&str], prefix: &str) -> Selection {
        let own = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        Selection::new(&own(include), &own(exclude), prefix.to_owned()).unwrap()
    }

    fn names(selections: Vec<Selection>, wanted: usize) -> Names {
        let mut selections = selections;
        common_names(&mut selections, wanted)
    }

    fn exactly(names: &[&str]) -> Names {
        Names { names: names.iter().map(|name| (*name).to_owned()).collect(), exact: true }
    }

    #[test]
    fn shortest_names() {
        assert_eq!(names(vec![selection(&["orders.*"], &[], "")], 1), exactly(&["orders"]));
        assert_eq!(names(vec![selection(&["aa?|b"], &[], "")], 9), exactly(&["a", "b"]));
        assert_eq!(names(vec![selection(&["a|b"], &["a"], "")], 9), exactly(&["b"]));
        assert_eq!(names(vec![selection(&["a", "b"], &["a", "b"], "")], 9), exactly(&[]));
    }

    #[test]
    fn several_lists_at_once() {
        let both = |one, other| names(vec![selection(&[one], &[], ""), selection(&[other], &[], "")], 1);
        assert_eq!(both("[a-c].*", "[c-e]+"), exactly(&["c"]));
        assert_eq!(both("a.*", "b.*"), exactly(&[]));
        assert_eq!(both(".*x", "y.*"), exactly(&["yx"]));
    }

    #[test]
    fn prefixes() {
        let behind_prefix = |prefix| names(vec![selection(&[r"A\.t"], &[], prefix)], 9);
        assert_eq!(behind_prefix("A."), exactly(&["t"]));
        assert_eq!(behind_prefix("B."), exactly(&[]));
    }

    #[test]
    fn what_an_automaton_cannot_have_selects_more() {
        let found = names(vec![selection(&["(?!a).*"], &[], "")], 1);
        assert!(!found.exact && !found.names.is_empty());
        let found = names(vec![selection(&["a"], &["(?=a)a"], "")], 1);
        assert_eq!(found, Names { names: vec!["a".into()], exact: false });
    }

    #[test]
    fn nothing_at_all() {
        assert!(matches_nothing(&["\"foo".into()]));
        assert!(matches_nothing(&["foo # all".into()]));
        assert!(matches_nothing(&[]));
        assert!(!matches_nothing(&["foo.*".into()]));
        assert!(!matches_nothing(&["\"*foo".into()]));
        assert!(!matches_nothing(&["(?!x)\"".into()]));
    }
}
