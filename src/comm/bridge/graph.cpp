// CUDA graphs, from the plug-in in cuda/.
#include "guard.h"
#include "plugin.h"

using bioscan::guarded;
using bioscan::Message;
using bioscan::plugin_function;

namespace {

struct Graph {
  Message (*end)(void*);
  Message (*replay)(void*);
  void (*free)(void*);
  void* handle;
};

}  // namespace

extern "C" {

Message bioscan_graph_begin(const char* plugin, int index, Graph** out) {
  return guarded([&] {
    const auto begin = plugin_function<Message (*)(int, void**)>(plugin, "bioscan_cuda_graph_begin");
    Graph graph{};
    graph.end = plugin_function<Message (*)(void*)>(plugin, "bioscan_cuda_graph_end");
    graph.replay = plugin_function<Message (*)(void*)>(plugin, "bioscan_cuda_graph_replay");
    graph.free = plugin_function<void (*)(void*)>(plugin, "bioscan_cuda_graph_free");
    bioscan::check(begin(index, &graph.handle));
    *out = new Graph(graph);  // NOLINT(cppcoreguidelines-owning-memory): owned by Rust
  });
}

Message bioscan_graph_end(const Graph* graph) { return graph->end(graph->handle); }

Message bioscan_graph_replay(const Graph* graph) { return graph->replay(graph->handle); }

void bioscan_graph_free(Graph* graph) {
  graph->free(graph->handle);
  delete graph;  // NOLINT(cppcoreguidelines-owning-memory): given back by Rust
}

}  // extern "C"
