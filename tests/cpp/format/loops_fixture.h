#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <memory>
#include <random>
#include <string>

#include "src/ops/cpu/loops/loops.h"
#include "tests/cpp/format/reference.h"

// One fixture for the tests of the CPU's inner loops, run for each instruction set.

namespace float8::cpu {

extern const Loops kBaselineLoops;
#if defined(__x86_64__)
extern const Loops kAvx2Loops;
extern const Loops kAvx512Loops;
#endif

inline constexpr std::size_t kSizeOf[kElements] = {4, 2, 2};
inline constexpr Format kFormatOf[kFormats] = {Format::kE4M3, Format::kE5M2};

struct Variant {
  const char* name;
  const Loops* loops;
  bool (*runs_here)();
};

// A buffer of exactly the size that a loop may touch, off its natural alignment for vectors, so
// that AddressSanitizer sees a byte too many; without it, the guards behind the data do.
class Buffer {
 public:
  explicit Buffer(std::size_t size)
      : size_(size), bytes_(new std::uint8_t[kShift + size + kGuard]) {
    std::memset(bytes_.get(), 0xA5, kShift + size + kGuard);
  }
  template <class T = void>
  T* as() {
    return reinterpret_cast<T*>(bytes_.get() + kShift);
  }
  std::uint8_t* bytes() { return as<std::uint8_t>(); }
  [[nodiscard]] std::size_t size() const { return size_; }

  void fill(std::mt19937& random) {
    for (std::size_t i = 0; i < size_; ++i) {
      bytes()[i] = static_cast<std::uint8_t>(random());
    }
  }
  void expect_untouched_beyond() const {
    for (std::size_t i = 0; i < kGuard; ++i) {
      ASSERT_EQ(bytes_[kShift + size_ + i], 0xA5) << "written " << i << " bytes past the end";
    }
  }
  bool operator==(Buffer& other) {
    return size_ == other.size_ && std::memcmp(bytes(), other.bytes(), size_) == 0;
  }

 private:
  static constexpr std::size_t kShift = 4;
#if defined(__SANITIZE_ADDRESS__)
  static constexpr std::size_t kGuard = 0;
#else
  static constexpr std::size_t kGuard = 64;
#endif
  std::size_t size_;
  std::unique_ptr<std::uint8_t[]> bytes_;
};

inline float float_at(Buffer& data, int element, std::int64_t i) {
  const auto* half = data.as<std::uint16_t>();
  return element == 0   ? data.as<float>()[i]
         : element == 1 ? testing::reference_bfloat16(half[i])
                        : testing::reference_float16(half[i]);
}

class CpuLoops : public ::testing::TestWithParam<Variant> {
 protected:
  void SetUp() override {
    if (!GetParam().runs_here()) {
      GTEST_SKIP() << "this processor has no " << GetParam().name;
    }
  }
  static const Loops& loops() { return *GetParam().loops; }

  // Calls check(n) for every tail length and for random lengths.
  template <class Check>
  void for_each_length(Check check) {
    for (std::int64_t n = 0; n <= 70; ++n) {
      check(n);
    }
    for (int i = 0; i < 20; ++i) {
      check(static_cast<std::int64_t>(random() % 1500));
    }
  }

  std::mt19937 random{4};  // NOLINT(cert-msc51-cpp)
};

inline const Variant kVariants[] = {
    {"baseline", &kBaselineLoops, [] { return true; }},
#if defined(__x86_64__)
    {"avx2", &kAvx2Loops,
     [] {
       return __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0 &&
              __builtin_cpu_supports("f16c") != 0;
     }},
    {"avx512", &kAvx512Loops,
     [] {
       return __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0 &&
              __builtin_cpu_supports("avx512dq") != 0 && __builtin_cpu_supports("avx512vl") != 0;
     }},
#endif
};

}  // namespace float8::cpu
