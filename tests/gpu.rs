//! Training on a GPU as its user runs it. Where there is none, each test says so and passes: the same tests on CPUs are in `train.rs`.

mod support;

use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::Instant;

use support::{TinyJob, expect};

/// What a test of the same bytes asks of libtorch.
const SAME_BYTES: &str = "deterministic = true\ncheckpoint_steps = 1";

/// Whether there is a GPU; says so where there is none.
fn there_is_a_gpu(test: &str) -> bool {
    let found = bioscan_hpc::comm::tensor_ext::load_cuda().is_ok() && tch::Cuda::is_available();
    if !found {
        println!("{test}: skipped, no GPU here");
    }
    found
}

/// Trains three epochs on the GPU, on so many ranks; returns the loss of each.
fn losses(option: &str, ranks: usize) -> Vec<f64> {
    let job = TinyJob::new(option).with_epochs(3);
    expect(job.train_on("cuda", ranks).env("CUBLAS_WORKSPACE_CONFIG", ":4096:8"), 0);
    let table = std::fs::read_to_string(job.run("metrics.csv")).unwrap();
    table.lines().skip(1).map(|row| row.split(',').nth(2).unwrap().parse().unwrap()).collect()
}

/// Whether the plug-in that graphs need lies beside the program; `.ci/cuda.sh target/debug` puts it there.
fn there_is_a_plugin() -> bool {
    std::path::Path::new(env!("CARGO_BIN_EXE_bioscan-hpc")).with_file_name("libbioscan_cuda.so").is_file()
}

/// The largest relative difference.
fn apart(ours: &[f64], theirs: &[f64]) -> f64 {
    assert_eq!(ours.len(), theirs.len());
    ours.iter().zip(theirs).map(|(ours, theirs)| (ours / theirs - 1.0).abs()).fold(0.0, f64::max)
}

#[test]
fn every_option_of_a_gpu_trains_to_about_the_same_loss() {
    if !there_is_a_gpu("options") {
        return;
    }
    let reference = losses("", 1);
    if there_is_a_plugin() {
        // The second epoch at another rate: another recording.
        let slower = apart(&losses("milestones = [1]\ncuda_graphs = true", 1), &losses("milestones = [1]", 1));
        assert!(slower < 1e-3, "{slower:e}");
    }
    let options = [
        ("deterministic = true", 1e-3),
        ("pin_memory = false", 1e-3),
        ("cuda_graphs = true", 1e-3),
        ("cuda_graphs = true\ndeterministic = true", 1e-3),
        ("precision = \"tf32\"", 0.02),
        ("channels_last = true", 1e-3),
        ("precision = \"bfloat16\"\nchannels_last = true", 0.2),
        ("precision = \"bfloat16\"\nchannels_last = true\ncuda_graphs = true", 0.2),
    ];
    for (option, bound) in options {
        if option.contains("graphs") && !there_is_a_plugin() {
            println!("{option:?}: skipped, no plug-in beside the program");
            continue;
        }
        let difference = apart(&losses(option, 1), &reference);
        println!("{option:?}: {difference:.1e} from float32's");
        assert!(difference < bound, "{option}: {difference:e}");
    }
}

#[test]
fn killed_at_any_moment_and_run_again_on_a_gpu_a_run_ends_with_the_same_bytes() {
    if !there_is_a_gpu("kills") {
        return;
    }
    let start = |job: &TinyJob| -> Child {
        let mut command = job.train_on("cuda", 1);
        command.env("CUBLAS_WORKSPACE_CONFIG", ":4096:8").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    let timed = || {
        let (job, started) = (TinyJob::new(SAME_BYTES), Instant::now());
        assert!(start(&job).wait().unwrap().success());
        (job, started.elapsed())
    };
    // The first process to use a GPU waits longer for it than the others.
    let _ = timed();
    let (undisturbed, whole) = timed();
    let job = TinyJob::new(SAME_BYTES);
    let mut cut = 0;
    for part in [0.9, 0.7, 0.8, 0.6] {
        let mut child = start(&job);
        sleep(whole.mul_f64(part));
        cut += u32::from(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert!(cut > 0, "no kill hit a running process");
    assert!(start(&job).wait().unwrap().success());
    assert_eq!(job.results(), undisturbed.results());
}

/// Two ranks share the GPU, as they would two slices of one.
#[test]
fn over_mpi_two_ranks_on_a_gpu_train_as_one_does() {
    if !there_is_a_gpu("ranks") {
        return;
    }
    let (one, two) = (losses("", 1), losses("ranks = { backend = \"mpi\" }", 2));
    assert!(apart(&two, &one) < 1e-3, "{two:?} instead of {one:?}");
}
