// Arrays of any dtype for the native tests: filled and read as double, with guard bytes of NaN around what a kernel may
// write. And strided views of them.
#pragma once
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <vector>

#include "cuda/storage.h"
#include "native.h"

namespace fastnn {
namespace cuda {

inline double read_value(Dtype d, const void* p, int64_t i) {
  double r = 0;
  with_any("test", d, [&](auto type) {
    using T = typename decltype(type)::type;
    r = static_cast<double>(widened(static_cast<const T*>(p)[i]));
  });
  return r;
}
inline void write_value(Dtype d, void* p, int64_t i, double v) {
  with_any("test", d, [&](auto type) {
    using T = typename decltype(type)::type;
    static_cast<T*>(p)[i] = narrowed<T>(static_cast<compute_t<T>>(v));
  });
}
// The spacing of numbers near 1; 0 of integers.
inline double epsilon(Dtype d) {
  switch (d) {
    case Dtype::F64:
      return 2.3e-16;
    case Dtype::F32:
      return 1.2e-7;
    case Dtype::F16:
      return 9.8e-4;
    case Dtype::BF16:
      return 7.9e-3;
    default:
      return 0;
  }
}

// n elements on the heap, at their exact size (AddressSanitizer sees the element after), `shift` elements off
// alignment.
struct Array {
  Dtype dtype;
  int64_t n;
  std::unique_ptr<char[]> memory;
  char* p;

  Array(Dtype d, int64_t count, int shift = 0) : dtype(d), n(count) {
    const size_t bytes = static_cast<size_t>(count * size_of(d)), skip = static_cast<size_t>(shift * size_of(d));
    memory.reset(static_cast<char*>(::operator new[](bytes + skip)));
    p = memory.get() + skip;
    std::memset(memory.get(), 0xff, bytes + skip);  // NaN of the floating types
  }
  void* data() { return p; }
  const void* data() const { return p; }
  template <class T>
  T* as() {
    return reinterpret_cast<T*>(p);
  }
  double operator[](int64_t i) const { return read_value(dtype, p, i); }
  void set(int64_t i, double v) { write_value(dtype, p, i, v); }

  // Random values that the dtype represents: normals times `scale`, or integers of a few tens.
  Array& fill(double scale = 1, double shift = 0) {
    std::normal_distribution<double> u;
    std::uniform_int_distribution<int> k(dtype == Dtype::U8 ? 0 : -20, 20);
    for (int64_t i = 0; i < n; ++i)
      set(i, is_floating(dtype)     ? shift + scale * u(test_generator())
             : dtype == Dtype::Bool ? static_cast<double>(k(test_generator()) & 1)
                                    : k(test_generator()));
    return *this;
  }
};
inline Array array(Dtype d, int64_t n, double scale = 1, double shift = 0) {
  Array a(d, n);
  a.fill(scale, shift);
  return a;
}

#if defined(__SANITIZE_THREAD__)
constexpr Dtype kFloats[] = {Dtype::F32, Dtype::BF16}, kIntegers[] = {Dtype::I32, Dtype::Bool};
#elif defined(__SANITIZE_ADDRESS__)  // one of each size
constexpr Dtype kFloats[] = {Dtype::F32, Dtype::F64, Dtype::BF16};
constexpr Dtype kIntegers[] = {Dtype::I64, Dtype::I32, Dtype::I16, Dtype::U8, Dtype::Bool};
#else
constexpr Dtype kFloats[] = {Dtype::F32, Dtype::F64, Dtype::F16, Dtype::BF16};
constexpr Dtype kIntegers[] = {Dtype::I64, Dtype::I32, Dtype::I16, Dtype::I8, Dtype::U8, Dtype::Bool};
#endif

// What an error may be: `units` in the last place of the largest of the value and `scale`.
inline double tolerance(Dtype d, double want, double units, double scale = 0) {
  const double size = std::fmax(std::fabs(want), scale);
  return std::isfinite(size) ? units * epsilon(d) * size + (d == Dtype::F16 ? 1e-7 : 1e-44) : 0;
}

// Every index of a shape, C order.
template <class F>
void each_index(const std::vector<int64_t>& shape, const F& f) {
  std::vector<int64_t> i(shape.size(), 0);
  for (int64_t s : shape)
    if (s == 0) return;
  for (;;) {
    f(i);
    int d = static_cast<int>(shape.size()) - 1;
    while (d >= 0 && ++i[static_cast<size_t>(d)] == shape[static_cast<size_t>(d)]) i[static_cast<size_t>(d--)] = 0;
    if (d < 0) return;
  }
}
inline int64_t place(const std::vector<int64_t>& i, const int64_t* stride) {
  int64_t at = 0;
  for (size_t d = 0; d < i.size(); ++d) at += i[d] * stride[d];
  return at;
}
inline std::vector<int64_t> contiguous(const std::vector<int64_t>& shape) {
  std::vector<int64_t> s(shape.size());
  int64_t n = 1;
  for (size_t d = shape.size(); d-- > 0;) {
    s[d] = n;
    n *= shape[d];
  }
  return s;
}
inline int64_t count(const std::vector<int64_t>& shape) {
  int64_t n = 1;
  for (int64_t s : shape) n *= s;
  return n;
}

}  // namespace cuda
}  // namespace fastnn
