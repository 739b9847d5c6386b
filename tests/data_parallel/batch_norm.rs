//! Batch normalisation over ranks is that of one process with the whole batch: values, gradients, running statistics.

use bioscan_hpc::comm::World;
use bioscan_hpc::comm::process_group::{GroupOptions, ProcessGroup};
use bioscan_hpc::comm::reducer::{Reducer, ReducerOptions};
use bioscan_hpc::comm::shares::loss_scale;
use bioscan_hpc::comm::tensor_ext::clear_gradients;
use bioscan_hpc::model::Model;
use tch::{Device, Kind, Tensor};

use crate::launch::passes;
use crate::net::{Batch, largest_relative_difference};

#[test]
fn two_ranks_share_statistics_as_one_process_has_them() {
    passes(2, "batch_norm");
}

#[test]
fn three_ranks_share_statistics_even_where_one_has_no_image() {
    passes(3, "batch_norm");
}

/// A side of 64 pixels leaves four values a channel and image in the last layer, one of 32 leaves one.
pub fn equals_one_process(world: &World) {
    let group = ProcessGroup::over_mpi(world, GroupOptions::default()).unwrap();
    let shares: &[&[usize]] =
        if world.size() == 2 { &[&[4, 4], &[6, 1], &[0, 2]] } else { &[&[3, 2, 3], &[5, 2, 0], &[0, 7, 1]] };
    for (kind, bound) in [(Kind::Double, 1e-10), (Kind::Float, 2e-3)] {
        for (share, side, last) in shares.iter().flat_map(|share| [(share, 64, false), (share, 64, true)]) {
            compare(world, &group, share, Case { kind, side, channels_last: last, bound });
        }
    }
    // One image, in the last layers one value a channel: normalised by the running statistics there.
    let mut lone = vec![0; world.size()];
    lone[world.size() - 1] = 1;
    compare(world, &group, &lone, Case { kind: Kind::Double, side: 32, channels_last: false, bound: 1e-10 });
}

#[derive(Clone, Copy, Debug)]
struct Case {
    kind: Kind,
    side: usize,
    channels_last: bool,
    bound: f64,
}

fn compare(world: &World, group: &ProcessGroup<'_>, share: &[usize], case: Case) {
    let total = share.iter().sum();
    let whole = Batch::of_side(total, case.side, case.kind);
    let alone = network(case);
    loss(&alone.forward(&whole.images, true).unwrap(), &whole.labels, 1.0 / total as f64).backward();

    let shared = network(case);
    let parameters = tensors(shared.parameters());
    let options = ReducerOptions { bucket_bytes: 1 << 16, first_bucket_bytes: 1 << 12, ..Default::default() };
    let mut reducer = Reducer::new(group, &parameters, options).unwrap();
    clear_gradients(&parameters).unwrap();
    reducer.prepare_for_forward().unwrap();
    let mine = whole.part(share[..world.rank()].iter().sum(), share[world.rank()]);
    let logits = shared.forward_together(&mine.images, group).unwrap();
    let part = loss(&logits, &mine.labels, loss_scale(total, world.size()));
    reducer.prepare_for_backward(&[&part]).unwrap();
    part.f_backward().unwrap();

    let gradients = |model: &Model| tensors(model.parameters()).iter().map(Tensor::grad).collect::<Vec<_>>();
    let of_gradients = largest_relative_difference(&gradients(&shared), &gradients(&alone));
    let of_statistics = largest_relative_difference(&tensors(shared.buffers()), &tensors(alone.buffers()));
    if world.rank() == 0 {
        println!("note: {share:?} {case:?}: gradients differ by {of_gradients:.1e}, statistics by {of_statistics:.1e} relative");
    }
    assert!(of_gradients <= case.bound, "{share:?} {case:?}: gradients differ by {of_gradients:e}");
    assert!(of_statistics <= case.bound, "{share:?} {case:?}: running statistics differ by {of_statistics:e}");
}

/// Both kinds of block; scales other than 0 and 1, or the branches' gradients would be zero.
fn network(case: Case) -> Model {
    let mut model = Model::new("test_resnet", 5, case.side, Device::Cpu).unwrap();
    model.initialise(1).unwrap();
    tch::manual_seed(3);
    tch::no_grad(|| {
        for (_, mut tensor) in model.state().into_iter().filter(|(_, tensor)| tensor.dim() == 1) {
            let _ = tensor.uniform_(0.5, 1.5);
        }
    });
    if case.channels_last {
        model = model.to_channels_last().unwrap();
    }
    model.to_kind(case.kind).unwrap()
}

fn loss(logits: &Tensor, labels: &Tensor, scale: f64) -> Tensor {
    -logits.log_softmax(-1, logits.kind()).gather(1, &labels.unsqueeze(1), false).sum(logits.kind()) * scale
}

fn tensors(named: Vec<(String, Tensor)>) -> Vec<Tensor> {
    named.into_iter().map(|(_, tensor)| tensor).collect()
}
