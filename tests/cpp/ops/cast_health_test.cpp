#include "float8/ops.h"
#include "tests/cpp/ops/backend.h"

namespace float8::testing {
namespace {

class CastHealth : public OnBackend {};

std::tuple<at::Tensor, at::Tensor> cast_health(const at::Tensor& x, at::ScalarType dtype,
                                               bool rowwise, bool power_of_two,
                                               std::int64_t sample_rows) {
  static const auto op = c10::Dispatcher::singleton()
                             .findSchemaOrThrow("float8::cast_health", "")
                             .typed<std::remove_pointer_t<decltype(&cast_health)>>();
  return op.call(x, dtype, rowwise, power_of_two, sample_rows);
}

TEST_P(CastHealth, IsTheAmaxOfAllAndTheErrorOfEvenlySpacedRows) {
  for (const bool rowwise : {false, true}) {
    for (const bool power_of_two : {false, true}) {
      for (const std::int64_t m : {1, 6, 7, 40}) {
        SCOPED_TRACE(::testing::Message() << m << " rows, rowwise " << rowwise);
        const at::Tensor x = random({m, 33}, at::kBFloat16);
        const auto [largest, errors] =
            cast_health(x, at::kFloat8_e4m3fn, rowwise, power_of_two, /*sample_rows=*/3);
        EXPECT_TRUE(at::equal(largest, float8::amax(x)));
        const at::Tensor scale = amax_to_scale(float8::amax(x, rowwise ? kRowBlock : kTensorBlock),
                                               at::kFloat8_e4m3fn, power_of_two);
        at::Tensor expected = at::zeros({4}, at::kDouble);
        for (std::int64_t row = 0; row < m; row += (m + 2) / 3) {
          const at::Tensor own = rowwise ? scale.slice(0, row, row + 1) : scale;
          expected += cast_error(x.slice(0, row, row + 1), own, at::kFloat8_e4m3fn).cpu();
        }
        EXPECT_TRUE(at::allclose(errors.cpu(), expected, 1e-12, 0.0)) << errors << expected;
      }
    }
  }
}

TEST_P(CastHealth, OfNothingIsZero) {
  const auto [largest, errors] = cast_health(random({0, 5}), at::kFloat8_e4m3fn, true, false, 3);
  EXPECT_EQ(largest.item<double>(), 0);
  EXPECT_TRUE(at::equal(errors.cpu(), at::zeros({4}, at::kDouble)));
}

TEST_P(CastHealth, NoSampleIsAnError) {
  EXPECT_THROW(cast_health(random({2, 5}), at::kFloat8_e4m3fn, false, false, 0), c10::Error);
}

FLOAT8_ON_EVERY_BACKEND(CastHealth);

}  // namespace
}  // namespace float8::testing
