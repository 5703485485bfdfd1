//! System properties of Java in the values of JAAS files, as `sun.security.util.PropertyExpander` puts them in place.

use kmirror_protocol::Secret;
use zeroize::Zeroizing;

use crate::config::secret_text;

/// Java's system properties by their names.
pub type Properties<'a> = &'a dyn Fn(&str) -> Option<Secret>;

/// A value with its `${name}` replaced; none where a property is not known. `${/}` is a slash, `${{..}}` and what is
/// not closed stay as they are.
pub(super) fn expanded(value: Zeroizing<String>, properties: Properties<'_>) -> Option<Secret> {
    let mut out = Zeroizing::new(String::with_capacity(value.len()));
    let mut rest = value.as_str();
    while let Some((before, behind)) = rest.split_once("${") {
        out.push_str(before);
        let end = if behind.starts_with('{') { "}}" } else { "}" };
        let Some((name, after)) = behind.split_once(end) else {
            out.push_str("${");
            rest = behind;
            break;
        };
        match name {
            _ if end == "}}" => ["${", name, end].iter().for_each(|part| out.push_str(part)),
            "/" => out.push('/'),
            _ => out.push_str(properties(name)?.expose()),
        }
        rest = after;
    }
    out.push_str(rest);
    Some(secret_text(out))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn expand(value: &str) -> Option<String> {
        let properties = |name: &str| match name {
            "user.home" => Some(Secret::new("/home/mm")),
            "odd" => Some(Secret::new("${user.home}")),
            _ => None,
        };
        let expanded = expanded(Zeroizing::new(value.to_owned()), &properties)?;
        Some(expanded.expose().to_owned())
    }

    #[test]
    fn properties_take_their_places() {
        for (value, expected) in [
            ("plain", "plain"),
            ("${user.home}/x", "/home/mm/x"),
            ("a${/}b${/}${user.home}", "a/b//home/mm"),
            // What stands for one is not looked at again.
            ("${odd}", "${user.home}"),
            ("${{user.home}}x${/}", "${{user.home}}x/"),
            ("x${user.home", "x${user.home"),
            ("${{user.home}", "${{user.home}"),
            ("$ {} }${", "$ {} }${"),
        ] {
            assert_eq!(expand(value).as_deref(), Some(expected), "{value}");
        }
        assert_eq!(expand("x${nothing}"), None);
        assert_eq!(expand("${}"), None);
    }

    proptest! {
        #[test]
        fn any_value_has_a_result(value in "([${}/a]|user.home){0,20}") {
            let _ = expand(&value);
        }
    }
}
