#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <source_location>
#include <string>
#include <vector>

#include "engine.h"
#include "fiber.h"

namespace float8::host_cuda {

/// What one thread of the block is doing.
enum class State : std::uint8_t { kReady, kSyncThreads, kSyncWarp, kWarpMax, kReturned };

/// The fibers of one OS thread's blocks, which it runs one after another.
class BlockRunner {
 public:
  /// Before a launch: its shape, what each thread calls, and what draws the order of threads.
  void begin(const Launch& launch, const std::function<void()>& thread, std::uint64_t seed);
  /// Runs a block to its end, or throws its Error.
  void run(std::int64_t block);

  /// Called on a fiber of the block: waits with the others. Returns the warp's largest value.
  std::uint32_t wait(State state, std::uint32_t value, std::source_location where);
  std::uint8_t* shared() { return shared_; }

 private:
  struct Thread {
    BlockRunner* runner;
    unsigned index;
    State state = State::kReturned;
    std::source_location where = {};
    std::uint32_t value = 0;
    unsigned block_barriers = 0;
    unsigned warp_barriers = 0;
    std::unique_ptr<Fiber> fiber = {};
  };
  /// What ThreadSanitizer orders by: the two last barriers have one each, for a thread may reach
  /// the next barrier before another has left this one.
  using Tokens = std::array<char, 2>;

  static void thread_main(void* thread);
  void run_thread(Thread& thread);
  void run_warp(std::size_t warp);
  bool finish_warp_operation(std::size_t warp);
  bool finish_sync_threads();
  [[noreturn]] void give_up(const std::string& error);
  std::string what_they_do() const;

  Launch launch_ = {};
  const std::function<void()>* body_ = nullptr;
  std::vector<std::unique_ptr<Thread>> threads_;
  std::vector<unsigned> warp_order_;
  std::vector<unsigned> lane_order_;
  Thread* running_ = nullptr;
  std::uint8_t* shared_ = nullptr;
  std::string error_;
  Tokens block_tokens_ = {};
  std::vector<Tokens> warp_tokens_;
  char start_token_ = 0;
  char end_token_ = 0;
};

}  // namespace float8::host_cuda
