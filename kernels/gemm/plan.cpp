#include "kernels/gemm/plan.h"

namespace float8::kernels {
namespace {

cudaDataType cuda_type_of(DataType type) {
  switch (type) {
    case DataType::kE4M3:
      return CUDA_R_8F_E4M3;
    case DataType::kE5M2:
      return CUDA_R_8F_E5M2;
    case DataType::kBFloat16:
      return CUDA_R_16BF;
    case DataType::kFloat16:
      return CUDA_R_16F;
    case DataType::kFloat32:
      return CUDA_R_32F;
  }
  return CUDA_R_32F;
}

// Calls one after the other until one fails. Type and size of an attribute are those of the value.
class Calls {
 public:
  BlasStatus result() const { return result_; }

  template <class Function, class... Arguments>
  void call(const char* name, Function function, Arguments... arguments) {
    if (!result_) {
      result_ = {function(arguments...), name};
    }
  }
  template <class Value>
  void set(cublasLtMatmulDescOpaque_t& descriptor, cublasLtMatmulDescAttributes_t attribute,
           Value value) {
    call("cublasLtMatmulDescSetAttribute", cublasLtMatmulDescSetAttribute, &descriptor, attribute,
         static_cast<const void*>(&value), sizeof(value));
  }
  template <class Value>
  void set(cublasLtMatmulPreferenceOpaque_t& preference,
           cublasLtMatmulPreferenceAttributes_t attribute, Value value) {
    call("cublasLtMatmulPreferenceSetAttribute", cublasLtMatmulPreferenceSetAttribute, &preference,
         attribute, &value, sizeof(value));
  }
  void layout(cublasLtMatrixLayoutOpaque_t& layout, DataType type, std::int64_t rows,
              std::int64_t columns) {
    // Row-major [rows, columns] is column-major [columns, rows].
    call("cublasLtMatrixLayoutInit", cublasLtMatrixLayoutInit, &layout, cuda_type_of(type),
         static_cast<std::uint64_t>(columns), static_cast<std::uint64_t>(rows), columns);
  }

 private:
  BlasStatus result_;
};

std::uintptr_t unaligned_bits(std::uint8_t alignment) {
  return (std::uintptr_t{1} << alignment) - 1;
}

void set_pointers(Calls& calls, cublasLtMatmulDescOpaque_t& descriptor, bool bias,
                  const GemmArguments& arguments) {
  calls.set(descriptor, CUBLASLT_MATMUL_DESC_A_SCALE_POINTER, arguments.scale_inv_b);
  calls.set(descriptor, CUBLASLT_MATMUL_DESC_B_SCALE_POINTER, arguments.scale_inv_a);
  if (bias) {
    calls.set(descriptor, CUBLASLT_MATMUL_DESC_BIAS_POINTER, arguments.bias);
  }
}

// cuBLASLt takes descriptors that it only reads as pointers to non-const.
template <class T>
T* read_only(const T& descriptor) {
  return const_cast<T*>(&descriptor);
}

}  // namespace

bool BlasStatus::refused() const {
  return status == CUBLAS_STATUS_NOT_SUPPORTED || status == CUBLAS_STATUS_ARCH_MISMATCH ||
         status == CUBLAS_STATUS_INVALID_VALUE;
}

std::string BlasStatus::message(const GemmProblem& problem) const {
  const std::string got = std::string("got ") + cublasLtGetStatusName(status) + " from " + call +
                          " (version " + std::to_string(cublasLtGetVersion()) + ") for " +
                          describe(problem);
  return refused()
             ? "[scaled_mm] cuBLASLt must support the product, " + got +
                   "; emulate it, or use a version that does"
             : "[scaled_mm] cuBLASLt must succeed, " + got + "; CUBLASLT_LOG_LEVEL=2 tells more";
}

BlasStatus describe_problem(const GemmProblem& problem, GemmPlan& plan) {
  plan.problem = problem;
  plan.beta = problem.accumulate ? 1.0F : 0.0F;
  plan.unaligned_a = unaligned_bits(problem.alignment_a);
  plan.unaligned_b = unaligned_bits(problem.alignment_b);
  plan.unaligned_d = unaligned_bits(problem.alignment_d);
  plan.unaligned_bias = problem.bias ? unaligned_bits(problem.alignment_bias) : 0;

  Calls calls;
  calls.layout(plan.layout_a, problem.a, problem.m, problem.k);
  calls.layout(plan.layout_b, problem.b, problem.n, problem.k);
  calls.layout(plan.layout_d, problem.d, problem.m, problem.n);
  auto& descriptor = plan.descriptor;
  calls.call("cublasLtMatmulDescInit", cublasLtMatmulDescInit, &descriptor, CUBLAS_COMPUTE_32F,
             CUDA_R_32F);
  calls.set(descriptor, CUBLASLT_MATMUL_DESC_TRANSA, std::int32_t{CUBLAS_OP_T});
  calls.set(descriptor, CUBLASLT_MATMUL_DESC_TRANSB, std::int32_t{CUBLAS_OP_N});
  calls.set(descriptor, CUBLASLT_MATMUL_DESC_FAST_ACCUM,
            static_cast<std::int8_t>(problem.fast_accumulation));
  if (problem.scales == ScaleMode::kOuter) {  // the other mode is the default, in any version
    constexpr std::int32_t kOuter = CUBLASLT_MATMUL_MATRIX_SCALE_OUTER_VEC_32F;
    calls.set(descriptor, CUBLASLT_MATMUL_DESC_A_SCALE_MODE, kOuter);
    calls.set(descriptor, CUBLASLT_MATMUL_DESC_B_SCALE_MODE, kOuter);
  }
  if (problem.bias) {
    const DataType type = problem.d == DataType::kFloat32 ? DataType::kBFloat16 : problem.d;
    calls.set(descriptor, CUBLASLT_MATMUL_DESC_EPILOGUE, std::uint32_t{CUBLASLT_EPILOGUE_BIAS});
    calls.set(descriptor, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE,
              static_cast<std::int32_t>(cuda_type_of(type)));
  }
  return calls.result();
}

BlasStatus find_algorithms(cublasLtHandle_t handle, GemmPlan& plan, const GemmArguments& arguments,
                           int wanted, std::vector<cublasLtMatmulAlgo_t>& algorithms) {
  const GemmProblem& problem = plan.problem;
  const auto bytes = [](std::uint8_t alignment) { return std::uint32_t{1} << alignment; };
  Calls calls;
  cublasLtMatmulPreferenceOpaque_t preference;
  calls.call("cublasLtMatmulPreferenceInit", cublasLtMatmulPreferenceInit, &preference);
  calls.set(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
            std::uint64_t{problem.workspace_bytes});
  calls.set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, bytes(problem.alignment_b));
  calls.set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, bytes(problem.alignment_a));
  calls.set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, bytes(problem.alignment_d));
  calls.set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, bytes(problem.alignment_d));
  // The choice depends on which pointers are set and on how the bias is aligned.
  set_pointers(calls, plan.descriptor, problem.bias, arguments);
  std::vector<cublasLtMatmulHeuristicResult_t> results(static_cast<std::size_t>(wanted));
  int found = 0;
  calls.call("cublasLtMatmulAlgoGetHeuristic", cublasLtMatmulAlgoGetHeuristic, handle,
             &plan.descriptor, &plan.layout_b, &plan.layout_a, &plan.layout_d, &plan.layout_d,
             &preference, wanted, results.data(), &found);
  if (calls.result()) {
    return calls.result();
  }
  for (int i = 0; i < found; ++i) {
    const auto& result = results[static_cast<std::size_t>(i)];
    if (result.state == CUBLAS_STATUS_SUCCESS && result.workspaceSize <= problem.workspace_bytes) {
      algorithms.push_back(result.algo);
    }
  }
  return {algorithms.empty() ? CUBLAS_STATUS_NOT_SUPPORTED : CUBLAS_STATUS_SUCCESS,
          "cublasLtMatmulAlgoGetHeuristic"};
}

BlasStatus check_algorithm(cublasLtHandle_t handle, GemmPlan& plan,
                           const cublasLtMatmulAlgo_t& algorithm) {
  cublasLtMatmulHeuristicResult_t result = {};
  const cublasStatus_t status =
      cublasLtMatmulAlgoCheck(handle, &plan.descriptor, &plan.layout_b, &plan.layout_a,
                              &plan.layout_d, &plan.layout_d, &algorithm, &result);
  const bool too_much = result.workspaceSize > plan.problem.workspace_bytes;
  return {status == CUBLAS_STATUS_SUCCESS && too_much ? CUBLAS_STATUS_NOT_SUPPORTED : status,
          "cublasLtMatmulAlgoCheck"};
}

BlasStatus start(cublasLtHandle_t handle, const GemmPlan& plan,
                 const cublasLtMatmulAlgo_t& algorithm, const GemmArguments& arguments,
                 const void* c) {
  constexpr float kAlpha = 1.0F;
  // The descriptor holds the pointers, and threads share the plan: each call has a copy.
  cublasLtMatmulDescOpaque_t descriptor = plan.descriptor;
  Calls calls;
  set_pointers(calls, descriptor, plan.problem.bias, arguments);
  cublasLtMatrixLayoutOpaque_t* layout_d = read_only(plan.layout_d);
  calls.call("cublasLtMatmul", cublasLtMatmul, handle, &descriptor, &kAlpha, arguments.b,
             read_only(plan.layout_b), arguments.a, read_only(plan.layout_a), &plan.beta, c,
             layout_d, arguments.d, layout_d, &algorithm, arguments.workspace,
             plan.problem.workspace_bytes, arguments.stream);
  return calls.result();
}

std::string misfit(const GemmPlan& plan, const GemmArguments& arguments) {
  if (fits(plan, arguments)) {
    return {};
  }
  const std::string end = " for " + describe(plan.problem) + "; pass what the problem says";
  if (arguments.scale_inv_a == nullptr || arguments.scale_inv_b == nullptr) {
    return "[scaled_mm] A and B must have a scale_inv each, got a null pointer" + end;
  }
  if ((arguments.bias != nullptr) != plan.problem.bias) {
    return std::string("[scaled_mm] a bias must be given where the problem has one, got ") +
           (plan.problem.bias ? "none" : "one") + end;
  }
  if (arguments.workspace == nullptr && plan.problem.workspace_bytes != 0) {
    return "[scaled_mm] a workspace of " + std::to_string(plan.problem.workspace_bytes) +
           " bytes must be given, got a null pointer" + end;
  }
  return "[scaled_mm] pointers must be aligned as the problem says (the workspace to 256 bytes), "
         "got "
         "one that is less" +
         end;
}

}  // namespace float8::kernels
