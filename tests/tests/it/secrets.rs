//! No secret in anything that comes out: a marked one is fed into every option that can carry one, in every place,
//! through every door, and errors are driven beside it.
//!
//! The command line and the environment of a process are the operator's business: kmirror takes no secret as an
//! argument, and what the operator puts into the environment is there for all who may look.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::Duration;

use kmirror_tests::cache::{repository, scratch};
use kmirror_tests::kmirror::binary;
use kmirror_tests::process::{Process, Signal, run};

/// What must not come out, and what nothing else is called.
const MARK: &str = "Sw0rdf1shMark";
/// Clusters that nobody reaches.
const HEAD: &str = "clusters = A, B\nA.bootstrap.servers = 127.0.0.1:1\nB.bootstrap.servers = localhost:2\n\
    A->B.enabled = true\nemit.heartbeats.enabled = false\n";
const PLACES: [&str; 8] = [
    "",
    "A.",
    "A.consumer.",
    "B.producer.",
    "A->B.source.consumer.",
    "A->B.target.cluster.",
    "source.admin.",
    "A->B.producer.override.",
];
const PLAIN: &str = "org.apache.kafka.common.security.plain.PlainLoginModule";

/// A directory with a configuration, and what was said about it.
struct Case {
    directory: PathBuf,
    written: BTreeSet<PathBuf>,
}

impl Case {
    fn new(text: &str) -> Self {
        let mut case = Self { directory: scratch("secrets").unwrap(), written: BTreeSet::new() };
        case.write("mm2.properties", text);
        case
    }

    fn write(&mut self, name: &str, text: &str) -> PathBuf {
        let path = self.directory.join(name);
        fs::write(&path, text).unwrap();
        self.written.insert(path.clone());
        path
    }

    fn start(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Process {
        let mut command = Command::new(binary().unwrap());
        command.arg(arguments[0]).arg(self.directory.join("mm2.properties")).args(&arguments[1..]);
        command.args(["--log", "trace"]).envs(environment.iter().copied());
        Process::spawn("kmirror", &mut command, &self.directory).unwrap()
    }

    /// What a command says, which has no mark in it.
    fn say(&self, arguments: &[&str], environment: &[(&str, &str)]) -> String {
        self.end(&self.start(arguments, environment))
    }

    fn end(&self, process: &Process) -> String {
        process.wait(Duration::from_secs(60)).unwrap();
        let said = process.stdout() + &process.stderr();
        assert!(!said.is_empty());
        no_mark(&said, "what was said");
        for entry in fs::read_dir(&self.directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() && !self.written.contains(&path) {
                no_mark(&String::from_utf8_lossy(&fs::read(&path).unwrap()), &path.display().to_string());
            }
        }
        said
    }
}

fn no_mark(text: &str, what: &str) {
    let found = text.lines().find(|line| line.contains(MARK) || line.contains(&MARK[..9]));
    assert!(found.is_none(), "{what}: {found:?}");
}

/// A server that answers everything with the same line; its address.
fn nonsense() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut first = [0; 64];
            let _ = stream.read(&mut first);
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    address
}

/// The secret options, as the reference page lists them; a test of the engine holds it to the option table.
fn secret_options() -> Vec<String> {
    let page = fs::read_to_string(repository().join("docs/configuration.md")).unwrap();
    let names = page.lines().filter(|line| line.contains("| secret |"));
    let names: Vec<String> = names.filter_map(|line| Some(line.split('`').nth(1)?.to_owned())).collect();
    assert!(names.len() >= 8 && names.iter().any(|name| name == "sasl.jaas.config"), "{names:?}");
    names
}

#[test]
fn no_option_that_holds_a_secret_is_shown() {
    let names = secret_options();
    for place in PLACES {
        for protocol in ["PLAINTEXT", "SASL_SSL"] {
            let mut text = format!("{HEAD}security.protocol = {protocol}\nsasl.mechanism = PLAIN\n");
            for name in &names {
                // Beside it a key that nobody knows, and a value with what looks like a comment.
                text += &format!("{place}{name} = {MARK} # x\n{place}{name}x = {MARK}\n");
            }
            let case = Case::new(&text);
            case.say(&["plan", "--offline"], &[]);
            case.say(&["plan", "--offline", "--json"], &[]);
        }
    }
    for name in &names {
        let text = format!("{HEAD}security.protocol=SASL_SSL\nsasl.mechanism=OAUTHBEARER\nA.{name}={MARK}\n");
        Case::new(&text).say(&["status"], &[]);
    }
}

#[test]
fn no_line_of_a_value_is_shown_that_was_not_continued() {
    // As base64 has them: a whole line, and the short last one.
    let (line, last) = (MARK.repeat(5), format!("{MARK}1+/"));
    // With all backslashes, without any, and with a blank behind the first.
    for [first, other] in [["\\n\\", "\\n\\"], ["", ""], [" \\ ", "\\"], [" \\ ", "\\n\\"]] {
        let text = format!(
            "{HEAD}A.security.protocol = SSL\nA.ssl.keystore.certificate.chain = x\n\
             A.ssl.keystore.key = -----BEGIN PRIVATE KEY-----{first}\n{line}{other}\n{MARK}{other}\n{last}=={other}\n\
             -----END PRIVATE KEY-----\n"
        );
        let case = Case::new(&text);
        let said = case.say(&["plan", "--offline"], &[]);
        assert_eq!(said.contains("a line that is no option"), !first.ends_with('\\'), "{said}");
        case.say(&["plan", "--offline", "--json"], &[]);
        case.say(&["status"], &[]);
    }
}

#[test]
fn no_login_is_shown_however_wrong_it_is() {
    let logins = [
        format!("{PLAIN} required username=u password={MARK};"),
        format!("{PLAIN} required username=u password=\"{MARK}"),
        format!("{PLAIN} required username=u password={MARK}"),
        format!("{PLAIN} required username=u password=x{MARK}=y;"),
        format!("{PLAIN} required username=u password=\"x\"{MARK}=y;"),
        format!("{PLAIN} required username=u {MARK};"),
        format!("{PLAIN} required username=u password= {MARK} {MARK};"),
        format!("{PLAIN} {MARK};"),
        format!("{PLAIN} username=u password={MARK};"),
        format!("{MARK} required;"),
        MARK.to_owned(),
        format!("{PLAIN} required passwort={MARK};"),
        format!(
            "org.apache.kafka.common.security.scram.ScramLoginModule required username=u password={MARK};"
        ),
        format!("com.sun.security.auth.module.Krb5LoginModule required password={MARK};"),
        format!("{PLAIN} required password={MARK}; {PLAIN} required password={MARK};"),
    ];
    let head = format!("{HEAD}security.protocol = SASL_SSL\nsasl.mechanism = PLAIN\n");
    for login in &logins {
        let option = Case::new(&format!("{head}sasl.jaas.config = {login}\n"));
        option.say(&["plan", "--offline"], &[]);
        let mut file = Case::new(&head);
        let jaas = file.write("jaas.conf", &format!("KafkaClient {{ {login} }};"));
        let jaas = jaas.display().to_string();
        file.say(&["plan", "--offline", "--jaas", &jaas], &[]);
        let java =
            format!("-Djava.security.auth.login.config={jaas} -Djavax.net.ssl.keyStorePassword={MARK}");
        let said = file.say(&["plan", "--offline", "--json"], &[("KAFKA_OPTS", &java)]);
        assert!(!said.contains("nor a JAAS file"), "{said}");
    }
}

#[test]
fn nothing_that_a_provider_supplies_is_shown() {
    let providers = "config.providers = dir, file, env\nconfig.providers.dir.class = DirectoryConfigProvider\n\
        config.providers.file.class = FileConfigProvider\nconfig.providers.env.class = EnvVarConfigProvider\n";
    let keys = [
        "sasl.jaas.config",
        "A.ssl.key.password",
        "topics",
        "replication.factor",
        "security.protocol",
        "A->B.enabled",
        "replication.policy.class",
        "ssl.truststore.type",
        "kmirror.bind.address",
        "transforms",
        "A.sasl.mechanism",
    ];
    for key in keys {
        for variable in
            ["${dir:DIR:secret}", "${file:DIR/all.properties:key}", "${env:MARKED}", "${env:MISSING}"]
        {
            let mut case = Case::new("");
            let directory = case.directory.display().to_string();
            let variable = variable.replace("DIR", &directory);
            let text = format!("{HEAD}security.protocol = SSL\n{providers}{key} = {variable}\n");
            case.write("mm2.properties", &text);
            case.write("secret", &format!("{MARK}("));
            case.write("all.properties", &format!("key = {MARK}(\n"));
            let said = case.say(&["plan", "--offline"], &[("MARKED", &format!("{MARK}("))]);
            assert!(said.contains(&variable) || said.contains(key) || !said.contains("error"), "{said}");
        }
    }
}

#[test]
fn a_crash_leaves_no_core_file_unless_asked() {
    // A pipe that nobody writes to has it wait with its file half read.
    let crash = |options: &[&str]| {
        let mut case = Case::new("");
        let pipe = case.directory.join("pipe");
        run(Command::new("mkfifo").arg(&pipe)).unwrap();
        case.written.insert(pipe.clone());
        let mut command = Command::new("bash");
        command.args(["-c", "ulimit -c unlimited; exec \"$@\"", "bash"]).arg(binary().unwrap());
        command.args(options).arg("run").arg(&pipe).current_dir(&case.directory);
        let process = Process::spawn("kmirror", &mut command, &case.directory).unwrap();
        // Opening waits until it reads.
        let open = fs::OpenOptions::new().write(true).open(&pipe).unwrap();
        process.signal(Signal::ABORT);
        let exit = process.wait(Duration::from_secs(10)).unwrap();
        drop(open);
        exit.status.core_dumped()
    };
    assert!(!crash(&[]), "a core file was written");
    assert!(crash(&["--core-files"]), "what is asked for is not done");
}

/// Every way to log in: its mechanism, its login, and what belongs to it.
fn logins(server: &str) -> [(&'static str, String, String); 5] {
    const SCRAM: &str = "org.apache.kafka.common.security.scram.ScramLoginModule";
    const BEARER: &str = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule";
    const KERBEROS: &str = "com.sun.security.auth.module.Krb5LoginModule";
    let by_password = |module: &str| format!("{module} required username=\"u\" password=\"{MARK}\";");
    let handler = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginCallbackHandler";
    let endpoint = format!(
        "A.sasl.login.callback.handler.class = {handler}\nA.sasl.oauthbearer.token.endpoint.url = http://{server}/\n"
    );
    let proxy = format!(
        "A.kmirror.socks5.proxy = {server}\nA.kmirror.socks5.user = u\nA.kmirror.socks5.password = {MARK}\n"
    );
    [
        ("PLAIN", by_password(PLAIN), String::new()),
        ("SCRAM-SHA-256", by_password(SCRAM), String::new()),
        ("SCRAM-SHA-512", by_password(SCRAM), proxy),
        ("OAUTHBEARER", format!("{BEARER} required clientId=\"u\" clientSecret=\"{MARK}\";"), endpoint),
        (
            "GSSAPI",
            format!("{KERBEROS} required principal=\"u@R\" password=\"{MARK}\" serviceName=\"kafka\";"),
            String::new(),
        ),
    ]
}

#[test]
fn nothing_is_shown_when_connecting_fails() {
    // Somebody takes connections, so that stores are read, and answers nothing that makes sense.
    let (a, b) = (nonsense(), nonsense());
    let mut started = Vec::new();
    for (mechanism, login, more) in logins(&a) {
        for command in
            [&["run"][..], &["check"], &["check", "--json"], &["plan"], &["plan", "--json"], &["status"]]
        {
            let mut case = Case::new("");
            let store = case.write("store.p12", &format!("no store at all, but {MARK}"));
            let conf = format!("[libdefaults]\nudp_preference_limit = 1\n[realms]\nR = {{\nkdc = {a}\n}}\n");
            let conf = case.write("krb5.conf", &conf);
            let head = HEAD.replace("127.0.0.1:1", &a).replace("localhost:2", &b);
            let text = format!(
                "{head}A.security.protocol = SASL_PLAINTEXT\nA.sasl.mechanism = {mechanism}\nA.sasl.jaas.config = {login}\n\
                 {more}B.security.protocol = SSL\nB.ssl.keystore.location = {0}\nB.ssl.keystore.password = {MARK}\n\
                 B.ssl.key.password = {MARK}\nB.ssl.truststore.location = {0}\nB.ssl.truststore.password = {MARK}\n",
                store.display()
            );
            case.write("mm2.properties", &text);
            let options = format!("-Djava.security.krb5.conf={}", conf.display());
            // Side by side: most of the time they wait for somebody to answer.
            started.push((mechanism, command, case.start(command, &[("KAFKA_OPTS", &options)]), case));
        }
    }
    for (mechanism, command, process, case) in started {
        let said = case.end(&process);
        // Everybody may read the file.
        let warned = "holds secrets, and everybody on this host may read it";
        let expected = match command {
            ["run"] => warned.to_owned(),
            ["check"] => format!("SASL_PLAINTEXT with {mechanism}"),
            ["plan"] => format!("SASL_PLAINTEXT {mechanism}"),
            ["plan", ..] => format!("\"sasl_mechanism\": \"{mechanism}\""),
            _ => continue,
        };
        assert!(said.contains(&expected), "{command:?}: {expected} is not in:\n{said}");
    }
}
