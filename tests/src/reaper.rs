//! Nothing this process starts outlives it: a small shell at the end of a pipe kills what is left.
//!
//! Destructors do not run when a test binary is killed, times out or simply ends with clusters in statics. The
//! shell reads registrations from its standard input; end of file means this process is gone. A process is killed
//! only when its start time is still the one registered, so a reused PID is never hit.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};

use anyhow::{Context, Result, anyhow};

/// A directory given to [`remove_at_exit`] is kept, but for brokers' data, when it holds a file of this name.
pub const KEEP: &str = "KEEP";

const SCRIPT: &str = r#"
trap '' INT TERM HUP
kills= dirs= mounts=
while read -r what one two; do
  case $what in
    kill) kills="$kills $one:$two" ;;
    dir) dirs="$dirs $one" ;;
    mount) mounts="$mounts $one" ;;
  esac
done
for entry in $kills; do
  pid=${entry%%:*} start=${entry##*:}
  now=$(sed 's/.*) //' "/proc/$pid/stat" 2>/dev/null | cut -d' ' -f20)
  [ "$now" = "$start" ] && kill -9 "$pid"
done
[ -n "$kills" ] && sleep 0.3
for mount in $mounts; do umount -l "$mount" 2>/dev/null; done
for dir in $dirs; do
  if [ -e "$dir/KEEP" ]; then find "$dir" -type d -name 'data*' -prune -exec rm -rf {} +; else rm -rf "$dir"; fi
done
"#;

/// Kills the process `pid` when this process ends.
pub fn kill_at_exit(pid: u32) -> Result<()> {
    match start_time(pid) {
        Some(start) => tell(&format!("kill {pid} {start}\n")),
        None => Ok(()), // it has ended already
    }
}

/// Removes the directory when this process ends.
pub fn remove_at_exit(directory: &Path) -> Result<()> {
    tell(&format!("dir {}\n", directory.display()))
}

/// Unmounts the file system at `directory` when this process ends.
pub fn unmount_at_exit(directory: &Path) -> Result<()> {
    tell(&format!("mount {}\n", directory.display()))
}

/// Start time of a process in clock ticks since boot: with the PID it names a process for good.
fn start_time(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold blanks; field 22 is the 20th behind it.
    stat.rsplit_once(") ")?.1.split(' ').nth(19)?.parse().ok()
}

fn tell(line: &str) -> Result<()> {
    static REAPER: OnceLock<Option<(Mutex<ChildStdin>, Mutex<Child>)>> = OnceLock::new();
    let reaper = REAPER.get_or_init(|| {
        let mut child = Command::new("sh")
            .arg("-c")
            .arg(SCRIPT)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .ok()?;
        let stdin = child.stdin.take()?;
        Some((Mutex::new(stdin), Mutex::new(child)))
    });
    let (stdin, _child) = reaper.as_ref().ok_or_else(|| anyhow!("cannot start sh"))?;
    let mut stdin = stdin.lock().unwrap_or_else(PoisonError::into_inner);
    stdin.write_all(line.as_bytes()).context("the shell that cleans up has gone")
}
