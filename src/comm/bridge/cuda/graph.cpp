// CUDA graphs: what a thread asks of a GPU is recorded once, and asked for again with a single launch.
//
// Not run on a GPU yet: it compiles, and makes the calls of PyTorch's own `torch.cuda.graph`.
#include "../guard.h"

#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include <memory>
#include <optional>

using bioscan::guarded;
using bioscan::Message;

namespace {

// The default stream cannot be recorded. Always the same other one, because cuBLAS keeps its workspace of each for good.
c10::cuda::CUDAStream recorded_stream(c10::DeviceIndex index) {
  thread_local std::optional<c10::cuda::CUDAStream> stream;
  if (!stream.has_value() || stream->device_index() != index) {
    stream = c10::cuda::getStreamFromPool(/*isHighPriority=*/false, index);
  }
  return *stream;
}

struct Graph {
  Graph() = default;

  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;

  ~Graph() {
    if (recording.has_value()) {
      // Given up half-way: CUDA refuses everything else on a stream that still records.
      const Message failure = guarded([this] { graph.capture_end(); });
      std::free(failure);
    }
  }

  at::cuda::CUDAGraph graph;
  std::optional<c10::cuda::CUDAStreamGuard> recording;
};

}  // namespace

extern "C" {

// From now on what this thread, and the backward passes it begins, ask of the GPU is recorded and not done. Other threads go on as before.
Message bioscan_cuda_graph_begin(int index, void** out) {
  return guarded([&] {
    const auto stream = recorded_stream(static_cast<c10::DeviceIndex>(index));
    auto graph = std::make_unique<Graph>();
    // The recorded stream does not wait for the others.
    c10::cuda::device_synchronize();
    // While it is recorded, memory that libtorch keeps for later steps is not given up for the recording's own.
    c10::cuda::CUDACachingAllocator::emptyCache();
    graph->recording.emplace(stream);
    graph->graph.capture_begin(/*pool=*/{0, 0}, cudaStreamCaptureModeThreadLocal);
    *out = graph.release();
  });
}

Message bioscan_cuda_graph_end(void* handle) {
  return guarded([&] {
    auto* const graph = static_cast<Graph*>(handle);
    graph->graph.capture_end();
    graph->recording.reset();
  });
}

// On the stream of the caller.
Message bioscan_cuda_graph_replay(void* handle) {
  return guarded([&] { static_cast<Graph*>(handle)->graph.replay(); });
}

void bioscan_cuda_graph_free(void* handle) {
  delete static_cast<Graph*>(handle);  // NOLINT(cppcoreguidelines-owning-memory): made above
}

}  // extern "C"
