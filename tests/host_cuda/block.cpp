#include "block.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>
#include <numeric>
#include <tuple>
#include <utility>

#include "sanitizers.h"

namespace float8::host_cuda {
namespace {

constexpr unsigned kWarpSize = 32;
constexpr int kPoison = 0xA5;

// A new allocation for each block, so that AddressSanitizer sees its end. ThreadSanitizer must not
// take the allocation for a write, which nothing orders before the fibers' accesses.
class SharedMemory {
 public:
  explicit SharedMemory(std::size_t bytes) {
    set_ignored(true);
    data_ = static_cast<std::uint8_t*>(std::aligned_alloc(16, std::max<std::size_t>(bytes, 16)));
    std::memset(data_, kPoison, bytes);
    set_ignored(false);
  }
  ~SharedMemory() {
    set_ignored(true);
    std::free(data_);  // NOLINT: aligned_alloc's pair
    set_ignored(false);
  }
  SharedMemory(const SharedMemory&) = delete;
  SharedMemory& operator=(const SharedMemory&) = delete;

  std::uint8_t* data() { return data_; }

 private:
  static void set_ignored(bool ignored) {
    if (thread_sanitizer()) {
      ignored ? AnnotateIgnoreWritesBegin(__FILE__, __LINE__)
              : AnnotateIgnoreWritesEnd(__FILE__, __LINE__);
    }
  }
  std::uint8_t* data_;
};

const char* name_of(State state) {
  switch (state) {
    case State::kReady:
      return "are ready";
    case State::kSyncThreads:
      return "wait in __syncthreads()";
    case State::kSyncWarp:
      return "wait in __syncwarp()";
    case State::kWarpMax:
      return "wait in warp_max()";
    case State::kReturned:
      return "have returned";
  }
  return "";
}

std::string describe(std::source_location where) {
  const std::string file = where.file_name();
  return file.substr(file.rfind('/') + 1) + ":" + std::to_string(where.line());
}

bool same(std::source_location a, std::source_location b) {
  return a.line() == b.line() && std::strcmp(a.file_name(), b.file_name()) == 0;
}

}  // namespace

void BlockRunner::begin(const Launch& launch, const std::function<void()>& thread,
                        std::uint64_t seed) {
  launch_ = launch;
  body_ = &thread;
  while (threads_.size() < launch.threads) {
    auto next = std::make_unique<Thread>(
        Thread{.runner = this, .index = static_cast<unsigned>(threads_.size())});
    next->fiber = std::make_unique<Fiber>(&BlockRunner::thread_main, next.get());
    threads_.push_back(std::move(next));
  }
  std::mt19937_64 random(seed);
  warp_order_.resize((launch.threads + kWarpSize - 1) / kWarpSize);
  std::iota(warp_order_.begin(), warp_order_.end(), 0U);
  std::shuffle(warp_order_.begin(), warp_order_.end(), random);
  lane_order_.resize(kWarpSize);
  std::iota(lane_order_.begin(), lane_order_.end(), 0U);
  std::shuffle(lane_order_.begin(), lane_order_.end(), random);
  warp_tokens_.resize(warp_order_.size());
}

void BlockRunner::run(std::int64_t block) {
  SharedMemory shared(launch_.shared_bytes);
  shared_ = shared.data();
  blockIdx.x = static_cast<unsigned>(block);
  blockDim.x = launch_.threads;
  gridDim.x = static_cast<unsigned>(launch_.blocks);
  for (unsigned i = 0; i < launch_.threads; ++i) {
    threads_[i]->state = State::kReady;
    threads_[i]->block_barriers = 0;  // a smaller block may have left others behind
    threads_[i]->warp_barriers = 0;
  }
  release(&start_token_);
  do {
    for (const unsigned warp : warp_order_) {
      run_warp(warp);
    }
  } while (finish_sync_threads());
  acquire(&end_token_);
}

void BlockRunner::run_warp(std::size_t warp) {
  do {
    for (const unsigned lane : lane_order_) {
      const std::size_t index = warp * kWarpSize + lane;
      if (index < launch_.threads && threads_[index]->state == State::kReady) {
        run_thread(*threads_[index]);
      }
    }
  } while (finish_warp_operation(warp));
}

void BlockRunner::run_thread(Thread& thread) {
  threadIdx.x = thread.index;
  running_ = &thread;
  thread.fiber->resume();
  if (!error_.empty()) {
    acquire(&end_token_);  // the message
    give_up("thread " + std::to_string(thread.index) + " of block " + std::to_string(blockIdx.x) +
            ": " + std::exchange(error_, ""));
  }
}

// All 32 lanes in the same operation of the same line: they go on.
bool BlockRunner::finish_warp_operation(std::size_t warp) {
  const std::size_t first = warp * kWarpSize;
  if (first + kWarpSize > launch_.threads) {
    return false;
  }
  const Thread& one = *threads_[first];
  if (one.state != State::kSyncWarp && one.state != State::kWarpMax) {
    return false;
  }
  std::uint32_t largest = 0;
  for (std::size_t i = first; i < first + kWarpSize; ++i) {
    if (threads_[i]->state != one.state || !same(threads_[i]->where, one.where)) {
      return false;
    }
    largest = std::max(largest, threads_[i]->value);
  }
  for (std::size_t i = first; i < first + kWarpSize; ++i) {
    threads_[i]->value = largest;
    threads_[i]->state = State::kReady;
  }
  return true;
}

// No thread can go on. Either all wait in one __syncthreads() (true), or all have returned (false).
bool BlockRunner::finish_sync_threads() {
  const Thread& one = *threads_[0];
  const bool waits = one.state == State::kSyncThreads;
  for (unsigned i = 0; i < launch_.threads; ++i) {
    const Thread& thread = *threads_[i];
    const bool together = waits ? thread.state == one.state && same(thread.where, one.where)
                                : thread.state == State::kReturned;
    if (!together) {
      give_up(what_they_do());
    }
  }
  for (unsigned i = 0; waits && i < launch_.threads; ++i) {
    threads_[i]->state = State::kReady;
  }
  return waits;
}

// The fibers stand somewhere in the kernel, so the next launch makes new ones.
void BlockRunner::give_up(const std::string& error) {
  for (const auto& thread : threads_) {
    thread->fiber->release(&end_token_);
  }
  acquire(&end_token_);
  threads_.clear();
  throw Error(error);
}

std::string BlockRunner::what_they_do() const {
  using Group = std::tuple<State, std::string>;
  std::map<Group, std::vector<unsigned>> groups;
  for (unsigned i = 0; i < launch_.threads; ++i) {
    const Thread& thread = *threads_[i];
    const bool returned = thread.state == State::kReturned;
    groups[{thread.state, returned ? "" : " at " + describe(thread.where)}].push_back(i);
  }
  std::string text =
      "the threads of block " + std::to_string(blockIdx.x) + " wait for each other for ever";
  const char* separator = ": ";
  for (const auto& [group, members] : groups) {
    text += separator + std::to_string(members.size()) + " " + name_of(std::get<0>(group)) +
            std::get<1>(group) + " (the first is thread " + std::to_string(members.front()) + ")";
    separator = ", ";
  }
  if (launch_.threads % kWarpSize != 0) {
    text += "; the last warp has " + std::to_string(launch_.threads % kWarpSize) + " lanes";
  }
  return text;
}

std::uint32_t BlockRunner::wait(State state, std::uint32_t value, std::source_location where) {
  Thread& self = *running_;
  char* token = nullptr;  // warp_max() orders no memory accesses, as on the GPU
  if (state == State::kSyncThreads) {
    token = &block_tokens_[self.block_barriers++ % 2];
  } else if (state == State::kSyncWarp) {
    token = &warp_tokens_[self.index / kWarpSize][self.warp_barriers++ % 2];
  }
  self.state = state;
  self.value = value;
  self.where = where;
  if (token != nullptr) {
    release(token);
  }
  self.fiber->suspend();
  if (token != nullptr) {
    acquire(token);
  }
  return self.value;
}

void BlockRunner::thread_main(void* thread) {
  auto& self = *static_cast<Thread*>(thread);
  for (;;) {
    acquire(&self.runner->start_token_);
    try {
      (*self.runner->body_)();
    } catch (const std::exception& error) {
      self.runner->error_ = error.what();
    }
    self.state = State::kReturned;
    release(&self.runner->end_token_);
    self.fiber->suspend();
  }
}

}  // namespace float8::host_cuda
