// Running sums and products. A block a row where the row's elements are neighbours: it takes a tile at a time, a thread
// adds up its own few elements, the threads' totals are scanned by shuffles. Else a thread a column.
#include "cuda/reduce.h"
#include "cuda/storage.h"
#include "cuda/strides.h"

namespace fastnn {
namespace cuda {
namespace {

constexpr int kEach = 4, kWarps = kBlock / 32;

template <class T>
struct Total {
  using type = int64_t;
  using out = int64_t;
};
template <>
struct Total<float> {
  using type = double;
  using out = float;
};
template <>
struct Total<double> {
  using type = double;
  using out = double;
};
template <>
struct Total<f16> {
  using type = double;
  using out = f16;
};
template <>
struct Total<bf16> {
  using type = double;
  using out = bf16;
};

__device__ inline double joined(bool product, double a, double b) { return product ? a * b : a + b; }
__device__ inline int64_t joined(bool product, int64_t a, int64_t b) {
  const uint64_t x = static_cast<uint64_t>(a), y = static_cast<uint64_t>(b);
  return static_cast<int64_t>(product ? x * y : x + y);
}

template <class T>
__global__ void __launch_bounds__(kBlock)
    scan_rows_kernel(const T* x, typename Total<T>::out* out, int64_t n, bool product) {
  using A = typename Total<T>::type;
  using U = typename Total<T>::out;
  FASTNN_SHARED(totals, A[kWarps]);
  const T* from = x + static_cast<int64_t>(blockIdx.x) * n;
  U* to = out + static_cast<int64_t>(blockIdx.x) * n;
  const A one = product ? A(1) : A(0);
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  A carried = one;  // of all tiles before
  for (int64_t tile = 0; tile < n; tile += kBlock * kEach) {
    const int64_t first = tile + static_cast<int64_t>(threadIdx.x) * kEach;
    A v[kEach], mine = one;
#pragma unroll
    for (int k = 0; k < kEach; ++k) {
      v[k] = first + k < n ? static_cast<A>(widened(from[first + k])) : one;
      mine = joined(product, mine, v[k]);
    }
    A before = mine;  // inclusive over the warp
#pragma unroll
    for (int o = 1; o < 32; o *= 2) {
      const A other = __shfl_up_sync(kFullWarp, before, o);
      if (lane >= o) before = joined(product, other, before);
    }
    if (lane == 31) totals[warp] = before;
    before = __shfl_up_sync(kFullWarp, before, 1);
    if (lane == 0) before = one;
    __syncthreads();
    A start = carried;
    for (int k = 0; k < kWarps; ++k) {
      if (k == warp) before = joined(product, start, before);
      start = joined(product, start, totals[k]);
    }
    carried = start;
    __syncthreads();
#pragma unroll
    for (int k = 0; k < kEach; ++k) {
      before = joined(product, before, v[k]);
      if (first + k < n) to[first + k] = narrowed<U>(static_cast<compute_t<U>>(before));
    }
  }
}

template <class T>
__global__ void scan_columns_kernel(const T* x, typename Total<T>::out* out, int64_t columns, int64_t n, int64_t inner,
                                    bool product) {
  using U = typename Total<T>::out;
  const int64_t column = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (column >= columns) return;
  const int64_t first = column / inner * n * inner + column % inner;
  typename Total<T>::type total = product ? 1 : 0;
  for (int64_t i = 0; i < n; ++i) {
    const int64_t at = first + i * inner;
    total = joined(product, total, static_cast<typename Total<T>::type>(widened(x[at])));
    out[at] = narrowed<U>(static_cast<compute_t<U>>(total));
  }
}

}  // namespace

void scan(const ScanArgs& a, Stream stream) {
  const int64_t columns = a.rows * a.inner;
  if (columns == 0 || a.n == 0) return;
  with_any("scan", a.dtype, [&](auto type) {
    using T = typename decltype(type)::type;
    const T* x = static_cast<const T*>(a.x);
    auto* out = static_cast<typename Total<T>::out*>(a.out);
    if (a.inner == 1)
      launch("scan", scan_rows_kernel<T>, dim3(static_cast<unsigned>(a.rows)), dim3(kBlock), 0, stream, x, out, a.n,
             a.product);
    else
      launch("scan", scan_columns_kernel<T>, blocks_for(columns), block_for(columns), 0, stream, x, out, columns, a.n,
             a.inner, a.product);
  });
}

}  // namespace cuda
}  // namespace fastnn
