//! What is said to Java by options, as in `KAFKA_OPTS`: `-Dname=value`. Pure text.

use std::collections::BTreeMap;

use kmirror_protocol::Secret;
use zeroize::Zeroizing;

/// Bytes that are looked at.
const OPTIONS_BYTES_MAX: usize = 64 << 10;

/// System properties of Java that mean something for connections, and that kmirror does not heed.
const UNHEEDED: [&str; 7] = [
    "java.security.krb5.realm",
    "java.security.krb5.kdc",
    "java.security.properties",
    "javax.net.ssl.",
    "jdk.tls.",
    "sun.security.krb5.",
    "sun.security.jgss.native",
];

/// The trust store of those that have none of their own; heeded, unlike others of `javax.net.ssl.`.
pub const TRUST_STORE: &str = "javax.net.ssl.trustStore";
/// Its password.
pub const TRUST_STORE_PASSWORD: &str = "javax.net.ssl.trustStorePassword";
/// Its format.
pub const TRUST_STORE_TYPE: &str = "javax.net.ssl.trustStoreType";

/// What Java's options say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JavaOptions {
    /// All system properties, of repeated ones the last. They may be passwords.
    pub properties: BTreeMap<String, Secret>,
    /// `java.security.auth.login.config`: the JAAS file.
    pub login_config: Option<String>,
    /// `java.security.krb5.conf`
    pub krb5_conf: Option<String>,
    /// The names of the others that mean something for connections.
    pub unheeded: Vec<String>,
}

impl JavaOptions {
    /// Takes in options that come behind those there are. As in Java the last of a name counts.
    pub fn read(&mut self, text: &str) {
        let text = if text.len() > OPTIONS_BYTES_MAX { "" } else { text };
        for word in words(text) {
            let Some((name, value)) = word.strip_prefix("-D").and_then(|option| option.split_once('='))
            else {
                continue;
            };
            self.properties.insert(name.to_owned(), Secret::new(value));
            match name {
                // A second equals sign says that no other file counts beside this one; none does.
                "java.security.auth.login.config" => {
                    self.login_config = Some(path(value.strip_prefix('=').unwrap_or(value)));
                }
                "java.security.krb5.conf" => self.krb5_conf = Some(path(value)),
                TRUST_STORE | TRUST_STORE_PASSWORD | TRUST_STORE_TYPE => {}
                _ if self.unheeded.iter().any(|known| known == name) => {}
                _ if UNHEEDED.iter().any(|known| name.starts_with(known)) => {
                    self.unheeded.push(name.to_owned());
                }
                _ => {}
            }
        }
    }
}

/// A path, which may be written as a URL.
pub(super) fn path(text: &str) -> String {
    let bare = text.strip_prefix("file:").unwrap_or(text);
    match bare.strip_prefix("//") {
        Some(rest) if rest.starts_with('/') => rest.to_owned(),
        _ => bare.to_owned(),
    }
}

/// The words of a line, as a shell splits it: at blanks outside quotes, quotes taken away.
fn words(text: &str) -> Vec<Zeroizing<String>> {
    let mut words = Vec::new();
    let mut word: Option<Zeroizing<String>> = None;
    let mut quote = None;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match (quote, character) {
            (None, blank) if blank.is_whitespace() => words.extend(word.take()),
            (None, '"' | '\'') => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (Some(open), close) if open == close => quote = None,
            (None | Some('"'), '\\') => word.get_or_insert_default().extend(characters.next()),
            (_, other) => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> JavaOptions {
        let mut options = JavaOptions::default();
        options.read(text);
        options
    }

    #[test]
    fn what_the_guides_say() {
        let options = read(
            "-Xmx2g -Djava.security.auth.login.config=/usr/hdp/current/kafka-broker/config/kafka_jaas.conf \
             -Djava.security.krb5.conf=\"/etc/my krb5.conf\"",
        );
        let jaas = options.login_config.as_deref();
        assert_eq!(jaas, Some("/usr/hdp/current/kafka-broker/config/kafka_jaas.conf"));
        assert_eq!(options.krb5_conf.as_deref(), Some("/etc/my krb5.conf"));
        assert!(options.unheeded.is_empty());
    }

    #[test]
    fn the_last_counts_and_urls_are_paths() {
        let jaas = |text| read(text).login_config.unwrap();
        assert_eq!(
            jaas("-Djava.security.auth.login.config=a -Djava.security.auth.login.config==file:/b"),
            "/b"
        );
        assert_eq!(jaas("-Djava.security.auth.login.config=file:///c"), "/c");
        assert_eq!(jaas("-Djava.security.auth.login.config='x'\"y\"\\ z"), "xy z");
    }

    #[test]
    fn others_are_named_without_their_values() {
        let options = read(
            "-Djavax.net.ssl.keyStorePassword=hush -Djava.security.krb5.kdc=k -Djavax.net.ssl.keyStorePassword=b \
             -Dlog4j.configuration=x -Djavax.net.ssl.trustStore=/t",
        );
        assert_eq!(options.unheeded, ["javax.net.ssl.keyStorePassword", "java.security.krb5.kdc"]);
        assert_eq!(options.properties["javax.net.ssl.keyStorePassword"].expose(), "b");
        assert!(!format!("{options:?}").contains("hush"));
    }

    proptest! {
        #[test]
        fn any_text_has_a_result(text in "[a-zD=\\-\"'\\\\ .]{0,60}") {
            read(&text);
        }
    }
}
