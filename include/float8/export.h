#pragma once

// FLOAT8_API marks what libfloat8.so exports; everything else is hidden.
#if defined(_WIN32)
#error "libfloat8 supports Linux only"
#else
#define FLOAT8_API __attribute__((visibility("default")))
#endif

// Functions that CPU code and CUDA kernels share.
#if defined(__CUDACC__)
#define FLOAT8_HOST_DEVICE __host__ __device__
#else
#define FLOAT8_HOST_DEVICE
#endif
