// FP8 copies of weights that live until the weights change: include/float8/cached_weights.h.

#include <ATen/core/Tensor.h>
#include <torch/library.h>

#include <atomic>
#include <mutex>
#include <unordered_map>

#include "src/ops/linear/kept_copies.h"

namespace float8::ops {
namespace {

using WeakTensor = c10::weak_intrusive_ptr<at::TensorImpl, at::UndefinedTensorImpl>;

struct CachedWeight {
  WeakTensor weight;  ///< keeps the address from being used again, not the values alive
  int users;          ///< scopes that asked for it
  KeptCopies copies;
};

class WeightCache {
 public:
  static WeightCache& instance() {
    static auto* cache = new WeightCache();  // never destroyed: see last_input
    return *cache;
  }

  void add(at::TensorList weights) {
    const std::lock_guard<std::mutex> lock(mutex_);
    for (const at::Tensor& weight : weights) {
      const auto [place, is_new] = entries_.try_emplace(
          weight.unsafeGetTensorImpl(),
          CachedWeight{.weight = WeakTensor(weight.getIntrusivePtr()), .users = 0, .copies = {}});
      ++place->second.users;
    }
    drop_dead_entries();
  }

  void remove(at::TensorList weights) {
    const std::lock_guard<std::mutex> lock(mutex_);
    for (const at::Tensor& weight : weights) {
      const auto found = entries_.find(weight.unsafeGetTensorImpl());
      if (found != entries_.end() && --found->second.users == 0) {
        entries_.erase(found);
      }
    }
    drop_dead_entries();
  }

  void invalidate() {
    const std::lock_guard<std::mutex> lock(mutex_);
    ++generation_;
    for (auto& [impl, entry] : entries_) {
      entry.copies.forget();
    }
  }

  Copies copies(const at::Tensor& weight, const CopiesWanted& wanted) {
    if (size_.load(std::memory_order_relaxed) == 0 || !can_keep_copies_of(weight)) {
      return make_copies(weight, wanted);
    }
    Copies found;
    std::uint64_t generation = 0;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      const auto entry = entries_.find(weight.unsafeGetTensorImpl());
      if (entry == entries_.end()) {
        return make_copies(weight, wanted);
      }
      found = entry->second.copies.find(weight, wanted);
      if (is_complete(found, wanted)) {
        return found;
      }
      generation = generation_;
    }
    const Snapshot before(weight);
    const Copies made = make_copies(weight, wanted, found);
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto entry = entries_.find(weight.unsafeGetTensorImpl());
    if (entry != entries_.end() && generation == generation_) {
      entry->second.copies.keep(before, wanted, made);
    }
    return made;
  }

 private:
  void drop_dead_entries() {
    std::erase_if(entries_, [](const auto& item) { return item.second.weight.expired(); });
    size_ = entries_.size();
  }

  std::mutex mutex_;
  std::unordered_map<const at::TensorImpl*, CachedWeight> entries_;
  std::atomic<std::size_t> size_ = 0;  ///< of entries_: layers ask without the lock
  std::uint64_t generation_ = 0;       ///< a copy that was being made during invalidate is stale
};

void cache_weights(at::TensorList weights) {
  for (const at::Tensor& weight : weights) {
    TORCH_CHECK(can_keep_copies_of(weight),
                "[cache_weights] changes of a weight must be seen, got one that is a tensor "
                "subclass (FSDP2's, a quantized one), on the meta device, or made in inference "
                "mode (",
                weight.sym_sizes(), " ", weight.scalar_type(), " on ", weight.device(),
                "); leave such models uncached");
  }
  WeightCache::instance().add(weights);
}

}  // namespace

Copies weight_copies(const at::Tensor& weight, const CopiesWanted& wanted) {
  return WeightCache::instance().copies(weight, wanted);
}

// They take no part in a computation, so they have one kernel for every key.
TORCH_LIBRARY_IMPL(float8, CompositeImplicitAutograd, m) {
  m.impl("cache_weights", &cache_weights);
  m.impl("release_weights", [](at::TensorList w) { WeightCache::instance().remove(w); });
  m.impl("invalidate_cached_weights", [] { WeightCache::instance().invalidate(); });
}

}  // namespace float8::ops
