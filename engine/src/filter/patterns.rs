//! A comma list of names and Java patterns, compiled, with the origin of every rule.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use fancy_regex::{Regex, RegexBuilder};

use super::java_regex::{self, Flags, PatternError};
use crate::config::origin::Origin;

/// Steps a pattern with look-around or back references may take on one name before it is given up.
const BACKTRACK_LIMIT: usize = 100_000;
/// Bytes one compiled pattern may take.
const COMPILED_BYTES_MAX: usize = 4 << 20;

/// One entry of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The pattern as it was written.
    pub pattern: Arc<str>,
    /// Where it was written.
    pub origin: Origin,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` ({})", self.pattern, self.origin)
    }
}

/// A list of patterns, of which one has to match the whole name.
///
/// As in MirrorMaker 2 the entries stand for one expression joined by `|`, and an empty list matches nothing.
#[derive(Debug, Clone)]
pub struct PatternList {
    origin: Origin,
    rules: Vec<Rule>,
    /// Entries without any special character, by name.
    literals: HashMap<Arc<str>, usize>,
    /// The others, with the index of their rule.
    regexes: Vec<(usize, Regex)>,
    /// The first entry that is `.*`.
    all: Option<usize>,
    /// What `regex-automata` would have to match for each of `regexes`.
    translated: Vec<String>,
}

impl PatternList {
    /// Compiles the entries of a list.
    ///
    /// # Errors
    /// Every entry that Java would refuse, or that cannot be translated, with its text.
    pub fn compile(items: &[String], origin: &Origin) -> Result<Self, Vec<(String, PatternError)>> {
        match Self::compile_each(items, origin) {
            Ok(list) => Ok(list),
            // A group that holds a comma, `(a,b).*`, is in two pieces here. Java sees the pieces joined by `|`.
            Err(errors) if items.len() > 1 => {
                Self::compile_each(&[items.join("|")], origin).map_err(|_| errors)
            }
            Err(errors) => Err(errors),
        }
    }

    fn compile_each(items: &[String], origin: &Origin) -> Result<Self, Vec<(String, PatternError)>> {
        let mut list = Self {
            origin: origin.clone(),
            rules: Vec::with_capacity(items.len()),
            literals: HashMap::new(),
            regexes: Vec::new(),
            all: None,
            translated: Vec::new(),
        };
        let mut errors = Vec::new();
        // In the joined expression a flag set in one entry, `(?i)`, goes on to the end.
        let mut flags = Flags::default();
        for item in items {
            match list.push(item, flags) {
                Ok(after) => flags = after,
                Err(error) => errors.push((item.clone(), error)),
            }
        }
        if errors.is_empty() { Ok(list) } else { Err(errors) }
    }

    fn push(&mut self, item: &str, flags: Flags) -> Result<Flags, PatternError> {
        let pattern: Arc<str> = Arc::from(item);
        let index = self.rules.len();
        self.rules.push(Rule { pattern: Arc::clone(&pattern), origin: self.origin.clone() });
        if item == ".*" {
            self.all.get_or_insert(index);
            return Ok(flags);
        }
        if flags == Flags::default() && is_literal(item) {
            self.literals.entry(pattern).or_insert(index);
            return Ok(flags);
        }
        let translation = java_regex::translate(item, flags)?;
        let regex = compile_whole(&translation.text)?;
        self.regexes.push((index, regex));
        self.translated.push(translation.text);
        Ok(translation.flags_after)
    }

    /// The first rule found that matches the whole name.
    ///
    /// # Errors
    /// The rule that took more than the allowed number of steps.
    pub fn find(&self, name: &str) -> Result<Option<&Rule>, &Rule> {
        if let Some(rule) = self.literals.get(name).and_then(|&index| self.rules.get(index)) {
            return Ok(Some(rule));
        }
        if let Some(rule) = self.all.and_then(|index| self.rules.get(index)) {
            return Ok(Some(rule));
        }
        for (index, regex) in &self.regexes {
            let Some(rule) = self.rules.get(*index) else { continue };
            match regex.is_match(name) {
                Ok(true) => return Ok(Some(rule)),
                Ok(false) => {}
                Err(_) => return Err(rule),
            }
        }
        Ok(None)
    }

    /// Where the list was written.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The entries in the order they were written.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The list as expressions for an automaton: escaped names, and translated patterns.
    pub(crate) fn expressions(&self) -> Vec<String> {
        let mut all: Vec<String> = self.literals.keys().map(|name| java_regex::escape(name)).collect();
        all.extend(self.all.map(|_| String::from("(?s:.*)")));
        all.extend(self.translated.iter().cloned());
        all
    }
}

/// A topic name without `.` is its own pattern; with one it is a pattern that matches other names too.
fn is_literal(item: &str) -> bool {
    !item.is_empty() && item.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

fn compile_whole(translated: &str) -> Result<Regex, PatternError> {
    RegexBuilder::new(&format!(r"\A(?:{translated})\z"))
        .backtrack_limit(BACKTRACK_LIMIT)
        .delegate_size_limit(COMPILED_BYTES_MAX)
        .build()
        .map_err(|error| PatternError::Refused { reason: error.to_string() })
}
