// Trains a small model with float8::Linear, configured by a YAML file: train CONFIG.yaml
#include <float8/float8.h>
#include <torch/nn.h>
#include <torch/optim.h>

#include <iostream>

namespace {

struct Net : torch::nn::Module {
  Net()
      : stem(register_module("stem", float8::Linear(32, 32))),
        hidden(register_module("hidden", float8::Linear(32, 64))),
        head(register_module("head", float8::Linear(64, 16))) {}
  torch::Tensor forward(const torch::Tensor& x) { return head(torch::relu(hidden(stem(x)))); }

  float8::Linear stem;  // the file's filter_fqns leaves it in high precision
  float8::Linear hidden;
  float8::Linear head;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: train CONFIG.yaml\n";
    return 2;
  }
  torch::manual_seed(0);
  Net net;
  const torch::Tensor x = torch::randn({128, 32});
  const torch::Tensor y = x.matmul(torch::randn({32, 16}));
  const torch::Tensor high_precision = net.forward(x).detach();
  const float8::ConversionReport report =
      float8::convert_to_float8_training(net, float8::load_config(argv[1]).fp8);
  std::cout << report.to_string() << '\n';
  const bool converted = report.converted() == 2 && report.total() == 3 && !net.stem->is_float8() &&
                         net.hidden->is_float8() && net.head->is_float8() &&
                         !torch::equal(net.forward(x), high_precision);

  torch::optim::AdamW optimizer(net.parameters(), torch::optim::AdamWOptions(1e-2));
  float first = 0;
  float last = 0;
  for (int step = 0; step < 50; ++step) {
    const torch::Tensor loss = torch::mse_loss(net.forward(x), y);
    last = loss.item<float>();
    first = step == 0 ? last : first;
    optimizer.zero_grad();
    loss.backward();
    optimizer.step();
  }
  std::cout << "loss " << first << " -> " << last << '\n';
  return converted && last < first / 4 ? 0 : 1;
}
