#include "plugin.h"

#include <dlfcn.h>

#include <stdexcept>

namespace bioscan {

void* plugin_symbol(const char* path, const char* name) {
  void* const library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  void* const symbol = library == nullptr ? nullptr : dlsym(library, name);
  if (symbol == nullptr) {
    const char* reason = dlerror();
    throw std::runtime_error(reason != nullptr ? reason : "the plug-in could not be loaded");
  }
  return symbol;
}

}  // namespace bioscan
