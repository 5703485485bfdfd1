//! How a client's connections are secured and which way they take: `security.protocol`, proxy, bind address, and what
//! is told about keys that have no effect or weaken.

use kmirror_protocol::net::sasl::{SaslSettings, TokenSource};
use kmirror_protocol::net::{Route, Security, SecuritySettings, Socks5};

use super::client::Owner;
use super::reader::{Reader, Sourced};
use super::settings::Setting;
use super::slot::At;
use super::tls::Given;
use crate::config::keys::{self, Status};
use crate::config::problem::{Notice, Problem};
use crate::config::security_problem::{LoginProblem, SecurityNotice};
use crate::plan::{ClusterAlias, Plan};

/// How the clients read so far are secured.
#[derive(Debug, Clone, Default)]
pub(super) struct Secured(Vec<(ClusterAlias, Security)>);

impl Secured {
    /// Clients of one cluster with the same settings share what those bring.
    fn share(&mut self, alias: &ClusterAlias, settings: SecuritySettings) -> Security {
        let same =
            |(other, security): &&(ClusterAlias, Security)| other == alias && security.settings() == settings;
        if let Some((_, security)) = self.0.iter().find(same) {
            return security.clone();
        }
        let security = Security::new(settings);
        self.0.push((alias.clone(), security.clone()));
        security
    }

    /// All there are of some clusters.
    fn of<'a>(&'a self, aliases: &'a [&ClusterAlias]) -> impl Iterator<Item = SecuritySettings> + 'a {
        self.0.iter().filter(|(alias, _)| aliases.contains(&alias)).map(|(_, security)| security.settings())
    }
}

impl Reader<'_> {
    /// How a client's connections are secured.
    pub(super) fn security(&mut self, owner: Owner<'_>) -> Security {
        let protocol = self.protocol(owner);
        let tls = protocol.value.ends_with("SSL").then(|| self.tls(Given::Client(owner)));
        let sasl = if protocol.value.starts_with("SASL") { self.sasl(owner) } else { None };
        if let (None, Some(sasl)) = (&tls, &sasl) {
            self.warn_of_readable(owner.alias(), &protocol, sasl);
        }
        self.secured.share(owner.alias(), SecuritySettings { tls, sasl })
    }

    /// In capitals or small letters (`MirrorMakerConfig`: `CaseInsensitiveValidString`).
    fn protocol(&mut self, owner: Owner<'_>) -> Sourced<String> {
        let opt = &keys::SECURITY_PROTOCOL;
        let places = owner.places(opt);
        let written = self.text(&places, opt);
        let keys::Kind::Choice(words) = opt.kind else { return written };
        match words.iter().find(|word| word.eq_ignore_ascii_case(&written.value)) {
            Some(word) => Sourced { value: (*word).to_owned(), origin: written.origin },
            None => self.choice(&places, opt),
        }
    }

    fn warn_of_readable(&mut self, alias: &ClusterAlias, protocol: &Sourced<String>, sasl: &SaslSettings) {
        let cluster = alias.to_string();
        let notice = match sasl {
            SaslSettings::Plain { .. } => SecurityNotice::ReadablePassword { cluster },
            SaslSettings::OAuthBearer(settings)
                if !matches!(settings.source, TokenSource::Unsecured { .. }) =>
            {
                SecurityNotice::ReadableToken { cluster }
            }
            SaslSettings::AwsMskIam(_) => SecurityNotice::ReadableSignature { cluster },
            _ => return,
        };
        let hint = "SASL_SSL encrypts it".to_owned();
        self.notice(Some(protocol.origin.clone()), Notice::Security(notice), Some(hint));
    }

    /// Which way a client's connections take.
    pub(super) fn route(&mut self, owner: Owner<'_>) -> Route {
        let bind =
            self.text_if_set(&owner.places(&keys::BIND_ADDRESS), &keys::BIND_ADDRESS).and_then(|text| {
                let address = text.value.parse().ok();
                if address.is_none() {
                    self.bad_value(&text, &keys::BIND_ADDRESS, "an IP address of this host".to_owned(), None);
                }
                address
            });
        Route { bind, proxy: self.proxy(owner) }
    }

    fn proxy(&mut self, owner: Owner<'_>) -> Option<Socks5> {
        let text = self.text_if_set(&owner.places(&keys::SOCKS5_PROXY), &keys::SOCKS5_PROXY);
        let user = self.text_if_set(&owner.places(&keys::SOCKS5_USER), &keys::SOCKS5_USER);
        let password = self.secret_if_set(&owner.places(&keys::SOCKS5_PASSWORD), &keys::SOCKS5_PASSWORD);
        let login = match (user, password) {
            (Some(user), Some(password)) => Some((user.value, password.value)),
            (None, None) => None,
            (Some(Sourced { origin, .. }), None) | (None, Some(Sourced { origin, .. })) => {
                let what = "`kmirror.socks5.user` and `kmirror.socks5.password` go together";
                self.error(Some(origin), Problem::Login(LoginProblem::Contradiction(what)), None);
                None
            }
        };
        let text = text?;
        // `socks5://user:password@host:1080` would be a place for secrets that is shown.
        let behind = |scheme| text.value.strip_prefix(scheme);
        let bare =
            behind("socks5://").or_else(|| behind("socks5h://")).unwrap_or(&text.value).trim_end_matches('/');
        match bare.parse() {
            Ok(address) => Some(Socks5 { address, login }),
            Err(_) => {
                let value = "the value".to_owned();
                let expected = "the `host:port` of a SOCKS5 proxy".to_owned();
                let hint = "user and password have keys of their own: `kmirror.socks5.user`, `kmirror.socks5.password`";
                self.error(Some(text.origin), Problem::BadValue { value, expected }, Some(hint.to_owned()));
                None
            }
        }
    }

    /// Tells of keys for encryption and logins that no client uses, and of what Java's options say.
    pub(super) fn review_security(&mut self, plan: &Plan) {
        let mut told: Vec<(&At, bool)> = Vec::new();
        for setting in &self.settings.all {
            let Some(is_sasl) = is_sasl(setting) else { continue };
            // One of them is enough to know that the protocol was forgotten.
            if told.contains(&(&setting.slot.at, is_sasl)) {
                continue;
            }
            if let Some(notice) = self.without_effect(setting, is_sasl, plan) {
                told.push((&setting.slot.at, is_sasl));
                let meant = if is_sasl { "SASL_SSL or SASL_PLAINTEXT" } else { "SSL or SASL_SSL" };
                let hint = format!("if it is meant, set `security.protocol` to {meant}");
                self.notice(Some(setting.origin.clone()), Notice::Security(notice), Some(hint));
            }
        }
        for name in self.surroundings.java.unheeded.clone() {
            let hint = match name.as_str() {
                name if name.starts_with("javax.net.ssl.key") => Some("set `ssl.keystore.location`"),
                "java.security.krb5.realm" | "java.security.krb5.kdc" => {
                    Some("name the realm and its KDCs in a krb5.conf, and that with `--krb5-conf`")
                }
                _ => None,
            };
            let notice = Notice::Security(SecurityNotice::JavaOption { name });
            self.notice(None, notice, hint.map(ToOwned::to_owned));
        }
    }

    fn without_effect(&self, setting: &Setting, is_sasl: bool, plan: &Plan) -> Option<SecurityNotice> {
        let aliases: Vec<&ClusterAlias> = match &setting.slot.at {
            At::Top => plan.clusters.keys().collect(),
            At::Cluster(alias) => vec![alias],
            At::Flow(source, target) => vec![source, target],
        };
        let planned: Vec<&ClusterAlias> =
            aliases.into_iter().filter(|alias| plan.clusters.contains_key(*alias)).collect();
        let mut protocol = None;
        for settings in self.secured.of(&planned) {
            if if is_sasl { settings.sasl.is_some() } else { settings.tls.is_some() } {
                return None;
            }
            protocol = Some(settings.protocol());
        }
        let clusters: Vec<&str> = planned.iter().map(|alias| alias.as_str()).collect();
        // A login that could not be read is told as an error, and nothing here is certain then.
        let protocol = protocol.filter(|_| self.errors.is_empty())?;
        Some(SecurityNotice::WrongProtocol {
            clusters: clusters.join(" and "),
            protocol: protocol.to_owned(),
        })
    }
}

/// Whether a key is of logins (true) or of encryption (false), if it is one of the two and means something.
fn is_sasl(setting: &Setting) -> Option<bool> {
    let name = setting.slot.name.as_str();
    keys::named(name).find(|opt| opt.status == Status::Used)?;
    match name {
        _ if name.starts_with("sasl.") || name.starts_with("kerberos.") => Some(true),
        _ if name.starts_with("ssl.") => Some(false),
        _ => None,
    }
}
