//! Shows how far a mirror or a verification is: a bar on a terminal, a log line now and then elsewhere.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use kmirror_engine::status::Status;
use kmirror_engine::verify::Meter;
use tracing::info;

use crate::summary::{Totals, bytes_text, per_second, totals};

/// Without a terminal, one line in so much time.
const LINE_EVERY: Duration = Duration::from_secs(10);

pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    started: Instant,
    last_line: Instant,
}

impl Progress {
    /// Begins to show; on standard error, so that standard output stays clean.
    pub(crate) fn start() -> Self {
        let now = Instant::now();
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template("{bar:30} {percent:>3} %  {msg}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar
        });
        Self { bar, started: now, last_line: now }
    }

    /// Shows where the mirror is now.
    pub(crate) fn show(&mut self, status: &Status) {
        let totals = totals(status);
        let text = line(&totals, self.started.elapsed());
        self.draw(totals.wanted, totals.done, text);
    }

    /// Shows how far a verification is.
    pub(crate) fn show_verification(&mut self, meter: &Meter) {
        let ((wanted, done), (partitions, partitions_done)) = (meter.offsets(), meter.partitions());
        let rate = per_second(done, self.started.elapsed());
        let mut text = format!("{rate} records/s, {partitions_done}/{partitions} partitions done");
        if let Some(left) = wanted.saturating_sub(done).checked_div(rate) {
            text.push_str(&format!(", about {left} s left"));
        }
        if meter.differences() > 0 {
            text.push_str(&format!(", {} differences", meter.differences()));
        }
        self.draw(wanted, done, text);
    }

    fn draw(&mut self, wanted: u64, done: u64, text: String) {
        match &self.bar {
            Some(bar) => {
                bar.set_length(wanted.max(1));
                bar.set_position(done);
                bar.set_message(text);
            }
            None if self.last_line.elapsed() >= LINE_EVERY => {
                self.last_line = Instant::now();
                info!("{text}");
            }
            None => {}
        }
    }

    /// Shows no more.
    pub(crate) fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

fn line(totals: &Totals, took: Duration) -> String {
    let rate = per_second(totals.done, took);
    let left = (totals.wanted - totals.done).checked_div(rate);
    let mut text = format!(
        "{} records, {}, {}/s, {}/{} partitions done",
        totals.records,
        bytes_text(totals.bytes),
        bytes_text(per_second(totals.bytes, took)),
        totals.synced,
        totals.partitions,
    );
    if let Some(left) = left {
        text.push_str(&format!(", about {left} s left"));
    }
    if totals.troubled > 0 {
        text.push_str(&format!(", {} in trouble", totals.troubled));
    }
    text
}
