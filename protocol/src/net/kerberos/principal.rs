//! Names of users and services: `component/component@REALM` (RFC 1964, 2.1.1). Pure.

use std::fmt;

use super::der::{self, DerError, Reader};

/// `KRB_NT_PRINCIPAL`, `KRB_NT_SRV_INST`, `KRB_NT_SRV_HST` (RFC 4120, 7.5.8)
const OF_USER: i32 = 1;
const OF_SERVICE: i32 = 2;
const OF_HOST_SERVICE: i32 = 3;
/// Components beyond which a name is none.
const MAX_COMPONENTS: usize = 16;

/// Who somebody is. Two are the same whatever their types of name.
#[derive(Debug, Clone)]
pub(super) struct Principal {
    pub(super) name_type: i32,
    pub(super) components: Vec<String>,
    pub(super) realm: String,
}

impl PartialEq for Principal {
    fn eq(&self, other: &Self) -> bool {
        (&self.components, &self.realm) == (&other.components, &other.realm)
    }
}

impl Eq for Principal {}

impl Principal {
    pub(super) fn new(components: Vec<String>, realm: impl Into<String>) -> Self {
        Self { name_type: OF_USER, components, realm: realm.into() }
    }

    /// The name in `text`; without `@REALM` it is in `default_realm`. A backslash takes a separator's meaning away.
    pub(super) fn parse(text: &str, default_realm: Option<&str>) -> Option<Self> {
        let mut components = vec![String::new()];
        let mut realm = None;
        let mut letters = text.chars();
        while let Some(letter) = letters.next() {
            match (letter, &mut realm) {
                ('\\', part) => {
                    let to = part.as_mut().or_else(|| components.last_mut())?;
                    to.push(letters.next()?);
                }
                ('@', None) => realm = Some(String::new()),
                ('/', None) => components.push(String::new()),
                (letter, Some(realm)) => realm.push(letter),
                (letter, None) => components.last_mut()?.push(letter),
            }
        }
        let realm = realm.or_else(|| default_realm.map(str::to_owned))?;
        let valid = !realm.is_empty()
            && components.len() <= MAX_COMPONENTS
            && components.iter().all(|component| !component.is_empty());
        valid.then(|| Self::new(components, realm))
    }

    /// A service on a host: `kafka/host@REALM`.
    pub(super) fn service(name: &str, host: &str, realm: &str) -> Self {
        let components = vec![name.to_owned(), host.to_owned()];
        Self { name_type: OF_HOST_SERVICE, components, realm: realm.to_owned() }
    }

    /// Who gives tickets for `of` to those of `at`: `krbtgt/OF@AT`.
    pub(super) fn ticket_granting(of: &str, at: &str) -> Self {
        let components = vec!["krbtgt".to_owned(), of.to_owned()];
        Self { name_type: OF_SERVICE, components, realm: at.to_owned() }
    }

    /// The realm that a ticket with this server's name is good for, if it is `krbtgt/REALM`.
    pub(super) fn grants_for(&self) -> Option<&str> {
        match self.components.as_slice() {
            [krbtgt, realm] if krbtgt == "krbtgt" => Some(realm),
            _ => None,
        }
    }

    /// What goes before a password where the KDC says nothing else: realm and components in a row (RFC 4120, 4).
    pub(super) fn salt(&self) -> Vec<u8> {
        (self.realm.clone() + &self.components.concat()).into_bytes()
    }

    /// `PrincipalName`, which has no realm.
    pub(super) fn to_der(&self) -> Vec<u8> {
        let components: Vec<Vec<u8>> =
            self.components.iter().map(|component| der::string(component)).collect();
        der::sequence(&[
            der::context(0, &der::integer(self.name_type.into())),
            der::context(1, &der::sequence(&components)),
        ])
    }

    /// Reads a `PrincipalName` of `realm`.
    pub(super) fn from_der(reader: &mut Reader<'_>, realm: String) -> Result<Self, DerError> {
        const WHAT: &str = "a principal name";
        let mut name = reader.inside(der::SEQUENCE, WHAT)?;
        let name_type = name.field(0, WHAT)?.int32(WHAT)?;
        let mut list = name.field(1, WHAT)?.inside(der::SEQUENCE, WHAT)?;
        let mut components = Vec::new();
        while !list.is_empty() {
            if components.len() == MAX_COMPONENTS {
                return Err(DerError(WHAT));
            }
            components.push(list.string(WHAT)?);
        }
        Ok(Self { name_type, components, realm })
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.components.join("/"), self.realm)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_as_they_are_written() {
        for (text, components, realm) in [
            ("mm@EXAMPLE.COM", vec!["mm"], "EXAMPLE.COM"),
            ("mirrormaker/host.example.com@R", vec!["mirrormaker", "host.example.com"], "R"),
            ("mm", vec!["mm"], "DEFAULT"),
            (r"a\@b\/c/d@R", vec!["a@b/c", "d"], "R"),
        ] {
            let principal = Principal::parse(text, Some("DEFAULT")).unwrap();
            assert_eq!(
                (principal.components, principal.realm),
                (components.iter().map(|c| (*c).to_owned()).collect(), realm.to_owned())
            );
        }
    }

    #[test]
    fn what_is_no_name() {
        for text in ["", "@R", "a/@R", "a@", "a\\"] {
            assert_eq!(Principal::parse(text, Some("R")), None, "{text}");
        }
        assert_eq!(Principal::parse("a", None), None);
    }

    #[test]
    fn a_name_survives_der() {
        let principal = Principal::service("kafka", "b1.example.com", "R");
        let bytes = principal.to_der();
        let read = Principal::from_der(&mut Reader::new(&bytes), "R".to_owned()).unwrap();
        assert_eq!(read, principal);
        assert_eq!(read.name_type, OF_HOST_SERVICE);
    }
}
