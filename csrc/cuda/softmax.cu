// Softmax, log-softmax, their gradients, logsumexp. Limit: the memory's bandwidth: a row is read once and written once.
#include "cuda/rows.h"
#include "cuda/softmax.h"

namespace fastnn {
namespace cuda {
namespace {

enum class Kind { Forward, LogForward, LogSumExp };

// Row kernels: V elements a step, a team a row.
template <class T, int V>
__global__ void forward_kernel(const T* x, T* out, int64_t rows, int64_t n, Kind kind, bool block, bool cached) {
  using C = compute_t<T>;
  FASTNN_SHARED(shared, C[kMostWarps]);
  FASTNN_DYNAMIC_SHARED(C, buffer);
  const Team team(block);
  if (team.row >= rows) return;  // whole warps
  C* kept = team.part(buffer, n);
  const T* from = x + team.row * n;
  C m = -static_cast<C>(INFINITY);
  for (int64_t i = static_cast<int64_t>(team.lane) * V; i < n; i += static_cast<int64_t>(team.size) * V) {
    C v[V];
    load(from + i, v);
#pragma unroll
    for (int k = 0; k < V; ++k) {
      m = Larger()(m, v[k]);
      if (cached) kept[i + k] = v[k];
    }
  }
  m = team_join(block, m, Larger(), &shared[0]);
  // logsumexp of infinities is theirs; softmax has no value there, and inf - inf gives NaN by itself.
  const C shift = kind == Kind::LogSumExp && !(fabs(m) < static_cast<C>(INFINITY)) ? C(0) : m;
  C s = 0;
  for (int64_t i = static_cast<int64_t>(team.lane) * V; i < n; i += static_cast<int64_t>(team.size) * V) {
    C v[V];
    if (!cached) load(from + i, v);
#pragma unroll
    for (int k = 0; k < V; ++k) {
      const C e = exp((cached ? kept[i + k] : v[k]) - shift);
      s += e;
      if (cached && kind == Kind::Forward) kept[i + k] = e;
    }
  }
  s = team_join(block, s, Add(), &shared[0]);
  if (kind == Kind::LogSumExp) {
    if (team.lane == 0) out[team.row] = narrowed<T>(shift + log(s));
    return;
  }
  T* to = out + team.row * n;
  const C factor = 1 / s, log_s = log(s);
  for (int64_t i = static_cast<int64_t>(team.lane) * V; i < n; i += static_cast<int64_t>(team.size) * V) {
    C v[V];
    if (!cached) load(from + i, v);
#pragma unroll
    for (int k = 0; k < V; ++k) {
      if (kind == Kind::Forward)
        v[k] = (cached ? kept[i + k] : exp(v[k] - m)) * factor;
      else
        v[k] = (cached ? kept[i + k] : v[k]) - m - log_s;
    }
    store(to + i, v);
  }
}

// y (dy - sum dy y), or dy - exp(y) sum dy. The second read finds the row in a cache.
template <class T, int V>
__global__ void backward_kernel(const T* dy, const T* y, T* dx, int64_t rows, int64_t n, bool logarithm, bool block) {
  using C = compute_t<T>;
  FASTNN_SHARED(shared, C[kMostWarps]);
  const Team team(block);
  if (team.row >= rows) return;
  const int64_t row = team.row * n;
  C s = 0;
  for (int64_t i = static_cast<int64_t>(team.lane) * V; i < n; i += static_cast<int64_t>(team.size) * V) {
    C a[V], b[V];
    load(dy + row + i, a);
    if (!logarithm) load(y + row + i, b);
#pragma unroll
    for (int k = 0; k < V; ++k) s += logarithm ? a[k] : a[k] * b[k];
  }
  s = team_join(block, s, Add(), &shared[0]);
  for (int64_t i = static_cast<int64_t>(team.lane) * V; i < n; i += static_cast<int64_t>(team.size) * V) {
    C a[V], b[V];
    load(dy + row + i, a);
    load(y + row + i, b);
#pragma unroll
    for (int k = 0; k < V; ++k) a[k] = logarithm ? a[k] - exp(b[k]) * s : b[k] * (a[k] - s);
    store(dx + row + i, a);
  }
}

// Along n of [rows, n, inner]: a thread a column, threadIdx.y cutting n.
constexpr int kWide = 32, kHigh = kBlock / kWide;
template <class T, class C, class F, class J>
__device__ inline C column_join(int64_t n, C start, C (&shared)[kHigh][kWide], bool here, F value, J join) {
  C r = start;
  if (here)
    for (int64_t i = threadIdx.y; i < n; i += kHigh) r = join(r, value(i));
  __syncthreads();
  shared[threadIdx.y][threadIdx.x] = r;
  __syncthreads();
  r = shared[0][threadIdx.x];
  for (int k = 1; k < kHigh; ++k) r = join(r, shared[k][threadIdx.x]);
  return r;
}
template <class T>
__global__ void __launch_bounds__(kBlock, 1)
    columns_forward_kernel(const T* x, T* out, int64_t columns, int64_t n, int64_t inner, Kind kind) {
  using C = compute_t<T>;
  FASTNN_SHARED(shared, C[kHigh][kWide]);
  const int64_t column = static_cast<int64_t>(blockIdx.x) * kWide + threadIdx.x;
  const bool here = column < columns;
  const int64_t first = here ? column / inner * n * inner + column % inner : 0;
  const auto at = [&](int64_t i) { return widened(x[first + i * inner]); };
  const C m = column_join<T>(n, -static_cast<C>(INFINITY), shared, here, at, Larger());
  const C shift = kind == Kind::LogSumExp && !(fabs(m) < static_cast<C>(INFINITY)) ? C(0) : m;
  const C s = column_join<T>(n, C(0), shared, here, [&](int64_t i) { return exp(at(i) - shift); }, Add());
  if (!here) return;
  if (kind == Kind::LogSumExp) {
    if (threadIdx.y == 0) out[column] = narrowed<T>(shift + log(s));
    return;
  }
  const C factor = 1 / s, log_s = log(s);
  for (int64_t i = threadIdx.y; i < n; i += kHigh)
    out[first + i * inner] = narrowed<T>(kind == Kind::Forward ? exp(at(i) - m) * factor : at(i) - m - log_s);
}
template <class T>
__global__ void __launch_bounds__(kBlock)
    columns_backward_kernel(const T* dy, const T* y, T* dx, int64_t columns, int64_t n, int64_t inner, bool logarithm) {
  using C = compute_t<T>;
  FASTNN_SHARED(shared, C[kHigh][kWide]);
  const int64_t column = static_cast<int64_t>(blockIdx.x) * kWide + threadIdx.x;
  const bool here = column < columns;
  const int64_t first = here ? column / inner * n * inner + column % inner : 0;
  const auto product = [&](int64_t i) {
    const C a = widened(dy[first + i * inner]);
    return logarithm ? a : a * widened(y[first + i * inner]);
  };
  const C s = column_join<T>(n, C(0), shared, here, product, Add());
  if (!here) return;
  for (int64_t i = threadIdx.y; i < n; i += kHigh) {
    const C a = widened(dy[first + i * inner]), b = widened(y[first + i * inner]);
    dx[first + i * inner] = narrowed<T>(logarithm ? a - exp(b) * s : b * (a - s));
  }
}

template <class T>
void forward(const SoftmaxArgs& a, Kind kind, Stream stream) {
  const T* x = static_cast<const T*>(a.a);
  T* out = static_cast<T*>(a.out);
  if (a.inner > 1) {
    const int64_t columns = a.rows * a.inner;
    launch("softmax", columns_forward_kernel<T>, dim3(static_cast<unsigned>((columns + kWide - 1) / kWide)),
           dim3(kWide, kHigh), 0, stream, x, out, columns, a.n, a.inner, kind);
    return;
  }
  constexpr int V = kVector<T>;
  const RowPlan p = row_plan(a.rows, a.n, sizeof(compute_t<T>));
  const void* written = kind == Kind::LogSumExp ? nullptr : a.out;
  const bool packed = row_packs(a.n, V, sizeof(T), {a.a, written});
  launch("softmax", packed ? forward_kernel<T, V> : forward_kernel<T, 1>, dim3(p.blocks), dim3(p.threads), p.shared,
         stream, x, out, a.rows, a.n, kind, p.block, p.cached);
}
template <class T>
void backward(const SoftmaxArgs& a, Stream stream) {
  const T *dy = static_cast<const T*>(a.a), *y = static_cast<const T*>(a.b);
  T* dx = static_cast<T*>(a.out);
  const bool logarithm = a.op == Softmax::LogBackward;
  if (a.inner > 1) {
    const int64_t columns = a.rows * a.inner;
    launch("softmax", columns_backward_kernel<T>, dim3(static_cast<unsigned>((columns + kWide - 1) / kWide)),
           dim3(kWide, kHigh), 0, stream, dy, y, dx, columns, a.n, a.inner, logarithm);
    return;
  }
  constexpr int V = kVector<T>;
  const RowPlan p = row_plan(a.rows, a.n, sizeof(compute_t<T>));
  const bool packed = row_packs(a.n, V, sizeof(T), {dy, y, dx});
  launch("softmax", packed ? backward_kernel<T, V> : backward_kernel<T, 1>, dim3(p.blocks), dim3(p.threads), 0, stream,
         dy, y, dx, a.rows, a.n, logarithm, p.block);
}

}  // namespace

void softmax(const SoftmaxArgs& a, Stream stream) {
  if (a.rows * a.n * a.inner == 0) return;
  with_float("softmax", a.dtype, [&](auto type) {
    using T = typename decltype(type)::type;
    if (a.op == Softmax::Forward || a.op == Softmax::LogForward)
      forward<T>(a, a.op == Softmax::Forward ? Kind::Forward : Kind::LogForward, stream);
    else
      backward<T>(a, stream);
  });
}

void logsumexp(const SoftmaxArgs& a, Stream stream) {
  if (a.rows * a.inner == 0) return;  // of no elements: log 0 = -inf
  with_float("logsumexp", a.dtype,
             [&](auto type) { forward<typename decltype(type)::type>(a, Kind::LogSumExp, stream); });
}

}  // namespace cuda
}  // namespace fastnn
