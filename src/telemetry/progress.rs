//! Counts of finished work → a bar on rank 0 where stderr is a terminal, and a line now and then where it is not.

use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::comm;

/// How often a log without a terminal hears of progress.
const EVERY: Duration = Duration::from_secs(60);

/// Progress towards a known total. Safe to share between threads.
pub struct Progress {
    bar: ProgressBar,
    what: &'static str,
    /// Before the counts: which epoch.
    name: String,
    /// Where the count stood when this life began.
    from: u64,
    started: Instant,
    /// Behind the counts: the loss.
    said: Mutex<String>,
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
        if let Ok(style) = ProgressStyle::with_template("{prefix}{bar:40} {human_pos}/{human_len} {msg} {per_sec} eta {eta}") {
            bar.set_style(style);
        }
        bar.set_message(what);
        Self {
            bar,
            what,
            name: String::new(),
            from: 0,
            started: Instant::now(),
            said: Mutex::default(),
            next_line: (speaks && !terminal).then(|| Mutex::new(Instant::now() + EVERY)),
        }
    }

    /// The same with a name before the counts.
    #[must_use]
    pub fn named(mut self, name: String) -> Self {
        self.bar.set_prefix(format!("{name} "));
        self.name = format!("{name}: ");
        self
    }

    /// `count` were done in an earlier life.
    #[must_use]
    pub fn resumed_at(mut self, count: u64) -> Self {
        self.bar.set_position(count);
        self.bar.reset_eta();
        self.from = count;
        self
    }

    /// What stands behind the counts from now on.
    pub fn say(&self, words: String) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        *said = words;
        self.bar.set_message(format!("{}, {}", self.what, *said));
    }

    /// `812 images/s`, `0.40 chunks/s`.
    fn speed(&self) -> String {
        let done = self.bar.position().saturating_sub(self.from) as f64;
        per_second(done / self.started.elapsed().as_secs_f64().max(1e-9), self.what)
    }

    /// `count` more are done.
    pub fn advance(&self, count: u64) {
        self.bar.inc(count);
        let Some(next) = &self.next_line else { return };
        let mut next = next.lock().unwrap_or_else(PoisonError::into_inner);
        if Instant::now() >= *next {
            *next = Instant::now() + EVERY;
            let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
            let said = if said.is_empty() { String::new() } else { format!(", {said}") };
            let (done, all, left) = (self.bar.position(), self.bar.length().unwrap_or(0), self.bar.eta());
            tracing::info!("{}{done}/{all} {}, {}{said}, {} s left", self.name, self.what, self.speed(), left.as_secs());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Below ten a second, as with chunks or large steps, whole numbers would say nothing.
fn per_second(speed: f64, what: &str) -> String {
    let digits = if speed < 10.0 { 2 } else { 0 };
    format!("{speed:.digits$} {what}/s")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_slow_has_digits() {
        assert_eq!(per_second(0.4, "chunks"), "0.40 chunks/s");
        assert_eq!(per_second(812.3, "images"), "812 images/s");
    }
}
