// Main memory and a GPU: pinned memory, copies beside the computing, and points in its work that the host may wait for. Needs libtorch
// alone, whose CUDA half hands in streams and events when it is loaded.
#include "guard.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros.h>
#include <c10/core/Event.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <optional>

using bioscan::guarded;
using bioscan::Message;

namespace {

// A point in the work of a GPU.
struct Mark {
  c10::Event event;
};

c10::Device gpu(int index) { return {c10::kCUDA, static_cast<c10::DeviceIndex>(index)}; }

// The stream that copies to `device` run on.
c10::Stream copy_stream(const c10::impl::VirtualGuardImpl& guard, c10::Device device) {
  thread_local std::optional<c10::Stream> stream;
  if (!stream.has_value() || stream->device() != device) {
    stream = guard.getStreamFromGlobalPool(device);
  }
  return *stream;
}

}  // namespace

extern "C" {

// Float32 zeros in pinned memory, which a GPU reads without the CPU. libtorch gives it out again only when every copy from it is over.
Message bioscan_pinned_zeros(const int64_t* sizes, size_t dimensions, at::Tensor** out) {
  return guarded([&] {
    const auto options = at::TensorOptions(at::kFloat).pinned_memory(true);
    *out = new at::Tensor(at::zeros({sizes, dimensions}, options));  // NOLINT(cppcoreguidelines-owning-memory): owned by Rust
  });
}

// Begins the copy of `host` to a GPU on a stream of its own. What is asked of the computing stream after this waits for it; the host does not.
Message bioscan_copy_to_gpu(const at::Tensor* host, int index, at::Tensor** out) {
  return guarded([&] {
    const at::NoGradGuard no_grad;
    const auto device = gpu(index);
    const c10::impl::VirtualGuardImpl guard(device.type());
    const auto computing = guard.getStream(device);
    const auto copying = copy_stream(guard, device);
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
    auto* const mark = new Mark{c10::Event(device.type())};  // NOLINT(cppcoreguidelines-owning-memory): owned by Rust
    *out = mark;
    mark->event.record(c10::impl::VirtualGuardImpl(device.type()).getStream(device));
  });
}

// Returns when the GPU has come to the mark.
Message bioscan_mark_wait(const Mark* mark) {
  return guarded([&] { mark->event.synchronize(); });
}

void bioscan_mark_free(Mark* mark) {
  delete mark;  // NOLINT(cppcoreguidelines-owning-memory): given back by Rust
}

}  // extern "C"
