//! Shell completions and manual pages, written from the command line's own description.

use std::io::{self, Write};

use anyhow::bail;
use clap::CommandFactory;
use clap_complete::Shell;

use crate::args::Arguments;

/// Writes completions for a shell.
///
/// # Errors
/// When they cannot be written.
pub(crate) fn completions(shell: Shell, out: &mut impl Write) -> io::Result<()> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "kmirror", &mut text);
    out.write_all(&text)
}

/// Writes the manual page of kmirror, or of one of its commands.
///
/// # Errors
/// When there is no such command, or it cannot be written.
pub(crate) fn manual(command: Option<&str>, out: &mut impl Write) -> anyhow::Result<()> {
    let mut all = Arguments::command();
    all.build();
    let page = match command {
        None => all,
        Some(name) => match all.find_subcommand(name) {
            Some(command) => command.clone(),
            None => bail!("there is no command `{name}`"),
        },
    };
    clap_mangen::Man::new(page).render(out)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn completions_know_the_commands() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let mut text = Vec::new();
            completions(shell, &mut text).unwrap();
            let text = String::from_utf8(text).unwrap();
            assert!(text.contains("until-synced") && text.contains("demo"), "{shell}");
        }
    }

    #[test]
    fn manual_pages() {
        let page = |command| {
            let mut text = Vec::new();
            manual(command, &mut text).map(|()| String::from_utf8(text).unwrap())
        };
        assert!(page(None).unwrap().contains("Exit codes"));
        assert!(page(Some("run")).unwrap().contains("until"));
        assert!(page(Some("walk")).is_err());
    }
}
