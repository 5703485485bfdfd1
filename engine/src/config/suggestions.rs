//! The likely intended word for a misspelt one.

/// Longest word that is compared: the work grows with the square of it.
const WORD_MAX: usize = 96;

/// The candidate nearest to a word, if one is near enough to be meant. The first of equals wins.
pub(super) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = match word.chars().count() {
        0..=2 => return None,
        3..=5 => 1,
        6..=11 => 2,
        WORD_MAX.. => return None,
        _ => 3,
    };
    let letters_of_word = letters(word);
    candidates
        .into_iter()
        .filter(|candidate| *candidate != word)
        .filter_map(|candidate| Some((distance(&letters_of_word, &letters(candidate), limit)?, candidate)))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Capitals count as their small letters.
fn letters(word: &str) -> Vec<char> {
    word.chars().flat_map(char::to_lowercase).collect()
}

/// Edits that make one word of the other: letters added, dropped, replaced, or swapped with their neighbour
/// (optimal string alignment); `None` where they are more than `limit`.
fn distance(left: &[char], right: &[char], limit: usize) -> Option<usize> {
    if left.len().abs_diff(right.len()) > limit {
        return None;
    }
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=right.len()).collect();
    for (row, &a) in left.iter().enumerate() {
        let mut current = Vec::with_capacity(last.len());
        current.push(row + 1);
        for (column, &b) in right.iter().enumerate() {
            let at = |line: &[usize], index: usize| line.get(index).copied().unwrap_or(usize::MAX - 1);
            let replaced = at(&last, column) + usize::from(a != b);
            let mut best = replaced.min(at(&last, column + 1) + 1).min(at(&current, column) + 1);
            let swapped =
                row > 0 && column > 0 && left.get(row - 1) == Some(&b) && right.get(column - 1) == Some(&a);
            if swapped {
                best = best.min(at(&before_last, column - 1) + 1);
            }
            current.push(best);
        }
        // Each row builds on the two before it: a file may have many words that are like none.
        if current.iter().chain(&last).all(|edits| *edits > limit) {
            return None;
        }
        before_last = std::mem::replace(&mut last, current);
    }
    last.last().copied().filter(|edits| *edits <= limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_words() {
        let keys = ["topics", "topics.exclude", "groups", "replication.factor", "bootstrap.servers"];
        assert_eq!(nearest("topic", keys), Some("topics"));
        assert_eq!(nearest("topcis", keys), Some("topics"));
        assert_eq!(nearest("replication.facter", keys), Some("replication.factor"));
        assert_eq!(nearest("bootstrap.server", keys), Some("bootstrap.servers"));
        assert_eq!(nearest("Topics.Exclude", keys), Some("topics.exclude"));
        assert_eq!(nearest("something.else", keys), None);
        assert_eq!(nearest("to", keys), None);
        assert_eq!(nearest(&"x".repeat(10_000), keys), None);
    }

    #[test]
    fn distances() {
        let distance = |left, right, limit| distance(&letters(left), &letters(right), limit);
        assert_eq!(distance("abc", "abc", 3), Some(0));
        assert_eq!(distance("abc", "acb", 3), Some(1));
        assert_eq!(distance("abc", "ab", 3), Some(1));
        assert_eq!(distance("abc", "xabc", 3), Some(1));
        assert_eq!(distance("abc", "xyz", 3), Some(3));
        assert_eq!(distance("abc", "xyz", 2), None);
        assert_eq!(distance("xyab", "xyba", 1), Some(1));
        assert_eq!(distance("security.protocol", "bootstrap.servers", 3), None);
    }
}
