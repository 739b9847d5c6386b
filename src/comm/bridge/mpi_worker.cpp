#include "mpi_worker.h"

#include <ATen/core/grad_mode.h>

#include <array>
#include <stdexcept>

namespace bioscan {

namespace {

using Clock = std::chrono::steady_clock;

// For this long a collective is watched without sleeping: a piece takes about as long once all ranks are there, and each sleep in the
// middle of a transfer costs bandwidth. Only a rank that is later than this is waited for asleep.
constexpr auto kEager = std::chrono::milliseconds(1);

std::string seconds(std::chrono::milliseconds duration) {
  const auto tenths = duration.count() / 100;
  return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + " s";
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
  const at::NoGradGuard no_grad;
  while (true) {
    std::unique_lock<std::mutex> lock(mutex_);
    arrival_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    if (queue_.empty()) {
      return;
    }
    Collective collective = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    execute(collective);
  }
}

void MpiWorker::execute(Collective& collective) {
  if (failure_ == nullptr) {
    try {
      for (const auto& start : collective.pieces) {
        MPI_Request request = MPI_REQUEST_NULL;
        check_mpi(start(communicator_, &request), collective.name);
        complete(collective, request);
      }
      if (collective.finish) {
        collective.finish();
      }
      collective.work->succeed();
      return;
    } catch (const std::exception&) {
      failure_ = std::current_exception();
      collective.work->fail(failure_);
      // MPI cannot cancel a collective and may still write into its buffers: they must outlive it, so they are never freed.
      // NOLINTNEXTLINE(cppcoreguidelines-owning-memory)
      [[maybe_unused]] static const auto* const abandoned = new Collective(std::move(collective));
      return;
    }
  }
  collective.work->fail(failure_);
}

// MPI_Test rather than MPI_Wait: it lets the thread sleep, and it gives the time-out that MPI lacks.
void MpiWorker::complete(const Collective& collective, MPI_Request& request) const {
  const auto started = Clock::now();
  while (true) {
    int done = 0;
    check_mpi(MPI_Test(&request, &done, MPI_STATUS_IGNORE), collective.name);
    if (done != 0) {
      return;
    }
    const auto waited = Clock::now() - started;
    if (waited > patience_.timeout) {
      throw std::runtime_error(
          std::string(collective.name) + " was not completed by all ranks within the time-out of " + seconds(patience_.timeout) +
          "; a rank has died, left early or is much slower than the others");
    }
    if (waited < kEager || patience_.poll.count() == 0) {
      std::this_thread::yield();
    } else {
      std::this_thread::sleep_for(patience_.poll);
    }
  }
}

}  // namespace bioscan
