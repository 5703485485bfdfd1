//! Words, quoted texts and signs, cut as `java.io.StreamTokenizer` cuts them with the settings of Kafka's
//! `JaasConfig`. Knows nothing of logins.

use std::iter::Peekable;
use std::str::Chars;

use zeroize::Zeroizing;

use super::JaasError;

/// A piece of the text.
pub(super) enum Token {
    /// A word, or what stood in quotes.
    Text(Zeroizing<String>),
    /// A character that stands for itself.
    Sign(char),
}

/// What is left of the text.
pub(super) struct Tokens<'a> {
    rest: Peekable<Chars<'a>>,
    /// Braces are signs, as in files; in the option they are letters.
    braces: bool,
}

impl<'a> Tokens<'a> {
    pub(super) fn new(text: &'a str, braces: bool) -> Self {
        Self { rest: text.chars().peekable(), braces }
    }

    /// The next piece; none at the end.
    ///
    /// # Errors
    /// A quote that is not closed.
    pub(super) fn next(&mut self) -> Result<Option<Token>, JaasError> {
        loop {
            let Some(character) = self.rest.next() else { return Ok(None) };
            match character {
                '\0'..=' ' => {}
                '/' => self.skip_comment(),
                '"' | '\'' => return self.quoted(character).map(|text| Some(Token::Text(text))),
                _ if self.is_letter(character) => return Ok(Some(Token::Text(self.word(character)))),
                _ => return Ok(Some(Token::Sign(character))),
            }
        }
    }

    /// Nearly everything is a letter; the range between is what Java leaves out.
    fn is_letter(&self, character: char) -> bool {
        match character {
            '\0'..=' ' | '"' | '\'' | '/' | ';' | '=' | '\u{81}'..='\u{9f}' => false,
            '{' | '}' => !self.braces,
            _ => true,
        }
    }

    fn word(&mut self, first: char) -> Zeroizing<String> {
        let mut word = Zeroizing::new(String::from(first));
        while let Some(letter) = self.rest.peek().copied().filter(|&next| self.is_letter(next)) {
            word.push(letter);
            self.rest.next();
        }
        word
    }

    /// Behind a slash: `*` begins a comment that ends with `*/`, anything else one that ends with the line.
    fn skip_comment(&mut self) {
        if self.rest.next_if_eq(&'*').is_some() {
            let mut before = ' ';
            for character in self.rest.by_ref() {
                if before == '*' && character == '/' {
                    return;
                }
                before = character;
            }
        } else {
            while self.rest.next_if(|&next| !is_line_end(next)).is_some() {}
        }
    }

    fn quoted(&mut self, quote: char) -> Result<Zeroizing<String>, JaasError> {
        let mut text = Zeroizing::new(String::new());
        loop {
            match self.rest.next() {
                Some(end) if end == quote => return Ok(text),
                Some('\\') => text.push(self.escaped()?),
                Some(character) if !is_line_end(character) => text.push(character),
                _ => return Err(JaasError::UnclosedQuote),
            }
        }
    }

    /// Behind a backslash: up to three octal digits, one of Java's letters, or the character itself.
    fn escaped(&mut self) -> Result<char, JaasError> {
        let Some(character) = self.rest.next() else { return Err(JaasError::UnclosedQuote) };
        Ok(match character {
            'a' => '\u{7}',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\u{b}',
            '0'..='7' => self.octal(character),
            other => other,
        })
    }

    /// At most 0o377: a third digit counts only behind a first one up to 3.
    fn octal(&mut self, first: char) -> char {
        let digits = if first <= '3' { 2 } else { 1 };
        let mut code = first.to_digit(8).unwrap_or_default();
        for _ in 0..digits {
            let Some(digit) = self.rest.peek().and_then(|next| next.to_digit(8)) else { break };
            code = code * 8 + digit;
            self.rest.next();
        }
        char::from_u32(code).unwrap_or('\0')
    }
}

fn is_line_end(character: char) -> bool {
    matches!(character, '\n' | '\r')
}
