//! The C ABI of the C++ bridge: handles and tensors in, a message out where a call failed.

use std::ffi::{CStr, c_char, c_int};

use tch::Tensor;
use torch_sys::C_tensor;

use crate::error::{Error, Result};

/// Null, or a message that C++ allocated. Never dropped by itself: [`outcome`] consumes it.
pub(super) type Message = *mut c_char;

unsafe extern "C" {
    fn bioscan_free_message(message: Message);
    pub(super) fn bioscan_clear_gradients(parameters: *const *const C_tensor, count: usize) -> Message;
    pub(super) fn bioscan_load_cuda() -> Message;
    pub(super) fn bioscan_storage_uses(tensor: *const C_tensor) -> usize;
    pub(super) fn bioscan_keep_freed_memory();
    pub(super) fn bioscan_use_gpu(index: c_int) -> Message;
    pub(super) fn bioscan_pinned(sizes: *const i64, dimensions: usize, out: *mut *mut C_tensor) -> Message;
    pub(super) fn bioscan_copy_to_gpu(host: *const C_tensor, index: c_int, out: *mut *mut C_tensor) -> Message;
    pub(super) fn bioscan_graph_begin(plugin: *const c_char, index: c_int, out: *mut *mut Graph) -> Message;
    pub(super) fn bioscan_graph_end(graph: *const Graph) -> Message;
    pub(super) fn bioscan_graph_replay(graph: *const Graph) -> Message;
    pub(super) fn bioscan_graph_free(graph: *mut Graph);
    pub(super) fn bioscan_mark_new(index: c_int, out: *mut *mut Mark) -> Message;
    pub(super) fn bioscan_mark_wait(mark: *const Mark) -> Message;
    pub(super) fn bioscan_mark_free(mark: *mut Mark);
    pub(super) fn bioscan_sgd_step(
        parameters: *const *const C_tensor,
        velocities: *const *const C_tensor,
        count: usize,
        options: *const SgdOptions,
    ) -> Message;
    pub(super) fn bioscan_set_arithmetic(tf32: bool, deterministic: bool);
    pub(super) fn bioscan_arithmetic(tf32: *mut bool, deterministic: *mut bool);
    pub(super) fn bioscan_autocast_enter(on_gpu: bool);
    pub(super) fn bioscan_autocast_leave(on_gpu: bool);
}

/// Recorded work of a GPU, in C++.
#[repr(C)]
pub(super) struct Graph {
    opaque: [u8; 0],
}

/// A point in the work of a GPU, in C++.
#[repr(C)]
pub(super) struct Mark {
    opaque: [u8; 0],
}

/// Mirrors `SgdOptions` in step.cpp.
#[repr(C)]
pub(super) struct SgdOptions {
    pub lr: f64,
    pub momentum: f64,
    pub weight_decay: f64,
    pub nesterov: bool,
}

#[cfg(feature = "mpi")]
pub(super) use distributed::*;

#[cfg(feature = "mpi")]
mod distributed {
    use super::{C_tensor, Message};
    use std::ffi::{c_char, c_int};

    /// `bioscan::Group` in C++.
    #[repr(C)]
    pub(in crate::comm) struct Group {
        opaque: [u8; 0],
    }

    /// A `c10d::Reducer` in C++.
    #[repr(C)]
    pub(in crate::comm) struct Reducer {
        opaque: [u8; 0],
    }

    /// Where ranks find each other, in C++.
    #[repr(C)]
    pub(in crate::comm) struct Rendezvous {
        opaque: [u8; 0],
    }

    /// The largest value of all ranks on its way, in C++.
    #[repr(C)]
    pub(in crate::comm) struct Agreement {
        opaque: [u8; 0],
    }

    /// Mirrors `ReducerOptions` in reducer.cpp.
    #[repr(C)]
    pub(in crate::comm) struct ReducerOptions {
        pub bucket_bytes: i64,
        pub first_bucket_bytes: i64,
        pub find_unused: bool,
        pub gradient_as_bucket_view: bool,
        pub rebuild_buckets: bool,
    }

    unsafe extern "C" {
        pub(in crate::comm) fn bioscan_group_new(
            communicator: c_int,
            timeout_ms: u64,
            poll_us: u64,
            out: *mut *mut Group,
        ) -> Message;
        pub(in crate::comm) fn bioscan_group_free(group: *mut Group) -> Message;
        pub(in crate::comm) fn bioscan_group_serve_gpus(group: *const Group) -> Message;
        pub(in crate::comm) fn bioscan_group_all_reduce_sum(group: *const Group, tensor: *const C_tensor) -> Message;
        pub(in crate::comm) fn bioscan_rendezvous_new(
            host: *const c_char,
            port: *mut u16,
            timeout_ms: u64,
            out: *mut *mut Rendezvous,
        ) -> Message;
        pub(in crate::comm) fn bioscan_rendezvous_free(rendezvous: *mut Rendezvous);
        pub(in crate::comm) fn bioscan_group_add_nccl(
            group: *const Group,
            plugin: *const c_char,
            rendezvous: *const Rendezvous,
            timeout_ms: u64,
        ) -> Message;
        pub(in crate::comm) fn bioscan_agreement_new(group: *const Group, value: i64, out: *mut *mut Agreement) -> Message;
        pub(in crate::comm) fn bioscan_agreement_wait(agreement: *mut Agreement, largest: *mut i64) -> Message;
        pub(in crate::comm) fn bioscan_agreement_free(agreement: *mut Agreement);
        pub(in crate::comm) fn bioscan_sync_batch_norm(
            group: *const Group,
            x: *const C_tensor,
            weight: *const C_tensor,
            bias: *const C_tensor,
            running_mean: *const C_tensor,
            running_var: *const C_tensor,
            momentum: f64,
            eps: f64,
            out: *mut *mut C_tensor,
        ) -> Message;
        pub(in crate::comm) fn bioscan_group_broadcast_coalesced(
            group: *const Group,
            tensors: *const *const C_tensor,
            count: usize,
            root: c_int,
        ) -> Message;
        pub(in crate::comm) fn bioscan_group_barrier(group: *const Group) -> Message;
        pub(in crate::comm) fn bioscan_reducer_new(
            group: *const Group,
            parameters: *const *const C_tensor,
            count: usize,
            options: *const ReducerOptions,
            out: *mut *mut Reducer,
        ) -> Message;
        pub(in crate::comm) fn bioscan_reducer_free(reducer: *mut Reducer) -> Message;
        pub(in crate::comm) fn bioscan_reducer_prepare_for_forward(reducer: *mut Reducer) -> Message;
        pub(in crate::comm) fn bioscan_reducer_prepare_for_backward(
            reducer: *mut Reducer,
            outputs: *const *const C_tensor,
            count: usize,
        ) -> Message;
    }
}

/// What the call said, its memory given back.
pub(super) fn outcome(message: Message) -> Result<(), String> {
    if message.is_null() {
        return Ok(());
    }
    // SAFETY: the bridge returns null or a NUL-terminated string that is ours until it is freed, here and only here.
    let text = unsafe { CStr::from_ptr(message) }.to_string_lossy().into_owned();
    // SAFETY: as above.
    unsafe { bioscan_free_message(message) };
    Err(text)
}

/// The same for a call that only asks something of libtorch, as an error of this program.
pub(super) fn done(message: Message) -> Result<()> {
    outcome(message).map_err(|error| Error::library("libtorch", error))
}

/// The number of a GPU as C++ has it: no node has so many that this cuts.
pub(super) fn gpu(index: usize) -> c_int {
    c_int::try_from(index).unwrap_or(c_int::MAX)
}

/// The handles of tensors; the tensors must outlive every use of them.
pub(super) fn handles<'t>(tensors: impl IntoIterator<Item = &'t Tensor>) -> Vec<*const C_tensor> {
    tensors.into_iter().map(Tensor::as_ptr).collect()
}
