//! A disk that can be full: a file system in memory, which only root may make. Knows nothing of Kafka.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::process::run;
use crate::reaper;

/// What it holds as long as it is not full.
const SIZE: &str = "4g";

/// A mounted disk; gone with all that is on it when dropped.
pub struct Disk {
    path: PathBuf,
}

impl Disk {
    /// Whether this process may mount at all.
    #[must_use]
    pub fn possible() -> bool {
        let Ok(place) = crate::cache::scratch("disk") else { return false };
        Self::mount(&place).is_ok()
    }

    /// Mounts an empty disk at `path`.
    pub fn mount(path: &Path) -> Result<Self> {
        fs::create_dir_all(path)?;
        reaper::unmount_at_exit(path)?;
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={SIZE}"), "tmpfs"]).arg(path);
        run(&mut mount).context("only root may mount a disk")?;
        Ok(Self { path: path.to_owned() })
    }

    /// Lets nothing more be written: the disk shrinks to what is on it.
    pub fn fill(&self) -> Result<()> {
        let mut used = Command::new("df");
        let text = run(used.args(["--output=used", "-k"]).arg(&self.path))?;
        let kilobytes: u64 = text.lines().last().unwrap_or_default().trim().parse()?;
        // What is written in between makes the kernel refuse to shrink; a megabyte more is full soon enough.
        self.resize(&format!("{}k", kilobytes + 4))
            .or_else(|_| self.resize(&format!("{}k", kilobytes + 1024)))
    }

    /// Makes room again.
    pub fn free(&self) -> Result<()> {
        self.resize(SIZE)
    }

    fn resize(&self, size: &str) -> Result<()> {
        let mut mount = Command::new("mount");
        run(mount.args(["-o", &format!("remount,size={size}")]).arg(&self.path)).map(drop)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        run(Command::new("umount").arg("-l").arg(&self.path)).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_refuses_and_one_with_room_does_not() {
        if !Disk::possible() {
            return; // not root
        }
        let place = crate::cache::scratch("full").unwrap();
        let disk = Disk::mount(&place).unwrap();
        fs::write(place.join("before"), [1; 100_000]).unwrap();
        disk.fill().unwrap();
        assert!(fs::write(place.join("while"), vec![1; 2 << 20]).is_err());
        disk.free().unwrap();
        fs::write(place.join("after"), vec![1; 2 << 20]).unwrap();
    }
}
