// What copies to and from a device share, whatever kind of device it is.
#pragma once

#include <c10/core/Event.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <chrono>
#include <optional>
#include <thread>

namespace bioscan {

// The stream that this thread's copies run on, beside the one that computes.
inline c10::Stream copy_stream(c10::Device device) {
  thread_local std::optional<c10::Stream> stream;
  if (!stream.has_value() || stream->device() != device) {
    stream = c10::impl::VirtualGuardImpl(device.type()).getStreamFromGlobalPool(device);
  }
  return *stream;
}

// What this thread has asked `device` to compute goes here.
inline c10::Stream computing_stream(c10::Device device) { return c10::impl::VirtualGuardImpl(device.type()).getStream(device); }

// From now on this thread speaks to `device`. Events switch to the device they lie on and back to this one; a thread that has none would
// go back to the first, and wake it.
inline void use_device(c10::Device device) { c10::impl::VirtualGuardImpl(device.type()).setDevice(device); }

// Returns when the device has passed `event`. Sleeps meanwhile: CUDA's own wait takes a core, which decoding wants.
inline void wait_for(const c10::Event& event) {
  while (!event.query()) {
    std::this_thread::sleep_for(std::chrono::microseconds(50));
  }
}

}  // namespace bioscan
