//! Character classes: `[a-z]`, `[^._]`, unions `[a-d[m-p]]` and intersections `[a-z&&[^bc]]`.

use std::fmt::Write;

use super::escape::{Escaped, push_literal};
use super::{NESTING_MAX, PatternError, Translator};

/// One member of a class.
enum Member {
    Char(char),
    Text(String),
}

impl Translator {
    /// Takes a whole class, brackets included, and returns it rewritten.
    pub(super) fn class(&mut self) -> Result<String, PatternError> {
        self.class_at(0)
    }

    fn class_at(&mut self, depth: usize) -> Result<String, PatternError> {
        if depth >= NESTING_MAX {
            return Err(PatternError::TooLarge { what: "classes nest too deep", limit: NESTING_MAX });
        }
        let opened_at = self.at + 1;
        self.at += 1;
        let mut out = String::from("[");
        let negated = self.peek() == Some('^');
        if negated {
            out.push('^');
            self.at += 1;
        }
        let mut empty = true;
        loop {
            let Some(current) = self.peek() else {
                return Err(PatternError::Unclosed { open: '[', at: opened_at });
            };
            match current {
                // A `]` that comes first is an ordinary member.
                ']' if !empty => break,
                '[' | '&' if negated && (current == '[' || self.starts_with("&&")) => {
                    // Java changed what it means between releases.
                    return Err(self.unsupported("a negated class with a class or `&&` in it"));
                }
                '[' => out.push_str(&self.class_at(depth + 1)?),
                '&' if self.starts_with("&&") => {
                    if empty || self.peek_at(2) == Some(']') {
                        return Err(self.unsupported("`&&` with nothing on one side"));
                    }
                    out.push_str("&&");
                    self.at += 2;
                }
                '\\' if self.peek_at(1) == Some('Q') => {
                    self.quoted().into_iter().for_each(|literal| push_literal(&mut out, literal));
                }
                _ => self.member_or_range(&mut out)?,
            }
            empty = false;
        }
        self.at += 1;
        out.push(']');
        Ok(out)
    }

    fn member_or_range(&mut self, out: &mut String) -> Result<(), PatternError> {
        let first = match self.member()? {
            Member::Char(first) => first,
            Member::Text(text) => {
                out.push_str(&text);
                return Ok(());
            }
        };
        let ranges = self.peek() == Some('-') && !matches!(self.peek_at(1), None | Some(']' | '['));
        push_literal(out, first);
        if !ranges {
            if first == ':' {
                // As a range of one, or `[:alpha:]` would be a class of its own to the engine behind.
                out.push_str("-:");
            }
            return Ok(());
        }
        self.at += 1;
        match self.member()? {
            Member::Char(last) if last >= first => {
                out.push('-');
                push_literal(out, last);
                Ok(())
            }
            Member::Char(last) => Err(self.invalid(format!("the range `{first}-{last}`"))),
            Member::Text(_) => Err(self.invalid(format!("a range from `{first}` to a class"))),
        }
    }

    fn member(&mut self) -> Result<Member, PatternError> {
        match self.peek() {
            Some('\\') => Ok(match self.escaped()? {
                Escaped::Char(literal) => Member::Char(literal),
                Escaped::Set(set) => Member::Text(set),
                Escaped::NotSet(set) => {
                    let mut text = String::new();
                    // Infallible: a `String` takes whatever is written to it.
                    let _ = write!(text, "[^{set}]");
                    Member::Text(text)
                }
            }),
            Some(literal) => {
                self.at += 1;
                Ok(Member::Char(literal))
            }
            None => Err(self.invalid("a class that ends early")),
        }
    }
}
