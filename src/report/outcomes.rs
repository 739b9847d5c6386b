//! The `predictions.csv` of the runs of one partition → its test images, grouped by what every run makes of them.
//!
//! Figures over resampled images need each image's outcome in each run, together. The files are read one after another, a line at a
//! time: each run divides the groups so far into finer ones. What is held is four bytes an image, the group it is in, whatever the number
//! of runs; and the groups, of which there are few where the runs are good (at 99 % right, most images are one group a class).

use std::collections::HashMap;
use std::path::Path;

use crate::config::ExperimentId;
use crate::error::{Error, IoContext, Result};
use crate::evaluate::{Calibration, RunRecord};

/// Columns in front of the likeliest classes: chunk, image_file, truth.
const KEY_COLUMNS: usize = 3;

/// What one run makes of one image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Outcome {
    /// 0-based place of the truth among the classes named; [`Outcome::BEYOND`] where it is not among them.
    pub rank: u8,
    /// The likeliest class.
    pub says: u16,
}

impl Outcome {
    /// The truth is not among the classes named.
    pub const BEYOND: u8 = u8::MAX;
}

/// Images that every run treats alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// How many they are.
    pub images: u64,
    /// Their class.
    pub truth: u16,
    /// One a run, in the order of [`Outcomes::runs`].
    pub outcomes: Vec<Outcome>,
}

/// The test images of one partition, in groups.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcomes {
    /// The runs whose predictions are in.
    pub runs: Vec<ExperimentId>,
    /// How many classes there are.
    pub classes: usize,
    /// The groups, by class and outcomes.
    pub groups: Vec<Group>,
    /// Runs whose predictions could not be used, and why.
    pub refused: Vec<(ExperimentId, String)>,
    /// How each of [`Outcomes::runs`] is calibrated.
    pub calibration: Vec<Calibration>,
}

/// Groups as they are refined, run by run.
struct Refinement {
    /// blake3 over the images and their truths.
    images: blake3::Hash,
    /// The group of each image.
    group_of: Vec<u32>,
    /// Of each group: its class.
    truths: Vec<u16>,
    /// Of each run, of each group after it: (the group before it, what the run says).
    levels: Vec<Vec<(u32, Outcome)>>,
}

/// One file, read.
struct Read {
    images: blake3::Hash,
    truths: Vec<u16>,
    outcomes: Vec<Outcome>,
    calibration: Calibration,
}

impl Outcomes {
    /// Reads the predictions of `records`, all of one partition, from `runs/{id}/predictions.csv`. A run without the file, with a damaged
    /// one, or with one of other images than the first run's is refused by name.
    pub fn read(records: &[&RunRecord], runs: &Path) -> Self {
        let mut all = Self::default();
        let mut refinement: Option<Refinement> = None;
        for record in records {
            let path = runs.join(record.id.to_string()).join("predictions.csv");
            let added = read(&path, record).and_then(|read| {
                let calibration = read.calibration.clone();
                match &mut refinement {
                    None => refinement = Some(Refinement::begin(read)),
                    Some(refinement) => refinement.refine(read).map_err(|message| Error::input(&path, message))?,
                }
                Ok(calibration)
            });
            match added {
                Ok(calibration) => {
                    all.calibration.push(calibration);
                    all.runs.push(record.id.clone());
                }
                Err(error) => all.refused.push((record.id.clone(), error.to_string())),
            }
        }
        all.classes = records.first().map_or(0, |record| record.evaluation.per_class.len());
        all.groups = refinement.map(Refinement::finish).unwrap_or_default();
        all
    }
}

impl Refinement {
    fn begin(read: Read) -> Self {
        let mut numbers: HashMap<(u16, Outcome), u32> = HashMap::new();
        let mut this = Self { images: read.images, group_of: vec![], truths: vec![], levels: vec![vec![]] };
        for (truth, outcome) in read.truths.into_iter().zip(read.outcomes) {
            let next = numbers.len() as u32;
            let group = *numbers.entry((truth, outcome)).or_insert_with(|| {
                this.truths.push(truth);
                this.levels[0].push((next, outcome));
                next
            });
            this.group_of.push(group);
        }
        this
    }

    fn refine(&mut self, read: Read) -> std::result::Result<(), &'static str> {
        if read.images != self.images {
            return Err("its images or their truths are not those of the other runs");
        }
        let mut numbers: HashMap<(u32, Outcome), u32> = HashMap::new();
        let (mut truths, mut level) = (Vec::new(), Vec::new());
        for (group, outcome) in self.group_of.iter_mut().zip(read.outcomes) {
            let next = numbers.len() as u32;
            let before = *group;
            *group = *numbers.entry((before, outcome)).or_insert_with(|| {
                truths.push(self.truths[before as usize]);
                level.push((before, outcome));
                next
            });
        }
        self.truths = truths;
        self.levels.push(level);
        Ok(())
    }

    fn finish(self) -> Vec<Group> {
        let mut images = vec![0u64; self.truths.len()];
        self.group_of.iter().for_each(|&group| images[group as usize] += 1);
        let outcomes = |group: usize| {
            let mut at = group as u32;
            let mut back: Vec<Outcome> = Vec::with_capacity(self.levels.len());
            for level in self.levels.iter().rev() {
                let (before, outcome) = level[at as usize];
                back.push(outcome);
                at = before;
            }
            back.reverse();
            back
        };
        let group = |(group, (&truth, &images)): (usize, (&u16, &u64))| Group { images, truth, outcomes: outcomes(group) };
        let mut groups: Vec<Group> = self.truths.iter().zip(&images).enumerate().map(group).collect();
        // In an order that does not depend on that of the images.
        groups.sort_by(|a, b| (a.truth, &a.outcomes).cmp(&(b.truth, &b.outcomes)));
        groups
    }
}

/// One file, checked against its run's record.
fn read(path: &Path, record: &RunRecord) -> Result<Read> {
    let refused = |message: String| Error::input(path, message);
    let classes: HashMap<&[u8], u16> =
        record.evaluation.per_class.iter().zip(0..).map(|(class, number)| (class.label.as_bytes(), number)).collect();
    let class = |name: &[u8]| {
        let found = classes.get(name).copied();
        found
            .ok_or_else(|| refused(format!("names the class `{}`, which test.json does not have", String::from_utf8_lossy(name))))
    };
    let file = std::fs::File::open(path).at("open", path)?;
    let mut reader = ::csv::ReaderBuilder::new().buffer_capacity(1 << 18).from_reader(file);
    let (mut hasher, mut row) = (blake3::Hasher::new(), ::csv::ByteRecord::new());
    // The numbers of the classes must be the same too.
    for class in &record.evaluation.per_class {
        hasher.update(class.label.as_bytes()).update(b"\n");
    }
    let (mut truths, mut outcomes, mut calibration) = (Vec::new(), Vec::new(), Calibration::default());
    while reader.read_byte_record(&mut row).map_err(|error| refused(error.to_string()))? {
        let mut cells = row.iter();
        for cell in cells.by_ref().take(KEY_COLUMNS) {
            hasher.update(cell).update(b"\t");
        }
        let truth = class(row.get(KEY_COLUMNS - 1).unwrap_or_default())?;
        let says = class(row.get(KEY_COLUMNS).unwrap_or_default())?;
        let name_of_truth = row.get(KEY_COLUMNS - 1);
        // top1, p1, top2, p2, …
        let rank = cells.step_by(2).position(|name| Some(name) == name_of_truth).map_or(Outcome::BEYOND, |rank| rank as u8);
        let probability = row.get(KEY_COLUMNS + 1).and_then(|cell| std::str::from_utf8(cell).ok()?.parse::<f32>().ok());
        calibration.add(probability.ok_or_else(|| refused("p1 is no number".into()))?, rank == 0);
        truths.push(truth);
        outcomes.push(Outcome { rank, says });
    }
    let right = outcomes.iter().filter(|outcome| outcome.rank == 0).count() as u64;
    let confusion = &record.evaluation.confusion;
    let recorded: u64 = confusion.iter().enumerate().filter_map(|(class, row)| row.get(class)).sum();
    if (truths.len() as u64, right) != (record.evaluation.used, recorded) {
        return Err(refused(format!(
            "holds {} images, {right} of them right, but test.json says {} and {recorded}",
            truths.len(),
            record.evaluation.used
        )));
    }
    Ok(Read { images: hasher.finalize(), truths, outcomes, calibration })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::report::aggregate::fixtures_tests::record;

    /// A run of two classes with these lines of (truth, top1, p1, top2); its record counts what they say.
    fn run(folder: &Path, seed: u64, lines: &[(&str, &str, f32, &str)]) -> RunRecord {
        let mut record = record(&format!("small_insect_order-resnet50-CE-s{seed}"), 50.0);
        let right = lines.iter().filter(|line| line.0 == line.1).count() as u64;
        record.evaluation.used = lines.len() as u64;
        record.evaluation.confusion = vec![vec![right, 0], vec![lines.len() as u64 - right, 0]];
        let rows: String = lines
            .iter()
            .enumerate()
            .map(|(image, (truth, top1, p1, top2))| format!("1,{image}.jpg,{truth},{top1},{p1},{top2},0\n"))
            .collect();
        let path = folder.join(record.id.to_string());
        fs::create_dir_all(&path).unwrap();
        fs::write(path.join("predictions.csv"), format!("chunk,image_file,truth,top1,p1,top2,p2\n{rows}")).unwrap();
        record
    }

    const D: &str = "Diptera";
    const H: &str = "Hemiptera";

    #[test]
    fn images_that_every_run_treats_alike_are_one_group() {
        let folder = tempfile::tempdir().unwrap();
        let one = run(folder.path(), 1, &[(D, D, 0.9, H), (D, D, 0.8, H), (D, H, 0.6, D), (H, H, 1.0, D)]);
        let two = run(folder.path(), 2, &[(D, D, 0.7, H), (D, D, 0.9, H), (D, D, 0.6, H), (H, D, 0.5, H)]);
        let found = Outcomes::read(&[&one, &two], folder.path());
        assert!(found.refused.is_empty(), "{:?}", found.refused);
        let outcome = |rank, says| Outcome { rank, says };
        let expected = [
            Group { images: 2, truth: 0, outcomes: vec![outcome(0, 0), outcome(0, 0)] },
            Group { images: 1, truth: 0, outcomes: vec![outcome(1, 1), outcome(0, 0)] },
            Group { images: 1, truth: 1, outcomes: vec![outcome(0, 1), outcome(1, 0)] },
        ];
        assert_eq!(found.groups, expected);
    }

    #[test]
    fn predictions_of_other_images_and_damaged_ones_are_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let good = run(folder.path(), 1, &[(D, D, 0.9, H), (H, H, 0.8, D)]);
        let other = run(folder.path(), 2, &[(H, H, 0.9, D), (D, D, 0.8, H)]);
        let mut short = run(folder.path(), 3, &[(D, D, 0.9, H)]);
        short.evaluation.used = 2;
        let strange = run(folder.path(), 4, &[(D, "Wasp", 0.9, H), (H, H, 0.8, D)]);
        let gone = record("small_insect_order-resnet50-CE-s5", 50.0);
        let found = Outcomes::read(&[&good, &other, &short, &strange, &gone], folder.path());
        assert_eq!(found.runs, [good.id]);
        let why: Vec<&str> = found.refused.iter().map(|(_, why)| why.as_str()).collect();
        assert!(why[0].contains("not those of the other runs") && why[1].contains("1 images, 1 of them right"), "{why:?}");
        assert!(why[2].contains("`Wasp`") && why[3].contains("cannot open"), "{why:?}");
    }
}
