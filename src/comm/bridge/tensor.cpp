// What the tch crate lacks on tensors; needs libtorch alone.
#include "guard.h"

#include <dlfcn.h>

using bioscan::Message;

extern "C" {

void bioscan_free_message(Message message) { std::free(message); }

// Sets the gradients to None. Zeroing them in place, as tch does, throws once they are views into the buckets of a Reducer.
Message bioscan_clear_gradients(const at::Tensor* const* parameters, size_t count) {
  return bioscan::guarded([&] {
    for (size_t i = 0; i < count; ++i) {
      parameters[i]->mutable_grad().reset();
    }
  });
}

// Loads libtorch_cuda.so, which the linker's --as-needed drops because nothing refers to it by symbol. The handle is kept open for the
// life of the process: libtorch registers its CUDA kernels from static constructors.
Message bioscan_load_cuda() {
  return bioscan::guarded([] {
    // RTLD_GLOBAL: libraries that libtorch_cuda opens in turn look for its symbols.
    if (dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL) == nullptr) {
      const char* reason = dlerror();
      throw std::runtime_error(reason != nullptr ? reason : "dlopen failed without a reason");
    }
  });
}

}  // extern "C"
