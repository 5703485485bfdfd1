//! What a changed file means for a mirror that runs: limits and secrets change, everything else needs a restart.

use std::collections::{BTreeMap, BTreeSet};

use super::key_form::{may_be_shown, sets};
use super::keys::{MAX_BYTES_PER_SECOND, Opt, TOPIC_MAX_BYTES_PER_SECOND, options};
use super::properties;
use kmirror_protocol::Secret;

/// The options that may change while a mirror runs, beside those of encryption and logins.
pub static CHANGEABLE: [&Opt; 2] = [&MAX_BYTES_PER_SECOND, &TOPIC_MAX_BYTES_PER_SECOND];

/// What the names of options of encryption and logins begin with. `security.protocol` is none of them: with it the
/// brokers' addresses would have to change.
const SECURITY: [&str; 3] = ["ssl.", "sasl.", "kerberos."];

/// What keys are called that may not be shown.
const NO_OPTIONS: &str = "lines that are no options";

/// The keys that differ between two texts and have no effect before a restart, in order. Those that may be a piece of a
/// value are told without their names.
pub fn keys_that_need_a_restart(running: &str, present: &str) -> Vec<String> {
    let (running, present) = (settings(running), settings(present));
    let keys: BTreeSet<&String> = running.keys().chain(present.keys()).collect();
    let differs = |key: &&String| running.get(*key) != present.get(*key) && !is_changeable(key);
    let (named, unnamed): (Vec<&String>, Vec<&String>) =
        keys.into_iter().filter(differs).partition(|key| may_be_shown(key));
    let unnamed = (!unnamed.is_empty()).then_some(NO_OPTIONS);
    named.into_iter().map(String::as_str).chain(unnamed).map(ToOwned::to_owned).collect()
}

/// Of keys that stand there more than once the last counts.
fn settings(text: &str) -> BTreeMap<String, Secret> {
    let entries = properties::parse(text).entries.into_iter();
    entries.map(|entry| (entry.key, Secret::new(entry.value.trim()))).collect()
}

fn is_changeable(key: &str) -> bool {
    CHANGEABLE.iter().any(|opt| sets(key, opt)) || security_option(key).is_some()
}

/// The option of encryption or of logins that a key sets, wherever it stands.
fn security_option(key: &str) -> Option<&'static Opt> {
    options().find(|opt| SECURITY.iter().any(|beginning| opt.name.starts_with(beginning)) && sets(key, opt))
}

/// Whether a text holds secrets itself, not only the places where they are.
pub fn holds_secrets(text: &str) -> bool {
    properties::parse(text).entries.iter().any(|entry| {
        let is_secret = |opt: &Opt| opt.is_secret() && sets(&entry.key, opt);
        !entry.value.trim().is_empty() && !entry.value.contains("${") && options().any(is_secret)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_and_secrets_may_change_and_nothing_else() {
        let running = "clusters = A, B\nA->B.topics = a.*\nA->B.kmirror.max.bytes.per.second = 1m\n\
                       B.ssl.key.password = old\n";
        let limits = "clusters = A, B\nA->B.topics=a.*   \nkmirror.topic.max.bytes.per.second = a=1\n\
                      A->B.kmirror.max.bytes.per.second = 2m\nB.ssl.key.password = old\n";
        assert!(keys_that_need_a_restart(running, limits).is_empty());
        let more = "clusters = A, B\nA->B.topics = b.*\nA->B.topics = c.*\nB.ssl.key.password = new\ntasks.max = 2\n";
        let keys = keys_that_need_a_restart(running, more);
        assert_eq!(keys, ["A->B.topics", "tasks.max"]);
        let login = "A.consumer.sasl.jaas.config = x\nkerberos.domain.name = y\nB.security.protocol = SSL\n";
        assert_eq!(keys_that_need_a_restart("", login), ["B.security.protocol"]);
    }

    #[test]
    fn secrets_in_the_text() {
        assert!(holds_secrets("A.consumer.ssl.key.password = x"));
        assert!(holds_secrets("kmirror.socks5.password=x"));
        assert!(!holds_secrets(
            "A.ssl.key.password =\nA.sasl.jaas.config = M required password=\"${s:/d:f}\";"
        ));
        assert!(!holds_secrets("A.bootstrap.servers = a:1"));
    }

    #[test]
    fn a_piece_of_a_value_is_told_without_being_shown() {
        let key = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj";
        let keys = keys_that_need_a_restart("a.b = 1\n", &format!("{key}\nShort4nd==\n"));
        assert_eq!(keys, ["a.b", "lines that are no options"]);
    }

    #[test]
    fn a_key_that_only_ends_alike_is_another() {
        let keys = keys_that_need_a_restart("", "xkmirror.max.bytes.per.second = 1\n");
        assert_eq!(keys, ["xkmirror.max.bytes.per.second"]);
    }
}
