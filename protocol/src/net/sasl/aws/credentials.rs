//! Where credentials of AWS come from: the environment, or the shared credentials file. Not from the network: neither
//! instance metadata nor STS is asked.

use std::collections::BTreeMap;
use std::env;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zeroize::Zeroizing;

use super::AwsError;
use crate::secret::Secret;

/// More than anybody's credentials file holds.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Who signs.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Credentials {
    pub(super) key_id: String,
    pub(super) secret: Secret,
    /// Of temporary credentials.
    pub(super) token: Option<Secret>,
}

/// Those of a named profile; or else those of the environment; or else those of the profile the environment names, or
/// `default`. In each exchange anew, since others replace them.
///
/// # Errors
/// [`AwsError`].
pub(super) fn find(profile: Option<&str>) -> Result<Credentials, AwsError> {
    let variable = |name| env::var(name).ok().filter(|value| !value.is_empty());
    let own =
        variable("AWS_ACCESS_KEY_ID").zip(variable("AWS_SECRET_ACCESS_KEY")).filter(|_| profile.is_none());
    if let Some((key_id, secret)) = own {
        let token = variable("AWS_SESSION_TOKEN").map(Secret::new);
        return Ok(Credentials { key_id, secret: Secret::new(secret), token });
    }
    let named = variable("AWS_PROFILE");
    let profile = profile.or(named.as_deref()).unwrap_or("default");
    let home = || Some(PathBuf::from(variable("HOME")?).join(".aws/credentials"));
    let path = variable("AWS_SHARED_CREDENTIALS_FILE").map(PathBuf::from).or_else(home);
    let path = path.ok_or(AwsError::Nowhere)?;
    let text = read(&path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => AwsError::Nowhere,
        _ => AwsError::File { path: path.clone(), source: Arc::new(error) },
    })?;
    from_file(&text, profile).ok_or_else(|| AwsError::NoProfile { path, profile: profile.to_owned() })
}

fn read(path: &Path) -> io::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::new());
    File::open(path)?.take(MAX_FILE_BYTES).read_to_string(&mut text)?;
    Ok(text)
}

/// The keys of a section in an INI file.
fn from_file(text: &str, profile: &str) -> Option<Credentials> {
    let mut found = BTreeMap::new();
    let mut is_ours = false;
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';'])) {
        if let Some(section) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            is_ours = section.trim() == profile;
        } else if let Some((key, value)) = line.split_once('=').filter(|_| is_ours) {
            found.insert(key.trim().to_ascii_lowercase(), Secret::new(value.trim()));
        }
    }
    let mut take = |key: &str| found.remove(key).filter(|value| !value.is_empty());
    Some(Credentials {
        key_id: take("aws_access_key_id")?.expose().to_owned(),
        secret: take("aws_secret_access_key")?,
        token: take("aws_session_token"),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FILE: &str = "# mine\n[default]\naws_access_key_id = A\naws_secret_access_key=s=/+\n\n[ work ]\n\
                        AWS_Access_Key_Id=B\naws_secret_access_key = t\naws_session_token = u\nregion = x\n[empty]\n";

    #[test]
    fn profiles_are_told_apart() {
        let default = from_file(FILE, "default").unwrap();
        assert_eq!((default.key_id.as_str(), default.secret.expose(), default.token), ("A", "s=/+", None));
        let work = from_file(FILE, "work").unwrap();
        assert_eq!((work.key_id.as_str(), work.secret.expose()), ("B", "t"));
        assert_eq!(work.token.unwrap().expose(), "u");
        assert_eq!((from_file(FILE, "empty"), from_file(FILE, "other")), (None, None));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[\\[\\]=#;a_ \n]{0,60}|.{0,60}") {
            let _ = from_file(&text, "a");
        }
    }
}
