// Rows of tables. Forward: packs of up to 16 bytes, neighbours in a row by neighbouring threads. Gradients: a thread
// owns a place of the result and adds up what was sorted for it, in order: no atomics, the same bits each time.
#include "cuda/embedding.h"
#include "cuda/storage.h"
#include "cuda/strides.h"

namespace fastnn {
namespace cuda {
namespace {

// n / d for the number of a thread: 32 bits where they do.
struct Split {
  FastDiv narrow;
  int64_t d;
  bool wide;
  Split(int64_t divisor, int64_t most) : d(divisor), wide(most >= (int64_t(1) << 31)) {
    if (!wide) narrow = FastDiv(static_cast<uint32_t>(divisor < 1 ? 1 : divisor));
  }
  __host__ __device__ int64_t quotient(int64_t n) const {
    return wide ? n / d : narrow.quotient(static_cast<uint32_t>(n));
  }
};
__device__ inline int64_t thread_number() { return static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; }

// What stands for a row that does not exist.
uint64_t nothing(Dtype d) {
  switch (d) {
    case Dtype::F32:
      return 0x7fc00000;
    case Dtype::F64:
      return 0x7ff8000000000000;
    case Dtype::F16:
      return 0x7e00;
    case Dtype::BF16:
      return 0x7fc0;
    default:
      return 0;
  }
}

template <class T, int V>
__global__ void rows_kernel(const T* w, const int64_t* index, T* out, int64_t rows, int64_t width, Split packs,
                            int64_t total, uint64_t bad) {
  const int64_t u = thread_number();
  if (u >= total) return;
  const int64_t i = packs.quotient(u), at = (u - i * packs.d) * V, row = index[i];
  Pack<T, V> v;
  if (row >= 0 && row < rows) {
    v = *reinterpret_cast<const Pack<T, V>*>(w + row * width + at);
  } else {
#pragma unroll
    for (int k = 0; k < V; ++k) v.v[k] = static_cast<T>(bad);
  }
  *reinterpret_cast<Pack<T, V>*>(out + i * width + at) = v;
}

template <class T, int V>
__global__ void segments_kernel(const __grid_constant__ SegmentSumArgs a, Split packs, int64_t total) {
  using C = compute_t<T>;
  const int64_t u = thread_number();
  if (u >= total) return;
  const int64_t r = packs.quotient(u), at = (u - r * packs.d) * V;
  T* out = static_cast<T*>(a.out) + r * a.width + at;
  C s[V];
  if (a.accumulate) {
    load(out, s);
  } else {
#pragma unroll
    for (int k = 0; k < V; ++k) s[k] = 0;
  }
  const int64_t end = a.start[r + 1];
  for (int64_t k = a.start[r]; k < end; ++k) {
    const int64_t i = a.order ? a.order[k] : k;
    const C f = a.factor ? widened(static_cast<const T*>(a.factor)[i]) : C(1);
    C v[V];
    load(static_cast<const T*>(a.dy) + (a.source ? a.source[i] : i) * a.width + at, v);
#pragma unroll
    for (int j = 0; j < V; ++j) s[j] += f * v[j];
  }
  store(out, s);
}

__global__ void __launch_bounds__(kBlock) order_kernel(const int64_t* ids, int64_t n, int64_t* order) {
  FASTNN_SHARED(tile, int64_t[kBlock]);
  const int64_t i = thread_number(), own = i < n ? ids[i] : 0;
  int64_t before = 0;
  for (int64_t begin = 0; begin < n; begin += kBlock) {
    __syncthreads();  // the tile before has been read
    if (begin + threadIdx.x < n) tile[threadIdx.x] = ids[begin + threadIdx.x];
    __syncthreads();
    const int count = n - begin < kBlock ? static_cast<int>(n - begin) : kBlock;
    for (int k = 0; k < count; ++k) before += tile[k] < own || (tile[k] == own && begin + k < i);
  }
  if (i < n) order[before] = i;
}

template <class T>
__global__ void bags_kernel(const __grid_constant__ EmbeddingBagArgs a, Split width, int64_t total) {
  using C = compute_t<T>;
  const int64_t u = thread_number();
  if (u >= total) return;
  const int64_t b = width.quotient(u), j = u - b * a.width, end = a.start[b + 1];
  C s = 0;
  int64_t count = 0, chosen = -1;
  for (int64_t i = a.start[b]; i < end; ++i) {
    const int64_t row = a.index[i];
    if (row == a.padding && row >= 0) continue;
    C v = row >= 0 && row < a.rows ? widened(static_cast<const T*>(a.w)[row * a.width + j]) : static_cast<C>(NAN);
    if (a.factor) v *= widened(static_cast<const T*>(a.factor)[i]);
    if (a.bag != Bag::Max) {
      s += v;
    } else if (count == 0 || v > s || (v != v && s == s)) {  // the first NaN
      s = v;
      chosen = i;
    }
    ++count;
  }
  if (a.bag == Bag::Mean && count) s /= static_cast<C>(count);
  static_cast<T*>(a.out)[u] = narrowed<T>(s);
  if (a.bag == Bag::Max && a.chosen) a.chosen[u] = chosen;
}

template <class T>
__global__ void gather_kernel(const T* x, const int64_t* index, T* out, int64_t n, Split plane, Split inner,
                              int64_t total, uint64_t bad) {
  const int64_t u = thread_number();
  if (u >= total) return;
  const int64_t o = plane.quotient(u), k = u - inner.quotient(u) * inner.d, at = index[u];
  out[u] = at >= 0 && at < n ? x[(o * n + at) * inner.d + k] : static_cast<T>(bad);
}
template <class T>
__global__ void scatter_kernel(const T* x, const int64_t* index, T* out, int64_t n, Split plane, Split inner,
                               int64_t total) {
  const int64_t u = thread_number();
  if (u >= total) return;
  const int64_t o = plane.quotient(u), k = u - inner.quotient(u) * inner.d, at = index[u];
  if (at >= 0 && at < n) out[(o * n + at) * inner.d + k] = x[u];
}

bool packs_of(int64_t width, int v, size_t size, const void* a, const void* b) {
  return width % v == 0 && aligned(a, static_cast<size_t>(v) * size) && aligned(b, static_cast<size_t>(v) * size);
}

}  // namespace

void embedding(const EmbeddingArgs& a, Stream stream) {
  if (a.count * a.width == 0) return;
  with_size(a.dtype, [&](auto type) {
    using T = typename decltype(type)::type;
    constexpr int V = kVector<T>;
    const bool packed = packs_of(a.width, V, sizeof(T), a.w, a.out);
    const int64_t each = a.width / (packed ? V : 1), total = a.count * each;
    launch("embedding", packed ? rows_kernel<T, V> : rows_kernel<T, 1>, blocks_for(total), block_for(total), 0, stream,
           static_cast<const T*>(a.w), a.index, static_cast<T*>(a.out), a.rows, a.width, Split(each, total), total,
           nothing(a.dtype));
  });
}

void segment_sum(const SegmentSumArgs& a, Stream stream) {
  if (a.segments * a.width == 0) return;
  const auto run = [&](auto type) {
    using T = typename decltype(type)::type;
    constexpr int V = kVector<T>;
    const bool packed = packs_of(a.width, V, sizeof(T), a.dy, a.out);
    const int64_t each = a.width / (packed ? V : 1), total = a.segments * each;
    launch("segment_sum", packed ? segments_kernel<T, V> : segments_kernel<T, 1>, blocks_for(total), block_for(total),
           0, stream, a, Split(each, total), total);
  };
  a.dtype == Dtype::I64 ? run(Type<int64_t>()) : with_float("segment_sum", a.dtype, run);
}

void stable_order(const int64_t* ids, int64_t n, int64_t* order, Stream stream) {
  if (n == 0) return;
  launch("stable_order", order_kernel, dim3(static_cast<unsigned>((n + kBlock - 1) / kBlock)), dim3(kBlock), 0, stream,
         ids, n, order);
}

void embedding_bag(const EmbeddingBagArgs& a, Stream stream) {
  const int64_t total = a.bags * a.width;
  if (total == 0) return;
  with_float("embedding_bag", a.dtype, [&](auto type) {
    using T = typename decltype(type)::type;
    launch("embedding_bag", bags_kernel<T>, blocks_for(total), block_for(total), 0, stream, a, Split(a.width, total),
           total);
  });
}

void gather(const GatherArgs& a, Stream stream) {
  const int64_t total = a.outer * a.m * a.inner;
  if (total == 0) return;
  with_size(a.dtype, [&](auto type) {
    using T = typename decltype(type)::type;
    launch("gather", gather_kernel<T>, blocks_for(total), block_for(total), 0, stream, static_cast<const T*>(a.x),
           a.index, static_cast<T*>(a.out), a.n, Split(a.m * a.inner, total), Split(a.inner, total), total,
           nothing(a.dtype));
  });
}
void scatter(const GatherArgs& a, Stream stream) {
  const int64_t total = a.outer * a.m * a.inner;
  if (total == 0) return;
  with_size(a.dtype, [&](auto type) {
    using T = typename decltype(type)::type;
    launch("scatter", scatter_kernel<T>, blocks_for(total), block_for(total), 0, stream, static_cast<const T*>(a.x),
           a.index, static_cast<T*>(a.out), a.n, Split(a.m * a.inner, total), Split(a.inner, total), total);
  });
}

}  // namespace cuda
}  // namespace fastnn
