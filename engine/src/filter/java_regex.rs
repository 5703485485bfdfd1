//! Java regular expressions, rewritten for `fancy-regex`.
//!
//! One pass over the pattern (`java.util.regex.Pattern` is the reference): what both dialects read alike goes
//! through, what they read differently is rewritten, and what cannot be had is an error that names the construct.
//! Pure text in, text out; knows nothing of topics.

mod class;
mod escape;

use std::fmt::Write;

pub(crate) use escape::escape;

/// Characters a pattern may have.
pub const PATTERN_CHARS_MAX: usize = 16 * 1024;
/// Groups, or classes within classes, that may be open at once.
const NESTING_MAX: usize = 64;
/// The largest count in `{n,m}`: what the engine behind can compile within its memory limit.
const REPEAT_MAX: u32 = 1000;

/// Why a pattern cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatternError {
    /// A quantifier with nothing before it; Java calls it dangling.
    #[error("`{quantifier}` at character {at} has nothing to repeat")]
    Dangling {
        /// The quantifier.
        quantifier: char,
        /// Where it stands, counted from 1.
        at: usize,
    },
    /// Something opened and never closed.
    #[error("`{open}` at character {at} is never closed")]
    Unclosed {
        /// What opened it.
        open: char,
        /// Where it stands, counted from 1.
        at: usize,
    },
    /// A `)` without its `(`.
    #[error("`)` at character {at} closes nothing")]
    Unopened {
        /// Where it stands, counted from 1.
        at: usize,
    },
    /// Java refuses it too.
    #[error("{what} at character {at} is no valid Java regular expression")]
    Invalid {
        /// The construct.
        what: String,
        /// Where it stands, counted from 1.
        at: usize,
    },
    /// Java has it, kmirror does not.
    #[error("{what} at character {at} is not supported")]
    Unsupported {
        /// The construct.
        what: String,
        /// Where it stands, counted from 1.
        at: usize,
    },
    /// Longer, deeper or with larger counts than kmirror takes.
    #[error("{what}: the limit is {limit}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// How large it may be.
        limit: usize,
    },
    /// The engine behind refused the translation.
    #[error("the pattern cannot be compiled: {reason}")]
    Refused {
        /// What the engine said.
        reason: String,
    },
}

/// The flags that are set at some place of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flags {
    case_insensitive: bool,
    multi_line: bool,
    dot_all: bool,
}

/// A pattern rewritten for `fancy-regex`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Translation {
    /// The expression.
    pub text: String,
    /// The flags set at its end, outside all groups.
    pub flags_after: Flags,
}

/// Rewrites one Java pattern. `flags` are those in force where it begins.
///
/// # Errors
/// What Java would refuse, and what cannot be expressed.
pub fn translate(pattern: &str, flags: Flags) -> Result<Translation, PatternError> {
    let chars: Vec<char> = pattern.chars().collect();
    if chars.len() > PATTERN_CHARS_MAX {
        return Err(PatternError::TooLarge { what: "the pattern is too long", limit: PATTERN_CHARS_MAX });
    }
    let mut translator = Translator {
        chars,
        at: 0,
        out: String::with_capacity(pattern.len() + 8),
        open_groups: Vec::new(),
        flags,
        before: Before::Nothing,
    };
    translator.write_flags(flags, Flags::default());
    while translator.at < translator.chars.len() {
        translator.step()?;
    }
    if let Some(group) = translator.open_groups.last() {
        return Err(PatternError::Unclosed { open: '(', at: group.at });
    }
    Ok(Translation { text: translator.out, flags_after: translator.flags })
}

#[derive(Debug)]
struct OpenGroup {
    at: usize,
    flags_before: Flags,
}

/// The state of the one pass.
#[derive(Debug)]
struct Translator {
    chars: Vec<char>,
    at: usize,
    out: String,
    open_groups: Vec<OpenGroup>,
    flags: Flags,
    /// What stands before.
    before: Before,
}

/// What a quantifier here would repeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    /// Nothing: it is the beginning of an alternative.
    Nothing,
    /// Something that can be repeated.
    Operand,
    /// Something that is repeated already.
    Quantifier,
}

impl Translator {
    fn peek(&self) -> Option<char> {
        self.peek_at(0)
    }

    fn peek_at(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn starts_with(&self, text: &str) -> bool {
        text.chars().enumerate().all(|(ahead, expected)| self.peek_at(ahead) == Some(expected))
    }

    fn invalid(&self, what: impl Into<String>) -> PatternError {
        PatternError::Invalid { what: what.into(), at: self.at + 1 }
    }

    fn unsupported(&self, what: impl Into<String>) -> PatternError {
        PatternError::Unsupported { what: what.into(), at: self.at + 1 }
    }

    /// Takes one atom, group border or quantifier.
    fn step(&mut self) -> Result<(), PatternError> {
        let Some(current) = self.peek() else { return Ok(()) };
        match current {
            '\\' => self.escape_outside_class(),
            '[' => {
                let class = self.class()?;
                self.out.push_str(&class);
                self.before = Before::Operand;
                Ok(())
            }
            '(' => self.open_group(),
            ')' => self.close_group(),
            '*' | '+' | '?' => self.quantifier(current),
            '{' => self.counted_quantifier(),
            '|' => {
                self.copy('|');
                self.before = Before::Nothing;
                Ok(())
            }
            '^' | '$' | '.' => {
                self.copy(current);
                self.before = Before::Operand;
                Ok(())
            }
            literal => {
                self.at += 1;
                self.literal(literal);
                Ok(())
            }
        }
    }

    fn copy(&mut self, current: char) {
        self.out.push(current);
        self.at += 1;
    }

    fn literal(&mut self, literal: char) {
        escape::push_literal(&mut self.out, literal);
        self.before = Before::Operand;
    }

    fn open_group(&mut self) -> Result<(), PatternError> {
        if self.open_groups.len() >= NESTING_MAX {
            return Err(PatternError::TooLarge { what: "groups nest too deep", limit: NESTING_MAX });
        }
        let group = OpenGroup { at: self.at + 1, flags_before: self.flags };
        let prefix =
            ["(?:", "(?=", "(?!", "(?>", "(?<=", "(?<!"].into_iter().find(|text| self.starts_with(text));
        if let Some(prefix) = prefix {
            self.out.push_str(prefix);
            self.at += prefix.chars().count();
        } else if self.starts_with("(?<") {
            self.named_group()?;
        } else if self.starts_with("(?") {
            return self.flag_group(group);
        } else {
            self.copy('(');
        }
        self.open_groups.push(group);
        self.before = Before::Nothing;
        Ok(())
    }

    fn named_group(&mut self) -> Result<(), PatternError> {
        let name = self.group_name(3)?;
        // Infallible: a `String` takes whatever is written to it.
        let _ = write!(self.out, "(?<{name}>");
        self.at += 3 + name.len() + 1;
        Ok(())
    }

    /// The ASCII name that begins `skip` characters ahead and ends at `>`.
    fn group_name(&self, skip: usize) -> Result<String, PatternError> {
        let rest = self.chars.get(self.at + skip..).unwrap_or_default();
        let name: String = rest.iter().take_while(|c| c.is_ascii_alphanumeric()).collect();
        let begins_with_letter = name.starts_with(|c: char| c.is_ascii_alphabetic());
        if !begins_with_letter || rest.get(name.len()) != Some(&'>') {
            return Err(self.invalid("a group name that is not letters and digits"));
        }
        Ok(name)
    }

    /// `(?i)`, `(?i-s)`, `(?i:...)`.
    fn flag_group(&mut self, group: OpenGroup) -> Result<(), PatternError> {
        let mut on = true;
        let mut flags = self.flags;
        let mut ahead = 2;
        loop {
            match self.peek_at(ahead) {
                Some('-') if on => on = false,
                Some('i') => flags.case_insensitive = on,
                Some('m') => flags.multi_line = on,
                Some('s') => flags.dot_all = on,
                // Unicode case and Unix lines make no difference to names of ASCII letters without line ends.
                Some('u' | 'd') => {}
                Some(flag @ ('x' | 'U')) => return Err(self.unsupported(format!("the flag `(?{flag})`"))),
                Some(')' | ':') => break,
                Some(other) => return Err(self.invalid(format!("the group `(?{other}`"))),
                None => return Err(PatternError::Unclosed { open: '(', at: group.at }),
            }
            ahead += 1;
        }
        let scoped = self.peek_at(ahead) == Some(':');
        self.at += ahead + 1;
        if scoped {
            self.out.push_str("(?:");
            self.open_groups.push(group);
        }
        let before = self.flags;
        self.flags = flags;
        self.write_flags(flags, before);
        self.before = Before::Nothing;
        Ok(())
    }

    /// Writes the step from one set of flags to another, if there is one.
    fn write_flags(&mut self, now: Flags, before: Flags) {
        let pairs = [
            ('i', now.case_insensitive, before.case_insensitive),
            ('m', now.multi_line, before.multi_line),
            ('s', now.dot_all, before.dot_all),
        ];
        let changed = |wanted: bool| -> String {
            pairs.iter().filter(|(_, now, before)| now != before && *now == wanted).map(|p| p.0).collect()
        };
        let (on, off) = (changed(true), changed(false));
        // Infallible: a `String` takes whatever is written to it.
        let _ = match (on.is_empty(), off.is_empty()) {
            (true, true) => Ok(()),
            (false, true) => write!(self.out, "(?{on})"),
            (_, false) => write!(self.out, "(?{on}-{off})"),
        };
    }

    fn close_group(&mut self) -> Result<(), PatternError> {
        let Some(group) = self.open_groups.pop() else {
            return Err(PatternError::Unopened { at: self.at + 1 });
        };
        // The engine behind does not take a flag back at the end of every kind of group.
        self.write_flags(group.flags_before, self.flags);
        self.flags = group.flags_before;
        self.copy(')');
        self.before = Before::Operand;
        Ok(())
    }

    fn quantifier(&mut self, quantifier: char) -> Result<(), PatternError> {
        if self.before != Before::Operand {
            return Err(PatternError::Dangling { quantifier, at: self.at + 1 });
        }
        self.copy(quantifier);
        self.quantifier_mode();
        Ok(())
    }

    /// `?` behind a quantifier makes it reluctant, `+` possessive.
    fn quantifier_mode(&mut self) {
        if let Some(mode @ ('?' | '+')) = self.peek() {
            self.copy(mode);
        }
        self.before = Before::Quantifier;
    }

    /// `{n}`, `{n,}` or `{n,m}`.
    fn counted_quantifier(&mut self) -> Result<(), PatternError> {
        match self.before {
            Before::Operand => {}
            Before::Nothing => return Err(PatternError::Dangling { quantifier: '{', at: self.at + 1 }),
            Before::Quantifier => return Err(self.unsupported("a count behind another quantifier")),
        }
        let rest = self.chars.get(self.at + 1..).unwrap_or_default();
        let Some(length) = rest.iter().position(|c| *c == '}') else {
            return Err(PatternError::Unclosed { open: '{', at: self.at + 1 });
        };
        let body: String = rest.iter().take(length).collect();
        let (least, most) = match body.split_once(',') {
            None => (body.as_str(), None),
            Some((least, most)) => (least, Some(most)),
        };
        let least = self.count(least)?;
        if let Some(most) = most.filter(|most| !most.is_empty())
            && self.count(most)? < least
        {
            return Err(self.invalid(format!("the range `{{{body}}}`")));
        }
        // Infallible: a `String` takes whatever is written to it.
        let _ = write!(self.out, "{{{body}}}");
        self.at += length + 2;
        self.quantifier_mode();
        Ok(())
    }

    fn count(&self, digits: &str) -> Result<u32, PatternError> {
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(self.invalid("a `{` that begins no count"));
        }
        let limit =
            PatternError::TooLarge { what: "a count in braces is too large", limit: REPEAT_MAX as usize };
        digits.parse().ok().filter(|count| *count <= REPEAT_MAX).ok_or(limit)
    }
}

#[cfg(test)]
mod tests;
