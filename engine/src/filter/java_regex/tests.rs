use fancy_regex::Regex;
use proptest::prelude::*;

use super::*;

fn translated(pattern: &str) -> Result<String, PatternError> {
    translate(pattern, Flags::default()).map(|translation| translation.text)
}

/// Whether a pattern matches the whole of a text, as `Matcher.matches` says.
fn matches(pattern: &str, text: &str) -> bool {
    let translated = translated(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"));
    Regex::new(&format!(r"\A(?:{translated})\z")).unwrap().is_match(text).unwrap()
}

/// What `java.util.regex.Pattern` of Java 17 said.
#[test]
fn matches_as_java_does() {
    let matching = [
        ("orders", "orders"),
        ("foo.*", "foobar"),
        ("^foo.*$", "foobar"),
        ("a.b-c", "aXb-c"),
        ("a|b", "b"),
        (r".*[\-\.]internal", "mm2-offsets.A.internal"),
        (r"mm2.*\.internal", "mm2-offsets.A.internal"),
        ("__.*", "__consumer_offsets"),
        ("(?!test-).*", "prod-1"),
        (".*(?<!-dlq)", "orders"),
        ("(?i)Orders", "oRDERS"),
        ("(?i:a)B", "aB"),
        ("a(?i)b|c", "C"),
        ("a*+b", "aab"),
        ("a{2,3}", "aaa"),
        ("a{2,}?", "aaaa"),
        (r"(a)(b)\2\1", "abba"),
        (r"(?<n>ab)\k<n>", "abab"),
        ("(?s).", "a"),
        ("(?d)a", "a"),
        ("(?u)a", "a"),
        ("(?-i)a", "a"),
        ("()", ""),
        ("", ""),
        ("a}", "a}"),
        ("a]", "a]"),
        ("a#b", "a#b"),
        ("a b", "a b"),
        // As MirrorMaker 2 would take the quotes of a list: the first `"` may repeat, any character may follow.
        ("\"*.internal", "xinternal"),
    ];
    for (pattern, text) in matching {
        assert!(matches(pattern, text), "{pattern} {text}");
    }
    let not_matching = [
        ("orders", "orders2"),
        ("foo.*", "xfoo"),
        ("a|bc", "ac"),
        (r".*[\-\.]internal", "internal"),
        ("(?!test-).*", "test-1"),
        (".*(?<!-dlq)", "orders-dlq"),
        ("(?<=a)b", "b"),
        ("(?i:a)B", "ab"),
        ("((?i)a)b", "AB"),
        ("a++ab", "aaab"),
        ("(?>a+)ab", "aab"),
        ("a{2,3}", "aaaa"),
        ("a$b", "ab"),
        ("\"*.internal", "x.internal"),
    ];
    for (pattern, text) in not_matching {
        assert!(!matches(pattern, text), "{pattern} {text}");
    }
}

#[test]
fn quotations_and_escapes() {
    for (pattern, text) in [
        (r"\Qa.b\E", "a.b"),
        (r"\Qa.b\E+", "a.bb"),
        (r"\Q[x", "[x"),
        (r"[\Qa-\E]+", "a-a"),
        (r"\x61\u0062\0143", "abc"),
        (r"\x{61}", "a"),
        (r"\cA", "\u{1}"),
        (r"\t\n\r\f\a\e", "\t\n\r\u{C}\u{7}\u{1B}"),
        (r"\_\-\<\.", "_-<."),
        (r"\R", "\r\n"),
        (r"\Aa\z", "a"),
        (r"a\Z", "a"),
        (r"\ba\b", "a"),
    ] {
        assert!(matches(pattern, text), "{pattern} {text:?}");
    }
    assert!(!matches(r"\Qa.b\E", "axb"));
    assert!(!matches(r"\h", "h"));
}

#[test]
fn classes() {
    for (pattern, text) in [
        ("[a-c&&[^b]]+", "ac"),
        ("[a-b[x-y]]+", "axby"),
        ("[]a]+", "]a"),
        ("[a-]+", "a-"),
        ("[-a]+", "-a"),
        ("[a&b]+", "a&b"),
        ("[~~a]+", "~a"),
        ("[[:alpha:]]", "a"),
        (r"[\w.-]+", "a_1.-"),
        (r"[^\W]+", "a"),
        (r"\d+", "12"),
        (r"\w+", "a_1"),
        (r"\p{L}+", "é"),
        (r"\pL\pL", "ab"),
        (r"\p{Alpha}+", "aZ"),
        (r"\p{Punct}+", "!/:@[`{~"),
        (r"\p{Graph}+", "a~"),
        (r"\p{Print}+", "a b"),
        (r"\p{javaLowerCase}+", "ab"),
        (r"\p{IsAlphabetic}+", "aé"),
        (r"\p{IsLatin}+", "aé"),
        (r"\p{script=Latin}+", "aé"),
        (r"\P{Upper}+", "ab"),
        (r"[\p{L1}]+", "é"),
        (r"[\p{all}]+", "٣"),
    ] {
        assert!(matches(pattern, text), "{pattern} {text}");
    }
    for (pattern, text) in
        [("[a-c&&[^b]]+", "ab"), ("[[:alpha:]]+", "b"), (r"\d+", "٣"), (r"\w+", "é"), (r"\p{Lower}+", "é")]
    {
        assert!(!matches(pattern, text), "{pattern} {text}");
    }
}

#[test]
fn refuses_what_java_refuses() {
    for pattern in [
        "*.internal",
        "+a",
        "a**",
        "{2}",
        "(a",
        "a)",
        "[a",
        "[",
        "a{",
        "a{,2}",
        "a{2",
        "a{3,2}",
        r"\y",
        "[b-a]",
        "\\",
        r"(?<1>a)",
        "(?y)",
        "(?",
        r"\u12",
        r"\x1",
        r"\E",
        r"\08",
        r"\c",
        r"[a-\d]",
        "[a--b]",
        r"\p{Foo",
        r"\p",
        "a|*",
    ] {
        assert!(translated(pattern).is_err(), "{pattern}");
    }
}

#[test]
fn names_what_it_cannot_have() {
    for (pattern, construct) in [
        ("(?x)a b", "`(?x)`"),
        ("(?U)a", "`(?U)`"),
        (r"\G", "`\\G`"),
        (r"\X", "`\\X`"),
        (r"a\b{g}", "`\\b{..}`"),
        (r"\p{InGreek}", "`\\p{InGreek}`"),
        (r"\p{block=Greek}", "`\\p{block=Greek}`"),
        (r"\p{Foo}", "`\\p{Foo}`"),
        ("[^a[b]]", "negated class"),
        ("[&&a]", "`&&`"),
        ("[a&&]", "`&&`"),
        ("a{2}{3}", "count"),
    ] {
        let error = translated(pattern).unwrap_err();
        assert!(matches!(error, PatternError::Unsupported { .. }), "{pattern}: {error}");
        assert!(error.to_string().contains(construct), "{pattern}: {error}");
    }
}

#[test]
fn says_where() {
    let dangling = PatternError::Dangling { quantifier: '*', at: 3 };
    assert_eq!(translated("a|*b"), Err(dangling));
    assert_eq!(translated("ab(c"), Err(PatternError::Unclosed { open: '(', at: 3 }));
    assert_eq!(translated("ab)"), Err(PatternError::Unopened { at: 3 }));
}

#[test]
fn limits() {
    let too_large = |pattern: &str| matches!(translated(pattern), Err(PatternError::TooLarge { .. }));
    assert!(too_large("a{1001}"));
    assert!(too_large("a{99999999999}"));
    assert!(too_large(&"a".repeat(PATTERN_CHARS_MAX + 1)));
    assert!(too_large(&"(".repeat(NESTING_MAX + 1)));
    assert!(too_large(&"[".repeat(NESTING_MAX + 1)));
}

#[test]
fn flags_go_on_behind_a_pattern() {
    let first = translate("(?i)a", Flags::default()).unwrap();
    let second = translate("b", first.flags_after).unwrap();
    assert!(Regex::new(&second.text).unwrap().is_match("B").unwrap());
    assert_eq!(translate("((?i)a)", Flags::default()).unwrap().flags_after, Flags::default());
}

proptest! {
    #[test]
    fn any_pattern_gives_an_answer(pattern in r"[a-c\\\[\]()|*+?{}^$.,&<>=!:\-0-9QEpLkixdw~#é]{0,40}") {
        if let Ok(translated) = translated(&pattern) {
            // What the engine behind refuses is an error of its own, never a panic.
            let _ = Regex::new(&translated);
        }
    }

    #[test]
    fn escaped_names_match_themselves_only(name in "[ -~]{1,20}", other in "[ -~]{1,20}") {
        let regex = Regex::new(&format!(r"\A(?:{})\z", escape(&name))).unwrap();
        prop_assert!(regex.is_match(&name).unwrap());
        prop_assert_eq!(regex.is_match(&other).unwrap(), name == other);
    }
}
