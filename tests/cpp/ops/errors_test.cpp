// What bad input gets: `[operator] what is required, got what; what to do`. The CPU and the Meta
// kernels check by themselves, so each error is asked of both.

#include <c10/core/InferenceMode.h>

#include "tests/cpp/ops/linear_fixture.h"

namespace float8::testing {
namespace {

constexpr at::ScalarType kE4M3 = at::kFloat8_e4m3fn;

class Errors : public ::testing::TestWithParam<at::DeviceType> {
 protected:
  static at::Tensor tensor(at::IntArrayRef sizes, at::ScalarType dtype = at::kFloat) {
    return at::zeros(sizes, at::TensorOptions().device(at::kCPU)).to(dtype).to(GetParam());
  }
  static at::Tensor one() { return tensor({1, 1}); }
  static std::string device() { return GetParam() == at::kCPU ? "cpu" : "meta"; }

  // The error of a call, with the device's name in the place of "DEVICE".
  template <class Call>
  static void expect_error(std::string want, Call call) {
    for (std::size_t at = want.find("DEVICE"); at != std::string::npos; at = want.find("DEVICE")) {
      want.replace(at, 6, device());
    }
    EXPECT_EQ(error_of(call), want);
  }

  static at::Tensor mm(const at::Tensor& a, const at::Tensor& b,
                       at::ScalarType dtype = at::kFloat) {
    return scaled_mm(a, b, one(), one(), std::nullopt, dtype, false, true);
  }
};

TEST_P(Errors, Quantize) {
  expect_error(
      "[quantize] x must have 2 dimensions, got [4, 5, 6] Float on DEVICE; flatten the leading "
      "ones",
      [] {
        quantize(tensor({4, 5, 6}), kE4M3);
      });
  expect_error(
      "[quantize] x must be float32, bfloat16 or float16, got [4, 5] Int on DEVICE; convert it "
      "first",
      [] {
        quantize(tensor({4, 5}, at::kInt), kE4M3);
      });
  expect_error("[quantize] dtype must be float8_e4m3fn or float8_e5m2, got Half", [] {
    quantize(tensor({4, 5}), at::kHalf);
  });
  expect_error("[quantize] block must be one of [0, 0], [1, 0] (0: the whole extent), got [1, 128]",
               [] {
                 quantize(tensor({4, 5}), kE4M3, {1, 128});
               });
  expect_error(
      "[quantize_pair] block must be one of [0, 0], [1, 0] (0: the whole extent), got [0, 1]", [] {
        quantize_pair(tensor({4, 5}), kE4M3, kTensorBlock, kColumnBlock);
      });
  expect_error(
      "[quantize_pair] x must be float32, bfloat16 or float16, got [4, 5] Double on DEVICE; "
      "convert it first",
      [] {
        quantize_pair(tensor({4, 5}, at::kDouble), kE4M3);
      });
}

TEST_P(Errors, KnownAmax) {
  const auto quantized = [](const at::Tensor& amax, Block block) {
    quantize(tensor({4, 5}), kE4M3, block, false, false, std::nullopt, amax);
  };
  expect_error("[quantize] amax must be [1, 1] Float on DEVICE, got [1, 1] Half on DEVICE", [&] {
    quantized(tensor({1, 1}, at::kHalf), kTensorBlock);
  });
  expect_error("[quantize] amax must be [1, 1] Float on DEVICE, got [4, 1] Float on DEVICE", [&] {
    quantized(tensor({4, 1}), kTensorBlock);
  });
  expect_error(
      "[quantize] a known amax goes with block [0, 0] (the whole tensor), got [1, 0]; leave amax "
      "out",
      [&] { quantized(one(), kRowBlock); });
  expect_error(
      "[quantize_pair] a known amax goes with block [0, 0] (the whole tensor), got [1, 0]; leave "
      "amax out",
      [] {
        quantize_pair(tensor({4, 5}), kE4M3, kTensorBlock, kRowBlock, false, one());
      });
  expect_error("[quantize_pair] amax must be [1, 1] Float on DEVICE, got [1] Float on DEVICE", [] {
    quantize_pair(tensor({4, 5}), kE4M3, kTensorBlock, kTensorBlock, false, tensor({1}));
  });
}

TEST_P(Errors, Amax) {
  expect_error(
      "[amax] block must be one of [0, 0], [1, 0], [0, 1] (0: the whole extent), got [128, 128]",
      [] {
        float8::amax(tensor({4, 5}), {128, 128});
      });
  expect_error("[amax] x must have 2 dimensions, got [4] Float on DEVICE; flatten the leading ones",
               [] { float8::amax(tensor({4})); });
  expect_error(
      "[amax_to_scale] amax must be float32, bfloat16 or float16, got [1, 1] Long on DEVICE", [] {
        amax_to_scale(tensor({1, 1}, at::kLong), kE4M3);
      });
  expect_error("[amax_to_scale] dtype must be float8_e4m3fn or float8_e5m2, got Float",
               [] { amax_to_scale(one(), at::kFloat); });
}

TEST_P(Errors, Cast) {
  expect_error(
      "[cast] the scale must be float32 of shape [1, 1], [4, 1] or [1, 5], got [5, 1] Float on "
      "DEVICE",
      [] {
        cast(tensor({4, 5}), tensor({5, 1}), kE4M3);
      });
  expect_error(
      "[cast] the scale must be float32 of shape [1, 1], [4, 1] or [1, 5], got [1, 1] BFloat16 on "
      "DEVICE",
      [] {
        cast(tensor({4, 5}), tensor({1, 1}, at::kBFloat16), kE4M3);
      });
  expect_error(
      "[dequantize] data must be float8_e4m3fn or float8_e5m2, got [4, 5] Float on DEVICE; "
      "quantize "
      "it first",
      [] {
        dequantize(tensor({4, 5}), one(), at::kFloat);
      });
  expect_error("[dequantize] the result's dtype must be float32, bfloat16 or float16, got Double",
               [] {
                 dequantize(tensor({4, 5}, kE4M3), one(), at::kDouble);
               });
  expect_error(
      "[transpose] data must be float8_e4m3fn or float8_e5m2, got [4, 5] Byte on DEVICE; quantize "
      "it "
      "first",
      [] {
        float8::transpose(tensor({4, 5}, at::kByte));
      });
  expect_error("[transpose] data must have 2 dimensions, got [5] Float8_e4m3fn on DEVICE",
               [] { float8::transpose(tensor({5}, kE4M3)); });
}

TEST_P(Errors, ScaledMm) {
  expect_error("[scaled_mm] K must be a multiple of 16, got A=[32, 40], B=[64, 40]; pad K to 48",
               [] {
                 mm(tensor({32, 40}, kE4M3), tensor({64, 40}, kE4M3));
               });
  expect_error(
      "[scaled_mm] a and b must have the same K, got A=[32, 16], B=[16, 64]; b is [N, K], not [K, "
      "N]",
      [] {
        mm(tensor({32, 16}, kE4M3), tensor({16, 64}, kE4M3));
      });
  expect_error(
      "[scaled_mm] at most one operand may be float8_e5m2, got both; no tensor core multiplies "
      "E5M2 "
      "by E5M2",
      [] {
        mm(tensor({4, 16}, at::kFloat8_e5m2), tensor({4, 16}, at::kFloat8_e5m2));
      });
  expect_error(
      "[scaled_mm] a must be float8_e4m3fn or float8_e5m2, got [4, 16] Float on DEVICE; quantize "
      "it "
      "first",
      [] {
        mm(tensor({4, 16}), tensor({4, 16}, kE4M3));
      });
  expect_error("[scaled_mm] the result's dtype must be float32, bfloat16 or float16, got Int", [] {
    mm(tensor({4, 16}, kE4M3), tensor({4, 16}, kE4M3), at::kInt);
  });
  expect_error(
      "[scaled_mm] scale_inv_b must be float32 of shape [1, 1] or [6, 1], got [1, 6] Float on "
      "DEVICE; "
      "pass the scale_inv that quantize returned",
      [] {
        scaled_mm(tensor({4, 16}, kE4M3), tensor({6, 16}, kE4M3), one(), tensor({1, 6}),
                  std::nullopt, at::kFloat);
      });
  expect_error("[scaled_mm] bias must be [6] BFloat16 on DEVICE, got [6] Float on DEVICE", [] {
    scaled_mm(tensor({4, 16}, kE4M3), tensor({6, 16}, kE4M3), one(), one(), tensor({6}),
              at::kBFloat16);
  });
}

TEST_P(Errors, Linear) {
  const LinearRecipe recipe = recipe_named("tensorwise");
  const auto call = [&recipe](const at::Tensor& input, const at::Tensor& weight,
                              const std::optional<at::Tensor>& bias = std::nullopt) {
    linear(input, weight, bias, recipe);
  };
  expect_error(
      "[linear] input must be float32, bfloat16 or float16 with at least 1 dimension, got [2, 16] "
      "Long on DEVICE; convert it first",
      [&] {
        call(tensor({2, 16}, at::kLong), tensor({16, 16}));
      });
  expect_error(
      "[linear] input must be float32, bfloat16 or float16 with at least 1 dimension, got [] Float "
      "on "
      "DEVICE; convert it first",
      [&] {
        call(tensor({}), tensor({16, 16}));
      });
  expect_error(
      "[linear] input [..., K] and weight [N, K] must have the same K, got input=[2, 3, 16], "
      "weight=[16, 32]",
      [&] {
        call(tensor({2, 3, 16}), tensor({16, 32}));
      });
  expect_error(
      "[linear] weight must be [N, K] of float32, bfloat16 or float16, got [16] Float on DEVICE",
      [&] {
        call(tensor({2, 16}), tensor({16}));
      });
  expect_error("[linear] bias must be [16] on DEVICE, got [8] Float on DEVICE", [&] {
    call(tensor({2, 16}), tensor({16, 16}), tensor({8}));
  });
}

INSTANTIATE_TEST_SUITE_P(Device, Errors, ::testing::Values(at::kCPU, at::kMeta),
                         [](const auto& info) {
                           return std::string(info.param == at::kCPU ? "Cpu" : "Meta");
                         });

TEST(ErrorsOfDevices, MixedDevicesAreNamed) {
  const at::Tensor x = at::zeros({2, 16});
  const at::Tensor meta = at::zeros({16, 16}, at::kMeta);
  EXPECT_EQ(
      error_of([&] { linear(x, meta, std::nullopt, recipe_named("rowwise")); }),
      "[linear] input and weight must be on one device, got [2, 16] Float on cpu and [16, 16] "
      "Float on meta");
}

TEST(ErrorsOfDevices, Fp8OnACpuWithoutEmulateNamesTheWayOut) {
  LinearRecipe recipe = recipe_named("rowwise");
  recipe.emulate = false;
  for (const bool inference : {false, true}) {
    const c10::InferenceMode mode(inference);
    EXPECT_EQ(
        error_of([&] {
          linear(at::zeros({2, 16}), at::zeros({16, 16}), std::nullopt, recipe);
        }),
        "[linear] FP8 needs a GPU of compute capability 8.9 or later, got an input on cpu; set "
        "emulate to run the same casts there (Float8LinearConfig(emulate=True), or `emulate: true` "
        "under fp8 in YAML)");
  }
}

TEST(ErrorsOfDevices, ARecipeThatCannotBeIsRefused) {
  LinearRecipe recipe = recipe_named("rowwise");
  recipe.grad_weight_blocks = {1, 0};
  const auto call = [&recipe] {
    linear(at::zeros({2, 16}), at::zeros({16, 16}), std::nullopt, recipe);
  };
  EXPECT_EQ(error_of(call),
            "[linear] grad_weight_blocks must be empty or [a_rows, a_inner, b_rows, b_inner], got "
            "[1, 0]");
  recipe.grad_weight_blocks = {1, 0, 128, 128};
  EXPECT_EQ(error_of(call),
            "[linear] block must be one of [0, 0], [1, 0] (0: the whole extent), got [128, 128]");
}

}  // namespace
}  // namespace float8::testing
