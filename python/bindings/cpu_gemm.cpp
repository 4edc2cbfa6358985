#include "float8/cpu_gemm.h"

#include "bindings.h"

namespace py = pybind11;

namespace float8::python {
namespace {

constexpr const char* kFloat32 = "float32";
constexpr const char* kTensorCore = "tensor_core";

void set(const std::string& name) {
  if (name != kFloat32 && name != kTensorCore) {
    throw py::value_error("[set_cpu_gemm] name must be \"float32\" or \"tensor_core\", got \"" +
                          name + "\"");
  }
  set_cpu_gemm(name == kFloat32 ? CpuGemm::kFloat32 : CpuGemm::kTensorCore);
}

}  // namespace

void bind_cpu_gemm(py::module_& module) {
  module.def(
      "set_cpu_gemm", &set, py::arg("name"),
      "Chooses how the CPU sums FP8 products, in the whole process, for debugging.\n\n"
      "\"float32\" is the default. \"tensor_core\" sums as Hopper's tensor cores do, slowly: "
      "the terms are\ncut to 13 fractional bits. include/float8/cpu_gemm.h has the rules.");
  module.def(
      "cpu_gemm", [] { return cpu_gemm() == CpuGemm::kFloat32 ? kFloat32 : kTensorCore; },
      "What set_cpu_gemm chose last.");
}

}  // namespace float8::python
