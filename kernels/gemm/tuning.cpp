#include "kernels/gemm/tuning.h"

#include <cuda_runtime_api.h>

#include <algorithm>
#include <array>
#include <limits>

namespace float8::kernels {
namespace {

// The first round of each algorithm warms up: it loads the kernel.
constexpr std::size_t kWarmups = 1;
constexpr std::size_t kRounds = 5;

class Event {
 public:
  Event() : status_(cudaEventCreateWithFlags(&event_, cudaEventDefault)) {}
  ~Event() {
    if (status_ == cudaSuccess) {
      cudaEventDestroy(event_);
    }
  }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  cudaError_t status() const { return status_; }
  cudaEvent_t get() const { return event_; }

 private:
  cudaEvent_t event_ = nullptr;
  cudaError_t status_;
};

// Memory in a stream's order, for a D that trials may overwrite.
class Scratch {
 public:
  Scratch(std::size_t bytes, cudaStream_t stream)
      : stream_(stream), status_(cudaMallocAsync(&data_, bytes, stream)) {}
  ~Scratch() {
    if (status_ == cudaSuccess) {
      cudaFreeAsync(data_, stream_);
    }
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  cudaError_t status() const { return status_; }
  void* get() const { return data_; }

 private:
  void* data_ = nullptr;
  cudaStream_t stream_;
  cudaError_t status_;
};

std::size_t bytes_of_d(const GemmProblem& problem) {
  return static_cast<std::size_t>(problem.m) * static_cast<std::size_t>(problem.n) *
         (problem.d == DataType::kFloat32 ? 4 : 2);
}

struct Trial {
  std::array<float, kRounds> milliseconds = {};
  bool failed = false;

  float median() {
    const auto middle = milliseconds.begin() + kRounds / 2;
    std::nth_element(milliseconds.begin(), middle, milliseconds.end());
    return failed ? std::numeric_limits<float>::infinity() : *middle;
  }
};

// Times one run. Returns CUDA's status; an algorithm that is refused only fails its trial.
cudaError_t time_one(cublasLtHandle_t handle, const GemmPlan& plan,
                     const cublasLtMatmulAlgo_t& algorithm, const GemmArguments& arguments,
                     const void* c, const Event& begin, const Event& end, float& milliseconds,
                     bool& failed) {
  cudaError_t status = cudaEventRecord(begin.get(), arguments.stream);
  failed = static_cast<bool>(start(handle, plan, algorithm, arguments, c));
  if (status == cudaSuccess) {
    status = cudaEventRecord(end.get(), arguments.stream);
  }
  if (status == cudaSuccess) {
    status = cudaEventSynchronize(end.get());
  }
  return status == cudaSuccess ? cudaEventElapsedTime(&milliseconds, begin.get(), end.get())
                               : status;
}

}  // namespace

bool is_capturing(cudaStream_t stream) {
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  if (cudaStreamIsCapturing(stream, &status) != cudaSuccess) {
    cudaGetLastError();  // it would be taken for the next launch's
    return true;
  }
  return status != cudaStreamCaptureStatusNone;
}

std::optional<std::size_t> fastest(cublasLtHandle_t handle, const GemmPlan& plan,
                                   const GemmArguments& arguments,
                                   const std::vector<cublasLtMatmulAlgo_t>& algorithms,
                                   std::string& why) {
  const auto failed = [&why](const char* what, cudaError_t status) -> std::optional<std::size_t> {
    why = std::string(what) + ": " + cudaGetErrorString(status);
    cudaGetLastError();  // it would be taken for the next launch's
    return {};
  };
  // A problem that adds to D reads it and writes elsewhere: the same bytes, and D stays.
  GemmArguments trial_arguments = arguments;
  std::optional<Scratch> scratch;
  if (plan.problem.accumulate) {
    scratch.emplace(bytes_of_d(plan.problem), arguments.stream);
    if (scratch->status() != cudaSuccess) {
      return failed("no memory for trials", scratch->status());
    }
    trial_arguments.d = scratch->get();
  }
  const Event begin;
  const Event end;
  if (begin.status() != cudaSuccess || end.status() != cudaSuccess) {
    return failed("no events", begin.status() != cudaSuccess ? begin.status() : end.status());
  }
  std::vector<Trial> trials(algorithms.size());
  for (std::size_t round = 0; round < kWarmups + kRounds; ++round) {
    for (std::size_t i = 0; i < algorithms.size(); ++i) {
      Trial& trial = trials[i];
      if (trial.failed) {
        continue;
      }
      float& milliseconds = trial.milliseconds[round < kWarmups ? 0 : round - kWarmups];
      const cudaError_t status = time_one(handle, plan, algorithms[i], trial_arguments, arguments.d,
                                          begin, end, milliseconds, trial.failed);
      if (status != cudaSuccess) {
        return failed("timing failed", status);
      }
    }
  }
  std::vector<float> medians(trials.size());
  std::transform(trials.begin(), trials.end(), medians.begin(),
                 [](Trial& trial) { return trial.median(); });
  const auto best = std::min_element(medians.begin(), medians.end());
  return static_cast<std::size_t>(best - medians.begin());
}

}  // namespace float8::kernels
