//! A run's `metrics.csv` and `timing.csv` → how far it is, how fast, and how long it will still take.

use std::path::Path;

use serde::Serialize;

/// How many of the last epochs the speed is taken from: the first ones of a life wait for cold caches.
const RECENT: usize = 5;

/// How far a run is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Progress {
    /// Epochs that are finished.
    pub epoch: u64,
    /// Epochs in all.
    pub epochs: u64,
    /// Training images a second in the last epochs; `None` before the first is finished.
    pub images_per_second: Option<f64>,
    /// Seconds of training left at that speed, without the test.
    pub seconds_left: Option<f64>,
}

impl Progress {
    /// Of the run in `folder`, which trains for `epochs`. A file that is not there, or not whole, tells nothing.
    #[must_use]
    pub fn of(folder: &Path, epochs: u64) -> Self {
        let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap_or_default();
        Self::from_text(&read("metrics.csv"), &read("timing.csv"), epochs)
    }

    fn from_text(metrics: &str, timing: &str, epochs: u64) -> Self {
        let epoch = metrics.lines().skip(1).count() as u64;
        let row = |line: &str| {
            let mut fields = line.split(',').skip(1).map(|field| field.parse::<f64>().ok());
            Some((fields.next()??, fields.next()??))
        };
        let rows: Vec<(f64, f64)> = timing.lines().skip(1).filter_map(row).collect();
        let recent = &rows[rows.len().saturating_sub(RECENT)..];
        let (images, seconds) = recent.iter().fold((0.0, 0.0), |sum, row| (sum.0 + row.0, sum.1 + row.1));
        let known = seconds > 0.0 && epoch > 0;
        Self {
            epoch,
            epochs,
            images_per_second: known.then(|| images / seconds),
            seconds_left: known.then(|| seconds / recent.len() as f64 * epochs.saturating_sub(epoch) as f64),
        }
    }

    /// `epoch 12 of 100, 610 images/s, 2 h 10 min left`.
    #[must_use]
    pub fn words(&self) -> String {
        let mut words = format!("epoch {} of {}", self.epoch, self.epochs);
        if let Some(speed) = self.images_per_second {
            words.push_str(&format!(", {speed:.0} images/s"));
        }
        if let Some(left) = self.seconds_left {
            words.push_str(&format!(", {} left", duration(left)));
        }
        words
    }
}

/// Seconds as a person says them: the two largest units.
#[must_use]
pub fn duration(seconds: f64) -> String {
    let seconds = seconds.round() as u64;
    match (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) => format!("{hours} h {minutes:02} min"),
        (days, hours, _) => format!("{days} d {hours:02} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_speed_of_the_last_epochs_says_how_long_it_will_take() {
        let metrics = "epoch,lr\n0,0.1\n1,0.1\n";
        let timing = "epoch,images,seconds,images_per_second\n0,600,4.000,150.0\n1,600,2.000,300.0\n";
        let progress = Progress::from_text(metrics, timing, 10);
        assert_eq!(progress, Progress { epoch: 2, epochs: 10, images_per_second: Some(200.0), seconds_left: Some(24.0) });
        assert_eq!(progress.words(), "epoch 2 of 10, 200 images/s, 24 s left");
        assert_eq!(Progress::from_text("", "", 3).words(), "epoch 0 of 3");
    }

    #[test]
    fn durations_have_two_units() {
        assert_eq!([0.4, 59.0, 600.0, 7800.0, 200_000.0].map(duration), ["0 s", "59 s", "10 min", "2 h 10 min", "2 d 07 h"]);
    }
}
