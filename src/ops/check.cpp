#include "src/ops/check.h"

#include <c10/core/ScalarType.h>

#include <sstream>

namespace float8 {

at::ScalarType scalar_type_of(Format format) {
  return format == Format::kE4M3 ? at::kFloat8_e4m3fn : at::kFloat8_e5m2;
}

namespace ops {
namespace {

bool is_fp8(at::ScalarType dtype) {
  return dtype == at::kFloat8_e4m3fn || dtype == at::kFloat8_e5m2;
}

void check_operand_scale(const char* name, const at::Tensor& scale, const at::Tensor& operand) {
  const bool fits =
      scale.scalar_type() == at::kFloat && scale.dim() == 2 && same_size(scale.sym_size(1), 1) &&
      (same_size(scale.sym_size(0), 1) || same_size(scale.sym_size(0), operand.sym_size(0)));
  TORCH_CHECK(fits, "[scaled_mm] ", name, " must be float32 of shape [1, 1] or [",
              operand.sym_size(0), ", 1], got ", describe(scale),
              "; pass the scale_inv that quantize returned");
}

}  // namespace

bool is_high_precision(at::ScalarType dtype) {
  return dtype == at::kFloat || dtype == at::kBFloat16 || dtype == at::kHalf;
}

bool same_size(const c10::SymInt& a, const c10::SymInt& b) {
  return TORCH_GUARD_OR_TRUE(a.sym_eq(b));
}

std::string describe(const at::Tensor& tensor) {
  std::ostringstream text;
  text << tensor.sym_sizes() << " " << tensor.scalar_type() << " on " << tensor.device();
  return text.str();
}

Format check_format(const char* op, at::ScalarType dtype) {
  TORCH_CHECK(is_fp8(dtype), "[", op, "] dtype must be float8_e4m3fn or float8_e5m2, got ", dtype);
  return dtype == at::kFloat8_e4m3fn ? Format::kE4M3 : Format::kE5M2;
}

Format check_amax(const char* op, const at::Tensor& amax, at::ScalarType dtype) {
  TORCH_CHECK(is_high_precision(amax.scalar_type()), "[", op,
              "] amax must be float32, bfloat16 or float16, got ", describe(amax));
  return check_format(op, dtype);
}

void check_high_precision(const char* op, const at::Tensor& x) {
  TORCH_CHECK(x.dim() == 2, "[", op, "] x must have 2 dimensions, got ", describe(x),
              "; flatten the leading ones");
  TORCH_CHECK(is_high_precision(x.scalar_type()), "[", op,
              "] x must be float32, bfloat16 or float16, got ", describe(x), "; convert it first");
}

void check_fp8(const char* op, const char* name, const at::Tensor& data) {
  TORCH_CHECK(data.dim() == 2, "[", op, "] ", name, " must have 2 dimensions, got ",
              describe(data));
  TORCH_CHECK(is_fp8(data.scalar_type()), "[", op, "] ", name,
              " must be float8_e4m3fn or float8_e5m2, got ", describe(data), "; quantize it first");
}

void check_result_dtype(const char* op, at::ScalarType dtype) {
  TORCH_CHECK(is_high_precision(dtype), "[", op,
              "] the result's dtype must be float32, bfloat16 or float16, got ", dtype);
}

Block check_block(const char* op, at::IntArrayRef block, at::ArrayRef<Block> allowed) {
  TORCH_CHECK(block.size() == 2, "[", op, "] a block has 2 sizes, got ", block.size(), " in ",
              block);
  const Block value = {block[0], block[1]};
  for (const Block& candidate : allowed) {
    if (value == candidate) {
      return value;
    }
  }
  std::ostringstream names;
  for (const Block& candidate : allowed) {
    names << (names.tellp() > 0 ? ", " : "") << "[" << candidate[0] << ", " << candidate[1] << "]";
  }
  TORCH_CHECK(false, "[", op, "] block must be one of ", names.str(),
              " (0: the whole extent), got ", block);
}

void check_known_amax(const char* op, const std::optional<at::Tensor>& amax, const at::Tensor& x,
                      at::ArrayRef<Block> blocks) {
  if (!amax) {
    return;
  }
  for (const Block& block : blocks) {
    TORCH_CHECK(block == kTensorBlock, "[", op,
                "] a known amax goes with block [0, 0] (the whole tensor), got [", block[0], ", ",
                block[1], "]; leave amax out");
  }
  TORCH_CHECK(amax->dim() == 2 && same_size(amax->sym_size(0), 1) &&
                  same_size(amax->sym_size(1), 1) && amax->scalar_type() == x.scalar_type() &&
                  amax->device() == x.device(),
              "[", op, "] amax must be [1, 1] ", x.scalar_type(), " on ", x.device(), ", got ",
              describe(*amax));
}

void check_scale(const char* op, const at::Tensor& scale, const at::Tensor& x) {
  TORCH_CHECK(scale.device() == x.device(), "[", op, "] the scale must be on ", x.device(),
              ", got ", describe(scale));
  const bool fits =
      scale.scalar_type() == at::kFloat && scale.dim() == 2 &&
      ((same_size(scale.sym_size(0), 1) &&
        (same_size(scale.sym_size(1), 1) || same_size(scale.sym_size(1), x.sym_size(1)))) ||
       (same_size(scale.sym_size(0), x.sym_size(0)) && same_size(scale.sym_size(1), 1)));
  TORCH_CHECK(fits, "[", op, "] the scale must be float32 of shape [1, 1], [", x.sym_size(0),
              ", 1] or [1, ", x.sym_size(1), "], got ", describe(scale));
}

void check_scaled_mm(const at::Tensor& a, const at::Tensor& b, const at::Tensor& scale_inv_a,
                     const at::Tensor& scale_inv_b, const std::optional<at::Tensor>& bias,
                     at::ScalarType out_dtype) {
  check_fp8("scaled_mm", "a", a);
  check_fp8("scaled_mm", "b", b);
  check_result_dtype("scaled_mm", out_dtype);
  for (const at::Tensor& other : {b, scale_inv_a, scale_inv_b}) {
    TORCH_CHECK(other.device() == a.device(),
                "[scaled_mm] all operands must be on one device, got ", describe(a), " and ",
                describe(other));
  }
  const c10::SymInt& k = a.sym_size(1);
  TORCH_CHECK(same_size(k, b.sym_size(1)),
              "[scaled_mm] a and b must have the same K, got A=", a.sym_sizes(),
              ", B=", b.sym_sizes(), "; b is [N, K], not [K, N]");
  TORCH_CHECK(same_size(k % kInnerAlignment, 0), "[scaled_mm] K must be a multiple of ",
              kInnerAlignment, ", got A=", a.sym_sizes(), ", B=", b.sym_sizes(), "; pad K to ",
              padded(k));
  TORCH_CHECK(
      a.scalar_type() != at::kFloat8_e5m2 || b.scalar_type() != at::kFloat8_e5m2,
      "[scaled_mm] at most one operand may be float8_e5m2, got both; no tensor core multiplies "
      "E5M2 by E5M2");
  check_operand_scale("scale_inv_a", scale_inv_a, a);
  check_operand_scale("scale_inv_b", scale_inv_b, b);
  if (bias.has_value()) {
    TORCH_CHECK(bias->dim() == 1 && same_size(bias->sym_size(0), b.sym_size(0)) &&
                    bias->scalar_type() == out_dtype && bias->device() == a.device(),
                "[scaled_mm] bias must be [", b.sym_size(0), "] ", out_dtype, " on ", a.device(),
                ", got ", describe(*bias));
  }
}

void check_scaled_mm_add(const at::Tensor& accumulator, const at::Tensor& a, const at::Tensor& b,
                         const at::Tensor& scale_inv_a, const at::Tensor& scale_inv_b) {
  check_scaled_mm(a, b, scale_inv_a, scale_inv_b, std::nullopt, at::kFloat);
  TORCH_CHECK(accumulator.dim() == 2 && accumulator.scalar_type() == at::kFloat &&
                  same_size(accumulator.sym_size(0), a.sym_size(0)) &&
                  same_size(accumulator.sym_size(1), b.sym_size(0)) &&
                  accumulator.device() == a.device(),
              "[scaled_mm_add_] accumulator must be [", a.sym_size(0), ", ", b.sym_size(0),
              "] float32 on ", a.device(), ", got ", describe(accumulator));
}

}  // namespace ops
}  // namespace float8
