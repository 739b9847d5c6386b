// c10d::ProcessGroup for Rust.
#include "process_group.h"

#include "guard.h"
#include "mpi_backend.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/full.h>
#include <torch/csrc/distributed/c10d/comm.hpp>

using bioscan::Group;
using bioscan::guarded;
using bioscan::Message;

namespace {

// As PyTorch's DistributedDataParallel: large enough that small tensors share a message.
constexpr size_t kBroadcastBytes = size_t{250} << 20;

// The largest value of all ranks, on its way.
struct Agreement {
  at::Tensor value;
  c10::intrusive_ptr<c10d::Work> work;
};

}  // namespace

extern "C" {

// `communicator` is the Fortran handle: an integer whatever the MPI library, so that Rust and C++ need not agree on MPI_Comm.
Message bioscan_group_new(int communicator, uint64_t timeout_ms, uint64_t poll_us, Group** out) {
  return guarded([&] {
    const bioscan::Patience patience{std::chrono::milliseconds(timeout_ms), std::chrono::microseconds(poll_us)};
    const auto backend = bioscan::MpiBackend::over(MPI_Comm_f2c(communicator), patience);
    auto group = c10::make_intrusive<c10d::ProcessGroup>(backend->getRank(), backend->getSize());
    group->setBackend(c10::DeviceType::CPU, c10d::ProcessGroup::MPI, backend);
    group->setDefaultBackend(c10d::ProcessGroup::MPI);
    group->setGroupName("bioscan");
    *out = new Group{std::move(group)};  // NOLINT(cppcoreguidelines-owning-memory): owned by Rust
  });
}

Message bioscan_group_free(Group* group) {
  return guarded([&] { delete group; });  // NOLINT(cppcoreguidelines-owning-memory): given back by Rust
}

// From now on the group's collectives on tensors of a GPU go over MPI, too.
Message bioscan_group_serve_gpus(const Group* group) {
  return guarded([&] {
    const auto& handle = group->handle;
    handle->setBackend(c10::DeviceType::CUDA, c10d::ProcessGroup::MPI, handle->getBackend(c10::DeviceType::CPU));
  });
}

Message bioscan_group_all_reduce_sum(const Group* group, const at::Tensor* tensor) {
  return guarded([&] {
    std::vector<at::Tensor> tensors{*tensor};
    group->handle->allreduce(tensors)->wait();
  });
}

// Begins to find the largest `value` of all ranks. Given up by `bioscan_agreement_free`, asked or not.
Message bioscan_agreement_new(const Group* group, int64_t value, Agreement** out) {
  return guarded([&] {
    std::vector<at::Tensor> largest{at::full({1}, value, at::kLong)};
    c10d::AllreduceOptions options;
    options.reduceOp = c10d::ReduceOp::MAX;
    auto work = group->handle->allreduce(largest, options);
    // NOLINTNEXTLINE(cppcoreguidelines-owning-memory): owned by Rust
    *out = new Agreement{std::move(largest.front()), std::move(work)};
  });
}

Message bioscan_agreement_wait(Agreement* agreement, int64_t* largest) {
  return guarded([&] {
    agreement->work->wait();
    *largest = agreement->value.item<int64_t>();
  });
}

void bioscan_agreement_free(Agreement* agreement) {
  delete agreement;  // NOLINT(cppcoreguidelines-owning-memory): given back by Rust
}

Message bioscan_group_broadcast_coalesced(const Group* group, const at::Tensor* const* tensors, size_t count, int root) {
  return guarded([&] {
    // The targets may be parameters, leaves that autograd forbids to change in place.
    const at::NoGradGuard no_grad;
    c10d::broadcast_coalesced(group->handle, bioscan::tensors_from(tensors, count), kBroadcastBytes, root);
  });
}

Message bioscan_group_barrier(const Group* group) {
  return guarded([&] { group->handle->barrier()->wait(); });
}

}  // extern "C"
