//! Where a process runs, so that one that was killed can be told from one that is elsewhere.
//!
//! A killed process stays in its group until its session ends. One that is started in its place (by a service manager, by
//! a person) need not wait for that: when the dead one ran on the same host, in the same pid namespace, the kernel says for
//! certain that it is gone. Elsewhere than on Linux nothing is said, and the session is waited for.

use std::fs;

/// `<host> <boot id> <pid namespace> <pid> <start time>`: the last two are one process for as long as the host is up.
pub(crate) fn home() -> String {
    let told = || {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        let pid = std::process::id();
        Some(format!("{} {} {pid} {}", boot.trim(), namespace()?, started(pid)?))
    };
    format!("{} {}", host_name(), told().unwrap_or_default())
}

/// The host's name.
pub(crate) fn host_name() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    name.split_whitespace().next().unwrap_or("unknown").to_owned()
}

/// The host of a home.
pub(crate) fn host_of(home: &str) -> &str {
    home.split(' ').next().unwrap_or_default()
}

/// Whether the process with this home is known to be gone.
pub(crate) fn is_gone(other: &str) -> bool {
    let ours = home();
    let (mut ours, mut theirs) = (ours.split(' '), other.split(' '));
    // Host, boot and pid namespace.
    let here = (0..3).all(|_| match (ours.next(), theirs.next()) {
        (Some(ours), Some(theirs)) => !ours.is_empty() && ours == theirs,
        _ => false,
    });
    let pid: Option<u32> = theirs.next().and_then(|pid| pid.parse().ok());
    match (here, pid, theirs.next()) {
        (true, Some(pid), Some(start)) => started(pid).is_none_or(|now| now != start),
        _ => false,
    }
}

fn namespace() -> Option<String> {
    Some(fs::read_link("/proc/self/ns/pid").ok()?.to_str()?.to_owned())
}

/// When a process started, in the kernel's ticks since the boot; `None` when there is none, or only its remains.
fn started(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the name in parentheses, which may hold anything.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    let start = fields.nth(18)?;
    (!matches!(state, "Z" | "X")).then(|| start.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_ended_is_gone_and_others_are_not() {
        assert!(!is_gone(&home()), "{}", home());
        assert!(!is_gone("elsewhere boot pid:[1] 1 1") && !is_gone("") && !is_gone("a b c d"));
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let ours = home();
        let mut fields: Vec<String> = ours.split(' ').map(str::to_owned).collect();
        fields[3] = child.id().to_string();
        fields[4] = started(child.id()).unwrap();
        let theirs = fields.join(" ");
        assert!(!is_gone(&theirs));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(is_gone(&theirs));
    }
}
