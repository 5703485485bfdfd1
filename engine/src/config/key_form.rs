//! Which keys of a file may be shown. What has not the form of an option's name may be a piece of a value that was
//! continued without a backslash: a line of a private key, for one.

use super::keys::{Opt, options};
use super::suggestions::nearest;

/// Characters of what stands between two dots. A line of base64 is longer, and so is a token's signature.
const PART_MAX: usize = 40;

/// Whether a key may be shown: it sets an option that there is, or looks as if it should.
pub(super) fn may_be_shown(key: &str) -> bool {
    options().any(|opt| sets(key, opt)) || has_form(key)
}

/// Whether a key sets an option, under today's name or an older one, wherever it stands.
pub(super) fn sets(key: &str, opt: &Opt) -> bool {
    std::iter::once(&opt.name)
        .chain(opt.older_names)
        .any(|name| key.strip_suffix(name).is_some_and(|before| before.is_empty() || before.ends_with('.')))
}

/// Letters, digits and the few signs that aliases and arrows have, in parts of a word's length. Without a dot it must
/// be a plain word, or nearly a known one: base64 and passwords have capitals and digits.
fn has_form(key: &str) -> bool {
    let is_sign = |sign: char| matches!(sign, '.' | '_' | '-' | '>');
    let has_signs = key.chars().all(|sign| sign.is_ascii_alphanumeric() || is_sign(sign));
    let is_short = key.split(['.', '>']).all(|part| part.len() <= PART_MAX);
    let is_word = || key.chars().all(|sign| sign.is_ascii_lowercase() || is_sign(sign));
    let is_nearly_known = || nearest(key, options().map(|opt| opt.name)).is_some();
    has_signs
        && is_short
        && !key.starts_with("-----")
        && (key.contains('.') || is_word() || is_nearly_known())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_shown_and_pieces_of_values_are_not() {
        let long = "x".repeat(60);
        for key in [
            "clusters",
            "Topcis",
            "utterly.different",
            "A->us_west-2.topics",
            "A.consumer.ssl.key.passwort",
            "something-else",
            &format!("{long}.bootstrap.servers"),
            &format!("{long}->B.topics"),
        ] {
            assert!(may_be_shown(key), "{key}");
        }
        for key in [
            "-----BEGIN",
            "-----END",
            "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj",
            "MC4CAQAwBQYDK2VwBCIEIJ",
            "qBz8Kk2v1Jx0aQ",
            "a+b/c",
            "x.y+z",
            "pass word",
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJtbSJ9.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
            &long,
        ] {
            assert!(!may_be_shown(key), "{key}");
        }
    }

    #[test]
    fn a_key_that_only_ends_alike_sets_nothing() {
        let topics = options().find(|opt| opt.name == "topics").unwrap();
        assert!(sets("topics", topics) && sets("A->B.topics", topics));
        assert!(!sets("xtopics", topics));
    }
}
