// One layer called many times, for an instruction counter: `float8_host_path SUBJECT CALLS`.
//
// The layer's CUDA path runs with kernels and GEMMs that do nothing (tests/host_cuda), so that what
// is left is what the host does for a call: dispatch, autograd, allocations, launches' arguments.
// Allocations are those of torch's CPU allocator. host_instructions.py counts inside measured().

#include <torch/torch.h>

#include <cstdlib>
#include <functional>
#include <iostream>
#include <map>

#include "float8/float8.h"
#include "tests/cpp/ops/host_cuda.h"
#include "tests/host_cuda/cublas_lt_double.h"
#include "tests/host_cuda/engine.h"

namespace {

constexpr std::int64_t kSize = 16;

using Call = std::function<void()>;

// Where counting starts and stops.
extern "C" __attribute__((noinline)) void measured(const Call& call, std::int64_t calls) {
  for (std::int64_t i = 0; i < calls; ++i) {
    call();
  }
}

Call forward(const std::function<at::Tensor(const at::Tensor&)>& layer, const at::Tensor& x) {
  return [=] { layer(x); };
}

Call forward_backward(const std::function<at::Tensor(const at::Tensor&)>& layer,
                      const at::Tensor& x, const at::Tensor& weight, const at::Tensor& gradient) {
  return [=] { torch::autograd::grad({layer(x)}, {x, weight}, {gradient}); };
}

std::map<std::string, Call> subjects() {
  const auto options = at::dtype(at::kBFloat16);
  const at::Tensor x = at::randn({kSize, kSize}, options).requires_grad_();
  const at::Tensor weight = at::randn({kSize, kSize}, options).requires_grad_();
  const at::Tensor gradient = at::randn({kSize, kSize}, options);
  std::map<std::string, Call> calls;
  // A layer in bfloat16, on a device that has no kernels either.
  const at::Tensor meta_x = x.detach().to(at::kMeta).requires_grad_();
  const at::Tensor meta_weight = weight.detach().to(at::kMeta).requires_grad_();
  const at::Tensor meta_gradient = gradient.to(at::kMeta);
  const auto plain = [=](const at::Tensor& input) { return at::linear(input, meta_weight); };
  calls["linear.forward"] = forward(plain, meta_x);
  calls["linear.forward_backward"] = forward_backward(plain, meta_x, meta_weight, meta_gradient);
  for (const std::string name : {"tensorwise", "rowwise", "rowwise_with_gw_hp"}) {
    float8::Float8LinearConfig config = float8::Float8LinearConfig::from_recipe_name(name);
    config.emulate =
        true;  // the tensors are the CPU's; HostCuda takes the FP8 product all the same
    const float8::LinearRecipe recipe = float8::make_recipe(config);
    const auto layer = [=](const at::Tensor& input) {
      return float8::linear(input, weight, std::nullopt, recipe);
    };
    calls[name + ".forward"] = forward(layer, x);
    calls[name + ".forward_backward"] = forward_backward(layer, x, weight, gradient);
  }
  return calls;
}

}  // namespace

int main(int argc, char** argv) {
  const std::map<std::string, Call> known = subjects();
  const auto subject = known.find(argc == 3 ? argv[1] : "");
  if (subject == known.end()) {
    std::cerr << "usage: float8_host_path SUBJECT CALLS; subjects:";
    for (const auto& [name, call] : known) {
      std::cerr << " " << name;
    }
    std::cerr << "\n";
    return 2;
  }
  at::set_num_threads(1);
  const float8::testing::HostCuda device(90, float8::testing::HostProduct::kFp8);
  float8::host_cuda::settings().skip_work = true;
  float8::host_cuda::cublas_lt().computes = false;
  constexpr int kWarmup = 5;  // makes the plans
  for (int i = 0; i < kWarmup; ++i) {
    subject->second();
  }
  measured(subject->second, std::strtoll(argv[2], nullptr, 10));
}
