//! A real Slurm for the tests: munged, slurmctld and a few slurmd with fake GPUs on this machine, as root or not, in a folder of its own.
//!
//! Needs the packages slurmctld, slurmd, slurm-client, munge and slurm-wlm-basic-plugins; `.ci/setup.sh test` installs them.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Every process of a lab has this in its environment, so that nothing is left behind and nobody else's is touched.
const MARK: &str = "BIOSCAN_LAB";
/// And every daemon of a node this.
const NODE: &str = "BIOSCAN_LAB_NODE";
const DAEMONS: [&str; 3] = ["munged", "slurmctld", "slurmd"];

/// Nodes that are alike.
#[derive(Clone, Debug)]
pub struct Shape {
    /// How many.
    pub nodes: u32,
    /// Cores of one; more than this machine has are fine.
    pub cores: u32,
    /// Memory of one in MiB, likewise.
    pub memory_mib: u64,
    /// GPUs of one: (type, how many).
    pub gpus: Vec<(String, u32)>,
}

/// What a lab is like. The nodes are called n1, n2, ... in the order of the shapes.
#[derive(Clone, Debug)]
pub struct Site {
    /// Its nodes.
    pub shapes: Vec<Shape>,
    /// The site's policy: the text of `job_submit.lua`, whose `slurm.log_user` reaches whoever submits.
    pub submit_plugin: Option<String>,
    /// Further lines of slurm.conf: `MaxArraySize=50`.
    pub settings: String,
    /// Seconds after which a node that does not answer is down.
    pub node_timeout: u32,
    /// The lines of the partitions. In the default one, jobs of `urgent` preempt those of `main`.
    pub partitions: String,
}

impl Default for Site {
    /// Four nodes with four GPUs each.
    fn default() -> Self {
        Self {
            shapes: vec![Shape { nodes: 4, cores: 16, memory_mib: 256_000, gpus: vec![("h100".into(), 4)] }],
            submit_plugin: None,
            settings: String::new(),
            node_timeout: 60,
            partitions: "PartitionName=main Nodes=ALL Default=YES MaxTime=7-00:00:00 State=UP PriorityTier=1\n\
                         PartitionName=urgent Nodes=ALL MaxTime=7-00:00:00 State=UP PriorityTier=10\n"
                .into(),
        }
    }
}

/// A cluster profile that fits the default site.
pub const PROFILE: &str = r#"
name = "lab"
title = "the Slurm of the tests"
scheduler = "slurm"
launcher = "srun"
modules = []
staging = "none"
submit_from_scratch = false
memory_line = true
[walltime]
max = 168
bins = [3, 12, 24, 72, 168]
[limits]
submitted = 1000
[[gpus]]
spec = "h100"
nodes = 4
per_node = 4
node_cores = 16
node_memory_mib = 256000
cores = 4
memory_gib = 8
counts = "any"
speed = 1.0
"#;

/// A Slurm that runs, and ends with this value.
pub struct SlurmLab {
    folder: tempfile::TempDir,
    nodes: Vec<String>,
}

impl SlurmLab {
    /// Starts `site`; `None`, aloud, where Slurm is not installed.
    pub fn start(site: &Site) -> Option<Self> {
        if let Some(missing) = DAEMONS.iter().find(|name| !on_path(name)) {
            eprintln!("SKIPPED: no {missing} here; `.ci/setup.sh test` installs Slurm");
            return None;
        }
        // A short path: the socket's must stay below 108 bytes.
        let folder = tempfile::Builder::new().prefix("lab").tempdir_in("/tmp").unwrap();
        let count = site.shapes.iter().map(|shape| shape.nodes).sum::<u32>();
        let lab = Self { folder, nodes: (1..=count).map(|node| format!("n{node}")).collect() };
        // Ports may be taken between the look and the start, so a second and third choice is allowed.
        for attempt in 0..3 {
            lab.configure(site, attempt);
            if attempt == 0 {
                lab.start_munge();
            }
            lab.start_controller(true);
            lab.nodes.iter().for_each(|node| lab.start_node(node));
            if lab.becomes(Duration::from_secs(20), || lab.idle_nodes() == lab.nodes.len()) {
                return Some(lab);
            }
            lab.kill(|environment| !environment.contains_key("BIOSCAN_LAB_MUNGE"));
        }
        panic!("Slurm did not start:\n{}", lab.logs());
    }

    /// Where everything of it lies.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn configure(&self, site: &Site, attempt: u32) {
        let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
        let host = host.trim().split('.').next().unwrap_or_default().to_owned();
        let user = String::from_utf8(Command::new("id").arg("-un").output().unwrap().stdout).unwrap();
        let (user, lab) = (user.trim(), self.folder.path().display());
        let base = free_ports(self.nodes.len() as u16 + 1, attempt);
        for folder in ["state", "spool", "run"] {
            fs::create_dir_all(self.at(folder)).unwrap();
        }
        let mut nodes = String::new();
        let mut gres = String::new();
        let shapes = site.shapes.iter().flat_map(|shape| (0..shape.nodes).map(move |_| shape));
        for ((name, shape), port) in self.nodes.iter().zip(shapes).zip(base + 1..) {
            let Shape { cores, memory_mib, gpus, .. } = shape;
            let offered: Vec<String> = gpus.iter().map(|(kind, count)| format!("gpu:{kind}:{count}")).collect();
            let offered = if offered.is_empty() { String::new() } else { format!(" Gres={}", offered.join(",")) };
            writeln!(
                nodes,
                "NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs={cores} Sockets=1 CoresPerSocket={cores} \
                 ThreadsPerCore=1 RealMemory={memory_mib}{offered} State=UNKNOWN"
            )
            .unwrap();
            let mut devices = self.devices(gpus.iter().map(|(_, count)| *count as usize).sum()).into_iter();
            for (kind, count) in gpus {
                for device in devices.by_ref().take(*count as usize) {
                    writeln!(gres, "NodeName={name} Name=gpu Type={kind} File={}", device.display()).unwrap();
                }
            }
            // Without a folder each, PMIx steps over several nodes of one machine get into each other's way.
            fs::create_dir_all(self.at("tmp").join(name)).unwrap();
        }
        let plugin = site.submit_plugin.as_ref().map_or("", |_| "JobSubmitPlugins=lua\n");
        if let Some(text) = &site.submit_plugin {
            fs::write(self.at("job_submit.lua"), text).unwrap();
        }
        let text = format!(
            "ClusterName=lab\nSlurmctldHost={host}(127.0.0.1)\nSlurmctldPort={base}\n\
             SlurmUser={user}\nSlurmdUser={user}\n\
             AuthType=auth/munge\nCredType=cred/munge\n\
             # How long a credential lives is how long a requeued job waits: 120 s by default.\n\
             AuthInfo=socket={lab}/munge/s,cred_expire=5\n\
             StateSaveLocation={lab}/state\nSlurmdSpoolDir={lab}/spool/%n\nTmpFS={lab}/tmp/%n\n\
             SlurmctldPidFile={lab}/run/slurmctld.pid\nSlurmdPidFile={lab}/run/%n.pid\n\
             SlurmctldLogFile={lab}/slurmctld.log\nSlurmdLogFile={lab}/%n.log\n\
             # Nodes may claim more than this machine has, and need no cgroups.\n\
             SlurmdParameters=config_overrides\nProctrackType=proctrack/linuxproc\nTaskPlugin=task/none\n\
             SwitchType=switch/none\nJobAcctGatherType=jobacct_gather/none\nMpiDefault=pmix\n\
             SelectType=select/cons_tres\nSelectTypeParameters=CR_Core_Memory\nDefMemPerCPU=256\nGresTypes=gpu\n\
             SchedulerParameters=sched_interval=1,sched_min_interval=0,bf_interval=1,batch_sched_delay=0\n\
             EnforcePartLimits=ALL\nPreemptType=preempt/partition_prio\nPreemptMode=REQUEUE\n\
             # Ended jobs stay in squeue: there is no database.\n\
             MinJobAge=3600\nJobCompType=jobcomp/none\n\
             SlurmdTimeout={}\nReturnToService=2\nKillWait=2\n\
             {plugin}{}\n{nodes}{}",
            site.node_timeout, site.settings, site.partitions
        );
        fs::write(self.at("slurm.conf"), text).unwrap();
        fs::write(self.at("gres.conf"), gres).unwrap();
        // slurmd loads a cgroup plugin even where it uses none, and finding out which one fails where /sys is not mounted.
        fs::write(self.at("cgroup.conf"), "CgroupPlugin=cgroup/v1\n").unwrap();
    }

    /// Files that can pass for GPUs: character devices, which get real indices, and plain files where those run out.
    fn devices(&self, count: usize) -> Vec<PathBuf> {
        let known = ["null", "zero", "full", "random", "urandom", "tty"].map(|name| Path::new("/dev").join(name));
        let plain = (0..).map(|number| self.at(&format!("run/gpu{number}"))).inspect(|path| drop(fs::write(path, b"")));
        known.into_iter().filter(|path| path.exists()).chain(plain).take(count).collect()
    }

    fn start_munge(&self) {
        let folder = self.at("munge");
        fs::create_dir_all(&folder).unwrap();
        let key = folder.join("key");
        run(self.command("mungekey").args(["--create", "--keyfile"]).arg(&key));
        run(Command::new("chmod").arg("600").arg(&key));
        run(Command::new("chmod").arg("711").arg(&folder));
        let file = |option: &str, name: &str| format!("--{option}={}", folder.join(name).display());
        run(self
            .command("munged")
            .args(["-f", "-S"])
            .arg(folder.join("s"))
            .args([file("key-file", "key"), file("log-file", "log"), file("pid-file", "pid"), file("seed-file", "seed")])
            .env("BIOSCAN_LAB_MUNGE", "1"));
    }

    /// Starts slurmctld; without `clean` it goes on with what it knew.
    pub fn start_controller(&self, clean: bool) {
        run(self.command("slurmctld").args(clean.then_some("-c")));
    }

    /// Ends slurmctld as a site does for an upgrade.
    pub fn stop_controller(&self) {
        let pid: u32 = fs::read_to_string(self.at("run/slurmctld.pid")).unwrap().trim().parse().unwrap();
        kill_all("TERM", &[pid]);
        self.wait_for("slurmctld to end", 30, || !Path::new(&format!("/proc/{pid}")).exists());
    }

    /// Starts the daemon of a node.
    pub fn start_node(&self, node: &str) {
        run(self.command("slurmd").args(["-c", "-N", node]).env(NODE, node));
    }

    /// What a power cut does to a node: its daemon and everything that runs there is gone, before any of it can tell.
    pub fn kill_node(&self, node: &str) {
        let is = |name: &'static str| {
            move |environment: &BTreeMap<String, String>| environment.get(name).is_some_and(|value| value == node)
        };
        // Whoever would report the death of a task dies before it.
        let tasks = self.own(is("SLURMD_NODENAME"));
        let mut watchers = self.own(is(NODE));
        watchers.extend(tasks.iter().copied().filter_map(step_above));
        kill_all("KILL", &watchers);
        self.kill(is("SLURMD_NODENAME"));
    }

    /// A program that talks to this Slurm and to no other.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        self.enter(&mut command);
        command.stdin(Stdio::null());
        command
    }

    /// Puts the environment of this Slurm around `command`, and takes away what another one left in it.
    pub fn enter(&self, command: &mut Command) {
        let foreign = ["SLURM_", "SBATCH_", "SQUEUE_", "SCANCEL_", "OMPI_", "PMIX_", "PMI_"];
        for (name, _) in std::env::vars_os() {
            if foreign.iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
                command.env_remove(name);
            }
        }
        command.env("SLURM_CONF", self.at("slurm.conf")).env(MARK, self.folder.path());
        command.env("PATH", format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default()));
        // Ranks on several nodes of one machine would share their shared memory; over TCP they stay apart. As root Open MPI asks twice.
        command.env("OMPI_MCA_btl", "self,tcp").env("OMPI_MCA_btl_tcp_if_include", "lo").env("OMPI_MCA_pml", "ob1");
        command.env("OMPI_ALLOW_RUN_AS_ROOT", "1").env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1");
    }

    /// `squeue -h -r -t all -o format`, a line a task.
    pub fn squeue(&self, format: &str) -> Vec<String> {
        let output = self.command("squeue").args(["-h", "-r", "-t", "all", "-o", format]).output().unwrap();
        String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
    }

    /// The states of all tasks that Slurm remembers, by `JOB_INDEX`, or `JOB` without an array.
    pub fn states(&self) -> BTreeMap<String, String> {
        let lines = self.squeue("%F %K %T");
        let parse = |line: &String| {
            let mut words = line.split(' ').map(str::to_owned);
            let (job, index, state) = (words.next()?, words.next()?, words.next()?);
            Some((if index == "N/A" { job } else { format!("{job}_{index}") }, state))
        };
        lines.iter().filter_map(parse).collect()
    }

    /// Whether nothing waits and nothing runs.
    pub fn is_quiet(&self) -> bool {
        let over = ["COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY", "DEADLINE"];
        self.states().values().all(|state| over.contains(&state.as_str()))
    }

    /// Waits until `condition`, or fails with what Slurm knows.
    pub fn wait_for(&self, what: &str, seconds: u64, condition: impl Fn() -> bool) {
        if !self.becomes(Duration::from_secs(seconds), condition) {
            panic!("waited {seconds} s for {what}\n{}\n{}", self.squeue("%F_%K %T %r %N %j").join("\n"), self.logs());
        }
    }

    fn becomes(&self, patience: Duration, condition: impl Fn() -> bool) -> bool {
        let end = Instant::now() + patience;
        while !condition() {
            if Instant::now() > end {
                return false;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        true
    }

    fn idle_nodes(&self) -> usize {
        let output = self.command("sinfo").args(["-h", "-N", "-o", "%N %t"]).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        let idle: std::collections::BTreeSet<&str> = text.lines().filter_map(|line| line.strip_suffix(" idle")).collect();
        idle.len()
    }

    fn logs(&self) -> String {
        let last = |name: String| {
            let text = fs::read_to_string(self.at(&name)).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            format!("== {name}\n{}\n", lines[lines.len().saturating_sub(15)..].join("\n"))
        };
        let nodes = self.nodes.iter().map(|node| format!("{node}.log"));
        std::iter::once("slurmctld.log".to_owned()).chain(nodes).map(last).collect()
    }

    /// The processes of this lab whose environment is `wanted`.
    fn own(&self, wanted: impl Fn(&BTreeMap<String, String>) -> bool) -> Vec<u32> {
        let mark = self.folder.path().display().to_string();
        let mine = |environment: &BTreeMap<String, String>| environment.get(MARK) == Some(&mark) && wanted(environment);
        processes().filter(|(_, environment)| mine(environment)).map(|(pid, _)| pid).collect()
    }

    /// Ends every process of this lab whose environment is `wanted`, and the steps above them.
    fn kill(&self, wanted: impl Fn(&BTreeMap<String, String>) -> bool) {
        // Again and again, because a process may be starting another one just now.
        for _ in 0..50 {
            let mut pids = self.own(&wanted);
            if pids.is_empty() {
                return;
            }
            pids.extend(pids.clone().into_iter().filter_map(step_above));
            kill_all("KILL", &pids);
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// The slurmstepd that is the parent of a task: its own environment is empty.
fn step_above(pid: u32) -> Option<u32> {
    let stat = |pid: u32| fs::read_to_string(format!("/proc/{pid}/stat")).ok();
    let text = stat(pid)?;
    let parent: u32 = text.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()?;
    stat(parent)?.contains("(slurmstepd").then_some(parent)
}

impl Drop for SlurmLab {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.logs());
        }
        self.kill(|_| true);
    }
}

/// The processes whose environment may be read, without this one.
fn processes() -> impl Iterator<Item = (u32, BTreeMap<String, String>)> {
    let pids = fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_string_lossy().parse().ok());
    pids.filter(|pid| *pid != std::process::id()).filter_map(|pid: u32| {
        let bytes = fs::read(format!("/proc/{pid}/environ")).ok()?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let pairs = text.split('\0').filter_map(|pair| pair.split_once('='));
        Some((pid, pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()))
    })
}

fn kill_all(signal: &str, pids: &[u32]) {
    let mut command = Command::new("bash");
    command.args(["-c", "kill -s \"$@\"", "bash", signal]).args(pids.iter().map(u32::to_string));
    let _ = command.stderr(Stdio::null()).status();
}

/// Whether a program is there; the daemons lie where only root's PATH leads.
fn on_path(program: &str) -> bool {
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
    path.split(':').any(|folder| Path::new(folder).join(program).is_file())
}

fn run(command: &mut Command) -> Output {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}\n{}", String::from_utf8_lossy(&output.stderr));
    output
}

/// The first of `count` free ports in a row, below those the system hands out by itself.
fn free_ports(count: u16, attempt: u32) -> u16 {
    let mut base = 12_000 + ((std::process::id() * 131 + attempt * 977 + fastest_clock()) % 18_000) as u16;
    while !(base..base + count).all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok()) {
        base = 12_000 + (base - 12_000 + count) % 18_000;
    }
    base
}

/// Two labs of one process must not look in the same place.
fn fastest_clock() -> u32 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |time| time.subsec_nanos() / 100)
}
