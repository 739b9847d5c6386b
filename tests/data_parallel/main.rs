//! Data-parallel training between real MPI ranks: the gradients, BatchNorm's statistics, the common start,
//! and what happens when a rank is lost.
//!
//! Each test starts this same binary again under `mpirun`, where the test `rank` plays the part that `BIOSCAN_TEST_PART` names.
//! The assertions are made in the ranks; a rank that panics aborts the job.

mod batch_norm;
mod collectives;
mod faults;
mod gradients;
mod launch;
mod net;
mod nodes;

use bioscan_hpc::comm::World;

#[test]
#[ignore = "one rank of the other tests, which start it under mpirun"]
fn rank() {
    let Ok(part) = std::env::var(launch::PART) else { return };
    let world = World::connect().unwrap();
    launch::end_all_ranks_on_panic();
    match part.as_str() {
        "even_batch" => gradients::gradients_agree(&world, &[4, 4]),
        "ragged_batch" => gradients::gradients_agree(&world, &[4, 3, 0]),
        "resumed" => gradients::a_new_reducer_changes_no_bit(&world),
        "different_models" => gradients::different_models(&world),
        "broadcast" => collectives::broadcast(&world),
        "refused_tensors" => collectives::refused_tensors(&world),
        "nccl" => collectives::nccl(&world),
        "strided" => collectives::strided(&world),
        "sixteen_bits" => collectives::sixteen_bits(&world),
        "all_max" => collectives::all_max(&world),
        "killed" => faults::killed(&world),
        "missing" => faults::missing(&world),
        "batch_norm" => batch_norm::equals_one_process(&world),
        other => panic!("there is no part {other}"),
    }
}
