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
    /// The others.
    expressions: Vec<Expression>,
    /// The first entry that is `.*`.
    all: Option<usize>,
}

#[derive(Debug, Clone)]
struct Expression {
    /// Its index among the rules.
    rule: usize,
    /// The pattern as it was translated.
    text: String,
    regex: Regex,
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

    /// A list that matches nothing.
    pub(crate) fn empty(origin: &Origin) -> Self {
        Self {
            origin: origin.clone(),
            rules: Vec::new(),
            literals: HashMap::new(),
            expressions: Vec::new(),
            all: None,
        }
    }

    fn compile_each(items: &[String], origin: &Origin) -> Result<Self, Vec<(String, PatternError)>> {
        let mut list = Self::empty(origin);
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
        self.expressions.push(Expression { rule: index, text: translation.text, regex });
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
        for expression in &self.expressions {
            let Some(rule) = self.rules.get(expression.rule) else { continue };
            match expression.regex.is_match(name) {
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

    /// The list as expressions for an automaton: names escaped, patterns translated.
    pub(super) fn automaton_expressions(&self) -> Vec<String> {
        let mut all: Vec<String> = self.literals.keys().map(|name| java_regex::escape(name)).collect();
        all.extend(self.all.map(|_| String::from("(?s:.*)")));
        all.extend(self.expressions.iter().map(|expression| expression.text.clone()));
        all
    }

    /// The entries that are patterns, each as it was written and as it was translated.
    pub(super) fn patterns(&self) -> impl Iterator<Item = (&str, &str)> {
        self.expressions.iter().filter_map(|expression| {
            let rule = self.rules.get(expression.rule)?;
            Some((&*rule.pattern, expression.text.as_str()))
        })
    }

    /// The entries that are names.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.literals.keys().map(|name| &**name)
    }

    /// Whether all entries are names.
    pub(crate) fn is_all_names(&self) -> bool {
        self.expressions.is_empty() && self.all.is_none()
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
