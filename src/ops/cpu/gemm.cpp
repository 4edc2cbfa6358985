#include "src/ops/cpu/gemm.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/native/CPUBlas.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>
#include <c10/core/impl/LocalDispatchKeySet.h>

#include <algorithm>
#include <cstring>

#include "src/ops/cpu/tensors.h"

namespace float8::cpu {
namespace {

namespace blas = ::at::native::cpublas;

constexpr std::int64_t kTileRows = 64;
// Partial sums of this many products meet in float32: as exact as ATen's blocked float32 product.
constexpr std::int64_t kTileDepth = 256;

std::int64_t tiles_of(std::int64_t n, std::int64_t tile) { return (n + tile - 1) / tile; }

at::Tensor buffer(std::int64_t rows, std::int64_t columns, at::ScalarType dtype) {
  return at::empty({rows, columns}, at::TensorOptions().dtype(dtype).device(at::kCPU));
}

// brgemm does not say whether it reads its second operand as pairs along k (the layout of bfloat16
// instructions) or as a plain matrix (its fallback), so ask it to multiply something.
bool brgemm_reads_pairs() {
  const c10::BFloat16 a[2] = {1.0F, 2.0F};
  // As pairs b is {{1, 3}, {5, 7}}, [n][k]: the products are 1 + 6 and 5 + 14.
  const c10::BFloat16 b[4] = {1.0F, 3.0F, 5.0F, 7.0F};
  float c[2] = {0.0F, 0.0F};
  blas::brgemm(1, 2, 2, 2, 2, 2, /*add_C=*/false, a, b, c, /*is_vnni=*/true);
  blas::brgemm_release(/*is_vnni=*/true);
  return c[0] == 7.0F && c[1] == 19.0F;
}

bool has_bfloat16_gemm() {
  static const bool reads_pairs = at::globalContext().userEnabledMkldnn() && brgemm_reads_pairs();
  return reads_pairs && at::globalContext().userEnabledMkldnn();
}

at::Tensor decode_bfloat16(const Operand& a) {
  at::Tensor result = buffer(a.rows, a.k, at::kBFloat16);
  auto* out = static_cast<std::uint16_t*>(result.mutable_data_ptr());
  const auto decode = loops().decode_bfloat16[index_of(a.format)];
  at::parallel_for(0, a.rows * a.k, kGrainElements, [&](std::int64_t begin, std::int64_t end) {
    decode(a.data + begin, end - begin, out + begin);
  });
  return result;
}

// b is decoded a panel at a time, by each thread that multiplies with it: all of a weight in
// bfloat16 would be twice the FP8 copy's size, written and read once more.
void gemm_bfloat16(const Operand& a, const Operand& b, RowSink& sink) {
  const at::Tensor a_values = decode_bfloat16(a);
  const auto* a_data = a_values.const_data_ptr<c10::BFloat16>();
  const std::int64_t k = a.k;
  const at::Tensor panels = buffer(at::get_num_threads(), kPanel * k, at::kBFloat16);
  auto* panels_data = panels.mutable_data_ptr<c10::BFloat16>();
  const auto decode = loops().decode_panel[index_of(b.format)];
  const std::int64_t row_tiles = tiles_of(a.rows, kTileRows);
  const std::int64_t tiles = row_tiles * tiles_of(b.rows, kPanel);
  at::parallel_for(0, tiles, grain(kTileRows * kPanel), [&](std::int64_t begin, std::int64_t end) {
    alignas(64) float acc[kTileRows * kPanel];
    auto* panel = panels_data + at::get_thread_num() * kPanel * k;
    for (std::int64_t tile = begin; tile < end; ++tile) {
      const std::int64_t row = tile % row_tiles * kTileRows;
      const std::int64_t column = tile / row_tiles * kPanel;
      const std::int64_t m = std::min(kTileRows, a.rows - row);
      const std::int64_t n = std::min(kPanel, b.rows - column);
      if (row == 0 || tile == begin) {
        decode(b.data + column * k, k, n, k, reinterpret_cast<std::uint16_t*>(panel));
      }
      if (k == 0) {
        std::memset(acc, 0, sizeof(acc));
      }
      for (std::int64_t depth = 0; depth < k; depth += kTileDepth) {
        blas::brgemm(m, n, std::min(kTileDepth, k - depth), k, n, n, /*add_C=*/depth > 0,
                     a_data + row * k + depth, panel + depth * n, acc, /*is_vnni=*/true);
      }
      for (std::int64_t r = 0; r < m; ++r) {
        sink.store(row + r, column, n, acc + r * n);
      }
    }
    blas::brgemm_release(/*is_vnni=*/true);
  });
}

at::Tensor decode_float(const Operand& a) {
  at::Tensor result = buffer(a.rows, a.k, at::kFloat);
  auto* out = result.mutable_data_ptr<float>();
  const auto decode = loops().decode_float[index_of(a.format)];
  at::parallel_for(0, a.rows * a.k, kGrainElements, [&](std::int64_t begin, std::int64_t end) {
    decode(a.data + begin, end - begin, out + begin);
  });
  return result;
}

void gemm_float(const Operand& a, const Operand& b, RowSink& sink) {
  // A backward pass may run under autocast, which would cast the operands of mm.
  const c10::impl::ExcludeDispatchKeyGuard no_autocast(c10::autocast_dispatch_keyset);
  const at::Tensor product = at::mm(decode_float(a), decode_float(b).t());
  const auto* acc = product.const_data_ptr<float>();
  at::parallel_for(0, a.rows, grain(b.rows), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      sink.store(row, 0, b.rows, acc + row * b.rows);
    }
  });
}

}  // namespace

void gemm(const Operand& a, const Operand& b, RowSink& sink) {
  if (has_bfloat16_gemm()) {
    gemm_bfloat16(a, b, sink);
  } else {
    gemm_float(a, b, sink);
  }
}

const char* gemm_arithmetic() { return has_bfloat16_gemm() ? "bfloat16" : "float32"; }

}  // namespace float8::cpu
