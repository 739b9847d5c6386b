#include "mpi_roll_call.h"

#include "mpi_worker.h"

#include <algorithm>
#include <array>

namespace bioscan {

namespace {

constexpr int kTag = 1;

}  // namespace

RollCall::RollCall(MPI_Comm communicator) : communicator_(communicator) {
  int size = 0;
  check_mpi(MPI_Comm_rank(communicator, &rank_), "MPI_Comm_rank");
  check_mpi(MPI_Comm_size(communicator, &size), "MPI_Comm_size");
  announced_.resize(static_cast<size_t>(size));
  std::array<char, MPI_MAX_PROCESSOR_NAME> name{};
  int length = 0;
  check_mpi(MPI_Get_processor_name(name.data(), &length), "MPI_Get_processor_name");
  std::vector<char> names(name.size() * announced_.size());
  const auto bytes = static_cast<int>(name.size());
  check_mpi(MPI_Allgather(name.data(), bytes, MPI_CHAR, names.data(), bytes, MPI_CHAR, communicator), "MPI_Allgather");
  for (size_t rank = 0; rank < announced_.size(); ++rank) {
    hosts_.emplace_back(&names[rank * name.size()]);
  }
}

void RollCall::announce(uint64_t number) {
  const uint64_t& kept = sent_.emplace_back(number);
  for (int other = 0; other < static_cast<int>(announced_.size()); ++other) {
    if (other != rank_) {
      MPI_Request request = MPI_REQUEST_NULL;
      check_mpi(MPI_Isend(&kept, 1, MPI_UINT64_T, other, kTag, communicator_, &request), "MPI_Isend");
      check_mpi(MPI_Request_free(&request), "MPI_Request_free");
    }
  }
}

void RollCall::listen() {
  int there = 0;
  MPI_Status status{};
  check_mpi(MPI_Iprobe(MPI_ANY_SOURCE, kTag, communicator_, &there, &status), "MPI_Iprobe");
  while (there != 0) {
    uint64_t number = 0;
    check_mpi(MPI_Recv(&number, 1, MPI_UINT64_T, status.MPI_SOURCE, kTag, communicator_, MPI_STATUS_IGNORE), "MPI_Recv");
    uint64_t& last = announced_[static_cast<size_t>(status.MPI_SOURCE)];
    last = std::max(last, number);
    check_mpi(MPI_Iprobe(MPI_ANY_SOURCE, kTag, communicator_, &there, &status), "MPI_Iprobe");
  }
}

std::string RollCall::missing(uint64_t number) const {
  std::string names;
  for (size_t rank = 0; rank < announced_.size(); ++rank) {
    if (static_cast<int>(rank) != rank_ && announced_[rank] < number) {
      names += (names.empty() ? "rank " : ", rank ") + std::to_string(rank) + " on " + hosts_[rank];
    }
  }
  return names;
}

}  // namespace bioscan
