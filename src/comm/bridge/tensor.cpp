// What the tch crate lacks on tensors; needs libtorch alone.
#include "guard.h"

#include <dlfcn.h>
#include <malloc.h>

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

// How many tensors share the memory of this one, itself included.
size_t bioscan_storage_uses(const at::Tensor* tensor) { return tensor->storage().use_count(); }

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

// By default glibc returns large freed blocks to the kernel, which hands them back zeroed at the next step: a third of the time of a
// small network's training on a CPU.
void bioscan_keep_freed_memory() {
#ifdef __GLIBC__
  mallopt(M_MMAP_THRESHOLD, 32 << 20);  // the largest that glibc accepts
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  mallopt(M_TOP_PAD, 64 << 20);
#endif
}

}  // extern "C"
