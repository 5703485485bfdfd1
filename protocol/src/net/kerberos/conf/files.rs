//! Fetches `krb5.conf` and what it includes.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::Conf;
use super::parse::{Include, Included, parse};
use crate::net::kerberos::error::KerberosError;

/// Bytes beyond which a file is no configuration.
const MAX_BYTES: u64 = 1 << 20;
/// Files in an included directory, and in all.
const MAX_FILES: usize = 200;

/// Reads the file and what it includes.
pub(in crate::net::kerberos) fn load(path: &Path) -> Result<Conf, KerberosError> {
    let text = read(path).map_err(|source| KerberosError::config(path, source))?;
    let mut files = 0;
    Ok(parse(&text, path, &mut |what| {
        let included = fetch(what)?;
        files += included.len();
        if files > MAX_FILES {
            Err(format!("more than {MAX_FILES} files are included"))
        } else {
            Ok(included)
        }
    })?)
}

fn read(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(io::Error::other(format!("larger than {MAX_BYTES} bytes")));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn fetch(what: Include<'_>) -> Result<Vec<Included>, String> {
    let one = |path: PathBuf| match read(&path) {
        Ok(text) => Ok((path, text)),
        Err(error) => Err(format!("cannot read the included {}: {error}", path.display())),
    };
    match what {
        Include::File(path) => Ok(vec![one(path.to_owned())?]),
        Include::Directory(path) => {
            let failed =
                |error: io::Error| format!("cannot read the included directory {}: {error}", path.display());
            let mut names = Vec::new();
            for entry in fs::read_dir(path).map_err(failed)?.take(MAX_FILES * 10) {
                names.push(entry.map_err(failed)?.path());
            }
            names.retain(|name| is_configuration(name));
            names.sort();
            names.into_iter().map(one).collect()
        }
    }
}

/// Names of letters, digits, dashes and underscores, and names that end in `.conf`, count (MIT's rule): not what
/// editors and package managers leave.
fn is_configuration(path: &Path) -> bool {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return false };
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    (plain || (name.ends_with(".conf") && !name.starts_with('.'))) && path.is_file()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_included() {
        let directory = std::env::temp_dir().join(format!("kmirror-krb5-{}", std::process::id()));
        fs::create_dir_all(directory.join("d")).unwrap();
        let own = |name: &str| directory.join(name);
        fs::write(own("d/a.conf"), "[libdefaults]\ndefault_realm = A\n").unwrap();
        fs::write(own("d/a.conf~"), "damaged").unwrap();
        fs::write(own("one"), format!("includedir {}\n", own("d").display())).unwrap();
        let conf = load(&own("one")).unwrap();
        assert_eq!(conf.default_realm(), Some("A"));
        let missing = load(&own("none")).unwrap_err().to_string();
        assert!(missing.contains("none"), "{missing}");
        fs::remove_dir_all(&directory).unwrap();
    }
}
