// The one thread that runs collectives over MPI, in the order they were asked for.
#pragma once

#include "mpi_roll_call.h"
#include "mpi_staging.h"
#include "mpi_work.h"

#include <mpi.h>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace bioscan {

// How long to wait for the other ranks, and how.
struct Patience {
  // A collective that not all ranks have come to by then fails, and with it every later one.
  std::chrono::milliseconds timeout;
  // Sleep between two looks for a rank that is late; zero never sleeps, at the price of a core.
  std::chrono::microseconds poll;
};

// Tensors that are brought to where MPI may read them before its calls, and those that are brought back after them.
struct Staged {
  std::vector<std::shared_ptr<const Staging>> before;
  std::vector<std::shared_ptr<const Staging>> after;
};

// A collective as the worker sees it.
struct Collective {
  // Starts one non-blocking MPI call; returns MPI's error code.
  using Piece = std::function<int(MPI_Comm, MPI_Request*)>;

  // For a message: "all-reduce of 4096 float".
  std::string name;
  c10::intrusive_ptr<MpiWork> work;
  // Run one after the other. Large messages are cut because MPI's algorithms slow down on them (OpenMPI 4, 100 MB whole: half the speed).
  std::vector<Piece> pieces;
  Staged staged;
};

class MpiWorker {
 public:
  // Takes a duplicate of `parent` for itself, so that its messages never meet anyone else's. Collective over `parent`.
  MpiWorker(MPI_Comm parent, Patience patience);
  // Finishes what is queued. Collective, unless a collective has failed.
  ~MpiWorker();

  MpiWorker(const MpiWorker&) = delete;
  MpiWorker& operator=(const MpiWorker&) = delete;

  void submit(Collective collective);

 private:
  void loop();
  void execute(const Collective& collective);
  void wait_for_all_ranks();
  // The message of a time-out.
  std::string lost(const std::string& missing) const;

  MPI_Comm communicator_ = MPI_COMM_NULL;
  Patience patience_;
  std::optional<RollCall> roll_call_;
  // Of the collective being executed; the first is number 1.
  uint64_t number_ = 0;

  std::mutex mutex_;
  std::condition_variable arrival_;
  std::deque<Collective> queue_;
  bool stopping_ = false;

  // The first failure; only the worker thread touches it before it is joined. After one collective is lost the ranks no longer
  // agree on which comes next, so that none may be started again.
  std::exception_ptr failure_;

  // Last, so that it starts when everything above exists.
  std::thread thread_;
};

// Throws what MPI says about `code` unless it is success.
void check_mpi(int code, const char* call);

}  // namespace bioscan
