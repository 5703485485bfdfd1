//! Reads `java.util.Properties` text, and remembers on which line each key stands.
//!
//! The format is the one of `Properties.load`: `#` and `!` begin a comment line, `=`, `:` or a blank ends the key, a
//! backslash at the end of a line continues it. Pure text; knows no key.

use std::borrow::Cow;

use zeroize::Zeroizing;

/// One key and its value, with the escapes resolved.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// The value, without blanks in front; those behind belong to it.
    /// It may be a secret and is wiped.
    pub value: Zeroizing<String>,
    /// The line the key stands on, counted from 1.
    pub line: usize,
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entry").field("key", &self.key).field("line", &self.line).finish_non_exhaustive()
    }
}

/// A file's entries in the order they are written, repeated keys included.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Properties {
    /// The entries.
    pub entries: Vec<Entry>,
    /// Lines with a `\u` that is no four hexadecimal digits, which Java refuses.
    pub malformed: Vec<usize>,
}

/// A file's text: UTF-8 where it is valid, otherwise ISO 8859-1, in which Java reads properties.
pub fn decode(bytes: &[u8]) -> Cow<'_, str> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(bytes.iter().copied().map(char::from).collect()),
    }
}

/// Reads a text. Whatever it holds, there is a result.
pub fn parse(text: &str) -> Properties {
    let mut properties = Properties::default();
    let mut lines = natural_lines(text).zip(1..);
    while let Some((first, line)) = lines.next() {
        let first = first.trim_start_matches(is_blank);
        // A backslash alone continues nothing: the next line may be a comment.
        if matches!(first, "" | "\\") || first.starts_with(['#', '!']) {
            continue;
        }
        let mut logical = Zeroizing::new(first.to_owned());
        while ends_in_continuation(&logical) {
            logical.pop();
            let Some((next, _)) = lines.next() else { break };
            logical.push_str(next.trim_start_matches(is_blank));
        }
        let (key, value) = split_entry(&logical);
        match (unescape(key), unescape(value)) {
            (Some(key), Some(value)) => {
                properties.entries.push(Entry { key: key.to_string(), value, line });
            }
            _ => properties.malformed.push(line),
        }
    }
    properties
}

fn is_blank(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\x0C')
}

/// Lines end in `\n`, `\r` or `\r\n`.
fn natural_lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let current = rest?;
        let Some(end) = current.find(['\n', '\r']) else {
            rest = None;
            return Some(current);
        };
        let (line, tail) = current.split_at(end);
        rest = tail.strip_prefix("\r\n").or_else(|| tail.strip_prefix(['\n', '\r']));
        Some(line)
    })
}

fn ends_in_continuation(line: &str) -> bool {
    line.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1
}

/// The key ends at the first blank, `=` or `:` without a backslash before it; blanks and one sign may follow.
fn split_entry(line: &str) -> (&str, &str) {
    let mut escaped = false;
    let end = line.find(|character| {
        let ends = !escaped && (is_blank(character) || matches!(character, '=' | ':'));
        escaped = character == '\\' && !escaped;
        ends
    });
    let (key, rest) = line.split_at(end.unwrap_or(line.len()));
    let rest = rest.trim_start_matches(is_blank);
    let rest = rest.strip_prefix(['=', ':']).unwrap_or(rest);
    (key, rest.trim_start_matches(is_blank))
}

/// Resolves the escapes; none if a `\u` is malformed.
fn unescape(text: &str) -> Option<Zeroizing<String>> {
    let mut units: Zeroizing<Vec<u16>> = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut characters = text.chars();
    let mut buffer = [0; 2];
    while let Some(character) = characters.next() {
        let literal = match character {
            '\\' => match characters.next() {
                // The backslash that ends a file stands for nothing.
                None => break,
                Some('t') => '\t',
                Some('n') => '\n',
                Some('r') => '\r',
                Some('f') => '\x0C',
                Some('u') => {
                    units.push(code_unit(&mut characters)?);
                    continue;
                }
                Some(literal) => literal,
            },
            literal => literal,
        };
        units.extend_from_slice(literal.encode_utf16(&mut buffer));
    }
    // Two escapes may make one character; half a pair is no character and no name can have it.
    Some(Zeroizing::new(String::from_utf16_lossy(&units)))
}

/// Four hexadecimal digits.
fn code_unit(characters: &mut std::str::Chars<'_>) -> Option<u16> {
    (0..4).try_fold(0_u16, |unit, _| {
        let digit = characters.next()?.to_digit(16)?;
        Some(unit << 4 | u16::try_from(digit).ok()?)
    })
}

#[cfg(test)]
mod tests;
