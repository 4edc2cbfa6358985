#include <ATen/Parallel.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <vector>

#include "src/ops/cpu/gemm.h"
#include "src/ops/cpu/tensors.h"

namespace float8::cpu {
namespace {

constexpr std::int64_t kColumns = kTensorCoreColumns;

/// Every code of a format as the loop takes it. What is not finite stands as 0 here.
struct Decoded {
  std::array<float, 256> value;
  std::array<float, 256> power;
  std::array<bool, 256> finite;
};

template <Format kFormat>
Decoded decode_all() {
  const float smallest =
      std::bit_cast<float>(detail::power_of_two_bits(1 - layout_of(kFormat).exponent_bias));
  Decoded table;
  for (std::size_t code = 0; code < table.value.size(); ++code) {
    const auto exact = decode<kFormat>(static_cast<std::uint8_t>(code));
    table.finite[code] = std::isfinite(exact);
    table.value[code] = table.finite[code] ? exact : 0.0F;
    const auto exponent =
        std::bit_cast<std::uint32_t>(table.value[code]) & detail::kFloatInfinityBits;
    table.power[code] =
        table.value[code] == 0 ? 0.0F : std::max(std::bit_cast<float>(exponent), smallest);
  }
  return table;
}

const Decoded& decoded(Format format) {
  static const Decoded e4m3 = decode_all<Format::kE4M3>();
  static const Decoded e5m2 = decode_all<Format::kE5M2>();
  return format == Format::kE4M3 ? e4m3 : e5m2;
}

/// Rows of an operand as the loop takes them: [rows][k], or, for a panel, [k][kColumns].
struct Values {
  std::vector<float> values;
  std::vector<float> powers;
  std::vector<std::uint8_t> finite;  ///< of each row, whether all of it is
};

/// Decodes row `row` of an operand into places of their own, `stride` apart; whether it is finite.
bool decode_row(const Operand& x, std::int64_t row, std::int64_t stride, float* values,
                float* powers) {
  const Decoded& table = decoded(x.format);
  const std::uint8_t* codes = x.data + row * x.k;
  bool finite = true;
  for (std::int64_t i = 0; i < x.k; ++i) {
    values[i * stride] = table.value[codes[i]];
    powers[i * stride] = table.power[codes[i]];
    finite = finite && table.finite[codes[i]];
  }
  return finite;
}

Values decode_rows(const Operand& x) {
  const auto size = static_cast<std::size_t>(x.rows * x.k);
  Values out = {std::vector<float>(size), std::vector<float>(size),
                std::vector<std::uint8_t>(x.rows)};
  at::parallel_for(0, x.rows, grain(x.k), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      out.finite[r] =
          decode_row(x, r, 1, out.values.data() + r * x.k, out.powers.data() + r * x.k) ? 1 : 0;
    }
  });
  return out;
}

/// Rows [first, first + n); columns of the panel beyond them are zeros.
Values decode_panel(const Operand& x, std::int64_t first, std::int64_t n) {
  const auto size = static_cast<std::size_t>(kColumns * x.k);
  Values out = {std::vector<float>(size), std::vector<float>(size), std::vector<std::uint8_t>(n)};
  for (std::int64_t r = 0; r < n; ++r) {
    out.finite[r] =
        decode_row(x, first + r, kColumns, out.values.data() + r, out.powers.data() + r) ? 1 : 0;
  }
  return out;
}

float value_of(Format format, std::uint8_t code) {
  return format == Format::kE4M3 ? decode<Format::kE4M3>(code) : decode<Format::kE5M2>(code);
}

/// The sum of rows with NaN or infinity in them: NaN or infinity, whatever the finite terms are.
float sum_of_specials(const Operand& a, std::int64_t row, const Operand& b, std::int64_t column) {
  float sum = 0.0F;
  for (std::int64_t i = 0; i < a.k; ++i) {
    sum += value_of(a.format, a.data[row * a.k + i]) * value_of(b.format, b.data[column * b.k + i]);
  }
  return sum;
}

}  // namespace

void gemm_tensor_core(const Operand& a, const Operand& b, bool fast_accum, RowSink& sink) {
  const std::int64_t k = a.k;
  const std::int64_t panels = (b.rows + kColumns - 1) / kColumns;
  const Values a_rows = decode_rows(a);
  const auto task = grain(kColumns * k * a.rows);
  at::parallel_for(0, panels, task, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t panel = begin; panel < end; ++panel) {
      const std::int64_t first = panel * kColumns;
      const std::int64_t columns = std::min(kColumns, b.rows - first);
      const Values b_panel = decode_panel(b, first, columns);
      for (std::int64_t r = 0; r < a.rows; ++r) {
        float sums[kColumns];
        loops().tensor_core({a_rows.values.data() + r * k, a_rows.powers.data() + r * k},
                            {b_panel.values.data(), b_panel.powers.data()}, k, fast_accum, sums);
        for (std::int64_t c = 0; c < columns; ++c) {
          if (a_rows.finite[r] == 0 || b_panel.finite[c] == 0) {
            sums[c] = sum_of_specials(a, r, b, first + c);
          }
        }
        sink.store(r, first, columns, sums);
      }
    }
  });
}

}  // namespace float8::cpu
