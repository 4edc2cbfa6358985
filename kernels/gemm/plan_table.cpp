#include "kernels/gemm/plan_table.h"

#include <utility>

namespace float8::kernels {
namespace {

constexpr unsigned kFirstLog2Size = 8;
constexpr unsigned kWordBits = 64;

}  // namespace

PlanTable::Slots::Slots(unsigned log2_size)
    : shift(kWordBits - log2_size),
      mask((std::uint64_t{1} << log2_size) - 1),
      plans(std::make_unique<Slot[]>(mask + 1)) {}

PlanTable::Slot& PlanTable::Slots::slot_of(const GemmProblem& problem) const {
  const Key key = key_of(problem);
  for (std::uint64_t i = hash(key) >> shift;; ++i) {
    Slot& slot = plans[i & mask];
    const GemmPlan* plan = slot.load(std::memory_order_relaxed);
    if (plan == nullptr || key_of(plan->problem) == key) {
      return slot;
    }
  }
}

PlanTable::PlanTable() {
  all_slots_.push_back(std::make_unique<const Slots>(kFirstLog2Size));
  slots_.store(all_slots_.back().get(), std::memory_order_release);
}

void PlanTable::grow() {
  const Slots& old = *all_slots_.back();
  auto larger = std::make_unique<const Slots>(kWordBits - old.shift + 1);
  for (std::uint64_t i = 0; i <= old.mask; ++i) {
    if (const GemmPlan* plan = old.plans[i].load(std::memory_order_relaxed)) {
      larger->slot_of(plan->problem).store(plan, std::memory_order_relaxed);
    }
  }
  all_slots_.push_back(std::move(larger));
  slots_.store(all_slots_.back().get(), std::memory_order_release);
}

const GemmPlan& PlanTable::put(std::unique_ptr<const GemmPlan> plan, bool replace) {
  if (2 * (taken_ + 1) > all_slots_.back()->mask) {
    grow();
  }
  Slot& slot = all_slots_.back()->slot_of(plan->problem);
  const GemmPlan* present = slot.load(std::memory_order_relaxed);
  if (present != nullptr && !replace) {
    return *present;
  }
  taken_ += present == nullptr ? 1 : 0;
  plans_.push_back(std::move(plan));
  slot.store(plans_.back().get(), std::memory_order_release);
  return *plans_.back();
}

const GemmPlan& PlanTable::insert(std::unique_ptr<const GemmPlan> plan) {
  const std::scoped_lock lock(mutex_);
  return put(std::move(plan), false);
}

const GemmPlan& PlanTable::replace(std::unique_ptr<const GemmPlan> plan) {
  const std::scoped_lock lock(mutex_);
  return put(std::move(plan), true);
}

}  // namespace float8::kernels
