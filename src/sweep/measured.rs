//! The folders of finished runs → what they say of speed.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::config::{Experiment, Job};
use crate::error::{Error, Result};
use crate::evaluate::RunRecord;
use crate::store::atomic;
use crate::sweep::estimate::Measurement;
use crate::telemetry::Provenance;

/// Beside the scripts: the figures that the submitted plan was made from.
const KEPT: &str = "estimates.json";

/// The figures to plan the job in `job_file` by on `cluster`: [`known`] ones; none where its paths lead nowhere on this machine.
pub fn on_disk(job_file: &Path, cluster: &str) -> Result<Vec<Measurement>> {
    match Job::load(job_file) {
        Ok(job) => known(&job, &job.paths.output.join("slurm").join(cluster)),
        // `$SCRATCH` is not set away from the cluster.
        Err(_) => Ok(Vec::new()),
    }
}

/// What is kept; earlier versions wrote the bare list.
#[derive(Serialize, Deserialize)]
struct Kept {
    finished: Vec<Measurement>,
}

/// The figures to plan `job` by: those that were kept in `folder` when it was submitted, so that its arrays stay as they are, or else
/// those of the runs that are finished now.
pub fn known(job: &Job, folder: &Path) -> Result<Vec<Measurement>> {
    match kept(folder) {
        Some(kept) => Ok(kept),
        None => measurements(&job.grid.experiments(), &job.paths.runs()),
    }
}

fn kept(folder: &Path) -> Option<Vec<Measurement>> {
    let bytes = std::fs::read(folder.join(KEPT)).ok()?;
    // A bare list may be that of a dry run, and an empty one would bind a plan to no figures for good.
    let bare = || serde_json::from_slice(&bytes).ok().filter(|list: &Vec<Measurement>| !list.is_empty());
    serde_json::from_slice(&bytes).ok().map(|kept: Kept| kept.finished).or_else(bare)
}

/// Keeps the figures that a submitted plan was made from in `folder`, unless some are kept there.
pub fn keep(folder: &Path, finished: &[Measurement]) -> Result<()> {
    if kept(folder).is_some() {
        return Ok(());
    }
    let kept = Kept { finished: finished.to_vec() };
    let text = serde_json::to_vec_pretty(&kept).map_err(|error| Error::library("serde_json", error))?;
    atomic::write(&folder.join(KEPT), &text)
}

/// What each finished run among `experiments` measured; `runs` holds a folder an id. A run without times is passed over.
pub fn measurements(experiments: &[Experiment], runs: &Path) -> Result<Vec<Measurement>> {
    let mut found = Vec::new();
    for experiment in experiments {
        let folder = runs.join(experiment.id.to_string());
        let Ok(record) = RunRecord::read(&folder)? else { continue };
        let (timing, provenance) =
            (std::fs::read_to_string(folder.join("timing.csv")), std::fs::read(folder.join("provenance.json")));
        let (Ok(timing), Ok(provenance)) = (timing, provenance) else { continue };
        let Ok(provenance) = serde_json::from_slice(&provenance) else { continue };
        found.extend(measurement(&record, &timing, &provenance));
    }
    Ok(found)
}

/// The median speed of the run's epochs, a GPU. The first epoch of a life is slower than the others and weighs as one of them.
fn measurement(record: &RunRecord, timing: &str, provenance: &Provenance) -> Option<Measurement> {
    let rows = timing.lines().skip(1).filter_map(|line| {
        let mut cells = line.split(',').skip(1).map(str::parse::<f64>);
        let (images, seconds) = (cells.next()?.ok()?, cells.next()?.ok()?);
        (images > 0.0 && seconds > 0.0).then_some((images, images / seconds))
    });
    let (images, mut rates): (Vec<f64>, Vec<f64>) = rows.unzip();
    rates.sort_by(f64::total_cmp);
    let median = rates.get(rates.len() / 2)?;
    let gpu = provenance.slurm_gpus.as_deref().and_then(|asked| asked.split(':').next()).map(str::to_owned);
    Some(Measurement {
        run: record.id.clone(),
        crop: record.config.recipe.crop.size,
        on: if provenance.device == "cpu" { Some("cpu".into()) } else { gpu },
        // The last life of a run may have begun within an epoch.
        images: images.iter().copied().fold(0.0, f64::max) as u64,
        images_per_second: median / provenance.ranks.max(1) as f64,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::from_text;
    use crate::store::hash;
    use crate::sweep::fixtures_tests::of_run;
    use std::fs;

    const TIMING: &str = "epoch,images,seconds,images_per_second\n0,1000,20.000,50.0\n1,1000,10.000,100.0\n2,400,4.000,100.0\n";

    fn record(job: &Job) -> RunRecord {
        of_run(job, &job.grid.experiments()[0])
    }

    #[test]
    fn the_median_epoch_tells_the_speed_and_slurm_the_gpu() {
        let job: Job = from_text(include_str!("../../jobs/bioscan-1m.toml"), "job.toml").unwrap();
        let provenance = |device: &str| Provenance { slurm_gpus: Some("h100:4".into()), ..Provenance::here(1, 1, device) };
        let found = measurement(&record(&job), TIMING, &provenance("cuda:0")).unwrap();
        assert_eq!((found.images, found.images_per_second, found.on.as_deref()), (1000, 100.0, Some("h100")));
        assert_eq!(measurement(&record(&job), TIMING, &provenance("cpu")).unwrap().on.as_deref(), Some("cpu"));
        assert_eq!(measurement(&record(&job), "epoch,images,seconds,images_per_second\ntorn", &provenance("cpu")), None);
    }

    #[test]
    fn only_finished_runs_with_times_count() {
        let job: Job = from_text(include_str!("../../jobs/bioscan-1m.toml"), "job.toml").unwrap();
        let (root, experiments) = (tempfile::tempdir().unwrap(), job.grid.experiments());
        let folder = root.path().join(experiments[0].id.to_string());
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("timing.csv"), TIMING).unwrap();
        fs::write(folder.join("provenance.json"), serde_json::to_vec(&Provenance::here(1, 1, "cpu")).unwrap()).unwrap();
        assert_eq!(measurements(&experiments, root.path()).unwrap(), []);
        hash::write_sealed(&folder.join("test.json"), &serde_json::to_vec(&record(&job)).unwrap()).unwrap();
        assert_eq!(measurements(&experiments, root.path()).unwrap().len(), 1);
        let kept = root.path().join("kept");
        keep(&kept, &measurements(&experiments, root.path()).unwrap()).unwrap();
        fs::remove_file(folder.join("timing.csv")).unwrap();
        assert_eq!(measurements(&experiments, root.path()).unwrap(), []);
        // What was submitted is planned by the same figures for good.
        keep(&kept, &[]).unwrap();
        assert_eq!(known(&job, &kept).unwrap().len(), 1);
    }

    #[test]
    fn a_submission_that_was_planned_by_no_figures_stays_so_and_the_empty_list_of_a_dry_run_binds_nobody() {
        let root = tempfile::tempdir().unwrap();
        let mut job: Job = from_text(include_str!("../../jobs/bioscan-1m.toml"), "job.toml").unwrap();
        job.paths.output = root.path().to_owned();
        let (record, scripts) = (record(&job), root.path().join("slurm/fir"));
        let folder = job.paths.runs().join(record.id.to_string());
        hash::write_sealed(&folder.join("test.json"), &serde_json::to_vec(&record).unwrap()).unwrap();
        fs::write(folder.join("timing.csv"), TIMING).unwrap();
        fs::write(folder.join("provenance.json"), serde_json::to_vec(&Provenance::here(1, 1, "cpu")).unwrap()).unwrap();
        fs::create_dir_all(&scripts).unwrap();
        fs::write(scripts.join(KEPT), "[]").unwrap();
        assert_eq!(known(&job, &scripts).unwrap().len(), 1);
        keep(&scripts, &[]).unwrap();
        assert_eq!(known(&job, &scripts).unwrap(), []);
        // What an earlier version kept of a submission.
        let bare = serde_json::to_vec(&measurements(&job.grid.experiments(), &job.paths.runs()).unwrap()).unwrap();
        fs::write(scripts.join(KEPT), bare).unwrap();
        assert_eq!(known(&job, &scripts).unwrap().len(), 1);
    }
}
