//! The text of `krb5.conf`: sections, braces, comments, inclusions. Pure: whoever calls it fetches included files.

use std::path::{Path, PathBuf};

use super::Conf;
use crate::net::kerberos::crypto::Etype;

/// Included files within included files.
const MAX_DEPTH: usize = 10;
/// Braces within braces.
const MAX_NESTING: usize = 10;
/// Keys in all files together.
const MAX_ENTRIES: usize = 20_000;

/// A file that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}, line {line}: {what}", file = file.display())]
pub struct ConfError {
    /// Which.
    pub file: PathBuf,
    /// Counted from 1.
    pub line: usize,
    /// What is wrong.
    pub what: String,
}

/// What a line asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Include<'a> {
    File(&'a Path),
    /// All files in it whose names MIT's library takes (see `files`).
    Directory(&'a Path),
}

/// An included file: its path and text.
pub(super) type Included = (PathBuf, String);

/// Reads a file's text; `include` fetches what it includes, or says why it cannot.
pub(super) fn parse(
    text: &str,
    file: &Path,
    include: &mut dyn FnMut(Include<'_>) -> Result<Vec<Included>, String>,
) -> Result<Conf, ConfError> {
    let mut conf = Conf::default();
    Parser { conf: &mut conf, include }.file(text, file, 0)?;
    Ok(conf)
}

struct Parser<'a> {
    conf: &'a mut Conf,
    include: &'a mut dyn FnMut(Include<'_>) -> Result<Vec<Included>, String>,
}

/// Where a file is being read.
#[derive(Default)]
struct Place {
    /// The section and the subsections that are open.
    path: Vec<String>,
    /// A key whose brace is to come in the next line.
    awaits_brace: Option<String>,
}

impl Parser<'_> {
    fn file(&mut self, text: &str, file: &Path, depth: usize) -> Result<(), ConfError> {
        let mut place = Place::default();
        for (index, line) in text.lines().enumerate() {
            let wrong = |what: String| ConfError { file: file.to_owned(), line: index + 1, what };
            let line = line.trim();
            if line.is_empty() || line.starts_with(['#', ';']) {
                continue;
            }
            match included(line) {
                Some(_) if depth == MAX_DEPTH => {
                    return Err(wrong("files include each other too deeply".to_owned()));
                }
                Some(what) => {
                    for (path, text) in (self.include)(what).map_err(wrong)? {
                        self.file(&text, &path, depth + 1)?;
                    }
                }
                None => self.line(&mut place, line).map_err(|what| wrong(what.to_owned()))?,
            }
        }
        match place.path.len() {
            0 | 1 => Ok(()),
            _ => Err(ConfError {
                file: file.to_owned(),
                line: text.lines().count(),
                what: "a closing brace is missing".to_owned(),
            }),
        }
    }

    fn line(&mut self, place: &mut Place, line: &str) -> Result<(), &'static str> {
        if let Some(key) = place.awaits_brace.take() {
            if line != "{" {
                return Err("an opening brace is missing");
            }
            return open(place, key);
        }
        if line.starts_with('[') {
            return begin_section(place, line);
        }
        if line.starts_with('}') {
            return if place.path.len() > 1 {
                place.path.pop();
                Ok(())
            } else {
                Err("a closing brace closes nothing")
            };
        }
        if place.path.is_empty() {
            // Before the first section: `module` and whatever else is none of ours.
            return Ok(());
        }
        let (key, value) = line.split_once('=').ok_or("neither a section, nor 'key = value', nor a brace")?;
        let (key, value) = (key.trim().trim_end_matches('*').to_owned(), value.trim());
        match value {
            "{" => open(place, key),
            "" => {
                place.awaits_brace = Some(key);
                Ok(())
            }
            value => self.keep(place, key, unquoted(value)),
        }
    }

    fn keep(&mut self, place: &Place, key: String, value: String) -> Result<(), &'static str> {
        if self.conf.entries.len() == MAX_ENTRIES {
            return Err("too many keys");
        }
        let path = place.path.iter().cloned().chain(std::iter::once(key)).collect();
        self.conf.entries.push((path, value));
        Ok(())
    }
}

fn included(line: &str) -> Option<Include<'_>> {
    let (word, path) = line.split_once(char::is_whitespace)?;
    let path = Path::new(path.trim());
    match word {
        // `include = x` within a section is a key.
        _ if path.starts_with("=") => None,
        "include" => Some(Include::File(path)),
        "includedir" => Some(Include::Directory(path)),
        _ => None,
    }
}

fn begin_section(place: &mut Place, line: &str) -> Result<(), &'static str> {
    if place.path.len() > 1 {
        return Err("a closing brace is missing before this section");
    }
    let name = line.strip_prefix('[').and_then(|rest| rest.split_once(']')).ok_or("a section without ']'")?.0;
    place.path = vec![name.trim().to_owned()];
    Ok(())
}

fn open(place: &mut Place, key: String) -> Result<(), &'static str> {
    if place.path.len() > MAX_NESTING {
        return Err("braces are nested too deeply");
    }
    place.path.push(key);
    Ok(())
}

/// Text in quotation marks with its escapes, or the text as it is.
fn unquoted(value: &str) -> String {
    let Some(inner) = value.strip_prefix('"') else { return value.to_owned() };
    let mut out = String::new();
    let mut letters = inner.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '"' => break,
            '\\' => match letters.next() {
                Some('n') => out.push('\n'),
                Some('t') => out.push('\t'),
                Some(other) => out.push(other),
                None => {}
            },
            other => out.push(other),
        }
    }
    out
}

/// A list of encryption types: names, MIT's families and short names, `-name` to take one out. Those we do not speak
/// are left out.
pub(super) fn etypes(text: &str) -> Vec<Etype> {
    let mut list: Vec<Etype> = Vec::new();
    for word in text.split(|c: char| c.is_whitespace() || c == ',').filter(|word| !word.is_empty()) {
        let word = word.to_ascii_lowercase();
        let (takes_out, name) = word.strip_prefix('-').map_or((false, word.as_str()), |name| (true, name));
        let named: &[Etype] = match name.trim_start_matches('+') {
            "aes" | "default" => &Etype::ALL,
            "aes128-cts-hmac-sha1-96" | "aes128-cts" | "aes128-sha1" => &[Etype::Aes128Sha1],
            "aes256-cts-hmac-sha1-96" | "aes256-cts" | "aes256-sha1" => &[Etype::Aes256Sha1],
            "aes128-cts-hmac-sha256-128" | "aes128-sha2" => &[Etype::Aes128Sha2],
            "aes256-cts-hmac-sha384-192" | "aes256-sha2" => &[Etype::Aes256Sha2],
            _ => &[],
        };
        if takes_out {
            list.retain(|etype| !named.contains(etype));
        } else {
            let fresh: Vec<Etype> = named.iter().copied().filter(|etype| !list.contains(etype)).collect();
            list.extend(fresh);
        }
    }
    list
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<Conf, ConfError> {
        parse(text, Path::new("f"), &mut |_| Ok(Vec::new()))
    }

    fn entries(text: &str) -> Vec<(String, String)> {
        read(text).unwrap().entries.into_iter().map(|(path, value)| (path.join("/"), value)).collect()
    }

    #[test]
    fn sections_braces_and_quotes() {
        let text = "; c\n[a]*\n k = v = w\n q = \"x\\ty\" # behind\n s = {\n  t = {\n  u = 1\n }\n }\n n =\n {\n m = 2\n }\n[b]\nk* = 3\n";
        let expected = [("a/k", "v = w"), ("a/q", "x\ty"), ("a/s/t/u", "1"), ("a/n/m", "2"), ("b/k", "3")];
        assert_eq!(entries(text), expected.map(|(path, value)| (path.to_owned(), value.to_owned())));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        for (text, line) in [
            ("[a\n", 1),
            ("[a]\nword\n", 2),
            ("[a]\ns = {\nk = v\n", 3),
            ("[a]\n}\n", 2),
            ("[a]\nk =\nx\n", 3),
            ("[a]\ns = {\n[b]\n", 3),
        ] {
            assert_eq!(read(text).unwrap_err().line, line, "{text}");
        }
    }

    #[test]
    fn files_include_files() {
        let mut asked = Vec::new();
        let conf = parse("include /x\nincludedir /d\n[a]\nk = 1\n", Path::new("f"), &mut |what| {
            asked.push(format!("{what:?}"));
            Ok(vec![("/x".into(), "[a]\nk = 0\n".to_owned())])
        });
        assert_eq!(conf.unwrap().entries.len(), 3);
        assert_eq!(asked.len(), 2);
        let endless = parse("include /x\n", Path::new("f"), &mut |_| {
            Ok(vec![("/x".into(), "include /x\n".to_owned())])
        });
        assert!(endless.unwrap_err().what.contains("too deeply"));
    }

    #[test]
    fn lists_of_types() {
        assert_eq!(
            etypes("DEFAULT -aes128-cts, rc4"),
            [Etype::Aes256Sha1, Etype::Aes256Sha2, Etype::Aes128Sha2]
        );
        assert_eq!(etypes("des3-cbc-sha1"), []);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "([\\[\\]{}=\"\\\\#;* \na-c]|include |includedir ){0,80}") {
            let _ = read(&text);
        }
    }
}
