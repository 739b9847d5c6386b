// A c10d backend over MPI, for tensors on the CPU and, through main memory, on GPUs: the few collectives that process groups, the Reducer and SyncBatchNorm use.
#pragma once

#include "mpi_worker.h"

#include <torch/csrc/distributed/c10d/Backend.hpp>

#include <string>
#include <vector>

namespace bioscan {

class MpiBackend final : public c10d::Backend {
 public:
  // Collective over `parent`, and so is the destructor.
  static c10::intrusive_ptr<MpiBackend> over(MPI_Comm parent, Patience patience);

  MpiBackend(int rank, int size, MPI_Comm parent, Patience patience);

  // The signature is libtorch's.
  // NOLINTNEXTLINE(readability-const-return-type)
  const std::string getBackendName() const override { return "mpi"; }

  c10::intrusive_ptr<c10d::Work> allreduce(std::vector<at::Tensor>& tensors, const c10d::AllreduceOptions& options) override;
  c10::intrusive_ptr<c10d::Work> broadcast(std::vector<at::Tensor>& tensors, const c10d::BroadcastOptions& options) override;
  c10::intrusive_ptr<c10d::Work> allgather(
      std::vector<std::vector<at::Tensor>>& outputs,
      std::vector<at::Tensor>& inputs,
      const c10d::AllgatherOptions& options) override;
  c10::intrusive_ptr<c10d::Work> _allgather_base(at::Tensor& output, at::Tensor& input, const c10d::AllgatherOptions& options) override;
  c10::intrusive_ptr<c10d::Work> barrier(const c10d::BarrierOptions& options) override;

 private:
  // `results` are kept alive until the collective has ended.
  c10::intrusive_ptr<c10d::Work> submit(
      std::string name,
      c10d::OpType type,
      std::vector<at::Tensor> results,
      std::vector<Collective::Piece> pieces,
      Staged staged);

  MpiWorker worker_;
};

}  // namespace bioscan
