//! PLAIN (RFC 4616): name and password as they are. Whether the connection hides them is the operator's choice
//! (SASL_PLAINTEXT does not; the configuration warns of it). Bytes out, nothing else.

use zeroize::Zeroizing;

use super::SaslError;
use crate::secret::Secret;

const MECHANISM: &str = "PLAIN";

/// The only message. The name we act as is the one we authenticate as.
///
/// # Errors
/// [`SaslError::Unspeakable`] for what holds the separator.
pub(super) fn message(username: &str, password: &Secret) -> Result<Zeroizing<Vec<u8>>, SaslError> {
    for (option, value) in [("username", username), ("password", password.expose())] {
        let why = match value {
            "" => "it is empty",
            value if value.contains('\0') => "it holds a NUL character",
            _ => continue,
        };
        return Err(SaslError::Unspeakable { mechanism: MECHANISM, option: option.to_owned(), why });
    }
    Ok(Zeroizing::new([b"\0", username.as_bytes(), b"\0", password.expose().as_bytes()].concat()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_and_password_follow_an_empty_authorization_id() {
        let message = message("ü", &Secret::new("p,=w")).unwrap();
        assert_eq!(message.as_slice(), "\0ü\0p,=w".as_bytes());
    }

    #[test]
    fn what_cannot_be_told_apart_is_not_said() {
        for (username, password) in [("", "p"), ("u", ""), ("u\0", "p"), ("u", "\0p")] {
            let error = message(username, &Secret::new(password)).unwrap_err();
            assert!(matches!(error, SaslError::Unspeakable { mechanism: "PLAIN", .. }), "{error}");
        }
    }
}
