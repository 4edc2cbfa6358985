// The Meta kernels promise what the CPU's return: shapes, dtypes and strides.

#include "tests/cpp/ops/linear_fixture.h"

namespace float8::testing {
namespace {

constexpr at::ScalarType kE4M3 = at::kFloat8_e4m3fn;

void expect_alike(const std::vector<at::Tensor>& meta, const std::vector<at::Tensor>& cpu) {
  ASSERT_EQ(meta.size(), cpu.size());
  for (std::size_t i = 0; i < meta.size(); ++i) {
    EXPECT_TRUE(meta[i].is_meta()) << i;
    EXPECT_EQ(meta[i].sizes(), cpu[i].sizes()) << i;
    EXPECT_EQ(meta[i].strides(), cpu[i].strides()) << i;
    EXPECT_EQ(meta[i].scalar_type(), cpu[i].scalar_type()) << i;
  }
}

template <class... Tensors>
std::vector<at::Tensor> listed(const std::tuple<Tensors...>& tensors) {
  return std::apply([](const auto&... each) { return std::vector<at::Tensor>{each...}; }, tensors);
}

std::vector<at::Tensor> leaves_of(const at::Tensor& x, const at::Tensor& scale,
                                  const at::Tensor& row_scale) {
  std::vector<at::Tensor> all = {float8::amax(x, kTensorBlock),
                                 float8::amax(x, kRowBlock),
                                 float8::amax(x, kColumnBlock),
                                 amax_to_scale(x, kE4M3),
                                 cast(x, scale, kE4M3),
                                 cast(x, scale, at::kFloat8_e5m2, /*transpose=*/true),
                                 dequantize(x.to(kE4M3), scale, at::kHalf),
                                 float8::transpose(x.to(kE4M3)),
                                 cast_error(x, scale, kE4M3)};
  const auto add = [&all](const std::vector<at::Tensor>& more) {
    all.insert(all.end(), more.begin(), more.end());
  };
  for (const Block block : {kTensorBlock, kRowBlock}) {
    for (const bool transpose : {false, true}) {
      add(listed(quantize(x, kE4M3, block, false, transpose)));
    }
    add(listed(quantize_pair(x, at::kFloat8_e5m2, block, kTensorBlock)));
    add(listed(quantize_pair(x, at::kFloat8_e5m2, block, kRowBlock)));
  }
  const at::Tensor data = std::get<0>(quantize(x, kE4M3));
  all.push_back(scaled_mm(data, data, row_scale, scale, std::nullopt, at::kBFloat16));
  return all;
}

TEST(Meta, LeavesHaveTheCpusShapes) {
  for (const auto& [m, k] : {std::pair{0, 16}, {16, 0}, {1, 1}, {7, 33}, {64, 128}, {33, 7}}) {
    for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16, at::kHalf}) {
      SCOPED_TRACE(::testing::Message() << m << " x " << k << " " << dtype);
      const at::Tensor x = at::rand({m, k}).to(dtype);
      const at::Tensor scale = at::ones({1, 1});
      const at::Tensor rows = at::ones({m, 1});
      expect_alike(leaves_of(x.to(at::kMeta), scale.to(at::kMeta), rows.to(at::kMeta)),
                   leaves_of(x, scale, rows));
    }
  }
}

TEST(Meta, StridedInputsGiveContiguousResults) {
  const at::Tensor x = at::rand({40, 24}).t();
  expect_alike(
      leaves_of(x.to(at::kMeta), at::ones({1, 1}, at::kMeta), at::ones({24, 1}, at::kMeta)),
      leaves_of(x, at::ones({1, 1}), at::ones({24, 1})));
}

TEST(Meta, LinearHasTheCpusShapesForwardAndBackward) {
  const auto run = [](at::Device device, const std::vector<std::int64_t>& sizes,
                      const LinearRecipe& recipe) {
    const auto options = at::TensorOptions().device(device).dtype(at::kBFloat16);
    const at::Tensor x = at::ones(sizes, options).requires_grad_();
    const at::Tensor w = at::ones({16, 32}, options).requires_grad_();
    const at::Tensor b = at::ones({16}, options).requires_grad_();
    const at::Tensor output = linear(x, w, b, recipe);
    const auto grads = torch::autograd::grad({output}, {x, w, b}, {at::ones_like(output)});
    return std::vector<at::Tensor>{output.detach(), grads[0], grads[1], grads[2]};
  };
  for (const std::string& name : recipe_names()) {
    for (const std::vector<std::int64_t>& sizes :
         {std::vector<std::int64_t>{32}, {0, 32}, {1, 32}, {7, 32}, {2, 3, 32}}) {
      SCOPED_TRACE(::testing::Message() << name << " " << sizes);
      expect_alike(run(at::kMeta, sizes, recipe_named(name)),
                   run(at::kCPU, sizes, recipe_named(name)));
    }
  }
}

TEST(Meta, MoreThanTwoToThe31Elements) {
  constexpr std::int64_t kTokens = (std::int64_t{1} << 31) + 7;
  constexpr std::int64_t kPadded = (std::int64_t{1} << 31) + 16;
  const at::Tensor x = at::empty({kTokens, 16}, at::TensorOptions(at::kMeta).dtype(at::kBFloat16));
  const auto [data, scale_inv, data_t, scale_inv_t] = quantize_pair(x, kE4M3, kRowBlock, kRowBlock);
  EXPECT_EQ(data.sizes(), (std::vector<std::int64_t>{kTokens, 16}));
  EXPECT_EQ(scale_inv.sizes(), (std::vector<std::int64_t>{kTokens, 1}));
  EXPECT_EQ(data_t.sizes(), (std::vector<std::int64_t>{16, kPadded}));
  EXPECT_EQ(float8::transpose(data).sizes(), data_t.sizes());
  EXPECT_EQ(scaled_mm(data_t, data_t, scale_inv_t, scale_inv_t, std::nullopt, at::kFloat).sizes(),
            (std::vector<std::int64_t>{16, 16}));
  const at::Tensor weight = at::empty({32, 16}, x.options()).requires_grad_();
  const at::Tensor output = linear(x, weight, std::nullopt, recipe_named("tensorwise"));
  EXPECT_EQ(output.sizes(), (std::vector<std::int64_t>{kTokens, 32}));
  const auto grads = torch::autograd::grad({output}, {weight}, {at::empty_like(output)});
  EXPECT_EQ(grads[0].sizes(), weight.sizes());
}

}  // namespace
}  // namespace float8::testing
