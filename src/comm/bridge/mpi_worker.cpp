#include "mpi_worker.h"

#include <algorithm>
#include <array>
#include <stdexcept>

namespace bioscan {

namespace {

using Clock = std::chrono::steady_clock;

// Ranks in step arrive within this; sleeping would only cost them time.
constexpr auto kEager = std::chrono::microseconds(200);

// Who waits longer than this says so, and nobody is called missing before all have had as long to say it.
constexpr auto kLong = std::chrono::milliseconds(1000);

std::string seconds(std::chrono::milliseconds duration) {
  const auto tenths = duration.count() / 100;
  return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + " s";
}

bool is_done(MPI_Request& request) {
  int done = 0;
  check_mpi(MPI_Test(&request, &done, MPI_STATUS_IGNORE), "MPI_Test");
  return done != 0;
}

}  // namespace

void check_mpi(int code, const char* call) {
  if (code == MPI_SUCCESS) {
    return;
  }
  std::array<char, MPI_MAX_ERROR_STRING> text{};
  int length = 0;
  MPI_Error_string(code, text.data(), &length);
  throw std::runtime_error(std::string(call) + ": " + std::string(text.data(), static_cast<size_t>(length)));
}

MpiWorker::MpiWorker(MPI_Comm parent, Patience patience) : patience_(patience) {
  int provided = MPI_THREAD_SINGLE;
  check_mpi(MPI_Query_thread(&provided), "MPI_Query_thread");
  if (provided < MPI_THREAD_MULTIPLE) {
    throw std::runtime_error(
        "this MPI library runs without MPI_THREAD_MULTIPLE, which gradients need to travel while the backward pass computes; use an MPI "
        "built with thread support");
  }
  check_mpi(MPI_Comm_dup(parent, &communicator_), "MPI_Comm_dup");
  // MPI's default kills the process on the spot; here errors become text that reaches the user.
  check_mpi(MPI_Comm_set_errhandler(communicator_, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
  roll_call_.emplace(communicator_);
  thread_ = std::thread([this] { loop(); });
}

MpiWorker::~MpiWorker() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
  }
  arrival_.notify_one();
  thread_.join();
  // Freeing a communicator is collective and waits for its pending operations: after a failure nobody else may come.
  if (failure_ == nullptr) {
    MPI_Comm_free(&communicator_);
  }
}

void MpiWorker::submit(Collective collective) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    queue_.push_back(std::move(collective));
  }
  arrival_.notify_one();
}

void MpiWorker::loop() {
  while (true) {
    std::unique_lock<std::mutex> lock(mutex_);
    arrival_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    if (queue_.empty()) {
      return;
    }
    const Collective collective = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    execute(collective);
  }
}

void MpiWorker::execute(const Collective& collective) {
  if (failure_ == nullptr) {
    try {
      for (const auto& tensor : collective.staged.before) {
        tensor->fetch();
      }
      wait_for_all_ranks();
      for (const auto& start : collective.pieces) {
        MPI_Request request = MPI_REQUEST_NULL;
        check_mpi(start(communicator_, &request), "MPI");
        // Yielding, for the partner may need this core: blocking calls, which do not, are two to three times as fast on free cores and six
        // times as slow on shared ones (OpenMPI 4, shared memory).
        const auto started = Clock::now();
        while (!is_done(request)) {
          if (Clock::now() - started > patience_.timeout) {
            throw std::runtime_error(lost({}));
          }
          std::this_thread::yield();
        }
      }
      for (const auto& tensor : collective.staged.after) {
        tensor->store();
      }
    } catch (const std::exception& error) {
      failure_ = std::make_exception_ptr(std::runtime_error(collective.name + ": " + error.what()));
    }
  }
  if (failure_ == nullptr) {
    collective.work->succeed();
  } else {
    collective.work->fail(failure_);
  }
}

// Waiting apart from sending: the wait may sleep without slowing a transfer, and a time-out leaves no call behind that could still
// write to memory, as MPI cannot cancel a collective.
void MpiWorker::wait_for_all_ranks() {
  ++number_;
  MPI_Request request = MPI_REQUEST_NULL;
  check_mpi(MPI_Ibarrier(communicator_, &request), "MPI_Ibarrier");
  const auto started = Clock::now();
  const auto is_long = std::min(kLong, patience_.timeout / 4);
  bool announced = false;
  roll_call_->listen();
  while (!is_done(request)) {
    const auto waited = Clock::now() - started;
    if (waited > is_long && !announced) {
      roll_call_->announce(number_);
      announced = true;
    }
    // A rank that came just before the time-out has until then to say so.
    if (waited > patience_.timeout + 2 * is_long) {
      roll_call_->listen();
      throw std::runtime_error(lost(roll_call_->missing(number_)));
    }
    if (waited < kEager || patience_.poll.count() == 0) {
      std::this_thread::yield();
    } else {
      std::this_thread::sleep_for(patience_.poll);
    }
  }
}

std::string MpiWorker::lost(const std::string& missing) const {
  const auto waited = "waited " + seconds(patience_.timeout) + " for ";
  if (missing.empty()) {
    return waited + "the network, though all ranks are there";
  }
  return waited + missing + ", which died, left early, hangs or is much slower than the others (`train.ranks.timeout_s` is the wait)";
}

}  // namespace bioscan
