#include "engine.h"

#include <algorithm>
#include <exception>
#include <memory>
#include <mutex>
#include <numeric>
#include <random>
#include <sstream>
#include <thread>
#include <utility>
#include <vector>

#include "block.h"
#include "sanitizers.h"

namespace float8::host_cuda {
namespace {

constexpr unsigned kMaxThreads = 1024;
constexpr std::size_t kMaxSharedBytes = std::size_t{227} << 10;
constexpr std::int64_t kMaxBlocks = 2147483647;

thread_local BlockRunner* current = nullptr;

struct Engine {
  std::mutex mutex;
  std::vector<std::unique_ptr<BlockRunner>> runners;
};

Engine& engine() {
  static Engine instance;
  return instance;
}

// Runs the blocks order[first], order[first + step], ...
void run_blocks(BlockRunner& runner, const std::vector<std::int64_t>& order, std::size_t first,
                std::size_t step) {
  current = &runner;
  for (std::size_t i = first; i < order.size(); i += step) {
    runner.run(order[i]);
  }
  current = nullptr;
}

}  // namespace

Settings& settings() {
  static Settings instance{.workers = thread_sanitizer() ? 3U : 1U};
  return instance;
}

cudaError_t run(const Launch& launch, const std::function<void()>& thread) {
  const std::lock_guard lock(engine().mutex);
  ++settings().launches;
  if (settings().next_status != cudaSuccess) {
    return std::exchange(settings().next_status, cudaSuccess);
  }
  if (launch.blocks < 1 || launch.blocks > kMaxBlocks || launch.threads < 1 ||
      launch.threads > kMaxThreads) {
    return cudaErrorInvalidConfiguration;
  }
  if (launch.shared_bytes > kMaxSharedBytes) {
    return cudaErrorInvalidValue;
  }

  std::vector<std::int64_t> order(static_cast<std::size_t>(launch.blocks));
  std::iota(order.begin(), order.end(), std::int64_t{0});
  std::mt19937_64 random(settings().seed);
  std::shuffle(order.begin(), order.end(), random);

  const std::size_t workers = std::clamp<std::size_t>(settings().workers, 1, order.size());
  auto& runners = engine().runners;
  while (runners.size() < workers) {
    runners.push_back(std::make_unique<BlockRunner>());
  }
  std::vector<std::exception_ptr> errors(workers);
  const auto work = [&](std::size_t worker) {
    try {
      runners[worker]->begin(launch, thread, settings().seed + worker);
      run_blocks(*runners[worker], order, worker, workers);
    } catch (...) {
      errors[worker] = std::current_exception();
    }
  };
  if (workers == 1) {
    work(0);
  } else {
    std::vector<std::thread> threads;
    for (std::size_t worker = 0; worker < workers; ++worker) {
      threads.emplace_back(work, worker);
    }
    for (std::thread& each : threads) {
      each.join();
    }
  }
  for (const std::exception_ptr& error : errors) {
    if (error) {
      std::rethrow_exception(error);
    }
  }
  return cudaSuccess;
}

std::uint8_t* dynamic_shared() { return current->shared(); }

void sync_threads(std::source_location where) { current->wait(State::kSyncThreads, 0, where); }

void sync_warp(std::source_location where) { current->wait(State::kSyncWarp, 0, where); }

std::uint32_t warp_max(std::uint32_t value, std::source_location where) {
  return current->wait(State::kWarpMax, value, where);
}

void fail(const char* message, const void* address) {
  std::ostringstream text;
  text << message << " " << address;
  throw Error(text.str());
}

}  // namespace float8::host_cuda
