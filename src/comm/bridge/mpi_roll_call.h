// Who is missing from a collective: MPI waits for all ranks and cannot say for whom.
#pragma once

#include <mpi.h>

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

namespace bioscan {

// Each rank that has waited long for collective number n tells the others so; those that are silent are the ones waited for.
class RollCall {
 public:
  // Collective over `communicator`, which must carry no other messages between two ranks.
  explicit RollCall(MPI_Comm communicator);

  // "I wait for collective `number`", to every other rank. Returns at once.
  void announce(uint64_t number);

  // Takes in what has been announced. Returns at once.
  void listen();

  // The ranks that have not announced `number`, with their hosts: "rank 1 on fc101, rank 3 on fc102"; empty where all have.
  std::string missing(uint64_t number) const;

 private:
  MPI_Comm communicator_;
  int rank_ = 0;
  std::vector<std::string> hosts_;
  // The last number each rank has announced; collectives count from 1.
  std::vector<uint64_t> announced_;
  // What has been sent must stay where it is until it has left, and nobody waits for that. A deque moves nothing.
  std::deque<uint64_t> sent_;
};

}  // namespace bioscan
