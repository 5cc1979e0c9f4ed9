// Layer and RMS norm, and group norm's forward pass, which is the same on rows of (sample, group). Limit: the memory's
// bandwidth: forward reads and writes a row once; backward reads dy and x once from memory (once more from a cache) and
// keeps the sums for weight and bias where the rows' columns are, so that no second pass over the matrix is needed.
#include "cuda/layer_norm.h"
#include "cuda/norm.h"

namespace fastnn {
namespace cuda {
namespace {

constexpr unsigned kPersistent = 264;  // blocks of backward: a choice that must not depend on the device

template <class T, int V>
__device__ inline void affine_at(const void* p, bool wide, const NormRows& r, int64_t row, int64_t i, compute_t<T> one,
                                 compute_t<T> (&out)[V]) {
  using C = compute_t<T>;
  if (!p || r.channels) {
    C v = one;
    if (p) {
      const int64_t c = row % r.groups * r.channels + r.spread.quotient(static_cast<uint32_t>(i));
      v = wide ? static_cast<const C*>(p)[c] : widened(static_cast<const T*>(p)[c]);
    }
#pragma unroll
    for (int k = 0; k < V; ++k) out[k] = v;
  } else if (wide) {
    load(static_cast<const C*>(p) + i, out);
  } else {
    load(static_cast<const T*>(p) + i, out);
  }
}

template <class T, int V>
__global__ void forward_kernel(const __grid_constant__ NormRows r) {
  using C = compute_t<T>;
  FASTNN_SHARED(shared, C[kMostWarps]);
  FASTNN_DYNAMIC_SHARED(C, buffer);
  const Team team(r.block);
  if (team.row >= r.rows) return;  // whole warps
  C* kept = team.part(buffer, r.n);
  const T* x = static_cast<const T*>(r.x) + team.row * r.n;
  const int64_t first = static_cast<int64_t>(team.lane) * V, step = static_cast<int64_t>(team.size) * V;
  const C count = static_cast<C>(r.n);
  C s = 0, squares = 0;
  for (int64_t i = first; i < r.n; i += step) {
    C v[V];
    load(x + i, v);
#pragma unroll
    for (int k = 0; k < V; ++k) {
      s += r.centre ? v[k] : C(0);
      squares += v[k] * v[k];
      if (r.cached) kept[i + k] = v[k];
    }
  }
  C mean = 0, rest = 0, var;
  if (r.centre) {
    mean = team_join(r.block, s, Add(), &shared[0]) / count;
    // What the mean lost in rounding is much where it is large beside the deviation: it is found with the squares.
    s = squares = 0;
    for (int64_t i = first; i < r.n; i += step) {
      C v[V];
      if (!r.cached) load(x + i, v);
#pragma unroll
      for (int k = 0; k < V; ++k) {
        const C d = (r.cached ? kept[i + k] : v[k]) - mean;
        s += d;
        squares += d * d;
      }
    }
    rest = team_join(r.block, s, Add(), &shared[0]) / count;
    var = team_join(r.block, squares, Add(), &shared[0]) / count - rest * rest;
    if (var < 0) var = 0;
  } else {
    var = team_join(r.block, squares, Add(), &shared[0]) / count;
  }
  const C rstd = 1 / sqrt(var + static_cast<C>(r.eps));
  if (team.lane == 0) {
    if (r.mean) static_cast<C*>(r.mean)[team.row] = mean + rest;
    static_cast<C*>(r.var)[team.row] = var;
  }
  T* y = static_cast<T*>(r.y) + team.row * r.n;
  for (int64_t i = first; i < r.n; i += step) {
    C v[V], w[V], b[V];
    if (!r.cached) load(x + i, v);
    affine_at<T>(r.weight, r.wide, r, team.row, i, C(1), w);
    affine_at<T>(r.bias, r.wide, r, team.row, i, C(0), b);
#pragma unroll
    for (int k = 0; k < V; ++k) v[k] = ((r.cached ? kept[i + k] : v[k]) - mean - rest) * rstd * w[k] + b[k];
    store(y + i, v);
  }
}

struct Backward {
  int64_t rows, n;
  const void *dy, *x, *weight, *mean, *var;
  double eps;
  bool wide, block, shared;  // shared: the partial sums are in shared memory until the block is done
  void *dx, *partial;        // partial: [blocks, 2, n] or null
};

// Blocks take rows in turn. A thread comes back to the same columns in every row: their sums are its own.
template <class T, int V>
__global__ void backward_kernel(const __grid_constant__ Backward b) {
  using C = compute_t<T>;
  FASTNN_SHARED(shared, C[kMostWarps]);
  FASTNN_DYNAMIC_SHARED(C, buffer);
  const Team team(b.block);
  const int64_t teams = b.block ? gridDim.x : static_cast<int64_t>(gridDim.x) * (blockDim.x / 32);
  const int64_t first = static_cast<int64_t>(team.lane) * V, step = static_cast<int64_t>(team.size) * V;
  C* out = static_cast<C*>(b.partial) + static_cast<int64_t>(blockIdx.x) * 2 * b.n;
  C* sums = b.shared ? buffer + (b.block ? 0 : static_cast<int64_t>(threadIdx.x / 32) * 2 * b.n) : out;
  if (b.partial)
    for (int64_t i = first; i < b.n; i += step)
#pragma unroll
      for (int k = 0; k < V; ++k) sums[i + k] = sums[b.n + i + k] = 0;
  for (int64_t row = team.row; row < b.rows; row += teams) {
    const T *dy = static_cast<const T*>(b.dy) + row * b.n, *x = static_cast<const T*>(b.x) + row * b.n;
    const C mean = b.mean ? static_cast<const C*>(b.mean)[row] : C(0);
    const C rstd = 1 / sqrt(static_cast<const C*>(b.var)[row] + static_cast<C>(b.eps));
    NormRows plain;
    plain.channels = 0;
    C s1 = 0, s2 = 0;
    for (int64_t i = first; i < b.n; i += step) {
      C g[V], v[V], w[V];
      load(dy + i, g);
      load(x + i, v);
      affine_at<T>(b.weight, b.wide, plain, row, i, C(1), w);
#pragma unroll
      for (int k = 0; k < V; ++k) {
        const C xhat = (v[k] - mean) * rstd;
        s1 += g[k] * w[k];
        s2 += g[k] * w[k] * xhat;
        if (b.partial) {
          sums[i + k] += g[k] * xhat;
          sums[b.n + i + k] += g[k];
        }
      }
    }
    if (!b.dx) continue;
    s1 = b.mean ? team_join(b.block, s1, Add(), &shared[0]) / static_cast<C>(b.n) : C(0);
    s2 = team_join(b.block, s2, Add(), &shared[0]) / static_cast<C>(b.n);
    T* dx = static_cast<T*>(b.dx) + row * b.n;
    for (int64_t i = first; i < b.n; i += step) {
      C g[V], v[V], w[V];
      load(dy + i, g);
      load(x + i, v);
      affine_at<T>(b.weight, b.wide, plain, row, i, C(1), w);
#pragma unroll
      for (int k = 0; k < V; ++k) g[k] = (g[k] * w[k] - s1 - (v[k] - mean) * rstd * s2) * rstd;
      store(dx + i, g);
    }
  }
  if (!b.partial || !b.shared) return;
  __syncthreads();
  const int copies = b.block ? 1 : static_cast<int>(blockDim.x / 32);
  for (int64_t i = threadIdx.x; i < 2 * b.n; i += blockDim.x) {
    C s = buffer[i];
    for (int k = 1; k < copies; ++k) s += buffer[k * 2 * b.n + i];
    out[i] = s;
  }
}

// dweight and dbias from the blocks' sums: [parts, 2, n].
constexpr int kWide = 32, kHigh = kBlock / kWide;
template <class C>
__global__ void __launch_bounds__(kBlock) parts_kernel(const C* partial, int parts, int64_t n, C* dweight, C* dbias) {
  FASTNN_SHARED(shared, C[kHigh][kWide]);
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kWide + threadIdx.x;
  C s = 0;
  if (i < 2 * n)
    for (int k = threadIdx.y; k < parts; k += kHigh) s += partial[k * 2 * n + i];
  shared[threadIdx.y][threadIdx.x] = s;
  __syncthreads();
  if (threadIdx.y || i >= 2 * n) return;
  for (int k = 1; k < kHigh; ++k) s += shared[k][threadIdx.x];
  C* to = i < n ? dweight : dbias;
  if (to) to[i < n ? i : i - n] = s;
}

struct BackwardPlan {
  RowPlan rows;
  bool shared;
  unsigned blocks;
};
BackwardPlan backward_plan(const LayerNormArgs& a) {
  const int64_t size = size_of(compute_dtype(a.dtype));
  BackwardPlan p;
  p.rows = row_plan(a.rows, a.n, size);
  p.blocks = p.rows.blocks < kPersistent ? p.rows.blocks : kPersistent;
  const size_t bytes = static_cast<size_t>(a.n * size * 2 * (p.rows.block ? 1 : kRowWarps));
  p.shared = (a.dweight || a.dbias) && bytes <= kRowShared;
  p.rows.shared = p.shared ? bytes : 0;
  return p;
}

}  // namespace

void norm_rows(Dtype dtype, NormRows r, Stream stream) {
  if (r.rows * r.n == 0) return;
  with_float("norm", dtype, [&](auto type) {
    using T = typename decltype(type)::type;
    using C = compute_t<T>;
    constexpr int V = kVector<T>;
    const RowPlan p = row_plan(r.rows, r.n, sizeof(C));
    r.block = p.block;
    r.cached = p.cached;
    bool packed = row_packs(r.n, V, sizeof(T), {r.x, r.y});
    if (r.channels)
      packed &= r.spread.d % V == 0;
    else  // 16 bytes are what a pack of the wide type asks for too
      packed &= row_packs(r.n, V, 16 / static_cast<size_t>(V), {r.weight, r.bias});
    launch("norm", packed ? forward_kernel<T, V> : forward_kernel<T, 1>, dim3(p.blocks), dim3(p.threads), p.shared,
           stream, r);
  });
}

void layer_norm(const LayerNormArgs& a, Stream stream) {
  NormRows r = {};
  r.rows = a.rows, r.n = a.n;
  r.x = a.x, r.weight = a.weight, r.bias = a.bias;
  r.eps = a.eps;
  r.wide = a.wide, r.centre = a.centre;
  r.y = a.y, r.mean = a.mean, r.var = a.var;
  norm_rows(a.dtype, r, stream);
}

size_t layer_norm_workspace(const LayerNormArgs& a) {
  if (!a.dweight && !a.dbias) return 0;
  return static_cast<size_t>(backward_plan(a).blocks) * 2 * static_cast<size_t>(a.n * size_of(compute_dtype(a.dtype)));
}

void layer_norm_backward(const LayerNormArgs& a, void* workspace, Stream stream) {
  if (a.n == 0) return;
  with_float("layer_norm_backward", a.dtype, [&](auto type) {
    using T = typename decltype(type)::type;
    using C = compute_t<T>;
    constexpr int V = kVector<T>;
    const bool sums = a.dweight || a.dbias;
    const BackwardPlan p = backward_plan(a);
    const Backward b = {a.rows, a.n,    a.dy,         a.x,      a.weight, a.centre ? a.mean : nullptr, a.var,
                        a.eps,  a.wide, p.rows.block, p.shared, a.dx,     sums ? workspace : nullptr};
    const bool packed =
        row_packs(a.n, V, sizeof(T), {a.dy, a.x, a.dx}) && row_packs(a.n, V, 16 / static_cast<size_t>(V), {a.weight});
    if (a.rows)
      launch("layer_norm_backward", packed ? backward_kernel<T, V> : backward_kernel<T, 1>, dim3(p.blocks),
             dim3(p.rows.threads), p.rows.shared, stream, b);
    if (sums)
      launch("layer_norm_backward", parts_kernel<C>, dim3(static_cast<unsigned>((2 * a.n + kWide - 1) / kWide)),
             dim3(kWide, kHigh), 0, stream, static_cast<const C*>(workspace), static_cast<int>(p.blocks), a.n,
             static_cast<C*>(a.dweight), static_cast<C*>(a.dbias));
  });
}

}  // namespace cuda
}  // namespace fastnn
