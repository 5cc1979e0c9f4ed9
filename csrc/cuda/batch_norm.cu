// Batch norm. A channel's statistics are taken in one pass (mean and squared deviations of parts, joined by Chan's
// formula), in parts where the channels are too few to fill the device; then one pass over the elements. A mean is
// carried as two numbers, itself and what its rounding left: with one, data whose mean is thousands of deviations would
// be centred wrongly. Backward alike, with the sums of dy and dy xhat.
#include "cuda/norm.h"
#include "cuda/rows.h"

namespace fastnn {
namespace cuda {
namespace {

constexpr int kWide = 32, kHigh = kBlock / kWide;

// Of a set: its size, mean (mean + rest, where rest is below mean's last place) and sum of squared deviations.
template <class C>
struct Moments {
  C n, mean, rest, m2;
};
template <class C>
__device__ inline Moments<C> joined(const Moments<C>& a, const Moments<C>& b) {
  if (b.n == 0) return a;
  if (a.n == 0) return b;
  const C n = a.n + b.n, d = (b.mean - a.mean) + (b.rest - a.rest), share = b.n / n;
  const C move = a.rest + d * share, mean = a.mean + move, moved = mean - a.mean;
  const C rest = (a.mean - (mean - moved)) + (move - moved);  // a.mean + move = mean + rest, exactly
  return {n, mean, rest, a.m2 + b.m2 + d * d * a.n * share};
}
// Two sums.
template <class C>
struct Sums {
  C dy, dy_xhat;
};
template <class C>
__device__ inline Sums<C> joined(const Sums<C>& a, const Sums<C>& b) {
  return {a.dy + b.dy, a.dy_xhat + b.dy_xhat};
}

struct Work {
  int64_t N, C, L;
  FastDiv length;  // L in packs
  const void *x, *dy, *weight, *bias;
  double eps;
  bool wide, given;
  void *y, *mean, *rest, *var, *dx, *dweight, *dbias, *partial;  // partial: [parts, C] states
  uint32_t units, parts, each;                                   // units: packs of a channel
  int64_t part_rows;                                             // columns: samples a part
};

template <class T, int V, bool kBackward>
__device__ inline auto state_of(const Work& w, int64_t at, compute_t<T> mean, compute_t<T> rstd) {
  using C = compute_t<T>;
  C v[V];
  load(static_cast<const T*>(w.x) + at, v);
  if constexpr (kBackward) {
    C g[V];
    load(static_cast<const T*>(w.dy) + at, g);
    Sums<C> s = {0, 0};
#pragma unroll
    for (int k = 0; k < V; ++k) s = {s.dy + g[k], s.dy_xhat + g[k] * (v[k] - mean) * rstd};
    return s;
  } else {
    C m = 0, m2 = 0;  // about the first: neighbours' differences are exact where the mean is far
#pragma unroll
    for (int k = 1; k < V; ++k) m += v[k] - v[0];
    m /= V;
#pragma unroll
    for (int k = 0; k < V; ++k) m2 += (v[k] - v[0] - m) * (v[k] - v[0] - m);
    return Moments<C>{C(V), v[0], m, m2};
  }
}
template <class C>
__device__ inline void conclude(const Work& w, int64_t c, const Moments<C>& s) {
  static_cast<C*>(w.mean)[c] = s.mean + s.rest;
  static_cast<C*>(w.rest)[c] = s.rest - (s.mean + s.rest - s.mean);
  static_cast<C*>(w.var)[c] = s.n > 0 ? s.m2 / s.n : static_cast<C>(NAN);
}
template <class C>
__device__ inline void conclude(const Work& w, int64_t c, const Sums<C>& s) {
  static_cast<C*>(w.dbias)[c] = s.dy;
  static_cast<C*>(w.dweight)[c] = s.dy_xhat;
}
template <class S>
__device__ inline void leave(const Work& w, uint32_t part, int64_t c, const S& s) {
  if (w.parts > 1)
    static_cast<S*>(w.partial)[part * w.C + c] = s;
  else
    conclude(w, c, s);
}
template <class C, bool kBackward>
using State = typename std::conditional<kBackward, Sums<C>, Moments<C>>::type;

template <class C, bool kBackward>
__device__ inline void statistics(const Work& w, int64_t c, C& mean, C& rstd) {
  mean = kBackward ? static_cast<const C*>(w.mean)[c] : C(0);
  rstd = kBackward ? 1 / sqrt(static_cast<const C*>(w.var)[c] + static_cast<C>(w.eps)) : C(1);
}

// A block a part of a channel; neighbours are along L.
template <class T, int V, bool kBackward>
__global__ void __launch_bounds__(kBlock) channels_kernel(const __grid_constant__ Work w) {
  using C = compute_t<T>;
  using S = State<C, kBackward>;
  FASTNN_SHARED(shared, S[kBlock / 32]);
  const int64_t c = blockIdx.x;
  C mean, rstd;
  statistics<C, kBackward>(w, c, mean, rstd);
  S s = {};
  const uint32_t begin = blockIdx.y * w.each, end = min(begin + w.each, w.units);
  for (uint32_t u = begin + threadIdx.x; u < end; u += blockDim.x) {
    const uint32_t n = w.length.quotient(u), l = u - n * w.length.d;
    s = joined(s, state_of<T, V, kBackward>(w, (n * w.C + c) * w.L + static_cast<int64_t>(l) * V, mean, rstd));
  }
#pragma unroll
  for (int o = 16; o; o >>= 1) {
    S other = s;
    C* p = reinterpret_cast<C*>(&other);
#pragma unroll
    for (int k = 0; k < static_cast<int>(sizeof(S) / sizeof(C)); ++k) p[k] = __shfl_down_sync(kFullWarp, p[k], o);
    s = joined(s, other);
  }
  if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = s;
  __syncthreads();
  if (threadIdx.x) return;
  for (uint32_t k = 1; k < blockDim.x / 32; ++k) s = joined(s, shared[k]);
  leave(w, blockIdx.y, c, s);
}

// L = 1: neighbours are channels; threadIdx.y goes over samples.
template <class T, bool kBackward>
__global__ void __launch_bounds__(kBlock) columns_kernel(const __grid_constant__ Work w) {
  using C = compute_t<T>;
  using S = State<C, kBackward>;
  FASTNN_SHARED(shared, S[kHigh][kWide]);
  const int64_t c = static_cast<int64_t>(blockIdx.x) * kWide + threadIdx.x;
  S s = {};
  if (c < w.C) {
    C mean, rstd;
    statistics<C, kBackward>(w, c, mean, rstd);
    const int64_t begin = blockIdx.y * w.part_rows, end = min(begin + w.part_rows, w.N);
    for (int64_t n = begin + threadIdx.y; n < end; n += kHigh)
      s = joined(s, state_of<T, 1, kBackward>(w, n * w.C + c, mean, rstd));
  }
  shared[threadIdx.y][threadIdx.x] = s;
  __syncthreads();
  if (threadIdx.y || c >= w.C) return;
  for (int k = 1; k < kHigh; ++k) s = joined(s, shared[k][threadIdx.x]);
  leave(w, blockIdx.y, c, s);
}

template <class C, bool kBackward>
__global__ void parts_kernel(const __grid_constant__ Work w) {
  using S = State<C, kBackward>;
  const int64_t c = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (c >= w.C) return;
  S s = {};
  for (uint32_t k = 0; k < w.parts; ++k) s = joined(s, static_cast<const S*>(w.partial)[k * w.C + c]);
  conclude(w, c, s);
}

template <class T>
__device__ inline compute_t<T> affine(const void* p, bool wide, int64_t c, compute_t<T> one) {
  if (!p) return one;
  return wide ? static_cast<const compute_t<T>*>(p)[c] : widened(static_cast<const T*>(p)[c]);
}
// One pass over all elements; a block's share of one (sample, channel) where L is long, else a run over several.
template <class T, int V, bool kBackward>
__global__ void __launch_bounds__(kBlock) apply_kernel(const __grid_constant__ Work w, int64_t count) {
  using C = compute_t<T>;
  const int64_t u = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (u >= count) return;
  const int64_t c = u / static_cast<int64_t>(w.length.d) % w.C, at = u * V;
  const C mean = static_cast<const C*>(w.mean)[c];
  const C rstd = 1 / sqrt(static_cast<const C*>(w.var)[c] + static_cast<C>(w.eps));
  const C weight = affine<T>(w.weight, w.wide, c, C(1));
  C v[V];
  load(static_cast<const T*>(w.x) + at, v);
  if constexpr (kBackward) {
    C g[V];
    load(static_cast<const T*>(w.dy) + at, g);
    const C n = static_cast<C>(w.N * w.L);
    const C a = w.given ? C(0) : static_cast<const C*>(w.dbias)[c] / n;
    const C b = w.given ? C(0) : static_cast<const C*>(w.dweight)[c] / n;
#pragma unroll
    for (int k = 0; k < V; ++k) g[k] = (g[k] - a - (w.given ? C(0) : (v[k] - mean) * rstd * b)) * rstd * weight;
    store(static_cast<T*>(w.dx) + at, g);
  } else {
    const C bias = affine<T>(w.bias, w.wide, c, C(0)), rest = w.rest ? static_cast<const C*>(w.rest)[c] : C(0);
#pragma unroll
    for (int k = 0; k < V; ++k) v[k] = (v[k] - mean - rest) * rstd * weight + bias;
    store(static_cast<T*>(w.y) + at, v);
  }
}

constexpr int64_t kBlocksWanted = 1056, kLeastPart = 4096;
uint32_t parts_of(const ChannelNormArgs& a) {
  const int64_t blocks = a.L == 1 ? (a.C + kWide - 1) / kWide : a.C;
  const int64_t most = a.L == 1 ? a.N / 128 : a.N * a.L / kLeastPart;
  int64_t parts = blocks ? (kBlocksWanted + blocks - 1) / blocks : 1;
  if (parts > most) parts = most;
  if (parts > 256) parts = 256;
  return static_cast<uint32_t>(parts < 1 ? 1 : parts);
}

template <class T, bool kBackward>
void run(const ChannelNormArgs& a, void* workspace, Stream stream) {
  using C = compute_t<T>;
  constexpr int V = kVector<T>;
  const bool packed = row_packs(a.L, V, sizeof(T), {a.x, a.y, a.dy, a.dx});
  const int v = packed ? V : 1;
  if (a.N * a.L / v >= (int64_t(1) << 31)) throw std::invalid_argument("batch_norm: more than 2^31 elements a channel");
  Work w = {};
  w.N = a.N, w.C = a.C, w.L = a.L;
  w.x = a.x, w.dy = a.dy, w.weight = a.weight, w.bias = a.bias;
  w.eps = a.eps;
  w.wide = a.wide, w.given = a.given;
  w.y = a.y, w.mean = a.mean, w.var = a.var, w.dx = a.dx;
  w.units = static_cast<uint32_t>(a.N * a.L / v);
  w.parts = parts_of(a);
  w.each = (w.units + w.parts - 1) / w.parts;
  w.part_rows = (a.N + w.parts - 1) / w.parts;
  w.length = FastDiv(static_cast<uint32_t>(a.L > v ? a.L / v : 1));
  // Sums that nobody asked for are kept in the workspace: dx needs them.
  C* spare = static_cast<C*>(workspace);
  w.dweight = a.dweight ? a.dweight : spare;
  w.dbias = a.dbias ? a.dbias : spare + a.C;
  w.rest = kBackward || a.given ? nullptr : spare;
  w.partial = spare + 2 * a.C;
  if (kBackward ? a.dweight || a.dbias || !a.given : !a.given) {
    if (a.L == 1)
      launch("batch_norm", columns_kernel<T, kBackward>,
             dim3(static_cast<unsigned>((a.C + kWide - 1) / kWide), w.parts), dim3(kWide, kHigh), 0, stream, w);
    else
      launch("batch_norm", packed ? channels_kernel<T, V, kBackward> : channels_kernel<T, 1, kBackward>,
             dim3(static_cast<unsigned>(a.C), w.parts), dim3(kBlock), 0, stream, w);
    if (w.parts > 1) launch("batch_norm", parts_kernel<C, kBackward>, blocks_for(a.C), block_for(a.C), 0, stream, w);
  }
  const int64_t count = a.N * a.C * a.L / v;
  if (count && (kBackward ? a.dx : a.y))
    launch("batch_norm", packed ? apply_kernel<T, V, kBackward> : apply_kernel<T, 1, kBackward>, blocks_for(count),
           dim3(kBlock), 0, stream, w, count);
}

}  // namespace

size_t batch_norm_workspace(const ChannelNormArgs& a) {
  const size_t size = static_cast<size_t>(size_of(compute_dtype(a.dtype)));
  return static_cast<size_t>(a.C) * size * (2 + 4 * parts_of(a));
}
void batch_norm(const ChannelNormArgs& a, void* workspace, Stream stream) {
  if (a.C == 0) return;
  with_float("batch_norm", a.dtype,
             [&](auto type) { run<typename decltype(type)::type, false>(a, workspace, stream); });
}
void batch_norm_backward(const ChannelNormArgs& a, void* workspace, Stream stream) {
  if (a.C == 0) return;
  with_float("batch_norm_backward", a.dtype,
             [&](auto type) { run<typename decltype(type)::type, true>(a, workspace, stream); });
}

}  // namespace cuda
}  // namespace fastnn
