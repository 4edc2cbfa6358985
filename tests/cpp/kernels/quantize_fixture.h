#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "float8/scaling.h"
#include "kernels/quantize/quantize.h"
#include "tests/cpp/format/reference.h"

// Inputs, outputs with a guard around them, and what the kernels are to write, value by value from
// the formats' specification. scaling.h has tests of its own and is used here.
namespace float8::kernels::testing {

inline std::int64_t element_size(Element element) { return element == Element::kFloat32 ? 4 : 2; }

inline float value_of_bits(Element element, std::uint32_t bits) {
  const auto narrow = static_cast<std::uint16_t>(bits);
  return element == Element::kFloat32    ? std::bit_cast<float>(bits)
         : element == Element::kBFloat16 ? float8::testing::reference_bfloat16(narrow)
                                         : float8::testing::reference_float16(narrow);
}

/// Device memory that a kernel writes: poisoned, so that a byte that stays unwritten is seen, with
/// a guard on both sides. Its end is `bytes` behind a 16-byte boundary plus `offset`.
class Output {
 public:
  explicit Output(std::int64_t bytes, std::int64_t offset = 0)
      : bytes_(bytes), offset_(offset), memory_(bytes + offset + 2 * kGuard, kPoison) {
    // std::vector's memory comes from operator new, which aligns to 16.
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(memory_.data()) % 16, 0U);
  }
  [[nodiscard]] std::uint8_t* data() { return memory_.data() + kGuard + offset_; }
  [[nodiscard]] float* floats() { return reinterpret_cast<float*>(data()); }
  [[nodiscard]] std::vector<std::uint8_t> bytes() { return {data(), data() + bytes_}; }
  /// No byte of the guards was written.
  [[nodiscard]] bool intact() const {
    for (std::size_t i = 0; i < memory_.size(); ++i) {
      const bool inside = i >= static_cast<std::size_t>(kGuard + offset_) &&
                          i < static_cast<std::size_t>(kGuard + offset_ + bytes_);
      if (!inside && memory_[i] != kPoison) {
        return false;
      }
    }
    return true;
  }

 private:
  static constexpr std::int64_t kGuard = 256;
  static constexpr std::uint8_t kPoison = 0xE7;
  std::int64_t bytes_;
  std::int64_t offset_;
  std::vector<std::uint8_t> memory_;
};

/// What an input is made of.
enum class Values { kOrdinary, kSpecials, kAnyBits };

/// A matrix whose memory ends with its last element, so that a sanitizer sees reads behind it;
/// `offset` elements behind a 16-byte boundary.
class Input {
 public:
  Input(std::mt19937& random, Element element, std::int64_t rows, std::int64_t columns,
        std::int64_t offset = 0, Values values = Values::kOrdinary)
      : element_(element),
        rows_(rows),
        columns_(columns),
        memory_(new std::uint8_t[(offset + rows * columns) * element_size(element)]),
        data_(memory_.get() + offset * element_size(element)) {
    for (std::int64_t i = 0; i < rows * columns; ++i) {
      set(i, draw(random, values));
    }
  }

  [[nodiscard]] Matrix matrix() const { return {data_, element_, rows_, columns_}; }
  [[nodiscard]] float operator()(std::int64_t row, std::int64_t column) const {
    return value_of_bits(element_, bits(row * columns_ + column));
  }
  void set(std::int64_t i, std::uint32_t bits) {
    std::memcpy(data_ + i * element_size(element_), &bits, element_size(element_));
  }

 private:
  [[nodiscard]] std::uint32_t bits(std::int64_t i) const {
    std::uint32_t result = 0;
    std::memcpy(&result, data_ + i * element_size(element_), element_size(element_));
    return result;
  }
  std::uint32_t draw(std::mt19937& random, Values values) const {
    const auto word = static_cast<std::uint32_t>(random());
    if (values == Values::kAnyBits) {
      return word;
    }
    // Sign and mantissa at random, the exponent of a magnitude in [2^-8, 8).
    const std::uint32_t ordinary =
        element_ == Element::kFloat32    ? (word & 0x807FFFFFU) | ((119U + word % 11) << 23)
        : element_ == Element::kBFloat16 ? (word >> 16 & 0x807FU) | ((119U + word % 11) << 7)
                                         : (word >> 16 & 0x83FFU) | ((7U + word % 11) << 10);
    if (values == Values::kOrdinary || random() % 40 != 0) {
      return ordinary;
    }
    // NaN, infinity, the largest finite value, one, the smallest normal and subnormal ones, zero.
    static constexpr std::uint32_t kFloat32[] = {0x7FC00001U, 0x7F800000U, 0x7F7FFFFFU,
                                                 0x3F800000U, 0x00800000U, 0x00000001U,
                                                 0x00000000U, 0x007FFFFFU};
    static constexpr std::uint32_t kBFloat16[] = {0x7FC1, 0x7F80, 0x7F7F, 0x3F80,
                                                  0x0080, 0x0001, 0x0000, 0x007F};
    static constexpr std::uint32_t kFloat16[] = {0x7E01, 0x7C00, 0x7BFF, 0x3C00,
                                                 0x0400, 0x0001, 0x0000, 0x03FF};
    // NaN and infinity seldom, or no scale would be finite.
    const std::uint32_t which = random() % 30 == 0 ? random() % 2 : 2 + random() % 6;
    const bool negative = random() % 2 == 0;
    return element_ == Element::kFloat32    ? kFloat32[which] | (negative ? 0x80000000U : 0U)
           : element_ == Element::kBFloat16 ? kBFloat16[which] | (negative ? 0x8000U : 0U)
                                            : kFloat16[which] | (negative ? 0x8000U : 0U);
  }

  Element element_;
  std::int64_t rows_;
  std::int64_t columns_;
  std::unique_ptr<std::uint8_t[]> memory_;
  std::uint8_t* data_;
};

inline std::int64_t padded_to_16(std::int64_t n) { return n % 16 == 0 ? n : n + 16 - n % 16; }

/// Index of the scale of x(row, column).
inline std::int64_t scale_index(Granularity granularity, std::int64_t row, std::int64_t column) {
  return granularity == Granularity::kTensor ? 0 : granularity == Granularity::kRow ? row : column;
}

inline std::int64_t scale_count(const Matrix& x, Granularity granularity) {
  return granularity == Granularity::kTensor ? 1
         : granularity == Granularity::kRow  ? x.rows
                                             : x.columns;
}

/// max|x| of each scale's values; NaN where one of them is.
inline std::vector<float> reference_amax(const Input& x, Granularity granularity) {
  const Matrix m = x.matrix();
  std::vector<float> amax(scale_count(m, granularity), 0.0F);
  for (std::int64_t r = 0; r < m.rows; ++r) {
    for (std::int64_t c = 0; c < m.columns; ++c) {
      float& largest = amax[scale_index(granularity, r, c)];
      const float magnitude = std::fabs(x(r, c));
      const bool nan = std::isnan(largest) || std::isnan(magnitude);
      largest = nan ? std::nanf("") : std::max(largest, magnitude);
    }
  }
  return amax;
}

inline std::vector<float> reference_scales(const Input& x, Granularity granularity, Format format,
                                           bool power_of_two) {
  std::vector<float> scales = reference_amax(x, granularity);
  for (float& scale : scales) {
    scale = amax_to_scale(scale, format, power_of_two);
  }
  return scales;
}

/// The codes of a copy, padding included.
inline std::vector<std::uint8_t> reference_codes(const Input& x, const std::vector<float>& scales,
                                                 Granularity granularity, Format format,
                                                 bool transposed) {
  const Matrix m = x.matrix();
  const std::int64_t ld = padded_to_16(transposed ? m.rows : m.columns);
  std::vector<std::uint8_t> codes((transposed ? m.columns : m.rows) * ld, 0);
  for (std::int64_t r = 0; r < m.rows; ++r) {
    for (std::int64_t c = 0; c < m.columns; ++c) {
      const float product = x(r, c) * scales[scale_index(granularity, r, c)];
      codes[transposed ? c * ld + r : r * ld + c] =
          float8::testing::reference_encode(product, format);
    }
  }
  return codes;
}

inline bool same_float(float a, float b) {
  return std::isnan(b) ? std::isnan(a)
                       : std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b);
}

/// Byte by byte, with the first difference's place.
inline ::testing::AssertionResult same_bytes(const std::vector<std::uint8_t>& got,
                                             const std::vector<std::uint8_t>& want,
                                             std::int64_t ld) {
  if (got.size() != want.size()) {
    return ::testing::AssertionFailure() << got.size() << " bytes, not " << want.size();
  }
  for (std::size_t i = 0; i < got.size(); ++i) {
    if (got[i] != want[i]) {
      return ::testing::AssertionFailure() << "row " << i / ld << ", column " << i % ld << ": "
                                           << int{got[i]} << ", not " << int{want[i]};
    }
  }
  return ::testing::AssertionSuccess();
}

constexpr Element kElements[] = {Element::kFloat32, Element::kBFloat16, Element::kFloat16};
constexpr Format kFormats[] = {Format::kE4M3, Format::kE5M2};

inline std::string describe(const Matrix& x, Format format) {
  static constexpr const char* kNames[] = {"float32", "bfloat16", "float16"};
  return std::string(kNames[static_cast<int>(x.element)]) + " [" + std::to_string(x.rows) + ", " +
         std::to_string(x.columns) + "] " + name_of(format);
}

}  // namespace float8::kernels::testing
