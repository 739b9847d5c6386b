//! A run's `predictions.csv` → test pictures it was right, wrong and unsure about; the job's images → their bytes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::config::{ExperimentId, Job};
use crate::container::{self, ImageKey, Reader};
use crate::error::{Error, IoContext, Result};

/// Pictures of each kind.
const EACH: usize = 5;
/// Larger pictures would make the page slow to open.
const LARGEST: usize = 150 << 10;

/// Pictures one run was shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Examples {
    /// The run.
    pub id: ExperimentId,
    /// Right, and surest.
    pub right: Vec<Example>,
    /// Wrong, and surest.
    pub wrong: Vec<Example>,
    /// Least sure of all.
    pub unsure: Vec<Example>,
}

/// One picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Example {
    /// Where it is.
    pub key: ImageKey,
    /// Its class.
    pub truth: String,
    /// The likeliest classes with their probabilities, 0..1.
    pub said: Vec<(String, f64)>,
    /// Its JPEG; empty where it could not be had.
    pub jpeg: Vec<u8>,
}

/// Chooses them, at most one of each true class in a kind; in memory that grows with the classes, not with the images.
pub fn choose(id: &ExperimentId, predictions: &Path) -> Result<Examples> {
    let file = std::fs::File::open(predictions).at("open", predictions)?;
    let refused = |message: String| Error::input(predictions, message);
    let mut reader = ::csv::Reader::from_reader(std::io::BufReader::new(file));
    let [mut right, mut wrong, mut unsure]: [BTreeMap<String, (f64, Example)>; 3] = Default::default();
    for row in reader.records() {
        let row = row.map_err(|error| refused(error.to_string()))?;
        let cells: Vec<&str> = row.iter().collect();
        let [chunk, file, truth, said @ ..] = cells.as_slice() else { continue };
        let (Ok(chunk), (named, _)) = (chunk.parse(), said.as_chunks::<2>()) else { continue };
        let said: Vec<(String, f64)> =
            named.iter().filter_map(|[class, p]| Some(((*class).to_owned(), p.parse().ok()?))).collect();
        let Some((first, sure)) = said.first().map(|(class, p)| (class.as_str(), *p)) else { continue };
        let kind = if first == *truth { &mut right } else { &mut wrong };
        let example = Example { key: ImageKey::new(chunk, *file), truth: (*truth).to_owned(), said: said.clone(), jpeg: vec![] };
        keep(kind, sure, &example);
        keep(&mut unsure, -sure, &example);
    }
    Ok(Examples { id: id.clone(), right: best(right), wrong: best(wrong), unsure: best(unsure) })
}

fn keep(kind: &mut BTreeMap<String, (f64, Example)>, score: f64, example: &Example) {
    let there = kind.get(&example.truth).is_some_and(|(best, _)| *best >= score);
    if !there {
        kind.insert(example.truth.clone(), (score, example.clone()));
    }
}

fn best(kind: BTreeMap<String, (f64, Example)>) -> Vec<Example> {
    let mut all: Vec<(f64, Example)> = kind.into_values().collect();
    all.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.key.cmp(&b.1.key)));
    all.into_iter().take(EACH).map(|(_, example)| example).collect()
}

/// Opens the prepared images of a job: its packs, or else its ZIP.
pub fn images(job: &Job) -> Result<Box<dyn Reader>> {
    let package = job.preprocess.package();
    let zip: PathBuf = job.paths.images(&package).join(format!("{package}.zip"));
    container::open(&job.paths.packs(&package)).or_else(|error| if zip.is_file() { container::open(&zip) } else { Err(error) })
}

/// Fetches the bytes of every example; returns what could not be had.
pub fn fetch(examples: &mut Examples, images: &dyn Reader) -> Vec<String> {
    let mut faults = Vec::new();
    for example in examples.right.iter_mut().chain(&mut examples.wrong).chain(&mut examples.unsure) {
        match images.read(&example.key) {
            Ok(Some(bytes)) if bytes.len() <= LARGEST => example.jpeg = bytes.into_owned(),
            Ok(Some(bytes)) => faults.push(format!("{} is too large for a page: {} bytes", example.key, bytes.len())),
            Ok(None) => faults.push(format!("{} is not among the prepared images", example.key)),
            Err(error) => faults.push(error.to_string()),
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_surest_right_and_wrong_and_the_least_sure_are_chosen_one_of_each_class() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("predictions.csv");
        let rows = "chunk,image_file,truth,top1,p1,top2,p2
1,a.jpg,Diptera,Diptera,0.9,Hemiptera,0.1
1,b.jpg,Diptera,Diptera,0.95,Hemiptera,0.05
2,c.jpg,Hemiptera,Diptera,0.8,Hemiptera,0.2
2,d.jpg,Hemiptera,Hemiptera,0.51,Diptera,0.49
";
        std::fs::write(&path, rows).unwrap();
        let chosen = choose(&"small_insect_order-resnet50-CE-s1".parse().unwrap(), &path).unwrap();
        let files = |examples: &[Example]| examples.iter().map(|example| example.key.file.clone()).collect::<Vec<_>>();
        assert_eq!(files(&chosen.right), ["b.jpg", "d.jpg"]);
        assert_eq!(files(&chosen.wrong), ["c.jpg"]);
        assert_eq!(files(&chosen.unsure), ["d.jpg", "a.jpg"]);
        assert_eq!(chosen.wrong[0].said, [("Diptera".into(), 0.8), ("Hemiptera".into(), 0.2)]);
    }
}
