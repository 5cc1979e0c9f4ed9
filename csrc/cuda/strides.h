// Any strides: the host merges dimensions and sorts them by the output's memory, a kernel turns the number of a unit (a
// run of V neighbours along the innermost dimension) into each operand's offset.
#pragma once
#include <stdexcept>
#include <utility>

#include "cuda/launch.h"
#include "cuda/types.h"

namespace fastnn {
namespace cuda {

// n / d for n < 2^31 by a multiplication (Granlund and Montgomery).
struct FastDiv {
  uint32_t d = 1, magic = 1, shift = 0;
  FastDiv() = default;
  explicit FastDiv(uint32_t divisor) : d(divisor) {
    while ((uint64_t(1) << shift) < d) ++shift;
    magic = static_cast<uint32_t>(((uint64_t(1) << 32) * ((uint64_t(1) << shift) - d)) / d + 1);
  }
  __host__ __device__ uint32_t quotient(uint32_t n) const {
    return (static_cast<uint32_t>((static_cast<uint64_t>(n) * magic) >> 32) + n) >> shift;
  }
};

// N arrays over the same index space; dimension 0 is the innermost.
template <int N>
struct Strided {
  int ndim;
  uint32_t units;  // in all: the product of the sizes, the innermost one in units
  int64_t inner;   // elements along the innermost dimension
  FastDiv size[kMaxDims];
  int64_t stride[N][kMaxDims];  // elements a unit (dimension 0) or a step

  __device__ void offsets(uint32_t unit, int64_t (&at)[N]) const {
#pragma unroll
    for (int k = 0; k < N; ++k) at[k] = 0;
#pragma unroll
    for (int d = 0; d < kMaxDims; ++d) {
      if (d >= ndim) break;
      const uint32_t rest = d + 1 < ndim ? size[d].quotient(unit) : 0;
      const uint32_t i = unit - rest * size[d].d;
#pragma unroll
      for (int k = 0; k < N; ++k) at[k] += static_cast<int64_t>(i) * stride[k][d];
      unit = rest;
    }
  }
};

// The host's side: shapes and strides in elements, dimension 0 outermost as they come in.
template <int N>
struct Layout {
  int ndim = 0;
  int64_t shape[kDims];
  int64_t stride[N][kDims];
  bool empty = false;

  Layout(int dims, const int64_t* sizes) {
    if (dims > kDims) throw std::invalid_argument("more than 16 dimensions");
    ndim = dims;
    for (int d = 0; d < dims; ++d) {
      shape[d] = sizes[d];
      empty |= sizes[d] == 0;
    }
  }
  void set(int k, const int64_t* strides) {
    for (int d = 0; d < ndim; ++d) stride[k][d] = strides ? strides[d] : 0;
  }
  void erase(int d) {
    --ndim;
    for (int e = d; e < ndim; ++e) {
      shape[e] = shape[e + 1];
      for (int k = 0; k < N; ++k) stride[k][e] = stride[k][e + 1];
    }
  }
  void drop_ones() {
    for (int d = ndim - 1; d >= 0; --d)
      if (shape[d] == 1) erase(d);
  }
  // Outermost first by array 0's memory; where that does not tell, the order stays.
  void sort() {
    const auto size = [&](int d) { return stride[0][d] < 0 ? -stride[0][d] : stride[0][d]; };
    for (int d = 1; d < ndim; ++d)
      for (int e = d; e > 0 && size(e - 1) < size(e); --e) swap(e - 1, e);
  }
  void swap(int d, int e) {
    std::swap(shape[d], shape[e]);
    for (int k = 0; k < N; ++k) std::swap(stride[k][d], stride[k][e]);
  }
  // Neighbours that every array runs through as one dimension.
  void merge() {
    for (int d = ndim - 2; d >= 0; --d) {
      bool one = true;
      for (int k = 0; k < N; ++k) one &= stride[k][d] == stride[k][d + 1] * shape[d + 1];
      if (!one) continue;
      shape[d + 1] *= shape[d];
      erase(d);
    }
  }
  int64_t count() const {
    int64_t n = 1;
    for (int d = 0; d < ndim; ++d) n *= shape[d];
    return n;
  }

  // f(strided, offsets of this part): once, or in parts of less than 2^31 units. v: elements a unit.
  template <class F>
  void units(int v, const F& f) const {
    int64_t base[N] = {};
    part(*this, v, base, f);
  }

  // All of it at once, which it must fit into.
  Strided<N> one(int v) const {
    Strided<N> all;
    int parts = 0;
    units(v, [&](const Strided<N>& s, const int64_t (&)[N]) {
      all = s;
      ++parts;
    });
    if (parts > 1) throw std::invalid_argument("more than 2^31 elements where a kernel takes them at once");
    return all;
  }

 private:
  template <class F>
  static void part(Layout l, int v, const int64_t (&base)[N], const F& f) {
    if (l.ndim == 0) {
      l.ndim = 1;
      l.shape[0] = 1;
      for (int k = 0; k < N; ++k) l.stride[k][0] = 0;
    }
    constexpr int64_t kMost = (int64_t(1) << 31) - 1;
    const int last = l.ndim - 1;
    const int64_t inner = (l.shape[last] + v - 1) / v;
    int64_t n = inner;
    for (int d = 0; d < last; ++d) n = n > kMost ? n : n * l.shape[d];  // sizes stay far below 2^62
    if (n > kMost) {                                                    // the outermost dimension in parts
      const int64_t unit = l.ndim == 1 ? v : 1, steps = l.ndim == 1 ? inner : l.shape[0];
      int64_t rest = 1;
      for (int d = 1; d < l.ndim; ++d) rest *= d == last ? inner : l.shape[d];
      const int64_t step = rest >= kMost ? 1 : kMost / rest;
      for (int64_t i = 0; i < steps; i += step) {
        Layout some = l;
        const int64_t count = step < steps - i ? step : steps - i;
        some.shape[0] = l.ndim > 1 || i + count < steps ? count * unit : l.shape[0] - i * unit;
        int64_t at[N];
        for (int k = 0; k < N; ++k) at[k] = base[k] + i * unit * l.stride[k][0];
        if (some.shape[0] == 1 && some.ndim > 1) some.erase(0);
        part(some, v, at, f);
      }
      return;
    }
    if (l.ndim > kMaxDims) throw std::invalid_argument("more than 8 dimensions that cannot be merged");
    Strided<N> s;
    s.ndim = l.ndim;
    s.units = static_cast<uint32_t>(n);
    s.inner = l.shape[last];
    for (int d = 0; d < l.ndim; ++d) {
      const int from = last - d;
      s.size[d] = FastDiv(static_cast<uint32_t>(d == 0 ? inner : l.shape[from]));
      for (int k = 0; k < N; ++k) s.stride[k][d] = l.stride[k][from] * (d == 0 ? v : 1);
    }
    f(static_cast<const Strided<N>&>(s), base);
  }
};

constexpr int kBlock = 256;
inline dim3 blocks_for(int64_t units) { return dim3(static_cast<unsigned>((units + kBlock - 1) / kBlock)); }
// Fewer threads where there is less to do, in whole warps.
inline dim3 block_for(int64_t units) {
  return dim3(static_cast<unsigned>(units >= kBlock ? kBlock : (units + 31) / 32 * 32));
}

}  // namespace cuda
}  // namespace fastnn
