//! Finished runs and what became of the others → what a reader of the tables must know.

use std::collections::{BTreeMap, BTreeSet};

use crate::evaluate::RunRecord;
use crate::report::aggregate::Summary;
use crate::report::metric::Arithmetic;
use crate::report::published::Published;

/// Test images that were not used, and data that changed between runs.
pub(super) fn of_partition(partition: &str, runs: &[&RunRecord]) -> Vec<String> {
    let mut notes = Vec::new();
    let counts: BTreeSet<(u64, u64)> = runs.iter().map(|run| (run.evaluation.used, run.evaluation.expected)).collect();
    for (used, expected) in counts.into_iter().filter(|(used, expected)| used < expected) {
        notes.push(format!("{partition}: {used} of {expected} test images were used; the others are missing or quarantined"));
    }
    let fingerprints: BTreeSet<&str> = runs.iter().map(|run| run.config.dataset_fingerprint.as_str()).collect();
    if fingerprints.len() > 1 {
        notes.push(format!("{partition}: its runs saw {} different datasets; do not compare its rows", fingerprints.len()));
    }
    notes.extend(other_images(partition, runs));
    notes.extend(other_weights(partition, runs));
    notes
}

/// The same photographs prepared otherwise: cropped, or at another quality.
fn other_images(partition: &str, runs: &[&RunRecord]) -> Option<String> {
    let images: BTreeSet<&str> = runs.iter().map(|run| run.config.images_fingerprint.as_str()).collect();
    let packages: BTreeSet<&str> = runs.iter().map(|run| run.config.package.as_str()).collect();
    let several = images.len().max(packages.len());
    let names = packages.into_iter().collect::<Vec<_>>().join(", ");
    (several > 1)
        .then(|| format!("{partition}: its runs saw {several} different sets of images ({names}); do not compare its rows"))
}

/// Runs of one backbone that began with other weights than its others, and runs that began with random ones beside runs that did not.
fn other_weights(partition: &str, runs: &[&RunRecord]) -> Option<String> {
    let mut by_backbone: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for run in runs {
        by_backbone.entry(&run.id.backbone).or_default().insert(&run.config.pretrained);
    }
    let random: BTreeSet<bool> = runs.iter().map(|run| run.config.pretrained.is_empty()).collect();
    let mixed = random.len() > 1 || by_backbone.values().any(|weights| weights.len() > 1);
    mixed.then(|| format!("{partition}: its runs began with different first weights; do not compare its rows"))
}

/// What holds for all tables.
pub(super) fn of_summary(summary: &Summary, runs: &[&RunRecord], published: &Published, arithmetic: Arithmetic) -> Vec<String> {
    let mut notes = vec!["mean ± sample standard deviation over the seeds, in per cent; — : not measurable".to_owned()];
    if arithmetic == Arithmetic::Original {
        notes.push(
            "macro top-k and the loss are divided as the original program divides them, which is wrong: to compare with"
                .to_owned()
                + " numbers it printed",
        );
    }
    notes.extend(missing(summary));
    let ranks: BTreeSet<usize> = runs.iter().map(|run| run.ranks).collect();
    if ranks.len() > 1 {
        notes.push(format!(
            "the runs were trained on different numbers of ranks ({ranks:?}), which changes BatchNorm's statistics"
        ));
    }
    notes.extend(shared_notes(runs));
    let cells = summary.tables.iter().flat_map(|table| &table.rows);
    let beside: BTreeSet<&str> = cells
        .filter(|row| row.cells.iter().flatten().any(|cell| cell.published.is_some()))
        .map(|row| row.partition.as_str())
        .collect();
    if !beside.is_empty() {
        notes.push(format!("published: {}", published.source));
        notes.push(ours_beside(summary, runs));
        notes.extend(published.notes.iter().filter(|note| beside.iter().any(|partition| note.contains(partition))).cloned());
    }
    notes
}

/// Which images and weights are behind our figures where published ones stand beside them: those of the published runs are not on record.
fn ours_beside(summary: &Summary, runs: &[&RunRecord]) -> String {
    let rows = summary.tables.iter().flat_map(|table| &table.rows);
    let compared: Vec<_> = rows.filter(|row| row.cells.iter().flatten().any(|cell| cell.published.is_some())).collect();
    let stands = |run: &RunRecord| {
        let RunRecord { id, .. } = run;
        compared.iter().any(|row| (&row.partition, &row.backbone, row.loss) == (&id.partition, &id.backbone, id.loss))
    };
    let of = |run: &&RunRecord| format!("{}, first weights {:.12}", run.config.package, run.config.pretrained);
    let ours: BTreeSet<String> = runs.iter().filter(|run| stands(run)).map(of).collect();
    let ours = ours.into_iter().collect::<Vec<_>>().join("; ");
    format!("ours beside published: images {ours} (blake3); package and hash of the published runs are not on record")
}

/// Which runs of the grid are not there.
pub(super) fn missing(summary: &Summary) -> Option<String> {
    let ids: Vec<String> = summary.missing.iter().map(ToString::to_string).collect();
    (!ids.is_empty()).then(|| format!("{} of {} runs are missing: {}", ids.len(), summary.of, ids.join(", ")))
}

/// What the runs themselves want their readers to know.
fn shared_notes(runs: &[&RunRecord]) -> Vec<String> {
    let mut values: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (key, value) in runs.iter().flat_map(|run| &run.notes) {
        values.entry(key).or_default().insert(value);
    }
    let note = |(key, values): (&str, BTreeSet<&str>)| match values.len() {
        1 => format!("{key}: {}", values.into_iter().collect::<String>()),
        several => format!("{key}: {several} different values over the runs; see their test.json"),
    };
    values.into_iter().map(note).collect()
}
