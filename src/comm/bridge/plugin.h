// The plug-in with what refers to symbols of libtorch_cuda, which this program loads only where there is a GPU.
#pragma once

namespace bioscan {

// The function `name` of the plug-in at `path`; throws the loader's reason. The plug-in stays open for the life of the process, as all that
// libtorch registers does.
void* plugin_symbol(const char* path, const char* name);

template <typename Function>
Function plugin_function(const char* path, const char* name) {
  return reinterpret_cast<Function>(plugin_symbol(path, name));
}

}  // namespace bioscan
