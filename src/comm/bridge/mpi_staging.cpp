#include "mpi_staging.h"

#include "device.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <c10/core/StreamGuard.h>

#include <utility>

namespace bioscan {

Staging::Staging(at::Tensor tensor, const char* name) : tensor_(std::move(tensor)) {
  TORCH_CHECK(tensor_.layout() == at::kStrided, name, " over MPI needs a dense tensor");
  if (tensor_.is_cpu() && tensor_.is_contiguous()) {
    memory_ = tensor_;
    return;
  }
  const auto in_main_memory = at::TensorOptions(tensor_.scalar_type()).pinned_memory(!tensor_.is_cpu());
  memory_ = at::empty(tensor_.sizes(), in_main_memory);
  if (!tensor_.is_cpu()) {
    made_.emplace(tensor_.device().type()).record(computing_stream(tensor_.device()));
  }
}

void Staging::fetch() const {
  if (made_.has_value()) {
    use_device(tensor_.device());
    wait_for(*made_);
  }
  copy(memory_, tensor_);
}

void Staging::store() const { copy(tensor_, memory_); }

void Staging::copy(const at::Tensor& to, const at::Tensor& from) const {
  if (memory_.is_same(tensor_)) {
    return;
  }
  const at::NoGradGuard no_grad;
  std::optional<c10::StreamGuard> aside;
  if (made_.has_value()) {
    // On the stream that computes, the copy would wait for the rest of the backward pass.
    aside.emplace(copy_stream(tensor_.device()));
  }
  to.copy_(from);
  if (aside.has_value()) {
    // Into a tensor with gaps the copy has a second half, on the GPU, which nobody has waited for.
    aside->current_stream().synchronize();
  }
}

}  // namespace bioscan
