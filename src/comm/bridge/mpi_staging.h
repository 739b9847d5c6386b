// Memory that MPI may read and write, for tensors wherever they lie.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Event.h>

#include <optional>

namespace bioscan {

// A tensor's own memory where it is in main memory without gaps; else a copy there. Tensors of a GPU are always copied: Open MPI's non-blocking
// collectives take no memory of a GPU, not even where it is built for CUDA (its FAQ, "Which MPI APIs do NOT work with CUDA-aware?").
class Staging {
 public:
  // Called by the thread that makes the tensor. `name` is the collective's, for a message.
  Staging(at::Tensor tensor, const char* name);

  // Contiguous, on the CPU.
  const at::Tensor& memory() const { return memory_; }

  // The tensor → memory, and memory → the tensor: blocking, and beside what a GPU computes.
  void fetch() const;
  void store() const;

 private:
  void copy(const at::Tensor& to, const at::Tensor& from) const;

  at::Tensor tensor_;
  at::Tensor memory_;
  // On a GPU: the end of the work that makes the tensor.
  std::optional<c10::Event> made_;
};

}  // namespace bioscan
