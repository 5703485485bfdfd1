//! What stands behind a backslash in a Java pattern.

use super::{Before, PatternError, Translator};

/// The characters that mean something to `fancy-regex` outside or inside a class.
const SPECIAL: &str = r"\.+*?()|[]{}^$#&-~";

/// ASCII sets, as Java has them unless `UNICODE_CHARACTER_CLASS` is on; each is the inside of a class.
const DIGIT: &str = "0-9";
const WORD: &str = "a-zA-Z0-9_";
const SPACE: &str = r" \t\n\x0B\x0C\r";
const HORIZONTAL: &str = r" \t\xA0\u1680\u180e\u2000-\u200a\u202f\u205f\u3000";
const VERTICAL: &str = r"\n\x0B\x0C\r\x85\u2028\u2029";

/// What an escape stands for.
#[derive(Debug)]
pub(super) enum Escaped {
    /// One character.
    Char(char),
    /// The inside of a class.
    Set(String),
    /// The inside of a class to be negated.
    NotSet(String),
}

/// Escapes a name so that it matches itself.
pub(crate) fn escape(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 4);
    name.chars().for_each(|c| push_literal(&mut out, c));
    out
}

pub(super) fn push_literal(out: &mut String, literal: char) {
    if SPECIAL.contains(literal) {
        out.push('\\');
    }
    out.push(literal);
}

impl Translator {
    /// An escape where an atom may stand.
    pub(super) fn escape_outside_class(&mut self) -> Result<(), PatternError> {
        match self.peek_at(1) {
            None => return Err(self.invalid("a backslash with nothing behind it")),
            Some('Q') => {
                for literal in self.quoted() {
                    self.literal(literal);
                }
                return Ok(());
            }
            Some('k') if self.peek_at(2) == Some('<') => {
                let name = self.group_name(3)?;
                self.out.push_str(&format!("\\k<{name}>"));
                self.at += 3 + name.len() + 1;
            }
            Some(digit @ '1'..='9') => {
                self.out.push_str(&format!("(?:\\{digit})"));
                self.at += 2;
            }
            Some(anchor @ ('b' | 'B')) => {
                if self.peek_at(2) == Some('{') {
                    return Err(self.unsupported("the boundary `\\b{..}`"));
                }
                self.out.push('\\');
                self.out.push(anchor);
                self.at += 2;
            }
            Some(anchor @ ('A' | 'z')) => {
                self.out.push('\\');
                self.out.push(anchor);
                self.at += 2;
            }
            // The end, or the line end before it: names hold no line ends.
            Some('Z') => {
                self.out.push_str("\\z");
                self.at += 2;
            }
            Some('R') => {
                self.out.push_str(&format!("(?:\\r\\n|[{VERTICAL}])"));
                self.at += 2;
            }
            Some(letter @ ('G' | 'X' | 'N')) => return Err(self.unsupported(format!("`\\{letter}`"))),
            Some(_) => match self.escaped()? {
                Escaped::Char(literal) => push_literal(&mut self.out, literal),
                Escaped::Set(set) => self.out.push_str(&format!("[{set}]")),
                Escaped::NotSet(set) => self.out.push_str(&format!("[^{set}]")),
            },
        }
        self.before = Before::Operand;
        Ok(())
    }

    /// The characters between `\Q` and `\E`, or the end.
    pub(super) fn quoted(&mut self) -> Vec<char> {
        self.at += 2;
        let mut literals = Vec::new();
        while let Some(current) = self.peek() {
            if self.starts_with("\\E") {
                self.at += 2;
                break;
            }
            literals.push(current);
            self.at += 1;
        }
        literals
    }

    /// An escape that stands for a character or a set of them, in a class or outside.
    pub(super) fn escaped(&mut self) -> Result<Escaped, PatternError> {
        let Some(letter) = self.peek_at(1) else {
            return Err(self.invalid("a backslash with nothing behind it"));
        };
        let escaped = match letter {
            't' => Escaped::Char('\t'),
            'n' => Escaped::Char('\n'),
            'r' => Escaped::Char('\r'),
            'f' => Escaped::Char('\x0C'),
            'a' => Escaped::Char('\x07'),
            'e' => Escaped::Char('\x1B'),
            'd' => Escaped::Set(DIGIT.into()),
            'D' => Escaped::NotSet(DIGIT.into()),
            'w' => Escaped::Set(WORD.into()),
            'W' => Escaped::NotSet(WORD.into()),
            's' => Escaped::Set(SPACE.into()),
            'S' => Escaped::NotSet(SPACE.into()),
            'h' => Escaped::Set(HORIZONTAL.into()),
            'H' => Escaped::NotSet(HORIZONTAL.into()),
            'v' => Escaped::Set(VERTICAL.into()),
            'V' => Escaped::NotSet(VERTICAL.into()),
            'p' | 'P' => return self.property(letter == 'P'),
            '0' => return self.octal(),
            'x' => return self.hexadecimal(),
            'u' => return self.code_unit(),
            'c' => return self.control(),
            letter if letter.is_ascii_alphanumeric() => {
                return Err(self.invalid(format!("the escape `\\{letter}`")));
            }
            literal => Escaped::Char(literal),
        };
        self.at += 2;
        Ok(escaped)
    }

    /// `\p{Name}`, `\pL` and their negations.
    fn property(&mut self, negated: bool) -> Result<Escaped, PatternError> {
        let rest = self.chars.get(self.at + 2..).unwrap_or_default();
        let (name, length): (String, usize) = match rest.first() {
            Some('{') => {
                let Some(end) = rest.iter().position(|c| *c == '}') else {
                    return Err(PatternError::Unclosed { open: '{', at: self.at + 3 });
                };
                (rest.iter().take(end).skip(1).collect(), end + 1)
            }
            Some(letter) => (letter.to_string(), 1),
            None => return Err(self.invalid("`\\p` with nothing behind it")),
        };
        let set = property_set(&name)
            .ok_or_else(|| self.unsupported(format!("the character property `\\p{{{name}}}`")))?;
        self.at += 2 + length;
        Ok(if negated { Escaped::NotSet(set) } else { Escaped::Set(set) })
    }

    fn code_point(&self, value: Option<u32>, what: &str) -> Result<char, PatternError> {
        value.and_then(char::from_u32).ok_or_else(|| self.invalid(format!("the escape `\\{what}`")))
    }

    /// `\0n`, `\0nn`, `\0mnn`.
    fn octal(&mut self) -> Result<Escaped, PatternError> {
        let rest = self.chars.get(self.at + 2..).unwrap_or_default();
        let digits_max = if matches!(rest.first(), Some('0'..='3')) { 3 } else { 2 };
        let digits: String = rest.iter().take(digits_max).take_while(|c| c.is_digit(8)).collect();
        let literal = self.code_point(u32::from_str_radix(&digits, 8).ok(), "0")?;
        self.at += 2 + digits.len();
        Ok(Escaped::Char(literal))
    }

    /// `\xhh` and `\x{h..h}`.
    fn hexadecimal(&mut self) -> Result<Escaped, PatternError> {
        let rest = self.chars.get(self.at + 2..).unwrap_or_default();
        let braced = rest.first() == Some(&'{');
        let digits: String = if braced {
            rest.iter().skip(1).take_while(|c| **c != '}').take(8).collect()
        } else {
            rest.iter().take(2).collect()
        };
        let complete = if braced { rest.get(digits.len() + 1) == Some(&'}') } else { digits.len() == 2 };
        let value = u32::from_str_radix(&digits, 16).ok().filter(|_| complete && all_hexadecimal(&digits));
        let literal = self.code_point(value, "x")?;
        self.at += 2 + digits.len() + if braced { 2 } else { 0 };
        Ok(Escaped::Char(literal))
    }

    /// `\uhhhh`, one UTF-16 unit that is a character of its own.
    fn code_unit(&mut self) -> Result<Escaped, PatternError> {
        let digits: String = self.chars.get(self.at + 2..).unwrap_or_default().iter().take(4).collect();
        let complete = digits.chars().count() == 4 && all_hexadecimal(&digits);
        let value = u32::from_str_radix(&digits, 16).ok().filter(|_| complete);
        let literal = self.code_point(value, "u")?;
        self.at += 6;
        Ok(Escaped::Char(literal))
    }

    /// `\cX`.
    fn control(&mut self) -> Result<Escaped, PatternError> {
        let value = self.peek_at(2).filter(char::is_ascii).map(|c| u32::from(c) ^ 64);
        let literal = self.code_point(value, "c")?;
        self.at += 3;
        Ok(Escaped::Char(literal))
    }
}

fn all_hexadecimal(digits: &str) -> bool {
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The inside of a class for a property Java knows, if it can be had.
fn property_set(name: &str) -> Option<String> {
    let set = match name {
        "Lower" => "a-z",
        "Upper" => "A-Z",
        "ASCII" => r"\x00-\x7F",
        "Alpha" => "a-zA-Z",
        "Digit" => DIGIT,
        "Alnum" => "a-zA-Z0-9",
        "Punct" => r"!-/:-@\[-`\{-\x7E",
        "Graph" => r"!-\x7E",
        "Print" => r"\x20-\x7E",
        "Blank" => r" \t",
        "Cntrl" => r"\x00-\x1F\x7F",
        "XDigit" => "0-9a-fA-F",
        "Space" => SPACE,
        "L1" => r"\x00-\xFF",
        "all" => r"\x00-\u{10FFFF}",
        "LC" => r"\p{Lu}\p{Ll}\p{Lt}",
        "LD" => r"\p{L}\p{Nd}",
        "javaLowerCase" => r"\p{Lowercase}",
        "javaUpperCase" => r"\p{Uppercase}",
        "javaTitleCase" => r"\p{Lt}",
        "javaAlphabetic" => r"\p{Alphabetic}",
        "javaLetter" => r"\p{L}",
        "javaDigit" => r"\p{Nd}",
        "javaLetterOrDigit" => r"\p{L}\p{Nd}",
        "javaWhitespace" | "IsWhite_Space" => r"\s",
        "IsLetter" => r"\p{L}",
        "IsDigit" => r"\p{Nd}",
        "IsPunctuation" => r"\p{P}",
        "IsAlphabetic" => r"\p{Alphabetic}",
        "IsLowercase" => r"\p{Lowercase}",
        "IsUppercase" => r"\p{Uppercase}",
        _ => return unicode_property(name),
    };
    Some(set.into())
}

/// General categories (`Lu`, `IsLu`, `gc=Lu`) and scripts (`IsLatin`, `script=Latin`).
fn unicode_property(name: &str) -> Option<String> {
    let is_word =
        |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if let Some((kind, value)) = name.split_once('=') {
        let kind = match kind.to_ascii_lowercase().as_str() {
            "sc" | "script" => "sc",
            "gc" | "general_category" => "gc",
            _ => return None,
        };
        return is_word(value).then(|| format!(r"\p{{{kind}={value}}}"));
    }
    let (value, bare) = name.strip_prefix("Is").map_or((name, true), |value| (value, false));
    // `InGreek` and other blocks have no counterpart; a bare name is a general category of one or two letters.
    (is_word(value) && (!bare || value.len() <= 2)).then(|| format!(r"\p{{{value}}}"))
}
