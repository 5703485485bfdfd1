//! What was told already: a round that finds the same trouble as the one before says nothing about it. Pure.

use std::collections::HashSet;

/// Complaints of the last round and of this one. Holds as many as one round has.
#[derive(Debug, Default)]
pub(crate) struct Told {
    before: HashSet<String>,
    now: HashSet<String>,
}

impl Told {
    /// A round begins. What is not found again in it counts as new afterwards.
    pub(crate) fn begin(&mut self) {
        self.before = std::mem::take(&mut self.now);
    }

    /// Whether this is news.
    pub(crate) fn is_news(&mut self, what: &str) -> bool {
        let known = self.before.contains(what);
        self.now.insert(what.to_owned()) && !known
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_is_told_once_until_it_was_gone() {
        let mut told = Told::default();
        assert!(told.is_news("a"));
        assert!(!told.is_news("a"));
        told.begin();
        assert!(!told.is_news("a"));
        assert!(told.is_news("b"));
        told.begin();
        told.begin();
        assert!(told.is_news("a"));
    }
}
