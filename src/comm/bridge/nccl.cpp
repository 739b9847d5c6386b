// Tensors on GPUs: NCCL joins a process group, from the plug-in in cuda/.
#include "guard.h"
#include "plugin.h"
#include "process_group.h"

#include <torch/csrc/distributed/c10d/TCPStore.hpp>

using bioscan::Group;
using bioscan::guarded;
using bioscan::Message;

namespace {

// Where ranks exchange NCCL's id, and later who has failed.
struct Rendezvous {
  c10::intrusive_ptr<c10d::Store> store;
};

using MakeBackend = Message (*)(
    const c10::intrusive_ptr<c10d::Store>* store,
    int rank,
    int size,
    uint64_t timeout_ms,
    c10::intrusive_ptr<c10d::Backend>* out);

}  // namespace

extern "C" {

// Opens the rendezvous on any free port where `port` is 0, on rank 0; joins it elsewhere. `port` then says where it is.
Message bioscan_rendezvous_new(const char* host, uint16_t* port, uint64_t timeout_ms, Rendezvous** out) {
  return guarded([&] {
    c10d::TCPStoreOptions options;
    options.port = *port;
    options.isServer = *port == 0;
    options.waitWorkers = false;
    options.timeout = std::chrono::milliseconds(timeout_ms);
    const auto store = c10::make_intrusive<c10d::TCPStore>(host, options);
    *port = store->getPort();
    *out = new Rendezvous{store};  // NOLINT(cppcoreguidelines-owning-memory): owned by Rust
  });
}

void bioscan_rendezvous_free(Rendezvous* rendezvous) {
  delete rendezvous;  // NOLINT(cppcoreguidelines-owning-memory): given back by Rust
}

// From now on the group's collectives on tensors of a GPU go through NCCL. The backend keeps the rendezvous's store.
Message bioscan_group_add_nccl(const Group* group, const char* plugin, const Rendezvous* rendezvous, uint64_t timeout_ms) {
  return guarded([&] {
    c10::intrusive_ptr<c10d::Backend> backend;
    const auto& handle = group->handle;
    const auto make = bioscan::plugin_function<MakeBackend>(plugin, "bioscan_nccl_backend");
    bioscan::check(make(&rendezvous->store, handle->getRank(), handle->getSize(), timeout_ms, &backend));
    handle->setBackend(c10::DeviceType::CUDA, c10d::ProcessGroup::NCCL, backend);
  });
}

}  // extern "C"
