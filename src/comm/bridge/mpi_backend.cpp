#include "mpi_backend.h"

#include <ATen/ops/empty.h>

#include <algorithm>

namespace bioscan {

namespace {

// Larger messages run slower per byte in OpenMPI 4 (measured on shared memory).
constexpr int64_t kPieceBytes = int64_t{4} << 20;

MPI_Datatype datatype_of(at::ScalarType type) {
  switch (type) {
    case at::kFloat:
      return MPI_FLOAT;
    case at::kDouble:
      return MPI_DOUBLE;
    case at::kByte:
      return MPI_UINT8_T;
    case at::kChar:
      return MPI_INT8_T;
    case at::kShort:
      return MPI_INT16_T;
    case at::kInt:
      return MPI_INT32_T;
    case at::kLong:
      return MPI_INT64_T;
    default:
      TORCH_CHECK(false, "MPI cannot add up tensors of type ", type, "; convert them to float32 first");
  }
}

MPI_Op operation_of(const c10d::ReduceOp& reduction) {
  switch (reduction) {
    case c10d::ReduceOp::SUM:
      return MPI_SUM;
    case c10d::ReduceOp::PRODUCT:
      return MPI_PROD;
    case c10d::ReduceOp::MIN:
      return MPI_MIN;
    case c10d::ReduceOp::MAX:
      return MPI_MAX;
    default:
      TORCH_CHECK(false, "all-reduce over MPI knows sum, product, min and max only");
  }
}

// MPI reads memory in order, without strides. libtorch passes a list for the days of several devices a process; it holds one tensor.
at::Tensor& sole_dense(std::vector<at::Tensor>& tensors, const char* name) {
  TORCH_CHECK(tensors.size() == 1, name, " over MPI takes one tensor, not ", tensors.size());
  at::Tensor& tensor = tensors.front();
  TORCH_CHECK(tensor.layout() == at::kStrided && tensor.is_contiguous(), name, " over MPI needs a contiguous tensor");
  TORCH_CHECK(tensor.device().is_cpu(), name, " over MPI needs a tensor in main memory, not on ", tensor.device());
  return tensor;
}

// Cuts the `bytes` at `data` into pieces and makes an MPI call of each. `call` takes (start, elements, communicator, request).
template <typename Call>
std::vector<Collective::Piece> cut(void* data, size_t bytes, size_t element_bytes, Call call) {
  std::vector<Collective::Piece> pieces;
  auto* const first = static_cast<char*>(data);
  for (size_t offset = 0; offset < bytes; offset += kPieceBytes) {
    char* const start = first + offset;
    const auto count = static_cast<int>(std::min<size_t>(kPieceBytes, bytes - offset) / element_bytes);
    pieces.emplace_back([call, start, count](MPI_Comm communicator, MPI_Request* request) {
      return call(start, count, communicator, request);
    });
  }
  return pieces;
}

}  // namespace

c10::intrusive_ptr<MpiBackend> MpiBackend::over(MPI_Comm parent, Patience patience) {
  int rank = 0;
  int size = 0;
  check_mpi(MPI_Comm_rank(parent, &rank), "MPI_Comm_rank");
  check_mpi(MPI_Comm_size(parent, &size), "MPI_Comm_size");
  return c10::make_intrusive<MpiBackend>(rank, size, parent, patience);
}

MpiBackend::MpiBackend(int rank, int size, MPI_Comm parent, Patience patience) : Backend(rank, size), worker_(parent, patience) {}

c10::intrusive_ptr<c10d::Work> MpiBackend::submit(Collective collective) {
  auto work = collective.work;
  worker_.submit(std::move(collective));
  return work;
}

c10::intrusive_ptr<c10d::Work> MpiBackend::allreduce(std::vector<at::Tensor>& tensors, const c10d::AllreduceOptions& options) {
  at::Tensor& tensor = sole_dense(tensors, "all-reduce");
  const MPI_Datatype type = datatype_of(tensor.scalar_type());
  const MPI_Op operation = operation_of(options.reduceOp);
  Collective collective{"all-reduce", c10::make_intrusive<MpiWork>(rank_, c10d::OpType::ALLREDUCE, tensors), {}, {}, {}};
  collective.pieces = cut(
      tensor.data_ptr(), tensor.nbytes(), tensor.element_size(),
      [type, operation](char* start, int count, MPI_Comm communicator, MPI_Request* request) {
        return MPI_Iallreduce(MPI_IN_PLACE, start, count, type, operation, communicator, request);
      });
  return submit(std::move(collective));
}

c10::intrusive_ptr<c10d::Work> MpiBackend::broadcast(std::vector<at::Tensor>& tensors, const c10d::BroadcastOptions& options) {
  at::Tensor& tensor = sole_dense(tensors, "broadcast");
  const auto root = static_cast<int>(options.rootRank);
  Collective collective{"broadcast", c10::make_intrusive<MpiWork>(rank_, c10d::OpType::BROADCAST, tensors), {}, {}, {}};
  collective.pieces =
      cut(tensor.data_ptr(), tensor.nbytes(), 1, [root](char* start, int count, MPI_Comm communicator, MPI_Request* request) {
        return MPI_Ibcast(start, count, MPI_BYTE, root, communicator, request);
      });
  return submit(std::move(collective));
}

c10::intrusive_ptr<c10d::Work> MpiBackend::allgather(
    std::vector<std::vector<at::Tensor>>& outputs,
    std::vector<at::Tensor>& inputs,
    const c10d::AllgatherOptions& /*options*/) {
  const at::Tensor& input = sole_dense(inputs, "all-gather");
  TORCH_CHECK(
      outputs.size() == 1 && outputs.front().size() == static_cast<size_t>(size_), "all-gather needs one output tensor a rank, ",
      size_, " in all");
  const std::vector<at::Tensor> targets = outputs.front();
  // MPI fills one block; the outputs are free to lie anywhere, so they are filled from it.
  const at::Tensor block = at::empty({size_, input.numel()}, input.options());

  Collective collective{"all-gather", c10::make_intrusive<MpiWork>(rank_, c10d::OpType::ALLGATHER, targets), {}, {input, block}, {}};
  const auto bytes = static_cast<int>(input.nbytes());
  TORCH_CHECK(static_cast<size_t>(bytes) == input.nbytes(), "all-gather over MPI takes less than 2 GiB a rank");
  collective.pieces.emplace_back([input, block, bytes](MPI_Comm communicator, MPI_Request* request) {
    return MPI_Iallgather(input.data_ptr(), bytes, MPI_BYTE, block.data_ptr(), bytes, MPI_BYTE, communicator, request);
  });
  collective.finish = [targets, block] {
    for (size_t rank = 0; rank < targets.size(); ++rank) {
      targets[rank].copy_(block[static_cast<int64_t>(rank)].view_as(targets[rank]));
    }
  };
  return submit(std::move(collective));
}

c10::intrusive_ptr<c10d::Work> MpiBackend::barrier(const c10d::BarrierOptions& /*options*/) {
  Collective collective{
      "barrier", c10::make_intrusive<MpiWork>(rank_, c10d::OpType::BARRIER, std::vector<at::Tensor>{}), {}, {}, {}};
  collective.pieces.emplace_back(MPI_Ibarrier);
  return submit(std::move(collective));
}

}  // namespace bioscan
