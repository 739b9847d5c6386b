// What a training step needs and the tch crate lacks; needs libtorch alone.
#include "guard.h"

#include <ATen/autocast_mode.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/_fused_sgd.h>

using bioscan::guarded;
using bioscan::Message;

namespace {

// Mirrors `SgdOptions` in mod.rs.
struct SgdOptions {
  double lr;
  double momentum;
  double weight_decay;
  bool nesterov;
};

// Whether two tensors of one shape hold their elements in the same order. The stride of a dimension of one element means nothing.
bool lie_alike(const at::Tensor& a, const at::Tensor& b) {
  bool alike = a.sizes() == b.sizes();
  for (int64_t dim = 0; alike && dim < a.dim(); ++dim) {
    alike = a.size(dim) == 1 || a.stride(dim) == b.stride(dim);
  }
  return alike;
}

}  // namespace

extern "C" {

// One step of SGD on all parameters that have a gradient: one launch for many tensors on a GPU, one pass over each on a CPU.
Message bioscan_sgd_step(
    const at::Tensor* const* parameters,
    const at::Tensor* const* velocities,
    size_t count,
    const SgdOptions* options) {
  return guarded([&] {
    const at::NoGradGuard no_grad;
    std::vector<at::Tensor> moved;
    std::vector<at::Tensor> gradients;
    std::vector<at::Tensor> memory;
    for (size_t i = 0; i < count; ++i) {
      const at::Tensor& gradient = parameters[i]->grad();
      if (gradient.defined()) {
        moved.push_back(*parameters[i]);
        gradients.push_back(gradient);
        // Without momentum the kernel wants none, and a velocity that is never moved stays zero.
        if (options->momentum != 0.0) {
          memory.push_back(*velocities[i]);
        }
        // The kernel walks the memory of the three side by side, whatever their strides say.
        TORCH_CHECK(
            lie_alike(gradient, *parameters[i]) && lie_alike(*velocities[i], *parameters[i]),
            "a parameter, its gradient and its velocity lie differently in memory");
      }
    }
    if (moved.empty()) {
      return;
    }
    // Velocities begin as zeros, which makes the first step like any other.
    at::_fused_sgd_(
        moved, gradients, memory, options->weight_decay, options->momentum, options->lr, /*dampening=*/0.0, options->nesterov,
        /*maximize=*/false, /*is_first_step=*/false);
  });
}

// For the whole process: whether a GPU's products of 32-bit floats take TF32, as PyTorch's convolutions do unless told otherwise; and
// whether kernels whose result varies are passed over where there is another. Those of attention but the plainest vary, and libtorch
// would only warn of them.
void bioscan_set_arithmetic(bool tf32, bool deterministic) {
  auto& context = at::globalContext();
  context.setAllowTF32CuDNN(tf32);
  context.setAllowTF32CuBLAS(tf32);
  context.setDeterministicCuDNN(deterministic);
  context.setDeterministicAlgorithms(deterministic, /*warn_only=*/true);
  context.setDeterministicFillUninitializedMemory(false);
  context.setSDPUseFlash(!deterministic);
  context.setSDPUseMemEfficient(!deterministic);
  context.setSDPUseCuDNN(!deterministic);
}

// The same two, as libtorch has them.
void bioscan_arithmetic(bool* tf32, bool* deterministic) {
  const auto& context = at::globalContext();
  *tf32 = context.allowTF32CuDNN() && context.allowTF32CuBLAS();
  *deterministic = context.deterministicCuDNN() && context.deterministicAlgorithms();
}

// Until `bioscan_autocast_leave`, this thread computes matrix products and convolutions on that kind of device in bfloat16.
void bioscan_autocast_enter(bool on_gpu) {
  const auto device = on_gpu ? at::kCUDA : at::kCPU;
  at::autocast::increment_nesting();
  at::autocast::set_autocast_dtype(device, at::kBFloat16);
  at::autocast::set_autocast_enabled(device, true);
}

void bioscan_autocast_leave(bool on_gpu) {
  at::autocast::set_autocast_enabled(on_gpu ? at::kCUDA : at::kCPU, false);
  // The weights in 16 bits are kept until here, for layers that are called twice.
  if (at::autocast::decrement_nesting() == 0) {
    at::autocast::clear_cache();
  }
}

}  // extern "C"
