//! As whom a client connects: mechanism and login module, which have to fit together.

use kmirror_protocol::Secret;
use kmirror_protocol::net::sasl::{AwsSettings, SaslSettings, ScramHash};

use super::client::Owner;
use super::reader::{Reader, Sourced};
use crate::config::jaas::{self, CLIENT_SECTION, LoginModule};
use crate::config::keys;
use crate::config::origin::Origin;
use crate::config::problem::{Notice, Problem};
use crate::config::security_problem::{LoginProblem, SecurityNotice};
use crate::config::suggestions::nearest;

/// A login that was read, and where it stands.
#[derive(Debug)]
pub(super) struct Login<'a> {
    pub(super) module: &'a LoginModule,
    /// The module by the last part of its class.
    pub(super) name: &'static str,
    pub(super) origin: Origin,
}

/// A login module that kmirror stands in for.
struct Known {
    class: &'static str,
    name: &'static str,
    mechanisms: &'static [&'static str],
    fits: &'static str,
    /// Names of options; one that ends in `*` stands for all that begin so.
    options: &'static [&'static str],
}

const SUN_KERBEROS: &[&str] = &[
    "useKeyTab",
    "keyTab",
    "principal",
    "serviceName",
    "storeKey",
    "useTicketCache",
    "ticketCache",
    "renewTGT",
    "doNotPrompt",
    "debug",
    "isInitiator",
    "refreshKrb5Config",
    "useFirstPass",
    "tryFirstPass",
    "storePass",
    "clearPass",
    "password",
];
const IBM_KERBEROS: &[&str] = &[
    "useKeytab",
    "credsType",
    "principal",
    "serviceName",
    "useDefaultCcache",
    "useDefaultKeytab",
    "useCcache",
    "debug",
    "forwardable",
    "renewable",
    "tryFirstPass",
    "useFirstPass",
    "noAddress",
    "renewTGT",
    "refreshKrb5Config",
];
const OAUTH: &[&str] = &["clientId", "clientSecret", "scope", "extension_*", "unsecuredLogin*", "ssl.*"];
const AWS: &[&str] = &["aws*"];

static KNOWN: [Known; 6] = [
    Known {
        class: "org.apache.kafka.common.security.plain.PlainLoginModule",
        name: "PlainLoginModule",
        mechanisms: &["PLAIN"],
        fits: "PLAIN",
        options: &["username", "password", "serviceName"],
    },
    Known {
        class: "org.apache.kafka.common.security.scram.ScramLoginModule",
        name: "ScramLoginModule",
        mechanisms: &["SCRAM-SHA-256", "SCRAM-SHA-512"],
        fits: "SCRAM-SHA-256 and SCRAM-SHA-512",
        options: &["username", "password", "tokenauth"],
    },
    Known {
        class: "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule",
        name: "OAuthBearerLoginModule",
        mechanisms: &["OAUTHBEARER"],
        fits: "OAUTHBEARER",
        options: OAUTH,
    },
    Known {
        class: "com.sun.security.auth.module.Krb5LoginModule",
        name: "Krb5LoginModule",
        mechanisms: &["GSSAPI"],
        fits: "GSSAPI",
        options: SUN_KERBEROS,
    },
    Known {
        class: "com.ibm.security.auth.module.Krb5LoginModule",
        name: "IBM's Krb5LoginModule",
        mechanisms: &["GSSAPI"],
        fits: "GSSAPI",
        options: IBM_KERBEROS,
    },
    Known {
        class: "software.amazon.msk.auth.iam.IAMLoginModule",
        name: "IAMLoginModule",
        mechanisms: &["AWS_MSK_IAM"],
        fits: "AWS_MSK_IAM",
        options: AWS,
    },
];

/// A login as it was found, before it is known what it is.
struct Found {
    module: LoginModule,
    origin: Origin,
}

impl Reader<'_> {
    /// As whom a client connects; none where that is wrong.
    pub(super) fn sasl(&mut self, owner: Owner<'_>) -> Option<SaslSettings> {
        let places = owner.places(&keys::SASL_MECHANISM);
        let written = self.text(&places, &keys::SASL_MECHANISM);
        let mechanism = self.choice(&places, &keys::SASL_MECHANISM);
        if written.value != mechanism.value {
            return None;
        }
        let found = self.find_login(owner, &mechanism)?;
        let known = self.known_module(&mechanism, &found)?;
        let login = Login { module: &found.module, name: known.name, origin: found.origin };
        self.check_options(&login, known);
        match mechanism.value.as_str() {
            "PLAIN" => {
                let (username, password) = self.user(&login)?;
                Some(SaslSettings::Plain { username, password })
            }
            "OAUTHBEARER" => self.oauth(owner, &login).map(SaslSettings::OAuthBearer),
            "GSSAPI" => self.kerberos(owner, &login).map(SaslSettings::Gssapi),
            "SCRAM-SHA-256" => self.scram(&login, ScramHash::Sha256),
            "SCRAM-SHA-512" => self.scram(&login, ScramHash::Sha512),
            _ => self.aws(&login),
        }
    }

    /// No role is assumed: that would be a question to AWS's token service.
    fn aws(&mut self, login: &Login<'_>) -> Option<SaslSettings> {
        for option in ["awsRoleArn", "awsRoleAccessKeyId", "awsRoleSecretAccessKey", "awsRoleSessionToken"] {
            if login.text(option).is_some() {
                let why = "no role is assumed; give credentials that have the rights themselves";
                self.bad_option(login, option, why);
                return None;
            }
        }
        let profile = login.text("awsProfileName").map(ToOwned::to_owned);
        Some(SaslSettings::AwsMskIam(AwsSettings { profile }))
    }

    /// The option goes before the file (Kafka class `JaasContext`).
    fn find_login(&mut self, owner: Owner<'_>, mechanism: &Sourced<String>) -> Option<Found> {
        let option = self.secret_if_set(&owner.places(&keys::SASL_JAAS_CONFIG), &keys::SASL_JAAS_CONFIG);
        let (parsed, origin) = match (option, &self.surroundings.jaas) {
            (Some(option), _) => {
                (jaas::parse_option(option.value.expose()).map(|module| vec![module]), option.origin)
            }
            (None, Some((path, held))) => {
                let path = path.display().to_string();
                let origin = Origin::Section { file: path.as_str().into(), name: CLIENT_SECTION };
                match held {
                    Ok(text) => {
                        let properties = |name: &str| self.surroundings.java.properties.get(name).cloned();
                        (jaas::parse_file(text.expose(), &properties), origin)
                    }
                    Err(why) => {
                        let problem = LoginProblem::Unreadable { path, why: why.clone() };
                        self.error(None, problem.into(), None);
                        return None;
                    }
                }
            }
            (None, None) => {
                let cluster = owner.alias().to_string();
                let hint = format!("set `{cluster}.sasl.jaas.config`, or name a JAAS file with `--jaas`");
                let problem = LoginProblem::None { cluster, mechanism: mechanism.value.clone() };
                self.error(Some(mechanism.origin.clone()), problem.into(), Some(hint));
                return None;
            }
        };
        match parsed {
            Ok(modules) => self.fitting(mechanism, modules, origin),
            Err(error) => {
                let hint = error.hint().map(ToOwned::to_owned);
                self.error(Some(origin), Problem::Jaas(error), hint);
                None
            }
        }
    }

    /// The module for the mechanism. One alone is taken as it is: what is wrong with it is told later.
    fn fitting(
        &mut self,
        mechanism: &Sourced<String>,
        mut modules: Vec<LoginModule>,
        origin: Origin,
    ) -> Option<Found> {
        let all = names(&modules);
        if modules.len() > 1 {
            modules.retain(|module| {
                known(&module.class).is_some_and(|known| known.mechanisms.contains(&mechanism.value.as_str()))
            });
        }
        match (modules.len(), modules.pop()) {
            (1, Some(module)) => Some(Found { module, origin }),
            (_, last) => {
                modules.extend(last);
                let mechanism = mechanism.value.clone();
                let problem =
                    LoginProblem::NotOneModule { mechanism, modules: all, fitting: names(&modules) };
                let hint = "keep one module for `sasl.mechanism` in the section, or set `sasl.jaas.config`";
                self.error(Some(origin), problem.into(), Some(hint.to_owned()));
                None
            }
        }
    }

    fn known_module(&mut self, mechanism: &Sourced<String>, found: &Found) -> Option<&'static Known> {
        let class = found.module.class.as_str();
        let Some(known) = known(class) else {
            let simple = |class: &'static str| class.rsplit('.').next().unwrap_or(class);
            let meant = KNOWN.iter().find(|known| class.rsplit('.').next() == Some(simple(known.class)));
            let hint = match meant {
                Some(known) => format!("probably meant: `{}`", known.class),
                None => {
                    "there are PlainLoginModule, ScramLoginModule and OAuthBearerLoginModule of Kafka, and \
                         com.sun.security.auth.module.Krb5LoginModule"
                        .to_owned()
                }
            };
            let class = looks_like_class(class).then(|| class.to_owned());
            let problem = LoginProblem::ForeignModule { class };
            self.error(Some(found.origin.clone()), problem.into(), Some(hint));
            return None;
        };
        if !known.mechanisms.contains(&mechanism.value.as_str()) {
            let problem = LoginProblem::OtherMechanism {
                mechanism: mechanism.value.clone(),
                module: known.name,
                fits: known.fits,
            };
            let unset = mechanism.origin.file_line().is_none();
            let hint =
                unset.then(|| format!("`sasl.mechanism` is not set; {} is Kafka's default", mechanism.value));
            self.error(Some(found.origin.clone()), problem.into(), hint);
            return None;
        }
        Some(known)
    }

    /// Options that the module does not have. What was meant for a value may look like a name, so that only what is
    /// nearly a known name is shown.
    fn check_options(&mut self, login: &Login<'_>, known: &Known) {
        let fits = |name: &str, pattern: &&&str| match pattern.strip_suffix('*') {
            Some(beginning) => name.starts_with(beginning),
            None => name == **pattern,
        };
        let names = || KNOWN.iter().flat_map(|known| known.options).copied();
        for (number, (name, _)) in (1..).zip(login.module.options()) {
            if known.options.iter().any(|pattern| fits(name, &pattern)) {
                continue;
            }
            let meant = nearest(name, known.options.iter().copied().filter(|name| !name.ends_with('*')));
            let is_name = meant.is_some() || names().any(|known| known == name);
            let option = is_name.then(|| name.to_owned());
            let notice = SecurityNotice::UnknownOption { module: login.name, option, number };
            let hint = meant.map(|meant| format!("probably meant: `{meant}`"));
            self.notice(Some(login.origin.clone()), Notice::Security(notice), hint);
        }
    }

    /// An option that must be there.
    pub(super) fn option_of(&mut self, login: &Login<'_>, option: &'static str) -> Option<Secret> {
        let value = login.module.option(option).filter(|value| !value.is_empty());
        if value.is_none() {
            let problem = LoginProblem::NoOption { module: login.name, option };
            self.error(Some(login.origin.clone()), problem.into(), None);
        }
        value.cloned()
    }

    /// Tells what is wrong with an option.
    pub(super) fn bad_option(&mut self, login: &Login<'_>, option: &'static str, what: &'static str) {
        let problem = LoginProblem::BadOption { module: login.name, option, what };
        self.error(Some(login.origin.clone()), problem.into(), None);
    }

    fn user(&mut self, login: &Login<'_>) -> Option<(String, Secret)> {
        let (username, password) = (self.option_of(login, "username"), self.option_of(login, "password"));
        Some((username?.expose().to_owned(), password?))
    }

    fn scram(&mut self, login: &Login<'_>, hash: ScramHash) -> Option<SaslSettings> {
        let (username, password) = self.user(login)?;
        Some(SaslSettings::Scram { hash, username, password, is_token: login.is_on("tokenauth") })
    }
}

impl Login<'_> {
    /// The text of an option, where there is any.
    pub(super) fn text(&self, option: &str) -> Option<&str> {
        self.module.option(option).map(Secret::expose).filter(|text| !text.is_empty())
    }

    /// Whether an option is `true`.
    pub(super) fn is_on(&self, option: &str) -> bool {
        self.text(option).is_some_and(|text| text.eq_ignore_ascii_case("true"))
    }
}

fn known(class: &str) -> Option<&'static Known> {
    KNOWN.iter().find(|known| known.class == class)
}

/// The modules as they may be told of.
fn names(modules: &[LoginModule]) -> String {
    let name = |module: &LoginModule| match known(&module.class) {
        Some(known) => known.name.to_owned(),
        None if looks_like_class(&module.class) => module.class.clone(),
        None => "another".to_owned(),
    };
    modules.iter().map(name).collect::<Vec<_>>().join(", ")
}

/// `com.example.Module`: nothing that was meant for a password.
fn looks_like_class(text: &str) -> bool {
    let is_part = |part: &str| {
        part.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '$'))
    };
    text.contains('.') && text.split('.').all(is_part)
}
