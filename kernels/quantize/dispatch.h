#pragma once

#include <cstdint>
#include <type_traits>

#include "float8/format.h"
#include "kernels/quantize/matrix.h"

// From run-time values to the template arguments of kernels. Each calls `f` with a constant whose
// value() is what came in, and returns what it returns.
namespace float8::kernels {

template <class F>
auto with_element(Element element, F&& f) {
  switch (element) {
    case Element::kFloat32:
      return f(std::integral_constant<Element, Element::kFloat32>{});
    case Element::kBFloat16:
      return f(std::integral_constant<Element, Element::kBFloat16>{});
    default:
      return f(std::integral_constant<Element, Element::kFloat16>{});
  }
}

template <class F>
auto with_format(Format format, F&& f) {
  return format == Format::kE4M3 ? f(std::integral_constant<Format, Format::kE4M3>{})
                                 : f(std::integral_constant<Format, Format::kE5M2>{});
}

template <class F>
auto with_bool(bool value, F&& f) {
  return value ? f(std::true_type{}) : f(std::false_type{});
}

inline bool is_aligned16(const void* pointer) {
  return reinterpret_cast<std::uintptr_t>(pointer) % 16 == 0;
}

/// Every row of x starts at a 16-byte boundary.
inline bool has_aligned_rows(const Matrix& x) {
  return is_aligned16(x.data) && x.columns * size_of(x.element) % 16 == 0;
}

/// How many parts of `part` cover n.
constexpr std::int64_t parts_of(std::int64_t n, std::int64_t part) { return (n + part - 1) / part; }

}  // namespace float8::kernels
