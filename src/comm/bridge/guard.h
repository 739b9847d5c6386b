// The border between C++ and Rust: no exception crosses it, every failure becomes text.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/util/Exception.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <stdexcept>
#include <string>
#include <vector>

namespace bioscan {

// Null for success, else a message the caller frees with `bioscan_free_message`.
using Message = char*;

// Runs `body` and turns what it throws into a message. c10::Error would append a C++ stack trace to what(), which helps no user.
template <typename Body>
Message guarded(Body&& body) noexcept {
  try {
    body();
    return nullptr;
  } catch (const c10::Error& error) {
    return strdup(error.what_without_backtrace());
  } catch (const std::exception& error) {
    return strdup(error.what());
  } catch (...) {
    return strdup("an exception that is not a std::exception");
  }
}

// Throws what another side of the border said went wrong.
inline void check(Message failure) {
  if (failure != nullptr) {
    const std::string words = failure;
    std::free(failure);
    throw std::runtime_error(words);
  }
}

// The tensors behind `count` handles of the tch crate, each of which is an `at::Tensor*`.
inline std::vector<at::Tensor> tensors_from(const at::Tensor* const* handles, size_t count) {
  std::vector<at::Tensor> tensors;
  tensors.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    tensors.push_back(*handles[i]);
  }
  return tensors;
}

}  // namespace bioscan
