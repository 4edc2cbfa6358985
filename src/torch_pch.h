// Precompiled for the sources that use torch: what nearly all of them include. Sources still
// include what they use.
#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>
#include <torch/nn/module.h>
