#pragma once

#include <cublasLt.h>

#include <cstdint>
#include <cstring>
#include <iterator>
#include <type_traits>

// What the double of cuBLASLt keeps in cuBLASLt's opaque structs.
namespace float8::host_cuda {

constexpr std::uint64_t kMagic = 0xF8D0B1E;

struct Layout {
  std::uint64_t magic;
  cudaDataType type;
  std::uint64_t rows;
  std::uint64_t columns;
  std::int64_t ld;
};

struct Descriptor {
  std::uint64_t magic;
  const void* scale_a;
  const void* scale_b;
  const void* bias;
  std::int32_t compute_type;
  std::int32_t scale_type;
  std::int32_t transpose_a;
  std::int32_t transpose_b;
  std::int32_t mode_a;
  std::int32_t mode_b;
  std::int32_t bias_type;
  std::uint32_t epilogue;
  std::int8_t fast;
};

struct Preference {
  std::uint64_t magic;
  std::uint64_t workspace;
  std::uint32_t alignment_a;
  std::uint32_t alignment_b;
  std::uint32_t alignment_c;
  std::uint32_t alignment_d;
};

struct Algorithm {
  std::uint64_t magic;
  std::uint64_t id;
  std::uint64_t problem;  // a fingerprint
  std::uint64_t version;
  std::uint64_t workspace;
  std::uint32_t alignment_a;
  std::uint32_t alignment_b;
  std::uint32_t alignment_c;
  std::uint32_t alignment_d;
  std::int32_t compute_capability;
};

// cuBLASLt's structs are words to their users; here, the words of ours. Copied one by one, since
// ThreadSanitizer does not see a memcpy that the compiler has replaced.
template <class T, class Opaque>
T read(const Opaque& opaque) {
  static_assert(sizeof(T) <= sizeof(Opaque) && std::is_trivially_copyable_v<T>);
  Opaque copy;
  for (std::size_t i = 0; i < std::size(copy.data); ++i) {
    copy.data[i] = *static_cast<const volatile std::uint64_t*>(&opaque.data[i]);
  }
  T value;
  std::memcpy(&value, &copy, sizeof(T));
  return value;
}
template <class T, class Opaque>
void write(Opaque& opaque, const T& value) {
  static_assert(sizeof(T) <= sizeof(Opaque) && std::is_trivially_copyable_v<T>);
  Opaque copy = {};
  std::memcpy(&copy, &value, sizeof(T));
  for (std::size_t i = 0; i < std::size(copy.data); ++i) {
    *static_cast<volatile std::uint64_t*>(&opaque.data[i]) = copy.data[i];
  }
}

struct Problem {
  Descriptor descriptor;
  Layout a;
  Layout b;
  Layout c;
  Layout d;
};

/// The rules of the documentation for FP8 on 8.9 and 9.0, in its own terms, but for the pointers'.
bool supported(const Problem& problem);

/// A number for all that an algorithm depends on.
std::uint64_t fingerprint(const Problem& problem);

/// D = alpha A^T B scale_a scale_b + beta C + bias, the sum in float64, rounded to float32, the
/// rest in float32, rounded to D's type. Column-major, as cuBLASLt has it.
void compute(const Problem& problem, float alpha, const void* a, const void* b, float beta,
             const void* c, void* d);

}  // namespace float8::host_cuda
