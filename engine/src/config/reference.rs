//! The reference page of the configuration, written from the option table.

use std::fmt::Write;

use super::keys::{self, Kind, Opt, Role, Scope, Status};

const HEAD: &str = "# Configuration

<!-- Written from the option table in engine/src/config/keys; a test holds it to that.
     `KMIRROR_WRITE_DOCS=1 cargo test -p kmirror-engine reference` writes it again. -->

kmirror reads the properties file of MirrorMaker 2's dedicated mode (`connect-mirror-maker.sh`) as it is.

```properties
clusters = A, B
A.bootstrap.servers = a1:9092, a2:9092
B.bootstrap.servers = b1:9092
A->B.enabled = true
A->B.topics = orders.*, users
```

## Where keys stand

- On its own, `topics = x`: for all flows.
- With a flow, `A->B.topics = x`: for that flow; it goes before the one on its own.
- With a cluster, `A.bootstrap.servers = x`: for that cluster.
- With a client's role, `A.consumer.fetch.max.bytes = x`: for that client of the cluster. Of several places the first of
  these counts: `A->B.producer.override.K`, `A->B.source.consumer.K`, `A.consumer.K`, `source.consumer.K`,
  `A->B.consumer.K`, `consumer.K`; for `bootstrap.servers` and security `A.K` and `K` come behind `A.consumer.K`.
  MirrorMaker 2 has the same order, but does not read roles on their own (`consumer.K`, `source.consumer.K`).
- A worker's key belongs to the cluster a flow writes to, `B.offset.flush.interval.ms = x`; with the flow it goes before
  that, and on its own behind it (`offset.storage.*` on its own goes before the cluster's, as in MirrorMaker 2).

Lists have commas between their entries, with or without blanks; between bootstrap servers semicolons do as well.
Patterns are Java regular expressions for whole names. A `#` begins a comment only at the beginning of a line. Quotes
and single backslashes are not what they seem: properties files keep quotes as part of the value and drop single
backslashes, so that `\\.` is written `\\\\.`.

`kmirror plan FILE --offline` says what a file means: every key that is unknown, misspelt, in the wrong place or
ignored, with the line and the reason.

## Secrets

A value may be kept elsewhere: `${NAME:..}` in it stands for what a configuration provider supplies. A secret that is
mounted as a directory, as Kubernetes does it, one file for each value:

```properties
config.providers = secrets
config.providers.secrets.class = org.apache.kafka.common.config.provider.DirectoryConfigProvider
config.providers.secrets.param.allowed.paths = /etc/kmirror/secrets
A.security.protocol = SASL_SSL
A.sasl.mechanism = SCRAM-SHA-512
A.sasl.jaas.config = org.apache.kafka.common.security.scram.ScramLoginModule required \\
  username=\"mirror\" password=\"${secrets:/etc/kmirror/secrets:password}\";
```

`FileConfigProvider` reads a key of a properties file, `${NAME:/etc/kmirror/secrets.properties:password}`, and
`EnvVarConfigProvider` an environment variable, `${NAME:PASSWORD}`. What a provider cannot supply is an error. The line
end behind the only line of a mounted file does not count. A value is put in place as it is: within a login a quote or a
backslash in it needs a backslash before it.

While kmirror runs, it looks at these files, and at the JAAS file, every five seconds, and reads the configuration again
when one has changed, as it does at SIGHUP. Then `ssl.*`, `sasl.*` and `kerberos.*` count from the next connection and the
next re-authentication on. Key stores, trust stores and key tabs are read again when they change. What is in the
environment is there for everybody who may look at the process (`/proc/PID/environ`), and it does not change: files are
better.

A login that is not in `sasl.jaas.config` comes from the section `KafkaClient` of a JAAS file: `--jaas FILE`, or
`-Djava.security.auth.login.config=FILE` in `KAFKA_OPTS`. The Kerberos configuration is `--krb5-conf FILE`,
`-Djava.security.krb5.conf=FILE` in `KAFKA_OPTS`, `KRB5_CONFIG`, or `/etc/krb5.conf`.

What cannot be had from a Java regular expression is an error that names it: the flags `(?x)` and `(?U)`, `\\G`, `\\X`,
`\\b{g}`, `\\N{..}`, blocks (`\\p{InGreek}`), a class within a negated class, `&&` with nothing on one side, a count
behind another quantifier, counts above 1000.
";

/// The page, in Markdown.
pub fn page() -> String {
    let mut page = String::from(HEAD);
    section(&mut page, "The mirror", "With a flow, or on their own for all flows.", |opt| {
        opt.scope == Scope::Flow && !is_own(opt)
    });
    section(&mut page, "Clusters and the process", "", |opt| {
        matches!(opt.scope, Scope::Process | Scope::Cluster) && !is_own(opt) && !is_security(opt)
    });
    section(
        &mut page,
        "Encryption and logins",
        "With a cluster, with a client of it, or on their own for all clusters.",
        is_security,
    );
    section(&mut page, "kmirror's own", "MirrorMaker 2 does not know these.", is_own);
    section(&mut page, "Progress", "With the cluster a flow writes to.", |opt| opt.scope == Scope::Worker);
    section(&mut page, "The consumer at the source", "With the role `consumer`.", |opt| {
        opt.scope == Scope::Client(&[Role::Consumer])
    });
    section(&mut page, "The producer at the target", "With the role `producer`.", |opt| {
        opt.scope == Scope::Client(&[Role::Producer])
    });
    section(&mut page, "All clients", "With the role `consumer`, `producer` or `admin`.", |opt| {
        opt.scope == Scope::Client(&Role::ALL)
    });
    refused(&mut page);
    ignored(&mut page);
    page
}

fn is_own(opt: &Opt) -> bool {
    opt.name.starts_with("kmirror.")
}

fn is_security(opt: &Opt) -> bool {
    ["ssl.", "sasl.", "kerberos."].iter().any(|beginning| opt.name.starts_with(beginning))
}

// Infallible, here and below: a `String` takes whatever is written to it.

fn section(page: &mut String, title: &str, where_they_stand: &str, takes: impl Fn(&Opt) -> bool) {
    let _ = write!(page, "\n## {title}\n\n");
    if !where_they_stand.is_empty() {
        let _ = write!(page, "{where_they_stand}\n\n");
    }
    page.push_str("| key | value | default | meaning |\n|---|---|---|---|\n");
    for opt in keys::options().filter(|opt| opt.status == Status::Used && takes(opt)) {
        let default = if opt.default.is_empty() { String::new() } else { format!("`{}`", cell(opt.default)) };
        let _ = writeln!(page, "| {} | {} | {default} | {} |", names(opt), kind(opt.kind), meaning(opt));
    }
}

/// A vertical line would end the cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn names(opt: &Opt) -> String {
    let older: Vec<String> = opt.older_names.iter().map(|name| format!("`{name}`")).collect();
    if older.is_empty() {
        format!("`{}`", opt.name)
    } else {
        format!("`{}` (older name {})", opt.name, older.join(", "))
    }
}

fn meaning(opt: &Opt) -> String {
    let since = match opt.since {
        "2.4" | "kmirror" => String::new(),
        since => format!(" (Kafka {since})"),
    };
    cell(&format!("{}{since}", opt.doc))
}

fn kind(kind: Kind) -> String {
    match kind {
        Kind::Bool => "`true` or `false`".to_owned(),
        Kind::Int { min, max } => match (min, max) {
            (min, max) if max >= i64::from(i32::MAX) => format!("{min} or more"),
            (min, max) => format!("{min} to {max}"),
        },
        Kind::Fraction { min, max } => format!("{} to {}", f32::from(min) / 100.0, f32::from(max) / 100.0),
        Kind::Memory { min } => format!("bytes, {min} or more"),
        Kind::Text => "text".to_owned(),
        Kind::List => "list".to_owned(),
        Kind::Patterns => "list of patterns".to_owned(),
        Kind::Servers => "list of `host:port`".to_owned(),
        Kind::Choice(words) => words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", "),
        Kind::Class => "class".to_owned(),
        Kind::Secret => "secret".to_owned(),
    }
}

fn refused(page: &mut String) {
    page.push_str(
        "\n## What is refused\n\n\
         `acks=0`, values that a configuration provider should supply and cannot, and:\n\n\
         | key | only | because |\n|---|---|---|\n",
    );
    for opt in keys::options() {
        if let Status::RefusedUnless { harmless, reason } = opt.status {
            let only: Vec<String> = harmless
                .iter()
                .map(|value| if value.is_empty() { "nothing".into() } else { format!("`{value}`") })
                .collect();
            let _ = writeln!(page, "| `{}` | {} | {reason} |", opt.name, only.join(", "));
        }
    }
}

/// The ignored keys, put together by their reasons in the order of the table.
fn ignored(page: &mut String) {
    page.push_str("\n## What is ignored, and why\n\n| keys | because |\n|---|---|\n");
    let mut reasons: Vec<(&str, Vec<String>)> = Vec::new();
    for opt in keys::options() {
        let Status::Ignored { reason } = opt.status else { continue };
        match reasons.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, names_of_it)) => names_of_it.push(names(opt)),
            None => reasons.push((reason, vec![names(opt)])),
        }
    }
    for (reason, names) in reasons {
        let _ = writeln!(page, "| {} | {reason} |", names.join(", "));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_page_is_up_to_date() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/configuration.md");
        if std::env::var_os("KMIRROR_WRITE_DOCS").is_some() {
            std::fs::write(path, page()).unwrap();
        }
        let written = std::fs::read_to_string(path).unwrap();
        assert!(
            written == page(),
            "docs/configuration.md: write it again with KMIRROR_WRITE_DOCS=1 cargo test -p kmirror-engine reference"
        );
    }

    #[test]
    fn every_option_is_on_the_page() {
        let page = page();
        for opt in keys::options() {
            assert!(page.contains(&format!("`{}`", opt.name)), "{}", opt.name);
        }
    }
}
