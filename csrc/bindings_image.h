// What the bindings of convolution and pooling check alike: pairs of sizes, and images [N, C, H, W].
#pragma once
#include <stdexcept>

#include "bindings.h"
#include "strided_copy.h"

namespace fastnn {

using Pair = std::pair<int64_t, int64_t>;  // rows, columns
using Sizes = std::vector<int64_t>;
constexpr int64_t kMaxArgument = 2147483647;    // of strides, paddings ...; with kMaxSize nothing overflows 64 bits
constexpr int64_t kMaxSize = int64_t{1} << 48;  // of one dimension

// torch raises RuntimeError for shapes and sizes that do not fit: so do we.
[[noreturn]] inline void fail(const char* fn, const std::string& what) {
  throw std::runtime_error(std::string(fn) + "(): " + what);
}
inline std::string show(const Pair& p) { return "(" + std::to_string(p.first) + ", " + std::to_string(p.second) + ")"; }
inline std::string show(const Sizes& sizes) {
  std::string s = "[";
  for (size_t i = 0; i < sizes.size(); i++) s += (i ? ", " : "") + std::to_string(sizes[i]);
  return s + "]";
}
inline Sizes sizes(const py::array& a) { return Sizes(a.shape(), a.shape() + a.ndim()); }

inline void check_pair(const char* fn, const char* name, const Pair& p, int64_t low) {
  for (int64_t v : {p.first, p.second})
    if (v < low || v > kMaxArgument)
      fail(fn, std::string(name) + " should be " + (low ? "greater than zero" : "non-negative") + " and at most " +
                   std::to_string(kMaxArgument) + ", but got " + show(p));
}
inline void check_size(const char* fn, const char* name, const py::array& a, const Sizes& want) {
  if (sizes(a) != want)
    fail(fn, std::string("expected ") + name + " of shape " + show(want) + ", but got " + show(sizes(a)));
}
inline void check_rank(const char* fn, const char* name, const Sizes& s) {
  if (s.size() != 4) fail(fn, std::string("expected a 4-D ") + name + ", but got shape " + show(s));
  for (int64_t n : s)
    if (n < 0 || n > kMaxSize) fail(fn, std::string(name) + " of shape " + show(s) + " is out of range");
}

// A C-contiguous, aligned array of float32 or float64; a copy where the given one is neither.
struct Operand {
  py::array array;
  Dtype dtype;
  const void* data() const { return array.data(); }
};
inline Operand operand(const char* fn, const char* name, const py::array& a) {
  Operand r{py::array(), Dtype::F32};
  if (a.dtype().num() == py::dtype::of<double>().num()) {
    r.dtype = Dtype::F64;
  } else if (a.dtype().num() != py::dtype::of<float>().num()) {
    throw py::type_error(std::string(fn) + "(): expected " + name + " of float32 or float64, but got " +
                         std::string(py::str(a.dtype())));
  }
  constexpr int kReady = py::detail::npy_api::NPY_ARRAY_C_CONTIGUOUS_ | py::detail::npy_api::NPY_ARRAY_ALIGNED_;
  r.array = (a.flags() & kReady) == kReady ? a : py::reinterpret_steal<py::array>(contiguous_copy(a.ptr()));
  return r;
}

}  // namespace fastnn
