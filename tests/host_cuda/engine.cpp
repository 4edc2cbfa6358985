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
constexpr std::size_t kMaxSharedBytes = std::size_t{99} << 10;  // compute capability 8.9
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

bool valid_shape(const Launch& launch) {
  return launch.blocks >= 1 && launch.blocks <= kMaxBlocks && launch.threads >= 1 &&
         launch.threads <= kMaxThreads;
}

std::vector<std::int64_t> shuffled_blocks(std::int64_t blocks) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(blocks));
  std::iota(order.begin(), order.end(), std::int64_t{0});
  std::mt19937_64 random(settings().seed);
  std::shuffle(order.begin(), order.end(), random);
  return order;
}

void run_grid(const Launch& launch, const std::function<void()>& thread) {
  const std::vector<std::int64_t> order = shuffled_blocks(launch.blocks);
  const std::size_t workers = std::clamp<std::size_t>(settings().workers, 1, order.size());
  auto& runners = engine().runners;
  while (runners.size() < workers) {
    runners.push_back(std::make_unique<BlockRunner>());
  }
  std::vector<std::exception_ptr> errors(workers);
  const auto work = [&](std::size_t worker) {
    try {
      current = runners[worker].get();
      current->begin(launch, thread, settings().seed + worker);
      for (std::size_t i = worker; i < order.size(); i += workers) {
        current->run(order[i]);
      }
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
}

}  // namespace

Settings& settings() {
  static Settings instance{.workers = thread_sanitizer() ? 2U : 1U};
  return instance;
}

cudaError_t run(const Launch& launch, const std::function<void()>& thread) {
  const std::lock_guard lock(engine().mutex);
  ++settings().launches;
  if (settings().next_status != cudaSuccess) {
    return std::exchange(settings().next_status, cudaSuccess);
  }
  if (!valid_shape(launch)) {
    return cudaErrorInvalidConfiguration;
  }
  if (launch.shared_bytes > kMaxSharedBytes) {
    return cudaErrorInvalidValue;
  }
  if (!settings().skip_work) {
    run_grid(launch, thread);
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
