//! A child process: its log, its signals, its end and what it used. Knows nothing of Kafka.

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, kill_process};
use wait4::Wait4;

pub use rustix::process::Signal;

use crate::reaper;

/// How a process ended and what it used.
#[derive(Clone, Copy, Debug)]
pub struct Exit {
    /// Exit code or signal.
    pub status: ExitStatus,
    /// When it ended.
    pub at: Instant,
    /// CPU time in user space, of the process and those of its children it waited for.
    pub user: Duration,
    /// CPU time in the kernel, as above.
    pub system: Duration,
}

impl Exit {
    /// The exit code; none when a signal ended the process.
    #[must_use]
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// The signal that ended the process.
    #[must_use]
    pub fn signal(&self) -> Option<i32> {
        self.status.signal()
    }

    /// CPU time altogether.
    #[must_use]
    pub fn cpu(&self) -> Duration {
        self.user + self.system
    }
}

/// A running child, killed when dropped. Its standard output and error go to files.
pub struct Process {
    name: String,
    pid: u32,
    started: Instant,
    stdout: PathBuf,
    stderr: PathBuf,
    end: Arc<(Mutex<Option<Exit>>, Condvar)>,
}

impl Process {
    /// Starts `command`; its output goes to `<directory>/<name>.out` and `.err`, after what is there.
    pub fn spawn(name: &str, command: &mut Command, directory: &Path) -> Result<Self> {
        let append = |extension: &str| -> Result<(PathBuf, File)> {
            let path = directory.join(format!("{name}.{extension}"));
            let file = File::options().create(true).append(true).open(&path);
            Ok((path.clone(), file.with_context(|| format!("cannot open {}", path.display()))?))
        };
        let ((stdout, out), (stderr, err)) = (append("out")?, append("err")?);
        command.stdin(Stdio::null()).stdout(out).stderr(err);
        let started = Instant::now();
        let mut child =
            command.spawn().with_context(|| format!("cannot start {:?}", command.get_program()))?;
        let pid = child.id();
        reaper::kill_at_exit(pid)?;
        let end = Arc::new((Mutex::new(None), Condvar::new()));
        let told = Arc::clone(&end);
        thread::Builder::new().name(format!("wait for {name}")).spawn(move || {
            let Ok(used) = child.wait4() else { return };
            let exit = Exit {
                status: used.status,
                at: Instant::now(),
                user: used.rusage.utime,
                system: used.rusage.stime,
            };
            *told.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(exit);
            told.1.notify_all();
        })?;
        Ok(Self { name: name.to_owned(), pid, started, stdout, stderr, end })
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// When it was started.
    #[must_use]
    pub fn started(&self) -> Instant {
        self.started
    }

    /// What it wrote to standard output so far.
    #[must_use]
    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.stdout).unwrap_or_default()).into_owned()
    }

    /// What it wrote to standard error so far.
    #[must_use]
    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.stderr).unwrap_or_default()).into_owned()
    }

    /// How it ended; none while it runs.
    #[must_use]
    pub fn exited(&self) -> Option<Exit> {
        *self.end.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a signal; nothing happens when the process has ended.
    pub fn signal(&self, signal: Signal) {
        if self.exited().is_some() {
            return;
        }
        if let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) {
            // It may have ended since; then there is nothing to do.
            kill_process(pid, signal).ok();
        }
    }

    /// Waits for the end; an error, with the last lines it wrote, when it does not come in time.
    pub fn wait(&self, within: Duration) -> Result<Exit> {
        let (exit, changed) = &*self.end;
        let guard = exit.lock().unwrap_or_else(PoisonError::into_inner);
        let (guard, _) = changed
            .wait_timeout_while(guard, within, |exit| exit.is_none())
            .unwrap_or_else(PoisonError::into_inner);
        match *guard {
            Some(exit) => Ok(exit),
            None => bail!("{} did not end within {within:?}\n{}", self.name, self.tail(30)),
        }
    }

    /// Ends it with SIGTERM and waits; SIGKILL when that does not help.
    pub fn stop(&self, within: Duration) -> Result<Exit> {
        self.signal(Signal::TERM);
        self.wait(within).or_else(|_| self.kill())
    }

    /// Ends it with SIGKILL and waits.
    pub fn kill(&self) -> Result<Exit> {
        self.signal(Signal::KILL);
        self.wait(Duration::from_secs(20))
    }

    /// Waits until `done` says so; an error when the process ends before or time is up.
    pub fn wait_until(&self, what: &str, within: Duration, mut done: impl FnMut() -> bool) -> Result<()> {
        let deadline = Instant::now() + within;
        while !done() {
            if let Some(exit) = self.exited() {
                bail!("{} ended ({}) before {what}\n{}", self.name, exit.status, self.tail(40));
            }
            if Instant::now() > deadline {
                bail!("{}: {what} did not happen within {within:?}\n{}", self.name, self.tail(40));
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// The last `lines` of what it wrote, for messages.
    #[must_use]
    pub fn tail(&self, lines: usize) -> String {
        let (out, err) = (self.stdout(), self.stderr());
        let last = |text: &str| -> Vec<String> {
            let all: Vec<&str> = text.lines().collect();
            all.iter().skip(all.len().saturating_sub(lines)).map(|line| format!("  | {line}")).collect()
        };
        [last(&out), last(&err)].concat().join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill().ok();
    }
}

/// Runs a command to its end and returns its standard output; an error with all it said when it fails.
pub fn run(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {}", command.get_program().display()))?;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        bail!("{command:?} failed ({})\n{stdout}\n{stderr}", output.status);
    }
    Ok(stdout)
}
