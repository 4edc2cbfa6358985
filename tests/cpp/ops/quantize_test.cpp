#include "float8/ops.h"
#include "tests/cpp/ops/backend.h"
#include "tests/cpp/ops/reference.h"

namespace float8::testing {
namespace {

constexpr at::ScalarType kDtypes[] = {at::kFloat, at::kBFloat16, at::kHalf};
constexpr at::ScalarType kFp8[] = {at::kFloat8_e4m3fn, at::kFloat8_e5m2};
constexpr Block kBlocks[] = {kTensorBlock, kRowBlock};

// Empty, single, odd, beyond one tile of the CPU's cast (64 x 256), and whole ones.
constexpr std::pair<int, int> kShapes[] = {{0, 16}, {16, 0},   {1, 1},    {1, 300},   {300, 1},
                                           {7, 33}, {64, 256}, {65, 257}, {128, 512}, {130, 48}};

class Quantize : public OnBackend {};

TEST_P(Quantize, IsTheReferenceBitForBit) {
  for (const auto& [m, k] : kShapes) {
    const at::Tensor values = random({m, k});
    for (const at::ScalarType dtype : kDtypes) {
      const at::Tensor x = values.to(dtype);
      for (const at::ScalarType fp8 : kFp8) {
        for (const Block block : kBlocks) {
          for (const int flags : {0, 1, 2, 3}) {
            const bool power_of_two = (flags & 1) != 0;
            const bool transpose = (flags & 2) != 0;
            SCOPED_TRACE(::testing::Message() << m << " x " << k << " " << dtype << " " << fp8
                                              << " " << block[0] << " flags " << flags);
            const auto [data, scale_inv] = quantize(x, fp8, block, power_of_two, transpose);
            const ReferenceCopy want =
                reference_quantize(x, format_of(fp8), block, power_of_two, transpose);
            ASSERT_EQ(data.scalar_type(), fp8);
            ASSERT_TRUE(data.is_contiguous() && scale_inv.is_contiguous());
            ASSERT_TRUE(at::equal(codes_of(data), want.codes));  // the padding's zeros too
            ASSERT_TRUE(same_bits(scale_inv.cpu(), want.scale_inv));
          }
        }
      }
    }
  }
}

TEST_P(Quantize, PairIsTwoCalls) {
  for (const auto& [m, k] : kShapes) {
    const at::Tensor x = random({m, k}, at::kBFloat16);
    for (const at::ScalarType fp8 : kFp8) {
      for (const int flags : {0, 1, 2, 3, 4, 5, 6, 7}) {
        const Block block = kBlocks[flags & 1];
        const Block block_t = kBlocks[(flags >> 1) & 1];
        const bool power_of_two = (flags & 4) != 0;
        SCOPED_TRACE(::testing::Message() << m << " x " << k << " " << fp8 << " flags " << flags);
        const auto [data, scale_inv, data_t, scale_inv_t] =
            quantize_pair(x, fp8, block, block_t, power_of_two);
        const auto [one, one_inv] = quantize(x, fp8, block, power_of_two);
        const auto [two, two_inv] = quantize(x, fp8, block_t, power_of_two, /*transpose=*/true);
        EXPECT_TRUE(at::equal(codes_of(data), codes_of(one)));
        EXPECT_TRUE(at::equal(scale_inv, one_inv));
        EXPECT_TRUE(at::equal(codes_of(data_t), codes_of(two)));
        EXPECT_TRUE(at::equal(scale_inv_t, two_inv));
        EXPECT_FALSE(scale_inv.is_alias_of(scale_inv_t));
      }
    }
  }
}

TEST_P(Quantize, IsAmaxThenScaleThenCast) {
  const at::Tensor x = random({33, 70});
  const at::Tensor rows = amax_to_scale(float8::amax(x, kRowBlock), at::kFloat8_e4m3fn);
  EXPECT_TRUE(at::equal(codes_of(cast(x, rows, at::kFloat8_e4m3fn)),
                        codes_of(std::get<0>(quantize(x, at::kFloat8_e4m3fn, kRowBlock)))));
  const at::Tensor columns = amax_to_scale(float8::amax(x, kColumnBlock), at::kFloat8_e4m3fn);
  EXPECT_TRUE(at::equal(codes_of(cast(x, columns, at::kFloat8_e4m3fn, /*transpose=*/true)),
                        codes_of(std::get<0>(quantize(x, at::kFloat8_e4m3fn, kRowBlock, false,
                                                      /*transpose=*/true)))));
}

// The scale of the tensor for both layouts, from an amax that was made before.
TEST_P(Quantize, AKnownAmaxChangesNoBit) {
  for (const auto& [m, k] : kShapes) {
    const at::Tensor values = random({m, k});
    for (const at::ScalarType dtype : kDtypes) {
      const at::Tensor x = values.to(dtype);
      const at::Tensor known = float8::amax(x);
      for (const at::ScalarType fp8 : kFp8) {
        for (const bool power_of_two : {false, true}) {
          SCOPED_TRACE(::testing::Message() << m << " x " << k << " " << dtype << " " << fp8);
          for (const bool transpose : {false, true}) {
            const auto want = quantize(x, fp8, kTensorBlock, power_of_two, transpose);
            const auto got =
                quantize(x, fp8, kTensorBlock, power_of_two, transpose, std::nullopt, known);
            ASSERT_TRUE(at::equal(codes_of(std::get<0>(got)), codes_of(std::get<0>(want))));
            ASSERT_TRUE(same_bits(std::get<1>(got), std::get<1>(want)));
          }
          const auto [data, scale_inv, data_t, scale_inv_t] =
              quantize_pair(x, fp8, kTensorBlock, kTensorBlock, power_of_two);
          const auto [got, got_inv, got_t, got_inv_t] =
              quantize_pair(x, fp8, kTensorBlock, kTensorBlock, power_of_two, known);
          ASSERT_TRUE(at::equal(codes_of(got), codes_of(data)));
          ASSERT_TRUE(at::equal(codes_of(got_t), codes_of(data_t)));
          ASSERT_TRUE(same_bits(got_inv, scale_inv) && same_bits(got_inv_t, scale_inv_t));
          EXPECT_FALSE(got_inv.is_alias_of(known) || got_inv.is_alias_of(got_inv_t));
        }
      }
    }
  }
}

TEST_P(Quantize, AKnownAmaxThatIsNotFiniteStaysSo) {
  for (const double bad : {std::numeric_limits<double>::infinity(), std::nan("")}) {
    for (const at::ScalarType dtype : kDtypes) {
      at::Tensor x = random({4, 20}, dtype);
      x[2][7] = -bad;
      const auto [data, scale_inv, data_t, scale_inv_t] = quantize_pair(x, at::kFloat8_e4m3fn);
      const auto [got, got_inv, got_t, got_inv_t] =
          quantize_pair(x, at::kFloat8_e4m3fn, kTensorBlock, kTensorBlock, false, float8::amax(x));
      EXPECT_TRUE(at::equal(codes_of(got), codes_of(data))) << bad;
      EXPECT_TRUE(at::equal(codes_of(got_t), codes_of(data_t))) << bad;
      EXPECT_TRUE(same_bits(got_inv, scale_inv) && same_bits(got_inv_t, scale_inv_t)) << bad;
    }
  }
}

// Shards of one tensor share the largest of their maxima.
TEST_P(Quantize, ALargerKnownAmaxGivesItsScale) {
  const at::Tensor whole = random({40, 48}, at::kBFloat16);
  const at::Tensor known = float8::amax(whole);
  const auto [data, scale_inv] = quantize(whole, at::kFloat8_e4m3fn);
  for (const int first : {0, 16}) {
    const auto [shard, shard_inv] = quantize(whole.narrow(0, first, 24), at::kFloat8_e4m3fn,
                                             kTensorBlock, false, false, std::nullopt, known);
    EXPECT_TRUE(at::equal(codes_of(shard), codes_of(data.narrow(0, first, 24))));
    EXPECT_TRUE(same_bits(shard_inv, scale_inv));
  }
}

TEST_P(Quantize, ReadsAnyStrides) {
  const at::Tensor x = random({70, 90});
  for (const at::Tensor& view : {x.t(), x.slice(1, 5, 90, 3), x.slice(0, 0, 1).expand({8, 90})}) {
    for (const bool transpose : {false, true}) {
      const auto got = quantize(view, at::kFloat8_e4m3fn, kRowBlock, false, transpose);
      const auto want =
          quantize(view.contiguous(), at::kFloat8_e4m3fn, kRowBlock, false, transpose);
      EXPECT_TRUE(at::equal(codes_of(std::get<0>(got)), codes_of(std::get<0>(want))));
      EXPECT_TRUE(at::equal(std::get<1>(got), std::get<1>(want)));
    }
  }
}

TEST_P(Quantize, AllZeroRowStaysZero) {
  at::Tensor x = random({5, 32});
  x[3].zero_();
  for (const Block block : kBlocks) {
    const auto [data, scale_inv] = quantize(x, at::kFloat8_e4m3fn, block);
    EXPECT_TRUE(at::equal(codes_of(data)[3], at::zeros({32}, at::kByte)));
    EXPECT_TRUE(at::isfinite(scale_inv).all().item<bool>());
    EXPECT_TRUE((dequantize(data, scale_inv, at::kFloat)[3] == 0).all().item<bool>());
  }
}

TEST_P(Quantize, TransposeMovesBytesAndPadsWithZeros) {
  for (const auto& [m, k] : kShapes) {
    const at::Tensor codes = at::randint(1, 127, {m, k}, at::kByte);
    for (const at::ScalarType fp8 : kFp8) {
      const at::Tensor got = float8::transpose(put(codes.view(fp8)));
      const std::int64_t padded = (m + 15) / 16 * 16;
      ASSERT_EQ(got.sizes(), (std::vector<std::int64_t>{k, padded}));
      EXPECT_TRUE(at::equal(codes_of(got), at::constant_pad_nd(codes.t(), {0, padded - m})));
    }
  }
}

TEST_P(Quantize, DequantizeIsTheExactProductRoundedOnce) {
  const at::Tensor codes = at::arange(256, at::kInt).to(at::kByte).view({8, 32});
  for (const at::ScalarType fp8 : kFp8) {
    const at::Tensor data = codes.view(fp8);
    for (const std::vector<std::int64_t>& sizes :
         {std::vector<std::int64_t>{1, 1}, {8, 1}, {1, 32}}) {
      const at::Tensor scale_inv = at::randn(sizes).exp();
      for (const at::ScalarType dtype : kDtypes) {
        // Exact in double: 4 bits times 24. So `to` rounds once.
        const at::Tensor want = (to_double(data) * scale_inv.to(at::kDouble)).to(at::kFloat);
        const at::Tensor got = dequantize(put(data), put(scale_inv), dtype).cpu();
        EXPECT_TRUE(same_bits(got, want.to(dtype))) << fp8 << " " << dtype << " " << sizes;
      }
    }
  }
}

TEST_P(Quantize, IsOffByAtMostHalfAStep) {
  const at::Tensor x = random({40, 64});
  for (const at::ScalarType fp8 : kFp8) {
    const auto [data, scale_inv] = quantize(x, fp8, kRowBlock);
    const at::Tensor back = to_double(dequantize(data, scale_inv, at::kFloat));
    // Half a unit in the last place, or half the smallest step, of a row's largest value.
    const bool e4m3 = fp8 == at::kFloat8_e4m3fn;
    const at::Tensor bound = to_double(x).abs() * (e4m3 ? 0x1p-4 : 0x1p-3) +
                             to_double(scale_inv) * (e4m3 ? 0x1p-10 : 0x1p-17);
    EXPECT_TRUE(((back - to_double(x)).abs() <= bound * 1.0001).all().item<bool>()) << fp8;
  }
}

TEST_P(Quantize, NonFiniteValuesStayNonFiniteAndInTheirBlock) {
  for (const double bad : {std::numeric_limits<double>::infinity(),
                           -std::numeric_limits<double>::infinity(), std::nan("")}) {
    at::Tensor x = random({4, 20});
    const auto [clean, clean_inv] = quantize(x, at::kFloat8_e4m3fn, kRowBlock);
    x[2][7] = bad;
    for (const Block block : kBlocks) {
      const auto [data, scale_inv] = quantize(x, at::kFloat8_e4m3fn, block);
      const at::Tensor back = dequantize(data, scale_inv, at::kFloat).slice(1, 0, 20);
      EXPECT_FALSE(at::isfinite(back[2]).any().item<bool>()) << bad;
      EXPECT_EQ(codes_of(data)[2][7].item<int>(), 0x7F) << bad;
      if (block == kRowBlock) {
        for (const int row : {0, 1, 3}) {
          EXPECT_TRUE(at::equal(codes_of(data)[row], codes_of(clean)[row])) << bad;
          EXPECT_TRUE(at::equal(scale_inv[row], clean_inv[row])) << bad;
        }
      }
    }
  }
}

TEST_P(Quantize, ResultsDoNotAliasTheInput) {
  const at::Tensor data = put(at::ones({16, 16}).to(at::kFloat8_e4m3fn));
  const at::Tensor one = put(at::ones({1, 1}));
  EXPECT_FALSE(float8::transpose(data).is_alias_of(data));
  EXPECT_FALSE(dequantize(data, one, at::kFloat).is_alias_of(data));
  const at::Tensor x = random({16, 16});
  const auto results = quantize(x, at::kFloat8_e4m3fn, kTensorBlock);
  EXPECT_FALSE(std::get<0>(results).is_alias_of(x) || std::get<1>(results).is_alias_of(x));
}

FLOAT8_ON_EVERY_BACKEND(Quantize);

}  // namespace
}  // namespace float8::testing
