// One collective on its way: what libtorch waits for while the worker thread talks to MPI.
#pragma once

#include <ATen/core/ivalue.h>
#include <torch/csrc/distributed/c10d/Work.hpp>

#include <exception>
#include <utility>
#include <vector>

namespace bioscan {

class MpiWork final : public c10d::Work {
 public:
  MpiWork(int rank, c10d::OpType type, std::vector<at::Tensor> results)
      : c10d::Work(rank, type),
        results_(std::move(results)),
        // The Reducer reads its bucket out of a Future of List[Tensor]; any other type fails in its parser.
        future_(c10::make_intrusive<c10::ivalue::Future>(c10::ListType::create(c10::TensorType::get()))) {}

  std::vector<at::Tensor> result() override { return results_; }

  c10::intrusive_ptr<c10::ivalue::Future> getFuture() override { return future_; }

  void succeed() {
    future_->markCompleted(c10::IValue(results_));
    finish();
  }

  void fail(const std::exception_ptr& reason) {
    future_->setError(reason);
    finish(reason);
  }

 private:
  std::vector<at::Tensor> results_;
  c10::intrusive_ptr<c10::ivalue::Future> future_;
};

}  // namespace bioscan
