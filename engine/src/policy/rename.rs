//! The rename of our own: a Java expression and a replacement with `$1`, no Java class needed.

use std::sync::Arc;

use fancy_regex::{Captures, Regex, RegexBuilder};

use crate::filter::PatternError;
use crate::filter::java_regex::{self, Flags};

/// Steps the expression may take on one name before it counts as not matching.
const BACKTRACK_LIMIT: usize = 100_000;

/// Why a rename cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RenameError {
    /// The expression.
    #[error("the expression cannot be used")]
    Pattern(#[source] PatternError),
    /// `$` with neither a digit nor a name in braces behind it.
    #[error("`$` at character {at} of the replacement names no group")]
    BadReference {
        /// Where it stands, counted from 1.
        at: usize,
    },
    /// A group that the expression does not have.
    #[error("the replacement asks for group `{group}`, which the expression does not have")]
    NoSuchGroup {
        /// The group's number or name.
        group: String,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Group(usize),
    Named(String),
}

/// A rename: names that the expression matches as a whole get the name that the replacement makes of them, as with
/// Connect's `RegexRouter`.
#[derive(Debug, Clone)]
pub struct Rename {
    /// The expression as it was written.
    pub pattern: Arc<str>,
    /// The replacement as it was written.
    pub replacement: Arc<str>,
    /// The expression as it was translated.
    translated: String,
    regex: Regex,
    pieces: Vec<Piece>,
}

impl Rename {
    /// Compiles a rename. In the replacement `$1` and `${name}` stand for groups, and a backslash makes the next
    /// character literal, as in `java.util.regex.Matcher`.
    ///
    /// # Errors
    /// An expression or a replacement that Java would refuse, or that cannot be expressed.
    pub fn compile(pattern: &str, replacement: &str) -> Result<Self, RenameError> {
        let translation = java_regex::translate(pattern, Flags::default()).map_err(RenameError::Pattern)?;
        let regex = RegexBuilder::new(&format!(r"\A(?:{})\z", translation.text))
            .backtrack_limit(BACKTRACK_LIMIT)
            .build()
            .map_err(|error| RenameError::Pattern(PatternError::Refused { reason: error.to_string() }))?;
        let pieces = parse_replacement(replacement, &regex)?;
        let (pattern, replacement) = (Arc::from(pattern), Arc::from(replacement));
        Ok(Self { pattern, replacement, translated: translation.text, regex, pieces })
    }

    /// The expression as it was translated.
    pub(crate) fn expression(&self) -> &str {
        &self.translated
    }

    /// The new name, if the expression matches the whole of the old one.
    pub fn apply(&self, topic: &str) -> Option<String> {
        let captures = self.regex.captures(topic).ok().flatten()?;
        Some(self.pieces.iter().map(|piece| piece.text(&captures)).collect())
    }
}

impl Piece {
    /// A group that took no part in the match stands for nothing.
    fn text<'a>(&'a self, captures: &'a Captures<'_, str>) -> &'a str {
        match self {
            Self::Text(text) => text,
            Self::Group(group) => captures.get(*group).map_or("", |found| found.as_str()),
            Self::Named(name) => captures.name(name).map_or("", |found| found.as_str()),
        }
    }
}

/// Cuts a replacement into text and groups.
fn parse_replacement(replacement: &str, regex: &Regex) -> Result<Vec<Piece>, RenameError> {
    let chars: Vec<char> = replacement.chars().collect();
    let mut pieces = Vec::new();
    let mut text = String::new();
    let mut at = 0;
    while let Some(&current) = chars.get(at) {
        let rest = chars.get(at + 1..).unwrap_or_default();
        match current {
            '\\' | '$' if rest.is_empty() => return Err(RenameError::BadReference { at: at + 1 }),
            '\\' => {
                text.extend(rest.first());
                at += 2;
            }
            '$' => {
                let Some((piece, length)) = parse_group(rest, regex)? else {
                    return Err(RenameError::BadReference { at: at + 1 });
                };
                if !text.is_empty() {
                    pieces.push(Piece::Text(std::mem::take(&mut text)));
                }
                pieces.push(piece);
                at += 1 + length;
            }
            literal => {
                text.push(literal);
                at += 1;
            }
        }
    }
    if !text.is_empty() {
        pieces.push(Piece::Text(text));
    }
    Ok(pieces)
}

/// What stands behind a `$`, and how many characters it takes.
fn parse_group(rest: &[char], regex: &Regex) -> Result<Option<(Piece, usize)>, RenameError> {
    if let Some(('{', after)) = rest.split_first().map(|(first, after)| (*first, after)) {
        let name: String = after.iter().take_while(|c| c.is_ascii_alphanumeric()).collect();
        if name.is_empty() || after.get(name.len()) != Some(&'}') {
            return Ok(None);
        }
        if !regex.capture_names().flatten().any(|known| known == name) {
            return Err(RenameError::NoSuchGroup { group: name });
        }
        let length = name.len() + 2;
        return Ok(Some((Piece::Named(name), length)));
    }
    Ok(numbered_group(rest, regex.captures_len())?.map(|(group, length)| (Piece::Group(group), length)))
}

/// Digits go on belonging to the number for as long as there is a group of that number.
fn numbered_group(rest: &[char], groups: usize) -> Result<Option<(usize, usize)>, RenameError> {
    let mut digits =
        rest.iter().map_while(|c| c.to_digit(10)).filter_map(|digit| usize::try_from(digit).ok());
    let Some(mut group) = digits.next() else { return Ok(None) };
    if group >= groups {
        return Err(RenameError::NoSuchGroup { group: group.to_string() });
    }
    let mut length = 1;
    for digit in digits {
        let longer = group.saturating_mul(10).saturating_add(digit);
        if longer >= groups {
            break;
        }
        group = longer;
        length += 1;
    }
    Ok(Some((group, length)))
}
