// Every operator of the library on one page. The implementations are next door, one folder for
// each dispatch key: cpu, cuda, meta, autograd.
//
// An `int[2]` block names the values that share one scale: [rows, columns], 0 for the whole extent.
// [0, 0] is one scale for the tensor, [1, 0] one for each row, [0, 1] one for each column. A scale
// is float32 and has one value for each block: [1, 1], [M, 1] or [1, K].
// `scale` multiplies before a cast; `scale_inv`, its reciprocal, is what a GEMM takes.
// FP8 data is contiguous and padded with zeros along its last dimension to a multiple of 16.

#include <torch/library.h>

TORCH_LIBRARY(float8, m) {
  const std::vector<at::Tag> tags = {at::Tag::pt2_compliant_tag};

  // max|x| of each block, in x's dtype; NaN wins. x: [M, K].
  m.def("amax(Tensor x, int[2] block) -> Tensor", tags);

  // Scales for the cast to `dtype` (float8_e4m3fn or float8_e5m2) from what amax returned.
  m.def("amax_to_scale(Tensor amax, ScalarType dtype, bool power_of_two=False) -> Tensor", tags);

  // x: [M, K] times a given scale, cast: [M, pad16(K)], transposed [K, pad16(M)].
  m.def("cast(Tensor x, Tensor scale, ScalarType dtype, bool transpose=False) -> Tensor", tags);

  // amax, amax_to_scale and cast in one. The block is that of the result: with transpose, [1, 0] is
  // one scale for each column of x. `after` changes nothing in the result: in a traced graph it
  // keeps this call behind the one that made it, and so out of the forward pass. `amax`, where the
  // block is the tensor, is what amax would return, made before: a traced graph has it as
  // operations of its own, which a compiler fuses into those that make x.
  m.def(
      "quantize(Tensor x, ScalarType dtype, int[2] block, bool power_of_two=False, "
      "bool transpose=False, Tensor? after=None, Tensor? amax=None) "
      "-> (Tensor data, Tensor scale_inv)",
      tags);

  // Both layouts of one tensor for the fewest bytes: x as it is, and x transposed.
  m.def(
      "quantize_pair(Tensor x, ScalarType dtype, int[2] block, int[2] block_t, "
      "bool power_of_two=False, Tensor? amax=None) "
      "-> (Tensor data, Tensor scale_inv, Tensor data_t, Tensor scale_inv_t)",
      tags);

  // FP8 data [M, K] as [K, pad16(M)], for a tensor whose scale does not depend on the layout.
  m.def("transpose(Tensor data) -> Tensor", tags);

  // data * scale_inv, rounded once to `dtype`.
  m.def("dequantize(Tensor data, Tensor scale_inv, ScalarType dtype) -> Tensor", tags);

  // What the cast of x [M, K] with a scale loses, float64 [4]: how many values the clamp decides,
  // how many become zero and were not, the sum of x^2, the sum of (dequantized - x)^2.
  m.def("cast_error(Tensor x, Tensor scale, ScalarType dtype) -> Tensor", tags);

  // x's amax [1, 1], and cast_error of at most `sample_rows` of its rows, evenly spaced, with the
  // scales that a cast of all of x gives them: one for each row, or one for the tensor.
  m.def(
      "cast_health(Tensor x, ScalarType dtype, bool rowwise, bool power_of_two, int sample_rows) "
      "-> (Tensor amax, Tensor errors)",
      tags);

  // D[M, N] = a[M, K] b[N, K]^T * scale_inv_a[M or 1, 1] * scale_inv_b[N or 1, 1]^T, accumulated in
  // float32 and rounded to out_dtype; then + bias[N] of that dtype. `emulate` multiplies in float32
  // where the hardware has no FP8.
  m.def(
      "scaled_mm(Tensor a, Tensor b, Tensor scale_inv_a, Tensor scale_inv_b, Tensor? bias=None, *, "
      "ScalarType out_dtype, bool use_fast_accum=False, bool emulate=False) -> Tensor",
      tags);

  // accumulator[M, N] += a b^T * scales, in float32: a weight gradient into a main_grad.
  m.def(
      "scaled_mm_add_(Tensor(a!) accumulator, Tensor a, Tensor b, Tensor scale_inv_a, "
      "Tensor scale_inv_b, *, bool use_fast_accum=False, bool emulate=False) -> ()",
      tags);

  // input [..., K] weight[N, K]^T + bias[N], differentiable. For each of the three GEMMs D = A B^T
  // a list of the two operands' blocks [a_rows, a_inner, b_rows, b_inner], in the layout in which
  // that GEMM reads them; an empty list leaves the GEMM in high precision. The backward pass adds
  // the weight's gradient to main_grad[N, K] float32, if given, and then autograd gets none.
  m.def(
      "linear(Tensor input, Tensor weight, Tensor? bias, "
      "ScalarType input_dtype, ScalarType weight_dtype, ScalarType grad_output_dtype, "
      "int[] output_blocks, int[] grad_input_blocks, int[] grad_weight_blocks, "
      "bool output_fast_accum, bool grad_input_fast_accum, bool grad_weight_fast_accum, "
      "bool power_of_two, bool recompute_weight, bool emulate, Tensor? main_grad=None) -> Tensor",
      tags);

  // While a weight is in the cache, linear takes its FP8 copies from one call to the next until the
  // weight changes. Adding counts: it is removed as often. float8/cached_weights.h has the rules.
  m.def("cache_weights(Tensor[] weights) -> ()");
  m.def("release_weights(Tensor[] weights) -> ()");
  m.def("invalidate_cached_weights() -> ()");
}
