use super::*;
use proptest::prelude::*;

fn pairs(text: &str) -> Vec<(String, String)> {
    parse(text).entries.into_iter().map(|entry| (entry.key, entry.value.to_string())).collect()
}

fn one(text: &str) -> (String, String) {
    let mut all = pairs(text);
    assert_eq!(all.len(), 1, "{text:?}");
    all.remove(0)
}

fn pair(key: &str, value: &str) -> (String, String) {
    (key.into(), value.into())
}

#[test]
fn separators() {
    for text in ["a=b", "a:b", "a b", "a = b", "a\t:\tb", "  a b", "a  =  b", "\x0Ca\x0Cb"] {
        assert_eq!(one(text), pair("a", "b"), "{text:?}");
    }
    assert_eq!(one("a==b"), pair("a", "=b"));
    assert_eq!(one("a : = b"), pair("a", "= b"));
    assert_eq!(one("a"), pair("a", ""));
    assert_eq!(one("a="), pair("a", ""));
    assert_eq!(one("=b"), pair("", "b"));
    assert_eq!(one(r"a\ b\=c\:d = e"), pair("a b=c:d", "e"));
}

#[test]
fn values_keep_what_is_behind_them() {
    assert_eq!(one("a = b \t"), pair("a", "b \t"));
    assert_eq!(one("a = 3 # three"), pair("a", "3 # three"));
}

#[test]
fn comments_and_blank_lines() {
    assert_eq!(pairs("# a=b\n ! c=d\n\n \t\x0C\n#e=f\\\ng=h"), [pair("g", "h")]);
}

#[test]
fn continuations() {
    assert_eq!(one("a = b,\\\n    c"), pair("a", "b,c"));
    assert_eq!(one("a = b\\\r\n  # no comment"), pair("a", "b# no comment"));
    assert_eq!(pairs("a = b\\\\\nc = d"), [pair("a", "b\\"), pair("c", "d")]);
    assert_eq!(pairs("a = b\\\n\nc = d"), [pair("a", "b"), pair("c", "d")]);
    assert_eq!(one("a\\\n = b"), pair("a", "b"));
    assert_eq!(one("a = b\\"), pair("a", "b"));
    assert_eq!(pairs("\\\n# comment\n\\\na = b\n\\"), [pair("a", "b")]);
}

#[test]
fn line_ends_and_line_numbers() {
    let lines: Vec<usize> =
        parse("\na=1\r\nb=2\rc=\\\n3\nd=4").entries.iter().map(|entry| entry.line).collect();
    assert_eq!(lines, [2, 3, 4, 6]);
}

#[test]
fn escapes() {
    assert_eq!(one(r"a = \t\n\r\f\\\q"), pair("a", "\t\n\r\x0C\\q"));
    assert_eq!(one(r"a = .*\\.internal"), pair("a", r".*\.internal"));
    assert_eq!(one(r"a = .*\.internal"), pair("a", ".*.internal"));
    assert_eq!(one(r"\u0061 = \u00e4\uD83D\uDE00"), pair("a", "ä😀"));
    assert_eq!(one(r"a = \uD83D"), pair("a", "\u{FFFD}"));
}

#[test]
fn malformed_escapes_are_told() {
    let properties = parse("a = 1\nb = \\u12\nc = \\u00g0\nd = 2");
    assert_eq!(properties.malformed, [2, 3]);
    assert_eq!(properties.entries.len(), 2);
}

#[test]
fn repeated_keys_are_all_there() {
    assert_eq!(pairs("a=1\na=2"), [pair("a", "1"), pair("a", "2")]);
}

#[test]
fn text_of_bytes() {
    assert_eq!(decode(b"\xEF\xBB\xBFa=b"), "a=b");
    assert_eq!(decode("a=ä".as_bytes()), "a=ä");
    assert_eq!(decode(b"a=\xE4"), "a=ä");
}

/// Writes entries so that reading them gives them back.
fn write(entries: &[(String, String)]) -> String {
    let escape = |text: &str| -> String {
        text.chars()
            .map(|character| match character {
                'a'..='z' => character.to_string(),
                '\n' => "\\n".into(),
                '\r' => "\\r".into(),
                special if special.is_ascii() && !special.is_ascii_alphanumeric() => format!("\\{special}"),
                other => {
                    other.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect()
                }
            })
            .collect()
    };
    entries.iter().map(|(key, value)| format!("{} = {}\n", escape(key), escape(value))).collect()
}

proptest! {
    #[test]
    fn any_text_gives_a_result(text in "[ -~\\t\\n\\r\\f\\\\#!=:ä😀]{0,200}") {
        let properties = parse(&text);
        let lines = text.split(['\n', '\r']).count();
        prop_assert!(properties.entries.iter().all(|entry| entry.line >= 1 && entry.line <= lines));
    }

    #[test]
    fn any_bytes_give_a_text(bytes: Vec<u8>) {
        parse(&decode(&bytes));
    }

    #[test]
    fn what_is_written_is_read(entries in proptest::collection::vec((".{1,20}", ".{0,20}"), 0..8)) {
        prop_assert_eq!(pairs(&write(&entries)), entries);
    }
}
