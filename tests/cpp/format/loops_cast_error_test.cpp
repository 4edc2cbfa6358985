// What a cast loses: the same sums, bit for bit, from every instruction set and from a plain loop.

#include <cmath>
#include <cstring>
#include <vector>

#include "tests/cpp/format/loops_fixture.h"

namespace float8::cpu {
namespace {

// The plain loop: value i goes to lane i % kErrorLanes.
CastErrorSums reference(Buffer& x, int element, const std::vector<float>& decoded,
                        const std::vector<float>& scale, const std::vector<float>& scale_inv,
                        float limit, CastErrorSums sums) {
  for (std::size_t i = 0; i < decoded.size(); ++i) {
    const float value = float_at(x, element, static_cast<std::int64_t>(i));
    const std::size_t lane = i % kErrorLanes;
    const double error = static_cast<double>(decoded[i]) * scale_inv[i] - value;
    sums.squares[lane] += static_cast<double>(value) * value;
    sums.squared_errors[lane] += error * error;
    sums.saturated[lane] += std::fabs(value * scale[i]) > limit ? 1 : 0;
    sums.underflowed[lane] += decoded[i] == 0 && value != 0 ? 1 : 0;
  }
  return sums;
}

class CpuCastError : public CpuLoops {};

void expect_same(const double* got, const double* want) {
  for (std::int64_t lane = 0; lane < kErrorLanes; ++lane) {
    EXPECT_TRUE(std::isnan(want[lane]) ? std::isnan(got[lane]) : got[lane] == want[lane])
        << "lane " << lane << ": " << got[lane] << " instead of " << want[lane];
  }
}

TEST_P(CpuCastError, AddsUpWhatIsLost) {
  for (int e = 0; e < kElements; ++e) {
    for_each_length([&](std::int64_t n) {
      SCOPED_TRACE(::testing::Message() << "element " << e << ", n " << n);
      Buffer x(n * kSizeOf[e]);
      x.fill(random);  // every kind of value, infinities and NaN too
      std::vector<float> decoded(n);
      std::vector<float> scale(n);
      std::vector<float> scale_inv(n);
      for (std::int64_t i = 0; i < n; ++i) {
        decoded[i] = random() % 3 == 0 ? 0.0F : static_cast<float>(random() % 448);
        scale[i] = std::ldexp(1.0F, static_cast<int>(random() % 40) - 20);
        scale_inv[i] = 1.0F / scale[i];
      }
      CastErrorSums before = {};
      before.squares[3] = 0.5;  // it adds
      before.saturated[15] = 7;
      CastErrorSums got = before;
      loops().cast_error[e](x.as(), decoded.data(), n, scale.data(), scale_inv.data(), 464.0F,
                            &got);
      const CastErrorSums want = reference(x, e, decoded, scale, scale_inv, 464.0F, before);
      expect_same(got.squares, want.squares);
      expect_same(got.squared_errors, want.squared_errors);
      EXPECT_EQ(0, std::memcmp(got.saturated, want.saturated, sizeof(want.saturated)));
      EXPECT_EQ(0, std::memcmp(got.underflowed, want.underflowed, sizeof(want.underflowed)));
    });
  }
}

INSTANTIATE_TEST_SUITE_P(Variant, CpuCastError, ::testing::ValuesIn(kVariants),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace float8::cpu
