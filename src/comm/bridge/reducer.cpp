// c10d::Reducer, the engine of PyTorch's DistributedDataParallel, for Rust.
#include "guard.h"
#include "process_group.h"

#include <torch/csrc/distributed/c10d/reducer.hpp>

#include <numeric>

using bioscan::guarded;
using bioscan::Message;

namespace {

// Mirrors `ReducerOptions` in reducer.rs.
struct ReducerOptions {
  int64_t bucket_bytes;
  int64_t first_bucket_bytes;
  bool find_unused;
  bool gradient_as_bucket_view;
  bool rebuild_buckets;
};

// Which parameters travel together, the first to leave first: gradients arrive last layer first, and the first bucket is small so that
// the network is busy early.
std::vector<std::vector<size_t>> bucket_layout(const std::vector<at::Tensor>& parameters, const ReducerOptions& options) {
  const std::vector<at::Tensor> reversed(parameters.rbegin(), parameters.rend());
  std::vector<int64_t> indices(parameters.size());
  std::iota(indices.rbegin(), indices.rend(), 0);
  const std::vector<size_t> limits{static_cast<size_t>(options.first_bucket_bytes), static_cast<size_t>(options.bucket_bytes)};
  return std::get<0>(c10d::compute_bucket_assignment_by_size(reversed, limits, {}, indices));
}

// A Reducer that can be told to keep its first bucket layout.
//
// By default the layout changes after the first step. An all-reduce that runs in a ring over three or more ranks adds an element up in an
// order that depends on its place in the bucket: a run resumed from a checkpoint could then differ in the last bits from one that was
// never stopped. (Open MPI 4's non-blocking all-reduce, in place, is no ring; NCCL's and others are.)
class Reducer final : public c10d::Reducer {
 public:
  Reducer(
      const std::vector<at::Tensor>& parameters,
      const c10::intrusive_ptr<c10d::ProcessGroup>& group,
      const ReducerOptions& options)
      : c10d::Reducer(
            parameters,
            bucket_layout(parameters, options),
            group,
            /*expect_sparse_gradients=*/std::vector<bool>(parameters.size(), false),
            options.bucket_bytes,
            options.find_unused,
            options.gradient_as_bucket_view,
            /*param_names=*/{},
            options.first_bucket_bytes,
            /*skip_all_reduce_unused_params=*/false,
            /*use_python_reducer=*/false,
            /*bucket_bytes_cap_list=*/{}) {
    has_rebuilt_bucket_ = !options.rebuild_buckets;
  }
};

}  // namespace

extern "C" {

Message bioscan_reducer_new(
    const bioscan::Group* group,
    const at::Tensor* const* handles,
    size_t count,
    const ReducerOptions* options,
    Reducer** out) {
  return guarded([&] {
    const auto parameters = bioscan::tensors_from(handles, count);
    // Ranks that built different models would otherwise add up gradients of unlike parameters, or hang.
    c10d::verify_params_across_processes(group->handle, parameters, std::nullopt);
    // NOLINTNEXTLINE(cppcoreguidelines-owning-memory): owned by Rust
    *out = new Reducer(parameters, group->handle, *options);
  });
}

Message bioscan_reducer_free(Reducer* reducer) {
  return guarded([&] { delete reducer; });  // NOLINT(cppcoreguidelines-owning-memory): given back by Rust
}

Message bioscan_reducer_prepare_for_forward(Reducer* reducer) {
  return guarded([&] {
    // Moves the buckets once, after the first step, where that is wanted; a collective then.
    reducer->rebuild_buckets();
    reducer->prepare_for_forward();
  });
}

Message bioscan_reducer_prepare_for_backward(Reducer* reducer, const at::Tensor* const* outputs, size_t count) {
  return guarded([&] { reducer->prepare_for_backward(bioscan::tensors_from(outputs, count)); });
}

}  // extern "C"
