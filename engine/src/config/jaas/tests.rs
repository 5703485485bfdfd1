use proptest::prelude::*;

use super::*;

const PLAIN: &str = "org.apache.kafka.common.security.plain.PlainLoginModule";

/// No system property is given.
fn none(_: &str) -> Option<Secret> {
    None
}

fn option(text: &str) -> LoginModule {
    parse_option(text).unwrap()
}

fn value(module: &LoginModule, name: &str) -> String {
    module.option(name).unwrap().expose().to_owned()
}

#[test]
fn the_usual_line() {
    let module = option(&format!("{PLAIN} required username=\"alice\" password=\"alice-secret\";"));
    assert_eq!(module.class, PLAIN);
    assert_eq!(
        (value(&module, "username"), value(&module, "password")),
        ("alice".into(), "alice-secret".into())
    );
    assert!(!format!("{module:?}").contains("alice-secret"));
}

#[test]
fn quotes_escapes_and_comments() {
    let cases = [
        (r#"a="x y""#, "x y"),
        ("a='x\"y'", "x\"y"),
        (r#"a="x\"y""#, "x\"y"),
        (r#"a="x\\y""#, "x\\y"),
        (r#"a="\101\60\7z\t""#, "A0\u{7}z\t"),
        (r#"a="\4019""#, " 19"),
        ("a=plain-word_1.2", "plain-word_1.2"),
        ("a = x // a comment\n", "x"),
        ("/* before */ a=/* = */x", "x"),
        ("a=\"/etc/x.keytab\"", "/etc/x.keytab"),
        ("a=käse{}", "käse{}"),
        ("a=x a=y", "y"),
        ("a=\"\"", ""),
    ];
    for (text, expected) in cases {
        let module = option(&format!("M REQUIRED {text};"));
        assert_eq!(value(&module, "a"), expected, "{text}");
        assert_eq!(module.options().count(), 1);
    }
    assert_eq!(option("M\toptional\n;").options().count(), 0);
}

#[test]
fn what_kafka_refuses() {
    let cases = [
        ("", JaasError::NoModule),
        ("  // nothing", JaasError::NoModule),
        ("M", JaasError::NoFlag),
        ("M password=x;", JaasError::NoFlag),
        ("= required;", JaasError::NoClass),
        ("M required", JaasError::NotEnded),
        ("M required a=x", JaasError::NotEnded),
        ("M required a=x/y;", JaasError::NotEnded),
        ("M required a=/etc/x;", JaasError::NoValue { number: 1 }),
        ("M required a=x b;", JaasError::NoValue { number: 2 }),
        ("M required a==x;", JaasError::NoValue { number: 1 }),
        ("M required =x;", JaasError::NoName { number: 1 }),
        ("M required a=\"x;", JaasError::UnclosedQuote),
        ("M required a=\"x\ny\";", JaasError::UnclosedQuote),
        ("M required; N required;", JaasError::SeveralModules { count: 2 }),
    ];
    for (text, expected) in cases {
        assert_eq!(parse_option(text).unwrap_err(), expected, "{text}");
    }
    let long = "x".repeat(JAAS_BYTES_MAX + 1);
    assert!(matches!(parse_option(&long), Err(JaasError::TooLarge { .. })));
}

#[test]
fn a_file_with_sections() {
    let text = "KafkaServer { M required a=server; };\n/* clients */\nKafkaClient {\n  \
        com.sun.security.auth.module.Krb5LoginModule required\n  useKeyTab=true\n  \
        keyTab=\"/tmp/mirrormaker.keytab\"\n  storeKey=true\n  useTicketCache=false\n  serviceName=\"kafka\"\n  \
        principal=\"mirrormaker/HOSTNAME@EXAMPLE.COM\";\n};\nClient { M required; N optional; };\n";
    let modules = parse_file(text, &none).unwrap();
    let [module] = modules.as_slice() else { panic!("{modules:?}") };
    assert_eq!(value(module, "principal"), "mirrormaker/HOSTNAME@EXAMPLE.COM");
    assert_eq!(module.options().count(), 6);
    let cases = [
        ("", JaasError::NoClientSection),
        ("KafkaServer { M required; };", JaasError::NoClientSection),
        ("KafkaClient { };", JaasError::NoModule),
        ("KafkaClient { M required; }", JaasError::NoSection),
        ("KafkaClient { M required;", JaasError::NoSection),
        ("M required a=x;", JaasError::NoSection),
        ("KafkaClient { M required a=\"${user.home}/x\"; };", JaasError::SystemProperty { number: 1 }),
    ];
    for (text, expected) in cases {
        assert_eq!(parse_file(text, &none).unwrap_err(), expected, "{text}");
    }
}

#[test]
fn system_properties_in_a_file() {
    let home = |name: &str| (name == "user.home").then(|| Secret::new("/home/mm"));
    let text =
        "KafkaServer { M required a=\"${other}\"; };\nKafkaClient { M required a=\"${user.home}${/}k\"; };";
    let modules = parse_file(text, &home).unwrap();
    assert_eq!(value(&modules[0], "a"), "/home/mm/k");
    // `sasl.jaas.config` has none.
    assert_eq!(value(&option("M required a=\"${user.home}\";"), "a"), "${user.home}");
}

#[test]
fn a_section_with_several_modules() {
    let modules = parse_file("KafkaClient { M required a=x; N optional; };", &none).unwrap();
    assert_eq!(modules.iter().map(|module| module.class.as_str()).collect::<Vec<_>>(), ["M", "N"]);
}

/// As Java needs it.
fn quoted(text: &str) -> String {
    format!(
        "\"{}\"",
        text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n").replace('\r', "\\r")
    )
}

proptest! {
    #[test]
    fn any_text_has_a_result(text in "[a-z \"'=;/*\\\\{}\n0-9$]{0,80}|\\PC{0,40}") {
        let _ = parse_option(&text);
        let _ = parse_file(&text, &none);
    }

    #[test]
    fn what_was_written_is_read(options in proptest::collection::btree_map("[a-zA-Z_.]{1,12}", "(?s).{0,24}", 0..6)) {
        let written: Vec<String> = options.iter().map(|(key, value)| format!("{key}={}", quoted(value))).collect();
        let module = option(&format!("some.Module required {};", written.join(" ")));
        let read: Vec<(&str, &str)> = module.options().map(|(key, value)| (key, value.expose())).collect();
        let expected: Vec<(&str, &str)> = options.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        prop_assert_eq!(read, expected);
        let in_file = format!("KafkaClient {{ some.Module required {}; }};", written.join(" "));
        let has_property = in_file.contains("${");
        prop_assert!(parse_file(&in_file, &none).is_ok() || has_property);
    }
}
