#include "cuda_runtime_double.h"

#include <cstdlib>
#include <cstring>
#include <memory>

namespace float8::host_cuda {
namespace {

std::unique_ptr<Runtime>& owner() {
  static auto instance = std::make_unique<Runtime>();
  return instance;
}

struct Event {
  float time = -1;
};

Event* event_of(cudaEvent_t event) { return reinterpret_cast<Event*>(event); }

cudaError_t remembered(cudaError_t status) {
  if (status != cudaSuccess) {
    runtime().last_error = status;
  }
  return status;
}

}  // namespace

Runtime& runtime() { return *owner(); }

void reset_runtime() { owner() = std::make_unique<Runtime>(); }

}  // namespace float8::host_cuda

using float8::host_cuda::Event;
using float8::host_cuda::event_of;
using float8::host_cuda::remembered;
using float8::host_cuda::runtime;

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned int /*flags*/) {
  if (const cudaError_t status = remembered(runtime().event_create)) {
    return status;
  }
  runtime().events.add(1);
  runtime().live_events.add(1);
  *event = reinterpret_cast<cudaEvent_t>(new Event);
  return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  runtime().live_events.add(-1);
  delete event_of(event);
  return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t /*stream*/) {
  event_of(event)->time = runtime().clock;
  return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t /*event*/) {
  return remembered(runtime().event_synchronize);
}

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t end) {
  if (event_of(start)->time < 0 || event_of(end)->time < 0) {
    return remembered(cudaErrorInvalidResourceHandle);
  }
  *milliseconds = event_of(end)->time - event_of(start)->time;
  return cudaSuccess;
}

cudaError_t cudaStreamIsCapturing(cudaStream_t /*stream*/, cudaStreamCaptureStatus* capture) {
  *capture = runtime().capturing ? cudaStreamCaptureStatusActive : cudaStreamCaptureStatusNone;
  return remembered(runtime().is_capturing);
}

cudaError_t cudaMallocAsync(void** pointer, std::size_t bytes, cudaStream_t /*stream*/) {
  if (const cudaError_t status = remembered(runtime().malloc_async)) {
    return status;
  }
  constexpr std::size_t kAlignment = 256;
  *pointer = std::aligned_alloc(kAlignment, (bytes + kAlignment - 1) / kAlignment * kAlignment);
  runtime().allocations.add(1);
  runtime().live_allocations.add(1);
  return *pointer != nullptr ? cudaSuccess : remembered(cudaErrorMemoryAllocation);
}

cudaError_t cudaFreeAsync(void* pointer, cudaStream_t /*stream*/) {
  runtime().live_allocations.add(-1);
  std::free(pointer);
  return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int /*device*/) {
  *properties = {};
  std::strncpy(properties->name, runtime().device_name.c_str(), sizeof(properties->name) - 1);
  properties->multiProcessorCount = runtime().multiprocessors;
  return cudaSuccess;
}

cudaError_t cudaGetLastError() {
  const cudaError_t error = runtime().last_error;
  runtime().last_error = cudaSuccess;
  return error;
}

const char* cudaGetErrorString(cudaError_t status) {
  return status == cudaErrorMemoryAllocation ? "out of memory" : "a CUDA error";
}
