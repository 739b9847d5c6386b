// Main memory and a GPU: pinned memory, copies beside the computing, and points in its work that the host may wait for. Needs libtorch
// alone, whose CUDA half hands in streams and events when it is loaded.
#include "device.h"
#include "guard.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <c10/core/StreamGuard.h>

#include <memory>

using bioscan::guarded;
using bioscan::Message;

namespace {

// A point in the work of a GPU.
struct Mark {
  c10::Event event;
};

c10::Device gpu(int index) { return {c10::kCUDA, static_cast<c10::DeviceIndex>(index)}; }

}  // namespace

extern "C" {

// From now on this thread speaks to GPU `index`.
Message bioscan_use_gpu(int index) {
  return guarded([&] { bioscan::use_device(gpu(index)); });
}

// Float32s of any value in pinned memory, which a GPU reads without the CPU. libtorch gives it out again only when every copy from it is over.
Message bioscan_pinned(const int64_t* sizes, size_t dimensions, at::Tensor** out) {
  return guarded([&] {
    const auto options = at::TensorOptions(at::kFloat).pinned_memory(true);
    *out = new at::Tensor(at::empty({sizes, dimensions}, options));  // NOLINT(cppcoreguidelines-owning-memory): owned by Rust
  });
}

// Begins the copy of `host` to a GPU on a stream of its own. What is asked of the computing stream after this waits for it; the host does not.
Message bioscan_copy_to_gpu(const at::Tensor* host, int index, at::Tensor** out) {
  return guarded([&] {
    const at::NoGradGuard no_grad;
    const auto device = gpu(index);
    const auto computing = bioscan::computing_stream(device);
    const auto copying = bioscan::copy_stream(device);
    // From other memory the copy would wait, and the host with it.
    const at::Tensor source = host->is_pinned() ? *host : host->pin_memory();
    at::Tensor copy;
    c10::Event arrived(device.type());
    {
      const c10::StreamGuard on(copying);
      copy = source.to(device, source.scalar_type(), /*non_blocking=*/true);
      arrived.record(copying);
    }
    arrived.block(computing);
    // Made on one stream and used on another: its memory is given out again only when the other is through with it.
    copy.record_stream(computing);
    *out = new at::Tensor(std::move(copy));  // NOLINT(cppcoreguidelines-owning-memory): owned by Rust
  });
}

// Marks the end of all that this thread has asked of a GPU so far. Given up by `bioscan_mark_free`, passed or not.
Message bioscan_mark_new(int index, Mark** out) {
  return guarded([&] {
    const auto device = gpu(index);
    auto mark = std::make_unique<Mark>(Mark{c10::Event(device.type())});
    mark->event.record(bioscan::computing_stream(device));
    *out = mark.release();
  });
}

// Returns when the GPU has come to the mark.
Message bioscan_mark_wait(const Mark* mark) {
  return guarded([&] { bioscan::wait_for(mark->event); });
}

void bioscan_mark_free(Mark* mark) {
  delete mark;  // NOLINT(cppcoreguidelines-owning-memory): given back by Rust
}

}  // extern "C"
