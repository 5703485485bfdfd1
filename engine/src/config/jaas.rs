//! Logins as Java has them: the value of `sasl.jaas.config`, and files with sections (`KafkaClient { .. };`).
//!
//! The rules are those of Kafka's class `JaasConfig` and of Java's `ConfigFile`. Pure text; knows no module and no
//! option. No error tells what stands in the text: it may be a password that was not put in quotes.

mod expand;
mod tokens;

use expand::expanded;
use tokens::{Token, Tokens};

pub use expand::Properties;

use crate::config::secret_text;
use kmirror_protocol::Secret;

/// Bytes a login may have, and a file of them.
pub const JAAS_BYTES_MAX: usize = 1 << 20;
/// The section that counts for clients (Kafka class `JaasContext`).
pub const CLIENT_SECTION: &str = "KafkaClient";

/// One login module with its options.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginModule {
    /// The name of the Java class.
    pub class: String,
    /// Its options, of repeated ones the last.
    options: Vec<(String, Secret)>,
}

impl LoginModule {
    /// An option's value.
    pub fn option(&self, name: &str) -> Option<&Secret> {
        self.options.iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// All options, in their order.
    pub fn options(&self) -> impl Iterator<Item = (&str, &Secret)> {
        self.options.iter().map(|(key, value)| (key.as_str(), value))
    }

    fn set(&mut self, key: String, value: Secret) {
        match self.options.iter_mut().find(|(known, _)| *known == key) {
            Some((_, known)) => *known = value,
            None => self.options.push((key, value)),
        }
    }
}

/// Why a text is no login.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JaasError {
    /// Longer than a login can be.
    #[error("the login has {bytes} bytes; it may have {limit}")]
    TooLarge {
        /// How long it is.
        bytes: usize,
        /// How long it may be.
        limit: usize,
    },
    /// A quote without its partner on the same line.
    #[error("a quote is never closed")]
    UnclosedQuote,
    /// Nothing is there.
    #[error("no login module is given")]
    NoModule,
    /// More than one login module.
    #[error("{count} login modules are given; there must be one")]
    SeveralModules {
        /// How many.
        count: usize,
    },
    /// Something else where the module's class should be.
    #[error("a login begins with the class of a login module")]
    NoClass,
    /// No flag, or none that there is.
    #[error("behind the login module's class stands no flag")]
    NoFlag,
    /// Something else where an option should begin.
    #[error("what stands for option {number} has no name")]
    NoName {
        /// The option, counted from 1.
        number: usize,
    },
    /// An option without a value.
    #[error("option {number} has no value")]
    NoValue {
        /// The option, counted from 1.
        number: usize,
    },
    /// No semicolon at the end.
    #[error("the login does not end with a semicolon")]
    NotEnded,
    /// Java replaces `${..}` in files by system properties.
    #[error("option {number} names a Java system property that is not given")]
    SystemProperty {
        /// The option, counted from 1.
        number: usize,
    },
    /// A file that does not consist of sections.
    #[error("a JAAS file consists of sections, `NAME {{ .. }};`, and here none begins or ends")]
    NoSection,
    /// A file without the section for clients.
    #[error("the file has no section `{CLIENT_SECTION}`")]
    NoClientSection,
}

impl JaasError {
    /// What to do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NoFlag => Some("write `required` behind the class"),
            Self::UnclosedQuote => {
                Some("a quote within quotes has a backslash before it; in a properties file two of them")
            }
            // What is behind the slash is a comment, the semicolon with it.
            Self::NotEnded | Self::NoValue { .. } | Self::NoName { .. } => Some(
                "write `name=\"value\"` and a semicolon at the end; a value with a slash, a blank or a quote needs \
                 quotes around it",
            ),
            Self::SystemProperty { .. } => {
                Some("write the value itself, or give it in KAFKA_OPTS, `-DNAME=value`")
            }
            Self::NoSection | Self::NoClientSection => {
                Some("write `KafkaClient { MODULE required name=\"value\"; };`")
            }
            Self::SeveralModules { .. } => Some("keep the one that goes with `sasl.mechanism`"),
            Self::TooLarge { .. } | Self::NoModule | Self::NoClass => None,
        }
    }
}

/// Reads the value of `sasl.jaas.config`.
///
/// # Errors
/// What Kafka refuses, and a quote that is not closed, which Java takes for closed at the end of its line.
pub fn parse_option(text: &str) -> Result<LoginModule, JaasError> {
    let mut tokens = Tokens::new(limited(text)?, false);
    let mut modules = Vec::new();
    while let Some(token) = tokens.next()? {
        modules.push(module(token, &mut tokens, None)?);
    }
    only(modules)
}

/// Reads a JAAS file and gives back the logins of its section for clients: Java's class `LoginContext` takes several.
/// `${name}` in their values stands for a system property.
///
/// # Errors
/// When the file is not one, or has no such section with a module in it.
pub fn parse_file(text: &str, properties: Properties<'_>) -> Result<Vec<LoginModule>, JaasError> {
    let mut tokens = Tokens::new(limited(text)?, true);
    let mut found = None;
    while let Some(token) = tokens.next()? {
        let Token::Text(name) = token else { return Err(JaasError::NoSection) };
        let is_clients = name.as_str() == CLIENT_SECTION;
        let modules = section(&mut tokens, is_clients.then_some(properties))?;
        if is_clients && found.is_none() {
            found = Some(modules);
        }
    }
    let modules = found.ok_or(JaasError::NoClientSection)?;
    if modules.is_empty() { Err(JaasError::NoModule) } else { Ok(modules) }
}

fn limited(text: &str) -> Result<&str, JaasError> {
    let (bytes, limit) = (text.len(), JAAS_BYTES_MAX);
    if bytes > limit { Err(JaasError::TooLarge { bytes, limit }) } else { Ok(text) }
}

fn only(mut modules: Vec<LoginModule>) -> Result<LoginModule, JaasError> {
    match (modules.len(), modules.pop()) {
        (1, Some(module)) => Ok(module),
        (0, _) => Err(JaasError::NoModule),
        (count, _) => Err(JaasError::SeveralModules { count }),
    }
}

/// What is between the braces, behind a section's name.
fn section(
    tokens: &mut Tokens<'_>,
    properties: Option<Properties<'_>>,
) -> Result<Vec<LoginModule>, JaasError> {
    if !matches!(tokens.next()?, Some(Token::Sign('{'))) {
        return Err(JaasError::NoSection);
    }
    let mut modules = Vec::new();
    loop {
        match tokens.next()? {
            Some(Token::Sign('}')) => break,
            Some(token) => modules.push(module(token, tokens, properties)?),
            None => return Err(JaasError::NoSection),
        }
    }
    match tokens.next()? {
        Some(Token::Sign(';')) => Ok(modules),
        _ => Err(JaasError::NoSection),
    }
}

/// A module as far as its semicolon. In files Java replaces system properties in values, which is of no account in sections
/// of others.
fn module(
    first: Token,
    tokens: &mut Tokens<'_>,
    properties: Option<Properties<'_>>,
) -> Result<LoginModule, JaasError> {
    let Token::Text(class) = first else { return Err(JaasError::NoClass) };
    let mut module = LoginModule { class: class.to_string(), options: Vec::new() };
    match tokens.next()? {
        Some(Token::Text(flag)) if is_flag(&flag) => {}
        _ => return Err(JaasError::NoFlag),
    }
    for number in 1.. {
        let name = match tokens.next()? {
            Some(Token::Sign(';')) => break,
            Some(Token::Text(name)) => name,
            Some(Token::Sign(_)) => return Err(JaasError::NoName { number }),
            None => return Err(JaasError::NotEnded),
        };
        let sign = tokens.next()?;
        match (sign, tokens.next()?) {
            (Some(Token::Sign('=')), Some(Token::Text(value))) => {
                let value = match properties {
                    Some(properties) => {
                        expanded(value, properties).ok_or(JaasError::SystemProperty { number })?
                    }
                    None => secret_text(value),
                };
                module.set(name.to_string(), value);
            }
            _ => return Err(JaasError::NoValue { number }),
        }
    }
    Ok(module)
}

/// What the flag says matters only among several modules, of which only one is for the mechanism.
fn is_flag(word: &str) -> bool {
    ["required", "requisite", "sufficient", "optional"].iter().any(|flag| flag.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests;
