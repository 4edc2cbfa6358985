#pragma once

#include <ATen/ops/empty.h>

#include <mutex>
#include <vector>

#include "src/ops/cpu/tensors.h"

namespace float8::cpu {

/// max|x| of each of k columns, gathered by several threads, each of which reads some of the rows.
class ColumnMaxima {
 public:
  ColumnMaxima(Element element, std::int64_t k)
      : element_(element), loop_(loops().amax_columns[index_of(element)]), bits_(k) {}

  /// What one thread has seen; it counts when this is destroyed.
  class Part {
   public:
    explicit Part(ColumnMaxima& whole) : whole_(whole), bits_(whole.bits_.size()) {}
    Part(const Part&) = delete;
    Part& operator=(const Part&) = delete;
    ~Part() {
      const std::lock_guard<std::mutex> lock(whole_.mutex_);
      for (std::size_t i = 0; i < bits_.size(); ++i) {
        whole_.bits_[i] = std::max(whole_.bits_[i], bits_[i]);
      }
    }

    /// data: [count][k], fastest with kAmaxRows of them.
    void add_rows(const std::byte* data, std::int64_t count) {
      whole_.loop_(data, count, static_cast<std::int64_t>(bits_.size()), bits_.data());
    }

   private:
    ColumnMaxima& whole_;
    std::vector<std::uint32_t> bits_;
  };

  /// [1, k], float32.
  [[nodiscard]] at::Tensor values() const {
    at::Tensor result = at::empty({1, static_cast<std::int64_t>(bits_.size())}, at::kFloat);
    auto* out = result.mutable_data_ptr<float>();
    for (std::size_t i = 0; i < bits_.size(); ++i) {
      out[i] = amax_value(element_, bits_[i]);
    }
    return result;
  }

 private:
  Element element_;
  void (*loop_)(const void*, std::int64_t, std::int64_t, std::uint32_t*);
  std::mutex mutex_;
  std::vector<std::uint32_t> bits_;
};

}  // namespace float8::cpu
