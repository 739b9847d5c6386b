//! Counts of finished work → a bar on rank 0 where stderr is a terminal, and a line now and then where it is not.

use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::comm;

/// How often a log without a terminal hears of progress.
const EVERY: Duration = Duration::from_secs(60);

/// Progress towards a known total. Safe to share between threads.
pub struct Progress {
    bar: ProgressBar,
    what: &'static str,
    /// When the next line is due; `None` where the bar is drawn or another rank speaks.
    next_line: Option<Mutex<Instant>>,
}

impl Progress {
    /// Starts at zero of `total` `what`s ("chunks", "steps").
    #[must_use]
    pub fn start(total: u64, what: &'static str) -> Self {
        let (speaks, terminal) = (comm::speaks_for_all(), std::io::stderr().is_terminal());
        let bar = if speaks && terminal { ProgressBar::new(total) } else { ProgressBar::hidden() };
        bar.set_length(total);
        if let Ok(style) = ProgressStyle::with_template("{bar:40} {human_pos}/{human_len} {msg} {per_sec} eta {eta}") {
            bar.set_style(style);
        }
        bar.set_message(what);
        Self { bar, what, next_line: (speaks && !terminal).then(|| Mutex::new(Instant::now() + EVERY)) }
    }

    /// `count` more are done.
    pub fn advance(&self, count: u64) {
        self.bar.inc(count);
        let Some(next) = &self.next_line else { return };
        let mut next = next.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if Instant::now() >= *next {
            *next = Instant::now() + EVERY;
            tracing::info!("{}/{} {}", self.bar.position(), self.bar.length().unwrap_or(0), self.what);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
