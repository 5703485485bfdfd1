//! What a run used, from procfs and the files of the brokers.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// Clock ticks a second in `/proc/<pid>/stat`: fixed for user space on every Linux Kafka runs on.
const TICKS_PER_SECOND: f64 = 100.0;
/// How often the peak memory of a process is looked at. It only grows, so the last look counts.
const MEMORY_INTERVAL: Duration = Duration::from_millis(10);
/// How often the target's files are looked at for the first record.
const FIRST_INTERVAL: Duration = Duration::from_millis(2);

/// What one run of one peer took.
#[derive(Clone, Copy, Default, Debug)]
pub struct Measure {
    /// Seconds from start to the last record in the target (or the end of the process).
    pub wall: f64,
    /// CPU seconds of the peer.
    pub cpu: f64,
    /// Peak resident memory of the peer, in MB.
    pub peak_mb: f64,
    /// CPU seconds of the source broker during the run.
    pub source_cpu: f64,
    /// CPU seconds of the target broker during the run.
    pub target_cpu: f64,
    /// Seconds from start to the first record in the target's log.
    pub first: Option<f64>,
}

/// CPU seconds a running process has used, to a hundredth.
pub fn cpu_seconds(pid: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).context("the process has gone")?;
    let fields: Vec<&str> =
        stat.rsplit_once(") ").context("no name in stat")?.1.split_ascii_whitespace().collect();
    let ticks = |index: usize| -> Result<f64> { Ok(fields.get(index).context("stat is short")?.parse()?) };
    // utime and stime are fields 14 and 15; behind the name they are 11 and 12, counted from 0.
    Ok((ticks(11)? + ticks(12)?) / TICKS_PER_SECOND)
}

/// Watches the peak resident memory of a process until it ends.
pub struct PeakMemory {
    kilobytes: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
}

impl PeakMemory {
    /// Begins to watch.
    #[must_use]
    pub fn of(pid: u32) -> Self {
        let peak = Self { kilobytes: Arc::default(), stop: Arc::default() };
        let (kilobytes, stop) = (Arc::clone(&peak.kilobytes), Arc::clone(&peak.stop));
        thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                match high_water_kb(pid) {
                    Some(now) => kilobytes.fetch_max(now, Ordering::Relaxed),
                    None => return,
                };
                thread::sleep(MEMORY_INTERVAL);
            }
        });
        peak
    }

    /// The peak so far, in MB.
    #[must_use]
    pub fn megabytes(&self) -> f64 {
        Duration::from_millis(self.kilobytes.load(Ordering::Relaxed)).as_secs_f64() * 1000.0 / 1024.0
    }
}

impl Drop for PeakMemory {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// `VmHWM`, which belongs to the program that runs: unlike `ru_maxrss` it holds nothing of the parent's.
fn high_water_kb(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// Watches a broker's files for the first record of a topic. No client asks for it, so no measurement suffers.
pub struct FirstRecord {
    found: Arc<std::sync::OnceLock<Instant>>,
    stop: Arc<AtomicBool>,
}

impl FirstRecord {
    /// Begins to watch the partitions of `topic` below the broker's data directory.
    #[must_use]
    pub fn of(data: &Path, topic: &str) -> Self {
        let first = Self { found: Arc::default(), stop: Arc::default() };
        let (found, stop) = (Arc::clone(&first.found), Arc::clone(&first.stop));
        let (data, topic) = (data.to_path_buf(), topic.to_owned());
        thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                if log_bytes(&data, &topic) > 0 {
                    found.set(Instant::now()).ok();
                    return;
                }
                thread::sleep(FIRST_INTERVAL);
            }
        });
        first
    }

    /// When it was there.
    #[must_use]
    pub fn at(&self) -> Option<Instant> {
        self.found.get().copied()
    }
}

impl Drop for FirstRecord {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Bytes in the logs of a topic's partitions below a broker's data directory.
#[must_use]
pub fn log_bytes(data: &Path, topic: &str) -> u64 {
    let Ok(entries) = fs::read_dir(data) else { return 0 };
    let of_topic = entries.flatten().filter(|entry| {
        let name = entry.file_name();
        let partition = name.to_str().and_then(|name| name.strip_prefix(topic)?.strip_prefix('-'));
        partition.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
    });
    of_topic.map(|entry| segment_bytes(&entry.path())).sum()
}

fn segment_bytes(partition: &Path) -> u64 {
    let Ok(files) = fs::read_dir(partition) else { return 0 };
    let logs =
        files.flatten().filter(|file| file.path().extension().is_some_and(|extension| extension == "log"));
    logs.filter_map(|file| file.metadata().ok()).map(|metadata| metadata.len()).sum()
}

/// The middle of the values; the mean of the two in the middle when their number is even.
#[must_use]
pub fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    if values.len() % 2 == 1 { Some(upper) } else { Some(f64::midpoint(upper, *values.get(middle - 1)?)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_in_the_middle() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), Some(2.5));
    }

    #[test]
    fn this_process_has_cpu_time_and_memory() {
        let pid = std::process::id();
        // The kernel counts in steps of 10 ms, and others may have the processor.
        let until = Instant::now() + Duration::from_secs(10);
        while cpu_seconds(pid).unwrap() == 0.0 {
            assert!(Instant::now() < until, "no CPU time");
        }
        let peak = PeakMemory::of(pid);
        thread::sleep(5 * MEMORY_INTERVAL);
        assert!(peak.megabytes() > 0.5, "{}", peak.megabytes());
    }
}
