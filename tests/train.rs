//! Training as its user runs it: the files of a run, killed and resumed, on one rank and on two, and refused where it should be.

mod support;

use std::fs;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use bioscan_hpc::container::{ImageKey, Packs, Reader};
use bioscan_hpc::random::{Purpose, stream};
use rand::RngExt;
use support::{RUN, TinyJob, edit, expect, on_ranks};

const SAVE_OFTEN: &str = "checkpoint_steps = 1";

fn start(command: &mut Command) -> Child {
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program starts")
}

/// Waits until `ready`, and says so if it never is.
fn wait_for(what: &str, mut ready: impl FnMut() -> bool) {
    let patience = Instant::now() + Duration::from_secs(120);
    while !ready() {
        assert!(Instant::now() < patience, "waited two minutes for {what}");
        sleep(Duration::from_millis(2));
    }
}

fn has_checkpoint(job: &TinyJob) -> bool {
    let entries = fs::read_dir(job.run("")).into_iter().flatten().flatten();
    entries.into_iter().any(|entry| entry.file_name().to_string_lossy().ends_with(".ckpt"))
}

#[test]
fn a_run_learns_and_leaves_every_file_of_the_contract() {
    let job = TinyJob::new("").with_epochs(8);
    let output = expect(job.train(1).arg("--json"), 0);
    let record: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(record["id"], RUN);
    let figures = &record["evaluation"];
    assert_eq!((figures["expected"].as_u64(), figures["used"].as_u64()), (Some(18), Some(18)));
    assert!(figures["f1_macro"].as_f64().unwrap() > 0.66, "three plain colours should be told apart: {figures}");
    for name in
        ["config.toml", "metrics.csv", "best.safetensors", "test.json", "predictions.csv", "timing.csv", "provenance.json"]
    {
        assert!(job.run(name).is_file(), "{name}");
    }
    let predictions = fs::read_to_string(job.run("predictions.csv")).unwrap();
    assert!(predictions.starts_with("chunk,image_file,truth,top1,p1,top2,p2,top3,p3\n"));
    assert_eq!(predictions.lines().count(), 1 + 18);
    assert_eq!(fs::read_to_string(job.run("metrics.csv")).unwrap().lines().count(), 1 + 8);
    assert!(!fs::read_dir(job.run("")).unwrap().any(|entry| entry.unwrap().file_name().to_string_lossy().ends_with(".part")));

    let before = job.results();
    let again = expect(&mut job.train(1), 0);
    assert!(String::from_utf8_lossy(&again.stdout).contains("(done before)"));
    assert_eq!(job.results(), before);
    let tested = expect(on_ranks(1).arg("test").arg(job.file()).args(["--experiment", RUN, "--json"]), 0);
    let tested: serde_json::Value = serde_json::from_slice(&tested.stdout).unwrap();
    assert_eq!(&tested[0]["evaluation"], figures, "a second test gives the same figures");
}

#[test]
fn killed_at_any_moment_and_run_again_a_run_ends_with_the_same_bytes() {
    for ranks in [1, 2] {
        let undisturbed = TinyJob::new(SAVE_OFTEN);
        let started = Instant::now();
        expect(&mut undisturbed.train(ranks), 0);
        let whole = started.elapsed();
        let job = TinyJob::new(SAVE_OFTEN);
        let mut rng = stream(20, Purpose::Bootstrap, ranks as u64, 0);
        let mut cut = 0;
        for _ in 0..kills(4) {
            let mut child = start(&mut job.train(ranks));
            // Somewhere in the first half of a whole run: the pieces that survive then add up.
            sleep(whole.mul_f64(rng.random_range(0.1..0.6)));
            cut += u32::from(child.try_wait().unwrap().is_none());
            child.kill().unwrap();
            child.wait().unwrap();
            if ranks > 1 {
                // mpirun's own death takes its ranks down a moment later; they hold the lock until then.
                wait_for("the ranks to end", || !processes_of(&job));
            }
        }
        assert!(cut > 0, "no kill hit a running process");
        expect(&mut job.train(ranks), 0);
        // The dataset's folder is no part of a configuration, so two jobs in two folders must agree to the byte.
        assert_eq!(job.results(), undisturbed.results(), "on {ranks} ranks");
    }
}

/// How many random kills each number of ranks gets: a few in `make test`, more in `make soak`.
fn kills(usual: u64) -> u64 {
    std::env::var("BIOSCAN_HPC_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// Whether any process still works on the job.
fn processes_of(job: &TinyJob) -> bool {
    let file = job.file().display().to_string();
    let processes = fs::read_dir("/proc").unwrap().flatten();
    processes.into_iter().any(|process| {
        let command = fs::read(process.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&command).contains(&file)
    })
}

#[test]
fn a_signal_saves_a_checkpoint_and_ends_with_85_and_the_next_run_goes_on_from_it() {
    let undisturbed = [1, 2].map(|ranks| {
        let job = TinyJob::new("").with_epochs(6);
        expect(&mut job.train(ranks), 0);
        job.results()
    });
    // Under MPI the launcher passes the signal on to the ranks.
    for (signal, ranks) in [("USR1", 1), ("TERM", 1), ("USR1", 2)] {
        let job = TinyJob::new("").with_epochs(6);
        let mut child = start(&mut job.train(ranks));
        wait_for("the first checkpoint", || has_checkpoint(&job));
        let sent = Command::new("kill").args(["-s", signal, &child.id().to_string()]).status().unwrap();
        assert!(sent.success());
        assert_eq!(child.wait().unwrap().code(), Some(85), "after SIG{signal}");
        expect(&mut job.train(ranks), 0);
        assert_eq!(job.results(), undisturbed[ranks - 1], "after SIG{signal} on {ranks} ranks");
    }
}

#[test]
fn told_to_stop_at_any_moment_validation_and_test_among_them_a_run_ends_with_the_same_bytes() {
    let undisturbed = TinyJob::new("").with_epochs(12);
    expect(&mut undisturbed.train(2), 0);
    let job = TinyJob::new("").with_epochs(12);
    let mut rng = stream(21, Purpose::Bootstrap, 0, 0);
    let epochs = || fs::read_to_string(job.run("metrics.csv")).unwrap_or_default().lines().count();
    let mut stopped = 0;
    for _ in 0..3 {
        let before = epochs();
        let mut child = start(&mut job.train(2));
        wait_for("an epoch", || epochs() > before || child.try_wait().unwrap().is_some());
        // Somewhere in the epochs behind it.
        sleep(Duration::from_millis(rng.random_range(0..200)));
        Command::new("kill").args(["-s", "USR1", &child.id().to_string()]).status().unwrap();
        match child.wait().unwrap().code() {
            Some(85) => stopped += 1,
            other => println!("ended with {other:?}"),
        }
    }
    assert!(stopped > 0, "no signal met a run that listened");
    expect(&mut job.train(2), 0);
    assert_eq!(job.results(), undisturbed.results());
}

#[test]
fn an_image_that_is_damaged_on_one_rank_ends_all_of_them_and_is_named() {
    // The tenth image is one of validation; the first, of training.
    for name in ["c1-00.jpg", "c1-09.jpg"] {
        let job = TinyJob::new("");
        let packs = job.path("out/images/original_36/packs");
        let jpeg = Packs::open(&packs).unwrap().read(&ImageKey::new(1, name)).unwrap().unwrap().into_owned();
        let pack = packs.join("part1.pack");
        let mut bytes = fs::read(&pack).unwrap();
        let at = bytes.windows(jpeg.len()).position(|window| window == jpeg).unwrap();
        bytes[at + jpeg.len() / 2] ^= 0x10;
        fs::write(&pack, bytes).unwrap();
        let mut child = job.train(2).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        wait_for("the ranks to end", || child.try_wait().unwrap().is_some());
        let output = child.wait_with_output().unwrap();
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(6), "{message}");
        assert!(message.contains(&format!("part1/{name}: ")) && message.contains("bioscan-hpc verify"), "{message}");
    }
}

#[test]
fn images_of_another_dataset_are_refused_before_anything_is_trained() {
    let (job, other) = (TinyJob::new(""), TinyJob::new(""));
    edit(&job.path("out/BIOSCAN_Insect_Dataset_metadata.tsv"), |text| text.replace(".jpg", "-x.jpg"));
    let packs = other.path("out/images/original_36/packs");
    for ranks in [1, 2] {
        let output = expect(job.train(ranks).arg("--packs").arg(&packs), 2);
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(message.contains("holds none of the 54 train images of `tiny`"), "{message}");
        assert_eq!(message.matches("holds none").count(), 1, "one message for all ranks: {message}");
    }
}

#[test]
fn a_damaged_checkpoint_falls_back_to_the_one_before() {
    let undisturbed = TinyJob::new(SAVE_OFTEN);
    expect(&mut undisturbed.train(1), 0);
    let job = TinyJob::new(SAVE_OFTEN);
    let mut child = start(&mut job.train(1));
    wait_for("two checkpoints", || checkpoints(&job).len() >= 2);
    child.kill().unwrap();
    child.wait().unwrap();
    let newest = checkpoints(&job).pop().unwrap();
    let mut bytes = fs::read(&newest).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&newest, bytes).unwrap();
    let output = expect(&mut job.train(1), 0);
    assert!(String::from_utf8_lossy(&output.stderr).contains("falling back to the checkpoint before"));
    assert_eq!(job.results(), undisturbed.results());
}

fn checkpoints(job: &TinyJob) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(job.run("")).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut found: Vec<_> = entries.filter(|path| path.extension().is_some_and(|ending| ending == "ckpt")).collect();
    found.sort();
    found
}

#[test]
fn another_configuration_is_refused_with_the_keys_that_differ_and_other_threads_are_not() {
    let job = TinyJob::new("");
    expect(&mut job.train(1), 0);
    edit(&job.file(), |text| text.replace("threads = 1", "threads = 2"));
    expect(&mut job.train(1), 0);
    edit(&job.file(), |text| text.replace("lr = 0.01", "lr = 0.02"));
    let output = expect(&mut job.train(1), 2);
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(message.contains("recipe.lr: 0.01 → 0.02"), "{message}");
}

#[test]
fn a_run_that_another_process_owns_is_left_alone() {
    let job = TinyJob::new("").with_epochs(50);
    let mut owner = start(&mut job.train(1));
    wait_for("the owner", || has_checkpoint(&job));
    let output = expect(&mut job.train(1), 2);
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(message.contains(&format!("process {}", owner.id())), "{message}");
    owner.kill().unwrap();
    owner.wait().unwrap();
}

#[test]
fn a_missing_image_is_left_out_aloud_and_counted() {
    let job = TinyJob::new("");
    let metadata = job.path("out/BIOSCAN_Insect_Dataset_metadata.tsv");
    edit(&metadata, |text| text + "gone.jpg\t1\tRed\ttest\n");
    let output = expect(job.train(1).arg("--json"), 0);
    let record: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(record["evaluation"]["expected"], 19);
    assert_eq!(record["evaluation"]["used"], 18);
    assert!(String::from_utf8_lossy(&output.stderr).contains("left out"));
}

#[test]
fn a_loss_that_is_no_number_ends_the_run_with_the_step_its_images_and_what_was_saved() {
    for ranks in [1, 2] {
        // The first step's loss is that of the first weights; what it does to them is not.
        let job = TinyJob::new(SAVE_OFTEN);
        edit(&job.file(), |text| text.replace("lr = 0.01", "lr = 1e30"));
        let output = expect(&mut job.train(ranks), 6);
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(message.contains("NaN or infinite at epoch 0, step 1, on part"), "{message}");
        let images = message.split_once("step 1, on ").unwrap().1.lines().next().unwrap().split(", ").count();
        assert_eq!(images, 8, "the global batch: {message}");
        assert!(message.contains("lower `train.lr`"), "{message}");
        let checkpoint = job.run("checkpoint-00000-0000001.ckpt");
        assert!(checkpoint.is_file() && message.contains(&checkpoint.display().to_string()), "{message}");
    }
}

#[test]
fn a_loss_that_is_no_number_can_be_skipped_until_the_weights_themselves_are_lost() {
    let undisturbed = TinyJob::new("on_nonfinite = \"skip\"");
    expect(&mut undisturbed.train(1), 0);
    assert!(!undisturbed.run("skipped.csv").exists());
    for ranks in [1, 2] {
        let job = TinyJob::new("on_nonfinite = \"skip\"");
        let output = expect(job.train(ranks).env("BIOSCAN_HPC_SPOIL_STEP", "3"), 0);
        assert!(String::from_utf8_lossy(&output.stderr).contains("step skipped"));
        let skipped = fs::read_to_string(job.run("skipped.csv")).unwrap();
        let rows: Vec<&str> = skipped.lines().skip(1).collect();
        assert_eq!(rows.len(), 2, "step 3 of two epochs: {skipped}");
        assert!(rows[0].starts_with("0,3,part") && rows[1].starts_with("1,3,part"), "{skipped}");
        assert_eq!(rows[0].split(' ').count(), 8, "the images of a global batch: {skipped}");
        let record = fs::read_to_string(job.run("test.json")).unwrap();
        assert!(record.contains("2 steps whose loss was no number"));
        if ranks == 1 {
            assert_ne!(fs::read(job.run("best.safetensors")).unwrap(), fs::read(undisturbed.run("best.safetensors")).unwrap());
        }
    }
    let lost = TinyJob::new("on_nonfinite = \"skip\"").with_epochs(20);
    edit(&lost.file(), |text| text.replace("lr = 0.01", "lr = 1e30"));
    let output = expect(&mut lost.train(1), 6);
    assert!(String::from_utf8_lossy(&output.stderr).contains("NaN or infinite"));
}

#[test]
fn every_container_and_a_staged_copy_are_the_same_configuration_and_give_the_same_bytes() {
    let packs = TinyJob::new("");
    expect(&mut packs.train(1), 0);
    for (format, ending) in
        [("zip", "original_36.zip"), ("hdf5", "original_36.hdf5"), ("folder", "folder"), ("tar", "webdataset")]
    {
        let job = TinyJob::new(&format!("images = \"{format}\""));
        job.write_container(ending);
        // So that nothing else can have been read.
        fs::remove_dir_all(job.path("out/images/original_36/packs")).unwrap();
        expect(&mut job.train(1), 0);
        assert_eq!(job.results_but_config(), packs.results_but_config(), "from {format}");
    }
    let staged = TinyJob::new("");
    let disk = staged.path("disk");
    expect(staged.train(2).arg(format!("--stage={}", disk.display())), 0);
    let copies: Vec<_> = fs::read_dir(&disk).unwrap().flatten().map(|entry| entry.path()).collect();
    assert_eq!(copies.len(), 1);
    assert!(copies[0].join("packs/part2.pack").is_file());
    // Gone on with from elsewhere, a finished run is done: another place is no other configuration.
    let again = expect(&mut staged.train(1), 0);
    assert!(String::from_utf8_lossy(&again.stdout).contains("(done before)"));
    let nowhere = expect(packs.train(1).arg("--stage").env_remove("SLURM_TMPDIR"), 2);
    assert!(String::from_utf8_lossy(&nowhere.stderr).contains("SLURM_TMPDIR is not set"));
}

#[test]
fn a_checkpoint_is_due_after_minutes_too() {
    // Seven steps an epoch: on a CPU the clock is looked at after each.
    let job = TinyJob::new("checkpoint_minutes = 1e-6").with_epochs(1);
    expect(&mut job.train(1), 0);
    let names: Vec<String> =
        checkpoints(&job).iter().map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect();
    assert_eq!(names, ["checkpoint-00000-0000007.ckpt", "checkpoint-00001-0000000.ckpt"]);
}

#[test]
fn two_ranks_test_every_image_once_and_agree_with_one_on_what_the_weights_say() {
    let job = TinyJob::new("");
    expect(&mut job.train(2), 0);
    let trained = record(&job);
    assert_eq!(trained["evaluation"]["used"], 18);
    let alone = expect(on_ranks(1).arg("test").arg(job.file()).args(["--experiment", RUN, "--json"]), 0);
    let alone: serde_json::Value = serde_json::from_slice(&alone.stdout).unwrap();
    assert_eq!(alone[0]["evaluation"]["confusion"], trained["evaluation"]["confusion"]);
}

/// What `test.json` holds.
fn record(job: &TinyJob) -> serde_json::Value {
    serde_json::from_slice(&fs::read(job.run("test.json")).unwrap()).unwrap()
}

/// The mean training loss of the first epoch of the one run in the job's folder.
fn first_loss(job: &TinyJob) -> f64 {
    let run = fs::read_dir(job.path("out/runs")).unwrap().next().unwrap().unwrap().path();
    let mut rows = csv::Reader::from_path(run.join("metrics.csv")).unwrap();
    let column = rows.headers().unwrap().iter().position(|name| name == "loss_train").unwrap();
    rows.records().next().unwrap().unwrap()[column].parse().unwrap()
}

/// Rounding grows from step to step, until runs that began alike have nothing in common: one epoch is few enough.
fn assert_alike(ours: &TinyJob, theirs: &TinyJob, what: &str) {
    let (ours, theirs) = (first_loss(ours), first_loss(theirs));
    let difference = (ours / theirs - 1.0).abs();
    println!("{what}: losses {ours} and {theirs}, {difference:.1e} apart");
    assert!(difference <= 1e-5, "{what}: losses {ours} and {theirs}");
}

#[test]
fn a_residual_network_learns_the_same_on_one_rank_and_on_more_and_goes_on_with_another_number_of_them() {
    let alone = TinyJob::new("").with_epochs(1);
    expect(&mut alone.train(1), 0);
    // 8 images a step over 3 ranks: 3, 3 and 2; and 54 over steps of 8 leave 6 for the last.
    for ranks in [2, 3] {
        let together = TinyJob::new("").with_epochs(1);
        expect(&mut together.train(ranks), 0);
        assert_alike(&together, &alone, &format!("{ranks} ranks"));
        assert_eq!(record(&together)["notes"]["batch_norm"], "statistics of the whole batch");
        assert_eq!(record(&together)["config_hash"], record(&alone)["config_hash"]);
    }
    let moved = TinyJob::new(SAVE_OFTEN).with_epochs(1);
    let mut child = start(&mut moved.train(1));
    wait_for("two checkpoints", || checkpoints(&moved).len() >= 2);
    child.kill().unwrap();
    child.wait().unwrap();
    let output = expect(&mut moved.train(2), 0);
    assert!(String::from_utf8_lossy(&output.stderr).contains("resumed"));
    assert_alike(&moved, &alone, "begun on one rank, ended on two");
}

/// One epoch of a small network, trained by the job's one run.
fn small(backbone: &str, recipe: &str, ranks: usize) -> TinyJob {
    let job = TinyJob::new(recipe).with_epochs(1);
    edit(&job.file(), |text| text.replace("resnet18", backbone));
    expect(&mut train_small(&job, ranks), 0);
    job
}

fn train_small(job: &TinyJob, ranks: usize) -> Command {
    let mut command = on_ranks(ranks);
    command.arg("train").arg(job.file()).args(["--device", "cpu", "--index", "0"]);
    command
}

#[test]
fn a_batch_in_pieces_is_the_same_step_where_no_layer_looks_from_image_to_image() {
    let whole = small("test_vit", "", 1);
    for ranks in [1, 2] {
        // Pieces of 3, 3 and 2: on two ranks of 2 and 1 images each.
        assert_alike(&small("test_vit", "micro_batch = 3", ranks), &whole, &format!("in pieces on {ranks} ranks"));
    }
}

#[test]
fn every_option_of_the_step_trains_and_is_another_configuration() {
    let reference = first_loss(&small("test_resnet", "", 1));
    let options = [("channels_last = true", 1e-4), ("precision = \"bfloat16\"\nchannels_last = true\nmicro_batch = 4", 0.2)];
    for (option, bound) in options {
        let job = small("test_resnet", option, 1);
        let difference = (first_loss(&job) / reference - 1.0).abs();
        println!("{option:?}: the loss is {difference:.1e} from float32's");
        assert!(difference > 0.0 && difference < bound, "{option}: {difference:e}");
        edit(&job.file(), |text| text.replace(option, ""));
        assert!(String::from_utf8_lossy(&expect(&mut train_small(&job, 1), 2).stderr).contains("recipe."));
    }
    for option in
        ["momentum = 0.5", "nesterov = false", "weight_decay = 0.1", "milestones = [0]", "milestones = [0]\nlr_decay = 0.5"]
    {
        assert_ne!(first_loss(&small("test_resnet", option, 1)), reference, "{option}");
    }
    // These change nothing on a CPU, and so no number.
    let gpu_alone =
        small("test_resnet", "precision = \"tf32\"\ndeterministic = true\nranks = { timeout_s = 60, poll_us = 0 }", 1);
    assert_eq!(first_loss(&gpu_alone), reference);
    let (pageable, nccl) = ("pin_memory = false", "ranks = { backend = \"mpi\" }");
    assert_eq!(first_loss(&small("test_resnet", &format!("{pageable}\n{nccl}"), 1)), reference);
    let local = small("test_resnet", "batch_norm = \"local\"", 2);
    let record = fs::read_to_string(local.path("out/runs/tiny-test_resnet-CE-s1/test.json")).unwrap();
    assert!(record.contains("each of 2 ranks by the statistics of its share; rank 0's running ones"), "{record}");
}

/// Over another learning rate and the smaller batch at the end of each epoch.
#[test]
fn a_recorded_step_is_the_same_step() {
    let [plain, recorded] = ["milestones = [1]", "milestones = [1]\ncuda_graphs = true"].map(|option| {
        let job = TinyJob::new(option);
        expect(&mut job.train(1), 0);
        ["metrics.csv", "best.safetensors"].map(|name| fs::read(job.run(name)).unwrap())
    });
    assert!(plain == recorded);
    for (other, word) in [("micro_batch = 4", "micro_batch"), ("on_nonfinite = \"skip\"", "on_nonfinite")] {
        let job = TinyJob::new(&format!("cuda_graphs = true\n{other}"));
        assert!(String::from_utf8_lossy(&expect(&mut job.train(1), 2).stderr).contains(word));
    }
}

#[test]
fn the_learning_rate_is_scaled_to_the_batch_where_asked_and_the_figures_say_so() {
    let job = TinyJob::new("lr_batch = 4").with_epochs(1);
    let output = expect(&mut job.train(1), 0);
    assert!(String::from_utf8_lossy(&output.stderr).contains("scaled"));
    // 0.01 for a batch of 4, twice that for one of 8.
    assert!(fs::read_to_string(job.run("metrics.csv")).unwrap().contains("\n0,0.02,"));
}

#[test]
fn wrong_names_are_answered_with_the_valid_ones() {
    let job = TinyJob::new("");
    let misnamed = expect(on_ranks(1).arg("train").arg(job.file()).args(["--experiment", "tiny-resnet18-CE-s2"]), 2);
    assert!(String::from_utf8_lossy(&misnamed.stderr).contains(&format!("did you mean `{RUN}`?")));
    let beyond = expect(on_ranks(1).arg("train").arg(job.file()).args(["--index", "1"]), 2);
    assert!(String::from_utf8_lossy(&beyond.stderr).contains("valid: 0 to 0"));
    edit(&job.file(), |text| text.replace("resnet18", "resnet19"));
    let unknown = expect(on_ranks(1).arg("train").arg(job.file()).args(["--index", "0"]), 2);
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("resnet18"));
}

#[test]
fn the_doctor_rehearses_a_run_and_leaves_nothing_behind() {
    let job = TinyJob::new("");
    for ranks in [1, 2] {
        let mut command = on_ranks(ranks);
        let output = command.arg("doctor").arg(job.file()).arg("--json").output().unwrap();
        // This machine may have faults of its own; they end in 5.
        assert!(matches!(output.status.code(), Some(0 | 5)), "{}", String::from_utf8_lossy(&output.stderr));
        let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let speeds = &answer["speeds"];
        assert_eq!((speeds["run"].as_str(), speeds["ranks"].as_u64()), (Some(RUN), Some(ranks as u64)));
        for figure in ["first_read", "decoding", "stepping", "step_s"] {
            assert!(speeds[figure].as_f64().unwrap() > 0.0, "{figure}: {speeds}");
        }
        assert_eq!(speeds["all_reduce_s"].is_null(), ranks == 1);
    }
    assert!(!job.path("out/runs").exists());
    fs::remove_dir_all(job.path("out/images")).unwrap();
    let output = on_ranks(1).arg("doctor").arg(job.file()).arg("--json").output().unwrap();
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(answer["speeds"].is_null(), "nothing is prepared, so nothing is measured");
}

#[test]
fn an_epoch_s_time_is_told_in_words_and_in_shares() {
    let job = TinyJob::new("");
    let output = expect(&mut job.train(1), 0);
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(log.contains(" images/s, about ") && log.contains("waiting for data ") && log.contains("computing "), "{log}");
    let times = fs::read_to_string(job.run("timing.csv")).unwrap();
    for row in times.lines().skip(1) {
        let shares: Vec<f64> = row.split(',').skip(4).map(|share| share.parse().unwrap()).collect();
        assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-3, "{times}");
    }
}
