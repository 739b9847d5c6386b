//! What a process group sends, and what it refuses to.

use std::time::Duration;

use bioscan_hpc::comm::World;
use bioscan_hpc::comm::process_group::{GroupOptions, ProcessGroup};
use tch::{Device, Kind, Tensor};

use crate::launch::passes;
use crate::net::Net;

#[test]
fn broadcast_coalesced_gives_every_rank_the_roots_parameters_and_statistics() {
    passes(3, "broadcast");
}

#[test]
fn tensors_that_mpi_cannot_add_are_refused_in_words_and_the_group_stays_usable() {
    passes(2, "refused_tensors");
}

#[test]
fn a_part_of_a_tensor_is_added_up_and_what_lies_around_it_stays() {
    passes(3, "strided");
}

#[test]
fn sixteen_bit_floats_are_added_up_in_thirty_two() {
    passes(3, "sixteen_bits");
}

#[test]
fn the_largest_value_is_found_while_the_ranks_go_on() {
    passes(3, "all_max");
}

/// A world of one, which is all that one GPU can show.
#[test]
fn nccl_joins_the_group_where_there_is_a_gpu() {
    let plugin = std::env::current_exe().unwrap().with_file_name("libbioscan_cuda.so");
    if bioscan_hpc::comm::tensor_ext::load_cuda().is_err() || !tch::Cuda::is_available() || !plugin.is_file() {
        println!("NCCL: skipped, no GPU here, or no plug-in beside this test");
        return;
    }
    passes(1, "nccl");
}

pub fn nccl(world: &World) {
    bioscan_hpc::comm::tensor_ext::load_cuda().unwrap();
    let group = ProcessGroup::over_mpi(world, GroupOptions::default()).unwrap();
    group.add_nccl(world, GroupOptions::default()).unwrap();
    let there = Tensor::arange(1000, (Kind::Float, Device::Cuda(0)));
    group.all_reduce_sum(&there).unwrap();
    group.broadcast_coalesced(std::slice::from_ref(&there), 0).unwrap();
    assert!(there.to_device(Device::Cpu).equal(&Tensor::arange(1000, (Kind::Float, Device::Cpu))));
}

pub fn broadcast(world: &World) {
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

pub fn refused_tensors(world: &World) {
    let group = ProcessGroup::over_mpi(world, GroupOptions { poll: Duration::ZERO, ..Default::default() }).unwrap();
    let complex = Tensor::ones([4], (Kind::ComplexFloat, Device::Cpu));
    let message = group.all_reduce_sum(&complex).unwrap_err().to_string();
    assert!(message.contains("MPI cannot add up tensors of type ComplexFloat; convert them to float32 first"), "{message}");
    assert!(group.broadcast_coalesced(&[Tensor::from(1.0)], usize::MAX).is_err());

    let ones = Tensor::ones([4], (Kind::Float, Device::Cpu));
    group.all_reduce_sum(&ones).unwrap();
    assert_eq!(Vec::<f32>::try_from(ones).unwrap(), [2.0; 4]);
}

pub fn strided(world: &World) {
    let group = ProcessGroup::over_mpi(world, GroupOptions::default()).unwrap();
    let whole = Tensor::arange(12, (Kind::Int64, Device::Cpu)).view([3, 4]) + world.rank() as i64;
    // The middle columns, turned: gaps in memory, and out of order.
    let part = whole.narrow(1, 1, 2).transpose(0, 1);
    group.all_reduce_sum(&part).unwrap();
    // 3 of each, and 0 + 1 + 2.
    assert_eq!(Vec::<i64>::try_from(part.contiguous().view([-1])).unwrap(), [6, 18, 30, 9, 21, 33]);
    let around = [whole.double_value(&[0, 0]), whole.double_value(&[2, 3])].map(|value| value as i64 - world.rank() as i64);
    assert_eq!(around, [0, 11], "what lies around it stays");
}

pub fn sixteen_bits(world: &World) {
    let group = ProcessGroup::over_mpi(world, GroupOptions::default()).unwrap();
    for kind in [Kind::Half, Kind::BFloat16] {
        // More than a piece of a message.
        let ones = Tensor::full([3_000_001], 1.0 + world.rank() as f64, (kind, Device::Cpu));
        group.all_reduce_sum(&ones).unwrap();
        assert_eq!((ones.min().double_value(&[]), ones.max().double_value(&[])), (6.0, 6.0), "1 + 2 + 3 in {kind:?}");
        let nothing = Tensor::full([3], f64::NAN, (kind, Device::Cpu));
        group.all_reduce_sum(&nothing).unwrap();
        assert_eq!(i64::try_from(nothing.isnan().all()).unwrap(), 1, "NaN stays NaN");
    }
}

pub fn all_max(world: &World) {
    let group = ProcessGroup::over_mpi(world, GroupOptions::default()).unwrap();
    let rank = world.rank() as i64;
    let asked = group.begin_all_max(10 - rank).unwrap();
    let ones = Tensor::ones([4], (Kind::Float, Device::Cpu));
    group.all_reduce_sum(&ones).unwrap();
    let later = group.begin_all_max(rank).unwrap();
    assert_eq!((asked.wait().unwrap(), later.wait().unwrap()), (10, 2));
    drop(group.begin_all_max(0).unwrap());
}
