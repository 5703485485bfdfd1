//! Where a setting comes from. Every value carries its origin as far as the message that names it.

use std::fmt;
use std::sync::Arc;

/// Where a setting was found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Origin {
    /// Nobody set it: the option table's default, under this key.
    Default {
        /// The key whose default it is.
        key: &'static str,
    },
    /// A line of a properties file.
    Line {
        /// The file's name as it was given.
        file: Arc<str>,
        /// The line the key stands on, counted from 1.
        line: usize,
        /// The key as it was written there.
        key: Arc<str>,
    },
    /// A line of a properties file that does not look like an option. It may be a piece of a secret, so that nothing of
    /// it is kept.
    Unnamed {
        /// The file's name as it was given.
        file: Arc<str>,
        /// The line, counted from 1.
        line: usize,
    },
    /// A section of a JAAS file.
    Section {
        /// The file's name as it was given.
        file: Arc<str>,
        /// The section's name.
        name: &'static str,
    },
    /// An argument of the program.
    Argument {
        /// The argument's name, `--clusters` for one.
        name: &'static str,
    },
}

impl Origin {
    /// The key as it was written, or whose default it is; none where it may not be shown.
    pub fn key(&self) -> Option<&str> {
        match self {
            Self::Default { key } => Some(key),
            Self::Line { key, .. } => Some(key),
            Self::Unnamed { .. } => None,
            Self::Section { name, .. } | Self::Argument { name } => Some(name),
        }
    }

    /// The file and the line, when it is one.
    pub fn file_line(&self) -> Option<(&str, usize)> {
        match self {
            Self::Line { file, line, .. } | Self::Unnamed { file, line } => Some((file, *line)),
            Self::Default { .. } | Self::Section { .. } | Self::Argument { .. } => None,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default { key } => write!(f, "default of {key}"),
            Self::Line { file, line, key } => write!(f, "{file}:{line}, {key}"),
            Self::Unnamed { file, line } => write!(f, "{file}:{line}"),
            Self::Section { file, name } => write!(f, "{file}, {name}"),
            Self::Argument { name } => f.write_str(name),
        }
    }
}
