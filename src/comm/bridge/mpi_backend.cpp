#include "mpi_backend.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <climits>
#include <memory>

namespace bioscan {

namespace {

// Where the speed per byte of OpenMPI 4 peaks on shared memory.
constexpr size_t kPieceBytes = size_t{4} << 20;

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
    case at::kHalf:
    case at::kBFloat16:
      return MPI_UINT16_T;  // of the right size; the operation is ours
    default:
      TORCH_CHECK(false, "MPI cannot add up tensors of type ", type, "; convert them to float32 first");
  }
}

// MPI before version 4.1 knows no 16-bit floats. Each sum is rounded once, from 32 bits.
template <typename Number>
void add_up(void* theirs, void* ours, int* count, MPI_Datatype* /*type*/) {
  const auto* const terms = static_cast<const Number*>(theirs);
  auto* const sums = static_cast<Number*>(ours);
  for (int i = 0; i < *count; ++i) {
    sums[i] = static_cast<Number>(static_cast<float>(sums[i]) + static_cast<float>(terms[i]));
  }
}

// Made at its first use, which is after MPI_Init, and never freed: the next process group may want it.
template <typename Number>
MPI_Op sum_of() {
  static const MPI_Op operation = [] {
    MPI_Op made = MPI_OP_NULL;
    check_mpi(MPI_Op_create(&add_up<Number>, /*commute=*/1, &made), "MPI_Op_create");
    return made;
  }();
  return operation;
}

MPI_Op operation_of(const c10d::ReduceOp& reduction, at::ScalarType type) {
  if (type == at::kHalf || type == at::kBFloat16) {
    TORCH_CHECK(reduction == c10d::ReduceOp::SUM, "of 16-bit floats, all-reduce over MPI knows the sum only");
    return type == at::kHalf ? sum_of<at::Half>() : sum_of<at::BFloat16>();
  }
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

// libtorch passes a list for the days of several devices a process; it holds one tensor.
std::shared_ptr<const Staging> sole(const std::vector<at::Tensor>& tensors, const char* name) {
  TORCH_CHECK(tensors.size() == 1, name, " over MPI takes one tensor, not ", tensors.size());
  return std::make_shared<const Staging>(tensors.front(), name);
}

// For messages: "all-reduce of 4096 Float".
std::string described(const char* name, const at::Tensor& tensor) {
  return c10::str(name, " of ", tensor.numel(), " ", tensor.scalar_type());
}

// Cuts `memory` into pieces and makes an MPI call of each: `call(start, elements, communicator, request)`.
template <typename Call>
std::vector<Collective::Piece> cut(const at::Tensor& memory, size_t element_bytes, Call call) {
  std::vector<Collective::Piece> pieces;
  const auto bytes = memory.nbytes();
  auto* const first = static_cast<char*>(memory.data_ptr());
  for (size_t offset = 0; offset < bytes; offset += kPieceBytes) {
    char* const start = first + offset;
    const auto count = static_cast<int>(std::min(kPieceBytes, bytes - offset) / element_bytes);
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

c10::intrusive_ptr<c10d::Work> MpiBackend::submit(
    std::string name,
    c10d::OpType type,
    std::vector<at::Tensor> results,
    std::vector<Collective::Piece> pieces,
    Staged staged) {
  auto work = c10::make_intrusive<MpiWork>(rank_, type, std::move(results));
  worker_.submit({std::move(name), work, std::move(pieces), std::move(staged)});
  return work;
}

c10::intrusive_ptr<c10d::Work> MpiBackend::allreduce(std::vector<at::Tensor>& tensors, const c10d::AllreduceOptions& options) {
  const auto tensor = sole(tensors, "all-reduce");
  const at::Tensor& memory = tensor->memory();
  const MPI_Datatype type = datatype_of(memory.scalar_type());
  const MPI_Op operation = operation_of(options.reduceOp, memory.scalar_type());
  auto pieces = cut(
      memory, memory.element_size(), [type, operation](char* start, int count, MPI_Comm communicator, MPI_Request* request) {
        return MPI_Iallreduce(MPI_IN_PLACE, start, count, type, operation, communicator, request);
      });
  return submit(described("all-reduce", memory), c10d::OpType::ALLREDUCE, tensors, std::move(pieces), {{tensor}, {tensor}});
}

c10::intrusive_ptr<c10d::Work> MpiBackend::broadcast(std::vector<at::Tensor>& tensors, const c10d::BroadcastOptions& options) {
  const auto tensor = sole(tensors, "broadcast");
  const auto root = static_cast<int>(options.rootRank);
  auto pieces = cut(tensor->memory(), 1, [root](char* start, int count, MPI_Comm communicator, MPI_Request* request) {
    return MPI_Ibcast(start, count, MPI_BYTE, root, communicator, request);
  });
  const auto name = described("broadcast", tensor->memory());
  return submit(name, c10d::OpType::BROADCAST, tensors, std::move(pieces), {{tensor}, {tensor}});
}

c10::intrusive_ptr<c10d::Work> MpiBackend::allgather(
    std::vector<std::vector<at::Tensor>>& outputs,
    std::vector<at::Tensor>& inputs,
    const c10d::AllgatherOptions& /*options*/) {
  const auto input = sole(inputs, "all-gather");
  const at::Tensor memory = input->memory();
  TORCH_CHECK(
      outputs.size() == 1 && outputs.front().size() == static_cast<size_t>(size_), "all-gather needs one output tensor a rank, ",
      size_, " in all");
  TORCH_CHECK(memory.nbytes() <= static_cast<size_t>(INT_MAX), "all-gather over MPI takes less than 2 GiB a rank");
  const std::vector<at::Tensor> targets = outputs.front();
  // MPI fills one block; the outputs are free to lie anywhere, so they are filled from it. Blocking, and so done when it returns: the
  // Reducer gathers a few sizes when it is made, and nothing later.
  const auto call = [memory, targets](MPI_Comm communicator, MPI_Request* /*request*/) {
    const at::NoGradGuard no_grad;
    const auto bytes = static_cast<int>(memory.nbytes());
    const at::Tensor block = at::empty({static_cast<int64_t>(targets.size()), memory.numel()}, memory.options());
    const int code = MPI_Allgather(memory.data_ptr(), bytes, MPI_BYTE, block.data_ptr(), bytes, MPI_BYTE, communicator);
    for (size_t rank = 0; code == MPI_SUCCESS && rank < targets.size(); ++rank) {
      targets[rank].copy_(block[static_cast<int64_t>(rank)].view_as(targets[rank]));
    }
    return code;
  };
  return submit(described("all-gather", memory), c10d::OpType::ALLGATHER, targets, {call}, {{input}, {}});
}

c10::intrusive_ptr<c10d::Work> MpiBackend::_allgather_base(
    at::Tensor& output,
    at::Tensor& input,
    const c10d::AllgatherOptions& /*options*/) {
  const auto source = sole({input}, "all-gather");
  const auto target = sole({output}, "all-gather");
  // Copies of the handles, so that the memory outlives the call.
  const at::Tensor from = source->memory();
  const at::Tensor to = target->memory();
  TORCH_CHECK(
      to.nbytes() == from.nbytes() * static_cast<size_t>(size_), "all-gather needs ", size_, " times its input, one for each rank");
  TORCH_CHECK(from.nbytes() <= static_cast<size_t>(INT_MAX), "all-gather over MPI takes less than 2 GiB a rank");
  const auto call = [from, to](MPI_Comm communicator, MPI_Request* request) {
    const auto bytes = static_cast<int>(from.nbytes());
    return MPI_Iallgather(from.data_ptr(), bytes, MPI_BYTE, to.data_ptr(), bytes, MPI_BYTE, communicator, request);
  };
  return submit(described("all-gather", from), c10d::OpType::_ALLGATHER_BASE, {output}, {call}, {{source}, {target}});
}

// The worker meets all ranks before each collective: a barrier is that and nothing more.
c10::intrusive_ptr<c10d::Work> MpiBackend::barrier(const c10d::BarrierOptions& /*options*/) {
  return submit("barrier", c10d::OpType::BARRIER, {}, {}, {});
}

}  // namespace bioscan
