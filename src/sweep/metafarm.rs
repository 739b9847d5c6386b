//! A plan → the files of META-Farm, for those who live there: a farm an array, each with `table.dat`, `single_case.sh`,
//! `job_script.sh` and `final.sh`.
//!
//! What META-Farm expects of them is the Alliance's own page on it (version 1.0.3, wiki of 2026-04-10): `table.dat` holds a case a
//! line, which `submit.run` numbers; `single_case.sh TABLE LINE` runs one and appends `NUMBER STATUS` to
//! `STATUSES/status.$METAJOB_ID`; `job_script.sh` asks for `--time` itself and ends in `task.run`; `final.sh` is a job for when all
//! cases have ended well.

use std::collections::BTreeMap;

use minijinja::context;

use crate::config::Scheduler;
use crate::error::{Error, Result};
use crate::sweep::plan::{Plan, Stage};
use crate::sweep::quote;
use crate::sweep::render::{Rendering, environment, fill, id_of, text_of, values};

/// The files of every farm, under `metafarm/{array}/`.
pub fn render(plan: &Plan, rendering: &Rendering, templates: BTreeMap<String, String>) -> Result<BTreeMap<String, String>> {
    if plan.cluster.scheduler == Scheduler::None {
        return Err(Error::usage("META-Farm submits to a scheduler, and this machine has none in its profile")
            .with_help("name a cluster by --cluster"));
    }
    let environment = environment(templates)?;
    let mut files = BTreeMap::new();
    for job in plan.jobs.iter().filter(|job| job.stage == Stage::Train) {
        let folder = format!("metafarm/{}", job.name());
        let farm = context! {
            farm => quote::job_name(&format!("{}-{}", rendering.job.name, job.name())),
            farm_source => text_of(&rendering.folder.join(&folder))?,
        };
        let of = |job| Ok::<_, Error>(context! { ..farm.clone(), ..values(job, plan, rendering)? });
        files.insert(format!("{folder}/job_script.sh"), fill(&environment, "metafarm_job_script.sh.j2", of(job)?)?);
        files.insert(format!("{folder}/single_case.sh"), fill(&environment, "metafarm_single_case.sh.j2", of(job)?)?);
        for last in plan.jobs.iter().filter(|job| job.stage == Stage::Aggregate) {
            files.insert(format!("{folder}/final.sh"), fill(&environment, "aggregate.sh.j2", of(last)?)?);
        }
        let cases = job.tasks.iter().map(|task| {
            let ids: Vec<String> = task.experiments.iter().map(|index| id_of(plan, *index)).collect();
            ids.join(" ") + "\n"
        });
        files.insert(format!("{folder}/table.dat"), cases.collect());
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Cluster, Job, from_text};
    use crate::sweep::plan::plan;
    use crate::sweep::render::templates;
    use std::path::Path;

    fn farms(cluster: &str) -> Result<BTreeMap<String, String>> {
        let job: Job = from_text(include_str!("../../jobs/bioscan-1m.toml"), "job.toml").unwrap();
        let plan = plan(&job, &Cluster::load(cluster, None).unwrap()).unwrap();
        let (job_file, folder) = (Path::new("jobs/a b.toml"), Path::new("slurm/fir"));
        render(&plan, &Rendering { job: &job, job_file, folder, account: Some("def-smith"), ranks: 1 }, templates(None).unwrap())
    }

    #[test]
    fn an_array_becomes_a_farm_whose_table_has_a_case_a_line() {
        let files = farms("fir").unwrap();
        let table = &files["metafarm/train-small-resnet50/table.dat"];
        assert_eq!(table.lines().count(), 12);
        assert_eq!(table.lines().next(), Some("small_insect_order-resnet50-CE-s1"));
        let script = &files["metafarm/train-small-resnet50/job_script.sh"];
        assert!(script.contains("#SBATCH --time=0-12:00:00") && script.ends_with("\ntask.run\n"), "{script}");
        assert!(!script.contains("--array") && !script.contains("--output"), "{script}");
        assert_eq!(files.len(), 6 * 4);
    }

    #[test]
    fn where_whole_nodes_are_rented_a_case_holds_as_many_runs_as_a_node_has_gpus() {
        let files = farms("tamia").unwrap();
        let table = &files["metafarm/train-large/table.dat"];
        assert_eq!(table.lines().map(|line| line.split(' ').count()).collect::<Vec<_>>(), [4; 6]);
        assert!(farms("local").is_err());
    }
}
