//! Text that must not be seen: passwords, keys, tokens.
//!
//! It is wiped when dropped, and shows itself to nobody. Whoever needs the text says so ([`Secret::expose`]), and
//! does not keep what it got.

use std::fmt;

use zeroize::Zeroizing;

/// Text that is wiped from memory when it is dropped and that no log, error or plan shows.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes the text over.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The text itself, for the one place that must have it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether there is no text.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hidden]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_itself_to_nobody() {
        let secret = Secret::new("swordfish");
        assert_eq!(format!("{secret:?}"), "[hidden]");
        assert_eq!(secret.expose(), "swordfish");
    }
}
