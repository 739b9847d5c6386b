//! Data-parallel training between real MPI ranks: the gradients, the common start, and what happens when a rank is lost.
//!
//! Each test starts this same binary again under `mpirun`, where the test `rank` plays the part that `BIOSCAN_TEST_PART` names.
//! The assertions are made in the ranks; a rank that panics aborts the job.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use bioscan_hpc::comm::process_group::{GroupOptions, ProcessGroup};
use bioscan_hpc::comm::reducer::{Reducer, ReducerOptions, loss_weight, zero_loss};
use bioscan_hpc::comm::tensor_ext::clear_gradients;
use bioscan_hpc::comm::{World, abort};
use tch::nn::{self, ModuleT};
use tch::{Device, Kind, Tensor};

const PART: &str = "BIOSCAN_TEST_PART";
const FOLDER: &str = "BIOSCAN_TEST_FOLDER";

#[test]
fn two_ranks_with_half_the_batch_each_get_the_gradients_of_one_with_all_of_it() {
    let output = mpirun(2, "even_batch");
    assert!(output.status.success(), "{}", text(&output));
    print_notes(&output);
}

#[test]
fn a_ragged_batch_over_three_ranks_one_of_them_without_samples_gives_the_mean_over_samples() {
    let output = mpirun(3, "ragged_batch");
    assert!(output.status.success(), "{}", text(&output));
    print_notes(&output);
}

#[test]
fn a_reducer_made_anew_before_the_third_step_gives_the_same_bits_as_one_that_went_on() {
    let output = mpirun(3, "resumed");
    assert!(output.status.success(), "{}", text(&output));
}

#[test]
fn broadcast_coalesced_gives_every_rank_the_roots_parameters_and_statistics() {
    let output = mpirun(3, "broadcast");
    assert!(output.status.success(), "{}", text(&output));
}

#[test]
fn ranks_with_different_models_are_told_so() {
    let output = mpirun(2, "different_models");
    assert!(output.status.success(), "{}", text(&output));
}

#[test]
fn tensors_that_mpi_cannot_add_are_refused_in_words_and_the_group_stays_usable() {
    let output = mpirun(2, "refused_tensors");
    assert!(output.status.success(), "{}", text(&output));
}

#[test]
fn a_killed_rank_ends_the_job() {
    let started = Instant::now();
    let output = mpirun(2, "killed");
    assert!(!output.status.success(), "the job outlived a rank: {}", text(&output));
    assert!(started.elapsed() < Duration::from_secs(60), "the job took {:?} to end", started.elapsed());
}

#[test]
fn a_rank_missing_from_the_backward_pass_is_an_error_after_the_time_out() {
    let folder = tempfile::tempdir().unwrap();
    let output = mpirun_in(folder.path(), 2, "missing");
    assert_eq!(output.status.code(), Some(6), "{}", text(&output));
    // In a file: what a rank prints just before it aborts the job may be lost.
    let story = fs::read_to_string(folder.path().join("story")).unwrap_or_else(|_| panic!("{}", text(&output)));
    assert!(story.contains("all-reduce: not all ranks arrived within the time-out of 1.5 s"), "{story}");
}

/// Only one job at a time: the ranks of two would take each other's cores, and the time-outs are real.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn mpirun(ranks: usize, part: &str) -> Output {
    mpirun_in(tempfile::tempdir().unwrap().path(), ranks, part)
}

fn mpirun_in(folder: &Path, ranks: usize, part: &str) -> Output {
    // A failed test poisons the lock; the others may run all the same.
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    Command::new("timeout")
        .args(["-k", "5", "120", "mpirun", "--oversubscribe", "--bind-to", "none", "-n", &ranks.to_string()])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "rank", "--ignored", "--nocapture"])
        .env(PART, part)
        .env(FOLDER, folder)
        .env("OMPI_ALLOW_RUN_AS_ROOT", "1")
        .env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")
        .env("OMP_NUM_THREADS", "1")
        .output()
        .expect("timeout and mpirun are installed")
}

fn text(output: &Output) -> String {
    format!("{}\n{}\n{}", output.status, String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn print_notes(output: &Output) {
    for line in String::from_utf8_lossy(&output.stdout).lines().filter_map(|line| line.strip_prefix("note: ")) {
        println!("{line}");
    }
}

#[test]
#[ignore = "one rank of the tests above, which start it under mpirun"]
fn rank() {
    let Ok(part) = std::env::var(PART) else { return };
    let world = World::connect().unwrap();
    end_all_ranks_on_panic();
    match part.as_str() {
        "even_batch" => gradients_agree(&world, &[4, 4]),
        "ragged_batch" => gradients_agree(&world, &[4, 3, 0]),
        "resumed" => a_new_reducer_changes_no_bit(&world),
        "broadcast" => broadcast(&world),
        "different_models" => different_models(&world),
        "refused_tensors" => refused_tensors(&world),
        "killed" => killed(&world),
        "missing" => missing(&world),
        other => panic!("there is no part {other}"),
    }
}

/// Without it, the other ranks would wait for one that failed an assertion.
fn end_all_ranks_on_panic() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        report(panic);
        abort(1);
    }));
}

/// Convolution, BatchNorm, linear: every kind of parameter that the real networks have.
struct Net {
    variables: nn::VarStore,
    layers: nn::SequentialT,
    kind: Kind,
}

impl Net {
    /// The same weights for the same seed on every rank.
    fn new(kind: Kind, seed: i64) -> Self {
        tch::manual_seed(seed);
        let mut variables = nn::VarStore::new(Device::Cpu);
        let root = variables.root();
        let layers = nn::seq_t()
            .add(nn::conv2d(&root / "conv", 3, 8, 3, nn::ConvConfig::default()))
            .add(nn::batch_norm2d(&root / "bn", 8, nn::BatchNormConfig::default()))
            .add_fn(|x| x.relu().adaptive_avg_pool2d([1, 1]).flatten(1, -1))
            .add(nn::linear(&root / "head", 8, 5, nn::LinearConfig::default()));
        tch::no_grad(|| {
            // Statistics other than 0 and 1, or BatchNorm would hide its errors.
            for name in ["bn.running_mean", "bn.running_var"] {
                let mut statistics = variables.variables().remove(name).expect("a buffer of BatchNorm");
                let _ = statistics.uniform_(0.5, 1.5);
            }
        });
        variables.set_kind(kind);
        Self { variables, layers, kind }
    }

    fn parameters(&self) -> Vec<Tensor> {
        self.variables.trainable_variables()
    }

    /// The mean cross-entropy of a batch, in the network's own precision (tch's own helper casts to float32).
    fn loss(&self, batch: &Batch) -> Tensor {
        self.layers.forward_t(&batch.images, false).log_softmax(-1, self.kind).nll_loss(&batch.labels)
    }

    fn gradients(&self) -> Vec<Tensor> {
        self.parameters().iter().map(|parameter| parameter.grad().copy()).collect()
    }

    fn descend(&self, rate: f64) {
        tch::no_grad(|| {
            for mut parameter in self.parameters() {
                let change = parameter.grad() * -rate;
                let _ = parameter.g_add_(&change);
            }
        });
    }
}

struct Batch {
    images: Tensor,
    labels: Tensor,
}

impl Batch {
    fn whole(samples: usize, kind: Kind) -> Self {
        tch::manual_seed(7);
        let samples = samples as i64;
        let images = Tensor::randn([samples, 3, 12, 12], (Kind::Double, Device::Cpu)).to_kind(kind);
        Self { images, labels: Tensor::arange(samples, (Kind::Int64, Device::Cpu)).remainder(5) }
    }

    fn part(&self, start: usize, length: usize) -> Self {
        let cut = |tensor: &Tensor| tensor.narrow(0, start as i64, length as i64);
        Self { images: cut(&self.images), labels: cut(&self.labels) }
    }
}

/// This rank's part of one step; the gradients end up in the parameters.
fn backward(net: &Net, reducer: &mut Reducer, whole: &Batch, share: &[usize], rank: usize) -> Result<(), tch::TchError> {
    clear_gradients(&net.parameters()).unwrap();
    reducer.prepare_for_forward().unwrap();
    let start = share[..rank].iter().sum();
    let loss = match share[rank] {
        0 => zero_loss(&net.parameters()),
        local => net.loss(&whole.part(start, local)) * loss_weight(local, share.iter().sum(), share.len()),
    };
    reducer.prepare_for_backward(&[&loss]).unwrap();
    loss.f_backward()
}

fn gradients_agree(world: &World, share: &[usize]) {
    let group = ProcessGroup::over_mpi(world, GroupOptions::default()).unwrap();
    for (kind, views) in [(Kind::Double, true), (Kind::Double, false), (Kind::Float, true)] {
        let whole = Batch::whole(share.iter().sum(), kind);
        let alone = Net::new(kind, 1);
        alone.loss(&whole).backward();

        let net = Net::new(kind, 1);
        // Buckets of a few hundred bytes, so that this small network has several.
        let options =
            ReducerOptions { bucket_bytes: 512, first_bucket_bytes: 64, gradient_as_bucket_view: views, ..Default::default() };
        let mut reducer = Reducer::new(&group, &net.parameters(), options).unwrap();
        backward(&net, &mut reducer, &whole, share, world.rank()).unwrap();

        let difference = largest_relative_difference(&net.gradients(), &alone.gradients());
        if world.rank() == 0 {
            println!("note: {share:?} samples, {kind:?}, views {views}: gradients differ by {difference:.1e} relative");
        }
        let bound = if kind == Kind::Double { 1e-12 } else { 1e-4 };
        assert!(difference <= bound, "{kind:?}: gradients differ by {difference:e}");
    }
}

/// max |a - b| / max |b|, the largest over all parameters.
fn largest_relative_difference(ours: &[Tensor], theirs: &[Tensor]) -> f64 {
    assert_eq!(ours.len(), theirs.len());
    let difference = |(a, b): (&Tensor, &Tensor)| {
        let scale = b.abs().max().double_value(&[]);
        assert!(scale > 0.0, "a gradient of zero proves nothing");
        (a - b).abs().max().double_value(&[]) / scale
    };
    ours.iter().zip(theirs).map(difference).fold(0.0, f64::max)
}

fn a_new_reducer_changes_no_bit(world: &World) {
    let group = ProcessGroup::over_mpi(world, GroupOptions::default()).unwrap();
    let share = [3, 3, 2];
    let whole = Batch::whole(8, Kind::Float);
    let train = |resume_at: usize| {
        let net = Net::new(Kind::Float, 1);
        let options = ReducerOptions { bucket_bytes: 512, first_bucket_bytes: 64, ..Default::default() };
        let mut reducer = Reducer::new(&group, &net.parameters(), options).unwrap();
        for step in 0..4 {
            if step == resume_at {
                drop(reducer);
                reducer = Reducer::new(&group, &net.parameters(), options).unwrap();
            }
            backward(&net, &mut reducer, &whole, &share, world.rank()).unwrap();
            net.descend(0.1);
        }
        net.parameters()
    };
    let undisturbed = train(usize::MAX);
    assert!(undisturbed.iter().zip(train(2)).all(|(ours, resumed)| ours.equal(&resumed)), "a resumed run differs");

    let of_rank_0: Vec<Tensor> = undisturbed.iter().map(|parameter| parameter.detach().copy()).collect();
    group.broadcast_coalesced(&of_rank_0, 0).unwrap();
    assert!(undisturbed.iter().zip(&of_rank_0).all(|(ours, theirs)| ours.equal(theirs)), "the ranks differ");
}

fn broadcast(world: &World) {
    let group = ProcessGroup::over_mpi(world, GroupOptions::default()).unwrap();
    // Other weights on every rank; those of rank 1 are to win.
    let net = Net::new(Kind::Float, world.rank() as i64);
    let mut tensors: Vec<_> = net.variables.variables().into_iter().collect();
    tensors.sort_by(|a, b| a.0.cmp(&b.0));
    let tensors: Vec<Tensor> = tensors.into_iter().map(|(_, tensor)| tensor).collect();
    group.broadcast_coalesced(&tensors, 1).unwrap();

    let expected = Net::new(Kind::Float, 1).variables.variables();
    for (name, tensor) in net.variables.variables() {
        assert!(tensor.equal(&expected[&name]), "{name} differs on rank {}", world.rank());
    }
    group.barrier().unwrap();

    // Larger than one piece of a message, and not a multiple of it.
    let large = Tensor::full([3_000_001], world.rank() as i64 + 1, (Kind::Int64, Device::Cpu));
    group.all_reduce_sum(&large).unwrap();
    assert_eq!((large.min().int64_value(&[]), large.max().int64_value(&[])), (6, 6), "1 + 2 + 3");
}

fn different_models(world: &World) {
    let group = ProcessGroup::over_mpi(world, GroupOptions::default()).unwrap();
    let rows = if world.rank() == 0 { 4 } else { 5 };
    let parameters = [Tensor::zeros([rows, 2], (Kind::Float, Device::Cpu)).set_requires_grad(true)];
    let outcome = Reducer::new(&group, &parameters, ReducerOptions::default());
    if world.rank() == 1 {
        let message = outcome.unwrap_err().to_string();
        assert!(message.contains("params[0]") && message.contains("appears not to match"), "{message}");
    }
}

fn refused_tensors(world: &World) {
    let group = ProcessGroup::over_mpi(world, GroupOptions { poll: Duration::ZERO, ..Default::default() }).unwrap();
    let half = Tensor::ones([4], (Kind::Half, Device::Cpu));
    let message = group.all_reduce_sum(&half).unwrap_err().to_string();
    assert!(message.contains("MPI cannot add up tensors of type Half; convert them to float32 first"), "{message}");
    let strided = Tensor::ones([2, 3], (Kind::Float, Device::Cpu)).transpose(0, 1);
    assert!(group.all_reduce_sum(&strided).unwrap_err().to_string().contains("needs a contiguous tensor"));
    assert!(group.broadcast_coalesced(&[Tensor::from(1.0)], usize::MAX).is_err());

    let ones = Tensor::ones([4], (Kind::Float, Device::Cpu));
    group.all_reduce_sum(&ones).unwrap();
    assert_eq!(Vec::<f32>::try_from(ones).unwrap(), [2.0; 4]);
}

fn killed(world: &World) {
    let group = ProcessGroup::over_mpi(world, GroupOptions::default()).unwrap();
    let gradients = Tensor::ones([100_000], (Kind::Float, Device::Cpu));
    for step in 0.. {
        if step == 20 && world.rank() == 1 {
            Command::new("kill").args(["-9", &std::process::id().to_string()]).status().unwrap();
        }
        group.all_reduce_sum(&gradients).unwrap();
    }
}

fn missing(world: &World) {
    let timeout = Duration::from_millis(1500);
    let group = ProcessGroup::over_mpi(world, GroupOptions { timeout, ..Default::default() }).unwrap();
    let net = Net::new(Kind::Float, 1);
    let mut reducer = Reducer::new(&group, &net.parameters(), ReducerOptions::default()).unwrap();
    let whole = Batch::whole(8, Kind::Float);
    if world.rank() == 1 {
        std::thread::sleep(Duration::from_secs(100));
        panic!("rank 0 should have ended the job");
    }
    let started = Instant::now();
    let error = backward(&net, &mut reducer, &whole, &[4, 4], 0).unwrap_err();
    let waited = started.elapsed();
    assert!(waited >= timeout && waited < timeout + Duration::from_secs(5), "an error after {waited:?}");

    // From now on the ranks would disagree on which collective comes next: none is started again.
    let started = Instant::now();
    let later = group.barrier().unwrap_err();
    assert!(started.elapsed() < Duration::from_secs(1));
    assert!(later.to_string().contains("all-reduce: not all ranks arrived"), "{later}");

    drop(reducer);
    drop(group);
    fs::write(Path::new(&std::env::var(FOLDER).unwrap()).join("story"), format!("{error}\n{later}")).unwrap();
    abort(6);
}
