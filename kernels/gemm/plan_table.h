#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstdint>
#include <memory>
#include <mutex>
#include <type_traits>
#include <vector>

#include "kernels/gemm/plan.h"

namespace float8::kernels {

/// Plans by problem, for many threads. Looking up takes no lock, for every product does it; plans
/// are few and small, and stay until the table goes.
class PlanTable {
 public:
  PlanTable();

  /// The plan, or null.
  const GemmPlan* find(const GemmProblem& problem) const {
    const Slots* slots = slots_.load(std::memory_order_acquire);
    const Key key = key_of(problem);
    for (std::uint64_t i = hash(key) >> slots->shift;; ++i) {
      const GemmPlan* plan = slots->plans[i & slots->mask].load(std::memory_order_acquire);
      if (plan == nullptr || key_of(plan->problem) == key) {
        return plan;
      }
    }
  }

  /// Adds a plan where there is none for its problem yet; returns the one that is there then.
  const GemmPlan& insert(std::unique_ptr<const GemmPlan> plan);

  /// Adds a plan, in the place of the one for its problem if there is one: those who run the old
  /// one may go on.
  const GemmPlan& replace(std::unique_ptr<const GemmPlan> plan);

 private:
  using Key = std::array<std::uint64_t, sizeof(GemmProblem) / sizeof(std::uint64_t)>;
  static_assert(std::has_unique_object_representations_v<GemmProblem>, "padding would differ");
  using Slot = std::atomic<const GemmPlan*>;

  // Open addressing: a power of two of slots, at most half of them taken.
  struct Slots {
    explicit Slots(unsigned log2_size);
    Slot& slot_of(const GemmProblem& problem) const;  ///< its plan's, or a free one
    unsigned shift;
    std::uint64_t mask;
    std::unique_ptr<Slot[]> plans;
  };

  static Key key_of(const GemmProblem& problem) { return std::bit_cast<Key>(problem); }

  // Its high bits are the mixed ones.
  static std::uint64_t hash(const Key& key) {
    constexpr std::uint64_t kOdd = 0x9E3779B97F4A7C15U;  // 2^64 over the golden ratio
    std::uint64_t value = 0;
    for (const std::uint64_t word : key) {
      value = (value ^ word) * kOdd;
    }
    return value;
  }

  // Under mutex_.
  const GemmPlan& put(std::unique_ptr<const GemmPlan> plan, bool replace);
  void grow();

  std::atomic<const Slots*> slots_;
  std::mutex mutex_;
  std::size_t taken_ = 0;
  // All that was ever published: readers take no lock, so they may still be looking at it.
  std::vector<std::unique_ptr<const Slots>> all_slots_;
  std::vector<std::unique_ptr<const GemmPlan>> plans_;
};

}  // namespace float8::kernels
