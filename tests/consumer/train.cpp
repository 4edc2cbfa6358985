// Trains a small model with float8::Linear, configured by a YAML file: train CONFIG.yaml
#include <float8/float8.h>
#include <torch/nn.h>
#include <torch/optim.h>

#include <iostream>

namespace {

struct Net : torch::nn::Module {
  Net() : hidden(register_module("hidden", float8::Linear(32, 64))), head(register_module("head", float8::Linear(64, 16))) {}
  torch::Tensor forward(const torch::Tensor& x) { return head(torch::relu(hidden(x))); }

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
  std::cout << float8::convert_to_float8_training(net, float8::load_config(argv[1]).fp8).to_string() << '\n';

  const torch::Tensor x = torch::randn({128, 32});
  const torch::Tensor y = x.matmul(torch::randn({32, 16}));
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
  return net.head->is_float8() && last < first / 4 ? 0 : 1;
}
