// NCCL for tensors on GPUs.
//
// Not run on a GPU yet: it compiles, and is called as libtorch's Python calls the same class.
#define USE_C10D_NCCL

#include "../guard.h"

#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>

extern "C" {

// The backend of rank `rank` of `size`, on this thread's current GPU. Ranks find each other through `store`.
bioscan::Message bioscan_nccl_backend(
    const c10::intrusive_ptr<c10d::Store>* store,
    int rank,
    int size,
    uint64_t timeout_ms,
    c10::intrusive_ptr<c10d::Backend>* out) {
  return bioscan::guarded([&] {
    const auto options = c10d::ProcessGroupNCCL::Options::create();
    options->timeout = std::chrono::milliseconds(timeout_ms);
    *out = c10::make_intrusive<c10d::ProcessGroupNCCL>(*store, rank, size, options);
  });
}

}  // extern "C"
