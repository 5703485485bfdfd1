//! AWS_MSK_IAM: Amazon's mechanism for its own Kafka. One message: a request to AWS, signed in advance, as JSON
//! (`AWS4SignedPayloadGenerator` of aws-msk-iam-auth, version 2020_10_22).
//!
//! Nobody here has such a cluster: what is tried is the signature, against the examples of AWS and of another client.

mod credentials;
mod sign;

use std::env;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value};
use zeroize::Zeroizing;

use credentials::Credentials;
use sign::{ALGORITHM, Scope, signature, uri_encoded};

pub(super) const MECHANISM: &str = "AWS_MSK_IAM";

const SERVICE: &str = "kafka-cluster";
const ACTION: &str = "kafka-cluster:Connect";
const VERSION: &str = "2020_10_22";
const EXPIRES_SECONDS: &str = "900";
/// SHA-256 of no bytes.
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// Who signs (`IAMLoginModule`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AwsSettings {
    /// `awsProfileName`; the environment's credentials, or its profile, where it is left out.
    pub profile: Option<String>,
}

/// Why nothing can be signed. Cheap to clone.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum AwsError {
    /// There are none.
    #[error(
        "there are no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or write ~/.aws/credentials \
         (neither instance metadata nor STS is asked)"
    )]
    Nowhere,
    /// The file cannot be read.
    #[error("the credentials file {path} cannot be read (AWS_SHARED_CREDENTIALS_FILE)")]
    File {
        /// Which.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: Arc<io::Error>,
    },
    /// The file is about others.
    #[error(
        "the credentials file {path} has no access key of profile {profile} (awsProfileName, AWS_PROFILE)"
    )]
    NoProfile {
        /// Which.
        path: PathBuf,
        /// Whose.
        profile: String,
    },
    /// Nothing says where the cluster is.
    #[error("{host} does not tell its region, as names of MSK brokers do; set AWS_REGION")]
    NoRegion {
        /// The broker.
        host: String,
    },
    /// A piece of work of ours ended without a result.
    #[error("an inner task failed; this is a defect of kmirror")]
    Inner,
}

/// The message for a broker, with what is known now.
///
/// # Errors
/// [`AwsError`].
pub(super) async fn message(settings: &AwsSettings, host: &str) -> Result<Zeroizing<Vec<u8>>, AwsError> {
    let profile = settings.profile.clone();
    let found = tokio::task::spawn_blocking(move || credentials::find(profile.as_deref())).await;
    let credentials = found.map_err(|_| AwsError::Inner)??;
    let elsewhere = || ["AWS_REGION", "AWS_DEFAULT_REGION"].iter().find_map(|name| env::var(name).ok());
    let region = region(host).map(str::to_owned).or_else(elsewhere);
    let region = region.ok_or_else(|| AwsError::NoRegion { host: host.to_owned() })?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    Ok(payload(&credentials, host, &region, &sign::timestamp(now)))
}

/// What stands behind `kafka` or `kafka-serverless` in a broker's name.
fn region(host: &str) -> Option<&str> {
    let labels: Vec<&str> = host.split('.').collect();
    labels.windows(3).find_map(|three| match three {
        ["kafka" | "kafka-serverless", region, "amazonaws"] => Some(*region),
        _ => None,
    })
}

fn payload(credentials: &Credentials, host: &str, region: &str, timestamp: &str) -> Zeroizing<Vec<u8>> {
    let scope = Scope { timestamp, region, service: SERVICE };
    let credential = format!("{}/{}", credentials.key_id, scope.text());
    let token = credentials.token.as_ref().map(|token| token.expose());
    // In the order of their names, which is that of the canonical request.
    let query = [
        ("Action", Some(ACTION)),
        ("X-Amz-Algorithm", Some(ALGORITHM)),
        ("X-Amz-Credential", Some(credential.as_str())),
        ("X-Amz-Date", Some(timestamp)),
        ("X-Amz-Expires", Some(EXPIRES_SECONDS)),
        ("X-Amz-Security-Token", token),
        ("X-Amz-SignedHeaders", Some("host")),
    ];
    let present = || query.iter().filter_map(|(name, value)| Some((*name, (*value)?)));
    let encoded: Vec<String> =
        present().map(|(name, value)| format!("{name}={}", uri_encoded(value))).collect();
    let canonical = format!("GET\n/\n{}\nhost:{host}\n\nhost\n{EMPTY}", encoded.join("&"));
    let signature = signature(credentials.secret.expose(), &scope, &canonical);

    let mut members = Map::new();
    let others =
        [("version", VERSION), ("host", host), ("user-agent", "kmirror"), ("x-amz-signature", &signature)];
    for (name, value) in others.into_iter().chain(present()) {
        members.insert(name.to_ascii_lowercase(), Value::from(value));
    }
    Zeroizing::new(Value::Object(members).to_string().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    const HOST: &str = "b-1.demo.kafka.eu-west-1.amazonaws.com";

    fn signed(token: Option<&str>) -> Map<String, Value> {
        let credentials = Credentials {
            key_id: "AKIDEXAMPLE".to_owned(),
            secret: Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
            token: token.map(Secret::new),
        };
        serde_json::from_slice(&payload(&credentials, HOST, "eu-west-1", "20261122T004800Z")).unwrap()
    }

    /// The signatures are those that a program after kafka-python's client made of the same values.
    #[test]
    fn the_message_is_that_of_other_clients() {
        let message = signed(None);
        for (name, value) in [
            ("version", "2020_10_22"),
            ("host", HOST),
            ("action", "kafka-cluster:Connect"),
            ("x-amz-algorithm", "AWS4-HMAC-SHA256"),
            ("x-amz-credential", "AKIDEXAMPLE/20261122/eu-west-1/kafka-cluster/aws4_request"),
            ("x-amz-date", "20261122T004800Z"),
            ("x-amz-expires", "900"),
            ("x-amz-signedheaders", "host"),
            ("x-amz-signature", "dee383cf501ff5ef3dc3ff2bf24b01f6c8272c6ccc7376b003c3ff13443f9c89"),
        ] {
            assert_eq!(message[name], value, "{name}");
        }
        assert_eq!(message.len(), 10, "{message:?}");
        let message = signed(Some("to/ken+=~"));
        assert_eq!(message["x-amz-security-token"], "to/ken+=~");
        let expected = "36193d29a96d8e20671f960f94a7aca77c60c111a3782a5b5b264f41d8382711";
        assert_eq!(message["x-amz-signature"], expected);
    }

    #[test]
    fn brokers_tell_their_region() {
        assert_eq!(region(HOST), Some("eu-west-1"));
        assert_eq!(region("boot-x.c1.kafka-serverless.us-east-1.amazonaws.com"), Some("us-east-1"));
        assert_eq!(region("b-1.x.kafka.cn-north-1.amazonaws.com.cn"), Some("cn-north-1"));
        for host in ["localhost", "kafka.example.com", "kafka", "10.0.0.1", ""] {
            assert_eq!(region(host), None, "{host}");
        }
    }
}
