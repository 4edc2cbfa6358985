#pragma once

#include "engine.h"
#include "tests/cpp/kernels/quantize_fixture.h"

namespace float8::kernels::testing {

/// Which copies, and with which scales.
struct Mix {
  bool straight;
  Granularity straight_scale;
  bool transposed;
  Granularity transposed_scale;
  const char* name;
};

constexpr Granularity kTensor = Granularity::kTensor;
constexpr Granularity kRow = Granularity::kRow;
constexpr Granularity kColumn = Granularity::kColumn;

constexpr Mix kMixes[] = {
    {true, kTensor, false, kTensor, "straight tensor"},
    {true, kRow, false, kTensor, "straight row"},
    {false, kTensor, true, kTensor, "transposed tensor"},
    {false, kTensor, true, kColumn, "transposed column"},
    {true, kTensor, true, kTensor, "tensor, tensor"},
    {true, kTensor, true, kColumn, "tensor, column"},
    {true, kRow, true, kTensor, "row, tensor"},
    {true, kRow, true, kColumn, "row, column"},
};

/// Quantizes x and compares every byte. Returns the number of launches.
inline std::int64_t check_quantize(const Input& x, Format format, bool power_of_two,
                                   const Mix& mix) {
  const Matrix m = x.matrix();
  SCOPED_TRACE(describe(m, format) + ", " + mix.name + (power_of_two ? ", power of two" : ""));
  const std::int64_t ld = padded_to_16(m.columns);
  const std::int64_t ld_t = padded_to_16(m.rows);
  Output straight(m.rows * ld);
  Output transposed(m.columns * ld_t);
  Output scale_inv(scale_count(m, mix.straight_scale) * 4, 4);
  Output scale_inv_t(scale_count(m, mix.transposed_scale) * 4, 4);
  Quantization q = {m, format, power_of_two, {}, {}};
  if (mix.straight) {
    q.straight = {straight.data(), scale_inv.floats(), mix.straight_scale};
  }
  if (mix.transposed) {
    q.transposed = {transposed.data(), scale_inv_t.floats(), mix.transposed_scale};
  }
  const auto scratch_bytes = static_cast<std::int64_t>(quantize_scratch_bytes(q));
  Output scratch(scratch_bytes);
  const std::int64_t before = host_cuda::settings().launches;
  EXPECT_EQ(launch_quantize(q, scratch_bytes == 0 ? nullptr : scratch.data(), nullptr),
            cudaSuccess);
  EXPECT_TRUE(straight.intact() && transposed.intact() && scale_inv.intact() &&
              scale_inv_t.intact() && scratch.intact());

  const auto check = [&](Output& codes, Output& inverse, Granularity granularity, bool turned) {
    const std::vector<float> scales = reference_scales(x, granularity, format, power_of_two);
    EXPECT_TRUE(same_bytes(codes.bytes(), reference_codes(x, scales, granularity, format, turned),
                           turned ? ld_t : ld))
        << (turned ? "transposed" : "straight");
    for (std::size_t i = 0; i < scales.size(); ++i) {
      ASSERT_TRUE(same_float(inverse.floats()[i], 1.0F / scales[i]))
          << (turned ? "transposed" : "straight") << " scale_inv " << i << ": "
          << inverse.floats()[i] << ", not " << 1.0F / scales[i];
    }
  };
  if (mix.straight) {
    check(straight, scale_inv, mix.straight_scale, false);
  }
  if (mix.transposed) {
    check(transposed, scale_inv_t, mix.transposed_scale, true);
  }
  return host_cuda::settings().launches - before;
}

}  // namespace float8::kernels::testing
