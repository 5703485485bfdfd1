//! Why a broker and we did not agree on who we are. Holds no secret, and nothing of a broker's words unbounded.

use std::sync::Arc;

use super::aws::AwsError;
use super::oauth::TokenError;
use crate::net::kerberos::KerberosError;
use crate::wire::error::ErrorCode;

/// How much of somebody else's words an error repeats, in characters.
pub(super) const MAX_QUOTED: usize = 500;

/// Why authentication failed. Cheap to clone.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum SaslError {
    /// The broker has other mechanisms.
    #[error(
        "mechanism {mechanism} is not enabled there, but {} is; set sasl.mechanism to what the listener has, or enable \
         {mechanism} on the broker (sasl.enabled.mechanisms)",
        list(.enabled)
    )]
    Mechanism {
        /// What is configured.
        mechanism: &'static str,
        /// What the broker has.
        enabled: Vec<Arc<str>>,
    },
    /// The listener does not authenticate, or not now.
    #[error(
        "the broker wants no authentication on this listener ({code}); if it is an open one, set security.protocol to \
         PLAINTEXT or SSL"
    )]
    NotWanted {
        /// The broker's answer.
        code: ErrorCode,
    },
    /// The broker does not believe us.
    #[error("{mechanism}{} was refused: {message} ({code}); {hint}", whom(.user))]
    Refused {
        /// What is configured.
        mechanism: &'static str,
        /// Who we said we are, where the mechanism has us say so.
        user: Option<Arc<str>>,
        /// The broker's answer.
        code: ErrorCode,
        /// Its words.
        message: Arc<str>,
        /// What to look at.
        hint: Arc<str>,
    },
    /// The broker does not know our password either.
    #[error(
        "the broker could not prove that it knows the password of {mechanism}; somebody may stand between it and us"
    )]
    Imposter {
        /// What is configured.
        mechanism: &'static str,
    },
    /// The broker asks for an amount of computing that is too little to be safe, or too much to be honest.
    #[error("the broker asks for {asked} iterations of {mechanism}; {least} to {most} are accepted")]
    Iterations {
        /// What is configured.
        mechanism: &'static str,
        /// What it asks for.
        asked: u32,
        /// The least that is accepted.
        least: u32,
        /// The most that is accepted.
        most: u32,
    },
    /// What the broker said is not what comes next.
    #[error("the broker and we do not speak the same {mechanism}: {what}")]
    Challenge {
        /// What is configured.
        mechanism: &'static str,
        /// What is wrong with it.
        what: &'static str,
    },
    /// What is configured cannot be said in this mechanism.
    #[error("{option} cannot be sent by {mechanism}: {why}")]
    Unspeakable {
        /// What is configured.
        mechanism: &'static str,
        /// Whose value it is.
        option: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Before Kafka 1.0 tokens went outside of Kafka's protocol, which is not spoken here.
    #[error("the broker is too old: authentication takes Kafka 1.0 or later (SaslAuthenticate)")]
    TooOld,
    /// The operating system gave no random numbers.
    #[error("the operating system gives no random numbers")]
    NoRandom,
    /// There is no token to show.
    #[error("there is no token for OAUTHBEARER")]
    Token(#[source] TokenError),
    /// There is nothing to sign with.
    #[error("AWS_MSK_IAM cannot sign")]
    Aws(#[source] AwsError),
    /// There is no ticket to show, or the broker's is no good.
    #[error("GSSAPI failed")]
    Kerberos(#[source] Arc<KerberosError>),
}

impl SaslError {
    /// Whether it may pass by itself: the credentials are not at fault.
    pub fn is_retriable(&self) -> bool {
        match self {
            Self::Token(error) => error.is_retriable(),
            Self::Kerberos(error) => error.is_transient(),
            Self::NoRandom => true,
            Self::Refused { code, .. } => *code != ErrorCode::SaslAuthenticationFailed,
            _ => false,
        }
    }
}

fn list(mechanisms: &[Arc<str>]) -> String {
    if mechanisms.is_empty() { "none".to_owned() } else { mechanisms.join(", ") }
}

fn whom(user: &Option<Arc<str>>) -> String {
    user.as_ref().map(|user| format!(" as user {user}")).unwrap_or_default()
}

/// What to look at when a broker refuses.
pub(super) fn hint(mechanism: &str) -> &'static str {
    match mechanism {
        "PLAIN" => "check username and password in sasl.jaas.config",
        "OAUTHBEARER" => {
            "check what the broker expects of tokens: issuer, audience, scope, and the clocks of both sides"
        }
        "AWS_MSK_IAM" => "check the credentials, their policy (kafka-cluster:Connect), and the clock",
        _ => {
            "check username and password in sasl.jaas.config, and that the user has credentials for this very \
             mechanism (kafka-configs --describe --entity-type users)"
        }
    }
}

/// Somebody else's words, short and in one line.
pub(in crate::net) fn quoted(words: &str) -> String {
    let mut text: String =
        words.trim().chars().take(MAX_QUOTED).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if words.trim().chars().nth(MAX_QUOTED).is_some() {
        text.push_str("...");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_peoples_words_are_short_and_in_one_line() {
        assert_eq!(quoted(" a\nb\u{1b}[1m "), "a b [1m");
        assert_eq!(quoted(&"ü".repeat(600)).chars().count(), MAX_QUOTED + 3);
    }

    #[test]
    fn errors_say_what_to_do() {
        let error = SaslError::Mechanism {
            mechanism: "PLAIN",
            enabled: vec!["GSSAPI".into(), "SCRAM-SHA-256".into()],
        };
        assert!(error.to_string().contains("GSSAPI, SCRAM-SHA-256 is; set sasl.mechanism"), "{error}");
        let error = SaslError::Refused {
            mechanism: "SCRAM-SHA-512",
            user: Some("alice".into()),
            code: ErrorCode::SaslAuthenticationFailed,
            message: "no".into(),
            hint: hint("SCRAM-SHA-512").into(),
        };
        assert!(
            error.to_string().starts_with("SCRAM-SHA-512 as user alice was refused: no (SASL_AUTH"),
            "{error}"
        );
        assert!(!error.is_retriable());
    }
}
