//! Reads typed values of options; collects what is wrong with them.

use kmirror_protocol::Secret;

use super::security::Secured;
use super::settings::{Places, Setting, Settings};
use crate::config::keys::{Kind, Opt};
use crate::config::origin::Origin;
use crate::config::problem::{ConfigError, Finding, Notice, Problem};
use crate::config::surroundings::Surroundings;

/// A value with its origin.
#[derive(Debug, Clone)]
pub(super) struct Sourced<T> {
    pub(super) value: T,
    pub(super) origin: Origin,
}

/// Reads options, falling back to their defaults where a value is wrong so that more can be found.
pub(super) struct Reader<'a> {
    pub(super) settings: &'a Settings,
    /// What counts beside the file.
    pub(super) surroundings: &'a Surroundings,
    /// How clients are secured, so that those that are secured alike share it.
    pub(super) secured: Secured,
    pub(super) errors: Vec<ConfigError>,
    pub(super) findings: Vec<Finding>,
}

impl<'a> Reader<'a> {
    pub(super) fn error(&mut self, origin: Option<Origin>, problem: Problem, hint: Option<String>) {
        let error = ConfigError { origin, problem, hint };
        if !self.errors.contains(&error) {
            self.errors.push(error);
        }
    }

    pub(super) fn notice(&mut self, origin: Option<Origin>, notice: Notice, hint: Option<String>) {
        let finding = Finding { origin, notice, hint };
        if !self.findings.contains(&finding) {
            self.findings.push(finding);
        }
    }

    /// The setting that wins.
    pub(super) fn setting(&self, places: &Places, opt: &'static Opt) -> Option<&'a Setting> {
        self.settings.find(places, opt)
    }

    /// The text of an option, set or by default.
    pub(super) fn text(&mut self, places: &Places, opt: &'static Opt) -> Sourced<String> {
        match self.setting(places, opt) {
            Some(setting) => {
                Sourced { value: setting.value.expose().to_owned(), origin: setting.origin.clone() }
            }
            None => Sourced { value: opt.default.to_owned(), origin: Origin::Default { key: opt.name } },
        }
    }

    /// The text of an option, if it is set to something.
    pub(super) fn text_if_set(&mut self, places: &Places, opt: &'static Opt) -> Option<Sourced<String>> {
        let setting = self.setting(places, opt).filter(|setting| !setting.value.is_empty())?;
        Some(Sourced { value: setting.value.expose().to_owned(), origin: setting.origin.clone() })
    }

    /// The text of an option that nobody may see, if it is set to something.
    pub(super) fn secret_if_set(&mut self, places: &Places, opt: &'static Opt) -> Option<Sourced<Secret>> {
        let setting = self.setting(places, opt).filter(|setting| !setting.value.is_empty())?;
        Some(Sourced { value: setting.value.clone(), origin: setting.origin.clone() })
    }

    pub(super) fn flag(&mut self, places: &Places, opt: &'static Opt) -> Sourced<bool> {
        let by_default = opt.default == "true";
        let text = self.text(places, opt);
        let value = if text.value.eq_ignore_ascii_case("true") {
            true
        } else if text.value.eq_ignore_ascii_case("false") {
            false
        } else {
            self.bad_value(&text, opt, "`true` or `false`".to_owned(), None);
            by_default
        };
        Sourced { value, origin: text.origin }
    }

    /// One of an option's words.
    pub(super) fn choice(&mut self, places: &Places, opt: &'static Opt) -> Sourced<String> {
        let Kind::Choice(words) = opt.kind else { return self.text(places, opt) };
        let mut text = self.text(places, opt);
        if !words.contains(&text.value.as_str()) {
            let listed: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
            let expected = format!("one of {}", listed.join(", "));
            let meant = words.iter().find(|word| word.eq_ignore_ascii_case(&text.value));
            self.bad_value(&text, opt, expected, meant.map(|word| format!("write `{word}`")));
            text.value = opt.default.to_owned();
        }
        text
    }

    /// A number. Every option that is read so has a default; a test holds the table to it.
    pub(super) fn number(&mut self, places: &Places, opt: &'static Opt) -> Sourced<i64> {
        let text = self.text(places, opt);
        let (parsed, expected) = match opt.kind {
            Kind::Int { min, max } => {
                let parsed = text.value.parse::<i64>().ok().filter(|value| (min..=max).contains(value));
                (parsed, format!("a whole number from {min} to {max}"))
            }
            Kind::Memory { min } => {
                let parsed = memory(&text.value).filter(|value| *value >= min);
                (parsed, format!("a number of bytes, with `k`, `m` or `g` if you like, of {min} or more"))
            }
            _ => (None, "a number".to_owned()),
        };
        let value = parsed.unwrap_or_else(|| {
            self.bad_value(&text, opt, expected, None);
            memory(opt.default).unwrap_or_default()
        });
        Sourced { value, origin: text.origin }
    }

    /// A number as another integer type. The table's bounds make it fit; a value that does not is held to the type's
    /// largest.
    pub(super) fn int<T: TryFrom<i64> + Largest>(&mut self, places: &Places, opt: &'static Opt) -> T {
        T::try_from(self.number(places, opt).value).unwrap_or(T::LARGEST)
    }

    /// A number between 0 and 1, in percent.
    pub(super) fn percent(&mut self, places: &Places, opt: &'static Opt) -> u8 {
        let Kind::Fraction { min, max } = opt.kind else { return 0 };
        let text = self.text(places, opt);
        percent(&text.value).filter(|value| (min..=max).contains(value)).unwrap_or_else(|| {
            let expected = format!("a number from {} to {}", f32::from(min) / 100.0, f32::from(max) / 100.0);
            self.bad_value(&text, opt, expected, None);
            percent(opt.default).unwrap_or_default()
        })
    }

    /// A list's entries.
    pub(super) fn list(&mut self, places: &Places, opt: &'static Opt) -> Sourced<Vec<String>> {
        let text = self.text(places, opt);
        Sourced { value: split_list(&text.value), origin: text.origin }
    }

    pub(super) fn bad_value(
        &mut self,
        text: &Sourced<String>,
        opt: &Opt,
        expected: String,
        hint: Option<String>,
    ) {
        let hidden = opt.is_secret();
        let value = if hidden { "the value".to_owned() } else { format!("`{}`", text.value) };
        let hint = comment_hint(&text.value).filter(|_| !hidden).or(hint);
        self.error(Some(text.origin.clone()), Problem::BadValue { value, expected }, hint);
    }
}

/// The largest value of an integer type.
pub(super) trait Largest {
    const LARGEST: Self;
}

impl Largest for i16 {
    const LARGEST: Self = Self::MAX;
}

impl Largest for i32 {
    const LARGEST: Self = Self::MAX;
}

impl Largest for u64 {
    const LARGEST: Self = Self::MAX;
}

impl Largest for usize {
    const LARGEST: Self = Self::MAX;
}

/// A comma list as Kafka splits it (`ConfigDef.parseType`).
pub(super) fn split_list(text: &str) -> Vec<String> {
    let text = text.trim();
    if text.is_empty() { Vec::new() } else { text.split(',').map(|item| item.trim().to_owned()).collect() }
}

/// What a value with a comment behind it was meant to be.
pub(super) fn comment_hint(value: &str) -> Option<String> {
    let before = [" #", "\t#", " !", "\t!", " //"].iter().filter_map(|sign| value.find(sign)).min()?;
    let meant = value.get(..before)?.trim_end();
    Some(format!("a comment needs a line of its own; if one was meant here, the value is `{meant}`"))
}

/// `0.8` as 80.
fn percent(text: &str) -> Option<u8> {
    let number: f64 = text.parse().ok()?;
    format!("{:.0}", number * 100.0).parse().ok()
}

/// `24m`, `1g`, `65536`.
pub(super) fn memory(text: &str) -> Option<i64> {
    let (digits, shift) = match text.char_indices().last()? {
        (at, 'k' | 'K') => (text.get(..at)?, 10),
        (at, 'm' | 'M') => (text.get(..at)?, 20),
        (at, 'g' | 'G') => (text.get(..at)?, 30),
        _ => (text, 0),
    };
    digits.trim_end().parse::<i64>().ok()?.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::keys::{self, Status};

    #[test]
    fn lists() {
        assert_eq!(split_list(" a , b,c ,d "), ["a", "b", "c", "d"]);
        assert_eq!(split_list("a,,b"), ["a", "", "b"]);
        assert!(split_list("  ").is_empty());
    }

    #[test]
    fn sizes() {
        assert_eq!(memory("24m"), Some(24 << 20));
        assert_eq!(memory("1 G"), Some(1 << 30));
        assert_eq!(memory("65536"), Some(65536));
        assert_eq!(memory("m"), None);
        assert_eq!(memory(""), None);
        assert_eq!(memory("9223372036854775807k"), None);
        assert_eq!(memory("12ä"), None);
    }

    #[test]
    fn fractions() {
        assert_eq!(
            (percent("0.8"), percent("1"), percent("0.05"), percent("0")),
            (Some(80), Some(100), Some(5), Some(0))
        );
        assert_eq!((percent("-0.1"), percent("nan"), percent("9e9"), percent("x")), (None, None, None, None));
    }

    #[test]
    fn comments_behind_values() {
        assert!(comment_hint("3 # three").unwrap().contains("`3`"));
        assert!(comment_hint("a,b\t! all").unwrap().contains("`a,b`"));
        assert_eq!(comment_hint("a#b"), None);
        assert_eq!(comment_hint("3"), None);
    }

    #[test]
    fn the_defaults_of_the_table_are_values_of_their_kind() {
        for opt in keys::options().filter(|opt| opt.status == Status::Used) {
            let sound = match opt.kind {
                Kind::Bool => matches!(opt.default, "true" | "false"),
                Kind::Int { min, max } => {
                    // Without a default there is none, and nobody reads it as if there were.
                    opt.default.is_empty()
                        || opt.default.parse::<i64>().is_ok_and(|value| (min..=max).contains(&value))
                }
                Kind::Memory { min } => memory(opt.default).is_some_and(|value| value >= min),
                Kind::Fraction { min, max } => {
                    percent(opt.default).is_some_and(|value| (min..=max).contains(&value))
                }
                Kind::Choice(words) => words.contains(&opt.default),
                _ => true,
            };
            assert!(sound, "{}", opt.name);
        }
    }
}
