//! Averaged gradients are those of one process with the whole batch.

use bioscan_hpc::comm::World;
use bioscan_hpc::comm::process_group::{GroupOptions, ProcessGroup};
use bioscan_hpc::comm::reducer::{Reducer, ReducerOptions};
use tch::{Device, Kind, Tensor};

use crate::launch::passes;
use crate::net::{Batch, Net, backward, largest_relative_difference};

#[test]
fn two_ranks_with_half_the_batch_each_get_the_gradients_of_one_with_all_of_it() {
    passes(2, "even_batch");
}

#[test]
fn a_ragged_batch_over_three_ranks_one_of_them_without_samples_gives_the_mean_over_samples() {
    passes(3, "ragged_batch");
}

#[test]
fn a_reducer_made_anew_before_the_third_step_gives_the_same_bits_as_one_that_went_on() {
    passes(3, "resumed");
}

#[test]
fn ranks_with_different_models_are_told_so() {
    passes(2, "different_models");
}

pub fn gradients_agree(world: &World, share: &[usize]) {
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

pub fn a_new_reducer_changes_no_bit(world: &World) {
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

pub fn different_models(world: &World) {
    let group = ProcessGroup::over_mpi(world, GroupOptions::default()).unwrap();
    let rows = if world.rank() == 0 { 4 } else { 5 };
    let parameters = [Tensor::zeros([rows, 2], (Kind::Float, Device::Cpu)).set_requires_grad(true)];
    let outcome = Reducer::new(&group, &parameters, ReducerOptions::default());
    if world.rank() == 1 {
        let message = outcome.unwrap_err().to_string();
        assert!(message.contains("params[0]") && message.contains("appears not to match"), "{message}");
    }
}
