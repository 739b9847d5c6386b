//! Every cluster emulated on a real Slurm: its node shapes, its policies as a submit plugin. All our scripts for all 72 runs pass
//! `sbatch --test-only` there, and what the policies forbid is refused by this program first.

#[path = "support/slurm.rs"]
mod slurm;

use std::fs;
use std::path::Path;
use std::sync::Mutex;

use bioscan_hpc::config::{Cluster, GpuCounts, Job, from_text};
use bioscan_hpc::sweep::plan::{Plan, Resources, plan};
use bioscan_hpc::sweep::policy;
use bioscan_hpc::sweep::render::{Rendering, render, templates};
use slurm::{Shape, Site, SlurmLab};

/// Two nodes of each kind: a few are as good as many for what may be asked of one.
const NODES: u32 = 2;

/// A site's policy, by the facts of the cluster's profile.
fn submit_plugin(cluster: &Cluster) -> String {
    let number = |value: Option<f64>| value.map_or_else(|| "nil".to_owned(), |value| (value * 60.0).to_string());
    let whole_cpu = cluster.cpu.as_ref().filter(|cpu| cpu.whole).map_or_else(|| "nil".to_owned(), |cpu| cpu.cores.to_string());
    let gpu = cluster.gpus.first();
    let counts = match gpu.map(|gpu| gpu.counts) {
        Some(GpuCounts::OneOrWholeNodes) => "one",
        Some(GpuCounts::WholeNodes) => "whole",
        _ => "any",
    };
    format!(
        r#"
local shortest = {min}
local whole_cpu = {whole_cpu}
local counts = "{counts}"
local per_node = {per_node}
local named = {named}
local one_slice = {one_slice}

local function refuse(message)
    slurm.log_user(message)
    return slurm.ERROR
end

function slurm_job_submit(job, partitions, uid)
    if job.time_limit == slurm.NO_VAL then return refuse("policy: --time is mandatory") end
    if job.account == nil then return refuse("policy: --account is mandatory") end
    if job.partition ~= nil then return refuse("policy: do not name a partition") end
    if shortest ~= nil and job.time_limit < shortest then return refuse("policy: too short a job") end
    local nodes = job.min_nodes
    if nodes == slurm.NO_VAL then nodes = 1 end
    local asked = job.tres_per_node
    if asked == nil then
        local tasks = job.num_tasks
        if tasks == slurm.NO_VAL then tasks = 1 end
        if whole_cpu ~= nil and tasks * job.cpus_per_task ~= whole_cpu * nodes then
            return refuse("policy: whole nodes only")
        end
        return slurm.SUCCESS
    end
    -- gres:gpu:MODEL:N, gres:gpu:MODEL or gres:gpu:N
    local model, count = string.match(asked, "gpu:([^:,]+):(%d+)$")
    if model == nil then
        model = string.match(asked, "gpu:([^:,]+)$")
        count = 1
        if model ~= nil and string.match(model, "^%d+$") then
            count, model = tonumber(model), nil
        end
    end
    if model == nil and named then return refuse("policy: name the model of the GPU") end
    local total = tonumber(count) * nodes
    if model ~= nil and string.find(model, "%dg%.%d+gb") and one_slice and total > 1 then
        return refuse("policy: one MIG instance a job")
    end
    if counts == "one" and total ~= 1 and tonumber(count) ~= per_node then
        return refuse("policy: one GPU or whole nodes")
    end
    if counts == "whole" and tonumber(count) ~= (string.find(model, "h200") and 8 or per_node) then
        return refuse("policy: whole GPU nodes only")
    end
    return slurm.SUCCESS
end

function slurm_job_modify(job, record, partitions, uid)
    return slurm.SUCCESS
end

return slurm.SUCCESS
"#,
        min = number(cluster.walltime.min),
        per_node = gpu.map_or(0, |gpu| gpu.per_node),
        named = cluster.rules.gpu_model == Some(true),
        one_slice = cluster.rules.one_slice == Some(true),
    )
}

/// The cluster in small: its node shapes, half of the GPU nodes cut into slices where it has those, its limits and its policy.
fn site(cluster: &Cluster) -> Site {
    let mut shapes = Vec::new();
    if let Some(cpu) = &cluster.cpu {
        shapes.push(Shape { nodes: NODES, cores: cpu.cores, memory_mib: cpu.memory_mib, gpus: vec![] });
    }
    for gpu in &cluster.gpus {
        let shape = Shape {
            nodes: NODES,
            cores: gpu.node_cores,
            memory_mib: gpu.node_memory_mib,
            gpus: vec![(gpu.spec.clone(), gpu.per_node)],
        };
        if !gpu.slices.is_empty() {
            let slices = gpu.slices.iter().map(|slice| (slice.spec.clone(), gpu.per_node)).collect();
            shapes.push(Shape { nodes: 1, gpus: slices, ..shape.clone() });
        }
        shapes.push(shape);
    }
    let minutes = cluster.walltime.max.map_or_else(|| "UNLIMITED".to_owned(), |hours| (hours * 60.0).to_string());
    Site {
        shapes,
        submit_plugin: Some(submit_plugin(cluster)),
        partitions: format!("PartitionName=main Nodes=ALL Default=YES MaxTime={minutes} State=UP\n"),
        ..Site::default()
    }
}

fn paper(more: &str) -> Job {
    from_text(&format!("{}\n{more}", include_str!("../jobs/bioscan-1m.toml")), "job.toml").unwrap()
}

/// What Slurm says to a script: nothing where it would take it.
fn test_only(lab: &SlurmLab, script: &Path, more: &[&str]) -> Result<(), String> {
    let output = lab.command("sbatch").arg("--test-only").args(more).arg(script).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(()) } else { Err(said) }
}

/// Writes the scripts of `plan` into `folder`.
fn write(folder: &Path, job: &Job, plan: &Plan) {
    let account = plan.cluster.account_example.as_deref();
    let rendering = Rendering { job, job_file: Path::new("job.toml"), folder, account, ranks: 1 };
    fs::create_dir_all(folder).unwrap();
    for (name, text) in render(plan, &rendering, templates(None).unwrap()).unwrap() {
        fs::write(folder.join(name), text).unwrap();
    }
}

/// Requests that break one rule each: the words of the policy, or of Slurm, and what asks for it.
fn forbidden(cluster: &Cluster) -> Vec<(&'static str, Resources)> {
    let gpu = &cluster.gpus[0];
    let whole = gpu.counts == GpuCounts::WholeNodes;
    let good = Resources {
        minutes: 180,
        nodes: 1,
        tasks_per_node: 1,
        cpus_per_task: gpu.cores,
        gpus_per_node: Some(format!("{}:{}", gpu.spec, if whole { gpu.per_node } else { 1 })),
        memory: cluster.memory_line.then(|| "8G".to_owned()),
    };
    let gpus = |asked: String| Resources { gpus_per_node: Some(asked), ..good.clone() };
    let mut wrong = vec![
        ("a GPU that is not there", gpus("v100:1".into())),
        ("more GPUs than a node has", gpus(format!("{}:{}", gpu.spec, gpu.per_node + 1))),
        ("more cores than a node has", Resources { cpus_per_task: gpu.node_cores + 1, ..good.clone() }),
    ];
    if cluster.memory_line {
        let gib = gpu.node_memory_mib / 1024 + 1;
        wrong.push(("more memory than a node has", Resources { memory: Some(format!("{gib}G")), ..good.clone() }));
    }
    if let Some(max) = cluster.walltime.max {
        wrong.push(("too long", Resources { minutes: (max * 60.0) as u64 + 60, ..good.clone() }));
    }
    if let Some(min) = cluster.walltime.min {
        wrong.push(("too short", Resources { minutes: (min * 60.0) as u64 - 5, ..good.clone() }));
    }
    if cluster.rules.gpu_model == Some(true) {
        wrong.push(("no model", gpus("1".into())));
    }
    if let Some(slice) = gpu.slices.first() {
        wrong.push(("two slices", gpus(format!("{}:2", slice.spec))));
    }
    match gpu.counts {
        GpuCounts::Any => {}
        GpuCounts::OneOrWholeNodes => wrong.push(("two GPUs", gpus(format!("{}:2", gpu.spec)))),
        GpuCounts::WholeNodes => wrong.push(("one GPU", gpus(format!("{}:1", gpu.spec)))),
    }
    if cluster.cpu.as_ref().is_some_and(|cpu| cpu.whole) {
        wrong.push(("part of a CPU node", Resources { gpus_per_node: None, ..good.clone() }));
    }
    wrong
}

/// A request as a script that does nothing.
fn script_of(resources: &Resources, cluster: &Cluster) -> String {
    let option = |name: &str, value: &Option<String>| {
        value.as_ref().map_or_else(String::new, |value| format!("#SBATCH --{name}={value}\n"))
    };
    format!(
        "#!/bin/bash\n#SBATCH --account={}\n#SBATCH --time={}\n#SBATCH --nodes={}\n#SBATCH --ntasks-per-node={}\n#SBATCH --cpus-per-task={}\n{}{}true\n",
        cluster.account_example.as_deref().unwrap_or("def-x"),
        resources.minutes,
        resources.nodes,
        resources.tasks_per_node,
        resources.cpus_per_task,
        option("gpus-per-node", &resources.gpus_per_node),
        option("mem", &resources.memory),
    )
}

/// Eight clusters at once would take their time from each other.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn emulate(name: &str) {
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let cluster = Cluster::load(name, None).unwrap();
    let Some(lab) = SlurmLab::start(&site(&cluster)) else { return };
    let folder = lab.folder().join("scripts");
    // All 72, as they are planned; and with every run on whole GPUs, short and in a row.
    for (variant, more) in [("plain", ""), ("whole", "[sweep]\ngpu = \"whole\"\nhours = 0.4\n")] {
        let job = paper(more);
        let plan = plan(&job, &cluster).unwrap();
        assert_eq!(plan.jobs.iter().map(bioscan_hpc::sweep::PlannedJob::runs).sum::<usize>(), 72);
        write(&folder.join(variant), &job, &plan);
        for planned in &plan.jobs {
            let script = folder.join(variant).join(&planned.script);
            assert_eq!(test_only(&lab, &script, &[]), Ok(()), "{name}, {variant}: {}", planned.script);
        }
        let script = folder.join(variant).join(&plan.jobs[1].script);
        let refused = test_only(&lab, &script, &["--partition=main"]);
        assert!(refused.is_err_and(|said| said.contains("do not name a partition")), "{name}");
    }
    for (what, resources) in forbidden(&cluster) {
        let script = folder.join("forbidden.sh");
        fs::write(&script, script_of(&resources, &cluster)).unwrap();
        assert!(test_only(&lab, &script, &[]).is_err(), "{name} takes {what}, so the emulation is not what it should be");
        let refusals = policy::refusals(&cluster, &resources);
        assert!(!refusals.is_empty(), "{name} refuses {what}, and the plan would not: {resources:?}");
        assert!(refusals.iter().all(|refusal| !refusal.source.is_empty()), "{refusals:?}");
    }
}

#[test]
fn fir_takes_what_we_ask_for_and_refuses_what_we_refuse() {
    emulate("fir");
}

#[test]
fn nibi_takes_what_we_ask_for_and_refuses_what_we_refuse() {
    emulate("nibi");
}

#[test]
fn rorqual_takes_what_we_ask_for_and_refuses_what_we_refuse() {
    emulate("rorqual");
}

#[test]
fn narval_takes_what_we_ask_for_and_refuses_what_we_refuse() {
    emulate("narval");
}

#[test]
fn trillium_takes_what_we_ask_for_and_refuses_what_we_refuse() {
    emulate("trillium");
}

#[test]
fn tamia_takes_what_we_ask_for_and_refuses_what_we_refuse() {
    emulate("tamia");
}

#[test]
fn killarney_takes_what_we_ask_for_and_refuses_what_we_refuse() {
    emulate("killarney");
}

#[test]
fn vulcan_takes_what_we_ask_for_and_refuses_what_we_refuse() {
    emulate("vulcan");
}
