// Group norm. Forward: rows of (sample, group), as layer norm. Backward: sums of dy and dy xhat over each (sample,
// channel), from which everything else follows: dx in a second pass, dweight and dbias by adding up samples.
#include "cuda/layer_norm.h"
#include "cuda/norm.h"

namespace fastnn {
namespace cuda {
namespace {

struct Work {
  int64_t rows, C, L, groups, each;  // rows: N C; each: channels of a group
  const void *dy, *x, *weight, *mean, *var;
  double eps;
  bool wide, block;
  void *dx, *sums;  // sums: [2, N C]
};

template <class T, int V>
__global__ void sums_kernel(const __grid_constant__ Work w) {
  using C = compute_t<T>;
  FASTNN_SHARED(shared, C[kMostWarps]);
  const Team team(w.block);
  if (team.row >= w.rows) return;
  const int64_t group = team.row / w.each;
  const C mean = static_cast<const C*>(w.mean)[group];
  const C rstd = 1 / sqrt(static_cast<const C*>(w.var)[group] + static_cast<C>(w.eps));
  const int64_t base = team.row * w.L;
  C s1 = 0, s2 = 0;
  for (int64_t i = static_cast<int64_t>(team.lane) * V; i < w.L; i += static_cast<int64_t>(team.size) * V) {
    C g[V], v[V];
    load(static_cast<const T*>(w.dy) + base + i, g);
    load(static_cast<const T*>(w.x) + base + i, v);
#pragma unroll
    for (int k = 0; k < V; ++k) {
      s1 += g[k];
      s2 += g[k] * (v[k] - mean) * rstd;
    }
  }
  s1 = team_join(w.block, s1, Add(), &shared[0]);
  s2 = team_join(w.block, s2, Add(), &shared[0]);
  if (team.lane) return;
  static_cast<C*>(w.sums)[team.row] = s1;
  static_cast<C*>(w.sums)[w.rows + team.row] = s2;
}

template <class T>
__device__ inline compute_t<T> weight_of(const Work& w, int64_t channel) {
  using C = compute_t<T>;
  if (!w.weight) return C(1);
  return w.wide ? static_cast<const C*>(w.weight)[channel] : widened(static_cast<const T*>(w.weight)[channel]);
}

template <class T, int V>
__global__ void dx_kernel(const __grid_constant__ Work w) {
  using C = compute_t<T>;
  const Team team(w.block);
  if (team.row >= w.rows) return;
  const int64_t group = team.row / w.each, first = group * w.each;
  const C mean = static_cast<const C*>(w.mean)[group];
  const C rstd = 1 / sqrt(static_cast<const C*>(w.var)[group] + static_cast<C>(w.eps));
  const C* sums = static_cast<const C*>(w.sums);
  C a = 0, b = 0;  // every team adds up its group's few channels for itself
  for (int64_t c = first; c < first + w.each; ++c) {
    const C weight = weight_of<T>(w, c % w.C);
    a += weight * sums[c];
    b += weight * sums[w.rows + c];
  }
  const C n = static_cast<C>(w.each * w.L), weight = weight_of<T>(w, team.row % w.C);
  a /= n;
  b /= n;
  const int64_t base = team.row * w.L;
  for (int64_t i = static_cast<int64_t>(team.lane) * V; i < w.L; i += static_cast<int64_t>(team.size) * V) {
    C g[V], v[V];
    load(static_cast<const T*>(w.dy) + base + i, g);
    load(static_cast<const T*>(w.x) + base + i, v);
#pragma unroll
    for (int k = 0; k < V; ++k) g[k] = (g[k] * weight - a - (v[k] - mean) * rstd * b) * rstd;
    store(static_cast<T*>(w.dx) + base + i, g);
  }
}

template <class C>
__global__ void samples_kernel(const C* sums, int64_t N, int64_t channels, C* dweight, C* dbias) {
  const int64_t c = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (c >= channels) return;
  C s1 = 0, s2 = 0;
  for (int64_t n = 0; n < N; ++n) {
    s1 += sums[n * channels + c];
    s2 += sums[(N + n) * channels + c];
  }
  if (dbias) dbias[c] = s1;
  if (dweight) dweight[c] = s2;
}

}  // namespace

void group_norm(const ChannelNormArgs& a, Stream stream) {
  NormRows r = {};
  if (a.C == 0 || a.L == 0 || a.N == 0) return;
  if (a.C / a.groups * a.L >= (int64_t(1) << 31)) throw std::invalid_argument("group_norm: a group of 2^31 elements");
  r.rows = a.N * a.groups, r.groups = a.groups, r.channels = a.C / a.groups, r.n = r.channels * a.L;
  r.spread = FastDiv(static_cast<uint32_t>(a.L));
  r.x = a.x, r.weight = a.weight, r.bias = a.bias;
  r.eps = a.eps;
  r.wide = a.wide, r.centre = true;
  r.y = a.y, r.mean = a.mean, r.var = a.var;
  norm_rows(a.dtype, r, stream);
}

size_t group_norm_workspace(const ChannelNormArgs& a) {
  return static_cast<size_t>(2 * a.N * a.C * size_of(compute_dtype(a.dtype)));
}

void group_norm_backward(const ChannelNormArgs& a, void* workspace, Stream stream) {
  if (a.C == 0) return;
  with_float("group_norm_backward", a.dtype, [&](auto type) {
    using T = typename decltype(type)::type;
    using C = compute_t<T>;
    constexpr int V = kVector<T>;
    const RowPlan p = row_plan(a.N * a.C, a.L, sizeof(C));
    const Work w = {a.N * a.C, a.C,   a.L,   a.groups, a.C / a.groups, a.dy, a.x,      a.weight,
                    a.mean,    a.var, a.eps, a.wide,   p.block,        a.dx, workspace};
    const bool packed = row_packs(a.L, V, sizeof(T), {a.dy, a.x, a.dx});
    if (w.rows) {
      launch("group_norm_backward", packed ? sums_kernel<T, V> : sums_kernel<T, 1>, dim3(p.blocks), dim3(p.threads), 0,
             stream, w);
      if (a.dx && a.L)
        launch("group_norm_backward", packed ? dx_kernel<T, V> : dx_kernel<T, 1>, dim3(p.blocks), dim3(p.threads), 0,
               stream, w);
    }
    if (a.dweight || a.dbias)
      launch("group_norm_backward", samples_kernel<C>, blocks_for(a.C), block_for(a.C), 0, stream,
             static_cast<const C*>(workspace), a.N, a.C, static_cast<C*>(a.dweight), static_cast<C*>(a.dbias));
  });
}

}  // namespace cuda
}  // namespace fastnn
