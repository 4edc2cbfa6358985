#include "cublas_lt_double.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>

#include "cublas_lt_double_structs.h"
#include "cuda_runtime_double.h"

namespace float8::host_cuda {
namespace {

constexpr std::size_t kMostAlgorithms = 64;
constexpr std::uint64_t kWorkspaceStep = std::uint64_t{4} << 20;
constexpr std::uint64_t kWorkspaceAlignment = 256;
constexpr std::uint64_t kRowBytes = 16;
constexpr std::size_t kFirstWithOuter = 120900;

bool aligned(const void* pointer, std::uint64_t alignment) {
  return reinterpret_cast<std::uintptr_t>(pointer) % std::max(alignment, kRowBytes) == 0;
}

cublasStatus_t check(const Problem& problem, const Algorithm& algorithm) {
  if (algorithm.magic != kMagic || algorithm.id >= kMostAlgorithms ||
      algorithm.version != cublas_lt().version ||
      algorithm.compute_capability != cublas_lt().compute_capability || !supported(problem)) {
    return CUBLAS_STATUS_NOT_SUPPORTED;
  }
  return algorithm.problem == fingerprint(problem) ? CUBLAS_STATUS_SUCCESS
                                                   : CUBLAS_STATUS_INVALID_VALUE;
}

struct State {
  CublasLt settings;
  std::array<Relaxed<int>, kMostAlgorithms> runs = {};
};
std::unique_ptr<State>& state() {
  static auto instance = std::make_unique<State>();
  return instance;
}

}  // namespace

CublasLt& cublas_lt() { return state()->settings; }

void reset_cublas_lt() { state() = std::make_unique<State>(); }

cublasLtHandle_t cublas_lt_handle() {
  static const char kHandle = 0;
  return reinterpret_cast<cublasLtHandle_t>(const_cast<char*>(&kHandle));
}

namespace {

template <class Value>
cublasStatus_t assign(Value& field, const void* value, std::size_t size) {
  if (value == nullptr || size != sizeof(Value)) {
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  std::memcpy(static_cast<void*>(&field), value, size);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t assign_mode(std::int32_t& field, const void* value, std::size_t size) {
  return cublas_lt().version < kFirstWithOuter ? CUBLAS_STATUS_INVALID_VALUE
                                               : assign(field, value, size);
}

cublasStatus_t set(Descriptor& descriptor, cublasLtMatmulDescAttributes_t attribute,
                   const void* value, std::size_t size) {
  switch (attribute) {
    case CUBLASLT_MATMUL_DESC_TRANSA:
      return assign(descriptor.transpose_a, value, size);
    case CUBLASLT_MATMUL_DESC_TRANSB:
      return assign(descriptor.transpose_b, value, size);
    case CUBLASLT_MATMUL_DESC_EPILOGUE:
      return assign(descriptor.epilogue, value, size);
    case CUBLASLT_MATMUL_DESC_BIAS_POINTER:
      return assign(descriptor.bias, value, size);
    case CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE:
      return assign(descriptor.bias_type, value, size);
    case CUBLASLT_MATMUL_DESC_A_SCALE_POINTER:
      return assign(descriptor.scale_a, value, size);
    case CUBLASLT_MATMUL_DESC_B_SCALE_POINTER:
      return assign(descriptor.scale_b, value, size);
    case CUBLASLT_MATMUL_DESC_A_SCALE_MODE:
      return assign_mode(descriptor.mode_a, value, size);
    case CUBLASLT_MATMUL_DESC_B_SCALE_MODE:
      return assign_mode(descriptor.mode_b, value, size);
    case CUBLASLT_MATMUL_DESC_FAST_ACCUM:
      return assign(descriptor.fast, value, size);
    default:
      return CUBLAS_STATUS_INVALID_VALUE;
  }
}

cublasStatus_t set(Preference& preference, cublasLtMatmulPreferenceAttributes_t attribute,
                   const void* value, std::size_t size) {
  switch (attribute) {
    case CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES:
      return assign(preference.workspace, value, size);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES:
      return assign(preference.alignment_a, value, size);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES:
      return assign(preference.alignment_b, value, size);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES:
      return assign(preference.alignment_c, value, size);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES:
      return assign(preference.alignment_d, value, size);
    default:
      return CUBLAS_STATUS_INVALID_VALUE;
  }
}

Problem problem_of(cublasLtMatmulDesc_t descriptor, cublasLtMatrixLayout_t a,
                   cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d) {
  return {read<Descriptor>(*descriptor), read<Layout>(*a), read<Layout>(*b), read<Layout>(*c),
          read<Layout>(*d)};
}

}  // namespace
}  // namespace float8::host_cuda

using namespace float8::host_cuda;  // NOLINT: the rest is cuBLASLt's own interface

std::size_t cublasLtGetVersion() { return cublas_lt().version; }

const char* cublasLtGetStatusName(cublasStatus_t status) {
  switch (status) {
    case CUBLAS_STATUS_NOT_SUPPORTED:
      return "CUBLAS_STATUS_NOT_SUPPORTED";
    case CUBLAS_STATUS_INVALID_VALUE:
      return "CUBLAS_STATUS_INVALID_VALUE";
    case CUBLAS_STATUS_ALLOC_FAILED:
      return "CUBLAS_STATUS_ALLOC_FAILED";
    default:
      return "CUBLAS_STATUS_EXECUTION_FAILED";
  }
}

cublasStatus_t cublasLtMatrixLayoutInit_internal(cublasLtMatrixLayout_t layout, std::size_t size,
                                                 cudaDataType type, std::uint64_t rows,
                                                 std::uint64_t columns, std::int64_t ld) {
  cublas_lt().descriptors.add(1);
  if (size < sizeof(cublasLtMatrixLayoutOpaque_t)) {
    return CUBLAS_STATUS_ALLOC_FAILED;
  }
  write(*layout, Layout{kMagic, type, rows, columns, ld});
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescInit_internal(cublasLtMatmulDesc_t descriptor, std::size_t size,
                                               cublasComputeType_t compute_type,
                                               cudaDataType_t scale_type) {
  cublas_lt().descriptors.add(1);
  if (size < sizeof(cublasLtMatmulDescOpaque_t)) {
    return CUBLAS_STATUS_ALLOC_FAILED;
  }
  Descriptor value = {};
  value.magic = kMagic;
  value.compute_type = compute_type;
  value.scale_type = scale_type;
  value.bias_type = -1;
  value.epilogue = CUBLASLT_EPILOGUE_DEFAULT;
  write(*descriptor, value);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t descriptor,
                                              cublasLtMatmulDescAttributes_t attribute,
                                              const void* value, std::size_t size) {
  cublas_lt().attributes.add(1);
  auto fields = read<Descriptor>(*descriptor);
  const cublasStatus_t status =
      fields.magic == kMagic ? set(fields, attribute, value, size) : CUBLAS_STATUS_INVALID_VALUE;
  write(*descriptor, fields);
  return status;
}

cublasStatus_t cublasLtMatmulPreferenceInit_internal(cublasLtMatmulPreference_t preference,
                                                     std::size_t size) {
  cublas_lt().descriptors.add(1);
  if (size < sizeof(cublasLtMatmulPreferenceOpaque_t)) {
    return CUBLAS_STATUS_ALLOC_FAILED;
  }
  write(*preference, Preference{kMagic, 0, 256, 256, 256, 256});
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t preference,
                                                    cublasLtMatmulPreferenceAttributes_t attribute,
                                                    const void* value, std::size_t size) {
  cublas_lt().attributes.add(1);
  auto fields = read<Preference>(*preference);
  const cublasStatus_t status =
      fields.magic == kMagic ? set(fields, attribute, value, size) : CUBLAS_STATUS_INVALID_VALUE;
  write(*preference, fields);
  return status;
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t handle,
                                              cublasLtMatmulDesc_t descriptor,
                                              cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                              cublasLtMatmulPreference_t preference, int wanted,
                                              cublasLtMatmulHeuristicResult_t results[],
                                              int* found) {
  CublasLt& settings = cublas_lt();
  settings.heuristics.add(1);
  *found = 0;
  if (handle != cublas_lt_handle()) {
    return CUBLAS_STATUS_NOT_INITIALIZED;
  }
  if (settings.heuristic_status != CUBLAS_STATUS_SUCCESS || wanted <= 0) {
    return wanted <= 0 ? CUBLAS_STATUS_INVALID_VALUE : settings.heuristic_status;
  }
  const Problem problem = problem_of(descriptor, a, b, c, d);
  const auto wish = read<Preference>(*preference);
  const std::uint32_t least =
      std::min({wish.alignment_a, wish.alignment_b, wish.alignment_c, wish.alignment_d});
  if (!supported(problem) || least < kRowBytes) {
    return CUBLAS_STATUS_NOT_SUPPORTED;
  }
  for (int id = 0; id < settings.algorithms && *found < wanted; ++id) {
    const std::uint64_t workspace = static_cast<std::uint64_t>(id) * kWorkspaceStep;
    if (workspace > wish.workspace) {
      break;
    }
    cublasLtMatmulHeuristicResult_t& result = results[(*found)++];
    result = {};
    result.workspaceSize = workspace;
    result.state = id < settings.bad_results ? CUBLAS_STATUS_NOT_SUPPORTED : CUBLAS_STATUS_SUCCESS;
    write(result.algo, Algorithm{kMagic, static_cast<std::uint64_t>(id), fingerprint(problem),
                                 settings.version, workspace, wish.alignment_a, wish.alignment_b,
                                 wish.alignment_c, wish.alignment_d, settings.compute_capability});
  }
  return *found > 0 ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_NOT_SUPPORTED;
}

cublasStatus_t cublasLtMatmulAlgoCheck(cublasLtHandle_t handle, cublasLtMatmulDesc_t descriptor,
                                       cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                       cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                       const cublasLtMatmulAlgo_t* algo,
                                       cublasLtMatmulHeuristicResult_t* result) {
  CublasLt& settings = cublas_lt();
  settings.checks.add(1);
  if (handle != cublas_lt_handle()) {
    return CUBLAS_STATUS_NOT_INITIALIZED;
  }
  const auto algorithm = read<Algorithm>(*algo);
  result->workspaceSize = algorithm.workspace;
  return settings.check_status != CUBLAS_STATUS_SUCCESS
             ? settings.check_status
             : check(problem_of(descriptor, a, b, c, d), algorithm);
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t descriptor,
                              const void* alpha, const void* a, cublasLtMatrixLayout_t layout_a,
                              const void* b, cublasLtMatrixLayout_t layout_b, const void* beta,
                              const void* c, cublasLtMatrixLayout_t layout_c, void* d,
                              cublasLtMatrixLayout_t layout_d, const cublasLtMatmulAlgo_t* algo,
                              void* workspace, std::size_t workspace_bytes,
                              cudaStream_t /*stream*/) {
  CublasLt& settings = cublas_lt();
  const int before = settings.matmuls.add(1);
  if (handle != cublas_lt_handle()) {
    return CUBLAS_STATUS_NOT_INITIALIZED;
  }
  if (settings.matmul_status != CUBLAS_STATUS_SUCCESS &&
      before >= settings.matmuls_before_failure) {
    return settings.matmul_status;
  }
  const Problem problem = problem_of(descriptor, layout_a, layout_b, layout_c, layout_d);
  const auto algorithm = read<Algorithm>(*algo);
  if (const cublasStatus_t status = check(problem, algorithm)) {
    return status;
  }
  if ((settings.refused_algorithms >> algorithm.id & 1) != 0 ||
      !aligned(a, algorithm.alignment_a) || !aligned(b, algorithm.alignment_b) ||
      !aligned(c, algorithm.alignment_c) || !aligned(d, algorithm.alignment_d)) {
    return CUBLAS_STATUS_NOT_SUPPORTED;
  }
  if (algorithm.workspace > workspace_bytes ||
      (algorithm.workspace > 0 &&
       (workspace == nullptr || !aligned(workspace, kWorkspaceAlignment)))) {
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  if (settings.computes) {
    compute(problem, *static_cast<const float*>(alpha), a, b, *static_cast<const float*>(beta), c,
            d);
  }
  settings.last_fast_accumulation = problem.descriptor.fast != 0;
  settings.last_algorithm = static_cast<int>(algorithm.id);
  const int run = state()->runs[algorithm.id].add(1);
  runtime().clock.add(settings.time(static_cast<int>(algorithm.id), run));
  return CUBLAS_STATUS_SUCCESS;
}
