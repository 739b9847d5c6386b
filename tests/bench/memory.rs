//! one chunk of full-size photographs → how much memory a rank holds over the time it works on it.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use crate::Result;
use crate::photographs::Photographs;
use crate::preprocess::{Dataset, program};
use crate::statistics::Spread;
use crate::table::{Group, Row, Target, Unit};

const EVERY: Duration = Duration::from_millis(50);

/// A leak shows as growth from the first half to the second; the allocator's own play stays below this.
const FLAT: Target = Target::AtMost(1.05);

/// One rank of one thread on a chunk of `images` photographs.
pub fn measure(images: usize, folder: &Path) -> Result<Group> {
    eprintln!("memory");
    let photographs = Photographs::large(folder)?;
    let dataset = Dataset::write(&folder.join("memory"), &photographs, 1, images)?;
    let bytes = fs::metadata(folder.join("memory/data/bioscan_images_original_full_part1.zip"))?.len();
    let (samples, peak) = watch(&dataset.fresh_job(1)?)?;
    let title = "Memory of a rank".to_owned();
    let Some(growth) = growth(&samples) else {
        let why = format!("the work took less than four samples of {} ms", EVERY.as_millis());
        return Ok(Group {
            title,
            rows: vec![Row::not_measured("peak RSS", Unit::Mebibytes, Target::Stated, why)],
            notes: vec![],
        });
    };
    let row = |figure: String, value, unit, target| Row {
        figure,
        ours: "–".into(),
        peer: "–".into(),
        value: Some(value),
        unit,
        target,
    };
    let rows = vec![
        row(
            format!("RSS over {} samples", samples.len()),
            Spread::median(samples.iter().copied()),
            Unit::Mebibytes,
            Target::Stated,
        ),
        row("peak RSS, as the kernel kept it".into(), Spread::median([peak]), Unit::Mebibytes, Target::Stated),
        row("highest RSS of the second half over the first's".into(), Spread::median([growth]), Unit::Times, FLAT),
    ];
    let notes = vec![
        format!(
            "`preprocess`, one thread, one chunk of {images} photographs of {} ({:.1} GB; {}).",
            photographs.size(),
            bytes as f64 / 1e9,
            photographs.origin
        ),
        format!("RSS in MiB over the time: {}.", course(&samples)),
    ];
    Ok(Group { title, rows, notes })
}

/// RSS samples and the peak, in MiB.
fn watch(job: &Path) -> Result<(Vec<f64>, f64)> {
    let mut command = program(job);
    let mut process = command.stdout(Stdio::null()).spawn()?;
    let status_file = format!("/proc/{}/status", process.id());
    let (mut samples, mut peak) = (Vec::new(), 0f64);
    let status = loop {
        if let Some(status) = process.try_wait()? {
            break status;
        }
        let text = fs::read_to_string(&status_file).unwrap_or_default();
        // An ended process that nobody waited for yet has no memory to tell of.
        if let (Some(rss), Some(highest)) = (mebibytes(&text, "VmRSS:"), mebibytes(&text, "VmHWM:")) {
            samples.push(rss);
            peak = peak.max(highest);
        }
        thread::sleep(EVERY);
    };
    if !status.success() {
        return Err(format!("{command:?} ended with {status}").into());
    }
    Ok((samples, peak))
}

/// The value of a line `name   1234 kB`.
pub fn mebibytes(status: &str, name: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix(" kB")?.parse::<f64>().ok().map(|kibibytes| kibibytes / 1024.0)
}

/// The highest of the second half over the highest of the first.
fn growth(samples: &[f64]) -> Option<f64> {
    let (first, second) = (samples.len() >= 4).then(|| samples.split_at(samples.len() / 2))?;
    let highest = |half: &[f64]| half.iter().copied().fold(0.0, f64::max);
    Some(highest(second) / highest(first))
}

/// The highest of each twelfth of the time, as text.
fn course(samples: &[f64]) -> String {
    let parts = samples.chunks(samples.len().div_ceil(12).max(1));
    parts.map(|part| format!("{:.0}", part.iter().copied().fold(0.0, f64::max))).collect::<Vec<_>>().join(" ")
}
